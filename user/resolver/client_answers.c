// SPDX-License-Identifier: GPL-2.0-or-later
/* What the worker says of stacks, checked and stored. It may have been taken over by what it parsed. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "user/resolver/client_state.h"

/* A text of a reply, if all of it is there; *failed is set if not. */
static char *take_text(const char **at, const char *end, size_t len, bool *failed)
{
	char *text = NULL;

	if ((size_t)(end - *at) < len) {
		*failed = true;
		return NULL;
	}
	if (len)
		text = strndup(*at, len);
	*at += len;
	return text;
}

void lm_answers_free_functions(struct lm_frame *frame)
{
	for (uint32_t i = 0; i < frame->functions_len; i++) {
		free((char *)frame->functions[i].name);
		free((char *)frame->functions[i].file);
	}
	frame->functions_len = 0;
}

int lm_answers_take_functions(const char **at, const char *end, struct lm_function *functions, struct lm_frame *frame)
{
	struct lm_symbol_reply reply;
	bool failed = false;

	if ((size_t)(end - *at) < sizeof(reply))
		return -EPROTO;
	memcpy(&reply, *at, sizeof(reply));
	*at += sizeof(reply);
	if (reply.functions_len > LM_INLINED_MAX)
		return -EPROTO;
	memset(functions, 0, LM_INLINED_MAX * sizeof(*functions));
	for (uint32_t i = 0; i < reply.functions_len && !failed; i++) {
		struct lm_function_message message;

		if ((size_t)(end - *at) < sizeof(message)) {
			failed = true;
			break;
		}
		memcpy(&message, *at, sizeof(message));
		*at += sizeof(message);
		functions[i].line = message.line;
		functions[i].inlined = message.inlined;
		functions[i].name = take_text(at, end, message.name_len, &failed);
		functions[i].file = take_text(at, end, message.file_len, &failed);
	}
	frame->function_start = reply.function_start;
	frame->functions_len = reply.functions_len;
	frame->functions = functions;
	if (failed)
		lm_answers_free_functions(frame);
	return failed ? -EPROTO : 0;
}

/* Reads the functions of a frame and stores it. */
static int take_symbol(
	struct lm_resolver *resolver, const char **at, const char *end, uint32_t message_module, struct lm_frame *frame)
{
	struct lm_function functions[LM_INLINED_MAX];
	const struct lm_frame *stored;
	int error = lm_answers_take_functions(at, end, functions, frame);

	if (error)
		return error;
	if (message_module == LM_MODULE_PYTHON)
		error = lm_python_learn(resolver, frame->offset, frame);
	if (!error)
		error = lm_stacks_frame(resolver->config.stacks, frame, &stored);
	lm_answers_free_functions(frame);
	return error;
}

/* A module for each process: one may call its methods what it likes, and must not name those of another. */
static int java_module(struct lm_resolver *resolver, struct lm_target *target, const struct lm_module **module)
{
	int error = 0;

	if (!target->java_module)
		error = lm_stacks_module(resolver->config.stacks, LM_STACKS_JAVA, NULL,
			target->start_ns ^ (uint64_t)target->pid << 32, &target->java_module);
	*module = target->java_module;
	return error;
}

/* The module of a frame that the worker named; the store's "[anon]" for code without a file. NULL for a place in a
 * Python program. */
static int stored_module(
	struct lm_resolver *resolver, struct lm_target *target, uint32_t id, const struct lm_module **module)
{
	const struct lm_known_module *known;

	if (id == LM_MODULE_NONE)
		return lm_stacks_module(resolver->config.stacks, "[anon]", NULL, 0, module);
	if (id == LM_MODULE_PYTHON) {
		*module = NULL;
		return 0;
	}
	if (id == LM_MODULE_PERF && target->perf_module) {
		*module = target->perf_module;
		return 0;
	}
	if (id == LM_MODULE_JAVA)
		return java_module(resolver, target, module);
	known = lm_modules_find(resolver, id);
	if (!known)
		return -EPROTO;
	*module = known->module;
	return 0;
}

/* Returns how many were answered and stored, at least one, or -errno. */
static int ask_symbols(
	struct lm_resolver *resolver, struct lm_target *target, const struct lm_frame_message *frames, size_t len)
{
	struct lm_symbols_request request = {
		.target = target->id, .len = len, .budget_ns = resolver->config.target_deadline_ns / 2};
	struct lm_reply_head head;
	const char *at = resolver->buffer, *end;
	int size, error = 0;

	memcpy(request.frames, frames, len * sizeof(*frames));
	size = lm_resolver_ask(resolver, LM_MESSAGE_SYMBOLS, &request,
		offsetof(struct lm_symbols_request, frames) + len * sizeof(*frames), -1);
	if (size < 0)
		return size;
	if ((size_t)size < sizeof(head))
		return -EPROTO;
	memcpy(&head, at, sizeof(head));
	if (!head.len || head.len > len)
		return -EPROTO;
	end = at + size;
	at += sizeof(head);
	for (size_t i = 0; i < head.len && !error; i++) {
		struct lm_frame frame = {.offset = frames[i].offset};
		const struct lm_known_module *known = lm_modules_find(resolver, frames[i].module);

		error = stored_module(resolver, target, frames[i].module, &frame.module);
		if (!error)
			error = take_symbol(resolver, &at, end, frames[i].module, &frame);
		resolver->counters.symbol_failed += known && !known->readable;
	}
	return error ? error : (int)head.len;
}

