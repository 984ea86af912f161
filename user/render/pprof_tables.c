// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Numbers begin at 1, those of texts at 0, which is "". Every file gets a range of
 * addresses of its own: processes have it at different ones, and a profile shows
 * places in files. pprof's readers turn an address back into the offset.
 */
#include "user/render/pprof_tables.h"

#include <errno.h>
#include <string.h>

#include "user/render/profile.h"

#define RANGE_SHIFT 40 /* of the start of each range by the number of its file; ranges do not touch */
#define RANGE_BYTES (UINT64_C(1) << 39)
#define KERNEL_FILE "[kernel.kallsyms]" /* as perf calls it; pprof looks for no file of that name */

/* Keys are compared as bytes: fields of one size, so that nothing lies between them. */
struct function_key {
	int64_t name, file;
};

struct mapping_key {
	int64_t file, build_id;
};

struct line_key {
	uint64_t function, line;
};

struct location_key {
	uint64_t mapping, address, lines_len;
	struct line_key lines[];
};

static void fail(struct lm_pprof_tables *tables)
{
	tables->error = -ENOMEM;
}

static int64_t intern(struct lm_pprof_tables *tables, struct lm_intern *table, const void *key, size_t size)
{
	int64_t number = lm_intern_add(table, key, size);

	if (number >= 0)
		return number;
	fail(tables);
	return 0;
}

void lm_pprof_tables_open(struct lm_pprof_tables *tables, struct lm_arena *arena)
{
	*tables = (struct lm_pprof_tables){.arena = arena,
		.texts = {.arena = arena},
		.functions = {.arena = arena},
		.mappings = {.arena = arena},
		.locations = {.arena = arena}};
	intern(tables, &tables->texts, "", 0);
}

void lm_pprof_tables_close(struct lm_pprof_tables *tables)
{
	lm_intern_free(&tables->texts);
	lm_intern_free(&tables->functions);
	lm_intern_free(&tables->mappings);
	lm_intern_free(&tables->locations);
}

static int64_t harmless_text(struct lm_pprof_tables *tables, const char *text)
{
	if (text)
		return intern(tables, &tables->texts, text, strlen(text));
	fail(tables);
	return 0;
}

int64_t lm_pprof_text(struct lm_pprof_tables *tables, const char *text)
{
	return text && *text ? harmless_text(tables, lm_profile_text(tables->arena, text)) : 0;
}

static uint64_t add_function(struct lm_pprof_tables *tables, const char *name, const char *file)
{
	const struct function_key key = {.name = harmless_text(tables, name), .file = lm_pprof_text(tables, file)};

	return (uint64_t)intern(tables, &tables->functions, &key, sizeof(key)) + 1;
}

static uint64_t add_mapping(struct lm_pprof_tables *tables, const char *file, const char *build_id)
{
	const struct mapping_key key = {
		.file = lm_pprof_text(tables, file), .build_id = lm_pprof_text(tables, build_id)};

	if (!key.file && !key.build_id)
		return 0;
	return (uint64_t)intern(tables, &tables->mappings, &key, sizeof(key)) + 1;
}

uint64_t lm_pprof_mapping(struct lm_pprof_tables *tables, const struct lm_snapshot_frame *frame)
{
	return add_mapping(tables, frame->module, frame->build_id);
}

static uint64_t range_start(uint64_t mapping)
{
	return mapping << RANGE_SHIFT;
}

/* 0 = not known: there is no file, or no file is so large. */
static uint64_t address_of(uint64_t mapping, uint64_t offset)
{
	return mapping && offset < RANGE_BYTES ? range_start(mapping) + offset : 0;
}

size_t lm_pprof_location_len(const struct lm_snapshot_frame *frames, size_t len)
{
	size_t at = 0;

	while (at + 1 < len && frames[at].inlined && frames[at + 1].offset == frames[0].offset)
		at++;
	return at + 1;
}

static uint64_t add_location(struct lm_pprof_tables *tables, uint64_t mapping, uint64_t address,
	const struct lm_snapshot_frame *frames, size_t len)
{
	size_t size = sizeof(struct location_key) + len * sizeof(struct line_key);
	struct location_key *key = lm_arena_alloc(tables->arena, size);

	if (!key) {
		fail(tables);
		return 0;
	}
	*key = (struct location_key){.mapping = mapping, .address = address, .lines_len = len};
	for (size_t i = 0; i < len; i++) {
		const char *name = lm_profile_frame_name(tables->arena, &frames[i]);

		key->lines[i].function = add_function(tables, name, frames[i].file);
		key->lines[i].line = frames[i].line;
	}
	return (uint64_t)intern(tables, &tables->locations, key, size) + 1;
}

