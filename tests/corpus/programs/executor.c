// SPDX-License-Identifier: GPL-2.0-or-later
/* Leak: every reconnect makes an executor of one thread, and nobody shuts the old one down. */
#include "corpus.h"

struct executor {
	pthread_mutex_t lock;
	pthread_cond_t queued;
	int jobs;
	bool began;
};

static NOINLINE void take_job(struct executor *executor)
{
	pthread_mutex_lock(&executor->lock);
	while (!executor->jobs) {
		if (!executor->began)
			say_leak(); /* its one job comes before the connection is lost, thus before it waits */
		executor->began = true;
		pthread_cond_wait(&executor->queued, &executor->lock);
	}
	executor->jobs--;
	pthread_mutex_unlock(&executor->lock);
	AFTER;
}

static NOINLINE void *run_executor(void *arg)
{
	for (;;)
		take_job(arg);
	return NULL;
}

static void reconnect(void)
{
	struct executor *executor = must_have(calloc(1, sizeof(*executor)));

	pthread_mutex_init(&executor->lock, NULL);
	pthread_cond_init(&executor->queued, NULL);
	executor->jobs = 1;
	start_thread_here(run_executor, executor);
}

int main(int argc, char **argv)
{
	corpus_begin(argc, argv);
	say_truth("leak", "take_job", getpid(), NULL, 0);
	say_ready();
	for (;;) {
		rest_until_next();
		reconnect();
	}
}
