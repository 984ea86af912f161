// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Findings as a tired person reads them at night: one sentence that says what, where,
 * how many and since when, then when it would be wrong. Never a probability.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/monitor_go.h"
#include "user/report_build.h"

#define NS_PER_S 1e9

/* Site ids hold no PID; the name of a finding does, and the process's start. */
static void name_finding(
	uint64_t site, enum lm_finding_type type, uint32_t tgid, uint64_t process_start_ns, char id[17])
{
	uint64_t hash = site + type;

	hash = (hash ^ tgid) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ process_start_ns) * 0x9e3779b97f4a7c15ull;
	snprintf(id, 17, "%016" PRIx64, hash ^ hash >> 29);
}

static const char *text_duration(const struct lm_report *report, double seconds)
{
	if (seconds < 120)
		return lm_arena_format(report->arena, "%.1f s", seconds);
	if (seconds < 7200)
		return lm_arena_format(report->arena, "%.0f min", seconds / 60);
	if (seconds < 172800)
		return lm_arena_format(report->arena, "%.1f h", seconds / 3600);
	return lm_arena_format(report->arena, "%.1f d", seconds / 86400);
}

static const char *text_age(const struct lm_report *report, uint64_t since_ns)
{
	return text_duration(report, lm_report_age_s(report, since_ns));
}

static const char *text_process(const struct lm_report *report, const struct lm_process *process)
{
	return lm_arena_format(report->arena, "%s (PID %" PRIu32 ")", process->comm, process->key.tgid);
}

/* "main.worker (worker.go:12)" */
static const char *text_line(const struct lm_report *report, const char *function, const char *file, uint32_t line)
{
	const char *base = file ? strrchr(file, '/') : NULL;

	if (!file || !line)
		return lm_arena_text(report->arena, function);
	return lm_arena_format(report->arena, "%s (%s:%" PRIu32 ")", function, base ? base + 1 : file, line);
}

static const char *place_name(const struct lm_report *report, const struct lm_group *group)
{
	uint32_t at = 0;
	const struct lm_frame *frame = group->leaf ? lm_place_leaf_frame(group->stack, &at) : NULL;

	if (frame && frame->python)
		return lm_arena_format(
			report->arena, "%s (%s:%u)", group->leaf, frame->module->name, frame->functions[0].line);
	if (frame && frame->golang)
		return text_line(report, group->leaf, frame->functions[at].file, frame->functions[at].line);
	if (group->leaf)
		return lm_arena_text(report->arena, group->leaf);
	if (!group->stack || !group->stack->frames_len)
		return lm_arena_format(
			report->arena, "an unknown place (%s)", lm_wait_class_name(group->wait.wait_class));
	frame = lm_place_leaf_frame(group->stack, &at);
	return lm_arena_format(report->arena, "%s+0x%" PRIx64, frame->module->name, frame->offset);
}

static const char *thread_place(const struct lm_report *report, const struct lm_thread *thread)
{
	return thread->resident.group ? place_name(report, thread->resident.group) : "a place that is not known";
}

static const char *plural(int64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

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
	return lm_arena_format(
		report->arena, ", created by %s,", text_line(report, creator.function, creator.file, creator.line));
}

static void describe_leak(const struct lm_report *report, const struct lm_group *group, const char *process,
	struct lm_snapshot_finding *finding)
{
	const struct lm_snapshot_evidence *evidence = &group->verdict.evidence;
	bool estimated = group->kind == LM_SITE_GOROUTINE && evidence->retrospective;
	const char *window = lm_arena_format(
		report->arena, "%s%s", estimated ? "about " : "", text_duration(report, evidence->window_s));
	const char *left = evidence->departures == 0
				   ? "none has left"
				   : lm_arena_format(report->arena, "%" PRId64 " %s left", evidence->departures,
					     plural(evidence->departures, "has", "have"));
	const char *longest = isnan(evidence->longest_completed_s)
				      ? "no wait here was seen to end"
				      : lm_arena_format(report->arena, "the longest wait completed here was %s",
						text_duration(report, evidence->longest_completed_s));

