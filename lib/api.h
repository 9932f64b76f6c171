/* SPDX-License-Identifier: MIT */
/* How the library is built: all names are hidden except those of the API. */
#ifndef VMSHM_LIB_API_H
#define VMSHM_LIB_API_H

#define API __attribute__((visibility("default")))

#endif /* VMSHM_LIB_API_H */
