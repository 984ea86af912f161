// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The endpoints: which status, type and body each path and parameter is answered
 * with; JSON against golden files (RENEW=1 writes them anew; the tests run in the
 * root of the repository), and what must hold of every answer whatever is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <zlib.h>

#include "api_history.h"
#include "golden.h"
#include "render_snapshots.h"
#include "user/api.h"
#include "user/api_state.h"
#include "user/render/profile.pb-c.h"
#include "user/render/render.h"
#include "user/web/assets.h"

#define PROFILE_MAX (1 << 22)

/* The page's files are not what is tested here: these stand in where the program is built without them. */
__attribute__((weak)) const struct lm_asset *lm_asset_find(const char *path)
{
	static const struct lm_asset page = {"/", "text/html; charset=utf-8", "<!doctype html>\n", 16};

	return strcmp(path, page.path) == 0 ? &page : NULL;
}

static struct lm_metrics_self self = {.cpu_s = 1.25, .rss_bytes = 23068672, .virtual_bytes = -1, .open_fds = -1};
static struct test_history kept, broken;

static struct lm_api_source source_of(const struct lm_snapshot *snapshot)
{
	return (struct lm_api_source){.snapshot = snapshot,
		.generation = 7,
		.self = &self,
		.history = kept.history,
		.healthy = true,
		.ready = snapshot,
		.max_series = LM_METRICS_MAX_SERIES};
}

/* The value in "name=value&…", which is decoded already. */
static const char *parameter(const void *context, const char *name)
{
	static char value[256];
	size_t len = strlen(name);

	for (const char *at = context; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
		if (strncmp(at, name, len) == 0 && (at[len] == '=' || at[len] == '&' || !at[len])) {
			at += len + (at[len] == '=');
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "&"), at);
			return value;
		}
	}
	return NULL;
}

/* Asks for "path?parameters". */
static struct lm_api_answer ask(const struct lm_api_source *source, const char *url, const char *accept)
{
	char path[512];
	const char *parameters = strchr(url, '?');
	struct lm_api_request request = {
		.path = path, .parameter = parameter, .context = parameters ? parameters + 1 : "", .accept = accept};
	struct lm_api_answer answer;

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(url, "?"), url);
	assert_int_equal(lm_api_answer(source, &request, &answer), 0);
	return answer;
}

static json_t *parse(const struct lm_api_answer *answer)
{
	json_error_t error;
	json_t *value = json_loadb(answer->body, answer->len, JSON_REJECT_DUPLICATES, &error);

	if (!value)
		fail_msg("%s in %s", error.text, answer->body);
	return value;
}

