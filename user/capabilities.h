/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the capabilities that leakmon works with this process has, and what it costs to lack one. */
#ifndef LM_CAPABILITIES_H
#define LM_CAPABILITIES_H

#include <stdbool.h>
#include <stddef.h>

#define LM_CAPABILITIES 6

struct lm_capability {
	unsigned int number, instead; /* another one that the kernel takes in its place; the same number: none */
	const char *name;
	const char *cost; /* of not having it, as the end of a sentence */
	bool needed;      /* nothing works without it */
};

/* CAP_BPF, CAP_PERFMON (needed) and four more. */
extern const struct lm_capability lm_capabilities[LM_CAPABILITIES];

/* Is this one, or what stands for it, effective now? */
bool lm_capability_held(const struct lm_capability *capability);

/* Is the capability of that number (linux/capability.h) effective now? */
bool lm_capability_effective(unsigned int number);

/* The names of those that are not held, "CAP_BPF, CAP_PERFMON"; of all, or of the needed ones alone. How many. */
size_t lm_capabilities_missing(bool needed_only, char *names, size_t size);

#endif
