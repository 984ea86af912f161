// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sockets that the server listens on, and the names that clients may call it by. The sockets are made here and not
 * by libmicrohttpd, whose errors do not say which address they are about.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/http_state.h"

#define WHY_LEN 256
#define BACKLOG 128
#define HOST_MAX_BYTES 255

/* "HOST:PORT" in its parts: host is "" for every address. */
struct place {
	const char *text;
	char host[HOST_MAX_BYTES + 1];
	char port[6];
	bool is_address; /* no name */
};

/* Copies len bytes of a host without brackets. */
static int set_host(struct place *place, const char *text, size_t len)
{
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (brackets) {
		text++;
		len -= 2;
	}
	if (len > HOST_MAX_BYTES || (!brackets && memchr(text, ':', len)) || (brackets && !len))
		return -EINVAL;
	memcpy(place->host, text, len);
	place->host[len] = '\0';
	place->is_address = brackets;
	return 0;
}

static int parse_place(const char *text, struct place *place, char *why)
{
	struct in_addr address;
	const char *colon = strrchr(text, ':');
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;

	if (!colon || !digits || digits > 5 || colon[1 + digits] || atoi(colon + 1) > 65535 ||
		set_host(place, text, (size_t)(colon - text)) < 0) {
		snprintf(why, WHY_LEN,
			"%.100s is no address to listen on: say ADDRESS:PORT, such as 127.0.0.1:9469, [::1]:9469 or "
			":9469",
			text);
		return -EINVAL;
	}
	place->text = text;
	memcpy(place->port, colon + 1, digits + 1);
	place->is_address |= inet_pton(AF_INET, place->host, &address) == 1;
	return 0;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	return address->ss_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static int add_name(struct lm_http *http, const char *name)
{
	for (size_t i = 0; i < http->names_len; i++) {
		if (strcasecmp(http->names[i], name) == 0)
			return 0;
	}
	if (http->names_len == LM_HTTP_NAMES)
		return -ENOSPC;
	http->names[http->names_len] = strdup(name);
	return http->names[http->names_len++] ? 0 : -ENOMEM;
}

/* Who listens on more than loopback is asked under the machine's name. */
static int add_machine_name(struct lm_http *http)
{
	char name[HOST_MAX_BYTES + 1];

	if (gethostname(name, sizeof(name)) < 0 || !*name)
		return 0;
	name[HOST_MAX_BYTES] = '\0';
	return add_name(http, name);
}

static int complain_of(const char *place, int error, char *why)
{
	switch (error) {
	case -EADDRINUSE:
		snprintf(
			why, WHY_LEN, "%.100s is in use: end what listens there, or name another with --listen", place);
		break;
	case -EADDRNOTAVAIL:
		snprintf(why, WHY_LEN, "%.100s: this machine has no such address: name one of its own with --listen",
			place);
		break;
	case -EACCES:
		snprintf(why, WHY_LEN,
			"%.100s: no privilege to listen there: name a port above 1023 with --listen, or run it as root",
			place);
		break;
	default:
		snprintf(why, WHY_LEN, "%.100s: cannot listen there: %s", place, strerror(-error));
	}
	return error;
}

static int note_socket(struct lm_http *http, int fd)
{
	int error;

	if (http->sockets_len == LM_HTTP_SOCKETS)
		return -ENOSPC;
	error = lm_http_watch(http, LM_HTTP_WATCH_SOCKET, fd, EPOLLIN);
	if (error)
		return error;
	http->sockets[http->sockets_len++] = fd;
	return 0;
}

static int open_socket(struct lm_http *http, const struct addrinfo *info)
{
	const int on = 1;
	int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol), error;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		(info->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
		bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		error = -errno;
	else
		error = note_socket(http, fd);
	if (error)
		close(fd);
	return error;
}

/* Is it no fault that this one of several addresses cannot be listened on? The kernel may have no IPv6. */
static bool may_lack(const struct addrinfo *info, int error)
{
	return info->ai_family == AF_INET6 && (error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT);
}

static int open_place(struct lm_http *http, const struct place *place, char *why)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list, *info;
	size_t before = http->sockets_len;
	int error = getaddrinfo(*place->host ? place->host : NULL, place->port, &hints, &list), lacking = 0;

	if (error) {
		snprintf(why, WHY_LEN, "%.100s: no such host: %s: name an address with --listen", place->text,
			gai_strerror(error));
		return -EADDRNOTAVAIL;
	}
	error = 0;
	for (info = list; info && !error; info = info->ai_next) {
		error = open_socket(http, info);
		if (!error && !is_loopback((const struct sockaddr_storage *)info->ai_addr))
			error = add_machine_name(http);
		if (error && may_lack(info, error) && list->ai_next) {
			lacking = error;
			error = 0;
		}
	}
	freeaddrinfo(list);
	if (!error && http->sockets_len == before)
		error = lacking;
	if (!error && *place->host && !place->is_address)
		error = add_name(http, place->host);
	return error ? complain_of(place->text, error, why) : 0;
}

