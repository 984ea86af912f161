// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Goroutines of a program whose memory is hostile. Each look must end in time, hold no more
 * memory than the program has goroutines for, and say what could not be known: with a reason,
 * or as a goroutine that moved or was not unwound. A file stands for the memory; it changes
 * between two reads where a test says so, as pread() here is the one that is called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fake_goroutines.h"
#include "user/golang/goroutines.h"
#include "user/golang/interned.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define MINOR 26
#define LOOK_MS 50     /* that a look is given */
#define OVERRUN_MS 500 /* that it may take beyond: sanitizers are slow */
#define CALLS_MAX 5000 /* until a look is complete or has failed */
#define HELD_BYTES (4u << 20)
#define GOROUTINES_MAX 4194304u
#define BIG_LIST 0x100000u /* behind all else */
#define NOWHERE (1ull << 45)

struct fixture {
	struct fake_go fake;
	unsigned char *memory;
	int fd;
	const struct lm_go_runtime_layout *layout;
	struct lm_go_tables *tables;
	struct lm_goroutines *goroutines;
	const char *why;
	struct lm_go_record records[FAKE_GS];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	*state = fixture;
	fixture->fd = memfd_create("memory", MFD_CLOEXEC);
	if (fixture->fd < 0 || ftruncate(fixture->fd, FAKE_BYTES))
		return -1;
	fixture->memory = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fixture->fd, 0);
	fixture->layout = lm_go_runtime_layout_of(MINOR);
	fake_make(&fixture->fake, LM_GO_FORMAT_1_20, MINOR, "go1.26");
	fake_put_goroutines(&fixture->fake, fixture->layout);
	return fixture->memory == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_goroutines_free(fixture->goroutines);
	lm_go_tables_free(fixture->tables);
	munmap(fixture->memory, FAKE_BYTES);
	close(fixture->fd);
	free(fixture);
	return 0;
}

/* What changes behind a read of a certain address. */
static struct {
	unsigned char *memory; /* NULL: nothing does */
	uint64_t read, address, value;
	size_t bytes;
	bool always; /* again at each such read, another value each time */
} change;

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
	ssize_t len = syscall(SYS_pread64, fd, buffer, size, offset);
	uint64_t start = (uint64_t)offset;

	if (!change.memory || len <= 0 || change.read < start || change.read >= start + (size_t)len)
		return len;
	memcpy(change.memory + change.address, &change.value, change.bytes);
	change.value++;
	if (!change.always)
		change.memory = NULL;
	return len;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void put(struct fixture *fixture, uint64_t address, uint64_t value, size_t size)
{
	memcpy(fixture->memory + address, &value, size);
}

static int open_program(struct fixture *fixture)
{
	static const struct lm_region region = {
		.start = FAKE_IMAGE, .end = FAKE_ETEXT, .module = 1, .executable = true};
	uint64_t start_ms = now_ms();
	int error;

	memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
	assert_int_equal(lm_go_tables_open(fixture->fd, &region, 1, &fixture->tables, &fixture->why), 0);
	error = lm_goroutines_new(fixture->fd, fixture->tables, &region, 1, &fixture->goroutines, &fixture->why);
	assert_in_range(now_ms() - start_ms, 0, 4 * OVERRUN_MS);
	return error;
}

static void take_changes(struct fixture *fixture)
{
	struct lm_go_record records[3];
	size_t len;

	while ((len = lm_goroutines_changes(fixture->goroutines, records, ARRAY_LEN(records)))) {
		for (size_t i = 0; i < len; i++) {
			if (records[i].index < FAKE_GS)
				fixture->records[records[i].index] = records[i];
		}
	}
}

/* A whole look, each part of which must end in time. */
static int look(struct fixture *fixture)
{
	int error = -EAGAIN;

	for (int calls = 0; error == -EAGAIN; calls++) {
		uint64_t start_ms = now_ms();

		assert_int_not_equal(calls, CALLS_MAX);
		error = lm_goroutines_look(fixture->goroutines, (start_ms + LOOK_MS) * 1000000, &fixture->why);
		assert_in_range(now_ms() - start_ms, 0, LOOK_MS + OVERRUN_MS);
	}
	if (!error)
		take_changes(fixture);
	return error;
}

