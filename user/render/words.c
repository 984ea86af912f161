// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers in words. printf's own grouping and strftime's %c would follow the locale. */
#include "user/render/words.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const struct lm_words unknown = {"?"};

struct lm_words lm_words_count(int64_t count)
{
	struct lm_words words;
	char digits[24];
	size_t len, at = 0;

	if (count < 0)
		return unknown;
	len = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, count);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			words.text[at++] = ',';
		words.text[at++] = digits[i];
	}
	words.text[at] = '\0';
	return words;
}

/* "12.3": printf would take the decimal point of the locale. */
static struct lm_words tenths(double value)
{
	int64_t rounded = (int64_t)(value * 10 + 0.5);
	struct lm_words words = lm_words_count(rounded / 10);
	size_t len = strlen(words.text);

	snprintf(words.text + len, sizeof(words.text) - len, ".%d", (int)(rounded % 10));
	return words;
}

static struct lm_words with_unit(struct lm_words words, const char *unit)
{
	size_t len = strlen(words.text);

	snprintf(words.text + len, sizeof(words.text) - len, "%s", unit);
	return words;
}

/* "3d4h", "3d". */
static struct lm_words two_units(
	int64_t s, int64_t large, const char *large_unit, int64_t small, const char *small_unit)
{
	struct lm_words words;
	int64_t rest = s % large / small;

	if (rest)
		snprintf(words.text, sizeof(words.text), "%" PRId64 "%s%" PRId64 "%s", s / large, large_unit, rest,
			small_unit);
	else
		snprintf(words.text, sizeof(words.text), "%" PRId64 "%s", s / large, large_unit);
	return words;
}

struct lm_words lm_words_duration(double s)
{
	struct lm_words words;
	int64_t whole;

	if (!isfinite(s) || s < 0 || s > 1e15)
		return unknown;
	if (s == 0)
		return (struct lm_words){"0s"};
	if (s < 0.09995)
		return with_unit(tenths(s * 1000), "ms");
	if (s < 0.9995)
		return with_unit(lm_words_count((int64_t)(s * 1000 + 0.5)), "ms");
	if (s < 59.95)
		return with_unit(tenths(s), "s");
	whole = s < MINUTE ? MINUTE : (int64_t)s;
	if (whole < 10 * MINUTE)
		return two_units(whole, MINUTE, "m", 1, "s");
	if (whole < HOUR)
		return two_units(whole, MINUTE, "m", MINUTE, "");
	if (whole < DAY)
		return two_units(whole, HOUR, "h", MINUTE, "m");
	if (whole < 100 * DAY)
		return two_units(whole, DAY, "d", HOUR, "h");
	words = lm_words_count(whole / DAY);
	return with_unit(words, "d");
}

struct lm_words lm_words_rate(double per_h)
{
	struct lm_words words = {"?/h"}, size;

	if (!isfinite(per_h) || fabs(per_h) > 1e15)
		return words;
	if (fabs(per_h) < 0.05)
		return (struct lm_words){"0/h"};
	size = fabs(per_h) < 999.95 ? tenths(fabs(per_h)) : lm_words_count((int64_t)(fabs(per_h) + 0.5));
	snprintf(words.text, sizeof(words.text), "%s%.40s/h", per_h < 0 ? "−" : "", size.text);
	return words;
}

struct lm_words lm_words_bytes(int64_t bytes)
{
	static const char *const units[] = {" KiB", " MiB", " GiB", " TiB"};
	double value = bytes / 1024.0;
	size_t unit = 0;

	if (bytes < 0)
		return unknown;
	while (value >= 1023.95 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	return with_unit(tenths(value), units[unit]);
}

static bool utc(int64_t ns, struct tm *tm)
{
	time_t s = ns / NS_PER_S;

	return ns > 0 && gmtime_r(&s, tm);
}

struct lm_words lm_words_time(int64_t ns)
{
	struct lm_words words;
	struct tm tm;

	if (!utc(ns, &tm) || !strftime(words.text, sizeof(words.text), "%Y-%m-%d %H:%M:%SZ", &tm))
		return unknown;
	return words;
}

struct lm_words lm_words_time_of_day(int64_t ns)
{
	struct lm_words words;
	struct tm tm;

	if (!utc(ns, &tm) || !strftime(words.text, sizeof(words.text), "%H:%M:%SZ", &tm))
		return unknown;
	return words;
}
