// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who woke a thread is told from what it waited in: sleeps end by timers; the futex
 * programs count the waits that another thread ended; waits for events with a
 * timeout in a register ended by it if together they lasted as long.
 */
#include "user/stays.h"

/* x86-64 */
#define NR_POLL 7
#define NR_NANOSLEEP 35
#define NR_FUTEX 202
#define NR_RESTART 219 /* restart_syscall: a call with a timeout goes on after it was interrupted */
#define NR_CLOCK_NANOSLEEP 230
#define NR_EPOLL_WAIT 232
#define NR_EPOLL_PWAIT 281

#define NS_PER_MS 1000000ull
#define STOP_CPU_NS                                                                                                    \
	(50 * NS_PER_MS) /* of a signal to thousands of threads, which the first of them hands to all others */

static uint64_t timeout_of(const struct lm_regs *regs)
{
	switch (regs->nr) {
	case NR_POLL:
		return (int32_t)regs->dx > 0 ? (uint32_t)regs->dx : 0;
	case NR_EPOLL_WAIT:
	case NR_EPOLL_PWAIT:
		return (int32_t)regs->r10 > 0 ? (uint32_t)regs->r10 : 0;
	case NR_FUTEX:
		return regs->r10;
	default:
		return 0;
	}
}

void lm_stay_note(struct lm_stay_point *point, const struct lm_thread_record *record, uint64_t wait_since_ns)
{
	*point = (struct lm_stay_point){
		.at_ns = record->now_ns,
		.wait_since_ns = wait_since_ns,
		.waits = record->waits,
		.stops = record->stops,
		.blocked_ns = record->blocked_ns,
		.cpu_ns = record->cpu_ns,
		.run_delay_ns = record->run_delay_ns,
		.futex_waits = record->futex.waits,
		.futex_woken = record->futex.woken,
		.ip = record->regs.ip,
		.sp = record->regs.sp,
		.nr = record->flags & LM_THREAD_REGS ? record->regs.nr : -1,
		.timeout = record->flags & LM_THREAD_REGS ? timeout_of(&record->regs) : 0,
	};
}

/* All time blocked so far, with that of the wait under way. */
static uint64_t blocked_until(const struct lm_stay_point *point)
{
	return point->blocked_ns + (point->at_ns > point->wait_since_ns ? point->at_ns - point->wait_since_ns : 0);
}

static bool ended_by_timers(const struct lm_stay_point *before, const struct lm_stay_point *now)
{
	uint64_t waits = now->waits - before->waits;
	uint64_t blocked_ns = now->blocked_ns - before->blocked_ns;

	switch (now->nr) {
	case NR_NANOSLEEP:
	case NR_CLOCK_NANOSLEEP:
		return true;
	case NR_FUTEX:
		/* all its waits were for futexes, and nobody ended one but for short ones: those are for locks */
		return now->timeout && now->futex_woken == before->futex_woken &&
		       now->futex_waits - before->futex_waits >= waits;
	case NR_POLL:
	case NR_EPOLL_WAIT:
	case NR_EPOLL_PWAIT:
		return now->timeout && now->timeout == before->timeout &&
		       blocked_ns >= waits * now->timeout * NS_PER_MS / 100 * 99;
	default:
		return false;
	}
}

/* Could a timer have ended all of its waits? What is not known counts for it. */
static bool maybe_ended_by_timers(const struct lm_stay_point *before, const struct lm_stay_point *now)
{
	switch (now->nr) {
	case NR_NANOSLEEP:
	case NR_CLOCK_NANOSLEEP:
		return true;
	case NR_FUTEX:
		return now->timeout && now->futex_woken == before->futex_woken;
	default:
		return false;
	}
}

/* More CPU, or longer away, than each of its waits may take. */
static bool has_worked(const struct lm_stay_point *before, const struct lm_stay_point *now, uint64_t cpu_ns)
{
	uint64_t waits = now->waits - before->waits;
	uint64_t passed_ns = now->at_ns - before->at_ns;
	uint64_t idle_ns = blocked_until(now) - blocked_until(before) + now->run_delay_ns - before->run_delay_ns;

	return now->cpu_ns - before->cpu_ns > waits * cpu_ns ||
	       (passed_ns > idle_ns && passed_ns - idle_ns > waits * LM_STAY_GAP_NS);
}

bool lm_stay_is_stopped(const struct lm_stay_point *point, const struct lm_thread_record *record)
{
	return point->at_ns && record->state & (LM_STATE_STOPPED | LM_STATE_TRACED) && record->flags & LM_THREAD_REGS &&
	       record->regs.nr >= 0 && record->regs.nr == point->nr && record->regs.ip == point->ip &&
	       record->regs.sp == point->sp;
}

/* Stopped, and in the same call again: each of its waits was a stop or interrupted by one. */
static bool was_interrupted(const struct lm_stay_point *before, const struct lm_stay_point *now)
{
	uint64_t stops = now->stops - before->stops;

	return stops && now->waits - before->waits <= 2 * stops && now->futex_waits - before->futex_waits <= stops &&
	       (now->nr == before->nr || now->nr == NR_RESTART) && now->ip == before->ip && now->sp == before->sp;
}

enum lm_stay_change lm_stay_compare(const struct lm_stay_point *before, const struct lm_stay_point *now)
{
	uint64_t waits = now->waits - before->waits;

	if (now->waits <= before->waits || now->at_ns <= before->at_ns || now->nr < 0)
		return LM_STAY_ENDED;
	if (was_interrupted(before, now))
		return has_worked(before, now, STOP_CPU_NS) ? LM_STAY_ENDED : LM_STAY_INTERRUPTED;
	if (now->nr != before->nr || now->ip != before->ip)
		return LM_STAY_ENDED;
	if (has_worked(before, now, LM_STAY_CPU_NS))
		return maybe_ended_by_timers(before, now) ? LM_STAY_ODD : LM_STAY_ENDED;
	/* the waits in full, also what of the first lies before the earlier look: that may be a moment ago */
	if (now->blocked_ns - before->blocked_ns >= waits * LM_SHORT_WAIT_NS && ended_by_timers(before, now))
		return now->sp == before->sp ? LM_STAY_GOES_ON : LM_STAY_UNSURE;
	if (maybe_ended_by_timers(before, now))
		return LM_STAY_ODD;
	return waits == 1 && now->sp == before->sp ? LM_STAY_WOKEN : LM_STAY_ENDED;
}
