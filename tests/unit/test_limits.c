// SPDX-License-Identifier: GPL-2.0-or-later
/* What bounds a process, read from files laid out by the test and from this machine; and what runs out first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/limits.h"

#define PID 42

static int set_up(void **state)
{
	*state = strdup("/tmp/leakmon-limits-XXXXXX");
	return *state && mkdtemp(*state) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];
	int status;

	snprintf(command, sizeof(command), "rm -r '%s'", (char *)*state);
	status = system(command);
	free(*state);
	return status;
}

/* Writes ROOT/PATH, with the folders above it. */
static void lay(const char *root, const char *path, const char *text)
{
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static struct lm_limits read_limits(const char *root)
{
	char proc[128], cgroup[128];
	struct lm_limits limits;

	snprintf(proc, sizeof(proc), "%s/proc", root);
	snprintf(cgroup, sizeof(cgroup), "%s/cgroup", root);
	assert_int_equal(lm_limits_read(proc, cgroup, PID, &limits), 0);
	return limits;
}

static void of_nested_groups_the_tightest_counts(void **state)
{
	struct lm_limits limits;

	lay(*state, "proc/42/cgroup", "0::/system.slice/web.service\n");
	lay(*state, "cgroup/system.slice/web.service/pids.max", "max\n");
	lay(*state, "cgroup/system.slice/web.service/pids.current", "70\n");
	lay(*state, "cgroup/system.slice/pids.max", "100\n");
	lay(*state, "cgroup/system.slice/pids.current", "90\n");
	lay(*state, "cgroup/pids.max", "1000\n");
	lay(*state, "cgroup/pids.current", "950\n");
	lay(*state, "cgroup/system.slice/web.service/memory.max", "1048576\n");
	lay(*state, "cgroup/system.slice/web.service/memory.current", "524288\n");
	lay(*state, "cgroup/system.slice/web.service/memory.stat", "anon 5\ninactive_file 24288\nx\n");
	limits = read_limits(*state);
	assert_int_equal(limits.of[LM_RESOURCE_MEMORY].used, 500000); /* without caches that give way */
	assert_int_equal(limits.of[LM_RESOURCE_CGROUP_PIDS].limit, 100);
	assert_int_equal(limits.of[LM_RESOURCE_CGROUP_PIDS].used, 90);
	assert_int_equal(limits.of[LM_RESOURCE_MEMORY].limit, 1048576);
	assert_int_equal(limits.of[LM_RESOURCE_THREADS_MAX].limit, 0);
}

static void the_controllers_of_version_1_are_read_too(void **state)
{
	struct lm_limits limits;

	lay(*state, "proc/42/cgroup", "8:cpu,pids:/a\n4:memory:/b\n1:name=systemd:/\n0::/\n");
	lay(*state, "cgroup/pids/a/pids.max", "50\n");
	lay(*state, "cgroup/pids/a/pids.current", "5\n");
	lay(*state, "cgroup/memory/b/memory.limit_in_bytes", "9223372036854771712\n"); /* that is: none */
	lay(*state, "cgroup/memory/b/memory.usage_in_bytes", "5\n");
	limits = read_limits(*state);
	assert_int_equal(limits.of[LM_RESOURCE_CGROUP_PIDS].limit, 50);
	assert_int_equal(limits.of[LM_RESOURCE_MEMORY].limit, 0);
}

static void the_machine_and_the_map_are_counted(void **state)
{
	struct lm_limits limits;

	lay(*state, "proc/42/cgroup", "");
	lay(*state, "proc/42/maps", "1\n2\n3\n");
	lay(*state, "proc/loadavg", "0.03 0.21 0.39 1/123 24427\n");
	lay(*state, "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n");
	lay(*state, "proc/sys/kernel/threads-max", "7777\n");
	lay(*state, "proc/sys/kernel/pid_max", "32768\n");
	lay(*state, "proc/sys/vm/max_map_count", "65530\n");
	limits = read_limits(*state);
	assert_int_equal(limits.of[LM_RESOURCE_THREADS_MAX].used, 123);
	assert_int_equal(limits.of[LM_RESOURCE_THREADS_MAX].limit, 7777);
	assert_int_equal(limits.of[LM_RESOURCE_PID_MAX].limit, 32768);
	assert_int_equal(limits.of[LM_RESOURCE_MAPS].used, 3);
	assert_int_equal(limits.of[LM_RESOURCE_MEMORY].used, 600 * 1024);
}

static void what_makes_no_sense_is_not_known(void **state)
{
	struct lm_limits limits;

	lay(*state, "proc/42/cgroup", "garbage\n::\n0::/../../x\n0::\n:::::\n\n0:");
	lay(*state, "proc/loadavg", "x\n");
	lay(*state, "proc/meminfo", "MemTotal: 5 kB\nMemAvailable: 500 kB\n");
	lay(*state, "proc/sys/kernel/threads-max", "many\n");
	limits = read_limits(*state);
	for (int i = 0; i < LM_RESOURCES; i++)
		assert_int_equal(limits.of[i].limit, 0);
}

static void of_this_process_most_is_known(void **state)
{
	struct lm_limits limits;

	(void)state;
	assert_int_equal(lm_limits_read("/proc", "/sys/fs/cgroup", getpid(), &limits), 0);
	assert_true(limits.of[LM_RESOURCE_MAPS].used > 5);
	assert_true(limits.of[LM_RESOURCE_THREADS_MAX].used > 0);
	assert_true(limits.of[LM_RESOURCE_MEMORY].limit > 1 << 20);
	assert_int_equal(lm_limits_read("/proc", "/sys/fs/cgroup", 0x3fffffff, &limits), -ESRCH);
}

static void what_runs_out_first_is_told(void **state)
{
	struct lm_limits limits = {.of = {[LM_RESOURCE_CGROUP_PIDS] = {900, 1000},
					   [LM_RESOURCE_MAPS] = {65000, 65530},
					   [LM_RESOURCE_MEMORY] = {1 << 20, 3 << 20}}};
	struct lm_exhaustion first;

	(void)state;
	assert_true(lm_exhaustion_first(&limits, 50, NAN, &first));
	assert_string_equal(first.resource, "pids.max");
	assert_int_equal(first.limit, 1000);
	assert_float_equal(first.in_s, 7200, 1e-6);
	limits.of[LM_RESOURCE_CGROUP_PIDS].limit = 10000;
	assert_true(lm_exhaustion_first(&limits, 53, NAN, &first));
	assert_string_equal(first.resource, "max_map_count"); /* two a thread: 265 threads are left */
	assert_float_equal(first.in_s, 5 * 3600, 1e-6);
	assert_true(lm_exhaustion_first(&limits, 53, 1 << 20, &first));
	assert_string_equal(first.resource, "memory");
	assert_float_equal(first.in_s, 7200, 1e-6);
	/* what does not grow runs nothing out */
	assert_false(lm_exhaustion_first(&limits, 0, 1 << 20, &first));
	assert_false(lm_exhaustion_first(&limits, NAN, 1 << 20, &first));
	/* and it may have run out already */
	limits.of[LM_RESOURCE_MAPS].used = 70000;
	assert_true(lm_exhaustion_first(&limits, 1, NAN, &first));
	assert_float_equal(first.in_s, 0, 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_nested_groups_the_tightest_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_controllers_of_version_1_are_read_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_machine_and_the_map_are_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_makes_no_sense_is_not_known, set_up, tear_down),
		cmocka_unit_test(of_this_process_most_is_known),
		cmocka_unit_test(what_runs_out_first_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
