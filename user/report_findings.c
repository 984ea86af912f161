// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Findings as a tired person reads them at night: one sentence that says what, where,
 * how many and since when, then when it would be wrong. Never a probability.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "user/monitor_go.h"
#include "user/report_build.h"

#define NS_PER_S 1e9

static const char *text_kind(enum lm_site_kind kind)
{
	return kind == LM_SITE_GOROUTINE ? "goroutines" : "threads";
}

/* --- leaks and connections --- */

/* ", created by main.serve (main.go:17)," of goroutines, "" where that is not known. */
static const char *text_creator(const struct lm_report *report, const struct lm_group *group)
{
	struct lm_go_creator creator;
	int64_t creators;

	if (group->kind != LM_SITE_GOROUTINE)
		return "";
	creators = lm_report_go_creators(group);
	if (creators > 1)
		return lm_arena_format(report->arena, ", created in %" PRId64 " places,", creators);
	creator = lm_monitor_go_creator(group->process, lm_goroutine_of(group->residents[0])->creator);
	if (!creator.function)
		return "";
	return lm_arena_format(report->arena, ", created by %s,",
		lm_report_text_line(report, creator.function, creator.file, creator.line));
}

/* What else it may be. */
static const char *text_doubt(const struct lm_report *report, const struct lm_group *group)
{
	if (group->verdict.type == LM_FINDING_CONNECTIONS)
		return "these are clients that stay connected and will speak again";
	switch (group->wait.wait_class) {
	case LM_WAIT_GO_CHAN_SEND:
		return "somebody receives from each of them after all";
	case LM_WAIT_FUTEX_MUTEX:
	case LM_WAIT_FUTEX_RWLOCK:
	case LM_WAIT_FUTEX_PI:
	case LM_WAIT_GO_MUTEX:
	case LM_WAIT_GO_RWMUTEX_READ:
	case LM_WAIT_GO_RWMUTEX_WRITE:
		return "whoever holds what they wait for lets it go after all";
	case LM_WAIT_FUTEX_JOIN:
		return "the threads that they wait for end after all";
	default:
		break;
	}
	return lm_arena_format(report->arena, "it is a fixed pool larger than %" PRId64, group->count);
}

static void describe_leak(const struct lm_report *report, const struct lm_group *group, const char *process,
	struct lm_snapshot_finding *finding)
{
	const struct lm_snapshot_evidence *evidence = &group->verdict.evidence;
	bool estimated = group->kind == LM_SITE_GOROUTINE && evidence->retrospective;
	const char *window = lm_arena_format(
		report->arena, "%s%s", estimated ? "about " : "", lm_report_text_duration(report, evidence->window_s));
	const char *left = evidence->departures == 0
				   ? "none has left"
				   : lm_arena_format(report->arena, "%" PRId64 " %s left", evidence->departures,
					     lm_report_plural(evidence->departures, "has", "have"));
	const char *longest = isnan(evidence->longest_completed_s)
				      ? "no long wait here was seen to end"
				      : lm_arena_format(report->arena, "the longest wait completed here was %s",
						lm_report_text_duration(report, evidence->longest_completed_s));

	finding->summary = lm_arena_format(report->arena,
		"%" PRId64 " %s of %s %s %s%s over %s, spread over %" PRId64 " of %" PRId64 " time slices; %s; %s.",
		evidence->survivors, text_kind(group->kind), process,
		evidence->retrospective ? "were started and blocked in" : "entered",
		lm_report_text_place(report, group), text_creator(report, group), window, evidence->cohorts_filled,
		evidence->cohorts, left, longest);
	finding->wrong_if = lm_arena_format(
		report->arena, "%s, or waits here normally last over %s", text_doubt(report, group), window);
}

/* Growth of the resident memory, NAN until there was time to see any. */
static double bytes_per_h(const struct lm_report *report, const struct lm_process_facts *facts)
{
	double watched_s = facts->first_rss_ns ? lm_report_age_s(report, facts->first_rss_ns) : 0;
	double enough_s = report->monitor->config.horizon_ns / NS_PER_S / LM_VERDICT_STEPS_PER_HORIZON;

	if (watched_s < enough_s || !facts->rss_bytes)
		return NAN;
	return ((double)facts->rss_bytes - facts->first_rss_bytes) / watched_s * 3600;
}

static void fill_exhaustion(
	const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_finding *finding)
{
	const struct lm_process *process = group->process;
	struct lm_limits limits = process->facts.limits;
	double threads_per_h =
		lm_group_rate_per_h(&report->monitor->groups, group, report->now_ns, process->key.start_ns);
	struct lm_exhaustion first;

	/* a goroutine takes none of what threads do */
	for (int i = 0; i < LM_RESOURCES && group->kind == LM_SITE_GOROUTINE; i++) {
		if (i != LM_RESOURCE_MEMORY)
			limits.of[i].limit = 0;
	}
	if (!process->facts.limits_ns ||
		!lm_exhaustion_first(&limits, threads_per_h, bytes_per_h(report, &process->facts), &first))
		return;
	finding->exhaustion.resource = first.resource;
	finding->exhaustion.limit = first.limit;
	finding->exhaustion.at_ns = lm_report_wall_time(report, report->now_ns) + (int64_t)(first.in_s * NS_PER_S);
}

