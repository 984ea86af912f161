// SPDX-License-Identifier: GPL-2.0-or-later
#include "user/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

int lm_loop_open(int *epoll_fd)
{
	*epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return *epoll_fd < 0 ? -errno : 0;
}

int lm_loop_add(int epoll_fd, uint32_t source, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int lm_loop_add_timer(int epoll_fd, uint32_t source, int *timer_fd)
{
	*timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return *timer_fd < 0 ? -errno : lm_loop_add(epoll_fd, source, *timer_fd);
}

int lm_loop_set_timer(int timer_fd, uint64_t period_ns)
{
	struct itimerspec spec = {
		.it_interval = {.tv_sec = period_ns / NS_PER_S, .tv_nsec = period_ns % NS_PER_S},
	};

	spec.it_value = spec.it_interval;
	return timerfd_settime(timer_fd, 0, &spec, NULL) ? -errno : 0;
}

int lm_loop_open_signals(const sigset_t *signals, int *signal_fd)
{
	*signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return *signal_fd < 0 ? -errno : 0;
}

int lm_loop_add_signals(int epoll_fd, uint32_t source, const sigset_t *signals, int *signal_fd)
{
	int error = lm_loop_open_signals(signals, signal_fd);

	return error ? error : lm_loop_add(epoll_fd, source, *signal_fd);
}

void lm_loop_close(int fd)
{
	if (fd >= 0)
		close(fd);
}
