/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the history share: history.c (opening, transactions, what went wrong), history_files.c (directory,
 * lock, sizes), history_schema.c (the database and every statement), history_follow.c (which sites are followed),
 * history_write.c, history_read.c, history_points.c and history_thin.c.
 *
 * How counts are kept. A series is a site in a process, or a Go program. Its points stand in tiers of coarser and
 * coarser steps, each tier cut into blocks of time: points are written, thinned and dropped where others of that time
 * are, and a question looks into a few blocks. A series of which nothing has changed gets a point every
 * LM_HISTORY_HEARTBEAT_NS only (what arrived and departed without changing the count: every
 * LM_HISTORY_TURNOVER_NS, added up): its last count holds until its next point, or until the watching was interrupted,
 * which the periods tell. A series that is gone gets a last point with 0. Nothing of a count is lost by this; a kill
 * may lose the arrivals and departures of the last LM_HISTORY_TURNOVER_NS that changed no count.
 */
#ifndef LM_HISTORY_STATE_H
#define LM_HISTORY_STATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/history.h"

#define LM_HISTORY_S INT64_C(1000000000)
#define LM_HISTORY_MINUTE (60 * LM_HISTORY_S)
#define LM_HISTORY_HOUR (60 * LM_HISTORY_MINUTE)
#define LM_HISTORY_DAY (24 * LM_HISTORY_HOUR)

#define LM_HISTORY_HEARTBEAT_NS (10 * LM_HISTORY_MINUTE)
#define LM_HISTORY_TURNOVER_NS LM_HISTORY_MINUTE

#define LM_HISTORY_SITES_MAX 1000             /* of a report, the worst; those that are followed already in addition */
#define LM_HISTORY_FOLLOWED_MAX 3000          /* series at a time */
#define LM_HISTORY_GO_MAX 200                 /* Go programs of a report */
#define LM_HISTORY_PERIODS_MAX 4096           /* kept of the times when watching went on */
#define LM_HISTORY_STACK_MAX_BYTES 65536      /* of a stack's JSON: frames beyond are left out */
#define LM_HISTORY_BLOB_MAX_BYTES (512 << 10) /* a group of LM_RECALL_MEMBERS takes 320,000 bytes and its head */
#define LM_HISTORY_PAGE_BYTES 4096

enum { LM_HISTORY_OF_SITES, LM_HISTORY_OF_GO, LM_HISTORY_KINDS };
enum { LM_HISTORY_RAW, LM_HISTORY_LEVELS = 4 };

/* 10 s for 2 h, then a minute for a day, 10 minutes for a week, an hour for as long as anything is kept: some 4,000
 * points for a series that never rests. The block of each level is a whole number of steps of the next. */
struct lm_history_level {
	int64_t step_ns, block_ns, age_ns; /* step 0: as it came; age: then it goes to the next */
};
extern const struct lm_history_level lm_history_levels[LM_HISTORY_LEVELS];

/* The number of a tier in the database. */
static inline int lm_history_tier(int kind, int level)
{
	return kind * LM_HISTORY_LEVELS + level;
}

