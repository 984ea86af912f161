/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page: lines of text that are composed first and chosen and written afterwards,
 * so that a report can be fitted into a window. A line is built by adding pieces of
 * text to it and then ended. Text that came from a process goes through
 * lm_page_add, which escapes it. Errors stick: look at lm_page_error at the end.
 */
#ifndef LM_RENDER_PAGE_H
#define LM_RENDER_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum lm_style { LM_STYLE_PLAIN, LM_STYLE_BOLD, LM_STYLE_RED, LM_STYLE_YELLOW, LM_STYLE_DIM };

struct lm_page;

/* Lines are cut to this many columns, 0 = never; without color, styles do nothing. NULL when there is no memory. */
struct lm_page *lm_page_new(int columns, bool color);
void lm_page_free(struct lm_page *page);

/* 0, or -ENOMEM if anything could not be added. */
int lm_page_error(const struct lm_page *page);

void lm_page_add(struct lm_page *page, const char *text); /* escaped */
void lm_page_print(struct lm_page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lm_page_style(struct lm_page *page, enum lm_style style);

/* Columns that the line takes so far. */
size_t lm_page_column(const struct lm_page *page);
/* Fills the line with blanks up to that column. */
void lm_page_fill(struct lm_page *page, size_t column);
/* The same, but cuts the line with … if it is already longer. Styles are off after it. */
void lm_page_cell(struct lm_page *page, size_t column);

/* Ends the line: without trailing blanks, cut with … if it is too long. Returns its number, counted from 0. */
size_t lm_page_end(struct lm_page *page);
/* Ends the line as prose: what is too long goes on below, indented by that many blanks. Returns the first's number. */
size_t lm_page_end_prose(struct lm_page *page, size_t indent);

/* Lines ended so far. */
size_t lm_page_len(const struct lm_page *page);
/* Writes a line and a newline. */
void lm_page_write(const struct lm_page *page, size_t line, FILE *stream);

/* Columns that a text takes once it is escaped. */
size_t lm_page_width(const char *text);

#endif
