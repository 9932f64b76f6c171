/* SPDX-License-Identifier: MIT */
/* CLOCK_MONOTONIC, in nanoseconds. */
#ifndef VMSHM_LIB_CLOCK_H
#define VMSHM_LIB_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_SECOND 1000000000

int64_t clock_now(void);

/* Whether a deadline has passed; VMSHM_FOREVER never passes. */
bool clock_passed(int64_t deadline);

#endif /* VMSHM_LIB_CLOCK_H */
