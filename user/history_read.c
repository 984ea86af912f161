// SPDX-License-Identifier: GPL-2.0-or-later
/* Questions for findings, sites and what the monitor remembers. What is read is checked: it came from a disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/history_state.h"

static int done(struct lm_history *history, int error)
{
	return error && error != -ENOENT ? lm_history_undo(history, error) : error;
}

static const char *text(sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, column);
}

static enum lm_change_kind kind_named(const char *name)
{
	for (int i = 0; name && i < LM_CHANGES; i++) {
		if (strcmp(name, lm_change_name(i)) == 0)
			return i;
	}
	return LM_CHANGES;
}

static enum lm_level level_named(const char *name)
{
	enum lm_level level = LM_LEVEL_NONE;

	if (name)
		lm_level_parse(name, &level);
	return level;
}

static enum lm_finding_type type_named(const char *name)
{
	for (int i = 0; name && i < LM_FINDING_TYPES; i++) {
		if (strcmp(name, lm_finding_type_name(i)) == 0)
			return i;
	}
	return LM_FINDING_TYPES;
}

/* False if another version of leakmon wrote what this one has no name for. */
static bool take_change(sqlite3_stmt *row, struct lm_change *change)
{
	const char *id = text(row, 2);

	*change = (struct lm_change){
		.kind = kind_named(text(row, 0)),
		.at_ns = sqlite3_column_int64(row, 1),
		.level = level_named(text(row, 3)),
		.before = level_named(text(row, 4)),
		.type = type_named(text(row, 5)),
		.pid = (uint32_t)sqlite3_column_int64(row, 6),
		.site = (uint64_t)sqlite3_column_int64(row, 7),
		.since_ns = sqlite3_column_int64(row, 8),
		.comm = text(row, 9),
		.summary = text(row, 10),
	};
	snprintf(change->id, sizeof(change->id), "%s", id ? id : "");
	return change->kind < LM_CHANGES && change->type < LM_FINDING_TYPES;
}

static int give_changes(struct lm_history *history, sqlite3_stmt *row, lm_change_handler *handler, void *context)
{
	int result;

	while ((result = lm_history_step(history, row)) > 0) {
		struct lm_change change;

		if (take_change(row, &change))
			handler(&change, context);
	}
	return result;
}

int lm_history_open_findings(struct lm_history *history, lm_change_handler *handler, void *context)
{
	sqlite3_stmt *row;
	int error = lm_history_ensure_open(history);

	error = error ? error : lm_history_query(history, LM_SQL_FINDINGS, &row, "");
	error = error ? error : give_changes(history, row, handler, context);
	return done(history, error);
}

int lm_history_changes(struct lm_history *history, uint64_t site, int64_t from_ns, int64_t to_ns, size_t len,
	lm_change_handler *handler, void *context)
{
	sqlite3_stmt *row;
	int64_t to = to_ns > 0 ? to_ns : INT64_MAX, limit = len < INT32_MAX ? (int64_t)len : INT32_MAX;
	int error = lm_history_ensure_open(history);

	if (!error && site)
		error = lm_history_query(
			history, LM_SQL_CHANGES_OF_SITE, &row, "iiii", from_ns, to, limit, (int64_t)site);
	else if (!error)
		error = lm_history_query(history, LM_SQL_CHANGES, &row, "iii", from_ns, to, limit);
	error = error ? error : give_changes(history, row, handler, context);
	return done(history, error);
}

int lm_history_get_memory(
	struct lm_history *history, const struct lm_history_memory_key *key, void **bytes, size_t *len)
{
	sqlite3_stmt *row;
	const void *stored;
	void *copy = NULL;
	size_t size;
	int result = lm_history_ensure_open(history);

	result = result ? result
			: lm_history_query(history, LM_SQL_GET_MEMORY, &row, "iiii", (int64_t)key->site,
				  (int64_t)key->kind, (int64_t)key->pid, (int64_t)key->process_start_ns);
	result = result ? result : lm_history_step(history, row);
	if (result <= 0)
		return result < 0 ? done(history, result) : -ENOENT;
	stored = sqlite3_column_blob(row, 0);
	size = (size_t)sqlite3_column_bytes(row, 0);
	copy = stored ? malloc(size) : NULL;
	if (copy)
		memcpy(copy, stored, size);
	sqlite3_reset(row);
	if (!copy)
		return done(history, lm_history_note(history, -ENOMEM, "there is no memory"));
	*bytes = copy;
	*len = size;
	return 0;
}

int lm_history_site(struct lm_history *history, uint64_t site, lm_history_site_handler *handler, void *context)
{
	struct lm_history_site out = {.site = site};
	sqlite3_stmt *row;
	int64_t last_ns = 0;
	int result = lm_history_ensure_open(history);

	/* of a site that was followed when the history was last written to */
	result = result ? result : lm_history_number(history, LM_SQL_LAST_PERIOD, &last_ns, "");
	result = result ? result : lm_history_query(history, LM_SQL_ONE_SITE, &row, "i", (int64_t)site);
	result = result ? result : lm_history_step(history, row);
	if (result <= 0)
		return result < 0 ? done(history, result) : -ENOENT;
	out.kind = sqlite3_column_int64(row, 0) == LM_SITE_GOROUTINE ? LM_SITE_GOROUTINE : LM_SITE_THREAD;
	out.first_ns = sqlite3_column_int64(row, 1);
	if (!lm_history_followed_seen(history->followed, site, &out.last_ns))
		out.last_ns = sqlite3_column_type(row, 2) == SQLITE_NULL ? last_ns : sqlite3_column_int64(row, 2);
	out.wait_class = text(row, 3);
	out.function = text(row, 4);
	out.stack_json = text(row, 5);
	out.created_by_json = text(row, 6);
	handler(&out, context);
	sqlite3_reset(row);
	return 0;
}
