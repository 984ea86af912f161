// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's loop and its connections. One epoll descriptor holds the listening sockets, libmicrohttpd's own epoll
 * descriptor and the clients of streams. Connections are accepted here, not by libmicrohttpd, so that one bound holds
 * for all addresses, who is above it is told at once, and a reload can begin a daemon with other certificates beside
 * the one that still has answers to send.
 *
 * libmicrohttpd's timeout is of silence alone: a client that sends a byte now and then is never cut off by it. The
 * deadlines here are of a whole request and a whole answer.
 */
#include "user/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "user/http_state.h"
#include "user/log.h"

#define WHY_LEN 256
#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define EVENTS 32
#define ACCEPTS 32                                /* of one socket in one run */
#define ACCEPT_PAUSE_NS NS_PER_S                  /* descriptors have run out */
#define POOL_BYTES (2 * LM_HTTP_HEADER_MAX_BYTES) /* of each connection: the request, then the answer's headers */
#define PATIENCE_NS NS_PER_S                      /* who has asked nothing for so long leaves if others want in */
#define CONNECTIONS_LIMIT 100000

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int lm_http_watch(const struct lm_http *http, enum lm_http_watch what, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)what << 32 | (uint32_t)fd};

	return epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void lm_http_set_phase(struct lm_http_connection *connection, enum lm_http_phase phase, uint64_t within_ns)
{
	struct lm_http *http = connection->http;

	connection->phase = phase;
	connection->since_ns = http->clock();
	connection->deadline_ns = within_ns ? connection->since_ns + within_ns : 0;
	if (within_ns && (!http->check_at_ns || connection->deadline_ns < http->check_at_ns))
		http->check_at_ns = connection->deadline_ns;
}

void lm_http_cut(struct lm_http_connection *connection)
{
	if (connection->cut)
		return;
	connection->cut = true;
	connection->http->connections_len--;
	shutdown(connection->fd, SHUT_RDWR);
}

/* libmicrohttpd's own words go to the log; they are about what clients do. */
static void log_line(void *context, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void log_line(void *context, const char *format, va_list args)
{
	char line[512];
	size_t len;

	(void)context;
	vsnprintf(line, sizeof(line), format, args);
	len = strlen(line);
	while (len && line[len - 1] == '\n')
		line[--len] = '\0';
	lm_debug("http: %s", line);
}

/* The request line is there. */
static void *note_target(void *context, const char *target, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct lm_http_connection *connection = info ? info->socket_context : NULL;

	(void)context;
	if (connection)
		lm_http_request_read(&connection->request, target ? target : "");
	return NULL;
}

/* Has the client sent anything? (One that only tries whether the port is open has not.) */
static bool has_sent(int fd)
{
	struct tcp_info info = {.tcpi_bytes_received = 0};
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_bytes_received > 0;
}

/* A request is over, well or not. */
static void end_request(void *context, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode how)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct lm_http_connection *connection = info ? info->socket_context : NULL;

	(void)context;
	(void)request;
	if (!connection)
		return;
	/* refused by libmicrohttpd itself, or given up by the client before it had asked */
	if (!connection->request.begun && !connection->cut && how != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
		connection->http->refused++;
	connection->has_asked = true;
	lm_http_stream_end(connection);
	lm_http_request_clear(&connection->request);
	lm_http_set_phase(connection, LM_HTTP_RECEIVING, connection->http->timeout_s * NS_PER_S);
	if (connection->server->retiring)
		lm_http_cut(connection);
}

/* libmicrohttpd asks for a certificate, but takes any, or none. */
static void demand_certificate(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	static gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};

	if (!info || !info->tls_session)
		return; /* then lm_http_handle refuses */
	gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert2(info->tls_session, &purpose, 1, 0);
}

static void free_connection(struct lm_http_connection *connection)
{
	lm_http_request_clear(&connection->request);
	free(connection);
}

