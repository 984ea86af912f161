// SPDX-License-Identifier: GPL-2.0-or-later
/* Owners of real locks of the libc that runs here: the test holds each, a thread blocks on it, and the test reads its
 * own memory. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/owners.h"

#define NR_FUTEX 202
#define DEADLINE_S 20
#define FAR_S 1000
#define CEILING 1

#define NORMAL PTHREAD_MUTEX_NORMAL
#define RECURSIVE PTHREAD_MUTEX_RECURSIVE
#define ERRORCHECK PTHREAD_MUTEX_ERRORCHECK
#define ADAPTIVE PTHREAD_MUTEX_ADAPTIVE_NP
#define INHERIT PTHREAD_PRIO_INHERIT
#define PROTECT PTHREAD_PRIO_PROTECT

#define SOFT LM_OWNER_SOFT
#define STRONG LM_OWNER_STRONG
#define CERTAIN LM_OWNER_CERTAIN

enum how { LOCK, TIMED, CLOCK, READ, WRITE, TIMED_READ, TIMED_WRITE, JOIN };

struct row {
	const char *what;
	int type, protocol;
	bool robust, shared;
	enum how how;
	enum lm_owner_strength strength;
	bool process_shared;
};

static const struct row rows[] = {
	{"normal", NORMAL, 0, false, false, LOCK, STRONG, false},
	{"recursive", RECURSIVE, 0, false, false, LOCK, STRONG, false},
	{"error-checking", ERRORCHECK, 0, false, false, LOCK, STRONG, false},
	{"adaptive", ADAPTIVE, 0, false, false, LOCK, STRONG, false},
	{"shared", NORMAL, 0, false, true, LOCK, STRONG, true},
	{"shared, recursive", RECURSIVE, 0, false, true, LOCK, STRONG, true},
	{"timed", NORMAL, 0, false, false, TIMED, SOFT, false},
	{"timed, monotonic", RECURSIVE, 0, false, false, CLOCK, SOFT, false},
	{"timed, shared", NORMAL, 0, false, true, TIMED, SOFT, true},
	{"PI", NORMAL, INHERIT, false, false, LOCK, CERTAIN, false},
	{"PI, recursive", RECURSIVE, INHERIT, false, false, LOCK, CERTAIN, false},
	{"PI, shared", NORMAL, INHERIT, false, true, LOCK, CERTAIN, true},
	{"PI, timed", NORMAL, INHERIT, false, false, TIMED, SOFT, false},
	{"PI, monotonic", NORMAL, INHERIT, false, false, CLOCK, SOFT, false},
	{"robust", NORMAL, 0, true, false, LOCK, CERTAIN, true},
	{"robust, recursive", RECURSIVE, 0, true, false, LOCK, CERTAIN, true},
	{"robust, shared", NORMAL, 0, true, true, LOCK, CERTAIN, true},
	{"robust, timed", NORMAL, 0, true, false, TIMED, SOFT, true},
	{"robust, monotonic", NORMAL, 0, true, false, CLOCK, SOFT, true},
	{"robust and PI", ERRORCHECK, INHERIT, true, false, LOCK, CERTAIN, true},
	{"robust and PI, shared", NORMAL, INHERIT, true, true, LOCK, CERTAIN, true},
	{"reader", 0, 0, false, false, READ, STRONG, false},
	{"writer", 0, 0, false, false, WRITE, STRONG, false},
	{"reader, shared", 0, 0, false, true, READ, STRONG, true},
	{"writer, shared", 0, 0, false, true, WRITE, STRONG, true},
	{"reader, timed", 0, 0, false, false, TIMED_READ, SOFT, false},
	{"writer, timed", 0, 0, false, false, TIMED_WRITE, SOFT, false},
};

struct scene {
	const struct row *row;
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	pthread_t joined;
	atomic_int tid; /* of the waiter */
};

static struct timespec far_on(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_sec += FAR_S;
	return time;
}

static void wait_for_rwlock(struct scene *scene)
{
	struct timespec far = far_on(CLOCK_REALTIME);

	if (scene->row->how == READ)
		pthread_rwlock_rdlock(&scene->rwlock);
	else if (scene->row->how == WRITE)
		pthread_rwlock_wrlock(&scene->rwlock);
	else if (scene->row->how == TIMED_READ)
		pthread_rwlock_timedrdlock(&scene->rwlock, &far);
	else
		pthread_rwlock_timedwrlock(&scene->rwlock, &far);
	pthread_rwlock_unlock(&scene->rwlock);
}

