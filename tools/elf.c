// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Contents of program files. A file can contain anything: each offset is
 * checked before it is used.
 */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf.h"

static bool map_file(const char *path, char **data, size_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return false;
	*data = MAP_FAILED;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		*size = st.st_size;
		*data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	close(fd);
	return *data != MAP_FAILED;
}

static bool in_file(size_t size, uint64_t offset, uint64_t length)
{
	return offset <= size && length <= size - offset;
}

static void print_id(const unsigned char *bytes, size_t count,
		     char id[BUILD_ID_BYTES])
{
	size_t i;

	for (i = 0; i < count && i < BUILD_ID_BYTES / 2; i++)
		sprintf(id + 2 * i, "%02x", bytes[i]);
}

static uint64_t align(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* The notes of one segment */
static bool find_note(const char *notes, uint64_t size, uint64_t alignment,
		      char id[BUILD_ID_BYTES])
{
	uint64_t at = 0;

	while (in_file(size, at, sizeof(ElfW(Nhdr)))) {
		uint64_t name = at + sizeof(ElfW(Nhdr)), desc;
		ElfW(Nhdr) note;

		memcpy(&note, notes + at, sizeof(note));
		desc = name + align(note.n_namesz, alignment);
		if (!in_file(size, desc, note.n_descsz))
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz) {
			print_id((const unsigned char *)notes + desc,
				 note.n_descsz, id);
			return true;
		}
		at = desc + align(note.n_descsz, alignment);
	}
	return false;
}

static bool find_build_id(const char *data, size_t size,
			  char id[BUILD_ID_BYTES])
{
	ElfW(Ehdr) head;
	size_t i;

	if (size < sizeof(head))
		return false;
	memcpy(&head, data, sizeof(head));
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_ident[EI_DATA] != ELFDATA2LSB ||
	    head.e_phentsize != sizeof(ElfW(Phdr)))
		return false;
	for (i = 0; i < head.e_phnum; i++) {
		uint64_t at = i * sizeof(ElfW(Phdr));
		ElfW(Phdr) p;

		if (!in_file(size, head.e_phoff, at + sizeof(p)))
			return false;
		memcpy(&p, data + head.e_phoff + at, sizeof(p));
		if (p.p_type == PT_NOTE &&
		    in_file(size, p.p_offset, p.p_filesz) &&
		    find_note(data + p.p_offset, p.p_filesz,
			      p.p_align == 8 ? 8 : 4, id))
			return true;
	}
	return false;
}

bool elf_build_id(const char *path, char id[BUILD_ID_BYTES])
{
	size_t size;
	char *data;
	bool found;

	*id = '\0';
	if (!map_file(path, &data, &size))
		return false;
	found = find_build_id(data, size, id);
	munmap(data, size);
	return found;
}

bool file_has_string(const char *path, const char *wanted)
{
	size_t size, len = strlen(wanted) + 1;
	char *data, *found = NULL;

	if (!map_file(path, &data, &size))
		return false;
	do {
		char *from = found ? found + 1 : data;

		found = memmem(from, data + size - from, wanted, len);
		/* "17.2.22" contains "7.2.22". */
	} while (found && found > data && found[-1]);
	munmap(data, size);
	return found;
}
