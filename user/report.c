// SPDX-License-Identifier: GPL-2.0-or-later
/* Builds snapshots: sites and notes; processes are in report_processes.c, findings in report_findings.c. */
#include "user/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "user/report_build.h"

#define NS_PER_S 1e9
/* Objects shared by this few of the members are one queue's: VERDICTS.md, "One shared wait object". */
#define SHARED_OBJECT_SHARE 0.2
/* A site grows if so many more came than left, and they are a part of it that one sees. */
#define GROWTH_MIN 8
#define GROWTH_SHARE 20
#define FEW_MEMBERS 64 /* found in one pass over all; more are sorted */

int64_t lm_report_wall_time(const struct lm_report *report, uint64_t boot_ns)
{
	return boot_ns ? (int64_t)boot_ns + report->wall_offset_ns : 0;
}

double lm_report_age_s(const struct lm_report *report, uint64_t since_ns)
{
	return report->now_ns > since_ns ? (report->now_ns - since_ns) / NS_PER_S : 0;
}

static size_t stack_lines(const struct lm_stack *stack)
{
	size_t lines = 0;

	for (size_t i = 0; stack && i < stack->frames_len; i++)
		lines += stack->frames[i]->functions_len ? stack->frames[i]->functions_len : 1;
	return lines;
}

static void fill_line(const struct lm_report *report, const struct lm_frame *frame, const struct lm_function *function,
	struct lm_snapshot_frame *line)
{
	line->module = lm_arena_text(report->arena, frame->module->name);
	line->build_id = lm_arena_text(report->arena, frame->module->build_id);
	line->offset = frame->offset;
	if (!function)
		return;
	line->function = lm_arena_text(report->arena, function->name);
	line->file = lm_arena_text(report->arena, function->file);
	line->line = function->line;
	line->inlined = function->inlined;
}

int lm_report_stack(const struct lm_report *report, const struct lm_stack *stack, const struct lm_snapshot_frame **out,
	size_t *out_len)
{
	size_t len = stack_lines(stack), at = 0;
	struct lm_snapshot_frame *lines = lm_arena_alloc(report->arena, len * sizeof(*lines));

	if (!lines && len)
		return -ENOMEM;
	for (size_t i = 0; stack && i < stack->frames_len; i++) {
		const struct lm_frame *frame = stack->frames[i];

		if (!frame->functions_len)
			fill_line(report, frame, NULL, &lines[at++]);
		for (size_t f = 0; f < frame->functions_len; f++)
			fill_line(report, frame, &frame->functions[f], &lines[at++]);
	}
	*out = lines;
	*out_len = len;
	return 0;
}

/* The line that findings name: the metric, the history and the table then say the same. */
static void fill_place(const struct lm_stack *stack, struct lm_snapshot_site *site)
{
	const struct lm_frame *leaf;
	uint32_t at;

	if (!stack || !stack->frames_len)
		return;
	leaf = lm_place_leaf_frame(stack, &at);
	for (size_t i = 0; stack->frames[i] != leaf; i++)
		at += stack->frames[i]->functions_len ? stack->frames[i]->functions_len : 1;
	site->place = &site->stack[at];
	site->place_has_line = leaf->python || leaf->golang;
}

static int fill_stack(const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_site *site)
{
	site->stack_why = group->stack_why;
	if (group->stack && group->stack->end == LM_STACK_BROKEN && !site->stack_why)
		site->stack_why = "the frame below could not be found";
	else if (group->stack && group->stack->end == LM_STACK_TRUNCATED)
		site->stack_why = "deeper frames are left out";
	if (lm_report_stack(report, group->stack, &site->stack, &site->stack_len))
		return -ENOMEM;
	fill_place(group->stack, site);
	return 0;
}

static int fill_kernel_stack(
	const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_site *site)
{
	const struct lm_monitor_config *config = &report->monitor->config;
	struct lm_snapshot_frame *lines;

	lines = lm_arena_alloc(report->arena, group->kernel_stack_len * sizeof(*lines));
	if (!lines && group->kernel_stack_len)
		return -ENOMEM;
	for (size_t i = 0; i < group->kernel_stack_len; i++) {
		uint64_t offset = group->kernel_stack[i];
		const char *name = config->kernel_symbol ? config->kernel_symbol(config->kernel_symbol_context,
								   group->kernel_stack[i], &offset)
							 : NULL;

		lines[i].function = lm_arena_text(report->arena, name);
		lines[i].offset = offset;
	}
	site->kernel_stack = lines;
	site->kernel_stack_len = group->kernel_stack_len;
	return 0;
}

