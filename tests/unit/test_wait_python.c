// SPDX-License-Identifier: GPL-2.0-or-later
/* By which frame the stack of a Python program is known, and which of its stacks are one place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/groups.h"
#include "user/wait_python.h"

#define FRAMES_MAX 16

struct fixture {
	struct lm_stacks *stacks;
	struct lm_groups groups;
};

/* "function path line" for Python, "module+offset" for native code; innermost first, ended by NULL. "L/" stands for
 * the standard library's folder. */
typedef const char *const description[FRAMES_MAX];

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(lm_stacks_new(&fixture->stacks), 0);
	fixture->groups.stacks = fixture->stacks;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_groups_free(&fixture->groups);
	lm_stacks_free(fixture->stacks);
	free(fixture);
	return 0;
}

static const struct lm_frame *frame_of(struct fixture *fixture, const char *text)
{
	char name[64], path[128], file[160];
	struct lm_function function = {.name = name, .file = file};
	struct lm_frame frame = {0};
	const struct lm_frame *stored;
	unsigned offset;

	if (sscanf(text, "%63s %127s %u", name, path, &function.line) == 3) {
		if (strncmp(path, "L/", 2) == 0)
			snprintf(file, sizeof(file), "/usr/lib/python3.11/%s", path + 2);
		else
			snprintf(file, sizeof(file), "%s", path);
		frame.python = true;
		frame.functions_len = 1;
		frame.functions = &function;
		frame.offset = lm_stacks_python_offset(name, 1, function.line);
		assert_int_equal(lm_stacks_module(fixture->stacks, strrchr(file, '/') + 1, NULL, 1, &frame.module), 0);
	} else {
		assert_int_equal(sscanf(text, "%63[^+]+%x", name, &offset), 2);
		frame.offset = offset;
		assert_int_equal(lm_stacks_module(fixture->stacks, name, "aa", 1, &frame.module), 0);
	}
	assert_int_equal(lm_stacks_frame(fixture->stacks, &frame, &stored), 0);
	return stored;
}

static struct lm_group *group_of(struct fixture *fixture, description lines)
{
	const struct lm_frame *frames[FRAMES_MAX];
	struct lm_place place = {.process = 1, .wait = {.wait_class = LM_WAIT_FUTEX_SEM}};
	struct lm_group *group;
	size_t len = 0;

	for (; lines[len]; len++)
		frames[len] = frame_of(fixture, lines[len]);
	assert_int_equal(lm_stacks_intern(fixture->stacks, frames, len, LM_STACK_COMPLETE, &place.stack), 0);
	assert_int_equal(lm_groups_find(&fixture->groups, &place, &group), 0);
	lm_stack_unref(fixture->stacks, place.stack);
	return group;
}

#define WAIT "libc.so.6+10", "python3.11+20"
#define START                                                                                                          \
	"Thread.run L/threading.py 975", "Thread._bootstrap_inner L/threading.py 1038",                                \
		"Thread._bootstrap L/threading.py 995", "python3.11+90", "libc.so.6+99", NULL

