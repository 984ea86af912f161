/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The web configuration file of the Prometheus exporter-toolkit: TLS, users, headers. What stands in it and cannot be
 * done here is refused by its name, never passed over: somebody relies on it.
 */
#ifndef LM_WEB_CONFIG_H
#define LM_WEB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define LM_WEB_BCRYPT_COST_MAX 14 /* about a second: the watching waits meanwhile */

/* Those that the format knows. */
enum lm_web_header {
	LM_WEB_SECURITY_POLICY,
	LM_WEB_FRAME_OPTIONS,
	LM_WEB_CONTENT_TYPE_OPTIONS,
	LM_WEB_XSS_PROTECTION,
	LM_WEB_TRANSPORT_SECURITY,
	LM_WEB_HEADERS
};
/* "Content-Security-Policy" … */
const char *lm_web_header_name(enum lm_web_header header);

struct lm_web_user {
	char *name;
	char *hash; /* bcrypt */
};

struct lm_web_config {
	bool tls;
	char *certificate, *key, *client_ca; /* PEM, NULL: none. With a client_ca each client must show a certificate */
	char priorities[256];                /* for GnuTLS */
	struct gnutls_x509_crt_int *leaf;    /* the certificate of the server itself, NULL without TLS */
	char *headers[LM_WEB_HEADERS];       /* NULL: not set */
	struct lm_web_user *users;
	size_t users_len; /* 0: nobody needs to say who they are */
};

/* Reads it with all files that it names, which are relative to its folder. 0, or -errno and in why file, line, key,
 * what is wrong, and what is right. */
int lm_web_config_read(const char *path, struct lm_web_config **config, char why[256]);
/* NULL is fine. */
void lm_web_config_free(struct lm_web_config *config);

/* Is the server's certificate for a host of that name? */
bool lm_web_config_names(const struct lm_web_config *config, const char *host);

#endif
