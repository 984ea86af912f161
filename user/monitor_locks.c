// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who waits for whose lock, and what follows from it. The caller reads the memory of
 * the locks and then takes a look: who has not run up to that look can neither have
 * taken nor released a lock since before the read, so what was read is one moment's
 * truth. Read twice so, with no change, it is confirmed (VERDICTS.md).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "user/lockgraph.h"
#include "user/monitor.h"

#define APART_NS 1000000000ull /* two reads that confirm an edge */
#define PILEUP_MIN 8
#define PILEUP_SUSPECT_S 60.0
#define PILEUP_LIKELY_S 600.0
#define TCB_BYTES 4096 /* glibc's struct pthread is 2304 bytes */

/* One analysis: the edges, and of each the thread that waits. */
struct analysis {
	struct lm_monitor *monitor;
	struct lm_lock_edge *edges;
	struct lm_thread **waiters;
	size_t len;
	struct lm_thread **index; /* all threads, by PID namespace and the TID in it */
	size_t index_len;
};

static int by_own_tid(const void *a, const void *b)
{
	const struct lm_thread *x = *(struct lm_thread *const *)a, *y = *(struct lm_thread *const *)b;

	if (x->pid_ns != y->pid_ns)
		return x->pid_ns < y->pid_ns ? -1 : 1;
	return (x->own_tid > y->own_tid) - (x->own_tid < y->own_tid);
}

static int build_index(struct analysis *analysis)
{
	struct lm_process *process;
	struct lm_thread *thread;
	size_t len = HASH_COUNT(analysis->monitor->threads);

	analysis->index = calloc(len + 1, sizeof(struct lm_thread *));
	if (!analysis->index)
		return -ENOMEM;
	for (process = analysis->monitor->processes; process; process = process->hh.next) {
		DL_FOREACH(process->threads, thread)
		analysis->index[analysis->index_len++] = thread;
	}
	qsort(analysis->index, analysis->index_len, sizeof(struct lm_thread *), by_own_tid);
	return 0;
}

/* The thread of that number in the waiter's PID namespace; of the same process unless the lock is shared. */
static struct lm_thread *find_owner(const struct analysis *analysis, const struct lm_thread *waiter, uint32_t tid)
{
	struct lm_thread wanted = {.own_tid = tid, .pid_ns = waiter->pid_ns}, *key = &wanted, **found;

	found = bsearch(&key, analysis->index, analysis->index_len, sizeof(key), by_own_tid);
	if (!found || ((*found)->process != waiter->process && !waiter->lock->owner.process_shared))
		return NULL;
	return *found;
}

static struct lm_thread *find_joined(const struct lm_thread *waiter)
{
	uint64_t word = waiter->lock->read.word;
	struct lm_thread *thread;

	DL_FOREACH(waiter->process->threads, thread)
	{
		if (thread != waiter && thread->fs_base && word >= thread->fs_base &&
			word < thread->fs_base + TCB_BYTES)
			return thread;
	}
	return NULL;
}

static uint64_t number_of(const struct lm_thread *thread)
{
	return (uintptr_t)thread;
}

/* May the owner of a shared lock be a thread that is not watched? Its number says so where it means the same to us. */
static bool exists_elsewhere(const struct lm_monitor *monitor, const struct lm_thread *waiter)
{
	if (!monitor->watched)
		return false;
	return waiter->tid != waiter->own_tid || !monitor->config.thread_exists ||
	       monitor->config.thread_exists(waiter->lock->owner.tid);
}

/* An owner that is not among the threads of the process has ended; of a shared lock it may be one that is not watched.
 */
static bool is_missing(const struct analysis *analysis, const struct lm_thread *waiter, const struct lm_thread *owner)
{
	const struct lm_owner *on_record = &waiter->lock->owner;

	if (on_record->owner_died)
		return true;
	/* one that was born after the wait began may well have been faster than those who sleep */
	if (owner)
		return false;
	if (!on_record->tid || !waiter->own_tid)
		return false;
	return !on_record->process_shared || !exists_elsewhere(analysis->monitor, waiter);
}

/* Between a read and the look after it an owner may have passed the lock on and ended, unseen by those who sleep on. So
 * a lock has lost its owner only if it names one that an earlier look had missed. */
