/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A side of the stress test: the host, with futex(2), or a guest, with the
 * driver's ioctls; and the conductor, on the host, which begins rounds.
 *
 *	party SIDE [FILE]	a guest mounts the file system and finds it
 *	party conduct FILE KIND TOTAL SIDES SIDES-LEFT
 *
 * "turns": each side hands over to the next one only.
 *
 * "crowd": makers and takers of tokens. There is room for one token. A worker
 * that has had a token waits behind the others: it looks for the next token
 * when it is woken, and not before. So each token needs a wake-up, and no
 * worker that comes along makes up for a lost one. Most workers have deadlines
 * now and then; a deadline that passed does not make them look, either. Only
 * one maker and one taker, without deadlines, always look: otherwise all could
 * wait for the next change. All workers get killed at random. As with robust
 * futexes, the process that notices a death wakes another worker in its place.
 *
 * A lost wake-up leaves all workers asleep, and run.py prints which worker
 * waits for which word.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#define SIDES 3
/* Of a side; half of them make, half take. run.py defines it. */
#ifndef WORKERS
#define WORKERS 6
#endif
#define PATIENT_SIDE 1
#define NOWHERE UINT32_MAX
#define ALL UINT32_MAX
#define FOREVER 0
/* The longest deadline, in nanoseconds; deadlines are random. */
#define DEADLINES 1000000
#define BREATH 1000000
/* A kill is requested for one of this number of tokens of a side. */
#define KILLS 20

enum { TURNS, CROWD, END };

/* The state of a worker, for run.py; the worker's successor continues it. */
struct line {
	uint32_t waits_on; /* offset of a word of the board, or NOWHERE */
	uint32_t expected;
	uint32_t tokens;
	uint32_t woken;
	uint32_t late; /* deadlines that passed */
	uint32_t wakes;
	uint32_t killed;
};

/* The object. run.py knows the offsets. */
struct board {
	/*
	 * Changed by one atomic operation: tokens taken, and in the upper half
	 * made
	 */
	_Atomic uint64_t tokens;
	_Atomic uint32_t turn[SIDES];
	_Atomic uint32_t turns;
	_Atomic uint32_t round; /* another one begins when it changes */
	_Atomic uint32_t kind;
	_Atomic uint32_t total;
	_Atomic uint32_t ready; /* sides that have nothing to do */
	struct line line[SIDES][WORKERS];
};

#define TAKEN offsetof(struct board, tokens)
#define MADE (TAKEN + 4)
#define TURN(side) (offsetof(struct board, turn) + 4 * (side))
#define ROUND offsetof(struct board, round)
#define READY offsetof(struct board, ready)

static int fd;
static bool is_guest;
static int side;
static struct board *board;
/* For processes that are not workers */
static struct line scrap, *mine = &scrap;
static unsigned int seed;
/* From workers to the process that started them */
static int requests[2];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long up_to(long nsec)
{
	return rand_r(&seed) % nsec + 1;
}

static void nap(long nsec)
{
	struct timespec t = { 0, up_to(nsec) };

	nanosleep(&t, NULL);
}

static long guest_wait(uint32_t word, uint32_t expected, long long nsec)
{
	struct vmshm_ioc_wait wait = {
		.offset = word,
		.expected = expected,
		.deadline = nsec ? now() + nsec : -1,
	};

	return ioctl(fd, VMSHM_IOC_WAIT, &wait);
}

static long host_wait(uint32_t word, uint32_t expected, long long nsec)
{
	struct timespec left = { 0, nsec };

	return syscall(SYS_futex, (char *)board + word, FUTEX_WAIT, expected,
		       nsec ? &left : NULL, NULL, 0);
}

/* 0 if it was woken, or for no reason; EAGAIN, ETIMEDOUT */
static int wait_word(uint32_t word, uint32_t expected, long long nsec)
{
	int err = 0;

	mine->expected = expected;
	mine->waits_on = word;
	if (is_guest ? guest_wait(word, expected, nsec) :
		       host_wait(word, expected, nsec))
		err = errno;
	mine->waits_on = NOWHERE;
	mine->woken += !err;
	mine->late += err == ETIMEDOUT;
	if (err && err != ETIMEDOUT && err != EAGAIN)
		die("wait");
	return err;
}

static void wake_word(uint32_t word, uint32_t count)
{
	struct vmshm_ioc_wake wake = { .offset = word, .count = count };
	long ret;

	if (is_guest)
		ret = ioctl(fd, VMSHM_IOC_WAKE, &wake);
	else
		ret = syscall(SYS_futex, (char *)board + word, FUTEX_WAKE,
			      count > INT_MAX ? INT_MAX : count, NULL, NULL, 0);
	if (ret < 0)
		die("wake");
	mine->wakes++;
}

static void take_turns(void)
{
	int next = (side + 1) % SIDES;
	uint32_t n;

	mine = &board->line[side][0];
	for (n = 0; n < board->total; n++) {
		while (!atomic_load(&board->turn[side]))
			wait_word(TURN(side), 0, FOREVER);
		atomic_store(&board->turn[side], 0);
		atomic_fetch_add(&board->turns, 1);
		atomic_store(&board->turn[next], 1);
		wake_word(TURN(next), 1);
		mine->tokens++;
	}
	mine = &scrap;
}

static uint32_t taken(uint64_t tokens)
{
	return tokens;
}

static uint32_t made(uint64_t tokens)
{
	return tokens >> 32;
}

