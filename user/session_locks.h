/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads who holds the locks that threads wait for, out of the memory of their processes. */
#ifndef LM_SESSION_LOCKS_H
#define LM_SESSION_LOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "user/monitor.h"

/* Reads each lock once, whoever waits for it. Returns true if there was any: then a look must follow, which tells whose
 * read counts (monitor.h). */
bool lm_session_read_locks(struct lm_monitor *monitor, uint64_t now_ns);

#endif
