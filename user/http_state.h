/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the HTTP server share: http.c the loop and connections, http_listen.c sockets and names,
 * http_request.c what a client asks, http_auth.c who it is, http_answer.c what it gets, http_cache.c what is kept of
 * that, http_stream.c events.
 */
#ifndef LM_HTTP_STATE_H
#define LM_HTTP_STATE_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/http.h"
#include "user/web_config.h"

#define LM_HTTP_SOCKETS 16 /* to listen on */
#define LM_HTTP_NAMES (LM_HTTP_SOCKETS + 1)
#define LM_HTTP_PER_ADDRESS 16 /* connections of one client that is not on this machine */
#define LM_HTTP_TARGET_MAX_BYTES 4096
#define LM_HTTP_PARAMETERS 32
#define LM_HTTP_KEEP_MAX_BYTES (16u << 20)   /* answers that are kept */
#define LM_HTTP_BODIES_MAX_BYTES (64u << 20) /* answers in memory, kept or being sent */
#define LM_HTTP_STREAM_MAX_BYTES 65536
#define LM_HTTP_HEARTBEAT_MS 15000
#define LM_HTTP_BUDGET_NS 50000000ull /* of one lm_http_run: what is left waits for the next */
#define LM_HTTP_TAG_LEN 32            /* hex digits */

struct lm_http_parameter {
	const char *name, *value; /* in the request's text */
};

/* What a client asks, decoded. */
struct lm_http_request {
	char *text;          /* path and parameters stand in it; NULL: none, or it is wrong */
	char *target;        /* as it came, what answers are kept by */
	unsigned int status; /* of HTTP, why it is refused; 0 = it is not */
	const char *why;     /* static text for that */
	const char *path;
	struct lm_http_parameter parameters[LM_HTTP_PARAMETERS];
	size_t parameters_len;
	bool begun; /* seen by lm_http_handle */
};

enum lm_http_phase {
	LM_HTTP_RECEIVING, /* it is the client's turn */
	LM_HTTP_WAITING,   /* suspended: the work of this run is used up */
	LM_HTTP_ANSWERING,
	LM_HTTP_STREAMING
};

struct lm_http_server;
struct lm_http_stream;

struct lm_http_connection {
	struct lm_http_connection *prev, *next; /* of all */
	struct lm_http *http;
	struct lm_http_server *server;
	struct MHD_Connection *mhd;
	int fd;
	struct in6_addr address;
	bool is_local; /* on this machine: no limit of its own */
	enum lm_http_phase phase;
	uint64_t since_ns, deadline_ns; /* of the phase; no deadline for streams */
	bool has_asked;                 /* once at least */
	bool cut;                       /* shut down: it is gone as soon as libmicrohttpd has seen that */
	struct lm_http_request request;
	struct lm_http_stream *stream;
};

/* One libmicrohttpd daemon: certificates cannot be changed in one, so that a reload begins another. */
struct lm_http_server {
	struct MHD_Daemon *daemon;
	int epoll_fd;
	unsigned int connections;
	bool retiring;
	uint64_t stop_at_ns; /* if retiring */
};

struct lm_http_kept;
struct lm_http_credentials;

struct lm_http {
	const struct lm_api_source *source;
	char *web_config_path; /* NULL: none */
	struct lm_web_config *web_config;
	struct lm_http_credentials *credentials;
	unsigned int connections_max, timeout_s;

	int epoll_fd;
	int sockets[LM_HTTP_SOCKETS];
	size_t sockets_len;
	char *names[LM_HTTP_NAMES]; /* what clients may call us */
	size_t names_len;
	uint64_t accept_at_ns; /* descriptors ran out: not before that. 0 = listens */

	struct lm_http_server *server, *retired; /* retired: NULL or one */
	struct lm_http_connection *connections;
	unsigned int connections_len;        /* without those cut */
	struct lm_http_connection *arriving; /* is just being handed to libmicrohttpd */
	uint64_t check_at_ns;                /* the earliest deadline, or before it */

	uint64_t run_ns;   /* when the run began */
	bool has_answered; /* in this run */
	bool has_waiting;

	struct lm_http_kept *kept; /* the last used first */
	size_t kept_bytes, bodies_bytes;
	unsigned char nonce[16];

	struct lm_http_stream *streams;
	unsigned int streams_len;

	uint64_t requests, refused;
	/* tests have their own of these two */
	uint64_t (*clock)(void); /* monotonic ns */
	int (*answer)(const struct lm_api_source *source, const struct lm_api_request *request,
		struct lm_api_answer *answer); /* lm_api_answer */
};

