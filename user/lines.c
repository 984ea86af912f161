// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads a file in large pieces and hands over its lines in place. What a line means is left to who asked. */
#include "user/lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reader {
	lm_line_handler *handler;
	void *context;
	size_t len;
	bool skipping;                      /* the rest of a line that was too long */
	char buffer[LM_LINE_BYTES_MAX + 1]; /* and the 0 behind a line that fills it */
};

static int hand_over(struct reader *reader, char *line, char *line_end, enum lm_line_end end)
{
	*line_end = 0;
	return reader->handler(line, end, reader->context);
}

/* Takes the whole lines off the buffer; what is left moves to its front. */
static int take_lines(struct reader *reader)
{
	char *line = reader->buffer, *buffer_end = reader->buffer + reader->len, *end;
	int error = 0;

	while (!error && (end = memchr(line, '\n', buffer_end - line))) {
		if (!reader->skipping)
			error = hand_over(reader, line, end, LM_LINE_WHOLE);
		reader->skipping = false;
		line = end + 1;
	}
	reader->len = buffer_end - line;
	memmove(reader->buffer, line, reader->len);
	if (error || reader->len < LM_LINE_BYTES_MAX)
		return error;
	if (!reader->skipping)
		error = hand_over(reader, reader->buffer, buffer_end, LM_LINE_TOO_LONG);
	reader->skipping = true;
	reader->len = 0;
	return error;
}

int lm_lines_read(int fd, lm_line_handler *handler, void *context)
{
	struct reader *reader = malloc(sizeof(*reader));
	int error = 0;

	if (!reader)
		return -ENOMEM;
	reader->handler = handler;
	reader->context = context;
	reader->len = 0;
	reader->skipping = false;
	while (!error) {
		ssize_t got = read(fd, reader->buffer + reader->len, LM_LINE_BYTES_MAX - reader->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			error = -errno;
		if (got <= 0)
			break;
		reader->len += got;
		error = take_lines(reader);
	}
	if (!error && reader->len && !reader->skipping)
		error = hand_over(reader, reader->buffer, reader->buffer + reader->len, LM_LINE_UNENDED);
	free(reader);
	return error;
}