static const char *text_in(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* --- a row for each path and parameter --- */

struct row {
	const char *url;
	const struct lm_snapshot *snapshot;
	unsigned int status;
	const char *content_type, *part; /* of the body; NULL: any */
};

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"
#define BYTES "application/octet-stream"
#define PROMETHEUS "text/plain; version=0.0.4"

static const struct row rows[] = {
	{"/metrics", &leaky_snapshot, 200, NULL, "leakmon_site_count{process=\"leaky\""},
	{"/metrics", NULL, 503, TEXT, "no report"},
	{"/metrics/", &leaky_snapshot, 404, TEXT, NULL},
	{"/api/v1/snapshot", &leaky_snapshot, 200, JSON, "{\"schema\":\"leakmon.snapshot/1\""},
	{"/api/v1/snapshot", NULL, 503, JSON, "leakmon.error/1"},
	{"/api/v1/snapshot?members=0&unknown=%", &leaky_snapshot, 200, JSON, "\"members\":[]"},
	{"/api/v1/snapshot?members=-1", &leaky_snapshot, 400, JSON, "members: \\\"-1\\\""},
	{"/api/v1/snapshot?members=", &leaky_snapshot, 400, JSON, "members: "},
	{"/api/v1/snapshot?members=2147483648", &leaky_snapshot, 400, JSON, "2147483648"},
	{"/api/v1/snapshot?members=99999999999999999999999", &leaky_snapshot, 400, JSON, "members"},
	{"/api/v1/snapshot?top=1x", &leaky_snapshot, 400, JSON, "top: \\\"1x\\\""},
	{"/api/v1/snapshot?top=1", &leaky_snapshot, 200, JSON, NULL},
	{"/api/v1/snapshot?min_level=confirmed", &leaky_snapshot, 200, JSON, NULL},
	{"/api/v1/snapshot?min_level=none", &leaky_snapshot, 400, JSON, "suspect, likely or confirmed"},
	{"/api/v1/snapshot?min_level=\033[31m\xff", &leaky_snapshot, 400, JSON, "\\\\x1b[31m\xef\xbf\xbd"},
	{"/api/v1/findings", &leaky_snapshot, 200, JSON, "\"comm\":\"leaky\"}"},
	{"/api/v1/findings", NULL, 503, JSON, NULL},
	{"/api/v1/findings?level=likely", &leaky_snapshot, 200, JSON, NULL},
	{"/api/v1/findings?level=Likely", &leaky_snapshot, 400, JSON, "level"},
	{"/api/v1/sites/9f2c41d07be1a3c5", &leaky_snapshot, 200, JSON,
		"\"first_seen\":\"2026-11-23T10:00:00.123Z\",\"last_seen\":\"2026-11-23T11:59:50.123Z\""},
	{"/api/v1/sites/9F2C41D07BE1A3C5", &leaky_snapshot, 200, JSON, NULL},
	{"/api/v1/sites/9f2c41d07be1a3c5", NULL, 200, JSON, "\"now\":null"},
	{"/api/v1/sites/9f2c41d07be1a3c5?members=x", &leaky_snapshot, 400, JSON, "members"},
	{"/api/v1/sites/00000000000000ab", &leaky_snapshot, 200, JSON, "\"known\":null,\"changes\":[]"},
	{"/api/v1/sites/00000000000000ac", &leaky_snapshot, 404, JSON, "00000000000000ac"},
	{"/api/v1/sites/00000000000000ac", NULL, 503, JSON, "no report"},
	{"/api/v1/sites/0000000000000000", &leaky_snapshot, 404, JSON, "0000000000000000"},
	{"/api/v1/sites/", &leaky_snapshot, 400, JSON, "16 hexadecimal digits"},
	{"/api/v1/sites/ab", &leaky_snapshot, 400, JSON, "\\\"ab\\\""},
	{"/api/v1/sites/9f2c41d07be1a3c5a", &leaky_snapshot, 400, JSON, NULL},
	{"/api/v1/sites/9f2c41d07be1a3cg", &leaky_snapshot, 400, JSON, NULL},
	{"/api/v1/sites/9f2c41d07be1a3c5/", &leaky_snapshot, 400, JSON, NULL},
	{"/api/v1/sites", &leaky_snapshot, 404, JSON, NULL},
	{"/api/v1/history", NULL, 200, JSON, "{\"schema\":\"leakmon.history/1\",\"site\":null,\"from\":null"},
	{"/api/v1/history?site=&from=&to=", &leaky_snapshot, 200, JSON, "\"changes\":[{"},
	{"/api/v1/history?pid=4711", &leaky_snapshot, 200, JSON, "\"changes\":[],\"go\":[{\"time\""},
	{"/api/v1/history?pid=0", &leaky_snapshot, 400, JSON, "pid"},
	{"/api/v1/history?site=9f2c41d07be1a3c5&from=1h", &leaky_snapshot, 200, JSON,
		"\"from\":\"2026-11-23T11:00:00.123Z\",\"to\":null,\"points\":[{\"time\":\"2026-11-23T11:59:50.123Z\","
		"\"step_s\":10.0,\"pid\":1234,"},
	{"/api/v1/history?site=9f2c41d07be1a3c5&to=1h", &leaky_snapshot, 200, JSON,
		"\"to\":\"2026-11-23T11:00:00.123Z\",\"points\":[{\"time\":\"2026-11-23T10:00:00.123Z\","},
	{"/api/v1/history?site=9f2c41d07be1a3c5&pid=5", &leaky_snapshot, 200, JSON, "\"points\":[]"},
	{"/api/v1/history?site=00000000000000ab", &leaky_snapshot, 404, JSON, "00000000000000ab"},
	{"/api/v1/history?site=x", &leaky_snapshot, 400, JSON, "site: \\\"x\\\""},
	{"/api/v1/history?from=yesterday", &leaky_snapshot, 400, JSON, "from: \\\"yesterday\\\""},
	{"/api/v1/history?to=2026-13-01T00:00:00Z", &leaky_snapshot, 400, JSON, "to: "},
	{"/api/v1/history?from=1m&to=2m", &leaky_snapshot, 400, JSON, "not after to="},
	{"/api/v1/history?from=0&to=0", &leaky_snapshot, 200, JSON,
		"\"to\":\"1970-01-01T00:00:00.000Z\",\"changes\":[]"},
	{"/api/v1/events", &leaky_snapshot, 200, "text/event-stream", "retry: 5000\n\nevent: finding\nid: "},
	{"/api/v1/events", NULL, 200, "text/event-stream", "retry: 5000\n\n"},
	{"/api/v1/export", &leaky_snapshot, 400, JSON, "format: is missing"},
	{"/api/v1/export?format=svg", &leaky_snapshot, 400, JSON, "collapsed, speedscope or pprof"},
	{"/api/v1/export?format=collapsed", NULL, 503, JSON, NULL},
	{"/api/v1/export?format=collapsed", &leaky_snapshot, 200, TEXT, "leaky;main;Store::update"},
	{"/api/v1/export?format=collapsed&pid=1234&top=1", &leaky_snapshot, 200, TEXT, " 500\n"},
	{"/api/v1/export?format=collapsed&pid=1", &leaky_snapshot, 404, JSON, "PID 1"},
	{"/api/v1/export?format=speedscope", &leaky_snapshot, 200, JSON, "speedscope.app"},
	{"/api/v1/export?format=pprof", &leaky_snapshot, 200, BYTES, "\x1f\x8b"},
	{"/debug/pprof/", &leaky_snapshot, 200, TEXT, "/debug/pprof/threads\n"},
	{"/debug/pprof/threads", NULL, 503, TEXT, NULL},
	{"/debug/pprof/threads", &leaky_snapshot, 200, BYTES, "\x1f\x8b"},
	{"/debug/pprof/threads?debug=0", &leaky_snapshot, 200, BYTES, NULL},
	{"/debug/pprof/threads?debug=1", &leaky_snapshot, 200, TEXT, "thread profile: total 2016"},
	{"/debug/pprof/threads?debug=yes", &leaky_snapshot, 400, TEXT, "debug"},
	{"/debug/pprof/threads?pid=1234", &leaky_snapshot, 200, BYTES, NULL},
	{"/debug/pprof/threads?pid=12", &leaky_snapshot, 404, TEXT, "PID 12\n"},
	{"/debug/pprof/threads?pid=12;", &leaky_snapshot, 400, TEXT, "pid: \"12;\""},
	{"/debug/pprof/goroutines?debug=1", &go_snapshot, 200, TEXT, "goroutine profile: total 1205"},
	{"/debug/pprof/goroutines?pid=4711", &go_snapshot, 200, BYTES, NULL},
	{"/debug/pprof/goroutines?pid=4713", &go_snapshot, 503, TEXT, "laid out"},
	{"/debug/pprof/goroutines?pid=1234", &leaky_snapshot, 404, TEXT, "not a Go program"},
	{"/debug/pprof/heap", &leaky_snapshot, 404, TEXT, NULL},
	{"/threads", &leaky_snapshot, 200, TEXT, "2017\n"},
	{"/threads", NULL, 503, TEXT, NULL},
	{"/threads", &hostile_snapshot, 503, TEXT, "not known"},
	{"/threads?pid=1234", &leaky_snapshot, 200, TEXT, "2017\n"},
	{"/threads?pid=31", &nameless_snapshot, 503, TEXT, "not known"},
	{"/threads?pid=9", &leaky_snapshot, 404, TEXT, "no process with PID 9"},
	{"/threads?pid=", &leaky_snapshot, 400, TEXT, "pid"},
	{"/threads?pid=4294967296", &leaky_snapshot, 400, TEXT, "pid"},
	{"/goroutines", &go_snapshot, 200, TEXT, "1241\n"},
	{"/goroutines", &leaky_snapshot, 503, TEXT, "of no process"},
	{"/goroutines?pid=4711", &go_snapshot, 200, TEXT, "1240\n"},
	{"/goroutines?pid=4713", &go_snapshot, 503, TEXT, "its runtime is laid out in a way that is not known"},
	{"/goroutines?pid=1234", &leaky_snapshot, 404, TEXT, "PID 1234 (leaky) are known: not a Go program"},
	{"/goroutines?pid=77", &nameless_snapshot, 503, TEXT, "not known"},
	{"/goroutines?pid=4294967295", &hostile_snapshot, 503, TEXT, "(\\x1b[31mroot\\x1b[0m)"},
	{"/goroutines?pid=1", &go_snapshot, 404, TEXT, "PID 1"},
	{"/-/healthy", NULL, 200, TEXT, "healthy"},
	{"/-/ready", NULL, 503, TEXT, "not ready"},
	{"/-/ready", &quiet_snapshot, 200, TEXT, "ready"},
	{"/-/", &leaky_snapshot, 404, TEXT, NULL},
	{"/", NULL, 200, "text/html; charset=utf-8", "<"},
	{"/etc/passwd", &leaky_snapshot, 404, TEXT, NULL},
	{"/../etc/passwd", &leaky_snapshot, 404, TEXT, NULL},
	{"", &leaky_snapshot, 404, TEXT, NULL},
	{"/api/v2/snapshot", &leaky_snapshot, 404, JSON, "\"error\":"},
};

/* What holds of every answer. */
static void check_answer(const char *url, const struct lm_api_answer *answer)
{
	assert_in_range(answer->status, 200, 599);
	assert_non_null(answer->content_type);
	assert_non_null(answer->body);
	assert_false(answer->is_static && answer->is_of_snapshot);
	assert_true(answer->status == 200 || (!answer->is_of_snapshot && !answer->is_static && !answer->disposition));
	if (strcmp(answer->content_type, BYTES) == 0)
		return;
	assert_int_equal(strlen(answer->body), answer->len);
	assert_true(answer->status == 200 || (answer->len > 0 && answer->body[answer->len - 1] == '\n'));
	for (size_t i = 0; i < answer->len; i++) {
		unsigned char byte = (unsigned char)answer->body[i];

		if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f)
			fail_msg("%s: byte %02x", url, byte);
	}
	if (strcmp(answer->content_type, JSON) == 0) {
		json_t *value = parse(answer);

		assert_true(json_is_object(value));
		if (answer->status != 200)
			assert_string_equal(text_in(value, "schema"), "leakmon.error/1");
		json_decref(value);
	} else {
		json_t *utf8 = json_string(answer->body);

		assert_non_null(utf8);
		json_decref(utf8);
	}
}

