// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Classification, from the strongest evidence to the weakest: the state of the
 * task; kernel functions that mean one thing whatever the call; the function that
 * the program called to wait; the system call with its arguments; other kernel
 * functions. Futex words and operations as glibc 2.36 and musl 1.2.3 use them, read
 * off threads that were blocked in each way on kernel 6.18. Names are in wait_names.c.
 */
#include "user/waits.h"

#include <linux/futex.h>
#include <string.h>

#include "user/prefixes.h"
#include "user/wait_names.h"

#define NR_FUTEX 202
#define NR_RESTART 219 /* restart_syscall: the arguments are still those of the call that goes on */
#define NR_FUTEX_WAIT 455

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define FUTEX_FRAMES                                                                                                   \
	8 /* libc's and a runtime's functions between the system call and the program: 6 seen, inlined ones too */
#define OWN_STACK_BYTES 4096 /* musl's waiter for a condition lies at most some 200 bytes above the stack pointer */

struct futex_call {
	uint64_t word;
	uint32_t command, val;
	bool is_private, is_realtime, has_timeout;
};

static struct futex_call decode_futex(const struct lm_regs *regs)
{
	uint32_t op = regs->si;

	return (struct futex_call){
		.word = regs->di,
		.command = op & FUTEX_CMD_MASK,
		.val = regs->dx,
		.is_private = op & FUTEX_PRIVATE_FLAG,
		.is_realtime = op & FUTEX_CLOCK_REALTIME,
		.has_timeout = regs->r10 != 0,
	};
}

static bool is_pi(const struct futex_call *call)
{
	return call->command == FUTEX_LOCK_PI || call->command == FUTEX_LOCK_PI2;
}

/* musl waits with FUTEX_WAIT, glibc since 2.25 with FUTEX_WAIT_BITSET where there may be a timeout. */
static bool is_plain_wait(const struct futex_call *call)
{
	return call->command == FUTEX_WAIT;
}

static bool on_own_stack(uint64_t address, const struct lm_regs *regs)
{
	return address >= regs->sp && address - regs->sp < OWN_STACK_BYTES;
}

/*
 * The class by the words alone. What no word tells apart is futex_other: a glibc
 * condition from a semaphore, a musl semaphore from a read-write lock, anything from a
 * futex of the program's own. Owner words have FUTEX_WAITERS, bit 31, and a TID.
 */
static enum lm_wait_class class_by_words(const struct futex_call *call, const struct lm_regs *regs, const char **detail)
{
	bool has_owner = call->val & FUTEX_WAITERS && call->val & FUTEX_TID_MASK && call->val != UINT32_MAX;

	if (is_plain_wait(call)) {
		if (call->val == 2) /* musl's conditions too, but on a word of the waiter's own stack */
			return on_own_stack(call->word, regs) ? LM_WAIT_FUTEX_COND : LM_WAIT_FUTEX_MUTEX;
		if (has_owner && call->word % 8 == 4) /* musl: the lock is at 4; at 0 it may be a read-write lock */
			return LM_WAIT_FUTEX_MUTEX;
		if (has_owner && !call->is_private) /* glibc, robust */
			return LM_WAIT_FUTEX_MUTEX;
		return LM_WAIT_FUTEX_OTHER;
	}
	if (call->command == FUTEX_WAIT_REQUEUE_PI)
		return LM_WAIT_FUTEX_COND;
	if (call->command != FUTEX_WAIT_BITSET)
		return LM_WAIT_FUTEX_OTHER;
	if (call->val == 3)
		return LM_WAIT_FUTEX_RWLOCK;
	if (call->val == 2) /* with CLOCK_REALTIME and no timeout: glibc's writer behind readers */
		return call->is_realtime && !call->has_timeout ? LM_WAIT_FUTEX_RWLOCK : LM_WAIT_FUTEX_MUTEX;
	if (call->val == 0)
		*detail = "a condition variable or semaphore";
	return LM_WAIT_FUTEX_OTHER;
}

/* From the futex word to the address of the object, for objects of glibc and musl. */
static void find_object(
	enum lm_wait_class wait_class, const struct futex_call *call, const struct lm_regs *regs, struct lm_wait *wait)
{
	uint64_t back = 0;
	bool is_upper = call->word % 8 == 4;

