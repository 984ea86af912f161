// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Offsets as the compiler gives them for the headers of 3.8.18, 3.9.18, 3.10.13, 3.11.2, 3.11.7 and 3.12.1 on
 * x86-64, without Py_DEBUG. Since 3.13 the interpreter says most of them itself, in _PyRuntime.
 */
#include "user/resolver/python_layout.h"

#include <gelf.h>
#include <stddef.h>
#include <string.h>

#define RUNTIME_MIN_BYTES 512
#define SYMBOLS_MAX (1u << 21) /* of a table; some 20 ms */
#define OFFSET_MAX 1048576     /* in the interpreter's own offsets: the largest structure has about 200 KiB */

/* 3.8 and 3.9 are the same. */
static const struct lm_python_layout layout_3_8 = {
	.frames = LM_PYTHON_FRAME_OBJECTS,
	.lines = LM_PYTHON_LNOTAB,
	.runtime_interpreters = 32,
	.interpreter_threads = 8,
	.thread_next = 8,
	.thread_interpreter = 16,
	.thread_id = 176,
	.thread_frame = 24,
	.frame_previous = 24,
	.frame_code = 32,
	.frame_instruction = 104,
	.code_first_line = 40,
	.code_file = 104,
	.code_name = 112,
	.code_lines = 120,
	.ascii_bytes = 48,
	.compact_bytes = 72,
};

static const struct lm_python_layout layout_3_11 = {
	.frames = LM_PYTHON_ENTRY_FLAG,
	.lines = LM_PYTHON_LOCATIONS,
	.runtime_interpreters = 40,
	.interpreter_threads = 16,
	.thread_next = 8,
	.thread_interpreter = 16,
	.thread_id = 152,
	.thread_frame = 56,
	.thread_frame_twice = true,
	.cframe_frame = 8,
	.frame_previous = 48,
	.frame_code = 32,
	.frame_instruction = 56,
	.frame_entry = 68,
	.code_first_line = 72,
	.code_file = 112,
	.code_name = 128, /* co_qualname */
	.code_lines = 136,
	.code_instructions = 184,
	.ascii_bytes = 48,
	.compact_bytes = 72,
};

static const struct lm_python_layout layout_3_12 = {
	.frames = LM_PYTHON_SHIM_FRAME,
	.lines = LM_PYTHON_LOCATIONS,
	.runtime_interpreters = 40,
	.interpreter_threads = 72,
	.thread_next = 8,
	.thread_interpreter = 16,
	.thread_id = 136,
	.thread_frame = 56,
	.thread_frame_twice = true,
	.frame_previous = 8,
	.frame_instruction = 56,
	.frame_owner = 70,
	.code_first_line = 68,
	.code_file = 112,
	.code_name = 128,
	.code_lines = 136,
	.code_instructions = 192,
	.ascii_bytes = 40,
	.compact_bytes = 56,
};

/* How _PyRuntime of 3.13 begins (Include/internal/pycore_runtime.h), as far as it is used. Not that of 3.14. */
struct debug_offsets {
	char cookie[8];
	uint64_t version, free_threaded;
	uint64_t runtime_size, runtime_finalizing, runtime_interpreters;
	uint64_t interpreter_size, interpreter_id, interpreter_next, interpreter_threads, interpreter_rest[9];
	uint64_t thread_size, thread_prev, thread_next, thread_interpreter, thread_frame, thread_id, thread_rest[3];
	uint64_t frame_size, frame_previous, frame_code, frame_instruction, frame_locals, frame_owner;
	uint64_t code_size, code_file, code_name, code_qualname, code_lines, code_first_line, code_rest[3],
		code_instructions;
	uint64_t object_size, object_type;
	uint64_t type_rest[4], tuple_rest[3], list_rest[3], dict_rest[3], float_rest[2], long_rest[3];
	uint64_t bytes_size, bytes_length, bytes_data;
	uint64_t str_size, str_state, str_length, str_ascii_bytes;
};