static void every_path_and_parameter_has_its_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct lm_api_source source = source_of(rows[i].snapshot);
		struct lm_api_answer answer = ask(&source, rows[i].url, NULL);

		check_answer(rows[i].url, &answer);
		if (answer.status != rows[i].status)
			fail_msg("%s: %u: %s", rows[i].url, answer.status, answer.body);
		if (rows[i].content_type)
			assert_string_equal(answer.content_type, rows[i].content_type);
		if (rows[i].part && !memmem(answer.body, answer.len, rows[i].part, strlen(rows[i].part)))
			fail_msg("%s: no %s in: %s", rows[i].url, rows[i].part, answer.body);
		lm_api_answer_free(&answer);
		assert_null(answer.body);
	}
}

static const struct lm_snapshot *const snapshots[] = {
	NULL, &leaky_snapshot, &hostile_snapshot, &nameless_snapshot, &ended_snapshot, &quiet_snapshot, &go_snapshot};

static void every_answer_is_whole_whatever_the_report(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		for (size_t j = 0; j < LEN(snapshots); j++) {
			for (int without = 0; without < 3; without++) {
				struct lm_api_source source = source_of(snapshots[j]);
				struct lm_api_answer answer;

				if (without == 1) {
					source.history = NULL;
					source.history_why = "\033[2J" RTL_NAME BAD_UTF8;
				} else if (without == 2) {
					source.history = broken.history;
				}
				answer = ask(&source, rows[i].url, "application/openmetrics-text");
				check_answer(rows[i].url, &answer);
				lm_api_answer_free(&answer);
			}
		}
	}
}

