/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that block in every way that leakmon tells apart, each group with its
 * own count, at a known depth: KIND_wait ← KIND_1 … KIND_N ← KIND_start.
 *
 * stdin: "add GROUP N" starts more threads, "leave GROUP N" lets some end.
 */
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "blocker.h"

enum { GROUP_MAX = 64 };

struct group {
	const char *name, *wait_class, *detail;
	void *(*start)(void *);
	int depth, count;
	void (*leave)(int n);
	atomic_int entered;
	pid_t tids[GROUP_MAX];
	pthread_t threads[GROUP_MAX];
};

static void enter(struct group *group)
{
	group->tids[group->entered] = own_tid();
	group->entered++;
}

#define CHAIN1(kind)                                                                                                   \
	static NOINLINE void kind##_1(void)                                                                            \
	{                                                                                                              \
		kind##_wait();                                                                                         \
		AFTER;                                                                                                 \
	}
#define LINK(kind, above, below)                                                                                       \
	static NOINLINE void kind##_##above(void)                                                                      \
	{                                                                                                              \
		kind##_##below();                                                                                      \
		AFTER;                                                                                                 \
	}
#define CHAIN2(kind) CHAIN1(kind) LINK(kind, 2, 1)
#define CHAIN3(kind) CHAIN2(kind) LINK(kind, 3, 2)
#define CHAIN4(kind) CHAIN3(kind) LINK(kind, 4, 3)
#define CHAIN5(kind) CHAIN4(kind) LINK(kind, 5, 4)
#define THREAD(kind, depth)                                                                                            \
	CHAIN##depth(kind) static NOINLINE void *kind##_start(void *arg)                                               \
	{                                                                                                              \
		enter(arg);                                                                                            \
		kind##_##depth();                                                                                      \
		AFTER;                                                                                                 \
		return NULL;                                                                                           \
	}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t read_held = PTHREAD_RWLOCK_INITIALIZER, write_held = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static int cond_quota, pipe_fds[2], socket_fds[2], listen_fd, epoll_fd;
static atomic_int joiners;

static NOINLINE void cond_wait(void)
{
	pthread_mutex_lock(&cond_mutex);
	while (!cond_quota)
		pthread_cond_wait(&cond, &cond_mutex); /* WAIT:cond */
	cond_quota--;
	pthread_mutex_unlock(&cond_mutex);
	AFTER;
}
THREAD(cond, 5) /* CHAIN:cond */

static void cond_leave(int n)
{
	pthread_mutex_lock(&cond_mutex);
	cond_quota += n;
	for (; n; n--)
		pthread_cond_signal(&cond);
	pthread_mutex_unlock(&cond_mutex);
}

static NOINLINE void mutex_wait(void)
{
	pthread_mutex_lock(&mutex); /* WAIT:mutex */
	AFTER;
}
THREAD(mutex, 1) /* CHAIN:mutex */

static NOINLINE void pipe_wait(void)
{
	char byte;
	ssize_t got = read(pipe_fds[0], &byte, 1); /* WAIT:pipe */

	must(got == 1, "read");
}
THREAD(pipe, 3) /* CHAIN:pipe */

static void pipe_leave(int n)
{
	for (; n; n--)
		must(write(pipe_fds[1], "", 1) == 1, "write");
}

static NOINLINE void sleep_wait(void)
{
	struct timespec day = {86400, 0};

	nanosleep(&day, NULL); /* WAIT:sleep */
	AFTER;
}
THREAD(sleep, 2) /* CHAIN:sleep */

/* They are waited for by the group "join". */
static NOINLINE void signal_wait(void)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigwait(&set, &got); /* WAIT:signal */
	AFTER;
}
THREAD(signal, 1) /* CHAIN:signal */

static struct group *signal_group;

static NOINLINE void join_wait(void)
{
	int target = joiners++;

	pthread_join(signal_group->threads[target], NULL); /* WAIT:join */
	AFTER;
}
THREAD(join, 4) /* CHAIN:join */

static NOINLINE void semaphore_wait(void)
{
	while (sem_wait(&sem)) /* WAIT:semaphore */
		;
	AFTER;
}
THREAD(semaphore, 2) /* CHAIN:semaphore */

static void sem_leave(int n)
{
	for (; n; n--)
		sem_post(&sem);
}

static NOINLINE void reader_wait(void)
{
	pthread_rwlock_rdlock(&write_held); /* WAIT:reader */
	AFTER;
}
THREAD(reader, 3) /* CHAIN:reader */

static NOINLINE void writer_wait(void)
{
	pthread_rwlock_wrlock(&read_held); /* WAIT:writer */
	AFTER;
}
THREAD(writer, 2) /* CHAIN:writer */

static NOINLINE void barrier_wait(void)
{
	pthread_barrier_wait(&barrier); /* WAIT:barrier */
	AFTER;
}
THREAD(barrier, 1) /* CHAIN:barrier */

