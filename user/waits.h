/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a blocked thread waits on, from its saved registers, its kernel stack and
 * the functions it was called through. Pure.
 */
#ifndef LM_WAITS_H
#define LM_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leakmon_abi.h"
#include "user/snapshot.h"

struct lm_wait_evidence {
	uint32_t state;      /* enum lm_task_state */
	bool have_regs;      /* regs are those of a 64-bit thread */
	bool in_join_target; /* the futex word lies in the TCB of another thread of the process */
	bool nameless_libc;  /* the stack begins in libc, with functions that have no names */
	struct lm_regs regs;
	const char *const *kernel; /* kernel functions, innermost first; entries may be NULL */
	size_t kernel_len;
	const char *const *user; /* user functions, innermost first; entries may be NULL */
	size_t user_len;
};

struct lm_wait {
	enum lm_wait_class wait_class;
	bool has_object, object_is_fd;
	uint64_t object;    /* address of the lock, condition … (its base, not the futex word), or descriptor */
	const char *detail; /* static text: the function or system call, NULL if not known */
};

void lm_wait_classify(const struct lm_wait_evidence *evidence, struct lm_wait *wait);

/* True if a module of this name is the C library or a part of it. */
bool lm_wait_is_libc(const char *module);

/* True if a user function of this name only waits, on behalf of its caller (libc's and the runtimes' wait
 * functions: pthread_cond_wait, __futex_abstimed_wait_common, read, std::thread::park …). */
bool lm_wait_is_wait_function(const char *function);

/* True if a stack with this user function is that of a pool's idle worker
 * (ThreadPoolExecutor.getTask, concurrent.futures' _worker …). */
bool lm_wait_is_idle_worker(const char *function);

#endif