/* Takes over a connected socket, as if it had come from a listening one. */
void lm_http_adopt(struct lm_http *http, int fd, const struct sockaddr_storage *address, socklen_t len);
/* Ends a connection as soon as libmicrohttpd can. */
void lm_http_cut(struct lm_http_connection *connection);
void lm_http_set_phase(struct lm_http_connection *connection, enum lm_http_phase phase, uint64_t within_ns);

/* Listens on all of the configuration's addresses, or takes its sockets over, and notes the names. On failure nothing
 * is open, and sockets are still the caller's. */
int lm_http_listen(struct lm_http *http, const struct lm_http_config *config, char why[256]);
void lm_http_unlisten(struct lm_http *http);
/* May a client call this server so? host: the header. Guards against other sites' pages that have the browser ask us
 * under a name of theirs (DNS rebinding). */
bool lm_http_host_is_ours(const struct lm_http *http, const char *host);

/* Takes apart what stands between GET and HTTP/1.1. What is wrong is noted in request->status. */
void lm_http_request_read(struct lm_http_request *request, const char *target);
void lm_http_request_clear(struct lm_http_request *request);
/* An lm_api_parameter of a struct lm_http_request. */
const char *lm_http_request_parameter(const void *request, const char *name);
/* Does the header Accept-Encoding (NULL: none) allow gzip, at least as gladly as no encoding? */
bool lm_http_accepts_gzip(const char *header);
/* Is the tag, without its quotes, in the header If-None-Match? */
bool lm_http_tag_matches(const char *header, const char *tag);

/* Who may ask. Users are those of config, which must live longer. */
int lm_http_credentials_new(const struct lm_web_config *config, struct lm_http_credentials **credentials);
void lm_http_credentials_free(struct lm_http_credentials *credentials);
/* Does the header Authorization, NULL: none, give a name and a password? */
bool lm_http_credentials_given(const char *header);
/* The header Authorization, NULL: none. 0 if it is one of the users, 401, or 429 and in retry_s when to ask again. */
unsigned int lm_http_credentials_check(
	struct lm_http_credentials *credentials, const char *header, uint64_t now_ns, unsigned int *retry_s);

/* The handler of libmicrohttpd. */
enum MHD_Result lm_http_handle(void *http, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_len, void **context);

struct lm_http_key {
	unsigned char bytes[LM_HTTP_TAG_LEN / 2];
};

struct lm_http_kept {
	struct lm_http_kept *prev, *next;
	struct lm_http_key key;
	char tag[LM_HTTP_TAG_LEN + 1];
	struct MHD_Response *response;
	size_t len;
	bool is_static;
};

/* By what an answer is kept: is_static leaves out what such answers do not depend on. */
int lm_http_key(const struct lm_http *http, const struct lm_http_request *request, const char *accept, bool gzip,
	bool is_static, struct lm_http_key *key);
/* NULL: there is none. */
const struct lm_http_kept *lm_http_kept_find(struct lm_http *http, const struct lm_http_key *key);
/* True: the response is kept, and is the list's now. */
bool lm_http_keep(struct lm_http *http, const struct lm_http_kept *what);
/* Lets go what was kept of the snapshot, or all. */
void lm_http_kept_drop(struct lm_http *http, bool all);
/* The body as a response without headers; takes body over, also on failure. NULL: no memory, or too much of it is
 * being sent. */
struct MHD_Response *lm_http_body(struct lm_http *http, char *body, size_t len);
/* Compresses body in its place if that pays. True: it did. */
bool lm_http_compress(char **body, size_t *len);

/* Begins a stream with the answer's body. 0, -EBUSY: there are too many; -ENOMEM. */
int lm_http_stream_begin(
	struct lm_http_connection *connection, const char *body, size_t len, struct MHD_Response **response);
/* The request is over. */
void lm_http_stream_end(struct lm_http_connection *connection);
/* The client of a stream has gone, says epoll. */
void lm_http_stream_hung_up(struct lm_http *http, int fd);
void lm_http_streams_cut(struct lm_http *http);
/* Lets libmicrohttpd have those that it was not to look at; to be done before it is stopped. */
void lm_http_streams_resume(struct lm_http *http, const struct lm_http_server *server);
void lm_http_streams_beat(struct lm_http *http, uint64_t now_ns);
/* When that is to be called again; 0 = never. */
uint64_t lm_http_streams_beat_at(const struct lm_http *http);

/* What an event of the own epoll is about, beside the descriptor. */
enum lm_http_watch { LM_HTTP_WATCH_SOCKET, LM_HTTP_WATCH_SERVER, LM_HTTP_WATCH_STREAM };
int lm_http_watch(const struct lm_http *http, enum lm_http_watch what, int fd, uint32_t events);

#endif
