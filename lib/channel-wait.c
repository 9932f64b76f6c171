// SPDX-License-Identifier: MIT
/*
 * Waiting at a channel: for the peer, for a record, and for room.
 */
#include "api.h"
#include "channel-wait.h"
#include "clock.h"
#include "wait.h"

/* Polls between two reads of the clock, which is slow in some guests */
#define LOOKS 32
/* The most waits in a row that skip busy-polling */
#define SKIP_MOST 63
/* Pauses of the processor before a wait, for more bytes to arrive */
#define PAUSES_LEAST 4
#define PAUSES_MOST 64
#define ENOUGH 4096

static bool peer_gone(struct vmshm_channel *ch)
{
	uint32_t seen = atomic_load(&ch->seat.seen);

	return atomic_load(&ch->peer->closed) || seat_left(seen);
}

static int how_gone(struct vmshm_channel *ch)
{
	return atomic_load(&ch->peer->closed) ? -EPIPE : -ECONNRESET;
}

static int64_t look_for_room(struct channel_wait *wait)
{
	int64_t room;

	if (peer_gone(wait->ch))
		return how_gone(wait->ch);
	room = ring_room(wait->ring);
	return room >= 0 && room < wait->need ? -EAGAIN : room;
}

static int64_t look_for_record(struct channel_wait *wait)
{
	int64_t left = ring_peek(wait->ring, &wait->data);
	bool gone, end;

	if (left != -EAGAIN)
		return left;
	gone = peer_gone(wait->ch);
	end = atomic_load(&wait->ch->peer->end);
	if (!gone && !end)
		return -EAGAIN;
	/* Again: messages that were sent before the end are received. */
	left = ring_peek(wait->ring, &wait->data);
	if (left != -EAGAIN)
		return left;
	return end ? -EPIPE : how_gone(wait->ch);
}

static int64_t look_for_drained(struct channel_wait *wait)
{
	bool gone = peer_gone(wait->ch);
	int64_t room = ring_room(wait->ring);

	if (room < 0 && room != -EAGAIN)
		return room;
	if (room == wait->ring->size - RING_HEAD)
		return 0;
	return gone ? how_gone(wait->ch) : -EAGAIN;
}

struct channel_wait channel_wait_for_room(struct vmshm_channel *ch,
					  uint32_t need)
{
	return (struct channel_wait){
		.ch = ch,
		.ring = &ch->out,
		.event = &ch->me->writable,
		.patience = &ch->sending,
		.look = look_for_room,
		.need = need,
	};
}

struct channel_wait channel_wait_for_drained(struct vmshm_channel *ch)
{
	struct channel_wait wait = channel_wait_for_room(ch, 0);

	wait.look = look_for_drained;
	return wait;
}

