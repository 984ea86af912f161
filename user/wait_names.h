/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables behind waits.c: functions of user space and of the kernel, and system calls, that wait. */
#ifndef LM_WAIT_NAMES_H
#define LM_WAIT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/snapshot.h"

/* A function of user space that waits on a futex. */
struct lm_futex_function {
	const char *pattern; /* see matches() */
	enum lm_wait_class wait_class;
	const char *detail;       /* what the program called */
	const char *detail_timed; /* the same if the futex call has a timeout; NULL: the same */
	bool is_libc;             /* of pthreads: detail is a function that programs call */
};

/* A kernel function on the stack that tells what is waited for. */
struct lm_kernel_function {
	const char *pattern;
	enum lm_wait_class wait_class;
	const char *detail; /* where neither the system call nor the function of libc is known */
	bool whatever_call; /* says more than the system call does */
};

/* A system call that can block (x86-64). */
struct lm_call {
	int nr;
	const char *name;
	enum lm_wait_class wait_class;
	bool by_file; /* the kind of the file decides; wait_class is for kinds that have no name */
	bool has_fd;  /* the first argument is a descriptor */
};

/* The row of a function; NULL if there is none. */
const struct lm_futex_function *lm_wait_futex_function(const char *function);

/* The row that says most about a kernel stack; NULL if there is none. Entries may be NULL. */
const struct lm_kernel_function *lm_wait_kernel_function(const char *const *functions, size_t len);

/* The row of a system call; NULL if it is none that blocks. */
const struct lm_call *lm_wait_call(int64_t nr);

/* A wait function of libc as programs call it ("__GI___libc_read" → "read"), static text; NULL for others. */
const char *lm_wait_public_name(const char *function);

#endif
