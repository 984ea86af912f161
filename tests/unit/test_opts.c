// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line: what it means, and what is said of what means nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "user/opts.h"

#define WORDS_MAX 32
#define MS 1000000ull
#define S (1000 * MS)

/* Parses a line of words; *errors gets what was said (to be freed). */
static int parse(const char *line, struct lm_config *config, char **errors)
{
	static char copy[512], *words[WORDS_MAX]; /* as argv: the config may point into them */
	char *rest = copy, *word;
	size_t size;
	FILE *stream = open_memstream(errors, &size);
	int len = 0, code;

	assert_non_null(stream);
	memset(words, 0, sizeof(words));
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
		{"leakmon 1m", LM_MODE_INTERVAL}, {"leakmon check -- true", LM_MODE_CHECK},
		{"leakmon check --help", LM_MODE_HELP}, {"leakmon daemon", LM_MODE_DAEMON},
		{"leakmon daemon --check-config", LM_MODE_DAEMON}, {"leakmon daemon --help", LM_MODE_HELP}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lm_config config = accepted(cases[i].line);

		assert_int_equal(config.mode, cases[i].mode);
		lm_opts_free(&config);
	}
}

static void a_command_to_check_keeps_its_words_and_sets_the_scale(void **state)
{
	struct lm_config config = accepted("leakmon check --for 60s -- make -j -- test");

	(void)state;
	assert_string_equal(config.command[0], "make");
	assert_string_equal(config.command[2], "--");
	assert_string_equal(config.command[3], "test");
	assert_null(config.command[4]);
	assert_int_equal(config.for_ns, 60000000000ull);
	assert_int_equal(config.horizon_ns, 30000000000ull);
	assert_int_equal(config.fail_on, LM_LEVEL_LIKELY);
	lm_opts_free(&config);
	config = accepted("leakmon check --for 60s --horizon 5s --fail-on confirmed -- true");
	assert_int_equal(config.horizon_ns, 5000000000ull);
	assert_int_equal(config.fail_on, LM_LEVEL_CONFIRMED);
	lm_opts_free(&config);
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
		{"leakmon --nonsense", "nonsense"}, {"leakmon -p", "p"}, {"leakmon daemon --cpu-limit 0x10", "0x10"},
		{"leakmon daemon --cpu-limit 1e1", "1e1"}, {"leakmon daemon --cpu-limit nan", "nan"},
		{"leakmon daemon --cpu-limit 101", "101"}, {"leakmon daemon --cpu-limit 1.5.5", "1.5.5"},
		{"leakmon daemon --cpu-limit .", "."}, {"leakmon daemon --listen [::1:99", "[::1:99"},
		{"leakmon daemon --listen ::1:99", "::1:99"}, {"leakmon daemon --listen ::1]:99", "::1]:99"},
		{"leakmon daemon --listen []:99", "[]:99"}, {"leakmon daemon --listen [::1]", "[::1]"},
		{"leakmon daemon --memory-limit 5", "at least 16M"},
		{"leakmon daemon --memory-limit 15M", "at least 16M"}, {"leakmon daemon --memory-limit much", "much"},
		{"leakmon daemon --retention 1us", "at least 1m"}, {"leakmon daemon --retention 0", "at least 1m"}};

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

static void each_option_sets_its_own(void **state)
{
	struct lm_config config =
		accepted("leakmon snapshot --format collapsed -o out --min-blocked 0 --horizon 60s --top 0 --members 0 "
			 "--min-level likely");

	(void)state;
	assert_int_equal(config.format, LM_FORMAT_COLLAPSED);
	assert_string_equal(config.output, "out");
	assert_int_equal(config.min_blocked_ns, 0);
	assert_int_equal(config.horizon_ns, 60 * S);
	assert_int_equal(config.top, 0);
	assert_int_equal(config.members, 0);
	assert_int_equal(config.min_level, LM_LEVEL_LIKELY);
	assert_false(config.verbose || config.kernel_threads);
	lm_opts_free(&config);
	config = accepted("leakmon snapshot --format pprof -o profile");
	assert_int_equal(config.format, LM_FORMAT_PPROF);
	lm_opts_free(&config);
	config = accepted("leakmon --format speedscope 1 5");
	assert_int_equal(config.format, LM_FORMAT_SPEEDSCOPE);
	lm_opts_free(&config);
	config = accepted("leakmon -kv --fail-on confirmed --futex off --color never -j --format text");
	assert_true(config.verbose && config.kernel_threads);
	assert_int_equal(config.fail_on, LM_LEVEL_CONFIRMED);
	assert_int_equal(config.futex, LM_FUTEX_OFF);
	assert_int_equal(config.color, LM_COLOR_NEVER);
	assert_int_equal(config.format, LM_FORMAT_TEXT); /* the last one counts */
	lm_opts_free(&config);
}

