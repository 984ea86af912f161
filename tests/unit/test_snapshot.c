// SPDX-License-Identifier: GPL-2.0-or-later
/* The names of CONTRACT.md, the arena, and when a report is complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "user/snapshot.h"

static void names_are_those_of_the_contract(void **state)
{
	static const char *const classes[] = {"futex_mutex", "futex_rwlock", "futex_cond", "futex_sem", "futex_barrier",
		"futex_join", "futex_pi", "futex_other", "poll", "socket", "pipe", "file", "disk", "sleep",
		"wait_child", "signal", "io_uring", "stopped", "other",
		/* goroutines */
		"chan_send", "chan_receive", "chan_send_nil", "chan_receive_nil", "select", "select_no_cases", "mutex",
		"rwmutex_read", "rwmutex_write", "cond", "waitgroup", "semaphore", "sleep", "io", "syscall", "other"};
	static const char *const types[] = {"leak", "deadlock", "orphaned_lock", "pileup", "stuck", "connections"};
	static const char *const levels[] = {"none", "suspect", "likely", "confirmed"};

	(void)state;
	assert_int_equal(LM_WAIT_CLASSES, sizeof(classes) / sizeof(classes[0]));
	for (int i = 0; i < LM_WAIT_CLASSES; i++)
		assert_string_equal(lm_wait_class_name(i), classes[i]);
	assert_int_equal(LM_FINDING_TYPES, sizeof(types) / sizeof(types[0]));
	for (int i = 0; i < LM_FINDING_TYPES; i++)
		assert_string_equal(lm_finding_type_name(i), types[i]);
	assert_int_equal(LM_LEVELS, sizeof(levels) / sizeof(levels[0]));
	for (int i = 0; i < LM_LEVELS; i++)
		assert_string_equal(lm_level_name(i), levels[i]);
}

static void a_value_without_a_name_is_survived(void **state)
{
	(void)state;
	assert_string_equal(lm_wait_class_name(LM_WAIT_CLASSES), "other");
	assert_string_equal(lm_level_name((enum lm_level) - 1), "none");
	assert_string_equal(lm_finding_type_name(LM_FINDING_TYPES), "unknown");
}

static void levels_are_parsed_exactly(void **state)
{
	static const char *const wrong[] = {"", "none", "Likely", "likely ", "like", "confirmedx", "1"};
	enum lm_level level = LM_LEVEL_NONE;

	(void)state;
	assert_int_equal(lm_level_parse("suspect", &level), 0);
	assert_int_equal(level, LM_LEVEL_SUSPECT);
	assert_int_equal(lm_level_parse("likely", &level), 0);
	assert_int_equal(level, LM_LEVEL_LIKELY);
	assert_int_equal(lm_level_parse("confirmed", &level), 0);
	assert_int_equal(level, LM_LEVEL_CONFIRMED);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		level = LM_LEVEL_LIKELY;
		assert_int_equal(lm_level_parse(wrong[i], &level), -EINVAL);
		assert_int_equal(level, LM_LEVEL_LIKELY);
	}
}

static void any_single_loss_makes_a_report_incomplete(void **state)
{
	static const size_t offsets[] = {offsetof(struct lm_snapshot_losses, ring_full),
		offsetof(struct lm_snapshot_losses, storage_failed),
		offsetof(struct lm_snapshot_losses, program_missed),
		offsetof(struct lm_snapshot_losses, scan_truncated), offsetof(struct lm_snapshot_losses, torn_reads),
		offsetof(struct lm_snapshot_losses, unwind_failed), offsetof(struct lm_snapshot_losses, symbol_failed),
		offsetof(struct lm_snapshot_losses, skipped_processes)};

	(void)state;
	assert_int_equal(sizeof(struct lm_snapshot_losses), sizeof(offsets) / sizeof(offsets[0]) * sizeof(uint64_t));
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct lm_snapshot snapshot = {0};

		assert_true(lm_snapshot_complete(&snapshot));
		*(uint64_t *)((char *)&snapshot.losses + offsets[i]) = 1;
		assert_false(lm_snapshot_complete(&snapshot));
	}
}

static void memory_of_an_arena_is_zeroed_aligned_and_apart(void **state)
{
	/* sizes around those of a chunk, over several chunks */
	static const size_t sizes[] = {1, 0, 7, 16, 100, 4096, 65000, 65472, 65536, 3, 1 << 20, 1, 30000, 30000, 30000};
	enum { LEN = sizeof(sizes) / sizeof(sizes[0]) };
	struct lm_arena *arena = lm_arena_new();
	unsigned char *blocks[LEN];

	(void)state;
	assert_non_null(arena);
	for (size_t i = 0; i < LEN; i++) {
		blocks[i] = lm_arena_alloc(arena, sizes[i]);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(blocks[i][j], 0);
		memset(blocks[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < LEN; i++) {
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(blocks[i][j], i + 1);
	}
	lm_arena_free(arena);
}

static void what_cannot_be_allocated_is_null(void **state)
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
	struct lm_arena *arena = lm_arena_new();

	(void)state;
	assert_non_null(arena);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_null(lm_arena_alloc(arena, sizes[i]));
	assert_non_null(lm_arena_alloc(arena, 1));
	lm_arena_free(arena);
}

static void texts_are_copied(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	char name[] = "leaky", *copy, *text, *text_len;
	char large[100000];

	(void)state;
	copy = lm_arena_text(arena, name);
	name[0] = 'X';
	assert_string_equal(copy, "leaky");
	assert_null(lm_arena_text(arena, NULL));
	assert_string_equal(lm_arena_text(arena, ""), "");
	text = lm_arena_format(arena, "process %d (%s) ended", 12, copy);
	assert_string_equal(text, "process 12 (leaky) ended");
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	text_len = lm_arena_format(arena, "%s!", large);
	assert_int_equal(strlen(text_len), sizeof(large));
	assert_string_equal(text_len + sizeof(large) - 2, "a!");
	lm_arena_free(arena);
}

static void a_freed_snapshot_is_empty_and_may_lie_in_its_arena(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot snapshot = {.arena = arena, .time_ns = 1}, *inside;

	(void)state;
	snapshot.host = lm_arena_text(arena, "node-7");
	lm_snapshot_free(&snapshot);
	assert_null(snapshot.arena);
	assert_null(snapshot.host);
	assert_int_equal(snapshot.time_ns, 0);
	lm_snapshot_free(&snapshot);
	lm_snapshot_free(NULL);
	lm_arena_free(NULL);
	arena = lm_arena_new();
	inside = lm_arena_alloc(arena, sizeof(*inside));
	inside->arena = arena;
	lm_snapshot_free(inside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_contract),
		cmocka_unit_test(a_value_without_a_name_is_survived),
		cmocka_unit_test(levels_are_parsed_exactly),
		cmocka_unit_test(any_single_loss_makes_a_report_incomplete),
		cmocka_unit_test(memory_of_an_arena_is_zeroed_aligned_and_apart),
		cmocka_unit_test(what_cannot_be_allocated_is_null),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(a_freed_snapshot_is_empty_and_may_lie_in_its_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
