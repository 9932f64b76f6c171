/* SPDX-License-Identifier: MIT */
/* Waiting in one direction of a channel. */
#ifndef VMSHM_LIB_CHANNEL_WAIT_H
#define VMSHM_LIB_CHANNEL_WAIT_H

#include "channel-common.h"

/* A wait in one direction of the channel */
struct channel_wait {
	struct vmshm_channel *ch;
	struct ring *ring;
	_Atomic uint32_t *event;
	struct patience *patience;
	/* The condition: 0 or more if it holds, -EAGAIN, or an error */
	int64_t (*look)(struct channel_wait *wait);
	/* Sender: bytes that have to fit */
	uint32_t need;
	/* Receiver: where the record is */
	const void *data;
	/*
	 * The peer's event word that has changed; its waiter is not woken yet
	 */
	_Atomic uint32_t *wake;
};

struct channel_wait channel_wait_for_room(struct vmshm_channel *ch,
					  uint32_t need);
struct channel_wait channel_wait_for_drained(struct vmshm_channel *ch);
struct channel_wait channel_wait_for_record(struct vmshm_channel *ch);

/*
 * Waits until the condition holds. Returns the result of look(), or an error.
 * In any case the waiters of @wake are woken.
 */
int64_t channel_wait(struct channel_wait *wait, int64_t deadline);

#endif /* VMSHM_LIB_CHANNEL_WAIT_H */
