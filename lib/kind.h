/* SPDX-License-Identifier: MIT */
/*
 * The kind of an object. The first 8 bytes of an object are a magic number and
 * a version. These bytes are written first, in one step, and only into an
 * object of zeros, so that an object with other contents is never overwritten.
 */
#ifndef VMSHM_LIB_KIND_H
#define VMSHM_LIB_KIND_H

#include <stdatomic.h>
#include <stdint.h>
#include <vmshm/vmshm.h>

#define KIND(magic, version) ((magic) | (uint64_t)(version) << 32)

/*
 * Makes a mapped object of zeros one of this kind. 0: the object is of this
 * kind; -EINVAL: the object has other contents; other errors as for lseek(2)
 * and pread(2).
 */
int kind_claim(struct vmshm *shm, _Atomic uint64_t *word, uint64_t kind);

/* For readers: 0; -ENODATA: the object begins with zeros; -EINVAL */
int kind_check(_Atomic uint64_t *word, uint64_t kind);

#endif /* VMSHM_LIB_KIND_H */
