/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readers of /proc. The root is a parameter ("/proc"), so that tests can lay one
 * out. All return 0 or -errno; a process that is gone is -ESRCH. Sizes are
 * bounded: what is longer than the bound is cut and said so.
 */
#ifndef LM_PROC_H
#define LM_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One executable or file-backed mapping of /proc/PID/maps. */
struct lm_map {
	uint64_t start, end, file_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	bool executable;
	bool deleted;
	char *path; /* "[vdso]", "" for anonymous, without " (deleted)" */
};

struct lm_maps {
	struct lm_map *maps; /* ascending */
	size_t len;
	bool truncated;
};

/* Reads the mappings that hold code (executable) or belong to a file that has such a mapping. Stacks and heaps are
 * left out as they are read, so that a process with 100,000 mappings costs no memory. */
int lm_proc_maps(const char *proc_root, pid_t pid, struct lm_maps *maps);
void lm_maps_free(struct lm_maps *maps);

/* Start time of the process in CLOCK_BOOTTIME ns, in steps of a clock tick (10 ms), as /proc/PID/stat gives it. */
int lm_proc_start(const char *proc_root, pid_t pid, uint64_t *start_ns);
/* The process that must wait for this one. */
int lm_proc_parent(const char *proc_root, pid_t pid, pid_t *parent);
int lm_proc_is_kernel_thread(const char *proc_root, pid_t pid, bool *is_kernel_thread);
int lm_proc_comm(const char *proc_root, pid_t pid, char comm[16]);
/* The executable's path, without " (deleted)"; to be freed. */
int lm_proc_exe(const char *proc_root, pid_t pid, char **path);
int lm_proc_rss(const char *proc_root, pid_t pid, uint64_t *bytes);
int lm_proc_threads(const char *proc_root, pid_t pid, uint64_t *threads);
/* The container id (64 hex digits) from /proc/PID/cgroup; NULL if the process is in none. To be freed. */
int lm_proc_container(const char *proc_root, pid_t pid, char **id);
/* CPU time used by a process in seconds. */
int lm_proc_cpu(const char *proc_root, pid_t pid, double *seconds);

#endif
