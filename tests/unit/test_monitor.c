// SPDX-License-Identifier: GPL-2.0-or-later
/* The monitor without a kernel: records and a clock in, reports out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor_fixture.h"

static void threads_blocked_long_enough_in_one_place_are_one_site(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_thread_record records[] = {
		blocked(100, 1990 * S, 5), blocked(101, 1995 * S, 6), blocked(102, 1999.5 * S, 7)};
	struct lm_snapshot snapshot;

	look_at(fixture, 2000 * S, records, 3);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 1);
	assert_int_equal(snapshot.sites[0].count, 2); /* the third has waited for half a second */
	assert_int_equal(snapshot.sites[0].arrived, 0);
	assert_int_equal(snapshot.sites[0].oldest_blocked_since_ns, 1990 * S);
	assert_int_equal(snapshot.sites[0].newest_blocked_since_ns, 1995 * S);
	assert_string_equal(snapshot.sites[0].stack[0].function, "work_8");
	assert_int_equal(snapshot.totals.threads, 3);
	assert_int_equal(snapshot.totals.blocked_threads, 2);
	assert_int_equal(snapshot.sites[0].members_len, 2);
	assert_int_equal(snapshot.sites[0].members[0].id, 100);
	lm_snapshot_free(&snapshot);
}

/* Of frames that are "module:function", innermost first, from this offset on. */
static const struct lm_stack *stack_of(struct fixture *fixture, const char *const *lines, uint64_t offset)
{
	const struct lm_frame *frames[LM_STACK_MAX];
	const struct lm_stack *stack;
	size_t len = 0;

	for (; lines[len]; len++) {
		const struct lm_function function = {
			.name = strchr(lines[len], ':') + 1, .file = "/srv/src/file", .line = 7};
		struct lm_frame frame = {.offset = offset + len, .functions_len = 1, .functions = &function};
		char module[64];

		snprintf(module, sizeof(module), "%.*s", (int)strcspn(lines[len], ":"), lines[len]);
		frame.python = strstr(module, ".py");
		assert_int_equal(lm_stacks_module(fixture->stacks, module, NULL, 0, &frame.module), 0);
		assert_int_equal(lm_stacks_frame(fixture->stacks, &frame, &frames[len]), 0);
	}
	assert_int_equal(lm_stacks_intern(fixture->stacks, frames, len, LM_STACK_COMPLETE, &stack), 0);
	return stack;
}

static void a_site_is_known_by_the_place_that_its_findings_name(void **state)
{
	static const struct {
		const char *place;
		bool has_line;
		const char *stack[6];
	} rows[] = {
		{"wait_for_result", false,
			{"libc.so.6:futex_wait", "libc.so.6:pthread_cond_wait", "app:wait_for_result", "app:main"}},
		{"app::lock_it", false,
			{"libc.so.6:futex_wait", "app:__gthread_mutex_lock", "app:std::mutex::lock",
				"app:app::lock_it"}},
		{"waits::park_here", false,
			{"libc.so.6:syscall", "app:<std::sys::sync::thread_parking::futex::Parker>::park",
				"app:<std::thread::thread::Thread>::park", "app:waits::park_here"}},
		{"T.hang", false,
			{"libc.so.6:pthread_cond_wait", "libjvm.so:os::PlatformEvent::park",
				"libjvm.so:ObjectMonitor::wait", "[java]:java.lang.Object.wait0", "[java]:T.hang"}},
		{"work", true,
			{"libc.so.6:sem_wait", "python3.11:_PyEval_EvalFrameDefault", "worker.py:work",
				"python3.11:Py_RunMain"}},
		{"clock_nanosleep", false, {"libc.so.6:clock_nanosleep", "libc.so.6:start_thread"}},
	};
	const size_t count = sizeof(rows) / sizeof(rows[0]);
	struct fixture *fixture = *state;
	struct lm_thread *wanted[16];
	struct lm_snapshot snapshot;

	begin(fixture, 2000 * S);
	for (size_t i = 0; i < count; i++)
		feed(fixture, blocked(PID + i, 1990 * S, 5));
	lm_monitor_end_look(fixture->monitor, true);
	assert_int_equal(
		lm_monitor_wanted(fixture->monitor, lm_monitor_next_process(fixture->monitor, NULL), wanted, 16),
		count);
	for (size_t i = 0; i < count; i++) {
		uint32_t row = wanted[i]->tid - PID;

		lm_monitor_set_stack(wanted[i], stack_of(fixture, rows[row].stack, row * 100), NULL);
	}
	begin(fixture, 2000 * S);
	for (size_t i = 0; i < count; i++)
		feed_same(fixture, PID + i);
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, count);
	for (size_t i = 0; i < count; i++) {
		const struct lm_snapshot_site *site = &snapshot.sites[i];
		uint64_t row = site->members[0].id - PID;

		assert_string_equal(site->place->function, rows[row].place);
		assert_true(site->place >= site->stack && site->place < site->stack + site->stack_len);
		assert_int_equal(site->place_has_line, rows[row].has_line);
	}
	lm_snapshot_free(&snapshot);
}

