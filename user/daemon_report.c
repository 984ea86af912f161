// SPDX-License-Identifier: GPL-2.0-or-later
/* What a report goes to: the log, the history, whoever listens over HTTP, a file. Each may fail without the others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/daemon_state.h"
#include "user/formats.h"
#include "user/log.h"
#include "user/output.h"
#include "user/proc.h"

#define NS_PER_S 1000000000ull
#define HISTORY_RETRY_NS (60 * NS_PER_S)
#define SAVES_PER_HORIZON 30
#define THIN_BUDGET_NS 5000000ull
#define LOGGED_MAX 20          /* changes that one report may log: the rest is in the history */
#define OUTPUT_PATIENCE_MS 200 /* with a reader that is slow: everything else waits meanwhile */
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

static void read_boot_id(char boot_id[40])
{
	FILE *file = fopen(BOOT_ID_FILE, "re");

	boot_id[0] = 0;
	if (!file)
		return;
	if (fgets(boot_id, 40, file))
		boot_id[strcspn(boot_id, "\n")] = 0;
	fclose(file);
}

static void remember_finding(const struct lm_change *change, void *context)
{
	if (lm_changes_remember(context, change))
		lm_warning("out of memory: a finding of before the restart will be told again");
}

void lm_daemon_open_history(struct lm_daemon *daemon, uint64_t now_ns)
{
	char boot_id[40], why[256] = "";
	const struct lm_history_config config = {
		.directory = daemon->config->state_dir,
		.retention_ns = daemon->config->retention_ns,
		.max_bytes = LM_HISTORY_MAX_BYTES,
		.boot_id = boot_id,
	};
	int error;

	if (daemon->history || (daemon->history_tried_ns && now_ns - daemon->history_tried_ns < HISTORY_RETRY_NS))
		return;
	daemon->history_tried_ns = now_ns;
	read_boot_id(boot_id);
	error = lm_history_open(&config, &daemon->history, why);
	if (error && strcmp(why, daemon->history_why) != 0)
		lm_error("there is no history, and leakmon watches without it: %s", why);
	else if (!error && why[0])
		lm_warning("%s", why);
	else if (!error && daemon->history_why[0])
		lm_notice("the history is there again");
	snprintf(daemon->history_why, sizeof(daemon->history_why), "%s", error ? why : "");
	if (error)
		return;
	if (lm_history_open_findings(daemon->history, remember_finding, daemon->changes))
		lm_warning("the findings of before the restart could not be read: they will be told again");
	lm_session_set_history(daemon->session, daemon->history);
}

static void log_change(const struct lm_change *change)
{
	enum lm_log_level level = LM_LOG_NOTICE;

	if (change->level >= LM_LEVEL_LIKELY && change->kind <= LM_CHANGE_LEVEL)
		level = LM_LOG_WARNING;
	lm_log(level, "%s: %s %s in %s[%u], site %016jx, finding %s: %s", lm_change_name(change->kind),
		lm_level_name(change->level), lm_finding_type_name(change->type), change->comm ? change->comm : "?",
		change->pid, (uintmax_t)change->site, change->id, change->summary ? change->summary : "");
}

struct hand_over {
	struct lm_daemon *daemon;
	int history_error; /* of the transaction under way; 1: there is none */
	size_t changes;
};

static void take_change(const struct lm_change *change, void *context)
{
	struct hand_over *over = context;

	if (++over->changes <= LOGGED_MAX)
		log_change(change);
	if (over->daemon->http)
		lm_http_tell(over->daemon->http, change);
	if (!over->history_error)
		over->history_error = lm_history_put_change(over->daemon->history, change);
	if (over->daemon->config->fail_on != LM_LEVEL_NONE && change->level >= over->daemon->config->fail_on &&
		over->daemon->code == 0)
		over->daemon->code = 1;
}

/* Says that the history fails, and that it works again, once each. */
static void note_history(struct lm_daemon *daemon, int error)
{
	const char *trouble = lm_history_trouble(daemon->history);

	if (error && !daemon->history_failing)
		lm_error("the history could not be written, and leakmon watches on: %s",
			trouble ? trouble : strerror(-error));
	else if (!error && daemon->history_failing)
		lm_notice("the history is written again");
	daemon->history_failing = error != 0;
}

static int finish_transaction(struct lm_daemon *daemon, int error)
{
	if (!error)
		error = lm_history_end(daemon->history);
	if (error)
		lm_history_abandon(daemon->history);
	note_history(daemon, error);
	return error;
}

/* The changes and the history, in one transaction. */
static void hand_over_changes(struct lm_daemon *daemon, uint64_t now_ns)
{
	uint64_t save_every_ns = daemon->config->horizon_ns / SAVES_PER_HORIZON;
	struct hand_over over = {.daemon = daemon, .history_error = 1};
	bool saves;

	if (daemon->history)
		over.history_error = lm_history_begin(daemon->history, daemon->last.time_ns);
	if (lm_changes_take(daemon->changes, &daemon->last, take_change, &over))
		lm_warning("out of memory: what has changed is told with the next report");
	if (over.changes > LOGGED_MAX)
		lm_notice("… and %zu more findings have changed: see /api/v1/findings", over.changes - LOGGED_MAX);
	if (!daemon->history)
		return;
	if (!over.history_error)
		over.history_error = lm_history_put_snapshot(daemon->history, &daemon->last);
	saves = !over.history_error && now_ns - daemon->saved_ns >= save_every_ns;
	if (saves) {
		over.history_error = lm_session_save(daemon->session, daemon->history);
		daemon->saved_ns = now_ns;
	}
	over.history_error = finish_transaction(daemon, over.history_error);
	if (saves)
		lm_session_saved(daemon->session, !over.history_error);
	if (!over.history_error)
		lm_history_thin(daemon->history, daemon->last.time_ns, THIN_BUDGET_NS);
}

