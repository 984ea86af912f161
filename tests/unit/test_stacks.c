// SPDX-License-Identifier: GPL-2.0-or-later
/* The store of modules, frames and stacks. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/stacks.h"

static int set_up(void **state)
{
	return lm_stacks_new((struct lm_stacks **)state);
}

static int tear_down(void **state)
{
	lm_stacks_free(*state);
	return 0;
}

static const struct lm_module *module_of(struct lm_stacks *stacks, const char *name, const char *build_id)
{
	const struct lm_module *module = NULL;

	assert_int_equal(lm_stacks_module(stacks, name, build_id, 0, &module), 0);
	return module;
}

static const struct lm_frame *frame_at(struct lm_stacks *stacks, const struct lm_module *module, uint64_t offset)
{
	const struct lm_function functions[] = {
		{.name = "inner", .file = "a.c", .line = 3, .inlined = true},
		{.name = "outer"},
	};
	const struct lm_frame frame = {
		.module = module, .offset = offset, .function_start = 64, .functions_len = 2, .functions = functions};
	const struct lm_frame *stored = NULL;

	assert_int_equal(lm_stacks_frame(stacks, &frame, &stored), 0);
	return stored;
}

static const struct lm_stack *stack_of(
	struct lm_stacks *stacks, const struct lm_frame *const *frames, size_t len, enum lm_stack_end end)
{
	const struct lm_stack *stack = NULL;

	assert_int_equal(lm_stacks_intern(stacks, frames, len, end, &stack), 0);
	return stack;
}

static void a_module_is_its_name_its_build_id_and_its_file(void **state)
{
	const struct lm_module *module = module_of(*state, "libc.so.6", "0011"), *other;

	assert_ptr_equal(module_of(*state, "libc.so.6", "0011"), module);
	assert_ptr_not_equal(module_of(*state, "libc.so.6", "0012"), module);
	assert_ptr_not_equal(module_of(*state, "libc.so.6", NULL), module);
	assert_ptr_not_equal(module_of(*state, "0011", NULL), module);
	assert_int_equal(lm_stacks_module(*state, "libc.so.6", "0011", 1, &other), 0);
	assert_ptr_not_equal(other, module);
	assert_string_equal(module->name, "libc.so.6");
	assert_string_equal(module->build_id, "0011");
}

static void a_frame_is_stored_once_with_copies_of_its_texts(void **state)
{
	const struct lm_module *module = module_of(*state, "a", NULL);
	char name[] = "before";
	const struct lm_function function = {.name = name, .line = 9};
	const struct lm_frame frame = {.module = module, .offset = 7, .functions_len = 1, .functions = &function};
	const struct lm_frame *stored, *again;

	assert_null(lm_stacks_find_frame(*state, module, 7));
	assert_int_equal(lm_stacks_frame(*state, &frame, &stored), 0);
	strcpy(name, "after");
	assert_string_equal(stored->functions[0].name, "before");
	assert_null(stored->functions[0].file);
	assert_int_equal(stored->functions[0].line, 9);
	assert_ptr_equal(lm_stacks_find_frame(*state, module, 7), stored);
	assert_int_equal(lm_stacks_frame(*state, &frame, &again), 0);
	assert_ptr_equal(again, stored);
	assert_null(lm_stacks_find_frame(*state, module, 8));
}

static void equal_stacks_are_one_and_differ_by_frames_and_end(void **state)
{
	const struct lm_module *module = module_of(*state, "a", "ff");
	const struct lm_frame *frames[] = {frame_at(*state, module, 1), frame_at(*state, module, 2)};
	const struct lm_frame *turned[] = {frames[1], frames[0]};
	const struct lm_stack *stack = stack_of(*state, frames, 2, LM_STACK_COMPLETE);
	const struct lm_stack *broken = stack_of(*state, frames, 2, LM_STACK_BROKEN);
	const struct lm_stack *shorter = stack_of(*state, frames, 1, LM_STACK_COMPLETE);

	assert_ptr_equal(stack_of(*state, frames, 2, LM_STACK_COMPLETE), stack);
	assert_ptr_equal(stack_of(*state, frames, 2, LM_STACK_BROKEN), broken);
	assert_ptr_not_equal(broken, stack);
	assert_ptr_not_equal(shorter, stack);
	assert_ptr_not_equal(stack_of(*state, turned, 2, LM_STACK_COMPLETE), stack);
	assert_int_equal(broken->end, LM_STACK_BROKEN);
	assert_int_equal(stack->frames_len, 2);
	assert_ptr_equal(stack->frames[1], frames[1]);
}

static void the_hash_is_made_of_build_ids_and_offsets_alone(void **state)
{
	struct lm_stacks *other;
	const struct lm_module *here = module_of(*state, "old-name", "ff"), *there;
	const struct lm_frame *frame = frame_at(*state, here, 5), *foreign;
	const struct lm_stack *stack = stack_of(*state, &frame, 1, LM_STACK_COMPLETE), *equal;

	assert_int_equal(lm_stacks_new(&other), 0);
	there = module_of(other, "new-name", "ff");
	foreign = frame_at(other, there, 5);
	equal = stack_of(other, &foreign, 1, LM_STACK_COMPLETE);
	assert_true(equal->hash == stack->hash);
	foreign = frame_at(other, there, 6);
	equal = stack_of(other, &foreign, 1, LM_STACK_COMPLETE);
	assert_true(equal->hash != stack->hash);
	lm_stacks_free(other);
}

static void a_stack_lives_until_its_last_reference_is_given_back(void **state)
{
	const struct lm_module *module = module_of(*state, "a", NULL);
	const struct lm_frame *frames[] = {frame_at(*state, module, 1), frame_at(*state, module, 1)};
	const struct lm_stack *stack = stack_of(*state, frames, 2, LM_STACK_COMPLETE);

	lm_stack_ref(stack);
	lm_stack_unref(*state, stack);
	assert_ptr_equal(stack_of(*state, frames, 2, LM_STACK_COMPLETE), stack);
	lm_stack_unref(*state, stack);
	lm_stack_unref(*state, stack);
	lm_stack_unref(*state, NULL);
}

/* Sixty-four new frames a stack, all given back at once: what is kept of them is bounded, and the last are kept. */
static void frames_that_no_stack_uses_are_kept_for_a_while_and_bounded(void **state)
{
	const struct lm_module *module = module_of(*state, "a", NULL);
	uint64_t offset = 0, kept = 0;

	for (int round = 0; round < 1000; round++) {
		const struct lm_frame *frames[64];

		for (int i = 0; i < 64; i++)
			frames[i] = frame_at(*state, module, offset++);
		lm_stack_unref(*state, stack_of(*state, frames, 64, LM_STACK_COMPLETE));
	}
	for (uint64_t i = 0; i < offset; i++)
		kept += lm_stacks_find_frame(*state, module, i) != NULL;
	assert_in_range(kept, 1000, 5000);
	assert_non_null(lm_stacks_find_frame(*state, module, offset - 1));
	assert_null(lm_stacks_find_frame(*state, module, 0));
}