static void a_stack_whose_thread_ran_meanwhile_does_not_count(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot snapshot;

	begin(fixture, 2000 * S);
	feed(fixture, blocked(100, 1990 * S, 5));
	lm_monitor_end_look(fixture->monitor, true);
	assert_int_equal(unwind(fixture, 8), 1);
	begin(fixture, 2000 * S);
	feed(fixture, blocked(100, 1990 * S, 6));
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 0);
	assert_int_equal(snapshot.losses.torn_reads, 1);
	lm_snapshot_free(&snapshot);
	/* it is looked at again */
	assert_int_equal(unwind(fixture, 8), 1);
}

static void only_a_thread_that_stood_still_counts_as_not_unwound(void **state)
{
	struct fixture *fixture = *state;
	struct lm_thread *wanted[2];
	struct lm_snapshot snapshot;

	begin(fixture, 2000 * S);
	feed(fixture, blocked(100, 1990 * S, 5));
	feed(fixture, blocked(101, 1990 * S, 5));
	lm_monitor_end_look(fixture->monitor, true);
	assert_int_equal(
		lm_monitor_wanted(fixture->monitor, lm_monitor_next_process(fixture->monitor, NULL), wanted, 2), 2);
	for (int i = 0; i < 2; i++)
		lm_monitor_set_stack(wanted[i], stack_ending(fixture, 7, LM_STACK_BROKEN), NULL);
	/* one of them ran meanwhile: what was read of it says nothing */
	begin(fixture, 2000 * S + 1000);
	feed(fixture, blocked(100, 2000 * S + 500, 6));
	feed_same(fixture, 101);
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.losses.torn_reads, 1);
	assert_int_equal(snapshot.losses.unwind_failed, 1);
	lm_snapshot_free(&snapshot);
}

static void an_unconfirmed_stack_waits_for_the_next_look(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot snapshot;

	begin(fixture, 2000 * S);
	feed(fixture, blocked(100, 1990 * S, 5));
	lm_monitor_end_look(fixture->monitor, true);
	unwind(fixture, 8);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 0);
	lm_snapshot_free(&snapshot);
	begin(fixture, 2001 * S);
	feed_same(fixture, 100);
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 1);
	lm_snapshot_free(&snapshot);
}

static void arrivals_departures_and_growth_are_counted(void **state)
{
	struct fixture *fixture = *state;
	struct lm_thread_record records[12];
	struct lm_snapshot snapshot;

	for (int i = 0; i < 2; i++)
		records[i] = blocked(100 + i, 1990 * S, 5);
	look_at(fixture, 2000 * S, records, 2);
	for (int i = 2; i < 12; i++)
		records[i] = blocked(100 + i, (2020 + i) * S, 5);
	look_at(fixture, 2060 * S, records, 12);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 1);
	assert_int_equal(snapshot.sites[0].count, 12);
	assert_int_equal(snapshot.sites[0].arrived, 10);
	assert_int_equal(snapshot.sites[0].departed, 0);
	assert_float_equal(snapshot.sites[0].rate_per_h, 600, 1);
	lm_snapshot_free(&snapshot);
	/* three go, one of them is seen going by an event */
	begin(fixture, 2061 * S);
	feed_life(fixture, LM_RECORD_EXIT, 111, 1);
	for (int i = 0; i < 9; i++)
		feed_same(fixture, 100 + i);
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites[0].count, 9);
	assert_int_equal(snapshot.sites[0].departed, 3);
	lm_snapshot_free(&snapshot);
}

static void a_look_that_was_cut_short_ends_nobody(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_thread_record records[] = {blocked(100, 1990 * S, 5), blocked(101, 1990 * S, 5)};
	struct lm_snapshot snapshot;

	look_at(fixture, 2000 * S, records, 2);
	begin(fixture, 2001 * S);
	feed_same(fixture, 100);
	lm_monitor_end_look(fixture->monitor, false);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites[0].count, 2);
	lm_snapshot_free(&snapshot);
}

