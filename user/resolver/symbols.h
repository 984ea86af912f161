/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and lines for addresses of a module. */
#ifndef LM_RESOLVER_SYMBOLS_H
#define LM_RESOLVER_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/resolver/module.h"
#include "user/resolver/protocol.h"

struct lm_symbol_line {
	char name[LM_TEXT_MAX + 1]; /* "" = not known */
	char file[LM_TEXT_MAX + 1];
	uint32_t line;
	bool inlined; /* into the next */
};

/* The functions at an address of the module's own numbering, innermost first; at most max. Returns how many, and where
 * the physical function starts (0 = not known). */
size_t lm_symbols_find(struct lm_elf *elf, uint64_t vaddr, struct lm_symbol_line *lines, size_t max, uint64_t *start);

/* Do the symbol tables have a function that starts in [low, high]? */
bool lm_symbols_start_between(struct lm_elf *elf, uint64_t low, uint64_t high);

enum lm_symbols_start { LM_SYMBOLS_START, LM_SYMBOLS_NO_START, LM_SYMBOLS_START_UNKNOWN };

/* Is the code at this address the start of threads or of the program, which nobody calls? */
enum lm_symbols_start lm_symbols_is_start(struct lm_elf *elf, uint64_t vaddr);

#endif
