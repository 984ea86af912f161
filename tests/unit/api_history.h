/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A history in a directory of its own, with what the endpoints are asked for. */
#ifndef LM_TEST_API_HISTORY_H
#define LM_TEST_API_HISTORY_H

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "render_snapshots.h"
#include "user/history.h"
#include "user/history_state.h"

static const struct lm_change history_changes[] = {
	{.kind = LM_CHANGE_FOUND,
		.at_ns = AGO(900),
		.id = "00c0ffee00c0ffee",
		.level = LM_LEVEL_CONFIRMED,
		.type = LM_FINDING_ORPHANED_LOCK,
		.pid = 4294967295u,
		.comm = ESC_NAME,
		.summary = RTL_NAME "\n\ndata: forged" BAD_UTF8},
	{.kind = LM_CHANGE_LEVEL,
		.at_ns = AGO(600),
		.id = "9f2c41d07be1a3c5",
		.level = LM_LEVEL_LIKELY,
		.before = LM_LEVEL_SUSPECT,
		.type = LM_FINDING_LEAK,
		.pid = 1234,
		.site = LEAK_SITE,
		.since_ns = AGO(3120),
		.comm = "leaky",
		.summary = "500 threads of leaky"},
};

#define HISTORY_LEAK(pid_, comm_, count_)                                                                              \
	{                                                                                                              \
		.site = LEAK_SITE, .pid = (pid_), .comm = (comm_), .count = (count_), .arrived = (count_),             \
		.wait = {.wait_class = LM_WAIT_FUTEX_COND}, .oldest_blocked_since_ns = AGO(7300),                      \
		ARRAY(stack, leak_stack), .place = &leak_stack[2]                                                      \
	}
static const struct lm_snapshot_site history_sites_before[] = {HISTORY_LEAK(1234, "leaky", 100)};
static const struct lm_snapshot_site history_sites_after[] = {
	HISTORY_LEAK(1234, "leaky", 500), HISTORY_LEAK(4294967295u, ESC_NAME, 12)};

static const struct lm_snapshot_go history_odd_go = {.goroutines = 12, .gc_count = -1, .heap_live_bytes = -1};
static const struct lm_snapshot_process history_go_processes[] = {
	{.pid = 4711, .comm = "api", .go = &go_of_api}, {.pid = 4713, .comm = RTL_NAME, .go = &history_odd_go}};

static const struct lm_snapshot history_reports[] = {
	{.time_ns = AGO(7200), .interval_s = 10, ARRAY(sites, history_sites_before)},
	{.time_ns = AGO(10),
		.interval_s = 10,
		ARRAY(sites, history_sites_after),
		ARRAY(processes, history_go_processes)},
};

struct test_history {
	char directory[256];
	struct lm_history *history;
};

static void test_history_put(
	struct lm_history *history, int64_t at_ns, const struct lm_snapshot *report, const struct lm_change *change)
{
	assert_int_equal(lm_history_begin(history, at_ns), 0);
	if (report)
		assert_int_equal(lm_history_put_snapshot(history, report), 0);
	if (change)
		assert_int_equal(lm_history_put_change(history, change), 0);
	assert_int_equal(lm_history_end(history), 0);
}

static void test_history_open(struct test_history *test)
{
	struct lm_history_config config = {.directory = test->directory,
		.retention_ns = LM_HISTORY_RETENTION_NS,
		.max_bytes = LM_HISTORY_MAX_BYTES,
		.boot_id = "test"};
	const char *tmp = getenv("TMPDIR");
	char why[256];

	snprintf(test->directory, sizeof(test->directory), "%s/leakmon-api-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(test->directory));
	if (lm_history_open(&config, &test->history, why))
		fail_msg("%s", why);
	test_history_put(test->history, AGO(7200), &history_reports[0], NULL);
	test_history_put(test->history, AGO(900), NULL, &history_changes[0]);
	test_history_put(test->history, AGO(600), NULL, &history_changes[1]);
	test_history_put(test->history, AGO(10), &history_reports[1], NULL);
}

/* Every question fails from now on: what should be the database is a directory. */
static void test_history_break(struct test_history *test)
{
	lm_history_database_close(test->history);
	assert_int_equal(unlink(test->history->path), 0);
	assert_int_equal(mkdir(test->history->path, 0700), 0);
}

static void test_history_close(struct test_history *test)
{
	DIR *directory;
	struct dirent *entry;

	lm_history_close(test->history);
	directory = opendir(test->directory);
	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	if (directory)
		closedir(directory);
	rmdir(test->directory);
}

#endif
