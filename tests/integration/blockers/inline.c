/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chain of calls that the compiler has folded into one function: three lines of source for one return address. */
#include "blocker.h"

static int fds[2];

static inline __attribute__((always_inline)) void innermost(void)
{
	char byte;
	ssize_t got = read(fds[0], &byte, 1); /* WAIT:innermost */

	must(got == 1, "read");
}

static inline __attribute__((always_inline)) void middle(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		innermost(); /* WAIT:middle */
		AFTER;
	}
}

static NOINLINE void *outer(void *arg)
{
	middle(*(int *)arg); /* WAIT:outer */
	AFTER;
	return NULL;
}

int main(void)
{
	int rounds = 3;

	must(!pipe(fds), "pipe");
	for (int i = 0; i < 4; i++)
		start_thread_here(outer, &rounds);
	printf("{\"pid\": %d, \"groups\": [{\"name\": \"inline\", \"class\": \"pipe\", \"count\": 4, "
	       "\"chain\": [\"innermost\", \"middle\", \"outer\"]}]}\n",
		getpid());
	fflush(stdout);
	while (read(0, &(char){0}, 1) > 0)
		;
	_exit(0);
}
