// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bodies and what is kept of them: an answer that is of a snapshot is made once, however many ask. The list is short
 * (a handful of paths, some parameters), the least recently used goes first.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <zlib.h>

#include "user/http_state.h"

#define KEPT_MAX 64
#define COMPRESS_MIN_BYTES 512
#define COMPRESS_MAX_BYTES (32u << 20) /* above it goes as it is */
#define COMPRESS_WELL_BYTES (256u << 10)
#define LEVEL_WELL 6
#define LEVEL_FAST 1 /* 1 MiB of JSON in 6 ms */
#define GZIP_WINDOW (15 + 16)

struct body {
	struct lm_http *http;
	char *bytes;
	size_t len;
};

static void free_body(void *context)
{
	struct body *body = context;

	body->http->bodies_bytes -= body->len;
	free(body->bytes);
	free(body);
}

struct MHD_Response *lm_http_body(struct lm_http *http, char *bytes, size_t len)
{
	struct MHD_Response *response = NULL;
	struct body *body = NULL;

	if (len <= LM_HTTP_BODIES_MAX_BYTES && http->bodies_bytes > LM_HTTP_BODIES_MAX_BYTES - len)
		lm_http_kept_drop(http, true);
	if (len > LM_HTTP_BODIES_MAX_BYTES || http->bodies_bytes > LM_HTTP_BODIES_MAX_BYTES - len)
		goto free_bytes;
	body = malloc(sizeof(*body));
	if (!body)
		goto free_bytes;
	*body = (struct body){.http = http, .bytes = bytes, .len = len};
	response = MHD_create_response_from_buffer_with_free_callback_cls(len, bytes, free_body, body);
	if (!response)
		goto free_bytes;
	http->bodies_bytes += len;
	return response;

free_bytes:
	free(body);
	free(bytes);
	return NULL;
}

bool lm_http_compress(char **body, size_t *len)
{
	z_stream stream = {.zalloc = Z_NULL};
	int level = *len <= COMPRESS_WELL_BYTES ? LEVEL_WELL : LEVEL_FAST;
	char *out;
	bool done;

	if (*len < COMPRESS_MIN_BYTES || *len > COMPRESS_MAX_BYTES || memcmp(*body, "\x1f\x8b", 2) == 0)
		return false;
	out = malloc(*len);
	if (!out)
		return false;
	if (deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(out);
		return false;
	}
	stream.next_in = (Bytef *)*body;
	stream.avail_in = (uInt)*len;
	stream.next_out = (Bytef *)out;
	stream.avail_out = (uInt)*len; /* what does not become smaller goes as it is */
	done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
	deflateEnd(&stream);
	if (!done) {
		free(out);
		return false;
	}
	free(*body);
	*len = stream.total_out;
	*body = realloc(out, *len);
	if (!*body)
		*body = out;
	return true;
}

int lm_http_key(const struct lm_http *http, const struct lm_http_request *request, const char *accept, bool gzip,
	bool is_static, struct lm_http_key *key)
{
	const uint64_t generation = is_static ? 0 : http->source->generation;
	const unsigned char flags[2] = {gzip, is_static};
	unsigned char digest[32];
	gnutls_hash_hd_t hash;

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
		return -ENOMEM;
	/* lengths need not be written: a target has no NUL, and the rest but Accept is of one length */
	if (gnutls_hash(hash, http->nonce, sizeof(http->nonce)) < 0 ||
		gnutls_hash(hash, &generation, sizeof(generation)) < 0 || gnutls_hash(hash, flags, sizeof(flags)) < 0 ||
		gnutls_hash(hash, request->target, strlen(request->target) + 1) < 0 ||
		(!is_static && accept && gnutls_hash(hash, accept, strlen(accept)) < 0)) {
		gnutls_hash_deinit(hash, NULL);
		return -EIO;
	}
	gnutls_hash_deinit(hash, digest);
	memcpy(key->bytes, digest, sizeof(key->bytes));
	return 0;
}

const struct lm_http_kept *lm_http_kept_find(struct lm_http *http, const struct lm_http_key *key)
{
	struct lm_http_kept *kept;

	DL_FOREACH(http->kept, kept)
	{
		if (memcmp(&kept->key, key, sizeof(*key)) == 0) {
			DL_DELETE(http->kept, kept);
			DL_PREPEND(http->kept, kept);
			return kept;
		}
	}
	return NULL;
}

static void drop(struct lm_http *http, struct lm_http_kept *kept)
{
	DL_DELETE(http->kept, kept);
	http->kept_bytes -= kept->len;
	MHD_destroy_response(kept->response);
	free(kept);
}

bool lm_http_keep(struct lm_http *http, const struct lm_http_kept *what)
{
	struct lm_http_kept *kept, *other;
	size_t others = 0;

	if (what->len > LM_HTTP_KEEP_MAX_BYTES)
		return false;
	DL_COUNT(http->kept, other, others);
	while (http->kept && (others >= KEPT_MAX || http->kept_bytes > LM_HTTP_KEEP_MAX_BYTES - what->len)) {
		drop(http, http->kept->prev); /* of the first: the last */
		others--;
	}
	kept = malloc(sizeof(*kept));
	if (!kept)
		return false; /* it is made again when it is wanted again */
	*kept = *what;
	http->kept_bytes += kept->len;
	DL_PREPEND(http->kept, kept);
	return true;
}

void lm_http_kept_drop(struct lm_http *http, bool all)
{
	struct lm_http_kept *kept, *next;

	DL_FOREACH_SAFE(http->kept, kept, next)
	{
		if (all || !kept->is_static)
			drop(http, kept);
	}
}
