// SPDX-License-Identifier: GPL-2.0-or-later
/* New states are put at the head of their interpreter's list, so a look at its beginning tells whether there are any.
 * 1,000 states take about 2 ms to walk. */
#include "user/resolver/python_threads.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 256 /* of a thread state, up to the last field that is read */
#define NEWEST_LEN 64  /* states at the head of each list that must be the same */
#define BELIEVED_NS 1000000000ull
#define LONG_LEN 8192
#define REST_NS 20000

/* A thread state as it was read. */
struct state {
	uint64_t address, prev, next, interpreter, id;
};

static bool read_word(struct lm_remote *remote, uint64_t address, uint64_t *word)
{
	return lm_remote_read(remote, address, word, sizeof(*word));
}

static bool read_state(
	struct lm_remote *remote, const struct lm_python_layout *layout, uint64_t address, struct state *state)
{
	const uint32_t offsets[] = {
		layout->thread_prev, layout->thread_next, layout->thread_interpreter, layout->thread_id};
	uint64_t words[4];
	unsigned char head[HEAD_BYTES];

	if (address % 8 || !lm_remote_read(remote, address, head, sizeof(head)))
		return false;
	for (size_t i = 0; i < 4; i++) {
		if (offsets[i] + 8 > HEAD_BYTES)
			return false;
		memcpy(&words[i], head + offsets[i], 8);
	}
	*state = (struct state){address, words[0], words[1], words[2], words[3]};
	return true;
}

static uint64_t mix(uint64_t hash, uint64_t number)
{
	hash = (hash ^ number) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

static bool add_thread(struct lm_python_threads *threads, const struct state *state)
{
	if (threads->len == threads->room) {
		size_t larger = threads->room ? threads->room * 2 : 64;
		struct lm_python_thread *grown = realloc(threads->threads, larger * sizeof(*grown));

		if (!grown)
			return false;
		threads->threads = grown;
		threads->room = larger;
	}
	threads->threads[threads->len] = (struct lm_python_thread){state->id, state->address, threads->len};
	threads->len++;
	return true;
}

/* Walks the states of an interpreter: all of them, added to threads, or the newest only. */
static bool walk_states(struct lm_python_threads *threads, struct lm_remote *remote,
	const struct lm_python_layout *layout, uint64_t interpreter, bool all, uint64_t *newest)
{
	uint64_t address, before = 0;

	if (!read_word(remote, interpreter + layout->interpreter_threads, &address))
		return false;
	for (size_t i = 0; address && (all || i < NEWEST_LEN); i++) {
		struct state state;

		/* the list may be changing right now: what has been found of it is of use even so */
		if (++threads->steps > LM_PYTHON_THREADS_MAX || !read_state(remote, layout, address, &state) ||
			state.interpreter != interpreter || state.prev != before)
			return false;
		if (i < NEWEST_LEN)
			*newest = mix(mix(*newest, address), state.id);
		if (all && state.id && !add_thread(threads, &state))
			return false;
		before = address;
		address = state.next;
	}
	return true;
}

static uint64_t walk(
	struct lm_python_threads *threads, struct lm_remote *remote, const struct lm_python_runtime *runtime, bool all)
{
	const struct lm_python_layout *layout = &runtime->layout;
	uint64_t interpreter, newest = 1;
	bool good;

	threads->steps = 0;
	good = read_word(remote, runtime->address + layout->runtime_interpreters, &interpreter);

	for (size_t i = 0; good && interpreter && i < LM_PYTHON_INTERPRETERS_MAX; i++) {
		newest = mix(newest, interpreter);
		good = interpreter % 8 == 0 && walk_states(threads, remote, layout, interpreter, all, &newest) &&
		       read_word(remote, interpreter + layout->interpreter_next, &interpreter);
	}
	if (all)
		threads->odd = !good;
	return newest;
}

static int compare_threads(const void *a, const void *b)
{
	const struct lm_python_thread *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static void walk_again(struct lm_python_threads *threads, struct lm_remote *remote,
	const struct lm_python_runtime *runtime, uint64_t now_ns)
{
	/* long lists may take a tenth of the time */
	if (threads->walked && threads->steps > LONG_LEN && now_ns - threads->walked_ns < threads->steps * REST_NS)
		return;
	if (threads->walked && now_ns - threads->walked_ns < BELIEVED_NS &&
		walk(threads, remote, runtime, false) == threads->newest)
		return;
	threads->len = 0;
	threads->newest = walk(threads, remote, runtime, true);
	threads->walked = true;
	threads->walked_ns = now_ns;
	if (threads->len)
		qsort(threads->threads, threads->len, sizeof(threads->threads[0]), compare_threads);
}

/* Is it still this thread's, and in the list? One that was freed may look as it did, but nobody points to it. */
static bool is_current(
	struct lm_remote *remote, const struct lm_python_layout *layout, const struct lm_python_thread *thread)
{
	struct state state, other;
	uint64_t head;

	if (!read_state(remote, layout, thread->state, &state) || state.id != thread->id)
		return false;
	if (state.next && (!read_state(remote, layout, state.next, &other) || other.prev != state.address))
		return false;
	if (state.prev)
		return read_state(remote, layout, state.prev, &other) && other.next == state.address;
	return read_word(remote, state.interpreter + layout->interpreter_threads, &head) && head == state.address;
}

static bool has_frame(struct lm_remote *remote, const struct lm_python_layout *layout, uint64_t state)
{
	uint64_t frame;

	if (!read_word(remote, state + layout->thread_frame, &frame))
		return false;
	if (frame && layout->thread_frame_twice && !read_word(remote, frame + layout->cframe_frame, &frame))
		return false;
	return frame;
}

/* A state has the number of the thread that made it until its own thread has begun, but no frames. */
static size_t look_up(const struct lm_python_threads *threads, struct lm_remote *remote,
	const struct lm_python_layout *layout, uint64_t id, bool *known, uint64_t states[LM_PYTHON_STATES_MAX])
{
	size_t low = 0, high = threads->len, found = 0;

	*known = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (threads->threads[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = 0; i < LM_PYTHON_INTERPRETERS_MAX && low < threads->len && threads->threads[low].id == id;
		i++, low++) {
		if (!is_current(remote, layout, &threads->threads[low]))
			continue;
		*known = true;
		if (found < LM_PYTHON_STATES_MAX && has_frame(remote, layout, threads->threads[low].state))
			states[found++] = threads->threads[low].state;
	}
	return found;
}

size_t lm_python_threads_find(struct lm_python_threads *threads, struct lm_remote *remote,
	const struct lm_python_runtime *runtime, uint64_t id, uint64_t now_ns, uint64_t states[LM_PYTHON_STATES_MAX])
{
	bool known = false;
	size_t found = id && threads->walked ? look_up(threads, remote, &runtime->layout, id, &known, states) : 0;

	if (known || !id || threads->walked_now)
		return found;
	threads->walked_now = true;
	walk_again(threads, remote, runtime, now_ns);
	return look_up(threads, remote, &runtime->layout, id, &known, states);
}

void lm_python_threads_begin(struct lm_python_threads *threads)
{
	threads->walked_now = false;
}

void lm_python_threads_clear(struct lm_python_threads *threads)
{
	free(threads->threads);
	*threads = (struct lm_python_threads){0};
}
