// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The renderers against golden files (RENEW=1 writes them anew; the tests run in
 * the root of the repository), and what must hold of every output: nothing that a
 * terminal acts on, every line within the window, errors of the stream reported.
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
#include <regex.h>
#include <unistd.h>

#include "golden.h"
#include "render_snapshots.h"
#include "user/render/escape.h"
#include "user/render/page.h"
#include "user/render/render.h"
#include "user/render/words.h"

static const struct lm_render_options plain = {.members = 5};

static char *render_to_text(
	lm_renderer *renderer, const struct lm_snapshot *snapshot, const struct lm_render_options *options)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	assert_int_equal(renderer(stream, snapshot, options), 0);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(strlen(text), size);
	return text;
}

struct golden {
	const char *file;
	lm_renderer *renderer;
	const struct lm_snapshot *snapshot;
	struct lm_render_options options;
};

static void golden_file_is_met(void **state)
{
	const struct golden *golden = *state;
	char *text = render_to_text(golden->renderer, golden->snapshot, &golden->options);

	golden_is_met(golden->file, text);
	free(text);
}

static const struct golden goldens[] = {
	{"leaky.txt", lm_render_text, &leaky_snapshot, {.members = 5}},
	{"leaky-color.txt", lm_render_text, &leaky_snapshot, {.members = 5, .color = true}},
	{"leaky-60x20.txt", lm_render_text, &leaky_snapshot,
		{.members = 5, .columns = 60, .rows = 20, .hint = "q quits"}},
	{"leaky-40.txt", lm_render_text, &leaky_snapshot, {.columns = 40}},
	{"leaky-100x40.txt", lm_render_text, &leaky_snapshot, {.members = 5, .columns = 100, .rows = 40}},
	{"leaky-160x24-color.txt", lm_render_text, &leaky_snapshot,
		{.columns = 160, .rows = 24, .color = true, .hint = "q quits"}},
	{"leaky-top1-likely.txt", lm_render_text, &leaky_snapshot, {.top = 1, .min_level = LM_LEVEL_LIKELY}},
	{"leaky.json", lm_render_json, &leaky_snapshot, {.members = 2}},
	{"leaky-top1-likely.json", lm_render_json, &leaky_snapshot, {.top = 1, .min_level = LM_LEVEL_LIKELY}},
	{"leaky.collapsed", lm_render_collapsed, &leaky_snapshot, {.members = 5}},
	{"hostile.txt", lm_render_text, &hostile_snapshot, {.members = 5}},
	{"hostile-80x12.txt", lm_render_text, &hostile_snapshot, {.columns = 80, .rows = 12}},
	{"hostile.json", lm_render_json, &hostile_snapshot, {.members = 5}},
	{"hostile.collapsed", lm_render_collapsed, &hostile_snapshot, {.members = 5}},
	{"go.txt", lm_render_text, &go_snapshot, {.members = 5}},
	{"go-80x16.txt", lm_render_text, &go_snapshot, {.columns = 80, .rows = 16, .hint = "q quits"}},
	{"go.json", lm_render_json, &go_snapshot, {.members = 5}},
	{"go.collapsed", lm_render_collapsed, &go_snapshot, {.members = 5}},
	{"nameless.txt", lm_render_text, &nameless_snapshot, {.members = 5}},
	{"nameless-80x24.txt", lm_render_text, &nameless_snapshot, {.columns = 80, .rows = 24}},
	{"nameless.json", lm_render_json, &nameless_snapshot, {.members = 5}},
	{"nameless.collapsed", lm_render_collapsed, &nameless_snapshot, {.members = 5}},
	{"ended.txt", lm_render_text, &ended_snapshot, {.members = 5}},
	{"ended.json", lm_render_json, &ended_snapshot, {.members = 5}},
	{"ended.collapsed", lm_render_collapsed, &ended_snapshot, {.members = 5}},
	{"quiet.txt", lm_render_text, &quiet_snapshot, {.members = 5}},
};

