// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Broken tables of Go programs: one of each format, made by hand, with bytes changed as libFuzzer says. All that can be
 * asked of them is asked.
 *
 * An input is the number of a format and then changes: where (two bytes), how many bytes (one), the bytes.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/fake_go.h"
#include "user/golang/tables.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define FORMATS 5
#define LINES 100
#define FRAMES 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_go *make_formats(void)
{
	static const struct {
		enum lm_go_format format;
		int minor;
		const char *version;
	} rows[FORMATS] = {{LM_GO_FORMAT_1_2, 15, "go1.15"}, {LM_GO_FORMAT_1_16, 17, "go1.17"},
		{LM_GO_FORMAT_1_18, 19, "go1.19"}, {LM_GO_FORMAT_1_20, 25, "go1.25"},
		{LM_GO_FORMAT_1_20, 27, "devel go1.28"}};
	struct fake_go *formats = calloc(FORMATS, sizeof(*formats));

	for (int i = 0; formats && i < FORMATS; i++)
		fake_make(&formats[i], rows[i].format, rows[i].minor, rows[i].version);
	return formats;
}

/* Only what is looked at is worth changing. */
static uint32_t place_of(uint32_t number)
{
	static const struct {
		uint32_t start, bytes;
	} ranges[] = {{FAKE_PCLNTAB, 0x2000}, {FAKE_MODULEDATA, 0x200}, {FAKE_DATA, 0x200}, {FAKE_TREE, 0x80},
		{FAKE_IMAGE, 0x100}, {FAKE_STACK, 0x100}};
	uint32_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		sum += ranges[i].bytes;
	number %= sum;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		if (number < ranges[i].bytes)
			return ranges[i].start + number;
		number -= ranges[i].bytes;
	}
	return FAKE_PCLNTAB;
}

static void change(unsigned char *memory, const uint8_t *data, size_t size)
{
	while (size > 3) {
		uint32_t place = place_of(data[0] | data[1] << 8);
		size_t len = data[2] % 16 + 1;

		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		memcpy(memory + place, data, len);
		data += len;
		size -= len;
	}
}

static void ask(struct lm_go_tables *tables, int fd)
{
	static struct lm_remote remote;
	struct lm_go_function function;
	struct lm_go_line lines[LINES];

	for (uint64_t pc = FAKE_TEXT; pc < FAKE_TEXT + 0x700; pc += 0x1b) {
		struct lm_go_cursor cursor = {.pc = pc, .sp = FAKE_STACK, .exact = pc & 1};
		uint64_t sp = cursor.sp;
		bool complete;

		lm_remote_reset(&remote, fd);
		if (lm_go_tables_lines(tables, pc, pc & 2, lines, LINES) > LINES)
			abort();
		lm_go_tables_function(tables, pc, &function);
		for (int i = 0; i < FRAMES && lm_go_tables_step(tables, &remote, &cursor, &complete); i++) {
			if (cursor.sp <= sp)
				abort();
			sp = cursor.sp;
		}
	}
	if (lm_go_tables_find(tables, "main.main", &function) && strcmp(function.name, "main.main") != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lm_region region = {
		.start = FAKE_IMAGE, .end = FAKE_ETEXT, .module = 1, .executable = true};
	static struct fake_go *formats;
	static unsigned char *memory;
	static int fd = -1;
	struct lm_go_tables *tables;
	const char *why;

	if (!formats) {
		formats = make_formats();
		fd = memfd_create("memory", MFD_CLOEXEC);
		if (!formats || fd < 0 || ftruncate(fd, FAKE_BYTES))
			abort();
		memory = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			abort();
	}
	if (!size)
		return 0;
	memcpy(memory, formats[data[0] % FORMATS].bytes, FAKE_BYTES);
	change(memory, data + 1, size - 1);
	if (lm_go_tables_open(fd, &region, 1, &tables, &why))
		return 0;
	ask(tables, fd);
	lm_go_tables_free(tables);
	return 0;
}
