/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that runs without end and notes the gaps in its own time, beside 50
 * that block. At each line on stdin it prints the gaps since the last: the longest
 * one, and the longest that was not spent waiting for a CPU or switched out.
 */
#include <fcntl.h>
#include <stdatomic.h>

#include "blocker.h"

static atomic_llong longest_ns, longest_running_ns, rounds;

static int64_t delay_ns(int fd)
{
	char text[96] = "";
	long long run, delay = 0;

	must(pread(fd, text, sizeof(text) - 1, 0) > 0, "schedstat");
	sscanf(text, "%lld %lld", &run, &delay);
	return delay;
}

static void *spin(void *arg)
{
	char path[64];
	int fd;
	int64_t last, delay;

	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", own_tid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0, path);
	delay = delay_ns(fd);
	for (last = clock_ns(CLOCK_MONOTONIC);; rounds++) {
		int64_t now = clock_ns(CLOCK_MONOTONIC), gap = now - last;

		last = now;
		if (gap < 200000)
			continue;
		if (gap > longest_ns)
			longest_ns = gap;
		/* Time in which others had the CPU is theirs; the rest was taken from us while we ran. */
		int64_t waited = delay_ns(fd) - delay;

		delay += waited;
		if (gap - waited > longest_running_ns)
			longest_running_ns = gap - waited;
		last = clock_ns(CLOCK_MONOTONIC);
	}
	return arg;
}

static NOINLINE void *block(void *arg)
{
	pause(); /* WAIT:block */
	AFTER;
	return arg;
}

int main(void)
{
	char line[128];

	for (int i = 0; i < 50; i++)
		start_thread_here(block, NULL);
	start_thread_here(spin, NULL);
	printf("{\"pid\": %d}\n", getpid());
	fflush(stdout);
	while (read(0, line, sizeof(line)) > 0) {
		printf("{\"longest_s\": %.9f, \"longest_running_s\": %.9f, \"rounds\": %lld}\n",
			atomic_exchange(&longest_ns, 0) / 1e9, atomic_exchange(&longest_running_ns, 0) / 1e9,
			atomic_exchange(&rounds, 0));
		fflush(stdout);
	}
	_exit(0);
}
