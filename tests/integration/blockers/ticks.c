/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "ticks N": N threads that wait for a futex with a timeout of 100 ms again and again. After each wait they take a lock
 * that is free by a futex call: it returns as one does that was woken, and has not slept. */
#include <linux/futex.h>

#include "blocker.h"

static uint32_t never; /* nobody wakes it */

static NOINLINE void tick(void)
{
	const struct timespec timeout = {0, 100000000};

	syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0); /* WAIT:tick */
	AFTER;
}

static void *run(void *arg)
{
	uint32_t lock = 0;

	for (;;) {
		tick();
		must(syscall(SYS_futex, &lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0, "FUTEX_LOCK_PI");
		must(syscall(SYS_futex, &lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0, "FUTEX_UNLOCK_PI");
	}
	return arg;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 8;

	for (int i = 0; i < threads; i++)
		start_thread_here(run, NULL);
	printf("{\"pid\": %d}\n", getpid());
	fflush(stdout);
	pause();
}
