// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines, their styles, and how they are cut and wrapped. What stands in them is decided by text.c. */
#include "user/render/page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/render/escape.h"

#define RESET "\033[0m"
#define NARROW 8 /* columns that prose needs beside its indent; else it is not indented */

static const char *const codes[] = {
	[LM_STYLE_PLAIN] = RESET,
	[LM_STYLE_BOLD] = "\033[1m",
	[LM_STYLE_RED] = "\033[1;31m",
	[LM_STYLE_YELLOW] = "\033[33m",
	[LM_STYLE_DIM] = "\033[2m",
};

struct lm_page {
	size_t columns; /* 0 = no limit */
	bool color;
	int error;
	char **lines;
	size_t lines_len, lines_cap;
	char *line; /* the one being built */
	size_t len, cap;
	enum lm_style style;
};

struct lm_page *lm_page_new(int columns, bool color)
{
	struct lm_page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->columns = columns > 0 ? (size_t)columns : 0;
	page->color = color;
	return page;
}

void lm_page_free(struct lm_page *page)
{
	if (!page)
		return;
	for (size_t i = 0; i < page->lines_len; i++)
		free(page->lines[i]);
	free(page->lines);
	free(page->line);
	free(page);
}

int lm_page_error(const struct lm_page *page)
{
	return page->error;
}

static bool make_room(struct lm_page *page, size_t len)
{
	size_t cap = page->cap ? page->cap : 256;
	char *line;

	if (page->error)
		return false;
	while (cap - page->len < len + 1)
		cap *= 2;
	if (cap == page->cap)
		return true;
	line = realloc(page->line, cap);
	if (!line) {
		page->error = -ENOMEM;
		return false;
	}
	page->line = line;
	page->cap = cap;
	return true;
}

static void append(struct lm_page *page, const char *text, size_t len)
{
	if (!make_room(page, len))
		return;
	memcpy(page->line + page->len, text, len);
	page->len += len;
	page->line[page->len] = '\0';
}

void lm_page_add(struct lm_page *page, const char *text)
{
	while (text && *text && !page->error) {
		char character[LM_ESCAPE_MAX];
		size_t len = lm_escape_next(&text, character);

		append(page, character, len);
	}
}

void lm_page_print(struct lm_page *page, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || !make_room(page, (size_t)len))
		return;
	va_start(args, format);
	vsnprintf(page->line + page->len, (size_t)len + 1, format, args);
	va_end(args);
	page->len += (size_t)len;
}

void lm_page_style(struct lm_page *page, enum lm_style style)
{
	if (!page->color || style == page->style)
		return;
	/* A style starts from the plain one, so that none adds to another. */
	if (page->style != LM_STYLE_PLAIN)
		append(page, RESET, strlen(RESET));
	if (style != LM_STYLE_PLAIN)
		append(page, codes[style], strlen(codes[style]));
	page->style = style;
}

/* Bytes of the escape sequence of our own that the text begins with; others have been escaped. */
static size_t code_len(const char *text)
{
	return *text == '\033' ? strcspn(text, "m") + 1 : 0;
}

/* Bytes and columns of the next character of a line. */
static size_t next_character(const char *text, size_t *width)
{
	size_t len = code_len(text);
	uint32_t character;

	*width = 0;
	if (len)
		return len;
	len = lm_utf8_decode(text, &character);
	*width = len ? (size_t)lm_utf8_width(character) : 1;
	return len ? len : 1;
}

static size_t columns_of(const char *text)
{
	size_t columns = 0, width;

	while (*text) {
		text += next_character(text, &width);
		columns += width;
	}
	return columns;
}

size_t lm_page_column(const struct lm_page *page)
{
	return page->len ? columns_of(page->line) : 0;
}

void lm_page_fill(struct lm_page *page, size_t column)
{
	for (size_t at = lm_page_column(page); at < column; at++)
		append(page, " ", 1);
}

size_t lm_page_width(const char *text)
{
	size_t columns = 0;

	while (*text) {
		char character[LM_ESCAPE_MAX];

		lm_escape_next(&text, character);
		columns += columns_of(character);
	}
	return columns;
}

static void push(struct lm_page *page, char *line)
{
	if (page->lines_len == page->lines_cap) {
		size_t cap = page->lines_cap ? 2 * page->lines_cap : 64;
		char **lines = realloc(page->lines, cap * sizeof(*lines));

		if (!lines) {
			page->error = -ENOMEM;
			free(line);
			return;
		}
		page->lines = lines;
		page->lines_cap = cap;
	}
	page->lines[page->lines_len++] = line;
}

