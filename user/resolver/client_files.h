/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that the worker has been given, as the client knows them: each once,
 * whichever processes map it, by device, inode, size and time of change.
 */
#ifndef LM_RESOLVER_CLIENT_FILES_H
#define LM_RESOLVER_CLIENT_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "user/proc.h"
#include "user/stacks.h"

struct lm_known_module {
	struct {
		uint64_t device, inode, size, changed_ns;
	} key;
	UT_hash_handle hh;
	uint32_t id;
	bool readable;
	const struct lm_module *module;
};

/* Opens the file behind a mapping of the process, also when it has been deleted or lies in another mount namespace.
 * A descriptor of a regular file, or -errno. */
int lm_module_open(const char *proc_root, pid_t pid, const struct lm_map *map);

/* A copy of the process's vDSO in an anonymous file, or -errno. */
int lm_module_copy_vdso(int mem_fd, const struct lm_map *map);

/* The key of an open file; for an anonymous file that of its content, so that equal vDSOs are one module. */
int lm_module_key(int fd, bool by_content, struct lm_known_module *module);

/* The separate debug file of a build id, in the process's file system or else the host's. A descriptor, or -errno. */
int lm_module_open_debug(const char *proc_root, pid_t pid, const uint8_t *build_id, size_t len);

#endif
