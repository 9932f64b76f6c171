// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The variable VMSHM_DIR: the directory of objects if a program names none.
 *
 * qemu: channels
 * host: address
 */
#define _GNU_SOURCE
#include "library.h"

#define PAGE 4096

static const char *directory(void)
{
	static char path[] = "/tmp/vmshm-test-dir.XXXXXX";

	T_ASSERT(mkdtemp(path));
	return path;
}

T_TEST(the_variable_names_the_directory)
{
	const char *here = directory();
	struct vmshm *a, *b;
	char path[64];

	setenv("VMSHM_DIR", here, 1);
	L_OK(vmshm_open(&a, NULL, "/x", O_RDWR | O_CREAT | O_EXCL, 0600));
	L_OK(vmshm_grow(a, PAGE));
	snprintf(path, sizeof(path), "%s/x", here);
	T_EQ(access(path, F_OK), 0);
	unsetenv("VMSHM_DIR");
	L_OK(vmshm_open(&b, here, "/x", O_RDWR, 0));
	strcpy(l_map(a), "hello");
	T_ASSERT(!strcmp(l_map(b), "hello"));
	vmshm_close(b);
	vmshm_close(a);
	setenv("VMSHM_DIR", here, 1);
	L_OK(vmshm_unlink(NULL, "/x"));
	T_EQ(access(path, F_OK), -1);
	T_EQ(rmdir(here), 0);
}

T_TEST(an_argument_is_stronger)
{
	const char *name = l_name("x");
	struct vmshm *a = l_object(name, PAGE), *b;

	setenv("VMSHM_DIR", "/nowhere", 1);
	L_ERR(vmshm_open(&b, NULL, name, O_RDWR, 0), ENOENT);
	L_OK(vmshm_open(&b, "/dev/shm", name, O_RDWR, 0));
	vmshm_close(b);
	vmshm_close(a);
}

T_TEST(it_is_absolute_or_empty)
{
	const char *name = l_name("x");
	struct vmshm *a = l_object(name, PAGE), *b;

	setenv("VMSHM_DIR", "tmp", 1);
	L_ERR(vmshm_open(&b, NULL, name, O_RDWR, 0), EINVAL);
	setenv("VMSHM_DIR", "vmshm0", 1);
	L_ERR(vmshm_open(&b, NULL, name, O_RDWR, 0), EINVAL);
	setenv("VMSHM_DIR", "", 1);
	L_OK(vmshm_open(&b, NULL, name, O_RDWR, 0));
	vmshm_close(b);
	vmshm_close(a);
}
