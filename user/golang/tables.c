// SPDX-License-Identifier: GPL-2.0-or-later
/* Opens the tables of a program and finds functions in them. */
#include "user/golang/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/golang/binary.h"
#include "user/golang/tables_state.h"

#define NAME_MAX_BYTES 256 /* of a name that is looked for */

static const struct lm_go_func_layout {
	uint8_t entry_bytes, unit, id, bytes;
} func_layouts[] = {
	[LM_GO_FORMAT_1_2] = {8, 0, 36, 40},
	[LM_GO_FORMAT_1_16] = {8, 36, 40, 44},
	[LM_GO_FORMAT_1_18] = {4, 32, 36, 40},
	[LM_GO_FORMAT_1_20] = {4, 32, 40, 44},
};
#define FUNC_BYTES 44

/* One function in the index. Addresses are absolute before 1.18. */
struct entry {
	uint64_t address, offset;
};

static size_t entry_bytes(const struct lm_go_layout *layout)
{
	return layout->format < LM_GO_FORMAT_1_18 ? 16 : 8;
}

static struct entry decode_entry(const struct lm_go_layout *layout, const unsigned char *bytes)
{
	struct entry entry;
	uint32_t halves[2];

	if (layout->format < LM_GO_FORMAT_1_18) {
		memcpy(&entry, bytes, sizeof(entry));
		return entry;
	}
	memcpy(halves, bytes, sizeof(halves));
	return (struct entry){.address = layout->text + halves[0], .offset = halves[1]};
}

/* The last has an address only: the end of the last function. */
static bool read_entry(struct lm_go_tables *tables, uint64_t number, struct entry *entry)
{
	size_t size = entry_bytes(&tables->layout);
	unsigned char bytes[16];

	if (number > tables->layout.functions_len ||
		!lm_go_slice_read(tables, &tables->layout.index, number * size, bytes, size))
		return false;
	*entry = decode_entry(&tables->layout, bytes);
	return true;
}

bool lm_go_slice_read(
	struct lm_go_tables *tables, const struct lm_go_slice *slice, uint64_t offset, void *buffer, size_t size)
{
	return offset <= slice->len && size <= slice->len - offset &&
	       lm_go_memory_read(&tables->memory, slice->start + offset, buffer, size);
}

static uint32_t word_at(const unsigned char *bytes, size_t at)
{
	uint32_t word;

	memcpy(&word, bytes + at, sizeof(word));
	return word;
}

/* Reads a function's struct, which says again where the function is. */
static bool read_func(struct lm_go_tables *tables, uint64_t number, struct lm_go_func *func)
{
	const struct lm_go_layout *layout = &tables->layout;
	const struct lm_go_func_layout *fields = &func_layouts[layout->format];
	size_t after = fields->entry_bytes;
	unsigned char bytes[FUNC_BYTES];
	struct entry entry, next;
	uint64_t address = 0;

	if (!read_entry(tables, number, &entry) || !read_entry(tables, number + 1, &next) ||
		next.address < entry.address ||
		!lm_go_slice_read(tables, &layout->functions, entry.offset, bytes, fields->bytes))
		return false;
	memcpy(&address, bytes, fields->entry_bytes);
	if (layout->format >= LM_GO_FORMAT_1_18)
		address += layout->text;
	if (address != entry.address)
		return false;
	*func = (struct lm_go_func){
		.entry = entry.address,
		.end = next.address,
		.at = layout->functions.start + entry.offset,
		.number = number,
		.head_bytes = fields->bytes,
		.name = word_at(bytes, after),
		.pcsp = word_at(bytes, after + 12),
		.pcfile = word_at(bytes, after + 16),
		.pcln = word_at(bytes, after + 20),
		.pcdata_len = word_at(bytes, after + 24),
		.unit = fields->unit ? word_at(bytes, fields->unit) : 0,
		.id = bytes[fields->id],
		.flags = bytes[fields->id + 1],
		.funcdata_len = bytes[fields->id + 3],
	};
	return true;
}

