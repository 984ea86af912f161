// SPDX-License-Identifier: GPL-2.0-or-later
/* Each address has one function whose code tells it, in all versions from 1.15 to 1.27, and something that it must
 * agree with. */
#include "user/golang/runtime_find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/golang/code.h"
#include "user/golang/debug_layout.h"

#define DATA_MAX_BYTES (256ull << 20) /* of a data segment, which is looked through once */
#define CHECKED_GS 64
#define TYPE_BYTES 56
#define TYPE_KIND 23
#define TYPE_KIND_CHAN 18
#define TYPE_ELEM 48
#define TIME_BYTES 24 /* of a time.Time */
#define GOID_BATCH 16 /* goids that a P takes at a time */

struct finder {
	struct lm_go_memory *memory;
	struct lm_go_tables *tables;
	struct lm_go_runtime *runtime;
	struct lm_go_code code;
};

static bool read_word(const struct finder *finder, uint64_t address, uint64_t *word)
{
	return lm_go_memory_read_now(finder->memory, address, word, sizeof(*word));
}

/* The one variable of which the function names three words side by side is the slice that it appends to. */
static bool find_allgs(struct finder *finder)
{
	const struct lm_go_code *code = &finder->code;
	uint64_t found = 0, target;

	if (!lm_go_code_read(finder->memory, finder->tables, "runtime.allgadd", &finder->code))
		return false;
	for (size_t at = 0; lm_go_code_next(code, LM_GO_OPERAND_MOVE, &at, &target);) {
		if (target % 8 || !lm_go_code_names(code, LM_GO_OPERAND_MOVE, target + 8) ||
			!lm_go_code_names(code, LM_GO_OPERAND_MOVE, target + 16))
			continue;
		if (found && found != target)
			return false;
		found = target;
	}
	finder->runtime->allgs = found;
	return found;
}

/* The same function looks at the status first: MOVL disp32(AX), CX. */
static bool status_agrees(const struct finder *finder)
{
	const struct lm_go_code *code = &finder->code;

	for (size_t i = 0; i + 6 <= code->len && i < 128; i++) {
		if (code->bytes[i] == 0x8b && code->bytes[i + 1] == 0x88)
			return lm_go_field32(code->bytes, i + 2) == finder->runtime->layout->g.status;
	}
	return false;
}

static bool is_start(struct finder *finder, uint64_t pc)
{
	static const char *const names[] = {"runtime.main", "runtime.forcegchelper", "runtime.bgsweep"};
	struct lm_go_function function;

	if (!lm_go_tables_function(finder->tables, pc, &function) || function.entry != pc)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(function.name, names[i]) == 0)
			return true;
	}
	return false;
}

/* The first goroutines of any program start in functions of the runtime that are known by name. Their starts lie far
 * back in g: what is before it has kept its place. */
static int check_layout(struct finder *finder, const char **why)
{
	const struct lm_go_runtime_layout *layout = finder->runtime->layout;
	unsigned char g[LM_GO_G_MAX_BYTES];
	uint64_t slice[3], address;
	bool any = false;

	*why = "its runtime has not started yet";
	if (!lm_go_memory_read_now(finder->memory, finder->runtime->allgs, slice, sizeof(slice)) || slice[1] < 2)
		return -EAGAIN;
	for (size_t i = 0; i < slice[1] && i < CHECKED_GS; i++) {
		if (!read_word(finder, slice[0] + i * 8, &address) ||
			!lm_go_memory_read_now(finder->memory, address, g, sizeof(g)))
			continue;
		any = true;
		if (lm_go_field64(g, layout->g.goid) <= slice[1] + 1024 &&
			is_start(finder, lm_go_field64(g, layout->g.startpc))) {
			*why = NULL;
			return 0;
		}
	}
	if (!any)
		return -EAGAIN;
	*why = "its runtime is laid out in a way that is not known";
	return -ENOTSUP;
}

