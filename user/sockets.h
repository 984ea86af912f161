/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is behind the descriptors that threads of a process wait on: a connection, one that its peer has closed, … */
#ifndef LM_SOCKETS_H
#define LM_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum lm_socket_state {
	LM_SOCKET_NONE, /* no socket, or it is gone by now */
	LM_SOCKET_CONNECTED,
	LM_SOCKET_CLOSE_WAIT, /* the peer has closed it, the process has not */
	LM_SOCKET_OTHER,      /* listens, connects, knows no peer, or is of a kind that is not looked up */
};

struct lm_socket_query {
	int fd;
	size_t whose; /* for the caller: the order is another afterwards */
	/* out: */
	uint64_t inode; /* names the socket, 0 = none */
	enum lm_socket_state state;
};

/* Answers the queries, in the order of their inodes afterwards, from PROC_ROOT/PID/fd and PROC_ROOT/PID/net, which are
 * those of the process's own network namespace. 0, -ESRCH or -ENOMEM. */
int lm_sockets_read(const char *proc_root, pid_t pid, struct lm_socket_query *queries, size_t len);

#endif
