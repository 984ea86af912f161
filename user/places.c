// SPDX-License-Identifier: GPL-2.0-or-later
/* Places by what is called where: native code, Python, Java and Go each have frames that tell nothing. */
#include "user/places.h"

#include <string.h>

#include "user/go_stacks.h"
#include "user/java_stacks.h"
#include "user/prefixes.h"
#include "user/wait_python.h"

/* FNV-1a, 64 bits: the same on every machine, as site ids must be. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ull;
	return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
	unsigned char bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = number >> (8 * i);
	return hash_bytes(hash, bytes, sizeof(bytes));
}

static uint64_t hash_frame(uint64_t hash, const struct lm_frame *frame)
{
	const char *module = frame->module->build_id ? frame->module->build_id : frame->module->name;

	hash = hash_bytes(hash, module, strlen(module) + 1);
	return hash_number(hash, frame->offset);
}

static const char *function_of(const struct lm_frame *frame)
{
	return frame->functions_len ? frame->functions[frame->functions_len - 1].name : NULL;
}

static bool in_libc(const struct lm_frame *frame)
{
	return lm_wait_is_libc(frame->module->name);
}

/* A function that only waits for its caller: libc's all do; in a static program names tell. */
static bool only_waits(const struct lm_frame *frame)
{
	const char *function = function_of(frame);

	return in_libc(frame) || (function && lm_wait_is_wait_function(function));
}

/* Of a Java stack the program's own methods tell, from the innermost on. */
static void normalise_java(const struct lm_stack *stack, size_t *first, size_t *end)
{
	while (*end > *first && in_libc(stack->frames[*end - 1]))
		(*end)--;
	while (*first < *end && (only_waits(stack->frames[*first]) || lm_java_stacks_is_runtime(stack->frames[*first])))
		(*first)++;
	if (*first == *end)
		*first = lm_java_stacks_most_telling(stack);
}

/*
 * The frames that tell one place from another: [*first, *end), without those that wait for their caller and without
 * libc's that start threads. All of them if nothing else is left. By file where that is enough, so that a stripped
 * program has the same sites. A Python stack begins with the Python frame that it is known by.
 */
static void normalise(const struct lm_stack *stack, size_t *first, size_t *end)
{
	bool python;

	*first = 0;
	*end = stack->frames_len;
	if (lm_java_stacks_is_one(stack)) {
		normalise_java(stack, first, end);
		return;
	}
	python = lm_wait_python_leaf(stack, first);
	while (!python && *first < *end && only_waits(stack->frames[*first]))
		(*first)++;
	while (*end > *first && in_libc(stack->frames[*end - 1]))
		(*end)--;
	if (*first == *end) {
		*first = 0;
		*end = stack->frames_len;
	}
}

/* Leaves out of len frames the last one or two if they repeat those before them. Interned frames are compared by
 * address. Returns the new length. */
static size_t fold(const struct lm_frame *const *frames, size_t len)
{
	if (len >= 2 && frames[len - 1] == frames[len - 2])
		return len - 1;
	if (len >= 4 && frames[len - 1] == frames[len - 3] && frames[len - 2] == frames[len - 4])
		return len - 2;
	return len;
}

static uint64_t hash_stack(uint64_t hash, const struct lm_stack *stack)
{
	const struct lm_frame *frames[LM_STACK_MAX];
	bool is_java = lm_java_stacks_is_one(stack);
	size_t first, end, len = 0;
	bool python;

	normalise(stack, &first, &end);
	python = end > first && stack->frames[first]->python;
	for (size_t i = first; i < end; i++) {
		if ((python && lm_wait_is_interpreter(stack->frames[i])) ||
			(is_java && i > first && lm_java_stacks_is_plumbing(stack->frames[i])))
			continue;
		frames[len++] = stack->frames[i];
		len = fold(frames, len);
	}
	for (size_t i = 0; i < len; i++)
		hash = hash_frame(hash, frames[i]);
	return hash;
}

