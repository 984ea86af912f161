// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interning by hash tables. Frames count the stacks that use them, so that a watch
 * of months holds only what it shows. The frames used last are kept for a while:
 * to name one again costs up to some milliseconds, and threads that come and go
 * have the same. Modules go with the last frame in them, once nobody holds them.
 */
#include "user/stacks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define UNUSED_FRAMES_MAX 4096 /* kept: about 300 bytes each */

struct module_entry {
	struct lm_module module; /* first: a pointer to it is one to the entry */
	size_t holds;            /* by those who may yet store frames in it */
	size_t users;            /* frames */
	UT_hash_handle hh;
	char key[]; /* "identity/build id/name" */
};

struct frame_key {
	const struct lm_module *module;
	uint64_t offset;
	uint64_t golang; /* as wide as the rest, so that no padding is hashed */
};

struct frame_entry {
	struct lm_frame frame; /* first */
	struct frame_key key;
	size_t users;                    /* places in stacks */
	struct frame_entry *prev, *next; /* in the list of unused ones, while users is 0 */
	UT_hash_handle hh;
};

struct stack_entry {
	struct lm_stack stack; /* first */
	size_t references;
	UT_hash_handle hh;
	const struct lm_frame *frames[];
};

struct lm_stacks {
	struct module_entry *modules;
	struct frame_entry *frames;
	struct frame_entry *unused; /* oldest first */
	size_t unused_len;
	struct stack_entry *stacks[LM_STACK_BROKEN + 1]; /* by how they end; then by the addresses of their frames */
};

int lm_stacks_new(struct lm_stacks **out)
{
	struct lm_stacks *stacks = calloc(1, sizeof(*stacks));

	if (!stacks)
		return -ENOMEM;
	*out = stacks;
	return 0;
}

static void free_module(struct lm_stacks *stacks, struct module_entry *entry)
{
	HASH_DEL(stacks->modules, entry);
	free(entry->module.name);
	free(entry->module.build_id);
	free(entry);
}

static void free_unused_module(struct lm_stacks *stacks, struct module_entry *entry)
{
	if (!entry->holds && !entry->users)
		free_module(stacks, entry);
}

static void free_functions(struct lm_frame *frame)
{
	struct lm_function *functions = (struct lm_function *)frame->functions;

	for (uint32_t i = 0; functions && i < frame->functions_len; i++) {
		free((char *)functions[i].name);
		free((char *)functions[i].file);
	}
	free(functions);
}

static void free_frame(struct lm_stacks *stacks, struct frame_entry *entry)
{
	struct module_entry *module = (struct module_entry *)entry->frame.module;

	HASH_DEL(stacks->frames, entry);
	free_functions(&entry->frame);
	free(entry);
	module->users--;
	free_unused_module(stacks, module);
}

static void add_unused(struct lm_stacks *stacks, struct frame_entry *entry)
{
	DL_APPEND(stacks->unused, entry);
	stacks->unused_len++;
}

static void remove_unused(struct lm_stacks *stacks, struct frame_entry *entry)
{
	DL_DELETE(stacks->unused, entry);
	stacks->unused_len--;
}

/* Not called between the storing of frames and the interning of their stack: they are unused so long. */
static void drop_unused(struct lm_stacks *stacks)
{
	while (stacks->unused_len > UNUSED_FRAMES_MAX) {
		struct frame_entry *oldest = stacks->unused;

		remove_unused(stacks, oldest);
		free_frame(stacks, oldest);
	}
}

static void free_stack(struct lm_stacks *stacks, struct stack_entry *entry)
{
	HASH_DEL(stacks->stacks[entry->stack.end], entry);
	for (uint32_t i = 0; i < entry->stack.frames_len; i++) {
		struct frame_entry *frame = (struct frame_entry *)entry->frames[i];

		/* a frame may stand in the stack more than once */
		if (--frame->users == 0)
			add_unused(stacks, frame);
	}
	free(entry);
}

void lm_stacks_free(struct lm_stacks *stacks)
{
	struct stack_entry *stack, *next_stack;
	struct frame_entry *frame, *next_frame;
	struct module_entry *module, *next_module;

	if (!stacks)
		return;
	for (int end = 0; end <= LM_STACK_BROKEN; end++) {
		HASH_ITER (hh, stacks->stacks[end], stack, next_stack)
			free_stack(stacks, stack);
	}
	HASH_ITER (hh, stacks->frames, frame, next_frame)
		free_frame(stacks, frame);
	HASH_ITER (hh, stacks->modules, module, next_module)
		free_module(stacks, module);
	free(stacks);
}

int lm_stacks_module(struct lm_stacks *stacks, const char *name, const char *build_id, uint64_t identity,
	const struct lm_module **out)
{
	size_t len = 16 + 1 + strlen(build_id ? build_id : "") + 1 + strlen(name);
	struct module_entry *entry, *found;

	entry = calloc(1, sizeof(*entry) + len + 1);
	if (!entry)
		return -ENOMEM;
	snprintf(entry->key, len + 1, "%016llx/%s/%s", (unsigned long long)identity, build_id ? build_id : "", name);
	HASH_FIND(hh, stacks->modules, entry->key, len, found);
	if (found) {
		free(entry);
		found->holds++;
		*out = &found->module;
		return 0;
	}
	entry->module.name = strdup(name);
	entry->module.build_id = build_id ? strdup(build_id) : NULL;
	if (!entry->module.name || (build_id && !entry->module.build_id))
		goto free_entry;
	HASH_ADD(hh, stacks->modules, key, len, entry);
	if (!entry->hh.tbl)
		goto free_entry;
	entry->holds = 1;
	*out = &entry->module;
	return 0;

free_entry:
	free(entry->module.name);
	free(entry->module.build_id);
	free(entry);
	return -ENOMEM;
}

