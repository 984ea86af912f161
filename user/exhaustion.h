/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When would a leak use something up: urgency, not confidence. Pure. */
#ifndef LM_EXHAUSTION_H
#define LM_EXHAUSTION_H

#include <stdbool.h>
#include <stdint.h>

enum lm_resource {
	LM_RESOURCE_CGROUP_PIDS, /* pids.max of the process's control group or one above it */
	LM_RESOURCE_THREADS_MAX, /* kernel.threads-max */
	LM_RESOURCE_PID_MAX,     /* kernel.pid_max */
	LM_RESOURCE_MAPS,        /* vm.max_map_count: a thread of glibc takes two mappings, its stack and a guard */
	LM_RESOURCE_MEMORY,      /* of the control group, else of the machine; in bytes */
	LM_RESOURCES
};

/* What is used of each, and how much there may be; limit 0: not known, or none. */
struct lm_limits {
	struct {
		uint64_t used, limit;
	} of[LM_RESOURCES];
};

struct lm_exhaustion {
	const char *resource; /* "pids.max", "threads-max" … */
	uint64_t limit;
	double in_s;
};

/* What is used up first at that growth. bytes_per_h: of resident memory, NAN = not known. False if nothing is. */
bool lm_exhaustion_first(
	const struct lm_limits *limits, double threads_per_h, double bytes_per_h, struct lm_exhaustion *first);

#endif
