// SPDX-License-Identifier: GPL-2.0-or-later
/* What survives a restart of leakmon: who stays since when, who has left, what was said; and that broken bytes do no
 * harm. */
#include <errno.h>

#include "monitor_fixture.h"
#include "user/recall.h"

#define THREADS 50
#define MINUTE (60 * S)
#define FIRST (PROCESS_START + 10 * MINUTE) /* the first of them comes */

/* What a history would keep: the bytes of one group. */
struct kept {
	struct lm_monitor *monitor; /* that is restored into */
	void *bytes;
	size_t len;
	int restored;
};

static struct lm_recall_id identify(const struct lm_resident *resident)
{
	const struct lm_thread *thread = lm_thread_of(resident);

	return (struct lm_recall_id){.id = thread->tid, .start_ns = thread->start_ns, .ticks = thread->ticks};
}

static void restore(struct lm_group *group, void *context)
{
	struct kept *kept = context;

	assert_int_equal(lm_recall_restore(group, kept->bytes, kept->len, kept->monitor->now_ns), 0);
	kept->restored++;
}

static struct lm_group *only_group(struct fixture *fixture)
{
	assert_int_equal(HASH_COUNT(fixture->monitor->groups.table), 1);
	return fixture->monitor->groups.table;
}

/* Thread i came i minutes after the first and waits since then. */
static struct lm_thread_record leaked(int i)
{
	struct lm_thread_record record = blocked(200 + i, FIRST + i * MINUTE, 3);

	record.regs.di = i; /* each reads from a descriptor of its own */
	return record;
}

static struct lm_snapshot look_at_leaked(struct fixture *fixture, uint64_t now_ns, int from, int to)
{
	struct lm_thread_record records[THREADS];
	int len = 0;

	for (int i = from; i < to; i++)
		records[len++] = leaked(i);
	/* the fixture unwinds 16 of them at a time */
	for (int i = 0; i < len; i += 16)
		look_at(fixture, now_ns, records, len);
	return report(fixture);
}

/* Watches until all have come, one a minute; returns the last report. */
static struct lm_snapshot watch_them_come(struct fixture *fixture)
{
	struct lm_snapshot snapshot = {0};

	for (int i = 0; i < THREADS; i++) {
		lm_snapshot_free(&snapshot);
		snapshot = look_at_leaked(fixture, FIRST + i * MINUTE + 2 * S, 0, i + 1);
	}
	return snapshot;
}

static void save(struct fixture *fixture, struct kept *kept)
{
	*kept = (struct kept){0};
	assert_int_equal(lm_recall_save(only_group(fixture), identify, fixture->now_ns, &kept->bytes, &kept->len), 0);
}

/* leakmon is started again: a fixture that knows what was kept. */
static struct fixture *restart(struct kept *kept)
{
	struct fixture *fixture;
	void *state;

	assert_int_equal(set_up(&state), 0);
	fixture = state;
	kept->monitor = fixture->monitor;
	fixture->monitor->groups.made = restore;
	fixture->monitor->groups.made_context = kept;
	return fixture;
}

static void end(struct fixture *fixture, struct kept *kept)
{
	void *state = fixture;

	tear_down(&state);
	free(kept->bytes);
}

static void a_finding_goes_on_with_its_name_its_level_and_its_beginning(void **state)
{
	struct fixture *fixture = *state, *again;
	struct lm_snapshot before = watch_them_come(fixture), after;
	struct kept kept;

	assert_int_equal(before.findings_len, 1);
	assert_int_equal(before.findings[0].level, LM_LEVEL_LIKELY);
	assert_false(before.findings[0].evidence.retrospective);
	save(fixture, &kept);
	again = restart(&kept);
	after = look_at_leaked(again, FIRST + THREADS * MINUTE, 0, THREADS);
	assert_int_equal(kept.restored, 1);
	assert_int_equal(after.findings_len, 1);
	assert_string_equal(after.findings[0].id, before.findings[0].id);
	assert_int_equal(after.findings[0].level, before.findings[0].level);
	assert_int_equal(after.findings[0].since_ns, before.findings[0].since_ns);
	assert_false(after.findings[0].evidence.retrospective);
	assert_int_equal(after.sites[0].arrived, before.sites[0].arrived);
	lm_snapshot_free(&before);
	lm_snapshot_free(&after);
	end(again, &kept);
}

static void who_left_meanwhile_has_left(void **state)
{
	struct fixture *fixture = *state, *again;
	struct lm_snapshot before = watch_them_come(fixture), after;
	struct kept kept;

	save(fixture, &kept);
	again = restart(&kept);
	after = look_at_leaked(again, FIRST + THREADS * MINUTE, 10, THREADS);
	assert_int_equal(after.sites[0].departed, 0); /* they may be at a tick */
	lm_snapshot_free(&after);
	after = look_at_leaked(again, FIRST + THREADS * MINUTE + 20 * S, 10, THREADS);
	assert_int_equal(after.sites[0].count, THREADS - 10);
	assert_int_equal(after.sites[0].departed, 10);
	assert_int_equal(after.sites[0].arrived, before.sites[0].arrived);
	assert_int_equal(only_group(again)->departures[0], 10); /* older than a minute, all of them */
	lm_snapshot_free(&after);
	/* a fifth of those that the finding rested on: it is withdrawn */
	after = look_at_leaked(again, FIRST + THREADS * MINUTE + 30 * S, 10, THREADS);
	assert_int_equal(after.withdrawn_len, 1);
	assert_int_equal(after.findings_len, 0);
	lm_snapshot_free(&before);
	lm_snapshot_free(&after);
	end(again, &kept);
}