void lm_stacks_hold_module(const struct lm_module *module)
{
	((struct module_entry *)module)->holds++;
}

void lm_stacks_release_module(struct lm_stacks *stacks, const struct lm_module *module)
{
	struct module_entry *entry = (struct module_entry *)module;

	if (!entry)
		return;
	entry->holds--;
	free_unused_module(stacks, entry);
}

static const struct lm_frame *find_frame(const struct lm_stacks *stacks, const struct frame_key *key)
{
	struct frame_entry *entry;

	HASH_FIND(hh, stacks->frames, key, sizeof(*key), entry);
	return entry ? &entry->frame : NULL;
}

const struct lm_frame *lm_stacks_find_frame(
	const struct lm_stacks *stacks, const struct lm_module *module, uint64_t offset)
{
	const struct frame_key key = {.module = module, .offset = offset};

	return find_frame(stacks, &key);
}

static int copy_functions(const struct lm_frame *from, struct lm_frame *to)
{
	struct lm_function *functions = calloc(from->functions_len, sizeof(*functions));

	if (!functions)
		return -ENOMEM;
	to->functions = functions;
	to->functions_len = from->functions_len;
	for (uint32_t i = 0; i < from->functions_len; i++) {
		const struct lm_function *function = &from->functions[i];

		functions[i].line = function->line;
		functions[i].inlined = function->inlined;
		if (function->name && !(functions[i].name = strdup(function->name)))
			return -ENOMEM;
		if (function->file && !(functions[i].file = strdup(function->file)))
			return -ENOMEM;
	}
	return 0;
}

int lm_stacks_frame(struct lm_stacks *stacks, const struct lm_frame *frame, const struct lm_frame **stored)
{
	const struct frame_key key = {.module = frame->module, .offset = frame->offset, .golang = frame->golang};
	const struct lm_frame *found = find_frame(stacks, &key);
	struct frame_entry *entry;

	if (found) {
		*stored = found;
		return 0;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->frame.module = frame->module;
	entry->frame.offset = frame->offset;
	entry->frame.function_start = frame->function_start;
	entry->frame.python = frame->python;
	entry->frame.golang = frame->golang;
	if (frame->functions_len && copy_functions(frame, &entry->frame))
		goto free_entry;
	entry->key = key;
	HASH_ADD(hh, stacks->frames, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl)
		goto free_entry;
	((struct module_entry *)frame->module)->users++;
	add_unused(stacks, entry);
	*stored = &entry->frame;
	return 0;

free_entry:
	free_functions(&entry->frame);
	free(entry);
	return -ENOMEM;
}

uint64_t lm_stacks_python_offset(const char *name, uint32_t first_line, uint32_t line)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ull;
	return (hash & 0x1fff) << 40 | (uint64_t)(first_line & 0xfffff) << 20 | (line & 0xfffff);
}

/* FNV-1a over what is equal on every machine. */
static uint64_t hash_stack(const struct lm_frame *const *frames, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++) {
		const struct lm_module *module = frames[i]->module;
		const char *text = module->build_id ? module->build_id : module->name;

		for (; *text; text++)
			hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
		for (int byte = 0; byte < 8; byte++)
			hash = (hash ^ (frames[i]->offset >> (8 * byte) & 0xff)) * 0x100000001b3ull;
	}
	return hash;
}

static void use_frame(struct lm_stacks *stacks, struct frame_entry *frame)
{
	if (frame->users++ == 0)
		remove_unused(stacks, frame);
}

int lm_stacks_intern(struct lm_stacks *stacks, const struct lm_frame *const *frames, size_t frames_len,
	enum lm_stack_end end, const struct lm_stack **out)
{
	static const struct lm_frame *const none[1];
	size_t bytes = frames_len * sizeof(frames[0]);
	struct stack_entry *entry;

	if (frames_len > LM_STACK_MAX)
		return -E2BIG;
	if (!frames_len)
		frames = none; /* memcmp and memcpy want an address for nothing, too */
	HASH_FIND(hh, stacks->stacks[end], frames, bytes, entry);
	if (entry) {
		entry->references++;
		*out = &entry->stack;
		return 0;
	}
	entry = calloc(1, sizeof(*entry) + bytes);
	if (!entry)
		return -ENOMEM;
	memcpy(entry->frames, frames, bytes);
	HASH_ADD_KEYPTR(hh, stacks->stacks[end], entry->frames, bytes, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	entry->stack.hash = hash_stack(frames, frames_len);
	entry->stack.end = end;
	entry->stack.frames_len = frames_len;
	entry->stack.frames = entry->frames;
	entry->references = 1;
	for (size_t i = 0; i < frames_len; i++)
		use_frame(stacks, (struct frame_entry *)frames[i]);
	drop_unused(stacks);
	*out = &entry->stack;
	return 0;
}

void lm_stack_ref(const struct lm_stack *stack)
{
	((struct stack_entry *)stack)->references++;
}

void lm_stack_unref(struct lm_stacks *stacks, const struct lm_stack *stack)
{
	struct stack_entry *entry = (struct stack_entry *)stack;

	if (entry && --entry->references == 0)
		free_stack(stacks, entry);
}
