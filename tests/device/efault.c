// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For LD_PRELOAD: lets ioctl(KVM_RUN) fail as it does on hardware when memory
 * of the guest cannot be accessed. VMSHM_EFAULT names a file of five 64-bit
 * words: how many calls are to fail, whether they are to give the exit reason
 * and the address that follow, and how many have failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LEFT, SETS, REASON, ADDRESS, FAILED, WORDS };

static volatile uint64_t *words(void)
{
	static volatile uint64_t *at;
	const char *path = getenv("VMSHM_EFAULT");
	void *mem;
	int fd;

	if (at || !path)
		return at;
	fd = open(path, O_RDWR | O_CLOEXEC);
	mem = mmap(NULL, WORDS * sizeof(*at), PROT_READ | PROT_WRITE,
		   MAP_SHARED, fd, 0);
	if (mem != MAP_FAILED)
		at = mem;
	return at;
}

static void set_exit(int vcpu, uint32_t reason, uint64_t address)
{
	struct kvm_run *run = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED, vcpu, 0);
	uint64_t fault[3] = { 0, address, 4096 };

	if (run == MAP_FAILED)
		abort();
	run->exit_reason = reason;
	memcpy(&run->hw, fault, sizeof(fault));
	munmap(run, 4096);
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*next)(int, unsigned long, ...);
	volatile uint64_t *w = words();
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!next)
		next = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT,
							       "ioctl");
	if (request != KVM_RUN || !w || !w[LEFT])
		return next(fd, request, arg);
	w[LEFT]--;
	if (w[SETS])
		set_exit(fd, w[REASON], w[ADDRESS]);
	w[FAILED]++;
	if (w[SETS] && w[REASON] == KVM_EXIT_INTERNAL_ERROR)
		return 0;
	errno = EFAULT;
	return -1;
}