static int ask_all_symbols(
	struct lm_resolver *resolver, struct lm_target *target, const struct lm_frame_message *frames, size_t len)
{
	size_t at = 0;

	while (at < len) {
		int answered = ask_symbols(resolver, target, frames + at, len - at);

		if (answered < 0)
			return answered;
		at += answered;
	}
	return 0;
}

/* The frame in the store, NULL if it is not there. */
static int find_stored(struct lm_resolver *resolver, struct lm_target *target, const struct lm_frame_message *message,
	const struct lm_frame **frame)
{
	const struct lm_module *module;
	uint64_t offset = message->offset;
	int error = stored_module(resolver, target, message->module, &module);

	if (error)
		return error;
	*frame = NULL;
	if (message->module == LM_MODULE_PYTHON && !lm_python_known(resolver, message->offset, &module, &offset))
		return 0;
	*frame = lm_stacks_find_frame(resolver->config.stacks, module, offset);
	return 0;
}

/* Makes sure that all frames are stored, asking for those that are not in as few messages as possible. */
static int store_frames(
	struct lm_resolver *resolver, struct lm_target *target, const struct lm_frame_message *frames, size_t len)
{
	struct lm_frame_message unknown[LM_SYMBOLS_MAX];
	size_t unknown_len = 0;

	for (size_t i = 0; i < len; i++) {
		const struct lm_frame *frame;
		int error = find_stored(resolver, target, &frames[i], &frame);

		if (error)
			return error;
		if (frame)
			continue;
		unknown[unknown_len++] = frames[i];
		if (unknown_len < LM_SYMBOLS_MAX)
			continue;
		error = ask_all_symbols(resolver, target, unknown, unknown_len);
		if (error)
			return error;
		unknown_len = 0;
	}
	return ask_all_symbols(resolver, target, unknown, unknown_len);
}

static int intern(struct lm_resolver *resolver, struct lm_target *target, const struct lm_frame_message *frames,
	size_t len, uint32_t status, struct lm_unwind_request *request)
{
	const struct lm_frame *stored[LM_STACK_MAX];
	enum lm_stack_end end = status == LM_UNWIND_COMPLETE    ? LM_STACK_COMPLETE
				: status == LM_UNWIND_TRUNCATED ? LM_STACK_TRUNCATED
								: LM_STACK_BROKEN;
	int error = store_frames(resolver, target, frames, len);

	for (size_t i = 0; i < len && !error; i++) {
		error = find_stored(resolver, target, &frames[i], &stored[i]);
		if (!error && !stored[i])
			error = -ENOMEM;
	}
	return error ? error : lm_stacks_intern(resolver->config.stacks, stored, len, end, &request->stack);
}

/* The answers to one message; returns how many, or -errno. */
static int take_stacks(struct lm_resolver *resolver, struct lm_target *target, const char *reply, size_t size,
	struct lm_unwind_request *requests, size_t len, unsigned *flags)
{
	struct lm_reply_head answered;
	size_t at = sizeof(answered);

	if (size < sizeof(answered))
		return -EPROTO;
	memcpy(&answered, reply, sizeof(answered));
	if (!answered.len || answered.len > len)
		return -EPROTO;
	target->python = answered.python;
	for (size_t i = 0; i < answered.len; i++) {
		struct lm_unwind_reply head;
		struct lm_frame_message frames[LM_STACK_MAX];
		int error;

		if (size - at < sizeof(head))
			return -EPROTO;
		memcpy(&head, reply + at, sizeof(head));
		at += sizeof(head);
		if (head.len > LM_STACK_MAX || (size - at) / sizeof(frames[0]) < head.len)
			return -EPROTO;
		memcpy(frames, reply + at, head.len * sizeof(frames[0]));
		at += head.len * sizeof(frames[0]);
		*flags |= (head.unmapped ? LM_ANSWER_UNMAPPED : 0) | (head.unnamed ? LM_ANSWER_UNNAMED : 0);
		error = intern(resolver, target, frames, head.len, head.status, &requests[i]);
		if (error)
			return error;
		if (head.status == LM_UNWIND_NO_MEMORY)
			requests[i].why = "its stack could not be read";
		else if (head.status == LM_UNWIND_NO_JAVA)
			requests[i].why = "its JVM does not describe its frames";
	}
	return answered.len;
}

int lm_answers_unwind(struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests,
	size_t len, unsigned *flags)
{
	struct lm_unwind_message message = {
		.target = target->id, .len = len, .budget_ns = resolver->config.target_deadline_ns / 2};
	char *reply;
	int size, answered;

	if (lm_python_is_full(resolver))
		lm_python_forget(resolver);
	for (size_t i = 0; i < len; i++)
		message.regs[i] = requests[i].regs;
	size = lm_resolver_ask(resolver, LM_MESSAGE_UNWIND, &message,
		offsetof(struct lm_unwind_message, regs) + len * sizeof(message.regs[0]), -1);
	if (size < 0)
		return size;
	/* asking for symbols uses the buffer again */
	reply = malloc(size + 1);
	if (!reply)
		return -ENOMEM;
	memcpy(reply, resolver->buffer, size);
	answered = take_stacks(resolver, target, reply, size, requests, len, flags);
	free(reply);
	return answered;
}
