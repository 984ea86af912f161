// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stacks of blocked threads hold few different addresses, each many times. A
 * row is worked out by libdw once (some microseconds) and then found in a
 * direct-mapped cache (some nanoseconds).
 */
#include "user/resolver/rows.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/resolver/symbols.h"
#include "user/resolver/unwind.h"

#define ROWS 4096 /* 64 bytes each; a big machine's blocked threads have about 3,000 different addresses */
#define RETURN_ADDRESS 16

const unsigned lm_row_saved_registers[LM_ROW_SAVED] = {3, 6, 12, 13, 14, 15};

struct entry {
	uint64_t vaddr;
	uint32_t module; /* 0: free */
	struct lm_row row;
};

struct lm_rows {
	struct entry entries[ROWS];
};

int lm_rows_new(struct lm_rows **out)
{
	struct lm_rows *rows = calloc(1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	*out = rows;
	return 0;
}

void lm_rows_free(struct lm_rows *rows)
{
	free(rows);
}

void lm_rows_clear(struct lm_rows *rows)
{
	memset(rows, 0, sizeof(*rows));
}

Dwarf_Frame *lm_row_frame(struct lm_elf *elf, uint64_t vaddr)
{
	for (int debug_frame = 0; debug_frame <= 1; debug_frame++) {
		Dwarf_CFI *cfi = lm_elf_cfi(elf, debug_frame);
		Dwarf_Frame *frame;

		if (cfi && dwarf_cfi_addrframe(cfi, vaddr, &frame) == 0)
			return frame;
	}
	return NULL;
}

/* CFA = register + offset? */
static bool simple_cfa(Dwarf_Frame *frame, struct lm_row *row)
{
	Dwarf_Op *ops;
	size_t len;

	if (dwarf_frame_cfa(frame, &ops, &len) || len != 1 || ops[0].number > INT32_MAX)
		return false;
	if (ops[0].atom == DW_OP_bregx) {
		row->cfa_register = ops[0].number;
		row->cfa_offset = (int32_t)ops[0].number2;
		return ops[0].number < RETURN_ADDRESS;
	}
	if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg15) {
		row->cfa_register = ops[0].atom - DW_OP_breg0;
		row->cfa_offset = (int32_t)ops[0].number;
		return true;
	}
	return false;
}

enum rule { RULE_OFFSET, RULE_SAME, RULE_UNDEFINED, RULE_COMPLEX };

static enum rule rule_of(Dwarf_Frame *frame, int number, int32_t *offset)
{
	Dwarf_Op memory[3], *ops;
	size_t len;

	if (dwarf_frame_register(frame, number, memory, &ops, &len))
		return RULE_COMPLEX;
	if (len == 0)
		return ops ? RULE_UNDEFINED : RULE_SAME;
	if (ops[0].atom != DW_OP_call_frame_cfa || len > 2)
		return RULE_COMPLEX;
	*offset = 0;
	if (len == 2 && ops[1].atom != DW_OP_plus_uconst)
		return RULE_COMPLEX;
	if (len == 2)
		*offset = (int32_t)ops[1].number;
	return RULE_OFFSET;
}

static void simplify(Dwarf_Frame *frame, struct lm_row *row)
{
	bool signal;

	row->kind = LM_ROW_COMPLEX;
	if (dwarf_frame_info(frame, NULL, NULL, &signal) < 0)
		return;
	row->signal = signal;
	switch (rule_of(frame, RETURN_ADDRESS, &row->return_offset)) {
	case RULE_OFFSET:
		break;
	case RULE_UNDEFINED:
		row->kind = LM_ROW_OUTERMOST;
		return;
	default:
		return;
	}
	if (!simple_cfa(frame, row))
		return;
	for (int i = 0; i < LM_ROW_SAVED; i++) {
		switch (rule_of(frame, lm_row_saved_registers[i], &row->saved[i])) {
		case RULE_OFFSET:
			break;
		case RULE_COMPLEX:
			return;
		default:
			/* "undefined" is what some assembly says of registers that it leaves alone */
			row->saved[i] = LM_ROW_SAME;
		}
	}
	row->kind = LM_ROW_SIMPLE;
}

struct lm_row lm_rows_find(struct lm_rows *rows, uint32_t module, struct lm_elf *elf, uint64_t vaddr)
{
	size_t slot = (vaddr * 0x9e3779b97f4a7c15ull ^ module * 0x85ebca6bull << 40) >> 52;
	struct entry *entry = &rows->entries[slot % ROWS];
	Dwarf_Frame *frame;

	if (entry->module == module && entry->vaddr == vaddr)
		return entry->row;
	memset(entry, 0, sizeof(*entry));
	entry->module = module;
	entry->vaddr = vaddr;
	frame = lm_row_frame(elf, vaddr);
	if (frame)
		simplify(frame, &entry->row);
	else
		entry->row.start = lm_symbols_is_start(elf, vaddr);
	free(frame);
	return entry->row;
}
