// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes and threads by identity, from records, and how long they stay. Which place a stay is in is found out in
 * monitor_place.c, what to think of it in monitor_judge.c; reports are built in report.c. */
#include "user/monitor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "user/monitor_go.h"

#define GROUPS_EMPTY_MAX 10000
#define PLACE_PER_HORIZON 30 /* how often a thread that only ticks is unwound again: every 60 s at the default */
#define BROADCAST_MIN 8      /* so many, and half of their group, woken within this time were woken at once */
#define BROADCAST_NS 10000000ull

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

void lm_monitor_forget_stack(struct lm_monitor *monitor, struct lm_thread *thread)
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
	lm_thread_forget_owner(thread);
	leave_group(monitor, thread, monitor->now_ns);
	lm_monitor_forget_stack(monitor, thread);
	if (monitor->last_found == thread)
		monitor->last_found = NULL;
	HASH_DEL(monitor->threads, thread);
	DL_DELETE(thread->process->threads, thread);
	thread->process->threads_len--;
	free(thread);
}

static void forget_facts(struct lm_monitor *monitor, struct lm_process *process)
{
	if (monitor->gone)
		monitor->gone(process, monitor->gone_context);
	lm_monitor_go_drop(monitor, process);
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
	lm_monitor_drop_lock_findings(monitor);
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
	monitor->last_found = NULL;
}

/* After an exec nothing of the old program's stacks or symbols holds. */
static void became_another_program(struct lm_monitor *monitor, struct lm_process *process, uint64_t exec_id)
{
	struct lm_thread *thread;

	process->exec_id = exec_id;
	DL_FOREACH(process->threads, thread)
	{
		lm_thread_forget_owner(thread);
		leave_group(monitor, thread, monitor->now_ns);
		lm_monitor_forget_stack(monitor, thread);
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
		if (!process->hh.tbl) {
			free(process);
			return NULL;
		}
	}
	/* only the leader's: a thread that is about to be killed by the exec still has the old number */
	if (record->head.tid == record->tgid && record->exec_id > process->exec_id)
		became_another_program(monitor, process, record->exec_id);
	process->compat = record->flags & LM_THREAD_COMPAT;
	if (record->head.tid == record->tgid || !process->comm[0])
		memcpy(process->comm, record->comm, LM_COMM_LEN);
	return process;
}

/* A look tells of threads by ascending TID, in which order most have come: the next one is mostly the one that came
 * next, and is not searched for in a table of which nothing is in a cache. */
static struct lm_thread *find_thread(struct lm_monitor *monitor, uint32_t tid, uint64_t start_ns)
{
	struct lm_thread *thread = monitor->last_found ? monitor->last_found->hh.next : monitor->threads;

	if (!thread || thread->tid != tid)
		HASH_FIND(hh, monitor->threads, &tid, sizeof(tid), thread);
	if (thread)
		monitor->last_found = thread;
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
	if (!thread->hh.tbl) {
		free(thread);
		return NULL;
	}
	DL_APPEND(process->threads, thread);
	process->threads_len++;
	return thread;
}

static bool is_blocked(const struct lm_thread_record *record)
{
	return record->state != LM_STATE_RUNNING && !(record->flags & (LM_THREAD_ON_CPU | LM_THREAD_EXITING));
}

/* There was no memory for what a record says: it is missed until the kernel tells all anew. */
static void lose_record(struct lm_monitor *monitor)
{
	monitor->counters.unknown_threads++;
	monitor->forgot = true;
}

/* Keeps what is needed to find out where the thread waits. */
static void expect_stack(struct lm_monitor *monitor, struct lm_thread *thread, const struct lm_thread_record *record)
{
	size_t len = record->kstack_len < LM_KSTACK_MAX ? record->kstack_len : LM_KSTACK_MAX;
	struct lm_pending *pending = malloc(sizeof(*pending) + len * sizeof(pending->kernel_stack[0]));

	if (!pending) {
		lose_record(monitor);
		return;
	}
	pending->regs = record->regs;
	pending->kernel_stack_len = len;
	memcpy(pending->kernel_stack, record->kstack, len * sizeof(pending->kernel_stack[0]));
	thread->pending = pending;
}

/* When the wait that the thread was in has ended: as the switch program saw it, else now. */
static uint64_t end_of_wait(const struct lm_thread *thread, const struct lm_thread_record *record)
{
	if (record->last_wait_end_ns > thread->resident.wait_since_ns && record->waits == thread->waits + 1)
		return record->last_wait_end_ns;
	return record->now_ns;
}

