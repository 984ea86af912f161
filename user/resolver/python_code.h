/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What CPython's code objects say: which function this is, of which file, and which line an instruction belongs to. */
#ifndef LM_RESOLVER_PYTHON_CODE_H
#define LM_RESOLVER_PYTHON_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "user/resolver/python_layout.h"
#include "user/resolver/remote.h"

#define LM_PYTHON_TEXT_MAX 512 /* bytes of UTF-8: of longer names the beginning is kept, of longer paths the end */

/* An interpreter in memory. */
struct lm_python_runtime {
	uint64_t address;                                     /* of _PyRuntime */
	uint64_t code_type, frame_type, str_type, bytes_type; /* what objects of a type point to */
	struct lm_python_layout layout;
};

/* The fields of a code object. As long as they are the same it is the same code. */
struct lm_python_code {
	uint64_t address, file, name, lines;
	uint32_t first_line;
};

/* A line of a function. */
struct lm_python_place {
	uint32_t first_line, line; /* of the function; line 0: not known */
	char name[LM_PYTHON_TEXT_MAX + 1], file[LM_PYTHON_TEXT_MAX + 1];
};

/* An object of this type, and alive? */
bool lm_python_is_a(struct lm_remote *remote, uint64_t object, uint64_t type);

/* Reads the fields; false if there is no code object. */
bool lm_python_read_code(struct lm_remote *remote, const struct lm_python_runtime *runtime, uint64_t address,
	struct lm_python_code *code);

/* A str as UTF-8, cut to LM_PYTHON_TEXT_MAX; what has no UTF-8 is U+FFFD. False if there is no str. */
bool lm_python_read_text(struct lm_remote *remote, const struct lm_python_runtime *runtime, uint64_t address,
	bool keep_end, char text[LM_PYTHON_TEXT_MAX + 1]);

/* instruction: as the frame has it, see struct lm_python_layout. False if the names cannot be read. */
bool lm_python_read_place(struct lm_remote *remote, const struct lm_python_runtime *runtime,
	const struct lm_python_code *code, uint64_t instruction, struct lm_python_place *place);

#endif
