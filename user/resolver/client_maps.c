// SPDX-License-Identifier: GPL-2.0-or-later
/* What the worker must know of an address space: its mappings with code, and the symbols of its JIT. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/proc.h"
#include "user/resolver/client_state.h"

#define TICK_NS 10000000ull

/* /proc gives times in ticks, rounded down. */
int lm_maps_check_identity(const struct lm_resolver *resolver, pid_t pid, uint64_t start_ns)
{
	uint64_t proc_ns;
	int error = lm_proc_start(resolver->config.proc_root, pid, &proc_ns);

	if (error)
		return error;
	return proc_ns <= start_ns && start_ns - proc_ns <= TICK_NS ? 0 : -ESRCH;
}

/* Sends the mappings that hold code, in as many messages as it takes. */
static int send_maps(
	struct lm_resolver *resolver, const struct lm_target *target, const struct lm_map_message *maps, size_t len)
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
static void note_build_id(
	struct lm_resolver *resolver, struct lm_target *target, const struct lm_map *map, const char *exe, uint32_t id)
{
	const struct lm_known_module *known = lm_modules_find(resolver, id);

	if (!target->build_id && known && known->module->build_id && exe && strcmp(exe, map->path) == 0)
		target->build_id = strdup(known->module->build_id);
}

static int describe_maps(struct lm_resolver *resolver, struct lm_target *target, const struct lm_maps *maps,
	struct lm_module_set *set, struct lm_map_message *messages, size_t *len)
{
	const struct lm_map *last = NULL;
	uint32_t id = LM_MODULE_NONE;
	char *exe = NULL;
	int error = 0;

	lm_proc_exe(resolver->config.proc_root, target->pid, &exe);
	for (size_t i = 0; i < maps->len && !error; i++) {
		const struct lm_map *map = &maps->maps[i];

		if (!map->executable)
			continue;
		if (!last || !same_file(last, map)) {
			error = lm_modules_use(resolver, target, map, set, &id);
			note_build_id(resolver, target, map, exe, id);
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
	free(exe);
	return error;
}

static bool has_code_without_file(const struct lm_map_message *maps, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (maps[i].module == LM_MODULE_NONE)
			return true;
	}
	return false;
}

int lm_maps_tell(struct lm_resolver *resolver, struct lm_target *target)
{
	struct lm_module_set set = {.generation = resolver->generation};
	struct lm_map_message *messages;
	struct lm_maps maps = {0};
	bool told;
	size_t len = 0;
	int error = lm_proc_maps(resolver->config.proc_root, target->pid, &maps);

	messages = error ? NULL : calloc(maps.len + 1, sizeof(*messages));
	if (!error && !messages)
		error = -ENOMEM;
	if (!error)
		error = describe_maps(resolver, target, &maps, &set, messages, &len);
	/* was all of this read of the process that it was meant to be? */
	if (!error)
		error = lm_maps_check_identity(resolver, target->pid, target->start_ns);
	if (!error)
		error = send_maps(resolver, target, messages, len);
	if (!error) {
		struct lm_module_set old = target->modules;

		target->modules = set;
		error = lm_modules_release(resolver, &old);
		if (!error && has_code_without_file(messages, len))
			error = lm_maps_tell_perf_map(resolver, target, &told);
	} else {
		lm_modules_release(resolver, &set);
	}
	free(messages);
	lm_maps_free(&maps);
	return error;
}

/* The same name in another process is another module: the start time tells them apart. */
static int name_perf_map(struct lm_resolver *resolver, struct lm_target *target, pid_t own_pid)
{
	char name[32];

	snprintf(name, sizeof(name), "perf-%d.map", own_pid);
	return lm_stacks_module(resolver->config.stacks, name, NULL, target->start_ns ^ (uint64_t)target->pid << 32,
		&target->perf_module);
}

int lm_maps_tell_perf_map(struct lm_resolver *resolver, struct lm_target *target, bool *told)
{
	struct stat st;
	pid_t own_pid;
	int fd, error;

	*told = false;
	fd = lm_module_open_perf_map(resolver->config.proc_root, target->pid, &own_pid);
	if (fd < 0)
		return 0; /* few JITs write one */
	error = fstat(fd, &st) ? -errno : lm_maps_check_identity(resolver, target->pid, target->start_ns);
	if (error || (target->perf_module && st.st_size == target->perf_size && st.st_ino == target->perf_inode))
		goto close_fd;
	error = name_perf_map(resolver, target, own_pid);
	if (!error)
		error = lm_resolver_tell(resolver, LM_MESSAGE_PERF_MAP, &target->id, sizeof(target->id), fd);
	if (!error) {
		target->perf_size = st.st_size;
		target->perf_inode = st.st_ino;
		*told = true;
	}
close_fd:
	close(fd);
	return error;
}
