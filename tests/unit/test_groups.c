// SPDX-License-Identifier: GPL-2.0-or-later
/* What makes two stacks one place, and what groups remember of those who came and left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "user/groups.h"

#define S 1000000000ull
#define FRAMES_MAX 16

struct fixture {
	struct lm_stacks *stacks;
	struct lm_groups groups;
};

/* "module:function@offset", innermost first, ended by NULL */
typedef const char *const description[FRAMES_MAX];

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_int_equal(lm_stacks_new(&fixture->stacks), 0);
	fixture->groups.stacks = fixture->stacks;
	fixture->groups.horizon_ns = 1800 * S;
	fixture->groups.watch_start_ns = 1000 * S;
	fixture->groups.empty_max = 4;
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
	char module_name[32], function_name[64];
	struct lm_function function = {.name = function_name};
	struct lm_frame frame = {.functions_len = 1, .functions = &function};
	const struct lm_frame *stored;
	unsigned offset;

	assert_int_equal(sscanf(text, "%31[^:]:%63[^@]@%x", module_name, function_name, &offset), 3);
	frame.offset = offset;
	/* the build id differs from the name, as on real files */
	assert_int_equal(lm_stacks_module(fixture->stacks, module_name, NULL, 0, &frame.module), 0);
	assert_int_equal(lm_stacks_frame(fixture->stacks, &frame, &stored), 0);
	return stored;
}

static struct lm_group *group_of(struct fixture *fixture, enum lm_wait_class wait_class, description lines)
{
	const struct lm_frame *frames[FRAMES_MAX];
	struct lm_place place = {.process = 1, .wait = {.wait_class = wait_class}};
	struct lm_group *group;
	size_t len = 0;

	for (; lines[len]; len++)
		frames[len] = frame_of(fixture, lines[len]);
	assert_int_equal(lm_stacks_intern(fixture->stacks, frames, len, LM_STACK_COMPLETE, &place.stack), 0);
	assert_int_equal(lm_groups_find(&fixture->groups, &place, &group), 0);
	lm_stack_unref(fixture->stacks, place.stack);
	return group;
}

static void libc_and_the_start_of_threads_do_not_tell_places_apart(void **state)
{
	struct fixture *fixture = *state;
	description old_libc = {"libc.so.6:pthread_cond_wait@100", "app:wait_for_result@20", "app:worker@40",
		"libc.so.6:start_thread@300", NULL};
	description new_libc = {"libc.so.6:__futex_abstimed_wait_common@7", "libc.so.6:pthread_cond_wait@101",
		"app:wait_for_result@20", "app:worker@40", "libc.so.6:start_thread@333", "libc.so.6:clone3@1", NULL};
	description elsewhere = {"libc.so.6:pthread_cond_wait@100", "app:wait_for_result@24", "app:worker@40",
		"libc.so.6:start_thread@300", NULL};
	struct lm_group *group = group_of(fixture, LM_WAIT_FUTEX_COND, old_libc);

	assert_ptr_equal(group, group_of(fixture, LM_WAIT_FUTEX_COND, new_libc));
	assert_ptr_not_equal(group, group_of(fixture, LM_WAIT_FUTEX_COND, elsewhere));
	assert_ptr_not_equal(group, group_of(fixture, LM_WAIT_FUTEX_MUTEX, old_libc));
	assert_string_equal(group->leaf, "wait_for_result");
}

static void recursion_is_folded(void **state)
{
	struct fixture *fixture = *state;
	description once = {"app:leaf@10", "app:walk@20", "app:main@30", NULL};
	description thrice = {"app:leaf@10", "app:walk@20", "app:walk@20", "app:walk@20", "app:main@30", NULL};
	description pair = {"app:leaf@10", "app:a@50", "app:b@60", "app:main@30", NULL};
	description pairs = {"app:leaf@10", "app:a@50", "app:b@60", "app:a@50", "app:b@60", "app:main@30", NULL};

	assert_ptr_equal(group_of(fixture, LM_WAIT_PIPE, once), group_of(fixture, LM_WAIT_PIPE, thrice));
	assert_ptr_equal(group_of(fixture, LM_WAIT_PIPE, pair), group_of(fixture, LM_WAIT_PIPE, pairs));
	assert_ptr_not_equal(group_of(fixture, LM_WAIT_PIPE, once), group_of(fixture, LM_WAIT_PIPE, pair));
}

