// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of kernel functions: from tables laid out by the test, and from this kernel's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "user/ksyms.h"

static int load(const char *text, size_t len, struct lm_ksyms **ksyms)
{
	char path[] = "/tmp/leakmon-ksyms-XXXXXX";
	int fd = mkstemp(path), error;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	error = lm_ksyms_load(path, ksyms);
	unlink(path);
	return error;
}

static void check(const struct lm_ksyms *ksyms, uint64_t address, const char *name, uint64_t offset)
{
	uint64_t got = 0;
	const char *found = lm_ksyms_find(ksyms, address, &got);

	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, name);
	assert_int_equal(got, offset);
}

/* Modules and BPF programs come last in the file, wherever they are in memory. */
static void functions_are_found_in_a_file_that_is_not_sorted(void **state)
{
	static const char text[] = "ffffffff81000200 T third\n"
				   "ffffffff81000100 t first\n"
				   "ffffffff81000180 W second\n"
				   "ffffffff81000190 D data\n"
				   "ffffffff810001a0 r constants\n"
				   "ffffffffa0000000 t in_module\t[nf_tables]\n"
				   "ffffffffa0001000 t bpf_prog_0123456789abcdef_lm_switch\t[bpf]\n"
				   "ffffffff81000200 T alias_of_third\n"
				   "ffffffff81000300 w last.constprop.0"; /* and no newline */
	struct lm_ksyms *ksyms;

	(void)state;
	assert_int_equal(load(text, sizeof(text) - 1, &ksyms), 0);
	check(ksyms, 0xffffffff81000100, "first", 0);
	check(ksyms, 0xffffffff8100017f, "first", 0x7f);
	check(ksyms, 0xffffffff81000180, "second", 0);
	check(ksyms, 0xffffffff810001a8, "second", 0x28);
	check(ksyms, 0xffffffff81000208, "third", 8);
	check(ksyms, 0xffffffff81000304, "last.constprop.0", 4);
	check(ksyms, 0xffffffffa0000010, "in_module", 0x10);
	check(ksyms, 0xffffffffa0001010, "bpf_prog_0123456789abcdef_lm_switch", 0x10);
	lm_ksyms_free(ksyms);
}

static void an_address_outside_of_all_functions_has_no_name(void **state)
{
	static const char text[] = "ffffffff81000100 t first\nffffffffa0000000 t in_module\t[x]\n";
	struct lm_ksyms *ksyms;

	(void)state;
	assert_int_equal(load(text, sizeof(text) - 1, &ksyms), 0);
	check(ksyms, 0, NULL, 0);
	check(ksyms, 0xffffffff810000ff, NULL, 0);
	check(ksyms, 0xffffffff90000000, NULL, 0); /* between the kernel and its modules */
	check(ksyms, UINT64_MAX, NULL, 0);
	lm_ksyms_free(ksyms);
}

static void hidden_addresses_are_no_permission_and_an_empty_file_is_no_data(void **state)
{
	static const char hidden[] = "0000000000000000 T _stext\n0000000000000000 t do_wait\n";
	static const char data[] = "ffffffff81000190 D data\n";
	struct lm_ksyms *ksyms = NULL;

	(void)state;
	assert_int_equal(load(hidden, sizeof(hidden) - 1, &ksyms), -EPERM);
	assert_int_equal(load("", 0, &ksyms), -ENODATA);
	assert_int_equal(load(data, sizeof(data) - 1, &ksyms), -ENODATA);
	assert_int_equal(lm_ksyms_load("/nonexistent/kallsyms", &ksyms), -ENOENT);
	assert_null(ksyms);
	lm_ksyms_free(NULL);
}

static void lines_of_another_form_are_left_out(void **state)
{
	static const char text[] = "\n\n \nfffffff\nffffffff81000100\nffffffff81000100 \nffffffff81000100 t\n"
				   "ffffffff81000100 t \nffffffff81000100tx\nzzzz t name\n"
				   "ffffffff8100010000 t too_many_digits\n"
				   "ffffffff81000100 t good\n";
	struct lm_ksyms *ksyms;

	(void)state;
	assert_int_equal(load(text, sizeof(text) - 1, &ksyms), 0);
	check(ksyms, 0xffffffff81000101, "good", 1);
	check(ksyms, 0xffffff8100010000, NULL, 0); /* the last digits of those that are too many */
	lm_ksyms_free(ksyms);
}

static void lines_may_end_anywhere_in_the_read_buffer(void **state)
{
	enum { SYMBOLS = 20000 };
	char *text = malloc(SYMBOLS * 64), name[32];
	struct lm_ksyms *ksyms;
	size_t len = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < SYMBOLS; i++)
		len += sprintf(text + len, "%016llx t f%d%.*s\n", 0xffffffff81000000ull + i * 16ull, i, i % 20,
			"_____________________");
	assert_int_equal(load(text, len, &ksyms), 0);
	for (int i = 0; i < SYMBOLS; i++) {
		snprintf(name, sizeof(name), "f%d%.*s", i, i % 20, "_____________________");
		check(ksyms, 0xffffffff81000000ull + i * 16ull + 5, name, 5);
	}
	lm_ksyms_free(ksyms);
	free(text);
}

static void a_line_without_an_end_is_refused(void **state)
{
	char *text = malloc(1 << 20);
	struct lm_ksyms *ksyms = NULL;

	(void)state;
	assert_non_null(text);
	memset(text, 'f', 1 << 20);
	assert_int_equal(load(text, 1 << 20, &ksyms), -EBADMSG);
	assert_null(ksyms);
	free(text);
}

/* 4.4 MiB for 122,000 functions of 6.18; the addresses are hidden from users. */
static void this_kernel_is_read_and_takes_little_memory(void **state)
{
	struct mallinfo2 before = mallinfo2(), after;
	struct lm_ksyms *ksyms;
	char line[512], name[256], type;
	unsigned long long address;
	FILE *file;
	int error = lm_ksyms_load("/proc/kallsyms", &ksyms);

	(void)state;
	if (error == -EPERM) {
		print_message("skipped: /proc/kallsyms hides its addresses\n");
		skip();
	}
	assert_int_equal(error, 0);
	after = mallinfo2();
	if (after.uordblks) /* sanitizers have an allocator of their own, which does not count */
		assert_in_range(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd, 100 << 10, 12 << 20);
	file = fopen("/proc/kallsyms", "re");
	assert_non_null(file);
	for (int checked = 0; checked < 1000 && fgets(line, sizeof(line), file);) {
		uint64_t offset;

		if (sscanf(line, "%llx %c %255s", &address, &type, name) != 3 || !strchr("tT", type))
			continue;
		assert_non_null(lm_ksyms_find(ksyms, address, &offset));
		assert_int_equal(offset, 0);
		checked++;
	}
	fclose(file);
	lm_ksyms_free(ksyms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_found_in_a_file_that_is_not_sorted),
		cmocka_unit_test(an_address_outside_of_all_functions_has_no_name),
		cmocka_unit_test(hidden_addresses_are_no_permission_and_an_empty_file_is_no_data),
		cmocka_unit_test(lines_of_another_form_are_left_out),
		cmocka_unit_test(lines_may_end_anywhere_in_the_read_buffer),
		cmocka_unit_test(a_line_without_an_end_is_refused),
		cmocka_unit_test(this_kernel_is_read_and_takes_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
