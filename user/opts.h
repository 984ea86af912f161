/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line, and the file that --config names, as data. */
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
	LM_MODE_DAEMON,
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
	const char *output;  /* NULL = stdout */
	bool writes_reports; /* the format or the output was named: what the daemon and check ask */
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
	/* with LM_MODE_DAEMON: */
	const char *config_file; /* NULL = none */
	bool check_config;       /* only check it */
	char **listen;           /* NULL = LM_LISTEN_DEFAULT; ended by NULL */
	size_t listen_len;
	const char *state_dir;
	const char *web_config; /* NULL = none */
	int metrics_max_series;
	uint64_t retention_ns;
	uint64_t cpu_limit_permille; /* of one CPU, 0 = none */
	uint64_t memory_limit_bytes; /* of all its processes, 0 = none */
	char **texts;                /* of the file: what the others point to; ended by NULL */
	size_t texts_len;
};

#define LM_LISTEN_DEFAULT "127.0.0.1:9469"

/* Fills config with the defaults, what the file of --config says, and what argv says, which wins. 0, or an exit code of
 * the contract (64; 2 if the file cannot be read) after one message on errors that names the word or line, why it is
 * wrong and what is right. */
int lm_opts_parse(int argc, char **argv, FILE *errors, struct lm_config *config);
void lm_opts_free(struct lm_config *config);

/* "1", "500ms", "2s", "1m", "1h", "2d", also "1.5s" → nanoseconds. -EINVAL, -ERANGE. */
int lm_opts_parse_duration(const char *text, uint64_t *ns);

/* "1048576", "64k", "512M", "2G", also with iB behind → bytes. -EINVAL, -ERANGE. */
int lm_opts_parse_size(const char *text, uint64_t *bytes);

/* Writes the help of a mode, or the whole of it for LM_MODE_LIVE. */
void lm_opts_help(FILE *stream, enum lm_mode mode);

#endif
