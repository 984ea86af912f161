// SPDX-License-Identifier: GPL-2.0-or-later
/* Findings about locks: deadlocks, locks whose owner is gone, and who waits behind whom. */
#include <errno.h>
#include <inttypes.h>

#include "user/report_build.h"

#define CIRCLE_WORDS 8 /* members of a circle in its sentence; all are below it */

static const char *thread_place(const struct lm_report *report, const struct lm_thread *thread)
{
	return thread->resident.group ? lm_report_text_place(report, thread->resident.group)
				      : "a place that is not known";
}

/* "waits for the lock 0x7f… that TID 12 holds" */
static const char *what_for(
	const struct lm_report *report, const struct lm_lock_member *member, const struct lm_lock_member *next)
{
	if (member->thread->lock && member->thread->lock->read.layout == LM_OWNER_THREAD)
		return lm_arena_format(report->arena, "waits for TID %" PRIu32 " to end", next->thread->tid);
	return lm_arena_format(report->arena, "waits for the lock 0x%" PRIx64 " that TID %" PRIu32 " holds",
		member->waits_for, next->thread->tid);
}

static const char *circle(const struct lm_report *report, const struct lm_lock_finding *lock)
{
	const char *text = "";

	for (size_t i = 0; i < lock->members_len && i < CIRCLE_WORDS; i++) {
		const struct lm_lock_member *member = &lock->members[i];
		const struct lm_lock_member *next = &lock->members[(i + 1) % lock->members_len];
		const char *what = what_for(report, member, next);

		text = lm_arena_format(report->arena, "%s%sTID %" PRIu32 " in %s %s", text ? text : "", i ? ", " : "",
			member->thread->tid, thread_place(report, member->thread), what ? what : "");
	}
	if (lock->members_len > CIRCLE_WORDS)
		text = lm_arena_format(
			report->arena, "%s, and %zu more", text ? text : "", lock->members_len - CIRCLE_WORDS);
	return text;
}

/* Threads that are in no circle, but wait for one that is. */
static const char *those_behind(const struct lm_report *report, const struct lm_lock_finding *lock)
{
	int64_t behind = lock->waiters - (int64_t)lock->members_len;

	if (behind <= 0)
		return "";
	return lm_arena_format(report->arena, " %" PRId64 " more %s behind %s.", behind,
		lm_report_plural(behind, "waits", "wait"), lock->members_len == 1 ? "it" : "them");
}

static void describe_deadlock(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *first = lock->members[0].thread;
	const char *process = lm_report_text_process(report, first->process),
		   *age = lm_report_text_age(report, lock->since_ns);

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
		"%" PRId64 " %s of %s %s waited for %s in %s for the lock 0x%" PRIx64 ", but its owner, TID %" PRIu32
		", is gone: it ended with the lock, or stayed behind in the process that this one was forked from.",
		lock->waiters, lm_report_plural(lock->waiters, "thread", "threads"),
		lm_report_text_process(report, first->process), lm_report_plural(lock->waiters, "has", "have"),
		lm_report_text_age(report, lock->since_ns), thread_place(report, first), lock->object, lock->owner_tid);
	finding->wrong_if = "another thread releases the lock in place of its owner";
}

static const char *owner_state(const struct lm_report *report, const struct lm_lock_finding *lock)
{
	const struct lm_thread *owner = lock->owner;

	if (!owner->resident.group)
		return "holds it and runs, or has waited for a moment only";
	return lm_arena_format(report->arena, "holds it and has itself been blocked in %s (%s) for %s%s",
		thread_place(report, owner), lm_wait_class_name(owner->resident.group->wait.wait_class),
		lm_report_text_age(report, owner->stay_since_ns),
		lock->root ? lm_arena_format(report->arena, ", in the end behind TID %" PRIu32, lock->root->tid) : "");
}

static void describe_pileup(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *first = lock->members[0].thread;

	finding->summary = lm_arena_format(report->arena,
		"%" PRId64 " %s of %s wait for the lock 0x%" PRIx64 ", the longest for %s in %s; TID %" PRIu32 " %s.",
		lock->waiters, lm_report_plural(lock->waiters, "thread", "threads"),
		lm_report_text_process(report, first->process), lock->object,
		lm_report_text_age(report, lock->since_ns), thread_place(report, first), lock->owner->tid,
		owner_state(report, lock));
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

int lm_report_lock(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding)
{
	const struct lm_thread *first = lock->members[0].thread;
	const struct lm_process *process = first->process;
	uint64_t site = first->resident.group ? first->resident.group->key.site : 0;

	lm_report_name_finding(site ^ lock->object, lock->type, process->key.tgid, process->key.start_ns, finding->id);
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

/* --- owners of locks that there is no finding about --- */

static const struct lm_thread *first_that_knows(const struct lm_group *group)
{
	for (int64_t i = 0; i < group->count; i++) {
		const struct lm_thread *thread = lm_thread_of(group->residents[i]);

		if (thread->lock && thread->lock->last_read_ns)
			return thread;
	}
	return NULL;
}

static const struct lm_thread *owner_of(const struct lm_monitor *monitor, const struct lm_thread *waiter)
{
	const struct lm_lock_wait *lock = waiter->lock;
	struct lm_thread *thread;

	HASH_FIND(hh, monitor->threads, &lock->owner_tid, sizeof(lock->owner_tid), thread);
	return thread && thread->start_ns == lock->owner_start_ns ? thread : NULL;
}

int lm_report_owner(const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_site *site)
{
	const struct lm_thread *waiter, *thread;
	struct lm_snapshot_owner *owner;

	if (group->kind != LM_SITE_THREAD || group->objects != 1)
		return 0;
	waiter = first_that_knows(group);
	thread = waiter ? owner_of(report->monitor, waiter) : NULL;
	if (!thread)
		return 0;
	owner = lm_arena_alloc(report->arena, sizeof(*owner));
	if (!owner)
		return -ENOMEM;
	owner->id = thread->tid;
	owner->comm = lm_arena_text(report->arena, thread->comm);
	if (thread->resident.group)
		owner->waits_in = lm_report_text_place(report, thread->resident.group);
	site->wait.owner = owner;
	return 0;
}
