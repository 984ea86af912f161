// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the monitor thinks of its groups: the cohort test with what speaks against it,
 * and what was said before. A leak that is likely stays one while its threads stay; it
 * is withdrawn when they leave after all, and more is demanded the next time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/monitor.h"
#include "user/monitor_go.h"
#include "user/prefixes.h"

/* Objects shared by this few of the members are one queue's: VERDICTS.md, "One shared wait object". As many as suspects
 * must be are the queues of as many pools, which may leak as a whole. */
#define SHARED_OBJECT_SHARE 0.2
#define POOLS_MIN 8
#define COMPANION_SHARE 10 /* counts that differ by less than a tenth … */
#define COMPANION_SLACK 2  /* … and two follow each other */
#define COMPANION_MIN 8
#define DEMANDED_LONGEST 4 /* times the longest stay completed, after a withdrawal */
#define DEMANDED_MAX_S 86400.0
#define KEPT_PER_HORIZON 3
#define DOUBT_NS 1000000000ull /* a process of 20,000 threads takes a third of that to end */
#define STUCK_S 600.0
#define STUCK_LONGEST 4 /* times the longest stay completed */
#define STUCK_DISK_S 120.0
#define STUCK_COMPLETED_MIN 20

struct lm_thread *lm_thread_of(const struct lm_resident *resident)
{
	return (struct lm_thread *)((char *)resident - offsetof(struct lm_thread, resident));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Pools number their threads: names that differ in more than the number at their end are of several pools. */
static bool are_named_as_one_pool(const struct lm_group *group)
{
	char(*names)[LM_COMM_LEN + 1] = calloc(group->count, sizeof(*names));
	int64_t different = 0;

	if (!names)
		return true;
	for (int64_t i = 0; i < group->count; i++) {
		const char *comm = lm_thread_of(group->residents[i])->comm;
		size_t len = strlen(comm);

		while (len && comm[len - 1] >= '0' && comm[len - 1] <= '9')
			len--;
		memcpy(names[i], comm, len);
	}
	qsort(names, group->count, sizeof(*names), compare_names);
	for (int64_t i = 0; i < group->count; i++)
		different += i == 0 || strcmp(names[i], names[i - 1]) != 0;
	free(names);
	return different < SHARED_OBJECT_SHARE * group->count;
}

/* Locks, the ends of threads and barriers are nothing that work arrives by. */
static bool may_bring_work(enum lm_wait_class wait_class)
{
	return wait_class != LM_WAIT_FUTEX_MUTEX && wait_class != LM_WAIT_FUTEX_RWLOCK &&
	       wait_class != LM_WAIT_FUTEX_PI && wait_class != LM_WAIT_FUTEX_JOIN &&
	       wait_class != LM_WAIT_FUTEX_BARRIER;
}

/* They wait for one thing to be handed to them. Where the objects tell they count, else the frames: a leaked pool for
 * each client also has idle workers, but not all of one pool. */
static bool waits_for_work(const struct lm_group *group)
{
	if (!may_bring_work(group->wait.wait_class))
		return false;
	if (group->objects > 0 && !group->own_objects)
		return group->objects < SHARED_OBJECT_SHARE * group->count && group->objects < POOLS_MIN;
	return group->idle_worker && are_named_as_one_pool(group);
}

/* Does its size follow that of a group of connections? Then it belongs to those: a worker, a timer for each. */
static bool is_companion(const struct lm_monitor *monitor, const struct lm_group *group)
{
	int64_t slack = group->count / COMPANION_SHARE + COMPANION_SLACK;

	for (size_t i = 0; i < monitor->connections_len; i++) {
		const struct lm_group *other = monitor->connections[i];

		if (other->key.process == group->key.process && other->kind == group->kind &&
			llabs(other->count - group->count) <= slack && llabs(other->arrived - group->arrived) <= slack)
			return true;
	}
	return false;
}

/* Do most of them wait in one call that has a timeout, and not again and again? They will give up by themselves. */
static bool will_give_up(const struct lm_group *group)
{
	int64_t timed = 0;

	for (int64_t i = 0; i < group->count; i++) {
		const struct lm_thread *thread = lm_thread_of(group->residents[i]);

		timed += !thread->ticks && (thread->stay.timeout || group->wait.wait_class == LM_WAIT_SLEEP);
	}
	return 2 * timed >= group->count;
}

static unsigned int guards_of(const struct lm_monitor *monitor, const struct lm_group *group)
{
	unsigned int guards = group->guards;

	if (group->kind == LM_SITE_GOROUTINE)
		guards |= lm_monitor_go_guards(monitor, group);
	else if (waits_for_work(group))
		guards |= LM_GUARD_IDLE_WORKERS;
	if (group->kind == LM_SITE_THREAD && will_give_up(group))
		guards |= LM_GUARD_TIMEOUTS;
	if (group->count >= COMPANION_MIN && is_companion(monitor, group))
		guards |= LM_GUARD_CONNECTIONS;
	return guards;
}

static bool have_timeouts(const struct lm_group *group)
{
	if (group->kind != LM_SITE_THREAD)
		return false;
	for (int64_t i = 0; i < group->count; i++) {
		if (!lm_thread_of(group->residents[i])->stay.timeout)
			return false;
	}
	return true;
}

static void fill_input(struct lm_monitor *monitor, const struct lm_group *group, const struct lm_process *process,
	struct lm_verdict_input *input)
{
	*input = (struct lm_verdict_input){
		.now_ns = monitor->now_ns,
		.watch_start_ns = group->watch_start_ns,
		.process_start_ns = process->key.start_ns,
		.horizon_ns = monitor->config.horizon_ns,
		.members = group->members,
		.members_len = group->count,
		.departures = group->departures,
		.last_departures_ns = group->last_departures_ns,
		.completed_p99_ns =
			lm_verdict_completed_p99(group->completed, group->completed_len, group->longest_completed_ns),
		.longest_completed_ns = group->longest_completed_ns,
		.demanded_age_ns = group->flag.demanded_age_ns,
		.load = &process->load,
		.guards = guards_of(monitor, group),
		.sleeps = group->wait.wait_class == LM_WAIT_SLEEP,
		.has_timeouts = have_timeouts(group),
		.since_is_latest = group->kind == LM_SITE_GOROUTINE,
	};
}

/* Those of the present members that a flag rests on. */
static uint64_t count_survivors(const struct lm_monitor *monitor, const struct lm_group *group)
{
	uint64_t floor_ns = lm_verdict_scaled_ns(monitor->config.horizon_ns, lm_verdict_ages_s[group->flag.age]);
	uint64_t survivors = 0;

	for (int64_t i = 0; i < group->count; i++) {
		const struct lm_verdict_member *member = &group->members[i];

		survivors += (group->verdict.evidence.retrospective ? member->born_ns : member->since_ns) + floor_ns <=
			     monitor->now_ns;
	}
	return survivors;
}

static void note_withdrawn(
	struct lm_monitor *monitor, const struct lm_group *group, const struct lm_process *process, uint64_t left)
{
	struct lm_withdrawn *entry;