static void open_and_look(struct fixture *fixture)
{
	assert_int_equal(open_program(fixture), 0);
	/* there is nothing to be told again yet */
	lm_goroutines_tell_again(fixture->goroutines);
	assert_int_equal(look(fixture), 0);
	assert_in_range(lm_goroutines_bytes(fixture->goroutines), 1, HELD_BYTES);
}

static const struct lm_go_summary *summary(const struct fixture *fixture)
{
	return lm_goroutines_summary(fixture->goroutines);
}

static void what_is_sound_is_read_whole(void **state)
{
	static const enum lm_go_state states[FAKE_GS] = {LM_GO_CHAN_RECEIVE, LM_GO_CHAN_SEND, LM_GO_SELECT, LM_GO_MUTEX,
		LM_GO_SLEEP, LM_GO_IO, LM_GO_CHAN_RECEIVE, LM_GO_CHAN_SEND};
	struct fixture *fixture = *state;
	struct lm_go_details details;
	uint64_t creator_pc;
	const uint64_t *pcs;
	bool exact;

	open_and_look(fixture);
	assert_int_equal(summary(fixture)->goroutines, FAKE_GS);
	assert_int_equal(summary(fixture)->system + summary(fixture)->moved + summary(fixture)->not_unwound, 0);
	for (unsigned i = 0; i < FAKE_GS; i++) {
		const struct lm_go_record *record = &fixture->records[i];

		assert_int_equal(record->state, states[i]);
		assert_int_equal(record->goid, i + 1);
		assert_true(record->flags & LM_GO_UNWOUND);
		assert_int_equal(record->stack_bytes, FAKE_STACK_BYTES);
		assert_int_equal(lm_goroutines_stack(fixture->goroutines, record->stack, &pcs, &creator_pc, &exact),
			FAKE_FRAMES);
	}
	assert_int_equal(fixture->records[0].object, fake_channel(0));
	assert_int_equal(fixture->records[3].object, FAKE_LABELS + 0x400);
	assert_true(lm_goroutines_details(fixture->goroutines, 1, 2, &details));
	assert_int_equal(details.channel.address, fake_channel(1));
	assert_int_equal(details.channel.len, 4);
	assert_int_equal(details.channel.cap, 4);
	assert_int_equal(details.channel.senders, 1);
	assert_int_equal(details.channel.receivers, 0);
	assert_string_equal(details.labels, "key=value");
}

static void a_list_that_makes_no_sense_is_refused_with_a_reason(void **state)
{
	static const struct {
		uint64_t address, len, cap;
		const char *why;
	} rows[] = {
		{FAKE_LIST, 1ull << 60, 1ull << 61, "it has more than 4,194,304 goroutines"},
		{FAKE_LIST, GOROUTINES_MAX + 1, UINT64_MAX, "it has more than 4,194,304 goroutines"},
		{FAKE_LIST, UINT64_MAX, UINT64_MAX, "it has more than 4,194,304 goroutines"},
		{FAKE_LIST, FAKE_GS + 1, FAKE_GS, "the list of its goroutines changes faster than it can be read"},
		{FAKE_LIST, 0, FAKE_GS, "the list of its goroutines is empty"},
		{FAKE_LIST + 1, FAKE_GS, FAKE_GS, "the list of its goroutines makes no sense"},
		{1ull << 63, FAKE_GS, FAKE_GS, "the list of its goroutines makes no sense"},
		{UINT64_MAX - 7, FAKE_GS, FAKE_GS, "the list of its goroutines makes no sense"},
		{NOWHERE, FAKE_GS, FAKE_GS, "the list of its goroutines cannot be read"},
		{FAKE_BYTES - 8, FAKE_GS, FAKE_GS, "the list of its goroutines cannot be read"},
		{FAKE_LIST, GOROUTINES_MAX, GOROUTINES_MAX, "the list of its goroutines cannot be read"},
	};
	struct fixture *fixture = *state;

	assert_int_equal(open_program(fixture), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put(fixture, FAKE_ALLGS, rows[i].address, 8);
		put(fixture, FAKE_ALLGS + 8, rows[i].len, 8);
		put(fixture, FAKE_ALLGS + 16, rows[i].cap, 8);
		fixture->why = NULL;
		assert_int_equal(look(fixture), -EIO);
		assert_non_null(fixture->why);
		assert_string_equal(fixture->why, rows[i].why);
	}
	/* and it is read again once it makes sense */
	memcpy(fixture->memory + FAKE_ALLGS, fixture->fake.bytes + FAKE_ALLGS, 24);
	assert_int_equal(look(fixture), 0);
	assert_int_equal(summary(fixture)->goroutines, FAKE_GS);
}

