// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a client asks: target, parameters, and the headers that have a grammar. Strict: what is not understood is
 * refused, so that two programs between a person and an answer cannot read it differently. (libmicrohttpd passes a
 * wrong percent sign through and ends a text at %00.) Pure.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "user/http_state.h"

#define QUALITY_FULL 1000

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The length of the well-formed UTF-8 sequence at text, 0 if it is none (Unicode 15, table 3-7). */
static size_t utf8_len(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	len = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	if (text[0] == 0xed)
		high = 0x9f;
	if (text[0] == 0xf0)
		low = 0x90;
	if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	}
	return len;
}

/* Decodes in place. NULL, or static text for what is wrong. */
static const char *decode(char *text, bool plus_is_space)
{
	char *out = text;
	size_t len;

	for (const char *in = text; *in; in++) {
		int value = (unsigned char)*in;

		if (*in == '+' && plus_is_space) {
			value = ' ';
		} else if (*in == '%') {
			int high = hex_value(in[1]), low = high < 0 ? -1 : hex_value(in[2]);

			if (low < 0)
				return "a percent sign without two hex digits after it";
			value = high << 4 | low;
			in += 2;
		}
		if (!value)
			return "%00 in the address";
		*out++ = (char)value;
	}
	*out = '\0';
	for (const char *c = text; *c; c += len) {
		len = utf8_len((const unsigned char *)c);
		if (!len)
			return "the address is not UTF-8";
	}
	return NULL;
}

static const char *add_parameter(struct lm_http_request *request, char *piece)
{
	struct lm_http_parameter *parameter = &request->parameters[request->parameters_len];
	char *value = strchr(piece, '='), *end = strchr(piece, '\0');
	const char *wrong;

	if (request->parameters_len == LM_HTTP_PARAMETERS)
		return "too many parameters";
	if (value)
		*value++ = '\0';
	wrong = decode(piece, true);
	if (!wrong && value)
		wrong = decode(value, true);
	if (!wrong && lm_http_request_parameter(request, piece))
		wrong = "a parameter is given twice";
	if (wrong)
		return wrong;
	parameter->name = piece;
	parameter->value = value ? value : end;
	request->parameters_len++;
	return NULL;
}

static const char *take_apart(struct lm_http_request *request)
{
	char *rest = strchr(request->text, '?'), *piece;
	const char *wrong;

	if (*request->text != '/')
		return "the address does not begin with a slash: this is no proxy";
	for (const char *c = request->text; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '#')
			return "a character in the address that must be percent-encoded";
	}
	if (rest)
		*rest++ = '\0';
	wrong = decode(request->text, false);
	while (!wrong && (piece = strsep(&rest, "&"))) {
		if (*piece)
			wrong = add_parameter(request, piece);
	}
	request->path = request->text;
	return wrong;
}

static void refuse(struct lm_http_request *request, unsigned int status, const char *why)
{
	request->status = status;
	request->why = why;
}

void lm_http_request_read(struct lm_http_request *request, const char *target)
{
	const char *wrong;

	lm_http_request_clear(request);
	if (strlen(target) > LM_HTTP_TARGET_MAX_BYTES) {
		refuse(request, MHD_HTTP_URI_TOO_LONG, "the address is too long");
		return;
	}
	request->target = strdup(target);
	request->text = strdup(target);
	if (!request->target || !request->text) {
		refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return;
	}
	wrong = take_apart(request);
	if (wrong)
		refuse(request, MHD_HTTP_BAD_REQUEST, wrong);
}

void lm_http_request_clear(struct lm_http_request *request)
{
	free(request->text);
	free(request->target);
	*request = (struct lm_http_request){.text = NULL};
}

const char *lm_http_request_parameter(const void *context, const char *name)
{
	const struct lm_http_request *request = context;

	for (size_t i = 0; i < request->parameters_len; i++) {
		if (strcmp(request->parameters[i].name, name) == 0)
			return request->parameters[i].value;
	}
	return NULL;
}

static const char *skip_space(const char *text)
{
	return text + strspn(text, " \t");
}

/* ";q=0.5" in thousandths; what is no number is 0. Moves on to the comma or the end. */
static int read_quality(const char **text)
{
	const char *c = skip_space(*text);
	int quality = QUALITY_FULL;

	while (*c == ';') {
		c = skip_space(c + 1);
		if ((*c == 'q' || *c == 'Q') && c[1] == '=') {
			int scale = QUALITY_FULL;

			c += 2;
			quality = *c == '1' ? QUALITY_FULL : 0;
			if (isdigit((unsigned char)*c))
				c++;
			if (*c == '.')
				c++;
			for (; isdigit((unsigned char)*c); c++) {
				scale /= 10;
				quality += (*c - '0') * scale;
			}
		}
		c += strcspn(c, ";,");
	}
	*text = c + strcspn(c, ",");
	return quality < QUALITY_FULL ? quality : QUALITY_FULL;
}

bool lm_http_accepts_gzip(const char *header)
{
	int gzip = -1, identity = -1, others = -1;

	while (header && *header) {
		size_t len;
		const char *name;
		int quality;

		header += strspn(header, " \t,");
		name = header;
		len = strcspn(name, " \t;,");
		header += len;
		quality = read_quality(&header);
		if ((len == 4 && strncasecmp(name, "gzip", len) == 0) ||
			(len == 6 && strncasecmp(name, "x-gzip", len) == 0))
			gzip = quality;
		else if (len == 8 && strncasecmp(name, "identity", len) == 0)
			identity = quality;
		else if (len == 1 && *name == '*')
			others = quality;
	}
	if (gzip < 0)
		gzip = others;
	return gzip > 0 && gzip >= identity;
}

bool lm_http_tag_matches(const char *header, const char *tag)
{
	size_t tag_len = strlen(tag);

	while (header && *header) {
		size_t len;

		header += strspn(header, " \t,");
		if (*header == '*')
			return true;
		if (strncmp(header, "W/", 2) == 0)
			header += 2;
		if (*header != '"')
			return false;
		len = strcspn(++header, "\"");
		if (len == tag_len && memcmp(header, tag, len) == 0)
			return true;
		header += len + (header[len] == '"');
	}
	return false;
}
