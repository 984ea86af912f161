// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads are gone when their process ends, so verdicts are reached all the time, and
 * what was found of a process that has ended meanwhile is kept. A finding that was
 * withdrawn, or that no longer holds while its process lives, is not.
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
#include <utlist.h>

#include "user/command.h"
#include "user/log.h"
#include "user/output.h"
#include "user/proc.h"
#include "user/render/render.h"
#include "user/session.h"

#define NS_PER_S 1000000000ull
#define LOOK_NS NS_PER_S
#define LOOKS_PER_HORIZON 60 /* a short horizon wants more looks … */
#define LOOK_MIN_NS 100000000ull
#define END_GRACE_NS (10 * NS_PER_S) /* between SIGTERM and SIGKILL, when the time of --for is over */

#define START_SLACK_NS 20000000ll

#define EXIT_FOUND 1
#define EXIT_FAILED 2
#define EXIT_NOT_RUN 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128

/* A finding that stands, as text, since its process may end before it is told. */
struct kept {
	char id[17];
	enum lm_level level;
	uint32_t pid;
	char *text;
	bool seen; /* in the present report */
	struct kept *prev, *next;
};

enum source { SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_EVENTS, SOURCES };

struct check {
	const struct lm_config *config;
	struct lm_command command;
	struct lm_session *session;
	struct lm_output output; /* of -o */
	struct lm_snapshot last; /* arena NULL: none yet */
	struct kept *kept;
	int epoll_fd, fds[SOURCES];
	uint64_t end_ns;  /* when --for is over, 0 = never */
	bool told_to_end; /* by us, because --for is over */
	bool ended;       /* the command, with this status: */
	int status;
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

static void drop(struct check *check, struct kept *kept)
{
	DL_DELETE(check->kept, kept);
	free(kept->text);
	free(kept);
}

static struct kept *find(struct check *check, const char *id)
{
	struct kept *kept;