enum lm_history_sql {
	LM_SQL_BEGIN,
	LM_SQL_COMMIT,
	LM_SQL_ROLLBACK,
	LM_SQL_PAGES,
	LM_SQL_FREE_PAGES,
	LM_SQL_VACUUM,
	LM_SQL_LAST_PERIOD,
	LM_SQL_ADD_PERIOD,
	LM_SQL_EXTEND_PERIOD,
	LM_SQL_PERIODS,
	LM_SQL_END_SITES,
	LM_SQL_END_SERIES,
	LM_SQL_FIND_SITE,
	LM_SQL_ADD_SITE,
	LM_SQL_DESCRIBE_SITE,
	LM_SQL_REVIVE_SITE,
	LM_SQL_END_SITE,
	LM_SQL_ONE_SITE,
	LM_SQL_FIND_ONE_SERIES,
	LM_SQL_ADD_SERIES,
	LM_SQL_REVIVE_SERIES,
	LM_SQL_END_ONE_SERIES,
	LM_SQL_SERIES_OF_SITE,
	LM_SQL_SERIES_OF_GO,
	LM_SQL_SERIES_OF_ALL_GO,
	LM_SQL_ADD_POINT,
	LM_SQL_MERGE_SITE_POINT,
	LM_SQL_MERGE_GO_POINT,
	LM_SQL_POINTS,
	LM_SQL_FIRST_BLOCK,
	LM_SQL_LAST_BLOCK,
	LM_SQL_CHUNK_FIRST,
	LM_SQL_CHUNK_END,
	LM_SQL_CHUNK,
	LM_SQL_DROP_CHUNK,
	LM_SQL_ADD_CHANGE,
	LM_SQL_SET_FINDING,
	LM_SQL_DROP_FINDING,
	LM_SQL_FINDINGS,
	LM_SQL_CHANGES,
	LM_SQL_CHANGES_OF_SITE,
	LM_SQL_PUT_MEMORY,
	LM_SQL_FORGET_MEMORY,
	LM_SQL_GET_MEMORY,
	LM_SQL_DROP_CHANGES,
	LM_SQL_DROP_SITE_SERIES,
	LM_SQL_DROP_SITES,
	LM_SQL_DROP_SERIES,
	LM_SQL_DROP_MEMORY,
	LM_SQL_DROP_PERIODS,
	LM_SQL_FUTURE_CHANGES,
	LM_SQL_FUTURE_SITES,
	LM_SQL_FUTURE_SERIES,
	LM_SQL_FUTURE_PERIODS,
	LM_SQL_FUTURE_MEMORY,
	LM_SQLS
};

struct lm_history_followed; /* of history_follow.c */

struct lm_history {
	char *directory, *path, *wal_path, *broken_path, *broken_wal_path;
	char boot_id[64];
	int lock_fd;
	uint64_t retention_ns, max_bytes;

	sqlite3 *db; /* NULL: closed after an error, to be opened again */
	sqlite3_stmt *statements[LM_SQLS];
	bool is_broken; /* found so: to be put aside before it is opened again */
	bool are_limits_set;

	bool in_transaction;
	int undone; /* the error that undid the transaction under way */
	int64_t at_ns, last_at_ns, interval_ns;
	int64_t period;        /* its number; 0: watching has not begun, or was interrupted */
	size_t new_bytes_left; /* of texts and memory, in this transaction */
	bool has_room;         /* for what was not known before */
	uint64_t left_out;     /* sites and memories of this transaction */
	uint64_t sites_of_report;

	struct lm_history_followed *followed;

	int pressure;      /* how much smaller than wanted the history is kept: ages are halved so many times */
	bool check_future; /* the clock may have been set back: what is dated later would stay for ever */

	bool is_troubled;
	char trouble[512];
};

/* history.c */

/* Opens the database again if it was closed after an error. */
int lm_history_ensure_open(struct lm_history *history);
/* Notes what SQLite says of its last call, and what is to be done about it. Returns -errno. */
int lm_history_failed(struct lm_history *history, int result);
/* The same of another failure; returns the error. */
int lm_history_note(struct lm_history *history, int error, const char *what);
/* Undoes the transaction under way after an error; returns the error. */
int lm_history_undo(struct lm_history *history, int error);

/* history_files.c */

/* Makes and checks the directory, and takes its lock. */
int lm_history_files_open(struct lm_history *history, const char *directory, char why[256]);
void lm_history_files_close(struct lm_history *history);
/* Nobody else can have prepared the files; closes what others could read. */
int lm_history_files_check(struct lm_history *history, char why[256]);
/* Puts the broken database aside, in place of the one before. */
int lm_history_files_set_aside(struct lm_history *history);
/* Frees what the broken database takes, if there is one. */
bool lm_history_files_drop_broken(struct lm_history *history);
/* 0 if the file is not there, -1 if that is not known. */
int64_t lm_history_file_bytes(const char *path);

