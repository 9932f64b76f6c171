/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model for spin of a guest's queue (driver/queue.c). Waiters of the guest
 * share a slot. A wake-up of the guest wakes waiters of the guest first.
 *
 * A word is a semaphore. Each waiter takes one token, and there are as many
 * tokens as waiters. A party that still sleeps at the end has lost a wake-up,
 * which spin reports as an "invalid end state". Only the slot's thread, the
 * interrupt and the worker may wait there, at labels that begin with "end".
 *
 * An "atomic" block is one step, which models an operation under a lock that
 * all other parties take. tests/model/run.py defines a scene. GIVE_UP: the
 * first waiter of the guest may stop waiting at any time. COMBINED: the second
 * waiter passes the turn to the host through another word, and wakes and waits
 * in one call; the host then makes a token. In some runs it also defines one
 * planted mistake BUG_*, which spin has to find.
 */
#define GUESTS	2
#define GROUPS	3
#define SLOT	0	/* the number of the slot's thread in the queue */
#define HOST	1	/* the number of the host's waiter */
#define NONE	255

byte value;		/* tokens; waiters expect 0 */

/* The futex queue of the host */
chan queue = [2] of { byte };
bool woken[2];

/* The other word */
bool handed;
chan hand_queue = [1] of { byte };

inline futex_wake_in(q, who)
{
	if
	:: q ? who -> woken[who] = true
	:: empty(q)
	fi
}

inline futex_wake(who)
{
	futex_wake_in(queue, who)
}

/* The device: one slot */
mtype = { IDLE, ARMED, FIRED };
mtype state = IDLE;
bool changed;		/* a request arrived while the thread waits */
bool fired_bit;

proctype slot_thread()
{
	bool by_word;
	byte who;

end_idle:
	atomic {
		state == ARMED ->
		changed = false;
		if
		:: value -> state = FIRED; fired_bit = true; goto end_idle
		:: else -> queue ! SLOT
		fi
	}
end_armed:
	atomic {
		woken[SLOT] || changed;
		by_word = woken[SLOT];
		if
		:: by_word
		:: else -> queue ?? eval(SLOT)
		fi;
		woken[SLOT] = false
	}
	atomic {
		if
		:: !changed -> state = FIRED; fired_bit = true
		:: changed && by_word -> futex_wake(who)
		:: else
		fi;
		by_word = false;
		who = 0
	}
	goto end_idle
}

/* The driver */
bool locked;		/* the bucket */
bool present[GROUPS];	/* the group is in the bucket */
bool fired[GROUPS];
byte users[GROUPS];
byte owner = NONE;	/* the group that has the slot */
byte group[GUESTS];	/* the waiter's group */
bool listed[GUESTS];
bool told[GUESTS];	/* a task of the guest has woken it */
bool took[GUESTS];	/* the waiter has a token */
bool ended[GUESTS];	/* the waiter has a token, or has given up */

#define WAITERS(g)	((listed[0] && group[0] == g) || \
			 (listed[1] && group[1] == g))
#ifdef BUG_NO_LOCK
#define lock(l)		skip
#define unlock(l)	skip
#else
inline lock(l)
{
	atomic { !l -> l = true }
}

inline unlock(l)
{
	l = false
}
#endif

proctype interrupt()
{
end:
	atomic {
		fired_bit && owner != NONE ->
		fired[owner] = true;
		fired_bit = false
	}
	goto end
}

/* Wakes the host's waiter for the rest of a wake-up, once. */
inline wake_others(q, rest)
{
	atomic {
		if
		:: rest -> rest = false; futex_wake_in(q, who)
		:: else
		fi;
		who = 0
	}
}

/*
 * The slot is armed for the group, or the group is parked. The device first
 * does the rest of a wake-up.
 */
inline arm(g, rest)
{
	atomic {
		if
		:: owner == NONE -> owner = g
		:: else
		fi
	}
	if
	:: owner == g ->
		wake_others(hand_queue, rest);
		atomic { state = ARMED; changed = true }
	:: else
	fi
}

/* Ends the group. was_fired: a wake-up of the host had reached the group. */
inline end_group(g, was_fired)
{
	atomic {
		was_fired = false;
		present[g] = false;
		if
		:: owner == g ->
#ifndef BUG_LEAVE_ARMED
			if
			:: state == ARMED -> state = IDLE; changed = true
			:: else
			fi;
#endif
			was_fired = fired[g] || fired_bit;
			fired_bit = false;
			owner = NONE
		:: else
		fi
	}
}

/* Joins the group that can still be joined, or begins the first unused one. */
inline join(me, g)
{
	atomic {
		if
		:: present[0] && !fired[0] -> g = 0
		:: present[1] && !fired[1] -> g = 1
		:: present[2] && !fired[2] -> g = 2
		:: else ->
			if
			:: !users[0] -> g = 0
			:: else ->
				if
				:: !users[1] -> g = 1
				:: else -> g = 2
				fi
			fi;
			assert(!users[g]);
			present[g] = true;
			fired[g] = false
		fi;
		group[me] = g;
		users[g]++;
		listed[me] = true;
		told[me] = false
	}
	if
	:: owner == NONE && !fired[g] -> arm(g, rest)
	:: else
	fi
}

