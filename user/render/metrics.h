/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CONTRACT.md's metrics, as Prometheus (text 0.0.4) and OpenMetrics (1.0.0) read
 * them. The same snapshot and counters give the same bytes.
 */
#ifndef LM_RENDER_METRICS_H
#define LM_RENDER_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include "user/snapshot.h"

#define LM_METRICS_SCAN_BOUNDS 12
#define LM_METRICS_MAX_SERIES 500 /* the default of --metrics-max-series */

enum lm_metrics_format { LM_METRICS_PROMETHEUS, LM_METRICS_OPENMETRICS };

/* The value of Content-Type. */
const char *lm_metrics_content_type(enum lm_metrics_format format);

/* What the daemon knows of itself. Begins as zeros; since the start unless it says otherwise. Of single numbers -1, and
 * NAN, are not known, and then not shown. */
struct lm_metrics_self {
	uint64_t scans;
	double scan_sum_s;
	uint64_t scan_counts[LM_METRICS_SCAN_BOUNDS + 1]; /* by the first bound that a scan kept, see lm_metrics_scan */
	struct lm_snapshot_losses losses;
	uint64_t series_suppressed; /* lines that were left out, of all answers: lm_render_metrics adds to it */
	double cpu_s;               /* of the process, user and system */
	double start_time_s;        /* since the epoch */
	int64_t rss_bytes, virtual_bytes;
	int64_t open_fds, max_fds;
};

/* Counts a scan that took so long. */
void lm_metrics_scan(struct lm_metrics_self *self, double scan_s);

/*
 * Writes at most max_series series (0 = none but the count of those left out), the
 * most important first. 0 or -errno (of the stream, or -ENOMEM).
 *
 * Processes are told apart by comm; where there are more than 20, the rest are
 * "other". Reasons are wait classes; of goroutines also "not_blocked": those of the
 * process that wait nowhere, or too shortly to be counted. A histogram is written
 * whole or not at all. Label values have at most 128 bytes.
 */
int lm_render_metrics(FILE *stream, const struct lm_snapshot *snapshot, struct lm_metrics_self *self,
	enum lm_metrics_format format, size_t max_series);

#endif