/* history_schema.c */

/* Opens the database, brings its schema up to date, forgets what is of another boot. -errno and history->is_broken if
 * it is broken. */
int lm_history_database_open(struct lm_history *history, char why[256]);
void lm_history_database_close(struct lm_history *history);
/* What max_bytes means for the database: pages, and the size of its log. May change later. */
int lm_history_database_limit(struct lm_history *history, int64_t spare_pages);
/* Writes the log back into the database if it has become larger than that. */
int lm_history_write_back(struct lm_history *history, int64_t above_bytes);
int64_t lm_history_pages_max(const struct lm_history *history);
int64_t lm_history_log_bytes(const struct lm_history *history);

/* The statement, ready for its parameters (i: int64_t, t: const char * or NULL, b: const void *, size_t). */
int lm_history_query(
	struct lm_history *history, enum lm_history_sql sql, sqlite3_stmt **statement, const char *types, ...);
/* 1: there is a row; 0: there is none, and the statement is reset; -errno: the same. */
int lm_history_step(struct lm_history *history, sqlite3_stmt *statement);
/* A statement that gives no rows. */
int lm_history_run(struct lm_history *history, enum lm_history_sql sql, const char *types, ...);
/* The first column of the first row; the value stays as it is if there is none. */
int lm_history_number(struct lm_history *history, enum lm_history_sql sql, int64_t *value, const char *types, ...);

/* history_sites.c */

/* How much the stack of a site tells, and a mark by which a change of it is seen. */
struct lm_history_mark {
	int64_t told, mark;
};
struct lm_history_mark lm_history_mark_site(const struct lm_snapshot_site *site);
/* The site's number, and what is stored of it. -ENOENT: it is not there. */
int lm_history_find_site(struct lm_history *history, uint64_t site, int64_t *n, struct lm_history_mark *mark);
/* 1: there is no room for it in this transaction. */
int lm_history_add_site(struct lm_history *history, const struct lm_snapshot_site *site, int64_t *n);
int lm_history_describe_site(struct lm_history *history, const struct lm_snapshot_site *site, int64_t n);

/* history_follow.c */

int lm_history_followed_new(struct lm_history_followed **followed);
/* Forgets all: what is followed is looked up again. */
void lm_history_followed_clear(struct lm_history_followed *followed);
void lm_history_followed_free(struct lm_history_followed *followed);
/* When a site was last seen, if it is followed. */
bool lm_history_followed_seen(const struct lm_history_followed *followed, uint64_t site, int64_t *last_ns);

struct lm_history_value {
	int64_t count;             /* of a Go program: its goroutines; -1 = not known */
	int64_t arrived, departed; /* of a Go program: GC count and live heap, -1 = not known */
	int64_t oldest_ns;
};

/* Notes the value of a series in this report, and writes a point if there is something to tell. 1: it is left out. */
int lm_history_follow_site(struct lm_history *history, const struct lm_snapshot_site *site, bool may_be_new);
int lm_history_follow_go(struct lm_history *history, const struct lm_snapshot_process *process);
/* What was followed and is not in this report has ended. */
int lm_history_follow_gone(struct lm_history *history);

/* history_periods.c */

/* When watching went on. */
struct lm_history_period {
	int64_t from_ns, to_ns, interval_ns;
};
struct lm_history_periods {
	struct lm_history_period *items; /* in the order of time */
	size_t len;
};
int lm_history_periods_read(struct lm_history *history, struct lm_history_periods *periods);
void lm_history_periods_free(struct lm_history_periods *periods);
/* The period in which the time lies; one of no time if that is not known. */
struct lm_history_period lm_history_period_of(const struct lm_history_periods *periods, int64_t at_ns);

#endif
