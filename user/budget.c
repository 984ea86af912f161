// SPDX-License-Identifier: GPL-2.0-or-later
/* Halves and doubles, so that it settles within a few measurements; slower at once, faster only after a while. */
#include "user/budget.h"

#define CALM_TO_BE_FASTER 6 /* measurements: a load that comes and goes each minute is not followed */
#define FASTER_SHARE 0.4    /* twice as many looks cost at most twice as much */

static enum lm_budget_change measure_memory(struct lm_budget *budget, int64_t memory_bytes)
{
	if (!budget->memory_limit_bytes || memory_bytes < 0 || (uint64_t)memory_bytes <= budget->memory_limit_bytes)
		return LM_BUDGET_SAME;
	if (!budget->without_debuginfo) {
		budget->without_debuginfo = true;
		return LM_BUDGET_LESS_DEBUGINFO;
	}
	if (!budget->without_history) {
		budget->without_history = true;
		return LM_BUDGET_LESS_HISTORY;
	}
	return LM_BUDGET_SAME;
}

static enum lm_budget_change measure_cpu(struct lm_budget *budget, double share)
{
	double limit = budget->cpu_limit_permille / 1000.0;

	if (!limit)
		return LM_BUDGET_SAME;
	if (share > limit) {
		budget->calm = 0;
		if (budget->slower == LM_BUDGET_SLOWEST)
			return LM_BUDGET_SAME;
		budget->slower *= 2;
		return LM_BUDGET_SLOWER;
	}
	budget->calm = share <= FASTER_SHARE * limit ? budget->calm + 1 : 0;
	if (budget->slower == 1 || budget->calm < CALM_TO_BE_FASTER)
		return LM_BUDGET_SAME;
	budget->calm = 0;
	budget->slower /= 2;
	return LM_BUDGET_FASTER;
}

enum lm_budget_change lm_budget_measure(struct lm_budget *budget, double at_s, double cpu_s, int64_t memory_bytes)
{
	double passed_s = at_s - budget->at_s, used_s = cpu_s - budget->cpu_s;
	bool is_first = budget->at_s == 0;
	enum lm_budget_change change;

	if (!budget->slower)
		budget->slower = 1;
	budget->at_s = at_s;
	budget->cpu_s = cpu_s;
	change = measure_memory(budget, memory_bytes);
	/* the first look reads what later ones know */
	if (change != LM_BUDGET_SAME || is_first || passed_s <= 0)
		return change;
	return measure_cpu(budget, used_s / passed_s);
}
