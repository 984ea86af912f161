// SPDX-License-Identifier: GPL-2.0-or-later
/* The memory map: what is kept of it, on files laid out as the kernel writes them for processes that mean no good. */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/proc.h"

#define PID 42

static int set_up(void **state)
{
	char path[128], *root = strdup("/tmp/leakmon-maps-XXXXXX");

	if (!root || !mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/%d", root, PID);
	*state = root;
	if (mkdir(path, 0700))
		return -1;
	snprintf(path, sizeof(path), "%s/%d/map_files", root, PID);
	return mkdir(path, 0700);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"maps", "map_files/1000-2000", "map_files", ""};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%d/%s", (char *)*state, PID, names[i]);
		remove(path);
	}
	remove(*state);
	free(*state);
	return 0;
}

static FILE *open_maps(const char *root)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d/maps", root, PID);
	file = fopen(path, "w");
	assert_non_null(file);
	return file;
}

static struct lm_maps read_text(const char *root, const char *text)
{
	struct lm_maps maps;
	FILE *file = open_maps(root);

	fputs(text, file);
	fclose(file);
	assert_int_equal(lm_proc_maps(root, PID, &maps), 0);
	return maps;
}

static void every_field_is_read(void **state)
{
	struct lm_maps maps = read_text(
		*state, "7f0123456000-7f0123457000 r-xs 00abc000 fd:1f 18446744073709551615         /a b  c\n");

	assert_int_equal(maps.len, 1);
	assert_int_equal(maps.maps[0].start, 0x7f0123456000);
	assert_int_equal(maps.maps[0].end, 0x7f0123457000);
	assert_int_equal(maps.maps[0].file_offset, 0xabc000);
	assert_int_equal(maps.maps[0].dev_major, 0xfd);
	assert_int_equal(maps.maps[0].dev_minor, 0x1f);
	assert_true(maps.maps[0].inode == UINT64_MAX);
	assert_true(maps.maps[0].executable);
	assert_string_equal(maps.maps[0].path, "/a b  c");
	lm_maps_free(&maps);
}

static void a_file_is_kept_whole_if_any_of_it_is_code(void **state)
{
	struct lm_maps maps = read_text(*state, "1000-2000 r--p 0 08:01 7 /lib\n"
						"2000-3000 rw-p 0 00:00 0 \n"
						"3000-4000 r--p 0 08:02 7 /same inode, other device\n"
						"4000-5000 r--p 0 08:01 8 /data\n"
						"5000-6000 rw-p 0 08:01 7 /lib\n"
						"6000-7000 r-xp 0 08:01 7 /lib\n"
						"7000-8000 --xp 0 00:00 0\n"
						"8000-9000 rw-p 0 00:00 0 [stack]\n");

	assert_int_equal(maps.len, 4);
	assert_false(maps.truncated);
	assert_int_equal(maps.maps[0].start, 0x1000);
	assert_int_equal(maps.maps[1].start, 0x5000);
	assert_int_equal(maps.maps[2].start, 0x6000);
	assert_int_equal(maps.maps[3].start, 0x7000);
	assert_string_equal(maps.maps[3].path, "");
	lm_maps_free(&maps);
}

static void only_the_kernels_escape_is_decoded(void **state)
{
	struct lm_maps maps = read_text(*state, "1000-2000 r-xp 0 08:01 7 /a\\012b\\040c\\\\012\\01\n");

	/* a backslash is not escaped, so the second "\012" may be either: a newline is as good a guess */
	assert_string_equal(maps.maps[0].path, "/a\nb\\040c\\\n\\01");
	lm_maps_free(&maps);
}

static void a_deleted_file_is_told_from_one_that_is_called_so(void **state)
{
	char file[128], link[128];
	struct lm_maps maps;

	/* without permission to look at the file, the words are believed */
	maps = read_text(*state, "1000-2000 r-xp 0 08:01 7 /lib/x.so (deleted)\n");
	assert_true(maps.maps[0].deleted);
	assert_string_equal(maps.maps[0].path, "/lib/x.so");
	lm_maps_free(&maps);

	/* a link of /proc leads to the file whatever its name is, as this one does */
	snprintf(file, sizeof(file), "%s/%d/maps", (char *)*state, PID);
	snprintf(link, sizeof(link), "%s/%d/map_files/1000-2000", (char *)*state, PID);
	assert_int_equal(symlink(file, link), 0);
	maps = read_text(*state, "1000-2000 r-xp 0 08:01 7 /lib/x.so (deleted)\n"
				 "2000-3000 r--p 0 08:01 7 /lib/x.so (deleted)\n"
				 "3000-4000 r-xp 0 00:00 0 [anon:x (deleted)]\n");
	assert_false(maps.maps[0].deleted);
	assert_string_equal(maps.maps[0].path, "/lib/x.so (deleted)");
	assert_string_equal(maps.maps[1].path, "/lib/x.so (deleted)");
	assert_false(maps.maps[2].deleted);
	lm_maps_free(&maps);
}

