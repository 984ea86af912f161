/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where CPython 3.8 to 3.13 keep what is read of them. All numbers are offsets in bytes into the structure of the name
 * before the first underscore. */
#ifndef LM_RESOLVER_PYTHON_LAYOUT_H
#define LM_RESOLVER_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "user/resolver/module.h"
#include "user/resolver/remote.h"

/* What shows where one call of _PyEval_EvalFrameDefault ends and the one outside of it begins. */
enum lm_python_frames {
	LM_PYTHON_FRAME_OBJECTS, /* 3.8 to 3.10: each call runs one frame */
	LM_PYTHON_ENTRY_FLAG,    /* 3.11: the outermost frame of a call has a flag */
	LM_PYTHON_SHIM_FRAME,    /* since 3.12: outside of the outermost is a frame that runs nothing */
};

enum lm_python_lines {
	LM_PYTHON_LNOTAB,    /* 3.8, 3.9: (bytes of code, lines) */
	LM_PYTHON_LINETABLE, /* 3.10: PEP 626 */
	LM_PYTHON_LOCATIONS, /* since 3.11: with columns */
};

struct lm_python_layout {
	enum lm_python_frames frames;
	enum lm_python_lines lines;
	uint32_t runtime_interpreters;
	uint32_t interpreter_next, interpreter_threads;
	uint32_t thread_prev, thread_next, thread_interpreter, thread_id;
	uint32_t thread_frame;   /* of the innermost frame, or of a structure that has it */
	bool thread_frame_twice; /* 3.11, 3.12: of such a structure, which has it at cframe_frame */
	uint32_t cframe_frame;
	uint32_t frame_previous, frame_code, frame_instruction; /* a pointer, in frame objects an int */
	uint32_t frame_entry;                                   /* 3.11: the flag */
	uint32_t frame_owner;                                   /* since 3.12 */
	uint32_t code_first_line, code_file, code_name, code_lines;
	uint32_t code_instructions;          /* since 3.11: within the code object */
	uint32_t ascii_bytes, compact_bytes; /* the head of a str, of one that is not ASCII */
};

/* What a file with an interpreter shows of itself, by its dynamic symbols; addresses as the file numbers them, 0 = has
 * none. */
struct lm_python_symbols {
	bool is_python;
	uint64_t runtime, version;
	uint64_t code_type, frame_type, str_type, bytes_type;
	bool has_iter_send, has_config;      /* functions that came with 3.10, with 3.8 */
	uint64_t eval_start[4], eval_end[4]; /* the parts of _PyEval_EvalFrameDefault */
	unsigned eval_len;
};

/* Looks through the file's symbols. */
void lm_python_find_symbols(struct lm_elf *elf, struct lm_python_symbols *symbols);

/* The layout of the interpreter whose file was put at this distance from its own numbering. False if it is of a version
 * that is not known, or says of itself what cannot be. */
bool lm_python_find_layout(struct lm_remote *remote, const struct lm_python_symbols *symbols, uint64_t bias,
	struct lm_python_layout *layout);

#endif
