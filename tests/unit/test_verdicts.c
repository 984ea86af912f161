// SPDX-License-Identifier: GPL-2.0-or-later
/* The survivor-cohort test on arrivals written by hand. Times in seconds at the default horizon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/verdicts.h"

#define S 1000000000ull
#define HORIZON (1800 * S)
#define MEMBERS_MAX 1000

struct scene {
	struct lm_verdict_input input;
	struct lm_verdict_member members[MEMBERS_MAX];
	uint32_t departures[LM_VERDICT_AGES];
	uint64_t last_departures_ns[LM_VERDICT_AGES];
	struct lm_load load;
};

static struct scene *new_scene(uint64_t process_start_s, uint64_t watch_start_s, uint64_t now_s)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	scene->input = (struct lm_verdict_input){
		.now_ns = now_s * S,
		.watch_start_ns = watch_start_s * S,
		.process_start_ns = process_start_s * S,
		.horizon_ns = HORIZON,
		.members = scene->members,
		.departures = scene->departures,
		.last_departures_ns = scene->last_departures_ns,
	};
	return scene;
}

/* A thread that was born, blocked here at since_s, and has hardly run. */
static void add(struct scene *scene, double born_s, double since_s)
{
	assert_in_range(scene->input.members_len, 0, MEMBERS_MAX - 1);
	scene->members[scene->input.members_len++] = (struct lm_verdict_member){
		.born_ns = born_s * S,
		.since_ns = since_s * S,
		.cpu_ms = 1,
		.switches = 3,
	};
}

static struct lm_verdict judge_and_free(struct scene *scene)
{
	struct lm_verdict verdict;

	lm_verdict_leak(&scene->input, &verdict);
	free(scene);
	return verdict;
}

static void a_steady_leak_that_was_watched_is_suspect(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20600);
	struct lm_verdict verdict;

	(void)state;
	for (int i = 0; i < 20; i++)
		add(scene, 10000, 20000 + 30 * i); /* old workers: births say nothing */
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_SUSPECT);
	assert_false(verdict.evidence.retrospective);
	assert_int_equal(verdict.evidence.survivors, 19); /* one is younger than a minute */
	assert_int_equal(verdict.evidence.cohorts_filled, 5);
	assert_int_equal(verdict.since_ns, 20000 * S);
}

static void a_steady_leak_before_we_came_is_likely_after_one_look(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20000);
	struct lm_verdict verdict;

	(void)state;
	for (int i = 0; i < 280; i++)
		add(scene, 10000 + 35 * i, 10000.012 + 35 * i);
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_LIKELY);
	assert_true(verdict.evidence.retrospective);
}

/* One every minute for so long, by old workers, so that only what was watched counts. */
static struct scene *steady_leak(uint64_t minutes)
{
	struct scene *scene = new_scene(1000, 20000, 20000 + 60 * minutes);

	for (uint64_t i = 0; i < minutes; i++)
		add(scene, 1000, 20010 + 60 * i);
	return scene;
}

/* Busy, then quiet for half an hour. */
static void add_trough(struct scene *scene)
{
	uint64_t start_ns = scene->input.watch_start_ns, total_ns = 0;

	for (uint64_t at_ns = start_ns; at_ns <= scene->input.now_ns; at_ns += 60 * S) {
		bool is_quiet = at_ns > start_ns + 3600 * S && at_ns < start_ns + 5400 * S;

		lm_load_note(&scene->load, at_ns, 60 * S, total_ns);
		total_ns += is_quiet ? 2 * S : 30 * S;
	}
	scene->input.load = &scene->load;
}

static void a_leak_that_was_watched_for_longer_is_likely(void **state)
{
	struct lm_verdict verdict;

	(void)state;
	assert_int_equal(judge_and_free(steady_leak(35)).level, LM_LEVEL_SUSPECT);
	verdict = judge_and_free(steady_leak(45));
	assert_int_equal(verdict.level, LM_LEVEL_LIKELY);
	assert_int_equal(verdict.evidence.cohorts, 8);
	assert_int_equal(verdict.evidence.survivors, 35);
	assert_null(verdict.held_back);
}