uint64_t lm_pprof_location(struct lm_pprof_tables *tables, const struct lm_snapshot_frame *frames, size_t len)
{
	uint64_t mapping = lm_pprof_mapping(tables, frames);

	return add_location(tables, mapping, address_of(mapping, frames->offset), frames, len);
}

uint64_t lm_pprof_kernel_location(struct lm_pprof_tables *tables, const struct lm_snapshot_frame *frame)
{
	/* the offset is one in the function, which makes no address */
	return add_location(tables, add_mapping(tables, KERNEL_FILE, NULL), 0, frame, 1);
}

static int fill_text(void *context, int64_t number, const void *bytes, size_t len)
{
	LmPprof__Profile *profile = context;

	(void)len; /* texts hold no 0, and one follows them */
	profile->string_table[number] = (char *)bytes;
	return 0;
}

struct filling {
	LmPprof__Profile *profile;
	struct lm_arena *arena;
};

static int fill_function(void *context, int64_t number, const void *bytes, size_t len)
{
	const struct filling *filling = context;
	LmPprof__Function *function = lm_arena_alloc(filling->arena, sizeof(*function));
	const struct function_key *key = bytes;

	(void)len;
	if (!function)
		return -ENOMEM;
	lm_pprof__function__init(function);
	function->id = (uint64_t)number + 1;
	function->name = function->system_name = key->name;
	function->filename = key->file;
	filling->profile->function[number] = function;
	return 0;
}

static int fill_mapping(void *context, int64_t number, const void *bytes, size_t len)
{
	const struct filling *filling = context;
	LmPprof__Mapping *mapping = lm_arena_alloc(filling->arena, sizeof(*mapping));
	const struct mapping_key *key = bytes;

	(void)len;
	if (!mapping)
		return -ENOMEM;
	lm_pprof__mapping__init(mapping);
	mapping->id = (uint64_t)number + 1;
	mapping->memory_start = range_start(mapping->id);
	mapping->memory_limit = mapping->memory_start + RANGE_BYTES;
	mapping->filename = key->file;
	mapping->build_id = key->build_id;
	/* all that can be known is there: readers need not look for the file, which may be another machine's */
	mapping->has_functions = mapping->has_filenames = true;
	mapping->has_line_numbers = mapping->has_inline_frames = true;
	filling->profile->mapping[number] = mapping;
	return 0;
}

static int fill_lines(const struct filling *filling, const struct location_key *key, LmPprof__Location *location)
{
	LmPprof__Line *lines = lm_arena_alloc(filling->arena, key->lines_len * sizeof(*lines));

	location->line = lm_arena_alloc(filling->arena, key->lines_len * sizeof(*location->line));
	if (!lines || !location->line)
		return -ENOMEM;
	location->n_line = key->lines_len;
	for (size_t i = 0; i < key->lines_len; i++) {
		lm_pprof__line__init(&lines[i]);
		lines[i].function_id = key->lines[i].function;
		lines[i].line = (int64_t)key->lines[i].line;
		location->line[i] = &lines[i];
	}
	return 0;
}

static int fill_location(void *context, int64_t number, const void *bytes, size_t len)
{
	const struct filling *filling = context;
	LmPprof__Location *location = lm_arena_alloc(filling->arena, sizeof(*location));
	const struct location_key *key = bytes;

	(void)len;
	if (!location)
		return -ENOMEM;
	lm_pprof__location__init(location);
	location->id = (uint64_t)number + 1;
	location->mapping_id = key->mapping;
	location->address = key->address;
	filling->profile->location[number] = location;
	return fill_lines(filling, key, location);
}

/* Room for as many pointers as the table has entries. */
static void *pointers(struct lm_pprof_tables *tables, const struct lm_intern *table, size_t *len)
{
	void *memory = lm_arena_alloc(tables->arena, (lm_intern_len(table) + 1) * sizeof(void *));

	if (!memory)
		fail(tables);
	*len = lm_intern_len(table);
	return memory;
}

int lm_pprof_tables_fill(struct lm_pprof_tables *tables, LmPprof__Profile *profile)
{
	struct filling filling = {.profile = profile, .arena = tables->arena};
	int error;

	profile->string_table = pointers(tables, &tables->texts, &profile->n_string_table);
	profile->function = pointers(tables, &tables->functions, &profile->n_function);
	profile->mapping = pointers(tables, &tables->mappings, &profile->n_mapping);
	profile->location = pointers(tables, &tables->locations, &profile->n_location);
	error = tables->error;
	if (!error)
		error = lm_intern_each(&tables->texts, fill_text, profile);
	if (!error)
		error = lm_intern_each(&tables->functions, fill_function, &filling);
	if (!error)
		error = lm_intern_each(&tables->mappings, fill_mapping, &filling);
	if (!error)
		error = lm_intern_each(&tables->locations, fill_location, &filling);
	return error;
}
