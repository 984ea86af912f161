// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a request to an answer: what is refused before anything is looked up, then what is kept, then what the API
 * says. Every answer has the same headers against misuse in browsers, errors too; nothing allows other origins.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "user/http_state.h"

#define NS_PER_S 1000000000ull
#define TAKE_BYTES_PER_S 65536 /* a client that takes an answer more slowly is cut off */
#define TEXT_TYPE "text/plain; charset=utf-8"
/* frame-ancestors is not covered by default-src */
#define SECURITY_DEFAULT "default-src 'none'; frame-ancestors 'none'"

struct header {
	const char *name, *value;
};

static struct lm_http_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static const char *header_of(const struct lm_http_connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, name);
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
	return !value || MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_headers(const struct lm_http *http, struct MHD_Response *response, const char *security)
{
	const char *values[LM_WEB_HEADERS] = {
		[LM_WEB_SECURITY_POLICY] = security ? security : SECURITY_DEFAULT,
		[LM_WEB_CONTENT_TYPE_OPTIONS] = "nosniff",
	};
	bool done = add(response, "Referrer-Policy", "no-referrer") &&
		    add(response, "Cross-Origin-Resource-Policy", "same-origin") &&
		    add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache") &&
		    add(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");

	for (enum lm_web_header i = 0; i < LM_WEB_HEADERS && done; i++) {
		if (http->web_config && http->web_config->headers[i])
			values[i] = http->web_config->headers[i];
		done = add(response, lm_web_header_name(i), values[i]);
	}
	return done;
}

/* Sends it; the caller keeps its reference. NULL response: no memory, the connection is closed. */
static enum MHD_Result reply(
	struct lm_http_connection *connection, unsigned int status, struct MHD_Response *response, size_t len)
{
	uint64_t within_ns = (connection->http->timeout_s + len / TAKE_BYTES_PER_S) * NS_PER_S;

	if (!response)
		return MHD_NO;
	lm_http_set_phase(connection, LM_HTTP_ANSWERING, within_ns);
	return MHD_queue_response(connection->mhd, status, response);
}

/* An answer of a few words, with one header more or NULL. */
static enum MHD_Result say(
	struct lm_http_connection *connection, unsigned int status, const char *text, const struct header *extra)
{
	char line[512];
	int len = snprintf(line, sizeof(line), "%s\n", text);
	struct MHD_Response *response = MHD_create_response_from_buffer((size_t)len, line, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (add_headers(connection->http, response, NULL) && add(response, MHD_HTTP_HEADER_CONTENT_TYPE, TEXT_TYPE) &&
		(!extra || add(response, extra->name, extra->value)))
		result = reply(connection, status, response, (size_t)len);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(
	struct lm_http_connection *connection, unsigned int status, const char *text, const struct header *extra)
{
	connection->http->refused++;
	return say(connection, status, text, extra);
}

static enum MHD_Result say_busy(struct lm_http_connection *connection, const char *text)
{
	const struct header later = {MHD_HTTP_HEADER_RETRY_AFTER, "1"};

	return say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text, &later);
}

static enum MHD_Result count_host(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	unsigned int *hosts = context;

	(void)kind;
	(void)value;
	*hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
	return MHD_YES;
}

static bool has_body(const struct lm_http_connection *connection)
{
	const char *length = header_of(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return header_of(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) || (length && strcmp(length, "0") != 0);
}

static size_t header_bytes(const struct lm_http_connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info ? info->header_size : 0;
}

/* What can be said before a body is read. True: it was refused, and the connection will be closed. */
static bool refuse_early(struct lm_http_connection *connection, const char *method, enum MHD_Result *result)
{
	const struct header allow = {MHD_HTTP_HEADER_ALLOW, "GET, HEAD"};

	if (header_bytes(connection) > LM_HTTP_HEADER_MAX_BYTES)
		*result =
			refuse(connection, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too long", NULL);
	else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		*result = refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered", &allow);
	else if (has_body(connection))
		*result = refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "a request must have no body", NULL);
	else
		return false;
	return true;
}

/* True: it was refused. */
static bool refuse_request(struct lm_http_connection *connection, enum MHD_Result *result)
{
	const struct lm_http_request *request = &connection->request;
	const char *host = header_of(connection, MHD_HTTP_HEADER_HOST);
	unsigned int hosts = 0;

	MHD_get_connection_values(connection->mhd, MHD_HEADER_KIND, count_host, &hosts);
	if (request->status || !request->path)
		*result = refuse(connection, request->status ? request->status : MHD_HTTP_BAD_REQUEST,
			request->why ? request->why : "no address", NULL);
	else if (hosts > 1) /* without any, libmicrohttpd has refused it already, unless it is HTTP/1.0 */
		*result = refuse(connection, MHD_HTTP_BAD_REQUEST, "it has more than one Host header", NULL);
	else if (host && !lm_http_host_is_ours(connection->http, host))
		*result = refuse(connection, MHD_HTTP_MISDIRECTED_REQUEST,
			"leakmon does not answer under this name, so that no other site can read it through a "
			"browser.\nUse the address (such as 127.0.0.1:9469) or localhost, or start it with --listen "
			"NAME:PORT.",
			NULL);
	else
		return false;
	return true;
}

/* libmicrohttpd only asks for certificates: http.c has GnuTLS demand and verify them; this is the proof. */
static bool has_certificate(const struct lm_http_connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	unsigned int len;

	return info && info->tls_session && gnutls_certificate_get_peers(info->tls_session, &len) && len &&
	       gnutls_session_get_verify_cert_status(info->tls_session) == 0;
}

/* True: it was refused. */
static bool refuse_client(struct lm_http_connection *connection, enum MHD_Result *result)
{
	const struct header challenge = {
		MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"leakmon\", charset=\"UTF-8\""};
	const char *credentials = header_of(connection, MHD_HTTP_HEADER_AUTHORIZATION);
	struct lm_http *http = connection->http;
	unsigned int status = 0, retry_s = 1;
	char seconds[16];

	if (http->web_config && http->web_config->client_ca && !has_certificate(connection)) {
		*result = refuse(connection, MHD_HTTP_FORBIDDEN, "a client certificate is needed", NULL);
		return true;
	}
	if (http->credentials)
		status = lm_http_credentials_check(http->credentials, credentials, http->clock(), &retry_s);
	if (!status)
		return false;
	if (status == MHD_HTTP_TOO_MANY_REQUESTS) {
		snprintf(seconds, sizeof(seconds), "%u", retry_s);
		*result = refuse(connection, status, "too many passwords are being tried",
			&(struct header){MHD_HTTP_HEADER_RETRY_AFTER, seconds});
	} else {
		*result = refuse(connection, status,
			lm_http_credentials_given(credentials) ? "the name or the password is wrong"
							       : "name and password are needed",
			&challenge);
	}
	return true;
}

static void write_tag(const unsigned char *bytes, char tag[LM_HTTP_TAG_LEN + 1])
{
	for (int i = 0; i < LM_HTTP_TAG_LEN / 2; i++)
		sprintf(tag + (size_t)2 * i, "%02x", bytes[i]);
}

/* A 304 has the headers of the 200 that it stands for, Content-Length too; libmicrohttpd leaves the body out. */
static enum MHD_Result reply_tagged(struct lm_http_connection *connection, const struct lm_http_kept *what)
{
	if (lm_http_tag_matches(header_of(connection, MHD_HTTP_HEADER_IF_NONE_MATCH), what->tag))
		return reply(connection, MHD_HTTP_NOT_MODIFIED, what->response, 0);
	return reply(connection, MHD_HTTP_OK, what->response, what->len);
}

/* The body with its headers; takes the answer's body. tag: "" = none. NULL: no memory. */
static struct MHD_Response *make_response(
	struct lm_http *http, struct lm_api_answer *answer, const char *tag, bool compressed)
{
	struct MHD_Response *response = lm_http_body(http, answer->body, answer->len);
	char quoted[LM_HTTP_TAG_LEN + 3];

	answer->body = NULL;
	if (!response)
		return NULL;
	snprintf(quoted, sizeof(quoted), "\"%s\"", tag);
	if (add_headers(http, response, answer->security) &&
		add(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type) &&
		add(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, answer->disposition) &&
		add(response, MHD_HTTP_HEADER_CONTENT_ENCODING, compressed ? "gzip" : NULL) &&
		add(response, MHD_HTTP_HEADER_ETAG, *tag ? quoted : NULL))
		return response;
	MHD_destroy_response(response);
	return NULL;
}

/* Of a static answer by what it says, so that it holds over restarts; of others by what they are kept by. */
static int make_tag(const struct lm_api_answer *answer, const struct lm_http_key *key, char tag[LM_HTTP_TAG_LEN + 1])
{
	unsigned char digest[32];

	if (!answer->is_static) {
		write_tag(key->bytes, tag);
		return 0;
	}
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, answer->body, answer->len, digest) < 0)
		return -EIO;
	write_tag(digest, tag);
	return 0;
}

static enum MHD_Result reply_whole(struct lm_http_connection *connection, struct lm_api_answer *answer, bool gzip,
	const struct lm_http_key keys[2])
{
	struct lm_http *http = connection->http;
	struct lm_http_kept kept = {.is_static = answer->is_static, .key = keys[answer->is_static]};
	bool may_keep = answer->status == MHD_HTTP_OK && (answer->is_of_snapshot || answer->is_static);
	bool compressed = gzip && lm_http_compress(&answer->body, &answer->len);
	enum MHD_Result result;

	kept.len = answer->len;
	if (may_keep && make_tag(answer, &kept.key, kept.tag) < 0)
		may_keep = false;
	kept.response = make_response(http, answer, may_keep ? kept.tag : "", compressed);
	if (!kept.response)
		return say_busy(connection, "no memory for this answer now");
	result =
		may_keep ? reply_tagged(connection, &kept) : reply(connection, answer->status, kept.response, kept.len);
	if (!may_keep || !lm_http_keep(http, &kept))
		MHD_destroy_response(kept.response);
	return result;
}

static enum MHD_Result reply_events(struct lm_http_connection *connection, struct lm_api_answer *answer, bool is_head)
{
	struct MHD_Response *response = NULL;
	enum MHD_Result result = MHD_NO;
	int error = 0;

	if (is_head)
		response = MHD_create_response_from_buffer(0, (char[]){""}, MHD_RESPMEM_MUST_COPY);
	else
		error = lm_http_stream_begin(connection, answer->body, answer->len, &response);
	if (error == -EBUSY)
		return say_busy(connection, "as many clients as can be listen to events already");
	if (error || !response)
		return say_busy(connection, "no memory for this answer now");
	if (add_headers(connection->http, response, answer->security) &&
		add(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type) &&
		add(response, "X-Accel-Buffering", "no")) { /* nginx would hold events back */
		result = reply(connection, answer->status, response, 0);
		if (!is_head && result == MHD_YES)
			lm_http_set_phase(connection, LM_HTTP_STREAMING, 0);
	}
	if (result != MHD_YES)
		lm_http_stream_end(connection);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result look_up(struct lm_http_connection *connection, bool is_head)
{
	struct lm_http *http = connection->http;
	const char *accept = header_of(connection, MHD_HTTP_HEADER_ACCEPT);
	bool gzip = lm_http_accepts_gzip(header_of(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING));
	const struct lm_api_request request = {.path = connection->request.path,
		.parameter = lm_http_request_parameter,
		.context = &connection->request,
		.accept = accept};
	struct lm_api_answer answer = {.body = NULL};
	struct lm_http_key keys[2];
	enum MHD_Result result;

	for (int is_static = 0; is_static < 2; is_static++) {
		const struct lm_http_kept *kept;

		if (lm_http_key(http, &connection->request, accept, gzip, is_static, &keys[is_static]) < 0)
			return say_busy(connection, "no memory for this answer now");
		kept = lm_http_kept_find(http, &keys[is_static]);
		if (kept)
			return reply_tagged(connection, kept);
	}
	if (http->answer(http->source, &request, &answer) < 0)
		return say_busy(connection, "no memory for this answer now");
	if (answer.kind == LM_API_EVENTS)
		result = reply_events(connection, &answer, is_head);
	else
		result = reply_whole(connection, &answer, gzip, keys);
	lm_api_answer_free(&answer);
	return result;
}

/* Has this run done as much as it may? Then the request waits for the next, and the caller can look at what else there
 * is meanwhile. */
static bool must_wait(struct lm_http_connection *connection)
{
	struct lm_http *http = connection->http;

	if (!http->has_answered || http->clock() - http->run_ns < LM_HTTP_BUDGET_NS)
		return false;
	MHD_suspend_connection(connection->mhd);
	lm_http_set_phase(connection, LM_HTTP_WAITING, http->timeout_s * NS_PER_S);
	http->has_waiting = true;
	return true;
}

enum MHD_Result lm_http_handle(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_len, void **request)
{
	struct lm_http_connection *connection = connection_of(mhd);
	enum MHD_Result result;

	(void)context;
	(void)url; /* decoded more loosely than by lm_http_request_read */
	(void)version;
	(void)upload;
	(void)request;
	if (!connection || connection->cut || *upload_len)
		return MHD_NO;
	if (!connection->request.begun) {
		connection->request.begun = true;
		connection->http->requests++;
		/* an answer at this first call closes the connection: for what may have a body alone */
		return refuse_early(connection, method, &result) ? result : MHD_YES;
	}
	if (refuse_request(connection, &result))
		return result;
	if (must_wait(connection))
		return MHD_YES;
	connection->http->has_answered = true;
	if (refuse_client(connection, &result))
		return result;
	return look_up(connection, strcmp(method, MHD_HTTP_METHOD_HEAD) == 0);
}
