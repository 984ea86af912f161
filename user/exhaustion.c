// SPDX-License-Identifier: GPL-2.0-or-later
/* What is left of each resource, divided by how fast it goes. */
#include "user/exhaustion.h"

#include <math.h>
#include <stddef.h>

#define S_PER_H 3600.0
#define MAPS_PER_THREAD 2
#define FAR_S (10 * 365.25 * 86400) /* beyond ten years nobody has a question */

static const char *const names[LM_RESOURCES] = {
	[LM_RESOURCE_CGROUP_PIDS] = "pids.max",
	[LM_RESOURCE_THREADS_MAX] = "threads-max",
	[LM_RESOURCE_PID_MAX] = "pid_max",
	[LM_RESOURCE_MAPS] = "max_map_count",
	[LM_RESOURCE_MEMORY] = "memory",
};

static double growth_per_h(enum lm_resource resource, double threads_per_h, double bytes_per_h)
{
	switch (resource) {
	case LM_RESOURCE_MEMORY:
		return isnan(bytes_per_h) ? 0 : bytes_per_h;
	case LM_RESOURCE_MAPS:
		return MAPS_PER_THREAD * threads_per_h;
	default:
		return threads_per_h;
	}
}

bool lm_exhaustion_first(
	const struct lm_limits *limits, double threads_per_h, double bytes_per_h, struct lm_exhaustion *first)
{
	bool found = false;

	/* a leak that does not grow any more uses nothing up, and memory that does is then not its doing */
	if (!(threads_per_h > 0))
		return false;
	for (int i = 0; i < LM_RESOURCES; i++) {
		uint64_t used = limits->of[i].used, limit = limits->of[i].limit;
		double growth = growth_per_h(i, threads_per_h, bytes_per_h), in_s;

		if (!limit || !(growth > 0))
			continue;
		in_s = used < limit ? (limit - used) / growth * S_PER_H : 0;
		if (in_s > FAR_S || (found && in_s >= first->in_s))
			continue;
		*first = (struct lm_exhaustion){.resource = names[i], .limit = limit, .in_s = in_s};
		found = true;
	}
	return found;
}
