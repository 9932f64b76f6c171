/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model for spin of opening a channel (lib/channel-open.c). Several parties
 * open the channel once each, and close it or are killed at any step. Both have
 * the same effect, because the kernel marks the seat of a killed party. All
 * parties have the same thread number, as in several PID namespaces.
 *
 * A party that joins must find the complete contents that were prepared for
 * this pair. While both parties are connected, no party prepares new contents.
 * The first party must not see the death of a party that has never joined. No
 * party writes to an object with other contents. An object of a killed party
 * can be used again. tests/model/run.py lists the planted mistakes BUG_*.
 */
#define PARTIES		4

#define TAKEN		1	/* also the value of ready */
#define DEAD		2
#define FREE		10	/* plus the number of the round */
#define NOTHING		0
#define HALF		1	/* incomplete; complete is FREE + round */

bool foreign;			/* the object has other contents */
bool zeros = true;		/* all bytes are zero */
bool kind;			/* the object is marked as a channel */
byte seat0 = FREE;
byte seat1 = FREE;
byte ready = NOTHING;
byte round;
byte content = NOTHING;
bool joined[PARTIES + 1];	/* a second party has joined in this round */

/* Macros, because an inline cannot jump to a label outside. */
#define PERHAPS_KILLED(label)						\
	if								\
	:: goto label							\
	:: true								\
	fi

#define COMPARE_AND_EXCHANGE(word, expected, value, label)		\
	atomic {							\
		if							\
		:: word == expected -> word = value			\
		:: else -> goto label					\
		fi							\
	}

/* kind_claim(), the first write to the object, in one step */
inline claim()
{
	found = zeros;
	if
	:: kind
	:: !kind && !found ->
		/* Another party may have begun after the check. */
		if
		:: kind
		:: else -> assert(foreign); goto out
		fi
#ifndef BUG_KIND_AFTER_THE_SEAT
	:: !kind && found -> atomic { kind = true; zeros = false }
#else
	:: !kind && found
#endif
	fi;
	found = 0
}

/* come_first(), begin_round() */
inline come_first()
{
	COMPARE_AND_EXCHANGE(seat0, first, TAKEN, out);
	assert(!foreign);
	zeros = false;
	PERHAPS_KILLED(leave_first);
#ifdef BUG_KIND_AFTER_THE_SEAT
	kind = true;
#endif
#ifndef BUG_STAYS_READY
	ready = NOTHING;
#endif
	second = seat1;
	if
	:: second == TAKEN -> goto leave_first
	:: else
	fi;
	PERHAPS_KILLED(leave_first);
	round++;
	mine = round;
#if defined(BUG_SAME_ROUND) || defined(BUG_LOOK_AFTER_JOINING)
	free = FREE;
#else
	free = FREE + mine;
#endif
#ifdef BUG_PREPARE_BEFORE_THE_ROUND
	content = HALF;
#endif
	PERHAPS_KILLED(leave_first);
#ifdef BUG_WIPE_THE_SEAT
	seat1 = free;
#else
	COMPARE_AND_EXCHANGE(seat1, second, free, leave_first);
#endif
	PERHAPS_KILLED(leave_first);
	content = HALF;
	PERHAPS_KILLED(leave_first);
	content = FREE + mine;
	ready = TAKEN;
	/* The party leaves at any time, with or without a peer. */
	if
	:: seat1 == DEAD -> assert(joined[mine])
	:: true
	fi
}

/* come_second() */
inline come_second()
{
#ifdef BUG_LOOK_AFTER_JOINING
	COMPARE_AND_EXCHANGE(seat1, second, TAKEN, out);
	if
	:: ready != TAKEN || seat0 != TAKEN -> goto leave_second
	:: else
	fi;
	found = content;
#else
	found = content;
	PERHAPS_KILLED(out);
#endif
	atomic {
#ifndef BUG_LOOK_AFTER_JOINING
		COMPARE_AND_EXCHANGE(seat1, second, TAKEN, out);
#endif
		assert(found > FREE && content == found);
		joined[found - FREE] = true
	}
}

proctype party()
{
	byte first, second, free, mine, found;

	claim();
#ifndef BUG_SEAT_AFTER_READY
	second = seat1;
#endif
	first = seat0;
	if
	:: first != TAKEN -> come_first(); goto leave_first
	:: else
	fi;
	if
	:: ready != first -> goto out
	:: else
	fi;
#ifdef BUG_SEAT_AFTER_READY
	second = seat1;
#endif
	if
	:: second < FREE -> goto out
	:: else
	fi;
	come_second();
	/* The contents do not change while this party is connected. */
	assert(content == found);
leave_second:
	seat1 = DEAD;
	goto out;
leave_first:
	seat0 = DEAD;
out:
	skip
}

init {
	byte n;

	atomic {
		if
		:: foreign = true;
#ifndef BUG_LOOK_AT_A_PART
			zeros = false
#endif
		:: true
		fi;
		do
		:: n < PARTIES -> run party(); n++
		:: else -> break
		od
	}
}
