// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No leak: a thread for each connection or request, all of which end.
 *   keepalive   clients join, send now and then, and leave after some time
 *   idle        clients fall silent: the server closes their connections after an idle time
 *   reconnect   all clients lose their connections at once, again and again, and come back
 *   heavytail   waits whose lengths have a Pareto distribution
 * Ambiguous: from outside nothing tells them from a leak.
 *   fill        a pool that starts a worker for every job until it has 200, as Java's does
 *   joiners     clients that stay for ever, and say nothing, join slowly
 *   talkers     the same, but each says something now and then
 *   lifetimes   every thread lives for 5 horizons, longer than the window that is looked at
 */
#include "corpus.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define CLIENTS 50
#define LIFE 0.3           /* mean time that a client stays */
#define TALK (1 / 60.0)    /* mean time between its requests: 30 s of a horizon of 30 min */
#define IDLE_TIME (1 / 6.) /* after which the server closes: 5 min */
#define STORM_EVERY 0.4
#define RARE_TALK 0.5 /* mean time between what a client says that stays for ever: 15 min */
#define LIFETIME 5
#define POOL_SIZE 200

struct client {
	int fd, server_fd;
	double leaves, talks; /* elapsed(); it is silent from then on, or gone */
};

static struct client clients[2 * CLIENTS];

static NOINLINE void receive_until_idle(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	int timeout_ms = (int)(IDLE_TIME * corpus.scale_s * 1000);
	char data[64];

	while (poll(&wait, 1, timeout_ms) > 0 && recv(fd, data, sizeof(data), 0) > 0)
		;
	AFTER;
}

static NOINLINE void receive(int fd)
{
	char data[64];

	while (recv(fd, data, sizeof(data), 0) > 0)
		;
	AFTER;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;

	if (shape_is("idle"))
		receive_until_idle(fd);
	else
		receive(fd);
	close(fd);
	return NULL;
}

static void join(struct client *client)
{
	int ends[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
	*client = (struct client){.fd = ends[0], .server_fd = ends[1], .leaves = elapsed() + exponential(LIFE)};
	client->talks = elapsed() + exponential(TALK);
	start_thread_here(serve, (void *)(intptr_t)ends[1]);
}

/* What a client does at this time. An idle one sends for a while, then nothing until the server closes. */
static void step(struct client *client, double now)
{
	char byte;

	if (shape_is("idle")) {
		if (!recv(client->fd, &byte, 1, MSG_DONTWAIT)) { /* the server has closed it */
			close(client->fd);
			client->fd = -1;
			return;
		}
	} else if (now >= client->leaves) {
		close(client->fd);
		client->fd = -1;
		return;
	}
	if (now >= client->talks && now < client->leaves) {
		(void)!send(client->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		client->talks = now + exponential(TALK);
	}
}

static void run_clients(void)
{
	double next = 0, storm = STORM_EVERY;

	for (int i = 0; i < 2 * CLIENTS; i++)
		clients[i].fd = -1;
	for (;;) {
		double now = elapsed();
		bool storms = shape_is("reconnect") && now >= storm;

		for (int i = 0; i < 2 * CLIENTS; i++) {
			if (storms && clients[i].fd >= 0) {
				close(clients[i].fd);
				join(&clients[i]);
			} else if (clients[i].fd >= 0) {
				step(&clients[i], now);
			} else if (now >= next) {
				join(&clients[i]);
				next = now + exponential(LIFE / CLIENTS);
			}
		}
		if (storms)
			storm += STORM_EVERY * (0.5 + uniform());
		rest(1 / 1800.);
	}
}

static NOINLINE void wait_for_backend(void)
{
	double longest = 10;

	rest(fmin(pareto(1 / 1800., 0.9), longest));
	AFTER;
}

static void *request(void *arg)
{
	wait_for_backend();
	return arg;
}

static NOINLINE void wait_out_life(void)
{
	rest(LIFETIME);
	AFTER;
}

static void *live(void *arg)
{
	wait_out_life();
	return arg;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queued = PTHREAD_COND_INITIALIZER;

static NOINLINE void wait_for_job(void)
{
	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&queued, &lock);
}

static void *work(void *arg)
{
	wait_for_job();
	return arg;
}

static int joiners[1024], joined; /* the clients' ends */

static void *serve_for_ever(void *arg)
{
	int ends[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
	joiners[joined] = ends[0];
	__atomic_store_n(&joined, joined + 1, __ATOMIC_RELEASE);
	receive(ends[1]);
	return arg;
}

/* Now and then one of the clients that are there says something. */
static void *talk(void *arg)
{
	for (;;) {
		int count = __atomic_load_n(&joined, __ATOMIC_ACQUIRE);

		rest(exponential(RARE_TALK / (count + 1)));
		if (count)
			(void)!send(joiners[(int)(uniform() * count)], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	return arg;
}

static void start_at_rate(void *(*start)(void *), int most)
{
	for (int started = 0; started < most; started++) {
		rest_until_next();
		start_thread_here(start, NULL);
	}
	for (;;)
		rest(1);
}

int main(int argc, char **argv)
{
	struct rlimit files = {4096, 4096};
	bool ambiguous;

	corpus_begin(argc, argv);
	setrlimit(RLIMIT_NOFILE, &files);
	ambiguous = shape_is("fill") || shape_is("joiners") || shape_is("talkers") || shape_is("lifetimes");
	say_truth(ambiguous ? "ambiguous" : "silent", NULL, getpid(), NULL, 0);
	say_ready();
	if (shape_is("talkers"))
		start_thread_here(talk, NULL);
	if (shape_is("fill"))
		start_at_rate(work, POOL_SIZE);
	else if (shape_is("joiners") || shape_is("talkers"))
		start_at_rate(serve_for_ever, 1000);
	else if (shape_is("lifetimes"))
		start_at_rate(live, 1000000);
	else if (shape_is("heavytail"))
		start_at_rate(request, 1 << 30);
	else if (shape_is("keepalive") || shape_is("idle") || shape_is("reconnect"))
		run_clients();
	unknown_shape();
}
