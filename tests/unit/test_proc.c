// SPDX-License-Identifier: GPL-2.0-or-later
/* Readers of /proc, on files laid out by the test as hostile processes make them. */
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
#include <time.h>
#include <unistd.h>

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

static void a_process_has_a_parent_and_may_be_a_kernel_thread(void **state)
{
	pid_t parent;
	bool is_kernel_thread;

	write_proc(*state, "stat", "42 (kthreadd) S 7 0 0 0 -1 2129984 0 0 0 0 7 3 0 0 20 0 1 0 1 0 0\n");
	assert_int_equal(lm_proc_parent(*state, PID, &parent), 0);
	assert_int_equal(parent, 7);
	assert_int_equal(lm_proc_is_kernel_thread(*state, PID, &is_kernel_thread), 0);
	assert_true(is_kernel_thread);
	write_proc(*state, "stat", "42 (sh) Z 7 42 42 0 -1 4194304 0 0 0 0 7 3 0 0 20 0 1 0 1234 0 0\n");
	assert_int_equal(lm_proc_is_kernel_thread(*state, PID, &is_kernel_thread), 0);
	assert_false(is_kernel_thread);
	assert_int_equal(lm_proc_parent(*state, PID + 1, &parent), -ESRCH);
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

static void numbers_come_from_their_fields(void **state)
{
	const double hz = sysconf(_SC_CLK_TCK);
	uint64_t bytes;
	double seconds;

	write_proc(*state, "stat",
		"42 (a) S 1 42 42 0 -1 4 0 0 0 0 700 300 9 9 20 0 5 0 1234 99 17 18446744073709551615\n");
	assert_int_equal(lm_proc_rss(*state, PID, &bytes), 0);
	assert_int_equal(bytes, 17 * sysconf(_SC_PAGESIZE));
	assert_int_equal(lm_proc_cpu(*state, PID, &seconds), 0);
	assert_true(seconds * hz > 999.5 && seconds * hz < 1000.5);
}

static void a_stat_file_without_sense_is_refused(void **state)
{
	static const char *const texts[] = {"", "42", "42 (a", "42 (a)", "42 (a) S",
		"42 (a)S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
		"42 (a) S 1 42 42 0 -1 4 0 0 0 0 7 3 0 0 20 0 five 0 1234 0 0\n",
		"42 (a) S 1 42 42 0 -1 4 0 0 0 0 7 3 0 0 20 0 -5 0 1234 0 0\n",
		"42 (a) S 1 42 42 0 -1 4 0 0 0 0 7 3 0 0 20 0 99999999999999999999 0 1234 0 0\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint64_t threads = 77;

		write_proc(*state, "stat", texts[i]);
		if (lm_proc_threads(*state, PID, &threads) != -EBADMSG)
			print_error("%s\n", texts[i]);
		assert_int_equal(lm_proc_threads(*state, PID, &threads), -EBADMSG);
		assert_int_equal(threads, 77);
	}
}

static void a_name_keeps_all_but_the_kernels_newline(void **state)
{
	char comm[16];

	write_proc(*state, "comm", "two\nlines\n\n");
	assert_int_equal(lm_proc_comm(*state, PID, comm), 0);
	assert_string_equal(comm, "two\nlines\n");
	write_proc(*state, "comm", "kworker/u8:2-events_unbound\n");
	assert_int_equal(lm_proc_comm(*state, PID, comm), 0);
	assert_string_equal(comm, "kworker/u8:2-ev");
	assert_int_equal(lm_proc_comm(*state, PID + 1, comm), -ESRCH);
}

static void link_exe(const char *root, const char *target)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d/exe", root, PID);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static void an_executable_is_deleted_or_only_called_so(void **state)
{
	char file[128], *path = NULL;

	link_exe(*state, "/usr/bin/gone (deleted)");
	assert_int_equal(lm_proc_exe(*state, PID, &path), 0);
	assert_string_equal(path, "/usr/bin/gone");
	free(path);
	snprintf(file, sizeof(file), "%s/app (deleted)", (char *)*state);
	write_file(file, "");
	link_exe(*state, file);
	assert_int_equal(lm_proc_exe(*state, PID, &path), 0);
	unlink(file);
	assert_string_equal(path, file);
	free(path);
	assert_int_equal(lm_proc_exe(*state, PID + 1, &path), -ESRCH);
}

static void a_kernel_thread_has_no_executable_but_is_there(void **state)
{
	char *path = NULL;

	assert_int_equal(lm_proc_exe(*state, PID, &path), -ENOENT);
	assert_null(path);
}

static void this_process_is_read(void **state)
{
	uint64_t start_ns, threads, bytes;
	struct timespec now;
	char comm[16], *path, own[4096] = "";
	double seconds;

	(void)state;
	assert_int_equal(lm_proc_start("/proc", getpid(), &start_ns), 0);
	clock_gettime(CLOCK_BOOTTIME, &now);
	assert_true(start_ns <= now.tv_sec * 1000000000ull + now.tv_nsec);
	assert_true(start_ns + 600 * 1000000000ull > now.tv_sec * 1000000000ull);
	assert_int_equal(lm_proc_threads("/proc", getpid(), &threads), 0);
	assert_int_equal(threads, 1);
	assert_int_equal(lm_proc_rss("/proc", getpid(), &bytes), 0);
	assert_true(bytes >= 100 << 10);
	assert_int_equal(lm_proc_cpu("/proc", getpid(), &seconds), 0);
	assert_true(seconds >= 0 && seconds < 600);
	assert_int_equal(lm_proc_comm("/proc", getpid(), comm), 0);
	assert_int_equal(strncmp(comm, "test_proc", 9), 0);
	assert_int_equal(lm_proc_exe("/proc", getpid(), &path), 0);
	assert_true(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
	assert_string_equal(path, own);
	free(path);
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define INNER "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void a_container_is_known_by_its_64_digits(void **state)
{
	static const struct {
		const char *text, *id;
	} cases[] = {
		{"0::/system.slice/docker-" ID ".scope\n", ID},
		{"12:pids:/docker/" ID "\n11:cpu:/docker/" ID "\n0::/\n", ID},
		{"0::/kubepods.slice/kubepods-pod0a1b2c3d_0a1b.slice/cri-containerd-" ID ".scope\n", ID},
		{"4:memory:/\n0::/machine.slice/libpod-" ID ".scope/container\n", ID},
		{"0::/kubepods/besteffort/pod0a1b2c3d/crio-" ID, ID},
		{"0::/docker/" ID "/docker/" INNER "/init.scope\n", INNER},
		{"0::/user.slice/user-0123456789abcdef.slice\n", NULL},
		{"0::/docker/" ID "0\n", NULL},
		{"0::/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF\n", NULL},
		{"0::/\n", NULL},
		{"", NULL},
	};
	char *found = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_proc(*state, "cgroup", cases[i].text);
		assert_int_equal(lm_proc_container(*state, PID, &found), 0);
		if (cases[i].id)
			assert_string_equal(found, cases[i].id);
		else
			assert_null(found);
		free(found);
	}
	assert_int_equal(lm_proc_container(*state, PID + 1, &found), -ESRCH);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_name_full_of_parentheses_does_not_shift_the_fields),
		TEST(numbers_come_from_their_fields),
		TEST(a_stat_file_without_sense_is_refused),
		TEST(a_name_keeps_all_but_the_kernels_newline),
		TEST(an_executable_is_deleted_or_only_called_so),
		TEST(a_kernel_thread_has_no_executable_but_is_there),
		TEST(a_process_has_a_parent_and_may_be_a_kernel_thread),
		TEST(maps_keep_code_and_drop_stacks),
		TEST(a_container_is_known_by_its_64_digits),
		cmocka_unit_test(this_process_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
