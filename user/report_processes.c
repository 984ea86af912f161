// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes in a report. What is counted here is counted from the threads themselves, not from running totals. */
#include <errno.h>
#include <utlist.h>

#include "user/report_build.h"

static int fill_runtime(
	const struct lm_report *report, const struct lm_process *process, struct lm_snapshot_process *out)
{
	struct lm_snapshot_unavailable *items;

	items = lm_arena_alloc(report->arena, (3 + LM_REPORT_GO_UNAVAILABLE) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	if (process->facts.unresolved)
		items[out->unavailable_len++] = (struct lm_snapshot_unavailable){"stacks", process->facts.unresolved};
	if (process->facts.no_python)
		items[out->unavailable_len++] = (struct lm_snapshot_unavailable){"python", process->facts.no_python};
	if (process->compat)
		items[out->unavailable_len++] =
			(struct lm_snapshot_unavailable){"stacks", "32-bit code is not unwound"};
	out->unavailable = items;
	out->runtime = process->kernel_thread ? "kernel" : "native";
	out->goroutines = -1;
	return lm_report_go_process(report, process, out, items);
}

static int fill_process(
	const struct lm_report *report, const struct lm_process *process, struct lm_snapshot_process *out)
{
	const struct lm_thread *thread;

	out->pid = process->key.tgid;
	out->start_ns = lm_report_wall_time(report, process->key.start_ns);
	out->comm = lm_arena_text(report->arena, process->comm);
	out->exe = lm_arena_text(report->arena, process->facts.exe);
	out->build_id = lm_arena_text(report->arena, process->facts.build_id);
	out->container_id = lm_arena_text(report->arena, process->facts.container_id);
	out->rss_bytes = process->facts.rss_bytes ? (int64_t)process->facts.rss_bytes : -1;
	out->threads = process->threads_len;
	DL_FOREACH(process->threads, thread)
	/* one whose stack was torn is counted among the losses, and looked at again */
	out->blocked_threads += thread->resident.group != NULL;
	report->out->totals.threads += out->threads;
	report->out->totals.blocked_threads += out->blocked_threads;
	return fill_runtime(report, process, out);
}

int lm_report_processes(const struct lm_report *report)
{
	size_t len = HASH_COUNT(report->monitor->processes), at = 0;
	struct lm_snapshot_process *out = lm_arena_alloc(report->arena, len * sizeof(*out));
	const struct lm_process *process;
	int64_t goroutines = -1;
	int error = !out && len ? -ENOMEM : 0;

	for (process = report->monitor->processes; process && !error; process = process->hh.next) {
		error = fill_process(report, process, &out[at]);
		if (out[at].goroutines >= 0)
			goroutines = (goroutines < 0 ? 0 : goroutines) + out[at].goroutines;
		at++;
	}
	report->out->processes = out;
	report->out->processes_len = len;
	report->out->totals.processes = len;
	report->out->totals.goroutines = goroutines;
	return error;
}
