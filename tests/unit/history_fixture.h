/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A history in a directory of its own, which goes with it. */
#ifndef LM_TEST_HISTORY_FIXTURE_H
#define LM_TEST_HISTORY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>

#include "user/history.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define S INT64_C(1000000000)
#define MINUTE (60 * S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 (INT64_C(1795435200) * S) /* 2026-11-23T12:00:00Z */

struct fixture {
	char directory[64];
	struct lm_history_config config;
	struct lm_history *history;
	char why[256];
};

static inline const char *file_of(const struct fixture *fixture, const char *name)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture->directory, name);
	return path;
}

static inline void open_history(struct fixture *fixture)
{
	int error = lm_history_open(&fixture->config, &fixture->history, fixture->why);

	if (error)
		fail_msg("%d: %s", error, fixture->why);
}

static inline void close_history(struct fixture *fixture)
{
	lm_history_close(fixture->history);
	fixture->history = NULL;
}

static inline void reopen(struct fixture *fixture)
{
	close_history(fixture);
	open_history(fixture);
}

/* In memory where there is such a place: the tests write as much as months do. */
static inline int begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	snprintf(fixture->directory, sizeof(fixture->directory), "%s/leakmon-history-XXXXXX",
		access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(fixture->directory))
		return -1;
	fixture->config = (struct lm_history_config){
		.directory = fixture->directory,
		.retention_ns = LM_HISTORY_RETENTION_NS,
		.max_bytes = LM_HISTORY_MAX_BYTES,
		.boot_id = "boot-1",
	};
	*state = fixture;
	return 0;
}

static inline int end(void **state)
{
	static const char *const names[] = {"history.db", "history.db-wal", "history.db.broken",
		"history.db.broken-wal", "history.lock", "target", "other", ""};
	struct fixture *fixture = *state;

	lm_history_close(fixture->history);
	for (size_t i = 0; i < LEN(names); i++) {
		const char *path = file_of(fixture, names[i]);

		if (unlink(path))
			rmdir(path);
	}
	free(fixture);
	return 0;
}

#define MUST(call)                                                                                                     \
	do {                                                                                                           \
		int must_error = (call);                                                                               \
		if (must_error)                                                                                        \
			fail_msg("%s: %d: %s", #call, must_error, lm_history_trouble(fixture->history));               \
	} while (0)

/* One report of these sites as one transaction. */
static inline int report(struct lm_history *history, int64_t at_ns, const struct lm_snapshot_site *sites, size_t len)
{
	struct lm_snapshot snapshot = {.time_ns = at_ns, .interval_s = 10, .sites = sites, .sites_len = len};
	int error = lm_history_begin(history, at_ns);

	error = error ? error : lm_history_put_snapshot(history, &snapshot);
	return error ? error : lm_history_end(history);
}

/* The first value of a query on the closed database, as text. */
static inline const char *ask(const struct fixture *fixture, const char *sql)
{
	static char answer[256];
	sqlite3_stmt *statement;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(file_of(fixture, "history.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	answer[0] = 0;
	if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
		snprintf(answer, sizeof(answer), "%s", sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return answer;
}

#endif