struct channel_wait channel_wait_for_record(struct vmshm_channel *ch)
{
	return (struct channel_wait){
		.ch = ch,
		.ring = &ch->in,
		.event = &ch->me->readable,
		.patience = &ch->receiving,
		.look = look_for_record,
	};
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Whether the condition holds by the peer's last known position */
static bool is_known(const struct channel_wait *wait)
{
	const struct ring *r = wait->ring;

	if (r == &wait->ch->out)
		return ring_fits(r, wait->need);
	return r->peeked || r->seen != r->position;
}

/* Whether this party has sent a message since it last waited for one */
static bool has_answered(const struct channel_wait *wait)
{
	uint32_t sent =
		atomic_load_explicit(&wait->ch->me->sent, memory_order_relaxed);
	bool answered = wait->ring == &wait->ch->in &&
			sent != wait->patience->sent;

	wait->patience->sent = sent;
	return answered;
}

/*
 * Whether the wait may begin with a pause. A peer that waits for an answer, and
 * one that sends seldom, are not kept waiting.
 */
static bool may_pause(const struct channel_wait *wait, int64_t deadline)
{
	return deadline != VMSHM_NOW && wait->ch->spin &&
	       !wait->patience->skip && !is_known(wait) && !has_answered(wait);
}

/*
 * A party that is faster than its peer would read the peer's position after
 * each message, and the cache line would move between processors twice for
 * each. In a pause, more messages or more room become available.
 */
static void pause_for_more(const struct channel_wait *wait)
{
	unsigned int i;

	for (i = 0; i < wait->patience->pauses; i++)
		relax();
}

/*
 * After a pause: the next one is longer as long as it brings more than the one
 * message that the party waits for, but not enough.
 */
static void adapt_pause(const struct channel_wait *wait)
{
	const struct ring *r = wait->ring;
	bool in = r == &wait->ch->in;
	uint32_t room = r->size - (r->position - r->seen);
	uint32_t there = in ? r->seen - r->position : room;
	uint32_t wanted = ring_record(in ? r->length : wait->need);
	uint32_t enough = r->size / 4 < ENOUGH ? r->size / 4 : ENOUGH;
	unsigned int *pauses = &wait->patience->pauses;

	*pauses = there < 2 * wanted || there >= enough ? *pauses / 2 :
							  *pauses * 2;
	/* A single large message is enough. */
	if (*pauses < PAUSES_LEAST && there < enough)
		*pauses = PAUSES_LEAST;
	if (*pauses > PAUSES_MOST)
		*pauses = PAUSES_MOST;
}

/* Busy-polls for a number of nanoseconds, or until the deadline. */
static int64_t spin(struct channel_wait *wait, int64_t nanoseconds,
		    int64_t deadline)
{
	int64_t end = vmshm_deadline(nanoseconds);
	int64_t found, time;
	int i;

	do {
		for (i = 0; i < LOOKS; i++) {
			found = wait->look(wait);
			if (found != -EAGAIN)
				return found;
			relax();
		}
		time = clock_now();
	} while ((end < 0 || time < end) && (deadline < 0 || time < deadline));
	return -EAGAIN;
}

/*
 * Busy-polls as vmshm_channel_spin() says. By default a wait busy-polls only if
 * this has helped lately, with exponential back-off.
 */
static int64_t spin_perhaps(struct channel_wait *wait, int64_t deadline)
{
	struct patience *p = wait->patience;
	int64_t found;

	/* A peer that sleeps answers only after it is woken. */
	if (!wait->ch->spin || wait->wake)
		return -EAGAIN;
	if (wait->ch->spin_always)
		return spin(wait, wait->ch->spin, deadline);
	if (p->skip) {
		p->skip--;
		return -EAGAIN;
	}
	found = spin(wait, wait->ch->spin, deadline);
	p->next_skip = found == -EAGAIN ? 2 * p->next_skip + 1 : 0;
	if (p->next_skip > SKIP_MOST)
		p->next_skip = SKIP_MOST;
	p->skip = p->next_skip;
	return found;
}

/* Sleeps on the event word; 0 or -errno, as vmshm_wait() */
static int sleep_on(struct channel_wait *wait, uint32_t value, int64_t deadline)
{
	struct vmshm_channel *ch = wait->ch;
	uint64_t offset = channel_offset(ch, wait->event);
	_Atomic uint32_t *wake = wait->wake;

	wait->wake = NULL;
	if (!wake)
		return vmshm_wait(ch->shm, offset, value, deadline);
	return wait_after_wake(ch->shm, channel_offset(ch, wake), offset, value,
			       deadline);
}

/* No sleep follows: the peer is woken now. */
static void wake_peer(struct channel_wait *wait)
{
	if (!wait->wake)
		return;
	vmshm_wake(wait->ch->shm, channel_offset(wait->ch, wait->wake),
		   UINT32_MAX);
	wait->wake = NULL;
}

/* Sleeps until the channel may have changed; 0 or -errno. */
static int sleep_once(struct channel_wait *wait, int64_t deadline,
		      int64_t *found)
{
	uint32_t value = event_begin(wait->event);
	int err = 0;

	*found = wait->look(wait);
	if (*found == -EAGAIN) {
		err = sleep_on(wait, value, deadline);
		if (err == -ENODEV)
			return err;
		*found = wait->look(wait);
	}
	event_end(wait->event);
	return *found == -EAGAIN && err != -EAGAIN ? err : 0;
}

static int64_t wait_long(struct channel_wait *wait, int64_t deadline)
{
	int64_t found = spin_perhaps(wait, deadline);
	int err;

	while (found == -EAGAIN) {
		/* A hostile peer can keep this party from ever sleeping. */
		if (clock_passed(deadline))
			return -ETIMEDOUT;
		err = sleep_once(wait, deadline, &found);
		if (err)
			return err;
	}
	return found;
}

static int64_t wait_until(struct channel_wait *wait, int64_t deadline)
{
	struct vmshm_channel *ch = wait->ch;
	int64_t found;
	bool pauses;

	if (channel_check_process(ch))
		return -EPERM;
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	if (channel_state(ch) & CHANNEL_BROKEN)
		return -EPROTO;
	pauses = may_pause(wait, deadline);
	if (pauses)
		pause_for_more(wait);
	found = wait->look(wait);
	if (found == -EAGAIN && deadline != VMSHM_NOW)
		found = wait_long(wait, deadline);
	if (pauses && found >= 0)
		adapt_pause(wait);
	if (found == -EPROTO)
		atomic_fetch_or(&ch->state, CHANNEL_BROKEN);
	return found;
}

int64_t channel_wait(struct channel_wait *wait, int64_t deadline)
{
	int64_t found = wait_until(wait, deadline);

	wake_peer(wait);
	return found;
}

static bool has_come(struct vmshm_channel *ch)
{
	return !seat_free(atomic_load(&ch->seat.seen));
}

/* Sleeps until the peer may have joined; 0 or -errno. */
static int sleep_for_peer(struct vmshm_channel *ch, int64_t deadline)
{
	_Atomic uint32_t *event = &ch->me->readable;
	uint32_t value = event_begin(event);
	int err;

	if (has_come(ch))
		return 0;
	err = vmshm_wait(ch->shm, channel_offset(ch, event), value, deadline);
	if (err == -EAGAIN)
		err = 0;
	return err || !clock_passed(deadline) ? err : -ETIMEDOUT;
}

API int vmshm_channel_peer(struct vmshm_channel *ch, int64_t deadline)
{
	int err = channel_check_process(ch);

	if (err)
		return err;
	if (!has_come(ch) && deadline == VMSHM_NOW)
		err = -EAGAIN;
	while (!err && !has_come(ch))
		err = sleep_for_peer(ch, deadline);
	/* An unplugged device looks as if the peer were gone. */
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	return has_come(ch) ? 0 : err;
}
