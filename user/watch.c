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

#include "user/formats.h"
#include "user/live.h"
#include "user/log.h"
#include "user/loop.h"
#include "user/output.h"
#include "user/session.h"

#define NS_PER_S 1000000000ull
#define LOOK_MAX_NS                                                                                                    \
	NS_PER_S /* reports may be rarer than this, looks are not: arrivals between them would be missed               \
		  */
#define EXIT_FAILED 2
#define EXIT_USAGE 64
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

enum source { SOURCE_TIMER, SOURCE_END, SOURCE_TERMINAL, SOURCE_EVENTS, SOURCE_KEYS };

struct watch {
	const struct lm_config *config;
	struct lm_session *session;
	struct lm_output output;
	struct lm_live live;
	bool is_live;
	int epoll_fd, timer_fd, terminal_fd;
	int end_fd; /* readable from the signal on that ends it: that is never read, so that no write waits after it */
	struct lm_snapshot last; /* arena NULL: none yet */
	uint64_t looks, looks_per_report, reports;
	bool ending;
	int code;
};

/* Reports that are a file each cannot follow each other in one. */
static bool is_one_report_a_file(enum lm_format format)
{
	return format == LM_FORMAT_PPROF || format == LM_FORMAT_SPEEDSCOPE;
}

static int draw(struct watch *watch, const char *text)
{
	size_t len;
	char *frame;
	int error = lm_live_frame(text, &frame, &len);

	if (error)
		return error;
	error = lm_output_write(&watch->output, frame, len, NULL);
	free(frame);
	/* told to end while Ctrl-S holds the terminal: the last report comes when that is left */
	return error == -ECANCELED ? 0 : error;
}

/* A report is rendered whole before any of it is written. */
static int write_report(struct watch *watch)
{
	enum lm_format format = watch->config->format;
	struct lm_render_options options = lm_formats_options(watch->config, format, watch->output.fd);
	size_t len;
	char *text;
	int error;

	if (watch->is_live) {
		lm_live_size(&watch->live, &options.columns, &options.rows);
		options.hint = watch->live.keys ? "q quits" : "Ctrl-C quits";
	}
	error = lm_formats_render(format, &watch->last, &options, &text, &len);
	if (error)
		return error;
	error = watch->is_live ? draw(watch, text) : lm_output_write(&watch->output, text, len, NULL);
	free(text);
	return error;
}

/* Words about an output that failed; a reader that has gone is no failure, nor one that takes no more of a watch that
 * was told to end. Ends the watch. */
static void end_for_output(struct watch *watch, int error)
{
	watch->ending = true;
	if (error == -EPIPE && !watch->config->output)
		return;
	if (error != -ECANCELED || watch->config->mode == LM_MODE_SNAPSHOT)
		watch->code = EXIT_FAILED;
	lm_output_complain(watch->config->output, error);
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
		watch->code = EXIT_FAILED;
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

static void end_by_signal(struct watch *watch)
{
	watch->ending = true;
	lm_session_look(watch->session);
	if (!watch->is_live)
		report(watch, true);
}

/* As the shell asks for with Ctrl-Z. The signal itself and not SIGSTOP, as where no shell could let us go on, the
 * kernel does not stop us. */
static void stop(struct watch *watch)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTSTP);
	lm_live_leave(&watch->live);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

static void take_terminal_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->terminal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		stop(watch);
	if (info.ssi_signo != SIGWINCH)
		lm_live_enter_again(&watch->live);
	if (watch->last.arena)
		write_report(watch);
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
	case SOURCE_END:
		end_by_signal(watch);
		break;
	case SOURCE_TERMINAL:
		take_terminal_signal(watch);
		break;
	case SOURCE_EVENTS:
		lm_session_drain(watch->session);
		break;
	default:
		if (lm_live_quit_pressed())
			watch->ending = true;
	}
}

