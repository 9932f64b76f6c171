// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm send, vmshm recv, vmshm pipe: the standard input of one program becomes
 * the standard output of another one, through a channel between guest and host
 * or within one of them.
 *
 * The exit code is 0 only if all data has arrived. The receiver releases each
 * message after it has written the message, and closes the channel after it has
 * written all messages. A program that fails exits without closing the channel,
 * so that the peer fails as well. A pipe cannot wait until its peer closes,
 * because the peer also waits. Instead a pipe sends an empty message last, and
 * the peer releases this message when its own output is known to be good.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmshm/channel.h>

#include "commands.h"
#include "macros.h"
#include "meet.h"
#include "parse.h"
#include "print.h"
#include "progress.h"

#define CHUNK 65536

/* Ends the program while the other thread may be waiting. */
static void fail(const char *fmt, ...) PRINTF(1, 2) __attribute__((noreturn));

static void fail(const char *fmt, ...)
{
	static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
	va_list args;
	char *text;

	pthread_mutex_lock(&first);
	progress_end(false);
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) >= 0)
		error("%s", text);
	va_end(args);
	_exit(EXIT_FAILED);
}

static void peer_failed(int err, const char *what)
{
	char so_far[40] = "";

	if (progress_bytes(RECEIVED))
		snprintf(so_far, sizeof(so_far), " after %" PRIu64 " bytes",
			 progress_bytes(RECEIVED));
	switch (-err) {
	case EPIPE:
		fail("the other end has closed before it received all data");
	case ECONNRESET:
		fail("the other end has failed%s: its input or output failed, "
		     "or it was killed, or its virtual machine was", so_far);
	case EPROTO:
		fail("the other end has written invalid data into the "
		     "channel");
	case ENODEV:
		fail("the device was unplugged");
	default:
		fail("%s: %s", what, strerror(-err));
	}
}

static int reserve(struct vmshm_channel *ch, void **data, size_t size)
{
	int err;

	do {
		err = vmshm_channel_reserve(ch, data, size, VMSHM_FOREVER);
	} while (err == -EINTR);
	return err;
}

static int peek(struct vmshm_channel *ch, const void **data, size_t *size)
{
	int err;

	do {
		err = vmshm_channel_peek(ch, data, size, VMSHM_FOREVER);
	} while (err == -EINTR);
	return err;
}

static int drain(struct vmshm_channel *ch)
{
	int err;

	do {
		err = vmshm_channel_drain(ch, VMSHM_FOREVER);
	} while (err == -EINTR);
	return err;
}

static size_t chunk_of(const struct vmshm_channel *ch)
{
	/* So that one message is written while another one is read */
	size_t size = vmshm_channel_max(ch) / 4;

	return size < CHUNK ? size : CHUNK;
}

static void send_input(struct vmshm_channel *ch)
{
	size_t size = chunk_of(ch);
	ssize_t got;
	void *data;
	int err;

	for (;;) {
		err = reserve(ch, &data, size);
		if (err)
			peer_failed(err, "sending");
		do {
			got = read(STDIN_FILENO, data, size);
		} while (got < 0 && errno == EINTR);
		if (got < 0)
			fail("the input: %s", strerror(errno));
		if (!got)
			break;
		err = vmshm_channel_commit(ch, got);
		if (err)
			peer_failed(err, "sending");
		progress_add(SENT, got);
	}
}

static void end_input(struct vmshm_channel *ch)
{
	int err = vmshm_channel_shutdown(ch);

	if (!err)
		err = drain(ch);
	if (err)
		peer_failed(err, "sending");
}

static void *send_for_pipe(void *channel)
{
	struct vmshm_channel *ch = channel;
	void *nothing;
	int err;

	send_input(ch);
	err = reserve(ch, &nothing, 0);
	if (!err)
		err = vmshm_channel_commit(ch, 0);
	if (err)
		peer_failed(err, "sending");
	end_input(ch);
	return NULL;
}

static void write_output(const char *data, size_t size)
{
	while (size) {
		ssize_t put = write(STDOUT_FILENO, data, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			fail("the output: %s", strerror(errno));
		data += put;
		size -= put;
		progress_add(RECEIVED, put);
	}
}

/* Some file systems report a failed write only at close(). */
static void check_output(void)
{
	int copy = dup(STDOUT_FILENO);

	if (copy < 0 || close(copy) < 0)
		fail("the output: %s", strerror(errno));
}

/* A reader of the output sees its end now; dup2() would hide an error. */
static void end_output(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null < 0)
		fail("/dev/null: %s", strerror(errno));
	check_output();
	dup2(null, STDOUT_FILENO);
	close(null);
}

static void receive_output(struct vmshm_channel *ch)
{
	const void *data;
	size_t size;
	int err;

	while ((err = peek(ch, &data, &size)) == 0) {
		if (size)
			write_output(data, size);
		else
			check_output();
		err = vmshm_channel_release(ch);
		if (err)
			break;
	}
	if (err != -EPIPE)
		peer_failed(err, "receiving");
	end_output();
}

/* Waits until the peer has closed; the peer sends nothing before. */
static void *receive_nothing(void *channel)
{
	struct vmshm_channel *ch = channel;
	const void *data;
	size_t size;
	int err;

	err = peek(ch, &data, &size);
	if (!err)
		fail("the other end is sending, too: use 'vmshm recv' on one "
		     "side, or 'vmshm pipe' on both");
	if (err != -EPIPE)
		peer_failed(err, "sending");
	return NULL;
}

static void send_only(struct vmshm_channel *ch)
{
	pthread_t other;

	if (pthread_create(&other, NULL, receive_nothing, ch))
		fail("cannot create a thread");
	send_input(ch);
	end_input(ch);
	pthread_join(other, NULL);
}

static void send_and_receive(struct vmshm_channel *ch)
{
	pthread_t other;

	if (pthread_create(&other, NULL, send_for_pipe, ch))
		fail("cannot create a thread");
	receive_output(ch);
	pthread_join(other, NULL);
}

/* Shows the progress, unless the data itself goes to the terminal. */
static int transfer(const struct options *o, int argc, char **argv,
		    void (*run)(struct vmshm_channel *ch))
{
	bool terminal = (run != receive_output && isatty(STDIN_FILENO)) ||
			(run != send_only && isatty(STDOUT_FILENO));
	struct vmshm_channel *ch;
	char name[NAME_BYTES];

	if (argc != 1)
		return usage_error("give exactly one name of a channel");
	if (!parse_name(argv[0], name))
		return EXIT_USAGE;
	ch = meet(o, name);
	if (!ch)
		return EXIT_FAILED;
	signal(SIGPIPE, SIG_IGN);
	if (!terminal)
		progress_start(run == send_and_receive);
	run(ch);
	progress_end(true);
	vmshm_channel_close(ch);
	return EXIT_OK;
}

int cmd_send(const struct options *o, int argc, char **argv)
{
	return transfer(o, argc, argv, send_only);
}

int cmd_recv(const struct options *o, int argc, char **argv)
{
	return transfer(o, argc, argv, receive_output);
}

int cmd_pipe(const struct options *o, int argc, char **argv)
{
	return transfer(o, argc, argv, send_and_receive);
}
