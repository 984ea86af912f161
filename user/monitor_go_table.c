// SPDX-License-Identifier: GPL-2.0-or-later
/* Where goroutines, their stacks and their creators are kept. Goroutines stay at their addresses: groups know those. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "user/monitor_go_state.h"

#define CHUNK 1024
#define UNUSED_STACKS_MAX 4096 /* kept: to have one anew costs the resolver some milliseconds */
#define CREATORS_MAX 4096

static int grow_chunks(struct lm_go *go, size_t len)
{
	struct lm_goroutine **chunks;

	if (len < go->chunks_len + go->chunks_len / 2)
		len = go->chunks_len + go->chunks_len / 2;
	chunks = realloc(go->chunks, len * sizeof(struct lm_goroutine *));
	if (!chunks)
		return -ENOMEM;
	memset(chunks + go->chunks_len, 0, (len - go->chunks_len) * sizeof(struct lm_goroutine *));
	go->chunks = chunks;
	go->chunks_len = len;
	return 0;
}

struct lm_goroutine *lm_go_slot(struct lm_go *go, uint32_t index)
{
	struct lm_goroutine *goroutine;
	size_t chunk = index / CHUNK;

	if (index >= LM_MONITOR_GOROUTINES_MAX) {
		go->refused++;
		return NULL;
	}
	if (chunk >= go->chunks_len && grow_chunks(go, chunk + 1))
		return NULL;
	if (!go->chunks[chunk])
		go->chunks[chunk] = calloc(CHUNK, sizeof(struct lm_goroutine));
	if (!go->chunks[chunk])
		return NULL;
	goroutine = &go->chunks[chunk][index % CHUNK];
	goroutine->index = index;
	return goroutine;
}

struct lm_goroutine *lm_go_find(const struct lm_go *go, uint32_t index)
{
	struct lm_goroutine *chunk = index / CHUNK < go->chunks_len ? go->chunks[index / CHUNK] : NULL;

	return chunk && chunk[index % CHUNK].goid ? &chunk[index % CHUNK] : NULL;
}

struct lm_goroutine *lm_go_next(const struct lm_go *go, uint32_t *index)
{
	while (*index / CHUNK < go->chunks_len) {
		struct lm_goroutine *chunk = go->chunks[*index / CHUNK];

		if (!chunk) {
			*index += CHUNK - *index % CHUNK;
			continue;
		}
		if (chunk[(*index)++ % CHUNK].goid)
			return &chunk[(*index - 1) % CHUNK];
	}
	return NULL;
}

/* Of one that is in use. */
static struct lm_goroutine *at(const struct lm_go *go, uint32_t index)
{
	return &go->chunks[index / CHUNK][index % CHUNK];
}

static void take_from_list(struct lm_go *go, struct lm_goroutine *goroutine)
{
	if (goroutine->list == LM_GO_LIST_NONE)
		return;
	if (goroutine->prev != LM_GO_NOBODY)
		at(go, goroutine->prev)->next = goroutine->next;
	else
		go->lists[goroutine->list].first = goroutine->next;
	if (goroutine->next != LM_GO_NOBODY)
		at(go, goroutine->next)->prev = goroutine->prev;
	else
		go->lists[goroutine->list].last = goroutine->prev;
	goroutine->list = LM_GO_LIST_NONE;
}

void lm_go_list(struct lm_go *go, struct lm_goroutine *goroutine, enum lm_go_list list)
{
	take_from_list(go, goroutine);
	if (list == LM_GO_LIST_NONE)
		return;
	goroutine->list = list;
	goroutine->prev = go->lists[list].last;
	goroutine->next = LM_GO_NOBODY;
	if (goroutine->prev != LM_GO_NOBODY)
		at(go, goroutine->prev)->next = goroutine->index;
	else
		go->lists[list].first = goroutine->index;
	go->lists[list].last = goroutine->index;
}

struct lm_go_stack *lm_go_find_stack(struct lm_go *go, uint32_t number)
{
	struct lm_go_stack *stack;

	/* those of one place come in a row */
	if (go->recent && go->recent->number == number)
		return go->recent;
	HASH_FIND(hh, go->stacks, &number, sizeof(number), stack);
	go->recent = stack;
	return stack;
}

static void free_stack(struct lm_groups *groups, struct lm_go *go, struct lm_go_stack *stack)
{
	if (go->recent == stack)
		go->recent = NULL;
	if (!stack->known) {
		DL_DELETE(go->unknown, stack);
	} else if (!stack->users) {
		DL_DELETE(go->unused, stack);
		go->unused_len--;
	}
	HASH_DEL(go->stacks, stack);
	lm_stack_unref(groups->stacks, stack->stack);
	free(stack);
}

static void leave_stack(struct lm_groups *groups, struct lm_go *go, uint32_t number)
{
	struct lm_go_stack *stack = number != LM_GO_STACK_NONE ? lm_go_find_stack(go, number) : NULL;

	if (!stack || --stack->users)
		return;
	if (!stack->known) {
		free_stack(groups, go, stack);
		return;
	}
	DL_APPEND(go->unused, stack);
	if (++go->unused_len > UNUSED_STACKS_MAX)
		free_stack(groups, go, go->unused);
}

static struct lm_go_stack *new_stack(struct lm_go *go, uint32_t number)
{
	struct lm_go_stack *stack = calloc(1, sizeof(*stack));

	if (!stack)
		return NULL;
	stack->number = number;
	HASH_ADD(hh, go->stacks, number, sizeof(stack->number), stack);
	if (!stack->hh.tbl) {
		free(stack);
		return NULL;
	}
	DL_APPEND(go->unknown, stack);
	return stack;
}

