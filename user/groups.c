// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The groups themselves: places, membership, and the history that the verdicts
 * need (VERDICTS.md, "Residence"): how long completed stays lasted, how many left
 * at which age. What a stack is and what a thread is waiting for is decided by
 * the caller.
 */
#include "user/groups.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "user/wait_python.h"

#include "user/java_stacks.h"

#define NS_PER_S 1000000000ull
#define S_PER_H 3600.0

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

static uint64_t hash_place(const struct lm_place *place)
{
	const char *wait_class = lm_wait_class_name(place->wait.wait_class);
	uint64_t hash = hash_bytes(0xcbf29ce484222325ull, "thread", sizeof("thread"));

	hash = hash_bytes(hash, wait_class, strlen(wait_class) + 1);
	return place->stack ? hash_stack(hash, place->stack) : hash;
}

static bool has_idle_worker(const struct lm_stack *stack)
{
	size_t leaf;

	if (stack && lm_wait_python_leaf(stack, &leaf))
		return lm_wait_is_idle_python(stack);
	for (size_t i = 0; stack && i < stack->frames_len; i++) {
		for (size_t f = 0; f < stack->frames[i]->functions_len; f++) {
			const char *name = stack->frames[i]->functions[f].name;

			if (name && lm_wait_is_idle_worker(name))
				return true;
		}
	}
	return false;
}

const struct lm_frame *lm_groups_leaf_frame(const struct lm_stack *stack)
{
	size_t first, end;

	normalise(stack, &first, &end);
	return stack->frames[first];
}

static const char *leaf_function(const struct lm_stack *stack)
{
	const struct lm_frame *leaf = stack && stack->frames_len ? lm_groups_leaf_frame(stack) : NULL;

	/* of calls inlined into it, the innermost that is not only there to wait */
	for (size_t f = 0; leaf && f < leaf->functions_len; f++) {
		const char *name = leaf->functions[f].name;

		if (name && (f + 1 == leaf->functions_len || !lm_wait_is_wait_function(name)))
			return name;
	}
	return NULL;
}

static void free_group(struct lm_groups *groups, struct lm_group *group)
{
	HASH_DEL(groups->table, group);
	lm_stack_unref(groups->stacks, group->stack);
	free(group->kernel_stack);
	free(group->residents);
	free(group->members);
	free(group);
}

static int fill_group(struct lm_group *group, const struct lm_place *place)
{
	group->wait = place->wait;
	group->stack_why = place->stack_why;
	group->kernel_thread = place->kernel_thread;
	group->own_objects = place->stack && lm_java_stacks_is_one(place->stack);
	group->idle_worker = has_idle_worker(place->stack);
	group->leaf = leaf_function(place->stack);
	group->changed = true;
	if (place->kernel_stack_len) {
		size_t bytes = place->kernel_stack_len * sizeof(*place->kernel_stack);

		group->kernel_stack = malloc(bytes);
		if (!group->kernel_stack)
			return -ENOMEM;
		memcpy(group->kernel_stack, place->kernel_stack, bytes);
		group->kernel_stack_len = place->kernel_stack_len;
	}
	group->stack = place->stack;
	if (group->stack)
		lm_stack_ref(group->stack);
	return 0;
}

int lm_groups_find(struct lm_groups *groups, const struct lm_place *place, struct lm_group **out)
{
	struct lm_group_key key = {.process = place->process, .site = hash_place(place)};
	struct lm_group *group;

	HASH_FIND(hh, groups->table, &key, sizeof(key), group);
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		if (fill_group(group, place)) {
			free(group);
			return -ENOMEM;
		}
		group->key = key;
		HASH_ADD(hh, groups->table, key, sizeof(group->key), group);
	}
	*out = group;
	return 0;
}

/* By an eighth: there may be a million residents. */
static int make_room(struct lm_group *group)
{
	size_t capacity = group->capacity + group->capacity / 8 + 8;
	struct lm_resident **residents = realloc(group->residents, capacity * sizeof(*residents));
	struct lm_verdict_member *members;

	if (!residents)
		return -ENOMEM;
	group->residents = residents;
	members = realloc(group->members, capacity * sizeof(*members));
	if (!members)
		return -ENOMEM;
	group->members = members;
	group->capacity = capacity;
	return 0;
}