static const struct lm_map *find_start(const struct lm_maps *maps, const void *start)
{
	for (size_t i = 0; i < maps->len; i++) {
		if (maps->maps[i].start == (uintptr_t)start)
			return &maps->maps[i];
	}
	return NULL;
}

static void *map_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0700);
	void *start;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	start = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	assert_true(start != MAP_FAILED);
	return start;
}

static void real_files_are_deleted_or_only_called_so(void **state)
{
	char named[128], gone[128];
	void *named_start, *gone_start;
	const struct lm_map *map;
	struct lm_maps maps;
	int error;

	snprintf(named, sizeof(named), "%s/named (deleted)", (char *)*state);
	snprintf(gone, sizeof(gone), "%s/gone\n(deleted)", (char *)*state);
	named_start = map_file(named);
	gone_start = map_file(gone);
	unlink(gone);
	error = lm_proc_maps("/proc", getpid(), &maps);
	munmap(named_start, 4096);
	munmap(gone_start, 4096);
	unlink(named);
	assert_int_equal(error, 0);
	assert_false(maps.truncated);
	map = find_start(&maps, gone_start);
	assert_non_null(map);
	assert_true(map->deleted);
	assert_string_equal(map->path, gone);
	if (geteuid() == 0) { /* map_files is for those who may checkpoint */
		map = find_start(&maps, named_start);
		assert_non_null(map);
		assert_false(map->deleted);
		assert_string_equal(map->path, named);
	}
	lm_maps_free(&maps);
}

static void lines_that_make_no_sense_are_left_out_and_said(void **state)
{
	static const char *const lines[] = {"x", "1000", "1000-", "1000-2000", "1000-2000 r-xp", "1000-2000 r-xp 0",
		"1000-2000 r-xp 0 08:01", "1000-2000 r-xp 0 08:01 ", "1000-2000 r-xp 0 08:01 7x /a",
		"2000-1000 r-xp 0 08:01 7 /a", "1000-1000 r-xp 0 08:01 7 /a", "-1000-2000 r-xp 0 08:01 7 /a",
		"10000000000000000-20000000000000000 r-xp 0 08:01 7 /a",
		"1000-2000 r-xp 0 08:01 99999999999999999999 /a"};
	char text[256];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct lm_maps maps;

		snprintf(text, sizeof(text), "%s\n5000-6000 r-xp 0 08:01 7 /good\n", lines[i]);
		maps = read_text(*state, text);
		if (maps.len != 1 || !maps.truncated)
			print_error("%s\n", lines[i]);
		assert_int_equal(maps.len, 1);
		assert_int_equal(maps.maps[0].start, 0x5000);
		assert_true(maps.truncated);
		lm_maps_free(&maps);
	}
}

static void a_line_longer_than_any_path_is_skipped_and_said(void **state)
{
	FILE *file = open_maps(*state);
	struct lm_maps maps;

	/* wherever it is cut, what is left looks like a line */
	fputs("1000-2000 r-xp 0 08:01 6 /", file);
	for (int i = 0; i < 300000; i++)
		fputc('0', file);
	fputs("-6000 r-xp 0 08:01 7 /evil\n5000-6000 r-xp 0 08:01 7 /good\n", file);
	fclose(file);
	assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
	assert_true(maps.truncated);
	assert_int_equal(maps.len, 1);
	assert_string_equal(maps.maps[0].path, "/good");
	lm_maps_free(&maps);
}

static void a_path_of_4096_bytes_is_kept_whole(void **state)
{
	FILE *file = open_maps(*state);
	struct lm_maps maps;

	fputs("1000-2000 r-xp 0 08:01 6 /", file);
	for (int i = 0; i < 4095; i++)
		fputs("\\012", file);
	fputs("\n", file);
	fclose(file);
	assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
	assert_false(maps.truncated);
	assert_int_equal(strlen(maps.maps[0].path), 4096);
	lm_maps_free(&maps);
}