/* Length of a style of our own at the start of the text; 0 if it is none. */
static size_t style_len(const char *text)
{
	static const char *const styles[] = {"\033[0m", "\033[1m", "\033[1;31m", "\033[33m", "\033[2m"};

	for (size_t i = 0; i < LEN(styles); i++) {
		if (strncmp(text, styles[i], strlen(styles[i])) == 0)
			return strlen(styles[i]);
	}
	return 0;
}

/* Checks a line, which is ended by its newline, and returns the columns that it takes. */
static size_t check_line(const char *line, bool color)
{
	const char *end = strchr(line, '\n'), *last = line;
	bool styled = false;
	size_t columns = 0;

	assert_non_null(end);
	while (line < end) {
		size_t len = color ? style_len(line) : 0;

		if (len) {
			styled = strncmp(line, "\033[0m", len) != 0;
			line += len;
			continue;
		}
		assert_true((unsigned char)*line >= 0x20 && *line != 0x7f);
		/* C1 controls are 0xc2 0x80 to 0xc2 0x9f */
		assert_false((unsigned char)line[0] == 0xc2 && (unsigned char)line[1] < 0xa0);
		columns += ((unsigned char)*line & 0xc0) != 0x80;
		/* the only wide characters of the fixtures */
		columns += strncmp(line, "漢", 3) == 0 || strncmp(line, "字", 3) == 0;
		last = line++;
	}
	assert_false(styled);
	assert_int_not_equal(*last, ' ');
	return columns;
}

/* Checks every line and returns how many there are. */
static size_t check_lines(const char *text, const struct lm_render_options *options, const char *of)
{
	size_t lines = 0;
	json_t *utf8 = json_string(text);

	/* jansson takes valid UTF-8 only */
	assert_non_null(utf8);
	json_decref(utf8);
	for (; *text; text = strchr(text, '\n') + 1) {
		size_t columns = check_line(text, options->color);

		if (options->columns > 0 && columns > (size_t)options->columns)
			fail_msg("%s, %d columns: %zu in %.*s", of, options->columns, columns, (int)strcspn(text, "\n"),
				text);
		lines++;
	}
	return lines;
}

static const struct lm_snapshot *const snapshots[] = {
	&leaky_snapshot, &hostile_snapshot, &nameless_snapshot, &ended_snapshot, &quiet_snapshot, &go_snapshot};

static void nothing_that_a_terminal_acts_on_is_ever_written(void **state)
{
	static lm_renderer *const renderers[] = {lm_render_text, lm_render_json, lm_render_collapsed};
	static const char *const unseen[] = {"\xe2\x80\xae", "\xe2\x80\xa8", "\xe2\x81\xa6"};

	(void)state;
	for (size_t i = 0; i < LEN(snapshots); i++) {
		for (size_t j = 0; j < LEN(renderers); j++) {
			char *text = render_to_text(renderers[j], snapshots[i], &plain);

			check_lines(text, &plain, "no window");
			for (size_t k = 0; k < LEN(unseen); k++)
				assert_null(strstr(text, unseen[k]));
			free(text);
		}
	}
}

static void text_fits_every_window(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot many = many_snapshot(arena, 50, 12);

	(void)state;
	for (size_t i = 0; i <= LEN(snapshots); i++) {
		const struct lm_snapshot *snapshot = i < LEN(snapshots) ? snapshots[i] : &many;

		for (int columns = 0; columns <= 130; columns += columns < 12 ? 1 : 7) {
			for (int rows = 0; rows <= 60; rows++) {
				struct lm_render_options options = {.columns = columns,
					.rows = rows,
					.color = (rows + columns) % 2,
					.top = 20,
					.hint = "q quits"};
				char *text = render_to_text(lm_render_text, snapshot, &options);
				size_t lines = check_lines(text, &options, "window");

				assert_true(!rows || lines <= (size_t)rows);
				assert_true(lines >= 1);
				free(text);
			}
		}
	}
	lm_snapshot_free(&many);
}

