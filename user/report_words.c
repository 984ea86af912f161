// SPDX-License-Identifier: GPL-2.0-or-later
/* The words that findings are made of: names, places and times as people write them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/report_build.h"

/* Site ids hold no PID; the name of a finding does, and the process's start. */
void lm_report_name_finding(
	uint64_t site, enum lm_finding_type type, uint32_t tgid, uint64_t process_start_ns, char id[17])
{
	uint64_t hash = site + type;

	hash = (hash ^ tgid) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ process_start_ns) * 0x9e3779b97f4a7c15ull;
	snprintf(id, 17, "%016" PRIx64, hash ^ hash >> 29);
}

const char *lm_report_text_duration(const struct lm_report *report, double seconds)
{
	if (seconds < 0.001)
		return "less than 1 ms";
	if (seconds < 1)
		return lm_arena_format(report->arena, "%.0f ms", seconds * 1000);
	if (seconds < 120)
		return lm_arena_format(report->arena, "%.*f s", seconds < 10, seconds);
	if (seconds < 7200)
		return lm_arena_format(report->arena, "%.0f min", seconds / 60);
	if (seconds < 172800)
		return lm_arena_format(report->arena, "%.1f h", seconds / 3600);
	return lm_arena_format(report->arena, "%.1f d", seconds / 86400);
}

const char *lm_report_text_age(const struct lm_report *report, uint64_t since_ns)
{
	return lm_report_text_duration(report, lm_report_age_s(report, since_ns));
}

const char *lm_report_text_process(const struct lm_report *report, const struct lm_process *process)
{
	return lm_arena_format(report->arena, "%s (PID %" PRIu32 ")", process->comm, process->key.tgid);
}

/* "main.worker (worker.go:12)" */
const char *lm_report_text_line(const struct lm_report *report, const char *function, const char *file, uint32_t line)
{
	const char *base = file ? strrchr(file, '/') : NULL;

	if (!file || !line)
		return lm_arena_text(report->arena, function);
	return lm_arena_format(report->arena, "%s (%s:%" PRIu32 ")", function, base ? base + 1 : file, line);
}

const char *lm_report_text_place(const struct lm_report *report, const struct lm_group *group)
{
	uint32_t at = 0;
	const struct lm_frame *frame = group->leaf ? lm_place_leaf_frame(group->stack, &at) : NULL;

	if (frame && frame->python)
		return lm_arena_format(
			report->arena, "%s (%s:%u)", group->leaf, frame->module->name, frame->functions[0].line);
	if (frame && frame->golang)
		return lm_report_text_line(report, group->leaf, frame->functions[at].file, frame->functions[at].line);
	if (group->leaf)
		return lm_arena_text(report->arena, group->leaf);
	if (!group->stack || !group->stack->frames_len)
		return lm_arena_format(
			report->arena, "an unknown place (%s)", lm_wait_class_name(group->wait.wait_class));
	frame = lm_place_leaf_frame(group->stack, &at);
	return lm_arena_format(report->arena, "%s+0x%" PRIx64, frame->module->name, frame->offset);
}

const char *lm_report_plural(int64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}
