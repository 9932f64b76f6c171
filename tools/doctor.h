/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two parts of the doctor.
 */
#ifndef VMSHM_TOOL_DOCTOR_H
#define VMSHM_TOOL_DOCTOR_H

#include <stdbool.h>

/* doctor-host.c */
bool has_qemu(void);
void examine_host(void);
/* doctor-guest.c */
void examine_guest(void);

#endif /* VMSHM_TOOL_DOCTOR_H */