/* The number before the words, 0 if they are not there. */
static long counted(const char *text, const char *words)
{
	const char *at = strstr(text, words);
	long count = 0, unit = 1;

	for (; at && at > text && (isdigit((unsigned char)at[-1]) || at[-1] == ','); at--) {
		if (at[-1] == ',')
			continue;
		count += (at[-1] - '0') * unit;
		unit *= 10;
	}
	return count;
}

/* Lines that hold the text. */
static long lines_with(const char *text, const char *part)
{
	long lines = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		lines++;
	return lines;
}

static void a_site_stands_in_the_table_by_the_place_that_the_report_gives(void **state)
{
	static const struct lm_snapshot_frame stack[] = {
		{.function = "sem_wait", .module = "libc.so.6"},
		{.function = "_PyEval_EvalFrameDefault", .module = "python3.11"},
		{.function = "Condition.wait", .module = "threading.py", .file = "/lib/threading.py", .line = 320},
		{.function = "work", .module = "worker.py", .file = "/app/worker.py", .line = 12},
	};
	const struct lm_render_options window = {.columns = 130, .rows = 30};
	struct lm_snapshot_site site = {
		.pid = 7, .comm = "app", .count = 3, .stack = stack, .stack_len = LEN(stack), .place = &stack[3]};
	struct lm_snapshot snapshot = {.sites = &site, .sites_len = 1};
	char *text;

	(void)state;
	text = render_to_text(lm_render_text, &snapshot, &window);
	assert_non_null(strstr(text, "app[7]   work     "));
	free(text);
	site.place_has_line = true;
	text = render_to_text(lm_render_text, &snapshot, &window);
	assert_non_null(strstr(text, "app[7]   work (worker.py:12)  "));
	free(text);
}

static void the_worst_finding_stands_in_every_window(void **state)
{
	struct lm_snapshot lossy = leaky_snapshot;

	(void)state;
	lossy.losses = nameless_snapshot.losses;
	for (int columns = 20; columns <= 100; columns += 20) {
		for (int rows = 3; rows <= 40; rows++) {
			struct lm_render_options options = {.columns = columns, .rows = rows};
			const struct lm_snapshot *snapshot = rows % 2 ? &leaky_snapshot : &lossy;
			char *text;

			options.min_level = columns % 40 ? LM_LEVEL_SUSPECT : LM_LEVEL_CONFIRMED;
			text = render_to_text(lm_render_text, snapshot, &options);
			assert_non_null(strstr(text, "\nCONFIRMED "));
			free(text);
		}
	}
}

static void sites_left_out_are_counted_in_every_window(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot many = many_snapshot(arena, 50, 12);

	(void)state;
	for (int rows = 7; rows <= 200; rows++) {
		struct lm_render_options options = {.columns = 200, .rows = rows, .top = 30};
		char *text = render_to_text(lm_render_text, &many, &options);
		long sites = lines_with(text, "app[77]");

		assert_int_equal(sites + counted(text, " more sites ("), 50);
		assert_true(rows < 40 || sites == 30);
		free(text);
	}
	lm_snapshot_free(&many);
}

static void frames_left_out_are_counted_in_every_window(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot many = many_snapshot(arena, 1, 40);

	(void)state;
	for (int rows = 6; rows <= 60; rows++) {
		struct lm_render_options options = {.columns = 200, .rows = rows};
		char *text = render_to_text(lm_render_text, &many, &options);
		long frames = lines_with(text, "src/app.c:"), kernel = lines_with(text, "kernel: ") * 5;
		long hidden = counted(text, " more frames") + lines_with(text, " 1 more frame\n");

		assert_int_equal(frames + kernel + hidden, 45);
		assert_true(rows < 46 || !hidden);
		free(text);
	}
	lm_snapshot_free(&many);
}