static void who_has_run_meanwhile_stays_since_then_unless_it_only_ticks(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot snapshot = watch_them_come(fixture);
	struct lm_group *group = only_group(fixture);
	struct kept kept;
	uint64_t saved_ns = fixture->now_ns, since_ns = 0;

	lm_thread_of(group->residents[1])->ticks = true;
	save(fixture, &kept);
	free(group->recalled);
	assert_int_equal(lm_recall_restore(group, kept.bytes, kept.len, saved_ns + S), 0);
	assert_false(lm_recall_since(group, identify(group->residents[0]), saved_ns + 1, &since_ns));
	assert_true(lm_recall_since(group, identify(group->residents[0]), saved_ns - 1, &since_ns));
	assert_int_equal(since_ns, group->members[0].since_ns);
	assert_true(lm_recall_since(group, identify(group->residents[1]), saved_ns + 1, &since_ns));
	assert_int_equal(since_ns, group->members[1].since_ns);
	/* once each, and nobody else's */
	assert_false(lm_recall_since(group, identify(group->residents[1]), saved_ns - 1, &since_ns));
	assert_false(lm_recall_since(group, (struct lm_recall_id){.id = 200, .start_ns = 1}, 0, &since_ns));
	free(kept.bytes);
	lm_snapshot_free(&snapshot);
}

static void what_has_not_changed_is_not_written_again(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot snapshot = watch_them_come(fixture);
	struct lm_group *group = only_group(fixture);
	struct kept kept;

	assert_true(lm_recall_is_due(group, fixture->now_ns));
	save(fixture, &kept);
	assert_false(lm_recall_is_due(group, fixture->now_ns + 3600 * S));
	assert_true(lm_recall_is_due(group, fixture->now_ns + 86400 * S)); /* before the history drops it */
	lm_snapshot_free(&snapshot);
	snapshot = look_at_leaked(fixture, FIRST + THREADS * MINUTE + 2 * S, 1, THREADS);
	assert_true(lm_recall_is_due(group, fixture->now_ns));
	free(kept.bytes);
	lm_snapshot_free(&snapshot);
}

static void broken_bytes_change_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot snapshot = watch_them_come(fixture);
	struct lm_group group = {.watch_start_ns = 7};
	struct kept kept;
	int taken = 0;

	save(fixture, &kept);
	for (size_t len = 0; len < kept.len; len++) {
		void *cut = memcpy(malloc(len + 1), kept.bytes, len);

		assert_int_equal(lm_recall_restore(&group, cut, len, fixture->now_ns), -EINVAL);
		assert_int_equal(lm_recall_restore_stays(&group, cut, len), -EINVAL);
		free(cut);
	}
	assert_int_equal(group.watch_start_ns, 7);
	assert_null(group.recalled);
	for (size_t at = 0; at < kept.len; at++) {
		unsigned char *bytes = memcpy(malloc(kept.len), kept.bytes, kept.len);

		bytes[at] ^= 0xff;
		taken += lm_recall_restore(&group, bytes, kept.len, fixture->now_ns) == 0;
		assert_true(group.flag.level < LM_LEVELS && group.flag.age < LM_VERDICT_AGES);
		assert_true(group.flag.age >= 0 && group.verdict.age >= 0 && group.verdict.age < LM_VERDICT_AGES);
		free(group.recalled);
		group = (struct lm_group){0};
		free(bytes);
	}
	assert_true(taken > 0); /* times of members may be any */
	free(kept.bytes);
	lm_snapshot_free(&snapshot);
}

/* Stays that were seen to end, as lm_groups_note_left counts them. */
static void let_end(struct fixture *fixture, struct lm_group *group, int count, uint64_t ns)
{
	for (int i = 0; i < count; i++)
		lm_groups_note_left(&fixture->monitor->groups, group, PROCESS_START, PROCESS_START + ns);
}

static void stays_of_a_site_add_up_over_processes_and_restarts(void **state)
{
	struct fixture *fixture = *state;
	struct lm_group first = {0}, second = {0}, third = {0};
	void *bytes, *sum;
	size_t len, sum_len;

	let_end(fixture, &first, 30, 5 * S);
	let_end(fixture, &second, 10, 50 * S);
	assert_true(lm_recall_has_stays(&first));
	assert_int_equal(lm_recall_add_stays(&first, NULL, 0, &bytes, &len), 0);
	assert_true(lm_recall_has_stays(&first)); /* until they are on the disk */
	lm_recall_stays_are_kept(&first);
	assert_false(lm_recall_has_stays(&first));
	assert_int_equal(lm_recall_add_stays(&second, bytes, len, &sum, &sum_len), 0);
	assert_int_equal(lm_recall_restore_stays(&third, sum, sum_len), 0);
	assert_int_equal(third.completed_len, 40);
	assert_int_equal(third.longest_completed_ns, 50 * S);
	assert_false(lm_recall_has_stays(&third)); /* it has seen none itself */
	free(bytes);
	let_end(fixture, &third, 2, 5 * S);
	assert_int_equal(lm_recall_add_stays(&third, sum, sum_len, &bytes, &len), 0);
	free(sum);
	assert_int_equal(lm_recall_restore_stays(&first, bytes, len), 0);
	assert_int_equal(first.completed_len, 42);
	free(bytes);
	free(first.stays_saved);
	free(second.stays_saved);
	free(third.stays_saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_finding_goes_on_with_its_name_its_level_and_its_beginning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_left_meanwhile_has_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			who_has_run_meanwhile_stays_since_then_unless_it_only_ticks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_has_not_changed_is_not_written_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(broken_bytes_change_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stays_of_a_site_add_up_over_processes_and_restarts, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
