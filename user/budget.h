/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a daemon keeps within the CPU time and memory that it was given: by looking
 * more rarely, then by doing without. Pure: measurements in, what to do out.
 */
#ifndef LM_BUDGET_H
#define LM_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define LM_BUDGET_SLOWEST                                                                                              \
	16 /* looks are this many times as far apart at most: a watchdog of a minute hears of them                     \
	    */

struct lm_budget {
	uint64_t cpu_limit_permille; /* of one CPU, 0 = none */
	uint64_t memory_limit_bytes; /* 0 = none */
	/* what it has come to: */
	unsigned int slower;    /* looks are so many times as far apart as usual: 1, 2, 4 … */
	bool without_debuginfo; /* functions still have names, but few have lines */
	bool without_history;   /* nothing new is kept on disk */
	/* of the measurement before */
	double cpu_s, at_s;
	unsigned int calm; /* measurements in a row that would have allowed more */
};

enum lm_budget_change {
	LM_BUDGET_SAME,
	LM_BUDGET_SLOWER,
	LM_BUDGET_FASTER,
	LM_BUDGET_LESS_DEBUGINFO, /* it is to be given up now */
	LM_BUDGET_LESS_HISTORY
};

/* One measurement, every few seconds: CPU time used so far and memory now (-1 = not known), of all our processes. at_s:
 * a clock. Says what has changed, one thing at a time. What was given up for memory is not taken back: it would be
 * given up again. */
enum lm_budget_change lm_budget_measure(struct lm_budget *budget, double at_s, double cpu_s, int64_t memory_bytes);

#endif
