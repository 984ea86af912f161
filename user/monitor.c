// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes and threads by identity, from records; which of them wait in which group. Reports are built in report.c. */
#include "user/monitor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define GROUPS_EMPTY_MAX 10000
#define JUDGE_EVERY_PER_HORIZON 30 /* every 60 s at the default horizon of 30 min */

__attribute__((format(printf, 2, 3))) static void note(struct lm_monitor *monitor, const char *format, ...)
{
	va_list args;

	if (monitor->notes_len < LM_MONITOR_NOTES) {
		va_start(args, format);
		if (vasprintf(&monitor->notes[monitor->notes_len], format, args) < 0)
			monitor->notes[monitor->notes_len] = NULL;
		va_end(args);
	}
	monitor->notes_len++;
}

int lm_monitor_new(const struct lm_monitor_config *config, struct lm_stacks *stacks, struct lm_monitor **out)
{
	struct lm_monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return -ENOMEM;
	monitor->config = *config;
	monitor->groups.stacks = stacks;
	monitor->groups.horizon_ns = config->horizon_ns;
	monitor->groups.empty_max = GROUPS_EMPTY_MAX;
	*out = monitor;
	return 0;
}

void lm_monitor_on_gone(
	struct lm_monitor *monitor, void (*gone)(struct lm_process *process, void *context), void *context)
{
	monitor->gone = gone;
	monitor->gone_context = context;
}

int lm_monitor_watch_only(struct lm_monitor *monitor, pid_t pid, uint64_t start_ns)
{
	struct lm_watched *watched = realloc(monitor->watched, (monitor->watched_len + 1) * sizeof(*monitor->watched));

	if (!watched)
		return -ENOMEM;
	watched[monitor->watched_len++] = (struct lm_watched){.tgid = pid, .start_ns = start_ns};
	monitor->watched = watched;
	return 0;
}

/* /proc gives start times in steps of 10 ms, rounded down; BPF gives them exactly. */
static bool same_start(uint64_t proc_ns, uint64_t exact_ns)
{
	const uint64_t tick_ns = 10000000;

	return exact_ns >= proc_ns && exact_ns - proc_ns <= tick_ns;
}

static bool is_watched(const struct lm_monitor *monitor, uint32_t tgid, uint64_t start_ns)
{
	for (size_t i = 0; i < monitor->watched_len; i++) {
		if (monitor->watched[i].tgid == tgid && same_start(monitor->watched[i].start_ns, start_ns))
			return true;
	}
	return !monitor->watched;
}

static void forget_stack(struct lm_monitor *monitor, struct lm_thread *thread)
{
	free(thread->pending);
	thread->pending = NULL;
	lm_stack_unref(monitor->groups.stacks, thread->stack);
	thread->stack = NULL;
	thread->stack_why = NULL;
	thread->unwound = false;
	thread->confirmed = false;
}

static void leave_group(struct lm_monitor *monitor, struct lm_thread *thread, uint64_t at_ns)
{
	lm_groups_leave(&monitor->groups, &thread->resident, at_ns);
}

static void remove_thread(struct lm_monitor *monitor, struct lm_thread *thread)
{
	leave_group(monitor, thread, monitor->now_ns);
	forget_stack(monitor, thread);
	HASH_DEL(monitor->threads, thread);
	DL_DELETE(thread->process->threads, thread);
	thread->process->threads_len--;
	free(thread);
}

static void forget_facts(struct lm_monitor *monitor, struct lm_process *process)
{
	if (monitor->gone)
		monitor->gone(process, monitor->gone_context);
	free(process->facts.exe);
	free(process->facts.build_id);
	free(process->facts.container_id);
	memset(&process->facts, 0, sizeof(process->facts));
	process->facts_known = false;
}

static void remove_process(struct lm_monitor *monitor, struct lm_process *process)
{
	struct lm_thread *thread, *next;

	DL_FOREACH_SAFE(process->threads, thread, next)
	remove_thread(monitor, thread);
	lm_groups_drop_process(&monitor->groups, process->number);
	forget_facts(monitor, process);
	HASH_DEL(monitor->processes, process);
	free(process);
}

void lm_monitor_free(struct lm_monitor *monitor)
{
	struct lm_process *process, *next;

	if (!monitor)
		return;
	HASH_ITER (hh, monitor->processes, process, next)
		remove_process(monitor, process);
	lm_groups_free(&monitor->groups);
	for (size_t i = 0; i < monitor->notes_len && i < LM_MONITOR_NOTES; i++)
		free(monitor->notes[i]);
	free(monitor->watched);
	free(monitor);
}

