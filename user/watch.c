// SPDX-License-Identifier: GPL-2.0-or-later
/* One thread, one epoll: a timer for looks, signals, the probe's events, keys. Each look that is due for it is followed
 * by a report. */
#include "user/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "user/live.h"
#include "user/log.h"
#include "user/loop.h"
#include "user/output.h"
#include "user/render/render.h"
#include "user/session.h"

#define NS_PER_S 1000000000ull
#define LOOK_MAX_NS                                                                                                    \
	NS_PER_S /* reports may be rarer than this, looks are not: arrivals between them would be missed               \
		  */
#define DEFAULT_TOP_TEXT 20
#define EXIT_USAGE 64

enum source { SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_EVENTS, SOURCE_KEYS };

struct watch {
	const struct lm_config *config;
	struct lm_session *session;
	struct lm_output output;
	struct lm_live live;
	bool is_live;
	int epoll_fd, timer_fd, signal_fd;
	struct lm_snapshot last; /* arena NULL: none yet */
	uint64_t looks, looks_per_report, reports;
	bool ending;
	int code;
};

static lm_renderer *const renderers[] = {
	[LM_FORMAT_TEXT] = lm_render_text,
	[LM_FORMAT_JSON] = lm_render_json,
	[LM_FORMAT_COLLAPSED] = lm_render_collapsed,
	[LM_FORMAT_PPROF] = lm_render_pprof,
	[LM_FORMAT_SPEEDSCOPE] = lm_render_speedscope,
};

/* Reports that are a file each cannot follow each other in one. */
static bool is_one_report_a_file(enum lm_format format)
{
	return format == LM_FORMAT_PPROF || format == LM_FORMAT_SPEEDSCOPE;
}

static struct lm_render_options render_options(const struct watch *watch)
{
	const struct lm_config *config = watch->config;
	struct lm_render_options options = {
		.top = config->top >= 0                   ? config->top
		       : config->format == LM_FORMAT_TEXT ? DEFAULT_TOP_TEXT
							  : 0,
		.members = config->members,
		.min_level = config->min_level,
	};

	if (config->format != LM_FORMAT_TEXT)
		return options;
	options.color = config->color == LM_COLOR_ALWAYS ||
			(config->color == LM_COLOR_AUTO && isatty(watch->output.fd) && !getenv("NO_COLOR"));
	return options;
}

/* A report is rendered whole before any of it is written. */
static int write_report(struct watch *watch)
{
	struct lm_render_options options = render_options(watch);
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int error;

	if (!memory)
		return -errno;
	if (watch->is_live) {
		lm_live_size(&watch->live, &options.columns, &options.rows);
		options.hint = watch->live.keys ? "q quits" : "Ctrl-C quits";
	}
	error = renderers[watch->config->format](memory, &watch->last, &options);
	if (fclose(memory) && !error)
		error = -ENOMEM;
	if (!error && watch->is_live)
		error = lm_live_draw(&watch->live, text);
	else if (!error)
		error = lm_output_write(&watch->output, text, len);
	free(text);
	return error;
}

/* Words about an output that failed; a reader that has gone is no failure. Ends the watch. */
static void end_for_output(struct watch *watch, int error)
{
	watch->ending = true;
	if (error == -EPIPE && !watch->config->output)
		return;
	watch->code = 2;
	lm_error("the report could not be written to %s: %s%s",
		watch->config->output ? watch->config->output : "standard output", strerror(-error),
		error == -ENOSPC ? "; free some space, or name another place with -o" : "");
}

static void note_findings(struct watch *watch)
{
	enum lm_level fail_on = watch->config->fail_on;

	for (size_t i = 0; i < watch->last.findings_len && fail_on != LM_LEVEL_NONE; i++) {
		if (watch->last.findings[i].level >= fail_on && watch->code == 0)
			watch->code = 1;
	}
}

static void report(struct watch *watch, bool final)
{
	struct lm_snapshot snapshot;
	int error = lm_session_report(watch->session, final, &snapshot);

	if (error) {
		lm_error("a report could not be made: %s", strerror(-error));
		watch->code = 2;
		watch->ending = true;
		return;
	}
	lm_snapshot_free(&watch->last);
	watch->last = snapshot;
	watch->reports++;
	note_findings(watch);
	if (is_one_report_a_file(watch->config->format) && !watch->ending)
		return;
	error = write_report(watch);
	if (error)
		end_for_output(watch, error);
}

static bool is_last_report(const struct watch *watch)
{
	if (watch->config->mode == LM_MODE_SNAPSHOT)
		return true;
	return watch->config->count && watch->reports + 1 >= watch->config->count;
}

