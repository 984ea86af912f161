// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line: what it means, and what is said of what means nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "user/opts.h"

#define WORDS_MAX 16
#define MS 1000000ull
#define S (1000 * MS)

/* Parses a line of words; *errors gets what was said (to be freed). */
static int parse(const char *line, struct lm_config *config, char **errors)
{
	char copy[512], *words[WORDS_MAX] = {NULL}, *rest = copy, *word;
	size_t size;
	FILE *stream = open_memstream(errors, &size);
	int len = 0, code;

	assert_non_null(stream);
	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")) && len < WORDS_MAX - 1)
		words[len++] = word;
	code = lm_opts_parse(len, words, stream, config);
	fclose(stream);
	return code;
}

static struct lm_config accepted(const char *line)
{
	struct lm_config config;
	char *errors;
	int code = parse(line, &config, &errors);

	if (code)
		print_error("%s: %s", line, errors);
	assert_int_equal(code, 0);
	assert_string_equal(errors, "");
	free(errors);
	return config;
}

static void nothing_said_means_the_live_view_of_the_whole_machine(void **state)
{
	struct lm_config config = accepted("leakmon");

	(void)state;
	assert_int_equal(config.mode, LM_MODE_LIVE);
	assert_null(config.pids);
	assert_int_equal(config.format, LM_FORMAT_TEXT);
	assert_int_equal(config.interval_ns, S);
	assert_int_equal(config.min_blocked_ns, S);
	assert_int_equal(config.horizon_ns, 1800 * S);
	assert_int_equal(config.top, -1);
	assert_int_equal(config.members, 5);
	assert_int_equal(config.min_level, LM_LEVEL_SUSPECT);
	assert_int_equal(config.fail_on, LM_LEVEL_NONE);
	assert_int_equal(config.futex, LM_FUTEX_AUTO);
	lm_opts_free(&config);
}

static void modes_and_options_come_in_any_order(void **state)
{
	static const char *const lines[] = {"leakmon -p 12,34 -j 500ms 3", "leakmon 500ms -p 12 --pid 34 3 --json",
		"leakmon --format=json 500ms 3 --pid=12,34,12"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct lm_config config = accepted(lines[i]);

		assert_int_equal(config.mode, LM_MODE_INTERVAL);
		assert_int_equal(config.interval_ns, 500 * MS);
		assert_int_equal(config.count, 3);
		assert_int_equal(config.format, LM_FORMAT_JSON);
		assert_int_equal(config.pids_len, 2);
		assert_int_equal(config.pids[0], 12);
		assert_int_equal(config.pids[1], 34);
		lm_opts_free(&config);
	}
}

static void every_mode_is_known(void **state)
{
	static const struct {
		const char *line;
		enum lm_mode mode;
	} cases[] = {{"leakmon snapshot", LM_MODE_SNAPSHOT}, {"leakmon -p 1 snapshot", LM_MODE_SNAPSHOT},
		{"leakmon doctor", LM_MODE_DOCTOR}, {"leakmon --help", LM_MODE_HELP},
		{"leakmon snapshot --help", LM_MODE_HELP}, {"leakmon --version", LM_MODE_VERSION},
		{"leakmon 1m", LM_MODE_INTERVAL}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lm_config config = accepted(cases[i].line);

		assert_int_equal(config.mode, cases[i].mode);
		lm_opts_free(&config);
	}
}

static void wrong_words_are_named_with_what_is_right(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {{"leakmon -p abc", "\"abc\""}, {"leakmon -p 1,,2", "-p"}, {"leakmon -p 0", "\"0\""},
		{"leakmon -p -1", "-1"}, {"leakmon -p 4194305", "4194305"},
		{"leakmon -p 99999999999999999999", "99999999999999999999"}, {"leakmon foo", "\"foo\""},
		{"leakmon snapshot 5", "5"}, {"leakmon 1 0", "\"0\""}, {"leakmon 1 2 3", "3"}, {"leakmon 1ms", "1ms"},
		{"leakmon 1x", "1x"}, {"leakmon --horizon 0", "0"}, {"leakmon --min-blocked soon", "soon"},
		{"leakmon --format xml", "xml"}, {"leakmon --fail-on none", "none"},
		{"leakmon --min-level high", "high"}, {"leakmon --futex maybe", "maybe"},
		{"leakmon --color red", "red"}, {"leakmon --top -1", "-1"}, {"leakmon --members many", "many"},
		{"leakmon --nonsense", "nonsense"}, {"leakmon -p", "p"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lm_config config;
		char *errors;
		int code = parse(cases[i].line, &config, &errors);

		if (code != 64 || !strstr(errors, cases[i].said))
			print_error("%s → %d: %s", cases[i].line, code, errors);
		assert_int_equal(code, 64);
		assert_non_null(strstr(errors, cases[i].said));
		assert_int_equal(strncmp(errors, "leakmon: ", 9), 0);
		free(errors);
	}
}

static void durations_are_read_to_their_end(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"1", S}, {"500ms", 500 * MS}, {"1.5s", 1500 * MS}, {"2m", 120 * S}, {"1h", 3600 * S},
		{"2d", 172800 * S}, {"0", 0}};
	static const char *const bad[] = {
		"", "s", "-1", "1 s", "1x", "0x10", "1e3", "nan", "inf", "1..5", "999999999999d"};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(lm_opts_parse_duration(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!lm_opts_parse_duration(bad[i], &ns))
			print_error("\"%s\" was taken\n", bad[i]);
		assert_true(lm_opts_parse_duration(bad[i], &ns) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_said_means_the_live_view_of_the_whole_machine),
		cmocka_unit_test(modes_and_options_come_in_any_order),
		cmocka_unit_test(every_mode_is_known),
		cmocka_unit_test(wrong_words_are_named_with_what_is_right),
		cmocka_unit_test(durations_are_read_to_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
