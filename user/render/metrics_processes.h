/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many threads and goroutines are blocked, by process and reason. */
#ifndef LM_RENDER_METRICS_PROCESSES_H
#define LM_RENDER_METRICS_PROCESSES_H

#include "user/render/metrics_text.h"

/* Writes leakmon_blocked_threads and leakmon_goroutines. 0 or -ENOMEM; the arena is the caller's. */
int lm_metrics_processes(struct lm_metrics_writer *writer, const struct lm_snapshot *snapshot, struct lm_arena *arena);

/* What a process is called in labels; "unknown" where it has no name. */
void lm_metrics_process_name(const char *comm, char name[LM_METRICS_VALUE_BYTES]);

#endif
