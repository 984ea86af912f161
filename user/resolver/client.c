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
#include <time.h>
#include <unistd.h>

#include "user/log.h"
#include "user/proc.h"
#include "user/resolver/client_state.h"

#define WORKER_SOCKET_FD 3
#define DEADLINE_NS 2000000000ull
#define DESCRIPTORS 65536
#define REAP_TRIES 1000 /* a millisecond apart */

static int silence(int fd)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		return -errno;
	if (null == fd)
		return 0;
	if (dup2(null, fd) < 0)
		return -errno;
	close(null);
	return 0;
}

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
	/* what it writes is not for leakmon's readers */
	if (close_range(WORKER_SOCKET_FD + 1, ~0u, 0) || silence(STDIN_FILENO) || silence(STDOUT_FILENO))
		_exit(127);
#ifndef __SANITIZE_ADDRESS__ /* whose reports are wanted */
	if (silence(STDERR_FILENO))
		_exit(127);
#endif
	execve(executable, argv, envp);
	_exit(127);
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
	return 0;
}

/* Has the process ended? Its CPU time is then added. */
static bool reap(struct lm_resolver *resolver, pid_t pid)
{
	struct rusage usage;
	pid_t reaped = wait4(pid, NULL, WNOHANG, &usage);

	if (reaped == pid)
		resolver->ended_cpu_s += usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
					 (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	return reaped == pid || (reaped < 0 && errno != EINTR);
}

/* A process that reads a file system which does not answer cannot be killed: it is not waited for, but tried again. */
static void reap_undead(struct lm_resolver *resolver, pid_t one_more)
{
	for (int i = 0; i < LM_UNDEAD_MAX; i++) {
		pid_t *undead = &resolver->undead[i];

		if (*undead && reap(resolver, *undead))
			*undead = 0;
		if (!*undead) {
			*undead = one_more;
			one_more = 0;
		}
	}
}

static void end_worker(struct lm_resolver *resolver)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	bool ended = false;

	if (!resolver->pid)
		return;
	close(resolver->socket);
	kill(resolver->pid, SIGKILL);
	for (int i = 0; i < REAP_TRIES && !(ended = reap(resolver, resolver->pid)); i++)
		nanosleep(&pause, NULL);
	reap_undead(resolver, ended ? 0 : resolver->pid);
	resolver->pid = 0;
	resolver->generation++;
	lm_modules_forget(resolver);
}

/* A target is a descriptor here and one in the worker, and many shells allow 1,024. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
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
	allow_descriptors();
	resolver->generation = 1;
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
	lm_python_free_known(resolver);
	free(resolver);
}

int lm_resolver_ensure(struct lm_resolver *resolver)
{
	struct pollfd poll_fd = {.fd = resolver->socket};

	/* nobody asks it for anything now: if it has ended, no target is to blame, but it is no secret */
	if (resolver->pid && poll(&poll_fd, 1, 0) > 0) {
		lm_resolver_give_up(resolver, -ECONNRESET);
		resolver->counters.found_dead++;
	}
	return resolver->pid ? 0 : start_worker(resolver);
}

int lm_resolver_give_up(struct lm_resolver *resolver, int error)
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

	return error ? lm_resolver_give_up(resolver, error) : 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Signals do not make the time longer. */
static bool wait_for_reply(const struct lm_resolver *resolver)
{
	struct pollfd poll_fd = {.fd = resolver->socket, .events = POLLIN};
	int64_t left_ms = resolver->config.target_deadline_ns / 1000000, end_ms = now_ms() + left_ms;

	for (; left_ms >= 0; left_ms = end_ms - now_ms()) {
		int ready = poll(&poll_fd, 1, left_ms);

		if (ready >= 0 || errno != EINTR)
			return ready > 0;
	}
	return false;
}

int lm_resolver_ask(struct lm_resolver *resolver, uint32_t type, const void *payload, size_t size, int fd)
{
	uint32_t reply_type;
	int error, reply_fd, len;

	error = lm_resolver_tell(resolver, type, payload, size, fd);
	if (error)
		return error;
	if (!wait_for_reply(resolver))
		return lm_resolver_give_up(resolver, -ETIMEDOUT);
	len = lm_message_receive(resolver->socket, resolver->buffer, &reply_type, &reply_fd);
	if (reply_fd >= 0)
		close(reply_fd); /* the worker has none to give */
	if (len < 0 || reply_type != type)
		return lm_resolver_give_up(resolver, -EPROTO);
	return len;
}

void lm_resolver_save_memory(struct lm_resolver *resolver)
{
	resolver->config.debuginfo = false;
	end_worker(resolver); /* the next question starts it again */
}

bool lm_resolver_owns(const struct lm_resolver *resolver, pid_t pid)
{
	for (int i = 0; i < LM_UNDEAD_MAX; i++) {
		if (resolver->undead[i] == pid)
			return true;
	}
	return resolver->pid == pid;
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
