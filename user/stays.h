/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long has a thread been where it is? A stay goes on over wake-ups that nobody
 * else caused: a loop of sleeps, or a wait with a timeout that is repeated, is one
 * stay, not one every tick (VERDICTS.md, "Residence"). Pure.
 */
#ifndef LM_STAYS_H
#define LM_STAYS_H

#include <stdbool.h>
#include <stdint.h>

#include "leakmon_abi.h"

/* What a look saw of a blocked thread. Times are CLOCK_BOOTTIME ns, totals those of lm_thread_record. */
struct lm_stay_point {
	uint64_t at_ns;
	uint64_t wait_since_ns; /* of the present wait */
	uint64_t waits, blocked_ns, stops;
	uint64_t cpu_ns, run_delay_ns;
	uint64_t futex_waits, futex_woken;
	uint64_t ip, sp;
	int64_t nr;       /* system call */
	uint64_t timeout; /* its argument for that: ms, or the address of one; 0 = none */
};

enum lm_stay_change {
	LM_STAY_ENDED,
	LM_STAY_GOES_ON,     /* the thread was only woken by timers, and waits in the same place again */
	LM_STAY_INTERRUPTED, /* a debugger, SIGSTOP or its cgroup stopped it, and it is in the same system call again:
				it has done nothing */
	LM_STAY_UNSURE, /* so it was, but its stack is as deep as before no more: look at that (compiled code moves it)
			 */
	LM_STAY_ODD,   /* nobody is known to have woken it, but it has done more than ticks do: a moment of load, a page
			  that had to be read, or work. One alone among many ticks says nothing */
	LM_STAY_WOKEN, /* it waits there again at once, but another thread woke it: goes on if that woke many */
};

/* A stay goes on if the thread waits again within this, and has used no more CPU. For each wake-up. The time for which
 * a busy machine let it wait for a CPU does not count. */
#define LM_STAY_GAP_NS 100000000ull
#define LM_STAY_CPU_NS 1000000ull

/* So many looks in a row must have found a thread only ticking for an odd one to end nothing. */
#define LM_STAY_CALM_LOOKS 16

/* Notes what is needed of a record of a thread that is blocked. */
void lm_stay_note(struct lm_stay_point *point, const struct lm_thread_record *record, uint64_t wait_since_ns);

/* Is this a thread that was stopped in the midst of the system call in which it was when that point was noted? */
bool lm_stay_is_stopped(const struct lm_stay_point *point, const struct lm_thread_record *record);

/* What became of the stay between two looks at which the thread was blocked, and in between it ran. The same place
 * means the same system call at the same instruction; the same stack pointer makes it sure. */
enum lm_stay_change lm_stay_compare(const struct lm_stay_point *before, const struct lm_stay_point *now);

#endif
