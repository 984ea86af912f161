// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The unprivileged process: answers the client's messages one by one until the
 * client is gone. It may crash on what it parses; nothing else depends on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "user/resolver/client.h"
#include "user/resolver/java.h"
#include "user/resolver/module.h"
#include "user/resolver/names.h"
#include "user/resolver/perf_map.h"
#include "user/resolver/protocol.h"
#include "user/resolver/python.h"
#include "user/resolver/sandbox.h"
#include "user/resolver/symbols.h"
#include "user/resolver/unwind.h"
#include "user/resolver/worker_go.h"

#define REGIONS_MAX 40000
/* What elfutils has read of files is let go of when the worker has grown to this: it is read again when needed. */
#define RESIDENT_MAX_BYTES (40u << 20)
#define IDLE_S 5                   /* without a request: time to let go of it as well */
#define PERF_MAX_BYTES (32u << 20) /* of the symbols of all JITs */

struct module {
	uint32_t id;
	struct lm_elf *elf; /* NULL: could not be read */
	bool java_tried;
	uint64_t java_vaddrs[LM_JAVA_VARIABLES]; /* of what libjvm.so exports, if it is that */
	UT_hash_handle hh;
};

struct target {
	uint32_t id;
	int mem_fd;
	struct lm_region *regions;
	size_t regions_len;
	struct lm_perf_map *perf_map; /* NULL: none */
	struct lm_java *java;         /* NULL: none */
	bool java_tried;              /* with these regions */
	struct lm_worker_go *go;      /* NULL: none, or it cannot be read */
	UT_hash_handle hh;
};

