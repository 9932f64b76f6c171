// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm: shared memory objects of the host, on the host and in a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "hint.h"
#include "macros.h"
#include "parse.h"
#include "print.h"

/* Options that have no letter */
enum { OPT_JSON = 256, OPT_SPARSE, OPT_INTERVAL, OPT_DIR };

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "host", no_argument, NULL, 'H' },
	{ "guest", no_argument, NULL, 'G' },
	{ "device", required_argument, NULL, 'd' },
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "mode", required_argument, NULL, 'm' },
	{ "options", required_argument, NULL, 'o' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "sparse", no_argument, NULL, OPT_SPARSE },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{}
};

struct command {
	const char *name;
	int (*run)(const struct options *o, int argc, char **argv);
	const char *arguments;
	const char *summary;
	/* Options besides -H and -G */
	const int *options;
	const char *help;
};

#define OPTIONS(...) ((const int[]){ __VA_ARGS__, 0 })

static const struct command commands[] = {
	{ "ls", cmd_ls, "[--json] [PATTERN...]", "list the objects",
	  OPTIONS('d', OPT_DIR, OPT_JSON),
	  "Lists the objects: on a host all, in a guest those that the policy "
	  "of its device allows. With patterns, such as 'frames*', it lists "
	  "the objects whose names match one of them; quote them for the "
	  "shell." },
	{ "info", cmd_info, "[--json] [NAME|DEVICE]",
	  "show an object, a device, or this machine",
	  OPTIONS('d', OPT_DIR, OPT_JSON),
	  "Shows an object or, in a guest, a device, such as vmshm0. Without "
	  "an argument it shows /dev/shm of a host, or all devices of a "
	  "guest." },
	{ "create", cmd_create, "[-m MODE] [--sparse] NAME SIZE",
	  "create an object", OPTIONS('d', OPT_DIR, 'm', OPT_SPARSE),
	  "Creates an object of SIZE bytes (4096, 64K, 1M, 2G), filled with "
	  "zeros. MODE is its permission bits, as for chmod; the default is "
	  "600: only its owner. With --sparse, memory is allocated on first "
	  "use instead of now." },
	{ "rm", cmd_rm, "NAME...", "remove objects",
	  OPTIONS('d', OPT_DIR),
	  "Removes the names. Programs that have an object open keep it." },
	{ "cat", cmd_cat, "NAME", "print the bytes of an object",
	  OPTIONS('d', OPT_DIR),
	  "Writes all bytes of the object to the standard output." },
	{ "write", cmd_write, "NAME [OFFSET]",
	  "copy the standard input into an object", OPTIONS('d', OPT_DIR),
	  "Copies the standard input into the object, from OFFSET (default: 0) "
	  "on. The object keeps its size: input that does not fit is an "
	  "error." },
	{ "run", cmd_run, "[-d DEVICE] [-o OPTIONS] PROGRAM [ARGUMENT...]",
	  "start a program whose /dev/shm is the host's", OPTIONS('d', 'o'),
	  "In a guest: starts PROGRAM with a /dev/shm that is the host's, for "
	  "this program and its children only. Requires root, or that the "
	  "device is mounted already. OPTIONS are those of the mount, such as "
	  "uid=1000." },
	{ "send", cmd_send, "[-m MODE] NAME",
	  "send the standard input to a vmshm recv",
	  OPTIONS('d', OPT_DIR, 'm'),
	  "Sends the standard input to 'vmshm recv NAME' in a guest or on the "
	  "host. The two can be started in any order. It ends when the "
	  "receiver has written all data." },
	{ "recv", cmd_recv, "[-m MODE] NAME",
	  "print the data from a vmshm send", OPTIONS('d', OPT_DIR, 'm'),
	  "Writes the data from 'vmshm send NAME' to the standard output. MODE "
	  "is the permission bits of the object, as for create; the default "
	  "is 600." },
	{ "pipe", cmd_pipe, "[-m MODE] NAME",
	  "send and receive, to and from a vmshm pipe",
	  OPTIONS('d', OPT_DIR, 'm'),
	  "Sends the standard input to 'vmshm pipe NAME' on the other side, "
	  "and writes the data from there to the standard output, until both "
	  "inputs have ended." },
	{ "top", cmd_top, "[--json] [--interval SECONDS]",
	  "show which VM and which process has which object",
	  OPTIONS('d', OPT_DIR, OPT_JSON, OPT_INTERVAL),
	  "Shows each object that a process has open or mapped, with the "
	  "process; on a host, the QEMU of a virtual machine has what the "
	  "guest has attached. On a terminal it repeats every 2 seconds, with "
	  "--interval also elsewhere." },
	{ "doctor", cmd_doctor, "[--json]", "find problems of this machine",
	  OPTIONS(OPT_JSON),
	  "Checks what VMShm needs on this machine, and prints the problems "
	  "and the commands that solve them." },
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void print_help(const struct command *c)
{
	size_t i;

	if (c) {
		printf("usage: vmshm %s %s\n\n", c->name, c->arguments);
		print_wrapped(stdout, "", "", c->help);
		printf("\nMore: vmshm --help, man vmshm\n");
		return;
	}
	printf("usage: vmshm [-H|-G] [-d DEVICE] [--dir DIRECTORY] COMMAND "
	       "...\n\n"
	       "Shared memory objects of the host, on the host and in a "
	       "guest with VMShm.\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-8s%s\n", commands[i].name, commands[i].summary);
	printf("\n"
	       "  -H, --host           this machine is the host, not a guest\n"
	       "  -G, --guest          this machine is the guest\n"
	       "  -d, --device DEVICE  the device of a guest, such as vmshm0\n"
	       "      --dir DIRECTORY  the directory of the objects\n"
	       "  -h, --help           this text; after a command, its help\n"
	       "  -V, --version        the version\n\n"
	       "NAME is the name of an object: /frames or frames. Exit codes: "
	       "0 success, 1\nfailure, 2 wrong usage; run: that of the "
	       "program, 126 or 127 if it cannot be\nstarted. More: man "
	       "vmshm\n");
}

static int see_help(const struct command *c)
{
	hint("vmshm %s%s--help", c ? c->name : "", c ? " " : "");
	return EXIT_USAGE;
}

static bool takes(const struct command *c, int option)
{
	const int *own = c ? c->options : NULL;

	if (option == 'H' || option == 'G' ||
	    (!c && (option == 'd' || option == OPT_DIR)))
		return true;
	while (own && *own && *own != option)
		own++;
	return own && *own;
}

static int wrong_option(const struct command *c, int found, const char *word)
{
	const char *what = c ? c->name : "vmshm";
	int letter = found == '?' ? optopt : found;

	if (found == ':')
		error("%s: %s needs a value", what, escaped(word));
	else if (letter && letter < 256 && strncmp(word, "--", 2) != 0)
		error("%s: unknown option -%s", what,
		      escaped((char[]){ letter, '\0' }));
	else
		error("%s: unknown option %s", what, escaped(word));
	return see_help(c);
}

static bool parse_option(int found, struct options *o)
{
	switch (found) {
	case 'H':
		o->side = SIDE_HOST;
		break;
	case 'G':
		o->side = SIDE_GUEST;
		break;
	case 'd':
		/*
		 * As in the source of a mount, the prefix "/dev/" is optional.
		 */
		o->device = strncmp(optarg, "/dev/", 5) ? optarg : optarg + 5;
		if (*o->device && !strchr(o->device, '/'))
			break;
		error("'%s' is not a device, such as vmshm0", escaped(optarg));
		return false;
	case OPT_DIR:
		o->directory = optarg;
		break;
	case 'm':
		return parse_mode(optarg, &o->mode);
	case 'o':
		o->mount_options = optarg;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_INTERVAL:
		return parse_seconds(optarg, &o->interval);
	case OPT_SPARSE:
		o->sparse = true;
		break;
	}
	return true;
}

/* -1: the words begin at argv[optind]; else the exit code */
static int parse_options(const struct command *c, int argc, char **argv,
			 struct options *o)
{
	/* Words after a command or the program of run are not parsed. */
	const char *letters = !c || c->run == cmd_run ? "+:hVHGd:m:o:"
						      : ":hVHGd:m:o:";
	int found;

	opterr = 0;
	optind = 0;
	while ((found = getopt_long(argc, argv, letters, long_options,
				    NULL)) >= 0) {
		const char *word = argv[optind - 1];

		/* The option's value is a separate word. */
		if (optarg == word)
			word = argv[optind - 2];
		if (found == 'h') {
			print_help(c);
			return EXIT_OK;
		}
		if (found == 'V') {
			printf("vmshm %s\n", VMSHM_TOOL_VERSION);
			return EXIT_OK;
		}
		if (found == '?' || found == ':' || !takes(c, found))
			return wrong_option(c, found, word);
		if (!parse_option(found, o))
			return see_help(c);
	}
	return -1;
}

static int run_command_line(int argc, char **argv)
{
	struct options o = { .mode = 0600 };
	const struct command *c;
	int code;

	code = parse_options(NULL, argc, argv, &o);
	if (code >= 0)
		return code;
	hint_command_line(argc, argv, optind);
	argc -= optind;
	argv += optind;
	if (!argc) {
		error("no command given");
		return see_help(NULL);
	}
	c = find_command(argv[0]);
	if (!c) {
		error("unknown command %s", escaped(argv[0]));
		return see_help(NULL);
	}
	code = parse_options(c, argc, argv, &o);
	if (code >= 0)
		return code;
	code = c->run(&o, argc - optind, argv + optind);
	return code == EXIT_USAGE ? see_help(c) : code;
}

/*
 * Opens /dev/null for a closed standard stream, as after "<&-": otherwise the
 * next object that is opened would become the input or output. The direction is
 * the wrong one, so that using the stream is still an error.
 */
static bool fill_closed(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", flags | O_CLOEXEC) != fd)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	int code;

	if (!fill_closed()) {
		error("/dev/null: %s", strerror(errno));
		return EXIT_FAILED;
	}
	code = run_command_line(argc, argv);
	/*
	 * The output is flushed here, so a full disk is detected only now.
	 */
	if (ferror(stdout) || fclose(stdout)) {
		error("the output: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return code;
}
