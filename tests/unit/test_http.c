// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The HTTP server as its clients see it: on 127.0.0.1 and any free port, in the same thread as the clients' sockets
 * (or beside curl in a process of its own). What the answers say is the fake's below; that is not the matter here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "user/http_state.h"

#define NS_PER_S 1000000000ull
#define DEADLINE_NS (20 * NS_PER_S)
#define SOON_NS (10 * NS_PER_S) /* well before libmicrohttpd's own timeout would do the same */
#define MANY 1000

static struct lm_api_source source;
static unsigned int calls;       /* of the fake */
static uint64_t clock_ahead_ns;  /* of the server's clock */
static uint64_t stands_still_ns; /* 0: it does not, else what it shows */
static uint64_t answer_takes_ns;
static size_t big_len = 8u << 20;

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t test_clock(void)
{
	return (stands_still_ns ? stands_still_ns : real_ns()) + clock_ahead_ns;
}

static char *filled(size_t len)
{
	char *body = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		body[i] = (char)('a' + i * i % 17 % 26);
	body[len] = '\0';
	return body;
}

/* The API of the tests. */
static int fake_answer(
	const struct lm_api_source *from, const struct lm_api_request *request, struct lm_api_answer *answer)
{
	const char *path = request->path, *site = request->parameter(request->context, "site");
	struct lm_api_answer result = {.status = 200, .content_type = "text/plain; charset=utf-8"};

	calls++;
	clock_ahead_ns += answer_takes_ns;
	if (strcmp(path, "/static") == 0) {
		result.body = filled(4000);
		result.is_static = true;
		result.security = "default-src 'self'";
	} else if (strcmp(path, "/big") == 0) {
		result.body = filled(big_len);
		result.is_of_snapshot = true;
	} else if (strcmp(path, "/zipped") == 0) {
		result.body = filled(4000);
		memcpy(result.body, "\x1f\x8b", 2);
		result.disposition = "attachment; filename=\"x.pb.gz\"";
	} else if (strcmp(path, "/events") == 0) {
		result.kind = LM_API_EVENTS;
		result.content_type = "text/event-stream";
		result.body = strdup("retry: 1000\n\n");
	} else if (strcmp(path, "/none") == 0) {
		result.status = 404;
		result.body = strdup("none\n");
	} else if (strcmp(path, "/memory") == 0) {
		return -ENOMEM;
	} else {
		result.is_of_snapshot = strcmp(path, "/snapshot") == 0;
		if (asprintf(&result.body, "%s %s %llu %s", path, site ? site : "-",
			    (unsigned long long)from->generation, request->accept ? request->accept : "-") < 0)
			return -ENOMEM;
	}
	result.len = strlen(result.body);
	*answer = result;
	return 0;
}

static void set_up_server(struct lm_http *http)
{
	http->clock = test_clock;
	http->answer = fake_answer;
}

static struct lm_http *open_with(const struct lm_http_config *config)
{
	struct lm_http *http = NULL;
	char why[256] = "";

	calls = 0;
	clock_ahead_ns = 0;
	answer_takes_ns = 0;
	stands_still_ns = 0;
	source = (struct lm_api_source){.generation = 1};
	if (lm_http_open(config, &source, &http, why) != 0)
		fail_msg("%s", why);
	set_up_server(http);
	return http;
}

static struct lm_http *open_server(void)
{
	static const char *const listen[] = {"127.0.0.1:0"};
	const struct lm_http_config config = {.listen = listen, .listen_len = 1};

	return open_with(&config);
}

/* A loop as the daemon's, for one turn. */
static void turn(struct lm_http *http, int max_ms)
{
	struct pollfd poll_fd = {.fd = lm_http_fd(http), .events = POLLIN};
	int timeout_ms = lm_http_timeout_ms(http);

	if (timeout_ms < 0 || timeout_ms > max_ms)
		timeout_ms = max_ms;
	poll(&poll_fd, 1, timeout_ms);
	lm_http_run(http);
}

struct client {
	int fd;
	char *bytes; /* received; ends with a NUL */
	size_t len, size;
	bool closed;
};

static void receive(struct client *client)
{
	for (;;) {
		ssize_t got;

		if (client->size - client->len < 65536) {
			client->size = 2 * client->size + 65536;
			client->bytes = realloc(client->bytes, client->size + 1);
		}
		got = recv(client->fd, client->bytes + client->len, client->size - client->len, MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN)
			break;
		client->closed |= got <= 0;
		if (got <= 0)
			break;
		client->len += (size_t)got;
	}
	client->bytes[client->len] = '\0';
}

static struct client connect_to(struct lm_http *http)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)lm_http_port(http)),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};

	assert_true(client.fd >= 0);
	if (connect(client.fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
		fail_msg("connect: %s", strerror(errno));
	return client;
}

static void send_bytes(struct client *client, const char *bytes, size_t len)
{
	ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL);

	if (sent < 0 && errno != EPIPE && errno != ECONNRESET)
		fail_msg("send: %s", strerror(errno));
}

static void send_text(struct client *client, const char *text)
{
	send_bytes(client, text, strlen(text));
}

static void hang_up(struct client *client)
{
	close(client->fd);
	free(client->bytes);
	*client = (struct client){.fd = -1};
}

/* Turns until the text has come (NULL: never), or the connection has ended. */
static void await(struct lm_http *http, struct client *client, const char *text)
{
	uint64_t deadline_ns = real_ns() + SOON_NS;

	receive(client);
	while (!client->closed && !(text && strstr(client->bytes, text))) {
		if (real_ns() > deadline_ns)
			fail_msg("waited for %s, got: %.300s", text ? text : "the end", client->bytes);
		turn(http, 10);
		receive(client);
	}
	if (text && !strstr(client->bytes, text))
		fail_msg("the end, and no \"%s\" in: %.600s", text, client->bytes);
}

/* Turns until the server has so many connections. */
static void await_connections(struct lm_http *http, unsigned int wanted)
{
	uint64_t deadline_ns = real_ns() + SOON_NS;
	struct lm_http_counters counters;

	do {
		turn(http, 10);
		lm_http_counters(http, &counters);
		if (real_ns() > deadline_ns)
			fail_msg("%u connections, not %u", counters.connections, wanted);
	} while (counters.connections != wanted);
}

/* The whole answer to a request that is sent as it is, up to the connection's end. To be freed. */
static struct client exchange(struct lm_http *http, const char *request, size_t len)
{
	struct client client = connect_to(http);
	uint64_t deadline_ns = real_ns() + DEADLINE_NS;
	size_t sent = 0;

	while (!client.closed) {
		ssize_t now = sent < len ? send(client.fd, request + sent, len - sent, MSG_NOSIGNAL) : 0;

		if (now > 0)
			sent += (size_t)now;
		if (now < 0 && errno != EAGAIN && errno != ENOTCONN)
			sent = len;
		turn(http, 10);
		receive(&client);
		if (real_ns() > deadline_ns)
			fail_msg("no end: %.300s", client.bytes);
	}
	return client;
}

