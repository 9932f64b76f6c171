// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints the kernel's messages of level "warning" and worse, and the markers
 * that say which test was running, as lines "log LEVEL TEXT".
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	static char record[8192];
	unsigned int prio;
	ssize_t len;
	char *text;
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd < 0) {
		printf("log 0 no /dev/kmsg\n");
		return 1;
	}
	/* One message a read(); "6,339,5140900,-;text\n KEY=value\n" */
	while ((len = read(fd, record, sizeof(record) - 1)) > 0) {
		record[len] = '\0';
		text = strchr(record, ';');
		if (!text || sscanf(record, "%u", &prio) != 1)
			continue;
		text++;
		text[strcspn(text, "\n")] = '\0';
		if ((prio & 7) <= 4 || !strncmp(text, "vmshm-test: ", 12))
			printf("log %u %s\n", prio & 7, text);
	}
	return 0;
}
