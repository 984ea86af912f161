// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One step a frame: by call-frame information where there is some, through the
 * kernel's signal frame where a handler returns, as a JVM says in its own code
 * (java.c), else by what the stack itself shows (guess.c). The stack pointer must grow with each step, so a walk ends
 * whatever the memory holds.
 */
#include "user/resolver/unwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/golang/tables.h"
#include "user/resolver/guess.h"
#include "user/resolver/java.h"
#include "user/resolver/perf_map.h"
#include "user/resolver/rows.h"
#include "user/resolver/symbols.h"

#define RBP 6
#define RSP 7
#define RETURN_ADDRESS 16

enum step { STEP_UP, STEP_OUTERMOST, STEP_STUCK };

struct walk {
	struct lm_unwinder *unwinder;
	struct lm_register_set registers;
	uint64_t pc;
	bool exact; /* pc is to be run next, not returned to */
};

const struct lm_region *lm_unwinder_region(const struct lm_unwinder *unwinder, uint64_t address)
{
	size_t low = 0, high = unwinder->regions_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (unwinder->regions[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < unwinder->regions[low - 1].end ? &unwinder->regions[low - 1] : NULL;
}

void lm_unwinder_forget(struct lm_unwinder *unwinder)
{
	memset(unwinder->judgements, 0, sizeof(unwinder->judgements));
}

static void set_register(struct walk *walk, unsigned number, uint64_t value)
{
	walk->registers.value[number] = value;
	walk->registers.known |= 1u << number;
}

static bool read_word(struct walk *walk, uint64_t address, uint64_t *value)
{
	return lm_remote_read(&walk->unwinder->remote, address, value, sizeof(*value));
}

static enum step step_by_row(struct walk *walk, const struct lm_row *row)
{
	struct lm_register_set *registers = &walk->registers;
	uint64_t cfa, value, saved[LM_ROW_SAVED];

	if (!(registers->known & 1u << row->cfa_register))
		return STEP_STUCK;
	cfa = registers->value[row->cfa_register] + row->cfa_offset;
	if (!read_word(walk, cfa + row->return_offset, &value))
		return STEP_STUCK;
	for (int i = 0; i < LM_ROW_SAVED; i++) {
		if (row->saved[i] != LM_ROW_SAME && !read_word(walk, cfa + row->saved[i], &saved[i]))
			return STEP_STUCK;
	}
	for (int i = 0; i < LM_ROW_SAVED; i++) {
		if (row->saved[i] != LM_ROW_SAME)
			set_register(walk, lm_row_saved_registers[i], saved[i]);
	}
	set_register(walk, RSP, cfa);
	walk->pc = value;
	walk->exact = row->signal;
	return STEP_UP;
}

static bool evaluate_cfa(const struct walk *walk, Dwarf_Frame *frame, struct lm_expression_input *input)
{
	Dwarf_Op *ops;
	size_t len;
	bool is_value;

	input->registers = &walk->registers;
	input->remote = &walk->unwinder->remote;
	input->has_cfa = false;
	if (dwarf_frame_cfa(frame, &ops, &len) || !len)
		return false;
	if (!lm_expression_evaluate(input, ops, len, &input->cfa, &is_value))
		return false;
	input->has_cfa = true;
	return true;
}

/* Sets one register of the caller; false if it cannot be told. */
static bool restore_register(
	const struct lm_expression_input *input, Dwarf_Frame *frame, unsigned number, struct lm_register_set *caller)
{
	Dwarf_Op memory[3], *ops;
	uint64_t value;
	bool is_value;
	size_t len;

	if (dwarf_frame_register(frame, number, memory, &ops, &len))
		return false;
	if (len == 0) /* the same value, or undefined */
		return !ops;
	if (!lm_expression_evaluate(input, ops, len, &value, &is_value))
		return false;
	if (!is_value && !lm_remote_read(input->remote, value, &value, sizeof(value)))
		return false;
	caller->value[number] = value;
	caller->known |= 1u << number;
	return true;
}

static enum step step_by_expressions(struct walk *walk, struct lm_elf *elf, uint64_t vaddr, bool signal)
{
	Dwarf_Frame *frame = lm_row_frame(elf, vaddr);
	struct lm_register_set caller = walk->registers;
	struct lm_expression_input input;
	enum step result = STEP_STUCK;

	if (!frame)
		return STEP_STUCK;
	if (!evaluate_cfa(walk, frame, &input))
		goto free_frame;
	caller.value[RSP] = input.cfa;
	for (unsigned number = 0; number < LM_DWARF_REGISTERS; number++) {
		if (!restore_register(&input, frame, number, &caller) && number == RETURN_ADDRESS)
			goto free_frame;
	}
	walk->registers = caller;
	walk->pc = caller.value[RETURN_ADDRESS];
	walk->exact = signal;
	result = STEP_UP;
free_frame:
	free(frame);
	return result;
}

/* The kernel's rt_sigframe above the return address of a handler: struct ucontext with the interrupted registers at
 * 40 (arch/x86/include/uapi/asm/sigcontext.h). */
static enum step step_over_signal(struct walk *walk)
{
	/* by position in sigcontext: r8–r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip */
	static const unsigned order[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
	uint64_t values[sizeof(order) / sizeof(order[0])];

	if (!lm_remote_read(&walk->unwinder->remote, walk->registers.value[RSP] + 40, values, sizeof(values)))
		return STEP_STUCK;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		set_register(walk, order[i], values[i]);
	walk->pc = walk->registers.value[RETURN_ADDRESS];
	walk->exact = true;
	return STEP_UP;
}

/* Does a handler return to here? "mov $15,%rax; syscall" is what every libc puts there, with call-frame information
 * or without. */
static bool is_signal_return(struct walk *walk)
{
	static const unsigned char code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
	unsigned char found[sizeof(code)];

	return lm_remote_read(&walk->unwinder->remote, walk->pc, found, sizeof(found)) &&
	       memcmp(found, code, sizeof(code)) == 0;
}

static enum step step_by_guess(struct walk *walk, const struct lm_row *row)
{
	struct lm_guess guess = {
		.pc = walk->pc - !walk->exact,
		.sp = walk->registers.value[RSP],
		.bp = walk->registers.value[RBP],
		.bp_known = walk->registers.known & 1u << RBP,
		.at_start = row->start == LM_SYMBOLS_START,
		.maybe_at_start = row->start == LM_SYMBOLS_START_UNKNOWN,
	};

	switch (lm_guess_caller(walk->unwinder, &guess)) {
	case LM_GUESS_FOUND:
		break;
	case LM_GUESS_OUTERMOST:
		return STEP_OUTERMOST;
	default:
		return STEP_STUCK;
	}
	/* what the callee kept of the other registers is not known, but what it did not touch is most likely right */
	set_register(walk, RSP, guess.sp);
	walk->registers.value[RBP] = guess.bp;
	walk->pc = guess.pc;
	walk->exact = false;
	return STEP_UP;
}

/* Go's own tables know the size of every frame; its linker leaves call-frame information only where it is not stripped.
 * False if this is no code of Go's. */
static bool step_go(struct walk *walk, enum step *step)
{
	struct lm_go_cursor cursor = {.pc = walk->pc, .sp = walk->registers.value[RSP], .exact = walk->exact};
	struct lm_go_tables *tables = walk->unwinder->go;
	struct lm_go_function function;
	bool complete = false;

	if (!tables || !lm_go_tables_function(tables, walk->pc - !walk->exact, &function))
		return false;
	if (lm_go_tables_step(tables, &walk->unwinder->remote, &cursor, &complete)) {
		set_register(walk, RSP, cursor.sp);
		walk->pc = cursor.pc;
		walk->exact = cursor.exact;
		*step = STEP_UP;
	} else {
		*step = STEP_OUTERMOST;
	}
	return complete || *step == STEP_UP;
}

static enum step step_up(struct walk *walk, const struct lm_region *region)
{
	uint64_t file_offset, vaddr;
	struct lm_row row = {.kind = LM_ROW_NONE, .start = LM_SYMBOLS_NO_START};
	enum step step;

	if (step_go(walk, &step))
		return step;
	if (region->elf) {
		file_offset = walk->pc - region->start + region->file_offset - !walk->exact;
		if (lm_elf_to_vaddr(region->elf, file_offset, &vaddr))
			row = lm_rows_find(walk->unwinder->rows, region->module, region->elf, vaddr);
	}
	/* the address behind a call is that of the restorer's first instruction: no call put it there */
	if (!walk->exact && (row.kind == LM_ROW_NONE || row.kind == LM_ROW_COMPLEX || row.signal) &&
		is_signal_return(walk))
		return step_over_signal(walk);
	switch (row.kind) {
	case LM_ROW_SIMPLE:
		return step_by_row(walk, &row);
	case LM_ROW_OUTERMOST:
		return STEP_OUTERMOST;
	case LM_ROW_COMPLEX:
		return step_by_expressions(walk, region->elf, vaddr, row.signal);
	default:
		return step_by_guess(walk, &row);
	}
}

static void add_frame(const struct walk *walk, const struct lm_region *region, struct lm_frame_message *frame)
{
	struct lm_unwinder *unwinder = walk->unwinder;
	uint64_t start;

	frame->exact = walk->exact;
	if (region && region->module) {
		frame->module = region->module;
		frame->offset = walk->pc - region->start + region->file_offset;
		return;
	}
	frame->module =
		lm_perf_map_find(unwinder->perf_map, walk->pc - !walk->exact, &start) ? LM_MODULE_PERF : LM_MODULE_NONE;
	frame->offset = walk->pc;
	unwinder->unnamed |= region && frame->module == LM_MODULE_NONE;
}

/* Goes over a frame of a JVM's own code and adds what stands in it: no frame, or more than one. False if it is none. */
static bool step_java(struct walk *walk, const struct lm_region *region, struct lm_frame_message *frames, size_t max,
	size_t *len, enum step *step)
{
	struct lm_java_frame frame = {
		.pc = walk->pc,
		.sp = walk->registers.value[RSP],
		.bp = walk->registers.value[RBP],
		.bp_known = walk->registers.known & 1u << RBP,
		.exact = walk->exact,
	};

	if (region->elf || !walk->unwinder->java || !lm_java_step(walk->unwinder->java, &frame))
		return false;
	if (!frame.named)
		add_frame(walk, region, &frames[(*len)++]);
	for (size_t i = 0; i < frame.keys_len && *len < max; i++)
		frames[(*len)++] =
			(struct lm_frame_message){.module = LM_MODULE_JAVA, .offset = frame.keys[i], .exact = true};
	set_register(walk, RSP, frame.sp);
	set_register(walk, RBP, frame.bp);
	walk->pc = frame.pc;
	walk->exact = false;
	*step = frame.cut ? STEP_STUCK : STEP_UP;
	return true;
}

static void set_registers(struct walk *walk, const struct lm_regs *regs)
{
	set_register(walk, 1, regs->dx);
	set_register(walk, 3, regs->bx);
	set_register(walk, 4, regs->si);
	set_register(walk, 5, regs->di);
	set_register(walk, RBP, regs->bp);
	set_register(walk, RSP, regs->sp);
	set_register(walk, 8, regs->r8);
	set_register(walk, 9, regs->r9);
	set_register(walk, 10, regs->r10);
	set_register(walk, 12, regs->r12);
	set_register(walk, 13, regs->r13);
	set_register(walk, 14, regs->r14);
	set_register(walk, 15, regs->r15);
	set_register(walk, RETURN_ADDRESS, regs->ip);
	walk->pc = regs->ip;
	walk->exact = true;
}

/* What a walk is that did not come to its end. */
static enum lm_unwind_status broken_status(const struct lm_unwinder *unwinder)
{
	return unwinder->java && lm_java_why(unwinder->java) ? LM_UNWIND_NO_JAVA : LM_UNWIND_BROKEN;
}

enum lm_unwind_status lm_unwinder_run(struct lm_unwinder *unwinder, const struct lm_regs *regs,
	struct lm_frame_message *frames, size_t max, size_t *len)
{
	struct walk walk = {.unwinder = unwinder};
	uint64_t probe;

	unwinder->unmapped = unwinder->unnamed = false;
	unwinder->words_left = LM_UNWIND_WORDS;
	if (unwinder->java)
		lm_java_begin_stack(unwinder->java);
	set_registers(&walk, regs);
	*len = 0;
	for (;;) {
		const struct lm_region *region = lm_unwinder_region(unwinder, walk.pc);
		uint64_t sp = walk.registers.value[RSP];
		enum step step;

		if (!region || !region->executable) {
			unwinder->unmapped |= !region;
			/* the innermost is reported even so; further out it is no return address */
			if (*len == 0)
				add_frame(&walk, NULL, &frames[(*len)++]);
			return broken_status(unwinder);
		}
		if (*len == max)
			return LM_UNWIND_TRUNCATED;
		if (!step_java(&walk, region, frames, max, len, &step)) {
			add_frame(&walk, region, &frames[(*len)++]);
			if (*len == 1 && !read_word(&walk, sp & ~7ull, &probe))
				return LM_UNWIND_NO_MEMORY;
			step = step_up(&walk, region);
		}
		if (step != STEP_UP)
			return step == STEP_OUTERMOST ? LM_UNWIND_COMPLETE : broken_status(unwinder);
		if (!walk.pc)
			return LM_UNWIND_COMPLETE;
		/* a signal handler may run on a stack of its own, anywhere */
		if (walk.registers.value[RSP] <= sp && !walk.exact)
			return broken_status(unwinder);
	}
}
