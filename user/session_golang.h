/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Goroutines on their way from the resolver to the monitor. */
#ifndef LM_SESSION_GOLANG_H
#define LM_SESSION_GOLANG_H

#include <stdbool.h>
#include <stdint.h>

#include "user/golang/record.h"
#include "user/monitor.h"
#include "user/resolver/client.h"

/* Looks at the goroutines of every process whose memory is open. Before lm_monitor_settle. 0 or -ENOMEM. */
int lm_session_read_goroutines(struct lm_monitor *monitor, struct lm_resolver *resolver);

#endif
