// SPDX-License-Identifier: GPL-2.0-or-later
/* Plain ECMA-48 sequences that every terminal of the last thirty years knows: a frame is drawn over the last one, so
 * nothing flickers, and a terminal library is not needed for it. */
#include "user/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OTHER_SCREEN "\033[?1049h\033[?25l" /* and no cursor */
#define FIRST_SCREEN "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

void lm_live_enter(struct lm_live *live, FILE *stream)
{
	live->stream = stream;
	live->keys = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp() &&
		     tcgetattr(STDIN_FILENO, &live->before) == 0;
	lm_live_enter_again(live);
}

void lm_live_enter_again(struct lm_live *live)
{
	struct termios single;

	if (live->keys) {
		single = live->before;
		single.c_lflag &= ~(ICANON | ECHO);
		single.c_cc[VMIN] = 0;
		single.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &single);
	}
	fputs(OTHER_SCREEN, live->stream);
	fflush(live->stream);
}

/* A terminal that Ctrl-S holds takes nothing, not even that we leave it. */
static void let_go_on(int fd)
{
	struct termios modes, unheld;

	if (tcgetattr(fd, &modes))
		return;
	unheld = modes;
	unheld.c_iflag &= ~IXON;
	tcsetattr(fd, TCSANOW, &unheld);
	tcsetattr(fd, TCSANOW, &modes);
}

void lm_live_leave(struct lm_live *live)
{
	if (live->keys)
		let_go_on(fileno(live->stream));
	fputs(FIRST_SCREEN, live->stream);
	fflush(live->stream);
	if (live->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &live->before);
}

void lm_live_size(const struct lm_live *live, int *columns, int *rows)
{
	struct winsize size = {0};

	if (ioctl(fileno(live->stream), TIOCGWINSZ, &size))
		size = (struct winsize){0};
	*columns = size.ws_col;
	*rows = size.ws_row;
}

int lm_live_frame(const char *text, char **frame, size_t *len)
{
	char *bytes = NULL;
	size_t bytes_len = 0;
	FILE *memory = open_memstream(&bytes, &bytes_len);
	const char *end;

	if (!memory)
		return -errno;
	fputs(HOME, memory);
	for (; (end = strchr(text, '\n')); text = end + 1) {
		fwrite(text, 1, end - text, memory);
		fputs(CLEAR_LINE, memory);
		/* no newline after the last line: it would scroll a frame that fills the window */
		if (end[1])
			fputs("\r\n", memory);
	}
	fputs(CLEAR_BELOW, memory);
	if (fclose(memory)) {
		free(bytes);
		return -ENOMEM;
	}
	*frame = bytes;
	*len = bytes_len;
	return 0;
}

bool lm_live_quit_pressed(void)
{
	char keys[64];
	ssize_t len = read(STDIN_FILENO, keys, sizeof(keys));

	return len > 0 && memchr(keys, 'q', len);
}
