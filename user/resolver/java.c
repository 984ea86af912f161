// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One step through generated code. Interpreted frames are found by the frame pointer,
 * compiled ones and stubs by the size that the code's header tells, the entry from
 * native code by the frame pointer again. Slots of an interpreted frame as in JDK 8 to
 * 25 on x86-64: above the frame pointer the return address, below it the caller's
 * stack pointer, the method, and the bytecode's address.
 */
#include "user/resolver/java.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/resolver/java_state.h"

#define WORD 8
#define FRAME_MAX (1u << 20) /* bytes that a frame may skip */
#define STACK_STEPS 200000   /* a stack of 256 frames costs some 50,000 */

#define MONITORENTER 0xc2

#define STACK_FRAMES 1024

/* Of an interpreted frame, in bytes from the frame pointer. */
#define SENDER_SP (-1 * WORD)
#define METHOD (-3 * WORD)
#define BYTECODE (-8 * WORD)
#define BYTECODE_JDK8 (-7 * WORD)

int lm_java_new(const uint64_t variables[LM_JAVA_VARIABLES], struct lm_java **out)
{
	struct lm_java *java = calloc(1, sizeof(*java));

	if (!java)
		return -ENOMEM;
	memcpy(java->variables, variables, sizeof(java->variables));
	*out = java;
	return 0;
}

void lm_java_free(struct lm_java *java)
{
	free(java);
}

bool lm_java_is_at(const struct lm_java *java, const uint64_t variables[LM_JAVA_VARIABLES])
{
	return memcmp(java->variables, variables, sizeof(java->variables)) == 0;
}

void lm_java_begin(struct lm_java *java, struct lm_remote *remote, struct lm_java_names *names)
{
	java->remote = remote;
	java->names = names;
	java->heaps_read = false;
}

void lm_java_begin_stack(struct lm_java *java)
{
	java->steps_left = STACK_STEPS;
	java->frames_left = STACK_FRAMES;
}

const char *lm_java_why(const struct lm_java *java)
{
	return java->why;
}

static bool is_ready(struct lm_java *java)
{
	int error;

	if (java->state == LM_JAVA_UNREAD) {
		error = lm_java_layout_read(java->remote, java->variables, &java->layout, &java->why);
		if (error != -EAGAIN)
			java->state = error ? LM_JAVA_REFUSED : LM_JAVA_READ;
	}
	return java->state == LM_JAVA_READ && lm_java_code_read(java);
}

static bool read_word(struct lm_java *java, uint64_t address, uint64_t *value)
{
	return lm_remote_read(java->remote, address, value, sizeof(*value));
}

/* Does an address lie so far up the stack as a frame may reach? */
static bool is_above(const struct lm_java_frame *frame, uint64_t address)
{
	return address % WORD == 0 && address > frame->sp && address - frame->sp <= FRAME_MAX;
}

static bool step_by_frame_pointer(struct lm_java *java, struct lm_java_frame *frame)
{
	uint64_t pc, bp;

	if (!frame->bp_known || !is_above(frame, frame->bp + 2 * WORD) || !read_word(java, frame->bp + WORD, &pc) ||
		!read_word(java, frame->bp, &bp))
		return false;
	frame->pc = pc;
	frame->sp = frame->bp + 2 * WORD;
	frame->bp = bp;
	return true;
}

/* The interpreter has gone on already when it waits to enter a monitor; compiled code says where it is. */
static bool enters_monitor(struct lm_java *java, uint64_t pc, uint64_t next)
{
	uint8_t before;

	return lm_remote_read(java->remote, next - 1, &before, sizeof(before)) && before == MONITORENTER &&
	       lm_java_code_interprets(java, pc, MONITORENTER);
}

static uint32_t bytecode_index(
	struct lm_java *java, const struct lm_java_method *method, const struct lm_java_frame *frame)
{
	static const int slots[] = {BYTECODE, BYTECODE_JDK8};
	uint64_t at;

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		if (read_word(java, frame->bp + slots[i], &at) && at - method->code < method->code_size)
			return at - method->code - (at > method->code && enters_monitor(java, frame->pc, at));
	}
	return 0;
}

static bool step_interpreted(struct lm_java *java, struct lm_java_frame *frame)
{
	struct lm_java_frame caller = *frame;
	const struct lm_java_method *method;
	uint64_t method_at, sender_sp;

	if (!step_by_frame_pointer(java, &caller) || !read_word(java, frame->bp + METHOD, &method_at) ||
		!read_word(java, frame->bp + SENDER_SP, &sender_sp))
		return false;
	method = lm_java_method_at(java, method_at);
	caller.keys_len = 0;
	caller.named = method;
	if (method)
		caller.keys[caller.keys_len++] =
			lm_java_method_place(java, method, bytecode_index(java, method, frame));
	/* what a compiled caller passed to it lies between the two */
	if (sender_sp >= caller.sp && is_above(frame, sender_sp))
		caller.sp = sender_sp;
	*frame = caller;
	return true;
}

static bool step_blob(struct lm_java *java, struct lm_java_frame *frame, const struct lm_java_blob *blob)
{
	uint64_t caller_sp = frame->sp + blob->frame_size, pc, bp;
	bool is_method = blob->kind == LM_JAVA_BLOB_METHOD;

	/* not there yet, or no longer */
	if (frame->exact && frame->pc - blob->code < blob->frame_complete)
		return false;
	if (blob->frame_size < 2 * WORD || !is_above(frame, caller_sp) || !read_word(java, caller_sp - WORD, &pc) ||
		!read_word(java, caller_sp - 2 * WORD, &bp))
		return false;
	frame->keys_len = 0;
	if (is_method)
		lm_java_scopes_name(java, blob, frame);
	frame->named = !is_method || frame->keys_len;
	frame->pc = pc;
	frame->sp = caller_sp;
	frame->bp = bp;
	frame->bp_known = true;
	return true;
}

static bool step_stub(struct lm_java *java, struct lm_java_frame *frame)
{
	if (!step_by_frame_pointer(java, frame))
		return false;
	frame->keys_len = 0;
	frame->named = true;
	return true;
}

bool lm_java_step(struct lm_java *java, struct lm_java_frame *frame)
{
	struct lm_java_blob blob;
	bool found;

	if (!is_ready(java) || !lm_java_code_holds(java, frame->pc) || !java->frames_left)
		return false;
	java->frames_left--;
	if (frame->pc >= java->interpreter_low && frame->pc < java->interpreter_high)
		found = step_interpreted(java, frame);
	else if (frame->pc == java->call_stub_return)
		found = step_stub(java, frame);
	else if (!lm_java_code_find(java, frame->pc, &blob))
		return false;
	else if (blob.kind == LM_JAVA_BLOB_CONTINUATION)
		return frame->cut = frame->named = true;
	else if (blob.frame_size || blob.kind == LM_JAVA_BLOB_METHOD)
		found = step_blob(java, frame, &blob);
	else
		found = step_stub(java, frame);
	if (found)
		frame->exact = false;
	return found;
}
