// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The database: its tables, every statement, how it is opened, checked and limited. Names of classes, levels and types
 * are stored as the contract spells them, so that another version of leakmon reads them right.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/history_state.h"

#define WHY_BYTES 256
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Checked whole when it is opened, at some 300 MB/s from the page cache; of a larger one all but the points. */
#define CHECK_MAX_BYTES (64 << 20)
/* Less cannot hold what one report may bring. */
#define MIN_BYTES (1 << 20)

/* Each brings the database from the version that is its index to the next. series is AUTOINCREMENT because points of a
 * series that was dropped may outlast it for a while: its number must not come again. Before the texts of a site
 * stands what is looked for. sites and series have no last_ns while they are followed. */
static const char *const migrations[] = {
	"CREATE TABLE meta(boot TEXT NOT NULL);"
	"INSERT INTO meta VALUES('');"
	"CREATE TABLE periods(n INTEGER PRIMARY KEY, from_ns INTEGER, to_ns INTEGER, interval_ns INTEGER);"
	"CREATE TABLE sites(n INTEGER PRIMARY KEY, site INTEGER NOT NULL UNIQUE, kind INTEGER, first_ns INTEGER,"
	" last_ns INTEGER, told INTEGER, mark INTEGER, wait_class TEXT, function TEXT, stack TEXT, created_by TEXT);"
	"CREATE INDEX sites_last ON sites(last_ns);"
	"CREATE TABLE series(n INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER, site INTEGER, pid INTEGER, comm TEXT,"
	" first_ns INTEGER, last_ns INTEGER, UNIQUE(kind, site, pid, comm));"
	"CREATE INDEX series_last ON series(last_ns);"
	"CREATE TABLE points(tier INTEGER, block INTEGER, series INTEGER, at INTEGER, most INTEGER, last INTEGER,"
	" a INTEGER, b INTEGER, oldest INTEGER, PRIMARY KEY(tier, block, series, at)) WITHOUT ROWID;"
	"CREATE TABLE changes(n INTEGER PRIMARY KEY, at_ns INTEGER, site INTEGER, kind TEXT, id TEXT, level TEXT,"
	" before TEXT, type TEXT, pid INTEGER, since_ns INTEGER, comm TEXT, summary TEXT);"
	"CREATE INDEX changes_at ON changes(at_ns);"
	"CREATE INDEX changes_site ON changes(site, at_ns);"
	"CREATE TABLE findings(id TEXT PRIMARY KEY, at_ns INTEGER, site INTEGER, kind TEXT, level TEXT, before TEXT,"
	" type TEXT, pid INTEGER, since_ns INTEGER, comm TEXT, summary TEXT);"
	"CREATE TABLE memory(site INTEGER, kind INTEGER, pid INTEGER, start_ns INTEGER, at_ns INTEGER, bytes BLOB,"
	" PRIMARY KEY(site, kind, pid, start_ns));"
	"CREATE INDEX memory_at ON memory(at_ns);",
};
#define SCHEMA ((int)ARRAY_LEN(migrations))

#define CHANGE_COLUMNS "kind, at_ns, id, level, before, type, pid, site, since_ns, comm, summary"

