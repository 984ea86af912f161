// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a thread's state to its frames, and these in among the native ones. The
 * interpreter is not stopped: what is read of a thread that runs meanwhile is
 * checked as anything else is, and its stack is not believed anyway.
 */
#include "user/resolver/python.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "user/resolver/python_layout.h"
#include "user/resolver/python_places.h"
#include "user/resolver/python_threads.h"
#include "user/stacks.h"

#define PAGE_BYTES 4096
#define FRAME_BYTES 112 /* of a frame, up to the last field that is read */
#define SEEN_MAX 16384  /* instructions whose place is remembered */
#define PLACES_BYTES (16u << 20)
#define STEPS_MAX (4 * LM_STACK_MAX) /* frames that run nothing do not count, but end */
#define OWNED_BY_C_STACK 3           /* enum _frameowner of 3.12 and 3.13 */

/* The place of an instruction, which is right as long as the code is the same. */
struct seen {
	struct {
		uint64_t code, instruction;
	} key;
	struct lm_python_code code;
	uint64_t place;
	UT_hash_handle hh;
};

struct lm_python {
	struct lm_remote remote;
	struct lm_python_places *places;
	enum lm_python_status status;
	/* of the target; status is LM_PYTHON_NONE or LM_PYTHON_UNKNOWN_VERSION: not set */
	struct lm_python_runtime runtime;
	const struct lm_python_symbols *symbols;
	uint32_t module; /* the interpreter's */
	const struct lm_elf *elf;
	struct lm_python_threads threads;
	struct seen *seen;
	int mem_fd;
	uint64_t end_ns;
};

/* One Python frame of a thread. */
struct python_frame {
	uint64_t place;
	bool ends_call; /* the frame outside of it is run by another call of the interpreter */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

int lm_python_new(struct lm_python **out)
{
	struct lm_python *python = calloc(1, sizeof(*python));

	if (!python)
		return -ENOMEM;
	if (lm_python_places_new(&python->places)) {
		free(python);
		return -ENOMEM;
	}
	*out = python;
	return 0;
}

static void forget_seen(struct lm_python *python)
{
	struct seen *seen, *next;

	HASH_ITER (hh, python->seen, seen, next) {
		HASH_DEL(python->seen, seen);
		free(seen);
	}
}

void lm_python_free(struct lm_python *python)
{
	if (!python)
		return;
	forget_seen(python);
	lm_python_threads_clear(&python->threads);
	lm_python_places_free(python->places);
	free(python);
}

static const struct lm_python_symbols *symbols_of(struct lm_elf *elf)
{
	if (!elf->python) {
		elf->python = malloc(sizeof(*elf->python));
		if (elf->python)
			lm_python_find_symbols(elf, elf->python);
	}
	return elf->python;
}

/* How far the file lies from its own numbering: what is added to an address of it. */
static bool find_bias(const struct lm_region *region, uint64_t *bias)
{
	for (size_t i = 0; i < region->elf->segments_len; i++) {
		const struct lm_segment *segment = &region->elf->segments[i];

		/* mappings begin at the page that the segment begins in, or are parts of such a one */
		if (region->file_offset + PAGE_BYTES > segment->file_offset &&
			region->file_offset < segment->file_offset + segment->size) {
			*bias = region->start + (segment->file_offset - region->file_offset) - segment->vaddr;
			return true;
		}
	}
	return false;
}

static enum lm_python_status take_runtime(
	struct lm_python *python, const struct lm_region *region, const struct lm_python_symbols *symbols)
{
	struct lm_python_runtime *runtime = &python->runtime;
	uint64_t bias;

