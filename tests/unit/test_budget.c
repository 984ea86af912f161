// SPDX-License-Identifier: GPL-2.0-or-later
/* How a daemon keeps within its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/budget.h"

#define MEMORY_MAX 1000
#define STEP_S 10.0

/* A daemon whose looks cost so much of a CPU, measured every 10 s. */
struct machine {
	struct lm_budget budget;
	double at_s, cpu_s;
};

static enum lm_budget_change pass(struct machine *machine, double usual_share, int64_t memory_bytes)
{
	unsigned int slower = machine->budget.slower ? machine->budget.slower : 1;

	machine->at_s += STEP_S;
	machine->cpu_s += usual_share / slower * STEP_S;
	return lm_budget_measure(&machine->budget, machine->at_s, machine->cpu_s, memory_bytes);
}

static struct machine machine_with(uint64_t cpu_limit_permille)
{
	return (struct machine){.budget = {.cpu_limit_permille = cpu_limit_permille, .memory_limit_bytes = MEMORY_MAX}};
}

static void looks_go_further_apart_until_they_cost_little_enough(void **state)
{
	struct machine machine = machine_with(50);

	(void)state;
	assert_int_equal(pass(&machine, 0.5, 1), LM_BUDGET_SAME); /* the first look is dear to everybody */
	for (int i = 0; i < 10; i++)
		pass(&machine, 0.15, 1);
	assert_int_equal(machine.budget.slower, 4);
	assert_int_equal(pass(&machine, 0.15, 1), LM_BUDGET_SAME);
}

static void looks_come_back_when_the_load_is_gone_and_not_at_once(void **state)
{
	struct machine machine = machine_with(50);
	int passes = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		pass(&machine, 0.09, 1);
	assert_int_equal(machine.budget.slower, 2);
	while (machine.budget.slower > 1 && passes < 100) {
		pass(&machine, 0.01, 1);
		passes++;
	}
	assert_int_equal(passes, 6);
	for (int i = 0; i < 20; i++)
		assert_int_equal(pass(&machine, 0.01, 1), LM_BUDGET_SAME);
}

/* Twice as many looks would break the limit again at once. */
static void a_load_near_the_limit_does_not_swing(void **state)
{
	struct machine machine = machine_with(50);

	(void)state;
	for (int i = 0; i < 3; i++)
		pass(&machine, 0.09, 1);
	for (int i = 0; i < 50; i++)
		assert_int_equal(pass(&machine, 0.09, 1), LM_BUDGET_SAME);
}

static void there_is_a_slowest_pace(void **state)
{
	struct machine machine = machine_with(1);

	(void)state;
	for (int i = 0; i < 20; i++)
		pass(&machine, 1, 1);
	assert_int_equal(machine.budget.slower, LM_BUDGET_SLOWEST);
}

static void memory_is_given_up_one_thing_at_a_time(void **state)
{
	struct machine machine = machine_with(0);

	(void)state;
	assert_int_equal(pass(&machine, 1, MEMORY_MAX), LM_BUDGET_SAME);
	assert_int_equal(pass(&machine, 1, MEMORY_MAX + 1), LM_BUDGET_LESS_DEBUGINFO);
	assert_int_equal(pass(&machine, 1, MEMORY_MAX), LM_BUDGET_SAME);
	assert_int_equal(pass(&machine, 1, MEMORY_MAX + 1), LM_BUDGET_LESS_HISTORY);
	assert_int_equal(pass(&machine, 1, MEMORY_MAX + 1), LM_BUDGET_SAME);
}

static void what_is_not_known_or_not_limited_changes_nothing(void **state)
{
	struct machine machine = machine_with(0);

	(void)state;
	assert_int_equal(pass(&machine, 1, -1), LM_BUDGET_SAME);
	machine.budget.memory_limit_bytes = 0;
	assert_int_equal(pass(&machine, 1, INT64_MAX), LM_BUDGET_SAME);
	assert_int_equal(machine.budget.slower, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_go_further_apart_until_they_cost_little_enough),
		cmocka_unit_test(looks_come_back_when_the_load_is_gone_and_not_at_once),
		cmocka_unit_test(a_load_near_the_limit_does_not_swing),
		cmocka_unit_test(there_is_a_slowest_pace),
		cmocka_unit_test(memory_is_given_up_one_thing_at_a_time),
		cmocka_unit_test(what_is_not_known_or_not_limited_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