	if (monitor->withdrawn_len == LM_MONITOR_WITHDRAWN) {
		memmove(monitor->withdrawn, monitor->withdrawn + 1,
			(LM_MONITOR_WITHDRAWN - 1) * sizeof(*monitor->withdrawn));
		monitor->withdrawn_len--;
	}
	entry = &monitor->withdrawn[monitor->withdrawn_len++];
	*entry = (struct lm_withdrawn){
		.level = group->flag.level,
		.type = group->verdict.type,
		.tgid = process->key.tgid,
		.process_start_ns = process->key.start_ns,
		.kind = group->kind,
		.site = group->key.site,
		.since_ns = group->flag.since_ns,
		.withdrawn_ns = monitor->now_ns,
		.left = left,
		.longest_ns = group->longest_completed_ns,
	};
	snprintf(entry->place, sizeof(entry->place), "%s", group->leaf ? group->leaf : "");
	memcpy(entry->comm, process->comm, sizeof(entry->comm));
}

/* Takes back what was said if too many of those that it rested on have left. */
static void check_flag(struct lm_monitor *monitor, struct lm_group *group, const struct lm_process *process)
{
	struct lm_flag *flag = &group->flag;
	uint64_t longest_ns = DEMANDED_LONGEST * group->longest_completed_ns;
	uint64_t most_ns = lm_verdict_scaled_ns(monitor->config.horizon_ns, DEMANDED_MAX_S);
	uint64_t left, stayed;

	if (flag->level == LM_LEVEL_NONE)
		return;
	left = group->departures[flag->age] - flag->departures;
	stayed = count_survivors(monitor, group);
	if (!left || left <= lm_verdict_departed_share(flag->level) * (left + stayed)) {
		flag->doubted_ns = 0;
		return;
	}
	/* a process that ends loses its threads one by one: that takes nothing back */
	if (!flag->doubted_ns)
		flag->doubted_ns = monitor->now_ns;
	group->judged_ns = 0;
	if (monitor->now_ns - flag->doubted_ns < DOUBT_NS)
		return;
	note_withdrawn(monitor, group, process, left);
	*flag = (struct lm_flag){.demanded_age_ns = longest_ns < most_ns ? longest_ns : most_ns};
	group->verdict.level = LM_LEVEL_NONE;
}

static void raise_flag(struct lm_group *group)
{
	struct lm_flag *flag = &group->flag;

	if (flag->level == LM_LEVEL_NONE || group->verdict.since_ns < flag->since_ns)
		flag->since_ns = group->verdict.since_ns;
	if (flag->level == LM_LEVEL_NONE || flag->age != group->verdict.age)
		flag->departures = group->departures[group->verdict.age];
	flag->level = group->verdict.level;
	flag->age = group->verdict.age;
	group->verdict.since_ns = flag->since_ns;
}

/* A verdict that was reached holds while those that it rests on stay, though nobody comes any more. */
static void keep_verdict(struct lm_monitor *monitor, struct lm_group *group, struct lm_verdict *kept)
{
	kept->evidence.survivors = count_survivors(monitor, group);
	kept->evidence.departures = group->departures[group->flag.age];
	kept->evidence.window_s = (monitor->now_ns - group->flag.since_ns) / 1e9;
	if (group->longest_completed_ns)
		kept->evidence.longest_completed_s = group->longest_completed_ns / 1e9;
	group->verdict = *kept;
}

/* Does the verdict rest on births of goroutines of which only the order is known? Senders are no pool that waits for
 * work, whenever they were born. */
static bool is_guessed(const struct lm_monitor *monitor, const struct lm_group *group)
{
	return group->kind == LM_SITE_GOROUTINE && group->verdict.level > LM_LEVEL_SUSPECT &&
	       group->verdict.evidence.retrospective && group->wait.wait_class != LM_WAIT_GO_CHAN_SEND &&
	       !lm_monitor_go_births_tell(group, monitor->now_ns);
}

static void judge_group(struct lm_monitor *monitor, struct lm_group *group)
{
	const struct lm_process *process = group->process;
	struct lm_verdict_input input;
	struct lm_verdict kept;

	check_flag(monitor, group, process);
	kept = group->verdict;
	fill_input(monitor, group, process, &input);
	lm_verdict_leak(&input, &group->verdict);
	if (is_guessed(monitor, group)) {
		input.guards |= LM_GUARD_UNDATED;
		lm_verdict_leak(&input, &group->verdict);
	}
	if (!group->flag.doubted_ns && group->verdict.level != LM_LEVEL_NONE &&
		group->verdict.level >= group->flag.level)
		raise_flag(group);
	else if (group->flag.doubted_ns || (group->flag.level >= LM_LEVEL_LIKELY && kept.level != LM_LEVEL_NONE))
		keep_verdict(monitor, group, &kept);
	else
		group->flag.level = group->verdict.level;
}

/* The one that came first; of several, all wait for the same reason. */
static struct lm_thread *first_of(const struct lm_group *group)
{
	int64_t first = 0;

