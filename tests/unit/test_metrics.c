// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Metrics against golden files (RENEW=1 writes them anew; the tests run in the root
 * of the repository), against promtool where it is installed, and what must hold
 * whatever processes are called: no two equal series, none too many, each line whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>

#include "golden.h"
#include "render_snapshots.h"
#include "user/render/metrics.h"

#define DEFAULT_MAX LM_METRICS_MAX_SERIES
#define SERIES_MAX 4096

static struct lm_metrics_self some_self(void)
{
	struct lm_metrics_self self = {.losses = {.ring_full = 12, .torn_reads = UINT64_MAX},
		.cpu_s = 1.25,
		.start_time_s = 1795434000.5,
		.rss_bytes = 23068672,
		.virtual_bytes = -1,
		.open_fds = 31,
		.max_fds = 1024};

	lm_metrics_scan(&self, 0.004);
	lm_metrics_scan(&self, 0.001);
	lm_metrics_scan(&self, 60);
	return self;
}

static char *render(const struct lm_snapshot *snapshot, struct lm_metrics_self *self, enum lm_metrics_format format,
	size_t max_series)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	assert_int_equal(lm_render_metrics(stream, snapshot, self, format, max_series), 0);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(strlen(text), size);
	return text;
}

static char *render_some(const struct lm_snapshot *snapshot, enum lm_metrics_format format, size_t max_series)
{
	struct lm_metrics_self self = some_self();

	return render(snapshot, &self, format, max_series);
}

struct golden {
	const char *file;
	const struct lm_snapshot *snapshot;
	enum lm_metrics_format format;
};

static const struct golden goldens[] = {
	{"leaky.prom", &leaky_snapshot, LM_METRICS_PROMETHEUS},
	{"leaky.openmetrics", &leaky_snapshot, LM_METRICS_OPENMETRICS},
	{"hostile.prom", &hostile_snapshot, LM_METRICS_PROMETHEUS},
	{"hostile.openmetrics", &hostile_snapshot, LM_METRICS_OPENMETRICS},
	{"go.prom", &go_snapshot, LM_METRICS_PROMETHEUS},
	{"ended.prom", &ended_snapshot, LM_METRICS_PROMETHEUS},
};

static void golden_file_is_met(void **state)
{
	const struct golden *golden = *state;
	char *text = render_some(golden->snapshot, golden->format, DEFAULT_MAX);

	golden_is_met(golden->file, text);
	free(text);
}

/* The end of the braces after the name, with quotes and escapes as the format has them. */
static const char *end_of_labels(const char *at)
{
	bool quoted = false;

	for (; *at && *at != '\n' && (quoted || *at != '}'); at++) {
		if (quoted && *at == '\\') {
			at++;
			assert_non_null(strchr("\\\"n", *at));
		} else if (*at == '"') {
			quoted = !quoted;
		}
	}
	assert_int_equal(*at, '}');
	return at + 1;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Checks every line and returns how many samples there are, each of which is a series. */
static size_t check_lines(const char *text)
{
	char *series[SERIES_MAX];
	json_t *utf8 = json_string(text); /* jansson takes valid UTF-8 only */
	size_t len = 0;

	assert_non_null(utf8);
	json_decref(utf8);
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		const char *end = line;
		char *rest;

		if (*line == '#')
			continue;
		while (isalnum((unsigned char)*end) || *end == '_')
			end++;
		assert_true(end > line);
		if (*end == '{')
			end = end_of_labels(end);
		assert_int_equal(*end, ' ');
		strtod(end + 1, &rest);
		assert_true(rest > end + 1 && *rest == '\n');
		assert_true(len < SERIES_MAX);
		series[len++] = strndup(line, (size_t)(end - line));
	}
	qsort(series, len, sizeof(*series), compare_texts);
	for (size_t i = 1; i < len; i++)
		assert_string_not_equal(series[i - 1], series[i]);
	for (size_t i = 0; i < len; i++)
		free(series[i]);
	return len;
}

/* The value of a series. */
static double value_of(const char *text, const char *series)
{
	size_t len = strlen(series);

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, series, len) == 0 && line[len] == ' ')
			return strtod(line + len, NULL);
	}
	fail_msg("%s is not there: %s", series, text);
	return NAN;
}

