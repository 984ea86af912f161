// SPDX-License-Identifier: GPL-2.0-or-later
/* Between the messages and those who read Go programs (user/golang/). */
#include "user/resolver/worker_go.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/golang/goroutines.h"
#include "user/golang/tables.h"
#include "user/resolver/names.h"
#include "user/stacks.h"

struct lm_worker_go {
	struct lm_go_tables *tables;
	struct lm_goroutines *goroutines;
	struct lm_region *regions; /* of the program's file */
	size_t regions_len;
};

static void put_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

static void put_reasons(const struct lm_goroutines *goroutines, struct lm_go_open_reply *reply)
{
	for (unsigned i = 0; i < LM_GO_REASONS_TOLD; i++)
		put_text(reply->reasons[i], sizeof(reply->reasons[i]), lm_goroutines_reason(goroutines, i));
}

static enum lm_go_answer status_of(int error)
{
	switch (error) {
	case 0:
		return LM_GO_READY;
	case -ENOEXEC:
		return LM_GO_NONE;
	case -EAGAIN:
		return LM_GO_EARLY;
	default:
		return LM_GO_REFUSED;
	}
}

static const char *why_of(int error, const char *why)
{
	return error == -ENOMEM ? "out of memory" : why;
}

static int open_program(
	struct lm_worker_go *go, int mem_fd, const struct lm_region *regions, size_t regions_len, const char **why)
{
	int error = lm_go_tables_open(mem_fd, regions, regions_len, &go->tables, why);

	if (error)
		return error;
	go->regions = malloc((regions_len + 1) * sizeof(*regions));
	if (!go->regions)
		return -ENOMEM;
	memcpy(go->regions, regions, regions_len * sizeof(*regions));
	go->regions_len = regions_len;
	return lm_goroutines_new(mem_fd, go->tables, regions, regions_len, &go->goroutines, why);
}

size_t lm_worker_go_open(
	int mem_fd, const struct lm_region *regions, size_t regions_len, struct lm_worker_go **opened, void *out)
{
	struct lm_go_open_reply *reply = out;
	struct lm_worker_go *go = calloc(1, sizeof(*go));
	const char *why = NULL;
	int error = go ? open_program(go, mem_fd, regions, regions_len, &why) : -ENOMEM;

	memset(reply, 0, sizeof(*reply));
	reply->status = status_of(error);
	put_text(reply->why, sizeof(reply->why), why_of(error, why));
	/* the tables name the functions of its threads all the same */
	*opened = go && go->tables ? go : NULL;
	if (!*opened)
		lm_worker_go_free(go);
	else if (go->goroutines)
		put_reasons(go->goroutines, reply);
	return sizeof(*reply);
}

void lm_worker_go_free(struct lm_worker_go *go)
{
	if (!go)
		return;
	lm_goroutines_free(go->goroutines);
	lm_go_tables_free(go->tables);
	free(go->regions);
	free(go);
}

struct lm_go_tables *lm_worker_go_tables(struct lm_worker_go *go)
{
	return go ? go->tables : NULL;
}

