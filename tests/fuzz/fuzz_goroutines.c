// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hostile goroutines: those of a program made by hand, with bytes of the runtime's code, data, g's, stacks, channels
 * and labels changed as libFuzzer says, before it is opened and between two looks. All that can be asked of them is
 * asked.
 *
 * An input is the number of a program, how many of the changes come before it is opened, and then changes: where (two
 * bytes), how many bytes (one), the bytes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/fake_goroutines.h"
#include "user/golang/goroutines.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define PROGRAMS 4
#define LOOKS_MAX 100 /* until one is complete: time is short, but no look of so few goroutines takes as many */
#define LOOK_NS 1000000000ull
#define HELD_BYTES (512u << 20) /* of as many goroutines as there may be */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uint64_t lm_go_now_ns(void);

static struct fake_go *make_programs(void)
{
	static const struct {
		enum lm_go_format format;
		int minor;
		const char *version;
	} rows[PROGRAMS] = {{LM_GO_FORMAT_1_16, 17, "go1.17"}, {LM_GO_FORMAT_1_18, 19, "go1.19"},
		{LM_GO_FORMAT_1_20, 24, "go1.24"}, {LM_GO_FORMAT_1_20, 26, "go1.26"}};
	struct fake_go *programs = calloc(PROGRAMS, sizeof(*programs));

	for (int i = 0; programs && i < PROGRAMS; i++) {
		fake_make(&programs[i], rows[i].format, rows[i].minor, rows[i].version);
		fake_put_goroutines(&programs[i], lm_go_runtime_layout_of(rows[i].minor));
	}
	return programs;
}

/* Only what is looked at is worth changing. */
static uint32_t place_of(uint32_t number)
{
	static const struct {
		uint32_t start, bytes;
	} ranges[] = {{FAKE_G, FAKE_GS * FAKE_G_STRIDE}, {FAKE_SUDOG, FAKE_GS * FAKE_OBJECT_STRIDE},
		{FAKE_CHANNEL, FAKE_GS * FAKE_OBJECT_STRIDE}, {FAKE_LABELS, 0x100}, {FAKE_ALLGS, 24},
		{FAKE_LIST, FAKE_GS * 8}, {FAKE_REASONS, 0x180}, {FAKE_STACK, FAKE_GS * FAKE_STACK_BYTES},
		{FAKE_TEXT, 0x800}, {FAKE_MODULEDATA, 0x180}, {FAKE_PCLNTAB, 0x2000}};
	uint32_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		sum += ranges[i].bytes;
	number %= sum;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		if (number < ranges[i].bytes)
			return ranges[i].start + number;
		number -= ranges[i].bytes;
	}
	return FAKE_G;
}

struct input {
	const uint8_t *data;
	size_t size;
};

static void change(unsigned char *memory, struct input *input, unsigned times)
{
	while (times-- && input->size > 3) {
		uint32_t place = place_of(input->data[0] | input->data[1] << 8);
		size_t len = input->data[2] % 16 + 1;

		input->data += 3;
		input->size -= 3;
		if (len > input->size)
			len = input->size;
		memcpy(memory + place, input->data, len);
		input->data += len;
		input->size -= len;
	}
}

/* Whatever is told must be within what it may be. */
static void check(struct lm_goroutines *goroutines, const struct lm_go_record *record)
{
	struct lm_go_details details;
	uint64_t creator_pc;
	const uint64_t *pcs;
	bool exact;
	size_t len = lm_goroutines_stack(goroutines, record->stack, &pcs, &creator_pc, &exact);

	if (record->state >= LM_GO_STATES || (record->stack == LM_GO_STACK_NONE && len) ||
		(record->flags & LM_GO_UNWOUND && !len) || (record->state <= LM_GO_MOVED && record->object))
		abort();
	for (size_t i = 0; i < len; i++) {
		if (!pcs[i])
			abort();
	}
	if (lm_goroutines_details(goroutines, record->index, record->goid, &details) &&
		(details.channel.len > details.channel.cap || !memchr(details.labels, 0, sizeof(details.labels))))
		abort();
	lm_goroutines_reason(goroutines, record->reason);
}

static void look(struct lm_goroutines *goroutines)
{
	struct lm_go_record records[16];
	const char *why = NULL;
	int error = -EAGAIN;
	size_t len;

	for (int i = 0; i < LOOKS_MAX && error == -EAGAIN; i++)
		error = lm_goroutines_look(goroutines, lm_go_now_ns() + LOOK_NS, &why);
	if (error == -EAGAIN || (error == -EIO && !why) || lm_goroutines_bytes(goroutines) > HELD_BYTES)
		abort();
	if (error)
		return;
	while ((len = lm_goroutines_changes(goroutines, records, ARRAY_LEN(records)))) {
		for (size_t i = 0; i < len; i++)
			check(goroutines, &records[i]);
	}
}

static void ask(int fd, unsigned char *memory, struct input *input)
{
	static const struct lm_region region = {
		.start = FAKE_IMAGE, .end = FAKE_ETEXT, .module = 1, .executable = true};
	struct lm_goroutines *goroutines;
	struct lm_go_tables *tables;
	const char *why = NULL;
	int error;

	if (lm_go_tables_open(fd, &region, 1, &tables, &why))
		return;
	error = lm_goroutines_new(fd, tables, &region, 1, &goroutines, &why);
	if (error && !why)
		abort();
	if (!error) {
		lm_goroutines_tell_again(goroutines);
		look(goroutines);
		change(memory, input, UINT32_MAX);
		look(goroutines);
		lm_goroutines_tell_again(goroutines);
		look(goroutines);
		lm_goroutines_free(goroutines);
	}
	lm_go_tables_free(tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_go *programs;
	static unsigned char *memory;
	static int fd = -1;
	struct input input = {.data = data + 2, .size = size - 2};

	if (!programs) {
		programs = make_programs();
		fd = memfd_create("memory", MFD_CLOEXEC);
		if (!programs || fd < 0 || ftruncate(fd, FAKE_BYTES))
			abort();
		memory = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			abort();
	}
	if (size < 2)
		return 0;
	memcpy(memory, programs[data[0] % PROGRAMS].bytes, FAKE_BYTES);
	change(memory, &input, data[1] % 8);
	ask(fd, memory, &input);
	return 0;
}
