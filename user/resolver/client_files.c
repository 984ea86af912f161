// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening files on behalf of the worker: this runs with privileges, so nothing in them is read here. */
#include "user/resolver/client_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "user/resolver/protocol.h"

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define VDSO_MAX_BYTES 65536

static int only_regular(int fd)
{
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

/* A path as a process sees it: its links lead nowhere out of its root. */
static int open_in_root(const char *proc_root, pid_t pid, const char *path, uint64_t flags)
{
	const struct open_how how = {.flags = OPEN_FLAGS | flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	char root_path[512];
	int root, fd;

	snprintf(root_path, sizeof(root_path), "%s/%d/root", proc_root, pid);
	root = open(root_path, O_PATH | O_CLOEXEC | O_DIRECTORY);
	if (root < 0)
		return -errno;
	fd = only_regular(syscall(SYS_openat2, root, path, &how, sizeof(how)));
	close(root);
	return fd;
}

int lm_module_open(const char *proc_root, pid_t pid, const struct lm_map *map)
{
	char path[512];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%d/map_files/%llx-%llx", proc_root, pid, (unsigned long long)map->start,
		(unsigned long long)map->end);
	fd = only_regular(open(path, OPEN_FLAGS));
	if (fd >= 0 || map->deleted)
		return fd;
	/* without CAP_CHECKPOINT_RESTORE: by name, if that is still the same file */
	fd = open_in_root(proc_root, pid, map->path, 0);
	if (fd >= 0 &&
		(fstat(fd, &st) || st.st_ino != map->inode || st.st_dev != makedev(map->dev_major, map->dev_minor))) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int lm_module_copy_vdso(int mem_fd, const struct lm_map *map)
{
	static char image[VDSO_MAX_BYTES];
	size_t size = map->end - map->start;
	int fd;

	if (size > sizeof(image))
		return -EFBIG;
	if (pread(mem_fd, image, size, (off_t)map->start) != (ssize_t)size)
		return -EIO;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, image, size) == (ssize_t)size)
		return fd;
	close(fd);
	return -ENOSPC;
}

static uint64_t hash_content(int fd)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	unsigned char bytes[4096];
	off_t at = 0;
	ssize_t len;

	while ((len = pread(fd, bytes, sizeof(bytes), at)) > 0) {
		for (ssize_t i = 0; i < len; i++)
			hash = (hash ^ bytes[i]) * 0x100000001b3ull;
		at += len;
	}
	return hash;
}

int lm_module_key(int fd, bool by_content, struct lm_known_module *module)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	memset(&module->key, 0, sizeof(module->key));
	module->key.size = st.st_size;
	if (by_content) {
		module->key.inode = hash_content(fd);
		return 0;
	}
	module->key.device = st.st_dev;
	module->key.inode = st.st_ino;
	module->key.changed_ns = st.st_mtim.tv_sec * 1000000000ull + st.st_mtim.tv_nsec;
	return 0;
}

/* Debug files are installed by the administrator; others are no business of ours. */
static int only_of_root(int fd)
{
	struct stat st;

	if (fd < 0 || (fstat(fd, &st) == 0 && st.st_uid == 0))
		return fd;
	close(fd);
	return -EPERM;
}

int lm_module_open_debug(const char *proc_root, pid_t pid, const uint8_t *build_id, size_t len)
{
	char path[64 + 2 * LM_BUILD_ID_MAX];
	int at, fd;

	if (len < 2 || len > LM_BUILD_ID_MAX)
		return -EINVAL;
	at = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%02x/", build_id[0]);
	for (size_t i = 1; i < len; i++)
		at += snprintf(path + at, sizeof(path) - at, "%02x", build_id[i]);
	snprintf(path + at, sizeof(path) - at, ".debug");
	fd = only_of_root(open_in_root(proc_root, pid, path, 0));
	return fd >= 0 ? fd : only_of_root(only_regular(open(path, OPEN_FLAGS)));
}

/* The number behind a name in /proc/PID/status: the which-th, or the last one if there are fewer. */
static bool status_number(const char *line, const char *name, int which, long *number)
{
	size_t len = strlen(name);
	bool found = false;
	char *end;

	if (strncmp(line, name, len) != 0)
		return false;
	for (line += len; which >= 0; which--, line = end) {
		long value = strtol(line, &end, 10);

		if (end == line)
			break;
		*number = value;
		found = true;
	}
	return found;
}

/* Its effective user, and its PID in the innermost namespace. */
static int read_status(const char *proc_root, pid_t pid, long *uid, long *own_pid)
{
	char path[512], *line = NULL;
	size_t room = 0;
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d/status", proc_root, pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (found < 2 && getline(&line, &room, file) > 0) {
		found += status_number(line, "Uid:", 1, uid);
		found += status_number(line, "NSpid:", 1000, own_pid);
	}
	free(line);
	fclose(file);
	return found == 2 ? 0 : -EBADMSG;
}

int lm_module_open_perf_map(const char *proc_root, pid_t pid, pid_t *own_pid)
{
	char path[64];
	struct stat st;
	long uid = 0, inner = 0;
	int fd, error = read_status(proc_root, pid, &uid, &inner);

	if (error)
		return error;
	snprintf(path, sizeof(path), "/tmp/perf-%ld.map", inner);
	fd = open_in_root(proc_root, pid, path, O_NOFOLLOW);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || st.st_uid != (uid_t)uid) {
		close(fd);
		return -EPERM;
	}
	*own_pid = inner;
	return fd;
}
