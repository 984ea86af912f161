// SPDX-License-Identifier: GPL-2.0-or-later
/* Which format of metrics a client prefers: Accept as RFC 9110 (5.6.6, 12.4.2, 12.5.1) has it. What is no media range
 * is passed over. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "user/api_state.h"

#define WEIGHT_MAX 1000 /* q=1 */

struct slice {
	const char *start;
	size_t len;
};

struct range {
	struct slice type, subtype;
	struct slice version; /* its start is NULL without one */
	int weight;           /* 0 to WEIGHT_MAX, -1: it is no weight */
};

/* Of what we have: how well the best range fits, and its weight. */
struct offer {
	const char *type, *subtype, *version;
	int fit, weight;
};

static bool is_token(int character)
{
	return character && (isalnum(character) || strchr("!#$%&'*+-.^_`|~", character));
}

static bool is_equal(struct slice slice, const char *text)
{
	return slice.len == strlen(text) && strncasecmp(slice.start, text, slice.len) == 0;
}

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " \t");
}

static struct slice take_token(const char **at)
{
	struct slice slice = {.start = *at};

	while (is_token((unsigned char)**at))
		(*at)++;
	slice.len = (size_t)(*at - slice.start);
	return slice;
}

/* A token or a quoted text; of that what is between the quotes, with its backslashes: nothing that we look for has any.
 */
static struct slice take_value(const char **at)
{
	struct slice slice;

	if (**at != '"')
		return take_token(at);
	slice.start = ++*at;
	while (**at && **at != '"')
		*at += **at == '\\' && (*at)[1] ? 2 : 1;
	slice.len = (size_t)(*at - slice.start);
	if (**at)
		(*at)++;
	return slice;
}

/* Thousandths; -1 if it is no weight from 0 to 1. More digits than the three that there may be are passed over. */
static int weight_of(struct slice slice)
{
	int weight, scale = WEIGHT_MAX;

	if (!slice.len || (slice.start[0] != '0' && slice.start[0] != '1') || (slice.len > 1 && slice.start[1] != '.'))
		return -1;
	weight = (slice.start[0] - '0') * WEIGHT_MAX;
	for (size_t i = 2; i < slice.len; i++) {
		if (!isdigit((unsigned char)slice.start[i]))
			return -1;
		scale /= 10;
		weight += (slice.start[i] - '0') * scale;
	}
	return weight <= WEIGHT_MAX ? weight : -1;
}

static void take_parameters(const char **at, struct range *range)
{
	for (skip_blanks(at); **at == ';'; skip_blanks(at)) {
		struct slice name, value;

		(*at)++;
		skip_blanks(at);
		name = take_token(at);
		if (**at != '=')
			continue;
		(*at)++;
		value = take_value(at);
		if (is_equal(name, "q"))
			range->weight = weight_of(value);
		else if (is_equal(name, "version"))
			range->version = value;
	}
}

/* Goes behind the next comma that stands in no quotes. */
static void skip_element(const char **at)
{
	while (**at && **at != ',') {
		if (**at == '"')
			take_value(at);
		else
			(*at)++;
	}
	if (**at)
		(*at)++;
}

/* Takes an element off the list; false if it is no media range. */
static bool take_range(const char **at, struct range *range)
{
	bool is_range = false;

	*range = (struct range){.weight = WEIGHT_MAX};
	skip_blanks(at);
	range->type = take_token(at);
	if (**at == '/') {
		(*at)++;
		range->subtype = take_token(at);
		take_parameters(at, range);
		is_range = range->type.len && range->subtype.len && range->weight >= 0 && (!**at || **at == ',');
	}
	skip_element(at);
	return is_range;
}

enum fit { FIT_NONE, FIT_ANY, FIT_TYPE, FIT_SUBTYPE, FIT_VERSION };

static enum fit fit_of(const struct range *range, const struct offer *offer)
{
	if (is_equal(range->type, "*"))
		return is_equal(range->subtype, "*") ? FIT_ANY : FIT_NONE;
	if (!is_equal(range->type, offer->type))
		return FIT_NONE;
	if (is_equal(range->subtype, "*"))
		return FIT_TYPE;
	if (!is_equal(range->subtype, offer->subtype))
		return FIT_NONE;
	if (!range->version.start)
		return FIT_SUBTYPE;
	return is_equal(range->version, offer->version) ? FIT_VERSION : FIT_NONE;
}

/* The range that fits best has its say; of two that fit alike the heavier one. */
static void weigh(struct offer *offer, const struct range *range)
{
	int fit = fit_of(range, offer);

	if (fit == FIT_NONE || fit < offer->fit || (fit == offer->fit && range->weight <= offer->weight))
		return;
	offer->fit = fit;
	offer->weight = range->weight;
}

bool lm_api_accepts_openmetrics(const char *accept)
{
	struct offer text = {"text", "plain", "0.0.4", FIT_NONE, 0};
	struct offer openmetrics = {"application", "openmetrics-text", "1.0.0", FIT_NONE, 0};
	struct range range;

	while (accept && *accept) {
		if (!take_range(&accept, &range))
			continue;
		weigh(&text, &range);
		weigh(&openmetrics, &range);
	}
	return openmetrics.fit >= FIT_SUBTYPE && openmetrics.weight > 0 && openmetrics.weight >= text.weight;
}
