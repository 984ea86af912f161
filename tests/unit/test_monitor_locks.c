// SPDX-License-Identifier: GPL-2.0-or-later
/* What follows from who holds which lock, read by read and look by look; the graph itself has tests of its own. */
#include "monitor_fixture.h"

#define MS 1000000ull
#define NOW (PROCESS_START + 1000 * S)
#define LOCK 0x7000ull
#define NR_FUTEX 202
#define FUTEX_WAIT_PRIVATE 0x80
#define WAITERS 2

struct waiters {
	struct lm_thread_record records[WAITERS + 1]; /* and room for an owner */
	size_t len;
	struct fixture *fixture;
};

static struct lm_thread *thread_of(struct fixture *fixture, uint32_t tid)
{
	struct lm_process *process = lm_monitor_next_process(fixture->monitor, NULL);
	struct lm_thread *thread;

	for (thread = process->threads; thread; thread = thread->next) {
		if (thread->tid == tid)
			return thread;
	}
	return NULL;
}

static struct lm_thread_record blocked_at(uint32_t tid, uint64_t lock)
{
	struct lm_thread_record record = blocked(tid, NOW - 100 * S, 2);

	record.own_tid = tid;
	record.pid_ns = 1;
	record.regs.nr = NR_FUTEX;
	record.regs.di = lock;
	record.regs.si = FUTEX_WAIT_PRIVATE;
	record.regs.dx = 2;
	return record;
}

static void expect_owner(struct fixture *fixture, uint32_t tid)
{
	struct lm_thread *thread = thread_of(fixture, tid);
	const struct lm_owner_wait wait = {
		.wait_class = LM_WAIT_FUTEX_MUTEX,
		.regs = {.nr = NR_FUTEX, .di = LOCK, .si = FUTEX_WAIT_PRIVATE, .dx = 2},
		.has_lock_function = true,
	};

	lm_thread_expect_owner(thread, &wait);
	assert_non_null(thread->lock);
}

/* Two threads of PID, 100 and 101, wait for LOCK. */
static struct waiters start(void **state)
{
	struct waiters waiters = {.fixture = *state, .len = WAITERS};

	for (size_t i = 0; i < WAITERS; i++)
		waiters.records[i] = blocked_at(PID + i, LOCK);
	look_at(waiters.fixture, NOW, waiters.records, WAITERS);
	for (size_t i = 0; i < WAITERS; i++)
		expect_owner(waiters.fixture, PID + i);
	return waiters;
}

/* The lock names this owner to all who wait; then a look that finds that they have not run. Returns what is found. */
static size_t read_and_look_of(struct waiters *waiters, uint64_t at_ns, struct lm_owner owner, bool complete)
{
	struct lm_monitor *monitor = waiters->fixture->monitor;

	for (size_t i = 0; i < WAITERS; i++)
		lm_thread_set_owner(thread_of(waiters->fixture, PID + i), &owner, at_ns);
	begin(waiters->fixture, at_ns + MS);
	for (size_t i = 0; i < waiters->len; i++)
		feed_same(waiters->fixture, waiters->records[i].head.tid);
	lm_monitor_end_look(monitor, complete);
	assert_int_equal(lm_monitor_analyse_locks(monitor), 0);
	return monitor->lock_findings_len;
}

static size_t read_and_look(struct waiters *waiters, uint64_t at_ns, uint32_t tid)
{
	const struct lm_owner owner = {.lock = LOCK, .tid = tid, .word = 2, .strength = LM_OWNER_STRONG};

	return read_and_look_of(waiters, at_ns, owner, true);
}

static void a_lock_is_orphaned_if_it_names_an_owner_that_was_missed_before(void **state)
{
	struct waiters waiters = start(state);
	struct lm_monitor *monitor = waiters.fixture->monitor;

	assert_int_equal(read_and_look(&waiters, NOW + S, 7), 0);
	assert_true(monitor->owners_missed);
	assert_int_equal(read_and_look(&waiters, NOW + S + 2 * MS, 7), 1);
	assert_false(monitor->owners_missed);
	assert_int_equal(monitor->lock_findings[0].type, LM_FINDING_ORPHANED_LOCK);
	assert_int_equal(monitor->lock_findings[0].level, LM_LEVEL_LIKELY);
	assert_int_equal(monitor->lock_findings[0].waiters, WAITERS);
	assert_int_equal(monitor->lock_findings[0].owner_tid, 7);
	/* a second after the first read, not yet after it was missed */
	assert_int_equal(read_and_look(&waiters, NOW + 2 * S, 7), 1);
	assert_int_equal(monitor->lock_findings[0].level, LM_LEVEL_LIKELY);
	assert_int_equal(read_and_look(&waiters, NOW + 2 * S + 2 * MS, 7), 1);
	assert_int_equal(monitor->lock_findings[0].level, LM_LEVEL_CONFIRMED);
}