static void fill_leak(const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_finding *finding)
{
	const struct lm_process *process = group->process;

	lm_report_name_finding(
		group->key.site, group->verdict.type, process->key.tgid, process->key.start_ns, finding->id);
	finding->level = group->verdict.level;
	finding->type = group->verdict.type;
	finding->pid = process->key.tgid;
	finding->site = group->key.site;
	finding->since_ns = lm_report_wall_time(report, group->verdict.since_ns);
	finding->evidence = group->verdict.evidence;
	finding->held_back = group->verdict.held_back;
	fill_exhaustion(report, group, finding);
	describe_leak(report, group, lm_report_text_process(report, process), finding);
}

/* --- stuck threads --- */

static void fill_stuck(
	const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *thread = group->stuck.thread;
	const struct lm_process *process = thread->process;

	lm_report_name_finding(
		group->key.site + thread->tid, LM_FINDING_STUCK, process->key.tgid, process->key.start_ns, finding->id);
	finding->level = group->stuck.level;
	finding->type = LM_FINDING_STUCK;
	finding->pid = process->key.tgid;
	finding->site = group->key.site;
	finding->since_ns = lm_report_wall_time(report, thread->stay_since_ns);
	finding->summary = lm_arena_format(report->arena, "Thread %" PRIu32 " of %s has been blocked in %s for %s: %s.",
		thread->tid, lm_report_text_process(report, process), lm_report_text_place(report, group),
		lm_report_text_age(report, thread->stay_since_ns), group->stuck.why);
	finding->wrong_if = "it is meant to wait here for so long";
	if (group->longest_completed_ns)
		finding->evidence.longest_completed_s = group->longest_completed_ns / NS_PER_S;
}

/* --- all of them --- */

static struct lm_snapshot_finding *blank(struct lm_snapshot_finding *finding)
{
	finding->evidence = (struct lm_snapshot_evidence){
		.survivors = -1,
		.departures = -1,
		.cohorts_filled = -1,
		.cohorts = -1,
		.window_s = NAN,
		.age_floor_s = NAN,
		.longest_completed_s = NAN,
	};
	return finding;
}

static int worst_first(const void *a, const void *b)
{
	const struct lm_snapshot_finding *x = a, *y = b;

	if (x->level != y->level)
		return x->level < y->level ? 1 : -1;
	if (x->type != y->type)
		return x->type < y->type ? 1 : -1; /* of one level, locks say more than growth */
	if (x->since_ns != y->since_ns)
		return x->since_ns < y->since_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int fill_withdrawn(const struct lm_report *report)
{
	const struct lm_monitor *monitor = report->monitor;
	struct lm_snapshot_withdrawn *out = lm_arena_alloc(report->arena, monitor->withdrawn_len * sizeof(*out));

	if (!out && monitor->withdrawn_len)
		return -ENOMEM;
	for (size_t i = 0; i < monitor->withdrawn_len; i++) {
		const struct lm_withdrawn *from = &monitor->withdrawn[i];

		lm_report_name_finding(from->site, from->type, from->tgid, from->process_start_ns, out[i].id);
		out[i].level = from->level;
		out[i].type = from->type;
		out[i].pid = from->tgid;
		out[i].site = from->site;
		out[i].since_ns = lm_report_wall_time(report, from->since_ns);
		out[i].withdrawn_ns = lm_report_wall_time(report, from->withdrawn_ns);
		out[i].summary = lm_arena_format(report->arena,
			"%" PRIu64 " of the %s of %s (PID %" PRIu32
			") that the finding%s%s rested on %s left after all, after up to %s.",
			from->left, text_kind(from->kind), from->comm, from->tgid, from->place[0] ? " about " : "",
			from->place, lm_report_plural(from->left, "has", "have"),
			lm_report_text_duration(report, from->longest_ns / NS_PER_S));
	}
	report->out->withdrawn = out;
	report->out->withdrawn_len = monitor->withdrawn_len;
	return 0;
}

int lm_report_findings(const struct lm_report *report, struct lm_group *const *groups, size_t len)
{
	const struct lm_monitor *monitor = report->monitor;
	size_t most = 2 * len + monitor->lock_findings_len, count = 0;
	struct lm_snapshot_finding *findings = lm_arena_alloc(report->arena, most * sizeof(*findings));
	int error = findings || !most ? 0 : -ENOMEM;

	for (size_t i = 0; i < len && !error; i++) {
		if (groups[i]->verdict.level != LM_LEVEL_NONE)
			fill_leak(report, groups[i], blank(&findings[count++]));
		if (groups[i]->stuck.level != LM_LEVEL_NONE)
			fill_stuck(report, groups[i], blank(&findings[count++]));
	}
	for (size_t i = 0; i < monitor->lock_findings_len && !error; i++)
		error = lm_report_lock(report, &monitor->lock_findings[i], blank(&findings[count++]));
	if (error)
		return error;
	if (count)
		qsort(findings, count, sizeof(*findings), worst_first);
	for (size_t i = 0; i < count; i++)
		report->out->totals.findings[findings[i].level]++;
	report->out->findings = findings;
	report->out->findings_len = count;
	return fill_withdrawn(report);
}
