// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening and closing, transactions, and what went wrong: an error undoes the transaction under way, and the database
 * is opened again by the next call if the error may be one that stays. What is written and asked for, and how, is the
 * business of the other parts (history_state.h).
 */
#include "user/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/history_state.h"

#define WHY_BYTES 256

#define WHY_BYTES 256

const struct lm_history_level lm_history_levels[LM_HISTORY_LEVELS] = {
	{.step_ns = 0, .block_ns = 10 * LM_HISTORY_MINUTE, .age_ns = 2 * LM_HISTORY_HOUR},
	{.step_ns = LM_HISTORY_MINUTE, .block_ns = LM_HISTORY_HOUR, .age_ns = LM_HISTORY_DAY},
	{.step_ns = 10 * LM_HISTORY_MINUTE, .block_ns = 12 * LM_HISTORY_HOUR, .age_ns = 7 * LM_HISTORY_DAY},
	{.step_ns = LM_HISTORY_HOUR, .block_ns = 5 * LM_HISTORY_DAY, .age_ns = INT64_MAX},
};

/* As errno, and what a person can do about it. */
static int errno_of(const struct lm_history *history, int result, const char **advice)
{
	int error = history->db ? sqlite3_system_errno(history->db) : 0;

	*advice = "look at the disk";
	switch (result & 0xff) {
	case SQLITE_NOMEM:
		*advice = "free memory";
		return -ENOMEM;
	case SQLITE_FULL:
		*advice = "make room on the disk";
		return -ENOSPC;
	case SQLITE_READONLY:
		*advice = "make it writable";
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		*advice = "another program has it open: end that one";
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
	case SQLITE_SCHEMA:
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT:
	case SQLITE_FORMAT:
		*advice = "it is put aside, and a new one is begun";
		return -EBADMSG;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		if (result == SQLITE_IOERR_NOMEM) {
			*advice = "free memory";
			return -ENOMEM;
		}
		return error > 0 ? -error : -EIO;
	default:
		return -EIO;
	}
}

int lm_history_failed(struct lm_history *history, int result)
{
	const char *advice;
	int error = errno_of(history, result, &advice);
	int system = history->db ? sqlite3_system_errno(history->db) : 0;
	/* what the connection says may be of another error, and takes memory to say */
	const char *what = sqlite3_errstr(result);

	if (error == -EBADMSG)
		history->is_broken = true;
	history->is_troubled = true;
	snprintf(history->trouble, sizeof(history->trouble), "history: %.200s: %s%s%s%s: %s", history->path, what,
		system ? " (" : "", system ? strerror(system) : "", system ? ")" : "", advice);
	return error;
}

int lm_history_note(struct lm_history *history, int error, const char *what)
{
	history->is_troubled = true;
	/* what comes from the checks of files names the file itself */
	if (strncmp(what, "history: ", strlen("history: ")) == 0)
		snprintf(history->trouble, sizeof(history->trouble), "%s", what);
	else
		snprintf(history->trouble, sizeof(history->trouble), "history: %.200s: %s", history->path, what);
	return error;
}

/* Memory may come back and room may be made; after anything else the connection is not to be trusted. */
static bool is_passing(int error)
{
	return error == -ENOMEM || error == -ENOSPC || error == -ECANCELED;
}

/* What is followed is looked up again, and a new time of watching begins: between them is what was not written. */
static void interrupt(struct lm_history *history)
{
	lm_history_followed_clear(history->followed);
	history->period = 0;
}

int lm_history_undo(struct lm_history *history, int error)
{
	if (history->in_transaction)
		interrupt(history);
	history->in_transaction = false;
	history->undone = error;
	if (history->db && !sqlite3_get_autocommit(history->db)) {
		/* by hand: the trouble to be told is the one that led here */
		sqlite3_exec(history->db, "ROLLBACK", NULL, NULL, NULL);
	}
	if (history->db && (!is_passing(error) || history->is_broken || !sqlite3_get_autocommit(history->db))) {
		lm_history_database_close(history);
		interrupt(history);
	}
	return error;
}

/* A broken one is put aside, and a new one begun. */
static int begin_anew(struct lm_history *history, char why[WHY_BYTES])
{
	size_t names = strlen("history: ") + strlen(history->path) + strlen(": ");
	char reason[64];
	int error;

	snprintf(reason, sizeof(reason), "%.63s", strlen(history->trouble) > names ? history->trouble + names : "?");
	error = lm_history_files_set_aside(history);
	if (error) {
		snprintf(why, WHY_BYTES, "history: %.120s is broken and cannot be renamed: %s: move it away",
			history->path, strerror(-error));
		return lm_history_note(history, error, why);
	}
	error = lm_history_database_open(history, why);
	if (!error)
		snprintf(why, WHY_BYTES, "history: %.120s was broken (%.60s) and begun anew; see .broken",
			history->path, reason);
	return error;
}

static int open_or_begin(struct lm_history *history, char why[WHY_BYTES])
{
	int error = history->is_broken ? -EBADMSG : lm_history_database_open(history, why);

	return error && history->is_broken ? begin_anew(history, why) : error;
}

