// SPDX-License-Identifier: GPL-2.0-or-later
#include "user/render/json_values.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "user/render/escape.h"

#define NS_PER_S INT64_C(1000000000)

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			return false;
	}
	return true;
}

json_t *lm_json_text(const char *text)
{
	json_t *value;
	char *escaped;

	if (!text || !*text)
		return json_null();
	if (is_plain(text))
		return json_string_nocheck(text);
	escaped = lm_escape(text);
	if (!escaped)
		return NULL;
	value = json_string_nocheck(escaped);
	free(escaped);
	return value;
}

json_t *lm_json_time(int64_t ns)
{
	time_t s = ns / NS_PER_S;
	char date[32], text[48];
	struct tm tm;

	if (ns <= 0 || !gmtime_r(&s, &tm))
		return json_null();
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(ns % NS_PER_S / 1000000));
	return json_string_nocheck(text);
}

json_t *lm_json_real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

/* A count, of which -1 is not known. */
json_t *lm_json_count(int64_t count)
{
	return count >= 0 ? json_integer(count) : json_null();
}

/* JSON readers have 64 bits with a sign at most; what is beyond is no offset but garbage. */
json_t *lm_json_offset(uint64_t offset)
{
	return offset <= INT64_MAX ? json_integer((json_int_t)offset) : json_null();
}

/* Puts the value, which it takes over, into the object. No memory for either leaves NULL in place of the object. */
void lm_json_set(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(*object, key, value) != 0) {
		json_decref(*object);
		*object = NULL;
	}
}

json_t *lm_json_array(const void *items, size_t len, size_t item_size, lm_json_builder *build)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < len; i++) {
		if (json_array_append_new(array, build((const char *)items + i * item_size)) != 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

json_t *lm_json_address(uint64_t address)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	return json_string_nocheck(text);
}

json_t *lm_json_site_id(uint64_t site)
{
	char text[32];

	snprintf(text, sizeof(text), "%016" PRIx64, site);
	return json_string_nocheck(text);
}