	for (int64_t i = 1; i < group->count; i++) {
		if (group->members[i].since_ns < group->members[first].since_ns)
			first = i;
	}
	return lm_thread_of(group->residents[first]);
}

/* Of files only locks, and file systems in user space: a read may be one of events. */
static bool is_file_that_answers(const char *detail)
{
	static const char *const details[] = {"flock", "fcntl", "fuse"};

	return detail && LM_STARTS_WITH(detail, details);
}

/* Waits that have an end where all is well. Who waits for work, a client or a signal may wait for ever. */
static bool should_end(const struct lm_group *group)
{
	switch (group->wait.wait_class) {
	case LM_WAIT_FUTEX_MUTEX:
	case LM_WAIT_FUTEX_RWLOCK:
	case LM_WAIT_FUTEX_PI:
	case LM_WAIT_DISK:
		return true;
	case LM_WAIT_FILE:
		return is_file_that_answers(group->wait.detail);
	case LM_WAIT_FUTEX_JOIN:
		return group->completed_len >= STUCK_COMPLETED_MIN;
	default:
		return false;
	}
}

/* For how long others have waited for what it holds while it did not go on. */
static uint64_t held_up_ns(const struct lm_monitor *monitor, const struct lm_thread *thread)
{
	uint64_t since_ns = thread->resident.wait_since_ns;

	if (!thread->holds_for)
		return 0;
	if (since_ns < thread->holds_since_ns)
		since_ns = thread->holds_since_ns;
	return monitor->now_ns > since_ns ? monitor->now_ns - since_ns : 0;
}

/* One thread that should have gone on long ago. */
static void judge_stuck(struct lm_monitor *monitor, struct lm_group *group)
{
	uint64_t horizon_ns = monitor->config.horizon_ns;
	uint64_t long_ns = lm_verdict_scaled_ns(horizon_ns, STUCK_S), stay_ns;
	struct lm_thread *thread = first_of(group);

	group->stuck.level = LM_LEVEL_NONE;
	group->stuck.thread = thread;
	if (thread->deadlocked)
		return;
	stay_ns = monitor->now_ns - thread->stay_since_ns;
	if (long_ns < STUCK_LONGEST * group->longest_completed_ns)
		long_ns = STUCK_LONGEST * group->longest_completed_ns;
	if (group->wait.wait_class == LM_WAIT_DISK && stay_ns > lm_verdict_scaled_ns(horizon_ns, STUCK_DISK_S)) {
		group->stuck.level = LM_LEVEL_LIKELY;
		group->stuck.why = "it is in uninterruptible sleep (state D)";
	} else if (held_up_ns(monitor, thread) > long_ns) {
		group->stuck.level = LM_LEVEL_LIKELY;
		group->stuck.why = "others wait for a lock that it holds";
	} else if (stay_ns > long_ns && group->verdict.level == LM_LEVEL_NONE && should_end(group)) {
		group->stuck.level = LM_LEVEL_SUSPECT;
		group->stuck.why = "such a wait should have ended long ago";
	}
}

static void drop_old_withdrawn(struct lm_monitor *monitor)
{
	uint64_t kept_ns = monitor->config.horizon_ns / KEPT_PER_HORIZON;
	size_t old = 0;

	while (old < monitor->withdrawn_len && monitor->now_ns - monitor->withdrawn[old].withdrawn_ns > kept_ns)
		old++;
	monitor->withdrawn_len -= old;
	memmove(monitor->withdrawn, monitor->withdrawn + old, monitor->withdrawn_len * sizeof(*monitor->withdrawn));
}

/* Threads behind one lock whose owner is known are no leak, whatever the owner does; kernel threads never are. */
static bool may_leak(const struct lm_group *group)
{
	bool piled_up = 2 * group->piled_up >= group->count && group->objects < SHARED_OBJECT_SHARE * group->count;

	return group->count && !group->kernel_thread && !group->go_runtime && !piled_up;
}

static bool may_be_stuck(const struct lm_group *group)
{
	return group->count && group->kind == LM_SITE_THREAD && !group->kernel_thread && !group->go_runtime;
}

bool lm_monitor_is_due(const struct lm_monitor *monitor, const struct lm_group *group)
{
	uint64_t every_ns = monitor->config.horizon_ns / LM_VERDICT_STEPS_PER_HORIZON;

	return !group->judged_ns || monitor->now_ns - group->judged_ns >= every_ns;
}

static int collect_connections(struct lm_monitor *monitor)
{
	size_t len = HASH_COUNT(monitor->groups.table);
	struct lm_group *group;

	monitor->connections_len = 0;
	monitor->connections = calloc(len + 1, sizeof(struct lm_group *));
	if (!monitor->connections)
		return -ENOMEM;
	for (group = monitor->groups.table; group; group = group->hh.next) {
		if (group->count && group->guards & LM_GUARD_CONNECTIONS)
			monitor->connections[monitor->connections_len++] = group;
	}
	return 0;
}

static int judge_due(struct lm_monitor *monitor, bool all)
{
	struct lm_group *group;
	int error;

	for (group = monitor->groups.table; group; group = group->hh.next) {
		if (!all && !lm_monitor_is_due(monitor, group))
			continue;
		group->judged_ns = monitor->now_ns;
		error = lm_group_refresh(group);
		if (error)
			return error;
		group->verdict.level = may_leak(group) ? group->verdict.level : LM_LEVEL_NONE;
		group->stuck.level = LM_LEVEL_NONE;
		if (may_leak(group))
			judge_group(monitor, group);
		else if (!group->count) /* all have left at once: that is said, too */
			check_flag(monitor, group, group->process);
		if (may_be_stuck(group))
			judge_stuck(monitor, group);
	}
	return 0;
}

int lm_monitor_judge(struct lm_monitor *monitor, bool final)
{
	int error = collect_connections(monitor);

	drop_old_withdrawn(monitor);
	if (!error)
		error = judge_due(monitor, final);
	free(monitor->connections);
	monitor->connections = NULL;
	monitor->connections_len = 0;
	return error;
}
