// SPDX-License-Identifier: GPL-2.0-or-later
/* fork, wait for the word on a pipe, give up what is not the user's, exec. A second pipe, which exec closes, carries
 * the reason if that fails. */
#include "user/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_RUN 126

/* A number of the environment; -ENOENT if it is none. */
static int read_id(const char *name, unsigned long *id)
{
	const char *text = getenv(name);
	char *end;

	if (!text || !*text)
		return -ENOENT;
	errno = 0;
	*id = strtoul(text, &end, 10);
	return errno || *end || *id >= UINT32_MAX ? -ENOENT : 0;
}

/* What sudo says of who called it. 0 or errno. */
static int become_invoking_user(void)
{
	const struct passwd *user;
	unsigned long uid, gid;

	if (geteuid() != 0 || read_id("SUDO_UID", &uid) || read_id("SUDO_GID", &gid) || uid == 0)
		return 0;
	user = getpwuid(uid);
	if (user) {
		setenv("HOME", user->pw_dir, 1);
		setenv("USER", user->pw_name, 1);
		setenv("LOGNAME", user->pw_name, 1);
		setenv("SHELL", user->pw_shell, 1);
	}
	if ((user ? initgroups(user->pw_name, gid) : setgroups(0, NULL)) || setgid(gid) || setuid(uid))
		return errno;
	return 0;
}

void lm_command_keep_signals(struct lm_command_signals *signals)
{
	sigprocmask(SIG_SETMASK, NULL, &signals->mask);
	sigaction(SIGPIPE, NULL, &signals->pipe);
	sigaction(SIGCHLD, NULL, &signals->child);
}

static void restore_signals(const struct lm_command_signals *signals)
{
	sigaction(SIGPIPE, &signals->pipe, NULL);
	sigaction(SIGCHLD, &signals->child, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

__attribute__((noreturn)) static void run(
	char *const *words, const struct lm_command_signals *signals, int go_fd, int failed_fd)
{
	char word;
	int error;

	/* nothing comes: the other end is closed when it may run, and when leakmon has died */
	while (read(go_fd, &word, 1) < 0 && errno == EINTR)
		;
	error = become_invoking_user();
	if (!error) {
		restore_signals(signals);
		execvp(words[0], words);
		error = errno;
	}
	if (write(failed_fd, &error, sizeof(error)) < 0)
		_exit(EXIT_NOT_RUN);
	_exit(EXIT_NOT_RUN);
}

int lm_command_start(char *const *words, const struct lm_command_signals *signals, struct lm_command *command)
{
	int go[2], failed[2], error;

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(failed, O_CLOEXEC)) {
		error = -errno;
		goto close_go;
	}
	command->pid = fork();
	if (command->pid == 0) {
		close(go[1]);
		close(failed[0]);
		run(words, signals, go[0], failed[1]);
	}
	error = command->pid < 0 ? -errno : 0;
	close(failed[1]);
	if (error) {
		close(failed[0]);
		goto close_go;
	}
	close(go[0]);
	command->go_fd = go[1];
	command->failed_fd = failed[0];
	return 0;

close_go:
	close(go[0]);
	close(go[1]);
	return error;
}

int lm_command_release(struct lm_command *command)
{
	int error = 0;
	ssize_t len;

	close(command->go_fd);
	command->go_fd = -1;
	do {
		len = read(command->failed_fd, &error, sizeof(error));
	} while (len < 0 && errno == EINTR);
	close(command->failed_fd);
	command->failed_fd = -1;
	if (len != sizeof(error))
		return 0;
	waitpid(command->pid, NULL, 0);
	return error ? error : EIO;
}

void lm_command_abandon(struct lm_command *command)
{
	if (command->go_fd < 0)
		return;
	kill(command->pid, SIGKILL);
	waitpid(command->pid, NULL, 0);
	close(command->go_fd);
	close(command->failed_fd);
	command->go_fd = command->failed_fd = -1;
}