static void note_data(const GElf_Sym *sym, const char *name, struct lm_python_symbols *symbols)
{
	const struct {
		const char *name;
		uint64_t *vaddr;
	} wanted[] = {
		{"_PyRuntime", &symbols->runtime},
		{"Py_Version", &symbols->version},
		{"PyCode_Type", &symbols->code_type},
		{"PyFrame_Type", &symbols->frame_type},
		{"PyUnicode_Type", &symbols->str_type},
		{"PyBytes_Type", &symbols->bytes_type},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (strcmp(name, wanted[i].name) == 0)
			*wanted[i].vaddr = sym->st_value;
	}
	if (strcmp(name, "_PyRuntime") == 0 && sym->st_size < RUNTIME_MIN_BYTES)
		symbols->runtime = 0;
}

/* GCC puts what it takes for seldom used into a part of its own, whose name only whole symbol tables have. */
static void note_eval(const GElf_Sym *sym, const char *name, struct lm_python_symbols *symbols)
{
	static const char eval[] = "_PyEval_EvalFrameDefault";
	const char *rest = name + sizeof(eval) - 1;

	if (strncmp(name, eval, sizeof(eval) - 1) != 0 || (*rest && *rest != '.'))
		return;
	for (unsigned i = 0; i < symbols->eval_len; i++) {
		if (symbols->eval_start[i] == sym->st_value)
			return;
	}
	if (symbols->eval_len == sizeof(symbols->eval_start) / sizeof(symbols->eval_start[0]))
		return;
	symbols->eval_start[symbols->eval_len] = sym->st_value;
	symbols->eval_end[symbols->eval_len++] = sym->st_value + sym->st_size;
}

static void note_function(const GElf_Sym *sym, const char *name, struct lm_python_symbols *symbols)
{
	symbols->is_python |= strcmp(name, "PyEval_EvalFrameEx") == 0;
	symbols->has_iter_send |= strcmp(name, "PyIter_Send") == 0;
	symbols->has_config |= strcmp(name, "PyConfig_InitPythonConfig") == 0;
	note_eval(sym, name, symbols);
}

/* All names that are looked for begin alike, which is compared first: most files of a system come through here. */
static void note_symbol(const GElf_Sym *sym, const char *name, bool dynamic, struct lm_python_symbols *symbols)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || !name || (name[0] != 'P' && name[1] != 'P'))
		return;
	if (type == STT_FUNC && dynamic)
		note_function(sym, name, symbols);
	else if (type == STT_FUNC)
		note_eval(sym, name, symbols);
	else if (type == STT_OBJECT && dynamic)
		note_data(sym, name, symbols);
}

static void look_through(Elf *elf, uint32_t type, struct lm_python_symbols *symbols)
{
	Elf_Scn *section = NULL;
	GElf_Shdr table;

	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data;
		size_t count;

		if (!gelf_getshdr(section, &table) || table.sh_type != type || !table.sh_entsize)
			continue;
		data = elf_getdata(section, NULL);
		count = data ? data->d_size / table.sh_entsize : 0;
		for (size_t i = 0; i < count && i < SYMBOLS_MAX; i++) {
			GElf_Sym sym;

			if (gelf_getsym(data, i, &sym) && sym.st_name)
				note_symbol(
					&sym, elf_strptr(elf, table.sh_link, sym.st_name), type == SHT_DYNSYM, symbols);
		}
	}
}

void lm_python_find_symbols(struct lm_elf *elf, struct lm_python_symbols *symbols)
{
	memset(symbols, 0, sizeof(*symbols));
	look_through(elf->elf, SHT_DYNSYM, symbols);
	if (symbols->is_python)
		look_through(elf->elf, SHT_SYMTAB, symbols);
}