static void a_stack_of_libc_alone_keeps_its_frames(void **state)
{
	struct fixture *fixture = *state;
	description sleeper = {"libc.so.6:clock_nanosleep@1", "libc.so.6:start_thread@2", NULL};
	description reader = {"libc.so.6:read@5", "libc.so.6:start_thread@2", NULL};

	assert_ptr_not_equal(group_of(fixture, LM_WAIT_OTHER, sleeper), group_of(fixture, LM_WAIT_OTHER, reader));
}

#define BELOW "libc.so.6:pthread_cond_wait@1", "libjvm.so:Parker::park@2"
#define ABOVE                                                                                                          \
	"[java]:java.lang.Thread.run@90", "libjvm.so:JavaCalls::call_helper@91", "libjvm.so:thread_native_entry@92",   \
		"libc.so.6:start_thread@93", NULL

static void a_java_stack_begins_with_the_programs_innermost_method(void **state)
{
	struct fixture *fixture = *state;
	description latch = {BELOW, "[java]:jdk.internal.misc.Unsafe.park@10",
		"[java]:java.util.concurrent.CountDownLatch.await@11", "[java]:com.example.Client.await@12",
		"[java]:com.example.Server.run@13", ABOVE};
	/* another JDK waits in another way */
	description other_jdk = {"libc.so.6:pthread_cond_timedwait@4", "libjvm.so:os::PlatformEvent::park@5",
		"libnet.so:Java_java_net@6", "[java]:sun.misc.Unsafe.park@7", "[java]:com.example.Client.await@12",
		"[java]:com.example.Server.run@13", ABOVE};
	description elsewhere = {BELOW, "[java]:jdk.internal.misc.Unsafe.park@10", "[java]:com.example.Client.await@19",
		"[java]:com.example.Server.run@13", ABOVE};
	struct lm_group *group = group_of(fixture, LM_WAIT_FUTEX_COND, latch);

	assert_string_equal(group->leaf, "com.example.Client.await");
	assert_false(group->idle_worker);
	assert_ptr_equal(group, group_of(fixture, LM_WAIT_FUTEX_COND, other_jdk));
	assert_ptr_not_equal(group, group_of(fixture, LM_WAIT_FUTEX_COND, elsewhere));
	assert_string_equal(lm_place_leaf(group->stack), "com.example.Client.await");
}

/* Reflection and method handles are called in one way at first, in another when they are used often. */
static void how_a_java_method_is_called_does_not_tell_places_apart(void **state)
{
	struct fixture *fixture = *state;
	description first = {BELOW, "[java]:com.example.Client.await@12",
		"[java]:jdk.internal.reflect.NativeMethodAccessorImpl.invoke0@20",
		"[java]:java.lang.reflect.Method.invoke@21", ABOVE};
	description later = {BELOW, "[java]:com.example.Client.await@12",
		"[java]:jdk.internal.reflect.GeneratedMethodAccessor.invoke@22",
		"[java]:java.lang.reflect.Method.invoke@21", ABOVE};
	description directly = {BELOW, "[java]:com.example.Client.await@12", ABOVE};

	assert_ptr_equal(group_of(fixture, LM_WAIT_OTHER, first), group_of(fixture, LM_WAIT_OTHER, later));
	assert_ptr_not_equal(group_of(fixture, LM_WAIT_OTHER, first), group_of(fixture, LM_WAIT_OTHER, directly));
}

