// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long an evaluation of all verdicts takes, and what the groups take in memory:
 * 10,000 groups with 100 members each that came at all times, none of whom left, so
 * that every rule is put to all of them. Prints "ms MiB" as a line of JSON.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "user/groups.h"
#include "user/verdicts.h"

#define GROUPS 10000
#define MEMBERS 100
#define ROUNDS 9
#define NS_PER_S 1000000000ull

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int fill(struct lm_groups *groups, struct lm_resident *residents)
{
	for (uint64_t g = 0; g < GROUPS; g++) {
		struct lm_place place = {.process = g, .wait = {.wait_class = LM_WAIT_FUTEX_COND}};
		struct lm_group *group;

		if (lm_groups_find(groups, &place, &group))
			return 1;
		for (uint64_t m = 0; m < MEMBERS; m++) {
			uint64_t since_ns = (10000 + 100 * m + g % 97) * NS_PER_S;
			const struct lm_verdict_member member = {.since_ns = since_ns, .born_ns = since_ns};

			if (lm_groups_join(group, residents++, &member))
				return 1;
		}
	}
	return 0;
}

static size_t evaluate(const struct lm_groups *groups)
{
	size_t likely = 0;

	for (const struct lm_group *group = groups->table; group; group = group->hh.next) {
		const struct lm_verdict_input input = {
			.now_ns = 21000 * NS_PER_S,
			.watch_start_ns = 9000 * NS_PER_S,
			.process_start_ns = 1000 * NS_PER_S,
			.horizon_ns = groups->horizon_ns,
			.members = group->members,
			.members_len = group->count,
			.departures = group->departures,
			.last_departures_ns = group->last_departures_ns,
		};
		struct lm_verdict verdict;

		lm_verdict_leak(&input, &verdict);
		likely += verdict.level == LM_LEVEL_LIKELY;
	}
	return likely;
}

int main(void)
{
	struct lm_groups groups = {.horizon_ns = 1800 * NS_PER_S, .empty_max = 1};
	struct lm_resident *residents = calloc(GROUPS * MEMBERS, sizeof(*residents));
	double times_ms[ROUNDS];
	size_t likely = 0, before = mallinfo2().uordblks;

	if (!residents || fill(&groups, residents))
		return 2;
	before = mallinfo2().uordblks - before;
	for (int i = 0; i < ROUNDS; i++) {
		double began_ms = now_ms();

		likely = evaluate(&groups);
		times_ms[i] = now_ms() - began_ms;
	}
	qsort(times_ms, ROUNDS, sizeof(times_ms[0]), by_value);
	printf("{\"ms\": %.1f, \"mib\": %.1f, \"likely\": %zu}\n", times_ms[ROUNDS / 2], before / 1048576.0, likely);
	lm_groups_free(&groups);
	free(residents);
	return likely == GROUPS ? 0 : 1;
}