/* Wakes the first waiter of a group. passed_on: the host is also woken. */
inline wake_local(g, me, n, passed_on)
{
	atomic {
		if
		:: listed[0] && group[0] == g -> me = 0
		:: else -> me = 1
		fi;
		listed[me] = false;
		told[me] = true;
		n = 0;
		me = 0
	}
	if
	:: !WAITERS(g) -> end_group(g, passed_on)
	:: else
	fi;
#ifdef BUG_NO_PASSING_ON
	passed_on = false
#endif
}

#define CAN_WAKE(g)	(present[g] && !fired[g] && WAITERS(g))

/* rest: a waiter of the host still has to be woken */
inline wake_here(rest)
{
	n = 1;
	rest = false;
	lock(locked);
	if
	:: CAN_WAKE(0) -> wake_local(0, other, n, rest)
	:: CAN_WAKE(1) -> wake_local(1, other, n, rest)
	:: CAN_WAKE(2) -> wake_local(2, other, n, rest)
	:: else
	fi;
	atomic { rest = rest || n; n = 0 }
	unlock(locked)
}

proctype guest_waiter(byte me; bool may_give_up)
{
	byte g, who;
	bool got, gave_up, rest;

#ifdef COMBINED
	if
	:: me == 1 -> handed = true; rest = true
	:: else
	fi;
#endif
again:
	atomic {
		if
		:: value -> value--; took[me] = true; goto done
		:: else
		fi
	}
	lock(locked);
	if
	:: value -> unlock(locked); goto again
	:: else
	fi;
	join(me, g);
	unlock(locked);
#if !defined(BUG_WAKE_BY_THE_SLOT_ONLY) && !defined(BUG_WAKE_AFTER_SLEEPING)
	wake_others(hand_queue, rest);
#endif
	gave_up = false;
	if
	:: told[me] || fired[g]
	:: may_give_up -> gave_up = true
	fi;
#ifdef BUG_WAKE_AFTER_SLEEPING
	wake_others(hand_queue, rest);
#endif
	lock(locked);
	got = told[me];
	if
	:: !got ->
		atomic { listed[me] = false }
		if
		:: !WAITERS(g) && present[g] -> end_group(g, got)
		:: else
		fi;
		got = got || fired[g]
	:: else
	fi;
#ifdef BUG_DROP_RESULT
	got = got && !gave_up;
#endif
	atomic { users[g]--; g = 0 }
	unlock(locked);
	if
	:: gave_up && !got -> goto done
	:: else -> goto again
	fi;
done:
#ifndef BUG_WAKE_BY_THE_SLOT_ONLY
	wake_others(hand_queue, rest);
#endif
	ended[me] = true
}

proctype host_waiter()
{
	byte who;

again:
	atomic {
		if
#ifdef COMBINED
		:: handed -> goto done
		:: else -> hand_queue ! HOST
#else
		:: value -> value--; goto done
		:: else -> queue ! HOST
#endif
		fi
	}
	atomic { woken[HOST] -> woken[HOST] = false }
	goto again;
done:
#ifdef COMBINED
	value++;
	atomic { futex_wake(who) }
#else
	skip
#endif
}

proctype host_waker()
{
	byte who;

	value++;
	atomic { futex_wake(who) }
#ifndef GIVE_UP
	value++;
	atomic { futex_wake(who) }
#endif
}

proctype guest_waker()
{
	byte who, other, n, tokens;
	bool rest;

again:
	value++;
	wake_here(rest);
	wake_others(queue, rest);
#ifdef GIVE_UP
	/* A second token only for the waiter that may have given up */
	tokens++;
	ended[0];
	if
	:: took[0] && tokens < 2 -> goto again
	:: else
	fi
#endif
}

/* A parked group gets a free slot, or fires if its word has changed. */
#define PARKED(g)	(present[g] && !fired[g] && owner != g)

proctype worker()
{
	byte g, who;
	bool rest;

end:
#ifndef BUG_NO_PARKING
	atomic {
		(PARKED(0) || PARKED(1) || PARKED(2)) &&
		(value || owner == NONE) && !locked ->
		locked = true;
		if
		:: PARKED(0) -> g = 0
		:: PARKED(1) -> g = 1
		:: PARKED(2) -> g = 2
		fi
	}
	if
	:: value -> fired[g] = true
	:: else -> arm(g, rest)
	fi;
	atomic { g = 0; locked = false }
	goto end
#else
	false
#endif
}

init {
	atomic {
		run slot_thread();
		run interrupt();
		run worker();
#ifdef GIVE_UP
		run guest_waiter(0, true);
#else
		run guest_waiter(0, false);
#endif
		run guest_waiter(1, false);
		run host_waiter();
#ifndef COMBINED
		run host_waker();
#endif
		run guest_waker()
	}
}
