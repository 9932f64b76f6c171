// SPDX-License-Identifier: MIT
/*
 * Computes BLAS calls for programs in guests, which need only librpcblas.so.
 *
 * Each address has a process of its own, so that a client cannot harm another
 * one. If a client truncates its object, the process dies of SIGBUS, and a new
 * one replaces it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sgemm.h"
#include "transport.h"

#define MOST 16			/* addresses */
#define USUAL (8u << 20)	/* bytes */
#define MOST_MIB 1024
#define PAUSE 1			/* seconds before a failed step is repeated */

static const char usage[] =
	"usage: blas-service [-m MIB] ADDRESS...\n"
	"\n"
	"ADDRESS is vmshm:/NAME or tcp:HOST:PORT (0: any port).\n"
	"-m: the longest message; the default is 8 MiB. Larger matrices are\n"
	"sent in several messages. A new channel takes twice this size in\n"
	"/dev/shm.\n";

struct place {
	struct listener l;
	pid_t pid;
};

static struct place places[MOST];
static int count;

static void complain(const char *address, const char *why)
{
	fprintf(stderr, "blas-service: %s: %s\n", address, why);
}

static int answer_one(struct transport *t)
{
	struct answer *answer;
	const void *message;
	struct sgemm s;
	size_t size;
	int err, wrong;

	err = t->peek(t, &message, &size);
	if (err)
		return err;
	wrong = sgemm_check(&s, message, size);
	size = wrong ? sizeof(*answer) : sgemm_answer_size(&s);
	if (size > t->max) {
		wrong = -EMSGSIZE;
		size = sizeof(*answer);
	}
	err = t->reserve(t, (void **)&answer, size);
	if (err)
		return err;
	*answer = (struct answer){ .error = -wrong };
	if (!wrong)
		sgemm_run(&s, message, answer);
	err = t->release(t);
	return err ? err : t->commit(t, size);
}

static int say_hello(struct transport *t)
{
	struct hello hello = { HELLO_MAGIC, t->max };
	struct piece piece = { &hello, 1, sizeof(hello), sizeof(hello) };

	return t->send(t, &piece, 1);
}

/* Serves one client after the other, however each one ends. */
static void serve(struct listener *l)
{
	struct transport *t;
	int err, said = 0;

	for (;;) {
		err = l->accept(l, &t);
		if (err) {
			if (err != said)
				complain(l->address, strerror(-err));
			said = err;
			sleep(PAUSE);
			continue;
		}
		err = say_hello(t);
		while (!err)
			err = answer_one(t);
		t->close(t);
	}
}

static void start(struct place *p, const sigset_t *usual, unsigned int pause)
{
	pid_t parent = getpid();

	p->pid = fork();
	if (p->pid < 0) {
		perror("blas-service: fork");
		exit(1);
	}
	if (p->pid)
		return;
	sigprocmask(SIG_SETMASK, usual, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have died before that. */
	if (getppid() != parent)
		_exit(1);
	sleep(pause);
	serve(&p->l);
}

static void end(void)
{
	int i;

	for (i = 0; i < count; i++) {
		if (places[i].pid > 0)
			kill(places[i].pid, SIGKILL);
		transport_end(&places[i].l);
	}
}

/* Starts a successor of each process that has ended. */
static void succeed(const sigset_t *usual)
{
	int i, status;

	for (i = 0; i < count; i++) {
		struct place *p = &places[i];

		if (waitpid(p->pid, &status, WNOHANG) != p->pid)
			continue;
		complain(p->l.address, WIFSIGNALED(status) ?
			 strsignal(WTERMSIG(status)) : "has ended");
		start(p, usual, PAUSE);
	}
}

static void listen_at(const char *address, size_t max)
{
	int err = transport_listen(&places[count++].l, address, max);

	if (!err)
		return;
	complain(address, strerror(-err));
	exit(1);
}

static size_t parse(int argc, char **argv)
{
	size_t max = USUAL;
	int option;

	while ((option = getopt(argc, argv, "m:")) != -1) {
		/* Checked before the shift, which could overflow */
		max = option == 'm' ? strtoul(optarg, NULL, 10) : 0;
		if (!max || max > MOST_MIB) {
			fputs(usage, stderr);
			exit(2);
		}
		max <<= 20;
	}
	if (optind == argc || argc - optind > MOST) {
		fputs(usage, stderr);
		exit(2);
	}
	return max;
}

int main(int argc, char **argv)
{
	size_t max = parse(argc, argv);
	sigset_t signals, usual;
	int number = 0, i;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, &usual);
	atexit(end);
	while (optind < argc)
		listen_at(argv[optind++], max);
	for (i = 0; i < count; i++) {
		start(&places[i], &usual, 0);
		printf("serves %s\n", places[i].l.address);
	}
	fflush(stdout);
	while (sigwait(&signals, &number) || number == SIGCHLD)
		succeed(&usual);
	return 0;
}