void lm_daemon_save(struct lm_daemon *daemon, uint64_t now_ns)
{
	int error;

	if (!daemon->history || !daemon->last.arena)
		return;
	error = lm_history_begin(daemon->history, daemon->last.time_ns);
	if (!error)
		error = lm_session_save(daemon->session, daemon->history);
	daemon->saved_ns = now_ns;
	error = finish_transaction(daemon, error);
	lm_session_saved(daemon->session, !error);
}

static int render(const struct lm_daemon *daemon, int fd, char **text, size_t *len)
{
	enum lm_format format = daemon->config->format;
	const struct lm_render_options options = lm_formats_options(daemon->config, format, fd);

	return lm_formats_render(format, &daemon->last, &options, text, len);
}

static int write_file(struct lm_daemon *daemon)
{
	struct lm_output output;
	size_t len = 0;
	char *text;
	int error = lm_output_open(daemon->config->output, -1, OUTPUT_PATIENCE_MS, &output);

	if (error)
		return error;
	error = render(daemon, output.fd, &text, &len);
	if (!error) {
		error = lm_output_write(&output, text, len, NULL);
		free(text);
	}
	if (error)
		lm_output_abandon(&output);
	else
		error = lm_output_finish(&output);
	return error;
}

void lm_daemon_drop_rest(struct lm_daemon *daemon)
{
	free(daemon->rest);
	daemon->rest = NULL;
	daemon->rest_at = daemon->rest_len = 0;
}

/* Goes on with the report that is under way. -EAGAIN: its reader has not taken all of it. */
static int write_rest(struct lm_daemon *daemon)
{
	struct lm_output output;
	size_t written = 0;
	int error = lm_output_open(NULL, -1, OUTPUT_PATIENCE_MS, &output);

	if (!error)
		error = lm_output_write(
			&output, daemon->rest + daemon->rest_at, daemon->rest_len - daemon->rest_at, &written);
	lm_output_abandon(&output);
	daemon->rest_at += written;
	if (error != -EAGAIN)
		lm_daemon_drop_rest(daemon);
	return error;
}

/* No report begins in the middle of another: while a reader is late with one, those that follow are left out. */
static int write_standard(struct lm_daemon *daemon)
{
	int error = daemon->rest ? write_rest(daemon) : 0;
	size_t len = 0;
	char *text;

	if (!error)
		error = render(daemon, STDOUT_FILENO, &text, &len);
	if (error)
		return error;
	daemon->rest = text;
	daemon->rest_len = len;
	error = write_rest(daemon);
	return error == -EAGAIN ? 0 : error;
}

/* To standard output, or as the new content of a file; only where that was asked for. */
static void write_output(struct lm_daemon *daemon)
{
	const struct lm_config *config = daemon->config;
	int error;

	if (!config->writes_reports)
		return;
	error = config->output ? write_file(daemon) : write_standard(daemon);
	if (error && !daemon->output_failing)
		lm_error("the report could not be written to %s, and leakmon watches on: %s",
			config->output ? config->output : "standard output", lm_output_reason(error));
	else if (!error && daemon->output_failing)
		lm_notice("reports are written again");
	daemon->output_failing = error != 0;
}

void lm_daemon_log_report(const struct lm_daemon *daemon)
{
	struct lm_render_options options = lm_formats_options(daemon->config, LM_FORMAT_TEXT, -1);
	size_t len = 0;
	char *text, *rest, *line;
	int error = -EAGAIN;

	options.color = false;
	if (daemon->last.arena)
		error = lm_formats_render(LM_FORMAT_TEXT, &daemon->last, &options, &text, &len);

	if (error) {
		lm_warning("there is no report to log: %s", error == -EAGAIN ? "none was made yet" : strerror(-error));
		return;
	}
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			lm_notice("%s", line);
	}
	free(text);
}

static void publish(struct lm_daemon *daemon)
{
	daemon->source.snapshot = &daemon->last;
	daemon->source.generation++;
	daemon->source.history = daemon->history;
	daemon->source.history_why = daemon->history ? NULL : daemon->history_why;
	daemon->self.losses = daemon->last.losses;
	lm_daemon_measure_self(&daemon->self);
	if (daemon->http)
		lm_http_new_snapshot(daemon->http);
}

void lm_daemon_report(struct lm_daemon *daemon, uint64_t now_ns)
{
	struct lm_snapshot snapshot;
	int error;

	lm_daemon_open_history(daemon, now_ns);
	error = lm_session_report(daemon->session, false, &snapshot);
	if (error) {
		lm_error("a report could not be made: %s; the next one is tried", strerror(-error));
		return;
	}
	lm_daemon_tell_given_up(daemon, &snapshot);
	daemon->source.snapshot = NULL;
	lm_snapshot_free(&daemon->last);
	daemon->last = snapshot;
	daemon->report_ns = now_ns;
	hand_over_changes(daemon, now_ns);
	publish(daemon);
	write_output(daemon);
}