static void a_list_that_shrinks_or_leaves_is_refused_with_a_reason(void **state)
{
	struct fixture *fixture = *state;

	open_and_look(fixture);
	put(fixture, FAKE_ALLGS + 8, FAKE_GS - 1, 8);
	assert_int_equal(look(fixture), -EIO);
	assert_string_equal(fixture->why, "the list of its goroutines makes no sense");
	put(fixture, FAKE_ALLGS + 8, FAKE_GS, 8);
	put(fixture, FAKE_ALLGS, NOWHERE, 8);
	fixture->why = NULL;
	assert_int_equal(look(fixture), -EIO);
	assert_non_null(fixture->why);
	assert_string_equal(fixture->why, "the list of its goroutines cannot be read");
}

static void addresses_that_lead_nowhere_are_no_goroutines(void **state)
{
	static const uint64_t addresses[] = {0, 1, FAKE_G + 1, NOWHERE, 1ull << 47, 1ull << 63, UINT64_MAX - 7};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		fake_put(&fixture->fake, FAKE_LIST + (i + 1) * 8, addresses[i], 8);
	open_and_look(fixture);
	assert_int_equal(summary(fixture)->goroutines, 1);
	assert_int_equal(fixture->records[0].goid, 1);
	for (int i = 1; i < FAKE_GS; i++)
		assert_int_equal(fixture->records[i].goid, 0);
	/* the last that there was */
	put(fixture, FAKE_LIST, NOWHERE, 8);
	put(fixture, FAKE_LIST + 15 * 8, NOWHERE, 8);
	assert_int_equal(look(fixture), -EIO);
	assert_string_equal(fixture->why, "its memory cannot be read");
}

/* A list as long as may be, all of one address. */
static void fill_list(struct fixture *fixture, uint64_t address)
{
	uint64_t words[8192];

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = address;
	for (size_t i = 0; i < GOROUTINES_MAX / ARRAY_LEN(words); i++)
		assert_int_equal(pwrite(fixture->fd, words, sizeof(words), BIG_LIST + (off_t)(i * sizeof(words))),
			sizeof(words));
	put(fixture, FAKE_ALLGS, BIG_LIST, 8);
	put(fixture, FAKE_ALLGS + 8, GOROUTINES_MAX, 8);
	put(fixture, FAKE_ALLGS + 16, GOROUTINES_MAX, 8);
}

static void millions_that_lead_nowhere_take_no_longer_than_they_may(void **state)
{
	struct fixture *fixture = *state;
	struct lm_goroutines *goroutines;
	uint64_t start_ms;
	int error;

	assert_int_equal(open_program(fixture), 0);
	goroutines = fixture->goroutines;
	fill_list(fixture, NOWHERE);
	/* the list itself is read and sorted first */
	error = lm_goroutines_look(goroutines, 0, &fixture->why);
	assert_int_equal(error, -EAGAIN);
	for (int calls = 0; calls < 10; calls++) {
		start_ms = now_ms();
		error = lm_goroutines_look(goroutines, (start_ms + 1) * 1000000, &fixture->why);
		assert_int_equal(error, -EAGAIN);
		assert_in_range(now_ms() - start_ms, 0, 200);
	}
}

