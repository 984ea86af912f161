// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leak: of a busy group of threads that wait for results at one stack, one in a hundred waits for ever as its result
 * was lost. "threads": a thread for each request; "pool": workers that are started when none is idle, so that each lost
 * result takes one from the pool and the next request starts a new one.
 */
#include "corpus.h"

#define LOST_SHARE 100
#define ANSWER (1 / 900.0) /* mean time of an answer: 2 s of a horizon of 30 min */

struct request {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool answer, lost;
	bool gone;  /* the worker is through with it: the backend may free it */
	double due; /* elapsed() */
	struct request *next_queued, *next_sent;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queued = PTHREAD_COND_INITIALIZER;
static struct request *queue, *sent;
static int queue_len, idle;

static NOINLINE void wait_for_result(struct request *request)
{
	pthread_mutex_lock(&request->lock);
	if (request->lost)
		say_leak();
	while (!request->answer)
		pthread_cond_wait(&request->answered, &request->lock);
	pthread_mutex_unlock(&request->lock);
	AFTER;
}

static NOINLINE void query(struct request *request)
{
	wait_for_result(request);
	__atomic_store_n(&request->gone, true, __ATOMIC_RELEASE);
	AFTER;
}

static NOINLINE struct request *take_request(void)
{
	struct request *request;

	pthread_mutex_lock(&lock);
	idle++;
	while (!queue)
		pthread_cond_wait(&queued, &lock);
	idle--;
	request = queue;
	queue = request->next_queued;
	queue_len--;
	pthread_mutex_unlock(&lock);
	return request;
}

static NOINLINE void *work(void *arg)
{
	for (;;)
		query(take_request());
	return arg;
}

static NOINLINE void *serve(void *arg)
{
	query((struct request *)arg);
	AFTER;
	return NULL;
}

/* The backend: answers what is due, but never what was lost. */
static void answer_due(double now)
{
	struct request **at = &sent;

	while (*at) {
		struct request *request = *at;

		if (__atomic_load_n(&request->gone, __ATOMIC_ACQUIRE)) {
			*at = request->next_sent;
			free(request);
			continue;
		}
		at = &request->next_sent;
		if (request->due > now || request->answer || request->lost)
			continue;
		pthread_mutex_lock(&request->lock);
		request->answer = true;
		pthread_cond_signal(&request->answered);
		pthread_mutex_unlock(&request->lock);
	}
}

static void hand_to_pool(struct request *request)
{
	pthread_mutex_lock(&lock);
	request->next_queued = queue;
	queue = request;
	if (++queue_len > idle)
		start_thread_here(work, NULL);
	pthread_cond_signal(&queued);
	pthread_mutex_unlock(&lock);
}

static void send_request(void)
{
	struct request *request = (struct request *)must_have(calloc(1, sizeof(*request)));

	pthread_mutex_init(&request->lock, NULL);
	pthread_cond_init(&request->answered, NULL);
	request->lost = uniform() * LOST_SHARE < 1;
	request->due = elapsed() + 0.05 * ANSWER + exponential(ANSWER);
	request->next_sent = sent;
	sent = request;
	if (shape_is("threads"))
		start_thread_here(serve, request);
	else
		hand_to_pool(request);
}

int main(int argc, char **argv)
{
	double next = 0;

	corpus_begin(argc, argv);
	if (!shape_is("threads") && !shape_is("pool"))
		unknown_shape();
	say_truth("leak", "wait_for_result", getpid(), NULL, 0);
	say_ready();
	for (;;) {
		answer_due(elapsed());
		if (elapsed() >= next) {
			next = elapsed() + exponential(1 / (corpus.rate * LOST_SHARE));
			send_request();
		}
		rest(0.25 * ANSWER);
	}
}