static void an_exec_drops_stacks_and_facts_but_keeps_the_process(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_thread_record records[] = {blocked(100, 1990 * S, 5)};
	struct lm_snapshot snapshot;

	/* whoever named a process wants to know */
	assert_int_equal(lm_monitor_watch_only(fixture->monitor, PID, PROCESS_START), 0);
	look_at(fixture, 2000 * S, records, 1);
	begin(fixture, 2001 * S);
	feed_life(fixture, LM_RECORD_EXEC, 100, 2);
	assert_int_equal(fixture->gone, 1);
	snapshot = report(fixture);
	assert_int_equal(snapshot.processes_len, 1);
	assert_int_equal(snapshot.sites_len, 0);
	assert_int_equal(snapshot.notes_len, 1);
	assert_non_null(strstr(snapshot.notes[0], "became another program: other"));
	lm_snapshot_free(&snapshot);
}

static void a_tid_that_is_used_again_is_another_thread(void **state)
{
	struct fixture *fixture = *state;
	struct lm_thread_record records[] = {blocked(100, 1990 * S, 5), blocked(101, 1990 * S, 5)};
	struct lm_snapshot snapshot;

	look_at(fixture, 2000 * S, records, 2);
	records[1].head.start_ns += 5 * S;
	begin(fixture, 2010 * S);
	feed_same(fixture, 100);
	feed(fixture, records[1]);
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.totals.threads, 2);
	assert_int_equal(snapshot.sites[0].count, 1);
	assert_int_equal(snapshot.sites[0].departed, 1);
	lm_snapshot_free(&snapshot);
}

static void only_the_processes_that_were_named_are_watched(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot snapshot;

	/* the PID is right, the start time is that of an earlier process */
	assert_int_equal(lm_monitor_watch_only(fixture->monitor, PID, PROCESS_START - 60 * S), 0);
	begin(fixture, 2000 * S);
	feed(fixture, blocked(100, 1990 * S, 5));
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.processes_len, 0);
	lm_snapshot_free(&snapshot);
}

static void a_process_whose_stacks_cannot_be_had_is_still_reported(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot snapshot;

	begin(fixture, 2000 * S);
	feed(fixture, blocked(100, 1990 * S, 5));
	lm_monitor_end_look(fixture->monitor, true);
	lm_monitor_next_process(fixture->monitor, NULL)->facts.unresolved = "the resolver failed on it";
	assert_int_equal(unwind(fixture, 8), 0);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 1);
	assert_int_equal(snapshot.sites[0].stack_len, 0);
	assert_string_equal(snapshot.sites[0].stack_why, "the resolver failed on it");
	assert_string_equal(snapshot.processes[0].unavailable[0].what, "stacks");
	lm_snapshot_free(&snapshot);
}

static void records_of_one_look_may_come_in_any_order(void **state)
{
	uint64_t sites[2];
	int64_t counts[2];

	for (int reversed = 0; reversed < 2; reversed++) {
		struct fixture *fixture;
		struct lm_thread_record records[5];
		struct lm_snapshot snapshot;
		void *inner;

		set_up(&inner);
		fixture = inner;
		for (int i = 0; i < 5; i++)
			records[reversed ? 4 - i : i] = blocked(100 + i, (1900 + i) * S, 5);
		look_at(fixture, 2000 * S, records, 5);
		snapshot = report(fixture);
		assert_int_equal(snapshot.sites_len, 1);
		sites[reversed] = snapshot.sites[0].site;
		counts[reversed] = snapshot.sites[0].count;
		assert_int_equal(snapshot.sites[0].members[0].id, 100);
		lm_snapshot_free(&snapshot);
		tear_down(&inner);
	}
	(void)state;
	assert_int_equal(sites[0], sites[1]);
	assert_int_equal(counts[0], counts[1]);
}

/* One look at fifteen threads that came one after the other, and wait in this way for this. */
static struct lm_snapshot look_at_leak(struct fixture *fixture, int nr, uint64_t op, uint64_t val)
{
	struct lm_thread_record records[16];

	records[0] = blocked(100, 1990 * S, 5000);
	for (int i = 1; i < 16; i++) {
		records[i] = blocked(200 + i, (1100 + 50 * i) * S, 2);
		records[i].head.start_ns = (1100 + 50 * i) * S - 12000000;
		records[i].regs.nr = nr;
		records[i].regs.di = 0x7000;
		records[i].regs.si = op;
		records[i].regs.dx = val;
		records[i].switches += 200; /* others often took its CPU while it was coming here */
	}
	begin(fixture, 2000 * S);
	for (int i = 0; i < 16; i++)
		feed(fixture, records[i]);
	lm_monitor_end_look(fixture->monitor, true);
	unwind(fixture, 8);
	begin(fixture, 2000 * S);
	for (int i = 0; i < 16; i++)
		feed(fixture, records[i]); /* whole again, but not changed: that confirms too */
	lm_monitor_end_look(fixture->monitor, true);
	return report(fixture);
}