	DL_FOREACH(check->kept, kept)
	{
		if (strcmp(kept->id, id) == 0)
			return kept;
	}
	return NULL;
}

static char *text_of(const struct check *check, const struct lm_snapshot_finding *finding)
{
	const struct lm_render_options options = {
		.color = check->config->color == LM_COLOR_ALWAYS ||
			 (check->config->color == LM_COLOR_AUTO && isatty(STDERR_FILENO) && !getenv("NO_COLOR"))};
	char *text = NULL;
	size_t len;
	FILE *memory = open_memstream(&text, &len);

	if (!memory)
		return NULL;
	lm_render_finding(memory, &check->last, finding, &options);
	fclose(memory);
	return text;
}

static void keep(struct check *check, const struct lm_snapshot_finding *finding)
{
	struct kept *kept = find(check, finding->id);

	if (!kept) {
		kept = calloc(1, sizeof(*kept));
		if (!kept)
			return;
		snprintf(kept->id, sizeof(kept->id), "%s", finding->id);
		DL_APPEND(check->kept, kept);
	}
	free(kept->text);
	kept->text = text_of(check, finding);
	kept->level = finding->level;
	kept->pid = finding->pid;
	kept->seen = true;
}

static bool lives(const struct check *check, uint32_t pid)
{
	for (size_t i = 0; i < check->last.processes_len; i++) {
		if (check->last.processes[i].pid == pid)
			return true;
	}
	return false;
}

static void take_findings(struct check *check)
{
	struct kept *kept, *next;

	DL_FOREACH(check->kept, kept)
	kept->seen = false;
	for (size_t i = 0; i < check->last.findings_len; i++)
		keep(check, &check->last.findings[i]);
	for (size_t i = 0; i < check->last.withdrawn_len; i++) {
		kept = find(check, check->last.withdrawn[i].id);
		if (kept && !kept->seen)
			drop(check, kept);
	}
	DL_FOREACH_SAFE(check->kept, kept, next)
	{
		if (!kept->seen && lives(check, kept->pid))
			drop(check, kept);
	}
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
	lm_snapshot_free(&check->last);
	check->last = snapshot;
	take_findings(check);
	return 0;
}

/* Everything that the command started is our child in the end: what of it has ended is taken leave of. */
static void reap(struct check *check)
{
	char path[64];
	FILE *file;
	int pid, status;

	if (!check->ended && waitpid(check->command.pid, &status, WNOHANG) == check->command.pid) {
		check->ended = true;
		check->status = status;
	}
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
	file = fopen(path, "re");
	if (!file)
		return;
	while (fscanf(file, "%d", &pid) == 1) {
		if (pid != check->command.pid && !lm_session_owns(check->session, pid))
			waitpid(pid, NULL, WNOHANG);
	}
	fclose(file);
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

/* To all of the family that the last look saw. */
static void signal_all(const struct check *check, int number)
{
	if (!check->ended)
		kill(check->command.pid, number);
	for (size_t i = 0; i < check->last.processes_len; i++) {
		if (check->last.processes[i].pid != (uint32_t)check->command.pid)
			signal_process(&check->last.processes[i], number);
	}
}

static void end_in_time(struct check *check)
{
	if (!check->end_ns || now_ns() < check->end_ns)
		return;
	signal_all(check, check->told_to_end ? SIGKILL : SIGTERM);
	check->told_to_end = true;
	check->end_ns = now_ns() + END_GRACE_NS;
}

static void take_signals(struct check *check)
{
	struct signalfd_siginfo info;

	while (read(check->fds[SOURCE_SIGNAL], &info, sizeof(info)) == sizeof(info)) {
		/* Ctrl-C reaches the whole foreground group, and so the command too */
		if (info.ssi_signo != SIGCHLD && info.ssi_code != SI_KERNEL && !check->ended)
			kill(check->command.pid, info.ssi_signo);
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
	while (!check->ended) {
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
			if (!check->told_to_end)
				look(check);
			end_in_time(check);
		}
	}
}

/* What the command had no time to do by itself: after --for its family ends too. */
static void end_family(struct check *check)
{
	if (!check->told_to_end)
		return;
	signal_all(check, SIGTERM);
	reap(check);
}

static int write_snapshot(struct check *check)
{
	struct lm_render_options options = {.members = check->config->members, .min_level = check->config->min_level};
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int error;

	if (!memory)
		return -errno;
	error = lm_render_json(memory, &check->last, &options);
	if (fclose(memory) && !error)
		error = -ENOMEM;
	if (!error)
		error = lm_output_write(&check->output, text, len);
	if (!error)
		error = lm_output_finish(&check->output);
	free(text);
	return error;
}

/* The findings on standard error, and the exit code. */
static int tell(struct check *check)
{
	bool found = false;
	struct kept *kept;
	int error;

	DL_FOREACH(check->kept, kept)
	{
		found |= kept->level >= check->config->fail_on;
		if (kept->level >= check->config->min_level && kept->text)
			fputs(kept->text, stderr);
	}
	if (check->config->output && check->last.arena) {
		error = write_snapshot(check);
		if (error) {
			lm_error("the report could not be written to %s: %s", check->config->output, strerror(-error));
			return EXIT_FAILED;
		}
	}
	if (found)
		return EXIT_FOUND;
	lm_info("no finding from the level %s", lm_level_name(check->config->fail_on));
	if (check->told_to_end)
		return 0;
	return WIFSIGNALED(check->status) ? EXIT_SIGNAL + WTERMSIG(check->status) : WEXITSTATUS(check->status);
}

static void block_signals(sigset_t *signals)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};

	sigemptyset(signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(signals, numbers[i]);
	sigprocmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
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
	end_family(check);
	return tell(check);
}

int lm_check_run(const struct lm_config *config)
{
	struct check check = {.config = config, .epoll_fd = -1, .fds = {-1, -1, -1}, .output = {.fd = -1}};
	struct kept *kept, *next;
	sigset_t signals;
	int code = 0, error = 0;

	block_signals(&signals);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (config->output)
		error = lm_output_open(config->output, &check.output);
	if (error) {
		lm_error("%s: %s", config->output, strerror(-error));
		return EXIT_FAILED;
	}
	error = lm_command_start(config->command, &check.command);
	if (error) {
		lm_error("%s could not be started: %s", config->command[0], strerror(-error));
		return EXIT_FAILED;
	}
	code = lm_session_open(config, check.command.pid, &check.session);
	if (!code)
		code = run_command(&check, &signals);
	lm_command_abandon(&check.command);
	if (check.output.temporary)
		lm_output_abandon(&check.output);
	lm_session_close(check.session);
	lm_snapshot_free(&check.last);
	DL_FOREACH_SAFE(check.kept, kept, next)
	drop(&check, kept);
	close(check.fds[SOURCE_TIMER]);
	close(check.fds[SOURCE_SIGNAL]);
	close(check.epoll_fd);
	return code;
}
