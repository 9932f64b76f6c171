/* SPDX-License-Identifier: MIT */
/*
 * What the parts of libvmshm share.
 */
#ifndef VMSHM_LIB_H
#define VMSHM_LIB_H

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <vmshm/vmshm.h>

#define API __attribute__((visibility("default")))

struct poller;

struct vmshm {
	int fd;
	/* Waits through the driver, for it is a guest's */
	bool guest;
	bool node;
	bool writable;
	/* The device was unplugged: an access to the memory is SIGBUS. */
	_Atomic bool gone;
	pthread_mutex_t lock;
	/* Set once, with the lock held */
	void *data;
	size_t size;
	struct poller *poller;
};

/* place.c: the file that is the object, or the node; 0 or -errno */
struct place {
	char path[PATH_MAX];
	bool node;
	/* The object's name with its '/' */
	char name[NAME_MAX + 2];
};

int place_find(const char *where, const char *name, struct place *place);

/* wait.c: of this process alone; @deadline as in vmshm_wait() */
long futex(const void *word, int op, uint32_t value, int64_t deadline);
int64_t now(void);
bool passed(int64_t deadline);
/* The word in this process's memory; EINVAL, EFAULT, or as vmshm_map() */
int host_word(struct vmshm *shm, uint64_t offset, void **word);
/*
 * Whether the first page, which begins with a number for what the object is and
 * its version, is of that kind: 0; -ENODATA: it is blank; -EINVAL: it is not.
 */
int page_kind(void *page, uint32_t magic, uint32_t version);

/* Whether the object has so many bytes, of those that are mapped */
bool has_bytes(struct vmshm *shm, uint64_t size);
/* Whether vmshm_wait() can work; 0 or -errno: -ENODEV if it is gone */
int can_wait(struct vmshm *shm);

/* poll.c */
void poller_free(struct poller *p);

/* A thread that no signal of the program is handled in; 0 or -errno */
int start_thread(pthread_t *thread, void *(*run)(void *), void *arg);

#endif /* VMSHM_LIB_H */
