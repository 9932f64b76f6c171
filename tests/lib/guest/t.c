// SPDX-License-Identifier: GPL-2.0-or-later
/* The main() of the guest test programs, and t.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

/*
 * A raw line whose other end is run.py: in a guest a serial one, set up by
 * init; on the host the variable T_CHANNEL names another one.
 */
static const char *channel = "/dev/results";

/* In seconds. In a guest, boot.py sets another limit. */
#define TIMEOUT 180

enum { NOTHING, RETURNED, FAILED, SKIPPED };

/* Shared by all processes of a test */
struct verdict {
	int state;
	char why[512];
};
static struct verdict *verdict;

static struct t_test *first, **last = &first;

void t_register(struct t_test *t)
{
	*last = t;
	last = &t->next;
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line to the runner, in one write() so that lines do not mix */
static void say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int fd, len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	fd = open(channel, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || write(fd, line, len) != len) {
		perror(channel);
		exit(2);
	}
	close(fd);
}

static void give_verdict(int state, const char *fmt, va_list ap)
{
	/* The first verdict is the cause of later ones */
	if (__sync_bool_compare_and_swap(&verdict->state, NOTHING, state))
		vsnprintf(verdict->why, sizeof(verdict->why), fmt, ap);
	_exit(1);
}

void t_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	give_verdict(FAILED, fmt, ap);
	__builtin_unreachable();
}

void t_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	give_verdict(SKIPPED, fmt, ap);
	__builtin_unreachable();
}

