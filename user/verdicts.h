/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a group of blocked threads a leak? Survivor cohorts: in a leak those who came
 * do not leave, and they came at all times; a pool's arrivals cluster. Pure: plain
 * numbers in, a verdict out. All times are CLOCK_BOOTTIME ns.
 */
#ifndef LM_VERDICTS_H
#define LM_VERDICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/snapshot.h"

#define LM_VERDICT_AGES 9       /* 1, 2, 5 … 320 min at the default horizon */
#define LM_VERDICT_HISTOGRAM 64 /* completed stays by log2 of their ns */

/* The ages from which a member may count as a survivor, in seconds at the default horizon, ascending. */
extern const double lm_verdict_ages_s[LM_VERDICT_AGES];
#define LM_VERDICT_HORIZON_S 1800.0 /* the default, to which the ages are relative */

struct lm_verdict_member {
	uint64_t since_ns; /* resides in the group since then */
	uint64_t born_ns;  /* the thread's start */
	uint64_t cpu_ns;
	uint64_t switches;
};

struct lm_verdict_input {
	uint64_t now_ns, watch_start_ns, process_start_ns, horizon_ns;
	const struct lm_verdict_member *members;
	size_t members_len;
	const uint64_t *departures; /* LM_VERDICT_AGES: stays that ended at this age or later, since watch_start_ns */
	uint64_t completed_p99_ns;  /* 99th percentile of completed stays; the longest if they are few */
	uint64_t longest_completed_ns;
};

struct lm_verdict {
	enum lm_level level;
	uint64_t since_ns; /* the first arrival that it rests on */
	struct lm_snapshot_evidence evidence;
};

/* The higher of the observed and the retrospective verdict. 0 or -ENOMEM. */
int lm_verdict_leak(const struct lm_verdict_input *input, struct lm_verdict *verdict);

/* The 99th percentile of a group's completed stays, from its histogram, rounded up; the longest if fewer than 20. */
uint64_t lm_verdict_completed_p99(const uint64_t completed[LM_VERDICT_HISTOGRAM], uint64_t len, uint64_t longest_ns);

#endif
