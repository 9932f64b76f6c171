/*
 * VMShm: the part of the process's limits that all devices may use
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_BUDGET_H
#define VMSHM_BUDGET_H

/*
 * The kernel limits the mappings of a process (vm.max_map_count); glib aborts
 * QEMU when the limit is reached. All devices together use at most three
 * quarters. Each function is thread safe and async-signal-safe.
 */

/* Mappings that one attachment can cost: itself, and the gap that it splits */
#define VMSHM_BUDGET_ATTACHMENT 2

/* Reserves @count mappings; false if the limit would be exceeded. */
bool vmshm_budget_take_mappings(unsigned count);

/* Gives them back. */
void vmshm_budget_give_mappings(unsigned count);

/*
 * Adds or removes a device that keeps up to @count descriptors open. The soft
 * limit of open files is raised for the sum, as far as the hard limit allows.
 * Under the big lock.
 */
void vmshm_budget_add_device(unsigned count);
void vmshm_budget_remove_device(unsigned count);

/*
 * Takes or gives back one descriptor that stays open; false if QEMU would have
 * too few left for itself. Thread safe.
 */
bool vmshm_budget_take_file(void);
void vmshm_budget_give_file(void);

#endif /* VMSHM_BUDGET_H */