static void note_connection(
	void *context, struct MHD_Connection *mhd, void **socket_context, enum MHD_ConnectionNotificationCode what)
{
	struct lm_http *http = context;
	struct lm_http_connection *connection = *socket_context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		connection = http->arriving;
		http->arriving = NULL;
		*socket_context = connection;
		connection->mhd = mhd;
		connection->server->connections++;
		http->connections_len++;
		DL_APPEND(http->connections, connection);
		if (http->web_config && http->web_config->client_ca)
			demand_certificate(mhd);
		return;
	}
	DL_DELETE(http->connections, connection);
	connection->server->connections--;
	if (!connection->cut)
		http->connections_len--;
	if (!connection->has_asked && !connection->cut && has_sent(connection->fd))
		http->refused++; /* not even the first line was one */
	free_connection(connection);
	*socket_context = NULL;
}

static int start_server(struct lm_http *http, struct lm_http_server **server, char *why)
{
	const struct lm_web_config *config = http->web_config;
	bool tls = config && config->tls;
	struct MHD_OptionItem options[5] = {{MHD_OPTION_END, 0, NULL}};
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	const union MHD_DaemonInfo *info;
	struct lm_http_server *result = calloc(1, sizeof(*result));
	size_t len = 0;
	int error;

	if (!result) {
		snprintf(why, WHY_LEN, "out of memory");
		return -ENOMEM;
	}
	if (tls) {
		flags |= MHD_USE_TLS;
		options[len++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, config->certificate};
		options[len++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, config->key};
		options[len++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (char *)config->priorities};
		if (config->client_ca)
			options[len++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, config->client_ca};
		options[len] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	}
	/* twice as many as ours: those cut off are still there for a moment */
	result->daemon = MHD_start_daemon(flags, 0, NULL, NULL, lm_http_handle, http, MHD_OPTION_EXTERNAL_LOGGER,
		log_line, NULL, MHD_OPTION_CONNECTION_LIMIT, 2 * http->connections_max + ACCEPTS,
		MHD_OPTION_CONNECTION_TIMEOUT, http->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, note_target, http,
		MHD_OPTION_NOTIFY_COMPLETED, end_request, http, MHD_OPTION_NOTIFY_CONNECTION, note_connection, http,
		MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	info = result->daemon ? MHD_get_daemon_info(result->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	error = info ? 0 : -EIO;
	if (!error) {
		result->epoll_fd = info->epoll_fd;
		error = lm_http_watch(http, LM_HTTP_WATCH_SERVER, result->epoll_fd, EPOLLIN);
	}
	if (error) {
		if (result->daemon)
			MHD_stop_daemon(result->daemon);
		free(result);
		snprintf(why, WHY_LEN, "libmicrohttpd does not start: are memory or descriptors short?");
		return error;
	}
	*server = result;
	return 0;
}

/* Lets libmicrohttpd go on with those that wait for a run's beginning. */
static void resume_waiting(struct lm_http *http)
{
	struct lm_http_connection *connection;

	if (!http->has_waiting)
		return;
	http->has_waiting = false;
	DL_FOREACH(http->connections, connection)
	{
		if (connection->phase != LM_HTTP_WAITING)
			continue;
		connection->phase = LM_HTTP_ANSWERING;
		MHD_resume_connection(connection->mhd);
	}
}

/* All its connections end. */
static void stop_server(struct lm_http *http, struct lm_http_server *server)
{
	if (!server)
		return;
	resume_waiting(http); /* it must not be stopped with a connection suspended */
	lm_http_streams_resume(http, server);
	epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, server->epoll_fd, NULL);
	MHD_stop_daemon(server->daemon);
	free(server);
}

/* Reads the configuration, if there is one, and makes what follows from it. */
static int load_web_config(
	const char *path, struct lm_web_config **config, struct lm_http_credentials **credentials, char *why)
{
	struct lm_web_config *new_config;
	int error;

	if (!path) {
		*config = NULL;
		*credentials = NULL;
		return 0;
	}
	error = lm_web_config_read(path, &new_config, why);
	if (error)
		return error;
	error = lm_http_credentials_new(new_config, credentials);
	if (error) {
		snprintf(why, WHY_LEN, "%s", strerror(-error));
		lm_web_config_free(new_config);
		return error;
	}
	*config = new_config;
	return 0;
}

static int new_http(const struct lm_http_config *config, struct lm_http **http, char *why)
{
	struct lm_http *result = calloc(1, sizeof(*result));

	if (result) {
		result->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		result->clock = monotonic_ns;
		result->answer = lm_api_answer;
		result->connections_max = config->connections_max ? config->connections_max : LM_HTTP_CONNECTIONS;
		if (result->connections_max > CONNECTIONS_LIMIT)
			result->connections_max = CONNECTIONS_LIMIT;
		result->timeout_s = config->timeout_s ? config->timeout_s : LM_HTTP_TIMEOUT_S;
		if (config->web_config)
			result->web_config_path = strdup(config->web_config);
	}
	if (!result || result->epoll_fd < 0 || (config->web_config && !result->web_config_path) ||
		gnutls_rnd(GNUTLS_RND_NONCE, result->nonce, sizeof(result->nonce)) < 0) {
		snprintf(why, WHY_LEN, "no memory or descriptors for the HTTP server");
		if (result && result->epoll_fd >= 0)
			close(result->epoll_fd);
		if (result)
			free(result->web_config_path);
		free(result);
		return -ENOMEM;
	}
	*http = result;
	return 0;
}

static void free_http(struct lm_http *http)
{
	lm_http_credentials_free(http->credentials);
	lm_web_config_free(http->web_config);
	free(http->web_config_path);
	close(http->epoll_fd);
	free(http);
}

int lm_http_open(
	const struct lm_http_config *config, const struct lm_api_source *source, struct lm_http **http, char why[256])
{
	struct lm_http *result;
	int error = new_http(config, &result, why);

	if (error)
		return error;
	result->source = source;
	error = load_web_config(result->web_config_path, &result->web_config, &result->credentials, why);
	if (error)
		goto free_it;
	error = start_server(result, &result->server, why);
	if (error)
		goto free_it;
	error = lm_http_listen(result, config, why);
	if (error)
		goto stop;
	*http = result;
	return 0;

stop:
	stop_server(result, result->server);
free_it:
	free_http(result);
	return error;
}

void lm_http_close(struct lm_http *http)
{
	if (!http)
		return;
	lm_http_unlisten(http);
	stop_server(http, http->retired);
	stop_server(http, http->server);
	lm_http_kept_drop(http, true);
	free_http(http);
}

int lm_http_fd(const struct lm_http *http)
{
	return http->epoll_fd;
}

/* The earlier of two times, of which 0 is never. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static uint64_t server_due_ns(const struct lm_http_server *server, uint64_t now_ns)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (!server || MHD_get_timeout(server->daemon, &ms) != MHD_YES)
		return 0;
	return now_ns + (ms < 1000000 ? ms : 1000000) * NS_PER_MS;
}

int lm_http_timeout_ms(const struct lm_http *http)
{
	uint64_t now_ns = http->clock(), due_ns;

	if (http->has_waiting)
		return 0;
	due_ns = earlier(server_due_ns(http->server, now_ns), server_due_ns(http->retired, now_ns));
	due_ns = earlier(due_ns, http->check_at_ns);
	due_ns = earlier(due_ns, http->accept_at_ns);
	due_ns = earlier(due_ns, lm_http_streams_beat_at(http));
	if (http->retired)
		due_ns = earlier(due_ns, http->retired->stop_at_ns);
	if (!due_ns)
		return -1;
	return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

/* An address as IPv6, and whether it is of this machine. */
static bool note_address(const struct sockaddr_storage *address, struct in6_addr *out)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	memset(out, 0, sizeof(*out));
	if (address->ss_family == AF_INET) {
		out->s6_addr[10] = out->s6_addr[11] = 0xff;
		memcpy(out->s6_addr + 12, &four->sin_addr, 4);
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->ss_family != AF_INET6)
		return true;
	*out = ((const struct sockaddr_in6 *)address)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(out) || (IN6_IS_ADDR_V4MAPPED(out) && out->s6_addr[12] == 127);
}

