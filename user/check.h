/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mode check: runs a command, watches it and all that it starts, and says by its exit code whether they leak. */
#ifndef LM_CHECK_H
#define LM_CHECK_H

#include "user/opts.h"

/* Runs until the command has ended, or its time is over. Returns the exit code of the contract. */
int lm_check_run(const struct lm_config *config);

#endif
