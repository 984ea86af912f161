/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that came from a process, made harmless: what comes out is valid UTF-8
 * without anything that a terminal or a reader of logs would act on.
 *
 * Bytes that are no UTF-8 become U+FFFD, one each. ASCII control characters become
 * \xNN; other characters that nobody can see (C1 controls, line separators, marks
 * that turn the direction of text, zero width) become \u{hex}. A backslash stays as
 * it is, so that ordinary text is never changed.
 */
#ifndef LM_RENDER_ESCAPE_H
#define LM_RENDER_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#define LM_ESCAPE_MAX 16 /* bytes that one character may become, with the final 0 */

/* Takes one character off the text, which must not be at its end, and writes its harmless form to out, ended by a 0.
 * Returns the length of it. */
size_t lm_escape_next(const char **text, char out[LM_ESCAPE_MAX]);

/* The whole text in its harmless form; the caller frees it. NULL when there is no memory. */
char *lm_escape(const char *text);

/* Length of the UTF-8 character that the text begins with, and the character; 0 if it is none, or the text is empty. */
size_t lm_utf8_decode(const char *text, uint32_t *character);

/* Columns of a terminal that a printable character takes: 2 for wide ones, else 1. Does not depend on the locale. */
int lm_utf8_width(uint32_t character);

#endif
