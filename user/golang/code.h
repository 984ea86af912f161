/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses that the code of a function works with, amd64. Not a disassembler: it looks for the few forms in which
 * Go's compiler names a variable, so a match may be chance, and who asks checks what it gets.
 */
#ifndef LM_GOLANG_CODE_H
#define LM_GOLANG_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/golang/memory.h"
#include "user/golang/tables.h"

#define LM_GO_CODE_MAX 32768u /* of a function that is looked at */

struct lm_go_code {
	uint64_t entry;
	size_t len;
	unsigned char bytes[LM_GO_CODE_MAX];
};

enum lm_go_operand {
	LM_GO_OPERAND_MOVE, /* MOVQ, either way */
	LM_GO_OPERAND_LEA,
	LM_GO_OPERAND_INC,  /* INCL */
	LM_GO_OPERAND_BYTE, /* MOVZX of a byte */
};

/* Reads the code of the function with this name; false if there is none or it cannot be read. */
bool lm_go_code_read(
	const struct lm_go_memory *memory, struct lm_go_tables *tables, const char *name, struct lm_go_code *code);

/* The next instruction of this form at or behind *at: true, *at is behind it and *target its variable. */
bool lm_go_code_next(const struct lm_go_code *code, enum lm_go_operand operand, size_t *at, uint64_t *target);
/* Is there one with this variable? */
bool lm_go_code_names(const struct lm_go_code *code, enum lm_go_operand operand, uint64_t target);

/* The variable of the first 64-bit LOCK XADD to its start behind *at, which is set behind it; false if there is none.
 */
bool lm_go_code_next_add(const struct lm_go_code *code, size_t *at, uint64_t *target);

#endif
