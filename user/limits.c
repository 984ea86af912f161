// SPDX-License-Identifier: GPL-2.0-or-later
/* Small files of /proc and of the control groups. Of several limits of one kind the one with the least left counts. */
#include "user/limits.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/proc_files.h"

#define MAPS_BYTES_MAX (64u << 20) /* a million mappings; what is longer is left unknown */
#define DEPTH_MAX 64               /* of control groups: the kernel allows more, nobody has them */

/* The first number of a file; "max" and what is no number are none. */
static bool read_number(const char *path, uint64_t *number)
{
	FILE *file = fopen(path, "re");
	unsigned long long value;
	bool found;

	if (!file)
		return false;
	found = fscanf(file, "%llu", &value) == 1;
	fclose(file);
	if (found)
		*number = value;
	return found;
}

static bool read_sysctl(const char *proc_root, const char *name, uint64_t *number)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/%s", proc_root, name);
	return read_number(path, number);
}

static void keep_tighter(struct lm_limits *limits, enum lm_resource resource, uint64_t used, uint64_t limit)
{
	uint64_t left = limit > used ? limit - used : 0;
	uint64_t before = limits->of[resource].limit - limits->of[resource].used;

	if (limits->of[resource].limit && limits->of[resource].limit > limits->of[resource].used && left >= before)
		return;
	limits->of[resource].used = used;
	limits->of[resource].limit = limit;
}

/* The files of one control group. */
struct group_files {
	const char *controller; /* as /proc/PID/cgroup names it; "" for v2 */
	const char *folder;     /* below the root */
	const char *limit, *used;
	enum lm_resource resource;
	const char *reclaimable; /* of memory.stat: caches that give way, NULL for other resources */
};

static const struct group_files group_files[] = {
	{"", "", "pids.max", "pids.current", LM_RESOURCE_CGROUP_PIDS, NULL},
	{"", "unified", "pids.max", "pids.current", LM_RESOURCE_CGROUP_PIDS, NULL},
	{"pids", "pids", "pids.max", "pids.current", LM_RESOURCE_CGROUP_PIDS, NULL},
	{"", "", "memory.max", "memory.current", LM_RESOURCE_MEMORY, "inactive_file"},
	{"", "unified", "memory.max", "memory.current", LM_RESOURCE_MEMORY, "inactive_file"},
	{"memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", LM_RESOURCE_MEMORY,
		"total_inactive_file"},
};

/* The value of a line "name value" of memory.stat, 0 if there is none. */
static uint64_t read_stat(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	unsigned long long value = 0, found = 0;
	char line[128], word[64];

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %llu", word, &value) == 2 && strcmp(word, name) == 0)
			found = value;
	}
	if (file)
		fclose(file);
	return found;
}

/* What of a control group is used, of memory without the caches that would give way. */
static bool read_used(const char *folder, const struct group_files *files, uint64_t *used)
{
	char path[3 * PATH_MAX];
	uint64_t reclaimable = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, files->used);
	if (!read_number(path, used))
		return false;
	if (files->reclaimable) {
		snprintf(path, sizeof(path), "%s/memory.stat", folder);
		reclaimable = read_stat(path, files->reclaimable);
	}
	*used -= reclaimable < *used ? reclaimable : *used;
	return true;
}

/* From the control group up to the root of the hierarchy. */
static void read_groups(
	const char *cgroup_root, const struct group_files *files, const char *group, struct lm_limits *limits)
{
	char place[PATH_MAX], folder[2 * PATH_MAX], path[3 * PATH_MAX];

	if (strlen(group) >= sizeof(place) || strstr(group, "/../"))
		return;
	strcpy(place, group);
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		uint64_t limit, used;
		char *slash;

		snprintf(folder, sizeof(folder), "%s/%s%s", cgroup_root, files->folder, place);
		snprintf(path, sizeof(path), "%s/%s", folder, files->limit);
		if (read_number(path, &limit) && limit < INT64_MAX / 2 && read_used(folder, files, &used))
			keep_tighter(limits, files->resource, used, limit);
		slash = strrchr(place, '/');
		if (!slash)
			break;
		*slash = 0;
	}
}