static NOINLINE void epolled_wait(void)
{
	struct epoll_event event;

	epoll_wait(epoll_fd, &event, 1, -1); /* WAIT:epolled */
	AFTER;
}
THREAD(epolled, 4) /* CHAIN:epolled */

static NOINLINE void poll_wait(void)
{
	struct pollfd pollfd = {.fd = socket_fds[1], .events = POLLIN};

	poll(&pollfd, 1, -1); /* WAIT:poll */
	AFTER;
}
THREAD(poll, 1) /* CHAIN:poll */

static NOINLINE void recv_wait(void)
{
	char byte;

	recv(socket_fds[0], &byte, 1, 0); /* WAIT:recv */
	AFTER;
}
THREAD(recv, 5) /* CHAIN:recv */

static NOINLINE void accept_wait(void)
{
	accept(listen_fd, NULL, NULL); /* WAIT:accept */
	AFTER;
}
THREAD(accept, 2) /* CHAIN:accept */

/* "signal" comes first: "join" waits for its threads. */
static struct group groups[] = {
	{"signal", "signal", "sigwait", signal_start, 1, 3},
	{"cond", "futex_cond", "pthread_cond_wait", cond_start, 5, 5, cond_leave},
	{"mutex", "futex_mutex", "pthread_mutex_lock", mutex_start, 1, 4},
	{"pipe", "pipe", "read", pipe_start, 3, 3, pipe_leave},
	{"sleep", "sleep", "nanosleep", sleep_start, 2, 6},
	{"join", "futex_join", "pthread_join", join_start, 4, 3},
	{"semaphore", "futex_sem", "sem_wait", semaphore_start, 2, 7, sem_leave},
	{"reader", "futex_rwlock", "pthread_rwlock_rdlock", reader_start, 3, 4},
	{"writer", "futex_rwlock", "pthread_rwlock_wrlock", writer_start, 2, 3},
	{"barrier", "futex_barrier", "pthread_barrier_wait", barrier_start, 1, 8},
	{"epolled", "poll", "epoll_wait", epolled_start, 4, 3},
	{"poll", "poll", "poll", poll_start, 1, 9},
	{"recv", "socket", "recv", recv_start, 5, 5},
	{"accept", "socket", "accept", accept_start, 2, 3},
};
enum { GROUPS = sizeof(groups) / sizeof(*groups) };

static void add(struct group *group, int n)
{
	int before = group->entered;

	for (int i = before; i < before + n; i++) {
		must(i < GROUP_MAX, "too many threads");
		errno = pthread_create(&group->threads[i], NULL, group->start, group);
		must(!errno, "pthread_create");
		while (group->entered == i)
			sleep_ms(1);
	}
}

static void make_objects(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	pthread_mutex_lock(&mutex);
	pthread_rwlock_rdlock(&read_held);
	pthread_rwlock_wrlock(&write_held);
	pthread_barrier_init(&barrier, NULL, 1000);
	sem_init(&sem, 0, 0);
	must(!pipe(pipe_fds), "pipe");
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds), "socketpair");
	listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	must(!bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) && !listen(listen_fd, 1), "listen");
	epoll_fd = epoll_create1(0);
	must(epoll_fd >= 0, "epoll_create1");
}

static void print_truth(void)
{
	printf("{\"pid\": %d, \"groups\": [", getpid());
	for (struct group *group = groups; group < groups + GROUPS; group++) {
		printf("%s{\"name\": \"%s\", \"class\": \"%s\", \"detail\": \"%s\", \"count\": %d, \"chain\": "
		       "[\"%s_wait\"",
			group == groups ? "" : ", ", group->name, group->wait_class, group->detail, group->count,
			group->name);
		for (int i = 1; i <= group->depth; i++)
			printf(", \"%s_%d\"", group->name, i);
		printf(", \"%s_start\"], \"tids\": [", group->name);
		for (int i = 0; i < group->count; i++)
			printf("%s%d", i ? ", " : "", group->tids[i]);
		printf("]}");
	}
	printf("]}\n");
	fflush(stdout);
}

static NOINLINE void commands(void)
{
	char line[128], verb[16], name[16];
	int n;

	for (;;) {
		ssize_t got = read(0, line, sizeof(line) - 1);

		if (got <= 0)
			return;
		line[got] = 0;
		must(sscanf(line, "%15s %15s %d", verb, name, &n) == 3, line);
		for (struct group *group = groups; group < groups + GROUPS; group++) {
			if (strcmp(group->name, name))
				continue;
			if (!strcmp(verb, "add"))
				add(group, n);
			else
				group->leave(n);
		}
		printf("{\"done\": \"%s\"}\n", verb);
		fflush(stdout);
	}
}

int main(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal_group = &groups[0];
	make_objects();
	for (struct group *group = groups; group < groups + GROUPS; group++)
		add(group, group->count);
	print_truth();
	commands(); /* CHAIN:main */
	_exit(0);
}
