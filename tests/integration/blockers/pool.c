/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thread pools that are no leak. "pool fixed N": N workers started at once, no
 * work. "pool reuse N": workers that are started only when none is idle, N at
 * most, under a steady load of short jobs.
 */
#include "blocker.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queued = PTHREAD_COND_INITIALIZER;
static int jobs, idle, workers;

static NOINLINE void take_job(void)
{
	pthread_mutex_lock(&lock);
	idle++;
	while (!jobs)
		pthread_cond_wait(&queued, &lock); /* WAIT:pool */
	idle--;
	jobs--;
	pthread_mutex_unlock(&lock);
	AFTER;
}

static NOINLINE void *worker(void *arg)
{
	for (;;) {
		take_job();
		sleep_ms(20);
	}
	return arg;
}

int main(int argc, char **argv)
{
	bool fixed = argc > 1 && !strcmp(argv[1], "fixed");
	int most = argc > 2 ? atoi(argv[2]) : 64;

	printf("{\"pid\": %d}\n", getpid());
	fflush(stdout);
	if (fixed)
		for (int i = 0; i < most; i++)
			start_thread_here(worker, NULL);
	for (uint64_t round = 0; !fixed; round++) {
		int burst = round % 16 ? 1 : 8;

		pthread_mutex_lock(&lock);
		jobs += burst;
		for (int missing = jobs - idle; missing > 0 && workers < most; missing--, workers++)
			start_thread_here(worker, NULL);
		pthread_mutex_unlock(&lock);
		for (; burst; burst--)
			pthread_cond_signal(&queued);
		sleep_ms(10);
	}
	pause();
}
