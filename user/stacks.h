/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Call stacks as data: modules, frames and stacks, each stored once and shared.
 *
 * A module is a file with code, by build id. A frame is one program counter in
 * a module, with the functions that it stands for (more than one when calls
 * were inlined). A stack is a row of frames, innermost first. All three are
 * interned: equal ones are the same pointer. They are counted: whoever keeps
 * one takes a reference.
 */
#ifndef LM_STACKS_H
#define LM_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lm_module {
	char *name;     /* base name of the file, "[vdso]", "[java]", or "[anon]" for code without a file */
	char *build_id; /* lower-case hex, NULL if the file has none */
};

/* One function of a frame. */
struct lm_function {
	const char *name; /* demangled, NULL if not known */
	const char *file; /* NULL if not known */
	uint32_t line;
	bool inlined; /* into the next entry */
};

struct lm_frame {
	const struct lm_module *module;
	uint64_t offset;                     /* file offset of the program counter (of the return address in callers);
						the address itself in [anon]; see lm_stacks_python_offset() */
	uint64_t function_start;             /* file offset of the function's first instruction, 0 if not known */
	bool python;                         /* of a Python program: the module is its source file */
	bool golang;                         /* of a goroutine: the module is the program. Other than a thread's at the
						same place, as its names and lines come from Go's own tables */
	uint32_t functions_len;              /* 0: no symbol */
	const struct lm_function *functions; /* innermost (inlined) first, the physical function last */
};

/*
 * What stands for the program counter of a Python frame: 20 bits each of the function's first line and of the line that
 * it is in, and 13 of the hash of its name, as one file may have many functions in one line. Equal on every machine for
 * the same source, and no more than what JSON readers take for a whole number.
 */
uint64_t lm_stacks_python_offset(const char *name, uint32_t first_line, uint32_t line);

enum lm_stack_end {
	LM_STACK_COMPLETE,  /* reached the outermost frame */
	LM_STACK_TRUNCATED, /* deeper than LM_STACK_MAX */
	LM_STACK_BROKEN,    /* the frame after the last could not be found */
};

#define LM_STACKS_JAVA                                                                                                 \
	"[java]" /* the module of a JVM's methods; what follows offset is then the same on every machine:              \
		    which method it is, and in the lower 16 bits the bytecode's index */
#define LM_STACK_MAX 256

struct lm_stack {
	uint64_t hash; /* over build ids (or module names) and offsets: equal on every machine */
	enum lm_stack_end end;
	uint32_t frames_len;
	const struct lm_frame *const *frames; /* innermost first */
};

struct lm_stacks; /* the store */

int lm_stacks_new(struct lm_stacks **stacks);
/* Frees the store and all that is in it. NULL is fine. */
void lm_stacks_free(struct lm_stacks *stacks);

/* The module of this name, build id (NULL: none) and file; made if it is new. It lives while there are frames
 * in it, and while the caller holds it: until it gives it back, else as long as the store. A build id alone is not
 * believed: a file can claim that of another. identity: any number that differs for different files. -ENOMEM. */
int lm_stacks_module(struct lm_stacks *stacks, const char *name, const char *build_id, uint64_t identity,
	const struct lm_module **module);
/* Holds it once more. */
void lm_stacks_hold_module(const struct lm_module *module);
/* Gives a hold back. NULL is fine. */
void lm_stacks_release_module(struct lm_stacks *stacks, const struct lm_module *module);

/* The frame at (module, offset) that is no goroutine's, or NULL if it is not stored yet. Takes no reference. */
const struct lm_frame *lm_stacks_find_frame(
	const struct lm_stacks *stacks, const struct lm_module *module, uint64_t offset);

/* Stores a frame; the functions and their texts are copied. The frame lives at least until the next stack is interned,
 * then as long as a stack uses it, and for a while after that. -ENOMEM. */
int lm_stacks_frame(struct lm_stacks *stacks, const struct lm_frame *frame, const struct lm_frame **stored);

/* The stack of these frames, with a reference for the caller. -ENOMEM, -E2BIG. */
int lm_stacks_intern(struct lm_stacks *stacks, const struct lm_frame *const *frames, size_t frames_len,
	enum lm_stack_end end, const struct lm_stack **stack);
void lm_stack_ref(const struct lm_stack *stack);
/* Gives a reference back; the last one frees the stack. NULL is fine. */
void lm_stack_unref(struct lm_stacks *stacks, const struct lm_stack *stack);

#endif
