// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines, however the reads cut them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "user/lines.h"

#define LINES_MAX 8

struct taken {
	char starts[LINES_MAX][32]; /* of the lines */
	size_t lens[LINES_MAX];
	enum lm_line_end ends[LINES_MAX];
	size_t len, end_after;
};

static int take(const char *line, enum lm_line_end end, void *context)
{
	struct taken *taken = context;

	assert_true(taken->len < LINES_MAX);
	strncpy(taken->starts[taken->len], line, sizeof(taken->starts[0]) - 1);
	taken->lens[taken->len] = strlen(line);
	taken->ends[taken->len] = end;
	return ++taken->len == taken->end_after ? -77 : 0;
}

static int open_text(const char *text, size_t len)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int read_text(const char *text, size_t len, struct taken *taken)
{
	int fd = open_text(text, len), result = lm_lines_read(fd, take, taken);

	close(fd);
	return result;
}

static void check(const struct taken *taken, size_t i, const char *line, enum lm_line_end end)
{
	assert_true(i < taken->len);
	assert_string_equal(taken->starts[i], line);
	assert_int_equal(taken->ends[i], end);
}

static void lines_come_in_order_and_the_last_one_says_that_it_has_no_end(void **state)
{
	static const char text[] = "first\n\nthird one\r\nno end";
	struct taken taken = {0}, nothing = {0};

	(void)state;
	assert_int_equal(read_text(text, sizeof(text) - 1, &taken), 0);
	assert_int_equal(taken.len, 4);
	check(&taken, 0, "first", LM_LINE_WHOLE);
	check(&taken, 1, "", LM_LINE_WHOLE);
	check(&taken, 2, "third one\r", LM_LINE_WHOLE);
	check(&taken, 3, "no end", LM_LINE_UNENDED);
	assert_int_equal(read_text("", 0, &nothing), 0);
	assert_int_equal(nothing.len, 0);
}

/* One packet is what one read returns. */
static void lines_may_be_cut_anywhere_by_the_reads(void **state)
{
	static const char *const packets[] = {"f", "irst", "\n", "second\nthi", "rd", " one\n\nfif", "th"};
	struct taken taken = {0};
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
		assert_int_equal(write(fds[1], packets[i], strlen(packets[i])), strlen(packets[i]));
	close(fds[1]);
	assert_int_equal(lm_lines_read(fds[0], take, &taken), 0);
	close(fds[0]);
	assert_int_equal(taken.len, 5);
	check(&taken, 0, "first", LM_LINE_WHOLE);
	check(&taken, 1, "second", LM_LINE_WHOLE);
	check(&taken, 2, "third one", LM_LINE_WHOLE);
	check(&taken, 3, "", LM_LINE_WHOLE);
	check(&taken, 4, "fifth", LM_LINE_UNENDED);
}

static void the_longest_line_is_whole_and_one_byte_more_is_too_long(void **state)
{
	char *text = malloc(2 * LM_LINE_BYTES_MAX);
	struct taken taken = {0};

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 2 * LM_LINE_BYTES_MAX);
	strcpy(text + LM_LINE_BYTES_MAX - 1, "\nnext\n");
	assert_int_equal(read_text(text, LM_LINE_BYTES_MAX + 5, &taken), 0);
	assert_int_equal(taken.len, 2);
	assert_int_equal(taken.ends[0], LM_LINE_WHOLE);
	assert_int_equal(taken.lens[0], LM_LINE_BYTES_MAX - 1);
	check(&taken, 1, "next", LM_LINE_WHOLE);

	taken = (struct taken){0};
	strcpy(text + LM_LINE_BYTES_MAX - 1, "x\nnext\n");
	assert_int_equal(read_text(text, LM_LINE_BYTES_MAX + 6, &taken), 0);
	assert_int_equal(taken.len, 2);
	assert_int_equal(taken.ends[0], LM_LINE_TOO_LONG);
	assert_int_equal(taken.lens[0], LM_LINE_BYTES_MAX);
	check(&taken, 1, "next", LM_LINE_WHOLE);

	taken = (struct taken){0};
	assert_int_equal(read_text(text, LM_LINE_BYTES_MAX - 1, &taken), 0);
	assert_int_equal(taken.len, 1);
	assert_int_equal(taken.ends[0], LM_LINE_UNENDED);
	free(text);
}

/* Wherever it is cut, what follows is no line. */
static void the_rest_of_a_line_that_is_too_long_is_skipped(void **state)
{
	const size_t len = 5 * LM_LINE_BYTES_MAX + 1000;
	char *text = malloc(len);
	struct taken taken = {0};

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text + len - 6, "\nnext\n", 6);
	assert_int_equal(read_text(text, len, &taken), 0);
	assert_int_equal(taken.len, 2);
	assert_int_equal(taken.ends[0], LM_LINE_TOO_LONG);
	check(&taken, 1, "next", LM_LINE_WHOLE);

	/* it is too long, not also without an end */
	taken = (struct taken){0};
	assert_int_equal(read_text(text, len - 6, &taken), 0);
	assert_int_equal(taken.len, 1);
	assert_int_equal(taken.ends[0], LM_LINE_TOO_LONG);
	free(text);
}

static void what_the_handler_says_ends_the_reading(void **state)
{
	static const char text[] = "one\ntwo\nthree\nfour";

	(void)state;
	for (size_t end_after = 1; end_after <= 4; end_after++) {
		struct taken taken = {.end_after = end_after};

		assert_int_equal(read_text(text, sizeof(text) - 1, &taken), -77);
		assert_int_equal(taken.len, end_after);
	}
}

static int interrupted_fds[2];

static void write_and_end(int number)
{
	(void)number;
	if (write(interrupted_fds[1], "late\n", 5) == 5)
		close(interrupted_fds[1]);
}

static void a_signal_does_not_end_the_reading_and_an_error_does(void **state)
{
	const struct sigaction action = {.sa_handler = write_and_end}; /* no SA_RESTART: read says EINTR */
	const struct itimerval soon = {.it_value.tv_usec = 50000};
	struct taken taken = {0};

	(void)state;
	assert_int_equal(pipe(interrupted_fds), 0);
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(lm_lines_read(interrupted_fds[0], take, &taken), 0);
	signal(SIGALRM, SIG_DFL);
	close(interrupted_fds[0]);
	assert_int_equal(taken.len, 1);
	check(&taken, 0, "late", LM_LINE_WHOLE);
	assert_int_equal(lm_lines_read(interrupted_fds[0], take, &taken), -EBADF);
	assert_int_equal(taken.len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_in_order_and_the_last_one_says_that_it_has_no_end),
		cmocka_unit_test(lines_may_be_cut_anywhere_by_the_reads),
		cmocka_unit_test(the_longest_line_is_whole_and_one_byte_more_is_too_long),
		cmocka_unit_test(the_rest_of_a_line_that_is_too_long_is_skipped),
		cmocka_unit_test(what_the_handler_says_ends_the_reading),
		cmocka_unit_test(a_signal_does_not_end_the_reading_and_an_error_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
