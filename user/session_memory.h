/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What groups and processes are to know again after a restart, between the monitor and the history. */
#ifndef LM_SESSION_MEMORY_H
#define LM_SESSION_MEMORY_H

#include "user/history.h"
#include "user/monitor.h"

struct lm_session_memory {
	struct lm_monitor *monitor;
	struct lm_history *history; /* NULL: nothing is known */
};

/* From now on new groups begin with what the history knows of them. memory must live as long as the monitor. */
void lm_session_recall(struct lm_session_memory *memory);

/* Writes of all groups, and of processes of which something is suspected, what has changed since it was last written,
 * in the transaction under way. 0, or -errno of the first that failed. */
int lm_session_remember(struct lm_monitor *monitor, struct lm_history *history);

/* That transaction has ended. If it was undone, all is written again the next time. */
void lm_session_remembered(struct lm_monitor *monitor, bool is_kept);

#endif
