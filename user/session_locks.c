// SPDX-License-Identifier: GPL-2.0-or-later
/* A word here and there of a target's memory, through the descriptor of it that the resolver's client holds: 1.2 us for
 * each lock, however many wait for it. */
#include "user/session_locks.h"

#include <stdlib.h>
#include <utlist.h>

#include "user/resolver/client.h"

static int by_address(const void *a, const void *b)
{
	const struct lm_owner_read *x = &(*(struct lm_thread *const *)a)->lock->read;
	const struct lm_owner_read *y = &(*(struct lm_thread *const *)b)->lock->read;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->length > y->length) - (x->length < y->length);
}

static size_t collect(const struct lm_process *process, struct lm_thread **waiters)
{
	struct lm_thread *thread;
	size_t len = 0;

	DL_FOREACH(process->threads, thread)
	{
		if (!thread->lock)
			continue;
		if (waiters)
			waiters[len] = thread;
		len++;
	}
	return len;
}

static void decode(struct lm_thread *thread, const void *bytes, ssize_t len, uint64_t now_ns)
{
	struct lm_owner owner;
	bool known = len >= 0 && lm_owner_decode(&thread->lock->read, bytes, len, &owner) == 0;

	lm_thread_set_owner(thread, known ? &owner : NULL, now_ns);
}

static bool read_process(const struct lm_process *process, uint64_t now_ns)
{
	size_t len = collect(process, NULL);
	struct lm_thread **waiters;
	unsigned char bytes[LM_OWNER_READ_MAX];
	ssize_t read = -1;

	if (!len || !process->target)
		return false;
	waiters = calloc(len, sizeof(struct lm_thread *));
	if (!waiters)
		return false;
	collect(process, waiters);
	qsort(waiters, len, sizeof(struct lm_thread *), by_address);
	for (size_t i = 0; i < len; i++) {
		const struct lm_owner_read *wanted = &waiters[i]->lock->read;

		if (!wanted->length)
			read = 0;
		else if (i == 0 || by_address(&waiters[i - 1], &waiters[i]) != 0)
			read = lm_target_read(process->target, wanted->address, bytes, wanted->length);
		decode(waiters[i], bytes, read, now_ns);
	}
	free(waiters);
	return true;
}

bool lm_session_read_locks(struct lm_monitor *monitor, uint64_t now_ns)
{
	struct lm_process *process = NULL;
	bool any = false;

	while ((process = lm_monitor_next_process(monitor, process)))
		any |= read_process(process, now_ns);
	return any;
}
