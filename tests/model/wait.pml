/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model for spin of waiting and waking between guest and host: the algorithm
 * of device/vmshm-futex.c and driver/wait.c, with the host kernel's futex
 * queues.
 *
 * An "atomic" block is one step. It models an operation under a lock that all
 * other parties take, or a single instruction. Other parties can run between
 * two steps. A lock that other parties can observe is a variable. The futex
 * "request" is left out, because it has one waiter: the thread detects
 * "changed" itself.
 *
 * A party that still sleeps when no step is possible has lost a wake-up, which
 * spin reports as an "invalid end state". Only threads of slots and the
 * interrupt may wait there, at labels that begin with "end".
 *
 * tests/model/run.py defines SLOTS, one scene (the work of the parties, below),
 * and for some runs one planted mistake BUG_*, which spin has to find.
 */
#define WORDS	2
#define HOST	SLOTS	/* the number of the host's process in queues */

byte value[WORDS];

/* The host kernel's queues, with numbers of slots' threads and the process */
chan queue[WORDS] = [SLOTS + 1] of { byte };
bool woken[SLOTS + 1];

inline futex_wake(w)
{
	if
	:: queue[w] ? who -> woken[who] = true; who = 0
	:: empty(queue[w])
	fi
}

/* Ends a wait. A waiter that was not woken removes itself from the queue. */
inline futex_unqueue(w, me, was_woken)
{
	if
	:: woken[me]
	:: else -> queue[w] ?? eval(me)
	fi;
	was_woken = woken[me];
	woken[me] = false
}

/*
 * The device
 */
mtype = { IDLE, ARMED, FIRED };

bool locked[SLOTS];		/* while a slot fires */
mtype state[SLOTS] = IDLE;
byte place[SLOTS];
byte expected[SLOTS];
bool changed[SLOTS];		/* after its thread has begun to wait */
bool waiting[SLOTS];		/* its thread is in futex_waitv(2) */
bool fired_bit[SLOTS];
#if SLOTS == 1
#define ANY_FIRED	fired_bit[0]
#else
#define ANY_FIRED	(fired_bit[0] || fired_bit[1])
#endif
bool irq;
byte word_at[WORDS];		/* the word at a place */

proctype slot_thread(byte s)
{
	byte p, w, e, who;
	bool by_word, by_error, fire;

end_idle:
	atomic {
		!locked[s] && state[s] == ARMED ->
		p = place[s];
		w = word_at[p];
		e = expected[s];
		changed[s] = false;
		waiting[s] = true
	}
#ifdef BUG_COMPARE_THEN_ENQUEUE
	by_error = (value[w] != e);
	atomic {
		if
		:: !by_error -> queue[w] ! s
		:: else -> goto out
		fi
	}
#else
	atomic {
		by_error = (value[w] != e);
		if
		:: !by_error -> queue[w] ! s
		:: else -> goto out
		fi
	}
#endif
end_armed:
	atomic {
		woken[s] || changed[s];
		futex_unqueue(w, s, by_word);
#ifdef BUG_WORD_BEFORE_REQUEST
		/* futex_waitv(2) returns the later of two woken words. */
		by_word = by_word && !changed[s]
#endif
	}
out:
	atomic {
		!locked[s] ->
		fire = !changed[s] && (by_word || by_error);
#if defined(BUG_FIRE_WHATEVER_CHANGED)
		fire = by_word || by_error;
#elif defined(BUG_GIVE_TO_THE_NEXT)
		fire = fire || (by_word && state[s] == ARMED && place[s] == p);
#endif
		if
		:: fire ->
			state[s] = FIRED;
			fired_bit[s] = true;
			locked[s] = true
#ifndef BUG_NO_PASSING_ON
		:: !fire && by_word -> futex_wake(word_at[p])
#endif
		:: else
		fi;
		waiting[s] = false;
		fire = false;
		by_word = false;
		by_error = false;
		p = 0;
		w = 0;
		e = 0
	}
	if
	:: locked[s] ->
		locked[s] = false;
		/* No interrupt if the guest has cleared all bits */
		atomic {
			irq = irq || ANY_FIRED
		}
	:: else
	fi;
	goto end_idle
}

/* PLACE, then CONTROL = ARM | value */
inline arm(s, at, v)
{
	!locked[s];
	if
	:: state[s] != ARMED ->
		place[s] = at;
		expected[s] = v;
		state[s] = ARMED;
		changed[s] = true
	:: else
	fi
}

/* CONTROL = 0; the slot is not locked */
inline disarm(s)
{
	if
	:: state[s] == ARMED ->
		state[s] = IDLE;
		changed[s] = true
	:: else
	fi
}

/*
 * The driver
 */
bool irq_lock;
bool used[SLOTS];
bool told[SLOTS];		/* "fired" of struct vmshm_waiter */
bool gone;			/* the driver releases the device */

