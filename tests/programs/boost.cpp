// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ordinary program that uses Boost.Interprocess. It knows nothing of VMShm;
 * test-boost.sh runs it on the host and in a guest.
 *
 * usage: boost-interprocess PATH KIND ROLE ROUNDS	ROLE is 0 or 1
 *
 * Names begin with the last component of PATH. Role 0 makes what there is to
 * make and has to begin first. The exit code is 0 if all was as documented.
 */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/named_condition.hpp>
#include <boost/interprocess/sync/named_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

namespace ipc = boost::interprocess;

static std::string base;
static int role;
static long rounds;

#define CHECK(condition)						\
	do {								\
		if (!(condition)) {					\
			std::cerr << "boost: line " << __LINE__ << ": "	\
				  << #condition << std::endl;		\
			exit(1);					\
		}							\
	} while (0)

static std::string name(const char *tail)
{
	return base + tail;
}

/* Numbers go to and back in two queues of 4 messages. */
static void message_queue()
{
	ipc::message_queue to(ipc::open_or_create, name("-q0").c_str(), 4,
			      sizeof(long));
	ipc::message_queue back(ipc::open_or_create, name("-q1").c_str(), 4,
			       sizeof(long));
	unsigned int priority;
	std::size_t size;
	long number;

	for (long i = 0; i < rounds; i++) {
		if (!role)
			to.send(&i, sizeof(i), 0);
		(role ? to : back).receive(&number, sizeof(number), size,
					  priority);
		CHECK(size == sizeof(number) && number == i);
		if (role)
			back.send(&i, sizeof(i), 0);
	}
}

struct counters {
	long count = 0;
	long turn = 0;
	ipc::interprocess_mutex mutex;
	ipc::interprocess_condition condition;
};

static void named_mutex()
{
	ipc::managed_shared_memory memory(ipc::open_or_create,
					  name("-m").c_str(), 65536);
	counters *c = memory.find_or_construct<counters>("counters")();
	ipc::named_mutex mutex(ipc::open_or_create, name("-x").c_str());

	for (long i = 0; i < rounds; i++) {
		ipc::scoped_lock<ipc::named_mutex> lock(mutex);

		c->count++;
	}
	for (;;) {
		ipc::scoped_lock<ipc::named_mutex> lock(mutex);

		CHECK(c->count <= 2 * rounds);
		if (c->count == 2 * rounds)
			break;
	}
}

static void named_condition()
{
	ipc::managed_shared_memory memory(ipc::open_or_create,
					  name("-m").c_str(), 65536);
	counters *c = memory.find_or_construct<counters>("counters")();
	ipc::named_mutex mutex(ipc::open_or_create, name("-x").c_str());
	ipc::named_condition condition(ipc::open_or_create, name("-c").c_str());

	for (long i = 0; i < rounds; i++) {
		ipc::scoped_lock<ipc::named_mutex> lock(mutex);

		while (c->turn % 2 != role)
			condition.wait(lock);
		c->turn++;
		condition.notify_all();
	}
}

/* A mutex and a condition in a segment, and memory that both allocate */
static void managed()
{
	ipc::managed_shared_memory memory(ipc::open_or_create,
					  name("-m").c_str(), 65536);
	counters *c = memory.find_or_construct<counters>("counters")();

	for (long i = 0; i < rounds; i++) {
		void *block;

		ipc::scoped_lock<ipc::interprocess_mutex> lock(c->mutex);
		while (c->turn % 2 != role)
			c->condition.wait(lock);
		c->turn++;
		c->condition.notify_all();
		lock.unlock();
		block = memory.allocate(100 + i % 100);
		memset(block, role, 100);
		memory.deallocate(block);
	}
	CHECK(memory.check_sanity());
}

static const struct {
	const char *name;
	void (*run)();
} kinds[] = {
	{ "message_queue", message_queue },
	{ "named_mutex", named_mutex },
	{ "named_condition", named_condition },
	{ "managed_shared_memory", managed },
};

int main(int argc, char **argv)
{
	CHECK(argc == 5);
	base = strrchr(argv[1], '/') + 1;
	role = atoi(argv[3]);
	rounds = atol(argv[4]);
	for (auto &kind : kinds) {
		if (!strcmp(kind.name, argv[2])) {
			kind.run();
			return 0;
		}
	}
	std::cerr << "boost: no kind " << argv[2] << std::endl;
	return 2;
}
