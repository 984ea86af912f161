// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No leak: pools of workers under a simulated load.
 *   reuse      starts a worker only when none is idle, keeps it; the load ramps up over a horizon, then is steady
 *   autoscale  the same, but idle workers end after a time; the load goes up and down
 *   lifo       the worker that was idle for the shortest time gets the job; bursts of very different sizes
 *   diurnal    reuse, and a load that follows a sine
 *   storm      reuse, and nearly nothing between storms of requests
 */
#include "corpus.h"

#define MOST 200
#define SERVICE (1 / 450.0)  /* mean: 4 s of a horizon of 30 min */
#define IDLE_TIME (1 / 15.0) /* 2 min */
#define STEP (1 / 3600.0)    /* of the load: 0.5 s */

struct worker {
	pthread_cond_t called;
	bool has_job;
	struct worker *next; /* among the idle */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker *idle, *last_idle;
static int backlog, workers;

static void add_idle(struct worker *worker)
{
	worker->next = NULL;
	if (shape_is("lifo")) {
		worker->next = idle;
		idle = worker;
		return;
	}
	if (idle)
		last_idle->next = worker;
	else
		idle = worker;
	last_idle = worker;
}

static void drop_idle(struct worker *worker)
{
	struct worker *before = NULL, **at = &idle;

	while (*at != worker) {
		before = *at;
		at = &(*at)->next;
	}
	*at = worker->next;
	if (last_idle == worker)
		last_idle = before;
}

/* False: the worker was idle for too long. */
static NOINLINE bool wait_for_job(struct worker *worker)
{
	struct timespec deadline = deadline_in(IDLE_TIME);
	bool expires = shape_is("autoscale");

	pthread_mutex_lock(&lock);
	if (backlog) {
		backlog--;
		worker->has_job = true;
	} else if (!worker->has_job) {
		add_idle(worker);
	}
	while (!worker->has_job) {
		int error = expires ? pthread_cond_timedwait(&worker->called, &lock, &deadline)
				    : pthread_cond_wait(&worker->called, &lock);

		if (error && !worker->has_job) {
			drop_idle(worker);
			workers--;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return worker->has_job;
}

static NOINLINE void ask_backend(void)
{
	rest(exponential(SERVICE));
	AFTER;
}

static void *work(void *arg)
{
	struct worker *worker = (struct worker *)arg;

	while (wait_for_job(worker)) {
		worker->has_job = false;
		ask_backend();
	}
	pthread_cond_destroy(&worker->called);
	free(worker);
	return NULL;
}

static void submit(void)
{
	pthread_mutex_lock(&lock);
	if (idle) {
		struct worker *worker = idle;

		idle = worker->next;
		worker->has_job = true;
		pthread_cond_signal(&worker->called);
	} else if (workers < MOST) {
		struct worker *worker = (struct worker *)must_have(calloc(1, sizeof(*worker)));

		pthread_cond_init(&worker->called, NULL);
		worker->has_job = true;
		workers++;
		start_thread_here(work, worker);
	} else {
		backlog++;
	}
	pthread_mutex_unlock(&lock);
}

/* How many workers the load keeps busy, on average, at this time. */
static double load_at(double time)
{
	static double next_burst, burst_until, burst;

	if (shape_is("reuse"))
		return 30 * (time < 1 ? time : 1);
	if (shape_is("autoscale"))
		return 20 + 15 * sin(time * 2 * M_PI / 0.4);
	if (shape_is("diurnal"))
		return 20 - 18 * cos(time * 2 * M_PI / 2);
	if (time >= next_burst) { /* lifo and storm */
		burst = shape_is("lifo") ? 6 + exponential(25) : 60;
		burst_until = time + (shape_is("lifo") ? 0.02 : 0.04);
		next_burst = time + (shape_is("lifo") ? exponential(0.12) : 0.5);
	}
	return time < burst_until ? burst : 3;
}

int main(int argc, char **argv)
{
	static const char *const shapes[] = {"reuse", "autoscale", "lifo", "diurnal", "storm", NULL};
	int shape = 0;

	corpus_begin(argc, argv);
	while (shapes[shape] && !shape_is(shapes[shape]))
		shape++;
	if (!shapes[shape])
		unknown_shape();
	say_truth("silent", NULL, getpid(), NULL, 0);
	say_ready();
	for (double due = 0, last = 0;;) {
		double now = elapsed();

		due += load_at(now) * (now - last) / SERVICE;
		last = now;
		for (; due > 0; due -= exponential(1))
			submit();
		rest(STEP);
	}
}
