// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leak: a thread for each peer, and peers that fail. "silent": the peer says nothing ever again, its thread stays in
 * recv; "half": the peer has closed its half and reads no more, the thread stays in send; "event": the connection is
 * closed on our side too, its thread waits for an event of the session that nobody will raise. Healthy peers come and
 * go beside them, at the same stack, ten times as many.
 */
#include "corpus.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define HEALTHY_SHARE 10
#define HEALTHY_LIFE (1 / 360.0) /* mean: 5 s of a horizon of 30 min */

struct session {
	int server, client; /* both ends: the peers are simulated here */
	bool fails;
	pthread_mutex_t lock;
	pthread_cond_t event;
	bool over;
};

static int listener;
static struct sockaddr_in address;

static NOINLINE void receive(struct session *session)
{
	char data[64];

	if (session->fails)
		say_leak();
	while (recv(session->server, data, sizeof(data), 0) > 0)
		;
	AFTER;
}

static NOINLINE void send_answer(struct session *session)
{
	static char data[65536];

	if (session->fails)
		say_leak();
	while (send(session->server, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	AFTER;
}

static NOINLINE void wait_for_event(struct session *session)
{
	pthread_mutex_lock(&session->lock);
	if (session->fails)
		say_leak();
	while (!session->over)
		pthread_cond_wait(&session->event, &session->lock);
	pthread_mutex_unlock(&session->lock);
	AFTER;
}

static void *serve(void *arg)
{
	struct session *session = (struct session *)arg;

	if (shape_is("silent"))
		receive(session);
	else if (shape_is("half"))
		send_answer(session);
	else
		wait_for_event(session);
	close(session->server);
	free(session);
	return NULL;
}

/* A healthy peer: it ends the session after its time. */
static void *be_healthy(void *arg)
{
	struct session *session = (struct session *)arg;
	int client = session->client;

	rest(exponential(HEALTHY_LIFE));
	if (shape_is("event")) {
		pthread_mutex_lock(&session->lock);
		session->over = true;
		pthread_cond_signal(&session->event);
		pthread_mutex_unlock(&session->lock);
	}
	close(client);
	return NULL;
}

static void fail(struct session *session)
{
	if (shape_is("half"))
		shutdown(session->client, SHUT_WR);
	else if (shape_is("event"))
		close(session->client);
}

static void connect_peer(bool fails)
{
	struct session *session = (struct session *)must_have(calloc(1, sizeof(*session)));

	session->fails = fails;
	pthread_mutex_init(&session->lock, NULL);
	pthread_cond_init(&session->event, NULL);
	session->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(!connect(session->client, (struct sockaddr *)&address, sizeof(address)), "connect");
	session->server = accept(listener, NULL, NULL);
	must(session->server >= 0, "accept");
	if (!fails)
		start_thread_here(be_healthy, session);
	start_thread_here(serve, session);
	if (fails)
		fail(session);
}

int main(int argc, char **argv)
{
	socklen_t len = sizeof(address);
	struct rlimit files = {4096, 4096};
	const char *leaf = NULL;

	corpus_begin(argc, argv);
	if (shape_is("silent"))
		leaf = "receive";
	else if (shape_is("half"))
		leaf = "send_answer";
	else if (shape_is("event"))
		leaf = "wait_for_event";
	else
		unknown_shape();
	setrlimit(RLIMIT_NOFILE, &files);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(!bind(listener, (struct sockaddr *)&address, sizeof(address)) && !listen(listener, 64) &&
			!getsockname(listener, (struct sockaddr *)&address, &len),
		"listen");
	say_truth("leak", leaf, getpid(), NULL, 0);
	say_ready();
	corpus.rate *= HEALTHY_SHARE + 1;
	for (;;) {
		rest_until_next();
		connect_peer(uniform() * (HEALTHY_SHARE + 1) < 1);
	}
}
