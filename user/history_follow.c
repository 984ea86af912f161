// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which series are followed at the moment, and what was written of each last: that is how a site of which nothing has
 * changed costs a look into a table, and no writing. All of it can be forgotten at any time and is looked up again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "user/history_state.h"

/* A site, in however many processes. */
struct place {
	uint64_t site;
	int64_t n;
	struct lm_history_mark mark;
	int64_t described_ns, seen_ns;
	size_t series;
	UT_hash_handle hh;
};

struct key {
	uint64_t site; /* 0: a Go program */
	uint32_t pid, kind;
};

struct series {
	struct key key;
	int64_t n;
	struct place *place; /* NULL: a Go program */
	char comm[32];
	struct lm_history_value last; /* of the last report; what arrived and departed since the last point */
	int64_t written_ns, seen_ns;
	uint64_t report;
	bool is_new, is_gone; /* gone: its last point is written, it may come back */
	UT_hash_handle hh;
};

struct lm_history_followed {
	struct place *places;
	struct series *series;
	uint64_t report;
};

int lm_history_followed_new(struct lm_history_followed **followed)
{
	struct lm_history_followed *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	*followed = made;
	return 0;
}

static void free_series(struct lm_history_followed *followed, struct series *series)
{
	struct place *place = series->place;

	HASH_DEL(followed->series, series);
	free(series);
	if (place && !--place->series) {
		HASH_DEL(followed->places, place);
		free(place);
	}
}

void lm_history_followed_clear(struct lm_history_followed *followed)
{
	struct series *series, *next;

	HASH_ITER (hh, followed->series, series, next)
		free_series(followed, series);
}

void lm_history_followed_free(struct lm_history_followed *followed)
{
	lm_history_followed_clear(followed);
	free(followed);
}

bool lm_history_followed_seen(const struct lm_history_followed *followed, uint64_t site, int64_t *last_ns)
{
	struct place *place;

	HASH_FIND(hh, followed->places, &site, sizeof(site), place);
	if (place)
		*last_ns = place->seen_ns;
	return place;
}

static int no_memory(struct lm_history *history)
{
	return lm_history_note(history, -ENOMEM, "there is no memory");
}

/* The site's place; 1 if there is no room for one that was not known. */
static int take_place(struct lm_history *history, const struct lm_snapshot_site *site, struct place **place)
{
	struct lm_history_followed *followed = history->followed;
	struct place *made;
	int error;

	HASH_FIND(hh, followed->places, &site->site, sizeof(site->site), *place);
	if (*place)
		return 0;
	made = calloc(1, sizeof(*made));
	if (!made)
		return no_memory(history);
	made->site = site->site;
	made->mark = lm_history_mark_site(site);
	made->described_ns = history->at_ns;
	error = lm_history_find_site(history, site->site, &made->n, &made->mark);
	if (error == -ENOENT)
		error = lm_history_add_site(history, site, &made->n);
	if (error)
		goto free_made;
	HASH_ADD(hh, followed->places, site, sizeof(made->site), made);
	if (!made->hh.tbl) {
		error = no_memory(history);
		goto free_made;
	}
	*place = made;
	return 0;
free_made:
	free(made);
	return error;
}

/* The stack may be known better than before; two versions of a program may tell it in turn. */
static int describe(struct lm_history *history, const struct lm_snapshot_site *site, struct place *place)
{
	struct lm_history_mark mark = lm_history_mark_site(site);
	int64_t age_ns = history->at_ns - place->described_ns;
	int error;

	place->seen_ns = history->at_ns;
	if (mark.told < place->mark.told)
		return 0;
	if (mark.told == place->mark.told && (mark.mark == place->mark.mark || age_ns < LM_HISTORY_HEARTBEAT_NS))
		return 0;
	error = lm_history_describe_site(history, site, place->n);
	if (error)
		return error;
	place->mark = mark;
	place->described_ns = history->at_ns;
	return 0;
}