struct worker {
	int socket, statm_fd;
	struct module *modules;
	struct target *targets;
	struct lm_unwinder unwinder;
	struct lm_python *python;
	struct lm_java_names *java_names; /* of the frames in the last reply */
	uint32_t unwound_target;          /* that the unwinder knows, 0 = none */
	size_t perf_bytes;                /* of all targets' symbols */
	bool grown;                       /* has read debug information since it was trimmed */
	_Alignas(16) char in[LM_MESSAGE_MAX];
	_Alignas(16) char out[LM_MESSAGE_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static struct module *find_module(struct worker *worker, uint32_t id)
{
	struct module *module;

	HASH_FIND_INT(worker->modules, &id, module);
	return module;
}

static struct target *find_target(struct worker *worker, uint32_t id)
{
	struct target *target;

	HASH_FIND_INT(worker->targets, &id, target);
	return target;
}

static int take_module(struct worker *worker, const void *payload, size_t size, int fd)
{
	const struct lm_module_request *request = payload;
	struct lm_module_reply reply = {0};
	struct module *module;
	const uint8_t *build_id;

	if (size < sizeof(*request) || fd < 0)
		return -EPROTO;
	module = calloc(1, sizeof(*module));
	if (!module) {
		close(fd);
		return -ENOMEM;
	}
	module->id = request->module;
	HASH_ADD_INT(worker->modules, id, module);
	reply.module = request->module;
	if (lm_elf_open(fd, &module->elf) == 0) {
		size_t len = lm_elf_build_id(module->elf, &build_id);

		reply.readable = 1;
		reply.has_lines = lm_elf_has_lines(module->elf);
		if (len <= LM_BUILD_ID_MAX) {
			reply.build_id_len = len;
			memcpy(reply.build_id, build_id, len);
		}
	}
	return lm_message_send(worker->socket, LM_MESSAGE_MODULE, &reply, sizeof(reply), -1);
}

static int take_forget(struct worker *worker, const void *payload, size_t size)
{
	const uint32_t *id = payload;
	struct module *module = size >= sizeof(*id) ? find_module(worker, *id) : NULL;
	struct target *target, *next;

	if (!module)
		return 0;
	/* no target should map it any more */
	HASH_ITER (hh, worker->targets, target, next) {
		for (size_t i = 0; i < target->regions_len; i++) {
			if (target->regions[i].module == *id)
				target->regions[i].elf = NULL;
		}
	}
	worker->unwound_target = 0;
	HASH_DEL(worker->modules, module);
	lm_elf_free(module->elf);
	free(module);
	return 0;
}

static int take_debug(struct worker *worker, const void *payload, size_t size, int fd)
{
	const uint32_t *id = payload;
	struct module *module = size >= sizeof(*id) ? find_module(worker, *id) : NULL;

	if (fd < 0)
		return -EPROTO;
	if (module && module->elf) {
		lm_elf_add_debug(module->elf, fd);
		lm_rows_clear(worker->unwinder.rows);
	} else {
		close(fd);
	}
	return 0;
}

static int take_target(struct worker *worker, const void *payload, size_t size, int fd)
{
	const uint32_t *id = payload;
	struct target *target;

	if (size < sizeof(*id) || fd < 0)
		return -EPROTO;
	target = calloc(1, sizeof(*target));
	if (!target) {
		close(fd);
		return -ENOMEM;
	}
	target->id = *id;
	target->mem_fd = fd;
	HASH_ADD_INT(worker->targets, id, target);
	return 0;
}

static bool is_whole(const struct lm_maps_request *request, size_t size)
{
	return size >= sizeof(*request) && request->len <= LM_MAPS_MAX &&
	       size >= sizeof(*request) + request->len * sizeof(request->maps[0]);
}

static struct lm_region region_of(struct worker *worker, const struct lm_map_message *map)
{
	struct module *module = map->module ? find_module(worker, map->module) : NULL;

	return (struct lm_region){
		.start = map->start,
		.end = map->end,
		.file_offset = map->file_offset,
		.module = map->module,
		.executable = map->executable,
		.elf = module ? module->elf : NULL,
	};
}

static int take_maps(struct worker *worker, const void *payload, size_t size)
{
	const struct lm_maps_request *request = payload;
	struct target *target;
	struct lm_region *grown;
	size_t before;

	if (!is_whole(request, size))
		return -EPROTO;
	target = find_target(worker, request->target);
	if (!target)
		return 0;
	worker->unwound_target = 0;
	target->java_tried = false;
	if (request->first)
		target->regions_len = 0;
	before = target->regions_len;
	if (before + request->len > REGIONS_MAX || !request->len)
		return 0;
	grown = realloc(target->regions, (before + request->len) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	target->regions = grown;
	for (size_t i = 0; i < request->len; i++)
		grown[before + i] = region_of(worker, &request->maps[i]);
	target->regions_len = before + request->len;
	return 0;
}

static void drop_perf_map(struct worker *worker, struct target *target)
{
	if (!target->perf_map)
		return;
	worker->perf_bytes -= lm_perf_map_bytes(target->perf_map);
	lm_perf_map_free(target->perf_map);
	target->perf_map = NULL;
}

static int take_close(struct worker *worker, const void *payload, size_t size)
{
	const uint32_t *id = payload;
	struct target *target = size >= sizeof(*id) ? find_target(worker, *id) : NULL;

	if (!target)
		return 0;
	worker->unwound_target = 0;
	HASH_DEL(worker->targets, target);
	close(target->mem_fd);
	drop_perf_map(worker, target);
	lm_java_free(target->java);
	lm_worker_go_free(target->go);
	free(target->regions);
	free(target);
	return 0;
}

static int take_perf_map(struct worker *worker, const void *payload, size_t size, int fd)
{
	const uint32_t *id = payload;
	struct target *target = size >= sizeof(*id) ? find_target(worker, *id) : NULL;

	if (fd < 0)
		return -EPROTO;
	if (!target) {
		close(fd);
		return 0;
	}
	worker->unwound_target = 0;
	drop_perf_map(worker, target);
	if (worker->perf_bytes > PERF_MAX_BYTES) {
		close(fd);
		return 0;
	}
	if (lm_perf_map_open(fd, &target->perf_map) == 0)
		worker->perf_bytes += lm_perf_map_bytes(target->perf_map);
	return 0;
}

/* Is this libjvm.so? */
static bool exports_java(struct module *module)
{
	if (!module || !module->elf)
		return false;
	if (!module->java_tried)
		lm_elf_variables(module->elf, lm_java_variable_names, LM_JAVA_VARIABLES, module->java_vaddrs);
	module->java_tried = true;
	for (size_t i = 0; i < LM_JAVA_VARIABLES; i++) {
		if (!module->java_vaddrs[i])
			return false;
	}
	return true;
}

static bool has_code_without_file(const struct target *target)
{
	for (size_t i = 0; i < target->regions_len; i++) {
		if (target->regions[i].executable && !target->regions[i].elf)
			return true;
	}
	return false;
}

/* Where a target has what libjvm.so exports; false if it does not map that. */
static bool find_java(struct worker *worker, const struct target *target, uint64_t variables[LM_JAVA_VARIABLES])
{
	for (size_t i = 0; i < target->regions_len; i++) {
		const struct lm_region *region = &target->regions[i];
		struct module *module = region->elf ? find_module(worker, region->module) : NULL;
		uint64_t bias;

		if (!exports_java(module) ||
			!lm_elf_bias(module->elf, region->start, region->end, region->file_offset, &bias))
			continue;
		for (size_t v = 0; v < LM_JAVA_VARIABLES; v++)
			variables[v] = module->java_vaddrs[v] + bias;
		return true;
	}
	return false;
}

/* The JVM of a target stays the same one while its library is where it was. */
static void look_for_java(struct worker *worker, struct target *target)
{
	uint64_t variables[LM_JAVA_VARIABLES];

	if (target->java_tried)
		return;
	target->java_tried = true;
	if (has_code_without_file(target) && find_java(worker, target, variables)) {
		if (target->java && lm_java_is_at(target->java, variables))
			return;
		lm_java_free(target->java);
		target->java = NULL;
		lm_java_new(variables, &target->java);
	} else {
		lm_java_free(target->java);
		target->java = NULL;
	}
}

/* Points the unwinder at a target; what it found out about another is of no use. */
static void turn_to(struct worker *worker, struct target *target)
{
	struct lm_unwinder *unwinder = &worker->unwinder;

	lm_remote_reset(&unwinder->remote, target->mem_fd);
	look_for_java(worker, target);
	lm_java_names_clear(worker->java_names);
	unwinder->java = target->java;
	if (target->java)
		lm_java_begin(target->java, &unwinder->remote, worker->java_names);
	unwinder->go = lm_worker_go_tables(target->go);
	if (worker->unwound_target == target->id)
		return;
	lm_unwinder_forget(unwinder);
	unwinder->regions = target->regions;
	unwinder->regions_len = target->regions_len;
	unwinder->perf_map = target->perf_map;
	lm_python_turn(worker->python, target->mem_fd, target->regions, target->regions_len);
	worker->unwound_target = target->id;
}

static int take_unwind(struct worker *worker, const void *payload, size_t size)
{
	const struct lm_unwind_message *request = payload;
	struct lm_unwinder *unwinder = &worker->unwinder;
	struct lm_reply_head *head = (struct lm_reply_head *)worker->out;
	uint64_t end_ns = now_ns() + request->budget_ns;
	struct target *target;
	size_t at = sizeof(*head), i;

	if (size < offsetof(struct lm_unwind_message, regs) || request->len > LM_UNWIND_MAX ||
		size < offsetof(struct lm_unwind_message, regs) + request->len * sizeof(request->regs[0]))
		return -EPROTO;
	target = find_target(worker, request->target);
	if (!target)
		return -EPROTO;
	turn_to(worker, target);
	lm_python_begin(worker->python, end_ns);
	for (i = 0; i < request->len && (i == 0 || now_ns() < end_ns); i++) {
		struct lm_unwind_reply *reply = (struct lm_unwind_reply *)(worker->out + at);
		enum lm_unwind_status status;
		size_t len;

		status = lm_unwinder_run(unwinder, &request->regs[i], reply->frames, LM_STACK_MAX, &len);
		len = lm_python_add(worker->python, &request->regs[i], reply->frames, len, LM_STACK_MAX, &status);
		reply->status = status;
		reply->unmapped = unwinder->unmapped;
		reply->unnamed = unwinder->unnamed;
		reply->len = len;
		at += sizeof(*reply) + len * sizeof(reply->frames[0]);
	}
	*head = (struct lm_reply_head){.len = i, .python = lm_python_status(worker->python)};
	return lm_message_send(worker->socket, LM_MESSAGE_UNWIND, worker->out, at, -1);
}

/* Appends a text if there is room for it and keep more bytes. Returns its length. */
static uint16_t append_text(struct worker *worker, size_t *at, const char *text, size_t keep)
{
	size_t len = strlen(text);

	if (*at + len + keep > LM_MESSAGE_MAX)
		return 0;
	memcpy(worker->out + *at, text, len);
	*at += len;
	return len;
}

/* The one function of a Python frame; its first line is given as the start. */
static size_t find_python_function(
	struct worker *worker, uint64_t number, struct lm_symbol_line *line, uint64_t *first_line)
{
	const struct lm_python_place *place = lm_python_place(worker->python, number);

	if (!place)
		return 0;
	*line = (struct lm_symbol_line){.line = place->line};
	lm_name_copy(place->name, line->name);
	lm_name_copy(place->file, line->file);
	*first_line = place->first_line;
	return 1;
}

static size_t find_java_place(struct worker *worker, uint64_t key, struct lm_symbol_line *line, uint64_t *start)
{
	struct lm_java_place place;

	if (!lm_java_names_place(worker->java_names, key, &place))
		return 0;
	*line = (struct lm_symbol_line){.line = place.line};
	lm_name_copy(place.name, line->name);
	lm_name_copy(place.file, line->file);
	*start = key >> LM_JAVA_BCI_BITS << LM_JAVA_BCI_BITS;
	return 1;
}

/* What Go's own tables say of a frame in the program: they are there when it is stripped, too. */
static size_t find_go_functions(
	const struct target *target, const struct lm_frame_message *frame, struct lm_symbol_line *lines)
{
	for (size_t i = 0; target && target->go && i < target->regions_len; i++) {
		const struct lm_region *region = &target->regions[i];

		if (region->module == frame->module && frame->offset >= region->file_offset &&
			frame->offset - region->file_offset < region->end - region->start)
			return lm_worker_go_functions(target->go, frame->offset - region->file_offset + region->start,
				frame->exact, lines, LM_INLINED_MAX);
	}
	return 0;
}

/* The functions of a frame; their names in lines. Returns how many. */
static size_t find_functions(struct worker *worker, const struct target *target, const struct lm_frame_message *frame,
	uint64_t end_ns, struct lm_symbol_line *lines, uint64_t *start)
{
	struct module *module = find_module(worker, frame->module);
	/* what is returned to belongs to the call before it */
	uint64_t vaddr, at = frame->offset - !frame->exact;
	size_t len;

	*start = 0;
	if (frame->module == LM_MODULE_PYTHON)
		return find_python_function(worker, frame->offset, &lines[0], start);
	if (frame->module == LM_MODULE_PERF && target && lm_perf_map_find(target->perf_map, at, start)) {
		lines[0] = (struct lm_symbol_line){0};
		lm_perf_map_name(target->perf_map, at, lines[0].name, sizeof(lines[0].name));
		return 1;
	}
	if (frame->module == LM_MODULE_JAVA)
		return find_java_place(worker, frame->offset, lines, start);
	len = find_go_functions(target, frame, lines);
	if (len)
		return len;
	if (!module || !module->elf || !lm_elf_to_vaddr(module->elf, at, &vaddr))
		return 0;
	worker->grown = true;
	module->elf->deadline_ns = end_ns;
	len = lm_symbols_find(module->elf, vaddr, lines, LM_INLINED_MAX, &vaddr);
	module->elf->deadline_ns = 0;
	if (!len || !vaddr || !lm_elf_to_offset(module->elf, vaddr, start))
		*start = 0;
	return len;
}

/* keep: bytes that the frames after this one need at the least. */
static void append_symbols(struct worker *worker, const struct target *target, const struct lm_frame_message *frame,
	uint64_t end_ns, size_t *at, size_t keep)
{
	static struct lm_symbol_line lines[LM_INLINED_MAX];
	struct lm_symbol_reply reply = {0};
	size_t reply_at = *at, len = find_functions(worker, target, frame, end_ns, lines, &reply.function_start);

	*at += sizeof(reply);
	for (size_t i = 0; i < len; i++) {
		struct lm_function_message function = {.line = lines[i].line, .inlined = lines[i].inlined};
		size_t function_at = *at;

		if (*at + sizeof(function) + keep > LM_MESSAGE_MAX)
			break;
		*at += sizeof(function);
		function.name_len = append_text(worker, at, lines[i].name, keep);
		function.file_len = append_text(worker, at, lines[i].file, keep);
		memcpy(worker->out + function_at, &function, sizeof(function));
		reply.functions_len++;
	}
	memcpy(worker->out + reply_at, &reply, sizeof(reply));
}

static int take_symbols(struct worker *worker, const void *payload, size_t size)
{
	const struct lm_symbols_request *request = payload;
	struct lm_reply_head *head = (struct lm_reply_head *)worker->out;
	uint64_t end_ns = now_ns() + request->budget_ns;
	const struct target *target;
	size_t at = sizeof(*head), i;

	if (size < offsetof(struct lm_symbols_request, frames) || request->len > LM_SYMBOLS_MAX ||
		size < offsetof(struct lm_symbols_request, frames) + request->len * sizeof(request->frames[0]))
		return -EPROTO;
	target = find_target(worker, request->target);
	for (i = 0; i < request->len && (i == 0 || now_ns() < end_ns - request->budget_ns / 2); i++)
		append_symbols(worker, target, &request->frames[i], end_ns, &at,
			(request->len - 1 - i) * (sizeof(struct lm_symbol_reply) + sizeof(struct lm_function_message)));
	*head = (struct lm_reply_head){.len = i};
	return lm_message_send(worker->socket, LM_MESSAGE_SYMBOLS, worker->out, at, -1);
}

/* All of these begin with the number of the target. */
static int take_go(struct worker *worker, uint32_t type, const void *payload, size_t size)
{
	static struct lm_region regions[LM_MAPS_MAX];
	const struct lm_maps_request *request = payload;
	const uint32_t *id = payload;
	struct target *target = size >= sizeof(*id) ? find_target(worker, *id) : NULL;
	size_t len;

	if (!target)
		return -EPROTO;
	if (type == LM_MESSAGE_GO_OPEN) {
		if (!is_whole(request, size))
			return -EPROTO;
		for (size_t i = 0; i < request->len; i++)
			regions[i] = region_of(worker, &request->maps[i]);
		lm_worker_go_free(target->go);
		len = lm_worker_go_open(target->mem_fd, regions, request->len, &target->go, worker->out);
	} else {
		len = lm_worker_go_answer(target->go, type, payload, size, worker->out);
	}
	return len ? lm_message_send(worker->socket, type, worker->out, len, -1) : -EPROTO;
}

static int answer(struct worker *worker, uint32_t type, size_t size, int fd)
{
	const void *payload = worker->in;

	switch (type) {
	case LM_MESSAGE_MODULE:
		return take_module(worker, payload, size, fd);
	case LM_MESSAGE_DEBUG:
		return take_debug(worker, payload, size, fd);
	case LM_MESSAGE_TARGET:
		return take_target(worker, payload, size, fd);
	case LM_MESSAGE_MAPS:
		return take_maps(worker, payload, size);
	case LM_MESSAGE_CLOSE:
		return take_close(worker, payload, size);
	case LM_MESSAGE_UNWIND:
		return take_unwind(worker, payload, size);
	case LM_MESSAGE_SYMBOLS:
		return take_symbols(worker, payload, size);
	case LM_MESSAGE_FORGET:
		return take_forget(worker, payload, size);
	case LM_MESSAGE_PERF_MAP:
		return take_perf_map(worker, payload, size, fd);
	case LM_MESSAGE_GO_OPEN:
	case LM_MESSAGE_GO_LOOK:
	case LM_MESSAGE_GO_CHANGES:
	case LM_MESSAGE_GO_STACK:
	case LM_MESSAGE_GO_DETAILS:
		return take_go(worker, type, payload, size);
	default:
		return -EPROTO;
	}
}

static size_t resident_bytes(const struct worker *worker)
{
	unsigned long size, resident;
	char text[64];
	ssize_t len = pread(worker->statm_fd, text, sizeof(text) - 1, 0);

	if (len <= 0)
		return 0;
	text[len] = '\0';
	return sscanf(text, "%lu %lu", &size, &resident) == 2 ? resident * 4096 : 0;
}

/* What it may hold beside elfutils' part. */
static size_t go_bytes(const struct worker *worker)
{
	size_t bytes = 0;

	for (const struct target *target = worker->targets; target; target = target->hh.next)
		bytes += lm_worker_go_bytes(target->go);
	return bytes;
}

static void trim(struct worker *worker)
{
	struct module *module, *next;

	HASH_ITER (hh, worker->modules, module, next) {
		if (module->elf)
			lm_elf_trim(module->elf);
	}
	malloc_trim(0);
	worker->grown = false;
}

/* Answers messages until there is nobody to ask, or one of them makes no sense. */
static void serve(struct worker *worker)
{
	const struct timeval idle = {.tv_sec = IDLE_S}, ever = {0};
	bool timed = false;

	for (;;) {
		uint32_t type;
		int size, fd;

		/* it need not wake again and again when there is nothing to give back */
		if (timed != worker->grown) {
			timed = worker->grown;
			setsockopt(worker->socket, SOL_SOCKET, SO_RCVTIMEO, timed ? &idle : &ever, sizeof(idle));
		}
		size = lm_message_receive(worker->socket, worker->in, &type, &fd);
		if (size == -EAGAIN) {
			trim(worker);
			continue;
		}
		if (size < 0 || !type || answer(worker, type, size, fd))
			return;
		if (worker->grown && type == LM_MESSAGE_SYMBOLS &&
			resident_bytes(worker) > RESIDENT_MAX_BYTES + go_bytes(worker))
			trim(worker);
	}
}

int lm_resolver_worker_main(int socket_fd)
{
	static struct worker worker;
	int error;

	elf_version(EV_CURRENT);
	prctl(PR_SET_NAME, LM_RESOLVER_ARGV0);
	worker.socket = socket_fd;
	worker.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	/* Ctrl-C at the terminal is for leakmon, which wants a last report */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	error = lm_rows_new(&worker.unwinder.rows);
	if (!error)
		error = lm_python_new(&worker.python);
	if (!error)
		error = lm_java_names_new(&worker.java_names);
	if (!error)
		error = lm_sandbox_enter();
	if (error)
		return 1;
	serve(&worker);
	return 0;
}