static void a_site_names_the_owner_of_its_lock_before_any_finding(void **state)
{
	struct waiters waiters = start(state);
	struct lm_snapshot snapshot = report(waiters.fixture);

	assert_int_equal(snapshot.sites_len, 1);
	assert_null(snapshot.sites[0].wait.owner);
	lm_snapshot_free(&snapshot);

	waiters.records[waiters.len++] = blocked_at(7, LOCK + 64);
	begin(waiters.fixture, NOW + S);
	feed(waiters.fixture, waiters.records[WAITERS]);
	assert_int_equal(read_and_look(&waiters, NOW + S, 7), 0);
	snapshot = report(waiters.fixture);
	assert_int_equal(snapshot.findings_len, 0);
	assert_int_equal(snapshot.sites_len, 1);
	assert_non_null(snapshot.sites[0].wait.owner);
	assert_int_equal(snapshot.sites[0].wait.owner->id, 7);
	assert_string_equal(snapshot.sites[0].wait.owner->comm, "program");
	assert_null(snapshot.sites[0].wait.owner->waits_in);
	lm_snapshot_free(&snapshot);

	/* of another: the lock that 7 held is held by who waits for it */
	assert_int_equal(read_and_look(&waiters, NOW + 2 * S, PID), 1);
	snapshot = report(waiters.fixture);
	assert_int_equal(snapshot.sites[0].wait.owner->id, PID);
	assert_string_equal(snapshot.sites[0].wait.owner->waits_in, "work_8");
	lm_snapshot_free(&snapshot);
}

/* The threads of a pool that lock, unlock and end, faster than looks are: whoever sleeps on sees none of it. */
static void a_lock_that_is_handed_on_while_its_owners_end_is_not_orphaned(void **state)
{
	struct waiters waiters = start(state);

	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(read_and_look(&waiters, NOW + (i + 1) * S, 7 + 2 * i), 0);
		assert_true(waiters.fixture->monitor->owners_missed);
		assert_int_equal(read_and_look(&waiters, NOW + (i + 1) * S + 2 * MS, 8 + 2 * i), 0);
	}
}

static void an_owner_that_came_back_was_not_gone(void **state)
{
	struct waiters waiters = start(state);

	assert_int_equal(read_and_look(&waiters, NOW + S, 7), 0);
	waiters.records[waiters.len++] = blocked_at(7, LOCK + 64);
	begin(waiters.fixture, NOW + S + MS);
	feed(waiters.fixture, waiters.records[WAITERS]);
	assert_int_equal(read_and_look(&waiters, NOW + S + 2 * MS, 7), 0);
	waiters.len--;
	assert_int_equal(read_and_look(&waiters, NOW + 3 * S, 7), 0);
	assert_true(waiters.fixture->monitor->owners_missed);
}

static void a_look_that_was_cut_short_misses_nobody(void **state)
{
	struct waiters waiters = start(state);
	const struct lm_owner owner = {.lock = LOCK, .tid = 7, .word = 2, .strength = LM_OWNER_STRONG};

	for (uint64_t i = 1; i < 5; i++)
		assert_int_equal(read_and_look_of(&waiters, NOW + i * S, owner, false), 0);
	assert_false(waiters.fixture->monitor->owners_missed);
}

/* The kernel wakes one of those who wait: until that one runs, the word still says that its owner died. */
static void a_lock_whose_owner_died_is_no_orphan_while_its_heir_wakes(void **state)
{
	struct waiters waiters = start(state);
	const struct lm_owner died = {.lock = LOCK,
		.tid = 7,
		.word = 0xc0000007,
		.owner_died = true,
		.strength = LM_OWNER_CERTAIN,
		.process_shared = true};

	assert_int_equal(read_and_look_of(&waiters, NOW + S, died, true), 0);
	assert_int_equal(read_and_look(&waiters, NOW + S + 2 * MS, PID), 1);
	assert_int_not_equal(waiters.fixture->monitor->lock_findings[0].type, LM_FINDING_ORPHANED_LOCK);
	assert_int_equal(read_and_look_of(&waiters, NOW + 2 * S, died, true), 0);
	assert_int_equal(read_and_look_of(&waiters, NOW + 2 * S + 2 * MS, died, true), 1);
	assert_int_equal(waiters.fixture->monitor->lock_findings[0].type, LM_FINDING_ORPHANED_LOCK);
}