static void wait_for_mutex(struct scene *scene)
{
	struct timespec far = far_on(CLOCK_REALTIME), far_monotonic = far_on(CLOCK_MONOTONIC);

	if (scene->row->how == TIMED)
		pthread_mutex_timedlock(&scene->mutex, &far);
	else if (scene->row->how == CLOCK)
		pthread_mutex_clocklock(&scene->mutex, CLOCK_MONOTONIC, &far_monotonic);
	else
		pthread_mutex_lock(&scene->mutex);
	pthread_mutex_unlock(&scene->mutex);
}

static void *wait_there(void *argument)
{
	struct scene *scene = argument;

	atomic_store(&scene->tid, (int)syscall(SYS_gettid));
	if (scene->row->how == JOIN)
		pthread_join(scene->joined, NULL);
	else if (scene->row->how >= READ)
		wait_for_rwlock(scene);
	else
		wait_for_mutex(scene);
	return NULL;
}

static int make_locks(struct scene *scene)
{
	const struct row *row = scene->row;
	pthread_mutexattr_t mutexattr;
	pthread_rwlockattr_t rwlockattr;
	int shared = row->shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE;
	int error;

	pthread_mutexattr_init(&mutexattr);
	pthread_mutexattr_settype(&mutexattr, row->type);
	pthread_mutexattr_setprotocol(&mutexattr, row->protocol);
	if (row->protocol == PROTECT)
		pthread_mutexattr_setprioceiling(&mutexattr, CEILING);
	pthread_mutexattr_setrobust(&mutexattr, row->robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
	pthread_mutexattr_setpshared(&mutexattr, shared);
	error = pthread_mutex_init(&scene->mutex, &mutexattr);
	pthread_rwlockattr_init(&rwlockattr);
	pthread_rwlockattr_setpshared(&rwlockattr, shared);
	return error ? error : pthread_rwlock_init(&scene->rwlock, &rwlockattr);
}

/* The registers of a thread that is blocked on a futex within the object: /proc has its system call then. */
static bool read_futex_call(int tid, const void *object, size_t size, struct lm_regs *regs)
{
	unsigned long long args[6];
	int nr = -1, found = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	found = fscanf(file, "%d %llx %llx %llx %llx %llx %llx", &nr, &args[0], &args[1], &args[2], &args[3], &args[4],
		&args[5]);
	fclose(file);
	if (found != 7 || nr != NR_FUTEX || args[0] - (uintptr_t)object >= size)
		return false;
	*regs = (struct lm_regs){
		.nr = nr, .di = args[0], .si = args[1], .dx = args[2], .r10 = args[3], .r8 = args[4], .r9 = args[5]};
	return true;
}

static bool await_block(struct scene *scene, const void *object, size_t size, struct lm_regs *regs)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += DEADLINE_S;
	do {
		int tid = atomic_load(&scene->tid);

		if (tid && read_futex_call(tid, object, size, regs))
			return true;
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	return false;
}

static enum lm_wait_class class_of(const struct row *row)
{
	return row->how == JOIN           ? LM_WAIT_FUTEX_JOIN
	       : row->how >= READ         ? LM_WAIT_FUTEX_RWLOCK
	       : row->protocol == INHERIT ? LM_WAIT_FUTEX_PI
					  : LM_WAIT_FUTEX_MUTEX;
}

static void check_blocked(const struct row *row, const struct lm_regs *regs, const void *object, size_t size)
{
	struct lm_owner_wait wait = {.wait_class = class_of(row), .regs = *regs, .has_lock_function = true};
	uint8_t bytes[LM_OWNER_READ_MAX];
	struct lm_owner_read read;
	struct lm_owner owner;

	assert_int_equal(lm_owner_plan(&wait, &read), 0);
	assert_true(read.address >= (uintptr_t)object && read.length <= size);
	memcpy(bytes, (const void *)(uintptr_t)read.address, read.length);
	assert_int_equal(lm_owner_decode(&read, bytes, read.length, &owner), 0);
	assert_int_equal(owner.tid, syscall(SYS_gettid));
	assert_int_equal(owner.lock, (uintptr_t)object);
	assert_int_equal(owner.word, *(const uint32_t *)(uintptr_t)regs->di);
	assert_int_equal(owner.strength, row->strength);
	assert_int_equal(owner.process_shared, row->process_shared);
	assert_false(owner.owner_died);
}

static void check_row(const struct row *row)
{
	struct scene scene = {.row = row};
	bool is_rwlock = row->how >= READ;
	const void *object = is_rwlock ? (void *)&scene.rwlock : (void *)&scene.mutex;
	size_t size = is_rwlock ? sizeof(scene.rwlock) : sizeof(scene.mutex);
	struct lm_regs regs;
	pthread_t thread;

	print_message("%s\n", row->what);
	assert_int_equal(make_locks(&scene), 0);
	assert_int_equal(is_rwlock ? pthread_rwlock_wrlock(&scene.rwlock) : pthread_mutex_lock(&scene.mutex), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_there, &scene), 0);
	assert_true(await_block(&scene, object, size, &regs));
	check_blocked(row, &regs, object, size);
	assert_int_equal(is_rwlock ? pthread_rwlock_unlock(&scene.rwlock) : pthread_mutex_unlock(&scene.mutex), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void every_real_lock_has_its_owner(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

/* Both threads need a real-time priority of at most the ceiling. */
static void a_mutex_with_a_ceiling_has_its_owner(void **state)
{
	struct row row = {"ceiling", NORMAL, PROTECT, false, false, LOCK, STRONG, false};
	struct sched_param other = {0}, first = {.sched_priority = CEILING};

	(void)state;
	if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &first)) {
		print_message("no real-time priority may be taken here\n");
		skip();
	}
	check_row(&row);
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &other);
}