/* How many bytes of the text fit into that many columns. */
static size_t fitting(const char *text, size_t columns)
{
	size_t at = 0, used = 0;

	while (text[at]) {
		size_t width, len = next_character(text + at, &width);

		if (used + width > columns)
			break;
		used += width;
		at += len;
	}
	return at;
}

static void push_built(struct lm_page *page)
{
	char *line;

	if (page->error)
		return;
	line = strdup(page->line ? page->line : "");
	if (line)
		push(page, line);
	else
		page->error = -ENOMEM;
}

/* The style that is on after the text, which began with that one. */
static enum lm_style style_after(const char *text, size_t len, enum lm_style style)
{
	for (size_t at = 0; at < len;) {
		size_t code = code_len(text + at), width;

		for (size_t i = 0; code && i < sizeof(codes) / sizeof(codes[0]); i++) {
			if (strlen(codes[i]) == code && strncmp(text + at, codes[i], code) == 0)
				style = (enum lm_style)i;
		}
		at += next_character(text + at, &width);
	}
	return style;
}

static void shorten(struct lm_page *page, size_t len)
{
	page->len = len;
	if (page->line)
		page->line[len] = '\0';
}

/* Cuts blanks and styles off the end, so that the line ends with something to see. */
static void trim(struct lm_page *page)
{
	for (;;) {
		char *code;

		while (page->len && page->line[page->len - 1] == ' ')
			shorten(page, page->len - 1);
		code = page->len ? strrchr(page->line, '\033') : NULL;
		if (!code || code[code_len(code)])
			return;
		shorten(page, (size_t)(code - page->line));
	}
}

/* Cuts the line to that many columns; its last one says so. */
static void cut(struct lm_page *page, size_t columns)
{
	if (page->error || lm_page_column(page) <= columns)
		return;
	shorten(page, fitting(page->line, columns - 1));
	trim(page);
	append(page, "…", strlen("…"));
}

/* Ends the style that is on. */
static void reset(struct lm_page *page)
{
	if (page->len && style_after(page->line, page->len, LM_STYLE_PLAIN) != LM_STYLE_PLAIN)
		append(page, RESET, strlen(RESET));
	page->style = LM_STYLE_PLAIN;
}

void lm_page_cell(struct lm_page *page, size_t column)
{
	cut(page, column);
	reset(page);
	lm_page_fill(page, column);
}

size_t lm_page_end(struct lm_page *page)
{
	size_t number = page->lines_len;

	if (page->columns)
		cut(page, page->columns);
	trim(page);
	reset(page);
	push_built(page);
	shorten(page, 0);
	return number;
}

/* Bytes of the text for a line of that many columns: up to a blank if there is one. */
static size_t break_at(const char *text, size_t columns)
{
	size_t len = fitting(text, columns), blank = len, width;

	if (!text[len])
		return len;
	while (blank && text[blank] != ' ')
		blank--;
	if (blank > strspn(text, " "))
		return blank;
	/* a character that is wider than the line must not stop it */
	return len ? len : next_character(text, &width);
}

size_t lm_page_end_prose(struct lm_page *page, size_t indent)
{
	size_t number = page->lines_len;
	enum lm_style style = LM_STYLE_PLAIN;
	const char *rest;
	char *text;

	if (!page->columns || lm_page_column(page) <= page->columns)
		return lm_page_end(page);
	if (indent + NARROW > page->columns)
		indent = 0;
	text = strdup(page->line);
	if (!text) {
		page->error = -ENOMEM;
		return number;
	}
	page->style = LM_STYLE_PLAIN;
	shorten(page, 0);
	for (rest = text; *rest && !page->error; rest += strspn(rest, " ")) {
		size_t len = break_at(rest, page->columns - (rest == text ? 0 : indent));

		if (rest != text)
			lm_page_fill(page, indent);
		lm_page_style(page, style);
		append(page, rest, len);
		style = page->color ? style_after(rest, len, style) : LM_STYLE_PLAIN;
		page->style = style;
		rest += len;
		lm_page_end(page);
	}
	free(text);
	return number;
}

size_t lm_page_len(const struct lm_page *page)
{
	return page->lines_len;
}

void lm_page_write(const struct lm_page *page, size_t line, FILE *stream)
{
	if (line < page->lines_len) {
		fputs(page->lines[line], stream);
		fputc('\n', stream);
	}
}
