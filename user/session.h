/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watch: the probe, the monitor and the resolver put together. One look at a
 * time, one report when asked.
 */
#ifndef LM_SESSION_H
#define LM_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "user/history.h"
#include "user/opts.h"
#include "user/snapshot.h"

struct lm_session;

/* Loads and attaches everything. family: a process of ours to watch with all that it starts, in place of those that the
 * config names; 0 = none. 0, or an exit code of the contract (2, 77) after one message on stderr. */
int lm_session_open(const struct lm_config *config, pid_t family, struct lm_session **session);
/* Detaches everything. NULL is fine. */
void lm_session_close(struct lm_session *session);

/* What was known before a restart is taken from there: before the first look. */
void lm_session_set_history(struct lm_session *session, struct lm_history *history);
/* Writes what is to be known after a restart, in the transaction under way. 0 or -errno. */
int lm_session_save(struct lm_session *session, struct lm_history *history);
/* That transaction has ended; if it was undone, all is written again the next time. */
void lm_session_saved(struct lm_session *session, bool is_kept);

/* Takes one look, with the stacks of threads that came to block. 0 or -errno. */
int lm_session_look(struct lm_session *session);

/* The report of now; final: every verdict is reached anew. To be freed with lm_snapshot_free. 0 or -errno. */
int lm_session_report(struct lm_session *session, bool final, struct lm_snapshot *snapshot);

/* Readable when events wait: then lm_session_drain. */
int lm_session_fd(const struct lm_session *session);
void lm_session_drain(struct lm_session *session);

/* How long the scan of the last look took, in seconds. */
double lm_session_scan_s(const struct lm_session *session);

/* Does with less memory from now on: fewer files and lines are named. */
void lm_session_save_memory(struct lm_session *session);

/* Is this process one of leakmon's own, its resolver? */
bool lm_session_owns(const struct lm_session *session, pid_t pid);

/* True when processes were named with -p and none of them is left. */
bool lm_session_all_ended(const struct lm_session *session);

#endif
