/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaks as many threads as each line on stdin says, and prints how many there are once they have all come to wait. */
#include <stdatomic.h>

#include "blocker.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static atomic_int entered;

static NOINLINE void wait_for_result(void)
{
	pthread_mutex_lock(&lock);
	entered++;
	for (;;)
		pthread_cond_wait(&never, &lock); /* WAIT:asked */
}

static NOINLINE void *serve(void *arg)
{
	wait_for_result();
	AFTER;
	return arg;
}

int main(void)
{
	char line[32];
	int started = 0;

	do {
		while (entered < started)
			sleep_ms(1);
		pthread_mutex_lock(&lock); /* the last one has let go of it: it waits */
		pthread_mutex_unlock(&lock);
		printf("{\"pid\": %d, \"leaked\": %d}\n", getpid(), started);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			break;
		for (int i = atoi(line); i > 0; i--, started++)
			start_thread_here(serve, NULL);
	} while (true);
	pause();
}
