// SPDX-License-Identifier: GPL-2.0-or-later
/* Address spaces: what the worker must know of one before it can unwind in it, and its answers as stacks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/log.h"
#include "user/proc.h"
#include "user/resolver/client_state.h"

#define TICK_NS 10000000ull
#define MODULES_MAX 100000
#define FILES_MAX 4096 /* different files with code that one process maps */

/* Is the process with this PID still the one that started then? /proc gives times in ticks, rounded down. */
static int check_identity(const struct lm_resolver *resolver, pid_t pid, uint64_t start_ns)
{
	uint64_t proc_ns;
	int error = lm_proc_start(resolver->config.proc_root, pid, &proc_ns);

	if (error)
		return error;
	return proc_ns <= start_ns && start_ns - proc_ns <= TICK_NS ? 0 : -ESRCH;
}

int lm_target_open(struct lm_resolver *resolver, pid_t pid, uint64_t start_ns, struct lm_target **out)
{
	struct lm_target *target;
	char path[512];
	int error;

	snprintf(path, sizeof(path), "%s/%d/mem", resolver->config.proc_root, pid);
	target = calloc(1, sizeof(*target));
	if (!target)
		return -ENOMEM;
	target->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (target->mem_fd < 0) {
		error = errno == ENOENT ? -ESRCH : -errno;
		goto free_target;
	}
	error = check_identity(resolver, pid, start_ns);
	if (error)
		goto close_memory;
	target->pid = pid;
	target->start_ns = start_ns;
	target->id = ++resolver->last_target;
	*out = target;
	return 0;

close_memory:
	close(target->mem_fd);
free_target:
	free(target);
	return error;
}

void lm_target_close(struct lm_resolver *resolver, struct lm_target *target)
{
	if (!target)
		return;
	if (resolver->pid && target->generation == resolver->generation)
		lm_resolver_tell(resolver, LM_MESSAGE_CLOSE, &target->id, sizeof(target->id), -1);
	close(target->mem_fd);
	free(target->build_id);
	free(target);
}

ssize_t lm_target_read(struct lm_target *target, uint64_t address, void *buffer, size_t size)
{
	ssize_t len = pread(target->mem_fd, buffer, size, (off_t)address);

	return len < 0 ? -errno : len;
}

const char *lm_target_build_id(const struct lm_target *target)
{
	return target->build_id;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!*path)
		return "[anon]";
	return slash && slash[1] ? slash + 1 : path;
}

static void to_hex(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	text[2 * len] = '\0';
}

