// SPDX-License-Identifier: GPL-2.0-or-later
/* The worker process: started, asked, watched, ended, started again. What it says is checked, for it may have been
 * taken over by what it parsed. */
#include "user/resolver/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/log.h"
#include "user/proc.h"
#include "user/resolver/client_state.h"

#define WORKER_SOCKET_FD 3
#define DEADLINE_NS 2000000000ull

/* Runs in the child between fork and exec: only calls that are safe there. */
static void become_worker(const char *executable, int socket)
{
	static char name[] = LM_RESOLVER_ARGV0;
	char *const argv[] = {name, NULL};
	char *const envp[] = {NULL};

	if (socket != WORKER_SOCKET_FD && dup2(socket, WORKER_SOCKET_FD) < 0)
		_exit(127);
	if (socket == WORKER_SOCKET_FD && fcntl(socket, F_SETFD, 0))
		_exit(127);
	close_range(WORKER_SOCKET_FD + 1, ~0u, 0);
	execve(executable, argv, envp);
	_exit(127);
}

static void forget_modules(struct lm_resolver *resolver)
{
	struct lm_known_module *module, *next;

	HASH_ITER (hh, resolver->modules, module, next) {
		HASH_DEL(resolver->modules, module);
		free(module);
	}
	free(resolver->modules_by_id);
	resolver->modules_by_id = NULL;
	resolver->modules_len = 0;
}

static int start_worker(struct lm_resolver *resolver)
{
	const char *executable = resolver->config.executable ? resolver->config.executable : "/proc/self/exe";
	const struct timeval patience = {
		.tv_sec = resolver->config.target_deadline_ns / 1000000000ull,
		.tv_usec = resolver->config.target_deadline_ns % 1000000000ull / 1000,
	};
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	pid = fork();
	if (pid == 0)
		become_worker(executable, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		int error = -errno;

		close(pair[0]);
		return error;
	}
	resolver->pid = pid;
	resolver->socket = pair[0];
	resolver->generation++;
	return 0;
}

static void end_worker(struct lm_resolver *resolver)
{
	struct rusage usage;

	if (!resolver->pid)
		return;
	close(resolver->socket);
	kill(resolver->pid, SIGKILL);
	while (wait4(resolver->pid, NULL, 0, &usage) < 0) {
		if (errno != EINTR)
			goto forget;
	}
	resolver->ended_cpu_s +=
		usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
forget:
	resolver->pid = 0;
	forget_modules(resolver);
}

int lm_resolver_start(const struct lm_resolver_config *config, struct lm_resolver **out)
{
	struct lm_resolver *resolver = calloc(1, sizeof(*resolver));
	int error;

	if (!resolver)
		return -ENOMEM;
	resolver->config = *config;
	if (!resolver->config.target_deadline_ns)
		resolver->config.target_deadline_ns = DEADLINE_NS;
	error = start_worker(resolver);
	if (error) {
		free(resolver);
		return error;
	}
	*out = resolver;
	return 0;
}

void lm_resolver_free(struct lm_resolver *resolver)
{
	if (!resolver)
		return;
	end_worker(resolver);
	free(resolver);
}

int lm_resolver_ensure(struct lm_resolver *resolver)
{
	return resolver->pid ? 0 : start_worker(resolver);
}

/* The worker is of no more use: ends it; the next one is started when it is needed. Returns the reason. */
static int give_up(struct lm_resolver *resolver, int error)
{
	if (error == -EAGAIN || error == -EWOULDBLOCK)
		error = -ETIMEDOUT;
	if (error != -ETIMEDOUT)
		error = -ECONNRESET;
	end_worker(resolver);
	resolver->counters.worker_restarts++;
	lm_info("the resolver process %s; it is started again",
		error == -ETIMEDOUT ? "overran its time and was ended" : "failed");
	return error;
}

int lm_resolver_tell(struct lm_resolver *resolver, uint32_t type, const void *payload, size_t size, int fd)
{
	int error = lm_message_send(resolver->socket, type, payload, size, fd);

	return error ? give_up(resolver, error) : 0;
}

int lm_resolver_ask(struct lm_resolver *resolver, uint32_t type, const void *payload, size_t size, int fd)
{
	struct pollfd poll_fd = {.fd = resolver->socket, .events = POLLIN};
	int timeout_ms = resolver->config.target_deadline_ns / 1000000;
	uint32_t reply_type;
	int error, reply_fd, len;

	error = lm_resolver_tell(resolver, type, payload, size, fd);
	if (error)
		return error;
	do
		len = poll(&poll_fd, 1, timeout_ms);
	while (len < 0 && errno == EINTR);
	if (len <= 0)
		return give_up(resolver, -ETIMEDOUT);
	len = lm_message_receive(resolver->socket, resolver->buffer, &reply_type, &reply_fd);
	if (reply_fd >= 0)
		close(reply_fd); /* the worker has none to give */
	if (len < 0 || reply_type != type)
		return give_up(resolver, -EPROTO);
	return len;
}

void lm_resolver_counters(const struct lm_resolver *resolver, struct lm_resolver_counters *counters)
{
	*counters = resolver->counters;
}

void lm_resolver_usage(const struct lm_resolver *resolver, uint64_t *rss_bytes, double *cpu_s)
{
	double now_s = 0;

	*rss_bytes = 0;
	if (resolver->pid) {
		lm_proc_rss(resolver->config.proc_root, resolver->pid, rss_bytes);
		lm_proc_cpu(resolver->config.proc_root, resolver->pid, &now_s);
	}
	*cpu_s = resolver->ended_cpu_s + now_s;
}
