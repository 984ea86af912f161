/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command that leakmon runs for its user: held before its first instruction until somebody watches it. */
#ifndef LM_COMMAND_H
#define LM_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct lm_command {
	pid_t pid;
	int go_fd;     /* closed to let it run; -1: it runs */
	int failed_fd; /* says why it could not be run */
};

/* What the command is to find as its caller left it. */
struct lm_command_signals {
	sigset_t mask;
	struct sigaction pipe, child; /* what we change of our own */
};

/* Before anything of it is changed. */
void lm_command_keep_signals(struct lm_command_signals *signals);

/* Forks a process that will become the command: under sudo as the user who called that, with its groups, HOME, USER,
 * LOGNAME and SHELL, else as we are. It has our standard input and output, and those signals. 0 or -errno. */
int lm_command_start(char *const *words, const struct lm_command_signals *signals, struct lm_command *command);

/* Lets it run. 0, or the positive errno for which it could not become the command: then it has ended. */
int lm_command_release(struct lm_command *command);

/* Ends a command that was not released, and closes what is open. */
void lm_command_abandon(struct lm_command *command);

#endif
