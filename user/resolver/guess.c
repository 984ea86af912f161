// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A return address is a word on the stack that points behind a call instruction.
 * The best are those whose call leads to the function that we are in; next, direct
 * calls into the same file (functions that went on by a jump are left out of the
 * stack); last, calls through registers or memory, of which the target cannot be
 * told. A frame pointer is believed only if it leads to a return address.
 */
#include "user/resolver/guess.h"

#include <string.h>

#include "user/resolver/symbols.h"
#include "user/resolver/unwind.h"

#define SCAN_WORDS 1024      /* 8 KiB: musl's deepest frame without locals of its own is under 1 KiB */
#define FUNCTION_MAX 65536   /* bytes from a function's start in which an address is still taken to be in it */
#define FRAME_MAX (1u << 20) /* bytes that a frame pointer may skip */
#define JUMPS_MAX 4          /* of thunks and PLT entries that a call is followed through */

enum quality { NO_RETURN_ADDRESS, INDIRECT_CALL, DIRECT_CALL, CALL_OF_THIS };

static bool read_code(struct lm_unwinder *unwinder, uint64_t address, void *bytes, size_t size)
{
	const struct lm_region *region = lm_unwinder_region(unwinder, address);

	return region && region->executable && lm_remote_read(&unwinder->remote, address, bytes, size);
}

/* Is there a call through a register or memory right before the address (FF /2 with any operand)? */
static bool follows_indirect_call(const unsigned char *before)
{
	/* lengths of FF /2: 2 (register), 3 (8-bit displacement, or SIB), 4, 6 (32-bit displacement), 7; a prefix may
	 * come before */
	for (int len = 2; len <= 7; len++) {
		const unsigned char *code = before + 7 - len;
		unsigned mod = code[1] >> 6, rm = code[1] & 7;
		int expected = 2;

		if (code[0] != 0xff || (code[1] >> 3 & 7) != 2)
			continue;
		if (mod != 3 && rm == 4)
			expected++;
		if (mod == 1)
			expected += 1;
		else if (mod == 2 || (mod == 0 && rm == 5))
			expected += 4;
		if (expected == len)
			return true;
	}
	return false;
}

/* Where code that only jumps on leads to: a PLT entry, a thunk, a tail call at a function's start. */
static uint64_t follow_jumps(struct lm_unwinder *unwinder, uint64_t address)
{
	static const unsigned char endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};

	for (int jump = 0; jump < JUMPS_MAX; jump++) {
		unsigned char code[16];
		size_t at = 0;
		int32_t relative;

		if (!read_code(unwinder, address, code, sizeof(code)))
			return address;
		if (memcmp(code, endbr, sizeof(endbr)) == 0)
			at = sizeof(endbr);
		if (code[at] == 0xf2) /* bnd */
			at++;
		if (code[at] == 0xe9) {
			memcpy(&relative, code + at + 1, sizeof(relative));
			address += at + 5 + relative;
		} else if (code[at] == 0xff && code[at + 1] == 0x25) {
			memcpy(&relative, code + at + 2, sizeof(relative));
			if (!lm_remote_read(&unwinder->remote, address + at + 6 + relative, &address, sizeof(address)))
				return 0;
		} else {
			return address;
		}
	}
	return address;
}

/* Is pc in the function that starts at the address? Where the file has symbols they say so, else the distance. */
static bool starts_function_of(struct lm_unwinder *unwinder, uint64_t start, uint64_t pc)
{
	const struct lm_region *region = lm_unwinder_region(unwinder, pc);
	uint64_t start_vaddr, pc_vaddr;

	if (start > pc || pc - start > FUNCTION_MAX || lm_unwinder_region(unwinder, start) != region)
		return false;
	if (!region->elf || !lm_elf_to_vaddr(region->elf, start - region->start + region->file_offset, &start_vaddr) ||
		!lm_elf_to_vaddr(region->elf, pc - region->start + region->file_offset, &pc_vaddr))
		return true;
	return !lm_symbols_start_between(region->elf, start_vaddr + 1, pc_vaddr);
}

static bool same_file(struct lm_unwinder *unwinder, uint64_t a, uint64_t b)
{
	const struct lm_region *x = lm_unwinder_region(unwinder, a), *y = lm_unwinder_region(unwinder, b);

	return x && y && x->module == y->module && x->module;
}

/* How good a return address of the code at pc is this? */
static enum quality judge_anew(struct lm_unwinder *unwinder, uint64_t address, uint64_t pc)
{
	unsigned char before[7];
	uint64_t target;
	int32_t relative;

