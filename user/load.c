// SPDX-License-Identifier: GPL-2.0-or-later
/* A ring of CPU use for each step. A step that took longer, because nobody looked, counts as so many. */
#include "user/load.h"

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
		load->busy[load->steps_len++ % LM_LOAD_STEPS] = busy;
	load->begun_ns += steps * step_ns;
	load->total_at_ns = cpu_total_ns;
}

bool lm_load_had_trough(const struct lm_load *load, uint64_t step_ns, uint64_t from_ns, uint64_t length_ns)
{
	uint32_t kept = load->steps_len < LM_LOAD_STEPS ? load->steps_len : LM_LOAD_STEPS;
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
