/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the running kernel can do for the probe, asked of the kernel itself. Uses libbpf; part of the probe. */
#ifndef LM_KERNEL_H
#define LM_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

/* The system calls whose completion the futex programs see, in this order. */
enum lm_futex_call { LM_FUTEX_FUTEX, LM_FUTEX_WAITV, LM_FUTEX_WAKE, LM_FUTEX_WAIT, LM_FUTEX_REQUEUE, LM_FUTEX_CALLS };

/* NULL, or the feature without which leakmon cannot run, and what brings it. Static text. */
const char *lm_kernel_missing_feature(void);

/* Does sched_switch pass the state that prev goes off with (5.18)? */
bool lm_kernel_switch_has_prev_state(void);

/* Can fexit programs be loaded and attached here? Loads and attaches an empty one to find out; why gets the reason. */
bool lm_kernel_has_fexit(char *why, size_t why_size);

bool lm_kernel_has_futex_call(enum lm_futex_call call);

/* A perf event of the tracepoint at the end of this system call, for a program to be attached to; also where tracefs
 * is not mounted. A descriptor, or -errno. */
int lm_kernel_open_futex_tracepoint(enum lm_futex_call call);

#endif
