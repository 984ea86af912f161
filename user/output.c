// SPDX-License-Identifier: GPL-2.0-or-later
/* A report that was cut short by a full disk never stands under the name that was asked for. */
#include "user/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/log.h"

#define LINKS_MAX 40 /* as the kernel follows, MAXSYMLINKS */

void lm_output_hold_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* the wrong way round, so that to use it fails as if it were closed */
		int flags = (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) < 0)
			return;
	}
}

static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* As fs.protected_symlinks has it: in a folder where everybody may write, others' links are not followed. */
static bool may_follow(const char *link, const struct stat *st)
{
	char *copy = strdup(link);
	struct stat folder;
	bool open_to_all =
		!copy || stat(dirname(copy), &folder) ||
		((folder.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) && folder.st_uid != st->st_uid);

	free(copy);
	return !open_to_all || st->st_uid == geteuid();
}

/* What a link says, as a path from where we are. NULL: no memory, or no such link. */
static char *read_link(int fd, const char *link)
{
	char target[PATH_MAX], *path = NULL;
	ssize_t len = readlinkat(fd, "", target, sizeof(target));
	const char *slash = strrchr(link, '/');

	if (len <= 0 || len == sizeof(target))
		return NULL;
	if (asprintf(&path, "%.*s%.*s", target[0] != '/' && slash ? (int)(slash + 1 - link) : 0, link, (int)len,
		    target) < 0)
		return NULL;
	return path;
}

/* Takes a step along the links that path is. 1: it was one; 0: it is none; or -errno. */
static int follow_link(char **path)
{
	int fd = open(*path, O_PATH | O_NOFOLLOW | O_CLOEXEC), result = 0;
	struct stat st;
	char *next;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) || !S_ISLNK(st.st_mode))
		goto close_fd;
	result = -EACCES;
	if (!may_follow(*path, &st))
		goto close_fd;
	result = -ENOMEM;
	next = read_link(fd, *path);
	if (!next)
		goto close_fd;
	free(*path);
	*path = next;
	result = 1;
close_fd:
	close(fd);
	return result;
}

/* Where path leads to, though nothing may be there yet. */
static int find_target(const char *path, char **target)
{
	char *here = strdup(path);
	int links = 0, result = here ? 1 : -ENOMEM;

	while (result > 0 && links++ < LINKS_MAX)
		result = follow_link(&here);
	if (result > 0)
		result = -ELOOP;
	if (result < 0)
		free(here);
	else
		*target = here;
	return result;
}

static int open_temporary(struct lm_output *output)
{
	mode_t mask = umask(0);
	int fd, error;

	umask(mask);
	error = find_target(output->path, &output->target);
	if (error)
		return error;
	if (asprintf(&output->temporary, "%s.XXXXXX", output->target) < 0) {
		output->temporary = NULL;
		error = -ENOMEM;
		goto free_target;
	}
	fd = mkostemp(output->temporary, O_CLOEXEC);
	if (fd < 0) {
		error = -errno;
		goto free_name;
	}
	if (fchmod(fd, 0666 & ~mask) == 0) {
		output->fd = fd;
		return 0;
	}
	error = -errno;
	unlink(output->temporary);
	close(fd);
free_name:
	free(output->temporary);
	output->temporary = NULL;
free_target:
	free(output->target);
	output->target = NULL;
	return error;
}

int lm_output_open(const char *path, struct lm_output *output)
{
	*output = (struct lm_output){.path = path, .fd = STDOUT_FILENO};
	if (!path)
		return 0;
	if (!is_special(path))
		return open_temporary(output);
	output->fd = open(path, O_WRONLY | O_CLOEXEC);
	return output->fd < 0 ? -errno : 0;
}

int lm_output_write(struct lm_output *output, const char *bytes, size_t len)
{
	while (len) {
		ssize_t written = write(output->fd, bytes, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes += written;
		len -= written;
	}
	return 0;
}

static const char *reason_of(int error)
{
	return error == -EBADF ? "it is closed" : strerror(-error);
}

static const char *remedy_of(int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
		return "; free some space, or name another place with -o";
	case -ENOENT:
	case -ENOTDIR:
		return "; make its directory, or name another place with -o";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return "; name a place that can be written with -o";
	case -EISDIR:
		return "; name a file in it with -o";
	default:
		return "";
	}
}

void lm_output_complain(const char *path, int error)
{
	lm_error("the report could not be written to %s: %s%s", path ? path : "standard output", reason_of(error),
		remedy_of(error));
}

int lm_output_flush_standard(const char *what)
{
	int error = fflush(stdout) ? -errno : ferror(stdout) ? -EIO : 0;

	if (error)
		lm_error("%s could not be written to standard output: %s", what, reason_of(error));
	return error;
}

static void free_names(struct lm_output *output)
{
	free(output->temporary);
	free(output->target);
	output->temporary = output->target = NULL;
}

int lm_output_finish(struct lm_output *output)
{
	int error = 0;

	if (!output->path)
		return 0;
	if (close(output->fd))
		error = -errno;
	output->fd = -1;
	if (!error && output->temporary && rename(output->temporary, output->target))
		error = -errno;
	if (error)
		lm_output_abandon(output);
	free_names(output);
	return error;
}

void lm_output_abandon(struct lm_output *output)
{
	if (output->path && output->fd >= 0)
		close(output->fd);
	output->fd = -1;
	if (output->temporary)
		unlink(output->temporary);
	free_names(output);
}