/* One look, and the report that is due after it. */
static void look(struct watch *watch)
{
	bool all_ended = lm_session_all_ended(watch->session);

	/* a look that fails says so itself, is counted, and is repeated */
	lm_session_look(watch->session);
	if (watch->looks++ % watch->looks_per_report && !all_ended)
		return;
	watch->ending = is_last_report(watch);
	if (all_ended && !watch->ending) {
		lm_warning("all watched processes have ended");
		watch->ending = true;
	}
	/* the last report of a live view is written after it, see finish */
	if (!watch->is_live || !watch->ending)
		report(watch, watch->ending);
}

static void take_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGWINCH) {
		watch->ending = true;
		lm_session_look(watch->session);
		if (!watch->is_live)
			report(watch, true);
	} else if (watch->is_live && watch->last.arena) {
		write_report(watch);
	}
}

static void take_event(struct watch *watch, enum source source)
{
	uint64_t expirations;

	switch (source) {
	case SOURCE_TIMER:
		/* looks that were missed meanwhile are not made up for */
		if (read(watch->timer_fd, &expirations, sizeof(expirations)) == sizeof(expirations))
			look(watch);
		break;
	case SOURCE_SIGNAL:
		take_signal(watch);
		break;
	case SOURCE_EVENTS:
		lm_session_drain(watch->session);
		break;
	default:
		if (lm_live_quit_pressed())
			watch->ending = true;
	}
}

static int add_sources(struct watch *watch, const sigset_t *signals)
{
	int error = lm_loop_open(&watch->epoll_fd);

	if (!error)
		error = lm_loop_add_timer(watch->epoll_fd, SOURCE_TIMER, &watch->timer_fd);
	if (!error)
		error = lm_loop_set_timer(watch->timer_fd, watch->config->interval_ns / watch->looks_per_report);
	if (!error)
		error = lm_loop_add_signals(watch->epoll_fd, SOURCE_SIGNAL, signals, &watch->signal_fd);
	if (!error)
		error = lm_loop_add(watch->epoll_fd, SOURCE_EVENTS, lm_session_fd(watch->session));
	if (!error && watch->is_live && watch->live.keys)
		error = lm_loop_add(watch->epoll_fd, SOURCE_KEYS, STDIN_FILENO);
	return error;
}

static void close_sources(struct watch *watch)
{
	lm_loop_close(watch->timer_fd);
	lm_loop_close(watch->signal_fd);
	lm_loop_close(watch->epoll_fd);
}

static void run_loop(struct watch *watch, const sigset_t *signals)
{
	int error = add_sources(watch, signals);

	if (error) {
		lm_error("the event loop could not be set up: %s", strerror(-error));
		watch->code = 2;
		watch->ending = true;
	}
	if (!watch->ending)
		look(watch);
	while (!watch->ending) {
		struct epoll_event event;
		int ready = epoll_wait(watch->epoll_fd, &event, 1, -1);

		if (ready == 1)
			take_event(watch, event.data.u32);
		else if (ready < 0 && errno != EINTR)
			watch->ending = true;
	}
	close_sources(watch);
}

/* The signals that end a watch or resize its window arrive in the loop; blocked before the resolver is started, so
 * that Ctrl-C at the terminal does not end the resolver before the last report. */
static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGWINCH);
	sigprocmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void finish(struct watch *watch)
{
	int error;

	if (watch->is_live) {
		lm_live_leave(&watch->live);
		watch->is_live = false;
		if (watch->code != 2)
			report(watch, true);
	}
	if (watch->code == 2) {
		lm_output_abandon(&watch->output);
		return;
	}
	error = lm_output_finish(&watch->output);
	if (error)
		end_for_output(watch, error);
}

int lm_watch_run(const struct lm_config *config)
{
	struct watch watch = {.config = config, .epoll_fd = -1, .timer_fd = -1, .signal_fd = -1};
	uint64_t look_ns = config->interval_ns < LOOK_MAX_NS ? config->interval_ns : LOOK_MAX_NS;
	sigset_t signals;
	int error;

	if (config->format == LM_FORMAT_PPROF && !config->output && isatty(STDOUT_FILENO)) {
		lm_error("a pprof profile is no text for a terminal: name a file with -o, or redirect standard output");
		return EXIT_USAGE;
	}
	block_signals(&signals);
	watch.looks_per_report = config->interval_ns / look_ns;
	error = lm_output_open(config->output, &watch.output);
	if (error) {
		end_for_output(&watch, error);
		return watch.code;
	}
	watch.code = lm_session_open(config, 0, &watch.session);
	if (watch.code) {
		lm_output_abandon(&watch.output);
		return watch.code;
	}
	watch.is_live = config->mode == LM_MODE_LIVE && config->format == LM_FORMAT_TEXT && !config->output &&
			isatty(STDOUT_FILENO);
	if (watch.is_live)
		lm_live_enter(&watch.live, stdout);
	run_loop(&watch, &signals);
	finish(&watch);
	lm_session_close(watch.session);
	lm_snapshot_free(&watch.last);
	return watch.code;
}
