// SPDX-License-Identifier: GPL-2.0-or-later
/* The page's files as they are built in, against the files themselves; the tests run in the root of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/web/assets.h"

/* NUL-terminated, to be freed. */
static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	char *bytes;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	*len = (size_t)ftell(file);
	rewind(file);
	bytes = calloc(1, *len + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *len, file), *len);
	fclose(file);
	return bytes;
}

static void files_are_served_byte_for_byte(void **state)
{
	static const struct {
		const char *path, *file, *type;
	} table[] = {
		{"/", "user/web/index.html", "text/html; charset=utf-8"},
		{"/assets/page.css", "user/web/page.css", "text/css; charset=utf-8"},
		{"/assets/page.js", "user/web/page.js", "text/javascript; charset=utf-8"},
		{"/assets/icon.svg", "user/web/icon.svg", "image/svg+xml"},
		{"/assets/uPlot.js", "build/web/uPlot.js", "text/javascript; charset=utf-8"},
		{"/assets/uPlot.css", "build/web/uPlot.css", "text/css; charset=utf-8"},
		{"/assets/LICENSE-uPlot", "build/web/LICENSE-uPlot", "text/plain; charset=utf-8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct lm_asset *asset = lm_asset_find(table[i].path);
		size_t len;
		char *bytes = read_file(table[i].file, &len);

		assert_non_null(asset);
		assert_string_equal(asset->path, table[i].path);
		assert_string_equal(asset->content_type, table[i].type);
		assert_int_equal(asset->len, len);
		assert_memory_equal(asset->bytes, bytes, len);
		free(bytes);
	}
}

static void other_paths_have_no_file(void **state)
{
	static const char *const paths[] = {"", "/index.html", "/assets", "/assets/", "/assets/page",
		"/assets/../user/log.c", "//", "/assets/page.js/", "/ASSETS/page.js"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_null(lm_asset_find(paths[i]));
}

/* Every text between begin and the next quote, as a path below /: each must be a file of the page. Says how many. */
static size_t check_references(const struct lm_asset *asset, const char *begin, const char *folder)
{
	size_t found = 0;
	char *text = strndup(asset->bytes, asset->len);

	assert_non_null(text);
	for (const char *at = text; (at = strstr(at, begin)); found++) {
		char path[128];

		at += strlen(begin);
		snprintf(path, sizeof(path), "%s%.*s", folder, (int)strcspn(at, "\""), at);
		if (!lm_asset_find(path))
			fail_msg("%s refers to %s, which is not there", asset->path, path);
	}
	free(text);
	return found;
}

static void what_the_page_refers_to_is_there(void **state)
{
	(void)state;
	assert_true(check_references(lm_asset_find("/"), "\"assets/", "/assets/") >= 5);
	assert_true(check_references(lm_asset_find("/assets/page.js"), "from \"./", "/assets/") >= 8);
	check_references(lm_asset_find("/assets/findings.js"), "from \"./", "/assets/");
	check_references(lm_asset_find("/assets/sites.js"), "from \"./", "/assets/");
	check_references(lm_asset_find("/assets/flame.js"), "from \"./", "/assets/");
}

static void the_licence_of_the_charts_comes_with_them(void **state)
{
	const struct lm_asset *asset = lm_asset_find("/assets/LICENSE-uPlot");
	char *text;

	(void)state;
	text = strndup(asset->bytes, asset->len);
	assert_non_null(text);
	assert_non_null(strstr(text, "MIT License"));
	assert_non_null(strstr(text, "Leon Sorokin"));
	free(text);
}

static void the_policy_lets_nothing_in(void **state)
{
	(void)state;
	assert_non_null(strstr(LM_ASSET_SECURITY, "default-src 'none'"));
	assert_null(strstr(LM_ASSET_SECURITY, "unsafe"));
	assert_null(strstr(LM_ASSET_SECURITY, "http"));
	assert_null(strstr(LM_ASSET_SECURITY, "*"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_served_byte_for_byte),
		cmocka_unit_test(other_paths_have_no_file),
		cmocka_unit_test(what_the_page_refers_to_is_there),
		cmocka_unit_test(the_licence_of_the_charts_comes_with_them),
		cmocka_unit_test(the_policy_lets_nothing_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
