// SPDX-License-Identifier: GPL-2.0-or-later
/* Escaping for every output. The ranges are those of Unicode 15. */
#include "user/render/escape.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct range {
	uint32_t first, last;
};

/* Controls, and what changes how its neighbours look without being seen itself. */
static const struct range unseen[] = {
	{0x00, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, /* soft hyphen */
	{0x61c, 0x61c},                           /* Arabic letter mark */
	{0x180e, 0x180e},                         /* Mongolian vowel separator */
	{0x200b, 0x200f},                         /* zero width, left-to-right and right-to-left marks */
	{0x2028, 0x202e},                         /* line and paragraph separators, embeddings and overrides */
	{0x2060, 0x206f},                         /* joiners, isolates */
	{0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff}, /* tags, variation selectors */
};

/* East Asian wide and fullwidth, and emoji, in round figures: a column too many only cuts a line earlier. */
static const struct range wide[] = {
	{0x1100, 0x115f},
	{0x231a, 0x231b},
	{0x2329, 0x232a},
	{0x23e9, 0x23f3},
	{0x25fd, 0x25fe},
	{0x2614, 0x2615},
	{0x2648, 0x2653},
	{0x26a1, 0x26ff},
	{0x2705, 0x2757},
	{0x2795, 0x27bf},
	{0x2b1b, 0x2b55},
	{0x2e80, 0x303e},
	{0x3041, 0x33ff},
	{0x3400, 0x4dbf},
	{0x4e00, 0xa4cf},
	{0xa960, 0xa97f},
	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},
	{0xfe10, 0xfe19},
	{0xfe30, 0xfe6f},
	{0xff00, 0xff60},
	{0xffe0, 0xffe6},
	{0x16fe0, 0x18aff},
	{0x1b000, 0x1b2ff},
	{0x1f000, 0x1faff},
	{0x20000, 0x3fffd},
};

static bool in_ranges(const struct range *ranges, size_t len, uint32_t character)
{
	for (size_t i = 0; i < len && ranges[i].first <= character; i++) {
		if (character <= ranges[i].last)
			return true;
	}
	return false;
}

size_t lm_utf8_decode(const char *text, uint32_t *character)
{
	const unsigned char *byte = (const unsigned char *)text;
	uint32_t value = byte[0], least;
	size_t len;

	if (value < 0x80) {
		*character = value;
		return value != 0;
	}
	if (value >= 0xc2 && value <= 0xdf) {
		len = 2, value &= 0x1f, least = 0x80;
	} else if (value >= 0xe0 && value <= 0xef) {
		len = 3, value &= 0x0f, least = 0x800;
	} else if (value >= 0xf0 && value <= 0xf4) {
		len = 4, value &= 0x07, least = 0x10000;
	} else {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (byte[i] & 0x3f);
	}
	if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*character = value;
	return len;
}

int lm_utf8_width(uint32_t character)
{
	return in_ranges(wide, sizeof(wide) / sizeof(wide[0]), character) ? 2 : 1;
}

size_t lm_escape_next(const char **text, char out[LM_ESCAPE_MAX])
{
	uint32_t character;
	size_t len = lm_utf8_decode(*text, &character);

	if (!len) {
		(*text)++;
		return (size_t)snprintf(out, LM_ESCAPE_MAX, "\xef\xbf\xbd");
	}
	if (in_ranges(unseen, sizeof(unseen) / sizeof(unseen[0]), character)) {
		*text += len;
		return (size_t)snprintf(out, LM_ESCAPE_MAX, character < 0x80 ? "\\x%02x" : "\\u{%x}", character);
	}
	memcpy(out, *text, len);
	out[len] = '\0';
	*text += len;
	return len;
}

char *lm_escape(const char *text)
{
	/* The worst that a byte can become is \xNN. */
	char *escaped = malloc(4 * strlen(text) + LM_ESCAPE_MAX);
	size_t len = 0;

	if (!escaped)
		return NULL;
	escaped[0] = '\0';
	while (*text)
		len += lm_escape_next(&text, escaped + len);
	return escaped;
}
