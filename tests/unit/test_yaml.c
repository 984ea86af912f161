// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration files: what is read, with which line, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "user/yaml.h"

static int read_bytes(const char *text, size_t len, struct lm_yaml **yaml, char why[256])
{
	FILE *file = len ? fmemopen((char *)text, len, "r") : fopen("/dev/null", "re");
	int error;

	assert_non_null(file);
	error = lm_yaml_read(file, yaml, why);
	fclose(file);
	return error;
}

static struct lm_yaml *read_text(const char *text)
{
	struct lm_yaml *yaml = NULL;
	char why[256] = "";

	if (read_bytes(text, strlen(text), &yaml, why) != 0)
		fail_msg("%s", why);
	return yaml;
}

static void assert_refused(const char *text, size_t len, const char *reason)
{
	struct lm_yaml *yaml = NULL;
	char why[256] = "";

	assert_int_equal(read_bytes(text, len, &yaml, why), -EINVAL);
	assert_null(yaml);
	if (!strstr(why, reason))
		fail_msg("\"%s\" is no \"%s\", of:\n%.200s", why, reason, text);
}

static void a_file_becomes_a_tree_with_lines(void **state)
{
	struct lm_yaml *yaml = read_text("# words\n"
					 "listen:\n"
					 "  - 127.0.0.1:9469\n"
					 "  - '[::1]:9469'\n"
					 "\n"
					 "horizon: 30m # so long\n"
					 "web:\n"
					 "  cert: \"a b\"\n"
					 "  empty:\n");
	const struct lm_yaml_node *root = lm_yaml_root(yaml), *listen, *web;

	(void)state;
	assert_int_equal(root->kind, LM_YAML_MAPPING);
	assert_int_equal(root->children_len, 3);
	listen = lm_yaml_find(root, "listen");
	assert_int_equal(listen->kind, LM_YAML_SEQUENCE);
	assert_int_equal(listen->line, 2);
	assert_int_equal(listen->children_len, 2);
	assert_string_equal(listen->children[0].text, "127.0.0.1:9469");
	assert_null(listen->children[0].key);
	assert_int_equal(listen->children[1].line, 4);
	assert_string_equal(lm_yaml_find(root, "horizon")->text, "30m");
	assert_int_equal(lm_yaml_find(root, "horizon")->line, 6);
	web = lm_yaml_find(root, "web");
	assert_string_equal(lm_yaml_find(web, "cert")->text, "a b");
	assert_string_equal(lm_yaml_find(web, "empty")->text, "");
	assert_int_equal(lm_yaml_find(web, "empty")->line, 9);
	assert_null(lm_yaml_find(web, "listen"));
	assert_null(lm_yaml_find(listen, "listen"));
	lm_yaml_free(yaml);
}

static void an_empty_file_is_an_empty_mapping(void **state)
{
	static const char *const texts[] = {"", "\n\n", "# nothing\n"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct lm_yaml *yaml = read_text(texts[i]);

		assert_int_equal(lm_yaml_root(yaml)->kind, LM_YAML_MAPPING);
		assert_int_equal(lm_yaml_root(yaml)->children_len, 0);
		lm_yaml_free(yaml);
	}
	lm_yaml_free(NULL);
}

static void what_is_not_plain_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", "line 3: a is there twice, first in line 1"},
		{"a: &x 1\n", "line 1: anchors (&x)"},
		{"a: 1\nb: *x\n", "line 2: aliases (*x)"},
		{"*x : 1\n", "line 1: aliases (*x)"},
		{"a: 1\n&k b: 2\n", "line 2: anchors (&k)"},
		{"a: !!str 1\n", "line 1: tags (tag:yaml.org,2002:str)"},
		{"a: !!python/object:os.system [1]\n", "line 1: tags"},
		{"a: &x [1]\n", "line 1: anchors"},
		{"a: &x {b: 1}\n", "line 1: anchors"},
		{"a: 1\n---\nb: 2\n", "line 2: a second document"},
		{"? [a, b]\n: 1\n", "line 1: a key must be one word"},
		{"\"\": 1\n", "line 1: a key is missing"},
		{"a: 1\n b: 2\n", "line 2: "},
		{"a: [1, 2\nb: 3\n", "line 2: "},
		{"a: \"1\\0\"\n", "line 1: a NUL"},
		{"\"a\\0b\": 1\n", "line 1: a NUL"},
		{"a: \"\n", "line 2: "},
		{"a: 1\nb: \xff\n", "line 2: "},
		{"a: 1\n\nb: \x01\n", "line 3: control characters"},
		{"a:\n\tb: 1\n", "line 2: "},
		{"a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n", "line 1: more than 8 levels"},
		{"[[[[[[[[[]]]]]]]]]\n", "line 1: more than 8 levels"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].reason);
}

static void eight_levels_are_read(void **state)
{
	struct lm_yaml *yaml = read_text("a: {b: {c: {d: {e: {f: {g: {h: 1}}}}}}}\n");

	(void)state;
	lm_yaml_free(yaml);
}

static void a_message_has_no_control_characters(void **state)
{
	struct lm_yaml *yaml = NULL;
	char why[256] = "";
	static const char text[] = "\"a\\e[2J\": 1\n\"a\\e[2J\": 2\n";

	(void)state;
	assert_int_equal(read_bytes(text, strlen(text), &yaml, why), -EINVAL);
	assert_string_equal(why, "line 2: a?[2J is there twice, first in line 1");
}

static void size_and_number_are_bounded(void **state)
{
	size_t len = LM_YAML_MAX_BYTES + 1;
	char *text = malloc(len);

	(void)state;
	memset(text, '#', len);
	assert_refused(text, len, "more than 1048576 bytes");

	memset(text, ' ', len); /* a list of very many */
	text[0] = '[';
	for (size_t i = 1; i + 2 < 200000; i += 2)
		memcpy(text + i, "1,", 2);
	text[len - 2] = ']';
	assert_refused(text, len - 1, "more than 65536 values");

	for (int i = 0; i < 1100; i++)
		sprintf(text + (size_t)i * 9, "k%04d: 1\n", i);
	assert_refused(text, 1100 * 9, "line 1025: more than 1024 keys");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_becomes_a_tree_with_lines),
		cmocka_unit_test(an_empty_file_is_an_empty_mapping),
		cmocka_unit_test(what_is_not_plain_is_refused_with_its_line),
		cmocka_unit_test(eight_levels_are_read),
		cmocka_unit_test(a_message_has_no_control_characters),
		cmocka_unit_test(size_and_number_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