static int remember_module(struct lm_resolver *resolver, struct lm_known_module *module)
{
	struct lm_known_module **grown = realloc(resolver->modules_by_id, (resolver->modules_len + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	resolver->modules_by_id = grown;
	grown[resolver->modules_len++] = module;
	HASH_ADD(hh, resolver->modules, key, sizeof(module->key), module);
	return 0;
}

static uint64_t identity_of(const struct lm_known_module *module)
{
	const uint64_t parts[] = {module->key.device, module->key.inode, module->key.size, module->key.changed_ns};
	uint64_t identity = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		identity = (identity ^ parts[i]) * 0x9e3779b97f4a7c15ull;
	return identity;
}

/* Gives a file to the worker and learns its build id. fd < 0: only its name is known. */
static int introduce_module(struct lm_resolver *resolver, struct lm_target *target, struct lm_known_module *module,
	const char *name, int fd)
{
	const struct lm_module_request request = {.module = module->id};
	struct lm_module_reply reply = {0};
	char build_id[2 * LM_BUILD_ID_MAX + 1];
	int len, debug_fd;

	if (fd >= 0) {
		len = lm_resolver_ask(resolver, LM_MESSAGE_MODULE, &request, sizeof(request), fd);
		if (len < 0)
			return len;
		if (len == sizeof(reply))
			memcpy(&reply, resolver->buffer, sizeof(reply));
	}
	if (reply.build_id_len > LM_BUILD_ID_MAX)
		reply.build_id_len = 0;
	module->readable = reply.readable;
	to_hex(reply.build_id, reply.build_id_len, build_id);
	if (lm_stacks_module(resolver->config.stacks, name, reply.build_id_len ? build_id : NULL, identity_of(module),
		    &module->module))
		return -ENOMEM;
	if (!reply.readable || reply.has_lines || !reply.build_id_len || !resolver->config.debuginfo)
		return 0;
	debug_fd = lm_module_open_debug(resolver->config.proc_root, target->pid, reply.build_id, reply.build_id_len);
	if (debug_fd < 0)
		return 0;
	len = lm_resolver_tell(resolver, LM_MESSAGE_DEBUG, &module->id, sizeof(module->id), debug_fd);
	close(debug_fd);
	return len;
}

static int add_module(struct lm_resolver *resolver, struct lm_target *target, const struct lm_known_module *probe,
	const char *name, int fd, uint32_t *id)
{
	struct lm_known_module *module;
	int error;

	if (resolver->modules_len == MODULES_MAX)
		return -ENOSPC;
	module = calloc(1, sizeof(*module));
	if (!module)
		return -ENOMEM;
	module->key = probe->key;
	module->id = resolver->modules_len + 1;
	error = introduce_module(resolver, target, module, name, fd);
	if (!error)
		error = remember_module(resolver, module);
	if (error) {
		free(module);
		return error;
	}
	*id = module->id;
	return 0;
}

/* The number of the module behind a mapping; LM_MODULE_NONE for anonymous code. */
static int module_of(struct lm_resolver *resolver, struct lm_target *target, const struct lm_map *map, uint32_t *id)
{
	bool is_vdso = strcmp(map->path, "[vdso]") == 0;
	struct lm_known_module probe, *known;
	int fd, error = 0;

	*id = LM_MODULE_NONE;
	if (!is_vdso && !map->inode)
		return 0;
	fd = is_vdso ? lm_module_copy_vdso(target->mem_fd, map)
		     : lm_module_open(resolver->config.proc_root, target->pid, map);
	memset(&probe, 0, sizeof(probe));
	if (fd < 0 || lm_module_key(fd, is_vdso, &probe)) {
		probe.key.device = (uint64_t)map->dev_major << 32 | map->dev_minor;
		probe.key.inode = map->inode;
		probe.key.size = UINT64_MAX; /* that of no file */
	}
	HASH_FIND(hh, resolver->modules, &probe.key, sizeof(probe.key), known);
	if (known)
		*id = known->id;
	else
		error = add_module(resolver, target, &probe, base_name(map->path), fd, id);
	if (fd >= 0)
		close(fd);
	return error;
}

/* Sends the mappings that hold code, in as many messages as it takes. */
static int send_maps(
	struct lm_resolver *resolver, struct lm_target *target, const struct lm_map_message *maps, size_t len)
{
	size_t bytes = sizeof(struct lm_maps_request) + LM_MAPS_MAX * sizeof(*maps), at = 0;
	struct lm_maps_request *request = malloc(bytes);
	int error = 0;

	if (!request)
		return -ENOMEM;
	do {
		size_t part = len - at < LM_MAPS_MAX ? len - at : LM_MAPS_MAX;

		*request = (struct lm_maps_request){.target = target->id, .first = at == 0, .len = part};
		memcpy(request->maps, maps + at, part * sizeof(*maps));
		error = lm_resolver_tell(
			resolver, LM_MESSAGE_MAPS, request, sizeof(*request) + part * sizeof(*maps), -1);
		at += part;
	} while (!error && at < len);
	free(request);
	return error;
}

static bool same_file(const struct lm_map *a, const struct lm_map *b)
{
	return a->inode && a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

/* The executable's build id is that of the first file in the maps that /proc/PID/exe leads to. */
static void note_build_id(struct lm_resolver *resolver, struct lm_target *target, const struct lm_map *map, uint32_t id)
{
	const struct lm_module *module = id ? resolver->modules_by_id[id - 1]->module : NULL;
	char *exe = NULL;

	if (target->build_id || !module || !module->build_id)
		return;
	if (lm_proc_exe(resolver->config.proc_root, target->pid, &exe) == 0 && strcmp(exe, map->path) == 0)
		target->build_id = strdup(module->build_id);
	free(exe);
}

static int describe_maps(struct lm_resolver *resolver, struct lm_target *target, const struct lm_maps *maps,
	struct lm_map_message *messages, size_t *len)
{
	const struct lm_map *last = NULL;
	uint32_t id = LM_MODULE_NONE;

	for (size_t i = 0; i < maps->len; i++) {
		const struct lm_map *map = &maps->maps[i];
		int error;

		if (!map->executable)
			continue;
		if (!last || !same_file(last, map)) {
			error = module_of(resolver, target, map, &id);
			if (error)
				return error;
			note_build_id(resolver, target, map, id);
		}
		last = map;
		messages[(*len)++] = (struct lm_map_message){
			.start = map->start,
			.end = map->end,
			/* the vDSO's image starts where it is mapped */
			.file_offset = map->inode ? map->file_offset : 0,
			.module = id,
			.executable = true,
		};
	}
	return 0;
}

static int tell_maps(struct lm_resolver *resolver, struct lm_target *target)
{
	struct lm_map_message *messages;
	struct lm_maps maps = {0};
	size_t len = 0;
	int error = lm_proc_maps(resolver->config.proc_root, target->pid, &maps);

	if (!error)
		error = check_identity(resolver, target->pid, target->start_ns);
	messages = error ? NULL : calloc(maps.len + 1, sizeof(*messages));
	if (!error && !messages)
		error = -ENOMEM;
	if (!error)
		error = describe_maps(resolver, target, &maps, messages, &len);
	if (!error)
		error = send_maps(resolver, target, messages, len);
	free(messages);
	lm_maps_free(&maps);
	return error;
}

/* Tells the worker what it does not know of the target. */
static int prepare(struct lm_resolver *resolver, struct lm_target *target)
{
	int error = lm_resolver_ensure(resolver);

	if (error || target->generation == resolver->generation)
		return error;
	error = lm_resolver_tell(resolver, LM_MESSAGE_TARGET, &target->id, sizeof(target->id), target->mem_fd);
	if (!error)
		error = tell_maps(resolver, target);
	if (!error)
		target->generation = resolver->generation;
	return error;
}

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

/* Reads one struct lm_symbol_reply with its functions and stores the frame. */
static int take_symbol(struct lm_resolver *resolver, const char **at, const char *end, struct lm_frame *frame)
{
	struct lm_function functions[LM_INLINED_MAX] = {0};
	struct lm_symbol_reply reply;
	const struct lm_frame *stored;
	bool failed = false;
	int error;

	if ((size_t)(end - *at) < sizeof(reply))
		return -EPROTO;
	memcpy(&reply, *at, sizeof(reply));
	*at += sizeof(reply);
	if (reply.functions_len > LM_INLINED_MAX)
		return -EPROTO;
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
	error = failed ? -EPROTO : lm_stacks_frame(resolver->config.stacks, frame, &stored);
	for (uint32_t i = 0; i < reply.functions_len; i++) {
		free((char *)functions[i].name);
		free((char *)functions[i].file);
	}
	return error;
}

/* The module of a frame that the worker named; its own store's "[anon]" for code without a file. */
static int stored_module(struct lm_resolver *resolver, uint32_t id, const struct lm_module **module)
{
	if (id > resolver->modules_len)
		return -EPROTO;
	if (id == LM_MODULE_NONE)
		return lm_stacks_module(resolver->config.stacks, "[anon]", NULL, 0, module);
	*module = resolver->modules_by_id[id - 1]->module;
	return 0;
}

static int ask_symbols(struct lm_resolver *resolver, const struct lm_frame_message *frames, size_t len)
{
	_Alignas(8) char message[sizeof(struct lm_symbols_request) + LM_SYMBOLS_MAX * sizeof(*frames)];
	struct lm_symbols_request *request = (struct lm_symbols_request *)message;
	const char *at, *end;
	int size, error = 0;

	*request = (struct lm_symbols_request){.len = len};
	memcpy(request->frames, frames, len * sizeof(*frames));
	size = lm_resolver_ask(resolver, LM_MESSAGE_SYMBOLS, request, sizeof(*request) + len * sizeof(*frames), -1);
	if (size < 0)
		return size;
	at = resolver->buffer;
	end = at + size;
	for (size_t i = 0; i < len && !error; i++) {
		struct lm_frame frame = {.offset = frames[i].offset};

		error = stored_module(resolver, frames[i].module, &frame.module);
		if (!error)
			error = take_symbol(resolver, &at, end, &frame);
		if (frames[i].module && !resolver->modules_by_id[frames[i].module - 1]->readable)
			resolver->counters.symbol_failed++;
	}
	return error;
}

/* Makes sure that all frames are stored, asking for those that are not in as few messages as possible. */
static int store_frames(struct lm_resolver *resolver, const struct lm_frame_message *frames, size_t len)
{
	struct lm_frame_message unknown[LM_SYMBOLS_MAX];
	size_t unknown_len = 0;
	int error = 0;

	for (size_t i = 0; i < len && !error; i++) {
		const struct lm_module *module;

		error = stored_module(resolver, frames[i].module, &module);
		if (error || lm_stacks_find_frame(resolver->config.stacks, module, frames[i].offset))
			continue;
		unknown[unknown_len++] = frames[i];
		if (unknown_len == LM_SYMBOLS_MAX) {
			error = ask_symbols(resolver, unknown, unknown_len);
			unknown_len = 0;
		}
	}
	return error || !unknown_len ? error : ask_symbols(resolver, unknown, unknown_len);
}

static int intern(struct lm_resolver *resolver, const struct lm_frame_message *frames, size_t len, uint32_t status,
	struct lm_unwind_request *request)
{
	const struct lm_frame *stored[LM_STACK_MAX];
	enum lm_stack_end end = status == LM_UNWIND_COMPLETE    ? LM_STACK_COMPLETE
				: status == LM_UNWIND_TRUNCATED ? LM_STACK_TRUNCATED
								: LM_STACK_BROKEN;
	int error = store_frames(resolver, frames, len);

	for (size_t i = 0; i < len && !error; i++) {
		const struct lm_module *module;

		error = stored_module(resolver, frames[i].module, &module);
		if (!error)
			stored[i] = lm_stacks_find_frame(resolver->config.stacks, module, frames[i].offset);
		if (!error && !stored[i])
			error = -ENOMEM;
	}
	return error ? error : lm_stacks_intern(resolver->config.stacks, stored, len, end, &request->stack);
}

/* The answers to one message. *unmapped is set if one of them met an address that is in no mapping. */
static int take_stacks(struct lm_resolver *resolver, const char *reply, size_t size, struct lm_unwind_request *requests,
	size_t len, bool *unmapped)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
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
		*unmapped |= head.unmapped;
		error = intern(resolver, frames, head.len, head.status, &requests[i]);
		if (error)
			return error;
		if (head.status == LM_UNWIND_NO_MEMORY)
			requests[i].why = "its stack could not be read";
	}
	return 0;
}

static int unwind_part(struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests,
	size_t len, bool *unmapped)
{
	_Alignas(8) char message[sizeof(struct lm_unwind_message) + LM_UNWIND_MAX * sizeof(struct lm_regs)];
	struct lm_unwind_message *request = (struct lm_unwind_message *)message;
	char *reply;
	int size, error;

	*request = (struct lm_unwind_message){.target = target->id, .len = len};
	for (size_t i = 0; i < len; i++)
		request->regs[i] = requests[i].regs;
	size = lm_resolver_ask(
		resolver, LM_MESSAGE_UNWIND, request, sizeof(*request) + len * sizeof(request->regs[0]), -1);
	if (size < 0)
		return size;
	/* asking for symbols uses the buffer again */
	reply = malloc(size);
	if (!reply)
		return -ENOMEM;
	memcpy(reply, resolver->buffer, size);
	error = take_stacks(resolver, reply, size, requests, len, unmapped);
	free(reply);
	return error;
}

static void drop_stacks(struct lm_resolver *resolver, struct lm_unwind_request *requests, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		lm_stack_unref(resolver->config.stacks, requests[i].stack);
		requests[i].stack = NULL;
		requests[i].why = NULL;
	}
}