int lm_go_use_stack(struct lm_groups *groups, struct lm_go *go, struct lm_goroutine *goroutine, uint32_t number)
{
	struct lm_go_stack *stack;

	if (goroutine->stack == number)
		return 0;
	leave_stack(groups, go, goroutine->stack);
	goroutine->stack = LM_GO_STACK_NONE;
	if (number == LM_GO_STACK_NONE)
		return 0;
	stack = lm_go_find_stack(go, number);
	if (!stack)
		stack = new_stack(go, number);
	if (!stack)
		return -ENOMEM;
	if (!stack->users++ && stack->known) {
		DL_DELETE(go->unused, stack);
		go->unused_len--;
	}
	goroutine->stack = number;
	return 0;
}

void lm_go_forget_stacks(struct lm_groups *groups, struct lm_go *go)
{
	struct lm_go_stack *stack, *next;
	struct lm_goroutine *goroutine;

	HASH_ITER (hh, go->stacks, stack, next)
		free_stack(groups, go, stack);
	for (uint32_t index = 0; (goroutine = lm_go_next(go, &index));)
		goroutine->stack = LM_GO_STACK_NONE;
}

size_t lm_monitor_go_unknown_stacks(const struct lm_process *process, uint32_t *numbers, size_t max)
{
	struct lm_go_stack *stack = process->go ? process->go->unknown : NULL;
	size_t len = 0;

	for (; stack && len < max; stack = stack->next)
		numbers[len++] = stack->number;
	return len;
}

static bool is_same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static char *copy_text(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

/* Programs have some hundred go statements. 0 when there are too many, -ENOMEM. */
static int creator_number(struct lm_go *go, const struct lm_go_creator *creator)
{
	struct lm_go_creator *creators, *copy;
	bool failed = false;

	for (size_t i = 1; i < go->creators_len; i++) {
		const struct lm_go_creator *known = &go->creators[i];

		if (known->line == creator->line && is_same_text(known->function, creator->function) &&
			is_same_text(known->file, creator->file))
			return i;
	}
	if (go->creators_len == CREATORS_MAX)
		return 0;
	creators = realloc(go->creators, (go->creators_len + 2) * sizeof(*creators));
	if (!creators)
		return -ENOMEM;
	go->creators = creators;
	go->creators_len += !go->creators_len;
	copy = &creators[go->creators_len];
	creators[0] = (struct lm_go_creator){0};
	copy->function = copy_text(creator->function, &failed);
	copy->file = copy_text(creator->file, &failed);
	copy->line = creator->line;
	if (!failed)
		return go->creators_len++;
	free((char *)copy->function);
	free((char *)copy->file);
	return -ENOMEM;
}

int lm_monitor_go_set_stack(struct lm_monitor *monitor, struct lm_process *process, uint32_t number,
	const struct lm_stack *stack, const char *why, const struct lm_go_creator *creator)
{
	struct lm_go *go = process->go;
	struct lm_go_stack *entry = go ? lm_go_find_stack(go, number) : NULL;
	int creator_is = 0;

	if (entry && !entry->known && creator && (creator->function || creator->file))
		creator_is = creator_number(go, creator);
	if (!entry || entry->known || creator_is < 0) {
		lm_stack_unref(monitor->groups.stacks, stack);
		return creator_is < 0 ? creator_is : 0;
	}
	entry->creator = creator_is;
	entry->stack = stack;
	entry->why = why;
	entry->known = true;
	DL_DELETE(go->unknown, entry);
	return 0;
}

struct lm_go_creator lm_monitor_go_creator(const struct lm_process *process, uint16_t creator)
{
	const struct lm_go *go = process->go;

	return go && creator < go->creators_len ? go->creators[creator] : (struct lm_go_creator){0};
}

int lm_monitor_go_set_reason(struct lm_process *process, uint8_t reason, const char *text)
{
	struct lm_go *go = process->go;

	if (go && !go->reasons)
		go->reasons = calloc(LM_GO_REASONS, sizeof(char *));
	if (go && !go->reasons)
		return -ENOMEM;
	/* groups point to the first */
	if (!go || go->reasons[reason])
		return 0;
	go->reasons[reason] = strdup(text);
	return go->reasons[reason] ? 0 : -ENOMEM;
}

const char *lm_monitor_go_reason(const struct lm_process *process, uint8_t reason)
{
	return process->go && process->go->reasons ? process->go->reasons[reason] : NULL;
}

void lm_go_forget_all(struct lm_groups *groups, struct lm_go *go)
{
	lm_go_forget_stacks(groups, go);
	for (size_t i = 0; i < go->chunks_len; i++)
		free(go->chunks[i]);
	free(go->chunks);
	go->chunks = NULL;
	go->chunks_len = 0;
	go->known = 0;
	free(go->goids);
	go->goids = NULL;
	go->goids_known = false;
	for (int i = 0; i < LM_GO_LISTS; i++)
		go->lists[i].first = go->lists[i].last = LM_GO_NOBODY;
}

void lm_go_free(struct lm_groups *groups, struct lm_go *go)
{
	if (!go)
		return;
	lm_go_forget_all(groups, go);
	for (size_t i = 1; i < go->creators_len; i++) {
		free((char *)go->creators[i].function);
		free((char *)go->creators[i].file);
	}
	free(go->creators);
	for (int i = 0; go->reasons && i < LM_GO_REASONS; i++)
		free(go->reasons[i]);
	free(go->reasons);
	free(go);
}
