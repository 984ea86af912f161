// SPDX-License-Identifier: GPL-2.0-or-later
/* The protocols are part of systemd's stable interface: systemd.io, sd_notify(3) "Notes", sd_listen_fds(3). */
#include "user/notify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_SOCKET 3 /* SD_LISTEN_FDS_START */
#define NS_PER_US 1000ull

void lm_notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	char text[512];
	va_list args;
	int fd, text_len;

	if (len < 2 || len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (*path == '@')
		address.sun_path[0] = 0;
	va_start(args, format);
	text_len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (text_len < 0 || (size_t)text_len >= sizeof(text))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	sendto(fd, text, text_len, MSG_NOSIGNAL, (const struct sockaddr *)&address,
		offsetof(struct sockaddr_un, sun_path) + len);
	close(fd);
}

/* The variable as a number if its companion, if there is one, names this process; else 0. */
static uint64_t number_for_us(const char *name, const char *pid_name)
{
	const char *text = getenv(name), *pid = getenv(pid_name);

	if (!text || (pid && strtoimax(pid, NULL, 10) != getpid()))
		return 0;
	return strtoumax(text, NULL, 10);
}

uint64_t lm_notify_watchdog_ns(void)
{
	return number_for_us("WATCHDOG_USEC", "WATCHDOG_PID") * NS_PER_US;
}

size_t lm_notify_sockets(int sockets[LM_NOTIFY_SOCKETS])
{
	uint64_t len = getenv("LISTEN_PID") ? number_for_us("LISTEN_FDS", "LISTEN_PID") : 0;

	if (len > LM_NOTIFY_SOCKETS)
		len = LM_NOTIFY_SOCKETS;
	for (size_t i = 0; i < len; i++) {
		sockets[i] = FIRST_SOCKET + i;
		fcntl(sockets[i], F_SETFD, FD_CLOEXEC);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return len;
}

bool lm_notify_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat status;

	if (!stream || sscanf(stream, "%ju:%ju", &device, &inode) != 2 || fstat(STDERR_FILENO, &status))
		return false;
	return status.st_dev == device && status.st_ino == inode;
}