static void a_fast_leak_is_likely_within_a_horizon(void **state)
{
	struct scene *scene = new_scene(1000, 20000, 20000 + 13 * 60);

	(void)state;
	for (int i = 0; i < 13 * 60; i++)
		add(scene, 1000, 20001 + i);
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_LIKELY);
}

static void a_leak_is_confirmed_when_nobody_left_while_the_load_was_low(void **state)
{
	struct scene *scene = steady_leak(240);
	struct lm_verdict verdict;

	(void)state;
	assert_int_equal(judge_and_free(steady_leak(240)).level, LM_LEVEL_LIKELY);
	add_trough(scene);
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_CONFIRMED);
	assert_int_equal(verdict.evidence.cohorts, 12);
	/* somebody left after the load went down */
	scene = steady_leak(240);
	add_trough(scene);
	scene->departures[4] = 1;
	scene->last_departures_ns[4] = 20000 * S + 5000 * S;
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_LIKELY);
}

static void a_leak_of_waits_that_end_by_themselves_is_never_confirmed(void **state)
{
	struct scene *scene = steady_leak(240);
	struct lm_verdict verdict;

	(void)state;
	add_trough(scene);
	scene->input.guards = LM_GUARD_TIMEOUTS;
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_LIKELY);
	assert_non_null(strstr(verdict.held_back, "ends by itself"));
}

static void guards_hold_a_verdict_at_suspect(void **state)
{
	struct scene *scene;
	struct lm_verdict verdict;

	(void)state;
	scene = steady_leak(200);
	scene->input.guards = LM_GUARD_IDLE_WORKERS;
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_SUSPECT);
	assert_non_null(strstr(verdict.held_back, "idle workers"));
	scene = steady_leak(257); /* not all of whom are old enough */
	scene->input.guards = LM_GUARD_IDLE_WORKERS;
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_SUSPECT);
	assert_non_null(strstr(verdict.held_back, "idle workers"));
	scene = steady_leak(300); /* too many for a pool that somebody meant */
	scene->input.guards = LM_GUARD_IDLE_WORKERS;
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_LIKELY);
	scene = steady_leak(300);
	scene->input.guards = LM_GUARD_CONNECTIONS;
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_SUSPECT);
	assert_int_equal(verdict.type, LM_FINDING_CONNECTIONS);
	scene = steady_leak(300);
	scene->input.guards = LM_GUARD_CONNECTIONS | LM_GUARD_DEAD_PEERS;
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_LIKELY);
	assert_int_equal(verdict.type, LM_FINDING_CONNECTIONS);
	/* a process of nine minutes */
	scene = new_scene(19460, 19460, 20000);
	for (int i = 0; i < 400; i++)
		add(scene, 19530 + i, 19530.1 + i);
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_SUSPECT);
	assert_string_equal(verdict.held_back, "the process is young");
}

/* Seen for the first time, all in the midst of a wait of some seconds. */
static void timers_that_nobody_cancels_are_likely_after_one_look_and_workers_are_not(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct scene *scene = new_scene(10000, 20000, 20000);
		bool are_timers = kind == 1, are_regular = kind > 0;

		scene->input.sleeps = kind != 2;                       /* the third kind waits for work, as regularly */
		scene->input.longest_completed_ns = kind == 3 ? S : 0; /* the fourth has been seen to leave */

		for (int i = 0; i < 100; i++) {
			double born_s = 10400 + 90 * i;

			add(scene, born_s, 19995 + i % 5);
			scene->members[i].switches = are_regular ? (20000 - born_s) / 10 : 50 + random() % 900;
			scene->members[i].cpu_ms = scene->members[i].switches / 10;
		}
		assert_int_equal(judge_and_free(scene).level, are_timers ? LM_LEVEL_LIKELY : LM_LEVEL_NONE);
	}
}

static void after_a_withdrawal_survivors_must_be_older(void **state)
{
	struct scene *scene = steady_leak(60);

	(void)state;
	scene->input.demanded_age_ns = 700 * S; /* the floor becomes 20 min: 40 min are left, and 30 are enough */
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_LIKELY);
	scene = steady_leak(60);
	scene->input.demanded_age_ns = 1300 * S; /* 40 min */
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_SUSPECT);
}