/* The sum of all series that begin so. */
static double sum_of(const char *text, const char *start)
{
	double sum = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, start, strlen(start)) == 0)
			sum += strtod(strchr(end_of_labels(strchr(line, '{')), ' '), NULL);
	}
	return sum;
}

static void every_series_is_whole_and_there_once(void **state)
{
	static const struct lm_snapshot *const snapshots[] = {
		&leaky_snapshot, &hostile_snapshot, &nameless_snapshot, &ended_snapshot, &quiet_snapshot, &go_snapshot};

	(void)state;
	for (size_t i = 0; i < LEN(snapshots) * 2; i++) {
		char *text = render_some(
			snapshots[i / 2], i % 2 ? LM_METRICS_OPENMETRICS : LM_METRICS_PROMETHEUS, DEFAULT_MAX);

		assert_true(check_lines(text) > 40);
		free(text);
	}
}

/* Processes that have so many names and wait in every way. */
static struct lm_snapshot crowd(struct lm_arena *arena, size_t names)
{
	size_t len = names * LM_WAIT_CLASSES;
	struct lm_snapshot_site *sites = lm_arena_alloc(arena, len * sizeof(*sites));

	for (size_t i = 0; i < len; i++)
		sites[i] = (struct lm_snapshot_site){.site = i,
			.pid = (uint32_t)(i / LM_WAIT_CLASSES) + 1,
			.comm = i / LM_WAIT_CLASSES % 3 ? lm_arena_format(arena, "p%03zu", i / LM_WAIT_CLASSES)
							: lm_arena_format(arena, "\"\\\n\xff%zu", i / LM_WAIT_CLASSES),
			.wait = {.wait_class = i % LM_WAIT_CLASSES},
			.kind = i % LM_WAIT_CLASSES >= LM_WAIT_GO_CHAN_SEND ? LM_SITE_GOROUTINE : LM_SITE_THREAD,
			.count = (int64_t)(i / LM_WAIT_CLASSES) + 1};
	return (struct lm_snapshot){MACHINE, .sites = sites, .sites_len = len, .arena = arena};
}

static void since_when_a_site_waits_is_told_if_it_is_known_of_all(void **state)
{
	struct lm_snapshot_site sites[2] = {
		{.site = 1,
			.pid = 1,
			.comm = "one",
			.count = 2,
			.oldest_blocked_since_ns = INT64_C(1795435200) * 1000000000},
		{.site = 1, .pid = 2, .comm = "one", .count = 3},
	};
	struct lm_snapshot snapshot = {MACHINE, .sites = sites, .sites_len = 1};
	char *text = render_some(&snapshot, LM_METRICS_PROMETHEUS, DEFAULT_MAX);

	(void)state;
	assert_non_null(strstr(text, "leakmon_site_oldest_blocked_timestamp_seconds{"));
	free(text);
	snapshot.sites_len = 2; /* a row of both processes */
	text = render_some(&snapshot, LM_METRICS_PROMETHEUS, DEFAULT_MAX);
	assert_non_null(strstr(text, "leakmon_site_count{process=\"one\",site=\"0000000000000001\"} 5"));
	assert_null(strstr(text, "leakmon_site_oldest_blocked_timestamp_seconds{"));
	free(text);
}

static void there_are_never_more_series_than_allowed_and_the_rest_is_counted(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot snapshot = crowd(arena, 60);
	char *all = render_some(&snapshot, LM_METRICS_PROMETHEUS, SERIES_MAX);
	size_t wanted = check_lines(all);

	(void)state;
	assert_true(wanted > 700);
	assert_true(value_of(all, "leakmon_series_suppressed_total") == 0);
	for (size_t max = 1; max <= wanted; max += max < 80 ? 1 : 41) {
		char *text = render_some(&snapshot, max % 2 ? LM_METRICS_PROMETHEUS : LM_METRICS_OPENMETRICS, max);
		size_t series = check_lines(text);

		assert_true(series <= max);
		assert_int_equal(series + (size_t)value_of(text, "leakmon_series_suppressed_total"), wanted);
		free(text);
	}
	free(all);
	lm_snapshot_free(&snapshot);
}

static void what_was_left_out_adds_up_over_answers(void **state)
{
	struct lm_metrics_self self = some_self();
	char *first = render(&leaky_snapshot, &self, LM_METRICS_PROMETHEUS, 1);
	char *second = render(&leaky_snapshot, &self, LM_METRICS_PROMETHEUS, 1);
	double once = value_of(first, "leakmon_series_suppressed_total");

	(void)state;
	assert_true(once > 40);
	assert_true(value_of(second, "leakmon_series_suppressed_total") == 2 * once);
	free(first);
	free(second);
}

