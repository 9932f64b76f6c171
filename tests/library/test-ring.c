// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/ring.c alone: positions near their wrap-around, and every class of
 * position and length that the other side can write. What the ring reads and
 * writes has to be in data[0, 2 * size), and is fenced.
 *
 * qemu: channels
 * host: address
 */
#define _GNU_SOURCE
#include "../../lib/ring.c"

#include "library.h"

/* The peer's words, and a ring in memory between two inaccessible pages */
struct bench {
	_Atomic uint32_t sent, received;
	struct ring out, in;
	char *data;
	uint32_t size;
};

static char *map_twice(uint32_t size)
{
	size_t all = 2ul * size + 8192;
	int fd = memfd_create("ring", MFD_CLOEXEC);
	char *p;
	int i;

	T_ASSERT(fd >= 0);
	T_EQ(ftruncate(fd, size), 0);
	p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(p != MAP_FAILED);
	for (i = 0; i < 2; i++)
		T_ASSERT(mmap(p + 4096 + (size_t)i * size, size,
			      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			      fd, 0) != MAP_FAILED);
	close(fd);
	return p + 4096;
}

static void begin(struct bench *b, uint32_t size, uint32_t position)
{
	memset(b, 0, sizeof(*b));
	b->size = size;
	b->data = map_twice(size);
	b->sent = position;
	b->received = position;
	b->out = (struct ring){ .data = b->data, .size = size,
				.mine = &b->sent, .theirs = &b->received,
				.position = position, .seen = position };
	b->in = (struct ring){ .data = b->data, .size = size,
			       .mine = &b->received, .theirs = &b->sent,
			       .position = position, .seen = position };
}

static void end(struct bench *b)
{
	munmap(b->data - 4096, 2ul * b->size + 8192);
}

/* Places where a ring's positions begin: all around the wrap of 2^32 */
static const uint32_t starts[] = {
	0, 8, 4088, 4096, 1u << 31, -8u, -16u, -4096u, -4104u, -8192u, -65536u,
};

#define STARTS (sizeof(starts) / sizeof(*starts))

T_TEST(everything_goes_through)
{
	uint32_t seed = 3, s;

	for (s = 0; s < STARTS; s++) {
		uint32_t i, taken, size = 4096u << s % 3;
		struct bench b;

		begin(&b, size, starts[s]);
		for (i = 0; i < 5000; i++) {
			uint32_t length = l_random(&seed) % (size - 7);
			const void *from;

			T_EQ(ring_room(&b.out), size - 8);
			memset(ring_next(&b.out), i, length);
			ring_publish(&b.out, length);
			T_EQ(ring_peek(&b.in, &from), length);
			for (taken = 0; taken < length; taken += 501)
				T_EQ(((uint8_t *)from)[taken], (uint8_t)i);
			/* The message is taken in two pieces. */
			taken = length ? l_random(&seed) % length : 0;
			if (taken) {
				ring_take(&b.in, taken);
				T_EQ(ring_peek(&b.in, &from), length - taken);
			}
			ring_take(&b.in, length - taken);
			T_EQ(b.in.position, b.out.position);
			T_EQ(ring_peek(&b.in, &from), -EAGAIN);
		}
		end(&b);
	}
}

T_TEST(exactly_full)
{
	uint32_t s, i;

	for (s = 0; s < STARTS; s++) {
		const void *from;
		struct bench b;

		begin(&b, 4096, starts[s]);
		for (i = 0; i < 512; i++) {
			T_EQ(ring_room(&b.out), 4096 - 8 * i - 8);
			ring_publish(&b.out, 0);
		}
		T_EQ(ring_room(&b.out), -EAGAIN);
		for (i = 0; i < 512; i++) {
			T_EQ(ring_peek(&b.in, &from), 0);
			ring_take(&b.in, 0);
		}
		T_EQ(ring_room(&b.out), 4088);
		ring_publish(&b.out, 4088);
		T_EQ(ring_room(&b.out), -EAGAIN);
		T_EQ(ring_peek(&b.in, &from), 4088);
		end(&b);
	}
}

/* All relevant distances of the peer's position */
static const int64_t distances[] = {
	-(1ll << 31), -8192, -4104, -4097, -4096, -4095, -4088, -16, -9, -8, -7,
	-1, 0, 1, 4, 7, 8, 9, 15, 16, 17, 2040, 4080, 4087, 4088, 4089, 4095,
	4096, 4097, 4104, 8191, 8192, 8200, 1ll << 30, (1ll << 31) - 8,
	1ll << 31, (1ll << 32) - 8, (1ll << 32) - 1,
};

#define DISTANCES (sizeof(distances) / sizeof(*distances))

