// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads that serve a client each come and go with their clients: that is no leak
 * until the clients are gone and the threads are not. A thread that waits for one
 * socket has heard nothing from it since its wait began, so its wait tells how long the
 * peer has been silent (VERDICTS.md, "One socket each").
 */
#include "user/session_sockets.h"

#include <poll.h>
#include <stdlib.h>

#include "user/resolver/client.h"
#include "user/sockets.h"

#define MEMBERS_MIN 8
#define ONE_EACH_SHARE 0.8
#define DEAD_SHARE 0.5
#define SILENT_S 7200.0

/* The descriptor that a thread waits on, -1 if that is not known, or if it waits on several. */
static int fd_of(const struct lm_group *group, const struct lm_resident *resident)
{
	const struct lm_thread *thread = lm_thread_of(resident);
	struct pollfd polled;

	if (resident->has_object && group->wait.object_is_fd)
		return resident->object;
	if (!thread->polled || !thread->process->target ||
		lm_target_read(thread->process->target, thread->polled, &polled, sizeof(polled)) != sizeof(polled))
		return -1;
	return polled.fd;
}

static bool is_silent(const struct lm_monitor *monitor, const struct lm_resident *resident)
{
	return monitor->now_ns - resident->wait_since_ns >= lm_verdict_scaled_ns(monitor->config.horizon_ns, SILENT_S);
}

static unsigned int judge(
	const struct lm_monitor *monitor, const struct lm_group *group, const struct lm_socket_query *sockets)
{
	size_t connected = 0, closed = 0, dead = 0;

	for (int64_t i = 0; i < group->count; i++) {
		bool is_first = i == 0 || sockets[i].inode != sockets[i - 1].inode;
		bool is_closed = is_first && sockets[i].state == LM_SOCKET_CLOSE_WAIT;

		closed += is_closed;
		dead += is_closed || is_silent(monitor, group->residents[sockets[i].whose]);
		connected += is_first && sockets[i].state == LM_SOCKET_CONNECTED;
	}
	if (connected + closed < ONE_EACH_SHARE * group->count)
		return 0;
	return LM_GUARD_CONNECTIONS | (dead >= DEAD_SHARE * group->count ? LM_GUARD_DEAD_PEERS : 0);
}

static void read_group(const struct lm_monitor *monitor, struct lm_group *group, const char *proc_root)
{
	struct lm_socket_query *sockets = calloc(group->count, sizeof(*sockets));
	const struct lm_process *process = group->process;

	if (!sockets)
		return;
	for (int64_t i = 0; i < group->count; i++) {
		sockets[i].fd = fd_of(group, group->residents[i]);
		sockets[i].whose = i;
	}
	if (lm_sockets_read(proc_root, process->key.tgid, sockets, group->count) == 0)
		group->guards = judge(monitor, group, sockets);
	free(sockets);
}

static bool may_be_connections(const struct lm_group *group)
{
	enum lm_wait_class wait_class = group->wait.wait_class;

	return group->count >= MEMBERS_MIN && group->kind == LM_SITE_THREAD && !group->kernel_thread &&
	       (wait_class == LM_WAIT_SOCKET || wait_class == LM_WAIT_POLL);
}

void lm_session_read_sockets(struct lm_monitor *monitor, const char *proc_root)
{
	struct lm_group *group;

	for (group = monitor->groups.table; group; group = group->hh.next) {
		if (may_be_connections(group) && lm_monitor_is_due(monitor, group))
			read_group(monitor, group, proc_root);
	}
}
