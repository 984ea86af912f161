// SPDX-License-Identifier: GPL-2.0-or-later
/* Readers of /proc and kallsyms, on files laid out by the test as hostile processes make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/ksyms.h"
#include "user/proc.h"

#define PID 42

static int set_up(void **state)
{
	char path[128], *root = strdup("/tmp/leakmon-proc-XXXXXX");

	if (!root || !mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/%d", root, PID);
	*state = root;
	return mkdir(path, 0700);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"stat", "maps", "cgroup", "comm", "statm", "exe"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%d/%s", (char *)*state, PID, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/%d", (char *)*state, PID);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/kallsyms", (char *)*state);
	unlink(path);
	rmdir(*state);
	free(*state);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void write_proc(const char *root, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d/%s", root, PID, name);
	write_file(path, text);
}

static void a_name_full_of_parentheses_does_not_shift_the_fields(void **state)
{
	const uint64_t ns_per_tick = 1000000000ull / sysconf(_SC_CLK_TCK);
	uint64_t start_ns, threads;

	write_proc(*state, "stat", "42 (a) R 1 (\n b)) S 1 42 42 0 -1 4 0 0 0 0 7 3 0 0 20 0 5 0 1234 0 0\n");
	assert_int_equal(lm_proc_start(*state, PID, &start_ns), 0);
	assert_int_equal(start_ns, 1234 * ns_per_tick);
	assert_int_equal(lm_proc_threads(*state, PID, &threads), 0);
	assert_int_equal(threads, 5);
	assert_int_equal(lm_proc_start(*state, PID + 1, &start_ns), -ESRCH);
	write_proc(*state, "stat", "42 (short) S 1");
	assert_true(lm_proc_start(*state, PID, &start_ns) < 0);
}

static void maps_keep_code_and_drop_stacks(void **state)
{
	struct lm_maps maps;

	write_proc(*state, "maps",
		"00400000-00401000 r--p 00000000 08:01 7 /usr/bin/app\n"
		"00401000-00402000 r-xp 00001000 08:01 7 /usr/bin/app\n"
		"00600000-00700000 rw-p 00000000 00:00 0 [heap]\n"
		"7f0000000000-7f0000001000 r--p 00000000 08:01 9 /usr/share/data only\n"
		"7f0000100000-7f0000101000 r-xp 00000000 08:01 8 /tmp/strange\\012name\n"
		"7f0000200000-7f0000201000 rwxp 00000000 00:00 0 \n"
		"7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]\n");
	assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
	assert_false(maps.truncated);
	assert_int_equal(maps.len, 5);
	assert_int_equal(maps.maps[0].start, 0x400000);
	assert_int_equal(maps.maps[1].file_offset, 0x1000);
	assert_true(maps.maps[1].executable);
	assert_string_equal(maps.maps[2].path, "/tmp/strange\nname");
	assert_string_equal(maps.maps[4].path, "[vdso]");
	lm_maps_free(&maps);
}

static void a_container_is_known_by_its_64_digits(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char text[256], *found = NULL;

	snprintf(text, sizeof(text), "0::/system.slice/docker-%s.scope\n", id);
	write_proc(*state, "cgroup", text);
	assert_int_equal(lm_proc_container(*state, PID, &found), 0);
	assert_string_equal(found, id);
	free(found);
	write_proc(*state, "cgroup", "0::/user.slice/user-0123456789abcdef.slice\n");
	assert_int_equal(lm_proc_container(*state, PID, &found), 0);
	assert_null(found);
}

static void kernel_functions_are_found_by_address(void **state)
{
	struct lm_ksyms *ksyms;
	char path[128];
	uint64_t offset;

	snprintf(path, sizeof(path), "%s/kallsyms", (char *)*state);
	write_file(path, "ffffffff81000200 T second\nffffffff81000100 t first\nffffffff81000180 D data\n"
			 "ffffffffc0000000 t in_module\t[module]\n");
	assert_int_equal(lm_ksyms_load(path, &ksyms), 0);
	assert_string_equal(lm_ksyms_find(ksyms, 0xffffffff81000190, &offset), "first");
	assert_int_equal(offset, 0x90);
	assert_string_equal(lm_ksyms_find(ksyms, 0xffffffffc0000004, &offset), "in_module");
	assert_null(lm_ksyms_find(ksyms, 0x1000, &offset));
	lm_ksyms_free(ksyms);
	write_file(path, "0000000000000000 T hidden\n");
	assert_int_equal(lm_ksyms_load(path, &ksyms), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_name_full_of_parentheses_does_not_shift_the_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(maps_keep_code_and_drop_stacks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_container_is_known_by_its_64_digits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(kernel_functions_are_found_by_address, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