static void frames_are_never_left_out_without_a_window(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot many = many_snapshot(arena, 3, 300);
	char *text = render_to_text(lm_render_text, &many, &plain);

	(void)state;
	assert_int_equal(lines_with(text, "src/app.c:"), 900);
	assert_null(strstr(text, "more frame"));
	free(text);
	lm_snapshot_free(&many);
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("%s at %d", error.text, error.position);
	return root;
}

static void json_is_one_line_that_parses_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(snapshots); i++) {
		char *text = render_to_text(lm_render_json, snapshots[i], &plain);

		assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
		json_decref(parse(text));
		free(text);
	}
}

/* The keys of the object are these, in their order, blank-separated; others may follow the last. */
static void check_keys(json_t *object, const char *keys)
{
	char *list = strdup(keys), *rest = list, *key;
	void *at = json_object_iter(object);

	assert_true(json_is_object(object));
	while ((key = strsep(&rest, " "))) {
		if (!at || strcmp(json_object_iter_key(at), key) != 0)
			fail_msg("%s: %s where %s belongs", keys, at ? json_object_iter_key(at) : "nothing", key);
		at = json_object_iter_next(object, at);
	}
	free(list);
}

static json_t *first(json_t *object, const char *array)
{
	json_t *item = json_array_get(json_object_get(object, array), 0);

	if (!item)
		fail_msg("%s is empty", array);
	return item;
}

static void json_has_every_field_of_the_contract_in_its_order(void **state)
{
	char *text = render_to_text(lm_render_json, &leaky_snapshot, &plain);
	json_t *root = parse(text), *site = first(root, "sites"), *totals = json_object_get(root, "totals");

	(void)state;
	check_keys(root, "schema time host version interval_s watching_s complete losses totals processes sites "
			 "findings self");
	check_keys(json_object_get(root, "losses"), "ring_full storage_failed program_missed scan_truncated torn_reads "
						    "unwind_failed symbol_failed skipped_processes");
	check_keys(totals, "processes threads blocked_threads goroutines sites findings");
	check_keys(json_object_get(totals, "findings"), "suspect likely confirmed");
	check_keys(first(root, "processes"),
		"pid start_time comm exe build_id runtime go_version container_id threads blocked_threads goroutines "
		"rss_bytes go unavailable");
	check_keys(first(first(root, "processes"), "unavailable"), "what why");
	check_keys(site, "site pid kind wait count arrived departed oldest_blocked_since newest_blocked_since "
			 "median_blocked_s rate_per_h stack kernel_stack created_by members");
	check_keys(json_object_get(site, "wait"), "class object objects detail");
	check_keys(first(site, "stack"), "function module build_id offset file line inlined");
	check_keys(first(site, "kernel_stack"), "function offset");
	check_keys(first(site, "members"), "id comm started blocked_since");
	check_keys(first(root, "findings"), "id level type pid site since summary evidence wrong_if cycle exhaustion");
	check_keys(json_object_get(first(root, "findings"), "evidence"),
		"survivors departures cohorts_filled cohorts window_s age_floor_s longest_completed_s retrospective");
	check_keys(json_object_get(root, "self"), "cpu_s rss_bytes bpf_bytes scan_s");
	json_decref(root);
	free(text);
}

static void json_of_thousands_of_sites_holds_them_all(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot many = many_snapshot(arena, 2000, 30);
	char *text = render_to_text(lm_render_json, &many, &plain);
	json_t *root = parse(text), *sites = json_object_get(root, "sites");

	(void)state;
	assert_int_equal(json_array_size(sites), 2000);
	assert_int_equal(json_array_size(json_object_get(json_array_get(sites, 1999), "stack")), 30);
	json_decref(root);
	free(text);
	lm_snapshot_free(&many);
}

static size_t allocations_left;

static void *limited_malloc(size_t size)
{
	return allocations_left && allocations_left-- ? malloc(size) : NULL;
}

