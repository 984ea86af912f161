/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loops of all modes are made of: one epoll, timers, signals. Events name their source by a number of the
 * caller's, in event.data.u32. All return 0 or -errno. */
#ifndef LM_LOOP_H
#define LM_LOOP_H

#include <signal.h>
#include <stdint.h>

int lm_loop_open(int *epoll_fd);
/* Watches a descriptor that is the caller's for being readable. */
int lm_loop_add(int epoll_fd, uint32_t source, int fd);
/* A timer that is not set yet. */
int lm_loop_add_timer(int epoll_fd, uint32_t source, int *timer_fd);
/* The timer expires every so often from now on. */
int lm_loop_set_timer(int timer_fd, uint64_t period_ns);
/* A descriptor that is readable while one of the signals, which must be blocked, is pending. */
int lm_loop_open_signals(const sigset_t *signals, int *signal_fd);
/* The signals, which must be blocked, as events. */
int lm_loop_add_signals(int epoll_fd, uint32_t source, const sigset_t *signals, int *signal_fd);
/* -1 is fine. */
void lm_loop_close(int fd);

#endif
