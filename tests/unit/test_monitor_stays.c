// SPDX-License-Identifier: GPL-2.0-or-later
/* Which wake-ups end a stay, as groups and findings see it: timers, broadcasts, and those who leave after all. */
#include "monitor_fixture.h"

#define MS 1000000ull
#define NR_NANOSLEEP 35
#define THREADS 20
#define LEAKED 100
#define BORN(i) (PROCESS_START + (400 + 28 * (uint64_t)(i)) * S)

/* Threads that are blocked since the same time, each having completed that many waits. */
struct crowd {
	struct lm_thread_record threads[THREADS];
	size_t len;
};

static struct crowd crowd_of(size_t len, int nr, uint64_t since_ns)
{
	struct crowd crowd = {.len = len};

	for (size_t i = 0; i < len; i++) {
		crowd.threads[i] = blocked(100 + i, since_ns, 10);
		crowd.threads[i].regs.nr = nr;
		crowd.threads[i].waits = 3;
	}
	return crowd;
}

/* One more wait ended then, and 1 ms later the next began. */
static void wake(struct lm_thread_record *thread, uint64_t at_ns)
{
	thread->blocked_ns += at_ns - thread->wait_since_ns;
	thread->waits++;
	thread->switches += 2;
	thread->cpu_ns += MS / 10;
	thread->last_wait_ns = at_ns - thread->wait_since_ns;
	thread->last_wait_end_ns = at_ns;
	thread->wait_since_ns = at_ns + MS;
}

/* A look at which all report whole, with stacks for those who want them, and one that confirms them. */
static struct lm_snapshot look(struct fixture *fixture, struct crowd *crowd, uint64_t now_ns)
{
	begin(fixture, now_ns);
	for (size_t i = 0; i < crowd->len; i++)
		feed(fixture, crowd->threads[i]);
	lm_monitor_end_look(fixture->monitor, true);
	unwind(fixture, 8);
	unwind(fixture, 8);
	begin(fixture, now_ns);
	for (size_t i = 0; i < crowd->len; i++)
		feed_same(fixture, crowd->threads[i].head.tid);
	lm_monitor_end_look(fixture->monitor, true);
	return report(fixture);
}

static void a_thread_that_ticks_stays_although_each_wait_is_short(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = crowd_of(1, NR_NANOSLEEP, 1999800 * MS);
	struct lm_snapshot snapshot;

	for (int i = 0; i < 10; i++) {
		snapshot = look(fixture, &crowd, 2000 * S + i * 500 * MS);
		/* half a second of ticking is too short to be shown, a second is not */
		assert_int_equal(snapshot.totals.blocked_threads, i >= 2);
		if (snapshot.sites_len) {
			assert_int_equal(snapshot.sites[0].oldest_resident_since_ns, 1999800 * MS);
			assert_int_equal(snapshot.sites[0].members[0].blocked_since_ns, crowd.threads[0].wait_since_ns);
			assert_int_equal(snapshot.sites[0].departed, 0);
		}
		lm_snapshot_free(&snapshot);
		wake(&crowd.threads[0], 2000 * S + i * 500 * MS + 300 * MS);
	}
}

/* Ticks so many times, then works for longer than a tick takes. Returns how many have left by then. */
static int64_t tick_then_work(struct fixture *fixture, struct crowd *crowd, int ticks)
{
	struct lm_snapshot snapshot;
	int64_t departed;

	for (int i = 0; i <= ticks; i++) {
		uint64_t now_ns = fixture->now_ns + S;

		if (i == ticks)
			crowd->threads[0].cpu_ns += 20 * MS;
		wake(&crowd->threads[0], now_ns - 100 * MS);
		snapshot = look(fixture, crowd, now_ns);
		departed = snapshot.sites_len ? snapshot.sites[0].departed : 1;
		lm_snapshot_free(&snapshot);
	}
	return departed;
}

static void one_odd_moment_among_many_ticks_ends_no_stay(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = crowd_of(1, NR_NANOSLEEP, 1990 * S);
	struct lm_snapshot snapshot = look(fixture, &crowd, 2000 * S);

	lm_snapshot_free(&snapshot);
	assert_int_equal(tick_then_work(fixture, &crowd, LM_STAY_CALM_LOOKS), 0);
	assert_int_equal(tick_then_work(fixture, &crowd, LM_STAY_CALM_LOOKS), 0);
	assert_int_equal(tick_then_work(fixture, &crowd, LM_STAY_CALM_LOOKS - 1), 1);
}

/* Stopped by a signal at the first time, going on with the same call at the second. */
static void stop(struct lm_thread_record *thread, uint64_t at_ns)
{
	wake(thread, at_ns);
	thread->wait_since_ns = at_ns;
	thread->state = LM_STATE_STOPPED;
	thread->stops++;
}