static void json_reports_every_allocation_that_fails(void **state)
{
	size_t allowed = 0;
	int error;

	(void)state;
	json_set_alloc_funcs(limited_malloc, free);
	do {
		FILE *null = fopen("/dev/null", "w");

		assert_non_null(null);
		allocations_left = allowed;
		error = lm_render_json(null, &leaky_snapshot, &plain);
		fclose(null);
		if (error)
			assert_int_equal(error, -ENOMEM);
	} while (error && ++allowed < 100000);
	json_set_alloc_funcs(malloc, free);
	assert_int_equal(error, 0);
	assert_true(allowed > 500);
}

static void a_full_device_is_reported_wherever_it_fills_up(void **state)
{
	static lm_renderer *const renderers[] = {lm_render_text, lm_render_json, lm_render_collapsed};

	(void)state;
	for (size_t i = 0; i < LEN(renderers) * 2; i++) {
		lm_renderer *renderer = renderers[i / 2];
		char *text = render_to_text(renderer, &leaky_snapshot, &plain);
		size_t len = strlen(text);

		for (size_t room = 0; room <= len; room += room + 1 < len && len - room > 40 ? 37 : 1) {
			size_t left = room;
			FILE *stream = golden_limited_stream(&left, i % 2 == 0);

			assert_int_equal(renderer(stream, &leaky_snapshot, &plain), room < len ? -ENOSPC : 0);
			fclose(stream);
		}
		free(text);
	}
}

static void collapsed_lines_are_what_flame_graph_tools_split(void **state)
{
	regex_t line, second_count;
	char *text = render_to_text(lm_render_collapsed, &hostile_snapshot, &plain), *rest = text, *end;

	(void)state;
	/* flamegraph.pl's own patterns; the second makes a differential profile of what it matches */
	assert_int_equal(regcomp(&line, "^(.+) ([0-9]+)$", REG_EXTENDED), 0);
	assert_int_equal(regcomp(&second_count, "^(.*)[[:space:]]+([0-9]+(\\.[0-9]*)?)$", REG_EXTENDED), 0);
	assert_true(*text);
	for (; (end = strchr(rest, '\n')); rest = end + 1) {
		regmatch_t match[3];

		*end = '\0';
		assert_int_equal(regexec(&line, rest, 3, match, 0), 0);
		rest[match[1].rm_eo] = '\0';
		assert_int_not_equal(regexec(&second_count, rest, 0, NULL, 0), 0);
	}
	regfree(&line);
	regfree(&second_count);
	free(text);
}

static void texts_are_escaped(void **state)
{
	static const struct {
		const char *text, *escaped;
	} cases[] = {
		{"", ""},
		{"plain; \"quoted\" \\ text", "plain; \"quoted\" \\ text"},
		{"ü漢字🙂", "ü漢字🙂"},
		{"\x01\t\n\r\x1b[0m\x7f", "\\x01\\x09\\x0a\\x0d\\x1b[0m\\x7f"},
		{"\xc2\x80\xc2\x9f\xc2\xa0", "\\u{80}\\u{9f}\xc2\xa0"},
		{"\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9", "\\u{202a}\\u{202e}\\u{2066}\\u{2069}"},
		{"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xa7\xe2\x80\xaf", "\\u{2028}\\u{2029}\xe2\x80\xa7\xe2\x80\xaf"},
		{"\xe2\x80\x8b\xef\xbb\xbf", "\\u{200b}\\u{feff}"},
		{"\xf3\xa0\x80\x81", "\\u{e0001}"},
		/* no UTF-8: a lone continuation, overlong, surrogate, beyond the last, cut off */
		{"a\x80z", "a\xef\xbf\xbdz"},
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf0\x9f\x99", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		char *escaped = lm_escape(cases[i].text);

		assert_string_equal(escaped, cases[i].escaped);
		free(escaped);
	}
}

