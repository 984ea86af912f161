// SPDX-License-Identifier: GPL-2.0-or-later
/* How busy a process was: troughs, and what is known after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "user/load.h"

#define S 1000000000ull
#define STEP (60 * S)
#define T0 (5000 * S)

/* Notes that many steps, each with that much CPU time; the first call notes the beginning, too. */
static void run(struct lm_load *load, uint64_t *now_ns, uint64_t *total_ns, int steps, uint64_t cpu_ns)
{
	if (!load->begun_ns)
		lm_load_note(load, *now_ns, STEP, *total_ns);
	for (int i = 0; i < steps; i++) {
		*now_ns += STEP;
		*total_ns += cpu_ns;
		lm_load_note(load, *now_ns, STEP, *total_ns);
	}
}

static void a_trough_is_as_long_as_asked_and_not_before_the_given_time(void **state)
{
	struct lm_load load = {0};
	uint64_t now_ns = T0, total_ns = 0;

	(void)state;
	assert_false(lm_load_had_trough(&load, STEP, 0, STEP));
	run(&load, &now_ns, &total_ns, 10, 30 * S);
	assert_false(lm_load_had_trough(&load, STEP, 0, STEP));
	run(&load, &now_ns, &total_ns, 5, 10 * S);
	assert_true(lm_load_had_trough(&load, STEP, 0, 5 * STEP));
	assert_false(lm_load_had_trough(&load, STEP, 0, 6 * STEP));
	assert_true(lm_load_had_trough(&load, STEP, now_ns - 5 * STEP, 5 * STEP));
	assert_false(lm_load_had_trough(&load, STEP, now_ns - 4 * STEP, 5 * STEP));
}

static void a_peak_before_a_restart_counts_after_it(void **state)
{
	struct lm_load before = {0}, load = {0};
	uint64_t now_ns = T0, total_ns = 0;

	(void)state;
	run(&before, &now_ns, &total_ns, 10, 30 * S);
	now_ns += 3 * STEP / 2;
	total_ns = 5 * S; /* of the threads that are there now */
	run(&load, &now_ns, &total_ns, 4, 10 * S);
	assert_false(lm_load_had_trough(&load, STEP, 0, 4 * STEP)); /* alone it knows of no peak */
	lm_load_resume(&load, &before, STEP);
	assert_true(lm_load_had_trough(&load, STEP, 0, 4 * STEP));
	run(&load, &now_ns, &total_ns, 1, 30 * S);
	assert_false(lm_load_had_trough(&load, STEP, now_ns - STEP, STEP));
	run(&load, &now_ns, &total_ns, 5, 10 * S);
	assert_true(lm_load_had_trough(&load, STEP, 0, 5 * STEP));
}

static void the_time_in_between_is_neither_a_peak_nor_a_trough(void **state)
{
	struct lm_load before = {0}, load = {0};
	uint64_t now_ns = T0, total_ns = 0;

	(void)state;
	run(&before, &now_ns, &total_ns, 10, 30 * S);
	run(&before, &now_ns, &total_ns, 3, 10 * S);
	now_ns += 39 * STEP / 2;
	run(&load, &now_ns, &total_ns, 2, 10 * S);
	lm_load_resume(&load, &before, STEP);
	assert_true(lm_load_had_trough(&load, STEP, 0, 3 * STEP));
	assert_false(lm_load_had_trough(&load, STEP, 0, 4 * STEP));
	/* steps from before look no newer than they are */
	assert_false(lm_load_had_trough(&load, STEP, T0 + 10 * STEP + STEP / 4, 3 * STEP));
	assert_int_equal(load.begun_ns, now_ns);
}

static void a_restart_after_days_leaves_only_what_is_new(void **state)
{
	struct lm_load before = {0}, load = {0};
	uint64_t now_ns = T0, total_ns = 0;

	(void)state;
	run(&before, &now_ns, &total_ns, 10, 30 * S);
	now_ns += 1000000 * STEP;
	run(&load, &now_ns, &total_ns, 2, 10 * S);
	lm_load_resume(&load, &before, STEP);
	assert_false(lm_load_had_trough(&load, STEP, 0, STEP));
	/* the ring is full when it is resumed */
	before = load;
	memset(&load, 0, sizeof(load));
	run(&load, &now_ns, &total_ns, LM_LOAD_STEPS + 5, 10 * S);
	lm_load_resume(&load, &before, STEP);
	assert_false(lm_load_had_trough(&load, STEP, 0, STEP));
	run(&load, &now_ns, &total_ns, 1, 40 * S);
	assert_true(lm_load_had_trough(&load, STEP, 0, (LM_LOAD_STEPS - 1) * STEP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trough_is_as_long_as_asked_and_not_before_the_given_time),
		cmocka_unit_test(a_peak_before_a_restart_counts_after_it),
		cmocka_unit_test(the_time_in_between_is_neither_a_peak_nor_a_trough),
		cmocka_unit_test(a_restart_after_days_leaves_only_what_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
