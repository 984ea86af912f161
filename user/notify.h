/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a service manager is told and what it hands over: sd_notify(3) and sd_listen_fds(3), without libsystemd. */
#ifndef LM_NOTIFY_H
#define LM_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_NOTIFY_SOCKETS 16

/* Sends such as "READY=1" to $NOTIFY_SOCKET. Does nothing if there is none, or it cannot be sent. */
void lm_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How often the watchdog wants to hear of us at least, 0: never. */
uint64_t lm_notify_watchdog_ns(void);

/* Sockets that a service manager has opened for us ($LISTEN_FDS), which are close-on-exec then. Returns how many, at
 * most LM_NOTIFY_SOCKETS, and takes the variables out of the environment. */
size_t lm_notify_sockets(int sockets[LM_NOTIFY_SOCKETS]);

/* Is standard error the journal? Then lines begin with their priority, "<4>". */
bool lm_notify_is_journal(void);

#endif