static void fill_member(
	const struct lm_report *report, const struct lm_resident *resident, struct lm_snapshot_member *member)
{
	const struct lm_thread *thread = lm_thread_of(resident);

	member->id = thread->tid;
	member->comm = lm_arena_text(report->arena, thread->comm);
	member->started_ns = lm_report_wall_time(report, thread->start_ns);
	member->blocked_since_ns = lm_report_wall_time(report, resident->wait_since_ns);
	member->resident_since_ns = lm_report_wall_time(report, lm_resident_member(resident)->since_ns);
	member->exact = thread->flags & LM_THREAD_EXACT;
	member->blocked_total_s = thread->blocked_ns / NS_PER_S;
	if (thread->wait_since_ns) /* else it is at its tick, between two waits */
		member->blocked_total_s += lm_report_age_s(report, thread->wait_since_ns);
	member->preempted_total_s = thread->preempted_ns / NS_PER_S;
	member->longest_wait_s = thread->waits ? thread->longest_wait_ns / NS_PER_S : NAN;
	member->waits = thread->waits;
	member->last_futex_wait.object = thread->futex.wait_uaddr;
	member->last_futex_wait.at_ns = lm_report_wall_time(report, thread->futex.wait_end_ns);
	member->last_futex_wait.result = thread->futex.wait_result;
	member->last_futex_wake.object = thread->futex.wake_uaddr;
	member->last_futex_wake.at_ns = lm_report_wall_time(report, thread->futex.wake_ns);
	member->last_futex_wake.result = thread->futex.wake_result;
	if (thread->flags & LM_THREAD_UNSTORED) {
		member->blocked_total_s = NAN;
		member->preempted_total_s = NAN;
		member->waits = -1;
	}
}

static int fill_goroutines(const struct lm_report *report, const struct lm_resident *const *oldest, size_t len,
	struct lm_snapshot_member *members, struct lm_snapshot_site *site)
{
	struct lm_go_channel *channels = lm_arena_alloc(report->arena, len * sizeof(*channels));

	if (!channels)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		lm_report_go_member(report, oldest[i], &members[i], &channels[i]);
	return lm_report_go_site(report, oldest[0]->group, oldest[0], channels, len, site);
}

static int by_wait(const void *a, const void *b)
{
	const struct lm_resident *x = *(const struct lm_resident *const *)a, *y = *(const struct lm_resident *const *)b;

	return (x->wait_since_ns > y->wait_since_ns) - (x->wait_since_ns < y->wait_since_ns);
}

/* Puts the resident into its place among the oldest, of which there is room for `most`. Returns how many there are. */
static size_t insert_by_wait(
	const struct lm_resident **oldest, size_t len, size_t most, const struct lm_resident *resident)
{
	size_t at;

	if (len == most && oldest[len - 1]->wait_since_ns <= resident->wait_since_ns)
		return len;
	if (len < most)
		len++;
	for (at = len - 1; at && oldest[at - 1]->wait_since_ns > resident->wait_since_ns; at--)
		oldest[at] = oldest[at - 1];
	oldest[at] = resident;
	return len;
}

/* The residents that have waited longest, oldest first: a few of them in one pass. NULL: out of memory. */
static const struct lm_resident **find_oldest(
	const struct lm_report *report, const struct lm_group *group, size_t most, size_t *found)
{
	bool few = most <= FEW_MEMBERS;
	size_t count = group->count, len = 0;
	const struct lm_resident **oldest = lm_arena_alloc(report->arena, (few ? most : count) * sizeof(*oldest));

	if (!oldest)
		return NULL;
	for (size_t i = 0; i < count && few; i++)
		len = insert_by_wait(oldest, len, most, group->residents[i]);
	if (!few) {
		for (size_t i = 0; i < count; i++)
			oldest[i] = group->residents[i];
		qsort(oldest, count, sizeof(*oldest), by_wait);
		len = most;
	}
	*found = len;
	return oldest;
}

