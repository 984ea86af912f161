// SPDX-License-Identifier: GPL-2.0-or-later
/* Which wake-ups a stay survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/stays.h"

#define MS 1000000ull
#define S (1000 * MS)

enum { NANOSLEEP = 35, FUTEX = 202, EPOLL_WAIT = 232, POLL = 7, READ = 0 };

/* Blocked for a second when it was seen, and seen again a second later after one more wait of half a second. */
static struct lm_stay_point point(int nr, uint64_t timeout)
{
	return (struct lm_stay_point){
		.at_ns = 100 * S,
		.wait_since_ns = 99 * S,
		.waits = 5,
		.blocked_ns = 50 * S,
		.cpu_ns = 7 * MS,
		.futex_waits = 5,
		.futex_woken = 2,
		.ip = 0x4010,
		.sp = 0x7f00,
		.nr = nr,
		.timeout = timeout,
	};
}

/* The wait that was under way lasted until half a second after the first look; the next began 1 ms later. */
static struct lm_stay_point after(const struct lm_stay_point *before)
{
	struct lm_stay_point now = *before;

	now.at_ns += S;
	now.wait_since_ns = before->at_ns + 501 * MS;
	now.waits++;
	now.futex_waits++;
	now.blocked_ns += 1500 * MS;
	now.cpu_ns += MS / 10;
	return now;
}

static void a_loop_of_sleeps_is_one_stay(void **state)
{
	struct lm_stay_point before = point(NANOSLEEP, 0), now = after(&before);

	(void)state;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_GOES_ON);
}

static void a_timed_futex_wait_goes_on_until_somebody_wakes_it(void **state)
{
	struct lm_stay_point before = point(FUTEX, 0x7f10), now = after(&before);

	(void)state;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_GOES_ON);
	now.futex_woken++;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_WOKEN);
}

static void a_futex_wait_without_a_timeout_ends_with_its_wake(void **state)
{
	struct lm_stay_point before = point(FUTEX, 0), now = after(&before);

	(void)state;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_WOKEN);
}

static void a_wait_for_something_else_in_between_is_odd(void **state)
{
	struct lm_stay_point before = point(FUTEX, 0x7f10), now = after(&before);

	(void)state;
	now.waits++; /* and one of the two was for no futex */
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ODD);
	now.futex_woken++;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
}

static void waits_for_events_go_on_if_they_lasted_as_long_as_their_timeouts(void **state)
{
	static const int calls[] = {POLL, EPOLL_WAIT};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct lm_stay_point before = point(calls[i], 1500), now = after(&before);

		assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_GOES_ON);
		now.blocked_ns -= 100 * MS; /* an event came before the timeout */
		now.wait_since_ns -= 100 * MS;
		assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_WOKEN);
	}
}

static void a_read_that_returned_has_ended(void **state)
{
	struct lm_stay_point before = point(READ, 0), now = after(&before);

	(void)state;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_WOKEN);
	now.waits++;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
}

/* Stopped for most of the second, and in the same call again. */
static struct lm_stay_point stopped(const struct lm_stay_point *before)
{
	struct lm_stay_point now = after(before);

	now.waits++;
	now.stops++;
	return now;
}

static void a_wait_that_was_stopped_is_the_same_wait(void **state)
{
	static const int calls[] = {READ, FUTEX, POLL};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct lm_stay_point before = point(calls[i], 0), now = stopped(&before);

		assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_INTERRUPTED);
		now.nr = 219; /* with a timeout it is restarted by another call */
		assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_INTERRUPTED);
		now.cpu_ns += 40 * MS; /* which stopping thousands of threads takes */
		assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_INTERRUPTED);
		now.cpu_ns += 200 * MS;
		assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
	}
}

static void a_stop_hides_no_wait_that_ended(void **state)
{
	struct lm_stay_point before = point(FUTEX, 0), now = stopped(&before);

	(void)state;
	now.waits++;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
	now = stopped(&before);
	now.futex_waits++; /* one that did not block: it may have got the lock */
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
	now = stopped(&before);
	now.sp += 8;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
}

