// SPDX-License-Identifier: GPL-2.0-or-later
/* The interface: begins and ends looks, and tells what they changed. */
#include "user/golang/goroutines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/golang/goroutines_state.h"

#define SEARCH_TRIES 131072 /* words of data that may turn out to be no wait reason: 0.2 s */

/* Of the file that the runtime's code was mapped from. */
static struct lm_elf *elf_of(const struct lm_go_tables *tables, const struct lm_region *regions, size_t regions_len)
{
	uint64_t text, etext;

	lm_go_tables_text(tables, &text, &etext);
	for (size_t i = 0; i < regions_len; i++) {
		if (text >= regions[i].start && text < regions[i].end)
			return regions[i].elf;
	}
	return NULL;
}

int lm_goroutines_new(int mem_fd, struct lm_go_tables *tables, const struct lm_region *regions, size_t regions_len,
	struct lm_goroutines **out, const char **why)
{
	struct lm_goroutines *goroutines = calloc(1, sizeof(*goroutines));
	int error = -ENOMEM;

	*why = NULL;
	if (!goroutines)
		return -ENOMEM;
	goroutines->memory = (struct lm_go_memory){
		.fd = mem_fd, .search_bytes_left = LM_GO_SEARCH_BYTES, .search_tries_left = SEARCH_TRIES};
	goroutines->tables = tables;
	goroutines->sudog_slot = -1;
	goroutines->chunk = malloc(LM_GO_CHUNK_BYTES);
	goroutines->again = malloc(LM_GO_CHUNK_BYTES);
	goroutines->batch = calloc(LM_GO_BATCH, sizeof(*goroutines->batch));
	if (goroutines->chunk && goroutines->again && goroutines->batch)
		error = lm_go_runtime_find(
			&goroutines->memory, tables, elf_of(tables, regions, regions_len), &goroutines->runtime, why);
	if (error) {
		lm_goroutines_free(goroutines);
		return error;
	}
	*out = goroutines;
	return 0;
}

void lm_goroutines_free(struct lm_goroutines *goroutines)
{
	if (!goroutines)
		return;
	lm_go_interned_free(&goroutines->interned);
	free(goroutines->addresses);
	free(goroutines->known);
	free(goroutines->order);
	free(goroutines->changed);
	free(goroutines->chunk);
	free(goroutines->again);
	free(goroutines->batch);
	free(goroutines);
}

/* What the last look told of keeps its number through the next. */
static void free_stacks(struct lm_goroutines *goroutines)
{
	if (!lm_go_interned_crowded(&goroutines->interned))
		return;
	for (size_t i = 0; i < goroutines->len; i++) {
		struct lm_go_stack *stack = lm_go_interned_get(&goroutines->interned, goroutines->known[i].stack);

		if (stack)
			stack->used = true;
	}
	lm_go_interned_sweep(&goroutines->interned);
}

static int begin(struct lm_goroutines *goroutines, const char **why)
{
	int error = lm_go_allgs_update(goroutines, why);
	int minor;

	if (error)
		return error;
	free_stacks(goroutines);
	goroutines->next = (struct lm_go_summary){0};
	snprintf(goroutines->next.version, sizeof(goroutines->next.version), "%s",
		lm_go_tables_version(goroutines->tables, &minor));
	goroutines->at = 0;
	goroutines->readable = 0;
	goroutines->looking = true;
	return 0;
}

static bool read_word(const struct lm_goroutines *goroutines, uint64_t address, void *word, size_t size)
{
	return address && lm_go_memory_read_now(&goroutines->memory, address, word, size);
}

static void read_figures(struct lm_goroutines *goroutines)
{
	const struct lm_go_runtime *runtime = &goroutines->runtime;
	struct lm_go_summary *next = &goroutines->next;
	uint64_t heap_live, goid;
	uint32_t gc_count;

	next->gc_count = next->heap_live_bytes = -1;
	next->no_gc = runtime->no_gc;
	if (read_word(goroutines, runtime->gc_count, &gc_count, sizeof(gc_count)))
		next->gc_count = gc_count;
	if (read_word(goroutines, runtime->heap_live, &heap_live, sizeof(heap_live)) && heap_live <= INT64_MAX)
		next->heap_live_bytes = heap_live;
	if (!next->no_gc && (next->gc_count < 0 || next->heap_live_bytes < 0))
		next->no_gc = "its counts cannot be read";
	if (read_word(goroutines, runtime->goid_source, &goid, sizeof(goid)) && goid > next->newest_goid &&
		goid < LM_GO_GOID_MAX)
		next->newest_goid = goid;
}

