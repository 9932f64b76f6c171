/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model for spin of the library's event word, and of the seat that shows the
 * death of a peer (lib/event.h, lib/seat.c, lib/channel.c, lib/channel-open.c).
 * Processors have store buffers: a store can become visible after later loads,
 * as on x86.
 *
 * A peer sends some messages, and may be killed between any two steps. A thread
 * receives the messages. Another thread watches the peer's seat and tells the
 * receiver of the peer's end. A thread of a third process also watches the
 * seat. Waiting and waking are modelled as futex(2); wait.pml is the model of
 * the layers below.
 *
 * A party that sleeps when no step is possible ("timeout") has lost a wake-up,
 * unless the peer still exists and all messages were received.
 * tests/model/run.py lists the planted mistakes BUG_*.
 */
#define MESSAGES	2

byte event;			/* bit 0: a receiver waits */
bool sleeps;			/* the receiver is in the event's queue */
byte sent;			/* the value that other parties see */
byte stored;			/* the peer's value, with its store buffer */
bool taken = true;		/* the state of the peer's seat */
bool watches[2];		/* the watcher is in the seat's queue */
bool seen_gone;			/* the receiver's watcher has seen the end */

proctype store_buffer()
{
end:
	atomic { sent != stored -> sent = stored }
	goto end
}

/* A memory barrier; an instruction with a lock prefix contains one. */
inline empty_buffer()
{
	sent == stored
}

/* event_signal(); has_to: a receiver has to be woken */
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
	/* The peer stays, or closes, which has the effect of its death. */
	if
	:: goto stays
	:: true
	fi;
gone:
	empty_buffer();
	/* The kernel itself marks the seat and wakes one watcher. */
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
#ifndef BUG_FIRST_KEEPS_THE_WAKE_UP
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
		/* The peer may have died before its wake-up, or be hostile. */
		atomic { event = (event | 1) + 1 };
		event_wake()
#endif
	:: else
	fi;
idle:
	skip
}

/* Receives until the peer's end, with deadlines or without. */
proctype receiver()
{
	byte received, value;
	bool found, hurry;

again:
	/* look_for_record(): the position, the end, and the position again */
	if
	:: atomic { sent != received -> received = sent; goto again }
	:: sent == received
	fi;
	if
	:: seen_gone ->
#ifndef BUG_LOOK_ONCE
		if
		:: atomic { sent != received -> received = sent; goto again }
		:: sent == received
		fi;
#endif
		goto done
	:: else
	fi;
#ifdef BUG_LOOK_BEFORE_BEGINNING
	found = seen_gone || sent != received;
	atomic { event = event | 1; value = event };
#else
	atomic { event = event | 1; value = event };
	found = sent != received;
	found = found || seen_gone;
#endif
	if
	:: hurry = true
	:: hurry = false
	fi;
	if
	:: !found ->
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
	/* event_end(), which a poller does not call */
	if
	:: atomic { event = event & 254 }
	:: true
	fi;
	found = false;
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