static bool lists_controller(const char *controllers, const char *wanted)
{
	size_t len = strlen(wanted);

	for (const char *at = controllers;; at += strcspn(at, ",") + 1) {
		size_t word = strcspn(at, ",");

		if (word == len && strncmp(at, wanted, len) == 0)
			return true;
		if (!at[word])
			return false;
	}
}

/* Lines as "4:memory,hugetlb:/path", of v2 "0::/path". */
static int read_control_groups(const char *proc_root, const char *cgroup_root, pid_t pid, struct lm_limits *limits)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	FILE *file;
	int fd, error = lm_proc_open(proc_root, pid, "cgroup", &fd);

	if (error)
		return error == -ESRCH ? -ESRCH : 0;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return 0;
	}
	while ((len = getline(&line, &size, file)) > 0) {
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		line[len - (line[len - 1] == '\n')] = 0;
		*group++ = 0;
		for (size_t i = 0; i < sizeof(group_files) / sizeof(group_files[0]); i++) {
			if (lists_controller(controllers + 1, group_files[i].controller))
				read_groups(cgroup_root, &group_files[i], group, limits);
		}
	}
	free(line);
	fclose(file);
	return 0;
}

/* The fourth field of /proc/loadavg: "running/all" threads of the machine. */
static void read_machine(const char *proc_root, struct lm_limits *limits)
{
	char path[PATH_MAX];
	unsigned long long threads;
	uint64_t limit;
	FILE *file;
	bool known;

	snprintf(path, sizeof(path), "%s/loadavg", proc_root);
	file = fopen(path, "re");
	if (!file)
		return;
	known = fscanf(file, "%*s %*s %*s %*u/%llu", &threads) == 1;
	fclose(file);
	if (known && read_sysctl(proc_root, "kernel/threads-max", &limit))
		keep_tighter(limits, LM_RESOURCE_THREADS_MAX, threads, limit);
	if (known && read_sysctl(proc_root, "kernel/pid_max", &limit))
		keep_tighter(limits, LM_RESOURCE_PID_MAX, threads, limit);
}

static void read_memory(const char *proc_root, struct lm_limits *limits)
{
	char path[PATH_MAX], line[128];
	unsigned long long total_kb = 0, available_kb = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/meminfo", proc_root);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file) && (!total_kb || !available_kb)) {
		sscanf(line, "MemTotal: %llu", &total_kb);
		sscanf(line, "MemAvailable: %llu", &available_kb);
	}
	fclose(file);
	if (total_kb && available_kb && available_kb <= total_kb)
		keep_tighter(limits, LM_RESOURCE_MEMORY, (total_kb - available_kb) << 10, total_kb << 10);
}

/* One line a mapping. */
static void read_maps(const char *proc_root, pid_t pid, struct lm_limits *limits)
{
	uint64_t limit, lines = 0, bytes = 0;
	char *buffer;
	ssize_t len = -1;
	int fd;

	if (!read_sysctl(proc_root, "vm/max_map_count", &limit) || lm_proc_open(proc_root, pid, "maps", &fd))
		return;
	buffer = malloc(65536);
	while (buffer && bytes < MAPS_BYTES_MAX && (len = read(fd, buffer, 65536)) > 0) {
		bytes += len;
		for (ssize_t i = 0; i < len; i++)
			lines += buffer[i] == '\n';
	}
	free(buffer);
	close(fd);
	if (len == 0 && lines)
		keep_tighter(limits, LM_RESOURCE_MAPS, lines, limit);
}

int lm_limits_read(const char *proc_root, const char *cgroup_root, pid_t pid, struct lm_limits *limits)
{
	int error;

	memset(limits, 0, sizeof(*limits));
	error = read_control_groups(proc_root, cgroup_root, pid, limits);
	if (error)
		return error;
	read_machine(proc_root, limits);
	read_memory(proc_root, limits);
	read_maps(proc_root, pid, limits);
	return 0;
}
