/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How busy a process was, in steps: to tell a leak from a pool that follows its
 * load, one must have seen the load go down and nobody leave. Pure.
 */
#ifndef LM_LOAD_H
#define LM_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_LOAD_STEPS 384 /* of a thirtieth of a horizon: 6.4 h at the default one */

struct lm_load {
	uint64_t begun_ns;         /* of the step under way, 0 = nothing was noted yet */
	uint64_t total_at_ns;      /* the total when it began */
	uint32_t steps_len;        /* that are complete, of which the last LM_LOAD_STEPS are kept */
	float busy[LM_LOAD_STEPS]; /* a ring: CPU seconds used for each second of a step; NAN: not known */
};

/* Notes the CPU time that the process has used so far. step_ns: the length of a step, always the same. */
void lm_load_note(struct lm_load *load, uint64_t now_ns, uint64_t step_ns, uint64_t cpu_total_ns);

/* Puts what was noted before a restart (CLOCK_BOOTTIME of this boot, as all times here) before what has been noted
 * since, which must be something. How busy it was in between is not known: no peak, and no trough. */
void lm_load_resume(struct lm_load *load, const struct lm_load *before, uint64_t step_ns);

/* Since from_ns, has there been a stretch of length_ns in which the process was at most half as busy as at its peak?
 * No load is no trough: false for a process that has not been seen for so long. */
bool lm_load_had_trough(const struct lm_load *load, uint64_t step_ns, uint64_t from_ns, uint64_t length_ns);

#endif
