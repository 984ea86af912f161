/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables behind waits.c: names of functions and system calls that wait. */
#ifndef LM_WAIT_NAMES_H
#define LM_WAIT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "user/snapshot.h"

#define LM_WAIT_NAMES_DEPTH 8 /* frames from the innermost in which a wait function is looked for */

/* A function of user space that waits. */
struct lm_user_wait {
	const char *name; /* without leading underscores; a trailing * stands for any ending */
	enum lm_wait_class wait_class;
	const char *detail;
};

/* A kernel function on the stack that tells what is waited for. */
struct lm_kernel_wait {
	const char *function; /* NULL ends the table */
	enum lm_wait_class wait_class;
	const char *detail;
	bool also_uninterruptible; /* says so in state D too, where it is no disk */
};

/* A system call that can block (x86-64). */
struct lm_call_wait {
	int64_t nr;
	const char *name;
	enum lm_wait_class wait_class;
	bool by_file; /* the kind of the file decides, wait_class is for when that is not known */
	bool has_fd;  /* the first argument is a descriptor */
};

extern const struct lm_kernel_wait lm_kernel_waits[];

/* The name of libc's wait functions as programs call them (__GI___libc_read: "read"), static text; NULL for others. */
const char *lm_wait_public_name(const char *function);

/* NULL if there is none. */
const struct lm_user_wait *lm_wait_find_name(const char *function);
const struct lm_call_wait *lm_wait_find_call(int64_t nr);

#endif