proctype irq_handler()
{
	bool seen[SLOTS];
	byte s;

end:
	atomic {
		irq && !irq_lock ->
		irq = false;
#ifndef BUG_NO_LOCK
		irq_lock = true;
#endif
		for (s : 0 .. SLOTS - 1) {
#ifdef BUG_CLEAR_WITHOUT_A_WAITER
			seen[s] = fired_bit[s];
			fired_bit[s] = false
#else
			seen[s] = fired_bit[s] && used[s];
			fired_bit[s] = fired_bit[s] && !used[s]
#endif
		}
		s = 0
	}
	atomic {
		for (s : 0 .. SLOTS - 1) {
			told[s] = told[s] || seen[s];
			seen[s] = false
		}
		s = 0;
		irq_lock = false
	}
	goto end
}

mtype = { WOKEN, TIMED_OUT, NO_DEVICE };

/* Resets variables that are not read any more, which reduces the states. */
inline slot_put(s)
{
	used[s] = false;
	told[s] = false;
	if
	:: state[s] == FIRED && !fired_bit[s] -> state[s] = IDLE
	:: else
	fi;
	if
	:: state[s] == IDLE -> place[s] = 0; expected[s] = 0
	:: else
	fi
}

/*
 * VMSHM_IOC_WAIT. "hurry": the wait has a deadline, which can pass at any time,
 * or a signal arrives. A waiter without a free slot checks the word again
 * later; the model contains this check only if the word has changed.
 */
inline guest_wait(at, v, hurry, n, r)
{
	atomic {
		if
		:: !gone && !irq_lock && !used[0] -> n = 0
#if SLOTS == 2
		:: !gone && !irq_lock && !used[1] -> n = 1
#endif
		:: gone -> n = SLOTS
#ifndef BUG_WAIT_FOR_A_SLOT
		:: used[0] && used[SLOTS - 1] && value[word_at[at]] != v ->
			n = SLOTS
#endif
		fi;
		if
		:: n == SLOTS
		:: else ->
			used[n] = true;
			told[n] = false;
			arm(n, at, v)
		fi
	}
#ifdef BUG_FORGET_AFTER_ARMING
	told[n] = false;
#endif
	atomic {
		if
		:: n == SLOTS -> r = (gone -> NO_DEVICE : WOKEN)
		:: n < SLOTS && told[n] && !irq_lock -> r = WOKEN
		:: n < SLOTS && gone && !irq_lock ->
			r = (told[n] -> WOKEN : NO_DEVICE)
		:: n < SLOTS && hurry && !gone && !irq_lock && !locked[n] ->
#ifdef BUG_NO_DISARM
			r = TIMED_OUT;
#else
			disarm(n);
			r = (state[n] == FIRED -> WOKEN : TIMED_OUT);
#ifndef BUG_LEAVE_BIT
			fired_bit[n] = false;
#endif
#ifdef BUG_DROP_RESULT
			r = TIMED_OUT;
#endif
#endif
		fi;
		if
		:: n == SLOTS
		:: else -> slot_put(n)
		fi;
		n = 0
	}
}

/* FUTEX_WAIT */
inline host_wait(w, v, hurry, r)
{
	atomic {
		if
		:: value[w] == v -> queue[w] ! HOST
		:: else -> woken[HOST] = true
		fi
	};
	atomic {
		woken[HOST] || hurry;
		futex_unqueue(w, HOST, was_woken);
		r = (was_woken -> WOKEN : TIMED_OUT);
		was_woken = false
	}
}

inline wake_one(w)
{
	atomic { futex_wake(w) }
}

inline wake_all(w)
{
	atomic {
		do
		:: nempty(queue[w]) -> futex_wake(w)
		:: empty(queue[w]) -> break
		od
	}
}

inline start_device()
{
	for (s : 0 .. WORDS - 1) {
		word_at[s] = s
	}
	for (s : 0 .. SLOTS - 1) {
		run slot_thread(s)
	}
	s = 0;
	run irq_handler()
}

/* The host takes a token, or sleeps for one, with a deadline or without. */
proctype host_taker()
{
	bool hurry, was_woken;
	mtype r;

again:
	atomic {
		if
		:: value[0] > 0 -> value[0]--; goto done
		:: else
		fi;
		if
		:: hurry = true
		:: hurry = false
		fi
	}
	host_wait(0, 0, hurry, r);
	goto again;
done:
	skip
}

/*
 * A guest does not take the token. If the guest was woken, it passes the
 * wake-up on, as futex(2) requires and driver/poll.c does. Otherwise it does
 * not have to wake another waiter. The guest can also be killed; the party that
 * detects this wakes another waiter.
 */
