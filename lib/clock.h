/* SPDX-License-Identifier: MIT */
/* CLOCK_MONOTONIC, in nanoseconds. */
#ifndef VMSHM_LIB_CLOCK_H
#define VMSHM_LIB_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_SECOND 1000000000

int64_t clock_now(void);

/* Whether the time of a deadline has come; VMSHM_FOREVER's never does. */
bool clock_passed(int64_t deadline);

#endif /* VMSHM_LIB_CLOCK_H */