T_TEST(a_receiver_that_lies)
{
	uint32_t s, d;

	for (s = 0; s < STARTS; s++) {
		for (d = 0; d < DISTANCES; d++) {
			uint32_t used = distances[d];
			struct bench b;
			int64_t room;

			begin(&b, 4096, starts[s]);
			b.received = starts[s] - used;
			room = ring_room(&b.out);
			if (used > 4096 || used % 8) {
				T_EQ(room, -EPROTO);
			} else if (used > 4088) {
				T_EQ(room, -EAGAIN);
			} else {
				T_EQ(room, 4088 - used);
				/* All of the room is inside of the ring. */
				memset(ring_next(&b.out), 1, room);
				ring_publish(&b.out, room);
			}
			end(&b);
		}
	}
}

static void look(struct bench *b, uint32_t there, uint64_t head)
{
	volatile char sum = 0;
	const void *from;
	int64_t n, i;

	n = ring_peek(&b->in, &from);
	if (!there) {
		T_EQ(n, -EAGAIN);
	} else if (there > b->size || there % 8 || head > there - 8) {
		T_EQ(n, -EPROTO);
	} else {
		T_EQ(n, head);
		/*
		 * All of the message can be read, and the next message is
		 * inside, too.
		 */
		for (i = 0; i < n; i++)
			sum += ((const char *)from)[i];
		ring_take(&b->in, n);
		T_ASSERT(b->in.position - starts[0] <= UINT32_MAX);
		n = ring_peek(&b->in, &from);
		T_ASSERT(n >= -EPROTO && n <= b->size);
	}
}

T_TEST(a_sender_that_lies)
{
	static const uint64_t heads[] = {
		0, 1, 7, 8, 9, 15, 16, 2032, 4071, 4072, 4073, 4079, 4080, 4081,
		4087, 4088, 4089, 4095, 4096, 4097, 8184, 8192, 1u << 30,
		(1u << 31) - 1, 1u << 31, UINT32_MAX - 8, UINT32_MAX - 7,
		UINT32_MAX - 6, UINT32_MAX, 1ull << 32, (1ull << 32) + 8,
		INT64_MAX, 1ull << 63, UINT64_MAX - 7, UINT64_MAX,
	};
	uint32_t s, d, h;

	for (s = 0; s < STARTS; s++) {
		struct bench b;

		begin(&b, 4096, starts[s]);
		for (d = 0; d < DISTANCES; d++) {
			for (h = 0; h < sizeof(heads) / sizeof(*heads); h++) {
				uint32_t there = distances[d];

				b.in.position = starts[s];
				b.in.seen = starts[s];
				b.in.peeked = false;
				b.sent = starts[s] + there;
				memcpy(ring_at(&b.in), &heads[h], 8);
				look(&b, there, heads[h]);
			}
		}
		end(&b);
	}
}

/* The head changes after it was looked at: it is read only once. */
T_TEST(a_sender_that_changes_its_mind)
{
	const void *from, *again;
	struct bench b;
	uint64_t head = UINT64_MAX;

	begin(&b, 4096, -8u);
	ring_publish(&b.out, 100);
	T_EQ(ring_peek(&b.in, &from), 100);
	memcpy(b.data + 4088, &head, 8);
	b.sent = 77;
	T_EQ(ring_peek(&b.in, &again), 100);
	T_ASSERT(from == again);
	ring_take(&b.in, 40);
	T_EQ(ring_peek(&b.in, &again), 60);
	ring_take(&b.in, 60);
	T_EQ(b.in.position, 104);
	/* The peer's position is now behind that of the ring. */
	T_EQ(ring_peek(&b.in, &from), -EPROTO);
	end(&b);
}

/*
 * Random positions and heads, in many rounds; the sequence is always the same.
 */
T_TEST(random_lies)
{
	uint32_t i, seed = 0xabcdef, s;

	for (s = 0; s < STARTS; s++) {
		struct bench b;

		begin(&b, 8192, starts[s]);
		for (i = 0; i < 100000; i++) {
			const void *from;
			int64_t n;

			switch (l_random(&seed) % 6) {
			case 0:
				b.sent = b.in.position + l_random(&seed) % 9000;
				break;
			case 1:
				b.sent = b.in.position +
					 l_random(&seed) % 1100 * 8;
				break;
			case 2:
				b.received = b.out.position -
					     l_random(&seed) % 1100 * 8;
				break;
			case 3:
				((uint64_t *)b.data)[l_random(&seed) % 1024] =
					l_random(&seed) % 9000;
				break;
			case 4:
				n = ring_room(&b.out);
				if (n < 0)
					break;
				n = n ? l_random(&seed) % (n + 1) : 0;
				memset(ring_next(&b.out), i, n);
				ring_publish(&b.out, n);
				break;
			default:
				n = ring_peek(&b.in, &from);
				T_ASSERT(n <= 8184);
				if (n < 0)
					break;
				if (n)
					T_ASSERT(memrchr(from, 1, n) ||
						 !memrchr(from, 1, n));
				ring_take(&b.in, n ? l_random(&seed) % n + 1 :
						     0);
			}
		}
		end(&b);
	}
}