static void a_leak_is_a_finding_with_its_sentence(void **state)
{
	struct lm_snapshot snapshot = look_at_leak(*state, NR_READ, 0, 0);

	assert_int_equal(snapshot.findings_len, 1);
	assert_int_equal(snapshot.findings[0].level, LM_LEVEL_SUSPECT);
	assert_int_equal(snapshot.totals.findings[LM_LEVEL_SUSPECT], 1);
	assert_true(snapshot.findings[0].evidence.retrospective);
	assert_int_equal(snapshot.findings[0].site, snapshot.sites[0].site);
	assert_non_null(strstr(snapshot.findings[0].summary, "threads of program (PID 100)"));
	assert_non_null(strstr(snapshot.findings[0].summary, "work_8"));
	assert_non_null(strstr(snapshot.findings[0].wrong_if, "a fixed pool larger than 1"));
	lm_snapshot_free(&snapshot);
}

static void threads_behind_one_lock_bring_no_work_and_wait_for_its_holder(void **state)
{
	struct lm_snapshot snapshot = look_at_leak(*state, 202, 0x80, 2);

	assert_int_equal(snapshot.findings_len, 1);
	assert_int_equal(snapshot.sites[0].wait.wait_class, LM_WAIT_FUTEX_MUTEX);
	assert_int_equal(snapshot.sites[0].wait.objects, 1);
	assert_non_null(strstr(snapshot.findings[0].wrong_if, "whoever holds what they wait for"));
	assert_true(!snapshot.findings[0].held_back || !strstr(snapshot.findings[0].held_back, "idle workers"));
	lm_snapshot_free(&snapshot);
}

/* The resolver ran out of time, and will be asked again. */
static void a_process_that_is_tried_again_has_its_stacks_and_nobody_has_left(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_thread_record record = blocked(PID, PROCESS_START + 100 * S, 2);
	struct lm_process *process;
	struct lm_snapshot snapshot;

	begin(fixture, PROCESS_START + 1000 * S);
	feed(fixture, record);
	lm_monitor_end_look(fixture->monitor, true);
	process = lm_monitor_next_process(fixture->monitor, NULL);
	process->facts.unresolved = "too busy";
	process->facts.retry_ns = PROCESS_START + 1010 * S;
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 1);
	assert_int_equal(snapshot.sites[0].stack_len, 0);
	lm_snapshot_free(&snapshot);
	assert_int_equal(unwind(fixture, 8), 0);

	process->facts.unresolved = NULL;
	process->facts.retry_ns = 0;
	begin(fixture, PROCESS_START + 1010 * S);
	feed_same(fixture, PID);
	lm_monitor_end_look(fixture->monitor, true);
	assert_int_equal(unwind(fixture, 8), 1);
	begin(fixture, PROCESS_START + 1010 * S);
	feed_same(fixture, PID);
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.sites_len, 1);
	assert_int_equal(snapshot.sites[0].stack_len, 1);
	assert_int_equal(snapshot.sites[0].count, 1);
	assert_int_equal(snapshot.sites[0].departed, 0);
	assert_int_equal(snapshot.sites[0].oldest_resident_since_ns, PROCESS_START + 100 * S);
	lm_snapshot_free(&snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_process_that_is_tried_again_has_its_stacks_and_nobody_has_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			threads_blocked_long_enough_in_one_place_are_one_site, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_site_is_known_by_the_place_that_its_findings_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stack_whose_thread_ran_meanwhile_does_not_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			only_a_thread_that_stood_still_counts_as_not_unwound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_unconfirmed_stack_waits_for_the_next_look, set_up, tear_down),
		cmocka_unit_test_setup_teardown(arrivals_departures_and_growth_are_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_look_that_was_cut_short_ends_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_exec_drops_stacks_and_facts_but_keeps_the_process, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_tid_that_is_used_again_is_another_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_the_processes_that_were_named_are_watched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_process_whose_stacks_cannot_be_had_is_still_reported, set_up, tear_down),
		cmocka_unit_test(records_of_one_look_may_come_in_any_order),
		cmocka_unit_test_setup_teardown(a_leak_is_a_finding_with_its_sentence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			threads_behind_one_lock_bring_no_work_and_wait_for_its_holder, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
