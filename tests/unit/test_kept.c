// SPDX-License-Identifier: GPL-2.0-or-later
/* What stands of the findings of processes that come and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/kept.h"

#define LEAKY 10
#define QUIET 20
#define SITE 7

/* A report with a finding of LEAKY if it is so, or with that it was withdrawn. */
static struct lm_snapshot report_of(enum lm_level level, bool lives, bool withdrawn)
{
	struct lm_snapshot snapshot = {.arena = lm_arena_new()};
	struct lm_snapshot_process *processes = lm_arena_alloc(snapshot.arena, 2 * sizeof(*processes));
	struct lm_snapshot_finding *finding = lm_arena_alloc(snapshot.arena, sizeof(*finding));
	struct lm_snapshot_site *site = lm_arena_alloc(snapshot.arena, sizeof(*site));
	struct lm_snapshot_withdrawn *taken_back = lm_arena_alloc(snapshot.arena, sizeof(*taken_back));

	processes[snapshot.processes_len++] = (struct lm_snapshot_process){.pid = QUIET, .comm = "quiet"};
	if (lives)
		processes[snapshot.processes_len++] = (struct lm_snapshot_process){.pid = LEAKY, .comm = "leaky"};
	*site = (struct lm_snapshot_site){.pid = LEAKY, .site = SITE, .comm = "leaky", .count = 40};
	*finding = (struct lm_snapshot_finding){.id = "f1",
		.level = level,
		.type = LM_FINDING_LEAK,
		.pid = LEAKY,
		.site = SITE,
		.summary = lm_arena_text(snapshot.arena, "40 threads hang"),
		.wrong_if = "it is a pool"};
	*taken_back = (struct lm_snapshot_withdrawn){.id = "f1", .level = LM_LEVEL_LIKELY, .pid = LEAKY, .site = SITE};
	snapshot.processes = processes;
	snapshot.findings = finding;
	snapshot.findings_len = level != LM_LEVEL_NONE;
	snapshot.totals.findings[level] = level != LM_LEVEL_NONE;
	snapshot.sites = site;
	snapshot.sites_len = lives;
	snapshot.withdrawn = taken_back;
	snapshot.withdrawn_len = withdrawn;
	return snapshot;
}

static void take(struct lm_kept *kept, enum lm_level level, bool lives, bool withdrawn)
{
	struct lm_snapshot snapshot = report_of(level, lives, withdrawn);

	assert_int_equal(lm_kept_take(kept, &snapshot), 0);
}

static int set_up(void **state)
{
	return lm_kept_new((struct lm_kept **)state);
}

static int tear_down(void **state)
{
	lm_kept_free(*state);
	return 0;
}

static void a_finding_of_a_process_that_ended_stands(void **state)
{
	struct lm_kept *kept = *state;
	struct lm_snapshot merged;

	take(kept, LM_LEVEL_LIKELY, true, false);
	for (int i = 0; i < 3; i++)
		take(kept, LM_LEVEL_NONE, false, false);
	assert_int_equal(lm_kept_worst(kept), LM_LEVEL_LIKELY);
	assert_int_equal(lm_kept_last(kept)->findings_len, 0);
	assert_int_equal(lm_kept_merge(kept, &merged), 0);
	assert_int_equal(merged.findings_len, 1);
	assert_string_equal(merged.findings[0].summary, "40 threads hang");
	assert_int_equal(merged.totals.findings[LM_LEVEL_LIKELY], 1);
	assert_int_equal(merged.sites_len, 1);
	assert_int_equal(merged.sites[0].count, 40);
	assert_int_equal(merged.processes_len, 2);
	assert_int_equal(merged.processes[1].pid, LEAKY);
	lm_snapshot_free(&merged);
}

static void a_finding_of_the_last_report_is_told_once(void **state)
{
	struct lm_kept *kept = *state;
	struct lm_snapshot merged;

	take(kept, LM_LEVEL_SUSPECT, true, false);
	take(kept, LM_LEVEL_LIKELY, true, false);
	assert_int_equal(lm_kept_merge(kept, &merged), 0);
	assert_int_equal(merged.findings_len, 1);
	assert_int_equal(merged.findings[0].level, LM_LEVEL_LIKELY);
	assert_int_equal(merged.processes_len, 2);
	assert_int_equal(merged.sites_len, 1);
	lm_snapshot_free(&merged);
}

static void what_no_longer_holds_while_its_process_lives_is_dropped(void **state)
{
	take(*state, LM_LEVEL_CONFIRMED, true, false);
	take(*state, LM_LEVEL_NONE, true, false);
	assert_int_equal(lm_kept_worst(*state), LM_LEVEL_NONE);
}

static void what_was_withdrawn_is_dropped(void **state)
{
	take(*state, LM_LEVEL_CONFIRMED, true, false);
	take(*state, LM_LEVEL_NONE, false, true);
	assert_int_equal(lm_kept_worst(*state), LM_LEVEL_NONE);
}

static void what_came_up_again_since_it_was_withdrawn_stands(void **state)
{
	take(*state, LM_LEVEL_LIKELY, true, false);
	take(*state, LM_LEVEL_LIKELY, true, true);
	assert_int_equal(lm_kept_worst(*state), LM_LEVEL_LIKELY);
}

static void only_findings_of_the_level_are_printed(void **state)
{
	const enum lm_level levels[] = {LM_LEVEL_LIKELY, LM_LEVEL_CONFIRMED};

	take(*state, LM_LEVEL_LIKELY, true, false);
	for (size_t i = 0; i < 2; i++) {
		const struct lm_render_options options = {.min_level = levels[i]};
		char *text = NULL;
		size_t len;
		FILE *memory = open_memstream(&text, &len);

		lm_kept_print(*state, memory, &options);
		fclose(memory);
		assert_int_equal(strstr(text, "LIKELY leak: 40 threads hang") != NULL, levels[i] == LM_LEVEL_LIKELY);
		free(text);
	}
}

static void without_a_report_there_is_nothing_to_merge(void **state)
{
	struct lm_snapshot merged;

	assert_int_equal(lm_kept_merge(*state, &merged), -2); /* ENOENT */
	assert_null(lm_kept_last(*state));
	assert_int_equal(lm_kept_worst(*state), LM_LEVEL_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_finding_of_a_process_that_ended_stands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_finding_of_the_last_report_is_told_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_no_longer_holds_while_its_process_lives_is_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_withdrawn_is_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_came_up_again_since_it_was_withdrawn_stands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_findings_of_the_level_are_printed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_report_there_is_nothing_to_merge, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
