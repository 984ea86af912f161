// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a few small files of /proc/PID say about a process. The memory map has a
 * file of its own, proc_maps.c. Names in these files are the process's choice.
 */
#include "user/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/proc_files.h"

/* 52 numbers of at most 20 digits and a name of 64 bytes at most. */
#define STAT_BYTES 2048
/* A path of a cgroup may be 4 KiB long, and cgroup v1 has about 14 lines. */
#define CGROUP_BYTES (64 * 1024)
#define CONTAINER_ID_LEN 64
#define NS_PER_S 1000000000ull
#define PF_KTHREAD 0x00200000 /* of the flags; as kernels from 2.6.27 have it */

/* Fields of /proc/PID/stat as proc(5) numbers them; those after the name. */
enum stat_field {
	STAT_PPID = 4,
	STAT_FLAGS = 9,
	STAT_UTIME = 14,
	STAT_STIME = 15,
	STAT_NUM_THREADS = 20,
	STAT_STARTTIME = 22,
	STAT_RSS = 24
};
#define STAT_FIRST 3 /* state, the first one after the name */

int lm_proc_path(const char *proc_root, pid_t pid, const char *name, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%s/%d/%s", proc_root, pid, name);

	return len < 0 || len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* The error of a file of a process: a file that is missing means a process that is gone, unless it is still there. */
static int explain(const char *proc_root, pid_t pid, int error)
{
	char path[PATH_MAX];
	struct stat status;

	if (error != ENOENT)
		return -error;
	if (lm_proc_path(proc_root, pid, "", path) || stat(path, &status))
		return -ESRCH;
	return -ENOENT;
}

int lm_proc_open(const char *proc_root, pid_t pid, const char *name, int *fd)
{
	char path[PATH_MAX];
	int error = lm_proc_path(proc_root, pid, name, path);
	int opened;

	if (error)
		return error;
	opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (opened < 0)
		return explain(proc_root, pid, errno);
	*fd = opened;
	return 0;
}

bool lm_proc_unlinked(const char *path)
{
	struct statx status;

	/* DONT_SYNC: a FUSE file system of the process's own would let us wait for ever */
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_NLINK, &status) || !(status.stx_mask & STATX_NLINK))
		return true;
	return status.stx_nlink == 0;
}

/* As much of the file as fits, with a 0 behind it. */
static int read_file(const char *proc_root, pid_t pid, const char *name, char *text, size_t size, size_t *len)
{
	size_t got = 0;
	ssize_t step = 1;
	int fd, error = lm_proc_open(proc_root, pid, name, &fd);

	if (error)
		return error;
	while (step && got < size - 1) {
		step = read(fd, text + got, size - 1 - got);
		if (step < 0 && errno != EINTR) {
			error = -errno;
			break;
		}
		got += step > 0 ? step : 0;
	}
	close(fd);
	if (error)
		return error;
	text[got] = 0;
	*len = got;
	return 0;
}

/* The number in a field of /proc/PID/stat. The name before it may hold blanks and parentheses: the last one ends it. */
static int read_stat(
	const char *proc_root, pid_t pid, const enum stat_field *fields, uint64_t *values, size_t fields_len)
{
	char text[STAT_BYTES], *at, *end;
	int number = STAT_FIRST;
	size_t len, found = 0;
	int error = read_file(proc_root, pid, "stat", text, sizeof(text), &len);

	if (error)
		return error;
	at = memrchr(text, ')', len);
	if (!at)
		return -EBADMSG;
	for (at++; *at == ' ' && found < fields_len; at = end, number++) {
		at++;
		end = at + strcspn(at, " \n");
		if (number != (int)fields[found])
			continue;
		errno = 0;
		values[found] = strtoull(at, &end, 10);
		if (errno || end == at || *at == '-' || !strchr(" \n", *end))
			return -EBADMSG;
		found++;
	}
	return found == fields_len ? 0 : -EBADMSG;
}

/* *value is as it was where that fails. */
static int read_stat_field(const char *proc_root, pid_t pid, enum stat_field field, uint64_t *value)
{
	uint64_t number;
	int error = read_stat(proc_root, pid, &field, &number, 1);

	if (!error)
		*value = number;
	return error;
}

int lm_proc_parent(const char *proc_root, pid_t pid, pid_t *parent)
{
	uint64_t number = 0;
	int error = read_stat_field(proc_root, pid, STAT_PPID, &number);

	if (!error)
		*parent = number;
	return error;
}