static void a_thread_is_stopped_in_its_call_or_elsewhere(void **state)
{
	struct lm_stay_point at = point(READ, 0);
	struct lm_thread_record record = {
		.state = LM_STATE_STOPPED,
		.flags = LM_THREAD_REGS,
		.regs = {.ip = at.ip, .sp = at.sp, .nr = at.nr},
	};

	(void)state;
	assert_true(lm_stay_is_stopped(&at, &record));
	record.state = LM_STATE_TRACED;
	assert_true(lm_stay_is_stopped(&at, &record));
	record.regs.nr = -1;
	assert_false(lm_stay_is_stopped(&at, &record));
	record.regs.nr = at.nr;
	record.state = LM_STATE_INTERRUPTIBLE;
	assert_false(lm_stay_is_stopped(&at, &record));
}

static void another_place_is_another_stay(void **state)
{
	struct lm_stay_point before = point(NANOSLEEP, 0), now;

	(void)state;
	now = after(&before);
	now.ip++;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
	now = after(&before);
	now.sp += 8; /* or its code was compiled meanwhile */
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_UNSURE);
	now = after(&before);
	now.nr = POLL;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
}

static void work_between_two_waits_is_odd_at_least(void **state)
{
	struct lm_stay_point before = point(NANOSLEEP, 0), now = after(&before);

	(void)state;
	now.cpu_ns = before.cpu_ns + MS + 1;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ODD);
	now = after(&before);
	now.wait_since_ns = before.at_ns + 500 * MS + 101 * MS; /* 101 ms away */
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ODD);
	now.run_delay_ns = before.run_delay_ns + 2 * MS; /* but 2 of them for want of a CPU */
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_GOES_ON);
	before = point(EPOLL_WAIT, 1500);
	now = after(&before);
	now.cpu_ns = before.cpu_ns + MS + 1;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
}

static void two_looks_may_be_close_together(void **state)
{
	struct lm_stay_point before = point(NANOSLEEP, 0), now = after(&before);

	(void)state;
	now.at_ns = before.at_ns + 2 * MS;
	now.wait_since_ns = before.at_ns + MS + MS / 2;
	now.blocked_ns = before.blocked_ns + 1001 * MS;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_GOES_ON);
}

static void a_thread_that_ticks_fast_is_busy(void **state)
{
	struct lm_stay_point before = point(NANOSLEEP, 0), now = after(&before);

	(void)state;
	now.waits = before.waits + 100;
	assert_int_not_equal(lm_stay_compare(&before, &now), LM_STAY_GOES_ON);
}

static void without_totals_nothing_goes_on(void **state)
{
	struct lm_stay_point before = point(NANOSLEEP, 0), now = after(&before);

	(void)state;
	now.waits = before.waits = 0;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
	before = point(NANOSLEEP, 0);
	now = after(&before);
	now.waits = before.waits - 1;
	assert_int_equal(lm_stay_compare(&before, &now), LM_STAY_ENDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_of_sleeps_is_one_stay),
		cmocka_unit_test(a_timed_futex_wait_goes_on_until_somebody_wakes_it),
		cmocka_unit_test(a_futex_wait_without_a_timeout_ends_with_its_wake),
		cmocka_unit_test(a_wait_for_something_else_in_between_is_odd),
		cmocka_unit_test(waits_for_events_go_on_if_they_lasted_as_long_as_their_timeouts),
		cmocka_unit_test(a_read_that_returned_has_ended),
		cmocka_unit_test(a_wait_that_was_stopped_is_the_same_wait),
		cmocka_unit_test(a_stop_hides_no_wait_that_ended),
		cmocka_unit_test(a_thread_is_stopped_in_its_call_or_elsewhere),
		cmocka_unit_test(another_place_is_another_stay),
		cmocka_unit_test(work_between_two_waits_is_odd_at_least),
		cmocka_unit_test(two_looks_may_be_close_together),
		cmocka_unit_test(a_thread_that_ticks_fast_is_busy),
		cmocka_unit_test(without_totals_nothing_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
