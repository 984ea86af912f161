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

#include "user/load.h"
#include "user/snapshot.h"

#define LM_VERDICT_AGES 9       /* 1, 2, 5 … 320 min at the default horizon */
#define LM_VERDICT_HISTOGRAM 64 /* completed stays by log2 of their ns */

/* The ages from which a member may count as a survivor, in seconds at the default horizon, ascending. */
extern const double lm_verdict_ages_s[LM_VERDICT_AGES];
#define LM_VERDICT_HORIZON_S 1800.0 /* the default, to which all times are relative */

#define LM_VERDICT_STEPS_PER_HORIZON                                                                                   \
	30 /* the load is noted, and verdicts are reached anew, every 60 s of the default */

/* A time that is so long at the default horizon, in ns at this one. */
uint64_t lm_verdict_scaled_ns(uint64_t horizon_ns, double seconds);

struct lm_verdict_member {
	uint64_t since_ns; /* resides in the group since then */
	uint64_t born_ns;  /* the thread's start */
	uint32_t cpu_ms;
	uint32_t switches; /* of its own accord */
};

/* What speaks against a leak whatever the cohorts say. */
enum lm_verdict_guards {
	LM_GUARD_IDLE_WORKERS = 1 << 0, /* one shared object, or a known idle worker's frame */
	LM_GUARD_CONNECTIONS = 1 << 1,  /* one socket each, or as many as those: they come and go with clients */
	LM_GUARD_DEAD_PEERS = 1 << 2,   /* … of which at least half are closed or long silent */
	LM_GUARD_UNDATED = 1 << 3,      /* births are guessed from the order of creation alone */
	LM_GUARD_TIMEOUTS = 1 << 4,     /* each waits in one call that ends by itself */
};

struct lm_verdict_input {
	uint64_t now_ns, watch_start_ns, process_start_ns, horizon_ns;
	const struct lm_verdict_member *members;
	size_t members_len;
	const uint32_t *departures; /* LM_VERDICT_AGES: stays that ended at this age or later, since watch_start_ns */
	const uint64_t *last_departures_ns; /* when the last of each ended, 0 = none has */
	uint64_t completed_p99_ns;          /* 99th percentile of completed stays; the longest if they are few */
	uint64_t longest_completed_ns;
	uint64_t demanded_age_ns;   /* survivors must be older, since a finding here was withdrawn; 0 = none was */
	const struct lm_load *load; /* NULL: not known, then nothing is confirmed */
	unsigned int guards;        /* enum lm_verdict_guards */
	bool sleeps;                /* the members wait for nothing but time */
	bool has_timeouts;          /* the waits of all of them have one */
	bool since_is_latest;       /* since_ns of who came before we watched is the latest that it may be */
};

struct lm_verdict {
	enum lm_level level;
	enum lm_finding_type type; /* leak or connections */
	uint64_t since_ns;         /* the first arrival that it rests on */
	int age;                   /* index of its age floor in lm_verdict_ages_s */
	const char *held_back;     /* static text: the guard that keeps it from a higher level, NULL if none does */
	struct lm_snapshot_evidence evidence;
};

/* The highest verdict that holds, by what was observed or, for want of that, in retrospect. */
void lm_verdict_leak(const struct lm_verdict_input *input, struct lm_verdict *verdict);

/* The share of departures beyond which a finding of this level is withdrawn (φ). */
double lm_verdict_departed_share(enum lm_level level);

/* The 99th percentile of a group's completed stays, from its histogram, rounded up; the longest if fewer than 20. */
uint64_t lm_verdict_completed_p99(const uint32_t completed[LM_VERDICT_HISTOGRAM], uint64_t len, uint64_t longest_ns);

#endif
