/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs of the corpus share, in C and C++: options, time in units of the horizon, random numbers from a
 * seed, and the log of what is true. Every line of the log is one JSON object with "t" (CLOCK_BOOTTIME, seconds):
 *   {"event": "begin", "pid", "seed"}  {"event": "ready", "pids": […]}
 *   {"event": "leak", "tid"}           a thread that is about to block for ever
 *   {"event": "truth", "kind", "leaf", "pid", "tids"}
 */
#ifndef CORPUS_H
#define CORPUS_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa)) /* noinline alone may clone, and rename, a function */
/* After a call: keeps it from becoming a jump. */
#define AFTER __asm__ volatile("" ::: "memory")

static struct {
	double scale_s; /* one horizon */
	uint64_t seed;
	const char *shape;
	const char *arrival; /* steady, bursts, irregular or accelerating */
	double rate;         /* arrivals a horizon */
	int log;
	uint64_t streams; /* random sequences given out: one a thread */
	int burst_left;
	double begun_s;
} corpus;

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "corpus: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static inline double boottime_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* --- the log ------------------------------------------------------------------------------------------------------ */

static inline void say(const char *event, const char *rest)
{
	char line[4096];
	int len = snprintf(line, sizeof(line), "{\"t\": %.6f, \"event\": \"%s\"%s}\n", boottime_s(), event, rest);

	must(len < (int)sizeof(line) && write(corpus.log, line, (size_t)len) == len, "the log");
}

static inline void say_ready(void)
{
	char rest[64];

	snprintf(rest, sizeof(rest), ", \"pids\": [%d]", getpid());
	say("ready", rest);
}

/* The calling thread is about to block for ever. */
static inline void say_leak(void)
{
	char rest[64];

	snprintf(rest, sizeof(rest), ", \"tid\": %d", own_tid());
	say("leak", rest);
}

/* kind: leak, deadlock, orphaned_lock, stuck, silent, ambiguous or unconfirmed; leaf: the innermost function of ours,
 * or NULL.
 */
static inline void say_truth(const char *kind, const char *leaf, pid_t pid, const pid_t *tids, int len)
{
	char rest[2048];
	int used = snprintf(rest, sizeof(rest), ", \"kind\": \"%s\", \"leaf\": %s%s%s, \"pid\": %d, \"tids\": [", kind,
		leaf ? "\"" : "", leaf ? leaf : "null", leaf ? "\"" : "", pid);

	for (int i = 0; i < len; i++)
		used += snprintf(rest + used, sizeof(rest) - (size_t)used, "%s%d", i ? ", " : "", tids[i]);
	snprintf(rest + used, sizeof(rest) - (size_t)used, "]");
	say("truth", rest);
}

/* --- options --------------------------------------------------------------------------------------------------------
 */

/* PROGRAM [SHAPE] [--scale S] [--seed N] [--log FILE] [--arrival NAME] [--rate PER_HORIZON] */
static inline void corpus_begin(int argc, char **argv)
{
	char rest[64];

	corpus.scale_s = 1800;
	corpus.seed = 1;
	corpus.shape = corpus.arrival = "steady";
	corpus.rate = 15;
	corpus.log = STDOUT_FILENO;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strncmp(argv[i], "--", 2) != 0) {
			corpus.shape = argv[i];
			continue;
		}
		if (!strcmp(argv[i], "--scale"))
			corpus.scale_s = atof(value);
		else if (!strcmp(argv[i], "--seed"))
			corpus.seed = strtoull(value, NULL, 10);
		else if (!strcmp(argv[i], "--arrival"))
			corpus.arrival = value;
		else if (!strcmp(argv[i], "--rate"))
			corpus.rate = atof(value);
		else if (!strcmp(argv[i], "--log"))
			corpus.log = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		else
			must(false, argv[i]);
		i++;
	}
	must(corpus.log >= 0 && corpus.scale_s > 0 && corpus.rate > 0, "options");
	corpus.begun_s = boottime_s();
	snprintf(rest, sizeof(rest), ", \"pid\": %d, \"seed\": %llu", getpid(), (unsigned long long)corpus.seed);
	say("begin", rest);
}

static inline bool shape_is(const char *shape)
{
	return !strcmp(corpus.shape, shape);
}

static inline void unknown_shape(void)
{
	errno = EINVAL;
	must(false, corpus.shape);
}

/* --- random numbers -------------------------------------------------------------------------------------------------
 */

static inline uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* In (0, 1). Each thread has a sequence of its own. */
static inline double uniform(void)
{
	static __thread uint64_t state;

	if (!state)
		state = mix(
			corpus.seed * 0x9e3779b97f4a7c15ull + __atomic_add_fetch(&corpus.streams, 1, __ATOMIC_RELAXED));
	state += 0x9e3779b97f4a7c15ull;
	return ((double)(mix(state) >> 12) + 0.5) / (double)(1ull << 52);
}

static inline double exponential(double mean)
{
	return -mean * log(uniform());
}

static inline double pareto(double shortest, double alpha)
{
	return shortest * pow(uniform(), -1 / alpha);
}

/* --- time, in horizons ----------------------------------------------------------------------------------------------
 */

static inline double elapsed(void)
{
	return (boottime_s() - corpus.begun_s) / corpus.scale_s;
}

static inline struct timespec timespec_of(double seconds)
{
	struct timespec time;

	time.tv_sec = (time_t)seconds;
	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	return time;
}

static inline void rest(double horizons)
{
	struct timespec left = timespec_of(horizons * corpus.scale_s);

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* The CLOCK_REALTIME at which a wait of so many horizons ends, for pthread_cond_timedwait and its like. */
static inline struct timespec deadline_in(double horizons)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return timespec_of((double)now.tv_sec + (double)now.tv_nsec / 1e9 + horizons * corpus.scale_s);
}

/* Rests until the next arrival: one of corpus.rate a horizon, as corpus.arrival says. */
static inline void rest_until_next(void)
{
	double gap = 1 / corpus.rate;

	if (!strcmp(corpus.arrival, "irregular")) {
		gap = exponential(gap);
	} else if (!strcmp(corpus.arrival, "accelerating")) {
		gap /= 0.5 + elapsed();
	} else if (!strcmp(corpus.arrival, "bursts")) {
		bool inside = corpus.burst_left > 0;

		corpus.burst_left = inside ? corpus.burst_left - 1 : 2 + (int)(uniform() * 3);
		gap *= inside ? 0.02 : (corpus.burst_left + 1) * (0.8 + 0.4 * uniform());
	} else {
		gap *= 0.8 + 0.4 * uniform();
	}
	rest(gap);
}

/* --- threads --------------------------------------------------------------------------------------------------------
 */

static inline void start_thread_here(void *(*start)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	must(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, 128 * 1024) &&
			!pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED),
		"pthread_attr");
	errno = pthread_create(&thread, &attr, start, arg);
	must(!errno, "pthread_create");
	pthread_attr_destroy(&attr);
}

static inline void *must_have(void *memory)
{
	must(memory != NULL, "memory");
	return memory;
}

#endif