/* Makes room by ending the connection that has been idle, or slow to ask, for longest. */
static bool make_room(struct lm_http *http)
{
	struct lm_http_connection *connection, *oldest = NULL;
	uint64_t now_ns = http->clock();

	DL_FOREACH(http->connections, connection)
	{
		if (connection->phase == LM_HTTP_RECEIVING && !connection->cut &&
			(!oldest || connection->since_ns < oldest->since_ns))
			oldest = connection;
	}
	if (!oldest || now_ns - oldest->since_ns < PATIENCE_NS)
		return false;
	lm_http_cut(oldest);
	return true;
}

static bool has_room(struct lm_http *http, const struct lm_http_connection *newcomer)
{
	struct lm_http_connection *connection;
	unsigned int same = 0;

	if (!newcomer->is_local) {
		DL_FOREACH(http->connections, connection)
		same += !connection->cut && !connection->is_local &&
			IN6_ARE_ADDR_EQUAL(&connection->address, &newcomer->address);
	}
	if (same >= LM_HTTP_PER_ADDRESS)
		return false;
	return http->connections_len < http->connections_max || make_room(http);
}

void lm_http_adopt(struct lm_http *http, int fd, const struct sockaddr_storage *address, socklen_t len)
{
	struct lm_http_connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		http->refused++;
		close(fd);
		return;
	}
	connection->http = http;
	connection->server = http->server;
	connection->fd = fd;
	connection->is_local = note_address(address, &connection->address);
	if (!has_room(http, connection)) {
		http->refused++;
		free(connection);
		close(fd);
		return;
	}
	lm_http_set_phase(connection, LM_HTTP_RECEIVING, http->timeout_s * NS_PER_S);
	http->arriving = connection;
	if (MHD_add_connection(http->server->daemon, fd, (const struct sockaddr *)address, len) != MHD_YES)
		http->refused++; /* it has closed the socket */
	if (http->arriving) {
		http->arriving = NULL;
		free_connection(connection);
	}
}