static void frames_of_a_stack_outlive_the_ones_that_none_uses(void **state)
{
	const struct lm_module *module = module_of(*state, "a", NULL);
	const struct lm_frame *used = frame_at(*state, module, 1);
	const struct lm_stack *stack = stack_of(*state, &used, 1, LM_STACK_COMPLETE);

	for (uint64_t offset = 2; offset < 20000; offset++) {
		const struct lm_frame *frame = frame_at(*state, module, offset);

		lm_stack_unref(*state, stack_of(*state, &frame, 1, LM_STACK_COMPLETE));
	}
	assert_ptr_equal(lm_stacks_find_frame(*state, module, 1), used);
	assert_string_equal(stack->frames[0]->functions[1].name, "outer");
}

static void a_stack_that_is_too_deep_is_refused(void **state)
{
	const struct lm_frame *frames[LM_STACK_MAX + 1];
	const struct lm_stack *stack = NULL;

	for (int i = 0; i <= LM_STACK_MAX; i++)
		frames[i] = frame_at(*state, module_of(*state, "a", NULL), 1);
	assert_int_equal(lm_stacks_intern(*state, frames, LM_STACK_MAX + 1, LM_STACK_TRUNCATED, &stack), -E2BIG);
	assert_null(stack);
	assert_int_equal(lm_stacks_intern(*state, frames, LM_STACK_MAX, LM_STACK_TRUNCATED, &stack), 0);
}

static void a_stack_without_frames_is_a_stack(void **state)
{
	const struct lm_stack *stack = stack_of(*state, NULL, 0, LM_STACK_BROKEN);

	assert_int_equal(stack->frames_len, 0);
	assert_ptr_equal(stack_of(*state, NULL, 0, LM_STACK_BROKEN), stack);
}

/* One file after the other, each with a stack that goes; returns the bytes in use at the end. */
static size_t use_files(struct lm_stacks *stacks, int from, int to)
{
	for (int i = from; i < to; i++) {
		const struct lm_stack *stack;
		const struct lm_module *module;
		const struct lm_frame *frame;
		char name[32];

		snprintf(name, sizeof(name), "program-%d", i);
		module = module_of(stacks, name, "00112233445566778899");
		frame = frame_at(stacks, module, 16);
		stack = stack_of(stacks, &frame, 1, LM_STACK_COMPLETE);
		lm_stacks_release_module(stacks, module);
		assert_string_equal(stack->frames[0]->module->name, name);
		lm_stack_unref(stacks, stack);
	}
	return mallinfo2().uordblks;
}

static void files_that_come_and_go_take_no_more_memory(void **state)
{
	size_t few = use_files(*state, 0, 10000), many = use_files(*state, 10000, 30000);

	assert_true(many < few + 100000);
}

static void a_module_that_is_held_stays_without_frames(void **state)
{
	const struct lm_module *held = module_of(*state, "held", NULL);

	lm_stacks_hold_module(held);
	lm_stacks_release_module(*state, held);
	use_files(*state, 0, 10000);
	assert_ptr_equal(module_of(*state, "held", NULL), held);
	lm_stacks_release_module(*state, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_module_is_its_name_its_build_id_and_its_file),
		TEST(a_frame_is_stored_once_with_copies_of_its_texts),
		TEST(equal_stacks_are_one_and_differ_by_frames_and_end),
		TEST(the_hash_is_made_of_build_ids_and_offsets_alone),
		TEST(a_stack_lives_until_its_last_reference_is_given_back),
		TEST(frames_that_no_stack_uses_are_kept_for_a_while_and_bounded),
		TEST(frames_of_a_stack_outlive_the_ones_that_none_uses),
		TEST(a_stack_that_is_too_deep_is_refused),
		TEST(a_stack_without_frames_is_a_stack),
		TEST(files_that_come_and_go_take_no_more_memory),
		TEST(a_module_that_is_held_stays_without_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
