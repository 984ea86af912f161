// SPDX-License-Identifier: GPL-2.0-or-later
/* A stack machine (DWARF 5, section 2.5). Seen in the wild: __restore_rt's registers, PLT entries, hand-written
 * assembly in OpenSSL and the JDK. */
#include "user/resolver/expression.h"

#include <dwarf.h>

#define STEPS_MAX 1000
#define DEPTH_MAX 64

struct machine {
	const struct lm_expression_input *input;
	uint64_t stack[DEPTH_MAX];
	size_t depth;
	bool failed, is_value;
};

static void push(struct machine *machine, uint64_t value)
{
	if (machine->depth == DEPTH_MAX)
		machine->failed = true;
	else
		machine->stack[machine->depth++] = value;
}

static uint64_t pop(struct machine *machine)
{
	if (machine->depth)
		return machine->stack[--machine->depth];
	machine->failed = true;
	return 0;
}

static uint64_t register_value(struct machine *machine, unsigned number)
{
	if (number < LM_DWARF_REGISTERS && machine->input->registers->known & 1u << number)
		return machine->input->registers->value[number];
	machine->failed = true;
	return 0;
}

static void dereference(struct machine *machine, size_t size)
{
	uint64_t address = pop(machine), value = 0;

	/* x86 is little-endian: fewer bytes are the low ones */
	if (machine->failed || size > sizeof(value) || !lm_remote_read(machine->input->remote, address, &value, size))
		machine->failed = true;
	else
		push(machine, value);
}

static void pick(struct machine *machine, size_t index)
{
	if (index >= machine->depth)
		machine->failed = true;
	else
		push(machine, machine->stack[machine->depth - 1 - index]);
}

/* Operations on the two topmost values. False if it is none of them. */
static bool binary(struct machine *machine, uint8_t atom)
{
	uint64_t b, a;
	bool known = (atom >= DW_OP_and && atom <= DW_OP_plus) || (atom >= DW_OP_shl && atom <= DW_OP_xor) ||
		     (atom >= DW_OP_eq && atom <= DW_OP_ne);

	if (!known || atom == DW_OP_neg || atom == DW_OP_not || atom == DW_OP_plus_uconst)
		return false;
	b = pop(machine);
	a = pop(machine);
	if (machine->failed)
		return true;
	switch (atom) {
	case DW_OP_and:
		push(machine, a & b);
		break;
	case DW_OP_or:
		push(machine, a | b);
		break;
	case DW_OP_xor:
		push(machine, a ^ b);
		break;
	case DW_OP_plus:
		push(machine, a + b);
		break;
	case DW_OP_minus:
		push(machine, a - b);
		break;
	case DW_OP_mul:
		push(machine, a * b);
		break;
	case DW_OP_shl:
		push(machine, b < 64 ? a << b : 0);
		break;
	case DW_OP_shr:
		push(machine, b < 64 ? a >> b : 0);
		break;
	case DW_OP_shra:
		push(machine, (uint64_t)((int64_t)a >> (b < 64 ? b : 63)));
		break;
	case DW_OP_eq:
		push(machine, a == b);
		break;
	case DW_OP_ne:
		push(machine, a != b);
		break;
	case DW_OP_ge:
		push(machine, (int64_t)a >= (int64_t)b);
		break;
	case DW_OP_gt:
		push(machine, (int64_t)a > (int64_t)b);
		break;
	case DW_OP_le:
		push(machine, (int64_t)a <= (int64_t)b);
		break;
	case DW_OP_lt:
		push(machine, (int64_t)a < (int64_t)b);
		break;
	/* division is not among what call-frame information was seen to use */
	default:
		machine->failed = true;
	}
	return true;
}

static void run_one(struct machine *machine, const Dwarf_Op *op)
{
	uint8_t atom = op->atom;
	uint64_t top, next;

	if (binary(machine, atom))
		return;
	if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
		push(machine, atom - DW_OP_lit0);
		return;
	}
	if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) {
		push(machine, register_value(machine, atom - DW_OP_breg0) + op->number);
		return;
	}
	if (atom >= DW_OP_reg0 && atom <= DW_OP_reg31) {
		push(machine, register_value(machine, atom - DW_OP_reg0));
		machine->is_value = true;
		return;
	}
	switch (atom) {
	case DW_OP_addr:
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_const4u:
	case DW_OP_const4s:
	case DW_OP_const8u:
	case DW_OP_const8s:
	case DW_OP_constu:
	case DW_OP_consts:
		push(machine, op->number);
		break;
	case DW_OP_bregx:
		push(machine, register_value(machine, op->number) + op->number2);
		break;
	case DW_OP_regx:
		push(machine, register_value(machine, op->number));
		machine->is_value = true;
		break;
	case DW_OP_call_frame_cfa:
		machine->failed |= !machine->input->has_cfa;
		push(machine, machine->input->cfa);
		break;
	case DW_OP_plus_uconst:
		push(machine, pop(machine) + op->number);
		break;
	case DW_OP_neg:
		push(machine, -pop(machine));
		break;
	case DW_OP_not:
		push(machine, ~pop(machine));
		break;
	case DW_OP_deref:
		dereference(machine, sizeof(uint64_t));
		break;
	case DW_OP_deref_size:
		dereference(machine, op->number);
		break;
	case DW_OP_dup:
		pick(machine, 0);
		break;
	case DW_OP_over:
		pick(machine, 1);
		break;
	case DW_OP_pick:
		pick(machine, op->number);
		break;
	case DW_OP_drop:
		pop(machine);
		break;
	case DW_OP_swap:
		top = pop(machine);
		next = pop(machine);
		push(machine, top);
		push(machine, next);
		break;
	case DW_OP_stack_value:
		machine->is_value = true;
		break;
	case DW_OP_nop:
		break;
	default:
		machine->failed = true;
	}
}

/* Where a branch goes: the operation at that offset; len if there is none. */
static size_t branch_target(const Dwarf_Op *operations, size_t len, size_t at)
{
	/* the operand counts from behind the 3 bytes of the branch */
	uint64_t offset = operations[at].offset + 3 + (int16_t)operations[at].number;

	for (size_t i = 0; i < len; i++) {
		if (operations[i].offset == offset)
			return i;
	}
	return len;
}

bool lm_expression_evaluate(const struct lm_expression_input *input, const Dwarf_Op *operations, size_t len,
	uint64_t *result, bool *is_value)
{
	struct machine machine = {.input = input};
	size_t at = 0;

	for (int step = 0; at < len && !machine.failed; step++) {
		uint8_t atom = operations[at].atom;

		if (step == STEPS_MAX)
			return false;
		if (atom == DW_OP_skip || (atom == DW_OP_bra && pop(&machine))) {
			at = branch_target(operations, len, at);
			continue;
		}
		if (atom != DW_OP_bra)
			run_one(&machine, &operations[at]);
		at++;
	}
	if (machine.failed || !machine.depth)
		return false;
	*result = machine.stack[machine.depth - 1];
	*is_value = machine.is_value;
	return true;
}