/* Those that have waited longest, oldest first. */
static int fill_members(const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_site *site)
{
	size_t wanted = report->monitor->config.members, len;
	const struct lm_resident **oldest;
	struct lm_snapshot_member *members;

	if (!wanted && group->kind == LM_SITE_GOROUTINE)
		return lm_report_go_site(report, group, group->residents[0], NULL, 0, site);
	if (!wanted)
		return 0;
	/* what is asked for may be far more than there is: --members 100000 of each of a thousand sites */
	if (wanted > (size_t)group->count)
		wanted = group->count;
	oldest = find_oldest(report, group, wanted, &len);
	members = lm_arena_alloc(report->arena, wanted * sizeof(*members));
	if (!oldest || !members)
		return -ENOMEM;
	for (size_t i = 0; i < len && group->kind == LM_SITE_THREAD; i++)
		fill_member(report, oldest[i], &members[i]);
	site->members = members;
	site->members_len = len;
	return group->kind == LM_SITE_GOROUTINE ? fill_goroutines(report, oldest, len, members, site) : 0;
}

/* Many that wait for one thing to be handed to them, and none of whom is leaking: workers without work. */
static bool is_idle_pool(const struct lm_group *group)
{
	enum lm_wait_class wait_class = group->wait.wait_class;
	bool waits_for_work = wait_class == LM_WAIT_FUTEX_COND || wait_class == LM_WAIT_FUTEX_SEM ||
			      wait_class == LM_WAIT_GO_CHAN_RECEIVE || wait_class == LM_WAIT_GO_SELECT ||
			      wait_class == LM_WAIT_GO_COND;

	if (group->verdict.level != LM_LEVEL_NONE)
		return false;
	return group->idle_worker || group->go_runtime ||
	       (waits_for_work && group->count >= 2 && group->objects > 0 &&
		       group->objects < SHARED_OBJECT_SHARE * group->count);
}

/* What the present waits of all members have lasted, of those whose beginning is known. */
static double sum_of_ages_s(const struct lm_report *report, const struct lm_group *group)
{
	double sum_s = 0;

	for (int64_t i = 0; i < group->count; i++) {
		uint64_t since_ns = group->residents[i]->wait_since_ns;

		sum_s += since_ns ? lm_report_age_s(report, since_ns) : 0;
	}
	return sum_s;
}

/* When the stay that began first did, as far as that is known. */
static uint64_t first_known_ns(const struct lm_group *group)
{
	/* since when goroutines stay that were there before us is no more than estimated, for verdicts */
	bool estimated = group->kind == LM_SITE_GOROUTINE && group->first_ns < group->watch_start_ns;

	return estimated ? group->oldest_ns : group->first_ns;
}

static int fill_site(const struct lm_report *report, struct lm_group *group, struct lm_snapshot_site *site)
{
	const struct lm_process *process = group->process;
	int error = lm_group_refresh(group);

	if (error)
		return error;

	site->site = group->key.site;
	site->pid = process->key.tgid;
	site->comm = lm_arena_text(report->arena, process->comm);
	site->kind = group->kind;
	site->stack_bytes = -1;
	site->wait.wait_class = group->wait.wait_class;
	site->wait.has_object = group->residents[0]->has_object;
	site->wait.object = group->residents[0]->object;
	site->wait.object_is_fd = group->wait.object_is_fd;
	site->wait.objects = group->objects;
	site->wait.detail = group->wait.detail;
	site->count = group->count;
	site->arrived = group->arrived;
	site->departed = group->departed;
	site->oldest_blocked_since_ns = lm_report_wall_time(report, group->oldest_ns);
	site->newest_blocked_since_ns = lm_report_wall_time(report, group->newest_ns);
	site->oldest_resident_since_ns = lm_report_wall_time(report, first_known_ns(group));
	site->median_blocked_s = group->median_ns ? lm_report_age_s(report, group->median_ns) : NAN;
	site->sum_blocked_s = sum_of_ages_s(report, group);
	site->rate_per_h = lm_group_rate_per_h(&report->monitor->groups, group, report->now_ns, process->key.start_ns);
	site->idle_pool = is_idle_pool(group);
	error = fill_stack(report, group, site);
	if (!error)
		error = fill_kernel_stack(report, group, site);
	if (!error)
		error = fill_members(report, group, site);
	return error;
}

static int compare(double a, double b)
{
	return (a > b) - (a < b);
}

static bool is_growing(const struct lm_group *group)
{
	int64_t more = group->arrived - group->departed;

	return more >= GROWTH_MIN && more * GROWTH_SHARE >= group->count;
}

