// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that the worker has. A file is kept while a target maps it, and a while
 * longer, as short-lived processes map the same files again and again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "user/resolver/client_state.h"

#define UNUSED_MODULES_MAX 256
#define FILES_MAX 4096 /* with code that one process maps; of more only the names are told */

struct lm_known_module *lm_modules_find(const struct lm_resolver *resolver, uint32_t id)
{
	struct lm_known_module *module;

	HASH_FIND(hh_id, resolver->modules_by_id, &id, sizeof(id), module);
	return module;
}

static void remove_module(struct lm_resolver *resolver, struct lm_known_module *module)
{
	HASH_DELETE(hh, resolver->modules, module);
	HASH_DELETE(hh_id, resolver->modules_by_id, module);
	lm_stacks_release_module(resolver->config.stacks, module->module);
	free(module);
}

void lm_modules_forget(struct lm_resolver *resolver)
{
	struct lm_known_module *module, *next;

	HASH_ITER (hh, resolver->modules, module, next)
		remove_module(resolver, module);
	resolver->unused_modules = NULL;
	resolver->unused_modules_len = 0;
	resolver->last_module = 0;
	lm_python_forget(resolver);
}

static void remove_unused(struct lm_resolver *resolver, struct lm_known_module *module)
{
	DL_DELETE(resolver->unused_modules, module);
	resolver->unused_modules_len--;
}

static void add_unused(struct lm_resolver *resolver, struct lm_known_module *module)
{
	DL_APPEND(resolver->unused_modules, module);
	resolver->unused_modules_len++;
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

static uint64_t identity_of(const struct lm_known_module *module)
{
	const uint64_t parts[] = {module->key.device, module->key.inode, module->key.size, module->key.changed_ns};
	uint64_t identity = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		identity = (identity ^ parts[i]) * 0x9e3779b97f4a7c15ull;
	return identity;
}

/* Gives a file to the worker and learns its build id. fd < 0: only its name is known. */
static int introduce(struct lm_resolver *resolver, const struct lm_target *target, struct lm_known_module *module,
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

static int list_module(struct lm_resolver *resolver, struct lm_known_module *module)
{
	HASH_ADD(hh, resolver->modules, key, sizeof(module->key), module);
	if (!module->hh.tbl)
		return -ENOMEM;
	HASH_ADD(hh_id, resolver->modules_by_id, id, sizeof(module->id), module);
	if (module->hh_id.tbl)
		return 0;
	HASH_DELETE(hh, resolver->modules, module);
	return -ENOMEM;
}

/* Are there too few descriptors, or is there too little memory, for any file? That passes. */
static bool is_short_of(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static int add_module(struct lm_resolver *resolver, const struct lm_target *target, const struct lm_known_module *probe,
	const char *name, int fd, struct lm_known_module **out)
{
	struct lm_known_module *module = calloc(1, sizeof(*module));
	int error;

	if (!module)
		return -ENOMEM;
	module->key = probe->key;
	module->id = ++resolver->last_module;
	error = introduce(resolver, target, module, name, fd);
	if (error) {
		lm_stacks_release_module(resolver->config.stacks, module->module);
		free(module);
		return error;
	}
	error = list_module(resolver, module);
	if (error) {
		free(module);
		return error;
	}
	add_unused(resolver, module);
	*out = module;
	return 0;
}

static int add_to_set(struct lm_resolver *resolver, struct lm_module_set *set, struct lm_known_module *module)
{
	if (set->len == set->room) {
		size_t larger = set->room ? set->room * 2 : 16;
		struct lm_known_module **grown = realloc(set->modules, larger * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		set->modules = grown;
		set->room = larger;
	}
	set->modules[set->len++] = module;
	if (module->users++ == 0)
		remove_unused(resolver, module);
	return 0;
}

int lm_modules_use(struct lm_resolver *resolver, const struct lm_target *target, const struct lm_map *map,
	struct lm_module_set *set, uint32_t *id)
{
	bool is_vdso = strcmp(map->path, "[vdso]") == 0;
	struct lm_known_module probe, *module;
	int fd = -E2BIG, error = 0;

	*id = LM_MODULE_NONE;
	if (!is_vdso && !map->inode)
		return 0;
	if (set->len < FILES_MAX)
		fd = is_vdso ? lm_module_copy_vdso(target->mem_fd, map)
			     : lm_module_open(resolver->config.proc_root, target->pid, map);
	if (is_short_of(fd))
		return fd;
	memset(&probe, 0, sizeof(probe));
	if (fd < 0 || lm_module_key(fd, is_vdso, &probe)) {
		probe.key.device = (uint64_t)map->dev_major << 32 | map->dev_minor;
		probe.key.inode = map->inode;
		probe.key.size = UINT64_MAX; /* that of no file */
	}
	HASH_FIND(hh, resolver->modules, &probe.key, sizeof(probe.key), module);
	if (!module)
		error = add_module(resolver, target, &probe, base_name(map->path), fd, &module);
	if (fd >= 0)
		close(fd);
	if (!error)
		error = add_to_set(resolver, set, module);
	if (!error)
		*id = module->id;
	return error;
}

int lm_modules_release(struct lm_resolver *resolver, struct lm_module_set *set)
{
	int error = 0;

	/* those of a worker that has ended are gone with it */
	for (size_t i = 0; i < set->len && set->generation == resolver->generation; i++) {
		if (--set->modules[i]->users == 0)
			add_unused(resolver, set->modules[i]);
	}
	free(set->modules);
	*set = (struct lm_module_set){0};
	while (!error && resolver->unused_modules_len > UNUSED_MODULES_MAX) {
		struct lm_known_module *oldest = resolver->unused_modules;
		uint32_t id = oldest->id;

		remove_unused(resolver, oldest);
		remove_module(resolver, oldest);
		error = lm_resolver_tell(resolver, LM_MESSAGE_FORGET, &id, sizeof(id), -1);
	}
	return error;
}
