/*
 * VMShm: attributes of an object, as the contract lays them out
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_ATTR_H
#define VMSHM_ATTR_H

#include "vmshm-request.h"

/* Stores them in the VMSHM_ATTR_SIZE bytes at @to. */
void vmshm_attr_store(uint8_t *to, const VMShmAttr *attr);

#endif /* VMSHM_ATTR_H */