static bool is_gone(struct analysis *analysis, const struct lm_thread *waiter, const struct lm_thread *owner)
{
	struct lm_lock_wait *lock = waiter->lock;

	if (!is_missing(analysis, waiter, owner)) {
		lock->missed_ns = 0;
		return false;
	}
	if (!lock->missed_ns && analysis->monitor->look_complete) {
		lock->missed_ns = analysis->monitor->now_ns;
		analysis->monitor->owners_missed = true;
	}
	return lock->missed_ns && lock->last_read_ns > lock->missed_ns;
}

static void add_edge(struct analysis *analysis, struct lm_thread *waiter)
{
	struct lm_lock_wait *lock = waiter->lock;
	bool is_join = lock->read.layout == LM_OWNER_THREAD;
	struct lm_thread *owner = is_join ? find_joined(waiter) : find_owner(analysis, waiter, lock->owner.tid);
	struct lm_lock_edge *edge = &analysis->edges[analysis->len];
	bool gone = !is_join && is_gone(analysis, waiter, owner), known = owner && !lock->owner.owner_died;

	lock->owner_tid = known ? owner->tid : 0;
	lock->owner_start_ns = known ? owner->start_ns : 0;
	if (!owner && !gone)
		return;
	*edge = (struct lm_lock_edge){
		.waiter = number_of(waiter),
		.owner = gone ? LM_LOCK_NO_THREAD : number_of(owner),
		.process = lock->owner.process_shared ? 0 : waiter->process->number,
		.object = lock->owner.lock,
		.strength = lock->owner.strength,
		.owner_gone = gone,
		.confirmed = lock->last_read_ns - (gone ? lock->missed_ns : lock->first_read_ns) >= APART_NS,
	};
	analysis->waiters[analysis->len++] = waiter;
}

/* Of one that was stopped and goes on, since before that. 0: it runs. */
static uint64_t waits_since_ns(const struct lm_thread *thread)
{
	return thread->resident.group ? thread->resident.wait_since_ns : thread->wait_since_ns;
}

static bool waits_for_known_lock(const struct lm_thread *thread)
{
	return thread->lock && thread->lock->last_read_ns && thread->resident.group;
}

static int collect_edges(struct analysis *analysis)
{
	struct lm_process *process;
	struct lm_thread *thread;
	size_t most = 0;

	for (process = analysis->monitor->processes; process; process = process->hh.next) {
		DL_FOREACH(process->threads, thread)
		{
			most += waits_for_known_lock(thread);
			thread->holds_for = 0;
			thread->deadlocked = false;
		}
	}
	if (!most)
		return 0;
	analysis->edges = calloc(most, sizeof(*analysis->edges));
	analysis->waiters = calloc(most, sizeof(struct lm_thread *));
	if (!analysis->edges || !analysis->waiters || build_index(analysis))
		return -ENOMEM;
	for (process = analysis->monitor->processes; process; process = process->hh.next) {
		DL_FOREACH(process->threads, thread)
		{
			if (waits_for_known_lock(thread))
				add_edge(analysis, thread);
		}
	}
	return 0;
}

static struct lm_thread *thread_numbered(uint64_t number)
{
	return number == LM_LOCK_NO_THREAD ? NULL : (struct lm_thread *)(uintptr_t)number;
}

/* Groups whose members wait for locks of known owners are piled up; owners know how many want what they hold. */
static void mark_threads(struct analysis *analysis)
{
	struct lm_group *group;

	for (group = analysis->monitor->groups.table; group; group = group->hh.next)
		group->piled_up = 0;
	for (size_t i = 0; i < analysis->len; i++) {
		struct lm_thread *owner = thread_numbered(analysis->edges[i].owner), *waiter = analysis->waiters[i];

		/* a thread that is joined holds nothing up: it lives */
		if (waiter->lock->read.layout == LM_OWNER_THREAD)
			continue;
		waiter->resident.group->piled_up++;
		if (!owner)
			continue;
		if (!owner->holds_for++ || waits_since_ns(waiter) < owner->holds_since_ns)
			owner->holds_since_ns = waits_since_ns(waiter);
	}
}

static struct lm_lock_finding *new_finding(struct lm_monitor *monitor, size_t members)
{
	struct lm_lock_finding *findings, *finding;

