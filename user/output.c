// SPDX-License-Identifier: GPL-2.0-or-later
/* A report that was cut short by a full disk never stands under the name that was asked for. */
#include "user/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "user/log.h"

#define LINKS_MAX 40 /* as the kernel follows, MAXSYMLINKS */
#define END_GRACE_MS 300

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

/* A terminal may have less room than PIPE_BUF. Opened again, it is ours alone, and O_NONBLOCK too. */
static void open_terminal(struct lm_output *output)
{
	char path[32];
	int fd;

	if (!isatty(STDOUT_FILENO))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", STDOUT_FILENO);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		output->fd = fd;
}

int lm_output_open(const char *path, int end_fd, int patience_ms, struct lm_output *output)
{
	*output = (struct lm_output){.path = path, .fd = STDOUT_FILENO, .end_fd = end_fd, .patience_ms = patience_ms};
	if (!path) {
		open_terminal(output);
		return 0;
	}
	if (!is_special(path))
		return open_temporary(output);
	/* without O_NONBLOCK a FIFO is opened when somebody reads it, which may be never */
	output->fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return output->fd < 0 ? -errno : 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until it takes more, or writing fails at once. 0, -EAGAIN: not by then (-1: never); -ECANCELED: it is to end. */
static int await_room(const struct lm_output *output, int64_t until_ms)
{
	struct pollfd fds[] = {{.fd = output->fd, .events = POLLOUT}, {.fd = output->end_fd, .events = POLLIN}};
	int64_t left_ms = until_ms < 0 ? -1 : until_ms - now_ms();
	int ready;

	if (until_ms >= 0 && left_ms < 0)
		left_ms = 0;
	do {
		ready = poll(fds, 2, (int)left_ms);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	if (!ready)
		return -EAGAIN;
	/* whoever reads it, but slowly, still gets all of it */
	if (!fds[0].revents && poll(fds, 1, END_GRACE_MS) <= 0)
		return -ECANCELED;
	return 0;
}

/* At most as much as a pipe takes without blocking when it has room: stdout is shared with others, who do not expect
 * O_NONBLOCK. */
static ssize_t write_some(const struct lm_output *output, const char *bytes, size_t len)
{
	ssize_t written = write(output->fd, bytes, len < PIPE_BUF ? len : PIPE_BUF);

	if (written >= 0)
		return written;
	return errno == EINTR || errno == EAGAIN ? 0 : -errno;
}

int lm_output_write(const struct lm_output *output, const char *bytes, size_t len, size_t *written)
{
	int64_t until_ms = output->patience_ms < 0 ? -1 : now_ms() + output->patience_ms;
	size_t done = 0;
	ssize_t result = 0;

	while (done < len && result >= 0) {
		result = await_room(output, until_ms);
		if (!result)
			result = write_some(output, bytes + done, len - done);
		if (result > 0)
			done += result;
	}
	if (written)
		*written = done;
	return result < 0 ? result : 0;
}

const char *lm_output_reason(int error)
{
	switch (error) {
	case -EBADF:
		return "it is closed";
	case -ENXIO:
		return "nobody reads it";
	case -EAGAIN:
		return "its reader takes no more";
	case -ECANCELED:
		return "leakmon was told to end, and its reader takes no more";
	default:
		return strerror(-error);
	}
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
	case -ENXIO:
		return "; start its reader first";
	case -EISDIR:
		return "; name a file in it with -o";
	default:
		return "";
	}
}

void lm_output_complain(const char *path, int error)
{
	lm_error("the report could not be written to %s: %s%s", path ? path : "standard output",
		lm_output_reason(error), remedy_of(error));
}

int lm_output_flush_standard(const char *what)
{
	int error = fflush(stdout) ? -errno : ferror(stdout) ? -EIO : 0;

	if (error)
		lm_error("%s could not be written to standard output: %s", what, lm_output_reason(error));
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

	if (output->fd == STDOUT_FILENO)
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
	if (output->fd >= 0 && output->fd != STDOUT_FILENO)
		close(output->fd);
	output->fd = -1;
	if (output->temporary)
		unlink(output->temporary);
	free_names(output);
}
