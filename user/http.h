/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HTTP server, in its caller's loop (libmicrohttpd, no threads): connections, TLS, basic auth, Host check, limits,
 * compression, tags. What is said stands in api.h.
 */
#ifndef LM_HTTP_H
#define LM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/api.h"

struct lm_http;

struct lm_http_config {
	const char *const *listen; /* "127.0.0.1:9469", "[::1]:9469", ":9469" = every address */
	size_t listen_len;
	const int *sockets; /* that listen already, from socket activation: in place of listen; taken over if it
			       succeeds */
	size_t sockets_len;
	const char
		*web_config; /* a file in the format of the Prometheus exporter-toolkit, NULL: plain, for everybody */
	unsigned int connections_max; /* 0 = LM_HTTP_CONNECTIONS */
	unsigned int timeout_s;       /* of a connection that sends nothing, 0 = LM_HTTP_TIMEOUT_S */
};

#define LM_HTTP_CONNECTIONS 64
#define LM_HTTP_STREAMS 16 /* of those at most, for events */
#define LM_HTTP_TIMEOUT_S 15
#define LM_HTTP_HEADER_MAX_BYTES 16384

/* Listens. The source is read whenever a request comes. 0, or -errno and in why what failed, on what, why, what to do.
 */
int lm_http_open(
	const struct lm_http_config *config, const struct lm_api_source *source, struct lm_http **http, char why[256]);
/* NULL is fine. */
void lm_http_close(struct lm_http *http);

/* Readable when there is something to do: then lm_http_run. Also after lm_http_timeout_ms (-1: never). */
int lm_http_fd(const struct lm_http *http);
int lm_http_timeout_ms(const struct lm_http *http);
/* Does what can be done without waiting. */
void lm_http_run(struct lm_http *http);

/* There is a new snapshot: what was kept of the last one is let go. */
void lm_http_new_snapshot(struct lm_http *http);
/* Sends a change to all who listen to events; one who is too slow is cut off. */
void lm_http_tell(struct lm_http *http, const struct lm_change *change);

/* Reads the web configuration and its certificates again; keeps what was there if they are wrong: -errno and why. */
int lm_http_reload(struct lm_http *http, char why[256]);

/* Checks a web configuration file. 0, or -errno and why. */
int lm_http_check_web_config(const char *path, char why[256]);

/* The port of the first socket, for tests that listen on port 0. */
unsigned int lm_http_port(const struct lm_http *http);

struct lm_http_counters {
	uint64_t requests,
		refused; /* refused: answered with 4xx before anything was looked up, or closed for a limit */
	unsigned int connections, streams;
};
void lm_http_counters(const struct lm_http *http, struct lm_http_counters *counters);

#endif