	findings = realloc(monitor->lock_findings, (monitor->lock_findings_len + 1) * sizeof(*findings));
	if (!findings)
		return NULL;
	monitor->lock_findings = findings;
	finding = &findings[monitor->lock_findings_len];
	*finding = (struct lm_lock_finding){.members = calloc(members, sizeof(*finding->members))};
	if (!finding->members)
		return NULL;
	finding->members_len = members;
	monitor->lock_findings_len++;
	return finding;
}

/* How many wait for a lock of the cycle, the members included, or for somebody who does. */
static int64_t count_behind(const struct lm_lockgraph *graph, size_t cycle)
{
	int64_t behind = 0;

	for (size_t i = 0; i < graph->chains_len; i++)
		behind += graph->chains[i].cycle == cycle;
	return behind;
}

/* It closed when the last of them began to wait. */
static uint64_t closed_ns(const struct analysis *analysis, const struct lm_lock_cycle *cycle)
{
	uint64_t closed = 0;

	for (size_t i = 0; i < cycle->len; i++) {
		uint64_t since_ns = waits_since_ns(analysis->waiters[cycle->edges[i]]);

		closed = since_ns > closed ? since_ns : closed;
	}
	return closed;
}

/* A timed wait that has only just met others may be one of a loop, which parts again. */
static bool is_passing(const struct analysis *analysis, const struct lm_lock_cycle *cycle)
{
	return cycle->weakest == LM_OWNER_SOFT && analysis->monitor->now_ns < closed_ns(analysis, cycle) + APART_NS;
}

static int add_deadlock(struct analysis *analysis, const struct lm_lockgraph *graph, size_t index)
{
	const struct lm_lock_cycle *cycle = &graph->cycles[index];
	struct lm_lock_finding *finding;

	if (is_passing(analysis, cycle))
		return 0;
	finding = new_finding(analysis->monitor, cycle->len);
	if (!finding)
		return -ENOMEM;
	finding->type = LM_FINDING_DEADLOCK;
	finding->soft = cycle->weakest == LM_OWNER_SOFT;
	finding->level = cycle->confirmed && !finding->soft ? LM_LEVEL_CONFIRMED : LM_LEVEL_LIKELY;
	finding->since_ns = closed_ns(analysis, cycle);
	finding->waiters = count_behind(graph, index);
	for (size_t i = 0; i < cycle->len; i++) {
		const struct lm_lock_edge *edge = &analysis->edges[cycle->edges[i]];
		size_t before = cycle->edges[(i + cycle->len - 1) % cycle->len];
		struct lm_thread *thread = analysis->waiters[cycle->edges[i]];

		finding->members[i] = (struct lm_lock_member){
			.thread = thread, .holds = analysis->edges[before].object, .waits_for = edge->object};
		thread->deadlocked = true;
	}
	finding->object = finding->members[0].waits_for;
	finding->owner = finding->members[1 % cycle->len].thread;
	finding->owner_tid = finding->owner->own_tid;
	return 0;
}

static struct lm_thread *longest_waiter(const struct analysis *analysis, const struct lm_lock_group *group)
{
	struct lm_thread *longest = analysis->waiters[group->edges[0]];

	for (size_t i = 1; i < group->len; i++) {
		struct lm_thread *thread = analysis->waiters[group->edges[i]];

		if (waits_since_ns(thread) < waits_since_ns(longest))
			longest = thread;
	}
	return longest;
}

static int add_group(
	struct analysis *analysis, const struct lm_lock_group *group, enum lm_finding_type type, enum lm_level level)
{
	struct lm_thread *longest = longest_waiter(analysis, group);
	struct lm_lock_finding *finding = new_finding(analysis->monitor, 1);

	if (!finding)
		return -ENOMEM;
	finding->type = type;
	finding->level = level;
	finding->members[0] = (struct lm_lock_member){.thread = longest, .waits_for = group->object};
	finding->object = group->object;
	finding->waiters = group->len;
	finding->since_ns = waits_since_ns(longest);
	finding->owner_tid = longest->lock->owner.tid;
	if (type == LM_FINDING_ORPHANED_LOCK)
		return 0;
	finding->owner = thread_numbered(group->owner);
	finding->owner_tid = finding->owner->own_tid;
	if (group->chain.end == LM_LOCK_END_HOLDER && group->chain.depth > 1)
		finding->root = thread_numbered(group->chain.root);
	return 0;
}

static uint64_t blocked_ns(const struct lm_monitor *monitor, uint64_t since_ns)
{
	return since_ns && monitor->now_ns > since_ns ? monitor->now_ns - since_ns : 0;
}