static void a_stack_is_known_by_its_innermost_frame_that_does_not_only_wait(void **state)
{
	static const struct {
		const char *leaf;
		description lines;
	} cases[] = {
		{"worker", {WAIT, "Condition.wait L/threading.py 320", "worker /app/worker.py 12", "main /app/m.py 3",
				   START}},
		{"fetch", {WAIT, "Condition.wait L/threading.py 320", "Queue.get L/queue.py 171", "fetch /app/f.py 1",
				  START}},
		{"recv_all", {WAIT, "recv_all /app/net.py 12", START}},
		{"load", {WAIT, "run L/asyncio/runners.py 118", "load /app/a.py 9", START}},
		/* what was installed beside the standard library is no part of it */
		{"get", {WAIT, "get L/site-packages/pool/queue.py 12", "main /app/m.py 3", START}},
		{"get", {WAIT, "get /app/queue.py 12", "main /app/m.py 3", START}},
		{"dumps", {WAIT, "dumps L/json/encoder.py 12", "main /app/m.py 3", START}},
		/* nothing but the standard library: what was given to the thread to run */
		{"_worker", {WAIT, "_worker L/concurrent/futures/thread.py 81", START}},
		{"Queue.get", {WAIT, "Condition.wait L/threading.py 320", "Queue.get L/queue.py 171", START}},
		{"Timer.run", {WAIT, "Event.wait L/threading.py 607", "Timer.run L/threading.py 1376",
				      "Thread._bootstrap_inner L/threading.py 1038", NULL}},
		{"Thread.run", {WAIT, START}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(group_of(*state, cases[i].lines)->leaf, cases[i].leaf);
}

static void the_interpreters_frames_and_those_that_wait_tell_no_places_apart(void **state)
{
	struct fixture *fixture = *state;
	description once = {WAIT, "Condition.wait L/threading.py 320", "worker /app/worker.py 12", START};
	description often = {"libc.so.6+11", "python3.11+28", "python3.11+30", "Condition.wait L/threading.py 324",
		"libpython3.11.so.1.0+50", "worker /app/worker.py 12", "python3.11+77", START};
	description line = {WAIT, "Condition.wait L/threading.py 320", "worker /app/worker.py 13", START};
	description name = {WAIT, "Condition.wait L/threading.py 320", "<lambda> /app/worker.py 12", START};
	description through = {
		WAIT, "Condition.wait L/threading.py 320", "worker /app/worker.py 12", "_numpy.so+40", START};
	struct lm_group *group = group_of(fixture, once);

	assert_ptr_equal(group_of(fixture, often), group);
	assert_ptr_not_equal(group_of(fixture, line), group);
	assert_ptr_not_equal(group_of(fixture, name), group);
	assert_ptr_not_equal(group_of(fixture, through), group);
}

static void a_stack_without_python_frames_keeps_the_interpreters(void **state)
{
	struct fixture *fixture = *state;
	description one = {WAIT, "python3.11+30", "libc.so.6+99", NULL};
	description other = {WAIT, "python3.11+34", "libc.so.6+99", NULL};

	assert_ptr_not_equal(group_of(fixture, one), group_of(fixture, other));
}

static void a_pools_worker_is_idle_while_nothing_runs_in_it(void **state)
{
	struct fixture *fixture = *state;
	description idle = {WAIT, "_queue.so+1", "_worker L/concurrent/futures/thread.py 81", START};
	description busy = {WAIT, "job /app/j.py 3", "_WorkItem.run L/concurrent/futures/thread.py 58",
		"_worker L/concurrent/futures/thread.py 83", START};
	description pool = {WAIT, "_queue.so+1", "worker L/multiprocessing/pool.py 114", START};
	description own = {WAIT, "worker /app/multiprocessing/pool.py 115", START};

	assert_true(group_of(fixture, idle)->idle_worker);
	assert_false(group_of(fixture, busy)->idle_worker);
	assert_string_equal(group_of(fixture, busy)->leaf, "job");
	assert_true(group_of(fixture, pool)->idle_worker);
	assert_false(group_of(fixture, own)->idle_worker);
}

/* Like site ids, which are made of them: they must never change. */
static void offsets_are_the_same_on_every_machine_and_whole_numbers_everywhere(void **state)
{
	(void)state;
	assert_true(lm_stacks_python_offset("worker", 10, 12) == 0x1770000a0000cull);
	assert_true(lm_stacks_python_offset("worker", 0xffffffff, 0xffffffff) < 1ull << 53);
	assert_true(lm_stacks_python_offset("a", 10, 12) != lm_stacks_python_offset("b", 10, 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_stack_is_known_by_its_innermost_frame_that_does_not_only_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_interpreters_frames_and_those_that_wait_tell_no_places_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_stack_without_python_frames_keeps_the_interpreters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_pools_worker_is_idle_while_nothing_runs_in_it, set_up, tear_down),
		cmocka_unit_test(offsets_are_the_same_on_every_machine_and_whole_numbers_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
