/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON written a value at a time, so that a long list needs no more memory than one of its items. */
#ifndef LM_RENDER_JSON_WRITER_H
#define LM_RENDER_JSON_WRITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Begins as zeros but for the stream. */
struct lm_json_writer {
	FILE *stream;
	int error;  /* the first one, 0 or -errno; nothing is written after it */
	bool begun; /* the object or array that is being written has a member */
};

/* The one object that everything else is in. */
void lm_json_open(struct lm_json_writer *writer);
/* Ends it and the line, and flushes. Returns the error. */
int lm_json_close(struct lm_json_writer *writer);

/* Writes the value, and the key before it unless it is NULL. Takes the value over; NULL means no memory. */
void lm_json_put(struct lm_json_writer *writer, const char *key, json_t *value);

void lm_json_open_array(struct lm_json_writer *writer, const char *key);
void lm_json_close_array(struct lm_json_writer *writer);

#endif
