// SPDX-License-Identifier: GPL-2.0-or-later
/* Values that a client sends: each is checked to its end and its range. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "user/api_state.h"
#include "user/opts.h"
#include "user/render/escape.h"

#define DIGITS "0123456789"
#define NS_PER_S INT64_C(1000000000)
#define S_MAX (INT64_MAX / NS_PER_S) /* in the year 2262 */
#define S_PER_MIN 60
#define S_PER_H 3600
#define QUOTED_BYTES 80 /* of a wrong value that is said again */

/* The text in its harmless form, cut at a character. */
static void quote(const char *text, char quoted[QUOTED_BYTES])
{
	size_t len = 0;

	quoted[0] = '\0';
	while (*text) {
		char character[LM_ESCAPE_MAX];
		size_t more = lm_escape_next(&text, character);

		if (len + more + sizeof("…") > QUOTED_BYTES) {
			memcpy(quoted + len, "…", sizeof("…"));
			return;
		}
		memcpy(quoted + len, character, more + 1);
		len += more;
	}
}

const char *lm_api_parameter_of(const struct lm_api_call *call, const char *name)
{
	const struct lm_api_request *request = call->request;

	return request->parameter ? request->parameter(request->context, name) : NULL;
}

int lm_api_refuse_value(struct lm_api_call *call, const char *name, const char *value, const char *right)
{
	char quoted[QUOTED_BYTES];

	quote(value, quoted);
	return lm_api_refuse(call, 400, right, "%s: \"%s\" is wrong", name, quoted);
}

/* A whole number without a sign; -EINVAL, -ERANGE above the limit. */
static int parse_number(const char *text, uint64_t max, uint64_t *number)
{
	uint64_t sum = 0;

	if (!*text || text[strspn(text, DIGITS)])
		return -EINVAL;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (sum > (max - digit) / 10)
			return -ERANGE;
		sum = sum * 10 + digit;
	}
	*number = sum;
	return 0;
}

int lm_api_take_count(struct lm_api_call *call, const char *name, int *count)
{
	const char *value = lm_api_parameter_of(call, name);
	uint64_t number;

	if (!value)
		return 0;
	if (parse_number(value, INT_MAX, &number))
		return lm_api_refuse_value(call, name, value, "give a number from 0 to 2147483647");
	*count = (int)number;
	return 0;
}

int lm_api_take_level(struct lm_api_call *call, const char *name, enum lm_level *level)
{
	const char *value = lm_api_parameter_of(call, name);
	enum lm_level parsed;

	if (!value)
		return 0;
	if (lm_level_parse(value, &parsed))
		return lm_api_refuse_value(call, name, value, "give suspect, likely or confirmed");
	*level = parsed;
	return 0;
}

int lm_api_take_pid(struct lm_api_call *call, uint32_t *pid)
{
	const char *value = lm_api_parameter_of(call, "pid");
	uint64_t number;

	if (!value)
		return 0;
	if (parse_number(value, UINT32_MAX, &number) || !number)
		return lm_api_refuse_value(call, "pid", value, "give the PID of a process, a number from 1 on");
	*pid = (uint32_t)number;
	return 0;
}

int lm_api_parse_site(const char *text, uint64_t *site)
{
	uint64_t value = 0;
	size_t len = 0;

	for (; text[len]; len++) {
		if (len == 16 || !isxdigit((unsigned char)text[len]))
			return -EINVAL;
		value = value << 4 | (uint64_t)(text[len] <= '9' ? text[len] - '0' : (text[len] | 0x20) - 'a' + 10);
	}
	if (len != 16)
		return -EINVAL;
	*site = value;
	return 0;
}

int lm_api_take_site(struct lm_api_call *call, const char *name, bool *is_given, uint64_t *site)
{
	const char *value = lm_api_parameter_of(call, name);

	if (!value || !*value)
		return 0;
	if (lm_api_parse_site(value, site))
		return lm_api_refuse_value(call, name, value, "give the 16 hexadecimal digits of a site");
	*is_given = true;
	return 0;
}

/* --- times --- */