	if (!find_bias(region, &bias) || !lm_python_find_layout(&python->remote, symbols, bias, &runtime->layout))
		return LM_PYTHON_UNKNOWN_VERSION;
	runtime->address = symbols->runtime + bias;
	runtime->code_type = symbols->code_type + bias;
	runtime->frame_type = symbols->frame_type + bias;
	runtime->str_type = symbols->str_type + bias;
	runtime->bytes_type = symbols->bytes_type + bias;
	python->symbols = symbols;
	python->module = region->module;
	python->elf = region->elf;
	return LM_PYTHON_READ;
}

void lm_python_turn(struct lm_python *python, int mem_fd, const struct lm_region *regions, size_t regions_len)
{
	python->status = LM_PYTHON_NONE;
	python->mem_fd = mem_fd;
	forget_seen(python);
	lm_python_threads_clear(&python->threads);
	lm_remote_reset(&python->remote, mem_fd);
	for (size_t i = 0; i < regions_len && python->status == LM_PYTHON_NONE; i++) {
		const struct lm_python_symbols *symbols;

		if (!regions[i].executable || !regions[i].elf || (i && regions[i].elf == regions[i - 1].elf))
			continue;
		symbols = symbols_of(regions[i].elf);
		if (symbols && symbols->is_python)
			python->status = take_runtime(python, &regions[i], symbols);
	}
}

void lm_python_begin(struct lm_python *python, uint64_t end_ns)
{
	lm_remote_reset(&python->remote, python->mem_fd);
	lm_python_threads_begin(&python->threads);
	python->end_ns = end_ns;
	if (lm_python_places_bytes(python->places) > PLACES_BYTES) {
		lm_python_places_clear(python->places);
		forget_seen(python);
	}
}

static bool same_code(const struct lm_python_code *a, const struct lm_python_code *b)
{
	return a->file == b->file && a->name == b->name && a->lines == b->lines && a->first_line == b->first_line;
}

static void remember(struct lm_python *python, const struct lm_python_code *code, uint64_t instruction, uint64_t place)
{
	struct seen *seen;

	if (HASH_COUNT(python->seen) >= SEEN_MAX)
		forget_seen(python);
	seen = calloc(1, sizeof(*seen));
	if (!seen)
		return;
	seen->key.code = code->address;
	seen->key.instruction = instruction;
	seen->code = *code;
	seen->place = place;
	HASH_ADD(hh, python->seen, key, sizeof(seen->key), seen);
	if (!seen->hh.tbl)
		free(seen);
}

/* The number of the place, 0 if it cannot be read. */
static uint64_t find_place(struct lm_python *python, uint64_t address, uint64_t instruction)
{
	struct seen *seen, probe = {.key = {address, instruction}};
	struct lm_python_code code;
	struct lm_python_place place;
	uint64_t number;

	if (!lm_python_read_code(&python->remote, &python->runtime, address, &code))
		return 0;
	HASH_FIND(hh, python->seen, &probe.key, sizeof(probe.key), seen);
	if (seen && same_code(&seen->code, &code))
		return seen->place;
	if (seen) {
		HASH_DEL(python->seen, seen);
		free(seen);
	}
	if (!lm_python_read_place(&python->remote, &python->runtime, &code, instruction, &place))
		return 0;
	number = lm_python_places_number(python->places, &place);
	if (number)
		remember(python, &code, instruction, number);
	return number;
}

static uint64_t field(const unsigned char *frame, uint32_t offset)
{
	uint64_t word = 0;

	if (offset + sizeof(word) <= FRAME_BYTES)
		memcpy(&word, frame + offset, sizeof(word));
	return word;
}

static bool first_frame(struct lm_python *python, uint64_t state, uint64_t *frame)
{
	const struct lm_python_layout *layout = &python->runtime.layout;

	if (!lm_remote_read(&python->remote, state + layout->thread_frame, frame, sizeof(*frame)))
		return false;
	return !*frame || !layout->thread_frame_twice ||
	       lm_remote_read(&python->remote, *frame + layout->cframe_frame, frame, sizeof(*frame));
}

/* Reads the frame and sets what it is. A frame that runs nothing has place 0. */
static bool read_frame(struct lm_python *python, uint64_t address, struct python_frame *out, uint64_t *previous)
{
	const struct lm_python_layout *layout = &python->runtime.layout;
	unsigned char frame[FRAME_BYTES];
	uint64_t instruction;

	if (address % 8 || !lm_remote_read(&python->remote, address, frame, sizeof(frame)))
		return false;
	*previous = field(frame, layout->frame_previous);
	instruction = field(frame, layout->frame_instruction);
	*out = (struct python_frame){0};
	switch (layout->frames) {
	case LM_PYTHON_FRAME_OBJECTS:
		if (field(frame, 8) != python->runtime.frame_type)
			return false;
		instruction = (uint32_t)instruction;
		out->ends_call = true;
		break;
	case LM_PYTHON_ENTRY_FLAG:
		out->ends_call = frame[layout->frame_entry];
		break;
	case LM_PYTHON_SHIM_FRAME:
		if (layout->frame_owner >= FRAME_BYTES)
			return false;
		if (frame[layout->frame_owner] == OWNED_BY_C_STACK)
			return true;
		break;
	}
	out->place = find_place(python, field(frame, layout->frame_code), instruction);
	return out->place;
}

/* The frames of a thread's state, innermost first. Returns how many; *whole is false if there should be more. */
static size_t read_frames(
	struct lm_python *python, uint64_t state, struct python_frame *frames, size_t max, bool *whole)
{
	uint64_t address;
	size_t len = 0;

