/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon's files share: daemon.c (life and loop), daemon_report.c (what a report goes to), daemon_self.c (what
 * it knows of itself), daemon_settings.c (its configuration). */
#ifndef LM_DAEMON_STATE_H
#define LM_DAEMON_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "user/api.h"
#include "user/budget.h"
#include "user/changes.h"
#include "user/history.h"
#include "user/http.h"
#include "user/opts.h"
#include "user/session.h"
#include "user/snapshot.h"

#define LM_DAEMON_GIVEN_UP 4

struct lm_daemon {
	struct lm_config *config;
	int argc;
	char **argv;
	struct lm_session *session;
	struct lm_history *history; /* NULL: it could not be opened */
	char history_why[256];      /* why not, "" if it is there */
	uint64_t history_tried_ns;  /* when opening it was last tried */
	bool history_failing;       /* that was said */
	uint64_t saved_ns;          /* when what a restart is to know was last written */
	struct lm_http *http;
	struct lm_changes *changes;
	struct lm_metrics_self self;
	struct lm_api_source source; /* what HTTP sees of all this */
	struct lm_snapshot last;     /* arena NULL: none yet */
	struct lm_budget budget;
	uint64_t look_ns;   /* between looks, as they are now */
	uint64_t report_ns; /* when the last report was made, 0 = never */
	bool output_failing;
	char *rest; /* of a report that the reader of standard output has not taken yet; NULL: none */
	size_t rest_len, rest_at;
	bool ending;
	int code;
};

/* --- daemon_report.c --- */

/* Opens the history if it is not open and has not just been tried. */
void lm_daemon_open_history(struct lm_daemon *daemon, uint64_t now_ns);
/* Makes a report and hands it to all who want it. Nothing that fails there ends the daemon. */
void lm_daemon_report(struct lm_daemon *daemon, uint64_t now_ns);
/* Writes what a restart is to know, whatever is due. */
void lm_daemon_save(struct lm_daemon *daemon, uint64_t now_ns);
/* Drops what the reader of standard output has not taken. */
void lm_daemon_drop_rest(struct lm_daemon *daemon);
/* The last report, line by line, in the log. */
void lm_daemon_log_report(const struct lm_daemon *daemon);

/* --- daemon_self.c --- */

/* Descriptors, memory and time of the process, for the metrics. */
void lm_daemon_measure_self(struct lm_metrics_self *self);
/* What is given up at this time, for the report: texts of its arena. */
void lm_daemon_tell_given_up(const struct lm_daemon *daemon, struct lm_snapshot *snapshot);
/* Keeps within the limits, by the report's own figures. Returns true if looks are to be further apart or closer now. */
bool lm_daemon_keep_limits(struct lm_daemon *daemon, uint64_t now_ns);

/* --- daemon_settings.c --- */

/* Reads the configuration again; what cannot change while it runs is named. */
void lm_daemon_reload(struct lm_daemon *daemon);
/* Only checks it, and says so on stdout. Returns the exit code. */
int lm_daemon_check_config(const struct lm_config *config);

#endif
