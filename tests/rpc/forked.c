// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: forked busy|gone
 *
 * A child of fork() calls cblas_sgemm(), as its parent has done. busy: the fork
 * is made on input, while another thread of the parent is in a call. gone: the
 * child makes the call after its parent has ended.
 */
#include <cblas.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void *product(void *unused)
{
	const float two = 2, three = 3;
	float six = 0;

	(void)unused;
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 1, 1, 1, 1, &two,
		    1, &three, 1, 0, &six, 1);
	if (six != 6)
		abort();
	return NULL;
}

/* _exit(), because the parent's memory in the child is not a leak. */
static void be_child(void)
{
	product(NULL);
	puts("the child is done");
	fflush(stdout);
	_exit(0);
}

static int busy(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	if (pthread_create(&thread, NULL, product, NULL))
		return 1;
	getchar();
	pid = fork();
	if (!pid) {
		/* A child that hangs is killed when the test ends. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_child();
	}
	waitpid(pid, &status, 0);
	_exit(status != 0);
}

static int gone(void)
{
	int ends[2];
	char none;

	product(NULL);
	if (pipe(ends))
		return 1;
	if (fork())
		return 0;
	close(ends[1]);
	if (read(ends[0], &none, 1) == 0)
		be_child();
	_exit(1);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "busy") == 0)
		return busy();
	if (argc == 2 && strcmp(argv[1], "gone") == 0)
		return gone();
	return 2;
}