void lm_monitor_begin_look(struct lm_monitor *monitor, uint64_t now_ns)
{
	if (!monitor->watch_start_ns) {
		monitor->watch_start_ns = now_ns;
		monitor->groups.watch_start_ns = now_ns;
	}
	monitor->now_ns = now_ns;
	monitor->look++;
}

/* After an exec nothing of the old program's stacks or symbols holds. */
static void became_another_program(struct lm_monitor *monitor, struct lm_process *process, uint64_t exec_id)
{
	struct lm_thread *thread;

	process->exec_id = exec_id;
	DL_FOREACH(process->threads, thread)
	{
		leave_group(monitor, thread, monitor->now_ns);
		forget_stack(monitor, thread);
	}
	lm_groups_drop_process(&monitor->groups, process->number);
	forget_facts(monitor, process);
}

static struct lm_process *find_process(struct lm_monitor *monitor, uint32_t tgid, uint64_t start_ns)
{
	struct lm_process probe = {.key = {.tgid = tgid, .start_ns = start_ns}}, *process;

	HASH_FIND(hh, monitor->processes, &probe.key, sizeof(probe.key), process);
	return process;
}

static struct lm_process *process_of(struct lm_monitor *monitor, const struct lm_thread_record *record)
{
	struct lm_process *process = find_process(monitor, record->tgid, record->tgid_start_ns);

	if (!process) {
		process = calloc(1, sizeof(*process));
		if (!process)
			return NULL;
		process->key.tgid = record->tgid;
		process->key.start_ns = record->tgid_start_ns;
		process->number = ++monitor->last_process_number;
		process->exec_id = record->exec_id;
		process->kernel_thread = record->flags & LM_THREAD_KERNEL;
		HASH_ADD(hh, monitor->processes, key, sizeof(process->key), process);
	}
	/* only the leader's: a thread that is about to be killed by the exec still has the old number */
	if (record->head.tid == record->tgid && record->exec_id > process->exec_id)
		became_another_program(monitor, process, record->exec_id);
	process->compat = record->flags & LM_THREAD_COMPAT;
	if (record->head.tid == record->tgid || !process->comm[0])
		memcpy(process->comm, record->comm, LM_COMM_LEN);
	return process;
}

static struct lm_thread *find_thread(struct lm_monitor *monitor, uint32_t tid, uint64_t start_ns)
{
	struct lm_thread *thread;

	HASH_FIND(hh, monitor->threads, &tid, sizeof(tid), thread);
	if (thread && thread->start_ns != start_ns) {
		/* the TID was used again: whoever had it is gone */
		remove_thread(monitor, thread);
		return NULL;
	}
	return thread;
}

static struct lm_thread *thread_of(struct lm_monitor *monitor, const struct lm_thread_record *record)
{
	struct lm_thread *thread = find_thread(monitor, record->head.tid, record->head.start_ns);
	struct lm_process *process;

	if (thread && thread->process->key.tgid != record->tgid) {
		remove_thread(monitor, thread);
		thread = NULL;
	}
	process = process_of(monitor, record);
	if (thread || !process)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->tid = record->head.tid;
	thread->start_ns = record->head.start_ns;
	thread->process = process;
	HASH_ADD(hh, monitor->threads, tid, sizeof(thread->tid), thread);
	DL_APPEND(process->threads, thread);
	process->threads_len++;
	return thread;
}

static bool is_blocked(const struct lm_thread_record *record)
{
	return record->state != LM_STATE_RUNNING && !(record->flags & (LM_THREAD_ON_CPU | LM_THREAD_EXITING));
}

/* Keeps what is needed to find out where the thread waits. */
static void expect_stack(struct lm_thread *thread, const struct lm_thread_record *record)
{
	size_t len = record->kstack_len < LM_KSTACK_MAX ? record->kstack_len : LM_KSTACK_MAX;
	struct lm_pending *pending = malloc(sizeof(*pending) + len * sizeof(pending->kernel_stack[0]));

	if (!pending)
		return;
	pending->regs = record->regs;
	pending->kernel_stack_len = len;
	memcpy(pending->kernel_stack, record->kstack, len * sizeof(pending->kernel_stack[0]));
	thread->pending = pending;
}

/* When the wait that the thread was in has ended: as the switch program saw it, else now. */
static uint64_t end_of_wait(const struct lm_thread *thread, const struct lm_thread_record *record)
{
	if (record->last_wait_end_ns > thread->resident.since_ns && record->waits == thread->waits + 1)
		return record->last_wait_end_ns;
	return record->now_ns;
}