/* --- golden files --- */

struct golden {
	const char *file, *url;
	const struct lm_snapshot *snapshot;
};

static const struct golden goldens[] = {
	{"api-findings.json", "/api/v1/findings", &leaky_snapshot},
	{"api-findings-likely.json", "/api/v1/findings?level=likely", &leaky_snapshot},
	{"api-findings-hostile.json", "/api/v1/findings", &hostile_snapshot},
	{"api-site.json", "/api/v1/sites/9f2c41d07be1a3c5?members=1", &leaky_snapshot},
	{"api-site-past.json", "/api/v1/sites/9f2c41d07be1a3c5", &quiet_snapshot},
	{"api-site-go.json", "/api/v1/sites/1111222233334444", &go_snapshot},
	{"api-site-hostile.json", "/api/v1/sites/ffffffffffffffff", &hostile_snapshot},
	{"api-site-unknown.json", "/api/v1/sites/0000000000000001", &leaky_snapshot},
	{"api-history.json", "/api/v1/history", &go_snapshot},
	{"api-history-site.json", "/api/v1/history?site=9f2c41d07be1a3c5&from=1h&to=1795435200", &leaky_snapshot},
	{"api-events.txt", "/api/v1/events", &leaky_snapshot},
	{"api-events-hostile.txt", "/api/v1/events", &hostile_snapshot},
};

static void golden_file_is_met(void **state)
{
	const struct golden *golden = *state;
	struct lm_api_source source = source_of(golden->snapshot);
	struct lm_api_answer answer = ask(&source, golden->url, NULL);

	golden_is_met(golden->file, answer.body);
	lm_api_answer_free(&answer);
}

/* --- JSON --- */

static void a_snapshot_is_what_the_renderer_writes(void **state)
{
	static const struct {
		const char *url;
		struct lm_render_options options;
	} cases[] = {{"/api/v1/snapshot", {.members = 5, .min_level = LM_LEVEL_SUSPECT}},
		{"/api/v1/snapshot?members=1&top=2&min_level=likely",
			{.members = 1, .top = 2, .min_level = LM_LEVEL_LIKELY}}};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct lm_api_source source = source_of(&leaky_snapshot);
		struct lm_api_answer answer = ask(&source, cases[i].url, NULL);
		char *text = NULL;
		size_t size;
		FILE *stream = open_memstream(&text, &size);

		assert_int_equal(lm_render_json(stream, &leaky_snapshot, &cases[i].options), 0);
		fclose(stream);
		assert_string_equal(answer.body, text);
		assert_true(answer.is_of_snapshot);
		free(text);
		lm_api_answer_free(&answer);
	}
}