	wait->has_object = true;
	switch (wait_class) {
	case LM_WAIT_FUTEX_MUTEX:
	case LM_WAIT_FUTEX_PI:
		back = is_upper ? 4 : 0; /* musl: the type is at 0 */
		break;
	case LM_WAIT_FUTEX_COND:
		if (!is_plain_wait(call))
			back = is_upper ? 44 : 40; /* __g_signals[2]; at 36 and 32 since glibc 2.41 */
		else if (!call->is_private)
			back = 8; /* musl's sequence of a shared condition */
		else
			wait->has_object = !on_own_stack(call->word, regs);
		break;
	case LM_WAIT_FUTEX_RWLOCK:
		if (!is_plain_wait(call))
			back = is_upper ? 12 : 8; /* __writers_futex, __wrphase_futex; musl: 0 */
		break;
	case LM_WAIT_FUTEX_BARRIER:
		/* current_round; musl's waiters share a word on the stack of the first, of value 1 */
		back = is_upper && call->val != 1 ? 4 : 0;
		break;
	default:
		break;
	}
	wait->object = wait->has_object ? call->word - back : 0;
}

/* The function that decides: the innermost that names a class, since what pthread_cond_wait calls to take its mutex
 * again is a wait for the mutex. Else the outermost of those that only have a name (a channel over a parked thread). */
static const struct lm_futex_function *find_futex_function(const struct lm_wait_evidence *evidence)
{
	const struct lm_futex_function *found = NULL;

	for (size_t i = 0; i < evidence->user_len && i < FUTEX_FRAMES; i++) {
		const char *name = evidence->user[i];
		const struct lm_futex_function *function = name ? lm_wait_futex_function(name) : NULL;

		if (!function || (found && found->wait_class != LM_WAIT_FUTEX_OTHER &&
					 !(function->is_libc && function->wait_class == found->wait_class)))
			continue;
		/* the outermost of libc's functions of one class is the one that was called: cnd_wait, not
		 * pthread_cond_wait */
		found = function;
	}
	return found;
}

/* HotSpot parks who wants a monitor on a condition of its own, as it parks who waits for a notification. */
static bool wants_java_monitor(const struct lm_wait_evidence *evidence)
{
	static const char *const entering[] = {
		"ObjectMonitor::enter", "ObjectMonitor::EnterI", "ObjectMonitor::ReenterI", "ObjectMonitor::reenter"};

	for (size_t i = 0; i < evidence->user_len && i < FUTEX_FRAMES; i++) {
		const char *name = evidence->user[i];

		if (name && strncmp(name, "ObjectMonitor::", strlen("ObjectMonitor::")) == 0)
			return LM_STARTS_WITH(name, entering);
	}
	return false;
}

/*
 * A dynamic libc without debug files names only what it exports. Of what waits with these words that is all but the
 * semaphore: sem_wait jumps to a local function, while a condition's wait is in pthread_cond_wait itself (glibc 2.36).
 */
static bool is_nameless_semaphore(const struct lm_wait_evidence *evidence, const struct futex_call *call)
{
	return evidence->nameless_libc && call->command == FUTEX_WAIT_BITSET && call->is_realtime && call->val == 0;
}

static void classify_futex(const struct lm_wait_evidence *evidence, struct lm_wait *wait)
{
	const struct lm_futex_function *function = find_futex_function(evidence);
	struct futex_call call = decode_futex(&evidence->regs);
	bool is_layout_known = true;

	wait->detail = !function                                    ? "futex"
		       : call.has_timeout && function->detail_timed ? function->detail_timed
								    : function->detail;
	if (is_pi(&call)) {
		wait->wait_class = LM_WAIT_FUTEX_PI;
	} else if (wants_java_monitor(evidence)) {
		wait->wait_class = LM_WAIT_FUTEX_MUTEX;
		wait->detail = "synchronized";
		is_layout_known = false;
	} else if (function) {
		wait->wait_class = function->wait_class;
		is_layout_known = function->is_libc;
	} else if (evidence->in_join_target) {
		wait->wait_class = LM_WAIT_FUTEX_JOIN;
		wait->detail = "pthread_join";
	} else if (is_nameless_semaphore(evidence, &call)) {
		wait->wait_class = LM_WAIT_FUTEX_SEM;
		wait->detail = call.has_timeout ? "sem_timedwait" : "sem_wait";
	} else {
		wait->wait_class = class_by_words(&call, &evidence->regs, &wait->detail);
	}
	find_object(is_layout_known ? wait->wait_class : LM_WAIT_FUTEX_OTHER, &call, &evidence->regs, wait);
}

/* The system calls of 6.7, and futex_waitv: only functions tell what they are for; no libc uses them yet. */
static void classify_new_futex(
	const struct lm_wait_evidence *evidence, const struct lm_call *call, struct lm_wait *wait)
{
	const struct lm_futex_function *function = find_futex_function(evidence);

	wait->wait_class = function                   ? function->wait_class
			   : evidence->in_join_target ? LM_WAIT_FUTEX_JOIN
						      : LM_WAIT_FUTEX_OTHER;
	wait->detail = function ? function->detail : call->name;
	wait->has_object = evidence->regs.nr == NR_FUTEX_WAIT;
	wait->object = wait->has_object ? evidence->regs.di : 0;
}