static void copy_facts(struct lm_thread *thread, const struct lm_thread_record *record)
{
	memcpy(thread->comm, record->comm, LM_COMM_LEN);
	thread->state = record->state;
	thread->flags = record->flags;
	thread->switches = record->switches;
	thread->cpu_ns = record->cpu_ns;
	thread->fs_base = record->regs.fs_base;
	thread->blocked_ns = record->blocked_ns;
	thread->preempted_ns = record->preempted_ns;
	thread->waits = record->waits;
	thread->last_wait_end_ns = record->last_wait_end_ns;
	thread->longest_wait_ns = record->longest_wait_ns;
	thread->own_tid = record->own_tid;
	thread->pid_ns = record->pid_ns;
	thread->futex = record->futex;
	thread->wait_since_ns = 0;
	if (is_blocked(record))
		thread->wait_since_ns = record->wait_since_ns ? record->wait_since_ns : record->now_ns;
}

static void take_thread(struct lm_monitor *monitor, const struct lm_thread_record *record)
{
	struct lm_thread *thread;
	bool stayed;

	if (!is_watched(monitor, record->tgid, record->tgid_start_ns))
		return;
	if (record->flags & LM_THREAD_EXITING) {
		thread = find_thread(monitor, record->head.tid, record->head.start_ns);
		if (thread)
			remove_thread(monitor, thread);
		return;
	}
	thread = thread_of(monitor, record);
	if (!thread)
		return;
	stayed = thread->switches == record->switches && thread->state == record->state && is_blocked(record) &&
		 (thread->resident.group || thread->pending);
	thread->seen_look = monitor->look;
	if (stayed) {
		thread->confirmed = thread->unwound;
		return;
	}
	if (thread->unwound && !thread->resident.group)
		monitor->counters.torn_reads++;
	leave_group(monitor, thread, end_of_wait(thread, record));
	forget_stack(monitor, thread);
	copy_facts(thread, record);
	if (is_blocked(record))
		expect_stack(thread, record);
}

static void take_same(struct lm_monitor *monitor, const struct lm_record *record)
{
	struct lm_thread *thread = find_thread(monitor, record->tid, record->start_ns);

	if (!thread) {
		/* with watch_only, the records of others are no loss */
		monitor->counters.unknown_threads += !monitor->watched;
		return;
	}
	thread->seen_look = monitor->look;
	thread->confirmed = thread->unwound;
}

static void take_exit(struct lm_monitor *monitor, const struct lm_life_record *record)
{
	struct lm_thread *thread = find_thread(monitor, record->head.tid, record->head.start_ns);

	monitor->counters.threads_ended++;
	if (thread) {
		leave_group(monitor, thread, record->now_ns);
		remove_thread(monitor, thread);
	}
}

static void take_exec(struct lm_monitor *monitor, const struct lm_life_record *record)
{
	struct lm_process *process = find_process(monitor, record->tgid, record->tgid_start_ns);

	if (!process || record->exec_id <= process->exec_id)
		return;
	if (monitor->watched)
		note(monitor, "process %u (%s) became another program: %.*s", record->tgid, process->comm, LM_COMM_LEN,
			record->comm);
	became_another_program(monitor, process, record->exec_id);
}

void lm_monitor_record(struct lm_monitor *monitor, const struct lm_record *record)
{
	switch (record->type) {
	case LM_RECORD_THREAD:
		take_thread(monitor, (const struct lm_thread_record *)record);
		break;
	case LM_RECORD_SAME:
		take_same(monitor, record);
		break;
	case LM_RECORD_NEW:
		monitor->counters.threads_started++;
		break;
	case LM_RECORD_EXIT:
		take_exit(monitor, (const struct lm_life_record *)record);
		break;
	case LM_RECORD_EXEC:
		take_exec(monitor, (const struct lm_life_record *)record);
		break;
	}
}

void lm_monitor_end_look(struct lm_monitor *monitor, bool complete)
{
	struct lm_process *process, *next_process;
	struct lm_thread *thread, *next;

	if (!complete)
		return;
	HASH_ITER (hh, monitor->processes, process, next_process) {
		DL_FOREACH_SAFE(process->threads, thread, next)
		{
			if (thread->seen_look != monitor->look)
				remove_thread(monitor, thread);
		}
		if (process->threads)
			continue;
		if (monitor->watched)
			note(monitor, "process %u (%s) ended", process->key.tgid, process->comm);
		remove_process(monitor, process);
	}
}