static void a_garbage_g_is_told_as_moved_or_gone(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_go_runtime_layout *layout = fixture->layout;
	const struct {
		uint16_t field;
		uint8_t bytes;
		uint64_t value;
		enum lm_go_state state;
	} rows[] = {
		{layout->g.status, 4, 0xdeadbeef, LM_GO_MOVED},
		{layout->g.status, 4, 5, LM_GO_MOVED},
		{layout->g.status, 4, LM_GO_STATUS_COPYSTACK, LM_GO_MOVED},
		{layout->g.status, 4, LM_GO_STATUS_DEAD, LM_GO_GONE},
		{layout->g.goid, 8, 0, LM_GO_MOVED},
		{layout->g.goid, 8, UINT64_MAX, LM_GO_MOVED},
		{layout->g.stack_lo, 8, UINT64_MAX, LM_GO_MOVED},
		{layout->g.stack_lo, 8, 0x1000 - (1ull << 40), LM_GO_MOVED},
		{layout->g.stack_hi, 8, 0, LM_GO_MOVED},
		{layout->g.stack_hi, 8, UINT64_MAX, LM_GO_MOVED},
		{layout->g.stack_hi, 8, 1ull << 33, LM_GO_MOVED},
		{layout->g.waitreason, 1, 0xff, LM_GO_OTHER},
		{layout->g.waitreason, 1, FAKE_REASONS_LEN, LM_GO_OTHER},
	};

	open_and_look(fixture);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
		put(fixture, fake_g(1) + rows[i].field, rows[i].value, rows[i].bytes);
		lm_goroutines_tell_again(fixture->goroutines);
		put(fixture, fake_g(1) + layout->g.sequence, i + 1, 1); /* it has run meanwhile */
		assert_int_equal(look(fixture), 0);
		assert_int_equal(fixture->records[1].state, rows[i].state);
		assert_int_equal(summary(fixture)->moved, rows[i].state == LM_GO_MOVED);
		assert_int_equal(summary(fixture)->newest_goid, FAKE_GS);
		if (rows[i].state == LM_GO_MOVED) {
			assert_int_equal(fixture->records[1].stack, LM_GO_STACK_NONE);
			assert_int_equal(fixture->records[1].object, 0);
		}
		assert_int_equal(fixture->records[2].state, LM_GO_SELECT);
	}
}

static void what_changes_while_it_is_read_is_told_as_moved(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_go_runtime_layout *layout = fixture->layout;
	const struct {
		uint16_t field;
		uint8_t bytes;
		uint64_t value;
	} rows[] = {
		{layout->g.goid, 8, 99},
		{layout->g.status, 4, LM_GO_STATUS_RUNNING},
		{layout->g.stack_lo, 8, FAKE_STACK},
		{layout->g.stack_hi, 8, FAKE_BYTES},
		{layout->g.sched_sp, 8, FAKE_STACK},
		{layout->g.sched_pc, 8, FAKE_TEXT},
		{layout->g.waiting, 8, 0},
		{layout->g.sequence, 1, 99},
	};

	open_and_look(fixture);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
		put(fixture, fake_g(1) + layout->g.sequence, i + 1, 1);
		change.read = FAKE_STACK + 2 * FAKE_STACK_BYTES - 0x80 + 0x28;
		change.address = fake_g(1) + rows[i].field;
		change.value = rows[i].value;
		change.bytes = rows[i].bytes;
		change.memory = fixture->memory;
		assert_int_equal(look(fixture), 0);
		assert_null(change.memory);
		assert_int_equal(summary(fixture)->moved, 1);
		assert_int_equal(fixture->records[1].state, LM_GO_MOVED);
		assert_int_equal(fixture->records[1].stack, LM_GO_STACK_NONE);
	}
}

