/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which options and modes there are: the one table that the parser reads and the help is written from. */
#ifndef LM_OPTS_TABLE_H
#define LM_OPTS_TABLE_H

#include <stddef.h>

#include "user/opts.h"

/* Keys of options without a short form. */
enum lm_option_key {
	KEY_FORMAT = 0x100,
	KEY_MIN_BLOCKED,
	KEY_HORIZON,
	KEY_TOP,
	KEY_MEMBERS,
	KEY_MIN_LEVEL,
	KEY_FAIL_ON,
	KEY_FUTEX,
	KEY_COLOR,
	KEY_FOR,
	KEY_CONFIG,
	KEY_CHECK_CONFIG,
	KEY_LISTEN,
	KEY_STATE_DIR,
	KEY_WEB_CONFIG,
	KEY_MAX_SERIES,
	KEY_RETENTION,
	KEY_INTERVAL,
	KEY_CPU_LIMIT,
	KEY_MEMORY_LIMIT,
};

enum lm_option_group { GROUP_WHAT = 1, GROUP_JUDGE, GROUP_OUTPUT, GROUP_DAEMON, GROUP_ABOUT };

struct lm_option_row {
	const char *name;
	int key;
	const char *argument; /* NULL: takes none */
	enum lm_option_group group;
	int modes;
	const char *help; /* NULL: a heading, in name */
};

#define LM_OPTION_ROWS 32
extern const struct lm_option_row lm_option_rows[LM_OPTION_ROWS];

/* The mode words, and what their help begins and ends with. The row without a word is the one for none. */
struct lm_mode_row {
	const char *word;
	enum lm_mode mode;
	const char *synopsis; /* a line for each way to call it */
	const char *about;
	const char *after;
};

extern const struct lm_mode_row lm_mode_rows[];
extern const size_t lm_mode_rows_len;

#endif