static void findings_and_sites_are_those_of_the_snapshot(void **state)
{
	struct lm_api_source source = source_of(&leaky_snapshot);
	struct lm_api_answer whole = ask(&source, "/api/v1/snapshot", NULL), site, findings;
	json_t *snapshot = parse(&whole), *of_site, *of_findings, *item;
	size_t i;

	(void)state;
	site = ask(&source, "/api/v1/sites/00000000000000ab", NULL);
	findings = ask(&source, "/api/v1/findings", NULL);
	of_site = parse(&site);
	of_findings = parse(&findings);
	assert_int_equal(json_array_size(json_object_get(of_site, "now")), 1);
	assert_true(json_equal(json_array_get(json_object_get(of_site, "now"), 0),
		json_array_get(json_object_get(snapshot, "sites"), 1)));
	assert_int_equal(json_array_size(json_object_get(of_site, "findings")), 2);
	assert_int_equal(json_array_size(json_object_get(of_findings, "findings")), leaky_snapshot.findings_len);
	json_array_foreach(json_object_get(of_findings, "findings"), i, item)
	{
		assert_string_equal(text_in(item, "comm"), "leaky");
		json_object_del(item, "comm");
		assert_true(json_equal(item, json_array_get(json_object_get(snapshot, "findings"), i)));
	}
	json_decref(snapshot);
	json_decref(of_site);
	json_decref(of_findings);
	lm_api_answer_free(&whole);
	lm_api_answer_free(&site);
	lm_api_answer_free(&findings);
}

static void a_site_is_shown_without_a_history_and_says_why_it_has_none(void **state)
{
	struct lm_api_source source = source_of(&leaky_snapshot);

	(void)state;
	for (int is_broken = 0; is_broken < 2; is_broken++) {
		struct lm_api_answer answer;
		const char *why;
		json_t *value;

		source.history = is_broken ? broken.history : NULL;
		source.history_why = is_broken ? NULL : "the disk is full";
		answer = ask(&source, "/api/v1/sites/9f2c41d07be1a3c5", NULL);
		value = parse(&answer);
		assert_int_equal(answer.status, 200);
		assert_int_equal(json_array_size(json_object_get(value, "now")), 1);
		assert_true(json_is_null(json_object_get(value, "known")));
		assert_true(json_is_null(json_object_get(value, "changes")));
		why = text_in(json_array_get(json_object_get(value, "unavailable"), 0), "why");
		assert_non_null(strstr(why, is_broken ? "history.db" : "the disk is full"));
		json_decref(value);
		lm_api_answer_free(&answer);
	}
}

static void a_question_without_a_history_is_told_the_reason(void **state)
{
	static const char *const urls[] = {"/api/v1/history", "/api/v1/history?site=9f2c41d07be1a3c5"};
	struct lm_api_source source = source_of(&leaky_snapshot);

	(void)state;
	for (size_t i = 0; i < LEN(urls) * 2; i++) {
		struct lm_api_answer answer;

		source.history = i % 2 ? broken.history : NULL;
		source.history_why = i % 2 ? NULL : "the disk is full";
		answer = ask(&source, urls[i / 2], NULL);
		assert_int_equal(answer.status, 503);
		assert_non_null(strstr(answer.body, i % 2 ? "history.db" : "the disk is full"));
		lm_api_answer_free(&answer);
	}
}

/* --- times, Accept --- */

