// SPDX-License-Identifier: GPL-2.0-or-later
/* Bodies of answers, and of errors. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/api_state.h"
#include "user/render/escape.h"
#include "user/render/json_values.h"

int lm_api_write(struct lm_api_call *call, const char *content_type, lm_api_writer *write, const void *context)
{
	char *body = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&body, &len);
	int error;

	if (!stream)
		return -ENOMEM;
	error = write(stream, call, context);
	/* a stream in memory fails for want of memory only */
	if (fclose(stream) != 0 && !error)
		error = -ENOMEM;
	if (error) {
		free(body);
		return error;
	}
	call->answer.status = 200;
	call->answer.content_type = content_type;
	call->answer.body = body;
	call->answer.len = len;
	return 0;
}

int lm_api_say(struct lm_api_call *call, unsigned int status, const char *text)
{
	int len = asprintf(&call->answer.body, "%s\n", text);

	if (len < 0) {
		call->answer.body = NULL;
		return -ENOMEM;
	}
	call->answer.status = status;
	call->answer.content_type = LM_API_TEXT;
	call->answer.len = (size_t)len;
	return 0;
}

struct refusal {
	const char *error, *hint;
};

static int write_json(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct refusal *refusal = context;
	struct lm_json_writer writer = {.stream = stream};

	(void)call;
	lm_json_open(&writer);
	lm_json_put(&writer, "schema", json_string("leakmon.error/1"));
	lm_json_put(&writer, "error", lm_json_text(refusal->error));
	lm_json_put(&writer, "hint", lm_json_text(refusal->hint));
	return lm_json_close(&writer);
}

static int put_line(FILE *stream, const char *text)
{
	char *line = lm_escape(text);

	if (!line)
		return -ENOMEM;
	fprintf(stream, "%s\n", line);
	free(line);
	return 0;
}

static int write_text(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct refusal *refusal = context;
	int error = put_line(stream, refusal->error);

	(void)call;
	if (!error && refusal->hint)
		error = put_line(stream, refusal->hint);
	return error;
}

int lm_api_refuse(struct lm_api_call *call, unsigned int status, const char *hint, const char *format, ...)
{
	bool is_json = strncmp(call->request->path, "/api/", 5) == 0;
	struct refusal refusal = {.hint = hint};
	char *text;
	va_list arguments;
	int error;

	va_start(arguments, format);
	error = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (error < 0)
		return -ENOMEM;
	refusal.error = text;
	error = lm_api_write(call, is_json ? LM_API_JSON : LM_API_TEXT, is_json ? write_json : write_text, &refusal);
	free(text);
	if (error)
		return error;
	call->answer.status = status;
	return LM_API_REFUSED;
}

int lm_api_need_snapshot(struct lm_api_call *call)
{
	if (call->source->snapshot)
		return 0;
	return lm_api_refuse(call, 503, "ask again in a moment; /-/ready tells when", "there was no report yet");
}

const char *lm_api_no_history(const struct lm_api_call *call)
{
	if (call->source->history)
		return NULL;
	return call->source->history_why ? call->source->history_why : "there is no history";
}