/* The series' number in the database, where it is made if it is not there. */
static int take_number(struct lm_history *history, struct series *series)
{
	int64_t site = series->place ? series->place->n : 0;
	sqlite3_stmt *row;
	bool has_ended;
	int result = lm_history_query(history, LM_SQL_FIND_ONE_SERIES, &row, "iiit", (int64_t)series->key.kind, site,
		(int64_t)series->key.pid, series->comm);

	if (result)
		return result;
	result = lm_history_step(history, row);
	if (result < 0)
		return result;
	if (result > 0) {
		series->n = sqlite3_column_int64(row, 0);
		has_ended = sqlite3_column_type(row, 1) != SQLITE_NULL;
		sqlite3_reset(row);
		return has_ended ? lm_history_run(history, LM_SQL_REVIVE_SERIES, "i", series->n) : 0;
	}
	result = lm_history_run(history, LM_SQL_ADD_SERIES, "iiiti", (int64_t)series->key.kind, site,
		(int64_t)series->key.pid, series->comm, history->at_ns);
	if (!result)
		series->n = sqlite3_last_insert_rowid(history->db);
	return result;
}

/* Ends it in the database; what it was last seen with has been written when it was gone. */
static int end_series(struct lm_history *history, struct series *series)
{
	int error = lm_history_run(history, LM_SQL_END_ONE_SERIES, "ii", series->n, series->seen_ns);

	if (!error && series->place && series->place->series == 1)
		error = lm_history_run(history, LM_SQL_END_SITE, "ii", series->place->n, series->place->seen_ns);
	if (!error)
		free_series(history->followed, series);
	return error;
}

static int add_series(struct lm_history *history, const struct key *key, const char *comm, struct place *place,
	struct series **series)
{
	struct series *made = calloc(1, sizeof(*made));
	int error;

	if (!made)
		return no_memory(history);
	made->key = *key;
	made->place = place;
	made->is_new = true;
	snprintf(made->comm, sizeof(made->comm), "%s", comm);
	error = take_number(history, made);
	if (error)
		goto free_made;
	HASH_ADD(hh, history->followed->series, key, sizeof(made->key), made);
	if (!made->hh.tbl) {
		error = no_memory(history);
		goto free_made;
	}
	if (place)
		place->series++;
	*series = made;
	return 0;
free_made:
	free(made);
	return error;
}

/* A place that no series is left in is forgotten again. */
static void drop_unused(struct lm_history *history, struct place *place)
{
	if (place->series)
		return;
	HASH_DEL(history->followed->places, place);
	free(place);
}

static int write_point(struct lm_history *history, struct series *series, int64_t held)
{
	const struct lm_history_level *raw = &lm_history_levels[LM_HISTORY_RAW];
	const struct lm_history_value *value = &series->last;
	int64_t most = held > value->count ? held : value->count;

	return lm_history_run(history, LM_SQL_ADD_POINT, value->oldest_ns > 0 ? "iiiiiiiii" : "iiiiiiii",
		(int64_t)lm_history_tier((int)series->key.kind, LM_HISTORY_RAW), history->at_ns / raw->block_ns,
		series->n, history->at_ns % raw->block_ns, most, value->count, value->arrived, value->departed,
		value->oldest_ns);
}

static int64_t known(int64_t count)
{
	return count > 0 ? count : 0;
}

/* Takes the value of this report over. What is written of it, and when, is told in history_state.h. */
static int take_value(struct lm_history *history, struct series *series, const struct lm_history_value *value)
{
	int64_t age_ns = history->at_ns - series->written_ns, held = series->last.count;
	bool is_go = series->key.kind == LM_HISTORY_OF_GO;
	bool is_due = series->is_new || series->is_gone || value->count != held || age_ns < 0 ||
		      age_ns >= LM_HISTORY_HEARTBEAT_NS;
	int error;

	series->report = history->followed->report;
	series->last.count = value->count;
	series->last.oldest_ns = value->oldest_ns;
	if (is_go) {
		is_due |= value->arrived != series->last.arrived || value->departed != series->last.departed;
		series->last.arrived = value->arrived;
		series->last.departed = value->departed;
	} else {
		series->last.arrived += known(value->arrived);
		series->last.departed += known(value->departed);
		is_due |= (series->last.arrived || series->last.departed) && age_ns >= LM_HISTORY_TURNOVER_NS;
	}
	if (!is_due)
		return 0;
	error = write_point(history, series, series->is_new ? value->count : held);
	if (error)
		return error;
	series->is_new = false;
	series->written_ns = history->at_ns;
	if (!is_go)
		series->last.arrived = series->last.departed = 0;
	return 0;
}