bool lm_go_func_find(struct lm_go_tables *tables, uint64_t pc, struct lm_go_func *func)
{
	uint64_t low = 0, high = tables->layout.functions_len;

	if (pc < tables->layout.text || pc >= tables->layout.etext)
		return false;
	/* the first whose entry is beyond pc */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct entry entry;

		if (!read_entry(tables, middle, &entry))
			return false;
		if (entry.address <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low && read_func(tables, low - 1, func) && pc >= func->entry && pc < func->end;
}

static void fill_function(struct lm_go_tables *tables, const struct lm_go_func *func, struct lm_go_function *function)
{
	*function = (struct lm_go_function){
		.entry = func->entry,
		.end = func->end,
		.name = lm_go_text_at(tables, &tables->layout.names, func->name),
		.number = func->number,
		.func_id = func->id,
		.flags = func->flags,
	};
}

bool lm_go_tables_function(struct lm_go_tables *tables, uint64_t pc, struct lm_go_function *function)
{
	struct lm_go_func func;

	if (!lm_go_func_find(tables, pc, &func))
		return false;
	fill_function(tables, &func, function);
	return function->name;
}

/* All tables are gone through at once, each from front to back. */
struct passage {
	struct lm_go_window index, functions, names;
};

static struct passage *begin_passage(const struct lm_go_tables *tables)
{
	struct passage *passage = malloc(sizeof(*passage));

	if (!passage)
		return NULL;
	lm_go_window_init(&passage->index, &tables->memory);
	lm_go_window_init(&passage->functions, &tables->memory);
	lm_go_window_init(&passage->names, &tables->memory);
	return passage;
}

/* Where the name stands in a table that has nothing but names, each with a NUL behind it. */
static bool find_name(const struct lm_go_tables *tables, struct passage *passage, const char *name, uint64_t *offset)
{
	const struct lm_go_slice *names = &tables->layout.names;
	size_t size = strlen(name) + 1, step = LM_GO_WINDOW_BYTES - NAME_MAX_BYTES;

	for (uint64_t at = 0; at < names->len; at += step) {
		size_t len = names->len - at < LM_GO_WINDOW_BYTES ? names->len - at : LM_GO_WINDOW_BYTES;
		const unsigned char *bytes = lm_go_window_at(&passage->names, names->start + at, len), *found = bytes;

		if (!bytes)
			return false;
		while ((found = memmem(found, len - (found - bytes), name, size))) {
			*offset = at + (found - bytes);
			/* one at a window's very beginning was seen by the window before */
			if (found > bytes ? !found[-1] : !at)
				return true;
			found++;
		}
	}
	return false;
}

static bool is_named(const struct lm_go_tables *tables, struct passage *passage, uint64_t offset, const char *name)
{
	const struct lm_go_slice *names = &tables->layout.names;
	size_t size = strlen(name) + 1;
	const unsigned char *bytes = offset < names->len && size <= names->len - offset
					     ? lm_go_window_at(&passage->names, names->start + offset, size)
					     : NULL;

	return bytes && memcmp(bytes, name, size) == 0;
}

/* The number of the function with the name: compared as text where names stand among other things, by its offset
 * where they have a table of their own. */
static bool find_number(const struct lm_go_tables *tables, struct passage *passage, const char *name, uint64_t *number)
{
	const struct lm_go_layout *layout = &tables->layout;
	size_t size = entry_bytes(layout), name_at = func_layouts[layout->format].entry_bytes;
	bool by_text = layout->format == LM_GO_FORMAT_1_2;
	uint64_t wanted = 0;

	if (!by_text && !find_name(tables, passage, name, &wanted))
		return false;
	for (*number = 0; *number < layout->functions_len; (*number)++) {
		const unsigned char *bytes =
			lm_go_window_at(&passage->index, layout->index.start + *number * size, size);
		struct entry entry;
		uint32_t offset;

		if (!bytes)
			return false;
		entry = decode_entry(layout, bytes);
		if (entry.offset >= layout->functions.len || layout->functions.len - entry.offset < FUNC_BYTES)
			continue;
		bytes = lm_go_window_at(&passage->functions, layout->functions.start + entry.offset, FUNC_BYTES);
		if (!bytes)
			return false;
		offset = word_at(bytes, name_at);
		if (by_text ? is_named(tables, passage, offset, name) : offset == wanted)
			return true;
	}
	return false;
}

bool lm_go_tables_find(struct lm_go_tables *tables, const char *name, struct lm_go_function *function)
{
	struct passage *passage = strlen(name) < NAME_MAX_BYTES ? begin_passage(tables) : NULL;
	struct lm_go_func func;
	uint64_t number;
	bool found;

	if (!passage)
		return false;
	found = find_number(tables, passage, name, &number) && read_func(tables, number, &func);
	free(passage);
	if (found)
		fill_function(tables, &func, function);
	return found && function->name;
}

/* Are the functions in order, and within the code? */
static bool index_is_sorted(const struct lm_go_tables *tables)
{
	const struct lm_go_layout *layout = &tables->layout;
	struct lm_go_window *window = malloc(sizeof(*window));
	size_t size = entry_bytes(layout);
	uint64_t last = layout->text, number;

	if (!window)
		return false;
	lm_go_window_init(window, &tables->memory);
	for (number = 0; number <= layout->functions_len; number++) {
		const unsigned char *bytes = lm_go_window_at(window, layout->index.start + number * size, size);
		struct entry entry = bytes ? decode_entry(layout, bytes) : (struct entry){0};

		/* the end of the last has no offset behind it */
		if (entry.address < last || entry.address > layout->etext)
			break;
		last = entry.address;
	}
	free(window);
	return number > layout->functions_len;
}

static bool is_code(const struct lm_region *regions, size_t regions_len, uint64_t address)
{
	for (size_t i = 0; i < regions_len; i++) {
		if (regions[i].executable && address >= regions[i].start && address < regions[i].end)
			return true;
	}
	return false;
}

static void read_version(struct lm_go_tables *tables, const struct lm_go_binary *binary)
{
	if (!lm_go_binary_version(&tables->memory, binary, tables->version, sizeof(tables->version), &tables->minor))
		strcpy(tables->version, "unknown");
}

static int read_tables(
	struct lm_go_tables *tables, const struct lm_region *regions, size_t regions_len, const char **why)
{
	const struct lm_go_layout *layout = &tables->layout;
	struct lm_go_binary binary;
	int error = lm_go_binary_find(&tables->memory, regions, regions_len, &binary);

	if (error)
		return error;
	read_version(tables, &binary);
	error = lm_go_binary_layout(&tables->memory, &binary, tables->minor, &tables->layout);
	if (error) {
		*why = error == -EAGAIN ? "its tables are not in place yet"
					: "its tables have a format that is not known";
		return error;
	}
	/* that of old versions is found through an address, which may not have been relocated the first time */
	if (!tables->minor)
		read_version(tables, &binary);
	if (layout->text >= layout->etext || !is_code(regions, regions_len, layout->text) ||
		!is_code(regions, regions_len, layout->etext - 1)) {
		*why = "its tables do not lead to its code";
		return -EIO;
	}
	if (!index_is_sorted(tables)) {
		*why = "its table of functions makes no sense";
		return -EIO;
	}
	return 0;
}

int lm_go_tables_open(
	int mem_fd, const struct lm_region *regions, size_t regions_len, struct lm_go_tables **out, const char **why)
{
	struct lm_go_tables *tables = calloc(1, sizeof(*tables));
	int error = tables ? lm_go_memory_init(&tables->memory, mem_fd) : -ENOMEM;

	*why = NULL;
	if (!error)
		error = read_tables(tables, regions, regions_len, why);
	if (error == -ENOMEM)
		*why = "out of memory";
	if (error)
		lm_go_tables_free(tables);
	else
		*out = tables;
	return error;
}

void lm_go_tables_free(struct lm_go_tables *tables)
{
	if (!tables)
		return;
	lm_go_texts_free(tables);
	lm_go_memory_release(&tables->memory);
	free(tables);
}

const char *lm_go_tables_version(const struct lm_go_tables *tables, int *minor)
{
	*minor = tables->minor;
	return tables->version;
}

uint64_t lm_go_tables_moduledata(const struct lm_go_tables *tables)
{
	return tables->layout.moduledata;
}

void lm_go_tables_text(const struct lm_go_tables *tables, uint64_t *text, uint64_t *etext)
{
	*text = tables->layout.text;
	*etext = tables->layout.etext;
}