int lm_groups_join(struct lm_groups *groups, struct lm_group *group, struct lm_resident *resident,
	const struct lm_verdict_member *member)
{
	if ((size_t)group->count == group->capacity && make_room(group))
		return -ENOMEM;
	resident->group = group;
	resident->index = group->count;
	group->residents[group->count] = resident;
	group->members[group->count] = *member;
	group->count++;
	group->emptied_ns = 0;
	group->changed = true;
	if (member->since_ns > groups->watch_start_ns)
		group->arrived++;
	return 0;
}

void lm_groups_wait_again(struct lm_resident *resident, uint64_t wait_since_ns)
{
	resident->wait_since_ns = wait_since_ns;
	resident->group->changed = true;
}

struct lm_verdict_member *lm_resident_member(const struct lm_resident *resident)
{
	return &resident->group->members[resident->index];
}

static void note_completed(const struct lm_groups *groups, struct lm_group *group, uint64_t stay_ns, uint64_t at_ns)
{
	int bucket = stay_ns ? 63 - __builtin_clzll(stay_ns) : 0;

	group->completed[bucket]++;
	group->completed_len++;
	if (stay_ns > group->longest_completed_ns)
		group->longest_completed_ns = stay_ns;
	for (int i = 0; i < LM_VERDICT_AGES; i++) {
		if (stay_ns < lm_verdict_scaled_ns(groups->horizon_ns, lm_verdict_ages_s[i]))
			break;
		group->departures[i]++;
		group->last_departures_ns[i] = at_ns;
	}
}

static void free_members(struct lm_group *group)
{
	free(group->residents);
	free(group->members);
	group->residents = NULL;
	group->members = NULL;
	group->capacity = 0;
}

/* The last one takes the place of the one that goes. */
static void take_out(struct lm_group *group, size_t index)
{
	size_t last = --group->count;

	group->residents[index] = group->residents[last];
	group->residents[index]->index = index;
	group->members[index] = group->members[last];
}

void lm_groups_leave(struct lm_groups *groups, struct lm_resident *resident, uint64_t at_ns)
{
	struct lm_group *group = resident->group;
	uint64_t since_ns;

	if (!group)
		return;
	since_ns = lm_resident_member(resident)->since_ns;
	take_out(group, resident->index);
	resident->group = NULL;
	if (!group->count)
		free_members(group);
	group->departed++;
	group->changed = true;
	if (group->flag.level != LM_LEVEL_NONE || group->stuck.level != LM_LEVEL_NONE)
		group->judged_ns = 0; /* what was said may hold no longer */
	if (!group->count)
		group->emptied_ns = at_ns;
	note_completed(groups, group, at_ns > since_ns ? at_ns - since_ns : 0, at_ns);
}

static void take_sample(const struct lm_groups *groups, struct lm_group *group, uint64_t now_ns)
{
	uint64_t step_ns = groups->horizon_ns / (LM_GROUP_SAMPLES - 1);
	size_t newest = (group->samples_at + group->samples_len - 1) % LM_GROUP_SAMPLES;
	struct lm_group_sample *sample;

	if (group->samples_len && now_ns - group->samples[newest].at_ns < step_ns)
		return;
	if (group->samples_len == LM_GROUP_SAMPLES)
		group->samples_at = (group->samples_at + 1) % LM_GROUP_SAMPLES;
	else
		group->samples_len++;
	sample = &group->samples[(group->samples_at + group->samples_len - 1) % LM_GROUP_SAMPLES];
	sample->at_ns = now_ns;
	sample->arrived = group->arrived;
	sample->departed = group->departed;
}

static int earliest_emptied(const struct lm_group *a, const struct lm_group *b)
{
	uint64_t at_a = a->emptied_ns ? a->emptied_ns : UINT64_MAX;
	uint64_t at_b = b->emptied_ns ? b->emptied_ns : UINT64_MAX;

	return (at_a > at_b) - (at_a < at_b);
}

static void drop_oldest_empty(struct lm_groups *groups, size_t excess)
{
	struct lm_group *group, *next;

	HASH_SORT(groups->table, earliest_emptied);
	HASH_ITER (hh, groups->table, group, next) {
		if (!excess-- || !group->emptied_ns)
			break;
		free_group(groups, group);
	}
}

