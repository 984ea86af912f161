// SPDX-License-Identifier: GPL-2.0-or-later
/* Leak: a session starts a timer thread that wakes by itself; sessions end, their timers are never cancelled. */
#include "corpus.h"

#define TICK (1 / 180.0) /* 10 s of a horizon of 30 min */

struct timer {
	pthread_mutex_t lock;
	pthread_cond_t cancelled;
	bool is_cancelled;
};

static NOINLINE void wait_for_tick(void)
{
	struct timespec tick = timespec_of(TICK * corpus.scale_s);

	nanosleep(&tick, NULL);
	AFTER;
}

static NOINLINE bool wait_for_cancel(struct timer *timer)
{
	struct timespec deadline = deadline_in(TICK);

	pthread_mutex_lock(&timer->lock);
	while (!timer->is_cancelled && pthread_cond_timedwait(&timer->cancelled, &timer->lock, &deadline) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&timer->lock);
	return timer->is_cancelled;
}

static NOINLINE void *run_sleeper(void *arg)
{
	say_leak();
	for (;;)
		wait_for_tick();
	return arg;
}

static NOINLINE void *run_timer(void *arg)
{
	say_leak();
	while (!wait_for_cancel(arg))
		;
	return NULL;
}

static void open_session(void)
{
	struct timer *timer = must_have(calloc(1, sizeof(*timer)));

	pthread_mutex_init(&timer->lock, NULL);
	pthread_cond_init(&timer->cancelled, NULL);
	start_thread_here(shape_is("cond") ? run_timer : run_sleeper, timer);
}

int main(int argc, char **argv)
{
	corpus_begin(argc, argv);
	if (!shape_is("sleep") && !shape_is("cond"))
		unknown_shape();
	say_truth("leak", shape_is("cond") ? "wait_for_cancel" : "wait_for_tick", getpid(), NULL, 0);
	say_ready();
	for (;;) {
		rest_until_next();
		open_session();
	}
}
