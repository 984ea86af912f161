// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The survivor-cohort test, observed and retrospective, at the suspect level. The
 * method and its constants are those of VERDICTS.md: if load peaks are
 * exchangeable, the m-th of equal time slices holds a new record of survivors with
 * chance 1/m, so arrivals that fill every slice are no pool that follows its load.
 */
#include "user/verdicts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9
#define LONGEST_WINDOW_S 21600.0 /* cohorts look back over at most this */
#define FEW_COMPLETED 20         /* below it a percentile says nothing: the longest is used */

const double lm_verdict_ages_s[LM_VERDICT_AGES] = {60, 120, 300, 600, 1200, 2400, 4800, 9600, 19200};

struct level_rule {
	enum lm_level level;
	double age_floor_s;  /* A0 */
	size_t survivors;    /* K */
	int filled, cohorts; /* R of M */
	double window_s;     /* W */
	double warm_up_s;
	double departed_share; /* φ */
};

static const struct level_rule suspect = {
	.level = LM_LEVEL_SUSPECT,
	.age_floor_s = 60,
	.survivors = 8,
	.filled = 5,
	.cohorts = 5,
	.window_s = 180,
	.warm_up_s = 60,
	.departed_share = 0.05,
};

/* What "blocked here soon after birth and hardly ran" means in the retrospective test. */
#define RESIDENT_SHARE 0.9 /* of the thread's life */
#define IDLE_SHARE 0.8     /* of the members must be so */
#define CPU_MAX_NS 100e6
#define SWITCHES_MAX 100

static double time_scale(const struct lm_verdict_input *input)
{
	return input->horizon_ns / (LM_VERDICT_HORIZON_S * NS_PER_S);
}

