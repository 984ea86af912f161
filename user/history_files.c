// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory of the history and what lies in it: who may write there, one daemon at a time, how much it takes, and
 * where a broken database goes. What is in the database is the business of others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/history_state.h"

#define WHY_BYTES 256

static int say(char why[WHY_BYTES], int error, const char *path, const char *what, const char *advice)
{
	if (what)
		snprintf(why, WHY_BYTES, "history: %.120s: %s: %s", path, what, advice);
	else
		snprintf(why, WHY_BYTES, "history: %.120s: %s: %s", path, strerror(-error), advice);
	return error;
}

static int check_directory(const char *path, char why[WHY_BYTES])
{
	struct stat st;

	if (stat(path, &st))
		return say(why, -errno, path, NULL, "name another --state-dir, or make this one");
	if (!S_ISDIR(st.st_mode))
		return say(why, -ENOTDIR, path, NULL, "name another --state-dir");
	if (st.st_uid != geteuid())
		return say(why, -EPERM, path, "it belongs to another user", "chown it, or name another --state-dir");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return say(why, -EPERM, path, "others can write to it", "chmod go-w it, or name another --state-dir");
	return 0;
}

/* The lock goes with the descriptor: nothing is left over by a kill. */
static int take_lock(struct lm_history *history, char why[WHY_BYTES])
{
	char *path;
	int fd, error;

	if (asprintf(&path, "%s/history.lock", history->directory) < 0)
		return say(why, -ENOMEM, history->directory, NULL, "free memory");
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0) {
		error = say(why, -errno, path, NULL, "make it writable, or name another --state-dir");
		goto free_path;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		error = errno == EWOULDBLOCK ? -EBUSY : -errno;
		error = say(why, error, history->directory,
			error == -EBUSY ? "another leakmon keeps its history there" : NULL,
			"end that one, or name another --state-dir");
		close(fd);
		goto free_path;
	}
	history->lock_fd = fd;
	error = 0;
free_path:
	free(path);
	return error;
}

static int name_files(struct lm_history *history)
{
	static const char *const suffixes[] = {"", "-wal", ".broken", ".broken-wal"};
	char **paths[] = {&history->path, &history->wal_path, &history->broken_path, &history->broken_wal_path};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (asprintf(paths[i], "%s/history.db%s", history->directory, suffixes[i]) < 0) {
			*paths[i] = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

int lm_history_files_open(struct lm_history *history, const char *directory, char why[WHY_BYTES])
{
	int error;

	if (mkdir(directory, 0700) && errno != EEXIST)
		return say(why, -errno, directory, NULL, "make it, or name another --state-dir");
	/* SQLite is told to follow no link at all: those that lead to the directory are the administrator's */
	history->directory = realpath(directory, NULL);
	if (!history->directory)
		return say(why, -errno, directory, NULL, "name another --state-dir");
	error = check_directory(history->directory, why);
	if (error)
		return error;
	if (name_files(history))
		return say(why, -ENOMEM, directory, NULL, "free memory");
	return take_lock(history, why);
}

void lm_history_files_close(struct lm_history *history)
{
	if (history->lock_fd >= 0)
		close(history->lock_fd);
	free(history->directory);
	free(history->path);
	free(history->wal_path);
	free(history->broken_path);
	free(history->broken_wal_path);
}

static int check_file(const char *path, char why[WHY_BYTES])
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : say(why, -errno, path, NULL, "name another --state-dir");
	if (!S_ISREG(st.st_mode))
		return say(why, -ELOOP, path, "it is no ordinary file", "remove it");
	if (st.st_uid != geteuid())
		return say(why, -EPERM, path, "it belongs to another user", "chown or remove it");
	if (st.st_nlink != 1)
		return say(why, -EMLINK, path, "it has another name elsewhere", "remove it");
	/* it is in a directory that only we can write to, and no link: the name is still that file */
	if (st.st_mode & 077 && chmod(path, 0600))
		return say(why, -errno, path, NULL, "chmod it to 0600, or remove it");
	return 0;
}

int lm_history_files_check(struct lm_history *history, char why[WHY_BYTES])
{
	int error = check_directory(history->directory, why);

	if (!error)
		error = check_file(history->path, why);
	return error ? error : check_file(history->wal_path, why);
}

int lm_history_files_set_aside(struct lm_history *history)
{
	/* the log before the database: without it, what is left is a database that lost its last transactions at worst
	 */
	if (unlink(history->broken_wal_path) && errno != ENOENT)
		return -errno;
	if (rename(history->wal_path, history->broken_wal_path) && errno != ENOENT)
		return -errno;
	if (rename(history->path, history->broken_path) && errno != ENOENT)
		return -errno;
	return 0;
}

bool lm_history_files_drop_broken(struct lm_history *history)
{
	bool wal = !unlink(history->broken_wal_path);

	return !unlink(history->broken_path) || wal;
}

int64_t lm_history_file_bytes(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -1;
	return st.st_size;
}

int64_t lm_history_bytes(const struct lm_history *history)
{
	const char *const paths[] = {history->path, history->wal_path, history->broken_path, history->broken_wal_path};
	int64_t sum = 0;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int64_t bytes = lm_history_file_bytes(paths[i]);

		if (bytes < 0)
			return -1;
		sum += bytes;
	}
	return sum;
}