size_t lm_worker_go_functions(struct lm_worker_go *go, uint64_t pc, bool exact, struct lm_symbol_line *out, size_t max)
{
	struct lm_go_line lines[LM_INLINED_MAX];
	size_t len = go ? lm_go_tables_lines(go->tables, pc, exact, lines, max) : 0;

	for (size_t i = 0; i < len; i++) {
		out[i] = (struct lm_symbol_line){.line = lines[i].line, .inlined = lines[i].inlined};
		lm_name_copy(lines[i].function ? lines[i].function : "", out[i].name);
		lm_name_copy(lines[i].file ? lines[i].file : "", out[i].file);
	}
	return len;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static size_t look(struct lm_worker_go *go, const struct lm_go_look_request *request, struct lm_go_look_reply *reply)
{
	const char *why = NULL;
	int error;

	memset(reply, 0, sizeof(*reply));
	if (!go || !go->goroutines)
		return sizeof(*reply);
	if (request->tell_again)
		lm_goroutines_tell_again(go->goroutines);
	error = lm_goroutines_look(go->goroutines, now_ns() + request->budget_ns, &why);
	reply->status = status_of(error);
	put_text(reply->why, sizeof(reply->why), why_of(error, why));
	if (error)
		return sizeof(*reply);
	reply->records = lm_goroutines_changed(go->goroutines);
	reply->summary = *lm_goroutines_summary(go->goroutines);
	put_text(reply->no_gc, sizeof(reply->no_gc), reply->summary.no_gc);
	put_text(reply->no_objects, sizeof(reply->no_objects), reply->summary.no_objects);
	reply->summary.no_gc = NULL;
	reply->summary.no_objects = NULL;
	return sizeof(*reply);
}

static size_t changes(struct lm_worker_go *go, void *out)
{
	struct lm_reply_head *head = out;
	struct lm_go_record *records = (struct lm_go_record *)(head + 1);
	size_t max = (LM_MESSAGE_MAX - sizeof(*head)) / sizeof(*records);

	*head = (struct lm_reply_head){
		.len = go && go->goroutines ? lm_goroutines_changes(go->goroutines, records, max) : 0};
	return sizeof(*head) + head->len * sizeof(*records);
}

static uint64_t file_offset(const struct lm_worker_go *go, uint64_t address)
{
	for (size_t i = 0; i < go->regions_len; i++) {
		const struct lm_region *region = &go->regions[i];

		if (address >= region->start && address < region->end && region->elf)
			return address - region->start + region->file_offset;
	}
	return address;
}

/* Appends a text if there is room for it; returns its length. */
static uint16_t append_text(char *out, size_t *at, const char *text)
{
	size_t len = text ? strnlen(text, LM_TEXT_MAX) : 0;

	if (*at + len > LM_MESSAGE_MAX)
		return 0;
	memcpy(out + *at, text ? text : "", len);
	*at += len;
	return len;
}

/* One frame with its lines; what does not fit is left out. False if not even the frame does. */
static bool append_frame(struct lm_worker_go *go, uint64_t pc, bool exact, char *out, size_t *at)
{
	struct lm_go_frame_message message = {.offset = file_offset(go, pc)};
	struct lm_go_line lines[LM_INLINED_MAX];
	struct lm_symbol_reply reply = {0};
	size_t len = lm_go_tables_lines(go->tables, pc, exact, lines, LM_INLINED_MAX), reply_at;
	struct lm_go_function function;

	if (*at + sizeof(message) + sizeof(reply) > LM_MESSAGE_MAX)
		return false;
	memcpy(out + *at, &message, sizeof(message));
	reply_at = *at + sizeof(message);
	*at = reply_at + sizeof(reply);
	if (lm_go_tables_function(go->tables, pc - !exact, &function)) {
		reply.function_start = file_offset(go, function.entry);
		/* what the compiler put between a call and what is called is nobody's line, but has a name */
		if (!len)
			lines[len++] = (struct lm_go_line){.function = function.name};
	}
	for (size_t i = 0; i < len; i++) {
		struct lm_function_message text = {.line = lines[i].line, .inlined = lines[i].inlined};
		size_t text_at = *at;

		if (*at + sizeof(text) > LM_MESSAGE_MAX)
			break;
		*at += sizeof(text);
		text.name_len = append_text(out, at, lines[i].function);
		text.file_len = append_text(out, at, lines[i].file);
		memcpy(out + text_at, &text, sizeof(text));
		reply.functions_len++;
	}
	memcpy(out + reply_at, &reply, sizeof(reply));
	return true;
}

static size_t stack_of(struct lm_worker_go *go, uint32_t stack, char *out)
{
	struct lm_go_stack_reply reply = {0};
	size_t at = sizeof(reply), len;
	const uint64_t *pcs;
	uint64_t creator_pc;
	bool first_exact;

	len = go && go->goroutines ? lm_goroutines_stack(go->goroutines, stack, &pcs, &creator_pc, &first_exact) : 0;
	if (len > LM_STACK_MAX)
		len = LM_STACK_MAX;
	for (size_t i = 0; i < len; i++) {
		if (!append_frame(go, pcs[i], i == 0 && first_exact, out, &at))
			break;
		reply.len++;
	}
	if (reply.len == len && len && creator_pc && append_frame(go, creator_pc, false, out, &at)) {
		reply.len++;
		reply.creator = 1;
	}
	memcpy(out, &reply, sizeof(reply));
	return at;
}

static size_t details(
	struct lm_worker_go *go, const struct lm_go_details_request *request, struct lm_go_details_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	reply->found = go && go->goroutines &&
		       lm_goroutines_details(go->goroutines, request->index, request->goid, &reply->details);
	return sizeof(*reply);
}

size_t lm_worker_go_answer(struct lm_worker_go *go, uint32_t type, const void *payload, size_t size, void *out)
{
	switch (type) {
	case LM_MESSAGE_GO_LOOK:
		return size >= sizeof(struct lm_go_look_request) ? look(go, payload, out) : 0;
	case LM_MESSAGE_GO_CHANGES:
		return changes(go, out);
	case LM_MESSAGE_GO_STACK:
		return size >= sizeof(struct lm_go_stack_request)
			       ? stack_of(go, ((const struct lm_go_stack_request *)payload)->stack, out)
			       : 0;
	case LM_MESSAGE_GO_DETAILS:
		return size >= sizeof(struct lm_go_details_request) ? details(go, payload, out) : 0;
	default:
		return 0;
	}
}

size_t lm_worker_go_bytes(const struct lm_worker_go *go)
{
	return go && go->goroutines ? lm_goroutines_bytes(go->goroutines) : 0;
}