struct lm_process *lm_monitor_next_process(struct lm_monitor *monitor, struct lm_process *process)
{
	return process ? process->hh.next : monitor->processes;
}

static bool blocked_long_enough(const struct lm_monitor *monitor, const struct lm_thread *thread)
{
	return thread->wait_since_ns && monitor->now_ns >= thread->wait_since_ns &&
	       monitor->now_ns - thread->wait_since_ns >= monitor->config.min_blocked_ns;
}

static bool can_unwind(const struct lm_thread *thread)
{
	return thread->flags & LM_THREAD_REGS && !(thread->flags & (LM_THREAD_KERNEL | LM_THREAD_COMPAT)) &&
	       !thread->process->facts.unresolved;
}

size_t lm_monitor_wanted(struct lm_monitor *monitor, struct lm_process *process, struct lm_thread **wanted, size_t len)
{
	struct lm_thread *thread;
	size_t found = 0;

	DL_FOREACH(process->threads, thread)
	{
		if (found == len)
			break;
		if (thread->pending && !thread->unwound && can_unwind(thread) && blocked_long_enough(monitor, thread))
			wanted[found++] = thread;
	}
	return found;
}

void lm_monitor_set_stack(struct lm_thread *thread, const struct lm_stack *stack, const char *why)
{
	thread->stack = stack;
	thread->stack_why = why;
	thread->unwound = true;
	thread->confirmed = false;
}

static const char *why_no_stack(const struct lm_thread *thread)
{
	if (thread->flags & LM_THREAD_KERNEL)
		return "a kernel thread";
	if (thread->flags & LM_THREAD_COMPAT)
		return "32-bit code is not unwound";
	if (thread->process->facts.unresolved)
		return thread->process->facts.unresolved;
	return "no saved registers";
}

/* Is the word that the thread waits on in another thread's control block? Then it waits for that thread to end. */
static bool waits_in_control_block(const struct lm_thread *thread)
{
	const uint64_t tcb_bytes = 4096; /* glibc's struct pthread is 2304 bytes, the TID at 720 */
	const struct lm_regs *regs = &thread->pending->regs;
	const long nr_futex = 202;
	struct lm_thread *other;

	/* FUTEX_WAIT on a TID: nothing else is as cheap to rule out */
	if (regs->nr != nr_futex || regs->dx == 0 || regs->dx > UINT32_MAX)
		return false;
	DL_FOREACH(thread->process->threads, other)
	{
		/* TIDs are compared as the process counts them, which may be another PID namespace: by address only */
		if (other != thread && other->fs_base && regs->di >= other->fs_base &&
			regs->di < other->fs_base + tcb_bytes)
			return true;
	}
	return false;
}

#define NAMES_MAX 64

static size_t kernel_names(const struct lm_monitor *monitor, const struct lm_pending *pending, const char **names)
{
	size_t len = pending->kernel_stack_len < NAMES_MAX ? pending->kernel_stack_len : NAMES_MAX;
	uint64_t offset;

	for (size_t i = 0; i < len; i++)
		names[i] = monitor->config.kernel_symbol
				   ? monitor->config.kernel_symbol(
					     monitor->config.kernel_symbol_context, pending->kernel_stack[i], &offset)
				   : NULL;
	return len;
}

static size_t user_names(const struct lm_stack *stack, const char **names)
{
	size_t len = 0;

	for (size_t i = 0; stack && i < stack->frames_len; i++) {
		for (size_t f = 0; f < stack->frames[i]->functions_len && len < NAMES_MAX; f++)
			names[len++] = stack->frames[i]->functions[f].name;
		if (!stack->frames[i]->functions_len && len < NAMES_MAX)
			names[len++] = NULL;
	}
	return len;
}

/* Do its innermost frames lie in libc, and has none of them a name? */
static bool begins_in_nameless_libc(const struct lm_stack *stack)
{
	size_t len = 0;

	while (stack && len < stack->frames_len && lm_wait_is_libc(stack->frames[len]->module->name)) {
		if (stack->frames[len]->functions_len)
			return false;
		len++;
	}
	return len > 0;
}

