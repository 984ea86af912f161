// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a program counter stands for, as runtime.inlineUnwinder goes: the code that was inlined there, from the
 * innermost, with the line of each. That of an outer one is the line of an instruction of the call.
 */
#include <string.h>

#include "user/golang/tables_state.h"

#define PCDATA_INLINE 2
#define INLINED_MAX 64
#define NO_OFFSET UINT32_MAX

/* One entry of a function's tree of inlined calls, of what its format has. */
struct inlined {
	uint32_t name;
	uint32_t parent_pc; /* from the function's entry */
	uint8_t id;
};

/* abi.FuncIDWrapper differs between versions. runtime.deferreturn is in every program and has always had it. */
static uint8_t wrapper_id(struct lm_go_tables *tables)
{
	struct lm_go_function function;

	if (!tables->wrapper_sought && lm_go_tables_find(tables, "runtime.deferreturn", &function))
		tables->wrapper_id = function.func_id;
	tables->wrapper_sought = true;
	return tables->wrapper_id;
}

/* 1.15 and older: behind the index stands where the array of files' offsets is. */
static bool find_old_file(struct lm_go_tables *tables, uint32_t number, uint32_t *offset)
{
	const struct lm_go_layout *layout = &tables->layout;
	uint32_t files;

	return lm_go_slice_read(tables, &layout->index, layout->index.len - 8, &files, sizeof(files)) &&
	       lm_go_slice_read(tables, &layout->files, files + (uint64_t)number * 4, offset, sizeof(*offset));
}

/* The file of a number that is one of the function's compilation unit. */
static const char *find_file(struct lm_go_tables *tables, const struct lm_go_func *func, uint32_t number)
{
	const struct lm_go_layout *layout = &tables->layout;
	uint32_t offset;
	bool found;

	if (layout->format == LM_GO_FORMAT_1_2)
		found = find_old_file(tables, number, &offset);
	else
		found = lm_go_slice_read(
			tables, &layout->units, ((uint64_t)func->unit + number) * 4, &offset, sizeof(offset));
	return found && offset != NO_OFFSET ? lm_go_text_at(tables, &layout->files, offset) : NULL;
}

static void fill_place(struct lm_go_tables *tables, const struct lm_go_func *func, uint64_t pc, struct lm_go_line *line)
{
	int32_t file, number;

	if (!lm_go_value_find(tables, func, func->pcfile, pc, &file) || file < 0 ||
		!lm_go_value_find(tables, func, func->pcln, pc, &number) || number < 0)
		return;
	line->file = find_file(tables, func, file);
	line->line = line->file ? number : 0;
}

/* The pcvalue table for what was inlined; 0: nothing was. */
static uint32_t inline_table(struct lm_go_tables *tables, const struct lm_go_func *func)
{
	uint32_t offset = 0;

	if (func->pcdata_len <= PCDATA_INLINE ||
		!lm_go_memory_read(
			&tables->memory, func->at + func->head_bytes + PCDATA_INLINE * 4, &offset, sizeof(offset)))
		return 0;
	return offset;
}

/* The address of the function's tree, 0 if it has none. */
static uint64_t find_tree(struct lm_go_tables *tables, const struct lm_go_func *func)
{
	const struct lm_go_layout *layout = &tables->layout;
	unsigned index = layout->format == LM_GO_FORMAT_1_2 ? 4 : 3;
	uint64_t at = func->at + func->head_bytes + (uint64_t)func->pcdata_len * 4, address = 0;
	uint32_t offset;

	if (func->funcdata_len <= index)
		return 0;
	if (layout->format < LM_GO_FORMAT_1_18) {
		at = (at + 7) & ~7ull;
		return lm_go_memory_read(&tables->memory, at + index * 8, &address, sizeof(address)) ? address : 0;
	}
	if (!layout->gofunc || !lm_go_memory_read(&tables->memory, at + index * 4, &offset, sizeof(offset)) ||
		offset == NO_OFFSET)
		return 0;
	return layout->gofunc + offset;
}

static bool read_inlined(struct lm_go_tables *tables, uint64_t tree, int32_t index, struct inlined *inlined)
{
	bool old = tables->layout.format < LM_GO_FORMAT_1_20;
	uint32_t words[5];
	size_t size = old ? 20 : 16;

	if (index < 0 || !lm_go_memory_read(&tables->memory, tree + (uint64_t)index * size, words, size))
		return false;
	if (old)
		*inlined = (struct inlined){.name = words[3], .parent_pc = words[4], .id = words[0] >> 16};
	else
		*inlined = (struct inlined){.name = words[1], .parent_pc = words[2], .id = words[0]};
	return true;
}

/* What is being made of one program counter. */
struct walk {
	struct lm_go_tables *tables;
	const struct lm_go_func *func;
	uint64_t pc;
	struct lm_go_line *lines;
	size_t len, max;
};

static void add_line(struct walk *walk, uint32_t name, uint8_t id, bool is_inlined)
{
	uint8_t wrapper = wrapper_id(walk->tables);
	struct lm_go_line *line = &walk->lines[walk->len];

	/* what the compiler put between a call and the method that it calls */
	if ((wrapper && id == wrapper) || walk->len == walk->max)
		return;
	*line = (struct lm_go_line){.function = lm_go_text_printed(walk->tables, name), .inlined = is_inlined};
	fill_place(walk->tables, walk->func, walk->pc, line);
	walk->len++;
}

static void add_inlined(struct walk *walk)
{
	uint32_t table = inline_table(walk->tables, walk->func);
	uint64_t tree = table ? find_tree(walk->tables, walk->func) : 0;

	/* a tree that leads around in circles is left in the end */
	for (int depth = 0; tree && depth < INLINED_MAX; depth++) {
		struct inlined inlined;
		int32_t index;

		if (!lm_go_value_find(walk->tables, walk->func, table, walk->pc, &index) || index < 0 ||
			!read_inlined(walk->tables, tree, index, &inlined) ||
			inlined.parent_pc >= walk->func->end - walk->func->entry)
			return;
		add_line(walk, inlined.name, inlined.id, true);
		walk->pc = walk->func->entry + inlined.parent_pc;
	}
}

size_t lm_go_tables_lines(struct lm_go_tables *tables, uint64_t pc, bool exact, struct lm_go_line *lines, size_t max)
{
	struct lm_go_func func;
	struct walk walk = {.tables = tables, .func = &func, .lines = lines, .max = max};

	if (!lm_go_func_find(tables, pc, &func))
		return 0;
	tables->values_left = LM_GO_VALUES;
	walk.pc = !exact && pc > func.entry ? pc - 1 : pc;
	add_inlined(&walk);
	add_line(&walk, func.name, func.id, false);
	return walk.len;
}
