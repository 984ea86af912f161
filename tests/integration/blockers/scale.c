/* SPDX-License-Identifier: GPL-2.0-or-later */
/* argv[1] blocked threads at seven sites, on small stacks. */
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "blocker.h"

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, cond_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t none;
static int fds[2];
static atomic_int entered;

#define SITE(name, ...)                                                                                                \
	static NOINLINE void *name(void *arg)                                                                          \
	{                                                                                                              \
		entered++;                                                                                             \
		__VA_ARGS__;                                                                                           \
		AFTER;                                                                                                 \
		return arg;                                                                                            \
	}

SITE(site_cond, pthread_mutex_lock(&cond_lock); pthread_cond_wait(&never, &cond_lock))
SITE(site_mutex, pthread_mutex_lock(&held))
SITE(site_sem, sem_wait(&none))
SITE(site_pipe, char byte; must(read(fds[0], &byte, 1) == 1, "read"))
SITE(site_poll, poll(NULL, 0, -1))
SITE(site_sleep, sleep_ms(86400000))
SITE(site_pause, pause())

static const struct {
	const char *name;
	void *(*start)(void *);
} sites[] = {{"site_cond", site_cond}, {"site_mutex", site_mutex}, {"site_sem", site_sem}, {"site_pipe", site_pipe},
	{"site_poll", site_poll}, {"site_sleep", site_sleep}, {"site_pause", site_pause}};
enum { SITES = sizeof(sites) / sizeof(*sites) };

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 700;

	must(!pipe(fds), "pipe");
	sem_init(&none, 0, 0);
	pthread_mutex_lock(&held);
	for (int i = 0; i < threads; i++)
		start_thread_sized(sites[i % SITES].start, NULL, 16384);
	while (entered < threads)
		sleep_ms(10);
	printf("{\"pid\": %d, \"groups\": [", getpid());
	for (int i = 0; i < SITES; i++)
		printf("%s{\"name\": \"%s\", \"count\": %d}", i ? ", " : "", sites[i].name,
			threads / SITES + (i < threads % SITES));
	printf("]}\n");
	fflush(stdout);
	while (read(0, &(char){0}, 1) > 0)
		;
	_exit(0);
}
