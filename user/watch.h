/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watching modes: live, INTERVAL [COUNT], snapshot. */
#ifndef LM_WATCH_H
#define LM_WATCH_H

#include "user/opts.h"

/* Runs until it is done or told to end. Returns the exit code of the contract. */
int lm_watch_run(const struct lm_config *config);

#endif
