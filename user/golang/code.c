// SPDX-License-Identifier: GPL-2.0-or-later
/* Go's compiler names a variable relative to the next instruction. Atomic additions take its address first. */
#include "user/golang/code.h"

#include <string.h>

#define ADD_REACH 12 /* bytes that may lie between taking the address and the addition: moves between registers */

bool lm_go_code_read(
	const struct lm_go_memory *memory, struct lm_go_tables *tables, const char *name, struct lm_go_code *code)
{
	struct lm_go_function function;

	if (!lm_go_tables_find(tables, name, &function) || function.end <= function.entry)
		return false;
	code->entry = function.entry;
	code->len = function.end - function.entry < LM_GO_CODE_MAX ? function.end - function.entry : LM_GO_CODE_MAX;
	return lm_go_memory_read_now(memory, code->entry, code->bytes, code->len);
}

/* mod 0, r/m 5: a displacement from the next instruction */
static bool is_relative(unsigned char modrm)
{
	return (modrm & 0xc7) == 5;
}

static bool is_wide(unsigned char prefix)
{
	return prefix == 0x48 || prefix == 0x4c;
}

/* How long such an instruction at the bytes is, 0: there is none. The last four bytes are the displacement. */
static size_t match(enum lm_go_operand operand, const unsigned char *bytes)
{
	switch (operand) {
	case LM_GO_OPERAND_MOVE:
		return is_wide(bytes[0]) && (bytes[1] == 0x8b || bytes[1] == 0x89) && is_relative(bytes[2]) ? 7 : 0;
	case LM_GO_OPERAND_LEA:
		return is_wide(bytes[0]) && bytes[1] == 0x8d && is_relative(bytes[2]) ? 7 : 0;
	case LM_GO_OPERAND_INC:
		return bytes[0] == 0xff && bytes[1] == 0x05 ? 6 : 0;
	case LM_GO_OPERAND_BYTE:
		return bytes[0] == 0x0f && bytes[1] == 0xb6 && is_relative(bytes[2]) ? 7 : 0;
	}
	return 0;
}

bool lm_go_code_next(const struct lm_go_code *code, enum lm_go_operand operand, size_t *at, uint64_t *target)
{
	for (size_t i = *at; i + 7 <= code->len; i++) {
		size_t len = match(operand, code->bytes + i);
		int32_t displacement;

		if (!len)
			continue;
		memcpy(&displacement, code->bytes + i + len - 4, sizeof(displacement));
		*at = i + len;
		*target = code->entry + *at + (uint64_t)(int64_t)displacement;
		return true;
	}
	return false;
}

bool lm_go_code_names(const struct lm_go_code *code, enum lm_go_operand operand, uint64_t target)
{
	uint64_t named;

	for (size_t at = 0; lm_go_code_next(code, operand, &at, &named);) {
		if (named == target)
			return true;
	}
	return false;
}

/* LOCK, REX.W, XADD, to what a register points to */
static bool is_add(const unsigned char *bytes)
{
	return bytes[0] == 0xf0 && (bytes[1] & 0xf8) == 0x48 && bytes[2] == 0x0f && bytes[3] == 0xc1 &&
	       (bytes[4] & 0xc0) == 0 && (bytes[4] & 7) != 4 && (bytes[4] & 7) != 5;
}

bool lm_go_code_next_add(const struct lm_go_code *code, size_t *at, uint64_t *target)
{
	while (lm_go_code_next(code, LM_GO_OPERAND_LEA, at, target)) {
		/* the LEA's register is the addition's */
		unsigned lea = (code->bytes[*at - 7] & 4) << 1 | (code->bytes[*at - 5] >> 3 & 7);

		for (size_t i = *at; i <= *at + ADD_REACH && i + 5 <= code->len; i++) {
			const unsigned char *bytes = code->bytes + i;

			if (is_add(bytes) && ((bytes[1] & 1u) << 3 | (bytes[4] & 7)) == lea) {
				*at = i + 5;
				return true;
			}
		}
	}
	return false;
}
