// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Streams of server-sent events. libmicrohttpd asks for bytes; while there are none the connection is suspended, which
 * also means that it sees nothing of a client that goes: epoll tells us.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "user/http_state.h"

#define BLOCK_BYTES 4096
#define NS_PER_MS 1000000ull
#define SEND_BUFFER_BYTES 65536 /* the kernel's, else it grows to megabytes before a client is found slow */

struct lm_http_stream {
	struct lm_http_stream *prev, *next;
	struct lm_http *http;
	struct lm_http_connection *connection; /* NULL: the request is over */
	char *bytes;                           /* not yet taken: from start to len */
	size_t start, len, size;
	size_t limit; /* of what is not yet taken */
	bool suspended, cut;
	uint64_t beat_ns; /* a comment is due */
};

/* What libmicrohttpd sends next. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t max)
{
	struct lm_http_stream *stream = context;
	size_t len = stream->len - stream->start;

	(void)position;
	if (stream->cut || !stream->connection)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!len) {
		stream->suspended = true;
		MHD_suspend_connection(stream->connection->mhd);
		return 0;
	}
	if (len > max)
		len = max;
	memcpy(out, stream->bytes + stream->start, len);
	stream->start += len;
	stream->limit = LM_HTTP_STREAM_MAX_BYTES; /* the beginning, which may be longer, is on its way */
	return (ssize_t)len;
}

static void free_stream(void *context)
{
	struct lm_http_stream *stream = context;

	free(stream->bytes);
	free(stream);
}

static void resume(struct lm_http_stream *stream)
{
	if (!stream->suspended)
		return;
	stream->suspended = false;
	MHD_resume_connection(stream->connection->mhd);
}

static void cut(struct lm_http_stream *stream)
{
	if (stream->cut)
		return;
	stream->cut = true;
	lm_http_cut(stream->connection);
	resume(stream);
}

static int append(struct lm_http_stream *stream, const char *bytes, size_t len)
{
	size_t have = stream->len - stream->start;

	if (have + len > stream->limit)
		return -ENOBUFS;
	if (stream->start) {
		memmove(stream->bytes, stream->bytes + stream->start, have);
		stream->start = 0;
		stream->len = have;
	}
	if (have + len > stream->size) {
		char *grown = realloc(stream->bytes, have + len);

		if (!grown)
			return -ENOMEM;
		stream->bytes = grown;
		stream->size = have + len;
	}
	memcpy(stream->bytes + have, bytes, len);
	stream->len = have + len;
	return 0;
}

/* To one client; one who does not take it in time is cut off: it asks again, and gets the present state. */
static void send_to(struct lm_http_stream *stream, const char *bytes, size_t len, uint64_t now_ns)
{
	if (stream->cut)
		return;
	if (append(stream, bytes, len) < 0) {
		stream->http->refused++;
		cut(stream);
		return;
	}
	stream->beat_ns = now_ns + LM_HTTP_HEARTBEAT_MS * NS_PER_MS;
	resume(stream);
}

int lm_http_stream_begin(
	struct lm_http_connection *connection, const char *body, size_t len, struct MHD_Response **response)
{
	struct lm_http *http = connection->http;
	const int buffer = SEND_BUFFER_BYTES;
	struct lm_http_stream *stream;
	int error = -ENOMEM;

	if (http->streams_len >= LM_HTTP_STREAMS)
		return -EBUSY;
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return -ENOMEM;
	stream->http = http;
	stream->connection = connection;
	stream->limit = len > LM_HTTP_STREAM_MAX_BYTES ? len : LM_HTTP_STREAM_MAX_BYTES;
	stream->beat_ns = http->clock() + LM_HTTP_HEARTBEAT_MS * NS_PER_MS;
	error = append(stream, body, len);
	if (!error)
		error = lm_http_watch(http, LM_HTTP_WATCH_STREAM, connection->fd, EPOLLRDHUP);
	if (error)
		goto free_it;
	*response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, free_stream);
	if (!*response) {
		error = -ENOMEM;
		goto unwatch;
	}
	setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	connection->stream = stream;
	DL_APPEND(http->streams, stream);
	http->streams_len++;
	return 0;

unwatch:
	epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
free_it:
	free_stream(stream);
	return error;
}

void lm_http_stream_end(struct lm_http_connection *connection)
{
	struct lm_http_stream *stream = connection->stream;

	if (!stream)
		return;
	epoll_ctl(connection->http->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	DL_DELETE(connection->http->streams, stream);
	connection->http->streams_len--;
	connection->stream = NULL;
	stream->connection = NULL; /* free_stream comes when the response goes */
}

void lm_http_stream_hung_up(struct lm_http *http, int fd)
{
	struct lm_http_stream *stream;

	DL_FOREACH(http->streams, stream)
	{
		if (stream->connection->fd == fd) {
			epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* told once is enough */
			cut(stream);
			return;
		}
	}
}

void lm_http_streams_cut(struct lm_http *http)
{
	struct lm_http_stream *stream;

	DL_FOREACH(http->streams, stream)
	cut(stream);
}

void lm_http_streams_resume(struct lm_http *http, const struct lm_http_server *server)
{
	struct lm_http_stream *stream;

	DL_FOREACH(http->streams, stream)
	{
		if (stream->connection->server == server)
			cut(stream);
	}
}

void lm_http_streams_beat(struct lm_http *http, uint64_t now_ns)
{
	struct lm_http_stream *stream;

	DL_FOREACH(http->streams, stream)
	{
		if (now_ns >= stream->beat_ns)
			send_to(stream, ":\n\n", 3, now_ns);
	}
}

uint64_t lm_http_streams_beat_at(const struct lm_http *http)
{
	const struct lm_http_stream *stream;
	uint64_t at_ns = 0;

	DL_FOREACH(http->streams, stream)
	{
		if (!stream->cut && (!at_ns || stream->beat_ns < at_ns))
			at_ns = stream->beat_ns;
	}
	return at_ns;
}

void lm_http_tell(struct lm_http *http, const struct lm_change *change)
{
	struct lm_http_stream *stream;
	uint64_t now_ns = http->clock();
	size_t len;
	char *event;

	if (!http->streams)
		return;
	event = lm_api_event(change, &len);
	if (!event) {
		lm_http_streams_cut(http); /* who asks again gets the present state: better than a gap */
		return;
	}
	DL_FOREACH(http->streams, stream)
	send_to(stream, event, len, now_ns);
	free(event);
}