static int add_sources(struct watch *watch)
{
	int error = lm_loop_open(&watch->epoll_fd);

	if (!error)
		error = lm_loop_add_timer(watch->epoll_fd, SOURCE_TIMER, &watch->timer_fd);
	if (!error)
		error = lm_loop_set_timer(watch->timer_fd, watch->config->interval_ns / watch->looks_per_report);
	if (!error)
		error = lm_loop_add(watch->epoll_fd, SOURCE_END, watch->end_fd);
	if (!error && watch->is_live)
		error = lm_loop_add(watch->epoll_fd, SOURCE_TERMINAL, watch->terminal_fd);
	if (!error)
		error = lm_loop_add(watch->epoll_fd, SOURCE_EVENTS, lm_session_fd(watch->session));
	if (!error && watch->is_live && watch->live.keys)
		error = lm_loop_add(watch->epoll_fd, SOURCE_KEYS, STDIN_FILENO);
	return error;
}

static void close_sources(struct watch *watch)
{
	lm_loop_close(watch->timer_fd);
	lm_loop_close(watch->epoll_fd);
}

static void run_loop(struct watch *watch)
{
	int error = add_sources(watch);

	if (error) {
		lm_error("the event loop could not be set up: %s", strerror(-error));
		watch->code = EXIT_FAILED;
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

static int open_signals(const int *numbers, size_t len, int *fd)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < len; i++)
		sigaddset(&signals, numbers[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return lm_loop_open_signals(&signals, fd);
}

/* The signals that end a watch or are about its terminal arrive in the loop; blocked before the resolver is started, so
 * that Ctrl-C at the terminal does not end the resolver before the last report. */
static int take_signals(struct watch *watch)
{
	static const int end[] = {SIGINT, SIGTERM, SIGHUP}, terminal[] = {SIGWINCH, SIGTSTP, SIGCONT};
	int error = open_signals(end, ARRAY_LEN(end), &watch->end_fd);

	signal(SIGPIPE, SIG_IGN);
	if (!error && watch->is_live)
		error = open_signals(terminal, ARRAY_LEN(terminal), &watch->terminal_fd);
	if (error)
		lm_error("signals cannot be waited for: %s", strerror(-error));
	return error;
}

static void finish(struct watch *watch)
{
	int error;

	if (watch->is_live) {
		lm_live_leave(&watch->live);
		watch->is_live = false;
		if (watch->code != EXIT_FAILED)
			report(watch, true);
	}
	if (watch->code == EXIT_FAILED) {
		lm_output_abandon(&watch->output);
		return;
	}
	error = lm_output_finish(&watch->output);
	if (error)
		end_for_output(watch, error);
}

/* From the first signal that is taken to the last report. */
static int run(struct watch *watch)
{
	const struct lm_config *config = watch->config;
	int error;

	if (take_signals(watch))
		return EXIT_FAILED;
	error = lm_output_open(config->output, watch->end_fd, -1, &watch->output);
	if (error) {
		end_for_output(watch, error);
		return watch->code;
	}
	watch->code = lm_session_open(config, 0, &watch->session);
	if (watch->code) {
		lm_output_abandon(&watch->output);
		return watch->code;
	}
	if (watch->is_live)
		lm_live_enter(&watch->live, stdout);
	run_loop(watch);
	finish(watch);
	lm_session_close(watch->session);
	lm_snapshot_free(&watch->last);
	return watch->code;
}

int lm_watch_run(const struct lm_config *config)
{
	struct watch watch = {.config = config, .epoll_fd = -1, .timer_fd = -1, .terminal_fd = -1, .end_fd = -1};
	uint64_t look_ns = config->interval_ns < LOOK_MAX_NS ? config->interval_ns : LOOK_MAX_NS;
	int code;

	if (config->format == LM_FORMAT_PPROF && !config->output && isatty(STDOUT_FILENO)) {
		lm_error("a pprof profile is no text for a terminal: name a file with -o, or redirect standard output");
		return EXIT_USAGE;
	}
	watch.looks_per_report = config->interval_ns / look_ns;
	watch.is_live = config->mode == LM_MODE_LIVE && config->format == LM_FORMAT_TEXT && !config->output &&
			isatty(STDOUT_FILENO);
	code = run(&watch);
	lm_loop_close(watch.terminal_fd);
	lm_loop_close(watch.end_fd);
	return code;
}