static void a_list_that_never_stands_still_is_given_up(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(open_program(fixture), 0);
	change.read = change.address = FAKE_ALLGS + 16;
	change.value = 100;
	change.bytes = 8;
	change.always = true;
	change.memory = fixture->memory;
	assert_int_equal(look(fixture), -EIO);
	change.memory = NULL;
	change.always = false;
	assert_string_equal(fixture->why, "the list of its goroutines changes faster than it can be read");
	/* once is no reason to give up: what was read where the list was is not taken for it */
	change.read = FAKE_LIST;
	change.address = FAKE_ALLGS;
	change.value = FAKE_LABELS + 0x800;
	memcpy(fixture->memory + FAKE_LABELS + 0x800, fixture->memory + FAKE_LIST, 4 * 8);
	change.memory = fixture->memory;
	assert_int_equal(look(fixture), 0);
	assert_null(change.memory);
	assert_int_equal(summary(fixture)->goroutines, 4);
}

static void a_lock_that_makes_no_sense_is_not_known(void **state)
{
	static const uint64_t values[] = {0, 3, FAKE_LABELS + 1, 1ull << 47, UINT64_MAX - 3};
	struct fixture *fixture = *state;
	const struct lm_go_runtime_layout *layout = fixture->layout;

	open_and_look(fixture);
	assert_int_not_equal(fixture->records[3].object, 0);
	assert_null(summary(fixture)->no_objects);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
		put(fixture, fake_sudog(3) + layout->sudog.elem, values[i], 8);
		put(fixture, fake_g(3) + layout->g.sequence, i + 1, 1);
		assert_int_equal(look(fixture), 0);
		assert_int_equal(fixture->records[3].state, LM_GO_MUTEX);
		assert_int_equal(fixture->records[3].object, 0);
		assert_int_equal(fixture->records[3].objects, 0);
		assert_non_null(summary(fixture)->no_objects);
	}
}

static void a_stack_that_cannot_be_followed_is_counted(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_go_runtime_layout *layout = fixture->layout;
	uint64_t lo = FAKE_STACK + FAKE_STACK_BYTES, hi = lo + FAKE_STACK_BYTES, sp = hi - 0x80;
	const struct {
		uint64_t address, value;
		size_t frames;
	} rows[] = {
		{fake_g(1) + layout->g.sched_sp, lo - 8, 0},
		{fake_g(1) + layout->g.sched_sp, hi + 8, 0},
		{fake_g(1) + layout->g.sched_sp, UINT64_MAX, 0},
		{fake_g(1) + layout->g.sched_pc, 0, 0},
		{fake_g(1) + layout->g.sched_pc, NOWHERE, 1},
		{fake_g(1) + layout->g.sched_pc, UINT64_MAX, 1},
		{sp + 0x28, 0, 1},
		{sp + 0x28, UINT64_MAX, 1},
		{sp + 0x48, NOWHERE, 2},
		/* a circle of calls leaves the stack */
		{sp + 0x48, fixture->fake.entries[FAKE_OUTER] + FAKE_OUTER_RETURN, 3},
	};

	open_and_look(fixture);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const uint64_t *pcs;
		uint64_t creator_pc;
		bool exact;

		memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
		put(fixture, rows[i].address, rows[i].value, 8);
		put(fixture, fake_g(1) + layout->g.sequence, i + 1, 1);
		assert_int_equal(look(fixture), 0);
		assert_int_equal(summary(fixture)->not_unwound, 1);
		assert_false(fixture->records[1].flags & LM_GO_UNWOUND);
		assert_int_equal(
			lm_goroutines_stack(fixture->goroutines, fixture->records[1].stack, &pcs, &creator_pc, &exact),
			rows[i].frames);
	}
}

