// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Classification, from the strongest evidence to the weakest: the state of the
 * task; the name of the function that was called to wait; the system call with its
 * arguments; the kernel functions. Futex words and operations are those that glibc
 * 2.36 and musl 1.2 use, as VERDICTS.md has them. Names are in wait_names.c.
 */
#include "user/waits.h"

#include <string.h>

#include "user/wait_names.h"

#define FUTEX_CMD_MASK 0x7f
#define FUTEX_WAIT 0
#define FUTEX_LOCK_PI 6
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_LOCK_PI2 13
#define FUTEX_PRIVATE 0x80
#define FUTEX_CLOCK_REALTIME 0x100

#define NR_FUTEX 202
#define NR_RESTART 219 /* restart_syscall: the arguments are still those of the call that goes on */

static bool in_kernel_function(const struct lm_wait_evidence *evidence, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < evidence->kernel_len; i++) {
		const char *function = evidence->kernel[i];

		/* compilers add .isra.0, .constprop.0, .part.0, .cold */
		if (function && strncmp(function, name, len) == 0 && (function[len] == '\0' || function[len] == '.'))
			return true;
	}
	return false;
}

/* The first of the table's functions on the kernel stack; NULL if there is none. */
static const struct lm_kernel_wait *find_kernel_wait(const struct lm_wait_evidence *evidence)
{
	for (const struct lm_kernel_wait *wait = lm_kernel_waits; wait->function; wait++) {
		if (in_kernel_function(evidence, wait->function))
			return wait;
	}
	return NULL;
}

/* The object that a futex word belongs to, as glibc 2.36 lays it out on 64-bit machines. */
static uint64_t futex_object(enum lm_wait_class wait_class, const struct lm_regs *regs)
{
	uint64_t word = regs->di;

	switch (wait_class) {
	case LM_WAIT_FUTEX_COND:
		/* __g_signals[2] at 40 and 44 of an 8-aligned structure */
		return word - (word % 8 == 0 ? 40 : 44);
	case LM_WAIT_FUTEX_RWLOCK:
		/* __wrphase_futex at 8, __writers_futex at 12 */
		return word - (word % 8 == 0 ? 8 : 12);
	case LM_WAIT_FUTEX_BARRIER:
		/* current_round at 4 of struct pthread_barrier; the wait is on the number of arrivals at 0 */
		return word & ~7ull;
	default:
		return word;
	}
}

static enum lm_wait_class futex_class_by_word(const struct lm_wait_evidence *evidence, const char **detail)
{
	uint32_t op = evidence->regs.si, val = evidence->regs.dx;
	uint32_t command = op & FUTEX_CMD_MASK;

	if (command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI)
		return LM_WAIT_FUTEX_PI;
	if (command == FUTEX_WAIT_BITSET && (val == 3 || (val == 2 && !evidence->regs.r10)) &&
		op & FUTEX_CLOCK_REALTIME)
		return LM_WAIT_FUTEX_RWLOCK;
	if (val == 2 && (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET))
		return LM_WAIT_FUTEX_MUTEX;
	if (command == FUTEX_WAIT && !(op & FUTEX_PRIVATE) && val & 0x80000000)
		return LM_WAIT_FUTEX_MUTEX; /* robust: the word holds the owner's TID and FUTEX_WAITERS */
	if (command == FUTEX_WAIT_BITSET && val == 0)
		*detail = "a condition variable, semaphore or lock without a name";
	return LM_WAIT_FUTEX_OTHER;
}

static void classify_futex(
	const struct lm_wait_evidence *evidence, const struct lm_user_wait *named, struct lm_wait *wait)
{
	wait->detail = named ? named->detail : "futex";
	if (named)
		wait->wait_class = named->wait_class;
	else if (evidence->in_join_target)
		wait->wait_class = LM_WAIT_FUTEX_JOIN;
	else
		wait->wait_class = futex_class_by_word(evidence, &wait->detail);
	wait->has_object = true;
	wait->object = futex_object(wait->wait_class, &evidence->regs);
}

/* The function that the program called to wait, among the innermost few. */
static const struct lm_user_wait *find_user_wait(const struct lm_wait_evidence *evidence)
{
	const struct lm_user_wait *found = NULL;

	for (size_t i = 0; i < evidence->user_len && i < LM_WAIT_NAMES_DEPTH; i++) {
		const char *name = evidence->user[i];
		const struct lm_user_wait *wait = name ? lm_wait_find_name(name) : NULL;

		if (wait)
			return wait;
	}
	return found;
}

static bool is_futex_call(const struct lm_wait_evidence *evidence)
{
	if (evidence->regs.nr == NR_FUTEX)
		return true;
	return evidence->regs.nr == NR_RESTART && in_kernel_function(evidence, "futex_wait_restart");
}

/* Which class a system call waits in; for those on descriptors, the kernel functions say what kind of file it is. */
static void classify_call(
	const struct lm_wait_evidence *evidence, const struct lm_kernel_wait *kernel, struct lm_wait *wait)
{
	const struct lm_call_wait *call = lm_wait_find_call(evidence->regs.nr);

	if (!call) {
		if (kernel) {
			wait->wait_class = kernel->wait_class;
			wait->detail = kernel->detail;
		}
		return;
	}
	wait->detail = call->name;
	wait->wait_class = call->wait_class;
	if (call->by_file && kernel)
		wait->wait_class = kernel->wait_class;
	if (call->has_fd) {
		wait->has_object = true;
		wait->object_is_fd = true;
		wait->object = (uint32_t)evidence->regs.di;
	}
}

static bool is_futex_class(enum lm_wait_class wait_class)
{
	return wait_class <= LM_WAIT_FUTEX_OTHER;
}

static bool is_stopped(uint32_t state)
{
	return state & (LM_STATE_STOPPED | LM_STATE_TRACED);
}

/* The call that the application made: the last of the wait functions that the stack begins with. It is what the
 * source says (nanosleep), where the system call may have another name (clock_nanosleep). */
static void name_call(const struct lm_wait_evidence *evidence, struct lm_wait *wait)
{
	const char *name = NULL;

	for (size_t i = 0; i < evidence->user_len && evidence->user[i]; i++) {
		if (!lm_wait_is_wait_function(evidence->user[i]))
			break;
		name = evidence->user[i];
	}
	name = name ? lm_wait_public_name(name) : NULL;
	if (name)
		wait->detail = name;
}

void lm_wait_classify(const struct lm_wait_evidence *evidence, struct lm_wait *wait)
{
	const struct lm_kernel_wait *kernel = find_kernel_wait(evidence);
	struct lm_wait result = {.wait_class = LM_WAIT_OTHER};

	if (is_stopped(evidence->state)) {
		result.wait_class = LM_WAIT_STOPPED;
	} else if (evidence->have_regs && is_futex_call(evidence)) {
		classify_futex(evidence, find_user_wait(evidence), &result);
	} else if (evidence->state == LM_STATE_UNINTERRUPTIBLE && (!kernel || !kernel->also_uninterruptible)) {
		const struct lm_call_wait *call = evidence->have_regs ? lm_wait_find_call(evidence->regs.nr) : NULL;

		result.wait_class = LM_WAIT_DISK;
		result.detail = call ? call->name : NULL;
	} else if (evidence->have_regs && evidence->regs.nr >= 0 && evidence->regs.nr != NR_RESTART) {
		classify_call(evidence, kernel, &result);
	} else if (kernel) {
		result.wait_class = kernel->wait_class;
		result.detail = kernel->detail;
	}
	if (!is_futex_class(result.wait_class))
		name_call(evidence, &result);
	*wait = result;
}