static void of_the_jdks_own_threads_the_most_telling_method_is_the_leaf(void **state)
{
	struct fixture *fixture = *state;
	description worker = {BELOW, "[java]:jdk.internal.misc.Unsafe.park@10",
		"[java]:java.util.concurrent.locks.LockSupport.park@11",
		"[java]:java.util.concurrent.LinkedBlockingQueue.take@12",
		"[java]:java.util.concurrent.ThreadPoolExecutor.getTask@13",
		"[java]:java.util.concurrent.ThreadPoolExecutor.runWorker@14", ABOVE};
	description finalizer = {BELOW, "[java]:java.lang.Object.wait@30",
		"[java]:java.lang.ref.ReferenceQueue.remove@31",
		"[java]:java.lang.ref.Finalizer$FinalizerThread.run@32", ABOVE};
	description sleeper = {BELOW, "[java]:java.lang.Thread.sleep@33", NULL};
	struct lm_group *group = group_of(fixture, LM_WAIT_FUTEX_COND, worker);

	assert_string_equal(group->leaf, "java.util.concurrent.ThreadPoolExecutor.getTask");
	assert_true(group->idle_worker);
	group = group_of(fixture, LM_WAIT_FUTEX_COND, finalizer);
	assert_string_equal(group->leaf, "java.lang.ref.ReferenceQueue.remove");
	assert_string_equal(group_of(fixture, LM_WAIT_FUTEX_COND, sleeper)->leaf, "java.lang.Thread.sleep");
}

static void native_code_that_java_calls_and_that_waits_is_the_leaf(void **state)
{
	struct fixture *fixture = *state;
	description lines = {
		"libc.so.6:pthread_cond_wait@1", "librocks.so:rocks_flush@2", "[java]:org.rocks.Db.flush@12", ABOVE};

	assert_string_equal(group_of(fixture, LM_WAIT_FUTEX_COND, lines)->leaf, "rocks_flush");
}

/* Site ids enter bug reports and dashboards: this one must never change. */
static void a_site_id_is_the_same_on_every_machine(void **state)
{
	struct fixture *fixture = *state;
	description lines = {"libc.so.6:read@5", "app:work@1234", "app:main@30", NULL};

	assert_int_equal(group_of(fixture, LM_WAIT_PIPE, lines)->key.site, 0x8e6f3e4b09ffedcf);
}

static void join(struct lm_group *group, struct lm_resident *resident, uint64_t since_ns)
{
	const struct lm_verdict_member member = {.since_ns = since_ns, .born_ns = since_ns};

	resident->wait_since_ns = since_ns;
	assert_int_equal(lm_groups_join(group, resident, &member), 0);
}

static void members_are_counted_and_summed_up(void **state)
{
	struct fixture *fixture = *state;
	description lines = {"app:work@1234", NULL};
	struct lm_group *group = group_of(fixture, LM_WAIT_FUTEX_COND, lines);
	struct lm_resident residents[5] = {0};

	for (int i = 0; i < 5; i++) {
		residents[i] = (struct lm_resident){.has_object = true, .object = i / 2};
		join(group, &residents[i], (998 + i) * S);
	}
	assert_int_equal(lm_group_refresh(group), 0);
	assert_int_equal(group->count, 5);
	assert_int_equal(group->arrived, 2); /* after the watch began at 1000 s */
	assert_int_equal(group->oldest_ns, 998 * S);
	assert_int_equal(group->median_ns, 1000 * S);
	assert_int_equal(group->newest_ns, 1002 * S);
	assert_int_equal(group->objects, 3);
	lm_groups_leave(&fixture->groups, &residents[0], 1100 * S);
	assert_int_equal(group->departed, 1);
	assert_int_equal(group->longest_completed_ns, 102 * S);
	assert_int_equal(group->departures[0], 1); /* older than a minute */
	assert_int_equal(group->departures[1], 0); /* but not than two */
	lm_groups_leave(&fixture->groups, &residents[0], 1100 * S);
	assert_int_equal(group->departed, 1);
	for (int i = 1; i < 5; i++)
		lm_groups_leave(&fixture->groups, &residents[i], 1100 * S);
}