static void a_waiter_that_ran_waits_for_what_is_read_anew(void **state)
{
	struct waiters waiters = start(state);
	struct lm_thread_record ran = waiters.records[1];

	read_and_look(&waiters, NOW + S, 7);
	ran.switches += 2;
	ran.wait_since_ns = NOW + S + 2 * MS;
	begin(waiters.fixture, NOW + S + 3 * MS);
	feed_same(waiters.fixture, PID);
	feed(waiters.fixture, ran);
	lm_monitor_end_look(waiters.fixture->monitor, true);
	assert_null(thread_of(waiters.fixture, PID + 1)->lock);
	assert_non_null(thread_of(waiters.fixture, PID)->lock);
}

static void a_circle_of_timed_waits_is_none_until_it_has_lasted(void **state)
{
	struct waiters waiters = start(state);
	const struct lm_owner soft = {.lock = LOCK, .tid = PID + 1, .word = 2, .strength = LM_OWNER_SOFT};
	struct lm_thread *thread = thread_of(waiters.fixture, PID + 1);
	struct lm_monitor *monitor = waiters.fixture->monitor;

	thread->resident.wait_since_ns = NOW + S / 2;
	assert_int_equal(read_and_look_of(&waiters, NOW + S, soft, true), 0);
	assert_false(thread->deadlocked);
	assert_int_equal(read_and_look_of(&waiters, NOW + 2 * S, soft, true), 1);
	assert_int_equal(monitor->lock_findings[0].type, LM_FINDING_DEADLOCK);
	assert_int_equal(monitor->lock_findings[0].level, LM_LEVEL_LIKELY);
	assert_int_equal(monitor->lock_findings[0].since_ns, NOW + S / 2);
}

static void a_holder_is_stuck_if_it_has_not_gone_on_for_long(void **state)
{
	struct waiters waiters = start(state);
	struct lm_thread *holder;
	uint64_t now_ns = NOW + 700 * S;

	waiters.records[waiters.len] = blocked_at(PID + 2, 0);
	waiters.records[waiters.len++].regs.nr = NR_READ; /* at a place of its own */
	look_at(waiters.fixture, NOW, waiters.records, waiters.len);
	holder = thread_of(waiters.fixture, PID + 2);
	assert_non_null(holder->resident.group);
	read_and_look(&waiters, now_ns, PID + 2);
	assert_int_equal(holder->holds_for, WAITERS);
	assert_int_equal(holder->holds_since_ns, NOW - 100 * S);
	assert_int_equal(lm_monitor_judge(waiters.fixture->monitor, true), 0);
	assert_int_equal(holder->resident.group->stuck.level, LM_LEVEL_LIKELY);
	assert_string_equal(holder->resident.group->stuck.why, "others wait for a lock that it holds");
	/* it has stayed there for as long, but wakes now and then */
	holder->resident.wait_since_ns = now_ns - S;
	assert_int_equal(lm_monitor_judge(waiters.fixture->monitor, true), 0);
	assert_int_equal(holder->resident.group->stuck.level, LM_LEVEL_NONE);
	/* or those who wait have only just come */
	holder->resident.wait_since_ns = NOW - 100 * S;
	holder->holds_since_ns = now_ns - S;
	assert_int_equal(lm_monitor_judge(waiters.fixture->monitor, true), 0);
	assert_int_equal(holder->resident.group->stuck.level, LM_LEVEL_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_lock_is_orphaned_if_it_names_an_owner_that_was_missed_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_site_names_the_owner_of_its_lock_before_any_finding, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_lock_that_is_handed_on_while_its_owners_end_is_not_orphaned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_owner_that_came_back_was_not_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_look_that_was_cut_short_misses_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_lock_whose_owner_died_is_no_orphan_while_its_heir_wakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_waiter_that_ran_waits_for_what_is_read_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_circle_of_timed_waits_is_none_until_it_has_lasted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_holder_is_stuck_if_it_has_not_gone_on_for_long, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
