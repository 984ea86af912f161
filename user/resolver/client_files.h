/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens what the worker is given: files with code, their debug files, the symbols of a JIT. Nothing in them is read. */
#ifndef LM_RESOLVER_CLIENT_FILES_H
#define LM_RESOLVER_CLIENT_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#define HASH_NONFATAL_OOM 1 /* else it ends the program */
#include <uthash.h>

#include "user/proc.h"
#include "user/stacks.h"

/* A file that the worker was given, once, whichever processes map it. */
struct lm_known_module {
	struct {
		uint64_t device, inode, size, changed_ns;
	} key;
	uint32_t id;
	bool readable;
	const struct lm_module *module;
	size_t users;                        /* mappings of targets */
	struct lm_known_module *prev, *next; /* in the list of unused ones, while users is 0 */
	UT_hash_handle hh, hh_id;
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

/* The file /tmp/perf-PID.map of the process, if it is its own. A descriptor and the PID that it has for itself, or
 * -errno. */
int lm_module_open_perf_map(const char *proc_root, pid_t pid, pid_t *own_pid);

#endif
