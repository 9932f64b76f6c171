/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links of the guest to the host, by name */
#ifndef PEERS_H
#define PEERS_H

#include "link.h"

/*
 * Opens both ends; NULL if the link does not exist. HOW is the way of waiting:
 * "sleep" or "spin", or "both" if there is no difference.
 *
 *	words, channel		through VMShm; a side busy-polls before it
 *				sleeps, as the driver and a channel do
 *	words-0, channel-0	without busy-polling, if the driver is set so
 *	serial			virtio-serial
 *	tcp-user, tcp-tap	TCP over virtio-net, in user mode and by a tap
 *	ivshmem			words or, for bulk, a ring, in an ivshmem-plain
 *	doorbell		words in an ivshmem-doorbell; it has modes
 */
struct link *peer_open(const char *peer, const char *how);

/* After talk_end(): waits until the programs at the other end have ended. */
void peer_reap(void);

/* The guest's end of the doorbell; it uses the device through VFIO. */
struct link *peer_doorbell(void);

#endif /* PEERS_H */
