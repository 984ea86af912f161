// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One thread, one epoll: a timer for looks, signals, the probe's events, HTTP. What
 * leakmon is for, the watching, goes on whatever becomes of the rest.
 */
#include "user/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "user/daemon_state.h"
#include "user/log.h"
#include "user/loop.h"
#include "user/notify.h"

#define NS_PER_S 1000000000ull
#define LOOK_MAX_NS                                                                                                    \
	NS_PER_S             /* reports may be rarer than this, looks are not: arrivals between them would be missed   \
			      */
#define LOOKS_PER_HORIZON 60 /* a short horizon wants more looks … */
#define LOOK_MIN_NS (NS_PER_S / 10)
#define EXIT_FAILED 2

enum source { SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_EVENTS, SOURCE_HTTP };

struct loop {
	struct lm_daemon *daemon;
	int epoll_fd, timer_fd, signal_fd;
};

static uint64_t now_on(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* --- looks and reports --- */

static uint64_t look_period_ns(const struct lm_daemon *daemon)
{
	uint64_t period_ns = daemon->config->horizon_ns / LOOKS_PER_HORIZON;

	if (period_ns > LOOK_MAX_NS)
		period_ns = LOOK_MAX_NS;
	if (period_ns < LOOK_MIN_NS)
		period_ns = LOOK_MIN_NS;
	if (period_ns > daemon->config->interval_ns)
		period_ns = daemon->config->interval_ns;
	return period_ns * (daemon->budget.slower ? daemon->budget.slower : 1);
}

static void set_looks_apart(struct loop *loop)
{
	struct lm_daemon *daemon = loop->daemon;

	daemon->look_ns = look_period_ns(daemon);
	if (lm_loop_set_timer(loop->timer_fd, daemon->look_ns))
		lm_error("the timer of looks could not be set: %s", strerror(errno));
}

static void tell_ready(struct lm_daemon *daemon)
{
	daemon->source.ready = true;
	lm_notify("READY=1\nSTATUS=watching, %lld findings", (long long)daemon->last.findings_len);
	lm_notice("watching; a report every %g s", daemon->config->interval_ns / 1e9);
}

/* The watchdog hears of looks that succeed, and of nothing else. */
static void look(struct loop *loop)
{
	struct lm_daemon *daemon = loop->daemon;
	uint64_t now_ns = now_on(CLOCK_BOOTTIME);
	int error = lm_session_look(daemon->session);

	daemon->source.healthy = !error;
	if (error)
		return;
	lm_notify("WATCHDOG=1");
	lm_metrics_scan(&daemon->self, lm_session_scan_s(daemon->session));
	/* half a look early is in time: else each report would be one look late */
	if (daemon->report_ns && now_ns - daemon->report_ns + daemon->look_ns / 2 < daemon->config->interval_ns)
		return;
	lm_daemon_report(daemon, now_ns);
	if (!daemon->last.arena)
		return;
	if (!daemon->source.ready)
		tell_ready(daemon);
	lm_notify("STATUS=watching, %lld findings", (long long)daemon->last.findings_len);
	if (lm_daemon_keep_limits(daemon, now_ns))
		set_looks_apart(loop);
}

/* --- the loop --- */

static void take_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	if (read(loop->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		lm_notify("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_on(CLOCK_MONOTONIC) / 1000);
		lm_daemon_reload(loop->daemon);
		set_looks_apart(loop);
		lm_notify("READY=1");
		break;
	case SIGUSR1:
		lm_daemon_log_report(loop->daemon);
		break;
	default:
		loop->daemon->ending = true;
	}
}

static void take_event(struct loop *loop, enum source source)
{
	uint64_t expirations;

	switch (source) {
	case SOURCE_TIMER:
		/* looks that were missed meanwhile are not made up for */
		if (read(loop->timer_fd, &expirations, sizeof(expirations)) == sizeof(expirations))
			look(loop);
		break;
	case SOURCE_SIGNAL:
		take_signal(loop);
		break;
	case SOURCE_EVENTS:
		lm_session_drain(loop->daemon->session);
		break;
	case SOURCE_HTTP:
		break; /* it is run after each wait, since it has timeouts of its own too */
	}
}

static int open_loop(struct loop *loop, const sigset_t *signals)
{
	struct lm_daemon *daemon = loop->daemon;
	int error = lm_loop_open(&loop->epoll_fd);

	if (!error)
		error = lm_loop_add_timer(loop->epoll_fd, SOURCE_TIMER, &loop->timer_fd);
	if (!error)
		error = lm_loop_add_signals(loop->epoll_fd, SOURCE_SIGNAL, signals, &loop->signal_fd);
	if (!error)
		error = lm_loop_add(loop->epoll_fd, SOURCE_EVENTS, lm_session_fd(daemon->session));
	if (!error)
		error = lm_loop_add(loop->epoll_fd, SOURCE_HTTP, lm_http_fd(daemon->http));
	if (error)
		lm_error("the event loop could not be set up: %s", strerror(-error));
	return error;
}

static void run_loop(struct loop *loop)
{
	struct lm_daemon *daemon = loop->daemon;

	set_looks_apart(loop);
	look(loop);
	while (!daemon->ending) {
		struct epoll_event event;
		int ready = epoll_wait(loop->epoll_fd, &event, 1, lm_http_timeout_ms(daemon->http));

		if (ready == 1)
			take_event(loop, event.data.u32);
		else if (ready < 0 && errno != EINTR) {
			lm_error("the event loop failed: %s", strerror(errno));
			daemon->ending = true;
			daemon->code = EXIT_FAILED;
		}
		lm_http_run(daemon->http);
	}
}

/* --- its life --- */

static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Before anything is loaded: an address that is in use is found at once. */
static int open_http(struct lm_daemon *daemon)
{
	static const char *const listen_default[] = {LM_LISTEN_DEFAULT};
	const struct lm_config *config = daemon->config;
	int sockets[LM_NOTIFY_SOCKETS];
	struct lm_http_config http = {
		.listen = config->listen ? (const char *const *)config->listen : listen_default,
		.listen_len = config->listen ? config->listen_len : 1,
		.sockets = sockets,
		.sockets_len = lm_notify_sockets(sockets),
		.web_config = config->web_config,
	};
	char why[256];

	daemon->source.self = &daemon->self;
	daemon->source.max_series = config->metrics_max_series;
	daemon->source.history_why = "it is not open yet";
	if (!lm_http_open(&http, &daemon->source, &daemon->http, why))
		return 0;
	lm_error("%s", why);
	return EXIT_FAILED;
}

static int open_all(struct lm_daemon *daemon)
{
	int error = lm_changes_new(&daemon->changes);
	int code = error ? EXIT_FAILED : open_http(daemon);

	if (error)
		lm_error("out of memory");
	if (!code)
		code = lm_session_open(daemon->config, 0, &daemon->session);
	if (code)
		return code;
	lm_daemon_open_history(daemon, now_on(CLOCK_BOOTTIME));
	return 0;
}

static void close_all(struct lm_daemon *daemon)
{
	lm_http_close(daemon->http);
	lm_session_close(daemon->session);
	lm_history_close(daemon->history);
	lm_changes_free(daemon->changes);
	lm_snapshot_free(&daemon->last);
	lm_daemon_drop_rest(daemon);
}

static int run(struct lm_daemon *daemon, const sigset_t *signals)
{
	struct loop loop = {.daemon = daemon, .epoll_fd = -1, .timer_fd = -1, .signal_fd = -1};
	int error = open_loop(&loop, signals);

	if (!error)
		run_loop(&loop);
	lm_notify("STOPPING=1");
	if (!error)
		lm_daemon_save(daemon, now_on(CLOCK_BOOTTIME));
	lm_loop_close(loop.timer_fd);
	lm_loop_close(loop.signal_fd);
	lm_loop_close(loop.epoll_fd);
	return error ? EXIT_FAILED : daemon->code;
}

int lm_daemon_run(int argc, char **argv, struct lm_config *config)
{
	struct lm_daemon daemon = {
		.config = config,
		.argc = argc,
		.argv = argv,
		.budget =
			{
				.cpu_limit_permille = config->cpu_limit_permille,
				.memory_limit_bytes = config->memory_limit_bytes,
			},
	};
	sigset_t signals;
	int code;

	if (config->check_config)
		return lm_daemon_check_config(config);
	lm_log_for_journal(lm_notify_is_journal());
	daemon.self.start_time_s = now_on(CLOCK_REALTIME) / 1e9;
	block_signals(&signals);
	code = open_all(&daemon);
	if (!code)
		code = run(&daemon, &signals);
	close_all(&daemon);
	return code;
}
