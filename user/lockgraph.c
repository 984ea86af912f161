// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Analysis of the wait-for graph. Every edge has one successor at most, the edge of the
 * thread that owns its lock, so each chain is walked once and its end is carried back
 * along it. Groups by lock are sorted rather than hashed: a process chooses the
 * addresses of its locks. Who owns what is owners.c; what it means, the caller's.
 */
#include "user/lockgraph.h"

#include <errno.h>
#include <stdlib.h>

#define NO_EDGE SIZE_MAX
/* of position[]: else the place of the edge on the path that is being walked */
#define NOT_SEEN SIZE_MAX
#define DONE (SIZE_MAX - 1)

struct lock_key {
	uint64_t process, object;
	size_t edge;
};

/* For one analysis. */
struct work {
	const struct lm_lock_edge *edges;
	size_t len;
	size_t *slots; /* first edge of a waiter, by hash of its number; a power of 2 of them */
	size_t mask;
	size_t *next;                       /* successors */
	size_t *path;                       /* edges walked */
	size_t *position;                   /* of an edge on the path */
	struct lock_key *keys, *other_keys; /* keys: of all edges, sorted; the other array is where they come from */
	struct lm_lockgraph graph;
	size_t members_len;
};

/* The finaliser of splitmix64. */
static uint64_t mix(uint64_t number)
{
	number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9ull;
	number = (number ^ (number >> 27)) * 0x94d049bb133111ebull;
	return number ^ (number >> 31);
}

/* The slot of the thread's edge, or the empty one where it belongs. */
static size_t *find_slot(const struct work *work, uint64_t thread)
{
	size_t at = mix(thread) & work->mask;

	while (work->slots[at] != NO_EDGE && work->edges[work->slots[at]].waiter != thread)
		at = (at + 1) & work->mask;
	return &work->slots[at];
}

static void link_edges(struct work *work)
{
	for (size_t i = 0; i <= work->mask; i++)
		work->slots[i] = NO_EDGE;
	for (size_t i = 0; i < work->len; i++) {
		size_t *slot = find_slot(work, work->edges[i].waiter);

		if (*slot == NO_EDGE)
			*slot = i;
	}
	for (size_t i = 0; i < work->len; i++) {
		const struct lm_lock_edge *edge = &work->edges[i];
		bool has_owner = !edge->owner_gone && edge->owner != LM_LOCK_NO_THREAD;

		work->next[i] = has_owner ? *find_slot(work, edge->owner) : NO_EDGE;
	}
}

static enum lm_owner_strength weaker(enum lm_owner_strength one, enum lm_owner_strength other)
{
	return one < other ? one : other;
}

/* The edges of the path from `from` on are a cycle. */
static void add_cycle(struct work *work, size_t from, size_t path_len)
{
	size_t *members = work->graph.members + work->members_len;
	size_t index = work->graph.cycles_len++;
	size_t len = path_len - from, first = from;
	struct lm_lock_cycle *cycle = &work->graph.cycles[index];

	*cycle = (struct lm_lock_cycle){
		.edges = members, .len = len, .weakest = work->edges[work->path[from]].strength, .confirmed = true};
	work->members_len += len;
	for (size_t i = from; i < path_len; i++) {
		const struct lm_lock_edge *edge = &work->edges[work->path[i]];

		cycle->weakest = weaker(cycle->weakest, edge->strength);
		cycle->confirmed = cycle->confirmed && edge->confirmed;
		if (edge->waiter < work->edges[work->path[first]].waiter)
			first = i;
	}
	for (size_t i = 0; i < len; i++) {
		size_t edge = work->path[from + (first - from + i) % len];

		members[i] = edge;
		work->position[edge] = DONE;
		work->graph.chains[edge] = (struct lm_lock_chain){
			.end = LM_LOCK_END_CYCLE,
			.root = work->edges[edge].waiter,
			.last = edge,
			.cycle = index,
			.weakest = cycle->weakest,
			.confirmed = cycle->confirmed,
		};
	}
}

/* The chain of an edge whose successor's is known. */
static struct lm_lock_chain chain_from(const struct work *work, size_t index)
{
	const struct lm_lock_edge *edge = &work->edges[index];
	struct lm_lock_chain chain = {.root = edge->owner,
		.depth = 1,
		.last = index,
		.cycle = LM_LOCK_NO_CYCLE,
		.weakest = edge->strength,
		.confirmed = edge->confirmed};

	if (work->next[index] != NO_EDGE) {
		chain = work->graph.chains[work->next[index]];
		if (!chain.depth)
			chain.last = index;
		chain.depth++;
		chain.weakest = weaker(chain.weakest, edge->strength);
		chain.confirmed = chain.confirmed && edge->confirmed;
	} else if (edge->owner_gone) {
		chain.end = LM_LOCK_END_GONE;
	} else {
		chain.end = edge->owner == LM_LOCK_NO_THREAD ? LM_LOCK_END_UNKNOWN : LM_LOCK_END_HOLDER;
	}
	return chain;
}

static void walk(struct work *work, size_t start)
{
	size_t len = 0, at = start;

	while (at != NO_EDGE && work->position[at] == NOT_SEEN) {
		work->position[at] = len;
		work->path[len++] = at;
		at = work->next[at];
	}
	if (at != NO_EDGE && work->position[at] != DONE) {
		size_t from = work->position[at];

		add_cycle(work, from, len);
		len = from;
	}
	while (len) {
		size_t edge = work->path[--len];

		work->graph.chains[edge] = chain_from(work, edge);
		work->position[edge] = DONE;
	}
}

