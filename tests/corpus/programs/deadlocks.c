// SPDX-License-Identifier: GPL-2.0-or-later
// clang-format off
/*
 * Deadlocks and orphaned locks, and what looks like one and is none. Beside each, two threads wait behind it that are
 * no part of it, and two healthy threads contend for a lock.
 *   abba, recursive, rwlock, three  cycles of mutexes (normal, recursive, with an rwlock, of three threads)
 *   pi            the kernel sees this cycle and fails the last lock; glibc then has that thread wait for ever on a word
 *                 of its own, which is nobody's lock: all that can be said is that they are stuck
 *   pi-mixed      a PI mutex and a normal one: the kernel does not see this cycle
 *   self          a normal mutex locked twice
 *   join          a thread waits for a lock, its owner joins it
 *   owner-exited  the thread that holds the lock has ended
 *   forked        the process was forked while another thread held the lock, the child wants it
 *   shared-exited the lock is in shared memory, the process that holds it has ended
 *   robust-many   the same with robust mutexes, more of them than the kernel looks at when their owner ends
 *   robust        the same with one: the next owner is told, so this is none
 *   handed-on     threads that take the lock once and end, while others come: its owner of a moment ago is always gone
 *   slow-holder   one holds the lock for long, again and again; many wait
 *   timed         a cycle in which both give up after a time and try again
 */
// clang-format on
#include "corpus.h"

#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MEMBERS 3
#define ROBUST_LIMIT 2048 /* ROBUST_LIST_LIMIT of the kernel */
#define BYSTANDERS 2
#define HEIRS 40

static pthread_mutex_t locks[MEMBERS];
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t all_hold;
static pid_t cycle[MEMBERS];
static int cycle_len;
static pthread_t joined;
static sem_t room;