static void a_hundred_thousand_stacks_cost_nothing(void **state)
{
	FILE *file = open_maps(*state);
	struct lm_maps maps;

	fputs("1000-2000 r-xp 0 08:01 6 /app\n", file);
	for (unsigned long i = 0; i < 100000; i++)
		fprintf(file, "%lx-%lx %s 00000000 00:00 0 \n", (i + 16) << 16, ((i + 16) << 16) + 0x8000,
			i % 2 ? "rw-p" : "---p");
	fputs("7f0000000000-7f0000001000 r-xp 0 08:01 7 /lib\n", file);
	fclose(file);
	assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
	assert_int_equal(maps.len, 2);
	assert_false(maps.truncated);
	lm_maps_free(&maps);
}

static void data_files_do_not_crowd_out_code(void **state)
{
	FILE *file = open_maps(*state);
	struct lm_maps maps;

	for (unsigned long i = 1; i <= 60000; i++)
		fprintf(file, "%lx000-%lx000 r--s 0 08:01 %lu /data/%lu\n", i, i + 1, i, i);
	fputs("7f0000000000-7f0000001000 r--p 0 08:01 99999 /lib\n"
	      "7f0000001000-7f0000002000 r-xp 0 08:01 99999 /lib\n",
		file);
	fclose(file);
	assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
	assert_int_equal(maps.len, 2);
	assert_false(maps.truncated);
	lm_maps_free(&maps);
}

/* The code of a file often comes right after its first data: neither is lost where what is kept is thinned out. */
static void thinning_out_never_splits_a_file(void **state)
{
	for (unsigned long before = 19990; before < 20010; before++) {
		FILE *file = open_maps(*state);
		struct lm_maps maps;

		for (unsigned long i = 1; i <= before; i++)
			fprintf(file, "%lx000-%lx000 r--s 0 08:01 %lu /data\n", i, i + 1, i);
		fputs("7f0000000000-7f0000001000 r--p 0 08:01 99999 /lib\n"
		      "7f0000001000-7f0000002000 r-xp 0 08:01 99999 /lib\n",
			file);
		fclose(file);
		assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
		assert_int_equal(maps.len, 2);
		lm_maps_free(&maps);
	}
}

static void too_much_code_is_cut_and_said(void **state)
{
	FILE *file = open_maps(*state);
	struct lm_maps maps;

	for (unsigned long i = 1; i <= 50000; i++)
		fprintf(file, "%lx000-%lx000 r-xp 0 00:00 0 \n", 2 * i, 2 * i + 1);
	fclose(file);
	assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
	assert_int_equal(maps.len, 20000);
	assert_true(maps.truncated);
	lm_maps_free(&maps);

	file = open_maps(*state);
	for (unsigned long i = 1; i <= 10000; i++)
		fprintf(file, "%lx000-%lx000 r-xp 0 08:01 %lu /%04000lu\n", 2 * i, 2 * i + 1, i, i);
	fclose(file);
	assert_int_equal(lm_proc_maps(*state, PID, &maps), 0);
	assert_in_range(maps.len, 1000, 3000); /* 8 MiB of paths */
	assert_true(maps.truncated);
	lm_maps_free(&maps);
}

static void an_end_in_the_middle_of_a_line_is_said(void **state)
{
	struct lm_maps maps = read_text(*state, "1000-2000 r-xp 0 08:01 7 /a\n2000-30");

	assert_int_equal(maps.len, 1);
	assert_true(maps.truncated);
	lm_maps_free(&maps);
	maps = read_text(*state, ""); /* a kernel thread */
	assert_int_equal(maps.len, 0);
	assert_false(maps.truncated);
	lm_maps_free(&maps);
	lm_maps_free(NULL);
}

static void a_process_that_is_gone_is_no_such_process(void **state)
{
	struct lm_maps maps = {.len = 77};

	assert_int_equal(lm_proc_maps(*state, PID + 1, &maps), -ESRCH);
	assert_int_equal(lm_proc_maps(*state, PID, &maps), -ENOENT); /* it is there, but has no such file */
	assert_int_equal(maps.len, 77);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_field_is_read),
		TEST(a_file_is_kept_whole_if_any_of_it_is_code),
		TEST(only_the_kernels_escape_is_decoded),
		TEST(a_deleted_file_is_told_from_one_that_is_called_so),
		TEST(real_files_are_deleted_or_only_called_so),
		TEST(lines_that_make_no_sense_are_left_out_and_said),
		TEST(a_line_longer_than_any_path_is_skipped_and_said),
		TEST(a_path_of_4096_bytes_is_kept_whole),
		TEST(a_hundred_thousand_stacks_cost_nothing),
		TEST(data_files_do_not_crowd_out_code),
		TEST(thinning_out_never_splits_a_file),
		TEST(too_much_code_is_cut_and_said),
		TEST(an_end_in_the_middle_of_a_line_is_said),
		TEST(a_process_that_is_gone_is_no_such_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
