// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Places in Python programs. The worker numbers them; here they become frames whose
 * module is the source file. A program may call its code as it likes, so there may
 * be any number of files: those that are too many share one module.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/resolver/client_state.h"

#define PLACES_MAX 131072
#define FILES_MAX 20000

struct lm_python_known {
	uint64_t number, offset;
	const struct lm_module *module;
	UT_hash_handle hh;
};

struct lm_python_file {
	const struct lm_module *module;
	UT_hash_handle hh;
	char path[];
};

bool lm_python_known(
	const struct lm_resolver *resolver, uint64_t number, const struct lm_module **module, uint64_t *offset)
{
	struct lm_python_known *known;

	HASH_FIND(hh, resolver->python_places, &number, sizeof(number), known);
	if (!known)
		return false;
	*module = known->module;
	*offset = known->offset;
	return true;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* Files of one name are told apart by their paths. */
static uint64_t identity_of(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3ull;
	return hash;
}

static int find_module(struct lm_resolver *resolver, const char *path, const struct lm_module **module)
{
	struct lm_python_file *file;
	int error;

	HASH_FIND_STR(resolver->python_files, path, file);
	if (file) {
		*module = file->module;
		return 0;
	}
	if (HASH_COUNT(resolver->python_files) >= FILES_MAX)
		return lm_stacks_module(resolver->config.stacks, "[python]", NULL, 0, module);
	file = calloc(1, sizeof(*file) + strlen(path) + 1);
	if (!file)
		return -ENOMEM;
	strcpy(file->path, path);
	error = lm_stacks_module(resolver->config.stacks, base_name(path), NULL, identity_of(path), &file->module);
	if (error) {
		free(file);
		return error;
	}
	HASH_ADD_STR(resolver->python_files, path, file);
	if (!file->hh.tbl) {
		free(file);
		return -ENOMEM;
	}
	*module = file->module;
	return 0;
}

int lm_python_learn(struct lm_resolver *resolver, uint64_t number, struct lm_frame *frame)
{
	static const struct lm_function nothing;
	const struct lm_function *function = frame->functions_len ? &frame->functions[0] : &nothing;
	const char *name = function->name ? function->name : "", *path = function->file ? function->file : "[python]";
	uint32_t first_line = frame->function_start;
	struct lm_python_known *known;
	int error = find_module(resolver, path, &frame->module);

	if (error)
		return error;
	frame->python = true;
	frame->offset = lm_stacks_python_offset(name, first_line, function->line);
	frame->function_start = lm_stacks_python_offset(name, first_line, first_line);
	HASH_FIND(hh, resolver->python_places, &number, sizeof(number), known);
	if (known)
		return 0;
	known = calloc(1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	known->number = number;
	known->module = frame->module;
	known->offset = frame->offset;
	HASH_ADD(hh, resolver->python_places, number, sizeof(number), known);
	if (!known->hh.tbl) {
		free(known);
		return -ENOMEM;
	}
	return 0;
}

bool lm_python_is_full(const struct lm_resolver *resolver)
{
	return HASH_COUNT(resolver->python_places) > PLACES_MAX;
}

void lm_python_forget(struct lm_resolver *resolver)
{
	struct lm_python_known *known, *next;

	HASH_ITER (hh, resolver->python_places, known, next) {
		HASH_DEL(resolver->python_places, known);
		free(known);
	}
}

void lm_python_free_known(struct lm_resolver *resolver)
{
	struct lm_python_file *file, *next;

	lm_python_forget(resolver);
	HASH_ITER (hh, resolver->python_files, file, next) {
		HASH_DEL(resolver->python_files, file);
		free(file);
	}
}