/* Functions and lines: of goroutines those are always known, and tell the same of every build of the same source. */
static uint64_t hash_go_stack(uint64_t hash, const struct lm_stack *stack)
{
	struct lm_go_stack_line lines[LM_STACK_MAX];
	size_t len = lm_go_stacks_lines(stack, lines);

	for (size_t i = 0; i < len; i++) {
		if (!lines[i].function) {
			hash = hash_frame(hash, lines[i].frame);
			continue;
		}
		hash = hash_bytes(hash, lines[i].function, strlen(lines[i].function) + 1);
		hash = hash_number(hash, lines[i].line);
	}
	return hash;
}

uint64_t lm_place_site(const struct lm_place *place)
{
	const char *kind = place->kind == LM_SITE_GOROUTINE ? "goroutine" : "thread";
	const char *what = place->go_runtime ? "go-runtime" : lm_wait_class_name(place->wait.wait_class);
	uint64_t hash = hash_bytes(0xcbf29ce484222325ull, kind, strlen(kind) + 1);

	if (place->site)
		return place->site;
	hash = hash_bytes(hash, what, strlen(what) + 1);
	if (!place->stack || place->go_runtime)
		return hash;
	return lm_go_stacks_is_one(place->stack) ? hash_go_stack(hash, place->stack) : hash_stack(hash, place->stack);
}

bool lm_place_is_idle_worker(const struct lm_place *place)
{
	const struct lm_stack *stack = place->stack;
	size_t leaf;

	if (!stack || place->kind == LM_SITE_GOROUTINE)
		return false;
	if (lm_wait_python_leaf(stack, &leaf))
		return lm_wait_is_idle_python(stack);
	for (size_t i = 0; i < stack->frames_len; i++) {
		for (size_t f = 0; f < stack->frames[i]->functions_len; f++) {
			const char *name = stack->frames[i]->functions[f].name;

			if (name && lm_wait_is_idle_worker(name))
				return true;
		}
	}
	return false;
}

/* libstdc++ lets all waits for atomics share 16 futex words. */
static bool waits_for_atomic(const struct lm_stack *stack)
{
	static const char *const waiters[] = {"std::__detail::__waiter"};

	for (size_t i = 0; i < stack->frames_len; i++) {
		const struct lm_frame *frame = stack->frames[i];

		for (uint32_t f = 0; f < frame->functions_len; f++) {
			if (frame->functions[f].name && LM_STARTS_WITH(frame->functions[f].name, waiters))
				return true;
		}
	}
	return false;
}

bool lm_place_has_own_objects(const struct lm_place *place)
{
	return place->stack && (lm_java_stacks_is_one(place->stack) || waits_for_atomic(place->stack));
}

const struct lm_frame *lm_place_leaf_frame(const struct lm_stack *stack, uint32_t *function)
{
	struct lm_go_stack_line lines[LM_STACK_MAX];
	const struct lm_frame *leaf;
	size_t first, end;

	*function = 0;
	if (lm_go_stacks_is_one(stack)) {
		lm_go_stacks_lines(stack, lines);
		*function = lines[0].at;
		return lines[0].frame;
	}
	normalise(stack, &first, &end);
	leaf = stack->frames[first];
	/* of calls inlined into it, the innermost that is not only there to wait */
	for (uint32_t f = 0; f < leaf->functions_len; f++) {
		const char *name = leaf->functions[f].name;

		if (name && (f + 1 == leaf->functions_len || !lm_wait_is_wait_function(name))) {
			*function = f;
			break;
		}
	}
	return leaf;
}

const char *lm_place_leaf(const struct lm_stack *stack)
{
	const struct lm_frame *leaf;
	uint32_t function;

	if (!stack || !stack->frames_len)
		return NULL;
	leaf = lm_place_leaf_frame(stack, &function);
	return function < leaf->functions_len ? leaf->functions[function].name : NULL;
}
