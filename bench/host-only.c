// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: host-only FILE
 *
 * Round trips between two processes of this host, without a VM: the share of
 * the host's kernel. FILE is for shared memory.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "b.h"
#include "talk.h"

static void print(const char *name, const char *how, const char *peer,
		  double us)
{
	printf("name=%s how=%s peer=%s us=%.3f\n", name, how, peer, us);
}

/* A link from the words of both ends; see link.h */
static void measure(const char *peer, const char *how, char **one,
		    char **other)
{
	/* Opened before the other end, because this call clears the memory. */
	struct link *l = link_open(one, 0);
	static struct talk_times times;
	pid_t child = fork();
	int status;

	LINK_CHECK(child >= 0);
	if (!child) {
		talk_serve(link_open(other, 0));
		_exit(0);
	}
	times.count = 0;
	print("trip", how, peer, talk_trip(l, 64, 50000, 0, &times));
	print("trip-p99", how, peer, b_percentile(times.us, times.count, 99));
	if (!strcmp(how, "sleep")) {
		times.count = 0;
		print("trip", "rest", peer,
		      talk_trip(l, 64, 50000, 500, &times));
		print("trip-p99", "rest", peer,
		      b_percentile(times.us, times.count, 99));
	}
	fflush(stdout);
	talk_end(l);
	LINK_CHECK(waitpid(child, &status, 0) == child && !status);
}

static void sockets(void)
{
	char numbers[2][16];
	int fds[2];

	LINK_CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	snprintf(numbers[0], sizeof(numbers[0]), "%d", fds[0]);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", fds[1]);
	measure("unix", "sleep", (char *[]){ "fd", numbers[0], NULL },
		(char *[]){ "fd", numbers[1], NULL });
	close(fds[1]);
}

static void words(const char *peer, const char *how, char *wait, char *file)
{
	measure(peer, how, (char *[]){ "words", wait, "0", file, NULL },
		(char *[]){ "words", wait, "1", file, NULL });
}

int main(int argc, char **argv)
{
	LINK_CHECK(argc == 2);
	sockets();
	words("futex", "sleep", "futex", argv[1]);
	words("host", "spin", "spin", argv[1]);
	return 0;
}
