/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Renderers: a snapshot in, bytes out. Each writes one whole report to the
 * stream and returns 0 or -errno (of the stream, or -ENOMEM). They see
 * snapshot.h and nothing else.
 */
#ifndef LM_RENDER_H
#define LM_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include "user/snapshot.h"

struct lm_render_options {
	int top;                 /* sites shown at most, 0 = all */
	int members;             /* member ids listed for a site */
	enum lm_level min_level; /* findings shown from this level on */
	bool color;
	int columns, rows; /* the window to fit into, 0 = no limit */
	const char *hint;  /* at the end of the window's first line, if it fits; NULL: none */
};

typedef int lm_renderer(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_render_options *options);

lm_renderer lm_render_text;       /* for people */
lm_renderer lm_render_json;       /* leakmon.snapshot/1, one line */
lm_renderer lm_render_collapsed;  /* "comm;outermost;…;innermost COUNT", a line for each site */
lm_renderer lm_render_pprof;      /* gzipped profile.proto, see profile.h; a file holds one */
lm_renderer lm_render_speedscope; /* see profile.h; a file holds one */

/* One finding with its stack, as the text report has it. 0 or -errno. */
int lm_render_finding(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_snapshot_finding *finding,
	const struct lm_render_options *options);

#endif