static void the_limits_of_the_daemon_are_read_to_their_end(void **state)
{
	struct lm_config config = accepted("leakmon daemon --cpu-limit 0.5% --memory-limit 16M --retention 1m --listen "
					   "[::1]:9469 --listen :1 --listen node-7:2");

	(void)state;
	assert_int_equal(config.cpu_limit_permille, 5);
	assert_int_equal(config.memory_limit_bytes, 16 << 20);
	assert_int_equal(config.retention_ns, 60 * S);
	assert_int_equal(config.listen_len, 3);
	lm_opts_free(&config);
	config = accepted("leakmon daemon --cpu-limit 0 --memory-limit 0");
	assert_int_equal(config.cpu_limit_permille, 0);
	assert_int_equal(config.memory_limit_bytes, 0);
	lm_opts_free(&config);
}

/* getopt stops at the first word if this is set. */
static void words_may_come_first_whatever_the_environment(void **state)
{
	struct lm_config config;

	(void)state;
	setenv("POSIXLY_CORRECT", "1", 1);
	config = accepted("leakmon snapshot -p 7 --json");
	unsetenv("POSIXLY_CORRECT");
	assert_int_equal(config.mode, LM_MODE_SNAPSHOT);
	assert_int_equal(config.pids_len, 1);
	assert_int_equal(config.format, LM_FORMAT_JSON);
	lm_opts_free(&config);
}

static void long_options_may_be_cut_short_while_they_are_clear(void **state)
{
	struct lm_config config = accepted("leakmon --hor 1m --kern --pi 3");
	char *errors;

	(void)state;
	assert_int_equal(config.horizon_ns, 60 * S);
	assert_true(config.kernel_threads);
	lm_opts_free(&config);
	assert_int_equal(parse("leakmon --min 1", &config, &errors), 64);
	assert_non_null(strstr(errors, "\"--min\""));
	assert_non_null(strstr(errors, "several"));
	free(errors);
}

static void an_error_is_one_line_and_changes_nothing(void **state)
{
	struct lm_config config = {.members = 77, .pids_len = 78};
	char *errors;

	(void)state;
	assert_int_equal(parse("leakmon -p 1,2 \033[2J\nx", &config, &errors), 64);
	assert_non_null(strstr(errors, "\\x1b[2J\\x0ax"));
	assert_ptr_equal(strchr(errors, '\n'), errors + strlen(errors) - 1);
	free(errors);
	assert_int_equal(config.members, 77);
	assert_int_equal(config.pids_len, 78);
}

static void the_message_about_a_pid_is_a_lesson(void **state)
{
	struct lm_config config;
	char *errors;

	(void)state;
	assert_int_equal(parse("leakmon -p abc", &config, &errors), 64);
	assert_string_equal(errors, "leakmon: -p: \"abc\" is not a PID: give numbers, as in -p 1234,5678\n");
	free(errors);
	assert_int_equal(parse("leakmon foo", &config, &errors), 64);
	assert_string_equal(errors, "leakmon: \"foo\" is neither a mode (snapshot, check, daemon, doctor) nor an "
				    "interval (1, 500ms, 2s, 1m)\n");
	free(errors);
}

static char *help_of(enum lm_mode mode)
{
	char *text;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	lm_opts_help(stream, mode);
	fclose(stream);
	return text;
}

static void help_names_every_option_and_nothing_that_is_refused(void **state)
{
	static const char *const options[] = {"--pid", "--json", "--format", "--output", "--min-blocked", "--horizon",
		"--top", "--members", "--min-level", "--fail-on", "--kernel-threads", "--futex", "--color", "--verbose",
		"--help", "--version"};
	static const enum lm_mode modes[] = {LM_MODE_LIVE, LM_MODE_SNAPSHOT};

	(void)state;
	for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
		char *help = help_of(modes[m]), *at = help;

		assert_int_equal(strncmp(help, "Usage: leakmon", 14), 0);
		for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
			assert_non_null(strstr(help, options[i]));
		while ((at = strstr(at, "  --"))) {
			size_t len = strcspn(at + 2, "=, \n"), i;

			for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
				if (strlen(options[i]) == len && strncmp(at + 2, options[i], len) == 0)
					break;
			}
			assert_true(i < sizeof(options) / sizeof(options[0]));
			at += 4;
		}
		for (at = help; *at; at += strcspn(at, "\n") + 1)
			assert_in_range(strcspn(at, "\n"), 0, 80);
		free(help);
	}
}

