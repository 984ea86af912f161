/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor's state as a snapshot: sites worst first, findings with their sentences. Pure. */
#ifndef LM_REPORT_H
#define LM_REPORT_H

#include <stdint.h>

#include "user/monitor.h"
#include "user/snapshot.h"

/*
 * Fills a zeroed snapshot with what the monitor knows at now_ns (CLOCK_BOOTTIME); wall_offset_ns added to a boot
 * time gives wall-clock time. The caller adds host, version, losses of its own and self. Takes the monitor's notes.
 * 0 or -ENOMEM; lm_snapshot_free in both cases.
 */
int lm_report_build(struct lm_monitor *monitor, uint64_t now_ns, int64_t wall_offset_ns, struct lm_snapshot *snapshot);

#endif
