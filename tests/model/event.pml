/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The library's event word and the seat by which a peer is missed (lib/event.h,
 * lib/seat.c, lib/channel.c, lib/channel-open.c), for spin. Processors let
 * stores wait in a buffer while they do later loads, as those of x86 do.
 *
 * A peer sends some messages, and may be killed between any two steps. One
 * thread receives them, and knows of the peer's end by another one, which
 * watches the peer's seat; so does one of a third process. Waiting and waking
 * themselves are futex(2) here; wait.pml has what is below.
 *
 * Whoever sleeps when nothing can happen any more ("timeout") has lost a
 * wake-up, unless the peer is there and nothing is left to receive. See
 * tests/model/run.py for the mutations BUG_*.
 */
#define MESSAGES	2

byte event;			/* bit 0: somebody waits */
bool sleeps;			/* in the event's queue */
byte sent;			/* as others see it */
byte stored;			/* as the peer sees it: with what is buffered */
bool taken = true;		/* the peer's seat */
bool watches[2];		/* in the queue of that */
bool seen_gone;			/* what our watching thread has found */

proctype store_buffer()
{
end:
	atomic { sent != stored -> sent = stored }
	goto end
}

/* A barrier, and what an instruction with a lock prefix begins with */
inline empty_buffer()
{
	sent == stored
}

/* event_signal(): whether somebody has to be woken */
inline event_signal(old, has_to)
{
	old = event;
	has_to = false;
	if
	:: old & 1 ->
		atomic {
			empty_buffer();
			has_to = (event == old);
#ifndef BUG_SAME_EVENT
			event = (has_to -> old + 1 : event)
#endif
		}
	:: else
	fi
}

inline event_wake()
{
	sleeps = false
}

inline perhaps_killed()
{
	if
	:: goto gone
	:: true
	fi
}

proctype peer()
{
	byte n, old;
	bool has_to;

	do
	:: n < MESSAGES ->
		n++;
		stored = n;
		perhaps_killed();
#ifndef BUG_NO_BARRIER
		empty_buffer();
#endif
		event_signal(old, has_to);
		perhaps_killed();
		if
		:: has_to -> event_wake()
		:: else
		fi
	:: else -> break
	od;
	/* It stays, or closes, which is much the same as dying. */
	if
	:: goto stays
	:: true
	fi;
gone:
	empty_buffer();
	/* The kernel marks the seat and wakes one, with nobody's help. */
	taken = false;
	atomic {
		if
		:: watches[0] -> watches[0] = false
		:: watches[1] -> watches[1] = false
		:: else
		fi
	}
stays:
	skip
}

/* seat_thread() */
proctype watcher(byte me)
{
	byte old;
	bool has_to;

	do
	:: taken ->
		atomic { watches[me] = taken };
		atomic {
			if
			:: !watches[me]
			:: watches[me] && taken && timeout -> goto idle
			fi
		}
	:: else -> break
	od;
#ifndef BUG_FIRST_KEEPS_IT
	atomic { watches[0] = false; watches[1] = false }
#endif
	if
	:: me == 0 ->
		seen_gone = true;
#ifdef BUG_ASK_BEFORE_TELLING
		event_signal(old, has_to);
		if
		:: has_to -> event_wake()
		:: else
		fi
#else
		/* The peer may have been about to wake, or lies. */
		atomic { event = (event | 1) + 1 };
		event_wake()
#endif
	:: else
	fi;
idle:
	skip
}

/* Until nothing comes any more; with deadlines or not */
proctype receiver()
{
	byte received, value;
	bool gone, hurry;

again:
	atomic {
		if
		:: sent != received -> received = sent; goto again
		:: sent == received && seen_gone -> goto done
		:: else
		fi
	}
#ifdef BUG_LOOK_BEFORE_BEGINNING
	gone = seen_gone || sent != received;
	atomic { event = event | 1; value = event };
#else
	atomic { event = event | 1; value = event };
	gone = seen_gone;
	gone = gone || sent != received;
#endif
	if
	:: hurry = true
	:: hurry = false
	fi;
	if
	:: !gone ->
		atomic { sleeps = (event == value) };
		atomic {
			if
			:: !sleeps || hurry -> sleeps = false
			:: sleeps && taken && received == stored && timeout ->
				goto done
			fi
		}
	:: else
	fi;
	/* event_end(); a poller leaves it */
	if
	:: atomic { event = event & 254 }
	:: true
	fi;
	gone = false;
	hurry = false;
	value = 0;
	goto again;
done:
	assert(received == stored)
}

init {
	atomic {
		run store_buffer();
		run peer();
		run watcher(0);
		run watcher(1);
		run receiver()
	}
}
