/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which groups of waiting threads are one thread a connection, and whether the peers are still there. */
#ifndef LM_SESSION_SOCKETS_H
#define LM_SESSION_SOCKETS_H

#include "user/monitor.h"

/* Sets the guards of groups that are due to be judged and may be connections. proc_root: "/proc". */
void lm_session_read_sockets(struct lm_monitor *monitor, const char *proc_root);

#endif