void lm_groups_tick(struct lm_groups *groups, uint64_t now_ns)
{
	struct lm_group *group, *next;
	size_t empty = 0;

	HASH_ITER (hh, groups->table, group, next) {
		take_sample(groups, group, now_ns);
		empty += group->count == 0;
	}
	/* down to half, so that the sort is rare */
	if (empty > groups->empty_max)
		drop_oldest_empty(groups, empty - groups->empty_max / 2);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int64_t count_different(uint64_t *numbers, size_t len)
{
	int64_t different = 0;

	qsort(numbers, len, sizeof(*numbers), compare_numbers);
	for (size_t i = 0; i < len; i++)
		different += i == 0 || numbers[i] != numbers[i - 1];
	return different;
}

int lm_group_refresh(struct lm_group *group)
{
	size_t len = group->count, objects_len = 0;
	uint64_t *numbers;

	if (!group->changed || !group->count)
		return 0;
	numbers = malloc(group->count * sizeof(*numbers));
	if (!numbers)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		if (group->residents[i]->has_object)
			numbers[objects_len++] = group->residents[i]->object;
	}
	group->objects = objects_len == len ? count_different(numbers, objects_len) : -1;
	for (size_t i = 0; i < len; i++)
		numbers[i] = group->residents[i]->wait_since_ns;
	qsort(numbers, len, sizeof(*numbers), compare_numbers);
	group->first_ns = UINT64_MAX;
	for (size_t i = 0; i < len; i++) {
		if (group->members[i].since_ns < group->first_ns)
			group->first_ns = group->members[i].since_ns;
	}
	group->oldest_ns = numbers[0];
	group->newest_ns = numbers[len - 1];
	group->median_ns = numbers[len / 2];
	group->changed = false;
	free(numbers);
	return 0;
}

/* The oldest sample within the last horizon. */
static const struct lm_group_sample *base_sample(
	const struct lm_groups *groups, const struct lm_group *group, uint64_t now_ns)
{
	for (size_t i = 0; i < group->samples_len; i++) {
		const struct lm_group_sample *sample = &group->samples[(group->samples_at + i) % LM_GROUP_SAMPLES];

		if (now_ns - sample->at_ns <= groups->horizon_ns)
			return sample;
	}
	return NULL;
}

/* Arrivals of the present members over the last horizon, or the life of the process if that is shorter. */
static double rate_of_members(
	const struct lm_groups *groups, const struct lm_group *group, uint64_t now_ns, uint64_t process_start_ns)
{
	const uint64_t youngest_ns = groups->horizon_ns / 30;
	uint64_t age_ns = now_ns - process_start_ns;
	uint64_t window_ns = age_ns < groups->horizon_ns ? age_ns : groups->horizon_ns;
	int64_t arrived = 0;

	if (now_ns < process_start_ns || age_ns < youngest_ns)
		return NAN;
	for (int64_t i = 0; i < group->count; i++)
		arrived += group->members[i].since_ns > now_ns - window_ns;
	return arrived * S_PER_H * NS_PER_S / window_ns;
}

double lm_group_rate_per_h(
	const struct lm_groups *groups, const struct lm_group *group, uint64_t now_ns, uint64_t process_start_ns)
{
	const struct lm_group_sample *base = base_sample(groups, group, now_ns);
	uint64_t watched_ns = now_ns - groups->watch_start_ns;
	/* 60 s of watching at the default horizon are enough to say that nothing came; when something came, a sixth */
	uint64_t enough_ns = groups->horizon_ns / 30;
	struct lm_group_sample start = {.at_ns = groups->watch_start_ns};

	if (group->arrived + group->departed > 0)
		enough_ns /= 6;
	if (watched_ns < enough_ns || !watched_ns)
		return rate_of_members(groups, group, now_ns, process_start_ns);
	/* a group that came up while watching had none at the start */
	if (base && watched_ns > groups->horizon_ns)
		start = *base;
	return ((group->arrived - start.arrived) - (group->departed - start.departed)) * S_PER_H * NS_PER_S /
	       (now_ns - start.at_ns);
}

void lm_groups_drop_process(struct lm_groups *groups, uint64_t process)
{
	struct lm_group *group, *next;

	HASH_ITER (hh, groups->table, group, next) {
		if (group->key.process == process)
			free_group(groups, group);
	}
}

void lm_groups_free(struct lm_groups *groups)
{
	struct lm_group *group, *next;

	HASH_ITER (hh, groups->table, group, next)
		free_group(groups, group);
}
