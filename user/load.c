// SPDX-License-Identifier: GPL-2.0-or-later
/* A ring of CPU use for each step. A step that took longer, because nobody looked, counts as so many. */
#include "user/load.h"

#include <math.h>

static void add(struct lm_load *load, float busy)
{
	load->busy[load->steps_len++ % LM_LOAD_STEPS] = busy;
}

static uint32_t kept_steps(const struct lm_load *load)
{
	return load->steps_len < LM_LOAD_STEPS ? load->steps_len : LM_LOAD_STEPS;
}

void lm_load_note(struct lm_load *load, uint64_t now_ns, uint64_t step_ns, uint64_t cpu_total_ns)
{
	uint64_t steps;
	float busy;

	if (!load->begun_ns) {
		load->begun_ns = now_ns;
		load->total_at_ns = cpu_total_ns;
		return;
	}
	steps = now_ns > load->begun_ns ? (now_ns - load->begun_ns) / step_ns : 0;
	if (!steps)
		return;
	busy = cpu_total_ns > load->total_at_ns ? (float)(cpu_total_ns - load->total_at_ns) / (now_ns - load->begun_ns)
						: 0;
	if (steps > LM_LOAD_STEPS) {
		load->begun_ns += (steps - LM_LOAD_STEPS) * step_ns;
		steps = LM_LOAD_STEPS;
	}
	for (uint64_t i = 0; i < steps; i++)
		add(load, busy);
	load->begun_ns += steps * step_ns;
	load->total_at_ns = cpu_total_ns;
}

void lm_load_resume(struct lm_load *load, const struct lm_load *before, uint64_t step_ns)
{
	uint32_t kept = kept_steps(load);
	uint64_t from_ns = load->begun_ns - kept * step_ns;
	struct lm_load whole = *before;

	/* rounded up: old steps must not look newer than they are */
	for (uint64_t at_ns = before->begun_ns, i = 0; at_ns < from_ns && i < LM_LOAD_STEPS; at_ns += step_ns, i++)
		add(&whole, NAN);
	for (uint32_t back = kept; back > 0; back--)
		add(&whole, load->busy[(load->steps_len - back) % LM_LOAD_STEPS]);
	whole.begun_ns = load->begun_ns;
	whole.total_at_ns = load->total_at_ns;
	*load = whole;
}

bool lm_load_had_trough(const struct lm_load *load, uint64_t step_ns, uint64_t from_ns, uint64_t length_ns)
{
	uint32_t kept = kept_steps(load);
	uint32_t needed = (length_ns + step_ns - 1) / step_ns, quiet = 0;
	float peak = 0;

	for (uint32_t i = 0; i < kept; i++) {
		if (load->busy[i] > peak)
			peak = load->busy[i];
	}
	if (peak == 0)
		return false;
	/* from the newest step back to the one that began before from_ns */
	for (uint32_t back = 1; back <= kept; back++) {
		if (load->begun_ns - back * step_ns < from_ns)
			break;
		quiet = load->busy[(load->steps_len - back) % LM_LOAD_STEPS] <= peak / 2 ? quiet + 1 : 0;
		if (quiet >= needed)
			return true;
	}
	return false;
}
