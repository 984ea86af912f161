// SPDX-License-Identifier: GPL-2.0-or-later
/* In which group does a thread stay: which stacks are wanted for that, and what they, the registers and the kernel
 * stack say together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "user/go_stacks.h"
#include "user/monitor.h"
#include "user/recall.h"

static bool blocked_long_enough(const struct lm_monitor *monitor, const struct lm_thread *thread)
{
	return thread->wait_since_ns && monitor->now_ns >= thread->stay_since_ns &&
	       monitor->now_ns - thread->stay_since_ns >= monitor->config.min_blocked_ns;
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

void lm_monitor_want_again(struct lm_process *process)
{
	struct lm_thread *thread;

	DL_FOREACH(process->threads, thread)
	{
		if (thread->pending && !thread->stack)
			thread->unwound = thread->confirmed = false;
	}
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
		/* a Python function may be called as one of libc's is, but does not wait in the kernel itself */
		if (stack->frames[i]->python)
			continue;
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

/* Is the C library of the stack musl? A static one has no name: then its locks are taken for glibc's, and do not fit.
 */
static bool has_musl(const struct lm_stack *stack)
{
	for (size_t i = 0; stack && i < stack->frames_len; i++) {
		const char *module = stack->frames[i]->module->name;

		if (strncmp(module, "ld-musl", 7) == 0 || strncmp(module, "libc.musl", 9) == 0)
			return true;
	}
	return false;
}

/* Prepares to find out who holds what the thread waits for. */
static void expect_owner(struct lm_thread *thread, enum lm_wait_class wait_class)
{
	const char *user[NAMES_MAX];
	size_t len = user_names(thread->stack, user);
	struct lm_owner_wait wait = {
		.wait_class = wait_class,
		.regs = thread->pending->regs,
		.is_musl = has_musl(thread->stack),
	};

	for (size_t i = 0; i < len && !wait.has_lock_function; i++)
		wait.has_lock_function = user[i] && lm_owner_is_lock_function(user[i]);
	lm_thread_expect_owner(thread, &wait);
}

/* poll and ppoll of one descriptor: which it is stands in the memory of the process. */
static uint64_t polled_by(const struct lm_regs *regs)
{
	const int64_t nr_poll = 7, nr_ppoll = 271;

	return (regs->nr == nr_poll || regs->nr == nr_ppoll) && regs->si == 1 ? regs->di : 0;
}

/* It is placed: what that took is needed no longer, but for another try. */
static void forget_place(struct lm_monitor *monitor, struct lm_thread *thread)
{
	if (thread->process->facts.retry_ns && !thread->stack)
		thread->unwound = thread->confirmed = false;
	else
		lm_monitor_forget_stack(monitor, thread);
}

static int group_thread(struct lm_monitor *monitor, struct lm_thread *thread)
{
	struct lm_place place = {
		.process = thread->process->number,
		.whose = thread->process,
		.stack = thread->stack,
		.stack_why = thread->stack_why,
		.kernel_stack = thread->pending->kernel_stack,
		.kernel_stack_len = thread->pending->kernel_stack_len,
		.kernel_thread = thread->flags & LM_THREAD_KERNEL,
	};
	struct lm_verdict_member member;
	struct lm_group *group;
	int error;

	if (can_unwind(thread) && (!place.stack || place.stack->end == LM_STACK_BROKEN))
		monitor->counters.unwind_failed++;
	if (!place.stack && !place.stack_why)
		place.stack_why = why_no_stack(thread);
	classify(monitor, thread, &place.wait);
	if (place.stack && lm_go_stacks_is_parked_thread(place.stack)) {
		place.go_runtime = true;
		place.wait = (struct lm_wait){.wait_class = LM_WAIT_FUTEX_OTHER, .detail = "parked in Go's runtime"};
	}
	if (lm_groups_find(&monitor->groups, &place, &group))
		return -ENOMEM;
	thread->placed_ns = monitor->now_ns;
	if (can_unwind(thread) && !place.go_runtime && place.wait.wait_class <= LM_WAIT_FUTEX_OTHER)
		expect_owner(thread, place.wait.wait_class);
	thread->polled = can_unwind(thread) ? polled_by(&thread->pending->regs) : 0;
	thread->resident.wait_since_ns = thread->wait_since_ns;
	thread->resident.has_object = place.wait.has_object;
	thread->resident.object = place.wait.object;
	if (thread->resident.group == group) {
		forget_place(monitor, thread);
		return 0;
	}
	if (thread->resident.group && !thread->resident.group->stack && place.stack) {
		/* its stack could not be had before */
		lm_groups_take_back(&thread->resident, monitor->now_ns);
	} else if (thread->resident.group) {
		/* a thread that ticks has moved unseen: all that is known is that its present wait is here */
		lm_groups_leave(&monitor->groups, &thread->resident, thread->wait_since_ns);
		thread->stay_since_ns = thread->wait_since_ns;
	}
	lm_recall_since(group, (struct lm_recall_id){.id = thread->tid, .start_ns = thread->start_ns},
		thread->wait_since_ns, &thread->stay_since_ns);
	lm_thread_fill_member(thread, &member);
	error = lm_groups_join(group, &thread->resident, &member);
	if (!error)
		forget_place(monitor, thread);
	return error;
}

/* It is placed as well as can be until its stack is tried again. */
static bool waits_for_retry(const struct lm_thread *thread)
{
	return thread->process->facts.retry_ns && !thread->unwound && thread->resident.group &&
	       !thread->resident.group->stack;
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
			if (waits_for_retry(thread))
				continue;
			if (can_unwind(thread) && !thread->confirmed)
				continue;
			if (group_thread(monitor, thread))
				return -ENOMEM;
		}
		lm_load_note(&process->load, monitor->now_ns, monitor->config.horizon_ns / LM_VERDICT_STEPS_PER_HORIZON,
			process->cpu_ns);
	}
	for (struct lm_group *group = monitor->groups.table; group; group = group->hh.next)
		lm_recall_settle(&monitor->groups, group, monitor->now_ns);
	lm_groups_tick(&monitor->groups, monitor->now_ns);
	return 0;
}