/* Each must lie in its structure. */
static bool is_within(const struct debug_offsets *offsets)
{
	const struct {
		uint64_t offset, size;
	} pairs[] = {
		{offsets->runtime_interpreters, offsets->runtime_size},
		{offsets->interpreter_next, offsets->interpreter_size},
		{offsets->interpreter_threads, offsets->interpreter_size},
		{offsets->thread_prev, offsets->thread_size},
		{offsets->thread_next, offsets->thread_size},
		{offsets->thread_interpreter, offsets->thread_size},
		{offsets->thread_frame, offsets->thread_size},
		{offsets->thread_id, offsets->thread_size},
		{offsets->frame_previous, offsets->frame_size},
		{offsets->frame_code, offsets->frame_size},
		{offsets->frame_instruction, offsets->frame_size},
		{offsets->frame_owner, offsets->frame_size},
		{offsets->code_file, offsets->code_size},
		{offsets->code_qualname, offsets->code_size},
		{offsets->code_lines, offsets->code_size},
		{offsets->code_first_line, offsets->code_size},
		{offsets->code_instructions, offsets->code_size},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i].size > OFFSET_MAX || pairs[i].offset >= pairs[i].size || pairs[i].offset > OFFSET_MAX)
			return false;
	}
	return true;
}

/* Objects, bytes and str are read as they are laid out in builds with the GIL: those without it are another thing. */
static bool has_known_objects(const struct debug_offsets *offsets)
{
	return !offsets->free_threaded && offsets->object_type == 8 && offsets->bytes_length == 16 &&
	       offsets->bytes_data == 32 && offsets->str_length == 16 && offsets->str_state == 32 &&
	       offsets->str_ascii_bytes == 40;
}

static bool take_debug_offsets(struct lm_remote *remote, uint64_t runtime, struct lm_python_layout *layout)
{
	struct debug_offsets offsets;

	if (!lm_remote_read(remote, runtime, &offsets, sizeof(offsets)) || memcmp(offsets.cookie, "xdebugpy", 8) != 0 ||
		offsets.version >> 16 != 0x30d || !is_within(&offsets) || !has_known_objects(&offsets))
		return false;
	*layout = (struct lm_python_layout){
		.frames = LM_PYTHON_SHIM_FRAME,
		.lines = LM_PYTHON_LOCATIONS,
		.runtime_interpreters = offsets.runtime_interpreters,
		.interpreter_next = offsets.interpreter_next,
		.interpreter_threads = offsets.interpreter_threads,
		.thread_prev = offsets.thread_prev,
		.thread_next = offsets.thread_next,
		.thread_interpreter = offsets.thread_interpreter,
		.thread_id = offsets.thread_id,
		.thread_frame = offsets.thread_frame,
		.frame_previous = offsets.frame_previous,
		.frame_code = offsets.frame_code,
		.frame_instruction = offsets.frame_instruction,
		.frame_owner = offsets.frame_owner,
		.code_first_line = offsets.code_first_line,
		.code_file = offsets.code_file,
		.code_name = offsets.code_qualname,
		.code_lines = offsets.code_lines,
		.code_instructions = offsets.code_instructions,
		.ascii_bytes = offsets.str_ascii_bytes,
		.compact_bytes = 56,
	};
	return true;
}

/* Before 3.11 there is no number to be read, but each version came with functions of its own. */
static bool find_old_layout(const struct lm_python_symbols *symbols, struct lm_python_layout *layout)
{
	if (!symbols->has_config)
		return false;
	*layout = layout_3_8;
	if (symbols->has_iter_send) { /* and PyIter_Send came with 3.10 */
		layout->lines = LM_PYTHON_LINETABLE;
		layout->frame_instruction = 96;
	}
	return true;
}

bool lm_python_find_layout(struct lm_remote *remote, const struct lm_python_symbols *symbols, uint64_t bias,
	struct lm_python_layout *layout)
{
	uint64_t version;

	if (!symbols->runtime || !symbols->code_type || !symbols->str_type || !symbols->bytes_type ||
		!symbols->frame_type)
		return false;
	if (!symbols->version)
		return find_old_layout(symbols, layout);
	if (!lm_remote_read(remote, symbols->version + bias, &version, sizeof(version)))
		return false;
	/* 0x030b02f0: 3.11.2, final; what came before the first final release had other layouts */
	if ((version & 0xf0) != 0xf0)
		return false;
	switch (version >> 16) {
	case 0x30b:
		*layout = layout_3_11;
		return true;
	case 0x30c:
		*layout = layout_3_12;
		return true;
	case 0x30d:
		return take_debug_offsets(remote, symbols->runtime + bias, layout);
	default:
		return false;
	}
}