	finding->summary = lm_arena_format(report->arena,
		"%" PRId64 " %s of %s %s %s%s over %s, spread over %" PRId64 " of %" PRId64 " time slices; %s; %s.",
		evidence->survivors, text_kind(group->kind), process,
		evidence->retrospective ? "were started and blocked in" : "entered", place_name(report, group),
		text_creator(report, group), window, evidence->cohorts_filled, evidence->cohorts, left, longest);
	finding->wrong_if = lm_arena_format(report->arena, "%s, or waits here normally last over %s",
		group->wait.wait_class == LM_WAIT_GO_CHAN_SEND
			? "somebody receives from each of them after all"
			: lm_arena_format(report->arena, "it is a fixed pool larger than %" PRId64, group->count),
		window);
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

	name_finding(group->key.site, group->verdict.type, process->key.tgid, process->key.start_ns, finding->id);
	finding->level = group->verdict.level;
	finding->type = group->verdict.type;
	finding->pid = process->key.tgid;
	finding->site = group->key.site;
	finding->since_ns = lm_report_wall_time(report, group->verdict.since_ns);
	finding->evidence = group->verdict.evidence;
	finding->held_back = group->verdict.held_back;
	fill_exhaustion(report, group, finding);
	describe_leak(report, group, text_process(report, process), finding);
}

/* --- stuck threads --- */

static void fill_stuck(
	const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *thread = group->stuck.thread;
	const struct lm_process *process = thread->process;

	name_finding(
		group->key.site + thread->tid, LM_FINDING_STUCK, process->key.tgid, process->key.start_ns, finding->id);
	finding->level = group->stuck.level;
	finding->type = LM_FINDING_STUCK;
	finding->pid = process->key.tgid;
	finding->site = group->key.site;
	finding->since_ns = lm_report_wall_time(report, thread->stay_since_ns);
	finding->summary = lm_arena_format(report->arena, "Thread %" PRIu32 " of %s has been in %s for %s: %s.",
		thread->tid, text_process(report, process), place_name(report, group),
		text_age(report, thread->stay_since_ns), group->stuck.why);
	finding->wrong_if = "it is meant to wait here for so long";
	if (group->longest_completed_ns)
		finding->evidence.longest_completed_s = group->longest_completed_ns / NS_PER_S;
}

/* --- locks --- */

static const char *circle(const struct lm_report *report, const struct lm_lock_finding *lock)
{
	const char *text = "";

	for (size_t i = 0; i < lock->members_len && i < 8; i++) {
		const struct lm_lock_member *member = &lock->members[i];
		const struct lm_lock_member *next = &lock->members[(i + 1) % lock->members_len];

		text = lm_arena_format(report->arena,
			"%s%sTID %" PRIu32 " in %s waits for 0x%" PRIx64 " of TID %" PRIu32, text ? text : "",
			i ? ", " : "", member->thread->tid, thread_place(report, member->thread), member->waits_for,
			next->thread->tid);
	}
	return text;
}

/* Threads that are in no circle, but wait for one that is. */
static const char *those_behind(const struct lm_report *report, const struct lm_lock_finding *lock)
{
	int64_t behind = lock->waiters - (int64_t)lock->members_len;

	if (behind <= 0)
		return "";
	return lm_arena_format(
		report->arena, " %" PRId64 " more %s behind them.", behind, plural(behind, "waits", "wait"));
}

static void describe_deadlock(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *first = lock->members[0].thread;
	const char *process = text_process(report, first->process), *age = text_age(report, lock->since_ns);

	if (lock->members_len == 1)
		finding->summary = lm_arena_format(report->arena,
			"Thread %" PRIu32 " of %s has waited for %s in %s for a lock that it holds itself, 0x%" PRIx64
			".%s",
			first->tid, process, age, thread_place(report, first), lock->object,
			those_behind(report, lock));
	else
		finding->summary = lm_arena_format(report->arena,
			"%zu threads of %s have waited for each other in a circle for %s: %s.%s", lock->members_len,
			process, age, circle(report, lock), those_behind(report, lock));
	finding->wrong_if = lock->soft ? "one of the waits has a timeout, and its thread then gives up what it holds"
			    : lock->level == LM_LEVEL_CONFIRMED
				    ? "somebody who does not hold one of these locks releases it"
				    : "one of them ran while the locks were read: look again";
}

