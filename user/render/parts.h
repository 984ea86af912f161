/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the text report but for the sites: each ends its lines on the page and says which they are. */
#ifndef LM_RENDER_PARTS_H
#define LM_RENDER_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "user/render/page.h"
#include "user/render/render.h"

struct lm_lines {
	size_t first, len;
};

struct lm_parts {
	struct lm_page *page;
	const struct lm_snapshot *snapshot;
	const struct lm_render_options *window; /* one line each; NULL: none, prose goes on below */
};

/* What is watched, since when, how much is blocked, what was found, and what leakmon costs; and of the largest Go
 * programs their goroutines, collections and live heap. */
struct lm_lines lm_parts_heading(const struct lm_parts *parts);

/* What was lost and what that means; nothing if nothing was. */
struct lm_lines lm_parts_loss(const struct lm_parts *parts);

struct lm_lines lm_parts_notes(const struct lm_parts *parts);

/* A finding with when it would be wrong and where it is; brief is a line that stands for all that. */
struct lm_lines lm_parts_finding(
	const struct lm_parts *parts, const struct lm_snapshot_finding *finding, struct lm_lines *brief);

/* What could not be seen of processes with blocked threads, and why. */
struct lm_lines lm_parts_limits(const struct lm_parts *parts);

/* one for a count of 1, else many. */
const char *lm_parts_plural(int64_t count, const char *one, const char *many);

#endif