/* GET with further header lines. */
static struct client get(struct lm_http *http, const char *target, const char *headers)
{
	struct client client;
	char *request;

	assert_true(asprintf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n", target,
			    headers) > 0);
	client = exchange(http, request, strlen(request));
	free(request);
	return client;
}

static unsigned int status_of(const struct client *client)
{
	unsigned int status = 0;

	if (client->bytes)
		sscanf(client->bytes, "HTTP/1.%*c %u", &status);
	return status;
}

static const char *body_of(const struct client *client)
{
	const char *body = strstr(client->bytes, "\r\n\r\n");

	assert_non_null(body);
	return body + 4;
}

/* The value of a header, in memory of its own; NULL if it is not there. */
static const char *header_of(const struct client *client, const char *name)
{
	static char value[4096];
	const char *line = client->bytes, *end = strstr(client->bytes, "\r\n\r\n");
	size_t len = strlen(name);

	while ((line = strstr(line, "\r\n")) && line < end) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			line += len + 1 + strspn(line + len + 1, " ");
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
			return value;
		}
	}
	return NULL;
}

static void assert_header(const struct client *client, const char *name, const char *value)
{
	const char *is = header_of(client, name);

	if (!is || strcmp(is, value) != 0)
		fail_msg("%s is %s, not %s, in:\n%.800s", name, is ? is : "not there", value, client->bytes);
}

static void assert_status(struct lm_http *http, const char *request, size_t len, unsigned int status)
{
	struct client client = exchange(http, request, len);

	if (status_of(&client) != status)
		fail_msg("%u, not %u, for:\n%.200s\n%.400s", status_of(&client), status, request, client.bytes);
	hang_up(&client);
}