/* A socket that systemd, say, has made. */
static int take_socket(struct lm_http *http, int fd, char *why)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(address), on_len = sizeof(int);
	int on = 0, error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &on_len) < 0)
		error = -errno;
	else if (!on || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		error = -EINVAL;
	else if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		error = -errno;
	if (!error)
		error = note_socket(http, fd);
	if (!error && !is_loopback(&address))
		error = add_machine_name(http);
	if (error)
		snprintf(why, WHY_LEN,
			"descriptor %d is no socket to take connections from: %s: look at the .socket unit", fd,
			strerror(-error));
	return error;
}

int lm_http_listen(struct lm_http *http, const struct lm_http_config *config, char why[256])
{
	struct place place;
	int error = add_name(http, "localhost");

	if (error)
		snprintf(why, WHY_LEN, "%s", strerror(-error));
	for (size_t i = 0; i < config->sockets_len && !error; i++)
		error = take_socket(http, config->sockets[i], why);
	if (error && config->sockets_len)
		http->sockets_len = 0; /* they are the caller's still */
	for (size_t i = 0; i < config->listen_len && !config->sockets_len && !error; i++) {
		error = parse_place(config->listen[i], &place, why);
		if (!error)
			error = open_place(http, &place, why);
	}
	if (!error && !http->sockets_len) {
		snprintf(why, WHY_LEN, "there is no address to listen on: name one with --listen");
		error = -EINVAL;
	}
	if (error)
		lm_http_unlisten(http);
	return error;
}

void lm_http_unlisten(struct lm_http *http)
{
	for (size_t i = 0; i < http->sockets_len; i++)
		close(http->sockets[i]);
	http->sockets_len = 0;
	for (size_t i = 0; i < http->names_len; i++)
		free(http->names[i]);
	http->names_len = 0;
}

bool lm_http_host_is_ours(const struct lm_http *http, const char *header)
{
	struct place host;
	struct in_addr four;
	struct in6_addr six;
	const char *port;
	size_t len;

	len = *header == '[' ? strcspn(header, "]") + 1 : strcspn(header, ":");
	if (len > strlen(header) || set_host(&host, header, len) < 0)
		return false;
	port = header + len;
	if (*port == ':')
		port += 1 + strspn(port + 1, "0123456789");
	if (*port)
		return false;
	if (*header == '[')
		return inet_pton(AF_INET6, host.host, &six) == 1;
	if (inet_pton(AF_INET, host.host, &four) == 1)
		return true;
	len = strlen(host.host);
	if (len && host.host[len - 1] == '.')
		host.host[len - 1] = '\0'; /* a name from the root */
	for (size_t i = 0; i < http->names_len; i++) {
		if (strcasecmp(http->names[i], host.host) == 0)
			return true;
	}
	return http->web_config && lm_web_config_names(http->web_config, host.host);
}

unsigned int lm_http_port(const struct lm_http *http)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(address);

	if (getsockname(http->sockets[0], (struct sockaddr *)&address, &len) < 0)
		return 0;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port) : 0;
}