static int unwind_all(struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests,
	size_t len, bool *maps_read)
{
	for (size_t at = 0; at < len; at += LM_UNWIND_MAX) {
		size_t part = len - at < LM_UNWIND_MAX ? len - at : LM_UNWIND_MAX;
		bool unmapped = false;
		int error = unwind_part(resolver, target, requests + at, part, &unmapped);

		if (!error && unmapped && !*maps_read) {
			/* a library that was loaded since */
			*maps_read = true;
			drop_stacks(resolver, requests + at, part);
			error = tell_maps(resolver, target);
			if (!error)
				error = unwind_part(resolver, target, requests + at, part, &unmapped);
		}
		if (error)
			return error;
	}
	return 0;
}

static void count(struct lm_resolver *resolver, const struct lm_unwind_request *requests, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		resolver->counters.unwound++;
		if (!requests[i].stack || requests[i].stack->end == LM_STACK_BROKEN)
			resolver->counters.unwind_failed++;
	}
}

static const char *why_failed(int error)
{
	switch (error) {
	case -ESRCH:
		return "the process ended";
	case -ETIMEDOUT:
		return "the resolver overran its time on it";
	case -ENOMEM:
		return "out of memory";
	default:
		return "the resolver failed on it";
	}
}

int lm_target_unwind(
	struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests, size_t requests_len)
{
	bool maps_read = false;
	int error = target->failed ? -EUCLEAN : prepare(resolver, target);

	for (size_t i = 0; i < requests_len; i++) {
		requests[i].stack = NULL;
		requests[i].why = NULL;
	}
	if (!error)
		error = unwind_all(resolver, target, requests, requests_len, &maps_read);
	if (error) {
		drop_stacks(resolver, requests, requests_len);
		for (size_t i = 0; i < requests_len; i++)
			requests[i].why = why_failed(error);
		target->failed |= error != -ENOMEM && error != -ESRCH;
	}
	if (error != -ESRCH)
		count(resolver, requests, requests_len);
	return error;
}
