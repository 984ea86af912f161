/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports as the options want them. */
#ifndef LM_FORMATS_H
#define LM_FORMATS_H

#include <stddef.h>

#include "user/opts.h"
#include "user/render/render.h"

/* What the options say of a report in that format on that descriptor (-1: no terminal). */
struct lm_render_options lm_formats_options(const struct lm_config *config, enum lm_format format, int fd);

/* Renders a whole report. 0 or -errno; *text is to be freed. */
int lm_formats_render(enum lm_format format, const struct lm_snapshot *snapshot,
	const struct lm_render_options *options, char **text, size_t *len);

#endif