/* A goroutine's stack that is one function after the other, up to its end. */
static void a_stack_of_calls_without_end_is_cut(void **state)
{
	struct fixture *fixture = *state;
	uint64_t lo = FAKE_STACK + FAKE_STACK_BYTES, hi = FAKE_BYTES;
	const uint64_t *pcs;
	uint64_t creator_pc;
	bool exact;

	for (uint64_t at = lo; at < hi; at += 8)
		fake_put(&fixture->fake, at, fixture->fake.entries[FAKE_GOPANIC] + 0x20, 8);
	fake_put(&fixture->fake, fake_g(1) + fixture->layout->g.stack_hi, hi, 8);
	fake_put(&fixture->fake, fake_g(1) + fixture->layout->g.sched_sp, lo, 8);
	open_and_look(fixture);
	assert_int_equal(lm_goroutines_stack(fixture->goroutines, fixture->records[1].stack, &pcs, &creator_pc, &exact),
		LM_GO_FRAMES_MAX);
	assert_false(fixture->records[1].flags & LM_GO_UNWOUND);
}

static void what_a_goroutine_waits_for_is_its_own_or_not_known(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_go_runtime_layout *layout = fixture->layout;
	const struct {
		uint64_t address, value;
	} rows[] = {
		{fake_g(1) + layout->g.waiting, 0},
		{fake_g(1) + layout->g.waiting, 1},
		{fake_g(1) + layout->g.waiting, NOWHERE},
		{fake_g(1) + layout->g.waiting, UINT64_MAX - 7},
		{fake_g(1) + layout->g.waiting, FAKE_BYTES - 8},
		{fake_g(1) + layout->g.waiting, fake_sudog(2)}, /* another's */
		{fake_sudog(1) + layout->sudog.g, fake_g(2)},
		{fake_sudog(1) + layout->sudog.channel, 0},
	};

	open_and_look(fixture);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lm_go_details details;

		memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
		put(fixture, rows[i].address, rows[i].value, 8);
		put(fixture, fake_g(1) + layout->g.sequence, i + 1, 1);
		assert_int_equal(look(fixture), 0);
		assert_int_equal(fixture->records[1].object, 0);
		assert_int_equal(fixture->records[1].objects, 0);
		assert_true(lm_goroutines_details(fixture->goroutines, 1, 2, &details));
		assert_int_equal(details.channel.address, 0);
	}
}

static void a_select_of_cases_in_a_circle_ends(void **state)
{
	struct fixture *fixture = *state;

	fake_put(&fixture->fake, fake_sudog(2) + fixture->layout->sudog.link, fake_sudog(2), 8);
	open_and_look(fixture);
	assert_int_equal(fixture->records[2].object, fake_channel(2));
	assert_in_range(fixture->records[2].objects, 1, 1024);
}

static void a_channel_that_makes_no_sense_is_not_shown(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_go_runtime_layout *layout = fixture->layout;
	const struct {
		uint64_t address, value;
	} rows[] = {
		{fake_channel(1) + layout->channel.qcount, 5},
		{fake_channel(1) + layout->channel.qcount, 1ull << 60},
		{fake_channel(1) + layout->channel.dataqsiz, 0},
		{fake_channel(1) + layout->channel.closed, 0x5555},
		{fake_channel(1) + layout->channel.sendq, NOWHERE},
		{fake_channel(1) + layout->channel.sendq, 1},
		{fake_channel(1) + layout->channel.recvq, UINT64_MAX - 7},
		{fake_sudog(1) + layout->sudog.next, fake_sudog(1)},
		{fake_sudog(1) + layout->sudog.next, fake_sudog(7)}, /* and that leads back, see below */
		{fake_sudog(1) + layout->sudog.channel, NOWHERE},
		{fake_sudog(1) + layout->sudog.channel, UINT64_MAX - 7},
	};

	fake_put(&fixture->fake, fake_sudog(7) + layout->sudog.next, fake_sudog(1), 8);
	open_and_look(fixture);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lm_go_details details;

		memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
		put(fixture, rows[i].address, rows[i].value, 8);
		assert_true(lm_goroutines_details(fixture->goroutines, 1, 2, &details));
		assert_int_equal(details.channel.address, 0);
		assert_int_equal(details.channel.len + details.channel.cap, 0);
		assert_int_equal(details.channel.senders + details.channel.receivers, 0);
	}
}

