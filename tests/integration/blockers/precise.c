/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that make waits of known length and time them with their own clocks.
 * They start at the first line on stdin, so that all that they do is watched; at
 * the end they stay blocked, and what each measured is printed.
 *
 * A wait as the thread sees it (own) is that of the kernel, the time until the
 * thread got a CPU again, and the call's own work: blocked = own − delay − CPU.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>

#include "blocker.h"

enum kind { FUTEX, PIPE, POLL, NANOSLEEP, KINDS };
static const char *const kind_names[] = {"futex", "pipe", "poll", "nanosleep"};

static const struct length {
	int ms, repeats;
} lengths[] = {{10, 40}, {30, 20}, {100, 10}, {300, 3}, {1000, 1}, {3000, 1}, {10000, 1}};
enum { LENGTHS = sizeof(lengths) / sizeof(*lengths) };

static struct job {
	enum kind kind;
	struct length length;
	int fds[2];
	pid_t tid;
	int64_t own_ns, blocked_ns, longest_own_ns, longest_blocked_ns, ended_realtime_ns;
} jobs[KINDS * LENGTHS];
enum { JOBS = KINDS * LENGTHS };
static atomic_int done;

static NOINLINE void futex_wait(struct job *job)
{
	struct timespec rest = {job->length.ms / 1000, job->length.ms % 1000 * 1000000L};
	int word = 0;

	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &rest, NULL, 0);
	AFTER;
}

static NOINLINE void pipe_wait(struct job *job)
{
	char byte;
	ssize_t got = read(job->fds[0], &byte, 1);

	must(got == 1, "read");
}

static void *feeder(void *arg)
{
	struct job *job = arg;

	for (int i = 0; i < job->length.repeats; i++) {
		sleep_ms(job->length.ms);
		must(write(job->fds[1], "", 1) == 1, "write");
	}
	pause();
	return NULL;
}

static void wait_once(struct job *job)
{
	switch (job->kind) {
	case FUTEX:
		futex_wait(job);
		break;
	case PIPE:
		pipe_wait(job);
		break;
	case POLL:
		poll(NULL, 0, job->length.ms);
		break;
	default:
		sleep_ms(job->length.ms);
	}
}

/* Time spent runnable, waiting for a CPU. */
static int64_t run_delay_ns(int schedstat_fd)
{
	char text[96] = "";
	long long run, delay = 0;

	must(pread(schedstat_fd, text, sizeof(text) - 1, 0) > 0, "schedstat");
	sscanf(text, "%lld %lld", &run, &delay);
	return delay;
}

static void *work(void *arg)
{
	struct job *job = arg;
	int schedstat_fd;
	char path[64];

	job->tid = own_tid();
	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", job->tid);
	schedstat_fd = open(path, O_RDONLY | O_CLOEXEC);
	must(schedstat_fd >= 0, path);
	if (job->kind == PIPE)
		start_thread_here(feeder, job);
	for (int i = 0; i < job->length.repeats; i++) {
		int64_t delay = run_delay_ns(schedstat_fd), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		int64_t own = clock_ns(CLOCK_BOOTTIME), blocked;

		wait_once(job);
		own = clock_ns(CLOCK_BOOTTIME) - own;
		cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
		delay = run_delay_ns(schedstat_fd) - delay;
		blocked = own - cpu - delay;
		job->own_ns += own;
		job->blocked_ns += blocked;
		if (own > job->longest_own_ns)
			job->longest_own_ns = own;
		if (blocked > job->longest_blocked_ns)
			job->longest_blocked_ns = blocked;
	}
	job->ended_realtime_ns = clock_ns(CLOCK_REALTIME);
	done++;
	pause();
	return NULL;
}

int main(void)
{
	char byte;

	printf("{\"pid\": %d}\n", getpid());
	fflush(stdout);
	must(read(0, &byte, 1) == 1, "stdin");
	for (int i = 0; i < JOBS; i++) {
		jobs[i].kind = i % KINDS;
		jobs[i].length = lengths[i / KINDS];
		must(!pipe(jobs[i].fds), "pipe");
		start_thread_here(work, &jobs[i]);
	}
	while (done < JOBS)
		sleep_ms(20);
	printf("{\"jobs\": [");
	for (struct job *job = jobs; job < jobs + JOBS; job++)
		printf("%s{\"tid\": %d, \"kind\": \"%s\", \"ms\": %d, \"repeats\": %d, \"own_s\": %.9f, \"blocked_s\": "
		       "%.9f, "
		       "\"longest_own_s\": %.9f, \"longest_blocked_s\": %.9f, \"ended\": %.9f}",
			job == jobs ? "" : ", ", job->tid, kind_names[job->kind], job->length.ms, job->length.repeats,
			job->own_ns / 1e9, job->blocked_ns / 1e9, job->longest_own_ns / 1e9,
			job->longest_blocked_ns / 1e9, job->ended_realtime_ns / 1e9);
	printf("]}\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	_exit(0);
}