static void describe_orphan(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *first = lock->members[0].thread;

	finding->summary = lm_arena_format(report->arena,
		"%" PRId64 " %s of %s %s in %s for the lock 0x%" PRIx64 ", whose owner, TID %" PRIu32
		", is gone: it has ended, or is of the process that this one was forked from; for %s.",
		lock->waiters, plural(lock->waiters, "thread", "threads"), text_process(report, first->process),
		plural(lock->waiters, "waits", "wait"), thread_place(report, first), lock->object, lock->owner_tid,
		text_age(report, lock->since_ns));
	finding->wrong_if = "another thread releases the lock in place of its owner";
}

static const char *owner_state(const struct lm_report *report, const struct lm_lock_finding *lock)
{
	const struct lm_thread *owner = lock->owner;

	if (!owner->resident.group)
		return "which runs, or has waited for a moment only";
	return lm_arena_format(report->arena, "which itself has been blocked in %s (%s) for %s%s",
		thread_place(report, owner), lm_wait_class_name(owner->resident.group->wait.wait_class),
		text_age(report, owner->stay_since_ns),
		lock->root ? lm_arena_format(report->arena, ", in the end behind TID %" PRIu32, lock->root->tid) : "");
}

static void describe_pileup(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *first = lock->members[0].thread;

	finding->summary = lm_arena_format(report->arena,
		"%" PRId64 " %s of %s wait for 0x%" PRIx64 ", held by TID %" PRIu32
		", %s; the longest of them in %s for %s.",
		lock->waiters, plural(lock->waiters, "thread", "threads"), text_process(report, first->process),
		lock->object, lock->owner->tid, owner_state(report, lock), thread_place(report, first),
		text_age(report, lock->since_ns));
	finding->wrong_if = "the holder is slow and will release the lock";
}

/* The whole stack of each member, and what it holds. */
static int fill_cycle(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	struct lm_snapshot_cycle_member *cycle = lm_arena_alloc(report->arena, lock->members_len * sizeof(*cycle));
	int error = cycle ? 0 : -ENOMEM;

	for (size_t i = 0; i < lock->members_len && !error; i++) {
		const struct lm_lock_member *member = &lock->members[i];
		const struct lm_group *group = member->thread->resident.group;

		cycle[i].id = member->thread->tid;
		cycle[i].comm = lm_arena_text(report->arena, member->thread->comm);
		cycle[i].holds = member->holds;
		cycle[i].waits_for = member->waits_for;
		if (group)
			error = lm_report_stack(report, group->stack, &cycle[i].stack, &cycle[i].stack_len);
	}
	finding->cycle = cycle;
	finding->cycle_len = cycle ? lock->members_len : 0;
	return error;
}

static int fill_lock(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *first = lock->members[0].thread;
	const struct lm_process *process = first->process;
	uint64_t site = first->resident.group ? first->resident.group->key.site : 0;

	name_finding(site ^ lock->object, lock->type, process->key.tgid, process->key.start_ns, finding->id);
	finding->level = lock->level;
	finding->type = lock->type;
	finding->pid = process->key.tgid;
	finding->site = site;
	finding->since_ns = lm_report_wall_time(report, lock->since_ns);
	finding->lock.object = lock->object;
	finding->lock.owner = lock->owner ? lock->owner->tid : 0;
	finding->lock.waiters = lock->waiters;
	if (lock->type == LM_FINDING_ORPHANED_LOCK)
		describe_orphan(report, lock, finding);
	else if (lock->type == LM_FINDING_PILEUP)
		describe_pileup(report, lock, finding);
	else
		describe_deadlock(report, lock, finding);
	return lock->type == LM_FINDING_DEADLOCK ? fill_cycle(report, lock, finding) : 0;
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

		name_finding(from->site, from->type, from->tgid, from->process_start_ns, out[i].id);
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
			from->place, plural(from->left, "has", "have"),
			text_duration(report, from->longest_ns / NS_PER_S));
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
		error = fill_lock(report, &monitor->lock_findings[i], blank(&findings[count++]));
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