/* runtime.newproc1 takes goids from it by adding their number. */
static void find_goid_source(struct finder *finder)
{
	uint64_t target, value;

	if (!lm_go_code_read(finder->memory, finder->tables, "runtime.newproc1", &finder->code))
		return;
	for (size_t at = 0; lm_go_code_next_add(&finder->code, &at, &target);) {
		static const unsigned char batch[] = {GOID_BATCH, 0, 0, 0};
		size_t before = at < 32 ? 0 : at - 32;

		if (memmem(finder->code.bytes + before, at - before, batch, sizeof(batch)) && target % 8 == 0 &&
			read_word(finder, target, &value) && value && value % GOID_BATCH == 0) {
			finder->runtime->goid_source = target;
			return;
		}
	}
}

/* memstats.numgc is counted at the end of a GC, and its last bits say where its times are noted. */
static bool find_gc_count(struct finder *finder)
{
	uint64_t target;

	if (!lm_go_code_read(finder->memory, finder->tables, "runtime.gcMarkTermination", &finder->code))
		return false;
	for (size_t at = 0; lm_go_code_next(&finder->code, LM_GO_OPERAND_INC, &at, &target);) {
		if (target % 4 == 0 && lm_go_code_names(&finder->code, LM_GO_OPERAND_BYTE, target)) {
			finder->runtime->gc_count = target;
			return true;
		}
	}
	return false;
}

/* The first thing that these do to a variable is to add to the live heap; 1.15 has not the first of them. */
static bool find_heap_live(struct finder *finder)
{
	uint64_t target, value;
	size_t at = 0;

	if (!lm_go_code_read(finder->memory, finder->tables, "runtime.(*gcControllerState).update", &finder->code) &&
		!lm_go_code_read(finder->memory, finder->tables, "runtime.(*mcentral).cacheSpan", &finder->code))
		return false;
	if (!lm_go_code_next_add(&finder->code, &at, &target) || target % 8 || !read_word(finder, target, &value) ||
		value >> 48)
		return false;
	finder->runtime->heap_live = target;
	return true;
}

static void find_gc(struct finder *finder)
{
	if (!find_gc_count(finder))
		finder->runtime->no_gc = "the code of runtime.gcMarkTermination is not as it is known";
	else if (!find_heap_live(finder))
		finder->runtime->no_gc = "the code that counts the live heap is not as it is known";
}

/* The type of the channels that these functions make leads to that of what is sent in them. */
static uint64_t find_time_type(struct finder *finder, const char *name)
{
	unsigned char type[TYPE_BYTES];
	uint64_t target, elem;
	size_t at = 0;

	if (!lm_go_code_read(finder->memory, finder->tables, name, &finder->code))
		return 0;
	while (lm_go_code_next(&finder->code, LM_GO_OPERAND_LEA, &at, &target)) {
		if (!lm_go_memory_read_now(finder->memory, target, type, sizeof(type)) ||
			(type[TYPE_KIND] & 31) != TYPE_KIND_CHAN)
			continue;
		elem = lm_go_field64(type, TYPE_ELEM);
		if (lm_go_memory_read_now(finder->memory, elem, type, sizeof(type)) &&
			lm_go_field64(type, 0) == TIME_BYTES)
			return elem;
	}
	return 0;
}

static bool read_reason(struct finder *finder, uint64_t header, struct lm_go_reason *reason)
{
	uint64_t text[2];

	memset(reason, 0, sizeof(*reason));
	if (!lm_go_memory_read_now(finder->memory, header, text, sizeof(text)) || text[1] >= sizeof(reason->text) ||
		(text[1] && !lm_go_memory_read_now(finder->memory, text[0], reason->text, text[1])))
		return false;
	for (size_t i = 0; i < text[1]; i++) {
		if (reason->text[i] < ' ' || reason->text[i] > '~')
			return false;
	}
	reason->state = lm_go_reason_state(reason->text);
	return true;
}