static void times_are_read_in_every_form(void **state)
{
	static const struct {
		const char *text;
		int error;
		int64_t ns;
	} cases[] = {
		{"2026-11-23T12:00:00Z", 0, INT64_C(1795435200000000000)},
		{"2026-11-23t12:00:00.5z", 0, INT64_C(1795435200500000000)},
		{"2026-11-23 12:00:00.1234567899Z", 0, INT64_C(1795435200123456789)},
		{"2026-11-23T13:30:00+01:30", 0, INT64_C(1795435200000000000)},
		{"2026-11-23T13:30:00 01:30", 0, INT64_C(1795435200000000000)},
		{"2026-11-23T10:00:00-02:00", 0, INT64_C(1795435200000000000)},
		{"2024-02-29T00:00:00Z", 0, INT64_C(1709164800000000000)},
		{"2016-12-31T23:59:60Z", 0, INT64_C(1483228800000000000)},
		{"1795435200", 0, INT64_C(1795435200000000000)},
		{"1795435200.25", 0, INT64_C(1795435200250000000)},
		{"0", 0, 0},
		{"1h", 0, NOW_NS - INT64_C(3600000000000)},
		{"1.5m", 0, NOW_NS - INT64_C(90000000000)},
		{"30000d", 0, 1000000000},
		{"300000d", -ERANGE, 0},
		{"2025-02-29T00:00:00Z", -EINVAL, 0},
		{"2026-11-31T00:00:00Z", -EINVAL, 0},
		{"2026-11-23T24:00:00Z", -EINVAL, 0},
		{"2026-11-23T12:60:00Z", -EINVAL, 0},
		{"2026-11-23T12:00:61Z", -EINVAL, 0},
		{"2026-11-23T12:00:00", -EINVAL, 0},
		{"2026-11-23T12:00:00Zx", -EINVAL, 0},
		{"2026-11-23T12:00:00.Z", -EINVAL, 0},
		{"2026-11-23T12:00:00+24:00", -EINVAL, 0},
		{"2026-11-23T12:00:00+01", -EINVAL, 0},
		{"2026-11-23T12:00Z", -EINVAL, 0},
		{"2026-11-23", -EINVAL, 0},
		{"2263-01-01T00:00:00Z", -ERANGE, 0},
		{"1969-12-31T23:59:59Z", -ERANGE, 0},
		{"9223372036", -ERANGE, 0},
		{"1795435200000", -ERANGE, 0},
		{"99999999999999999999999999", -ERANGE, 0},
		{"-5", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"h", -EINVAL, 0},
		{"now", -EINVAL, 0},
		{" 1h", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		int64_t ns = -7;
		int error = lm_api_parse_time(cases[i].text, NOW_NS, &ns);

		if (error != cases[i].error || (!error && ns != cases[i].ns) || (error && ns != -7))
			fail_msg("%s: %d, %lld", cases[i].text, error, (long long)ns);
	}
}

static void openmetrics_is_for_those_who_ask_for_it(void **state)
{
	static const struct {
		const char *accept;
		bool openmetrics;
	} cases[] = {
		{NULL, false},
		{"", false},
		{"*/*", false},
		{"application/*", false},
		{"application/json", false},
		{"text/plain", false},
		{"application/openmetrics-text", true},
		{"Application/OpenMetrics-Text; Version=1.0.0", true},
		{"application/openmetrics-text;version=\"1.0.0\"", true},
		{"application/openmetrics-text ; charset=utf-8 ; version=1.0.0", true},
		{"application/openmetrics-text;version=0.0.1", false},
		{"application/openmetrics-text;version=2.0.0", false},
		{"application/openmetrics-text;q=0", false},
		{"application/openmetrics-text;q=0.000", false},
		{"application/openmetrics-text;q=0.001", true},
		{"application/openmetrics-text;q=1.000", true},
		{"application/openmetrics-text;q=1.5", false},
		{"application/openmetrics-text;q=", false},
		{"application/openmetrics-text;q=x", false},
		{"application/openmetrics-text;q=0.5,text/plain;q=0.6", false},
		{"application/openmetrics-text;q=0.6,text/plain;q=0.5", true},
		{"text/plain,application/openmetrics-text", true},
		{"text/plain;q=0.5,*/*;q=0.1", false},
		{"application/openmetrics-text;q=0.5,*/*;q=0.9", false},
		{"application/openmetrics-text;q=0.5,*/*;q=0.1", true},
		/* what fits better has its say, whatever comes first */
		{"text/plain;version=0.0.4;q=0.2,text/plain;q=0.9,application/openmetrics-text;q=0.5", true},
		{"application/openmetrics-text;version=1.0.0;q=0.1,application/openmetrics-text;q=0.9,text/plain;q=0.5",
			false},
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
			true},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
		 "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
		 "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
			true},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
		 "text/plain;version=0.0.4;q=0.5",
			false},
		/* what is no media range is passed over, and commas and semicolons in quotes are no ends */
		{",, ,;q=1,application,/,application/openmetrics-text", true},
		{"x/y;z=\"application/openmetrics-text, application/openmetrics-text;q=1\"", false},
		{"x/y;z=\"\\\",application/openmetrics-text,\"", false},
		{"x y=\"a,application/openmetrics-text,b\"", false},
		{"x/y;z=\"never ends,application/openmetrics-text", false},
		{"application/openmetrics-text garbage", false},
		{"application/openmetrics-textual", false},
		{"application/openmetrics-text;", true},
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct lm_api_source source = source_of(&leaky_snapshot);
		struct lm_api_answer answer = ask(&source, "/metrics", cases[i].accept);

		if (strcmp(answer.content_type, lm_metrics_content_type(cases[i].openmetrics ? LM_METRICS_OPENMETRICS
											     : LM_METRICS_PROMETHEUS)))
			fail_msg("%s: %s", cases[i].accept, answer.content_type);
		assert_int_equal(strstr(answer.body, "# EOF\n") != NULL, cases[i].openmetrics);
		assert_false(answer.is_of_snapshot);
		lm_api_answer_free(&answer);
	}
}

/* --- profiles --- */

static LmPprof__Profile *unpack(const struct lm_api_answer *answer)
{
	uint8_t *bytes = malloc(PROFILE_MAX);
	z_stream zip = {.next_in = (Bytef *)answer->body,
		.avail_in = (uInt)answer->len,
		.next_out = bytes,
		.avail_out = PROFILE_MAX};
	LmPprof__Profile *profile;

	assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
	assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
	profile = lm_pprof__profile__unpack(NULL, PROFILE_MAX - zip.avail_out, bytes);
	assert_non_null(profile);
	inflateEnd(&zip);
	free(bytes);
	return profile;
}

