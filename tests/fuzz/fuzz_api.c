// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of every kind to the endpoints: path, parameters and Accept as libFuzzer says. Every answer must be whole:
 * JSON that parses, text without control characters, all of it UTF-8.
 *
 * An input is a byte that says which report there is and what the history does, and then "path?parameters\nAccept".
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fake_history.h"
#include "user/api.h"
#include "user/web/assets.h"

#define VALUE_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const struct lm_asset *lm_asset_find(const char *path)
{
	static const struct lm_asset page = {"/", "text/html; charset=utf-8", "<!doctype html>\n", 16};

	return strcmp(path, page.path) == 0 ? &page : NULL;
}

/* "name=value&…"; what is longer than a value may be is cut. */
static const char *parameter(const void *context, const char *name)
{
	static char value[VALUE_MAX];
	size_t len = strlen(name), value_len;

	for (const char *at = context; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
		if (strncmp(at, name, len) != 0 || at[len] != '=')
			continue;
		at += len + 1;
		value_len = strcspn(at, "&");
		if (value_len >= VALUE_MAX)
			value_len = VALUE_MAX - 1;
		memcpy(value, at, value_len);
		value[value_len] = '\0';
		return value;
	}
	return NULL;
}

static void check_text(const struct lm_api_answer *answer)
{
	json_t *utf8 = json_stringn(answer->body, answer->len);

	if (!utf8 || strlen(answer->body) != answer->len)
		abort();
	json_decref(utf8);
	for (size_t i = 0; i < answer->len; i++) {
		unsigned char byte = (unsigned char)answer->body[i];

		if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f)
			abort();
	}
}

static void check_answer(const struct lm_api_answer *answer)
{
	json_t *value;

	if (answer->status < 200 || answer->status > 599 || !answer->content_type || !answer->body)
		abort();
	if (strcmp(answer->content_type, "application/octet-stream") != 0)
		check_text(answer);
	if (strcmp(answer->content_type, "application/json") != 0)
		return;
	value = json_loadb(answer->body, answer->len, JSON_REJECT_DUPLICATES, NULL);
	if (!value)
		abort();
	json_decref(value);
}

/* Divides the input, which is changed; a part that is not there is "". */
static struct lm_api_request request_of(char *input)
{
	char *accept = strchr(input, '\n'), *parameters;

	if (accept)
		*accept++ = '\0';
	parameters = strchr(input, '?');
	if (parameters)
		*parameters++ = '\0';
	return (struct lm_api_request){
		.path = input, .parameter = parameter, .context = parameters ? parameters : "", .accept = accept};
}

static void ask(uint8_t choice, char *input)
{
	static const struct lm_snapshot *const snapshots[] = {
		NULL, &leaky_snapshot, &hostile_snapshot, &nameless_snapshot, &ended_snapshot, &go_snapshot};
	static const int errors[] = {0, -EIO, -ENOENT, -ENOMEM};
	struct lm_metrics_self self = {0};
	struct lm_history history = {.error = errors[choice / 8 % 4]};
	struct lm_api_source source = {.snapshot = snapshots[choice % 8 < LEN(snapshots) ? choice % 8 : 1],
		.self = &self,
		.history = choice & 0x20 ? NULL : &history,
		.history_why = choice & 0x20 ? "the disk\033 is full" : NULL,
		.max_series = 100};
	struct lm_api_request request = request_of(input);
	struct lm_api_answer answer;

	if (lm_api_answer(&source, &request, &answer))
		return;
	check_answer(&answer);
	lm_api_answer_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input;

	if (!size)
		return 0;
	input = calloc(1, size);
	if (!input)
		return 0;
	memcpy(input, data + 1, size - 1);
	ask(data[0], input);
	free(input);
	return 0;
}
