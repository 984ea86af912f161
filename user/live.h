/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal while a live view is on it: its size, its other screen, its keys. */
#ifndef LM_LIVE_H
#define LM_LIVE_H

#include <stdbool.h>
#include <stdio.h>
#include <termios.h>

struct lm_live {
	FILE *stream;
	bool keys; /* stdin is this terminal too: it is read key by key */
	struct termios before;
};

/* Switches to the other screen and to single keys. */
void lm_live_enter(struct lm_live *live, FILE *stream);
/* Puts the terminal back as it was. */
void lm_live_leave(struct lm_live *live);
/* The same as at first, after somebody else has had the terminal. */
void lm_live_enter_again(struct lm_live *live);

/* The window's size; 0 × 0 when it is not known. */
void lm_live_size(const struct lm_live *live, int *columns, int *rows);

/* What draws a text, which ends with a newline, in place of the one before; to be freed. 0 or -errno. */
int lm_live_frame(const char *text, char **frame, size_t *len);

/* Reads the keys that were pressed: true if one of them was q. */
bool lm_live_quit_pressed(void);

#endif