static void profiles_hold_the_sites_that_were_asked_for(void **state)
{
	static const struct {
		const char *url, *disposition;
		const struct lm_snapshot *snapshot;
		size_t samples;
		int64_t first;
	} cases[] = {
		{"/debug/pprof/threads", "attachment; filename=\"threads\"", &leaky_snapshot, 4, 500},
		{"/debug/pprof/threads", "attachment; filename=\"threads\"", &go_snapshot, 0, 0},
		{"/debug/pprof/threads?pid=80", "attachment; filename=\"threads\"", &nameless_snapshot, 1, 40},
		{"/debug/pprof/goroutines", "attachment; filename=\"goroutines\"", &go_snapshot, 2, 1204},
		{"/debug/pprof/goroutines?pid=4712", "attachment; filename=\"goroutines\"", &go_snapshot, 0, 0},
		{"/api/v1/export?format=pprof", "attachment; filename=\"leakmon.pb.gz\"", &go_snapshot, 2, 1204},
		{"/api/v1/export?format=pprof&pid=82", "attachment; filename=\"leakmon.pb.gz\"", &nameless_snapshot, 1,
			6},
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct lm_api_source source = source_of(cases[i].snapshot);
		struct lm_api_answer answer = ask(&source, cases[i].url, NULL);
		LmPprof__Profile *profile = unpack(&answer);

		assert_true(answer.is_of_snapshot);
		assert_string_equal(answer.disposition, cases[i].disposition);
		assert_int_equal(profile->n_sample, cases[i].samples);
		if (cases[i].samples)
			assert_int_equal(profile->sample[0]->value[0], cases[i].first);
		lm_pprof__profile__free_unpacked(profile, NULL);
		lm_api_answer_free(&answer);
	}
}

static void exports_hold_the_process_that_was_asked_for(void **state)
{
	struct lm_api_source source = source_of(&nameless_snapshot);
	struct lm_api_answer answer = ask(&source, "/api/v1/export?format=collapsed&pid=31", NULL);

	(void)state;
	assert_string_equal(answer.body,
		"jbd2/vda1-8;kthread_[k];jbd2_journal_commit_transaction_[k];folio_wait_bit_common_[k] 1\n");
	assert_string_equal(answer.disposition, "attachment; filename=\"leakmon.collapsed\"");
	lm_api_answer_free(&answer);
	answer = ask(&source, "/api/v1/export?format=speedscope&pid=80", NULL);
	assert_non_null(strstr(answer.body, "java"));
	assert_null(strstr(answer.body, "jbd2"));
	assert_string_equal(answer.disposition, "attachment; filename=\"leakmon.speedscope.json\"");
	lm_api_answer_free(&answer);
}

/* --- events --- */

/* Checks that the text is events of "name: value" lines, and returns how many have data, which must be JSON. */
static size_t check_events(const char *text)
{
	size_t events = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (strncmp(text, "data: ", 6) == 0) {
			json_t *value = json_loadb(text + 6, len - 6, JSON_REJECT_DUPLICATES, NULL);

			assert_non_null(value);
			json_decref(value);
			events++;
			assert_int_equal(strncmp(text + len, "\n\n", 2), 0);
		} else if (len) {
			assert_true(!strncmp(text, "retry: ", 7) || !strncmp(text, "event: ", 7) ||
				    !strncmp(text, "id: ", 4));
		}
		assert_int_equal(text[len], '\n');
		text += len + 1;
	}
	return events;
}

static void a_stream_begins_with_the_present_findings(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(snapshots); i++) {
		struct lm_api_source source = source_of(snapshots[i]);
		struct lm_api_answer answer = ask(&source, "/api/v1/events", NULL);

		assert_int_equal(answer.kind, LM_API_EVENTS);
		assert_false(answer.is_of_snapshot);
		assert_int_equal(strncmp(answer.body, "retry: 5000\n\n", 13), 0);
		assert_int_equal(check_events(answer.body), snapshots[i] ? snapshots[i]->findings_len : 0);
		lm_api_answer_free(&answer);
	}
}

static void changes_are_one_event_each(void **state)
{
	struct lm_change change = history_changes[0];
	size_t len;

	(void)state;
	for (int kind = 0; kind < LM_CHANGES; kind++) {
		char *event, expected[64];

		change.kind = kind;
		event = lm_api_event(&change, &len);
		assert_non_null(event);
		assert_int_equal(strlen(event), len);
		assert_int_equal(check_events(event), 1);
		snprintf(expected, sizeof(expected), "event: %s\nid: ", lm_change_name(kind));
		assert_int_equal(strncmp(event, expected, strlen(expected)), 0);
		free(event);
	}
	memcpy(change.id, "\n\ndata: x\033\xff", 12);
	{
		char *event = lm_api_event(&change, &len);

		assert_int_equal(check_events(event), 1);
		free(event);
	}
}

/* --- the rest --- */