static void every_character_has_a_harmless_form(void **state)
{
	(void)state;
	/* every sequence of up to three bytes that starts a character, and all bytes alone */
	for (unsigned int bytes = 0x01; bytes <= 0xffffff; bytes += bytes < 0x10000 ? 1 : 251) {
		char text[8] = {(char)(bytes & 0xff), (char)(bytes >> 8 & 0xff), (char)(bytes >> 16)}, line[64];
		char *escaped;

		if (!text[0])
			continue;
		escaped = lm_escape(text);
		assert_non_null(escaped);
		/* a blank at the end would be one of the text's own */
		snprintf(line, sizeof(line), "%s.\n", escaped);
		check_lines(line, &plain, "character");
		free(escaped);
	}
}

static void durations_read_like_those_of_people(void **state)
{
	static const struct {
		double s;
		const char *words;
	} cases[] = {{0, "0s"}, {0.004, "4.0ms"}, {0.25, "250ms"}, {0.9996, "1.0s"}, {31.5, "31.5s"}, {59.94, "59.9s"},
		{59.96, "1m"}, {60, "1m"}, {312, "5m12s"}, {599.9, "9m59s"}, {3120, "52m"}, {3599.9, "59m"},
		{3600, "1h"}, {12000, "3h20m"}, {86399, "23h59m"}, {86400, "1d"}, {273600, "3d4h"}, {8640000, "100d"},
		{1e9, "11,574d"}, {NAN, "?"}, {INFINITY, "?"}, {-1, "?"}};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		assert_string_equal(lm_words_duration(cases[i].s).text, cases[i].words);
}

static void numbers_are_grouped_and_unknown_ones_marked(void **state)
{
	(void)state;
	assert_string_equal(lm_words_count(0).text, "0");
	assert_string_equal(lm_words_count(999).text, "999");
	assert_string_equal(lm_words_count(1000).text, "1,000");
	assert_string_equal(lm_words_count(12345678).text, "12,345,678");
	assert_string_equal(lm_words_count(INT64_MAX).text, "9,223,372,036,854,775,807");
	assert_string_equal(lm_words_count(-1).text, "?");
	assert_string_equal(lm_words_rate(102.857).text, "102.9/h");
	assert_string_equal(lm_words_rate(-3.21).text, "−3.2/h");
	assert_string_equal(lm_words_rate(0).text, "0/h");
	assert_string_equal(lm_words_rate(-0.01).text, "0/h");
	assert_string_equal(lm_words_rate(999.97).text, "1,000/h");
	assert_string_equal(lm_words_rate(NAN).text, "?/h");
	assert_string_equal(lm_words_bytes(0).text, "0.0 KiB");
	assert_string_equal(lm_words_bytes(23068672).text, "22.0 MiB");
	assert_string_equal(lm_words_bytes(-1).text, "?");
	assert_string_equal(lm_words_bytes(INT64_MAX).text, "8,388,608.0 TiB");
	assert_string_equal(lm_words_time(NOW_NS).text, "2026-11-23 12:00:00Z");
	assert_string_equal(lm_words_time(0).text, "?");
	assert_string_equal(lm_words_time(-1).text, "?");
	assert_string_equal(lm_words_time(INT64_MAX).text, "2262-04-11 23:47:16Z");
}

/* The lines of the page, joined. */
static char *page_text(struct lm_page *page)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	for (size_t i = 0; i < lm_page_len(page); i++)
		lm_page_write(page, i, stream);
	fclose(stream);
	assert_int_equal(lm_page_error(page), 0);
	lm_page_free(page);
	return text;
}

static void prose_is_wrapped_at_blanks_and_keeps_its_style(void **state)
{
	struct lm_page *page = lm_page_new(20, true);
	char *text;

	(void)state;
	lm_page_style(page, LM_STYLE_RED);
	lm_page_print(page, "LIKELY ");
	lm_page_style(page, LM_STYLE_PLAIN);
	lm_page_print(page, "one two three ");
	lm_page_style(page, LM_STYLE_DIM);
	lm_page_add(page, "four five averyveryverylongword_that_fits_nowhere");
	lm_page_end_prose(page, 4);
	text = page_text(page);
	assert_string_equal(text, "\033[1;31mLIKELY \033[0mone two three\n"
				  "    \033[2mfour five\033[0m\n"
				  "    \033[2maveryveryverylon\033[0m\n"
				  "    \033[2mgword_that_fits_\033[0m\n"
				  "    \033[2mnowhere\033[0m\n");
	free(text);
}