/* Those who stay keep their places, whoever leaves: checked against a list that is kept beside. */
static void random_arrivals_and_departures_leave_the_right_ones(void **state)
{
	struct fixture *fixture = *state;
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261123;
	struct lm_group *group = group_of(fixture, LM_WAIT_FUTEX_COND, (description){"app:work@1234", NULL});
	struct lm_resident residents[200] = {0};
	uint64_t since_ns[200] = {0};
	int64_t count = 0;

	srandom(seed);
	for (int round = 0; round < 20000; round++) {
		int i = random() % 200;

		if (residents[i].group) {
			lm_groups_leave(&fixture->groups, &residents[i], (3000 + round) * S);
			count--;
		} else {
			since_ns[i] = (1001 + round) * S;
			join(group, &residents[i], since_ns[i]);
			count++;
		}
		if (group->count != count)
			print_error("seed %u, round %d\n", seed, round);
		assert_int_equal(group->count, count);
	}
	for (int i = 0; i < 200; i++) {
		if (residents[i].group)
			assert_int_equal(lm_resident_member(&residents[i])->since_ns, since_ns[i]);
		lm_groups_leave(&fixture->groups, &residents[i], 30000 * S);
	}
	assert_int_equal(group->count, 0);
	assert_int_equal(group->arrived, group->departed);
	assert_int_equal(group->completed_len, group->departed);
}

static void a_rate_is_not_made_up(void **state)
{
	struct fixture *fixture = *state;
	description lines = {"app:work@1234", NULL};
	struct lm_group *group = group_of(fixture, LM_WAIT_FUTEX_COND, lines);
	struct lm_resident residents[30] = {0};

	for (int i = 0; i < 30; i++)
		join(group, &residents[i], (900 + i) * S);
	/* a pool may be as old as its process: nobody knows how many have left */
	assert_true(isnan(lm_group_rate_per_h(&fixture->groups, group, 1001 * S, 10 * S)));
	group->verdict.level = LM_LEVEL_SUSPECT;
	assert_true(isnan(lm_group_rate_per_h(&fixture->groups, group, 1001 * S, 10 * S)));
	group->verdict.evidence.retrospective = true;
	/* a process of ten seconds, just watched */
	assert_true(isnan(lm_group_rate_per_h(&fixture->groups, group, 1001 * S, 991 * S)));
	/* an old process: 30 arrivals in the last half hour, and nobody leaves */
	assert_in_range(lm_group_rate_per_h(&fixture->groups, group, 1001 * S, 10 * S), 107, 110); /* 30 in 991 s */
	/* watched for a minute in which nothing came */
	assert_float_equal(lm_group_rate_per_h(&fixture->groups, group, 1061 * S, 10 * S), 0, 1e-9);
	for (int i = 0; i < 30; i++)
		lm_groups_leave(&fixture->groups, &residents[i], 1061 * S);
	assert_float_equal(lm_group_rate_per_h(&fixture->groups, group, 1060 * S, 10 * S), -1800, 1e-9);
}

static void groups_that_are_long_empty_are_let_go(void **state)
{
	struct fixture *fixture = *state;
	struct lm_resident resident = {0};
	char text[32];

	for (int i = 0; i < 20; i++) {
		struct lm_group *group;

		snprintf(text, sizeof(text), "app:f@%x", i + 1);
		group = group_of(fixture, LM_WAIT_PIPE, (description){text, NULL});
		join(group, &resident, 1000 * S);
		lm_groups_leave(&fixture->groups, &resident, (1001 + i) * S);
	}
	lm_groups_tick(&fixture->groups, 1100 * S);
	assert_int_equal(HASH_COUNT(fixture->groups.table), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			libc_and_the_start_of_threads_do_not_tell_places_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(recursion_is_folded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stack_of_libc_alone_keeps_its_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_java_stack_begins_with_the_programs_innermost_method, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			how_a_java_method_is_called_does_not_tell_places_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			of_the_jdks_own_threads_the_most_telling_method_is_the_leaf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			native_code_that_java_calls_and_that_waits_is_the_leaf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_site_id_is_the_same_on_every_machine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(members_are_counted_and_summed_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(random_arrivals_and_departures_leave_the_right_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rate_is_not_made_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(groups_that_are_long_empty_are_let_go, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
