/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A row of call-frame information in the few forms that compilers write, and a cache of rows. */
#ifndef LM_RESOLVER_ROWS_H
#define LM_RESOLVER_ROWS_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#include "user/resolver/module.h"

/* The registers that a caller may need back, by DWARF number: rbx, rbp, r12–r15. */
#define LM_ROW_SAVED 6
extern const unsigned lm_row_saved_registers[LM_ROW_SAVED];

enum lm_row_kind {
	LM_ROW_NONE,      /* no information about this address */
	LM_ROW_SIMPLE,    /* CFA = register + offset, all that is saved lies at an offset from it */
	LM_ROW_OUTERMOST, /* the return address is undefined: nobody called this */
	LM_ROW_COMPLEX,   /* expressions: ask the libraries */
};

#define LM_ROW_SAME INT32_MIN /* the register still has the caller's value */

struct lm_row {
	uint8_t kind; /* enum lm_row_kind */
	uint8_t cfa_register;
	uint8_t start; /* enum lm_symbols_start, where kind is LM_ROW_NONE */
	bool signal;   /* a signal frame: what it returns to was interrupted, not calling */
	int32_t cfa_offset;
	int32_t return_offset;       /* from the CFA */
	int32_t saved[LM_ROW_SAVED]; /* from the CFA, or LM_ROW_SAME */
};

struct lm_rows;

/* The row for an address of a module, from the cache or its call-frame information. */
struct lm_row lm_rows_find(struct lm_rows *rows, uint32_t module, struct lm_elf *elf, uint64_t vaddr);

/* The libraries' own frame for the address, to be freed; NULL if there is none. */
Dwarf_Frame *lm_row_frame(struct lm_elf *elf, uint64_t vaddr);

#endif