static const char *const statements[LM_SQLS] = {
	[LM_SQL_BEGIN] = "BEGIN IMMEDIATE",
	[LM_SQL_COMMIT] = "COMMIT",
	[LM_SQL_ROLLBACK] = "ROLLBACK",
	[LM_SQL_PAGES] = "PRAGMA page_count",
	[LM_SQL_FREE_PAGES] = "PRAGMA freelist_count",
	[LM_SQL_VACUUM] = "PRAGMA incremental_vacuum(64)",
	[LM_SQL_LAST_PERIOD] = "SELECT to_ns FROM periods ORDER BY n DESC LIMIT 1",
	[LM_SQL_ADD_PERIOD] = "INSERT INTO periods(from_ns, to_ns, interval_ns) VALUES(?1, ?1, ?2)",
	[LM_SQL_EXTEND_PERIOD] = "UPDATE periods SET to_ns = ?2, interval_ns = ?3 WHERE n = ?1",
	[LM_SQL_PERIODS] = "SELECT from_ns, to_ns, interval_ns FROM periods ORDER BY n DESC LIMIT ?1",
	[LM_SQL_END_SITES] = "UPDATE sites SET last_ns = max(?1, first_ns) WHERE last_ns IS NULL",
	[LM_SQL_END_SERIES] = "UPDATE series SET last_ns = max(?1, first_ns) WHERE last_ns IS NULL",
	[LM_SQL_FIND_SITE] = "SELECT n, last_ns, told, mark FROM sites WHERE site = ?1",
	[LM_SQL_ADD_SITE] =
		"INSERT INTO sites(site, kind, first_ns, told, mark, wait_class, function, stack, created_by)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[LM_SQL_DESCRIBE_SITE] = "UPDATE sites SET told = ?2, mark = ?3, wait_class = ?4, function = ?5, stack = ?6,"
				 " created_by = ?7 WHERE n = ?1",
	[LM_SQL_REVIVE_SITE] = "UPDATE sites SET last_ns = NULL WHERE n = ?1",
	[LM_SQL_END_SITE] = "UPDATE sites SET last_ns = max(?2, first_ns) WHERE n = ?1",
	[LM_SQL_ONE_SITE] = "SELECT kind, first_ns, last_ns, wait_class, function, stack, created_by FROM sites"
			    " WHERE site = ?1",
	[LM_SQL_FIND_ONE_SERIES] =
		"SELECT n, last_ns FROM series WHERE kind = ?1 AND site = ?2 AND pid = ?3 AND comm = ?4",
	[LM_SQL_ADD_SERIES] = "INSERT INTO series(kind, site, pid, comm, first_ns) VALUES(?1, ?2, ?3, ?4, ?5)",
	[LM_SQL_REVIVE_SERIES] = "UPDATE series SET last_ns = NULL WHERE n = ?1",
	[LM_SQL_END_ONE_SERIES] = "UPDATE series SET last_ns = max(?2, first_ns) WHERE n = ?1",
	[LM_SQL_SERIES_OF_SITE] = "SELECT n, pid, comm, first_ns, last_ns FROM series WHERE kind = 0 AND site = "
				  "(SELECT n FROM sites WHERE site = ?1) AND first_ns <= ?3 AND"
				  " ifnull(last_ns, ?2) >= ?2 ORDER BY n DESC LIMIT ?4",
	[LM_SQL_SERIES_OF_GO] = "SELECT n, pid, comm, first_ns, last_ns FROM series WHERE kind = 1 AND site = 0 AND"
				" pid = ?1 AND first_ns <= ?3 AND ifnull(last_ns, ?2) >= ?2 ORDER BY n DESC LIMIT ?4",
	[LM_SQL_SERIES_OF_ALL_GO] =
		"SELECT n, pid, comm, first_ns, last_ns FROM series WHERE kind = 1 AND site = 0 AND"
		" pid >= ?1 AND first_ns <= ?3 AND ifnull(last_ns, ?2) >= ?2 ORDER BY n DESC LIMIT ?4",
	[LM_SQL_ADD_POINT] = "INSERT OR REPLACE INTO points VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[LM_SQL_MERGE_SITE_POINT] =
		"INSERT INTO points VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET"
		" most = max(most, excluded.most), last = excluded.last, a = a + excluded.a, b = b + excluded.b,"
		" oldest = coalesce(min(oldest, excluded.oldest), oldest, excluded.oldest)",
	[LM_SQL_MERGE_GO_POINT] =
		"INSERT INTO points VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET"
		" most = max(most, excluded.most), last = excluded.last, a = max(a, excluded.a), b = max(b, "
		"excluded.b)",
	[LM_SQL_POINTS] = "SELECT at, most, last, a, b, oldest FROM points WHERE tier = ?1 AND block = ?2 AND"
			  " series = ?3 ORDER BY at",
	[LM_SQL_FIRST_BLOCK] = "SELECT block FROM points WHERE tier = ?1 ORDER BY block LIMIT 1",
	[LM_SQL_LAST_BLOCK] = "SELECT block FROM points WHERE tier = ?1 ORDER BY block DESC LIMIT 1",
	[LM_SQL_CHUNK_FIRST] = "SELECT series FROM points WHERE tier = ?1 AND block = ?2 ORDER BY series LIMIT 1",
	[LM_SQL_CHUNK_END] =
		"SELECT series FROM points WHERE tier = ?1 AND block = ?2 ORDER BY series LIMIT 1 OFFSET ?3",
	[LM_SQL_CHUNK] = "SELECT series, at, most, last, a, b, oldest FROM points WHERE tier = ?1 AND block = ?2 AND"
			 " series >= ?3 AND series < ?4 ORDER BY series, at",
	[LM_SQL_DROP_CHUNK] = "DELETE FROM points WHERE tier = ?1 AND block = ?2 AND series >= ?3 AND series < ?4",
	[LM_SQL_ADD_CHANGE] = "INSERT INTO changes(" CHANGE_COLUMNS ")"
			      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[LM_SQL_SET_FINDING] = "INSERT OR REPLACE INTO findings(" CHANGE_COLUMNS ")"
			       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[LM_SQL_DROP_FINDING] = "DELETE FROM findings WHERE id = ?1",
	[LM_SQL_FINDINGS] = "SELECT " CHANGE_COLUMNS " FROM findings ORDER BY id",
	[LM_SQL_CHANGES] = "SELECT " CHANGE_COLUMNS " FROM changes WHERE at_ns BETWEEN ?1 AND ?2"
			   " ORDER BY at_ns DESC, n DESC LIMIT ?3",
	[LM_SQL_CHANGES_OF_SITE] = "SELECT " CHANGE_COLUMNS " FROM changes WHERE at_ns BETWEEN ?1 AND ?2 AND site = ?4"
				   " ORDER BY at_ns DESC, n DESC LIMIT ?3",
	/* the monitor puts what it knows again and again: the same bytes cost nothing but once a day */
	[LM_SQL_PUT_MEMORY] = "INSERT INTO memory VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET"
			      " at_ns = excluded.at_ns, bytes = excluded.bytes"
			      " WHERE bytes IS NOT excluded.bytes OR abs(at_ns - excluded.at_ns) > 86400000000000",
	[LM_SQL_FORGET_MEMORY] = "DELETE FROM memory WHERE site = ?1 AND kind = ?2 AND pid = ?3 AND start_ns = ?4",
	[LM_SQL_GET_MEMORY] = "SELECT bytes FROM memory WHERE site = ?1 AND kind = ?2 AND pid = ?3 AND start_ns = ?4",
	/* all of these drop at most ?2 at a time */
	[LM_SQL_DROP_CHANGES] = "DELETE FROM changes WHERE n IN"
				" (SELECT n FROM changes WHERE at_ns < ?1 ORDER BY at_ns LIMIT ?2)",
	[LM_SQL_DROP_SITE_SERIES] = "DELETE FROM series WHERE kind = 0 AND site IN"
				    " (SELECT n FROM sites WHERE last_ns < ?1 ORDER BY last_ns LIMIT ?2)",
	[LM_SQL_DROP_SITES] = "DELETE FROM sites WHERE n IN"
			      " (SELECT n FROM sites WHERE last_ns < ?1 ORDER BY last_ns LIMIT ?2)",
	[LM_SQL_DROP_SERIES] = "DELETE FROM series WHERE n IN"
			       " (SELECT n FROM series WHERE last_ns < ?1 ORDER BY last_ns LIMIT ?2)",
	[LM_SQL_DROP_MEMORY] = "DELETE FROM memory WHERE rowid IN"
			       " (SELECT rowid FROM memory WHERE at_ns < ?1 ORDER BY at_ns LIMIT ?2)",
	[LM_SQL_DROP_PERIODS] = "DELETE FROM periods WHERE n IN (SELECT n FROM periods WHERE (to_ns < ?1 OR n <="
				" (SELECT max(n) FROM periods) - 4096) AND n < (SELECT max(n) FROM periods)"
				" ORDER BY n LIMIT ?2)",
	[LM_SQL_FUTURE_CHANGES] = "UPDATE changes SET at_ns = ?1 WHERE at_ns > ?1",
	[LM_SQL_FUTURE_SITES] = "UPDATE sites SET last_ns = ?1 WHERE last_ns > ?1",
	[LM_SQL_FUTURE_SERIES] = "UPDATE series SET last_ns = ?1 WHERE last_ns > ?1",
	[LM_SQL_FUTURE_PERIODS] = "DELETE FROM periods WHERE from_ns > ?1",
	[LM_SQL_FUTURE_MEMORY] = "UPDATE memory SET at_ns = ?1 WHERE at_ns > ?1",
};