static void neither_threads_nor_goroutines_crowd_out_the_other(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot snapshot = crowd(arena, 60);
	char *text = render_some(&snapshot, LM_METRICS_PROMETHEUS, DEFAULT_MAX);

	(void)state;
	assert_non_null(strstr(text, "\nleakmon_blocked_threads{process=\"other\",reason=\"futex_mutex\"}"));
	assert_non_null(strstr(text, "\nleakmon_goroutines{process=\"other\",reason=\"chan_send\"}"));
	free(text);
	lm_snapshot_free(&snapshot);
}

static void the_others_are_added_up(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot snapshot = crowd(arena, 60);
	char *text = render_some(&snapshot, LM_METRICS_PROMETHEUS, SERIES_MAX);
	double threads = 60.0 * 61 / 2 * LM_WAIT_GO_CHAN_SEND, routines = 60.0 * 61 / 2 * LM_WAIT_CLASSES - threads;

	(void)state;
	/* 1 to 60 of each class; the 20 with the most have 41 to 60 */
	assert_true(value_of(text, "leakmon_blocked_threads{process=\"other\",reason=\"poll\"}") == 40 * 41 / 2);
	assert_true(value_of(text, "leakmon_blocked_threads{process=\"p059\",reason=\"poll\"}") == 60);
	assert_true(sum_of(text, "leakmon_blocked_threads{") == threads);
	assert_true(sum_of(text, "leakmon_goroutines{") == routines);
	free(text);
	lm_snapshot_free(&snapshot);
}

static void names_that_read_the_same_are_one_series(void **state)
{
	static char longest[LM_METRICS_SCAN_BOUNDS * 100];
	const struct lm_snapshot_site sites[] = {
		{.site = 5, .pid = 1, .comm = "a\xfe", .count = 1, .oldest_blocked_since_ns = AGO(5)},
		{.site = 5, .pid = 2, .comm = "a\xff", .count = 2, .oldest_blocked_since_ns = AGO(9)},
		{.site = 6, .pid = 3, .comm = "other", .count = 4},
		{.site = 6, .pid = 4, .comm = longest, .count = 8},
	};
	struct lm_snapshot snapshot = {MACHINE, ARRAY(sites, sites)};
	char *text;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	text = render_some(&snapshot, LM_METRICS_PROMETHEUS, DEFAULT_MAX);
	check_lines(text);
	assert_true(value_of(text, "leakmon_site_count{process=\"a\xef\xbf\xbd\",site=\"0000000000000005\"}") == 3);
	assert_true(value_of(text, "leakmon_blocked_threads{process=\"a\xef\xbf\xbd\",reason=\"futex_mutex\"}") == 3);
	assert_true(value_of(text, "leakmon_site_oldest_blocked_timestamp_seconds{process=\"a\xef\xbf\xbd\","
				   "site=\"0000000000000005\"}") < AGO(8.9) / 1e9);
	assert_true(value_of(text, "leakmon_blocked_threads{process=\"other\",reason=\"futex_mutex\"}") == 4);
	longest[127] = '\0';
	assert_non_null(strstr(text, longest));
	longest[127] = 'x', longest[128] = '\0';
	assert_null(strstr(text, longest));
	free(text);
}

static void goroutines_that_are_in_no_site_are_not_blocked(void **state)
{
	char *text = render_some(&go_snapshot, LM_METRICS_PROMETHEUS, DEFAULT_MAX);

	(void)state;
	assert_true(value_of(text, "leakmon_goroutines{process=\"api\",reason=\"chan_send\"}") == 1204);
	assert_true(sum_of(text, "leakmon_goroutines{process=\"api\"") == 1240);
	assert_true(value_of(text, "leakmon_goroutines{process=\"worker\",reason=\"not_blocked\"}") == 1);
	assert_null(strstr(text, "process=\"odd\"")); /* not known is not 0 */
	free(text);
}

