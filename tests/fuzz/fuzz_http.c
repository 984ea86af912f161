// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as what clients send: the server answers or closes, looks nothing up for who may not ask, and nothing of a
 * connection is left when it is over. The first byte of the input chooses users or none; a byte 0xff stands for a
 * pause.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/http_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define TURNS_MAX 1000
#define PAUSE 0xff

static struct lm_api_source source = {.generation = 1};
static uint64_t now_ns = 1000000000;
static char secret_name[] = "a", secret_hash[] = "$2b$04$abcdefghijklmnopqrstuuKFsvCFoZMfEqhBGnqiw1A5hA9LzZqGW";

/* A macro, so that the report names the line. */
#define want(right) ((right) ? (void)0 : __builtin_trap())

static uint64_t fuzz_clock(void)
{
	return now_ns;
}

int lm_api_answer(const struct lm_api_source *from, const struct lm_api_request *request, struct lm_api_answer *answer)
{
	size_t len = strlen(request->path);
	char *body = malloc(len + 1001);

	(void)from;
	if (!body)
		return -1;
	want(request->path[0] == '/');
	memcpy(body, request->path, len);
	memset(body + len, 'x', 1000);
	body[len + 1000] = '\0';
	*answer = (struct lm_api_answer){.kind = strncmp(request->path, "/e", 2) == 0 ? LM_API_EVENTS : LM_API_WHOLE,
		.status = 200,
		.content_type = "text/plain",
		.body = body,
		.len = len + 1000,
		.is_of_snapshot = request->parameter(request->context, "s") != NULL,
		.is_static = request->parameter(request->context, "t") != NULL};
	return 0;
}

void lm_api_answer_free(struct lm_api_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}

char *lm_api_event(const struct lm_change *change, size_t *len)
{
	char *event = strdup("data: {}\n\n");

	(void)change;
	*len = event ? strlen(event) : 0;
	return event;
}

static struct lm_http *server(void)
{
	static const char *const listen[] = {"127.0.0.1:0"};
	const struct lm_http_config config = {.listen = listen, .listen_len = 1};
	static struct lm_http *http;
	char why[256];

	if (!http) {
		want(lm_http_open(&config, &source, &http, why) == 0);
		http->clock = fuzz_clock;
	}
	return http;
}

/* Users, or none. What was found out about passwords before is forgotten. */
static void set_users(struct lm_http *http, bool wanted)
{
	static struct lm_web_user user = {.name = secret_name, .hash = secret_hash};
	static struct lm_web_config config = {.users = &user, .users_len = 1};

	lm_http_credentials_free(http->credentials);
	http->credentials = NULL;
	if (wanted)
		want(lm_http_credentials_new(&config, &http->credentials) == 0);
}

static void drain(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}

static void talk(struct lm_http *http, int fd, const uint8_t *data, size_t len)
{
	while (len) {
		const uint8_t *pause = memchr(data, PAUSE, len);
		size_t part = pause ? (size_t)(pause - data) : len;

		if (part && send(fd, data, part, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return;
		part += pause != NULL;
		data += part;
		len -= part;
		now_ns += 1000000;
		lm_http_run(http);
		drain(fd);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct sockaddr_storage address = {.ss_family = AF_INET};
	const struct lm_change change = {.kind = LM_CHANGE_FOUND};
	struct lm_http *http = server();
	int pair[2];

	if (!len)
		return 0;
	set_users(http, data[0] & 1);
	want(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	lm_http_adopt(http, pair[0], &address, sizeof(struct sockaddr_in));
	talk(http, pair[1], data + 1, len - 1);
	lm_http_run(http);
	drain(pair[1]);
	lm_http_tell(http, &change);
	if (data[0] & 2)
		now_ns += 60000000000; /* all deadlines; streams have none */
	else
		close(pair[1]);
	lm_http_streams_cut(http);
	for (int i = 0; http->connections; i++) {
		want(i < TURNS_MAX);
		lm_http_run(http);
	}
	if (data[0] & 2)
		close(pair[1]);
	lm_http_kept_drop(http, true);
	want(!http->streams && !http->bodies_bytes && !http->connections_len);
	return 0;
}
