/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which PyThreadState belongs to which thread. The list is walked once for many threads; what was found in it is
 * believed as long as its neighbours in the list know it. */
#ifndef LM_RESOLVER_PYTHON_THREADS_H
#define LM_RESOLVER_PYTHON_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/resolver/python_code.h"

#define LM_PYTHON_THREADS_MAX 65536
#define LM_PYTHON_INTERPRETERS_MAX 1024
#define LM_PYTHON_STATES_MAX 8 /* of one thread */

struct lm_python_thread {
	uint64_t id, state; /* pthread_self(), address of the PyThreadState */
	size_t order;       /* in the lists */
};

struct lm_python_threads {
	struct lm_python_thread *threads; /* ascending by id, then as they stand in the lists */
	size_t len, room;
	size_t steps;            /* of the last walk */
	bool walked, walked_now; /* ever; since lm_python_threads_begin() */
	bool odd;                /* a list is not what a list of thread states must be */
	uint64_t newest;         /* says of the newest in the lists whether they are the same */
	uint64_t walked_ns;
};

/* Forgets all. */
void lm_python_threads_clear(struct lm_python_threads *threads);
/* From here on the lists may be walked again. */
void lm_python_threads_begin(struct lm_python_threads *threads);
/* The states of the thread that have frames: one, or more if it runs several interpreters, of which the newest is taken
 * for the innermost. Returns how many. */
size_t lm_python_threads_find(struct lm_python_threads *threads, struct lm_remote *remote,
	const struct lm_python_runtime *runtime, uint64_t id, uint64_t now_ns, uint64_t states[LM_PYTHON_STATES_MAX]);

#endif