static void a_request_is_answered_with_all_headers(void **state)
{
	struct lm_http *http = open_server();
	struct client client = get(http, "/snapshot?site=a%20b+c", "Accept: text/x\r\n");
	struct lm_http_counters counters;

	(void)state;
	assert_int_equal(status_of(&client), 200);
	assert_string_equal(body_of(&client), "/snapshot a b c 1 text/x");
	assert_header(&client, "Content-Length", "24");
	assert_header(&client, "Content-Type", "text/plain; charset=utf-8");
	assert_header(&client, "X-Content-Type-Options", "nosniff");
	assert_header(&client, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	assert_header(&client, "Referrer-Policy", "no-referrer");
	assert_header(&client, "Cross-Origin-Resource-Policy", "same-origin");
	assert_header(&client, "Cache-Control", "no-cache");
	assert_header(&client, "Vary", "Accept, Accept-Encoding");
	assert_null(header_of(&client, "Access-Control-Allow-Origin"));
	hang_up(&client);
	client = get(http, "/none", "");
	assert_int_equal(status_of(&client), 404);
	assert_header(&client, "X-Content-Type-Options", "nosniff");
	assert_null(header_of(&client, "ETag"));
	hang_up(&client);
	client = get(http, "/memory", "");
	assert_int_equal(status_of(&client), 503);
	hang_up(&client);
	client = get(http, "/zipped", "Accept-Encoding: gzip\r\n");
	assert_header(&client, "Content-Disposition", "attachment; filename=\"x.pb.gz\"");
	assert_null(header_of(&client, "Content-Encoding"));
	hang_up(&client);
	lm_http_counters(http, &counters);
	assert_int_equal(counters.requests, 4);
	assert_int_equal(counters.refused, 0);
	lm_http_close(http);
}

static void head_says_the_length_and_no_more(void **state)
{
	static const char request[] = "HEAD /static HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	static const char events[] = "HEAD /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	struct lm_http *http = open_server();
	struct client client = exchange(http, request, strlen(request));
	struct lm_http_counters counters;

	(void)state;
	assert_int_equal(status_of(&client), 200);
	assert_header(&client, "Content-Length", "4000");
	assert_string_equal(body_of(&client), "");
	hang_up(&client);
	client = exchange(http, events, strlen(events));
	assert_int_equal(status_of(&client), 200);
	assert_header(&client, "Content-Type", "text/event-stream");
	assert_string_equal(body_of(&client), "");
	hang_up(&client);
	lm_http_counters(http, &counters);
	assert_int_equal(counters.streams, 0);
	lm_http_close(http);
}

static void what_is_no_good_request_is_refused(void **state)
{
	struct lm_http *http = open_server();
	static const struct {
		const char *request;
		unsigned int status; /* 0: the connection is closed */
	} cases[] = {
		{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405},
		{"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		{"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		{"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 413},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\nabc", 413},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 413},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\n\r\n", 200},
		{"GET /%2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /a%00b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /%c0%af HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /%ed%a0%80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /%f4%90%80%80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /%e6%bc%a2?site=%f0%9f%98%80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200},
		{"GET /?a=%4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /?a=1&a=2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /?%00=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /?a&b=&=c&& HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200},
		{"GET /\xe6 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET /#a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET / HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n", 505},
		{"GET / HTTQ/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{"GET / x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0},
		{"\x16\x03\x01\x02\r\n", 0},
		{"GET\r\n\r\n", 0},
	};
	struct lm_http_counters counters;
	unsigned int tried = sizeof(cases) / sizeof(cases[0]), good = 0;

	(void)state;
	for (unsigned int i = 0; i < tried; i++) {
		assert_status(http, cases[i].request, strlen(cases[i].request), cases[i].status);
		good += cases[i].status == 200;
	}
	lm_http_counters(http, &counters);
	assert_int_equal(counters.refused, tried - good);
	assert_int_equal(counters.connections, 0);
	lm_http_close(http);
}

static void a_405_names_what_is_allowed(void **state)
{
	static const char request[] = "PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct lm_http *http = open_server();
	struct client client = exchange(http, request, strlen(request));

	(void)state;
	assert_int_equal(status_of(&client), 405);
	assert_header(&client, "Allow", "GET, HEAD");
	hang_up(&client);
	lm_http_close(http);
}

static void what_is_too_long_is_refused(void **state)
{
	struct lm_http *http = open_server();
	char *request = malloc(200000);
	int len;

	(void)state;
	len = sprintf(request, "GET /%0*d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 5000, 0);
	assert_status(http, request, (size_t)len, 414);
	len = sprintf(request, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %0*d\r\n\r\n", 10000, 0);
	assert_status(http, request, (size_t)len, 200);
	len = sprintf(request, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %0*d\r\n\r\n", 16500, 0);
	assert_status(http, request, (size_t)len, 431);
	len = sprintf(request, "GET /?");
	for (int i = 0; i < 40; i++)
		len += sprintf(request + len, "p%d=1&", i);
	len += sprintf(request + len, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	assert_status(http, request, (size_t)len, 400);
	free(request);
	lm_http_close(http);
}

/* Above what libmicrohttpd takes: it refuses by itself, or closes before all has come. */
static void what_is_far_too_long_is_given_up(void **state)
{
	struct lm_http *http = open_server();
	char *request = malloc(4u << 20);
	static const struct {
		const char *before, *after;
	} cases[] = {{"GET /", " HTTP/1.1\r\nHost: localhost\r\n\r\n"},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", "\r\n\r\n"}, {"", ""}, {"\r\n", "\r\n"}};
	struct lm_http_counters counters;
	unsigned int refused = 0;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		for (int size = 40000; size < 3000000; size *= 8) {
			int len = sprintf(request, "%s%0*d%s", cases[i].before, size, 0, cases[i].after);
			struct client client = exchange(http, request, (size_t)len);
			unsigned int status = status_of(&client);

			if (status && status != 431 && status != 414 && status != 413 && status != 400)
				fail_msg("%u", status);
			hang_up(&client);
			refused++;
		}
	}
	assert_int_equal(calls, 0);
	lm_http_counters(http, &counters);
	assert_int_equal(counters.refused, refused);
	assert_int_equal(counters.connections, 0);
	free(request);
	lm_http_close(http);
}

static void only_our_names_are_answered(void **state)
{
	static const struct {
		const char *host;
		unsigned int status;
	} cases[] = {{"localhost", 200}, {"LocalHost:9469", 200}, {"localhost.", 200}, {"127.0.0.1", 200},
		{"10.1.2.3:80", 200}, {"[::1]", 200}, {"[::1]:9469", 200}, {"[fe80::1]", 200}, {"evil.example", 421},
		{"localhost.evil.example", 421}, {"127.0.0.1.evil.example", 421}, {"", 421}, {"localhost:x", 421},
		{"[::1", 421}, {"[localhost]", 421}, {"::1", 421}, {"localhost@evil.example", 421}, {"0x7f.1", 421},
		{"localhost:1:2", 421}, {".", 421}};
	struct lm_http *http = open_server();
	struct client client;
	char request[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int len = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			cases[i].host);

		assert_status(http, request, (size_t)len, cases[i].status);
	}
	client = exchange(http, "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n", 39);
	assert_non_null(strstr(body_of(&client), "--listen"));
	hang_up(&client);
	lm_http_close(http);
}

static void the_machine_is_called_by_its_name_on_its_network(void **state)
{
	static const char *const listen[] = {"0.0.0.0:0"};
	const struct lm_http_config config = {.listen = listen, .listen_len = 1};
	struct lm_http *http = open_with(&config);
	char name[256], request[400];
	int len;

	(void)state;
	assert_int_equal(gethostname(name, sizeof(name)), 0);
	len = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name);
	assert_status(http, request, (size_t)len, 200);
	lm_http_close(http);
	http = open_server();
	assert_status(http, request, (size_t)len, strcmp(name, "localhost") == 0 ? 200 : 421);
	lm_http_close(http);
}

static void addresses_that_cannot_be_listened_on_are_named(void **state)
{
	static const struct {
		const char *address, *why;
		int error;
	} cases[] = {{"127.0.0.1", "ADDRESS:PORT", -EINVAL}, {"127.0.0.1:", "ADDRESS:PORT", -EINVAL},
		{"127.0.0.1:70000", "ADDRESS:PORT", -EINVAL}, {"127.0.0.1:80x", "ADDRESS:PORT", -EINVAL},
		{"::1:9469", "ADDRESS:PORT", -EINVAL}, {"[]:1", "ADDRESS:PORT", -EINVAL},
		{"192.0.2.1:0", "192.0.2.1:0: this machine has no such address", -EADDRNOTAVAIL}};
	struct lm_http *http = open_server(), *other = NULL;
	char why[256], address[32];
	const char *listen = address;
	const struct lm_http_config config = {.listen = &listen, .listen_len = 1}, none = {.listen_len = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct lm_http_config wrong = {.listen = &cases[i].address, .listen_len = 1};

		assert_int_equal(lm_http_open(&wrong, &source, &other, why), cases[i].error);
		if (!strstr(why, cases[i].why))
			fail_msg("%s", why);
	}
	snprintf(address, sizeof(address), "127.0.0.1:%u", lm_http_port(http));
	assert_int_equal(lm_http_open(&config, &source, &other, why), -EADDRINUSE);
	assert_non_null(strstr(why, address));
	assert_non_null(strstr(why, "--listen"));
	assert_int_equal(lm_http_open(&none, &source, &other, why), -EINVAL);
	assert_null(other);
	lm_http_close(http);
	lm_http_close(NULL);
}

static void every_address_is_listened_on(void **state)
{
	static const char *const listen[] = {":0", "localhost:0"};
	const struct lm_http_config config = {.listen = listen, .listen_len = 2};
	struct lm_http *http = open_with(&config);
	struct client client = get(http, "/", "");

	(void)state;
	assert_int_equal(status_of(&client), 200);
	hang_up(&client);
	lm_http_close(http);
}

static void a_socket_that_is_there_already_is_taken(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0), pipes[2], both[2];
	struct lm_http_config config = {.sockets = &fd, .sockets_len = 1};
	struct lm_http *http = NULL;
	struct client client;
	char why[256];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	http = open_with(&config);
	client = get(http, "/", "");
	assert_int_equal(status_of(&client), 200);
	hang_up(&client);
	lm_http_close(http);
	assert_int_equal(fcntl(fd, F_GETFD), -1);

	assert_int_equal(pipe(pipes), 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(listen(fd, 5), 0);
	both[0] = fd;
	both[1] = pipes[0];
	config = (struct lm_http_config){.sockets = both, .sockets_len = 2};
	assert_true(lm_http_open(&config, &source, &http, why) < 0);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* still ours */
	assert_true(fcntl(pipes[0], F_GETFD) >= 0);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

static void inflate_to(const char *bytes, size_t len, char *out, size_t out_len)
{
	z_stream stream = {
		.next_in = (Bytef *)bytes, .avail_in = (uInt)len, .next_out = (Bytef *)out, .avail_out = (uInt)out_len};

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.total_out, out_len);
	inflateEnd(&stream);
}

static void answers_are_compressed_for_those_who_ask(void **state)
{
	static const struct {
		const char *accept;
		bool gzip;
	} cases[] = {{"gzip", true}, {"gzip;q=0", false}, {"gzip; q=0.0", false}, {"deflate, GZIP;q=0.5", true},
		{"identity", false}, {"*", true}, {"*;q=0", false}, {"*;q=0, gzip;q=0.1", true}, {"br", false},
		{"", false}, {"gzip;q=0.1, identity;q=0.9", false}, {"gzip;q=1.0, identity;q=0.9", true},
		{"x-gzip", true}, {"gzipped", false}, {"gzip;q=x", false}, {",,;;q,gzip", true}};
	struct lm_http *http = open_server();
	char headers[128], *body = malloc(4000), *right = filled(4000);
	struct client client;

	(void)state;
	assert_false(lm_http_accepts_gzip(NULL));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (lm_http_accepts_gzip(cases[i].accept) != cases[i].gzip)
			fail_msg("%s", cases[i].accept);
		snprintf(headers, sizeof(headers), "Accept-Encoding: %s\r\n", cases[i].accept);
		client = get(http, "/static", headers);
		assert_int_equal(status_of(&client), 200);
		if (cases[i].gzip) {
			assert_header(&client, "Content-Encoding", "gzip");
			inflate_to(body_of(&client), (size_t)atoi(header_of(&client, "Content-Length")), body, 4000);
			assert_memory_equal(body, right, 4000);
		} else {
			assert_null(header_of(&client, "Content-Encoding"));
			assert_string_equal(body_of(&client), right);
		}
		hang_up(&client);
	}
	client = get(http, "/small", "Accept-Encoding: gzip\r\n");
	assert_null(header_of(&client, "Content-Encoding"));
	hang_up(&client);
	free(body);
	free(right);
	lm_http_close(http);
}

static void what_has_not_changed_is_not_sent_again(void **state)
{
	struct lm_http *http = open_server();
	struct client client = get(http, "/snapshot", "");
	char headers[256], tag[64], length[16];

	(void)state;
	snprintf(length, sizeof(length), "%s", header_of(&client, "Content-Length"));
	snprintf(tag, sizeof(tag), "%s", header_of(&client, "ETag"));
	assert_int_equal(strlen(tag), 34);
	hang_up(&client);
	snprintf(headers, sizeof(headers), "If-None-Match: \"x\", W/%s\r\n", tag);
	client = get(http, "/snapshot", headers);
	assert_int_equal(status_of(&client), 304);
	assert_header(&client, "ETag", tag);
	assert_header(&client, "Vary", "Accept, Accept-Encoding");
	assert_header(&client, "Content-Length", length);
	assert_string_equal(body_of(&client), "");
	hang_up(&client);
	client = get(http, "/snapshot", "If-None-Match: *\r\n");
	assert_int_equal(status_of(&client), 304);
	hang_up(&client);
	assert_int_equal(calls, 1); /* once for all of them */

	snprintf(headers, sizeof(headers), "If-None-Match: %s\r\n", tag);
	client = get(http, "/snapshot?site=1", headers);
	assert_int_equal(status_of(&client), 200);
	hang_up(&client);
	client = get(http, "/static", "");
	snprintf(tag, sizeof(tag), "%s", header_of(&client, "ETag"));
	assert_header(&client, "Content-Security-Policy", "default-src 'self'");
	hang_up(&client);

	source.generation++;
	lm_http_new_snapshot(http);
	client = get(http, "/snapshot", headers);
	assert_int_equal(status_of(&client), 200);
	assert_string_equal(body_of(&client), "/snapshot - 2 -");
	hang_up(&client);
	calls = 0;
	snprintf(headers, sizeof(headers), "If-None-Match: %s\r\n", tag);
	client = get(http, "/static", headers);
	assert_int_equal(status_of(&client), 304);
	hang_up(&client);
	assert_int_equal(calls, 0);
	client = get(http, "/other", "");
	hang_up(&client);
	client = get(http, "/other", "");
	assert_null(header_of(&client, "ETag"));
	hang_up(&client);
	assert_int_equal(calls, 2);
	lm_http_close(http);
}

static void a_connection_serves_many_requests(void **state)
{
	struct lm_http *http = open_server();
	struct client client = connect_to(http);

	(void)state;
	send_text(&client, "GET /one HTTP/1.1\r\nHost: localhost\r\n\r\nGET /two HTTP/1.1\r\nHost: localhost\r\n\r\n");
	await(http, &client, "/two - 1 -");
	assert_non_null(strstr(client.bytes, "/one - 1 -"));
	send_text(&client, "GET /three HTTP/1.1\r\nHost: localhost\r\n\r\n");
	await(http, &client, "/three - 1 -");
	hang_up(&client);
	await_connections(http, 0);
	lm_http_close(http);
}

static void too_many_connections_are_closed_at_once(void **state)
{
	struct rlimit limit;
	struct lm_http *http = open_server();
	static struct client clients[MANY];
	struct lm_http_counters counters;
	unsigned int closed = 0;
	struct client client;
	uint64_t before_ns;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 2 * MANY) {
		print_message("SKIP: %d descriptors are too few\n", (int)limit.rlim_cur);
		skip();
	}
	for (int i = 0; i < MANY; i++) {
		clients[i] = connect_to(http);
		if (i % 20 == 0)
			lm_http_run(http);
	}
	before_ns = real_ns();
	do {
		turn(http, 1);
		lm_http_counters(http, &counters);
	} while (counters.refused < MANY - LM_HTTP_CONNECTIONS && real_ns() - before_ns < DEADLINE_NS);
	assert_int_equal(counters.connections, LM_HTTP_CONNECTIONS);
	assert_int_equal(counters.refused, MANY - LM_HTTP_CONNECTIONS);
	for (int i = 0; i < MANY; i++) {
		receive(&clients[i]);
		closed += clients[i].closed;
	}
	assert_int_equal(closed, MANY - LM_HTTP_CONNECTIONS);

	/* they say nothing: after a moment one makes way for who asks */
	clock_ahead_ns += NS_PER_S;
	client = get(http, "/", "");
	assert_int_equal(status_of(&client), 200);
	hang_up(&client);
	await_connections(http, LM_HTTP_CONNECTIONS - 1);
	for (int i = 0; i < MANY; i++)
		hang_up(&clients[i]);
	await_connections(http, 0);
	lm_http_close(http);
}

static void one_other_machine_has_a_share_only(void **state)
{
	struct lm_http *http = open_server();
	struct sockaddr_storage address = {.ss_family = AF_INET};
	int pairs[LM_HTTP_PER_ADDRESS + 2][2];
	struct lm_http_counters counters;

	(void)state;
	((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(0xc0000201);
	for (int i = 0; i < LM_HTTP_PER_ADDRESS + 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
		if (i == LM_HTTP_PER_ADDRESS + 1) /* another one */
			((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(0xc0000202);
		lm_http_adopt(http, pairs[i][0], &address, sizeof(struct sockaddr_in));
	}
	lm_http_counters(http, &counters);
	assert_int_equal(counters.connections, LM_HTTP_PER_ADDRESS + 1);
	assert_int_equal(counters.refused, 1);
	for (int i = 0; i < LM_HTTP_PER_ADDRESS + 2; i++)
		close(pairs[i][1]);
	await_connections(http, 0);
	lm_http_close(http);
}

static void slow_clients_are_cut_off_and_hold_nobody_up(void **state)
{
	static const char *const listen[] = {"127.0.0.1:0"};
	const struct lm_http_config config = {.listen = listen, .listen_len = 1, .timeout_s = 2};
	struct lm_http *http = open_with(&config);
	struct client slow[20], client;
	struct lm_http_counters counters;
	uint64_t begin_ns = real_ns(), asked_ns;
	unsigned int closed = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		slow[i] = connect_to(http);
		turn(http, 1);
		send_text(&slow[i], "GET / HTTP/1.1\r\nHost: localhost\r\nX-");
	}
	for (int i = 0; closed < 20; i++) {
		uint64_t until_ns = real_ns() + NS_PER_S / 10;

		while (real_ns() < until_ns)
			turn(http, 10);
		asked_ns = real_ns();
		client = get(http, "/", "");
		assert_int_equal(status_of(&client), 200);
		assert_true(real_ns() - asked_ns < 3 * NS_PER_S / 2);
		hang_up(&client);
		closed = 0;
		for (int j = 0; j < 20; j++) {
			if (!slow[j].closed)
				send_text(&slow[j], "a"); /* never silent for long */
			receive(&slow[j]);
			closed += slow[j].closed;
		}
		assert_true(real_ns() - begin_ns < DEADLINE_NS);
	}
	assert_true(real_ns() - begin_ns > 3 * NS_PER_S / 2);
	lm_http_counters(http, &counters);
	assert_int_equal(counters.refused, 20);
	for (int i = 0; i < 20; i++)
		hang_up(&slow[i]);
	lm_http_close(http);
}

static void who_does_not_read_an_answer_is_cut_off(void **state)
{
	struct lm_http *http = open_server();
	struct client client = connect_to(http);
	struct lm_http_counters counters;

	(void)state;
	send_text(&client, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
	while (calls == 0)
		turn(http, 10);
	turn(http, 10);
	assert_true(http->bodies_bytes >= big_len);
	lm_http_new_snapshot(http);
	/* 8 MiB may take 15 s and 128 s more */
	clock_ahead_ns += 100 * NS_PER_S;
	turn(http, 10);
	lm_http_counters(http, &counters);
	assert_int_equal(counters.connections, 1);
	clock_ahead_ns += 50 * NS_PER_S;
	await_connections(http, 0);
	turn(http, 10);
	assert_int_equal(http->bodies_bytes, 0);
	hang_up(&client);
	lm_http_close(http);
}

static void work_is_done_a_little_at_a_time(void **state)
{
	struct lm_http *http = open_server();
	struct client clients[10];
	unsigned int answered = 0, runs = 0;

	(void)state;
	answer_takes_ns = NS_PER_S / 5;
	for (int i = 0; i < 10; i++)
		clients[i] = connect_to(http);
	await_connections(http, 10);
	for (int i = 0; i < 10; i++)
		send_text(&clients[i], "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
	while (answered < 10) {
		unsigned int before = calls;

		turn(http, 10);
		assert_true(calls - before <= 1);
		assert_true(++runs < 1000);
		answered = 0;
		for (int i = 0; i < 10; i++) {
			receive(&clients[i]);
			answered += status_of(&clients[i]) == 200;
		}
	}
	for (int i = 0; i < 10; i++)
		hang_up(&clients[i]);
	await_connections(http, 0);
	/* and closing in the middle of it is no matter */
	for (int i = 0; i < 10; i++)
		clients[i] = connect_to(http);
	await_connections(http, 10);
	for (int i = 0; i < 10; i++)
		send_text(&clients[i], "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
	turn(http, 10);
	lm_http_close(http);
	for (int i = 0; i < 10; i++)
		hang_up(&clients[i]);
}

static struct client listen_to_events(struct lm_http *http)
{
	struct client client = connect_to(http);

	send_text(&client, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
	await(http, &client, "retry: 1000");
	return client;
}

static const struct lm_change change = {.kind = LM_CHANGE_FOUND,
	.at_ns = 1700000000000000000,
	.id = "0123456789abcdef",
	.level = LM_LEVEL_LIKELY,
	.summary = "many wait"};

static void events_come_when_they_happen(void **state)
{
	struct lm_http *http = open_server();
	struct client one = listen_to_events(http), two = listen_to_events(http);
	struct lm_http_counters counters;
	uint64_t told_ns;
	size_t len;
	char *event = lm_api_event(&change, &len);

	(void)state;
	assert_header(&one, "Content-Type", "text/event-stream");
	assert_header(&one, "X-Content-Type-Options", "nosniff");
	assert_true(lm_http_timeout_ms(http) > 5000); /* nothing to do: no spinning */
	told_ns = real_ns();
	lm_http_tell(http, &change);
	await(http, &one, event);
	await(http, &two, event);
	assert_true(real_ns() - told_ns < 5 * NS_PER_S);
	clock_ahead_ns += 16 * NS_PER_S;
	await(http, &one, ":\n\n");
	hang_up(&two);
	await_connections(http, 1); /* seen at once, without anything sent */
	lm_http_counters(http, &counters);
	assert_int_equal(counters.streams, 1);
	lm_http_tell(http, &change);
	hang_up(&one);
	await_connections(http, 0);
	lm_http_tell(http, &change);
	free(event);
	one = listen_to_events(http);
	lm_http_close(http);
	hang_up(&one);
}

static void as_many_streams_as_may_be_and_no_more(void **state)
{
	struct lm_http *http = open_server();
	struct client clients[LM_HTTP_STREAMS], client;

	(void)state;
	for (int i = 0; i < LM_HTTP_STREAMS; i++)
		clients[i] = listen_to_events(http);
	client = get(http, "/events", "");
	assert_int_equal(status_of(&client), 503);
	hang_up(&client);
	client = get(http, "/", "");
	assert_int_equal(status_of(&client), 200);
	hang_up(&client);
	shutdown(clients[3].fd, SHUT_WR); /* in good order: nothing but epoll tells */
	await_connections(http, LM_HTTP_STREAMS - 1);
	hang_up(&clients[3]);
	clients[3] = listen_to_events(http);
	for (int i = 0; i < LM_HTTP_STREAMS; i++)
		hang_up(&clients[i]);
	await_connections(http, 0);
	lm_http_close(http);
}

static void who_is_too_slow_for_events_is_cut_off(void **state)
{
	struct lm_http *http = open_server();
	struct client slow = listen_to_events(http), good = listen_to_events(http);
	struct lm_http_counters counters;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		lm_http_tell(http, &change);
		if (i % 50 == 0) {
			turn(http, 0);
			receive(&good);
			good.len = 0;
		}
		lm_http_counters(http, &counters);
		if (counters.streams == 1)
			break;
	}
	assert_int_equal(counters.streams, 1);
	assert_int_equal(counters.refused, 1);
	assert_false(good.closed);
	lm_http_tell(http, &change);
	await(http, &good, change.id);
	hang_up(&slow);
	hang_up(&good);
	await_connections(http, 0);
	lm_http_close(http);
}

/* A folder of the test's own with what it writes there. */
static char folder[64];

static const char *path_of(const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/leakmon-http-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"web.yml", "cert.pem", "key.pem", "ca.pem", "ca-key.pem", "client.pem",
		"client-key.pem", "other.pem", "other-key.pem", "out", "client.csr", "fifo"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

static char *bcrypt_of(const char *password, int cost)
{
	static struct crypt_data data;
	char salt[64];

	snprintf(salt, sizeof(salt), "$2b$%02d$abcdefghijklmnopqrstuu", cost);
	return crypt_r(password, salt, &data);
}

static struct lm_http *open_with_web_config(void)
{
	static const char *const listen[] = {"127.0.0.1:0"};
	static char path[128];
	const struct lm_http_config config = {.listen = listen, .listen_len = 1, .web_config = path};

	snprintf(path, sizeof(path), "%s", path_of("web.yml"));
	return open_with(&config);
}

static void assert_get_with(struct lm_http *http, const char *header, unsigned int status)
{
	struct client client = get(http, "/", header);

	if (status_of(&client) != status)
		fail_msg("%u, not %u: %s%.300s", status_of(&client), status, header, client.bytes);
	if (status == 401) {
		assert_header(&client, "WWW-Authenticate", "Basic realm=\"leakmon\", charset=\"UTF-8\"");
		assert_non_null(
			strstr(body_of(&client), strcasestr(header, ": Basic ") ? "the name or the password is wrong"
										: "name and password are needed"));
	}
	if (status == 429)
		assert_non_null(header_of(&client, "Retry-After"));
	hang_up(&client);
}

#define ALICE "Authorization: Basic YWxpY2U6c2VjcmV0\r\n" /* alice:secret */

static void only_users_are_answered(void **state)
{
	char text[256];
	struct lm_http *http;

	(void)state;
	snprintf(text, sizeof(text), "basic_auth_users:\n  alice: %s\n", bcrypt_of("secret", 4));
	write_file("web.yml", text);
	http = open_with_web_config();
	stands_still_ns = real_ns(); /* however slow the machine is */
	assert_get_with(http, "", 401);
	assert_get_with(http, "Authorization: Bearer YWxpY2U6c2VjcmV0\r\n", 401);
	assert_get_with(http, "Authorization: Basic\r\n", 401);
	assert_get_with(http, "Authorization: Basic !!!\r\n", 401);
	assert_get_with(http, "Authorization: Basic YWxpY2U=\r\n", 401);             /* alice */
	assert_get_with(http, "Authorization: Basic YWxpY2U6c2VjcmV0AA==\r\n", 401); /* alice:secret\0 */
	assert_get_with(http, ALICE, 200);
	assert_get_with(http, "authorization: basic YWxpY2U6d3Jvbmc=\r\n", 401); /* alice:wrong */
	clock_ahead_ns += NS_PER_S;
	assert_get_with(http, "Authorization: Basic Ym9iOnNlY3JldA==\r\n", 401); /* bob:secret */
	assert_int_equal(calls, 1);

	/* many new ones at once: no more than a few are tried, those known go on */
	assert_get_with(http, "Authorization: Basic Ym9iOmE=\r\n", 429); /* bob:a */
	assert_get_with(http, "Authorization: Basic Ym9iOnNlY3JldA==\r\n", 401);
	assert_get_with(http, ALICE, 200);
	clock_ahead_ns += NS_PER_S;
	assert_get_with(http, "Authorization: Basic Ym9iOmE=\r\n", 401);
	assert_get_with(http, "Authorization: Basic Ym9iOmI=\r\n", 429); /* bob:b */
	assert_int_equal(calls, 2);

	/* after a reload it is a new matter */
	snprintf(text, sizeof(text), "basic_auth_users:\n  alice: %s\n", bcrypt_of("changed", 4));
	write_file("web.yml", text);
	assert_int_equal(lm_http_reload(http, text), 0);
	assert_get_with(http, ALICE, 401);
	lm_http_close(http);
}

static void a_broken_file_changes_nothing(void **state)
{
	char text[256], why[256] = "";
	struct lm_http *http, *other = NULL;
	const struct lm_http_config none = {.web_config = "/nonexistent/web.yml"};
	struct client stream, client;

	(void)state;
	snprintf(text, sizeof(text),
		"basic_auth_users:\n  alice: %s\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n",
		bcrypt_of("secret", 4));
	write_file("web.yml", text);
	http = open_with_web_config();
	stream = connect_to(http);
	send_text(&stream, "GET /events HTTP/1.1\r\nHost: localhost\r\n" ALICE "\r\n");
	await(http, &stream, "retry: ");
	write_file("web.yml", "basic_auth_users:\n  alice: secret\n");
	assert_int_equal(lm_http_reload(http, why), -EINVAL);
	if (!strstr(why, "web.yml:2: the password of user alice is no bcrypt hash"))
		fail_msg("%s", why);
	unlink(path_of("web.yml"));
	assert_int_equal(lm_http_reload(http, why), -ENOENT);
	client = get(http, "/", ALICE);
	assert_int_equal(status_of(&client), 200);
	assert_header(&client, "X-Frame-Options", "deny");
	hang_up(&client);
	assert_get_with(http, "", 401);
	lm_http_tell(http, &change);
	await(http, &stream, change.id);

	/* a good one takes what was begun before to its end */
	client = connect_to(http);
	send_text(&client, "GET /big HTTP/1.1\r\nHost: localhost\r\n" ALICE "\r\n");
	await(http, &client, "HTTP/1.1 200");
	write_file("web.yml", "{}\n");
	assert_int_equal(lm_http_reload(http, why), 0);
	await(http, &client, NULL);
	assert_int_equal(strlen(body_of(&client)), big_len);
	await(http, &stream, NULL);
	assert_get_with(http, "", 200);
	hang_up(&client);
	hang_up(&stream);
	await_connections(http, 0);
	assert_null(http->retired);
	lm_http_close(http);
	assert_int_equal(lm_http_open(&none, &source, &other, why), -ENOENT);
}

static void web_configs_are_refused_with_file_line_and_reason(void **state)
{
	static const struct {
		const char *text, *why; /* NULL: good */
	} cases[] = {
		{"", NULL},
		{"tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n", NULL},
		{"http_server_config:\n  http2: true\n  headers:\n    Strict-Transport-Security: max-age=1\n    "
		 "X-XSS-Protection:\n",
			NULL},
		{"tls_config:\n", "web.yml:1: tls_config is no key of the file"},
		{"- a\n", "web.yml:1: the file wants keys"},
		{"a: b: c\n", "web.yml: line 1: "},
		{"tls_server_config:\n  cert_file: cert.pem\n", "cannot read cert.pem: No such file"},
		{"tls_server_config:\n  cert_file: .\n", "cannot read .: Is a directory"},
		{"tls_server_config:\n  cert: x\n", "web.yml:1: tls_server_config wants a key_file"},
		{"tls_server_config:\n  min_version: TLS12\n", "web.yml:1: tls_server_config wants a cert_file"},
		{"tls_server_config:\n  cert: x\n  key: y\n", "cert_file: it is no certificate in PEM"},
		{"tls_server_config:\n  min_version: TLS14\n", "web.yml:2: min_version is \"TLS14\": say TLS10"},
		{"tls_server_config:\n  cert: x\n  key: y\n  min_version: TLS13\n  max_version: TLS12\n",
			"min_version is above"},
		{"tls_server_config:\n  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n",
			"web.yml:2: cipher_suites cannot"},
		{"tls_server_config:\n  curve_preferences: [P256]\n", "curve_preferences has \"P256\": say CurveP256"},
		{"tls_server_config:\n  client_auth_type: RequestClientCert\n",
			"web.yml:2: client_auth_type RequestClientCert is not done"},
		{"tls_server_config:\n  client_allowed_sans: [a]\n", "client_allowed_sans is not done"},
		{"tls_server_config:\n  cert: x\n  key: y\n  client_auth_type: RequireAndVerifyClientCert\n",
			"web.yml:4: "},
		{"tls_server_config:\n  cert: x\n  key: y\n  client_ca: z\n", "client_ca_file is not used without"},
		{"tls_server_config:\n  prefer_server_cipher_suites: maybe\n",
			"web.yml:2: prefer_server_cipher_suites is \"maybe\""},
		{"http_server_config:\n  http2: yes please\n", "web.yml:2: http2"},
		{"http_server_config:\n  headers:\n    X-Powered-By: me\n",
			"web.yml:3: X-Powered-By is no key of headers"},
		{"http_server_config:\n  headers:\n    X-Frame-Options: allow\n",
			"web.yml:3: X-Frame-Options is \"allow\": say deny"},
		{"http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n", "say nosniff"},
		{"http_server_config:\n  headers:\n    Content-Security-Policy: \"a\\r\\nb: c\"\n", "line break"},
		{"basic_auth_users:\n  a: [b]\n", "web.yml:2: a wants one value"},
		{"basic_auth_users: [a]\n", "wants NAME: HASH"},
		{"basic_auth_users:\n  a: $2y$15$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghi\n",
			"cost 15, more than 14"},
		{"basic_auth_users:\n  a: $2y$03$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghi\n", "cost 3"},
		{"basic_auth_users:\n  a: $2y$10$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghi\n", NULL},
		{"basic_auth_users:\n  a: $2x$10$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghi\n",
			"no bcrypt hash"},
		{"basic_auth_users:\n  a: $1$abcdefgh$abcdefghijklmnopqrstuu\n", "no bcrypt hash"},
		{"basic_auth_users:\n  'a:b': x\n", "colon"},
		{"rate_limit:\n  interval: 1s\n", "web.yml:1: rate_limit is not done here"},
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int error;

		write_file("web.yml", cases[i].text);
		strcpy(why, "");
		error = lm_http_check_web_config(path_of("web.yml"), why);
		if (cases[i].why ? !error || !strstr(why, cases[i].why) : error)
			fail_msg("%d \"%s\" is no \"%s\"", error, why, cases[i].why ? cases[i].why : "");
	}
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_int_equal(lm_http_check_web_config(path_of("fifo"), why), -EINVAL);
	assert_int_equal(lm_http_check_web_config(folder, why), -EINVAL);
}

static bool tell_meanwhile; /* changes, while a program runs */

/* Runs a program beside the server. Its exit status; -1 if it is not there. */
static int run_beside(struct lm_http *http, const char *const argv[], char *out, size_t out_len)
{
	uint64_t deadline_ns = real_ns() + DEADLINE_NS;
	pid_t pid = fork();
	ssize_t len;
	int status, fd;

	if (pid == 0) {
		fd = open(path_of("out"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2) < 0)
			_exit(126);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_true(pid > 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (real_ns() > deadline_ns) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			fail_msg("%s does not end", argv[0]);
		}
		if (http && tell_meanwhile)
			lm_http_tell(http, &change);
		if (http)
			turn(http, 10);
		else
			poll(NULL, 0, 10);
	}
	fd = open(path_of("out"), O_RDONLY | O_CLOEXEC);
	len = read(fd, out, out_len - 1);
	close(fd);
	out[len > 0 ? len : 0] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

/* A certificate for NAME, by openssl. signer: "" = by itself. */
static bool make_certificate(const char *name, const char *subject, const char *extension)
{
	char key[128], certificate[128], subject_text[64], out[64];
	const char *const argv[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key, "-out", certificate, "-subj",
		subject_text, "-addext", extension, NULL};

	snprintf(key, sizeof(key), "%s/%s-key.pem", folder, name);
	snprintf(certificate, sizeof(certificate), "%s/%s.pem", folder, name);
	snprintf(subject_text, sizeof(subject_text), "/CN=%s", subject);
	return run_beside(NULL, argv, out, sizeof(out)) == 0;
}

static const char *curl_path = "/x";

/* What curl gets from the server by TLS: its exit status. */
static int curl(struct lm_http *http, const char *host, const char *option, const char *value, const char *more,
	const char *more_value, char out[4096])
{
	char url[128], ca[128], resolve[128];
	const char *argv[] = {"curl", "-sS", "-i", "-m", "10", "--cacert", ca, "--resolve", resolve, url, option, value,
		more, more_value, NULL};

	snprintf(url, sizeof(url), "https://%s:%u%s", host, lm_http_port(http), curl_path);
	snprintf(resolve, sizeof(resolve), "%s:%u:127.0.0.1", host, lm_http_port(http));
	snprintf(ca, sizeof(ca), "%s", path_of("ca.pem"));
	if (!option)
		argv[10] = NULL;
	else if (!more)
		argv[12] = NULL;
	return run_beside(http, argv, out, 4096);
}

static void tls_is_as_the_file_says(void **state)
{
	char out[4096], why[256] = "", cert[128], key[128], other[128], other_key[128];
	const char *const version[] = {"curl", "--version", NULL};
	struct lm_http *http;
	struct client client;

	(void)state;
	if (!make_certificate("ca", "leakmon.test", "subjectAltName=DNS:leakmon.test,DNS:localhost") ||
		run_beside(NULL, version, out, sizeof(out)) != 0) {
		print_message("SKIP: there is no openssl or curl\n");
		skip();
	}
	assert_true(make_certificate("client", "client", "extendedKeyUsage=clientAuth"));
	assert_true(make_certificate("other", "client", "extendedKeyUsage=clientAuth"));
	snprintf(cert, sizeof(cert), "%s", path_of("client.pem"));
	snprintf(key, sizeof(key), "%s", path_of("client-key.pem"));
	snprintf(other, sizeof(other), "%s", path_of("other.pem"));
	snprintf(other_key, sizeof(other_key), "%s", path_of("other-key.pem"));

	write_file("web.yml", "tls_server_config:\n  cert_file: ca.pem\n  key_file: ca-key.pem\n");
	http = open_with_web_config();
	assert_int_equal(curl(http, "localhost", NULL, NULL, NULL, NULL, out), 0);
	assert_non_null(strstr(out, "HTTP/1.1 200"));
	assert_non_null(strstr(out, "/x - 1 "));
	/* a name that the certificate has is ours too; another page's is not */
	assert_int_equal(curl(http, "leakmon.test", NULL, NULL, NULL, NULL, out), 0);
	assert_non_null(strstr(out, "HTTP/1.1 200"));
	assert_int_equal(curl(http, "evil.example", "--insecure", "-4", NULL, NULL, out), 0);
	assert_non_null(strstr(out, "HTTP/1.1 421"));
	assert_int_equal(curl(http, "localhost", "--tls-max", "1.2", NULL, NULL, out), 0);
	curl_path = "/big";
	assert_int_equal(curl(http, "localhost", "-o", "/dev/null", "-w", "%{size_download}", out), 0);
	assert_int_equal(atoi(out), big_len);
	curl_path = "/events";
	tell_meanwhile = true;
	assert_int_equal(curl(http, "localhost", "-m", "1", NULL, NULL, out), 28); /* it had to be ended */
	tell_meanwhile = false;
	assert_non_null(strstr(out, "retry: 1000"));
	assert_non_null(strstr(out, change.id));
	curl_path = "/x";
	client = exchange(http, "GET / HTTP/1.0\r\n\r\n", 18); /* without TLS */
	assert_int_not_equal(status_of(&client), 200);
	hang_up(&client);

	write_file("web.yml", "tls_server_config:\n  cert_file: ca.pem\n  key_file: client-key.pem\n");
	assert_int_equal(lm_http_reload(http, why), -EINVAL);
	assert_non_null(strstr(why, "key_file: it is no key of cert_file"));
	assert_int_equal(curl(http, "localhost", NULL, NULL, NULL, NULL, out), 0);

	write_file("web.yml", "tls_server_config:\n  cert_file: ca.pem\n  key_file: ca-key.pem\n  min_version: TLS13\n"
			      "  curve_preferences: [CurveP384]\n");
	if (lm_http_reload(http, why) != 0)
		fail_msg("%s", why);
	assert_int_not_equal(curl(http, "localhost", "--tls-max", "1.2", NULL, NULL, out), 0);
	assert_int_not_equal(curl(http, "localhost", "--curves", "X25519", NULL, NULL, out), 0);
	assert_int_equal(curl(http, "localhost", NULL, NULL, NULL, NULL, out), 0);

	write_file("web.yml", "tls_server_config:\n  cert_file: ca.pem\n  key_file: ca-key.pem\n"
			      "  client_ca_file: client.pem\n  client_auth_type: RequireAndVerifyClientCert\n");
	if (lm_http_reload(http, why) != 0)
		fail_msg("%s", why);
	calls = 0;
	curl(http, "localhost", NULL, NULL, NULL, NULL, out);
	assert_null(strstr(out, "200"));
	curl(http, "localhost", "--cert", other, "--key", other_key, out);
	assert_null(strstr(out, "200"));
	curl(http, "localhost", "--tls-max", "1.2", NULL, NULL, out);
	assert_null(strstr(out, "200"));
	assert_int_equal(calls, 0);
	assert_int_equal(curl(http, "localhost", "--cert", cert, "--key", key, out), 0);
	assert_non_null(strstr(out, "HTTP/1.1 200"));
	lm_http_close(http);
}

static void memory_is_bounded_whatever_is_asked(void **state)
{
	struct lm_http *http = open_server();
	struct client clients[40];
	size_t before, after;
	char target[64];

	(void)state;
	big_len = 6u << 20;
	for (int i = 0; i < 200; i++) { /* each is another answer that may be kept */
		struct client client;

		snprintf(target, sizeof(target), "/snapshot?site=%d", i);
		client = get(http, target, "");
		assert_int_equal(status_of(&client), 200);
		hang_up(&client);
	}
	before = mallinfo2().uordblks;
	for (int i = 0; i < 40; i++) {
		char request[128];

		clients[i] = connect_to(http);
		snprintf(request, sizeof(request), "GET /big?site=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
		turn(http, 1);
		send_text(&clients[i], request);
		turn(http, 10);
		assert_true(http->kept_bytes <= LM_HTTP_KEEP_MAX_BYTES);
		assert_true(http->bodies_bytes <= LM_HTTP_BODIES_MAX_BYTES);
	}
	await(http, &clients[39], "HTTP/1.1 503");
	for (int i = 0; i < 40; i++)
		hang_up(&clients[i]);
	await_connections(http, 0);
	lm_http_kept_drop(http, true);
	assert_int_equal(http->kept_bytes, 0);
	assert_int_equal(http->bodies_bytes, 0);
	after = mallinfo2().uordblks;
	assert_true(after <= before + 100000);
	big_len = 8u << 20;
	lm_http_close(http);
}

static void descriptors_that_run_out_are_waited_for(void **state)
{
	struct lm_http *http = open_server();
	struct client client = connect_to(http);
	struct rlimit limit, low;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)client.fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 5; i++)
		turn(http, 10);
	assert_int_not_equal(http->accept_at_ns, 0);
	assert_true(lm_http_timeout_ms(http) > 100); /* it does not spin */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	send_text(&client, "GET / HTTP/1.0\r\n\r\n");
	await(http, &client, "/ - 1 -");
	hang_up(&client);
	lm_http_close(http);
}

static void idle_means_nothing_to_do(void **state)
{
	struct lm_http *http = open_server();
	struct client client = connect_to(http);
	struct pollfd poll_fd = {.fd = lm_http_fd(http), .events = POLLIN};

	(void)state;
	assert_int_equal(lm_http_timeout_ms(http), -1);
	send_text(&client, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
	await(http, &client, "HTTP/1.1 200");
	for (int i = 0; i < 50; i++)
		turn(http, 1);
	/* the client does not read: neither the descriptor nor the timeout may have the caller spin */
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	assert_true(lm_http_timeout_ms(http) > 1000);
	hang_up(&client);
	await_connections(http, 0);
	lm_http_close(http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_answered_with_all_headers),
		cmocka_unit_test(head_says_the_length_and_no_more),
		cmocka_unit_test(what_is_no_good_request_is_refused),
		cmocka_unit_test(a_405_names_what_is_allowed),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(what_is_far_too_long_is_given_up),
		cmocka_unit_test(only_our_names_are_answered),
		cmocka_unit_test(the_machine_is_called_by_its_name_on_its_network),
		cmocka_unit_test(addresses_that_cannot_be_listened_on_are_named),
		cmocka_unit_test(every_address_is_listened_on),
		cmocka_unit_test(a_socket_that_is_there_already_is_taken),
		cmocka_unit_test(answers_are_compressed_for_those_who_ask),
		cmocka_unit_test(what_has_not_changed_is_not_sent_again),
		cmocka_unit_test(a_connection_serves_many_requests),
		cmocka_unit_test(too_many_connections_are_closed_at_once),
		cmocka_unit_test(one_other_machine_has_a_share_only),
		cmocka_unit_test(slow_clients_are_cut_off_and_hold_nobody_up),
		cmocka_unit_test(who_does_not_read_an_answer_is_cut_off),
		cmocka_unit_test(work_is_done_a_little_at_a_time),
		cmocka_unit_test(events_come_when_they_happen),
		cmocka_unit_test(as_many_streams_as_may_be_and_no_more),
		cmocka_unit_test(who_is_too_slow_for_events_is_cut_off),
		cmocka_unit_test_setup_teardown(only_users_are_answered, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_broken_file_changes_nothing, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			web_configs_are_refused_with_file_line_and_reason, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(tls_is_as_the_file_says, make_folder, remove_folder),
		cmocka_unit_test(memory_is_bounded_whatever_is_asked),
		cmocka_unit_test(descriptors_that_run_out_are_waited_for),
		cmocka_unit_test(idle_means_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