/* Is this where the table has the length of its second text? */
static bool is_reasons(void *context, uint64_t at)
{
	struct finder *finder = context;
	struct lm_go_reason reason;
	uint64_t table = at - 24;

	return read_reason(finder, table, &reason) && !reason.text[0] && read_reason(finder, table + 16, &reason) &&
	       strcmp(reason.text, "GC assist marking") == 0 && read_reason(finder, table + 32, &reason) &&
	       strcmp(reason.text, "IO wait") == 0;
}

static bool find_reasons(struct finder *finder)
{
	static const uint64_t length[] = {sizeof("GC assist marking") - 1};
	struct lm_go_runtime *runtime = finder->runtime;
	struct lm_go_range data;
	uint64_t table, moduledata = lm_go_tables_moduledata(finder->tables);

	if (!lm_go_memory_read_now(
		    finder->memory, moduledata + runtime->layout->moduledata.data, &data, sizeof(data)) ||
		data.start >= data.end || data.end - data.start > DATA_MAX_BYTES ||
		!lm_go_memory_search(finder->memory, data, length, 1, is_reasons, finder, &table))
		return false;
	table -= 24;
	while (runtime->reasons_len < LM_GO_REASONS &&
		read_reason(finder, table + runtime->reasons_len * 16, &runtime->reasons[runtime->reasons_len]) &&
		(runtime->reasons[runtime->reasons_len].text[0] || !runtime->reasons_len))
		runtime->reasons_len++;
	return true;
}

static int find_all(struct finder *finder, const char **why)
{
	struct lm_go_runtime *runtime = finder->runtime;
	struct lm_go_function function;
	int error;

	if (!find_allgs(finder)) {
		*why = "the list of its goroutines was not found";
		return -ENOTSUP;
	}
	if (!status_agrees(finder)) {
		*why = runtime->is_from_debug ? "its debug information does not agree with its code"
					      : "its runtime is laid out in a way that is not known";
		return -ENOTSUP;
	}
	error = check_layout(finder, why);
	if (error)
		return error;
	if (!find_reasons(finder)) {
		*why = "its table of wait reasons was not found";
		return -ENOTSUP;
	}
	find_goid_source(finder);
	find_gc(finder);
	runtime->time_types[0] = find_time_type(finder, "time.NewTimer");
	runtime->time_types[1] = find_time_type(finder, "time.NewTicker");
	if (lm_go_tables_find(finder->tables, "runtime.semacquire1", &function))
		runtime->semacquire = (struct lm_go_range){function.entry, function.end};
	return 0;
}

/* What the program says itself is right also where a version was changed by whoever built it. */
static void choose_layout(int minor, struct lm_elf *elf, struct lm_go_runtime *runtime)
{
	runtime->layout = lm_go_runtime_layout_of(minor);
	if (!runtime->layout || !elf)
		return;
	runtime->debug_layout = *runtime->layout;
	if (lm_go_debug_layout(elf, &runtime->debug_layout))
		return;
	runtime->layout = &runtime->debug_layout;
	runtime->is_from_debug = true;
}

int lm_go_runtime_find(struct lm_go_memory *memory, struct lm_go_tables *tables, struct lm_elf *elf,
	struct lm_go_runtime *runtime, const char **why)
{
	struct finder *finder = calloc(1, sizeof(*finder));
	int minor, error;

	if (!finder)
		return -ENOMEM;
	*finder = (struct finder){.memory = memory, .tables = tables, .runtime = runtime};
	*runtime = (struct lm_go_runtime){0};
	lm_go_tables_version(tables, &minor);
	lm_go_tables_text(tables, &runtime->text.start, &runtime->text.end);
	choose_layout(minor, elf, runtime);
	if (runtime->layout) {
		error = find_all(finder, why);
	} else {
		*why = "it was built with a Go older than 1.15";
		error = -ENOTSUP;
	}
	free(finder);
	return error;
}
