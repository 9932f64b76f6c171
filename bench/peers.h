/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest talks over with the host: a link by its name. */
#ifndef PEERS_H
#define PEERS_H

#include "link.h"

/*
 * Opens both ends; NULL if it is not there. HOW is what a side does that waits:
 * "sleep" or "spin"; "both" where it is all the same.
 *
 *	words, channel		through VMShm; who sleeps looks shortly before,
 *				as the driver and a channel do by themselves
 *	words-0, channel-0	not, if the driver was told so, too
 *	serial			virtio-serial
 *	tcp-user, tcp-tap	TCP over virtio-net, in user mode and by a tap
 *	ivshmem			words or, for bulk, a ring, in an ivshmem-plain
 *	doorbell		words in an ivshmem-doorbell
 */
struct link *peer_open(const char *peer, const char *how);

/* After talk_end(): until the programs at the other end have ended, too. */
void peer_reap(void);

/* The guest's end of the doorbell: the device is driven by way of VFIO. */
struct link *peer_doorbell(void);

#endif /* PEERS_H */
