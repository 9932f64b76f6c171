/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the program vmshm share.
 */
#ifndef VMSHM_TOOL_H
#define VMSHM_TOOL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "../lib/mounts.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Exit codes; "run" has those of the program besides. */
enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

enum side { SIDE_AUTO, SIDE_HOST, SIDE_GUEST };

/* What the command line says. */
struct options {
	enum side side;
	/* "vmshm0", or NULL: whatever there is */
	const char *device;
	bool json;
	mode_t mode;
	bool sparse;
	const char *mount_options;
};

/* Commands get the words after their name and options; an exit code. */
int cmd_ls(const struct options *o, int argc, char **argv);
int cmd_info(const struct options *o, int argc, char **argv);
int cmd_create(const struct options *o, int argc, char **argv);
int cmd_rm(const struct options *o, int argc, char **argv);
int cmd_cat(const struct options *o, int argc, char **argv);
int cmd_write(const struct options *o, int argc, char **argv);
int cmd_run(const struct options *o, int argc, char **argv);
int cmd_doctor(const struct options *o, int argc, char **argv);
int cmd_send(const struct options *o, int argc, char **argv);
int cmd_recv(const struct options *o, int argc, char **argv);
int cmd_pipe(const struct options *o, int argc, char **argv);

/*
 * print.c: text for people. A message goes to stderr, each of its lines with
 * "vmshm: " before it; hint() says what to type.
 */
void error(const char *fmt, ...) PRINTF(1, 2);
void hint(const char *fmt, ...) PRINTF(1, 2);
int usage_error(const char *fmt, ...) PRINTF(1, 2);
void print_wrapped(FILE *out, const char *first, const char *next,
		   const char *text);
bool use_colour(FILE *out);
/* These two give static buffers, good for the next seven calls. */
const char *escaped(const char *bytes);
const char *human_size(uint64_t bytes);

/* The length of the UTF-8 character that @s begins with; 0 if it is none. */
size_t utf8_length(const char *s);

/* json.c: one value to stdout, piece by piece; @key is NULL in a list */
void json_begin(const char *key, char bracket);
void json_end(char bracket);
void json_string(const char *key, const char *value);
void json_number(const char *key, uint64_t value);
void json_signed(const char *key, int64_t value);
void json_bool(const char *key, bool value);
void json_null(const char *key);

/* parse.c: words of the command line; false after a message */
#define NAME_BYTES (NAME_MAX + 2)
bool parse_name(const char *arg, char name[NAME_BYTES]);
bool parse_size(const char *arg, const char *what, uint64_t *size);
bool parse_mode(const char *arg, mode_t *mode);

/* files.c: small files of /proc and /sys, and the names of users */
bool read_line(char *line, size_t size, const char *fmt, ...) PRINTF(3, 4);
bool exists(const char *fmt, ...) PRINTF(1, 2);
const char *user_name(uid_t uid);
const char *group_name(gid_t gid);

/* guest.c: what this machine has as a guest */
struct device {
	/* "vmshm0"; empty if no driver has it */
	char name[NAME_MAX + 1];
	/* "0000:00:03.0" */
	char pci[NAME_MAX + 1];
	/* BAR4; no bytes on a device of 2010, start 0: it has no place */
	uint64_t arena_start;
	uint64_t arena_bytes;
};

/* Both give a list that the caller frees, and its length. */
size_t find_devices(struct device **devices);
size_t find_mounts(struct mount **mounts);
bool in_qemu(void);

/* A file of the driver about the device: /sys/class/vmshm/... */
bool device_attribute(const char *device, const char *attribute, char *line,
		      size_t size);
bool device_number(const char *device, const char *attribute, uint64_t *value);

/* place.c: where the objects are */
struct place {
	enum side side;
	char path[PATH_MAX];
	/* Its folder */
	int fd;
};

enum side this_side(const struct options *o);
bool place_open(const struct options *o, struct place *place);
void place_close(struct place *place);

/* The only device, "vmshm0" if there is no better idea */
const char *device_to_use(const struct options *o);
/* Its folder or, of a device that is not mounted, "vmshm0"; for libvmshm */
bool place_or_device(const struct options *o, char where[PATH_MAX]);

/* The object as a file descriptor; -1 after a message. */
int object_open(const struct place *place, const char *name, int flags,
		struct stat *st);
/* Says why something could not be done, by errno. */
void object_error(const struct place *place, const char *name);

/* list.c: the objects of a place, by name; false after a message */
struct entry {
	char name[NAME_BYTES];
	struct stat st;
};

bool list_objects(const struct place *place, struct entry **entries,
		  size_t *count);

/* meet.c: the channel of that name, with both there; NULL after a message */
struct vmshm_channel;

struct vmshm_channel *meet(const struct options *o, const char *name);

/* progress.c: for people at a terminal; else nothing is printed. */
enum direction { SENT, RECEIVED };

/* A line of its own */
void status(const char *fmt, ...) PRINTF(1, 2);
/* A line that is rewritten, and a last one if all is done */
void progress_start(bool both);
void progress_end(bool done);
void progress_add(enum direction direction, size_t bytes);
uint64_t progress_bytes(enum direction direction);

/* doctor.c: what the two parts of the doctor say */
enum verdict { GOOD, DOUBT, BAD };

void finding(enum verdict verdict, const char *check, const char *fmt, ...)
	PRINTF(3, 4);
/* What to type about the last finding */
void advice(const char *fmt, ...) PRINTF(1, 2);
/* doctor-host.c */
bool has_qemu(void);
void examine_host(void);
/* doctor-guest.c */
void examine_guest(void);

#endif /* VMSHM_TOOL_H */