int lm_proc_is_kernel_thread(const char *proc_root, pid_t pid, bool *is_kernel_thread)
{
	uint64_t flags = 0;
	int error = read_stat_field(proc_root, pid, STAT_FLAGS, &flags);

	if (!error)
		*is_kernel_thread = flags & PF_KTHREAD;
	return error;
}

int lm_proc_start(const char *proc_root, pid_t pid, uint64_t *start_ns)
{
	uint64_t ticks, ns;
	int error = read_stat_field(proc_root, pid, STAT_STARTTIME, &ticks);

	if (error)
		return error;
	if (__builtin_mul_overflow(ticks, NS_PER_S / sysconf(_SC_CLK_TCK), &ns))
		return -EBADMSG;
	*start_ns = ns;
	return 0;
}

int lm_proc_rss(const char *proc_root, pid_t pid, uint64_t *bytes)
{
	uint64_t pages, size;
	int error = read_stat_field(proc_root, pid, STAT_RSS, &pages);

	if (error)
		return error;
	if (__builtin_mul_overflow(pages, (uint64_t)sysconf(_SC_PAGESIZE), &size))
		return -EBADMSG;
	*bytes = size;
	return 0;
}

int lm_proc_threads(const char *proc_root, pid_t pid, uint64_t *threads)
{
	return read_stat_field(proc_root, pid, STAT_NUM_THREADS, threads);
}

int lm_proc_cpu(const char *proc_root, pid_t pid, double *seconds)
{
	static const enum stat_field fields[] = {STAT_UTIME, STAT_STIME};
	uint64_t ticks[2];
	int error = read_stat(proc_root, pid, fields, ticks, 2);

	if (error)
		return error;
	*seconds = ((double)ticks[0] + (double)ticks[1]) / (double)sysconf(_SC_CLK_TCK);
	return 0;
}

int lm_proc_comm(const char *proc_root, pid_t pid, char comm[16])
{
	char text[128]; /* names of kernel workers are longer than 15 bytes here */
	size_t len;
	int error = read_file(proc_root, pid, "comm", text, sizeof(text), &len);

	if (error)
		return error;
	/* only the last newline is the kernel's */
	if (len && text[len - 1] == '\n')
		text[--len] = 0;
	snprintf(comm, 16, "%.15s", text);
	return 0;
}

int lm_proc_exe(const char *proc_root, pid_t pid, char **path)
{
	char link[PATH_MAX], target[PATH_MAX + 1];
	const size_t suffix_len = sizeof(LM_PROC_DELETED) - 1;
	int error = lm_proc_path(proc_root, pid, "exe", link);
	ssize_t len;
	char *copy;

	if (error)
		return error;
	len = readlink(link, target, sizeof(target));
	if (len < 0)
		return explain(proc_root, pid, errno);
	if ((size_t)len == sizeof(target))
		return -ENAMETOOLONG;
	if ((size_t)len > suffix_len && memcmp(target + len - suffix_len, LM_PROC_DELETED, suffix_len) == 0 &&
		lm_proc_unlinked(link))
		len -= suffix_len;
	copy = strndup(target, len);
	if (!copy)
		return -ENOMEM;
	*path = copy;
	return 0;
}

/* The last container id in a line, that is, the innermost; NULL if there is none. */
static const char *find_container_id(const char *line)
{
	const char *found = NULL;

	while (*line) {
		size_t run = strspn(line, "0123456789abcdef");

		if (run == CONTAINER_ID_LEN)
			found = line;
		line += run;
		line += strcspn(line, "0123456789abcdef");
	}
	return found;
}

int lm_proc_container(const char *proc_root, pid_t pid, char **id)
{
	char *text = malloc(CGROUP_BYTES), *line, *rest, *copy = NULL;
	const char *found = NULL;
	size_t len;
	int error;

	if (!text)
		return -ENOMEM;
	error = read_file(proc_root, pid, "cgroup", text, CGROUP_BYTES, &len);
	if (error)
		goto free_text;
	rest = text;
	while (!found && (line = strsep(&rest, "\n")))
		found = find_container_id(line);
	if (found) {
		copy = strndup(found, CONTAINER_ID_LEN);
		if (!copy) {
			error = -ENOMEM;
			goto free_text;
		}
	}
	*id = copy;
free_text:
	free(text);
	return error;
}