static void labels_that_make_no_sense_are_left_out(void **state)
{
	static const struct {
		uint64_t address, value;
		const char *labels;
	} rows[] = {
		{FAKE_LABELS, NOWHERE, ""},
		{FAKE_LABELS, UINT64_MAX - 7, ""},
		{FAKE_LABELS + 8, 0, ""},
		{FAKE_LABELS + 0x28, 1ull << 60, ""},
		{FAKE_LABELS + 0x30, NOWHERE, ""},
	};
	struct fixture *fixture = *state;
	struct lm_go_details details;

	open_and_look(fixture);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(fixture->memory, fixture->fake.bytes, FAKE_BYTES);
		put(fixture, rows[i].address, rows[i].value, 8);
		assert_true(lm_goroutines_details(fixture->goroutines, 1, 2, &details));
		assert_string_equal(details.labels, rows[i].labels);
	}
	/* more than there is room for */
	put(fixture, FAKE_LABELS + 0x30, FAKE_PCLNTAB, 8);
	put(fixture, FAKE_LABELS + 0x38, 0x8000, 8);
	put(fixture, FAKE_LABELS + 8, 1ull << 60, 8);
	assert_true(lm_goroutines_details(fixture->goroutines, 1, 2, &details));
	assert_int_equal(strnlen(details.labels, LM_GO_LABELS_MAX), LM_GO_LABELS_MAX - 1);
	assert_false(lm_goroutines_details(fixture->goroutines, UINT32_MAX, 2, &details));
	assert_false(lm_goroutines_details(fixture->goroutines, 1, 3, &details));
	put(fixture, fake_g(1) + fixture->layout->g.goid, 3, 8);
	assert_false(lm_goroutines_details(fixture->goroutines, 1, 2, &details));
}

static void tables_with_wild_offsets_lead_to_no_false_frames(void **state)
{
	struct fixture *fixture = *state;
	uint64_t function = fixture->fake.structs[FAKE_OUTER];
	const struct {
		uint64_t address, value;
		size_t bytes;
	} rows[] = {
		{function, 0xffffffff, 4},            /* where it begins: not as the index has it */
		{function + 16, 0xffffffff, 4},       /* its frame sizes */
		{function + 16, 0, 4},                /* none */
		{FAKE_MODULEDATA + 10 * 8 + 8, 1, 8}, /* their table is shorter than that */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fake_make(&fixture->fake, LM_GO_FORMAT_1_20, MINOR, "go1.26");
		fake_put_goroutines(&fixture->fake, fixture->layout);
		fake_put(&fixture->fake, rows[i].address, rows[i].value, rows[i].bytes);
		open_and_look(fixture);
		assert_int_equal(summary(fixture)->not_unwound, FAKE_GS);
		assert_int_equal(summary(fixture)->goroutines, FAKE_GS);
		lm_goroutines_free(fixture->goroutines);
		lm_go_tables_free(fixture->tables);
		fixture->goroutines = NULL;
		fixture->tables = NULL;
	}
}

/* What costs a moment for one frame costs minutes for all of them. */
static void a_frame_whose_size_takes_too_long_to_find_is_not_known(void **state)
{
	static const size_t lens[] = {1000, 100000};
	struct fixture *fixture = *state;

	assert_int_equal(ftruncate(fixture->fd, 2 * BIG_LIST), 0);
	fake_put(&fixture->fake, fixture->fake.structs[FAKE_OUTER] + 16, BIG_LIST - FAKE_VALUES, 4);
	fake_put(&fixture->fake, FAKE_MODULEDATA + 11 * 8, 2 * BIG_LIST, 8);
	fake_put(&fixture->fake, FAKE_MODULEDATA + 12 * 8, 2 * BIG_LIST, 8);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		static const unsigned char end[] = {0x52, 0x80, 0x04}; /* from -1 to 0x28, for 0x200 bytes */
		static const unsigned char runs[] = {4, 0, 3, 0};      /* up and down, for none */

		for (size_t run = 0; run < lens[i]; run += 2)
			assert_int_equal(pwrite(fixture->fd, runs, sizeof(runs), BIG_LIST + (off_t)run * 2), 4);
		assert_int_equal(pwrite(fixture->fd, end, sizeof(end), BIG_LIST + (off_t)lens[i] * 2), sizeof(end));
		open_and_look(fixture);
		assert_int_equal(summary(fixture)->not_unwound, i ? FAKE_GS : 0);
		lm_goroutines_free(fixture->goroutines);
		lm_go_tables_free(fixture->tables);
		fixture->goroutines = NULL;
		fixture->tables = NULL;
	}
}