static void init_mutex(pthread_mutex_t *mutex, int type, bool pi, bool shared, bool robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setprotocol(&attr, pi ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
	pthread_mutexattr_setpshared(&attr, shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
	pthread_mutexattr_setrobust(&attr, robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
	must(!pthread_mutex_init(mutex, &attr), "pthread_mutex_init");
}

/* --- what threads do ------------------------------------------------------------------------------------------------
 */

static NOINLINE int lock_other(pthread_mutex_t *mutex)
{
	int error = pthread_mutex_lock(mutex);

	AFTER;
	return error;
}

/* Holds its lock, and wants that of the next. */
static void *hold_and_want(void *arg)
{
	int own = (int)(intptr_t)arg;

	cycle[own] = own_tid();
	pthread_mutex_lock(&locks[own]);
	pthread_barrier_wait(&all_hold);
	lock_other(&locks[(own + 1) % cycle_len]);
	return arg;
}

static NOINLINE void lock_for_writing(void)
{
	pthread_rwlock_wrlock(&rwlock);
	AFTER;
}

/* 0 holds the rwlock and wants the mutex, 1 the other way round. */
static void *hold_and_want_rwlock(void *arg)
{
	int own = (int)(intptr_t)arg;

	cycle[own] = own_tid();
	if (own == 0)
		pthread_rwlock_wrlock(&rwlock);
	else
		pthread_mutex_lock(&locks[0]);
	pthread_barrier_wait(&all_hold);
	if (own == 0)
		lock_other(&locks[0]);
	else
		lock_for_writing();
	return arg;
}

static void *want(void *arg)
{
	rest(0.01);
	lock_other((pthread_mutex_t *)arg);
	pthread_mutex_unlock((pthread_mutex_t *)arg);
	return NULL;
}

static void *lock_twice(void *arg)
{
	cycle[0] = own_tid();
	lock_other(&locks[0]);
	pthread_barrier_wait(&all_hold);
	lock_other(&locks[0]);
	return arg;
}

static void *want_and_be_joined(void *arg)
{
	cycle[0] = own_tid();
	pthread_barrier_wait(&all_hold);
	lock_other(&locks[0]);
	return arg;
}

static NOINLINE void join_other(void)
{
	pthread_join(joined, NULL);
	AFTER;
}

static void *hold_and_join(void *arg)
{
	cycle[1] = own_tid();
	pthread_mutex_lock(&locks[0]);
	pthread_barrier_wait(&all_hold);
	join_other();
	return arg;
}

static void *lock_and_exit(void *arg)
{
	pthread_mutex_lock(&locks[0]);
	return arg;
}

static void *hold_until_forked(void *arg)
{
	pthread_mutex_lock(&locks[0]);
	pthread_barrier_wait(&all_hold);
	pthread_barrier_wait(&all_hold);
	pthread_mutex_unlock(&locks[0]);
	return arg;
}

static void *hold_for_long(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&locks[0]);
		rest(0.02);
		pthread_mutex_unlock(&locks[0]);
		sched_yield();
	}
	return arg;
}

static void *want_again(void *arg)
{
	for (;;) {
		lock_other(&locks[0]);
		pthread_mutex_unlock(&locks[0]);
		rest(0.01);
	}
	return arg;
}

static NOINLINE bool lock_for_a_while(pthread_mutex_t *mutex, double horizons)
{
	struct timespec deadline = deadline_in(horizons);

	return pthread_mutex_timedlock(mutex, &deadline) == 0;
}

/* Both hold theirs and want the other's until one gives up; both try again. */
static void *try_and_give_up(void *arg)
{
	int own = (int)(intptr_t)arg;

	for (;;) {
		pthread_mutex_lock(&locks[own]);
		rest(0.002);
		if (lock_for_a_while(&locks[!own], 0.05 + 0.02 * own))
			pthread_mutex_unlock(&locks[!own]);
		pthread_mutex_unlock(&locks[own]);
		rest(0.001);
	}
	return arg;
}

static void *be_healthy(void *arg)
{
	for (;;) {
		pthread_mutex_lock((pthread_mutex_t *)arg);
		rest(1 / 7200.);
		pthread_mutex_unlock((pthread_mutex_t *)arg);
		rest(1 / 3600.);
	}
	return NULL;
}

/* --- shapes
 * ----------------------------------------------------------------------------------------------------------- */

static void start_bystanders(pthread_mutex_t *mutex)
{
	for (int i = 0; i < BYSTANDERS; i++)
		start_thread_here(want, mutex);
}

static void make_cycle(int len, void *(*start)(void *), int type, bool pi)
{
	cycle_len = len;
	pthread_barrier_init(&all_hold, NULL, (unsigned)len + 1);
	for (int i = 0; i < len; i++) {
		init_mutex(&locks[i], type, pi && (i == 0 || shape_is("pi")), false, false);
		start_thread_here(start, (void *)(intptr_t)i);
	}
	pthread_barrier_wait(&all_hold);
	rest(0.005);
	say_truth(shape_is("pi") ? "stuck" : "deadlock", "lock_other", getpid(), cycle, len);
	start_bystanders(&locks[0]);
}

static void make_join_cycle(void)
{
	pthread_barrier_init(&all_hold, NULL, 3);
	init_mutex(&locks[0], PTHREAD_MUTEX_NORMAL, false, false, false);
	must(!pthread_create(&joined, NULL, want_and_be_joined, NULL), "pthread_create");
	start_thread_here(hold_and_join, NULL);
	pthread_barrier_wait(&all_hold);
	say_truth("deadlock", "join_other", getpid(), cycle, 2);
	start_bystanders(&locks[0]);
}

static void orphan_by_exit(void)
{
	pthread_t owner;
	pid_t self = own_tid();

	init_mutex(&locks[0], PTHREAD_MUTEX_NORMAL, false, false, false);
	must(!pthread_create(&owner, NULL, lock_and_exit, NULL) && !pthread_join(owner, NULL), "owner");
	say_truth("orphaned_lock", "lock_other", getpid(), &self, 1);
	start_bystanders(&locks[0]);
	say_ready();
	lock_other(&locks[0]);
}

static void orphan_by_fork(void)
{
	char line[64];
	pid_t child;

	pthread_barrier_init(&all_hold, NULL, 2);
	init_mutex(&locks[0], PTHREAD_MUTEX_NORMAL, false, false, false);
	start_thread_here(hold_until_forked, NULL);
	pthread_barrier_wait(&all_hold);
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		lock_other(&locks[0]);
		_exit(0);
	}
	pthread_barrier_wait(&all_hold);
	say_truth("orphaned_lock", "lock_other", child, &child, 1);
	snprintf(line, sizeof(line), ", \"pids\": [%d, %d]", getpid(), child);
	say("ready", line);
}