static void let_go_on(struct lm_thread_record *thread, uint64_t at_ns)
{
	wake(thread, at_ns);
	thread->state = LM_STATE_INTERRUPTIBLE;
}

static void a_thread_that_is_stopped_and_goes_on_has_not_moved(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = crowd_of(3, NR_READ, 1990 * S);
	struct lm_snapshot snapshot;

	snapshot = look(fixture, &crowd, 2000 * S);
	lm_snapshot_free(&snapshot);
	for (int i = 0; i < 3; i++)
		stop(&crowd.threads[i], 2000 * S + 500 * MS);
	for (int looks = 1; looks <= 3; looks++) {
		if (looks == 2) {
			let_go_on(&crowd.threads[0], 2001 * S + 100 * MS);
			let_go_on(&crowd.threads[1], 2001 * S + 900 * MS); /* others later: no broadcast */
		}
		snapshot = look(fixture, &crowd, (2000 + looks) * S);
		assert_int_equal(snapshot.sites_len, 1);
		assert_int_equal(snapshot.sites[0].wait.wait_class, LM_WAIT_OTHER);
		assert_int_equal(snapshot.sites[0].count, 3);
		assert_int_equal(snapshot.sites[0].departed, 0);
		assert_int_equal(snapshot.sites[0].arrived, 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(snapshot.sites[0].members[i].blocked_since_ns, 1990 * S);
		assert_int_equal(snapshot.losses.torn_reads, 0);
		lm_snapshot_free(&snapshot);
	}
	/* one whose call returns after all has left */
	wake(&crowd.threads[0], 2003 * S + 500 * MS);
	crowd.threads[0].waits++;
	snapshot = look(fixture, &crowd, 2005 * S);
	assert_int_equal(snapshot.sites[0].departed, 1);
	lm_snapshot_free(&snapshot);
}

static void a_thread_that_was_stopped_when_we_came_is_no_longer_when_it_goes_on(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = crowd_of(THREADS, NR_READ, 1990 * S);
	struct lm_snapshot snapshot;

	for (int i = 0; i < THREADS; i++)
		crowd.threads[i].state = LM_STATE_STOPPED;
	snapshot = look(fixture, &crowd, 2000 * S);
	assert_int_equal(snapshot.sites[0].wait.wait_class, LM_WAIT_STOPPED);
	lm_snapshot_free(&snapshot);
	for (int i = 0; i < THREADS; i++)
		let_go_on(&crowd.threads[i], 2001 * S); /* all at once, as a broadcast would */
	snapshot = look(fixture, &crowd, 2003 * S);
	assert_int_equal(snapshot.sites_len, 1);
	assert_int_equal(snapshot.sites[0].wait.wait_class, LM_WAIT_OTHER);
	assert_int_equal(snapshot.sites[0].count, THREADS);
	lm_snapshot_free(&snapshot);
}

static void a_look_between_two_ticks_does_not_end_the_stay(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = crowd_of(1, NR_NANOSLEEP, 1990 * S);
	struct lm_thread_record running;
	struct lm_snapshot snapshot;

	snapshot = look(fixture, &crowd, 2000 * S);
	lm_snapshot_free(&snapshot);
	wake(&crowd.threads[0], 2000 * S + 300 * MS);
	snapshot = look(fixture, &crowd, 2001 * S);
	lm_snapshot_free(&snapshot);
	wake(&crowd.threads[0], 2001 * S + 999 * MS);
	running = crowd.threads[0];
	running.state = LM_STATE_RUNNING;
	running.wait_since_ns = 0;
	begin(fixture, 2002 * S);
	feed(fixture, running);
	lm_monitor_end_look(fixture->monitor, true);
	snapshot = report(fixture);
	assert_int_equal(snapshot.totals.blocked_threads, 1);
	assert_true(snapshot.sites[0].members[0].blocked_total_s < 12); /* the waits that are over, and nothing else */
	lm_snapshot_free(&snapshot);
	crowd.threads[0].switches++;
	snapshot = look(fixture, &crowd, 2003 * S);
	assert_int_equal(snapshot.sites[0].departed, 0);
	assert_int_equal(snapshot.sites[0].oldest_resident_since_ns, 1990 * S);
	lm_snapshot_free(&snapshot);
	/* one that wants to run for longer, but is not let by others, has not left … */
	for (int i = 0; i < 2; i++) {
		running.switches++;
		begin(fixture, (2004 + i) * S);
		feed(fixture, running);
		lm_monitor_end_look(fixture->monitor, true);
	}
	snapshot = report(fixture);
	assert_int_equal(snapshot.totals.blocked_threads, 1);
	lm_snapshot_free(&snapshot);
	/* … and one that runs has */
	for (int i = 2; i < 4; i++) {
		running.switches += 10;
		running.cpu_ns += S;
		begin(fixture, (2004 + i) * S);
		feed(fixture, running);
		lm_monitor_end_look(fixture->monitor, true);
	}
	snapshot = report(fixture);
	assert_int_equal(snapshot.totals.blocked_threads, 0);
	lm_snapshot_free(&snapshot);
}

static void a_broadcast_ends_no_stay_and_single_wakes_do(void **state)
{
	static const struct {
		size_t woken;
		uint64_t apart_ns; /* from one to the next */
		int64_t departed;
	} cases[] = {
		{THREADS, 100000, 0},   /* all at once */
		{10, 100000, 0},        /* half of them */
		{9, 100000, 9},         /* fewer than half */
		{THREADS, 10 * MS, 20}, /* one after the other */
	};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct crowd crowd = crowd_of(THREADS, NR_READ, 1990 * S);
		struct lm_snapshot snapshot;
		struct fixture *fixture;
		void *inner;

		set_up(&inner);
		fixture = inner;
		snapshot = look(fixture, &crowd, 2000 * S);
		assert_int_equal(snapshot.sites[0].count, THREADS);
		lm_snapshot_free(&snapshot);
		for (size_t i = 0; i < cases[c].woken; i++)
			wake(&crowd.threads[i], 2000 * S + 100 * MS + i * cases[c].apart_ns);
		snapshot = look(fixture, &crowd, 2002 * S);
		assert_int_equal(snapshot.sites_len, 1);
		assert_int_equal(snapshot.sites[0].count, THREADS);
		assert_int_equal(snapshot.sites[0].departed, cases[c].departed);
		lm_snapshot_free(&snapshot);
		tear_down(&inner);
	}
}

