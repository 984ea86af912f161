// SPDX-License-Identifier: GPL-2.0-or-later
#include "user/render/json_writer.h"

#include <errno.h>
#include <string.h>

/* 12 digits: milliseconds of a century, and 0.1 stays 0.1. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12))

static void put_bytes(struct lm_json_writer *writer, const char *bytes, size_t len)
{
	if (writer->error)
		return;
	errno = 0;
	if (fwrite(bytes, 1, len, writer->stream) != len)
		writer->error = errno ? -errno : -EIO;
}

static int dump_bytes(const char *bytes, size_t len, void *context)
{
	struct lm_json_writer *writer = context;

	put_bytes(writer, bytes, len);
	return writer->error ? -1 : 0;
}

static void put(struct lm_json_writer *writer, const char *text)
{
	put_bytes(writer, text, strlen(text));
}

static void put_key(struct lm_json_writer *writer, const char *key)
{
	if (writer->begun)
		put(writer, ",");
	writer->begun = true;
	if (key) {
		put(writer, "\"");
		put(writer, key);
		put(writer, "\":");
	}
}

void lm_json_put(struct lm_json_writer *writer, const char *key, json_t *value)
{
	if (!value && !writer->error)
		writer->error = -ENOMEM;
	put_key(writer, key);
	if (value && !writer->error && json_dump_callback(value, dump_bytes, writer, DUMP_FLAGS) && !writer->error)
		writer->error = -ENOMEM;
	json_decref(value);
}

void lm_json_open(struct lm_json_writer *writer)
{
	put(writer, "{");
	writer->begun = false;
}

int lm_json_close(struct lm_json_writer *writer)
{
	put(writer, "}\n");
	errno = 0;
	if (!writer->error && fflush(writer->stream) != 0)
		writer->error = errno ? -errno : -EIO;
	return writer->error;
}

void lm_json_open_array(struct lm_json_writer *writer, const char *key)
{
	put_key(writer, key);
	put(writer, "[");
	writer->begun = false;
}

void lm_json_close_array(struct lm_json_writer *writer)
{
	put(writer, "]");
	writer->begun = true;
}
