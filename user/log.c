// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Words about the work: each message becomes one line without control characters,
 * since names of processes enter messages, and goes to the sink in one piece.
 */
#include "user/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One line. Longer than any message with two paths in it; the rest of a longer one is cut. */
#define LINE_BYTES 9216
#define PREFIX "leakmon: "
#define ELLIPSIS "…"

static struct {
	lm_log_sink *sink; /* NULL: stderr */
	void *context;
	enum lm_log_level level;
	bool is_journal;
} log_state = {.level = LM_LOG_NOTICE};

void lm_log_set_sink(lm_log_sink *sink, void *context)
{
	log_state.sink = sink;
	log_state.context = context;
}

void lm_log_set_level(enum lm_log_level level)
{
	log_state.level = level;
}

void lm_log_for_journal(bool is_journal)
{
	log_state.is_journal = is_journal;
}

/* Length of the UTF-8 character at text if it may stand in a line, else 0: controls (C1 too), line separators, marks
 * that turn the direction of text, surrogates and overlong forms may not. */
static size_t harmless_length(const char *text)
{
	static const struct {
		unsigned char first, last, length;
	} leads[] = {{0x20, 0x7e, 1}, {0xc2, 0xdf, 2}, {0xe0, 0xef, 3}, {0xf0, 0xf4, 4}};
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *bytes = (const unsigned char *)text;
	uint32_t character;
	size_t length = 0;

	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		if (bytes[0] >= leads[i].first && bytes[0] <= leads[i].last)
			length = leads[i].length;
	}
	if (length < 2)
		return length;
	character = bytes[0] & (0x7f >> length);
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (bytes[i] & 0x3f);
	}
	if (character < lowest[length] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
		return 0;
	if (character < 0xa0 || (character >= 0x200b && character <= 0x200f) ||
		(character >= 0x2028 && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069))
		return 0;
	return length;
}

/* Copies text to line, which ends with a 0; what does not fit is cut and said so. Returns the length. */
static size_t escape(const char *text, char *line, size_t size)
{
	const size_t room = size - sizeof(ELLIPSIS);
	size_t len = 0;

	while (*text) {
		size_t length = harmless_length(text);
		char hex[5];

		if (!length)
			snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)*text);
		if (len + (length ? length : 4) > room) {
			memcpy(line + len, ELLIPSIS, sizeof(ELLIPSIS) - 1);
			len += sizeof(ELLIPSIS) - 1;
			break;
		}
		memcpy(line + len, length ? text : hex, length ? length : 4);
		len += length ? length : 4;
		text += length ? length : 1;
	}
	line[len] = 0;
	return len;
}

/* One write: lines of several processes on one terminal do not mix. A line that cannot be written is lost: there is
 * nowhere left to say so. */
static void write_line(const char *line, size_t len)
{
	while (len) {
		ssize_t written = write(STDERR_FILENO, line, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		line += written;
		len -= written;
	}
}

void lm_log(enum lm_log_level level, const char *format, ...)
{
	char text[LINE_BYTES], line[LINE_BYTES + sizeof(PREFIX)];
	/* those of syslog(3) */
	static const char *const priorities[] = {"<3>", "<4>", "<5>", "<6>", "<7>"};
	const char *prefix = log_state.is_journal ? priorities[level] : PREFIX;
	const size_t prefix_len = strlen(prefix);
	int saved_errno = errno;
	va_list args;
	size_t len;

	if (level > log_state.level)
		return;
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args) < 0 ? 0 : 1;
	va_end(args);
	if (!len)
		snprintf(text, sizeof(text), "%s", format);
	memcpy(line, prefix, prefix_len);
	/* one byte is kept for the end of the line */
	len = prefix_len + escape(text, line + prefix_len, sizeof(line) - prefix_len - 1);
	if (log_state.sink) {
		log_state.sink(level, line + prefix_len, log_state.context);
	} else {
		line[len++] = '\n';
		write_line(line, len);
	}
	errno = saved_errno;
}