static void the_page_is_given_as_it_is(void **state)
{
	struct lm_api_source source = source_of(NULL);
	struct lm_api_answer answer = ask(&source, "/", NULL);
	const struct lm_asset *asset = lm_asset_find("/");

	(void)state;
	assert_int_equal(answer.len, asset->len);
	assert_memory_equal(answer.body, asset->bytes, asset->len);
	assert_string_equal(answer.security, LM_ASSET_SECURITY);
	assert_true(answer.is_static);
	lm_api_answer_free(&answer);
}

static void a_daemon_that_cannot_look_is_not_healthy(void **state)
{
	struct lm_api_source source = source_of(&leaky_snapshot);
	struct lm_api_answer answer;

	(void)state;
	source.healthy = false;
	answer = ask(&source, "/-/healthy", NULL);
	assert_int_equal(answer.status, 503);
	lm_api_answer_free(&answer);
}

static void a_long_value_is_cut_where_it_is_said_again(void **state)
{
	struct lm_api_source source = source_of(&leaky_snapshot);
	char url[300] = "/threads?pid=";
	struct lm_api_answer answer;

	(void)state;
	for (size_t len = strlen(url); len + 3 < 255; len += 3)
		strcat(url, "漢");
	answer = ask(&source, url, NULL);
	check_answer(url, &answer);
	assert_int_equal(answer.status, 400);
	assert_non_null(strstr(answer.body, "漢…\""));
	assert_true(answer.len < 300);
	lm_api_answer_free(&answer);
}

static unsigned allocations_left;

static void *scarce_malloc(size_t size)
{
	if (!allocations_left)
		return NULL;
	allocations_left--;
	return malloc(size);
}

static void no_memory_is_told_and_nothing_else(void **state)
{
	static const char *const urls[] = {"/api/v1/snapshot?top=1", "/api/v1/findings?level=confirmed",
		"/api/v1/sites/9f2c41d07be1a3c5", "/api/v1/history", "/api/v1/history?site=9f2c41d07be1a3c5",
		"/api/v1/events", "/api/v1/sites/x"};

	(void)state;
	for (size_t i = 0; i < LEN(urls); i++) {
		struct lm_api_source source = source_of(&leaky_snapshot);
		struct lm_api_answer whole = ask(&source, urls[i], NULL), answer;
		int error = -ENOMEM;

		json_set_alloc_funcs(scarce_malloc, free);
		for (unsigned limit = 0; error && limit < 20000; limit++) {
			char path[128];
			struct lm_api_request request = {.path = path,
				.parameter = parameter,
				.context = strchr(urls[i], '?') ? strchr(urls[i], '?') + 1 : ""};

			snprintf(path, sizeof(path), "%.*s", (int)strcspn(urls[i], "?"), urls[i]);
			allocations_left = limit;
			error = lm_api_answer(&source, &request, &answer);
			assert_true(!error || error == -ENOMEM);
		}
		json_set_alloc_funcs(malloc, free);
		assert_int_equal(error, 0);
		assert_string_equal(answer.body, whole.body);
		lm_api_answer_free(&answer);
		lm_api_answer_free(&whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_path_and_parameter_has_its_answer),
		cmocka_unit_test(every_answer_is_whole_whatever_the_report),
		cmocka_unit_test(a_snapshot_is_what_the_renderer_writes),
		cmocka_unit_test(findings_and_sites_are_those_of_the_snapshot),
		cmocka_unit_test(a_site_is_shown_without_a_history_and_says_why_it_has_none),
		cmocka_unit_test(a_question_without_a_history_is_told_the_reason),
		cmocka_unit_test(times_are_read_in_every_form),
		cmocka_unit_test(openmetrics_is_for_those_who_ask_for_it),
		cmocka_unit_test(profiles_hold_the_sites_that_were_asked_for),
		cmocka_unit_test(exports_hold_the_process_that_was_asked_for),
		cmocka_unit_test(a_stream_begins_with_the_present_findings),
		cmocka_unit_test(changes_are_one_event_each),
		cmocka_unit_test(the_page_is_given_as_it_is),
		cmocka_unit_test(a_daemon_that_cannot_look_is_not_healthy),
		cmocka_unit_test(a_long_value_is_cut_where_it_is_said_again),
		cmocka_unit_test(no_memory_is_told_and_nothing_else),
	};
	struct CMUnitTest golden_tests[LEN(goldens)];
	int failed;

	test_history_open(&kept);
	test_history_open(&broken);
	test_history_break(&broken);
	for (size_t i = 0; i < LEN(goldens); i++)
		golden_tests[i] = (struct CMUnitTest){
			goldens[i].file, golden_file_is_met, NULL, NULL, (void *)(uintptr_t)&goldens[i]};
	failed = cmocka_run_group_tests_name("golden files", golden_tests, NULL, NULL);
	failed += cmocka_run_group_tests(tests, NULL, NULL);
	test_history_close(&kept);
	test_history_close(&broken);
	return failed;
}