static uint8_t key_byte(const struct lock_key *key, unsigned int at)
{
	uint64_t half = at < 8 ? key->object : key->process;

	return half >> at % 8 * 8;
}

/* One pass of a radix sort, from one array to the other. Returns false if all keys have the same byte there. */
static bool sort_by_byte(const struct lock_key *from, struct lock_key *to, size_t len, unsigned int at)
{
	size_t starts[UINT8_MAX + 1] = {0}, sum = 0;

	for (size_t i = 0; i < len; i++)
		starts[key_byte(&from[i], at)]++;
	if (starts[key_byte(from, at)] == len)
		return false;
	for (size_t i = 0; i <= UINT8_MAX; i++) {
		size_t count = starts[i];

		starts[i] = sum;
		sum += count;
	}
	for (size_t i = 0; i < len; i++)
		to[starts[key_byte(&from[i], at)]++] = from[i];
	return true;
}

/* By process, object, index: linear whatever the addresses are, and most of their bytes do not differ. */
static void sort_by_lock(struct work *work)
{
	for (size_t i = 0; i < work->len; i++)
		work->keys[i] = (struct lock_key){work->edges[i].process, work->edges[i].object, i};
	for (unsigned int at = 0; work->len && at < 16; at++) {
		if (sort_by_byte(work->keys, work->other_keys, work->len, at)) {
			struct lock_key *sorted = work->other_keys;

			work->other_keys = work->keys;
			work->keys = sorted;
		}
	}
}

static void add_to_group(const struct work *work, struct lm_lock_group *group, size_t index)
{
	const struct lm_lock_edge *edge = &work->edges[index];
	const struct lm_lock_chain *chain = &work->graph.chains[index];

	group->len++;
	group->in_cycle += chain->end == LM_LOCK_END_CYCLE && !chain->depth;
	group->weakest = weaker(group->weakest, edge->strength);
	group->confirmed = group->confirmed && edge->confirmed;
	if (group->owner == LM_LOCK_NO_THREAD && edge->owner != LM_LOCK_NO_THREAD) {
		group->owner = edge->owner;
		group->chain = *chain;
	}
}

/* Groups the edges whose owner is gone, or those whose owner is not. Returns how many groups there are. */
static size_t group_edges(struct work *work, bool gone, struct lm_lock_group *groups)
{
	struct lm_lock_group *group = NULL;
	size_t groups_len = 0;

	for (size_t i = 0; i < work->len; i++) {
		size_t index = work->keys[i].edge;
		const struct lm_lock_edge *edge = &work->edges[index];

		if (edge->owner_gone != gone)
			continue;
		if (!group || group->process != edge->process || group->object != edge->object) {
			group = &groups[groups_len++];
			*group = (struct lm_lock_group){.process = edge->process,
				.object = edge->object,
				.edges = work->graph.members + work->members_len,
				.owner = LM_LOCK_NO_THREAD,
				.chain = work->graph.chains[index],
				.weakest = edge->strength,
				.confirmed = true};
		}
		work->graph.members[work->members_len++] = index;
		add_to_group(work, group, index);
	}
	return groups_len;
}

/* Arrays of the greatest size that they may need: pages that are not written cost nothing. */
static int allocate(struct work *work)
{
	size_t len = work->len ? work->len : 1, slots = 2;
	struct lm_lockgraph *graph = &work->graph;

	if (len > SIZE_MAX / 8)
		return -ENOMEM;
	while (slots < 2 * len)
		slots *= 2;
	work->mask = slots - 1;
	work->slots = calloc(slots, sizeof(*work->slots));
	work->next = calloc(len, sizeof(*work->next));
	work->path = calloc(len, sizeof(*work->path));
	work->position = calloc(len, sizeof(*work->position));
	work->keys = calloc(len, sizeof(*work->keys));
	work->other_keys = calloc(len, sizeof(*work->other_keys));
	graph->chains = calloc(len, sizeof(*graph->chains));
	graph->cycles = calloc(len, sizeof(*graph->cycles));
	graph->orphans = calloc(len, sizeof(*graph->orphans));
	graph->pileups = calloc(len, sizeof(*graph->pileups));
	graph->members = calloc(len, 2 * sizeof(*graph->members)); /* in a cycle and in a group */
	return work->slots && work->next && work->path && work->position && work->keys && work->other_keys &&
			       graph->chains && graph->cycles && graph->orphans && graph->pileups && graph->members
		       ? 0
		       : -ENOMEM;
}

static void analyse(struct work *work)
{
	struct lm_lockgraph *graph = &work->graph;

	link_edges(work);
	for (size_t i = 0; i < work->len; i++)
		work->position[i] = NOT_SEEN;
	for (size_t i = 0; i < work->len; i++)
		walk(work, i);
	sort_by_lock(work);
	graph->chains_len = work->len;
	graph->orphans_len = group_edges(work, true, graph->orphans);
	graph->pileups_len = group_edges(work, false, graph->pileups);
}

int lm_lockgraph_analyse(const struct lm_lock_edge *edges, size_t len, struct lm_lockgraph *graph)
{
	struct work work = {.edges = edges, .len = len};
	int error = allocate(&work);

	if (!error) {
		analyse(&work);
		*graph = work.graph;
	} else {
		lm_lockgraph_free(&work.graph);
	}
	free(work.other_keys);
	free(work.keys);
	free(work.position);
	free(work.path);
	free(work.next);
	free(work.slots);
	return error;
}

void lm_lockgraph_free(struct lm_lockgraph *graph)
{
	if (!graph)
		return;
	free(graph->members);
	free(graph->pileups);
	free(graph->orphans);
	free(graph->cycles);
	free(graph->chains);
	*graph = (struct lm_lockgraph){0};
}