static bool is_futex_class(enum lm_wait_class wait_class)
{
	return wait_class <= LM_WAIT_FUTEX_OTHER;
}

/* The function of libc that the program called: the outermost of the wait functions that the stack begins with. It is
 * what the source says (nanosleep), where the system call may have another name (clock_nanosleep). */
static const char *called_function(const struct lm_wait_evidence *evidence)
{
	const char *public_name = NULL;

	for (size_t i = 0; i < evidence->user_len; i++) {
		const char *function = evidence->user[i];
		const char *name = function ? lm_wait_public_name(function) : NULL;

		/* libc's own functions have no names where it is stripped */
		if (function && !name && !lm_wait_is_wait_function(function))
			break;
		public_name = name ? name : public_name;
	}
	return public_name;
}

static void classify_call(const struct lm_wait_evidence *evidence, const struct lm_call *call,
	const struct lm_kernel_function *kernel, struct lm_wait *wait)
{
	const char *called = called_function(evidence);

	wait->detail = called ? called : call->name;
	wait->wait_class = call->wait_class;
	if (call->by_file && kernel)
		wait->wait_class = kernel->wait_class;
	else if (call->by_file && !evidence->kernel_len)
		wait->wait_class = LM_WAIT_OTHER;
	if (call->has_fd) {
		wait->has_object = wait->object_is_fd = true;
		wait->object = (uint32_t)evidence->regs.di;
	}
}

/* restart_syscall goes on with a sleep, a futex wait or a poll that a signal without a handler interrupted. All but
 * sleeps leave functions on the kernel stack: hrtimer_nanosleep_restart ends in a jump. */
static void classify_restart(
	const struct lm_wait_evidence *evidence, const struct lm_kernel_function *kernel, struct lm_wait *wait)
{
	const char *called = called_function(evidence);

	if (kernel && is_futex_class(kernel->wait_class)) {
		classify_futex(evidence, wait);
		return;
	}
	wait->wait_class = kernel ? kernel->wait_class : evidence->kernel_len ? LM_WAIT_SLEEP : LM_WAIT_OTHER;
	wait->detail = called                 ? called
		       : kernel               ? kernel->detail
		       : evidence->kernel_len ? "nanosleep"
					      : "restart_syscall";
}

/* In state D only some waits are for something else than a disk. */
static bool is_no_disk(const struct lm_kernel_function *kernel)
{
	return kernel && kernel->wait_class != LM_WAIT_FILE && kernel->wait_class != LM_WAIT_DISK &&
	       kernel->wait_class != LM_WAIT_OTHER;
}

static void classify_disk(const struct lm_wait_evidence *evidence, const struct lm_call *call, struct lm_wait *wait)
{
	wait->wait_class = LM_WAIT_DISK;
	if (call)
		classify_call(evidence, call, NULL, wait);
	else if (evidence->have_regs && evidence->regs.nr < 0)
		wait->detail = "page fault";
	wait->wait_class = LM_WAIT_DISK;
}

static bool is_stopped(uint32_t state)
{
	return state & (LM_STATE_STOPPED | LM_STATE_TRACED);
}

/* Kernel threads that idle have more bits set. */
static bool is_uninterruptible(uint32_t state)
{
	return (state & LM_STATE_IDLE) == LM_STATE_UNINTERRUPTIBLE;
}

void lm_wait_classify(const struct lm_wait_evidence *evidence, struct lm_wait *wait)
{
	const struct lm_kernel_function *kernel = lm_wait_kernel_function(evidence->kernel, evidence->kernel_len);
	const struct lm_call *call = evidence->have_regs ? lm_wait_call(evidence->regs.nr) : NULL;

	*wait = (struct lm_wait){.wait_class = LM_WAIT_OTHER};
	if (is_stopped(evidence->state)) {
		wait->wait_class = LM_WAIT_STOPPED;
		wait->detail = kernel && kernel->wait_class == LM_WAIT_STOPPED ? kernel->detail : NULL;
	} else if (kernel && kernel->whatever_call) {
		wait->wait_class = kernel->wait_class;
		wait->detail = kernel->detail;
	} else if (is_uninterruptible(evidence->state) && !is_no_disk(kernel)) {
		classify_disk(evidence, call, wait);
	} else if (evidence->have_regs && evidence->regs.nr == NR_FUTEX) {
		classify_futex(evidence, wait);
	} else if (evidence->have_regs && evidence->regs.nr == NR_RESTART) {
		classify_restart(evidence, kernel, wait);
	} else if (call && is_futex_class(call->wait_class)) {
		classify_new_futex(evidence, call, wait);
	} else if (call) {
		classify_call(evidence, call, kernel, wait);
	} else if (kernel) {
		wait->wait_class = kernel->wait_class;
		wait->detail = kernel->detail;
	}
}
