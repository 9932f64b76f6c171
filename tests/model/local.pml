/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue of a guest, for spin: driver/queue.c. Waiters of the guest share a
 * slot; wakers of the guest wake waiters of the guest first.
 *
 * One word is a semaphore. Each waiter takes one token, and there are as many
 * tokens as waiters. A party that still sleeps at the end has lost a wake-up:
 * an "invalid end state". The slot's thread, the interrupt and the worker may,
 * at labels that begin with "end".
 *
 * "atomic" is one step: what a lock protects that all others take, too.
 * tests/model/run.py defines GIVE_UP (the first waiter of the guest may give up
 * at any time) or not, and perhaps one BUG_*, which has to be found.
 */
#define GUESTS	2
#define GROUPS	3
#define SLOT	0	/* the number of the slot's thread in the queue */
#define HOST	1	/* that of the waiter on the host */
#define NONE	255

byte value;		/* tokens; waiters expect 0 */

/* The futex queue of the host */
chan queue = [2] of { byte };
bool woken[2];

inline futex_wake(who)
{
	if
	:: queue ? who -> woken[who] = true
	:: empty(queue)
	fi
}

/* The device: one slot */
mtype = { IDLE, ARMED, FIRED };
mtype state = IDLE;
bool changed;		/* a request came while the thread waits */
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
byte group[GUESTS];	/* that the waiter is in */
bool listed[GUESTS];
bool told[GUESTS];	/* a task of the guest has woken it */
bool took[GUESTS];	/* it has a token, */
bool ended[GUESTS];	/* or has given up */

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

/* The slot is armed for the group, or the group is parked. */
inline arm(g)
{
	atomic {
		if
		:: owner == NONE -> owner = g; state = ARMED; changed = true
		:: else
		fi
	}
}

/* The group ends; was_fired: a wake-up of the host had reached it. */
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

/* What the group is for which there is no other one: the first unused one */
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
	:: owner == NONE && !fired[g] -> arm(g)
	:: else
	fi
}

proctype guest_waiter(byte me; bool may_give_up)
{
	byte g;
	bool got, gave_up;

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
	gave_up = false;
	if
	:: told[me] || fired[g]
	:: may_give_up -> gave_up = true
	fi;
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
	ended[me] = true
}

proctype host_waiter()
{
again:
	atomic {
		if
		:: value -> value--; goto done
		:: else -> queue ! HOST
		fi
	}
	atomic { woken[HOST] -> woken[HOST] = false }
	goto again;
done:
	skip
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

/* Wakes the first waiter of a group; passed_on: the host gets one, too. */
inline wake_local(g, me, n, passed_on)
{
	atomic {
		if
		:: listed[0] && group[0] == g -> me = 0
		:: else -> me = 1
		fi;
		listed[me] = false;
		told[me] = true;
		n = 0
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

proctype guest_waker()
{
	byte who, me, n, tokens;
	bool passed_on;

again:
	value++;
	n = 1;
	passed_on = false;
	lock(locked);
	if
	:: CAN_WAKE(0) -> wake_local(0, me, n, passed_on)
	:: CAN_WAKE(1) -> wake_local(1, me, n, passed_on)
	:: CAN_WAKE(2) -> wake_local(2, me, n, passed_on)
	:: else
	fi;
	unlock(locked);
	if
	:: n || passed_on -> atomic { futex_wake(who) }
	:: else
	fi;
#ifdef GIVE_UP
	/* One more only for the waiter that might have given up */
	tokens++;
	ended[0];
	if
	:: took[0] && tokens < 2 -> goto again
	:: else
	fi
#endif
}

/* Parked groups get a slot that is free, or hear of a word that has changed. */
#define PARKED(g)	(present[g] && !fired[g] && owner != g)

proctype worker()
{
	byte g;

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
	:: else -> arm(g)
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
		run host_waker();
		run guest_waker()
	}
}