static int end(struct lm_goroutines *goroutines, const char **why)
{
	struct lm_go_summary *next = &goroutines->next;

	goroutines->looking = false;
	if (!goroutines->readable) {
		*why = "its memory cannot be read";
		return -EIO;
	}
	read_figures(goroutines);
	if (goroutines->object_missed)
		next->no_objects = "runtime.semacquire1 does not show what it waits for";
	next->now_ns = lm_go_now_ns();
	goroutines->summary = *next;
	return 0;
}

int lm_goroutines_look(struct lm_goroutines *goroutines, uint64_t end_ns, const char **why)
{
	int error = 0;

	*why = NULL;
	if (!goroutines->looking)
		error = begin(goroutines, why);
	if (!error)
		error = lm_go_scan(goroutines, end_ns);
	return error ? error : end(goroutines, why);
}

const struct lm_go_summary *lm_goroutines_summary(const struct lm_goroutines *goroutines)
{
	return &goroutines->summary;
}

static void fill_record(const struct lm_goroutine *known, uint32_t index, struct lm_go_record *record)
{
	*record = (struct lm_go_record){
		.index = index,
		.flags = known->flags,
		.goid = known->goid,
		.parent_goid = known->parent_goid,
		.wait_since_ns = known->wait_since_ns,
		.object = known->object,
		.objects = known->objects,
		.stack = known->stack,
		.stack_bytes = known->stack_bytes,
		.state = known->state,
		.reason = known->reason,
	};
}

size_t lm_goroutines_changes(struct lm_goroutines *goroutines, struct lm_go_record *records, size_t max)
{
	size_t words = (goroutines->len + 63) / 64, word = goroutines->told / 64, found = 0;

	while (word < words && found < max) {
		uint64_t bits = goroutines->changed[word];
		uint32_t index = word * 64;

		if (!bits) {
			word++;
			continue;
		}
		index += __builtin_ctzll(bits);
		goroutines->changed[word] = bits & (bits - 1);
		fill_record(&goroutines->known[index], index, &records[found++]);
	}
	goroutines->told = word * 64;
	return found;
}

uint64_t lm_goroutines_changed(const struct lm_goroutines *goroutines)
{
	size_t words = (goroutines->len + 63) / 64;
	uint64_t sum = 0;

	for (size_t word = goroutines->told / 64; word < words; word++)
		sum += __builtin_popcountll(goroutines->changed[word]);
	return sum;
}

void lm_goroutines_tell_again(struct lm_goroutines *goroutines)
{
	goroutines->told = 0;
	for (size_t i = 0; i < goroutines->len; i++) {
		if (i % 64 == 0)
			goroutines->changed[i / 64] = 0;
		if (goroutines->known[i].state != LM_GO_GONE)
			goroutines->changed[i / 64] |= 1ull << i % 64;
	}
}

size_t lm_goroutines_stack(const struct lm_goroutines *goroutines, uint32_t number, const uint64_t **pcs,
	uint64_t *creator_pc, bool *first_exact)
{
	const struct lm_go_stack *stack = lm_go_interned_get(&goroutines->interned, number);

	if (!stack)
		return 0;
	*pcs = stack->pcs;
	*creator_pc = stack->creator_pc;
	*first_exact = stack->first_exact;
	return stack->len;
}

const char *lm_goroutines_reason(const struct lm_goroutines *goroutines, uint8_t reason)
{
	return reason < goroutines->runtime.reasons_len ? goroutines->runtime.reasons[reason].text : NULL;
}

size_t lm_goroutines_bytes(const struct lm_goroutines *goroutines)
{
	return sizeof(*goroutines) + 2 * LM_GO_CHUNK_BYTES + LM_GO_BATCH * sizeof(*goroutines->batch) +
	       goroutines->room *
		       (sizeof(*goroutines->addresses) + sizeof(*goroutines->known) + sizeof(*goroutines->order)) +
	       goroutines->room / 8 + lm_go_interned_bytes(&goroutines->interned);
}
