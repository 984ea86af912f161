// SPDX-License-Identifier: GPL-2.0-or-later
/* What is behind descriptors: real sockets of this process on loopback, and lists that make no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/sockets.h"

/* A listener on loopback, and the two ends of a connection to it. */
static void connect_pair(int family, int *listener, int *client, int *server)
{
	struct sockaddr_storage address = {.ss_family = family};
	socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	if (family == AF_INET)
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
	*listener = socket(family, SOCK_STREAM, 0);
	if (*listener < 0 || bind(*listener, (struct sockaddr *)&address, len))
		skip(); /* no IPv6 here */
	assert_int_equal(listen(*listener, 1), 0);
	assert_int_equal(getsockname(*listener, (struct sockaddr *)&address, &len), 0);
	*client = socket(family, SOCK_STREAM, 0);
	assert_int_equal(connect(*client, (struct sockaddr *)&address, len), 0);
	*server = accept(*listener, NULL, NULL);
	assert_true(*server >= 0);
}

static enum lm_socket_state state_of(const struct lm_socket_query *queries, size_t len, int fd)
{
	for (size_t i = 0; i < len; i++) {
		if (queries[i].fd == fd)
			return queries[i].state;
	}
	fail_msg("descriptor %d is gone", fd);
	return LM_SOCKET_NONE;
}

static void check_family(int family)
{
	int listener, client, server, pipe_fds[2];
	struct lm_socket_query queries[6];

	connect_pair(family, &listener, &client, &server);
	assert_int_equal(pipe(pipe_fds), 0);
	for (int round = 0; round < 2; round++) {
		const int fds[] = {client, listener, server, pipe_fds[0], -1, server};

		for (int i = 0; i < 6; i++)
			queries[i] = (struct lm_socket_query){.fd = fds[i]};
		assert_int_equal(lm_sockets_read("/proc", getpid(), queries, 6), 0);
		assert_int_equal(state_of(queries, 6, server), round == 0 ? LM_SOCKET_CONNECTED : LM_SOCKET_CLOSE_WAIT);
		assert_int_equal(state_of(queries, 6, listener), LM_SOCKET_OTHER);
		assert_int_equal(state_of(queries, 6, pipe_fds[0]), LM_SOCKET_NONE);
		assert_int_equal(state_of(queries, 6, -1), LM_SOCKET_NONE);
		/* the same socket twice */
		assert_int_equal(queries[5].inode == queries[4].inode || queries[4].inode == queries[3].inode, 1);
		if (round == 0)
			shutdown(client, SHUT_WR);
	}
	close(listener);
	close(client);
	close(server);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void a_connection_that_its_peer_closed_is_told_from_one_that_lives(void **state)
{
	(void)state;
	check_family(AF_INET);
}

static void so_it_is_with_ipv6(void **state)
{
	(void)state;
	check_family(AF_INET6);
}

static void a_pair_of_local_sockets_is_connected(void **state)
{
	struct lm_socket_query query;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	query.fd = fds[1];
	assert_int_equal(lm_sockets_read("/proc", getpid(), &query, 1), 0);
	assert_int_equal(query.state, LM_SOCKET_CONNECTED);
	close(fds[0]);
	close(fds[1]);
}

static void a_process_that_is_gone_is_an_error(void **state)
{
	struct lm_socket_query query = {.fd = 0};

	(void)state;
	assert_int_equal(lm_sockets_read("/proc", 0x3fffffff, &query, 1), -ESRCH);
}

/* PROC/42/fd/7 is a socket, and its list holds garbage around one true line. */
static void lists_that_make_no_sense_are_skipped(void **state)
{
	char root[] = "/tmp/leakmon-sockets-XXXXXX", path[128];
	struct lm_socket_query query = {.fd = 7};
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(root));
	for (const char **folder = (const char *[]){"42", "42/fd", "42/net", NULL}; *folder; folder++) {
		snprintf(path, sizeof(path), "%s/%s", root, *folder);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(path, sizeof(path), "%s/42/fd/7", root);
	assert_int_equal(symlink("socket:[123]", path), 0);
	snprintf(path, sizeof(path), "%s/42/net/tcp", root);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"  sl  local_address rem_address   st\n\n%01000d\n0: a b\n0: a b zz c d e f 123\n"
		"  1: 0100007F:1F90 0100007F:A2C4 08 0:0 0:0 0 0 0 123 1\n",
		1);
	fclose(file);
	assert_int_equal(lm_sockets_read(root, 42, &query, 1), 0);
	assert_int_equal(query.inode, 123);
	assert_int_equal(query.state, LM_SOCKET_CLOSE_WAIT);
	snprintf(path, sizeof(path), "rm -r '%s'", root);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_that_its_peer_closed_is_told_from_one_that_lives),
		cmocka_unit_test(so_it_is_with_ipv6),
		cmocka_unit_test(a_pair_of_local_sockets_is_connected),
		cmocka_unit_test(a_process_that_is_gone_is_an_error),
		cmocka_unit_test(lists_that_make_no_sense_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