static void a_finding_is_withdrawn_when_its_threads_leave(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = {0};
	struct lm_snapshot snapshot = {0};
	uint64_t now_ns = 0;

	/* one every two minutes, watched from the start of the process on */
	for (int i = 0; i < THREADS; i++) {
		now_ns = PROCESS_START + (60 + 120 * i) * S;
		crowd.threads[i] = blocked(100 + i, now_ns - 2 * S, 2);
		crowd.threads[i].head.start_ns = PROCESS_START + 100 + i;
		crowd.len = i + 1;
		snapshot = look(fixture, &crowd, now_ns);
		if (i + 1 < THREADS)
			lm_snapshot_free(&snapshot);
	}
	assert_int_equal(snapshot.findings_len, 1);
	assert_int_equal(snapshot.findings[0].evidence.departures, 0);
	lm_snapshot_free(&snapshot);
	/* the oldest one goes on after all */
	crowd.len--;
	memmove(crowd.threads, crowd.threads + 1, crowd.len * sizeof(crowd.threads[0]));
	snapshot = look(fixture, &crowd, now_ns + 5 * S);
	assert_int_equal(snapshot.withdrawn_len, 0); /* the process may be about to end */
	lm_snapshot_free(&snapshot);
	snapshot = look(fixture, &crowd, now_ns + 7 * S);
	assert_int_equal(snapshot.findings_len, 0);
	assert_int_equal(snapshot.withdrawn_len, 1);
	assert_int_equal(snapshot.withdrawn[0].level, LM_LEVEL_SUSPECT);
	assert_non_null(strstr(snapshot.withdrawn[0].summary, "work_8"));
	lm_snapshot_free(&snapshot);
	/* the next time more is demanded: four times as long as the longest stay, beyond every age floor here */
	snapshot = look(fixture, &crowd, now_ns + 65 * S);
	assert_int_equal(snapshot.findings_len, 0);
	lm_snapshot_free(&snapshot);
	/* after a while nobody needs to hear of it any more */
	snapshot = look(fixture, &crowd, now_ns + 700 * S);
	assert_int_equal(snapshot.withdrawn_len, 0);
	lm_snapshot_free(&snapshot);
}

/* As when somebody closes what they all waited for: there is nobody left to judge. */
static void a_finding_is_withdrawn_when_all_of_its_threads_leave_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = {0};
	struct lm_snapshot snapshot = {0};
	uint64_t now_ns = 0;

	for (int i = 0; i < THREADS; i++) {
		now_ns = PROCESS_START + (60 + 120 * i) * S;
		crowd.threads[i] = blocked(100 + i, now_ns - 2 * S, 2);
		crowd.threads[i].head.start_ns = PROCESS_START + 100 + i;
		crowd.len = i + 1;
		snapshot = look(fixture, &crowd, now_ns);
		assert_int_equal(snapshot.withdrawn_len, 0);
		lm_snapshot_free(&snapshot);
	}
	/* one that was there before goes on elsewhere: the process lives */
	crowd.threads[0] = blocked(100, now_ns + S, 4);
	crowd.threads[0].head.start_ns = PROCESS_START + 100;
	crowd.threads[0].regs.nr = NR_NANOSLEEP;
	crowd.len = 1;
	snapshot = look(fixture, &crowd, now_ns + 5 * S);
	assert_int_equal(snapshot.findings_len, 0);
	assert_int_equal(snapshot.withdrawn_len, 0);
	lm_snapshot_free(&snapshot);
	snapshot = look(fixture, &crowd, now_ns + 7 * S);
	assert_int_equal(snapshot.withdrawn_len, 1);
	assert_non_null(strstr(snapshot.withdrawn[0].summary, "work_8"));
	lm_snapshot_free(&snapshot);
}

