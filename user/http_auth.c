// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Basic auth with bcrypt. One check takes 50 ms (cost 10) to 830 ms (cost 14), and everything else waits meanwhile:
 * what was proven, or found wrong, once is known by a keyed hash, and what is wrong and new may use a fifth of the time
 * at most.
 */
#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "user/http_state.h"

#define KNOWN_MAX 64       /* of each kind; a ring */
#define PAIR_MAX_BYTES 512 /* name:password; libxcrypt takes no longer ones */
#define REST_FACTOR 4      /* after a wrong one that took t, the next may come 4t later: a fifth */
#define REST_MIN_NS 100000000ull
#define NS_PER_S 1000000000ull
#define HASH_LEN 32

struct known {
	unsigned char hashes[KNOWN_MAX][HASH_LEN];
	size_t len, next;
};

struct lm_http_credentials {
	const struct lm_web_config *config;
	const char *slowest; /* the hash that takes longest: what an unknown name's password is compared with */
	unsigned char key[HASH_LEN];
	struct known right, wrong;
	uint64_t rest_until_ns;
	struct crypt_data crypt;
};

int lm_http_credentials_new(const struct lm_web_config *config, struct lm_http_credentials **credentials)
{
	struct lm_http_credentials *result = calloc(1, sizeof(*result));

	if (!result)
		return -ENOMEM;
	result->config = config;
	for (size_t i = 0; i < config->users_len; i++) {
		const char *hash = config->users[i].hash; /* "$2y$10$…": costs compare as text */

		if (!result->slowest || strncmp(hash + 4, result->slowest + 4, 2) > 0)
			result->slowest = hash;
	}
	if (gnutls_rnd(GNUTLS_RND_KEY, result->key, sizeof(result->key)) < 0) {
		free(result);
		return -EIO;
	}
	*credentials = result;
	return 0;
}

void lm_http_credentials_free(struct lm_http_credentials *credentials)
{
	if (!credentials)
		return;
	explicit_bzero(credentials, sizeof(*credentials));
	free(credentials);
}

/* Looks at all of them, whichever it is. */
static bool is_known(const struct known *known, const unsigned char hash[HASH_LEN])
{
	bool found = false;

	for (size_t i = 0; i < known->len; i++)
		found |= gnutls_memcmp(known->hashes[i], hash, HASH_LEN) == 0;
	return found;
}

static void remember(struct known *known, const unsigned char hash[HASH_LEN])
{
	memcpy(known->hashes[known->next], hash, HASH_LEN);
	known->next = (known->next + 1) % KNOWN_MAX;
	if (known->len < KNOWN_MAX)
		known->len++;
}

static int base64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* Up to PAIR_MAX_BYTES and a NUL. False: it is no base64, too long, or has a NUL in it. */
static bool decode_base64(const char *text, char out[PAIR_MAX_BYTES + 1])
{
	unsigned int bits = 0, have = 0;
	size_t len = 0;

	for (; base64_value(*text) >= 0; text++) {
		bits = (bits << 6 | (unsigned int)base64_value(*text)) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (len == PAIR_MAX_BYTES)
			return false;
		out[len++] = (char)(bits >> have);
	}
	out[len] = '\0';
	text += strspn(text, "=");
	return !*text && strlen(out) == len;
}

/* One bcrypt, also for a name that nobody has: the time must not tell which names there are. */
static bool is_right(struct lm_http_credentials *credentials, const char *name, const char *password)
{
	const struct lm_web_user *user = NULL;
	const char *hash, *made;

	for (size_t i = 0; i < credentials->config->users_len; i++) {
		if (strcmp(credentials->config->users[i].name, name) == 0)
			user = &credentials->config->users[i];
	}
	hash = user ? user->hash : credentials->slowest;
	made = crypt_r(password, hash, &credentials->crypt);
	return made && strlen(made) == strlen(hash) && gnutls_memcmp(made, hash, strlen(hash)) == 0 && user;
}

/* pair: "name\0password", with what the two take. */
static unsigned int check_pair(struct lm_http_credentials *credentials, const char *name, const char *password,
	size_t pair_len, uint64_t now_ns, unsigned int *retry_s)
{
	unsigned char hash[HASH_LEN];
	struct timespec before, after;
	uint64_t took_ns;
	bool right;

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, credentials->key, HASH_LEN, name, pair_len, hash) < 0)
		return MHD_HTTP_UNAUTHORIZED;
	if (is_known(&credentials->right, hash))
		return 0;
	if (is_known(&credentials->wrong, hash))
		return MHD_HTTP_UNAUTHORIZED;
	if (now_ns < credentials->rest_until_ns) {
		*retry_s = (unsigned int)((credentials->rest_until_ns - now_ns) / NS_PER_S) + 1;
		return MHD_HTTP_TOO_MANY_REQUESTS;
	}
	clock_gettime(CLOCK_MONOTONIC, &before);
	right = is_right(credentials, name, password);
	clock_gettime(CLOCK_MONOTONIC, &after);
	took_ns = (uint64_t)(after.tv_sec - before.tv_sec) * NS_PER_S + (uint64_t)after.tv_nsec -
		  (uint64_t)before.tv_nsec;
	took_ns = REST_FACTOR * took_ns > REST_MIN_NS ? REST_FACTOR * took_ns : REST_MIN_NS;
	if (!right)
		credentials->rest_until_ns = now_ns + took_ns;
	remember(right ? &credentials->right : &credentials->wrong, hash);
	return right ? 0 : MHD_HTTP_UNAUTHORIZED;
}

bool lm_http_credentials_given(const char *header)
{
	return header && strncasecmp(header, "Basic ", 6) == 0;
}

unsigned int lm_http_credentials_check(
	struct lm_http_credentials *credentials, const char *header, uint64_t now_ns, unsigned int *retry_s)
{
	char pair[PAIR_MAX_BYTES + 1];
	unsigned int status = MHD_HTTP_UNAUTHORIZED;
	char *password;
	size_t len;

	if (!credentials->config->users_len)
		return 0;
	if (!lm_http_credentials_given(header))
		return status;
	if (decode_base64(header + 6 + strspn(header + 6, " "), pair)) {
		len = strlen(pair);
		password = strchr(pair, ':');
		if (password) {
			*password++ = '\0';
			status = check_pair(credentials, pair, password, len, now_ns, retry_s);
		}
	}
	explicit_bzero(pair, sizeof(pair));
	return status;
}
