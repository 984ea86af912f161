// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups of threads that block for good, for the guests: KIND_leaf ← KIND_mid ← KIND_thread. judge.py has the counts.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa))         /* noinline alone may clone, and rename, a function */
#define AFTER __asm__ volatile("" ::: "memory") /* keeps a call from becoming a jump */

static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t held_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t sem;
static int pipe_fds[2], socket_fds[2], epoll_fd;

#define GROUP(kind, wait)                                                                                              \
	static NOINLINE void kind##_leaf(void *arg)                                                                    \
	{                                                                                                              \
		(void)arg;                                                                                             \
		wait;                                                                                                  \
		AFTER;                                                                                                 \
	}                                                                                                              \
	static NOINLINE void kind##_mid(void *arg)                                                                     \
	{                                                                                                              \
		kind##_leaf(arg);                                                                                      \
		AFTER;                                                                                                 \
	}                                                                                                              \
	static NOINLINE void *kind##_thread(void *arg)                                                                 \
	{                                                                                                              \
		kind##_mid(arg);                                                                                       \
		AFTER;                                                                                                 \
		return NULL;                                                                                           \
	}

static void wait_for_cond(void)
{
	pthread_mutex_lock(&cond_mutex);
	for (;;)
		pthread_cond_wait(&cond, &cond_mutex);
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

GROUP(cond, wait_for_cond())
GROUP(mutex, pthread_mutex_lock(&held_mutex))
GROUP(pipe, must(read(pipe_fds[0], &(char){0}, 1) == 1, "read"))
GROUP(sleep, sleep(100000))
GROUP(join, pthread_join(*(pthread_t *)arg, NULL))
GROUP(sem, sem_wait(&sem))
GROUP(rwlock, pthread_rwlock_rdlock(&held_rwlock))
GROUP(poll, epoll_wait(epoll_fd, &(struct epoll_event){0}, 1, -1))
GROUP(recv, must(recv(socket_fds[0], &(char){0}, 1, 0) == 1, "recv"))

static pthread_t start(void *(*thread)(void *), void *arg)
{
	pthread_t id;

	must(pthread_create(&id, NULL, thread, arg) == 0, "pthread_create");
	return id;
}

static void start_many(int count, void *(*thread)(void *))
{
	while (count-- > 0)
		start(thread, NULL);
}

int main(void)
{
	static pthread_t joined[7];

	must(pipe(pipe_fds) == 0, "pipe");
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds) == 0, "socketpair");
	epoll_fd = epoll_create1(0);
	must(epoll_fd >= 0, "epoll_create1");
	must(sem_init(&sem, 0, 0) == 0, "sem_init");
	pthread_mutex_lock(&held_mutex);
	pthread_rwlock_wrlock(&held_rwlock);

	start_many(3, cond_thread);
	start_many(4, mutex_thread);
	start_many(5, pipe_thread);
	start_many(6, sleep_thread);
	for (int i = 0; i < 7; i++) {
		joined[i] = start(sem_thread, NULL);
		start(join_thread, &joined[i]);
	}
	start_many(8 - 7, sem_thread);
	start_many(9, rwlock_thread);
	start_many(5, poll_thread);
	start_many(4, recv_thread);
	for (;;)
		pause();
}