static uint64_t age_of(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

static size_t count_older(const struct lm_verdict_input *input, uint64_t age_ns)
{
	size_t older = 0;

	for (size_t i = 0; i < input->members_len; i++)
		older += age_of(input->members[i].since_ns, input->now_ns) >= age_ns;
	return older;
}

/* A, the age from which a member counts as a survivor: the index of its floor in lm_verdict_ages_s, -1 if none will do.
 */
static int age_floor(const struct lm_verdict_input *input, const struct level_rule *rule)
{
	double scale = time_scale(input) * NS_PER_S;

	for (int i = 0; i < LM_VERDICT_AGES; i++) {
		uint64_t floor_ns = lm_verdict_ages_s[i] * scale;
		uint64_t departed = input->departures[i];
		size_t stayed;

		if (lm_verdict_ages_s[i] < rule->age_floor_s || floor_ns < 4 * input->completed_p99_ns)
			continue;
		stayed = count_older(input, floor_ns);
		if (stayed && departed <= rule->departed_share * (departed + stayed))
			return i;
	}
	return -1;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* How many of the cohorts between first and end hold one of the (ascending) times; one of the last two must. */
static int filled_cohorts(const uint64_t *times, size_t len, uint64_t first_ns, uint64_t end_ns, int cohorts)
{
	int filled = 0, last = -1;

	for (size_t i = 0; i < len; i++) {
		double part = (double)(times[i] - first_ns) / (end_ns - first_ns);
		int cohort = part >= 1 ? cohorts - 1 : (int)(part * cohorts);

		filled += cohort != last;
		last = cohort;
	}
	return last >= cohorts - 2 ? filled : 0;
}

/* Puts the ascending arrival times to the test, in cohorts from first_ns to the age floor. */
static void judge(const struct lm_verdict_input *input, const struct level_rule *rule, uint64_t floor_ns,
	uint64_t first_ns, const uint64_t *times, size_t len, bool retrospective, struct lm_verdict *verdict)
{
	double scale = time_scale(input) * NS_PER_S;
	uint64_t end_ns = input->now_ns - floor_ns;
	uint64_t longest_ns = LONGEST_WINDOW_S * scale;
	int filled;

	if (end_ns - first_ns > longest_ns)
		first_ns = end_ns - longest_ns;
	while (len && times[0] < first_ns) {
		times++;
		len--;
	}
	if (len < rule->survivors || end_ns - first_ns < rule->window_s * scale)
		return;
	filled = filled_cohorts(times, len, first_ns, end_ns, rule->cohorts);
	if (filled < rule->filled)
		return;
	verdict->level = rule->level;
	verdict->since_ns = times[0];
	verdict->evidence = (struct lm_snapshot_evidence){
		.survivors = len,
		.cohorts_filled = filled,
		.cohorts = rule->cohorts,
		.window_s = (input->now_ns - times[0]) / NS_PER_S,
		.age_floor_s = floor_ns / NS_PER_S,
		.longest_completed_s = input->longest_completed_ns ? input->longest_completed_ns / NS_PER_S : NAN,
		.retrospective = retrospective,
	};
}

/* Arrivals that we have seen: after we came and after the process had warmed up. */
static void judge_observed(const struct lm_verdict_input *input, const struct level_rule *rule, uint64_t *times,
	struct lm_verdict *verdict)
{
	double scale = time_scale(input) * NS_PER_S;
	uint64_t from_ns = input->process_start_ns + (uint64_t)(rule->warm_up_s * scale);
	int floor = age_floor(input, rule);
	uint64_t floor_ns;
	size_t len = 0;

	if (floor < 0)
		return;
	floor_ns = lm_verdict_ages_s[floor] * scale;
	if (from_ns < input->watch_start_ns)
		from_ns = input->watch_start_ns;
	for (size_t i = 0; i < input->members_len; i++) {
		uint64_t since_ns = input->members[i].since_ns;

		if (since_ns >= from_ns && age_of(since_ns, input->now_ns) >= floor_ns)
			times[len++] = since_ns;
	}
	if (!len)
		return;
	qsort(times, len, sizeof(*times), compare_times);
	judge(input, rule, floor_ns, times[0], times, len, false, verdict);
	if (verdict->level != LM_LEVEL_NONE)
		verdict->evidence.departures = input->departures[floor];
}

static bool blocked_since_birth(const struct lm_verdict_input *input, const struct lm_verdict_member *member)
{
	uint64_t life_ns = age_of(member->born_ns, input->now_ns);

	return age_of(member->since_ns, input->now_ns) >= RESIDENT_SHARE * life_ns && member->cpu_ns <= CPU_MAX_NS &&
	       member->switches <= SWITCHES_MAX;
}

/* The older half of the window must hold at least a quarter of the births. */
static bool began_early(const uint64_t *times, size_t len, uint64_t first_ns, uint64_t end_ns)
{
	size_t early = 0;

	for (size_t i = 0; i < len; i++)
		early += times[i] - first_ns <= (end_ns - first_ns) / 2;
	return 4 * early >= len;
}

/* What the kernel knew before we came: the births of the present members. */
static void judge_retrospective(const struct lm_verdict_input *input, const struct level_rule *rule, uint64_t *times,
	struct lm_verdict *verdict)
{
	double scale = time_scale(input) * NS_PER_S;
	uint64_t from_ns = input->process_start_ns + (uint64_t)(rule->warm_up_s * scale);
	int floor = age_floor(input, rule);
	uint64_t floor_ns, end_ns;
	size_t len = 0, idle = 0;

	if (floor < 0)
		return;
	floor_ns = lm_verdict_ages_s[floor] * scale;
	end_ns = input->now_ns - floor_ns;
	if (end_ns <= from_ns)
		return;
	for (size_t i = 0; i < input->members_len; i++) {
		const struct lm_verdict_member *member = &input->members[i];

		if (member->born_ns < from_ns || member->born_ns > end_ns)
			continue;
		times[len++] = member->born_ns;
		idle += blocked_since_birth(input, member);
	}
	if (!len || idle < IDLE_SHARE * len || !began_early(times, len, from_ns, end_ns))
		return;
	qsort(times, len, sizeof(*times), compare_times);
	judge(input, rule, floor_ns, from_ns, times, len, true, verdict);
	if (verdict->level != LM_LEVEL_NONE)
		verdict->evidence.departures = input->departures[floor];
}

int lm_verdict_leak(const struct lm_verdict_input *input, struct lm_verdict *verdict)
{
	struct lm_verdict result = {.level = LM_LEVEL_NONE};
	uint64_t *times;

	if (input->members_len < suspect.survivors) {
		*verdict = result;
		return 0;
	}
	times = calloc(input->members_len, sizeof(*times));
	if (!times)
		return -ENOMEM;
	judge_observed(input, &suspect, times, &result);
	if (result.level == LM_LEVEL_NONE)
		judge_retrospective(input, &suspect, times, &result);
	free(times);
	*verdict = result;
	return 0;
}

uint64_t lm_verdict_completed_p99(const uint64_t completed[LM_VERDICT_HISTOGRAM], uint64_t len, uint64_t longest_ns)
{
	uint64_t beyond = len / 100, seen = 0;

	if (len < FEW_COMPLETED)
		return longest_ns;
	for (int bucket = LM_VERDICT_HISTOGRAM - 1; bucket >= 0; bucket--) {
		seen += completed[bucket];
		if (seen > beyond) {
			uint64_t upper_ns = bucket >= 63 ? UINT64_MAX : 1ull << (bucket + 1);

			return upper_ns < longest_ns ? upper_ns : longest_ns;
		}
	}
	return 0;
}
