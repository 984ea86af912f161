/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaks a thread every argv[1] ms, after argv[2] ms without: each waits for a result of its own that never comes. */
#include "blocker.h"

struct request {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool answer;
};

static NOINLINE void wait_for_result(struct request *request)
{
	pthread_mutex_lock(&request->lock);
	while (!request->answer)
		pthread_cond_wait(&request->answered, &request->lock); /* WAIT:leak */
	pthread_mutex_unlock(&request->lock);
	AFTER;
}

static NOINLINE void *serve(void *arg)
{
	wait_for_result(arg);
	AFTER;
	return NULL;
}

int main(int argc, char **argv)
{
	int period_ms = argc > 1 ? atoi(argv[1]) : 150, quiet_ms = argc > 2 ? atoi(argv[2]) : 0;

	printf("{\"pid\": %d, \"function\": \"wait_for_result\"}\n", getpid());
	fflush(stdout);
	sleep_ms(quiet_ms);
	for (;;) {
		struct request *request = calloc(1, sizeof(*request));

		must(request, "calloc");
		pthread_mutex_init(&request->lock, NULL);
		pthread_cond_init(&request->answered, NULL);
		start_thread_here(serve, request);
		sleep_ms(period_ms);
	}
}
