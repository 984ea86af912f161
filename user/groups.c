// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The groups themselves: places, membership, and the history that the verdicts
 * need (VERDICTS.md, "Residence"): how long completed stays lasted, how many left
 * at which age. Which place it is that somebody waits in is told by places.c.
 */
#include "user/groups.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define S_PER_H 3600.0

static void free_unlisted(struct lm_groups *groups, struct lm_group *group)
{
	lm_stack_unref(groups->stacks, group->stack);
	free(group->recalled);
	free(group->stays_saved);
	free(group->kernel_stack);
	free(group->residents);
	free(group->members);
	free(group);
}

static void free_group(struct lm_groups *groups, struct lm_group *group)
{
	HASH_DEL(groups->table, group);
	free_unlisted(groups, group);
}

static int fill_group(struct lm_group *group, const struct lm_place *place)
{
	group->kind = place->kind;
	group->process = place->whose;
	group->watch_start_ns = place->watch_start_ns;
	group->wait = place->wait;
	group->stack_why = place->stack_why;
	group->kernel_thread = place->kernel_thread;
	group->go_runtime = place->go_runtime;
	group->own_objects = lm_place_has_own_objects(place);
	group->idle_worker = lm_place_is_idle_worker(place);
	group->leaf = lm_place_leaf(place->stack);
	/* a goroutine that waits for a descriptor serves whoever is at its other end */
	group->guards = place->wait.wait_class == LM_WAIT_GO_IO ? LM_GUARD_CONNECTIONS : 0;
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
	struct lm_group_key key = {.process = place->process, .site = lm_place_site(place)};
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
		if (group->watch_start_ns < groups->watch_start_ns)
			group->watch_start_ns = groups->watch_start_ns;
		HASH_ADD(hh, groups->table, key, sizeof(group->key), group);
		if (!group->hh.tbl) {
			free_unlisted(groups, group);
			return -ENOMEM;
		}
		if (groups->made)
			groups->made(group, groups->made_context);
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

int lm_groups_join(struct lm_group *group, struct lm_resident *resident, const struct lm_verdict_member *member)
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
	if (member->since_ns > group->watch_start_ns)
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

void lm_groups_note_left(const struct lm_groups *groups, struct lm_group *group, uint64_t since_ns, uint64_t at_ns)
{
	group->departed++;
	group->changed = true;
	if (group->flag.level != LM_LEVEL_NONE || group->stuck.level != LM_LEVEL_NONE)
		group->judged_ns = 0; /* what was said may hold no longer */
	note_completed(groups, group, at_ns > since_ns ? at_ns - since_ns : 0, at_ns);
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
	if (!group->count)
		group->emptied_ns = at_ns;
	lm_groups_note_left(groups, group, since_ns, at_ns);
}

void lm_groups_take_back(struct lm_resident *resident, uint64_t at_ns)
{
	struct lm_group *group = resident->group;

	take_out(group, resident->index);
	resident->group = NULL;
	if (group->arrived)
		group->arrived--;
	group->changed = true;
	if (!group->count) {
		free_members(group);
		group->emptied_ns = at_ns;
	}
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

/* One pass of a radix sort, by one byte. Returns false, having moved nothing, if that is the same in all. */
static bool sort_by_byte(const uint64_t *from, uint64_t *to, size_t len, int shift)
{
	size_t starts[256] = {0}, start = 0;

	for (size_t i = 0; i < len; i++)
		starts[from[i] >> shift & 0xff]++;
	if (starts[from[0] >> shift & 0xff] == len)
		return false;
	for (int byte = 0; byte < 256; byte++) {
		size_t next = start + starts[byte];

		starts[byte] = start;
		start = next;
	}
	for (size_t i = 0; i < len; i++)
		to[starts[from[i] >> shift & 0xff]++] = from[i];
	return true;
}

/* Ascending, by way of other: there may be a million, and this is done at every look. Returns where they are then. */
static uint64_t *sort_numbers(uint64_t *numbers, uint64_t *other, size_t len)
{
	for (int shift = 0; len && shift < 64; shift += 8) {
		if (sort_by_byte(numbers, other, len, shift)) {
			uint64_t *sorted = other;

			other = numbers;
			numbers = sorted;
		}
	}
	return numbers;
}

static int64_t count_different(const uint64_t *sorted, size_t len)
{
	int64_t different = 0;

	for (size_t i = 0; i < len; i++)
		different += i == 0 || sorted[i] != sorted[i - 1];
	return different;
}

/* numbers: room for two of each resident. */
static void sum_up(struct lm_group *group, uint64_t *numbers)
{
	size_t len = group->count, objects = 0, known = 0;
	uint64_t *sorted;

	group->first_ns = UINT64_MAX;
	group->stack_bytes = 0;
	for (size_t i = 0; i < len; i++) {
		const struct lm_resident *resident = group->residents[i];

		if (resident->has_object)
			numbers[objects++] = resident->object;
		group->stack_bytes += resident->stack_bytes;
		if (group->members[i].since_ns < group->first_ns)
			group->first_ns = group->members[i].since_ns;
	}
	group->objects = objects == len ? count_different(sort_numbers(numbers, numbers + len, len), len) : -1;
	for (size_t i = 0; i < len; i++) {
		if (group->residents[i]->wait_since_ns)
			numbers[known++] = group->residents[i]->wait_since_ns;
	}
	sorted = sort_numbers(numbers, numbers + len, known);
	/* those that are not known have waited longest */
	group->oldest_ns = known == len ? sorted[0] : 0;
	group->newest_ns = known ? sorted[known - 1] : 0;
	group->median_ns = 2 * known > len ? sorted[len / 2 - (len - known)] : 0;
}

int lm_group_refresh(struct lm_group *group)
{
	uint64_t *numbers;

	if (!group->changed || !group->count)
		return 0;
	numbers = malloc(2 * group->count * sizeof(*numbers));
	if (!numbers)
		return -ENOMEM;
	sum_up(group, numbers);
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

/* Arrivals of the present members over the last horizon, or the life of the process if that is shorter. They say how a
 * group grows only if it is one that nobody leaves. */
static double rate_of_members(
	const struct lm_groups *groups, const struct lm_group *group, uint64_t now_ns, uint64_t process_start_ns)
{
	const uint64_t youngest_ns = groups->horizon_ns / 30;
	uint64_t age_ns = now_ns - process_start_ns;
	uint64_t window_ns = age_ns < groups->horizon_ns ? age_ns : groups->horizon_ns;
	int64_t arrived = 0;

	if (group->verdict.level == LM_LEVEL_NONE || !group->verdict.evidence.retrospective)
		return NAN;
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
	uint64_t watched_ns = now_ns - group->watch_start_ns;
	/* 60 s of watching at the default horizon are enough to say that nothing came; when something came, a sixth */
	uint64_t enough_ns = groups->horizon_ns / 30;
	struct lm_group_sample start = {.at_ns = group->watch_start_ns};

	if (group->arrived + group->departed > 0)
		enough_ns /= 6;
	if (watched_ns < enough_ns || !watched_ns)
		return group->kind == LM_SITE_GOROUTINE ? NAN
							: rate_of_members(groups, group, now_ns, process_start_ns);
	/* a group that came up while watching had none at the start */
	if (base && watched_ns > groups->horizon_ns)
		start = *base;
	return ((group->arrived - start.arrived) - (group->departed - start.departed)) * S_PER_H * NS_PER_S /
	       (now_ns - start.at_ns);
}

void lm_groups_drop_kind(struct lm_groups *groups, uint64_t process, enum lm_site_kind kind)
{
	struct lm_group *group, *next;

	HASH_ITER (hh, groups->table, group, next) {
		if (group->key.process == process && group->kind == kind)
			free_group(groups, group);
	}
}

void lm_groups_drop_process(struct lm_groups *groups, uint64_t process)
{
	lm_groups_drop_kind(groups, process, LM_SITE_THREAD);
	lm_groups_drop_kind(groups, process, LM_SITE_GOROUTINE);
}

void lm_groups_free(struct lm_groups *groups)
{
	struct lm_group *group, *next;

	HASH_ITER (hh, groups->table, group, next)
		free_group(groups, group);
}
