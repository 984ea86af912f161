// SPDX-License-Identifier: GPL-2.0-or-later
/* Goroutines, as the worker tells of them: it is asked once whether a target is a Go program, then for what has
 * changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/proc.h"
#include "user/resolver/client_state.h"

#define EARLY_MAX 100 /* looks that a program may take to start its runtime */

struct lm_target_go {
	uint32_t generation; /* of the worker that looked for it */
	enum lm_go_answer status;
	bool failed;           /* the worker failed on it: it is not tried again */
	unsigned early;        /* times that it was too early */
	bool told;             /* this worker's records have been told from the start */
	uint64_t records_left; /* that it may tell of the last look */
	char why[LM_GO_WHY_MAX], no_gc[LM_GO_WHY_MAX], no_objects[LM_GO_WHY_MAX];
	char reasons[LM_GO_REASONS_TOLD][LM_GO_REASON_MAX];
	struct lm_go_summary summary;
	const struct lm_module *module;
};

void lm_target_go_free(struct lm_target *target)
{
	free(target->go);
	target->go = NULL;
}

static void take_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%.*s", (int)size - 1, text);
}

static bool same_file(const struct lm_map *a, const struct lm_map *b)
{
	return a->inode && a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

/* The first mapping of the program itself, NULL if it cannot be told. */
static const struct lm_map *find_program(const struct lm_maps *maps, const char *exe)
{
	for (size_t i = 0; exe && i < maps->len; i++) {
		if (maps->maps[i].inode && strcmp(maps->maps[i].path, exe) == 0)
			return &maps->maps[i];
	}
	return NULL;
}

static int describe_program(struct lm_resolver *resolver, struct lm_target *target, const struct lm_maps *maps,
	const struct lm_map *program, struct lm_maps_request *request)
{
	const struct lm_known_module *known;
	uint32_t id;
	int error = lm_modules_use(resolver, target, program, &target->modules, &id);

	for (size_t i = 0; i < maps->len && !error && request->len < LM_MAPS_MAX; i++) {
		const struct lm_map *map = &maps->maps[i];

		if (!same_file(map, program))
			continue;
		request->maps[request->len++] = (struct lm_map_message){
			.start = map->start,
			.end = map->end,
			.file_offset = map->file_offset,
			.module = id,
			.executable = map->executable,
		};
	}
	known = error ? NULL : lm_modules_find(resolver, id);
	target->go->module = known ? known->module : NULL;
	/* frames may be stored in it when the file is no longer known; Go programs are few, so it is never given back
	 */
	if (known)
		lm_stacks_hold_module(known->module);
	return error;
}

static int ask_open(struct lm_resolver *resolver, struct lm_target *target, const struct lm_maps_request *request)
{
	struct lm_target_go *go = target->go;
	struct lm_go_open_reply reply;
	int size = lm_resolver_ask(
		resolver, LM_MESSAGE_GO_OPEN, request, sizeof(*request) + request->len * sizeof(request->maps[0]), -1);

	if (size < 0)
		return size;
	if (size != sizeof(reply))
		return -EPROTO;
	memcpy(&reply, resolver->buffer, sizeof(reply));
	go->status = reply.status <= LM_GO_REFUSED ? reply.status : LM_GO_REFUSED;
	take_text(go->why, sizeof(go->why), reply.why);
	for (int i = 0; i < LM_GO_REASONS_TOLD; i++)
		take_text(go->reasons[i], sizeof(go->reasons[i]), reply.reasons[i]);
	return 0;
}

/* Has the worker look for a Go program in the target. */
static int open_program(struct lm_resolver *resolver, struct lm_target *target)
{
	struct lm_maps_request *request = calloc(1, sizeof(*request) + LM_MAPS_MAX * sizeof(request->maps[0]));
	struct lm_maps maps = {0};
	const struct lm_map *program;
	char *exe = NULL;
	int error = request ? lm_proc_maps(resolver->config.proc_root, target->pid, &maps) : -ENOMEM;

	if (!error && lm_proc_exe(resolver->config.proc_root, target->pid, &exe) == -ENOMEM)
		error = -ENOMEM;
	program = error ? NULL : find_program(&maps, exe);
	if (program) {
		request->target = target->id;
		error = describe_program(resolver, target, &maps, program, request);
	}
	/* was all of this read of the process that it was meant to be? */
	if (!error)
		error = lm_maps_check_identity(resolver, target->pid, target->start_ns);
	if (!error && program)
		error = ask_open(resolver, target, request);
	if (!error) {
		target->go->generation = resolver->generation;
		target->go->told = false;
		if (target->go->status == LM_GO_EARLY && ++target->go->early > EARLY_MAX)
			target->go->status = LM_GO_REFUSED;
	}
	free(exe);
	free(request);
	lm_maps_free(&maps);
	return error;
}

static int ask_look(struct lm_resolver *resolver, struct lm_target *target, uint64_t budget_ns)
{
	struct lm_target_go *go = target->go;
	const struct lm_go_look_request request = {
		.target = target->id,
		.tell_again = !go->told,
		.budget_ns = budget_ns,
	};
	struct lm_go_look_reply reply;
	int size = lm_resolver_ask(resolver, LM_MESSAGE_GO_LOOK, &request, sizeof(request), -1);

	if (size < 0)
		return size;
	if (size != sizeof(reply))
		return -EPROTO;
	memcpy(&reply, resolver->buffer, sizeof(reply));
	/* one that is not complete yet says nothing new: the reason of the last that failed holds */
	if (reply.status == LM_GO_EARLY)
		return -EAGAIN;
	take_text(go->why, sizeof(go->why), reply.why);
	if (reply.status != LM_GO_READY)
		return -ENOTSUP;
	take_text(go->no_gc, sizeof(go->no_gc), reply.no_gc);
	take_text(go->no_objects, sizeof(go->no_objects), reply.no_objects);
	go->records_left = reply.records < LM_TARGET_GO_RECORDS ? reply.records : LM_TARGET_GO_RECORDS;
	go->summary = reply.summary;
	go->summary.version[sizeof(go->summary.version) - 1] = '\0';
	go->summary.no_gc = go->no_gc[0] ? go->no_gc : NULL;
	go->summary.no_objects = go->no_objects[0] ? go->no_objects : NULL;
	return 0;
}

/* What came of asking: a worker that died on it is not asked about it again. */
static int judge(struct lm_resolver *resolver, struct lm_target *target, int error)
{
	if (error == -EPROTO)
		error = lm_resolver_give_up(resolver, error);
	if (error == -ETIMEDOUT || error == -ECONNRESET) {
		target->go->failed = true;
		take_text(target->go->why, sizeof(target->go->why),
			error == -ETIMEDOUT ? "the resolver overran its time on them" : "the resolver failed on them");
	}
	return error;
}

int lm_target_go_open(struct lm_resolver *resolver, struct lm_target *target)
{
	int error;

	if (!target->go)
		target->go = calloc(1, sizeof(*target->go));
	if (!target->go)
		return -ENOMEM;
	if (target->go->failed)
		return 0;
	/* a process that is gone while it is opened is found out by whoever asks next */
	error = judge(resolver, target, open_program(resolver, target));
	if (error == -ESRCH || error == -ENOENT)
		return 0;
	return target->go->failed ? 1 : error;
}

static int look(struct lm_resolver *resolver, struct lm_target *target, uint64_t budget_ns)
{
	struct lm_target_go *go = target->go;
	int error = lm_target_prepare(resolver, target);

	if (!error && go->status == LM_GO_EARLY)
		error = open_program(resolver, target);
	if (error) {
		take_text(go->why, sizeof(go->why), strerror(-error));
		return error;
	}
	switch (go->status) {
	case LM_GO_READY:
		return ask_look(resolver, target, budget_ns);
	case LM_GO_NONE:
		return -ENOEXEC;
	case LM_GO_EARLY:
		return -EAGAIN;
	default:
		return -ENOTSUP;
	}
}

int lm_target_go_look(struct lm_resolver *resolver, struct lm_target *target, uint64_t budget_ns,
	const struct lm_go_summary **summary, bool *anew, const char **why)
{
	struct lm_target_go *go;
	int error;

	if (!target->go)
		target->go = calloc(1, sizeof(*go));
	if (!target->go)
		return -ENOMEM;
	go = target->go;
	*why = go->why;
	if (go->failed)
		return -EUCLEAN;
	/* most processes are no Go programs, and that costs nothing */
	if (go->status == LM_GO_NONE && go->generation == resolver->generation)
		return -ENOEXEC;
	error = judge(resolver, target, look(resolver, target, budget_ns));
	if (error)
		return error;
	*summary = &go->summary;
	*anew = !go->told;
	go->told = true;
	return 0;
}

int lm_target_go_changes(struct lm_resolver *resolver, struct lm_target *target, struct lm_go_record *records)
{
	struct lm_target_go *go = target->go;
	struct lm_reply_head head;
	uint64_t expected;
	int size;

	if (!go || go->failed)
		return -EUCLEAN;
	size = lm_resolver_ask(resolver, LM_MESSAGE_GO_CHANGES, &target->id, sizeof(target->id), -1);
	if (size < 0)
		return judge(resolver, target, size);
	if ((size_t)size < sizeof(head))
		return judge(resolver, target, -EPROTO);
	memcpy(&head, resolver->buffer, sizeof(head));
	/* No more than it said that there are, and as many at a time as there is room for: who told one by one, or
	 * without end, would keep us for as long as it likes. */
	expected = go->records_left < LM_TARGET_GO_CHANGES ? go->records_left : LM_TARGET_GO_CHANGES;
	if ((head.len && head.len != expected) || (size_t)size != sizeof(head) + head.len * sizeof(*records))
		return judge(resolver, target, -EPROTO);
	memcpy(records, resolver->buffer + sizeof(head), head.len * sizeof(*records));
	go->records_left -= head.len;
	return head.len;
}

void lm_target_go_tell_again(struct lm_target *target)
{
	if (target->go)
		target->go->told = false;
}

/* The line of the go statement, and the function that it is in. */
static void take_creator(const struct lm_frame *frame, struct lm_target_go_creator *creator)
{
	const struct lm_function *inner = &frame->functions[0], *outer = &frame->functions[frame->functions_len - 1];

	if (!frame->functions_len)
		return;
	creator->function = outer->name ? strdup(outer->name) : NULL;
	creator->file = inner->file ? strdup(inner->file) : NULL;
	creator->line = inner->line;
}

static int take_stack(struct lm_resolver *resolver, const struct lm_target *target, const char *at, const char *end,
	const struct lm_stack **stack, struct lm_target_go_creator *creator)
{
	const struct lm_frame *stored[LM_STACK_MAX];
	struct lm_go_stack_reply reply;
	size_t len;
	int error = 0;

	if ((size_t)(end - at) < sizeof(reply))
		return -EPROTO;
	memcpy(&reply, at, sizeof(reply));
	at += sizeof(reply);
	if (!target->go->module || reply.len > LM_STACK_MAX + 1 || (reply.creator && !reply.len))
		return -EPROTO;
	len = reply.len - (reply.creator != 0);
	if (len > LM_STACK_MAX)
		return -EPROTO;
	for (size_t i = 0; i < reply.len && !error; i++) {
		struct lm_function functions[LM_INLINED_MAX];
		struct lm_frame frame = {.module = target->go->module, .golang = true};
		struct lm_go_frame_message message;

		if ((size_t)(end - at) < sizeof(message))
			return -EPROTO;
		memcpy(&message, at, sizeof(message));
		at += sizeof(message);
		frame.offset = message.offset;
		error = lm_answers_take_functions(&at, end, functions, &frame);
		if (error)
			return error;
		if (i < len)
			error = lm_stacks_frame(resolver->config.stacks, &frame, &stored[i]);
		else
			take_creator(&frame, creator);
		lm_answers_free_functions(&frame);
	}
	if (error || !len)
		return error;
	return lm_stacks_intern(resolver->config.stacks, stored, len, LM_STACK_COMPLETE, stack);
}

int lm_target_go_stack(struct lm_resolver *resolver, struct lm_target *target, uint32_t number,
	const struct lm_stack **stack, struct lm_target_go_creator *creator)
{
	const struct lm_go_stack_request request = {.target = target->id, .stack = number};
	int size = lm_resolver_ask(resolver, LM_MESSAGE_GO_STACK, &request, sizeof(request), -1);
	int error;

	*stack = NULL;
	*creator = (struct lm_target_go_creator){0};
	if (size < 0)
		return judge(resolver, target, size);
	error = take_stack(resolver, target, resolver->buffer, resolver->buffer + size, stack, creator);
	if (error) {
		free(creator->function);
		free(creator->file);
		*creator = (struct lm_target_go_creator){0};
	}
	return judge(resolver, target, error);
}

bool lm_target_go_details(struct lm_resolver *resolver, struct lm_target *target, uint32_t index, uint64_t goid,
	struct lm_go_details *details)
{
	const struct lm_go_details_request request = {.target = target->id, .index = index, .goid = goid};
	struct lm_go_details_reply reply;
	int size;

	/* a worker that was started since knows nothing of it yet */
	if (!target->go || target->go->failed || target->go->generation != resolver->generation)
		return false;
	size = lm_resolver_ask(resolver, LM_MESSAGE_GO_DETAILS, &request, sizeof(request), -1);
	if (size != sizeof(reply)) {
		judge(resolver, target, size < 0 ? size : -EPROTO);
		return false;
	}
	memcpy(&reply, resolver->buffer, sizeof(reply));
	reply.details.labels[LM_GO_LABELS_MAX - 1] = '\0';
	*details = reply.details;
	return reply.found;
}

bool lm_target_is_go(const struct lm_target *target)
{
	return target->go && target->go->status != LM_GO_NONE;
}

const char *lm_target_go_reason(const struct lm_target *target, uint8_t reason)
{
	if (!target->go || reason >= LM_GO_REASONS_TOLD || !target->go->reasons[reason][0])
		return NULL;
	return target->go->reasons[reason];
}