int lm_history_ensure_open(struct lm_history *history)
{
	char why[WHY_BYTES] = "";

	return history->db ? 0 : open_or_begin(history, why);
}

int lm_history_open(const struct lm_history_config *config, struct lm_history **history, char why[256])
{
	struct lm_history *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	why[0] = 0;
	if (!made || lm_history_followed_new(&made->followed)) {
		snprintf(why, WHY_BYTES, "history: %.120s: there is no memory", config->directory);
		goto free_all;
	}
	made->lock_fd = -1;
	made->retention_ns = config->retention_ns;
	made->max_bytes = config->max_bytes;
	made->check_future = true;
	snprintf(made->boot_id, sizeof(made->boot_id), "%s", config->boot_id ? config->boot_id : "");
	error = lm_history_files_open(made, config->directory, why);
	if (!error)
		error = open_or_begin(made, why);
	if (error)
		goto free_all;
	made->is_troubled = false;
	*history = made;
	return 0;
free_all:
	if (made && made->followed) {
		lm_history_files_close(made);
		lm_history_followed_free(made->followed);
	}
	free(made);
	return error;
}

void lm_history_close(struct lm_history *history)
{
	if (!history)
		return;
	lm_history_abandon(history);
	lm_history_database_close(history);
	lm_history_files_close(history);
	lm_history_followed_free(history->followed);
	free(history);
}

/* The first transaction since the start, or since an interruption: what was followed then had its end with it. */
static int begin_period(struct lm_history *history)
{
	int64_t last_ns = 0;
	int error = lm_history_number(history, LM_SQL_LAST_PERIOD, &last_ns, "");

	error = error ? error : lm_history_run(history, LM_SQL_END_SITES, "i", last_ns);
	error = error ? error : lm_history_run(history, LM_SQL_END_SERIES, "i", last_ns);
	error = error ? error : lm_history_run(history, LM_SQL_ADD_PERIOD, "ii", history->at_ns, history->interval_ns);
	if (!error)
		history->period = sqlite3_last_insert_rowid(history->db);
	return error;
}

/* What was not known before is taken while there is room: thinning can do nothing about what is followed. */
static int look_for_room(struct lm_history *history)
{
	int64_t pages = 0, unused = 0;
	int error = lm_history_number(history, LM_SQL_PAGES, &pages, "");

	error = error ? error : lm_history_number(history, LM_SQL_FREE_PAGES, &unused, "");
	history->has_room = (pages - unused) * 4 < lm_history_pages_max(history) * 3;
	history->new_bytes_left = lm_history_log_bytes(history) / 4;
	return error;
}

static int begin(struct lm_history *history)
{
	int error = lm_history_ensure_open(history);

	if (!error && !history->are_limits_set)
		error = lm_history_database_limit(history, 0);
	if (error)
		return error;
	history->are_limits_set = true;
	/* it is emptied while thinning; if nobody thins, or that fails, it must not grow for ever */
	error = lm_history_write_back(history, 4 * lm_history_log_bytes(history));
	error = error ? error : lm_history_run(history, LM_SQL_BEGIN, "");
	error = error ? error : look_for_room(history);
	return error || history->period ? error : begin_period(history);
}

int lm_history_begin(struct lm_history *history, int64_t at_ns)
{
	int error;

	lm_history_abandon(history);
	if (at_ns <= 0)
		return -EINVAL;
	history->undone = 0;
	history->left_out = 0;
	history->sites_of_report = 0;
	history->at_ns = at_ns;
	history->check_future |= at_ns < history->last_at_ns - LM_HISTORY_HOUR;
	history->in_transaction = true;
	error = begin(history);
	return error ? lm_history_undo(history, error) : 0;
}

int lm_history_end(struct lm_history *history)
{
	int error;

	if (!history->in_transaction)
		return history->undone ? history->undone : -EINVAL;
	error = lm_history_run(
		history, LM_SQL_EXTEND_PERIOD, "iii", history->period, history->at_ns, history->interval_ns);
	error = error ? error : lm_history_run(history, LM_SQL_COMMIT, "");
	if (error)
		return lm_history_undo(history, error);
	history->in_transaction = false;
	history->last_at_ns = history->at_ns;
	history->is_troubled = history->left_out > 0;
	if (history->is_troubled)
		snprintf(history->trouble, sizeof(history->trouble),
			"history: %.200s: %llu things of the last report were left out, as there is no room for all",
			history->path, (unsigned long long)history->left_out);
	return 0;
}

void lm_history_abandon(struct lm_history *history)
{
	if (history->in_transaction)
		lm_history_undo(history, -ECANCELED);
	history->undone = 0;
}

void lm_history_set_max_bytes(struct lm_history *history, uint64_t max_bytes)
{
	history->max_bytes = max_bytes;
	history->are_limits_set = false;
}

const char *lm_history_trouble(const struct lm_history *history)
{
	return history->is_troubled ? history->trouble : NULL;
}
