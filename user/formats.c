// SPDX-License-Identifier: GPL-2.0-or-later
#include "user/formats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_TOP_TEXT 20

static lm_renderer *const renderers[] = {
	[LM_FORMAT_TEXT] = lm_render_text,
	[LM_FORMAT_JSON] = lm_render_json,
	[LM_FORMAT_COLLAPSED] = lm_render_collapsed,
	[LM_FORMAT_PPROF] = lm_render_pprof,
	[LM_FORMAT_SPEEDSCOPE] = lm_render_speedscope,
};

/* See no-color.org: set to nothing, it says nothing. */
static bool wants_color(enum lm_color color, int fd)
{
	const char *no_color = getenv("NO_COLOR");

	if (color != LM_COLOR_AUTO)
		return color == LM_COLOR_ALWAYS;
	return fd >= 0 && isatty(fd) && !(no_color && *no_color);
}

struct lm_render_options lm_formats_options(const struct lm_config *config, enum lm_format format, int fd)
{
	struct lm_render_options options = {
		.top = config->top,
		.members = config->members,
		.min_level = config->min_level,
		.color = format == LM_FORMAT_TEXT && wants_color(config->color, fd),
	};

	if (options.top < 0)
		options.top = format == LM_FORMAT_TEXT ? DEFAULT_TOP_TEXT : 0;
	return options;
}

int lm_formats_render(enum lm_format format, const struct lm_snapshot *snapshot,
	const struct lm_render_options *options, char **text, size_t *len)
{
	char *bytes = NULL;
	size_t bytes_len = 0;
	FILE *memory = open_memstream(&bytes, &bytes_len);
	int error;

	if (!memory)
		return -errno;
	error = renderers[format](memory, snapshot, options);
	if (fclose(memory) && !error)
		error = -ENOMEM;
	if (error) {
		free(bytes);
		return error;
	}
	*text = bytes;
	*len = bytes_len;
	return 0;
}