/* A holder that goes on is slow; one that has not moved for as long as those behind it holds them up. */
static enum lm_level pileup_level(const struct analysis *analysis, const struct lm_lock_group *group)
{
	const struct lm_monitor *monitor = analysis->monitor;
	uint64_t waited_ns = blocked_ns(monitor, waits_since_ns(longest_waiter(analysis, group)));
	const struct lm_thread *owner = thread_numbered(group->owner);
	uint64_t likely_ns = lm_verdict_scaled_ns(monitor->config.horizon_ns, PILEUP_LIKELY_S);

	if (group->len < PILEUP_MIN || !owner || group->chain.end == LM_LOCK_END_CYCLE ||
		waited_ns < lm_verdict_scaled_ns(monitor->config.horizon_ns, PILEUP_SUSPECT_S))
		return LM_LEVEL_NONE;
	return waited_ns >= likely_ns && blocked_ns(monitor, waits_since_ns(owner)) >= likely_ns ? LM_LEVEL_LIKELY
												 : LM_LEVEL_SUSPECT;
}

static int add_findings(struct analysis *analysis, const struct lm_lockgraph *graph)
{
	int error = 0;

	for (size_t i = 0; i < graph->cycles_len && !error; i++)
		error = add_deadlock(analysis, graph, i);
	for (size_t i = 0; i < graph->orphans_len && !error; i++) {
		const struct lm_lock_group *orphan = &graph->orphans[i];
		bool is_sure = orphan->confirmed && orphan->weakest != LM_OWNER_SOFT;

		error = add_group(
			analysis, orphan, LM_FINDING_ORPHANED_LOCK, is_sure ? LM_LEVEL_CONFIRMED : LM_LEVEL_LIKELY);
	}
	for (size_t i = 0; i < graph->pileups_len && !error; i++) {
		enum lm_level level = pileup_level(analysis, &graph->pileups[i]);

		if (level != LM_LEVEL_NONE)
			error = add_group(analysis, &graph->pileups[i], LM_FINDING_PILEUP, level);
	}
	return error;
}

void lm_monitor_drop_lock_findings(struct lm_monitor *monitor)
{
	for (size_t i = 0; i < monitor->lock_findings_len; i++)
		free(monitor->lock_findings[i].members);
	free(monitor->lock_findings);
	monitor->lock_findings = NULL;
	monitor->lock_findings_len = 0;
}

int lm_monitor_analyse_locks(struct lm_monitor *monitor)
{
	struct analysis analysis = {.monitor = monitor};
	struct lm_lockgraph graph = {0};
	int error;

	monitor->owners_missed = false;
	error = collect_edges(&analysis);
	lm_monitor_drop_lock_findings(monitor);
	if (!error) {
		mark_threads(&analysis);
		error = lm_lockgraph_analyse(analysis.edges, analysis.len, &graph);
	}
	if (!error)
		error = add_findings(&analysis, &graph);
	lm_lockgraph_free(&graph);
	free(analysis.edges);
	free(analysis.waiters);
	free(analysis.index);
	return error;
}

void lm_thread_expect_owner(struct lm_thread *thread, const struct lm_owner_wait *wait)
{
	struct lm_lock_wait lock = {0};

	lm_thread_forget_owner(thread);
	if (lm_owner_plan(wait, &lock.read))
		return;
	thread->lock = malloc(sizeof(lock));
	if (thread->lock)
		*thread->lock = lock;
}

void lm_thread_forget_owner(struct lm_thread *thread)
{
	free(thread->lock);
	thread->lock = NULL;
}

static bool is_same(const struct lm_owner *a, const struct lm_owner *b)
{
	return a->lock == b->lock && a->tid == b->tid && a->word == b->word && a->owner_died == b->owner_died;
}

void lm_thread_set_owner(struct lm_thread *thread, const struct lm_owner *owner, uint64_t now_ns)
{
	struct lm_lock_wait *lock = thread->lock;

	if (!owner) {
		lock->last_read_ns = 0;
		return;
	}
	if (!lock->last_read_ns || !is_same(&lock->owner, owner)) {
		lock->first_read_ns = now_ns;
		lock->missed_ns = 0;
	}
	lock->owner = *owner;
	lock->last_read_ns = now_ns;
}