/* Descriptors or memory have run out: the queue in the kernel keeps clients until some are free again. */
static void pause_accepting(struct lm_http *http, int error)
{
	lm_warning("http: cannot take connections for a moment: %s", strerror(error));
	for (size_t i = 0; i < http->sockets_len; i++)
		epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, http->sockets[i], NULL);
	http->accept_at_ns = http->clock() + ACCEPT_PAUSE_NS;
}

static void go_on_accepting(struct lm_http *http)
{
	http->accept_at_ns = 0;
	for (size_t i = 0; i < http->sockets_len; i++) {
		int error = lm_http_watch(http, LM_HTTP_WATCH_SOCKET, http->sockets[i], EPOLLIN);

		if (error && error != -EEXIST)
			http->accept_at_ns = http->clock() + ACCEPT_PAUSE_NS;
	}
}

static void accept_all(struct lm_http *http, int socket)
{
	for (int i = 0; i < ACCEPTS && !http->accept_at_ns; i++) {
		struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
		socklen_t len = sizeof(address);
		int fd = accept4(socket, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			lm_http_adopt(http, fd, &address, len);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(http, errno);
		else if (errno == EAGAIN)
			return;
		/* others are about one client, which is gone */
	}
}

static void handle_events(struct lm_http *http)
{
	struct epoll_event events[EVENTS];
	int len = epoll_wait(http->epoll_fd, events, EVENTS, 0);

	for (int i = 0; i < len; i++) {
		int fd = (int)(uint32_t)events[i].data.u64;

		switch ((enum lm_http_watch)(events[i].data.u64 >> 32)) {
		case LM_HTTP_WATCH_SOCKET:
			accept_all(http, fd);
			break;
		case LM_HTTP_WATCH_STREAM:
			lm_http_stream_hung_up(http, fd);
			break;
		case LM_HTTP_WATCH_SERVER:
			break; /* each run asks it */
		}
	}
}

/* Ends what has taken too long, and finds out when to look again. */
static void check_deadlines(struct lm_http *http, uint64_t now_ns)
{
	struct lm_http_connection *connection;

	http->check_at_ns = 0;
	DL_FOREACH(http->connections, connection)
	{
		if (connection->cut || !connection->deadline_ns)
			continue;
		if (now_ns < connection->deadline_ns) {
			http->check_at_ns = earlier(http->check_at_ns, connection->deadline_ns);
			continue;
		}
		/* an idle client that has asked before is no nuisance */
		http->refused +=
			connection->phase != LM_HTTP_RECEIVING || connection->request.target || !connection->has_asked;
		lm_http_cut(connection);
	}
}

static void check_retired(struct lm_http *http, uint64_t now_ns)
{
	if (!http->retired || (http->retired->connections && now_ns < http->retired->stop_at_ns))
		return;
	stop_server(http, http->retired);
	http->retired = NULL;
}

void lm_http_run(struct lm_http *http)
{
	uint64_t now_ns = http->clock();

	http->run_ns = now_ns;
	http->has_answered = false;
	resume_waiting(http);
	if (http->accept_at_ns && now_ns >= http->accept_at_ns)
		go_on_accepting(http);
	if (http->check_at_ns && now_ns >= http->check_at_ns)
		check_deadlines(http, now_ns);
	handle_events(http);
	lm_http_streams_beat(http, now_ns);
	if (http->retired)
		MHD_run(http->retired->daemon);
	MHD_run(http->server->daemon);
	check_retired(http, now_ns);
}

void lm_http_new_snapshot(struct lm_http *http)
{
	lm_http_kept_drop(http, false);
}

/* The present server ends when its answers are sent; streams and idle clients come back to the new one. */
static void retire_server(struct lm_http *http)
{
	struct lm_http_connection *connection;

	stop_server(http, http->retired);
	http->retired = http->server;
	http->retired->retiring = true;
	http->retired->stop_at_ns = http->clock() + http->timeout_s * NS_PER_S;
	lm_http_streams_cut(http);
	DL_FOREACH(http->connections, connection)
	{
		if (connection->phase == LM_HTTP_RECEIVING)
			lm_http_cut(connection);
	}
}

int lm_http_reload(struct lm_http *http, char why[256])
{
	struct lm_web_config *config, *old_config = http->web_config;
	struct lm_http_credentials *credentials;
	struct lm_http_server *server;
	int error;

	if (!http->web_config_path)
		return 0;
	error = load_web_config(http->web_config_path, &config, &credentials, why);
	if (error)
		return error;
	http->web_config = config;
	error = start_server(http, &server, why);
	if (error) {
		http->web_config = old_config;
		lm_http_credentials_free(credentials);
		lm_web_config_free(config);
		return error;
	}
	retire_server(http);
	http->server = server;
	lm_http_credentials_free(http->credentials);
	http->credentials = credentials;
	lm_web_config_free(old_config);
	lm_http_kept_drop(http, true); /* they have the old headers */
	return 0;
}

int lm_http_check_web_config(const char *path, char why[256])
{
	struct lm_web_config *config;
	int error = lm_web_config_read(path, &config, why);

	if (!error)
		lm_web_config_free(config);
	return error;
}

void lm_http_counters(const struct lm_http *http, struct lm_http_counters *counters)
{
	*counters = (struct lm_http_counters){.requests = http->requests,
		.refused = http->refused,
		.connections = http->connections_len,
		.streams = http->streams_len};
}
