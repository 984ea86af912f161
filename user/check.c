// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of the command and of what it starts, seen as its parent and subreaper: whatever
 * becomes an orphan becomes a child of ours. Threads are gone when their process ends, so
 * verdicts are reached all the time; what was found is kept by kept.c.
 */
#include "user/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/command.h"
#include "user/formats.h"
#include "user/kept.h"
#include "user/log.h"
#include "user/output.h"
#include "user/proc.h"
#include "user/session.h"

#define NS_PER_S 1000000000ull
#define LOOK_NS NS_PER_S
#define LOOKS_PER_HORIZON 60 /* a short horizon wants more looks … */
#define LOOK_MIN_NS 100000000ull
#define END_GRACE_NS (10 * NS_PER_S) /* between SIGTERM and SIGKILL, when the time of --for is over */

#define START_SLACK_NS 20000000ll
#define CHILDREN_AT_ONCE 4096

#define EXIT_FOUND 1
#define EXIT_FAILED 2
#define EXIT_NOT_RUN 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128

enum source { SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_EVENTS, SOURCES };

/* How far we are in ending it all, when the time of --for is over. */
enum ending { NOT_ENDING, TOLD_TO_END, KILLED, GIVEN_UP };

struct check {
	const struct lm_config *config;
	struct lm_command command;
	struct lm_session *session;
	struct lm_output output; /* of -o */
	struct lm_kept *kept;
	int epoll_fd, fds[SOURCES];
	int end_fd;      /* readable when a signal asks to end: no report waits for its reader then */
	uint64_t end_ns; /* when --for is over, 0 = never */
	enum ending ending;
	bool ended; /* the command, with this status: */
	int status;
	bool ended_by_us;    /* it was told to, for the time was over */
	size_t others_alive; /* our children that are not the command, when we last looked */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t wall_offset_ns(void)
{
	struct timespec wall, boot;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (int64_t)(wall.tv_sec - boot.tv_sec) * (int64_t)NS_PER_S + wall.tv_nsec - boot.tv_nsec;
}

static int look(struct check *check)
{
	struct lm_snapshot snapshot;
	int error;

	/* a look that fails says so itself, is counted, and is repeated */
	lm_session_look(check->session);
	error = lm_session_report(check->session, true, &snapshot);
	if (error) {
		lm_error("a report could not be made: %s", strerror(-error));
		return error;
	}
	return lm_kept_take(check->kept, &snapshot);
}

/* Our children but the command and the resolver, at most len: read at once, for the list changes under who reaps. */
static size_t list_others(const struct check *check, pid_t *pids, size_t len)
{
	char path[64];
	size_t found = 0;
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (found < len && fscanf(file, "%d", &pid) == 1) {
		if (pid != check->command.pid && !lm_session_owns(check->session, pid))
			pids[found++] = pid;
	}
	fclose(file);
	return found;
}

/* Takes leave of what has ended, and sends the others a signal (0: none). */
static void attend_others(struct check *check, int number)
{
	pid_t pids[CHILDREN_AT_ONCE];
	size_t len = list_others(check, pids, CHILDREN_AT_ONCE);

	check->others_alive = 0;
	for (size_t i = 0; i < len; i++) {
		if (waitpid(pids[i], NULL, WNOHANG) == pids[i])
			continue;
		check->others_alive++;
		if (number)
			kill(pids[i], number);
	}
}

static void reap(struct check *check)
{
	int status;

	if (!check->ended && waitpid(check->command.pid, &status, WNOHANG) == check->command.pid) {
		check->ended = true;
		check->status = status;
		check->ended_by_us = check->ending != NOT_ENDING;
	}
	attend_others(check, 0);
}

/* Signals a process of the last look, and no other that has its number by now: the pidfd holds on to the one whose
 * start is compared. /proc gives starts in steps of 10 ms; after a step of the wall clock nothing is signalled. */
static void signal_process(const struct lm_snapshot_process *process, int number)
{
	int pidfd = syscall(SYS_pidfd_open, process->pid, 0);
	uint64_t start_ns;
	int64_t apart_ns;

	if (pidfd < 0)
		return;
	if (lm_proc_start("/proc", process->pid, &start_ns) == 0) {
		apart_ns = process->start_ns - wall_offset_ns() - (int64_t)start_ns;
		if (llabs(apart_ns) <= START_SLACK_NS)
			syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
	}
	close(pidfd);
}

/* To the command, to those of its family that the last look saw, and to those that have become our children. */
static void signal_all(struct check *check, int number)
{
	const struct lm_snapshot *last = lm_kept_last(check->kept);

	if (!check->ended)
		kill(check->command.pid, number);
	for (size_t i = 0; last && i < last->processes_len; i++) {
		if (last->processes[i].pid != (uint32_t)check->command.pid)
			signal_process(&last->processes[i], number);
	}
	attend_others(check, number);
}

static void end_in_time(struct check *check)
{
	static const int numbers[] = {[NOT_ENDING] = SIGTERM, [TOLD_TO_END] = SIGKILL, [KILLED] = SIGKILL};

	if (!check->end_ns)
		return;
	if (now_ns() >= check->end_ns) {
		if (check->ending < GIVEN_UP)
			signal_all(check, numbers[check->ending++]);
		check->end_ns = now_ns() + END_GRACE_NS;
	} else if (check->ending == KILLED) {
		/* whose parent was killed is our child by now */
		attend_others(check, SIGKILL);
	}
}

/* Without --for when the command has ended, else when all that it started has, too. */
static bool is_over(const struct check *check)
{
	return check->ending == GIVEN_UP || (check->ended && !(check->end_ns && check->others_alive));
}

/* Ctrl-C reaches the whole foreground group, and so the command too if it is still in that. */
static bool has_reached_command(const struct check *check, const struct signalfd_siginfo *info)
{
	return info->ssi_code == SI_KERNEL && getpgid(check->command.pid) == getpgrp();
}

static void pass_on(struct check *check, const struct signalfd_siginfo *info)
{
	bool asks_to_end = info->ssi_signo != SIGUSR1 && info->ssi_signo != SIGUSR2;

	if (!check->ended) {
		if (!has_reached_command(check, info))
			kill(check->command.pid, info->ssi_signo);
	} else if (asks_to_end) {
		check->end_ns = now_ns();
	}
}

static void take_signals(struct check *check)
{
	struct signalfd_siginfo info;

	while (read(check->fds[SOURCE_SIGNAL], &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			pass_on(check, &info);
	}
	reap(check);
}

static int add_source(struct check *check, enum source source, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

	check->fds[source] = fd;
	return fd < 0 || epoll_ctl(check->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_timer(const struct lm_config *config)
{
	uint64_t period_ns = config->horizon_ns / LOOKS_PER_HORIZON;
	struct itimerspec spec;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	period_ns = period_ns < LOOK_MIN_NS ? LOOK_MIN_NS : period_ns > LOOK_NS ? LOOK_NS : period_ns;
	spec.it_interval.tv_sec = period_ns / NS_PER_S;
	spec.it_interval.tv_nsec = period_ns % NS_PER_S;
	spec.it_value = spec.it_interval;
	if (fd >= 0)
		timerfd_settime(fd, 0, &spec, NULL);
	return fd;
}

static int open_sources(struct check *check, const sigset_t *signals)
{
	int error;

	check->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	error = check->epoll_fd < 0 ? -errno : 0;
	if (!error)
		error = add_source(check, SOURCE_TIMER, open_timer(check->config));
	if (!error)
		error = add_source(check, SOURCE_SIGNAL, signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK));
	if (!error)
		error = add_source(check, SOURCE_EVENTS, lm_session_fd(check->session));
	if (error)
		lm_error("the event loop could not be set up: %s", strerror(-error));
	return error;
}

static void watch(struct check *check)
{
	while (!is_over(check)) {
		struct epoll_event event;
		uint64_t expirations;

		if (epoll_wait(check->epoll_fd, &event, 1, -1) != 1)
			continue;
		if (event.data.u32 == SOURCE_SIGNAL) {
			take_signals(check);
		} else if (event.data.u32 == SOURCE_EVENTS) {
			lm_session_drain(check->session);
		} else if (read(check->fds[SOURCE_TIMER], &expirations, sizeof(expirations)) == sizeof(expirations)) {
			/* no more looks once it was told to end: threads that go now say nothing */
			if (check->ending == NOT_ENDING)
				look(check);
			end_in_time(check);
			reap(check);
		}
	}
}

static int write_report(struct check *check)
{
	enum lm_format format = check->config->format;
	const struct lm_render_options options = lm_formats_options(check->config, format, check->output.fd);
	struct lm_snapshot merged = {0};
	char *text = NULL;
	size_t len = 0;
	int error = lm_kept_merge(check->kept, &merged);

	if (error)
		return error;
	error = lm_formats_render(format, &merged, &options, &text, &len);
	if (!error)
		error = lm_output_write(&check->output, text, len, NULL);
	if (!error)
		error = lm_output_finish(&check->output);
	free(text);
	lm_snapshot_free(&merged);
	return error;
}

/* The findings on standard error, and the exit code. */
static int tell(struct check *check)
{
	const struct lm_config *config = check->config;
	const struct lm_render_options options = lm_formats_options(config, LM_FORMAT_TEXT, STDERR_FILENO);
	int error = config->output ? write_report(check) : 0;

	lm_kept_print(check->kept, stderr, &options);
	if (error) {
		lm_output_complain(config->output, error);
		return EXIT_FAILED;
	}
	if (lm_kept_worst(check->kept) >= config->fail_on)
		return EXIT_FOUND;
	lm_info("no finding from the level %s", lm_level_name(config->fail_on));
	if (check->ended_by_us || !check->ended)
		return 0;
	return WIFSIGNALED(check->status) ? EXIT_SIGNAL + WTERMSIG(check->status) : WEXITSTATUS(check->status);
}

static void block_signals(sigset_t *signals, int *end_fd)
{
	static const int end[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT}, others[] = {SIGUSR1, SIGUSR2, SIGCHLD};

	sigemptyset(signals);
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		sigaddset(signals, end[i]);
	*end_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		sigaddset(signals, others[i]);
	sigprocmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* ignored, children would end unseen */
	signal(SIGCHLD, SIG_DFL);
}

/* Lets the command run and stays with it. Returns the exit code. */
static int run_command(struct check *check, const sigset_t *signals)
{
	const char *name = check->config->command[0];
	int error;

	if (open_sources(check, signals))
		return EXIT_FAILED;
	/* its process is known before its first instruction, and there is a report however soon it ends */
	if (look(check))
		return EXIT_FAILED;
	error = lm_command_release(&check->command);
	if (error) {
		lm_error("%s: %s", name, error == ENOENT ? "there is no such command" : strerror(error));
		return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
	}
	if (check->config->for_ns)
		check->end_ns = now_ns() + check->config->for_ns;
	watch(check);
	/* what it has left behind has not been looked at since */
	if (check->ending == NOT_ENDING && check->others_alive)
		look(check);
	return tell(check);
}

int lm_check_run(const struct lm_config *config)
{
	struct check check = {
		.config = config, .epoll_fd = -1, .fds = {-1, -1, -1}, .end_fd = -1, .output = {.fd = -1}};
	struct lm_command_signals before;
	sigset_t signals;
	int code = 0, error = lm_kept_new(&check.kept);

	if (error) {
		lm_error("out of memory");
		return EXIT_FAILED;
	}
	lm_command_keep_signals(&before);
	block_signals(&signals, &check.end_fd);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (config->output)
		error = lm_output_open(config->output, check.end_fd, -1, &check.output);
	if (error) {
		lm_output_complain(config->output, error);
		code = EXIT_FAILED;
		goto free_kept;
	}
	error = lm_command_start(config->command, &before, &check.command);
	if (error) {
		lm_error("%s could not be started: %s", config->command[0], strerror(-error));
		code = EXIT_FAILED;
		goto abandon_output;
	}
	code = lm_session_open(config, check.command.pid, &check.session);
	if (!code)
		code = run_command(&check, &signals);
	lm_command_abandon(&check.command);
	lm_session_close(check.session);
	close(check.fds[SOURCE_TIMER]);
	close(check.fds[SOURCE_SIGNAL]);
	close(check.epoll_fd);
abandon_output:
	if (check.output.temporary)
		lm_output_abandon(&check.output);
free_kept:
	close(check.end_fd);
	lm_kept_free(check.kept);
	return code;
}
