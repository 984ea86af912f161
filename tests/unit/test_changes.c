// SPDX-License-Identifier: GPL-2.0-or-later
/* What is told of findings from one report to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "user/changes.h"

#define S INT64_C(1000000000)
#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define TOLD_BYTES 1024

static const struct lm_snapshot_process processes[] = {{.pid = 7, .comm = "leaky"}, {.pid = 8, .comm = "other"}};

static struct lm_snapshot_finding finding(const char *id, enum lm_level level, const char *summary)
{
	struct lm_snapshot_finding made = {
		.level = level, .type = LM_FINDING_LEAK, .pid = 7, .site = 0xab, .since_ns = 5 * S, .summary = summary};

	snprintf(made.id, sizeof(made.id), "%s", id);
	return made;
}

static struct lm_snapshot_withdrawn withdrawn(const char *id, int64_t at_ns)
{
	struct lm_snapshot_withdrawn made = {.withdrawn_ns = at_ns, .summary = "it left"};

	snprintf(made.id, sizeof(made.id), "%s", id);
	return made;
}

/* "found a none>likely leaky says; …" */
static void note(const struct lm_change *change, void *context)
{
	char *told = context;
	size_t len = strlen(told);

	snprintf(told + len, TOLD_BYTES - len, "%s%s %s %s>%s %s %s", len ? "; " : "", lm_change_name(change->kind),
		change->id, lm_level_name(change->before), lm_level_name(change->level),
		change->comm ? change->comm : "?", change->summary ? change->summary : "?");
}

struct report {
	double watching_s;
	const struct lm_snapshot_finding *findings;
	size_t findings_len;
	const struct lm_snapshot_withdrawn *withdrawn;
	size_t withdrawn_len;
};

static const char *take(struct lm_changes *changes, int64_t at_ns, struct report report)
{
	static char told[TOLD_BYTES];
	struct lm_snapshot snapshot = {
		.time_ns = at_ns,
		.watching_s = report.watching_s,
		.processes = processes,
		.processes_len = LEN(processes),
		.findings = report.findings,
		.findings_len = report.findings_len,
		.withdrawn = report.withdrawn,
		.withdrawn_len = report.withdrawn_len,
	};

	told[0] = 0;
	assert_int_equal(lm_changes_take(changes, &snapshot, note, told), 0);
	return told;
}

#define TAKE(at_s, ...) take(changes, (at_s)*S, (struct report){.watching_s = 1000, __VA_ARGS__})
#define FINDINGS(array, n) .findings = (array), .findings_len = (n)
#define WITHDRAWN(array) .withdrawn = (array), .withdrawn_len = LEN(array)

static int begin(void **state)
{
	struct lm_changes *changes;

	if (lm_changes_new(&changes))
		return -1;
	*state = changes;
	return 0;
}

static int end(void **state)
{
	lm_changes_free(*state);
	return 0;
}

static void each_change_has_its_name(void **state)
{
	static const char *const names[LM_CHANGES + 1] = {"found", "level", "withdrawn", "ended", "unknown"};

	(void)state;
	for (int i = 0; i <= LM_CHANGES; i++)
		assert_string_equal(lm_change_name(i), names[i]);
}

static void a_finding_is_told_once_when_it_is_new_and_when_its_level_changes(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_SUSPECT, "grows")};

	assert_string_equal(TAKE(10, FINDINGS(now, 1)), "found a none>suspect leaky grows");
	now[0].summary = "grows on";
	assert_string_equal(TAKE(20, FINDINGS(now, 1)), "");
	now[0].level = LM_LEVEL_LIKELY;
	assert_string_equal(TAKE(30, FINDINGS(now, 1)), "level a suspect>likely leaky grows on");
	now[0].level = LM_LEVEL_SUSPECT;
	assert_string_equal(TAKE(40, FINDINGS(now, 1)), "level a likely>suspect leaky grows on");
}

static void what_is_not_there_any_more_has_ended_and_is_told_with_its_last_words(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_LIKELY, "grows")};

	TAKE(10, FINDINGS(now, 1));
	now[0].summary = "grew to 7";
	TAKE(20, FINDINGS(now, 1));
	assert_string_equal(TAKE(30, 0), "ended a likely>likely leaky grew to 7");
	assert_string_equal(TAKE(40, 0), "");
	assert_string_equal(TAKE(50, FINDINGS(now, 1)), "found a none>likely leaky grew to 7");
}

static void what_did_not_hold_is_withdrawn_and_has_not_ended(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_LIKELY, "grows")};
	struct lm_snapshot_withdrawn gone[] = {withdrawn("b", 15 * S), withdrawn("a", 15 * S)};

	TAKE(10, FINDINGS(now, 1));
	assert_string_equal(TAKE(20, WITHDRAWN(gone)), "withdrawn a likely>likely leaky it left");
	assert_string_equal(TAKE(30, WITHDRAWN(gone)), "");
}

/* Times of the wall clock are made anew for each report: it may seem to have been before the last one. */
static void a_clock_that_was_set_does_not_make_a_withdrawal_an_end(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_LIKELY, "grows")};
	struct lm_snapshot_withdrawn gone[] = {withdrawn("a", 19 * S)};

	TAKE(10, FINDINGS(now, 1));
	TAKE(20, FINDINGS(now, 1));
	assert_string_equal(TAKE(30, WITHDRAWN(gone)), "withdrawn a likely>likely leaky it left");
}

