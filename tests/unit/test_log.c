// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages: one line each, whatever a process is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "user/log.h"

struct heard {
	char line[16384];
	int lines;
	enum lm_log_level level;
};

static void hear(enum lm_log_level level, const char *line, void *context)
{
	struct heard *heard = context;

	snprintf(heard->line, sizeof(heard->line), "%s", line);
	heard->level = level;
	heard->lines++;
}

static int tear_down(void **state)
{
	(void)state;
	lm_log_set_sink(NULL, NULL);
	lm_log_set_level(LM_LOG_WARNING);
	return 0;
}

static void names_cannot_break_a_line(void **state)
{
	static const struct {
		const char *name, *shown;
	} cases[] = {
		{"plain", "plain"}, {"a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd"}, {"\033[2J", "\\x1b[2J"}, {"\177", "\\x7f"},
		{"größe 漢字 😀", "größe 漢字 😀"}, {"back\\slash", "back\\slash"},
		{"\xff\xc3", "\\xff\\xc3"}, /* no UTF-8, and the beginning of some */
		{"\xc2\x9b"
		 "2J",
			"\\xc2\\x9b"
			"2J"}, /* a C1 control: some terminals take it for an escape */
		{"\xe2\x80\xae"
		 "txt",
			"\\xe2\\x80\\xae"
			"txt"},                               /* turns the direction of text */
		{"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},          /* a line separator */
		{"\xc0\x8a", "\\xc0\\x8a"},                   /* a newline, overlong */
		{"\xe0\x82\xa0", "\\xe0\\x82\\xa0"},          /* U+00A0, overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
	};
	struct heard heard = {.lines = 0};
	char expected[256];

	(void)state;
	lm_log_set_sink(hear, &heard);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lm_warning("process %d (%s) ended", 7, cases[i].name);
		snprintf(expected, sizeof(expected), "process 7 (%s) ended", cases[i].shown);
		assert_string_equal(heard.line, expected);
	}
	assert_int_equal(heard.lines, sizeof(cases) / sizeof(cases[0]));
}

static void what_nobody_asked_for_is_dropped(void **state)
{
	struct heard heard = {.lines = 0};

	(void)state;
	lm_log_set_sink(hear, &heard);
	lm_info("not yet");
	lm_debug("not yet");
	assert_int_equal(heard.lines, 0);
	lm_error("e");
	assert_int_equal(heard.level, LM_LOG_ERROR);
	lm_log_set_level(LM_LOG_INFO);
	lm_info("now");
	lm_debug("still not");
	assert_int_equal(heard.lines, 2);
	assert_string_equal(heard.line, "now");
}

static void a_long_message_is_cut_between_characters(void **state)
{
	static const char ellipsis[] = "…";
	struct heard heard = {.lines = 0};
	char *text = malloc(100001);
	size_t len;

	(void)state;
	assert_non_null(text);
	for (int width = 1; width <= 4; width++) {
		memset(text, width == 1 ? 'x' : '\n', 100000);
		text[100000] = 0;
		lm_log_set_sink(hear, &heard);
		lm_warning("%*s%s", width, "", text);
		len = strlen(heard.line);
		assert_in_range(len, 4096, 10000);
		assert_string_equal(heard.line + len - strlen(ellipsis), ellipsis);
		if (width > 1) /* the last escape is whole */
			assert_memory_equal(heard.line + len - strlen(ellipsis) - 4, "\\x0a", 4);
	}
	free(text);
}

/* Runs in the process itself, so the descriptor is put back before anything is checked. */
static void a_line_on_stderr_is_one_write_and_errno_stays(void **state)
{
	char line[256] = "";
	int pipe_fds[2], kept = dup(STDERR_FILENO), errno_after, errno_lost;
	ssize_t got;

	(void)state;
	/* a pipe in packet mode: each read takes what one write gave */
	assert_int_equal(pipe2(pipe_fds, O_DIRECT), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	errno = ENOSPC;
	lm_error("%s is full of %s", "disk", "\n");
	errno_after = errno;
	lm_error("another");
	close(STDERR_FILENO);
	errno = ENOSPC;
	lm_error("nowhere to say it");
	errno_lost = errno;
	dup2(kept, STDERR_FILENO);
	close(kept);
	got = read(pipe_fds[0], line, sizeof(line) - 1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_equal(errno_after, ENOSPC);
	assert_int_equal(errno_lost, ENOSPC);
	assert_true(got > 0);
	assert_string_equal(line, "leakmon: disk is full of \\x0a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(names_cannot_break_a_line, tear_down),
		cmocka_unit_test_teardown(what_nobody_asked_for_is_dropped, tear_down),
		cmocka_unit_test_teardown(a_long_message_is_cut_between_characters, tear_down),
		cmocka_unit_test_teardown(a_line_on_stderr_is_one_write_and_errno_stays, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