/* The counter decides: a worker killed later has made or taken a token. */
static bool change(bool maker, uint64_t tokens)
{
	uint64_t one = maker ? 1ull << 32 : 1;

	return atomic_compare_exchange_strong(&board->tokens, &tokens,
					      tokens + one);
}

/* Asks for a kill; after the end of all work, for the end of the kills. */
static void ask(void)
{
	if (write(requests[1], "", 1) != 1)
		die("write");
}

static void work(bool maker, bool patient, bool hasty)
{
	/*
	 * A maker waits until a token is taken, and a taker until one is made.
	 */
	uint32_t word = maker ? TAKEN : MADE;
	uint32_t total = board->total;
	bool looks = true;

	for (;;) {
		uint64_t tokens = atomic_load(&board->tokens);
		bool there = made(tokens) != taken(tokens);
		bool hurry = hasty && rand_r(&seed) % 4 == 0;
		int err;

		if ((maker ? made(tokens) : taken(tokens)) == total)
			break;
		if (looks && there != maker) {
			if (!change(maker, tokens))
				continue;
			mine->tokens++;
			wake_word(maker ? MADE : TAKEN, 1);
			if (rand_r(&seed) % KILLS == 0)
				ask();
			looks = patient;
			/*
			 * Emulated guests are slower; the host leaves them a
			 * share of the tokens.
			 */
			if (!is_guest)
				nap(BREATH);
			continue;
		}
		err = wait_word(word, maker ? taken(tokens) : made(tokens),
				hurry ? up_to(DEADLINES) : FOREVER);
		if (err != EAGAIN)
			looks = patient || !err;
	}
	/* The other workers also have to detect the end. */
	wake_word(TAKEN, ALL);
	wake_word(MADE, ALL);
	ask();
}

static pid_t start_worker(int n)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	mine = &board->line[side][n];
	mine->waits_on = NOWHERE;
	seed += getpid();
	work(n % 2, side == PATIENT_SIDE && n < 2, n >= 2);
	_exit(0);
}

/* True if the process was killed, false if it ended by itself. */
static bool reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status))
		exit(1);
	return WIFSIGNALED(status);
}

/*
 * Kills a worker, notices the death, wakes one maker and one taker in its
 * place, and starts a successor.
 */
static void replace(pid_t *pid, int n)
{
	kill(pid[n], SIGKILL);
	board->line[side][n].killed += reap(pid[n]);
	wake_word(TAKEN, 1);
	wake_word(MADE, 1);
	pid[n] = start_worker(n);
}

/*
 * Kills only while workers make progress: the process that notices a death
 * wakes other workers, which would hide a lost wake-up.
 */
static void supervise(void)
{
	pid_t pid[WORKERS];
	char c;
	int n;

	if (pipe(requests))
		die("pipe");
	for (n = 0; n < WORKERS; n++)
		pid[n] = start_worker(n);
	while (read(requests[0], &c, 1) == 1 &&
	       taken(atomic_load(&board->tokens)) < board->total)
		replace(pid, rand_r(&seed) % WORKERS);
	for (n = 0; n < WORKERS; n++)
		reap(pid[n]);
	close(requests[0]);
	close(requests[1]);
}

static void take_part(void)
{
	uint32_t round = 0;

	for (;;) {
		atomic_fetch_add(&board->ready, 1);
		wake_word(READY, ALL);
		while (atomic_load(&board->round) == round)
			wait_word(ROUND, round, FOREVER);
		round = board->round;
		if (board->kind == END)
			return;
		if (board->kind == TURNS)
			take_turns();
		else
			supervise();
	}
}

static void wait_until_ready(uint32_t sides)
{
	uint32_t ready;

	while ((ready = atomic_load(&board->ready)) < sides)
		wait_word(READY, ready, FOREVER);
}

/* Clears the lines: no worker waits, and no work is done. */
static void forget(struct line *line, int count)
{
	while (count--)
		*line++ = (struct line){ .waits_on = NOWHERE };
}

static void conduct(int kind, uint32_t total, int sides, int left)
{
	wait_until_ready(sides);
	forget(&board->line[0][0], SIDES * WORKERS);
	board->tokens = 0;
	board->turns = 0;
	board->turn[0] = 1;
	board->kind = kind;
	board->total = total;
	board->ready = 0;
	atomic_fetch_add(&board->round, 1);
	wake_word(ROUND, ALL);
	if (kind != END)
		wait_until_ready(left);
}

static const char *mounted_file(void)
{
	static char file[512];
	const char *prefix = getenv("T_PREFIX");

	mkdir("/mnt", 0700);
	if (mount("vmshm0", "/mnt", "vmshm", 0, NULL))
		die("mount");
	snprintf(file, sizeof(file), "/mnt%sboard", prefix ? prefix : "");
	is_guest = true;
	return file;
}

static void map_board(const char *file)
{
	fd = open(file, O_RDWR);
	if (fd < 0)
		die(file);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED,
		     fd, 0);
	if (board == MAP_FAILED)
		die("mmap");
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "conduct")) {
		map_board(argv[2]);
		conduct(atoi(argv[3]), atoi(argv[4]), atoi(argv[5]),
			atoi(argv[6]));
		return 0;
	}
	if (argc < 2)
		return 2;
	side = atoi(argv[1]);
	seed = side + 1;
	map_board(argc > 2 ? argv[2] : mounted_file());
	take_part();
	return 0;
}
