// SPDX-License-Identifier: GPL-2.0-or-later
/* Stacks in the order of their numbers, and an open hash table of their places. */
#include "user/golang/interned.h"

#include <stdlib.h>
#include <string.h>

#define PCS_MAX (8u << 20) /* of all stacks: 64 MiB. Programs have hundreds of different ones, of some ten each */
#define CROWDED_LEN 4096

void lm_go_interned_free(struct lm_go_interned *interned)
{
	for (size_t i = 0; i < interned->len; i++)
		free((void *)interned->stacks[i].pcs);
	free(interned->stacks);
	free(interned->table);
	*interned = (struct lm_go_interned){0};
}

static uint32_t hash_of(const struct lm_go_stack *key)
{
	uint64_t hash = key->creator_pc * 2 + key->first_exact;

	for (size_t i = 0; i < key->len; i++) {
		hash = (hash ^ key->pcs[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	return hash ^ hash >> 32;
}

static bool is_same(const struct lm_go_stack *a, const struct lm_go_stack *b)
{
	return a->hash == b->hash && a->len == b->len && a->creator_pc == b->creator_pc &&
	       a->first_exact == b->first_exact && memcmp(a->pcs, b->pcs, a->len * sizeof(*a->pcs)) == 0;
}

static void put_place(struct lm_go_interned *interned, size_t place)
{
	size_t at = interned->stacks[place].hash & (interned->table_len - 1);

	while (interned->table[at])
		at = (at + 1) & (interned->table_len - 1);
	interned->table[at] = place + 1;
}

static bool make_table(struct lm_go_interned *interned, size_t table_len)
{
	uint32_t *table = calloc(table_len, sizeof(*table));

	if (!table)
		return false;
	free(interned->table);
	interned->table = table;
	interned->table_len = table_len;
	for (size_t i = 0; i < interned->len; i++)
		put_place(interned, i);
	return true;
}

static bool make_room(struct lm_go_interned *interned)
{
	size_t room = interned->room ? interned->room * 2 : 64;
	struct lm_go_stack *stacks;

	if (interned->len < interned->room)
		return true;
	stacks = reallocarray(interned->stacks, room, sizeof(*stacks));
	if (!stacks)
		return false;
	interned->stacks = stacks;
	if (!make_table(interned, room * 2))
		return false;
	interned->room = room;
	return true;
}

uint32_t lm_go_interned_add(struct lm_go_interned *interned, const struct lm_go_stack *key)
{
	struct lm_go_stack stack = {
		.creator_pc = key->creator_pc, .pcs = key->pcs, .len = key->len, .first_exact = key->first_exact};
	uint64_t *pcs;

	stack.hash = hash_of(key);
	for (size_t at = stack.hash; interned->table_len; at++) {
		uint32_t place = interned->table[at & (interned->table_len - 1)];

		if (!place)
			break;
		if (is_same(&interned->stacks[place - 1], &stack))
			return interned->stacks[place - 1].number;
	}
	if (interned->pcs_len + key->len > PCS_MAX || interned->last_number == UINT32_MAX || !make_room(interned))
		return 0;
	pcs = malloc((key->len + 1u) * sizeof(*pcs));
	if (!pcs)
		return 0;
	memcpy(pcs, key->pcs, key->len * sizeof(*pcs));
	stack.pcs = pcs;
	stack.number = ++interned->last_number;
	interned->stacks[interned->len] = stack;
	interned->pcs_len += key->len;
	put_place(interned, interned->len++);
	return stack.number;
}

struct lm_go_stack *lm_go_interned_get(const struct lm_go_interned *interned, uint32_t number)
{
	size_t low = 0, high = interned->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (interned->stacks[middle].number == number)
			return &interned->stacks[middle];
		if (interned->stacks[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool lm_go_interned_crowded(const struct lm_go_interned *interned)
{
	return interned->len > CROWDED_LEN && interned->len / 2 > interned->kept;
}

void lm_go_interned_sweep(struct lm_go_interned *interned)
{
	size_t kept = 0;

	for (size_t i = 0; i < interned->len; i++) {
		struct lm_go_stack *stack = &interned->stacks[i];

		if (stack->used) {
			stack->used = false;
			interned->stacks[kept++] = *stack;
		} else {
			interned->pcs_len -= stack->len;
			free((void *)stack->pcs);
		}
	}
	interned->len = interned->kept = kept;
	memset(interned->table, 0, interned->table_len * sizeof(*interned->table));
	for (size_t i = 0; i < kept; i++)
		put_place(interned, i);
}

size_t lm_go_interned_bytes(const struct lm_go_interned *interned)
{
	return interned->room * sizeof(*interned->stacks) + interned->table_len * sizeof(*interned->table) +
	       interned->pcs_len * sizeof(uint64_t) + interned->len * 32; /* of malloc's own, about */
}
