// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leak: a poller starts a thread for each poll. "pipe": each reads an answer from a pipe of its own that is never
 * written; "semaphore": each posts to a collector that has given up and waits for a slot.
 */
#include "corpus.h"

#include <semaphore.h>

static sem_t slots; /* of the collector: it frees one only when it collects */

static NOINLINE void read_answer(int fd)
{
	char answer;

	while (read(fd, &answer, 1) < 0 && errno == EINTR)
		;
	AFTER;
}

static NOINLINE void wait_for_slot(void)
{
	while (sem_wait(&slots) && errno == EINTR)
		;
	AFTER;
}

static NOINLINE void *poll_device(void *arg)
{
	say_leak();
	if (shape_is("pipe"))
		read_answer((int)(intptr_t)arg);
	else
		wait_for_slot();
	AFTER;
	return NULL;
}

int main(int argc, char **argv)
{
	corpus_begin(argc, argv);
	if (!shape_is("pipe") && !shape_is("semaphore"))
		unknown_shape();
	sem_init(&slots, 0, 0);
	say_truth("leak", shape_is("pipe") ? "read_answer" : "wait_for_slot", getpid(), NULL, 0);
	say_ready();
	for (;;) {
		int ends[2] = {-1, -1};

		rest_until_next();
		if (shape_is("pipe"))
			must(!pipe(ends), "pipe");
		start_thread_here(poll_device, (void *)(intptr_t)ends[0]);
	}
}
