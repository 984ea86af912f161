// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Links of /proc/PID/fd name a socket by its inode; /proc/PID/net/{tcp,tcp6,unix} list
 * inodes with states. One pass over each list for all queries of a process.
 */
#include "user/sockets.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/proc_files.h"

#define LIST_BYTES_MAX (64u << 20) /* some 400,000 sockets; what comes after is not known */

/* include/net/tcp_states.h and include/uapi/linux/net.h of the kernel */
enum { TCP_ESTABLISHED_STATE = 1, TCP_CLOSE_WAIT_STATE = 8, UNIX_CONNECTED_STATE = 3 };

static uint64_t inode_of(const char *proc_root, pid_t pid, int fd)
{
	char name[32], path[PATH_MAX], target[64];
	unsigned long long inode;
	ssize_t len;

	snprintf(name, sizeof(name), "fd/%d", fd);
	if (lm_proc_path(proc_root, pid, name, path))
		return 0;
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return 0;
	target[len] = 0;
	return sscanf(target, "socket:[%llu]", &inode) == 1 ? inode : 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct lm_socket_query *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* Several threads may wait on one socket. */
static void set_state(struct lm_socket_query *queries, size_t len, uint64_t inode, enum lm_socket_state state)
{
	const struct lm_socket_query key = {.inode = inode};
	struct lm_socket_query *found = inode ? bsearch(&key, queries, len, sizeof(key), by_inode) : NULL;

	if (!found)
		return;
	while (found > queries && found[-1].inode == inode)
		found--;
	for (; found < queries + len && found->inode == inode; found++)
		found->state = state;
}

/* "  0: 0100007F:1F90 0100007F:A2C4 01 … uid timeout inode …" */
static void take_tcp(const char *line, struct lm_socket_query *queries, size_t len)
{
	unsigned int state;
	unsigned long long inode;

	if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %*s %*s %llu", &state, &inode) != 2)
		return;
	set_state(queries, len, inode,
		state == TCP_ESTABLISHED_STATE  ? LM_SOCKET_CONNECTED
		: state == TCP_CLOSE_WAIT_STATE ? LM_SOCKET_CLOSE_WAIT
						: LM_SOCKET_OTHER);
}

/* "0000000000000000: 00000003 00000000 00000000 0001 03 27017 …" */
static void take_unix(const char *line, struct lm_socket_query *queries, size_t len)
{
	unsigned int state;
	unsigned long long inode;

	if (sscanf(line, "%*s %*s %*s %*s %*s %x %llu", &state, &inode) != 2)
		return;
	set_state(queries, len, inode, state == UNIX_CONNECTED_STATE ? LM_SOCKET_CONNECTED : LM_SOCKET_OTHER);
}

static void read_list(const char *proc_root, pid_t pid, const char *name,
	void (*take)(const char *line, struct lm_socket_query *queries, size_t len), struct lm_socket_query *queries,
	size_t len)
{
	char line[512];
	size_t bytes = 0;
	FILE *file;
	int fd;

	if (lm_proc_open(proc_root, pid, name, &fd))
		return;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return;
	}
	while (bytes < LIST_BYTES_MAX && fgets(line, sizeof(line), file)) {
		bytes += strlen(line);
		take(line, queries, len);
	}
	fclose(file);
}

int lm_sockets_read(const char *proc_root, pid_t pid, struct lm_socket_query *queries, size_t len)
{
	char path[PATH_MAX];

	if (lm_proc_path(proc_root, pid, "fd", path) || access(path, F_OK))
		return -ESRCH;
	for (size_t i = 0; i < len; i++) {
		queries[i].inode = queries[i].fd >= 0 ? inode_of(proc_root, pid, queries[i].fd) : 0;
		queries[i].state = queries[i].inode ? LM_SOCKET_OTHER : LM_SOCKET_NONE;
	}
	qsort(queries, len, sizeof(*queries), by_inode);
	if (!len || !queries[len - 1].inode)
		return 0;
	read_list(proc_root, pid, "net/tcp", take_tcp, queries, len);
	read_list(proc_root, pid, "net/tcp6", take_tcp, queries, len);
	read_list(proc_root, pid, "net/unix", take_unix, queries, len);
	return 0;
}
