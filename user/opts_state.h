/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One reading of options, from the command line (opts.c) or a file (opts_file.c): what they mean is told by
 * opts_values.c. */
#ifndef LM_OPTS_STATE_H
#define LM_OPTS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "user/opts.h"
#include "user/opts_table.h"

#define LM_OPTS_FAILED 2
#define LM_OPTS_USAGE 64

struct lm_opts_parser {
	FILE *errors;
	struct lm_config config;
	const struct lm_mode_row *mode; /* NULL: no mode word yet */
	bool have_interval;
	uint64_t used;     /* bits of lm_option_rows that were on the command line */
	const char *file;  /* that is being read; NULL: the command line */
	unsigned int line; /* of the file */
};

_Static_assert(LM_OPTION_ROWS <= 64, "a bit for each option");

/* One line for errors, control characters escaped. Returns the exit code. */
int lm_opts_complain(const struct lm_opts_parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As a person writes it: "-p", "--top"; in a file "top:". */
const char *lm_opts_name(const struct lm_opts_parser *parser, const struct lm_option_row *row, char text[32]);

/* A whole number of decimal digits and nothing else. -EINVAL, -ERANGE. */
int lm_opts_number(const char *text, size_t len, uint64_t *value);

/* Was the option of that key on the command line? */
bool lm_opts_is_used(const struct lm_opts_parser *parser, int key);

/* Takes an option with its argument (NULL: it has none), which must live as long as the config. 0 or an exit code. */
int lm_opts_take(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *argument);

/* What is shorter is no interval: a look at 2,000 threads takes some 6 ms. */
#define LM_OPTS_INTERVAL_MIN_NS 10000000ull

/* Takes what the file of --config says, as far as the command line has not said it. 0 or an exit code. */
int lm_opts_take_file(struct lm_opts_parser *parser);

#endif