static void a_mode_takes_only_its_own_options(void **state)
{
	struct lm_config config = accepted("leakmon --help doctor");
	char *errors, *help = help_of(LM_MODE_DOCTOR);

	(void)state;
	assert_int_equal(config.mode, LM_MODE_HELP);
	assert_int_equal(config.help_mode, LM_MODE_DOCTOR);
	lm_opts_free(&config);
	assert_null(strstr(help, "--pid"));
	free(help);
	assert_int_equal(parse("leakmon --json doctor", &config, &errors), 64);
	assert_non_null(strstr(errors, "doctor"));
	free(errors);
	config = accepted("leakmon doctor -v");
	lm_opts_free(&config);
}

static void check_writes_reports_only_into_a_file(void **state)
{
	static const char *const json[] = {"leakmon check -j -o report -- true", "leakmon check -o report -- true",
		"leakmon check --format json -o report -- true"};
	struct lm_config config;
	char *errors;

	(void)state;
	assert_int_equal(parse("leakmon check -j -- true", &config, &errors), 64);
	assert_non_null(strstr(errors, "-o FILE"));
	free(errors);
	assert_int_equal(parse("leakmon check --format pprof -- true", &config, &errors), 64);
	assert_non_null(strstr(errors, "--format wants -o FILE"));
	free(errors);
	assert_int_equal(parse("leakmon check -p 1 -- true", &config, &errors), 64);
	assert_non_null(strstr(errors, "the command and what it starts"));
	free(errors);
	for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
		config = accepted(json[i]);
		assert_string_equal(config.output, "report");
		assert_int_equal(config.format, LM_FORMAT_JSON);
		lm_opts_free(&config);
	}
	config = accepted("leakmon check --format text --top 3 -o report -- true");
	assert_int_equal(config.format, LM_FORMAT_TEXT);
	assert_int_equal(config.top, 3);
	lm_opts_free(&config);
}

static void the_command_line_wins_over_the_file(void **state)
{
	static const struct {
		const char *file, *options;
		enum lm_format format;
	} cases[] = {{"format: text\n", "-j", LM_FORMAT_JSON},
		{"json: true\n", "--format collapsed", LM_FORMAT_COLLAPSED},
		{"format: collapsed\n", "--format pprof", LM_FORMAT_PPROF}, {"json: true\n", "-v", LM_FORMAT_JSON},
		{"format: collapsed\n", "-v", LM_FORMAT_COLLAPSED}};
	char path[] = "/tmp/leakmon-opts-XXXXXX", line[256];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lm_config config;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, cases[i].file, strlen(cases[i].file), 0), strlen(cases[i].file));
		snprintf(line, sizeof(line), "leakmon daemon --config %s %s", path, cases[i].options);
		config = accepted(line);
		assert_int_equal(config.format, cases[i].format);
		lm_opts_free(&config);
	}
	close(fd);
	unlink(path);
}

static void durations_are_read_to_their_end(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"1", S}, {"500ms", 500 * MS}, {"1.5s", 1500 * MS}, {"2m", 120 * S}, {"1h", 3600 * S},
		{"2d", 172800 * S}, {"0", 0}, {"0.25ms", 250000}, {"7us", 7000}, {"0.1234567899s", 123456789}};
	static const char *const bad[] = {"", "s", "-1", "1 s", "1x", "0x10", "1e3", "nan", "inf", "1..5",
		"999999999999d", "1.", ".5", "1s ", "+1", "18446744074", "18446744073.8", "1.5.5s", "1S", "1 "};
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
		cmocka_unit_test(a_command_to_check_keeps_its_words_and_sets_the_scale),
		cmocka_unit_test(check_writes_reports_only_into_a_file),
		cmocka_unit_test(wrong_words_are_named_with_what_is_right),
		cmocka_unit_test(each_option_sets_its_own),
		cmocka_unit_test(the_limits_of_the_daemon_are_read_to_their_end),
		cmocka_unit_test(words_may_come_first_whatever_the_environment),
		cmocka_unit_test(long_options_may_be_cut_short_while_they_are_clear),
		cmocka_unit_test(an_error_is_one_line_and_changes_nothing),
		cmocka_unit_test(the_message_about_a_pid_is_a_lesson),
		cmocka_unit_test(help_names_every_option_and_nothing_that_is_refused),
		cmocka_unit_test(a_mode_takes_only_its_own_options),
		cmocka_unit_test(the_command_line_wins_over_the_file),
		cmocka_unit_test(durations_are_read_to_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