static void a_pool_started_at_once_is_none(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20600);

	(void)state;
	for (int i = 0; i < 500; i++)
		add(scene, 10000.001 + i * 1e-4, 10000.002 + i * 1e-4);
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

static void workers_that_ran_at_all_times_before_we_came_are_none(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20000);

	(void)state;
	/* born with the process, each last ran at another time: a LIFO pool after a burst */
	for (int i = 0; i < 100; i++)
		add(scene, 10001, 10100 + 90 * i);
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

static void growth_in_one_burst_is_none(void **state)
{
	struct scene *scene = new_scene(10000, 10000, 20000);

	(void)state;
	for (int i = 0; i < 100; i++)
		add(scene, 15000 + i * 0.1, 15000 + i * 0.1);
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

static void a_pool_that_stopped_growing_is_none(void **state)
{
	struct scene *scene = new_scene(10000, 10000, 21600);

	(void)state;
	/* arrivals fill the first two thirds only: none of the last two of five cohorts */
	for (int i = 0; i < 100; i++)
		add(scene, 10100 + i * 60.0, 10100 + i * 60.0);
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

static void survivors_among_many_who_leave_are_none(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20600);

	(void)state;
	for (int i = 0; i < 20; i++)
		add(scene, 10000, 20000 + 30 * i);
	for (int i = 0; i < 4; i++)
		scene->departures[i] = 10; /* 10 of 29 left at the age of ten minutes or more */
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

static void waits_that_usually_last_as_long_are_none(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20600);

	(void)state;
	for (int i = 0; i < 20; i++)
		add(scene, 10000, 20000 + 30 * i);
	scene->input.completed_p99_ns = 300 * S; /* the age floor becomes 20 min, which nobody has reached */
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

static void seven_survivors_are_too_few(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20600);

	(void)state;
	for (int i = 0; i < 7; i++)
		add(scene, 10000, 20001 + 75 * i);
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

static void a_window_under_three_minutes_is_too_short(void **state)
{
	struct scene *scene = new_scene(10000, 20000, 20200);

	(void)state;
	for (int i = 0; i < 100; i++)
		add(scene, 10000, 20000 + i);
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
}

/* Of goroutines a wait is dated by the next collection only, and how often they ran is not known. */
static struct scene *goroutines(bool restless)
{
	struct scene *scene = new_scene(10000, 20000, 20000);

	scene->input.since_is_latest = true;
	for (int i = 0; i < 280; i++) {
		add(scene, 10000 + 35 * i, 13000 + 25 * i);
		if (restless)
			scene->members[i].switches = UINT32_MAX;
	}
	return scene;
}

static void a_stay_that_is_dated_late_may_be_as_old_as_its_goroutine(void **state)
{
	struct scene *scene = goroutines(false);

	(void)state;
	scene->input.since_is_latest = false;
	assert_int_equal(judge_and_free(scene).level, LM_LEVEL_NONE);
	assert_int_equal(judge_and_free(goroutines(false)).level, LM_LEVEL_LIKELY);
	assert_int_equal(judge_and_free(goroutines(true)).level, LM_LEVEL_NONE);
}

static void births_that_are_guessed_make_a_suspicion_only(void **state)
{
	struct scene *scene = goroutines(false);
	struct lm_verdict verdict;

	(void)state;
	scene->input.guards = LM_GUARD_UNDATED;
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_SUSPECT);
	assert_string_equal(verdict.held_back, "no garbage collection has dated these goroutines yet");
	/* what was watched needs no births */
	scene = steady_leak(45);
	scene->input.guards = LM_GUARD_UNDATED;
	verdict = judge_and_free(scene);
	assert_int_equal(verdict.level, LM_LEVEL_LIKELY);
	assert_null(verdict.held_back);
}

/* Random arrivals and departures: the verdict does not change when the horizon and all times are scaled together. */
static void scaling_the_horizon_and_all_times_gives_the_same_verdict(void **state)
{
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261123;
	int levels[LM_LEVELS] = {0};

	(void)state;
	srandom(seed);
	for (int round = 0; round < 300; round++) {
		struct scene *scene = new_scene(10000, 20000, 20200 + random() % 2000);
		struct scene *scaled = new_scene(0, 0, 0);
		struct lm_verdict verdict, scaled_verdict;
		uint64_t divisor = 2 << random() % 6;
		int spacing = 1 + random() % 60;

		for (int i = 0; i < 40; i++) {
			double since_s = 19500 + i * spacing + random() % (1 + spacing);

			if (since_s < scene->input.now_ns / S)
				add(scene, 10000 + random() % 9000, since_s);
		}
		scene->departures[0] = random() % 4;
		*scaled = *scene;
		scaled->input.members = scaled->members;
		scaled->input.departures = scaled->departures;
		scaled->input.last_departures_ns = scaled->last_departures_ns;
		scaled->input.now_ns /= divisor;
		scaled->input.watch_start_ns /= divisor;
		scaled->input.process_start_ns /= divisor;
		scaled->input.horizon_ns /= divisor;
		for (size_t i = 0; i < scaled->input.members_len; i++) {
			scaled->members[i].since_ns /= divisor;
			scaled->members[i].born_ns /= divisor;
		}
		verdict = judge_and_free(scene);
		scaled_verdict = judge_and_free(scaled);
		if (verdict.level != scaled_verdict.level)
			print_error("seed %u, round %d, divisor %d\n", seed, round, (int)divisor);
		assert_int_equal(verdict.level, scaled_verdict.level);
		levels[verdict.level]++;
	}
	/* both outcomes came up, or the comparison says little */
	assert_true(levels[LM_LEVEL_NONE] > 10 && levels[LM_LEVEL_SUSPECT] > 10);
}

static void the_99th_percentile_comes_from_the_histogram(void **state)
{
	uint32_t completed[LM_VERDICT_HISTOGRAM] = {0};

	(void)state;
	completed[20] = 200;
	completed[30] = 1;
	assert_int_equal(lm_verdict_completed_p99(completed, 201, 1ull << 30), 1ull << 21);
	completed[30] = 10;
	assert_int_equal(lm_verdict_completed_p99(completed, 210, 1ull << 30), 1ull << 30);
	/* few completed stays: the longest */
	assert_int_equal(lm_verdict_completed_p99(completed, 19, 77), 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_leak_that_was_watched_is_suspect),
		cmocka_unit_test(a_steady_leak_before_we_came_is_likely_after_one_look),
		cmocka_unit_test(a_leak_that_was_watched_for_longer_is_likely),
		cmocka_unit_test(a_fast_leak_is_likely_within_a_horizon),
		cmocka_unit_test(a_leak_is_confirmed_when_nobody_left_while_the_load_was_low),
		cmocka_unit_test(a_leak_of_waits_that_end_by_themselves_is_never_confirmed),
		cmocka_unit_test(guards_hold_a_verdict_at_suspect),
		cmocka_unit_test(timers_that_nobody_cancels_are_likely_after_one_look_and_workers_are_not),
		cmocka_unit_test(after_a_withdrawal_survivors_must_be_older),
		cmocka_unit_test(a_pool_started_at_once_is_none),
		cmocka_unit_test(workers_that_ran_at_all_times_before_we_came_are_none),
		cmocka_unit_test(growth_in_one_burst_is_none),
		cmocka_unit_test(a_pool_that_stopped_growing_is_none),
		cmocka_unit_test(survivors_among_many_who_leave_are_none),
		cmocka_unit_test(waits_that_usually_last_as_long_are_none),
		cmocka_unit_test(seven_survivors_are_too_few),
		cmocka_unit_test(a_stay_that_is_dated_late_may_be_as_old_as_its_goroutine),
		cmocka_unit_test(births_that_are_guessed_make_a_suspicion_only),
		cmocka_unit_test(a_window_under_three_minutes_is_too_short),
		cmocka_unit_test(scaling_the_horizon_and_all_times_gives_the_same_verdict),
		cmocka_unit_test(the_99th_percentile_comes_from_the_histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
