/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A site as lines of text: a headline, and the stack below it, the innermost function first. */
#ifndef LM_RENDER_SITE_H
#define LM_RENDER_SITE_H

#include <stddef.h>

#include "user/render/page.h"
#include "user/render/render.h"
#include "user/snapshot.h"

struct lm_site_view {
	const struct lm_snapshot_site *site;
	const struct lm_snapshot_finding *finding; /* about it, or NULL */
	size_t headline;                           /* line of the page, with a body below it */
	size_t headline_alone;                     /* the same when no body is shown */
	size_t body, body_len, body_shown;
	size_t *frames; /* how many frames each line of the body stands for */
};

/* Columns that the cells of the headlines take; begins as zeros. */
struct lm_site_widths {
	size_t count, unit, oldest, median, arrived, departed, rate, process, place;
};

/* Makes the columns wide enough for this site. */
void lm_site_measure(
	const struct lm_snapshot *snapshot, const struct lm_site_view *view, struct lm_site_widths *widths);

/* Makes the table narrow enough for the window, where that is possible. Once after all sites are measured. */
void lm_site_fit(const struct lm_render_options *options, struct lm_site_widths *widths);

/* Ends the headline and body as lines of the page. In a window (rows) the headline is a row of a table, elsewhere it
 * names its own numbers. 0 or -ENOMEM. */
int lm_site_compose(struct lm_page *page, const struct lm_snapshot *snapshot, const struct lm_render_options *options,
	const struct lm_site_widths *widths, struct lm_site_view *view);

/* Ends the line above the table. */
size_t lm_site_compose_columns(struct lm_page *page, int columns, const struct lm_site_widths *widths);

/* Frames on the lines of the body that are not shown. */
size_t lm_site_frames_hidden(const struct lm_site_view *view);

void lm_site_view_clear(struct lm_site_view *view);

/* The frame that a site is known by: the innermost of the application. NULL if there is none at all. */
const struct lm_snapshot_frame *lm_site_place(const struct lm_snapshot_site *site);

enum lm_style lm_site_level_style(enum lm_level level);

/* The type with blanks for underscores, in the buffer. */
const char *lm_site_type_words(enum lm_finding_type type, char *buffer, size_t size);

#endif