static void prose_that_is_narrower_than_its_indent_loses_no_word(void **state)
{
	struct lm_page *page = lm_page_new(6, false);
	char *text;

	(void)state;
	lm_page_add(page, "    one two three");
	lm_page_end_prose(page, 8);
	text = page_text(page);
	assert_string_equal(text, "    on\ne two\nthree\n");
	free(text);
}

static void blanks_at_the_end_are_cut_also_before_a_style(void **state)
{
	struct lm_page *page = lm_page_new(0, true);
	char *text;

	(void)state;
	lm_page_style(page, LM_STYLE_BOLD);
	lm_page_print(page, "word  ");
	lm_page_style(page, LM_STYLE_DIM);
	lm_page_print(page, "  ");
	lm_page_style(page, LM_STYLE_PLAIN);
	lm_page_end(page);
	lm_page_style(page, LM_STYLE_DIM);
	lm_page_end(page);
	text = page_text(page);
	assert_string_equal(text, "\033[1mword\033[0m\n\n");
	free(text);
}

static void wide_characters_are_cut_before_the_edge(void **state)
{
	struct lm_page *page = lm_page_new(6, false);
	char *text;

	(void)state;
	lm_page_add(page, "漢字漢字");
	lm_page_end(page);
	lm_page_add(page, "漢字漢");
	lm_page_end(page);
	lm_page_add(page, "abcdef");
	lm_page_end(page);
	lm_page_add(page, "abcd  fg");
	lm_page_end(page);
	text = page_text(page);
	assert_string_equal(text, "漢字…\n漢字漢\nabcdef\nabcd…\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_a_terminal_acts_on_is_ever_written),
		cmocka_unit_test(text_fits_every_window),
		cmocka_unit_test(a_site_stands_in_the_table_by_the_place_that_the_report_gives),
		cmocka_unit_test(the_worst_finding_stands_in_every_window),
		cmocka_unit_test(sites_left_out_are_counted_in_every_window),
		cmocka_unit_test(frames_left_out_are_counted_in_every_window),
		cmocka_unit_test(frames_are_never_left_out_without_a_window),
		cmocka_unit_test(json_is_one_line_that_parses_strictly),
		cmocka_unit_test(json_has_every_field_of_the_contract_in_its_order),
		cmocka_unit_test(json_of_thousands_of_sites_holds_them_all),
		cmocka_unit_test(json_reports_every_allocation_that_fails),
		cmocka_unit_test(a_full_device_is_reported_wherever_it_fills_up),
		cmocka_unit_test(collapsed_lines_are_what_flame_graph_tools_split),
		cmocka_unit_test(texts_are_escaped),
		cmocka_unit_test(every_character_has_a_harmless_form),
		cmocka_unit_test(durations_read_like_those_of_people),
		cmocka_unit_test(numbers_are_grouped_and_unknown_ones_marked),
		cmocka_unit_test(prose_is_wrapped_at_blanks_and_keeps_its_style),
		cmocka_unit_test(prose_that_is_narrower_than_its_indent_loses_no_word),
		cmocka_unit_test(blanks_at_the_end_are_cut_also_before_a_style),
		cmocka_unit_test(wide_characters_are_cut_before_the_edge),
	};
	struct CMUnitTest golden_tests[LEN(goldens)];
	int failed;

	for (size_t i = 0; i < LEN(goldens); i++)
		golden_tests[i] = (struct CMUnitTest){
			goldens[i].file, golden_file_is_met, NULL, NULL, (void *)(uintptr_t)&goldens[i]};
	failed = cmocka_run_group_tests_name("golden files", golden_tests, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL) + failed;
}
