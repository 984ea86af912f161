/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that come and never leave, in C: executors nobody shuts down, timers nobody
 * cancels, peers that failed, a poller that starts a thread each time, and one in a
 * hundred of a busy group.
 */
#include "corpus.h"

#include <sys/socket.h>

struct executor {
	pthread_mutex_t lock;
	pthread_cond_t queued;
	bool has_job;
};

/* An executor's thread: does one job, then waits for the next, which never comes. */
static NOINLINE void await_job(struct executor *executor)
{
	pthread_mutex_lock(&executor->lock);
	while (!executor->has_job)
		pthread_cond_wait(&executor->queued, &executor->lock);
	pthread_mutex_unlock(&executor->lock);
	AFTER;
}

static NOINLINE void *run_executor(void *arg)
{
	sleep_s(0.005);
	note_leak();
	await_job(arg);
	return NULL;
}

static NOINLINE void reconnect(void)
{
	struct executor *executor = calloc(1, sizeof(*executor));

	must(executor, "calloc");
	pthread_mutex_init(&executor->lock, NULL);
	pthread_cond_init(&executor->queued, NULL);
	start_thread_here(run_executor, executor);
}

/* A timer that nobody cancels: looks at its list every few seconds for ever. */
static NOINLINE void tick(void)
{
	sleep_s(0.3);
	AFTER;
}

static NOINLINE void *run_timer(void *arg)
{
	note_leak();
	for (;;)
		tick();
	return arg;
}

/* The same with a timed wait for a condition. */
static NOINLINE void tick_or_stop(struct executor *executor)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 400000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&executor->lock);
	pthread_cond_timedwait(&executor->queued, &executor->lock, &until);
	pthread_mutex_unlock(&executor->lock);
	AFTER;
}

static NOINLINE void *run_stoppable_timer(void *arg)
{
	note_leak();
	for (;;)
		tick_or_stop(arg);
	return NULL;
}

/* A peer that died without a word: the thread that serves it reads for ever. */
static NOINLINE void read_answer(int fd)
{
	char answer[16];

	while (read(fd, answer, sizeof(answer)) > 0)
		;
	AFTER;
}

static NOINLINE void *serve_peer(void *arg)
{
	note_leak();
	read_answer((intptr_t)arg);
	return NULL;
}

static NOINLINE void fail_peer(void)
{
	int pipe_fds[2];

	must(!pipe(pipe_fds), "pipe");
	start_thread_here(serve_peer, (void *)(intptr_t)pipe_fds[0]);
}

/* Each poll is a thread that asks and waits for a semaphore of its own. */
static NOINLINE void wait_for_poll(pthread_mutex_t *gate)
{
	pthread_mutex_lock(gate);
	AFTER;
}

static NOINLINE void *poll_once(void *arg)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

	(void)arg;
	/* a lock that was handed to somebody who forgot it: nobody is on record for this one */
	gate.__data.__lock = 2;
	note_leak();
	wait_for_poll(&gate);
	return NULL;
}

/* A busy group: threads that ask a backend and wait for its answer; one in a hundred is never answered. */
struct request {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool has_answer;
};

static NOINLINE void wait_for_answer(struct request *request)
{
	pthread_mutex_lock(&request->lock);
	while (!request->has_answer)
		pthread_cond_wait(&request->answered, &request->lock);
	pthread_mutex_unlock(&request->lock);
	AFTER;
}

static NOINLINE void *ask(void *arg)
{
	wait_for_answer(arg);
	return NULL;
}

static NOINLINE void *ask_in_vain(void *arg)
{
	note_leak();
	wait_for_answer(arg);
	return NULL;
}

static NOINLINE void *answer(void *arg)
{
	struct request *request = arg;

	sleep_s(0.2 + exponential(0.3));
	pthread_mutex_lock(&request->lock);
	request->has_answer = true;
	pthread_cond_signal(&request->answered);
	pthread_mutex_unlock(&request->lock);
	return NULL;
}

static NOINLINE void request_once(bool is_answered)
{
	struct request *request = calloc(1, sizeof(*request));

	must(request, "calloc");
	pthread_mutex_init(&request->lock, NULL);
	pthread_cond_init(&request->answered, NULL);
	pthread_detach(start_thread_here(is_answered ? ask : ask_in_vain, request));
	if (is_answered)
		pthread_detach(start_thread_here(answer, request));
}

static void run_busy_group(void)
{
	double next_leak_s = boot_s() + corpus_minute_s;

	for (;;) {
		bool leaks = boot_s() >= next_leak_s;

		request_once(!leaks);
		if (leaks)
			next_leak_s += corpus_minute_s;
		sleep_s(corpus_minute_s / 100 > 0.02 ? corpus_minute_s / 100 : 0.02);
	}
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	if (is_case("busy-group"))
		run_busy_group();
	for (uint64_t i = 0;; i++) {
		if (is_case("executor-steady") || is_case("executor-random") || is_case("executor-bursts"))
			reconnect();
		else if (is_case("timer"))
			start_thread_here(run_timer, NULL);
		else if (is_case("timer-cond"))
			start_thread_here(run_stoppable_timer, calloc(1, sizeof(struct executor)));
		else if (is_case("failed-peer"))
			fail_peer();
		else
			start_thread_here(poll_once, NULL);
		if (is_case("executor-random"))
			sleep_minutes(exponential(1));
		else if (is_case("executor-bursts")) /* three at once, every three minutes or so */
			sleep_minutes(i % 3 == 2 ? 2 + 2 * uniform() : 0.001);
		else
			sleep_minutes(is_case("executor-steady") || is_case("failed-peer") ? 1.8 : 1);
	}
}