/* A process that locks all so many mutexes in shared memory, in order, and ends. */
static pthread_mutex_t *orphan_by_process(int len, bool robust)
{
	size_t bytes = (size_t)len * sizeof(pthread_mutex_t);
	pthread_mutex_t *shared =
		(pthread_mutex_t *)mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	must(shared != MAP_FAILED, "mmap");
	for (int i = 0; i < len; i++)
		init_mutex(&shared[i], PTHREAD_MUTEX_NORMAL, false, true, robust);
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		for (int i = 0; i < len; i++)
			pthread_mutex_lock(&shared[i]);
		_exit(0);
	}
	must(waitpid(child, NULL, 0) == child, "waitpid");
	return shared;
}

/* The kernel marks the locks that were taken last: the first one is forgotten. */
static void want_orphan(int len, bool robust)
{
	pthread_mutex_t *shared = orphan_by_process(len, robust);
	pid_t self = own_tid();

	say_truth("orphaned_lock", "lock_other", getpid(), &self, 1);
	start_bystanders(&shared[0]);
	say_ready();
	lock_other(&shared[0]);
}

static void recover(void)
{
	pthread_mutex_t *shared = orphan_by_process(1, true);

	say_truth("silent", NULL, getpid(), NULL, 0);
	must(lock_other(shared) == EOWNERDEAD && !pthread_mutex_consistent(shared), "EOWNERDEAD");
	pthread_mutex_unlock(shared);
	start_bystanders(shared);
}

static void be_slow(void)
{
	init_mutex(&locks[0], PTHREAD_MUTEX_NORMAL, false, false, false);
	start_thread_here(hold_for_long, NULL);
	for (int i = 0; i < 30; i++)
		start_thread_here(want_again, NULL);
	say_truth("unconfirmed", NULL, getpid(), NULL, 0);
}

static void *inherit(void *arg)
{
	lock_other(&locks[0]);
	rest(1 / 15000.);
	pthread_mutex_unlock(&locks[0]);
	sem_post(&room);
	return arg;
}

static void *send_heirs(void *arg)
{
	for (;;) {
		while (sem_wait(&room))
			;
		start_thread_here(inherit, NULL);
	}
	return arg;
}

static void hand_on(void)
{
	init_mutex(&locks[0], PTHREAD_MUTEX_NORMAL, false, false, false);
	must(!sem_init(&room, 0, HEIRS), "sem_init");
	start_thread_here(send_heirs, NULL);
	say_truth("silent", NULL, getpid(), NULL, 0);
}

static void retry(void)
{
	for (int i = 0; i < 2; i++) {
		init_mutex(&locks[i], PTHREAD_MUTEX_NORMAL, false, false, false);
		start_thread_here(try_and_give_up, (void *)(intptr_t)i);
	}
	say_truth("unconfirmed", NULL, getpid(), NULL, 0);
}

static void make_shape(void)
{
	if (shape_is("abba"))
		make_cycle(2, hold_and_want, PTHREAD_MUTEX_NORMAL, false);
	else if (shape_is("recursive"))
		make_cycle(2, hold_and_want, PTHREAD_MUTEX_RECURSIVE, false);
	else if (shape_is("pi") || shape_is("pi-mixed"))
		make_cycle(2, hold_and_want, PTHREAD_MUTEX_NORMAL, true);
	else if (shape_is("three"))
		make_cycle(3, hold_and_want, PTHREAD_MUTEX_NORMAL, false);
	else if (shape_is("rwlock"))
		make_cycle(2, hold_and_want_rwlock, PTHREAD_MUTEX_NORMAL, false);
	else if (shape_is("self"))
		make_cycle(1, lock_twice, PTHREAD_MUTEX_NORMAL, false);
	else if (shape_is("join"))
		make_join_cycle();
	else if (shape_is("owner-exited"))
		orphan_by_exit();
	else if (shape_is("forked"))
		orphan_by_fork();
	else if (shape_is("shared-exited"))
		want_orphan(1, false);
	else if (shape_is("robust-many"))
		want_orphan(ROBUST_LIMIT + 100, true);
	else if (shape_is("robust"))
		recover();
	else if (shape_is("handed-on"))
		hand_on();
	else if (shape_is("slow-holder"))
		be_slow();
	else if (shape_is("timed"))
		retry();
	else
		unknown_shape();
}

int main(int argc, char **argv)
{
	static pthread_mutex_t healthy = PTHREAD_MUTEX_INITIALIZER;

	corpus_begin(argc, argv);
	if (!shape_is("forked")) /* where only one thread may hold what */
		for (int i = 0; i < 2; i++)
			start_thread_here(be_healthy, &healthy);
	rest(0.02);
	make_shape();
	if (!shape_is("forked"))
		say_ready();
	for (;;)
		rest(1);
}