static void classify(const struct lm_monitor *monitor, const struct lm_thread *thread, struct lm_wait *wait)
{
	const char *kernel[NAMES_MAX], *user[NAMES_MAX];
	struct lm_wait_evidence evidence = {
		.state = thread->state,
		.have_regs = thread->flags & LM_THREAD_REGS && !(thread->flags & LM_THREAD_COMPAT),
		.regs = thread->pending->regs,
		.kernel = kernel,
		.kernel_len = kernel_names(monitor, thread->pending, kernel),
		.user = user,
		.user_len = user_names(thread->stack, user),
	};

	evidence.nameless_libc = begins_in_nameless_libc(thread->stack);
	evidence.in_join_target = evidence.have_regs && waits_in_control_block(thread);
	lm_wait_classify(&evidence, wait);
}

static int group_thread(struct lm_monitor *monitor, struct lm_thread *thread)
{
	struct lm_place place = {
		.process = thread->process->number,
		.stack = thread->stack,
		.stack_why = thread->stack_why,
		.kernel_stack = thread->pending->kernel_stack,
		.kernel_stack_len = thread->pending->kernel_stack_len,
		.kernel_thread = thread->flags & LM_THREAD_KERNEL,
	};
	struct lm_group *group;

	if (!place.stack && !place.stack_why)
		place.stack_why = why_no_stack(thread);
	classify(monitor, thread, &place.wait);
	if (lm_groups_find(&monitor->groups, &place, &group))
		return -ENOMEM;
	lm_groups_join(&monitor->groups, group, &thread->resident, thread->wait_since_ns, place.wait.has_object,
		place.wait.object);
	forget_stack(monitor, thread);
	return 0;
}

int lm_monitor_settle(struct lm_monitor *monitor)
{
	struct lm_process *process;
	struct lm_thread *thread;

	for (process = monitor->processes; process; process = process->hh.next) {
		DL_FOREACH(process->threads, thread)
		{
			if (!thread->pending || !blocked_long_enough(monitor, thread))
				continue;
			if (can_unwind(thread) && !thread->confirmed)
				continue;
			if (group_thread(monitor, thread))
				return -ENOMEM;
		}
	}
	lm_groups_tick(&monitor->groups, monitor->now_ns);
	return 0;
}

/* Every member waits for one lock: a pile-up behind its owner, whatever the owner does, is no leak of threads. */
static bool behind_one_lock(const struct lm_group *group)
{
	enum lm_wait_class wait_class = group->wait.wait_class;

	return group->objects == 1 && (wait_class == LM_WAIT_FUTEX_MUTEX || wait_class == LM_WAIT_FUTEX_PI ||
					      wait_class == LM_WAIT_FUTEX_RWLOCK);
}

static int judge_group(struct lm_monitor *monitor, struct lm_group *group)
{
	struct lm_verdict_input input = {
		.now_ns = monitor->now_ns,
		.watch_start_ns = monitor->watch_start_ns,
		.horizon_ns = monitor->config.horizon_ns,
		.members_len = group->count,
		.departures = group->departures,
		.completed_p99_ns =
			lm_verdict_completed_p99(group->completed, group->completed_len, group->longest_completed_ns),
		.longest_completed_ns = group->longest_completed_ns,
	};
	struct lm_verdict_member *members = calloc(group->count, sizeof(*members));
	struct lm_resident *resident;
	size_t len = 0;
	int error;

	if (!members)
		return -ENOMEM;
	DL_FOREACH(group->residents, resident)
	{
		const struct lm_thread *thread =
			(const struct lm_thread *)((char *)resident - offsetof(struct lm_thread, resident));

		members[len++] = (struct lm_verdict_member){
			.since_ns = resident->since_ns,
			.born_ns = thread->start_ns,
			.cpu_ns = thread->cpu_ns,
			.switches = thread->switches,
		};
		input.process_start_ns = thread->process->key.start_ns;
	}
	input.members = members;
	error = lm_verdict_leak(&input, &group->verdict);
	free(members);
	return error;
}

int lm_monitor_judge(struct lm_monitor *monitor, bool final)
{
	uint64_t every_ns = monitor->config.horizon_ns / JUDGE_EVERY_PER_HORIZON;
	struct lm_group *group, *next;
	int error = 0;

	HASH_ITER (hh, monitor->groups.table, group, next) {
		if (!final && group->judged_ns && monitor->now_ns - group->judged_ns < every_ns)
			continue;
		group->judged_ns = monitor->now_ns;
		error = lm_group_refresh(group);
		if (!error && group->count && !group->kernel_thread && !behind_one_lock(group))
			error = judge_group(monitor, group);
		else
			group->verdict.level = LM_LEVEL_NONE;
		if (error)
			break;
	}
	return error;
}