/* Worst first: by level, idle pools and kernel threads last, then what grows, then how many, then how long. */
static int compare_groups(const void *a, const void *b)
{
	const struct lm_group *x = *(struct lm_group *const *)a, *y = *(struct lm_group *const *)b;
	int order = compare(y->verdict.level, x->verdict.level);

	if (!order)
		order = compare(is_idle_pool(x) + 2 * x->kernel_thread, is_idle_pool(y) + 2 * y->kernel_thread);
	if (!order)
		order = compare(is_growing(y), is_growing(x));
	if (!order)
		order = compare(y->count, x->count);
	if (!order)
		order = compare(x->oldest_ns, y->oldest_ns);
	if (!order)
		order = (x->key.site > y->key.site) - (x->key.site < y->key.site);
	return order ? order : (x->key.process > y->key.process) - (x->key.process < y->key.process);
}

static int fill_sites(const struct lm_report *report)
{
	struct lm_monitor *monitor = report->monitor;
	size_t table_len = HASH_COUNT(monitor->groups.table), len = 0;
	struct lm_group **groups = lm_arena_alloc(report->arena, table_len * sizeof(*groups));
	struct lm_snapshot_site *sites;
	struct lm_group *group;
	int error = 0;

	if (!groups && table_len)
		return -ENOMEM;
	for (group = monitor->groups.table; group; group = group->hh.next) {
		if (group->count && !error) {
			error = lm_group_refresh(group);
			groups[len++] = group;
		}
	}
	sites = lm_arena_alloc(report->arena, len * sizeof(*sites));
	if (error || (!sites && len))
		return -ENOMEM;
	qsort(groups, len, sizeof(*groups), compare_groups);
	for (size_t i = 0; i < len && !error; i++) {
		error = fill_site(report, groups[i], &sites[i]);
		if (!error)
			error = lm_report_owner(report, groups[i], &sites[i]);
	}
	report->out->sites = sites;
	report->out->sites_len = len;
	report->out->totals.sites = len;
	return error ? error : lm_report_findings(report, groups, len);
}

static int fill_notes(const struct lm_report *report)
{
	struct lm_monitor *monitor = report->monitor;
	size_t kept = monitor->notes_len < LM_MONITOR_NOTES ? monitor->notes_len : LM_MONITOR_NOTES, len = 0;
	const char **notes = lm_arena_alloc(report->arena, (kept + 2) * sizeof(*notes));
	struct lm_monitor_counters *counters = &monitor->counters;

	if (!notes)
		return -ENOMEM;
	for (size_t i = 0; i < kept; i++) {
		if (monitor->notes[i])
			notes[len++] = lm_arena_text(report->arena, monitor->notes[i]);
		free(monitor->notes[i]);
		monitor->notes[i] = NULL;
	}
	if (monitor->notes_len > kept)
		notes[len++] = lm_arena_format(report->arena, "… and %zu more events", monitor->notes_len - kept);
	if (counters->threads_started || counters->threads_ended)
		notes[len++] = lm_arena_format(report->arena, "%llu %s started and %llu ended since the last report",
			(unsigned long long)counters->threads_started,
			lm_report_plural(counters->threads_started, "thread", "threads"),
			(unsigned long long)counters->threads_ended);
	monitor->notes_len = 0;
	counters->threads_started = 0;
	counters->threads_ended = 0;
	report->out->notes = notes;
	report->out->notes_len = len;
	return 0;
}

int lm_report_build(struct lm_monitor *monitor, uint64_t now_ns, int64_t wall_offset_ns, struct lm_snapshot *snapshot)
{
	struct lm_report report = {
		.monitor = monitor,
		.arena = lm_arena_new(),
		.now_ns = now_ns,
		.wall_offset_ns = wall_offset_ns,
		.out = snapshot,
	};
	int error;

	if (!report.arena)
		return -ENOMEM;
	snapshot->arena = report.arena;
	snapshot->time_ns = lm_report_wall_time(&report, now_ns);
	snapshot->watching_s = lm_report_age_s(&report, monitor->watch_start_ns);
	snapshot->losses.torn_reads = monitor->counters.torn_reads;
	snapshot->losses.unwind_failed = monitor->counters.unwind_failed;
	snapshot->losses.scan_truncated = monitor->counters.unknown_threads;
	error = lm_report_processes(&report);
	if (!error)
		error = fill_sites(&report);
	if (!error)
		error = fill_notes(&report);
	return error;
}