/* Takes so many digits off the text; -1 if it has fewer. */
static int take_digits(const char **text, int digits)
{
	int value = 0;

	for (; digits > 0; digits--, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

/* Takes ".5" off the text if there is one; what is below a nanosecond is dropped. False if a dot has no digits. */
static bool take_fraction(const char **text, int64_t *ns)
{
	int64_t scale = NS_PER_S;

	*ns = 0;
	if (**text != '.')
		return true;
	if (!isdigit((unsigned char)*++*text))
		return false;
	for (; isdigit((unsigned char)**text); (*text)++) {
		scale /= 10;
		*ns += (**text - '0') * scale;
	}
	return true;
}

static bool take_character(const char **text, const char *any_of)
{
	if (!**text || !strchr(any_of, **text))
		return false;
	(*text)++;
	return true;
}

/* How far the time zone is east of UTC. */
static bool take_zone(const char **text, int64_t *s)
{
	int sign = **text == '-' ? -1 : 1, hours, minutes;

	*s = 0;
	if (take_character(text, "Zz"))
		return true;
	if (!take_character(text, "+- "))
		return false;
	hours = take_digits(text, 2);
	if (hours < 0 || hours > 23 || !take_character(text, ":"))
		return false;
	minutes = take_digits(text, 2);
	*s = sign * (int64_t)(hours * S_PER_H + minutes * S_PER_MIN);
	return minutes >= 0 && minutes < 60;
}

static bool take_date(const char **text, struct tm *tm)
{
	*tm = (struct tm){.tm_year = take_digits(text, 4) - 1900};
	if (!take_character(text, "-"))
		return false;
	tm->tm_mon = take_digits(text, 2) - 1;
	if (!take_character(text, "-"))
		return false;
	tm->tm_mday = take_digits(text, 2);
	return take_character(text, "Tt ") && tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1;
}

static bool take_time_of_day(const char **text, struct tm *tm)
{
	tm->tm_hour = take_digits(text, 2);
	if (!take_character(text, ":"))
		return false;
	tm->tm_min = take_digits(text, 2);
	if (!take_character(text, ":"))
		return false;
	tm->tm_sec = take_digits(text, 2);
	return tm->tm_hour >= 0 && tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 && tm->tm_sec >= 0 &&
	       tm->tm_sec <= 60; /* a leap second is the one after it */
}

static int to_ns(int64_t s, int64_t ns, int64_t *time_ns)
{
	if (s < 0 || s >= S_MAX)
		return -ERANGE;
	*time_ns = s * NS_PER_S + ns;
	return 0;
}

static int parse_rfc3339(const char *text, int64_t *time_ns)
{
	struct tm tm, given;
	int64_t ns, zone_s, s;

	if (!take_date(&text, &tm) || !take_time_of_day(&text, &tm) || !take_fraction(&text, &ns) ||
		!take_zone(&text, &zone_s) || *text)
		return -EINVAL;
	given = tm;
	tm.tm_sec = 0;
	s = timegm(&tm);
	/* there is no 30 February */
	if (tm.tm_mon != given.tm_mon)
		return -EINVAL;
	return to_ns(s + given.tm_sec - zone_s, ns, time_ns);
}

/* -EINVAL if it is no plain number. */
static int parse_unix(const char *text, int64_t *time_ns)
{
	int64_t s = 0, ns;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++)
		s = s < S_MAX ? s * 10 + (*text - '0') : S_MAX;
	if (!take_fraction(&text, &ns) || *text)
		return -EINVAL;
	return to_ns(s, ns, time_ns);
}

static int parse_ago(const char *text, int64_t now_ns, int64_t *time_ns)
{
	uint64_t ago_ns;
	int error = lm_opts_parse_duration(text, &ago_ns);

	if (error)
		return error;
	/* longer ago than everything: from the first second on */
	*time_ns = now_ns > 0 && ago_ns < (uint64_t)now_ns ? now_ns - (int64_t)ago_ns : NS_PER_S;
	return 0;
}

int lm_api_parse_time(const char *text, int64_t now_ns, int64_t *time_ns)
{
	int error = parse_unix(text, time_ns);

	if (error == -EINVAL)
		error = parse_rfc3339(text, time_ns);
	if (error == -EINVAL)
		error = parse_ago(text, now_ns, time_ns);
	return error;
}

int lm_api_take_time(struct lm_api_call *call, const char *name, int64_t now_ns, int64_t *time_ns)
{
	const char *value = lm_api_parameter_of(call, name);

	if (!value || !*value)
		return 0;
	if (lm_api_parse_time(value, now_ns, time_ns))
		return lm_api_refuse_value(call, name, value,
			"give a time as 2026-11-23T12:00:00Z, in seconds since 1970 (UTC), or how long ago as 90m, 1h, "
			"2d");
	if (!*time_ns)
		*time_ns = 1; /* 0 is no bound, but this is one */
	return 0;
}
