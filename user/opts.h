/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line as data. Pure: reads argv, touches nothing else. */
#ifndef LM_OPTS_H
#define LM_OPTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "user/snapshot.h"

enum lm_mode {
	LM_MODE_LIVE,
	LM_MODE_INTERVAL,
	LM_MODE_SNAPSHOT,
	LM_MODE_CHECK,
	LM_MODE_DOCTOR,
	LM_MODE_HELP,
	LM_MODE_VERSION
};
enum lm_format { LM_FORMAT_TEXT, LM_FORMAT_JSON, LM_FORMAT_COLLAPSED, LM_FORMAT_PPROF, LM_FORMAT_SPEEDSCOPE };
enum lm_futex_mode { LM_FUTEX_AUTO, LM_FUTEX_ON, LM_FUTEX_OFF };
enum lm_color { LM_COLOR_AUTO, LM_COLOR_ALWAYS, LM_COLOR_NEVER };

struct lm_config {
	enum lm_mode mode;
	enum lm_mode help_mode; /* with LM_MODE_HELP: of which mode */
	pid_t *pids;            /* NULL = the whole machine; none twice */
	size_t pids_len;
	enum lm_format format;
	const char *output; /* NULL = stdout */
	uint64_t interval_ns;
	uint64_t count; /* reports, 0 = without end */
	uint64_t min_blocked_ns, horizon_ns;
	int top; /* 0 = all, -1 = the default of the format */
	int members;
	enum lm_level min_level;
	enum lm_level fail_on; /* LM_LEVEL_NONE = never */
	bool kernel_threads;
	enum lm_futex_mode futex;
	enum lm_color color;
	bool verbose;
	char **command;  /* with LM_MODE_CHECK: what to run, ended by NULL; the words of argv */
	uint64_t for_ns; /* … and for how long at most, 0 = until it ends */
};

/* Fills config with the defaults and what argv says. 0, or an exit code of the contract (64) after one
 * message on errors that names the word, why it is wrong and what is right. */
int lm_opts_parse(int argc, char **argv, FILE *errors, struct lm_config *config);
void lm_opts_free(struct lm_config *config);

/* "1", "500ms", "2s", "1m", "1h", "2d", also "1.5s" → nanoseconds. -EINVAL, -ERANGE. */
int lm_opts_parse_duration(const char *text, uint64_t *ns);

/* Writes the help of a mode, or the whole of it for LM_MODE_LIVE. */
void lm_opts_help(FILE *stream, enum lm_mode mode);

#endif
