/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caller of code that has no call-frame information (musl's libc, JIT code,
 * hand-written assembly): found on the stack, checked against the code.
 */
#ifndef LM_RESOLVER_GUESS_H
#define LM_RESOLVER_GUESS_H

#include <stdbool.h>
#include <stdint.h>

struct lm_unwinder;

struct lm_guess {
	uint64_t pc, sp, bp; /* in: of the callee (pc: that of its call, not behind it); out: of the caller */
	bool bp_known;
	bool at_start, maybe_at_start; /* in: is this code that nobody calls? */
};

enum lm_guess_result { LM_GUESS_FOUND, LM_GUESS_OUTERMOST, LM_GUESS_NONE };

enum lm_guess_result lm_guess_caller(struct lm_unwinder *unwinder, struct lm_guess *guess);

#endif