static void a_runtime_that_is_not_as_it_is_known_is_refused_with_a_reason(void **state)
{
	struct fixture *fixture = *state;
	uint64_t code = fixture->fake.entries[FAKE_ALLGADD];
	const struct {
		uint64_t address, value;
		size_t bytes;
		int error;
		const char *why;
	} rows[] = {
		{code + 2, 0x1234, 4, -ENOTSUP, "its runtime is laid out in a way that is not known"},
		{code + 9, 0x7fffffff, 4, -ENOTSUP, "the list of its goroutines was not found"},
		{fake_g(0) + fixture->layout->g.startpc, UINT64_MAX, 8, -ENOTSUP,
			"its runtime is laid out in a way that is not known"},
		{FAKE_ALLGS, NOWHERE, 8, -EAGAIN, "its runtime has not started yet"},
		{FAKE_ALLGS + 8, 0, 8, -EAGAIN, "its runtime has not started yet"},
		{FAKE_REASONS + 24, 1ull << 60, 8, -ENOTSUP, "its table of wait reasons was not found"},
		{FAKE_REASONS + 40, 0x800, 8, -ENOTSUP, "its table of wait reasons was not found"},
		{FAKE_REASONS + 16, NOWHERE, 8, -ENOTSUP, "its table of wait reasons was not found"},
		{FAKE_MODULEDATA + fixture->layout->moduledata.data + 8, 1ull << 40, 8, -ENOTSUP,
			"its table of wait reasons was not found"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fake_make(&fixture->fake, LM_GO_FORMAT_1_20, MINOR, "go1.26");
		fake_put_goroutines(&fixture->fake, fixture->layout);
		fake_put(&fixture->fake, rows[i].address, rows[i].value, rows[i].bytes);
		assert_int_equal(open_program(fixture), rows[i].error);
		assert_non_null(fixture->why);
		assert_string_equal(fixture->why, rows[i].why);
		lm_go_tables_free(fixture->tables);
		fixture->tables = NULL;
	}
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		test(what_is_sound_is_read_whole),
		test(a_list_that_makes_no_sense_is_refused_with_a_reason),
		test(a_list_that_shrinks_or_leaves_is_refused_with_a_reason),
		test(addresses_that_lead_nowhere_are_no_goroutines),
		test(millions_that_lead_nowhere_take_no_longer_than_they_may),
		test(a_garbage_g_is_told_as_moved_or_gone),
		test(what_changes_while_it_is_read_is_told_as_moved),
		test(a_list_that_never_stands_still_is_given_up),
		test(a_lock_that_makes_no_sense_is_not_known),
		test(a_stack_that_cannot_be_followed_is_counted),
		test(a_stack_of_calls_without_end_is_cut),
		test(what_a_goroutine_waits_for_is_its_own_or_not_known),
		test(a_select_of_cases_in_a_circle_ends),
		test(a_channel_that_makes_no_sense_is_not_shown),
		test(labels_that_make_no_sense_are_left_out),
		test(tables_with_wild_offsets_lead_to_no_false_frames),
		test(a_frame_whose_size_takes_too_long_to_find_is_not_known),
		test(a_runtime_that_is_not_as_it_is_known_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
