/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs of the corpus share. Each is called `PROGRAM CASE HORIZON_S SEED`
 * and runs until it is ended. Times are given in minutes of the default horizon of
 * 30 min and scaled by HORIZON_S, so that a test may run 60 times as fast.
 *
 * On stdout each prints lines of JSON: {"ready": true} when it stands, {"leak": TID,
 * "t": S} when a thread has blocked for ever (S: CLOCK_BOOTTIME), {"deadlock": [TID…]}.
 */
#ifndef CORPUS_H
#define CORPUS_H

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa))
/* After a call: keeps it from becoming a jump. */
#define AFTER __asm__ volatile("" ::: "memory")

static const char *corpus_case;
static double corpus_minute_s; /* how long a minute of the default horizon lasts here */

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "corpus: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void begin(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: %s CASE HORIZON_S SEED\n", argv[0]);
		exit(64);
	}
	corpus_case = argv[1];
	corpus_minute_s = atof(argv[2]) / 30;
	srandom(strtoul(argv[3], NULL, 10));
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("{\"ready\": true}\n");
}

static inline bool is_case(const char *name)
{
	return strcmp(corpus_case, name) == 0;
}

static inline pid_t own_tid(void)
{
	return syscall(SYS_gettid);
}

static inline double boot_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* To be called by the thread right before it blocks for ever. */
static inline void note_leak(void)
{
	printf("{\"leak\": %d, \"t\": %.3f}\n", own_tid(), boot_s());
}

static inline void sleep_s(double seconds)
{
	struct timespec rest = {seconds, (seconds - (time_t)seconds) * 1e9};

	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static inline void sleep_minutes(double minutes)
{
	sleep_s(minutes * corpus_minute_s);
}

/* From 0 to 1, without either. */
static inline double uniform(void)
{
	return (random() + 1.0) / (RAND_MAX + 2.0);
}

/* Gaps as of a Poisson process. */
static inline double exponential(double mean)
{
	return -mean * log(uniform());
}

/* Heavy-tailed, at least `least`. */
static inline double pareto(double least, double shape)
{
	return least / pow(uniform(), 1 / shape);
}

static inline pthread_t start_thread_here(void *(*start)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	must(!pthread_attr_init(&attr), "pthread_attr_init");
	must(!pthread_attr_setstacksize(&attr, 64 * 1024), "pthread_attr_setstacksize");
	errno = pthread_create(&thread, &attr, start, arg);
	must(!errno, "pthread_create");
	pthread_attr_destroy(&attr);
	return thread;
}

#endif