/* WAL without a file of shared memory, so before anything is read: the lock of the whole database is kept while it is
 * open. */
static const char opening[] = "PRAGMA locking_mode = EXCLUSIVE;"
			      "PRAGMA page_size = 4096;"
			      "PRAGMA auto_vacuum = INCREMENTAL;"
			      "PRAGMA synchronous = NORMAL;"
			      "PRAGMA cache_size = -1024;"
			      "PRAGMA mmap_size = 0;"
			      "PRAGMA temp_store = MEMORY;"
			      "PRAGMA secure_delete = OFF;"
			      "PRAGMA cell_size_check = ON;"
			      "PRAGMA trusted_schema = OFF;";

int64_t lm_history_log_bytes(const struct lm_history *history)
{
	int64_t bytes = (int64_t)(history->max_bytes / 8);

	return bytes < 256 << 10 ? 256 << 10 : bytes > 4 << 20 ? 4 << 20 : bytes;
}

int64_t lm_history_pages_max(const struct lm_history *history)
{
	int64_t bytes = history->max_bytes > MIN_BYTES ? (int64_t)history->max_bytes : MIN_BYTES;

	return (bytes - 2 * lm_history_log_bytes(history)) / LM_HISTORY_PAGE_BYTES;
}

static int execute(struct lm_history *history, const char *sql)
{
	int result = sqlite3_exec(history->db, sql, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : lm_history_failed(history, result);
}

int lm_history_database_limit(struct lm_history *history, int64_t spare_pages)
{
	int64_t log = lm_history_log_bytes(history);
	char sql[192];

	snprintf(sql, sizeof(sql),
		"PRAGMA max_page_count = %lld; PRAGMA journal_size_limit = %lld; PRAGMA wal_autocheckpoint = %lld;",
		(long long)(lm_history_pages_max(history) + spare_pages), (long long)log,
		(long long)(log / 2 / LM_HISTORY_PAGE_BYTES));
	return execute(history, sql);
}

int lm_history_write_back(struct lm_history *history, int64_t above_bytes)
{
	int result = SQLITE_OK;

	if (lm_history_file_bytes(history->wal_path) > above_bytes)
		result = sqlite3_wal_checkpoint_v2(history->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return result == SQLITE_OK ? 0 : lm_history_failed(history, result);
}

static int prepare(struct lm_history *history, enum lm_history_sql sql, sqlite3_stmt **statement)
{
	sqlite3_stmt *kept = history->statements[sql];
	int result;

	if (!history->db)
		return -EIO;
	if (!kept) {
		result = sqlite3_prepare_v3(history->db, statements[sql], -1, SQLITE_PREPARE_PERSISTENT, &kept, NULL);
		if (result != SQLITE_OK)
			return lm_history_failed(history, result);
		history->statements[sql] = kept;
	}
	sqlite3_reset(kept);
	sqlite3_clear_bindings(kept);
	*statement = kept;
	return 0;
}

/* Texts and bytes are not copied: they last until the statement has done its work. */
static int bind(sqlite3_stmt *statement, const char *types, va_list values)
{
	int result = SQLITE_OK;

	for (int i = 1; types[i - 1] && result == SQLITE_OK; i++) {
		if (types[i - 1] == 'i') {
			result = sqlite3_bind_int64(statement, i, va_arg(values, int64_t));
		} else if (types[i - 1] == 't') {
			result = sqlite3_bind_text(statement, i, va_arg(values, const char *), -1, SQLITE_STATIC);
		} else {
			const void *bytes = va_arg(values, const void *);

			result = sqlite3_bind_blob64(statement, i, bytes, va_arg(values, size_t), SQLITE_STATIC);
		}
	}
	return result;
}

/* Ready to be stepped; values as the types say. */
static int start(struct lm_history *history, enum lm_history_sql sql, sqlite3_stmt **statement, const char *types,
	va_list values)
{
	int error = prepare(history, sql, statement), result;

	if (error)
		return error;
	result = bind(*statement, types, values);
	return result == SQLITE_OK ? 0 : lm_history_failed(history, result);
}

int lm_history_query(
	struct lm_history *history, enum lm_history_sql sql, sqlite3_stmt **statement, const char *types, ...)
{
	va_list values;
	int error;

	va_start(values, types);
	error = start(history, sql, statement, types, values);
	va_end(values);
	return error;
}

int lm_history_step(struct lm_history *history, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement), error = 0;

	if (result == SQLITE_ROW)
		return 1;
	if (result != SQLITE_DONE)
		error = lm_history_failed(history, result);
	sqlite3_reset(statement);
	return error;
}

int lm_history_run(struct lm_history *history, enum lm_history_sql sql, const char *types, ...)
{
	sqlite3_stmt *statement;
	va_list values;
	int error;

	va_start(values, types);
	error = start(history, sql, &statement, types, values);
	va_end(values);
	if (error)
		return error;
	do
		error = lm_history_step(history, statement);
	while (error > 0);
	return error;
}

int lm_history_number(struct lm_history *history, enum lm_history_sql sql, int64_t *value, const char *types, ...)
{
	sqlite3_stmt *statement;
	va_list values;
	int result;

	va_start(values, types);
	result = start(history, sql, &statement, types, values);
	va_end(values);
	result = result ? result : lm_history_step(history, statement);
	if (result > 0) {
		*value = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return result < 0 ? result : 0;
}

/* The one value of a pragma, as text, "" if there is none. */
static int ask(struct lm_history *history, const char *sql, char *answer, size_t size)
{
	sqlite3_stmt *statement;
	const unsigned char *text;
	int result = sqlite3_prepare_v2(history->db, sql, -1, &statement, NULL);

	if (result != SQLITE_OK)
		return lm_history_failed(history, result);
	result = sqlite3_step(statement);
	text = result == SQLITE_ROW ? sqlite3_column_text(statement, 0) : NULL;
	snprintf(answer, size, "%s", text ? (const char *)text : "");
	if (result == SQLITE_ROW && !text)
		result = SQLITE_NOMEM;
	result = result == SQLITE_ROW || result == SQLITE_DONE ? 0 : lm_history_failed(history, result);
	sqlite3_finalize(statement);
	return result;
}

/* Opened with links refused and for us alone: SQLite gives its log the rights of the database. */
static int open_file(struct lm_history *history)
{
	mode_t mask = umask(077);
	int result = sqlite3_open_v2(history->path, &history->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX |
			SQLITE_OPEN_EXRESCODE,
		NULL);

	umask(mask);
	if (result != SQLITE_OK)
		return lm_history_failed(history, result);
	sqlite3_limit(history->db, SQLITE_LIMIT_LENGTH, 16 << 20);
	sqlite3_db_config(history->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return 0;
}

static int broken(struct lm_history *history, const char *what)
{
	history->is_broken = true;
	return lm_history_note(history, -EBADMSG, what);
}

static int migrate(struct lm_history *history, char why[WHY_BYTES])
{
	char text[32];
	int version, error = ask(history, "PRAGMA user_version", text, sizeof(text));

	if (error || sscanf(text, "%d", &version) != 1)
		return error ? error : broken(history, "it has no version");
	if (version < 0)
		return broken(history, "its version makes no sense");
	if (version > SCHEMA) {
		snprintf(why, WHY_BYTES,
			"history: %.120s: it was written by a newer leakmon: use that one, or move it away",
			history->path);
		return lm_history_note(history, -EPROTONOSUPPORT, "it was written by a newer leakmon");
	}
	for (; !error && version < SCHEMA; version++) {
		char done[64];

		snprintf(done, sizeof(done), "PRAGMA user_version = %d; COMMIT;", version + 1);
		error = execute(history, "BEGIN IMMEDIATE");
		error = error ? error : execute(history, migrations[version]);
		error = error ? error : execute(history, done);
	}
	return error;
}

/* A page that could not be read is told like one that is broken. */
static int check_one(struct lm_history *history, const char *sql)
{
	static const char unread[] = "error code=";
	char answer[128];
	int code, error = ask(history, sql, answer, sizeof(answer));
	const char *told = strstr(answer, unread);

	if (error || strcmp(answer, "ok") == 0)
		return error;
	if (told && sscanf(told + strlen(unread), "%d", &code) == 1 && (code & 0xff) != SQLITE_CORRUPT)
		return lm_history_failed(history, code);
	return broken(history, answer);
}

/* What is broken in a part that is not checked is seen when it is read. */
static int check(struct lm_history *history)
{
	static const char *const small[] = {"PRAGMA quick_check(periods)", "PRAGMA quick_check(sites)",
		"PRAGMA quick_check(series)", "PRAGMA quick_check(findings)", "PRAGMA quick_check(memory)"};
	int error = 0;

	if (lm_history_file_bytes(history->path) <= CHECK_MAX_BYTES)
		return check_one(history, "PRAGMA quick_check(1)");
	for (size_t i = 0; i < ARRAY_LEN(small) && !error; i++)
		error = check_one(history, small[i]);
	return error;
}

static int use_log(struct lm_history *history)
{
	char mode[16];
	int error = ask(history, "PRAGMA journal_mode = WAL", mode, sizeof(mode));

	if (!error && strcmp(mode, "wal") != 0)
		error = lm_history_note(history, -EIO, "it takes no write-ahead log");
	return error;
}

/* PIDs and starts since boot say nothing after another one. */
static int forget_other_boots(struct lm_history *history)
{
	char boot[sizeof(history->boot_id)], *sql;
	int error = ask(history, "SELECT boot FROM meta", boot, sizeof(boot));

	if (error || (history->boot_id[0] && strcmp(boot, history->boot_id) == 0))
		return error;
	sql = sqlite3_mprintf("BEGIN IMMEDIATE; DELETE FROM memory WHERE pid <> 0; DELETE FROM findings;"
			      "UPDATE meta SET boot = %Q; COMMIT;",
		history->boot_id);
	if (!sql)
		return lm_history_note(history, -ENOMEM, "there is no memory");
	error = execute(history, sql);
	sqlite3_free(sql);
	return error;
}

static int prepare_database(struct lm_history *history, char why[WHY_BYTES])
{
	int error = execute(history, opening);

	error = error ? error : use_log(history);
	error = error ? error : check(history);
	error = error ? error : migrate(history, why);
	error = error ? error : lm_history_database_limit(history, 0);
	return error ? error : forget_other_boots(history);
}

int lm_history_database_open(struct lm_history *history, char why[WHY_BYTES])
{
	int error = lm_history_files_check(history, why);

	if (error)
		return lm_history_note(history, error, why);
	why[0] = 0;
	history->is_broken = false;
	error = open_file(history);
	if (!error)
		error = prepare_database(history, why);
	if (!error)
		return 0;
	if (!why[0])
		snprintf(why, WHY_BYTES, "%.250s", history->trouble);
	lm_history_database_close(history);
	return error;
}

void lm_history_database_close(struct lm_history *history)
{
	for (int i = 0; i < LM_SQLS; i++) {
		sqlite3_finalize(history->statements[i]);
		history->statements[i] = NULL;
	}
	sqlite3_close(history->db);
	history->db = NULL;
}