/* Withdrawn ones stay in the report for some time. */
static void an_old_withdrawal_says_nothing_of_what_was_found_again(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_LIKELY, "grows")};
	struct lm_snapshot_withdrawn gone[] = {withdrawn("a", 15 * S)};

	TAKE(10, FINDINGS(now, 1));
	TAKE(20, WITHDRAWN(gone));
	assert_string_equal(TAKE(30, FINDINGS(now, 1), WITHDRAWN(gone)), "found a none>likely leaky grows");
	assert_string_equal(TAKE(40, FINDINGS(now, 1), WITHDRAWN(gone)), "");
	assert_string_equal(TAKE(50, WITHDRAWN(gone)), "ended a likely>likely leaky grows");
}

static void changes_come_in_the_order_of_ids_and_what_ended_last(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding first[] = {finding("d", LM_LEVEL_LIKELY, "d"), finding("a", LM_LEVEL_LIKELY, "a"),
		finding("c", LM_LEVEL_SUSPECT, "c"), finding("f", LM_LEVEL_SUSPECT, "f")};
	struct lm_snapshot_finding second[] = {finding("e", LM_LEVEL_LIKELY, "e"), finding("c", LM_LEVEL_LIKELY, "c"),
		finding("b", LM_LEVEL_LIKELY, "b")};
	struct lm_snapshot_withdrawn gone[] = {withdrawn("d", 15 * S), withdrawn("f", 15 * S)};

	TAKE(10, FINDINGS(first, 4));
	assert_string_equal(TAKE(20, FINDINGS(second, 3), WITHDRAWN(gone)),
		"found b none>likely leaky b; level c suspect>likely leaky c; withdrawn d likely>likely leaky it left; "
		"found e none>likely leaky e; withdrawn f suspect>suspect leaky it left; ended a likely>likely leaky "
		"a");
}

static void an_id_that_is_there_twice_is_one_finding(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_LIKELY, "worse"), finding("a", LM_LEVEL_LIKELY, "x")};

	assert_string_equal(TAKE(10, FINDINGS(now, 1)), "found a none>likely leaky worse");
	assert_string_equal(TAKE(20, FINDINGS(now, 2)), "");
	assert_string_equal(TAKE(30, 0), "ended a likely>likely leaky worse");
}

static void a_process_that_is_not_listed_has_no_name(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_LIKELY, NULL)};

	now[0].pid = 99;
	assert_string_equal(TAKE(10, FINDINGS(now, 1)), "found a none>likely ? ?");
}

static void remember(struct lm_changes *changes, const char *id, enum lm_level level)
{
	struct lm_change change = {
		.kind = LM_CHANGE_FOUND, .at_ns = S, .level = level, .comm = "old", .summary = "said before"};

	snprintf(change.id, sizeof(change.id), "%s", id);
	assert_int_equal(lm_changes_remember(changes, &change), 0);
}

static void what_was_there_before_a_restart_is_not_new(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_finding now[] = {finding("a", LM_LEVEL_LIKELY, "a"), finding("b", LM_LEVEL_LIKELY, "b")};

	remember(changes, "b", LM_LEVEL_SUSPECT);
	remember(changes, "a", LM_LEVEL_LIKELY);
	assert_string_equal(take(changes, 10 * S, (struct report){FINDINGS(now, 2)}), "level b suspect>likely leaky b");
	assert_string_equal(take(changes, 20 * S, (struct report){FINDINGS(now, 1)}), "ended b likely>likely leaky b");
}

static void what_is_not_found_again_after_a_restart_ends_when_there_was_time_to_find_it(void **state)
{
	struct lm_changes *changes = *state;

	remember(changes, "a", LM_LEVEL_LIKELY);
	assert_string_equal(take(changes, 10 * S, (struct report){.watching_s = 1}), "");
	assert_string_equal(take(changes, 20 * S, (struct report){.watching_s = LM_CHANGES_GRACE_S - 1}), "");
	assert_string_equal(take(changes, 30 * S, (struct report){.watching_s = LM_CHANGES_GRACE_S}),
		"ended a likely>likely old said before");
}

static void what_is_withdrawn_after_a_restart_is_told_at_once(void **state)
{
	struct lm_changes *changes = *state;
	struct lm_snapshot_withdrawn gone[] = {withdrawn("a", 15 * S)};

	remember(changes, "a", LM_LEVEL_LIKELY);
	assert_string_equal(take(changes, 20 * S, (struct report){.watching_s = 1, WITHDRAWN(gone)}),
		"withdrawn a likely>likely old it left");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_has_its_name),
		TEST(a_finding_is_told_once_when_it_is_new_and_when_its_level_changes),
		TEST(what_is_not_there_any_more_has_ended_and_is_told_with_its_last_words),
		TEST(what_did_not_hold_is_withdrawn_and_has_not_ended),
		TEST(a_clock_that_was_set_does_not_make_a_withdrawal_an_end),
		TEST(an_old_withdrawal_says_nothing_of_what_was_found_again),
		TEST(changes_come_in_the_order_of_ids_and_what_ended_last),
		TEST(an_id_that_is_there_twice_is_one_finding),
		TEST(a_process_that_is_not_listed_has_no_name),
		TEST(what_was_there_before_a_restart_is_not_new),
		TEST(what_is_not_found_again_after_a_restart_ends_when_there_was_time_to_find_it),
		TEST(what_is_withdrawn_after_a_restart_is_told_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