static void a_thread_in_state_d_for_long_is_stuck(void **state)
{
	struct fixture *fixture = *state;
	struct crowd crowd = crowd_of(1, NR_READ, 1990 * S);
	struct lm_snapshot snapshot;

	crowd.threads[0].state = LM_STATE_UNINTERRUPTIBLE;
	snapshot = look(fixture, &crowd, 2100 * S);
	assert_int_equal(snapshot.findings_len, 0);
	lm_snapshot_free(&snapshot);
	snapshot = look(fixture, &crowd, 2111 * S);
	assert_int_equal(snapshot.findings_len, 1);
	assert_int_equal(snapshot.findings[0].type, LM_FINDING_STUCK);
	assert_int_equal(snapshot.findings[0].level, LM_LEVEL_LIKELY);
	lm_snapshot_free(&snapshot);
}

/* Of those that settle_leak told of before. */
static void feed_same_born(struct fixture *fixture, uint32_t tid)
{
	struct lm_thread_record thread = {.head = {.tid = tid, .start_ns = BORN((tid - 100) % LEAKED)}};

	feed_same_thread(fixture, &thread);
}

/* Threads that were born one every half minute and blocked at once, at the place of this offset. */
static void settle_leak(struct fixture *fixture, uint32_t first_tid, uint64_t offset, uint64_t now_ns)
{
	struct lm_thread_record thread;

	for (int confirming = 0; confirming < 2; confirming++) {
		begin(fixture, now_ns);
		for (uint32_t tid = 100; tid < first_tid; tid++)
			feed_same_born(fixture, tid);
		for (uint32_t i = 0; i < LEAKED; i++) {
			thread = blocked(first_tid + i, BORN(i) + MS, 2);
			thread.head.start_ns = BORN(i);
			thread.regs.di = i; /* a descriptor of its own */
			feed(fixture, thread);
		}
		lm_monitor_end_look(fixture->monitor, true);
		while (!confirming && unwind(fixture, offset))
			;
	}
	assert_int_equal(lm_monitor_settle(fixture->monitor), 0);
}

static void threads_that_come_with_connections_are_judged_with_them(void **state)
{
	(void)state;
	for (int has_connections = 0; has_connections < 2; has_connections++) {
		uint64_t now_ns = PROCESS_START + 3600 * S;
		struct lm_snapshot snapshot;
		struct fixture *fixture;
		void *inner;

		set_up(&inner);
		fixture = inner;
		settle_leak(fixture, 100, 8, now_ns);
		if (has_connections)
			fixture->monitor->groups.table->guards = LM_GUARD_CONNECTIONS;
		settle_leak(fixture, 100 + LEAKED, 16, now_ns + S);
		snapshot = report(fixture);
		assert_int_equal(snapshot.findings_len, 2);
		for (size_t i = 0; i < 2; i++) {
			assert_int_equal(
				snapshot.findings[i].level, has_connections ? LM_LEVEL_SUSPECT : LM_LEVEL_LIKELY);
			assert_int_equal(
				snapshot.findings[i].type, has_connections ? LM_FINDING_CONNECTIONS : LM_FINDING_LEAK);
			assert_int_equal(snapshot.findings[i].held_back != NULL, has_connections);
		}
		lm_snapshot_free(&snapshot);
		tear_down(&inner);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_thread_that_ticks_stays_although_each_wait_is_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_odd_moment_among_many_ticks_ends_no_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_thread_that_is_stopped_and_goes_on_has_not_moved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_thread_that_was_stopped_when_we_came_is_no_longer_when_it_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_look_between_two_ticks_does_not_end_the_stay, set_up, tear_down),
		cmocka_unit_test(a_broadcast_ends_no_stay_and_single_wakes_do),
		cmocka_unit_test_setup_teardown(a_finding_is_withdrawn_when_its_threads_leave, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_finding_is_withdrawn_when_all_of_its_threads_leave_at_once, set_up, tear_down),
		cmocka_unit_test(threads_that_come_with_connections_are_judged_with_them),
		cmocka_unit_test_setup_teardown(a_thread_in_state_d_for_long_is_stuck, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