inline no_taker()
{
	guest_wait(0, 0, true, n, r);
	atomic {
		if
#ifndef BUG_KEEP_THE_WAKE_UP
		:: r == WOKEN -> futex_wake(0)
#else
		:: r == WOKEN
#endif
		:: r == TIMED_OUT || r == NO_DEVICE
		:: r != NO_DEVICE ->
#ifndef BUG_NO_WAKE_UP_AFTER_A_KILL
			futex_wake(0)
#else
			skip
#endif
		fi;
		r = 0
	}
}

#if defined(TOKENS)
/*
 * Two parties, on the host and in a guest, take tokens of word 0. A third party
 * does not take a token of word 0, and then takes one of word 1.
 */
proctype guest_taker(byte w; bool leaves)
{
	byte n, who;
	bool hurry;
	mtype r;

	if
	:: leaves -> no_taker(); w = 1; leaves = false
	:: else
	fi;
again:
	atomic {
		if
		:: value[w] > 0 -> value[w]--; goto done
		:: else
		fi;
		if
		:: hurry = true
		:: hurry = false
		fi
	}
	guest_wait(w, 0, hurry, n, r);
	goto again;
done:
	skip
}

proctype maker()
{
	byte who;

	value[0]++;
	wake_one(0);
	value[1]++;
	wake_one(1);
	value[0]++;
	wake_one(0)
}

init {
	byte s;

	atomic {
		start_device();
		run guest_taker(0, true);
		run guest_taker(0, false);
		run host_taker();
		run maker()
	}
}

#elif defined(STRANGER)
/*
 * A party in the guest does not take the token. Another party makes the token,
 * wakes one waiter, and then begins to wait for another value. The wake-up is
 * not for this waiter, which would not pass it on.
 */
proctype leaver()
{
	byte n, who;
	mtype r;

	no_taker()
}

proctype stranger()
{
	byte n, who;
	mtype r;

	value[0]++;
	wake_one(0);
	guest_wait(0, 1, true, n, r)
}

init {
	byte s;

	atomic {
		start_device();
		run leaver();
		run stranger();
		run host_taker()
	}
}

#elif defined(TURNS)
/*
 * The guest has more parties than slots. The word is the party with the turn.
 */
#define PARTIES	(SLOTS + 1)
#define ROUNDS	(3 - SLOTS)

proctype party(byte me)
{
	byte n, v, rounds, who;
	bool hurry;
	mtype r;

	do
	:: rounds < ROUNDS ->
		v = value[0];
		if
		:: v == me ->
			value[0] = (me + 1) % PARTIES;
			wake_all(0);
			rounds++
		:: else ->
			if
			:: hurry = true
			:: hurry = false
			fi;
			guest_wait(0, v, hurry, n, r)
		fi
	:: else -> break
	od
}

init {
	byte s;

	atomic {
		start_device();
		for (s : 0 .. PARTIES - 1) {
			run party(s)
		}
	}
}

#elif defined(DETACH)
/*
 * The last party in the guest stops waiting and closes the object. Then another
 * object is at its place. The host still waits.
 */
proctype last_user()
{
	byte n, s, who;
	mtype r;

	no_taker();
#ifndef BUG_DETACH_AT_ONCE
	/* The device waits for threads whose wait has ended. */
	do
	:: s < SLOTS -> !(waiting[s] && changed[s]); s++
	:: else -> break
	od;
#endif
	word_at[0] = 1
}

proctype maker()
{
	byte who;

	value[0]++;
	wake_one(0)
}

init {
	byte s;

	atomic {
		start_device();
		run last_user();
		run host_taker();
		run maker()
	}
}

#elif defined(UNPLUG)
/*
 * The driver releases the device while a party in the guest waits. Then all
 * slots become idle, and other objects are at their places. A party that was
 * woken can no longer act, so that another waiter is woken, as after a kill. A
 * party that got ENODEV does not have to wake another waiter.
 */
proctype user()
{
	byte n, who;
	mtype r;

	no_taker()
}

proctype unplug()
{
	byte s, who;

	gone = true;
	/* The driver ends its waits before RELEASE. */
	for (s : 0 .. SLOTS - 1) {
		atomic {
			!locked[s];
			if
			:: used[s] -> disarm(s)
			:: else
			fi
		};
		atomic {
			!irq_lock;
			if
			:: fired_bit[s] ->
				fired_bit[s] = false;
				futex_wake(word_at[place[s]])
			:: else
			fi
		}
	}
	for (s : 0 .. SLOTS - 1) {
		atomic {
			!locked[s];
			disarm(s);
			if
#ifndef BUG_DROP_WHAT_FIRED
			:: state[s] == FIRED && fired_bit[s] ->
				fired_bit[s] = false;
				futex_wake(word_at[place[s]])
#endif
			:: else
			fi;
			state[s] = IDLE
		};
		!(waiting[s] && changed[s])
	}
	word_at[0] = 1
}

proctype maker()
{
	byte who;

	value[0]++;
	wake_one(0)
}

init {
	byte s;

	atomic {
		start_device();
		run user();
		run unplug();
		run host_taker();
		run maker()
	}
}
#endif
