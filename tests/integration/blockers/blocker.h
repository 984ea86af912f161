/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs that block on purpose share. Each prints one JSON line when
 * it stands (its ground truth), then obeys lines on stdin until that ends.
 *
 * The line of a blocking call is marked in a comment, WAIT:name, and the line
 * of a chain of calls CHAIN:name: tests look the numbers up there.
 */
#ifndef BLOCKER_H
#define BLOCKER_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa)) /* noinline alone may clone, and rename, a function */
#endif
/* After a call: keeps it from becoming a jump. */
#define AFTER __asm__ volatile("" ::: "memory")

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "blocker: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void sleep_ms(int64_t ms)
{
	struct timespec rest = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static inline void start_thread_sized(void *(*start)(void *), void *arg, size_t stack_bytes)
{
	pthread_attr_t attr;
	pthread_t thread;

	must(!pthread_attr_init(&attr), "pthread_attr_init");
	must(!pthread_attr_setstacksize(&attr, stack_bytes), "pthread_attr_setstacksize");
	must(!pthread_attr_setguardsize(&attr, 0), "pthread_attr_setguardsize"); /* half the mappings */
	errno = pthread_create(&thread, &attr, start, arg);
	must(!errno, "pthread_create");
	pthread_attr_destroy(&attr);
}

static inline void start_thread_here(void *(*start)(void *), void *arg)
{
	start_thread_sized(start, arg, 64 * 1024);
}

#endif