static void copy_facts(struct lm_thread *thread, const struct lm_thread_record *record)
{
	memcpy(thread->comm, record->comm, LM_COMM_LEN);
	if (record->cpu_ns > thread->cpu_ns)
		thread->process->cpu_ns += record->cpu_ns - thread->cpu_ns;
	thread->state = record->state;
	thread->flags = record->flags;
	thread->switches = record->switches;
	thread->voluntary = record->voluntary;
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

/* From now on it stays where it waits now. */
static void begin_stay(struct lm_thread *thread)
{
	thread->stay_since_ns = thread->wait_since_ns;
	thread->ticks = false;
	thread->calm_looks = 0;
}

static void end_stay(struct lm_monitor *monitor, struct lm_thread *thread, uint64_t at_ns)
{
	leave_group(monitor, thread, at_ns);
	lm_monitor_forget_stack(monitor, thread);
	thread->woken_ns = 0;
	thread->away_ns = 0;
}

static uint32_t saturated(uint64_t number)
{
	return number < UINT32_MAX ? number : UINT32_MAX;
}

void lm_thread_fill_member(const struct lm_thread *thread, struct lm_verdict_member *member)
{
	member->since_ns = thread->stay_since_ns;
	member->born_ns = thread->start_ns;
	member->cpu_ms = saturated(thread->cpu_ns / 1000000);
	/* how often others took its CPU says how busy they were */
	member->switches = saturated(thread->voluntary);
}

/* Only timers have woken it: it is where it was. Its stack is looked at again now and then. */
static void go_on(
	struct lm_monitor *monitor, struct lm_thread *thread, const struct lm_thread_record *record, bool sure)
{
	thread->ticks = true;
	thread->away_ns = 0;
	if (thread->resident.group) {
		lm_thread_fill_member(thread, lm_resident_member(&thread->resident));
		lm_groups_wait_again(&thread->resident, thread->wait_since_ns);
		if (sure && monitor->now_ns - thread->placed_ns < monitor->config.horizon_ns / PLACE_PER_HORIZON)
			return;
	}
	lm_monitor_forget_stack(monitor, thread);
	expect_stack(monitor, thread, record);
}

/* An odd change is none where there was none for long; it must be long until the next. */
static enum lm_stay_change weigh(struct lm_thread *thread, enum lm_stay_change change)
{
	if (change == LM_STAY_ODD) {
		change = thread->calm_looks == LM_STAY_CALM_LOOKS ? LM_STAY_UNSURE : LM_STAY_ENDED;
		thread->calm_looks = 0;
	} else if (change == LM_STAY_GOES_ON && thread->calm_looks < LM_STAY_CALM_LOOKS) {
		thread->calm_looks++;
	}
	return change;
}

/* It waits as it did before somebody stopped it: for the same lock, with the same stack, and its group has it since
 * then. */
static void resume(struct lm_thread *thread, const struct lm_stay_point *before)
{
	if (thread->stay.nr != before->nr) {
		thread->stay.nr = before->nr;
		thread->stay.timeout = before->timeout;
	}
	thread->away_ns = 0;
}

static void take_blocked(struct lm_monitor *monitor, struct lm_thread *thread, const struct lm_thread_record *record)
{
	struct lm_stay_point before = thread->stay;
	uint64_t ended_ns = end_of_wait(thread, record);
	enum lm_stay_change change = LM_STAY_ENDED;
	bool was_stopped = thread->state & (LM_STATE_STOPPED | LM_STATE_TRACED);

	copy_facts(thread, record);
	lm_stay_note(&thread->stay, record, thread->wait_since_ns);
	if (before.at_ns && !was_stopped)
		change = lm_stay_compare(&before, &thread->stay);
	if (change == LM_STAY_INTERRUPTED && thread->resident.group) {
		resume(thread, &before);
		return;
	}
	lm_thread_forget_owner(thread);
	change = weigh(thread, change);
	if (change == LM_STAY_GOES_ON || change == LM_STAY_UNSURE) {
		go_on(monitor, thread, record, change == LM_STAY_GOES_ON);
	} else if (change == LM_STAY_WOKEN && thread->resident.group) {
		/* whether that was a broadcast is known when all are seen */
		lm_monitor_forget_stack(monitor, thread);
		expect_stack(monitor, thread, record);
		thread->woken_ns = ended_ns;
	} else {
		end_stay(monitor, thread, ended_ns);
		begin_stay(thread);
		expect_stack(monitor, thread, record);
	}
}

/* It runs, or wants to: for a moment only, or it has not come to do anything since, for others had the CPUs. */
static bool is_between_waits(const struct lm_thread *thread, const struct lm_thread_record *record)
{
	uint64_t waits = record->waits - thread->stay.waits + 1;

	return record->now_ns - thread->away_ns <= LM_STAY_GAP_NS ||
	       record->cpu_ns - thread->stay.cpu_ns <= waits * LM_STAY_CPU_NS;
}

static void take_running(struct lm_monitor *monitor, struct lm_thread *thread, const struct lm_thread_record *record)
{
	lm_thread_forget_owner(thread);
	if ((thread->ticks || record->stops != thread->stay.stops) && thread->resident.group && !thread->away_ns)
		thread->away_ns = record->now_ns;
	if (thread->away_ns && is_between_waits(thread, record)) {
		/* a look caught it between two of its waits, as may the looks right after it */
		copy_facts(thread, record);
		return;
	}
	end_stay(monitor, thread, end_of_wait(thread, record));
	copy_facts(thread, record);
	thread->stay.at_ns = 0;
	thread->ticks = false;
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
	if (!thread) {
		lose_record(monitor);
		return;
	}
	stayed = thread->switches == record->switches && thread->state == record->state && is_blocked(record) &&
		 (thread->resident.group || thread->pending);
	thread->seen_look = monitor->look;
	if (stayed) {
		thread->confirmed = thread->unwound;
		return;
	}
	if ((thread->resident.group || thread->pending) && lm_stay_is_stopped(&thread->stay, record)) {
		thread->confirmed = thread->unwound;
		return;
	}
	if (thread->unwound && !thread->resident.group)
		monitor->counters.torn_reads++;
	if (is_blocked(record))
		take_blocked(monitor, thread, record);
	else
		take_running(monitor, thread, record);
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

static int by_group_and_end(const void *a, const void *b)
{
	const struct lm_thread *x = *(struct lm_thread *const *)a, *y = *(struct lm_thread *const *)b;

	if (x->resident.group != y->resident.group)
		return x->resident.group < y->resident.group ? -1 : 1;
	return (x->woken_ns > y->woken_ns) - (x->woken_ns < y->woken_ns);
}

/* Of the threads of one group, by when they were woken: the longest row that was woken at once. */
static size_t longest_row(struct lm_thread *const *woken, size_t len, size_t *first)
{
	size_t longest = 0;

	for (size_t from = 0, to = 0; to < len; to++) {
		while (woken[to]->woken_ns - woken[from]->woken_ns > BROADCAST_NS)
			from++;
		if (to - from + 1 > longest) {
			longest = to - from + 1;
			*first = from;
		}
	}
	return longest;
}

/* Threads of one group that were woken and wait there again: all that one broadcast woke have not left. */
static void settle_woken(struct lm_monitor *monitor, struct lm_thread *const *woken, size_t len)
{
	size_t half = (woken[0]->resident.group->count + 1) / 2, first = 0;
	size_t row = longest_row(woken, len, &first);
	bool broadcast = row >= BROADCAST_MIN && row >= half;

	for (size_t i = 0; i < len; i++) {
		struct lm_thread *thread = woken[i];

		if (broadcast && i >= first && i < first + row) {
			lm_monitor_forget_stack(monitor, thread);
			lm_groups_wait_again(&thread->resident, thread->wait_since_ns);
		} else {
			leave_group(monitor, thread, thread->woken_ns);
			begin_stay(thread);
		}
		thread->woken_ns = 0;
	}
}

static size_t collect_woken(struct lm_monitor *monitor, struct lm_thread **woken)
{
	struct lm_process *process;
	struct lm_thread *thread;
	size_t len = 0;

	for (process = monitor->processes; process; process = process->hh.next) {
		DL_FOREACH(process->threads, thread)
		{
			if (!thread->woken_ns)
				continue;
			if (woken)
				woken[len] = thread;
			len++;
		}
	}
	return len;
}

/* Without memory to sort them nobody has stayed: then they arrive anew. */
static void settle_all_woken(struct lm_monitor *monitor)
{
	size_t len = collect_woken(monitor, NULL), end;
	struct lm_thread **woken = calloc(len + 1, sizeof(struct lm_thread *)), *one;

	if (woken) {
		collect_woken(monitor, woken);
		qsort(woken, len, sizeof(*woken), by_group_and_end);
		for (size_t from = 0; from < len; from = end) {
			end = from + 1;
			while (end < len && woken[end]->resident.group == woken[from]->resident.group)
				end++;
			settle_woken(monitor, woken + from, end - from);
		}
		free(woken);
		return;
	}
	for (struct lm_process *process = monitor->processes; process; process = process->hh.next) {
		DL_FOREACH(process->threads, one)
		{
			if (one->woken_ns)
				settle_woken(monitor, &one, 1);
		}
	}
}

static void remove_unseen(struct lm_monitor *monitor)
{
	struct lm_process *process, *next_process;
	struct lm_thread *thread, *next;

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

void lm_monitor_end_look(struct lm_monitor *monitor, bool complete)
{
	settle_all_woken(monitor);
	monitor->look_complete = complete;
	if (complete)
		remove_unseen(monitor);
}

struct lm_process *lm_monitor_next_process(struct lm_monitor *monitor, struct lm_process *process)
{
	return process ? process->hh.next : monitor->processes;
}
