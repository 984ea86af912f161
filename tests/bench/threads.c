// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * threads COUNT [spin]: COUNT threads blocked at seven sites. With "spin", one more that does nothing but read the
 * clock and reports, each second, the longest gap between two readings in microseconds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SITES 7

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

#define SITE(n)                                                                                                        \
	static __attribute__((noinline)) void *site_##n(void *unused)                                                  \
	{                                                                                                              \
		pthread_mutex_lock(&lock);                                                                             \
		for (;;)                                                                                               \
			pthread_cond_wait(&never, &lock);                                                              \
		return unused;                                                                                         \
	}

SITE(1)
SITE(2)
SITE(3)
SITE(4)
SITE(5)
SITE(6)
SITE(7)

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static void spin(void)
{
	double last = now_us(), longest = 0, second = last;

	for (;;) {
		double now = now_us();

		if (now - last > longest)
			longest = now - last;
		last = now;
		if (now - second < 1e6)
			continue;
		printf("%.0f\n", longest);
		fflush(stdout);
		longest = 0;
		second = last = now_us();
	}
}

int main(int argc, char **argv)
{
	static void *(*const sites[SITES])(void *) = {site_1, site_2, site_3, site_4, site_5, site_6, site_7};
	int count = argc > 1 ? atoi(argv[1]) : 0;
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16384);
	for (int i = 0; i < count; i++) {
		pthread_t thread;
		int error = pthread_create(&thread, &attributes, sites[i % SITES], NULL);

		if (error) {
			fprintf(stderr, "threads: %d of %d: %s\n", i, count, strerror(error));
			return 1;
		}
	}
	puts("READY");
	fflush(stdout);
	if (argc > 2)
		spin();
	pause();
	return 0;
}
