// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Broken ELF files that may be Go programs: an input is a file, which stands for the memory that it is mapped to as
 * well. It is looked for as the worker does, by its sections, then by what is in memory. Its debug information may say
 * how a runtime is laid out.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/golang/binary.h"
#include "user/golang/debug_layout.h"
#include "user/golang/tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is found leads into segments, of which there are not too many. */
static void find(int fd, struct lm_region *region)
{
	struct lm_go_memory memory;
	struct lm_go_binary binary;
	struct lm_go_layout layout;
	char version[32];
	int minor;

	if (lm_go_memory_init(&memory, fd))
		return;
	if (!lm_go_binary_find(&memory, region, 1, &binary)) {
		if (binary.segments_len > LM_GO_SEGMENTS)
			abort();
		if (lm_go_binary_version(&memory, &binary, version, sizeof(version), &minor) &&
			strnlen(version, sizeof(version)) == sizeof(version))
			abort();
		lm_go_binary_layout(&memory, &binary, minor, &layout);
	}
	lm_go_memory_release(&memory);
}

static void open_tables(int fd, struct lm_region *region)
{
	struct lm_go_tables *tables;
	const char *why;
	int error = lm_go_tables_open(fd, region, 1, &tables, &why);

	if (!error)
		lm_go_tables_free(tables);
	else if (error != -ENOEXEC && !why)
		abort();
}

/* Whatever is accepted lies within what is read. */
static void read_layout(struct lm_elf *elf)
{
	struct lm_go_runtime_layout layout = *lm_go_runtime_layout_of(0);
	const uint16_t *fields = &layout.g.stack_lo;

	if (lm_go_debug_layout(elf, &layout))
		return;
	for (; fields < &layout.g.bytes; fields++) {
		if (*fields + 8 > LM_GO_G_MAX_BYTES || *fields + 8 > layout.g.bytes)
			abort();
	}
	for (fields = &layout.sudog.g; fields <= &layout.sudog.next; fields++) {
		if (*fields + 8 > LM_GO_SUDOG_BYTES)
			abort();
	}
	for (fields = &layout.channel.qcount; fields <= &layout.channel.sendq; fields++) {
		if (*fields + 8 > LM_GO_HCHAN_BYTES)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lm_region region = {.end = size, .module = 1, .executable = true};
	int fd = memfd_create("file", MFD_CLOEXEC), file;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	file = dup(fd);
	if (file < 0 || lm_elf_open(file, &region.elf))
		region.elf = NULL;
	if (region.elf)
		read_layout(region.elf);
	find(fd, &region);
	open_tables(fd, &region);
	lm_elf_free(region.elf);
	region.elf = NULL;
	find(fd, &region);
	open_tables(fd, &region);
	close(fd);
	return 0;
}
