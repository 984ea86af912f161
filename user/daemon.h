/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `leakmon daemon`: always on; history, HTTP, metrics. */
#ifndef LM_DAEMON_H
#define LM_DAEMON_H

#include "user/opts.h"

/* Runs until it is told to end. argc and argv are read again when it is told to reload, into config. Returns the exit
 * code of the contract. */
int lm_daemon_run(int argc, char **argv, struct lm_config *config);

#endif
