/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much of what bounds its threads a process has used. */
#ifndef LM_LIMITS_H
#define LM_LIMITS_H

#include <sys/types.h>

#include "user/exhaustion.h"

/* Reads what bounds the process: its control groups up to the root (v2, and v1's pids and memory), the kernel's own
 * limits, its memory map. proc_root: "/proc", cgroup_root: "/sys/fs/cgroup". What cannot be read is left unknown. 0 or
 * -ESRCH. */
int lm_limits_read(const char *proc_root, const char *cgroup_root, pid_t pid, struct lm_limits *limits);

#endif