	*whole = false;
	if (!first_frame(python, state, &address))
		return 0;
	for (unsigned steps = 0; address && len < max; steps++) {
		struct python_frame frame;

		/* what is hostile may have frames without end, each slow to read */
		if (steps == STEPS_MAX || (steps % 16 == 15 && now_ns() > python->end_ns) ||
			!read_frame(python, address, &frame, &address))
			return len;
		if (frame.place)
			frames[len++] = frame;
		else if (len)
			frames[len - 1].ends_call = true;
	}
	*whole = !address;
	return len;
}

static bool is_eval(const struct lm_python *python, const struct lm_frame_message *frame)
{
	uint64_t vaddr;

	if (frame->module != python->module || !lm_elf_to_vaddr(python->elf, frame->offset - !frame->exact, &vaddr))
		return false;
	for (unsigned i = 0; i < python->symbols->eval_len; i++) {
		if (vaddr >= python->symbols->eval_start[i] && vaddr < python->symbols->eval_end[i])
			return true;
	}
	return false;
}

/* Native and Python frames on their way into one row. */
struct merge {
	const struct python_frame *frames;
	size_t frames_len, at;
	struct lm_frame_message *out;
	size_t len, max;
};

static bool put(struct merge *merge, struct lm_frame_message frame)
{
	if (merge->len == merge->max)
		return false;
	merge->out[merge->len++] = frame;
	return true;
}

/* The frames that one call of the interpreter runs, or all that are left. */
static bool put_call(struct merge *merge, bool all)
{
	bool ended = false;

	while (merge->at < merge->frames_len && (all || !ended)) {
		const struct python_frame *frame = &merge->frames[merge->at++];

		if (!put(merge, (struct lm_frame_message){frame->place, LM_MODULE_PYTHON, true}))
			return false;
		ended = frame->ends_call;
	}
	return true;
}

/*
 * Each call of the interpreter is followed by its frames. Where the native frames show fewer calls than there are
 * (code that the symbols do not tell, a stack that could not be unwound to its end) the frames that are left come after
 * the last of them, or at the end of what is known.
 */
static bool merge_frames(const struct lm_python *python, struct merge *merge, const struct lm_frame_message *native,
	size_t len, bool whole)
{
	size_t evals = 0;

	for (size_t i = 0; i < len; i++)
		evals += is_eval(python, &native[i]);
	for (size_t i = 0; i < len; i++) {
		if (!put(merge, native[i]))
			return false;
		if (!is_eval(python, &native[i]))
			continue;
		evals--;
		if (!put_call(merge, whole && !evals))
			return false;
	}
	return put_call(merge, true);
}

size_t lm_python_add(struct lm_python *python, const struct lm_regs *regs, struct lm_frame_message *frames, size_t len,
	size_t max, enum lm_unwind_status *status)
{
	struct lm_frame_message native[LM_STACK_MAX];
	struct python_frame found[LM_STACK_MAX];
	struct merge merge = {.frames = found, .out = frames, .max = max};
	uint64_t now = now_ns(), states[LM_PYTHON_STATES_MAX];
	size_t states_len;
	bool whole = true;

	if ((python->status != LM_PYTHON_READ && python->status != LM_PYTHON_UNREADABLE) || len > LM_STACK_MAX ||
		now > python->end_ns)
		return len;
	states_len =
		lm_python_threads_find(&python->threads, &python->remote, &python->runtime, regs->fs_base, now, states);
	if (!python->threads.len && python->threads.odd)
		python->status = LM_PYTHON_UNREADABLE;
	if (!states_len)
		return len;
	for (size_t i = 0; i < states_len && whole; i++)
		merge.frames_len += read_frames(
			python, states[i], found + merge.frames_len, LM_STACK_MAX - merge.frames_len, &whole);
	if (merge.frames_len)
		python->status = LM_PYTHON_READ;
	else if (!whole)
		python->status = LM_PYTHON_UNREADABLE;
	memcpy(native, frames, len * sizeof(native[0]));
	if (!merge_frames(python, &merge, native, len, *status == LM_UNWIND_COMPLETE) ||
		merge.frames_len == LM_STACK_MAX)
		*status = LM_UNWIND_TRUNCATED;
	return merge.len;
}

enum lm_python_status lm_python_status(const struct lm_python *python)
{
	return python->status;
}

const struct lm_python_place *lm_python_place(const struct lm_python *python, uint64_t number)
{
	return lm_python_places_find(python->places, number);
}