void t_note(const char *fmt, ...)
{
	char line[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	say("note %s", line);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void t_assert_failed(const char *file, int line, const char *cond)
{
	int err = errno;

	t_fail("%s:%d: not so: %s (errno %d, %s)", base_name(file), line, cond,
	       err, strerror(err));
}

void t_eq(const char *file, int line, const char *what, long long a,
	  long long b)
{
	int err = errno;

	if (a != b)
		t_fail("%s:%d: %s is %lld, not %lld (errno %d, %s)",
		       base_name(file), line, what, a, b, err, strerror(err));
}

void t_errno(const char *file, int line, const char *what, long ret, int err)
{
	int got = errno;

	if (ret != -1)
		t_fail("%s:%d: %s is %ld, not the error \"%s\"",
		       base_name(file), line, what, ret, strerror(err));
	if (got != err)
		t_fail("%s:%d: %s: errno is %d (%s), not %d (%s)",
		       base_name(file), line, what, got, strerror(got), err,
		       strerror(err));
}

const char *t_name(const char *tail)
{
	static char names[8][256];
	static unsigned int next;
	char *name = names[next++ % 8];
	const char *prefix = getenv("T_PREFIX");

	snprintf(name, sizeof(names[0]), "%s%s", prefix ? prefix : "/", tail);
	return name;
}

static const char *host_call(const char *fmt, va_list ap)
{
	static char *line;
	static size_t size;
	char *request;
	FILE *answer;
	ssize_t len;
	int fd;

	if (vasprintf(&request, fmt, ap) < 0)
		t_fail("no memory");
	fd = open(channel, O_RDWR | O_NOCTTY | O_CLOEXEC);
	/* One question at a time, or the answers go to the wrong process */
	if (fd < 0 || flock(fd, LOCK_EX))
		t_fail("%s: %s", channel, strerror(errno));
	if (dprintf(fd, "host %s\n", request) < 0)
		t_fail("%s: %s", channel, strerror(errno));
	free(request);
	answer = fdopen(fd, "r");
	len = getline(&line, &size, answer);
	fclose(answer);
	if (len < 4)
		t_fail("no answer from the host");
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* The text after "done" in an answer, or NULL */
static const char *result_of(const char *answer)
{
	if (strncmp(answer, "done", 4))
		return NULL;
	return answer + 4 + (answer[4] == ' ');
}

const char *t_host(const char *fmt, ...)
{
	const char *answer;
	va_list ap;

	va_start(ap, fmt);
	answer = host_call(fmt, ap);
	va_end(ap);
	if (!result_of(answer))
		t_fail("host: %s: %s", fmt, answer);
	return result_of(answer);
}

const char *t_host_try(const char *fmt, ...)
{
	const char *answer;
	va_list ap;

	va_start(ap, fmt);
	answer = host_call(fmt, ap);
	va_end(ap);
	return result_of(answer);
}

void t_fill(void *buf, size_t len, uint32_t seed)
{
	uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (seed * 0x9e3779b1 + i / 4) >> 8 * (i % 4);
}

/* Adler-32, because both sides have it at hand */
uint32_t t_sum(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint32_t a = 1, b = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		a = (a + p[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

pid_t t_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		t_fail("fork: %s", strerror(errno));
	return pid;
}

void t_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		t_fail("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		t_fail("a child was killed by signal %d (%s)", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status))
		t_fail("a child exited with %d", WEXITSTATUS(status));
}

int t_slower(void)
{
	const char *factor = getenv("T_SLOWER");

	return factor ? atoi(factor) : 1;
}

int t_system(const char *fmt, ...)
{
	char *command;
	va_list ap;
	int status;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) < 0)
		t_fail("no memory");
	va_end(ap);
	status = system(command);
	free(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static __thread sigjmp_buf fault_jump;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(fault_jump, 1);
}

static int faults(volatile uint8_t *p, int write)
{
	struct sigaction old, sa = { .sa_handler = on_fault };
	volatile int faulted = 0;

	sigaction(SIGBUS, &sa, &old);
	if (sigsetjmp(fault_jump, 1))
		faulted = 1;
	else if (write)
		*p = *p;
	else
		(void)*p;
	sigaction(SIGBUS, &old, NULL);
	return faulted;
}

int t_read_faults(const volatile void *p)
{
	return faults((volatile uint8_t *)p, 0);
}

int t_write_faults(volatile void *p)
{
	return faults((volatile uint8_t *)p, 1);
}

/* A marker in the kernel's log and on the console says what was running */
static void mark(const char *program, const char *name)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[256];
	int len;

	/* dprintf() cannot: it wants to know the file's position */
	len = snprintf(line, sizeof(line), "<5>vmshm-test: %s/%s\n", program,
		       name);
	if (fd < 0 || write(fd, line, len) != len) {
		perror("/dev/kmsg");
		exit(2);
	}
	close(fd);
}

static int timeout(void)
{
	const char *seconds = getenv("T_TIMEOUT");

	return seconds ? atoi(seconds) : TIMEOUT;
}

/* The result is 0 or the reason of a failure */
static const char *run_one(const struct t_test *t)
{
	struct timespec limit = { .tv_sec = timeout() };
	static char why[600];
	sigset_t chld;
	int status;
	pid_t pid;

	verdict->state = NOTHING;
	verdict->why[0] = '\0';
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	pid = fork();
	if (pid < 0)
		return "fork failed";
	if (pid == 0) {
		sigprocmask(SIG_UNBLOCK, &chld, NULL);
		setpgid(0, 0);
		t->run();
		__sync_bool_compare_and_swap(&verdict->state, NOTHING,
					     RETURNED);
		/* No atexit handlers: a test ends as kill would end it */
		fflush(NULL);
		_exit(0);
	}
	setpgid(pid, pid);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (sigtimedwait(&chld, NULL, &limit) < 0 && errno == EAGAIN) {
			kill(-pid, SIGKILL);
			limit.tv_sec = 5;
			sigtimedwait(&chld, NULL, &limit);
			waitpid(pid, &status, WNOHANG);
			return "it hung";
		}
	}
	/* The objects and processes that the test left behind */
	kill(-pid, SIGKILL);
	if (verdict->state == FAILED)
		return verdict->why;
	if (verdict->state == SKIPPED)
		return NULL;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) || verdict->state == NOTHING)
		snprintf(why, sizeof(why), "exit code %d", WEXITSTATUS(status));
	else
		return NULL;
	return why;
}

/* usage: T_PROGRAM=NAME test-NAME TEST... */
int main(int argc, char **argv)
{
	const char *program = getenv("T_PROGRAM");
	bool guest = !getenv("T_CHANNEL");
	struct t_test *t;
	int i;

	if (!guest)
		channel = getenv("T_CHANNEL");

	verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (verdict == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	if (!program)
		program = base_name(argv[0]);
	for (t = first; t; t = t->next) {
		const char *why;

		for (i = 1; i < argc && strcmp(argv[i], t->name); i++)
			;
		if (i == argc)
			continue;
		if (guest)
			mark(program, t->name);
		say("run %s/%s", program, t->name);
		why = run_one(t);
		if (why)
			say("not ok %s/%s: %s", program, t->name, why);
		else if (verdict->state == SKIPPED)
			say("skip %s/%s: %s", program, t->name, verdict->why);
		else
			say("ok %s/%s", program, t->name);
	}
	return 0;
}