	if (!read_code(unwinder, address - sizeof(before), before, sizeof(before)))
		return NO_RETURN_ADDRESS;
	if (before[2] == 0xe8) {
		memcpy(&relative, before + 3, sizeof(relative));
		target = follow_jumps(unwinder, address + relative);
		if (starts_function_of(unwinder, target, pc))
			return CALL_OF_THIS;
		if (same_file(unwinder, target, pc))
			return DIRECT_CALL;
	}
	return follows_indirect_call(before) ? INDIRECT_CALL : NO_RETURN_ADDRESS;
}

/* The stacks of a process hold the same return addresses again and again. */
static enum quality judge(struct lm_unwinder *unwinder, uint64_t address, uint64_t pc)
{
	size_t slot = ((address ^ pc * 0x9e3779b97f4a7c15ull) * 0x9e3779b97f4a7c15ull) >> 32;
	struct lm_judgement *known = &unwinder->judgements[slot % LM_JUDGEMENTS];
	const struct lm_region *region = lm_unwinder_region(unwinder, address);

	if (!region || !region->executable)
		return NO_RETURN_ADDRESS;
	if (known->address != address || known->pc != pc)
		*known = (struct lm_judgement){
			.address = address, .pc = pc, .quality = judge_anew(unwinder, address, pc)};
	return known->quality;
}

static bool read_word(struct lm_unwinder *unwinder, uint64_t address, uint64_t *value)
{
	return lm_remote_read(&unwinder->remote, address, value, sizeof(*value));
}

/* Does a frame pointer with this value lead to a return address above sp? */
static bool plausible_frame_pointer(struct lm_unwinder *unwinder, uint64_t bp, uint64_t sp)
{
	uint64_t address;

	return bp % 8 == 0 && bp >= sp && bp - sp < FRAME_MAX && read_word(unwinder, bp + 8, &address) &&
	       judge(unwinder, address, address) != NO_RETURN_ADDRESS;
}

/* The caller's frame pointer: untouched, or among what was pushed between the two stack pointers. */
static uint64_t caller_frame_pointer(struct lm_unwinder *unwinder, const struct lm_guess *guess, uint64_t slot)
{
	uint64_t value;

	if (plausible_frame_pointer(unwinder, guess->bp, slot + 8))
		return guess->bp;
	for (uint64_t at = slot; at > guess->sp && slot - at < 128;) {
		at -= 8;
		if (read_word(unwinder, at, &value) && plausible_frame_pointer(unwinder, value, slot + 8))
			return value;
	}
	return guess->bp;
}

static void take(struct lm_unwinder *unwinder, struct lm_guess *guess, uint64_t slot, uint64_t address)
{
	guess->bp = caller_frame_pointer(unwinder, guess, slot);
	guess->sp = slot + 8;
	guess->pc = address;
}

static bool by_frame_pointer(struct lm_unwinder *unwinder, struct lm_guess *guess)
{
	uint64_t address, bp = guess->bp;

	if (!guess->bp_known || !plausible_frame_pointer(unwinder, bp, guess->sp))
		return false;
	if (!read_word(unwinder, bp + 8, &address) || !read_word(unwinder, bp, &guess->bp))
		return false;
	guess->sp = bp + 16;
	guess->pc = address;
	return true;
}

enum lm_guess_result lm_guess_caller(struct lm_unwinder *unwinder, struct lm_guess *guess)
{
	const struct lm_region *region = lm_unwinder_region(unwinder, guess->pc);
	enum quality best = NO_RETURN_ADDRESS;
	uint64_t best_slot = 0, best_address = 0, slot = (guess->sp + 7) & ~7ull, address;

	/* code that a runtime has made keeps frame pointers, or nothing can be said of it */
	if (!region || !region->elf)
		return by_frame_pointer(unwinder, guess) ? LM_GUESS_FOUND : LM_GUESS_NONE;
	if (guess->at_start)
		return LM_GUESS_OUTERMOST;
	for (int i = 0; i < SCAN_WORDS && best < CALL_OF_THIS; i++, slot += 8) {
		enum quality quality;

		if (!unwinder->words_left || !read_word(unwinder, slot, &address))
			break;
		unwinder->words_left--;
		quality = judge(unwinder, address, guess->pc);
		if (quality > best) {
			best = quality;
			best_slot = slot;
			best_address = address;
		}
	}
	/* what a stripped libc does not name, and what nothing on the stack called, is taken to be the start of a
	 * thread */
	if (best == NO_RETURN_ADDRESS)
		return guess->maybe_at_start ? LM_GUESS_OUTERMOST : LM_GUESS_NONE;
	take(unwinder, guess, best_slot, best_address);
	return LM_GUESS_FOUND;
}