static void a_writer_behind_readers_has_no_owner(void **state)
{
	struct row row = {"writer behind readers", 0, 0, false, false, WRITE, STRONG, false};
	struct scene scene = {.row = &row};
	struct lm_owner_wait wait = {.wait_class = LM_WAIT_FUTEX_RWLOCK};
	struct lm_owner_read read;
	pthread_t thread;

	(void)state;
	assert_int_equal(make_locks(&scene), 0);
	assert_int_equal(pthread_rwlock_rdlock(&scene.rwlock), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_there, &scene), 0);
	assert_true(await_block(&scene, &scene.rwlock, sizeof(scene.rwlock), &wait.regs));
	assert_int_equal(lm_owner_plan(&wait, &read), -ENOENT);
	pthread_rwlock_unlock(&scene.rwlock);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *pass_gate(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return NULL;
}

static void a_join_waits_in_the_tcb_of_the_thread_joined(void **state)
{
	struct row row = {"join", 0, 0, false, false, JOIN, STRONG, false};
	struct scene scene = {.row = &row};
	struct lm_owner_wait wait = {.wait_class = LM_WAIT_FUTEX_JOIN};
	struct lm_owner_read read;
	pthread_t thread;

	(void)state;
	pthread_mutex_lock(&gate);
	assert_int_equal(pthread_create(&scene.joined, NULL, pass_gate, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_there, &scene), 0);
	/* a pthread_t is the FS base of its thread */
	assert_true(await_block(&scene, (const void *)scene.joined, 4096, &wait.regs));
	assert_int_equal(lm_owner_plan(&wait, &read), 0);
	assert_int_equal(read.layout, LM_OWNER_THREAD);
	assert_true(read.word - scene.joined < 4096);
	pthread_mutex_unlock(&gate);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *die_with_lock(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

/* The owner's TID stays in a mutex that is not robust: whether it still exists is for others to see. */
static void a_lock_keeps_the_owner_that_ended(void **state)
{
	struct row row = {"orphan", NORMAL, 0, false, false, LOCK, STRONG, false};
	struct scene scene = {.row = &row};
	struct lm_owner_wait wait = {.wait_class = LM_WAIT_FUTEX_MUTEX};
	struct lm_owner_read read;
	struct lm_owner owner;
	pthread_t dead, thread;

	(void)state;
	assert_int_equal(make_locks(&scene), 0);
	assert_int_equal(pthread_create(&dead, NULL, die_with_lock, &scene.mutex), 0);
	assert_int_equal(pthread_join(dead, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_there, &scene), 0);
	assert_true(await_block(&scene, &scene.mutex, sizeof(scene.mutex), &wait.regs));
	assert_int_equal(lm_owner_plan(&wait, &read), 0);
	assert_int_equal(lm_owner_decode(&read, &scene.mutex, sizeof(scene.mutex), &owner), 0);
	assert_int_not_equal(owner.tid, 0);
	assert_int_not_equal(owner.tid, syscall(SYS_gettid));
	assert_int_equal(syscall(SYS_tgkill, getpid(), owner.tid, 0), -1);
	assert_int_equal(errno, ESRCH);
	pthread_mutex_unlock(&scene.mutex);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_real_lock_has_its_owner),
		cmocka_unit_test(a_mutex_with_a_ceiling_has_its_owner),
		cmocka_unit_test(a_writer_behind_readers_has_no_owner),
		cmocka_unit_test(a_join_waits_in_the_tcb_of_the_thread_joined),
		cmocka_unit_test(a_lock_keeps_the_owner_that_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