/* A process may change its name: then it is another series. */
static int find_series(struct lm_history *history, const struct key *key, const char *comm, struct series **series)
{
	struct series *found;

	HASH_FIND(hh, history->followed->series, key, sizeof(*key), found);
	if (found && strncmp(found->comm, comm, sizeof(found->comm) - 1) != 0) {
		int error = end_series(history, found);

		if (error)
			return error;
		found = NULL;
	}
	*series = found;
	return 0;
}

static bool is_full(const struct lm_history *history)
{
	return HASH_COUNT(history->followed->series) >= LM_HISTORY_FOLLOWED_MAX;
}

static int follow_new_site(
	struct lm_history *history, const struct lm_snapshot_site *site, const struct key *key, struct series **series)
{
	struct place *place;
	int error;

	if (is_full(history))
		return 1;
	error = take_place(history, site, &place);
	if (error)
		return error;
	error = add_series(history, key, site->comm ? site->comm : "", place, series);
	if (error)
		drop_unused(history, place);
	return error;
}

int lm_history_follow_site(struct lm_history *history, const struct lm_snapshot_site *site, bool may_be_new)
{
	const struct key key = {.site = site->site, .pid = site->pid, .kind = LM_HISTORY_OF_SITES};
	const struct lm_history_value value = {
		.count = site->count >= 0 ? site->count : -1,
		.arrived = site->arrived,
		.departed = site->departed,
		.oldest_ns = site->oldest_blocked_since_ns,
	};
	struct series *series;
	int error = find_series(history, &key, site->comm ? site->comm : "", &series);

	if (!error && !series)
		error = may_be_new ? follow_new_site(history, site, &key, &series) : 1;
	if (error)
		return error;
	series->seen_ns = history->at_ns;
	error = describe(history, site, series->place);
	error = error ? error : take_value(history, series, &value);
	series->is_gone = false;
	return error;
}

int lm_history_follow_go(struct lm_history *history, const struct lm_snapshot_process *process)
{
	const struct key key = {.pid = process->pid, .kind = LM_HISTORY_OF_GO};
	const char *comm = process->comm ? process->comm : "";
	const struct lm_history_value value = {
		.count = process->go->goroutines >= 0 ? process->go->goroutines : -1,
		.arrived = process->go->gc_count >= 0 ? process->go->gc_count : -1,
		.departed = process->go->heap_live_bytes >= 0 ? process->go->heap_live_bytes : -1,
	};
	struct series *series;
	int error = find_series(history, &key, comm, &series);

	if (!error && !series)
		error = is_full(history) ? 1 : add_series(history, &key, comm, NULL, &series);
	if (error)
		return error;
	series->seen_ns = history->at_ns;
	error = take_value(history, series, &value);
	series->is_gone = false;
	return error;
}

/* One that comes and goes is ended when it has stayed away, or others need its place. */
static int look_after_gone(struct lm_history *history, struct series *series)
{
	static const struct lm_history_value nothing[LM_HISTORY_KINDS] = {
		[LM_HISTORY_OF_GO] = {.count = -1, .arrived = -1, .departed = -1}};
	int64_t away_ns = history->at_ns - series->seen_ns;
	int error;

	if (!series->is_gone) {
		error = take_value(history, series, &nothing[series->key.kind]);
		series->is_gone = !error;
		return error;
	}
	if (away_ns >= 0 && away_ns < LM_HISTORY_HEARTBEAT_NS &&
		HASH_COUNT(history->followed->series) < LM_HISTORY_FOLLOWED_MAX / 2)
		return 0;
	return end_series(history, series);
}

int lm_history_follow_gone(struct lm_history *history)
{
	struct series *series, *next;
	int error = 0;

	HASH_ITER (hh, history->followed->series, series, next) {
		if (!error && series->report != history->followed->report)
			error = look_after_gone(history, series);
	}
	history->followed->report++;
	return error;
}