static void scans_are_counted_by_how_long_they_took(void **state)
{
	struct lm_metrics_self self = {0};
	char *text;

	(void)state;
	lm_metrics_scan(&self, 0.001);
	lm_metrics_scan(&self, 0.0011);
	lm_metrics_scan(&self, 11);
	lm_metrics_scan(&self, NAN);
	lm_metrics_scan(&self, -1);
	text = render(&ended_snapshot, &self, LM_METRICS_OPENMETRICS, DEFAULT_MAX);
	assert_true(value_of(text, "leakmon_scans_total") == 3);
	assert_true(value_of(text, "leakmon_scan_duration_seconds_bucket{le=\"0.001\"}") == 1);
	assert_true(value_of(text, "leakmon_scan_duration_seconds_bucket{le=\"0.0025\"}") == 2);
	assert_true(value_of(text, "leakmon_scan_duration_seconds_bucket{le=\"10.0\"}") == 2);
	assert_true(value_of(text, "leakmon_scan_duration_seconds_bucket{le=\"+Inf\"}") == 3);
	assert_true(value_of(text, "leakmon_scan_duration_seconds_count") == 3);
	assert_string_equal(text + strlen(text) - 7, "\n# EOF\n");
	free(text);
}

static void a_full_device_is_reported_wherever_it_fills_up(void **state)
{
	char *text = render_some(&leaky_snapshot, LM_METRICS_PROMETHEUS, DEFAULT_MAX);
	size_t len = strlen(text);

	(void)state;
	for (size_t room = 0; room <= len; room += room + 1 < len && len - room > 40 ? 37 : 1) {
		struct lm_metrics_self self = some_self();
		size_t left = room;
		FILE *stream = golden_limited_stream(&left, room % 2 == 0);

		assert_int_equal(lm_render_metrics(stream, &leaky_snapshot, &self, LM_METRICS_PROMETHEUS, DEFAULT_MAX),
			room < len ? -ENOSPC : 0);
		fclose(stream);
	}
	free(text);
}

/* The contract's name of a gauge ends in _count, which promtool would have of histograms only: the one remark. */
#define KNOWN_REMARK "leakmon_site_count non-histogram and non-summary metrics should not have \"_count\" suffix\n"

static void promtool_takes_it(void **state)
{
	static const struct lm_snapshot *const snapshots[] = {&leaky_snapshot, &hostile_snapshot, &go_snapshot};

	(void)state;
	if (system("command -v promtool >/dev/null") != 0) {
		print_message("promtool is not installed (Debian: prometheus)\n");
		skip();
	}
	for (size_t i = 0; i < LEN(snapshots); i++) {
		char *text = render_some(snapshots[i], LM_METRICS_PROMETHEUS, DEFAULT_MAX), remarks[4096];
		char path[] = "/tmp/leakmon-promtool-XXXXXX", command[128];
		int fd = mkstemp(path);
		FILE *file = fdopen(fd, "w"), *answer;

		assert_non_null(file);
		fputs(text, file);
		assert_int_equal(fclose(file), 0);
		snprintf(command, sizeof(command), "promtool check metrics <%s 2>&1", path);
		answer = popen(command, "r");
		remarks[fread(remarks, 1, sizeof(remarks) - 1, answer)] = '\0';
		pclose(answer);
		remove(path);
		assert_string_equal(remarks, KNOWN_REMARK);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_series_is_whole_and_there_once),
		cmocka_unit_test(since_when_a_site_waits_is_told_if_it_is_known_of_all),
		cmocka_unit_test(there_are_never_more_series_than_allowed_and_the_rest_is_counted),
		cmocka_unit_test(what_was_left_out_adds_up_over_answers),
		cmocka_unit_test(neither_threads_nor_goroutines_crowd_out_the_other),
		cmocka_unit_test(the_others_are_added_up),
		cmocka_unit_test(names_that_read_the_same_are_one_series),
		cmocka_unit_test(goroutines_that_are_in_no_site_are_not_blocked),
		cmocka_unit_test(scans_are_counted_by_how_long_they_took),
		cmocka_unit_test(a_full_device_is_reported_wherever_it_fills_up),
		cmocka_unit_test(promtool_takes_it),
	};
	struct CMUnitTest golden_tests[LEN(goldens)];
	int failed;

	for (size_t i = 0; i < LEN(goldens); i++)
		golden_tests[i] = (struct CMUnitTest){
			goldens[i].file, golden_file_is_met, NULL, NULL, (void *)(uintptr_t)&goldens[i]};
	failed = cmocka_run_group_tests_name("golden files", golden_tests, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL) + failed;
}
