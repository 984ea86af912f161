/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stacks of Go programs: which functions tell where a goroutine waits, and which only wait for their caller. Pure. */
#ifndef LM_GO_STACKS_H
#define LM_GO_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/stacks.h"

/* A line of a goroutine's stack. */
struct lm_go_stack_line {
	const struct lm_frame *frame;
	uint32_t at;          /* index of the function in the frame */
	const char *function; /* NULL: not known */
	uint32_t line;        /* 0: not known */
};

/* Is it that of a goroutine? */
bool lm_go_stacks_is_one(const struct lm_stack *stack);

/*
 * The lines that tell one place from another, innermost first: without the runtime's own, without those that only wait
 * for their caller, recursion folded; all of them if nothing else is left. Fills at most LM_STACK_MAX; returns how
 * many.
 */
size_t lm_go_stacks_lines(const struct lm_stack *stack, struct lm_go_stack_line lines[LM_STACK_MAX]);

/* Is it the stack of a thread that only parks in Go's runtime, or keeps it going? */
bool lm_go_stacks_is_parked_thread(const struct lm_stack *stack);

#endif
