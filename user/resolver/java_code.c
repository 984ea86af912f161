// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The code cache: from an address to the blob that holds it, as the JVM itself finds
 * it. Each heap has a map with a byte for each segment: 0 where a block begins, 0xff
 * where nothing is in use, else how many segments to go back at the least.
 */
#include <string.h>

#include "user/resolver/java_state.h"

#define FREE_SEGMENT 0xff
#define BLOB_MAX (64u << 20) /* bytes: no method's code is as large */
#define FRAME_MAX (1u << 20) /* bytes */
#define WORD 8

static bool read_heap(struct lm_java *java, uint64_t address, struct lm_java_heap *heap)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t memory = address + layout->code_cache.memory.at, segmap = address + layout->code_cache.segmap.at, log2;

	if (!lm_java_field_read(java->remote, memory, &layout->code_cache.space_low, &heap->low) ||
		!lm_java_field_read(java->remote, memory, &layout->code_cache.space_high, &heap->high) ||
		!lm_java_field_read(java->remote, segmap, &layout->code_cache.space_low, &heap->segmap_low) ||
		!lm_java_field_read(java->remote, segmap, &layout->code_cache.space_high, &heap->segmap_high) ||
		!lm_java_field_read(java->remote, address, &layout->code_cache.log2_segment_size, &log2))
		return false;
	heap->log2_segment = log2;
	return heap->low < heap->high && log2 >= 3 && log2 < 20;
}

static void add_heap(struct lm_java *java, uint64_t address)
{
	if (java->heaps_len < LM_JAVA_HEAPS_MAX && read_heap(java, address, &java->heaps[java->heaps_len]))
		java->heaps_len++;
}

static void read_heaps(struct lm_java *java)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t array, len, data, heap;

	java->heaps_len = 0;
	if (lm_java_field_read(java->remote, 0, &layout->code_cache.heap, &heap)) {
		add_heap(java, heap);
		return;
	}
	if (!lm_java_field_read(java->remote, 0, &layout->code_cache.heaps, &array) ||
		!lm_java_field_read(java->remote, array, &layout->code_cache.array_len, &len) ||
		!lm_java_field_read(java->remote, array, &layout->code_cache.array_data, &data))
		return;
	for (uint64_t i = 0; i < len && i < LM_JAVA_HEAPS_MAX; i++) {
		if (lm_remote_read(java->remote, data + i * WORD, &heap, sizeof(heap)))
			add_heap(java, heap);
	}
}

bool lm_java_code_read(struct lm_java *java)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t queue, limit;

	if (java->heaps_read)
		return java->heaps_len;
	java->heaps_read = true;
	read_heaps(java);
	java->interpreter_low = java->interpreter_high = 0;
	if (lm_java_field_read(java->remote, 0, &layout->stubs.interpreter_code, &queue) &&
		lm_java_field_read(java->remote, queue, &layout->stubs.stub_buffer, &java->interpreter_low) &&
		lm_java_field_read(java->remote, queue, &layout->stubs.buffer_limit, &limit))
		java->interpreter_high = java->interpreter_low + limit;
	if (!lm_java_field_read(java->remote, 0, &layout->stubs.call_stub_return_address, &java->call_stub_return))
		java->call_stub_return = 0;
	return java->heaps_len;
}

static const struct lm_java_heap *heap_of(const struct lm_java *java, uint64_t pc)
{
	for (size_t i = 0; i < java->heaps_len; i++) {
		if (pc >= java->heaps[i].low && pc < java->heaps[i].high)
			return &java->heaps[i];
	}
	return NULL;
}

bool lm_java_code_holds(const struct lm_java *java, uint64_t pc)
{
	return heap_of(java, pc);
}

/* The block that holds pc: its first segment. */
static bool find_block(struct lm_java *java, const struct lm_java_heap *heap, uint64_t pc, uint64_t *address)
{
	uint64_t segment = (pc - heap->low) >> heap->log2_segment;
	uint8_t back;

	if (segment >= heap->segmap_high - heap->segmap_low)
		return false;
	for (;;) {
		if (!lm_java_spend(java) ||
			!lm_remote_read(java->remote, heap->segmap_low + segment, &back, sizeof(back)) ||
			back == FREE_SEGMENT || back > segment)
			return false;
		if (!back)
			break;
		segment -= back;
	}
	*address = heap->low + (segment << heap->log2_segment);
	return true;
}

static bool is_used(struct lm_java *java, uint64_t block)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t used;

	return lm_java_field_read(java->remote, block + layout->code_cache.block_header.at,
		       &layout->code_cache.block_used, &used) &&
	       used;
}

/* A field that may not be there. */
static uint64_t field_or(struct lm_java *java, uint64_t base, const struct lm_java_field *field, uint64_t otherwise)
{
	uint64_t value;

	return lm_java_field_read(java->remote, base, field, &value) ? value : otherwise;
}

static bool read_blob(struct lm_java *java, uint64_t address, struct lm_java_blob *blob)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t name_at, words;
	char name[64];

	*blob = (struct lm_java_blob){.address = address};
	if (!lm_java_field_read(java->remote, address, &layout->code_blob.size, &blob->size) || blob->size > BLOB_MAX ||
		!lm_java_field_read(java->remote, address, &layout->code_blob.frame_size, &words) ||
		!lm_java_field_read(java->remote, address, &layout->code_blob.name, &name_at) ||
		!lm_java_text_read(java->remote, name_at, name, sizeof(name)))
		return false;
	blob->code = layout->code_blob.code_begin.size
			     ? field_or(java, address, &layout->code_blob.code_begin, 0)
			     : address + field_or(java, address, &layout->code_blob.code_offset, 0);
	/* a negative one means that it never is */
	blob->frame_complete = field_or(java, address, &layout->code_blob.frame_complete_offset, 0);
	if (layout->code_blob.frame_complete_offset.size == 2)
		blob->frame_complete = (uint64_t)(int16_t)blob->frame_complete;
	blob->frame_size = words <= FRAME_MAX / WORD ? words * WORD : 0;
	if (strcmp(name, "nmethod") == 0 || strcmp(name, "native nmethod") == 0)
		blob->kind = LM_JAVA_BLOB_METHOD;
	else if (strstr(name, "continuation"))
		blob->kind = LM_JAVA_BLOB_CONTINUATION;
	return blob->code >= address && blob->code - address <= blob->size;
}

bool lm_java_code_find(struct lm_java *java, uint64_t pc, struct lm_java_blob *blob)
{
	const struct lm_java_heap *heap = heap_of(java, pc);
	uint64_t block;

	return heap && find_block(java, heap, pc, &block) && is_used(java, block) &&
	       read_blob(java, block + java->layout.code_cache.block_bytes, blob) && pc >= blob->address &&
	       pc - blob->address <= blob->size;
}

bool lm_java_code_interprets(struct lm_java *java, uint64_t pc, uint32_t bytecode)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t at = java->interpreter_low, size, found;

	while (lm_java_spend(java) && at < java->interpreter_high) {
		if (!lm_java_field_read(java->remote, at, &layout->stubs.codelet_size, &size) || !size)
			return false;
		if (pc - at < size)
			return lm_java_field_read(java->remote, at, &layout->stubs.codelet_bytecode, &found) &&
			       found == bytecode;
		at += size;
	}
	return false;
}
