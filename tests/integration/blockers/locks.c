/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that wait for locks for ever: deadlocks of every kind whose owner libc
 * records, locks whose owner is gone, a live but slow holder, a cycle of timed
 * waits. "fork": the same in a child, which has inherited a locked mutex.
 *
 * Prints the TIDs of each deadlock, as its PID namespace counts them.
 */
#include "blocker.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { WAITERS = 12, ROLES = 64 };

/* One thread: takes the first lock, and when all have done so the second. */
struct role {
	const char *group;
	pthread_mutex_t *first, *second;
	bool timed;
	pid_t tid;
};

static struct role roles[ROLES];
static int roles_len;
static pthread_barrier_t all_hold;
static pthread_mutex_t slow_lock = PTHREAD_MUTEX_INITIALIZER, inherited = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlocks[2] = {PTHREAD_RWLOCK_INITIALIZER, PTHREAD_RWLOCK_INITIALIZER};
static pthread_t joiners[2];
static pid_t joiner_tids[2], writer_tids[2];
static pthread_mutex_t *robust; /* shared with a child that is gone */

static NOINLINE void take(pthread_mutex_t *lock)
{
	pthread_mutex_lock(lock); /* WAIT:lock */
	AFTER;
}

/* Gives up after two seconds, and tries again: no deadlock for good. */
static NOINLINE void take_timed(pthread_mutex_t *lock)
{
	struct timespec until;

	do {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 2;
	} while (pthread_mutex_timedlock(lock, &until) == ETIMEDOUT);
	AFTER;
}

static NOINLINE void *take_both(void *arg)
{
	struct role *role = arg;

	role->tid = own_tid();
	if (role->first)
		take(role->first);
	pthread_barrier_wait(&all_hold);
	if (role->timed)
		take_timed(role->second);
	else
		take(role->second);
	AFTER;
	return NULL;
}

static NOINLINE void *write_both(void *arg)
{
	int own = (intptr_t)arg;

	writer_tids[own] = own_tid();
	pthread_rwlock_wrlock(&rwlocks[own]);
	pthread_barrier_wait(&all_hold);
	pthread_rwlock_wrlock(&rwlocks[!own]);
	AFTER;
	return NULL;
}

static NOINLINE void *join_other(void *arg)
{
	int own = (intptr_t)arg;

	joiner_tids[own] = own_tid();
	pthread_barrier_wait(&all_hold);
	pthread_join(joiners[!own], NULL);
	AFTER;
	return NULL;
}

/* A holder that lives, and sleeps. */
static NOINLINE void *hold_slowly(void *arg)
{
	take(&slow_lock);
	pthread_barrier_wait(&all_hold);
	for (;;)
		sleep_ms(100);
	return arg;
}

static NOINLINE void *take_and_exit(void *arg)
{
	take(arg);
	AFTER;
	return NULL;
}

static pthread_mutex_t *new_lock(int type, int protocol)
{
	pthread_mutex_t *lock = calloc(1, sizeof(*lock));
	pthread_mutexattr_t attr;

	must(lock, "calloc");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setprotocol(&attr, protocol);
	must(!pthread_mutex_init(lock, &attr), "pthread_mutex_init");
	return lock;
}

static void add_role(const char *group, pthread_mutex_t *first, pthread_mutex_t *second, bool timed)
{
	roles[roles_len++] = (struct role){.group = group, .first = first, .second = second, .timed = timed};
}

/* len threads, each of which holds the lock that the one before it waits for. */
static void add_cycle(const char *group, int len, int type, int protocol, bool timed)
{
	pthread_mutex_t *locks[8];

	for (int i = 0; i < len; i++)
		/* one of the other kind: a circle of PI locks alone the kernel would refuse to close */
		locks[i] = new_lock(type, i ? PTHREAD_PRIO_NONE : protocol);
	for (int i = 0; i < len; i++)
		add_role(group, locks[i], locks[(i + 1) % len], timed);
	if (len > 1 && !timed)
		add_role("behind", NULL, locks[0], false);
}

/* A lock that a process took and died with. */
static void orphan_between_processes(void)
{
	pthread_mutexattr_t attr;
	pid_t child;

	robust = mmap(NULL, sizeof(*robust), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(robust != MAP_FAILED, "mmap");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	must(!pthread_mutex_init(robust, &attr), "pthread_mutex_init");
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		pthread_mutex_lock(robust);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	add_role("orphan", NULL, robust, false);
}

static void print_group(const char *group)
{
	const char *separator = "";

	printf("\"%s\": [", group);
	for (int i = 0; i < roles_len; i++) {
		if (strcmp(roles[i].group, group))
			continue;
		printf("%s%d", separator, roles[i].tid);
		separator = ", ";
	}
	printf("], ");
}

static void print_truth(void)
{
	static const char *const groups[] = {
		"ab-ba", "self", "three", "recursive", "pi", "timed", "orphan", "slow", "behind"};

	printf("{\"pid\": %d, \"groups\": {", getpid());
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		print_group(groups[i]);
	printf("\"rwlock\": [%d, %d], \"join\": [%d, %d]}}\n", writer_tids[0], writer_tids[1], joiner_tids[0],
		joiner_tids[1]);
	fflush(stdout);
}

static void start_all(void)
{
	pthread_t thread;

	pthread_barrier_init(&all_hold, NULL, roles_len + 6);
	for (int i = 0; i < roles_len; i++)
		start_thread_here(take_both, &roles[i]);
	for (intptr_t i = 0; i < 2; i++)
		start_thread_here(write_both, (void *)i);
	for (intptr_t i = 0; i < 2; i++)
		must(!pthread_create(&joiners[i], NULL, join_other, (void *)i), "pthread_create");
	must(!pthread_create(&thread, NULL, hold_slowly, NULL), "pthread_create");
	pthread_barrier_wait(&all_hold);
}

static void add_all(void)
{
	pthread_mutex_t *left = new_lock(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE);
	pthread_t thread;

	add_cycle("ab-ba", 2, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, false);
	add_cycle("self", 1, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, false);
	add_cycle("three", 3, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, false);
	add_cycle("recursive", 2, PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, false);
	add_cycle("pi", 2, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, false);
	add_cycle("timed", 2, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, true);
	must(!pthread_create(&thread, NULL, take_and_exit, left), "pthread_create");
	pthread_join(thread, NULL);
	add_role("orphan", NULL, left, false);
	orphan_between_processes();
	for (int i = 0; i < WAITERS; i++)
		add_role("slow", NULL, &slow_lock, false);
}

/* The child of a process that held a lock when it forked waits for it for ever. */
static void run_forked(void)
{
	pid_t child;

	pthread_mutex_lock(&inherited);
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take(&inherited);
		_exit(0);
	}
	printf("{\"pid\": %d, \"child\": %d}\n", getpid(), child);
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "fork"))
		run_forked();
	add_all();
	start_all();
	sleep_ms(200);
	print_truth();
	for (;;)
		pause();
}
