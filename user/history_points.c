// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions for counts over time. Each series is walked through the tiers, the coarsest and oldest first; between its
 * points its last count holds, as history_state.h tells. If that gives too many points they are put together in equal
 * spans of time, and the walk is done again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/history_state.h"

#define SERIES_MAX 1000 /* the newest, for one question */
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Spans that points are put together in. The last is long enough for any series: 27 years. */
static const int64_t spans_ns[] = {0, LM_HISTORY_MINUTE, 2 * LM_HISTORY_MINUTE, 5 * LM_HISTORY_MINUTE,
	10 * LM_HISTORY_MINUTE, 20 * LM_HISTORY_MINUTE, 30 * LM_HISTORY_MINUTE, LM_HISTORY_HOUR, 2 * LM_HISTORY_HOUR,
	4 * LM_HISTORY_HOUR, 8 * LM_HISTORY_HOUR, LM_HISTORY_DAY, 2 * LM_HISTORY_DAY, 5 * LM_HISTORY_DAY,
	20 * LM_HISTORY_DAY, 10000 * LM_HISTORY_DAY};
#define SPANS ARRAY_LEN(spans_ns)

struct series {
	int64_t n, first_ns, last_ns;
	uint32_t pid;
	char comm[64];
};

struct point {
	int64_t at_ns, step_ns, count, a, b, oldest_ns;
	const struct series *series;
};

/* A point as it is stored. */
struct row {
	int64_t at_ns, step_ns; /* step 0: of one report */
	int64_t most, last, a, b, oldest_ns;
};

struct question {
	struct lm_history *history;
	int kind;
	int64_t from_ns, to_ns;
	int64_t first_block[LM_HISTORY_LEVELS], last_block[LM_HISTORY_LEVELS]; /* first > last: there is none */
	struct lm_history_periods periods;
	struct series *series;
	size_t series_len;

	/* of one walk */
	int64_t span_ns;
	size_t counts[SPANS];
	int64_t last_bucket[SPANS];
	struct point *points; /* the first LM_HISTORY_POINTS_MAX */
	size_t points_len;
	int64_t open_bucket; /* of the last point, if it is of this series */
	const struct series *open_series;
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The point lies in the same span as the last one of its series. */
static void join(const struct question *question, struct point *into, const struct point *point)
{
	bool is_go = question->kind == LM_HISTORY_OF_GO;

	into->step_ns = greatest(into->step_ns, point->at_ns + point->step_ns - into->at_ns);
	into->count = greatest(into->count, point->count);
	into->a = is_go ? greatest(into->a, point->a) : into->a + point->a;
	into->b = is_go ? greatest(into->b, point->b) : into->b + point->b;
	if (!into->oldest_ns || (point->oldest_ns && point->oldest_ns < into->oldest_ns))
		into->oldest_ns = point->oldest_ns;
}

static void give(struct question *question, const struct series *series, struct point point)
{
	int64_t bucket = question->span_ns ? point.at_ns / question->span_ns : 0;

	if (point.at_ns > question->to_ns ||
		(point.at_ns < question->from_ns && point.at_ns + point.step_ns <= question->from_ns))
		return;
	point.series = series;
	for (size_t i = 0; i < SPANS; i++) {
		int64_t here = spans_ns[i] ? point.at_ns / spans_ns[i] : question->last_bucket[i] + 1;

		question->counts[i] += here != question->last_bucket[i];
		question->last_bucket[i] = here;
	}
	if (question->span_ns && question->open_series == series && question->open_bucket == bucket) {
		join(question, &question->points[question->points_len - 1], &point);
	} else if (question->points_len < LM_HISTORY_POINTS_MAX) {
		question->points[question->points_len++] = point;
		question->open_series = series;
		question->open_bucket = bucket;
	} else {
		question->open_series = NULL;
	}
}

/* How long a count holds that nothing was written after: as long as watching went on, the last report for its interval.
 * A clock that was set forward, or a machine that slept, is not taken for that. */
static int64_t hold_end(const struct question *question, int64_t since_ns, int64_t next_ns)
{
	struct lm_history_period period = lm_history_period_of(&question->periods, since_ns);
	int64_t longest = 2 * greatest(LM_HISTORY_HEARTBEAT_NS, period.interval_ns);

	return least(next_ns, least(period.to_ns + period.interval_ns, since_ns + longest));
}

/* What held before the time asked for is given from then on. */
static void give_held(struct question *question, const struct series *series, struct point point)
{
	if (point.at_ns < question->from_ns) {
		point.step_ns -= question->from_ns - point.at_ns;
		point.at_ns = question->from_ns;
		if (question->kind == LM_HISTORY_OF_SITES)
			point.a = point.b = 0;
	}
	if (point.step_ns > 0)
		give(question, series, point);
}

static void give_raw(struct question *question, const struct series *series, const struct row *row, int64_t next_ns)
{
	int64_t interval_ns = lm_history_period_of(&question->periods, row->at_ns).interval_ns;
	int64_t step_ns = least(greatest(interval_ns, 1), next_ns - row->at_ns);
	struct point point = {
		.at_ns = row->at_ns, .count = row->last, .a = row->a, .b = row->b, .oldest_ns = row->oldest_ns};

	if (row->last < 0)
		return;
	/* 0: it is gone, which is told once */
	if (row->last > 0)
		step_ns = greatest(step_ns, hold_end(question, row->at_ns, next_ns) - row->at_ns);
	point.step_ns = step_ns;
	give_held(question, series, point);
}

static void give_thinned(struct question *question, const struct series *series, const struct row *row, int64_t next_ns)
{
	int64_t end_ns = row->at_ns + row->step_ns;
	int64_t held_ns = row->last > 0 ? hold_end(question, end_ns - 1, next_ns) - end_ns : 0;
	struct point most = {.at_ns = row->at_ns,
		.step_ns = row->step_ns,
		.count = row->most,
		.a = row->a,
		.b = row->b,
		.oldest_ns = row->oldest_ns};
	struct point held = {.at_ns = end_ns, .step_ns = held_ns, .count = row->last, .oldest_ns = row->oldest_ns};

	if (question->kind == LM_HISTORY_OF_GO) {
		held.a = row->a;
		held.b = row->b;
	}
	if (held_ns > 0 && row->most == row->last && held.a == most.a && held.b == most.b) {
		most.step_ns += held_ns;
		held_ns = 0;
	}
	if (row->most >= 0)
		give(question, series, most);
	if (held_ns > 0)
		give_held(question, series, held);
}

static void give_row(struct question *question, const struct series *series, const struct row *row, int64_t next_ns)
{
	if (row->step_ns)
		give_thinned(question, series, row, next_ns);
	else
		give_raw(question, series, row, next_ns);
}

/* The points of one block of one tier; row is the one before, whose count may hold until the next. */
static int walk_block(struct question *question, const struct series *series, int level, int64_t block, struct row *row,
	bool *has_row)
{
	const struct lm_history_level *of = &lm_history_levels[level];
	sqlite3_stmt *stored;
	int result = lm_history_query(question->history, LM_SQL_POINTS, &stored, "iii",
		(int64_t)lm_history_tier(question->kind, level), block, series->n);

	if (result)
		return result;
	while ((result = lm_history_step(question->history, stored)) > 0) {
		struct row next = {
			.at_ns = block * of->block_ns + sqlite3_column_int64(stored, 0),
			.step_ns = of->step_ns,
			.most = sqlite3_column_int64(stored, 1),
			.last = sqlite3_column_int64(stored, 2),
			.a = sqlite3_column_int64(stored, 3),
			.b = sqlite3_column_int64(stored, 4),
			.oldest_ns = sqlite3_column_int64(stored, 5),
		};

		if (*has_row)
			give_row(question, series, row, next.at_ns);
		*row = next;
		*has_row = true;
	}
	return result;
}

static int walk_level(struct question *question, const struct series *series, int level, struct row *row, bool *has_row)
{
	int64_t block_ns = lm_history_levels[level].block_ns;
	/* what holds at the time asked for was written some time before */
	int64_t from_ns = greatest(series->first_ns, question->from_ns - 2 * LM_HISTORY_HEARTBEAT_NS);
	int64_t first = greatest(question->first_block[level], from_ns / block_ns);
	int64_t last = least(question->last_block[level], least(series->last_ns, question->to_ns) / block_ns + 1);
	int error = 0;

	for (int64_t block = first; block <= last && !error; block++)
		error = walk_block(question, series, level, block, row, has_row);
	return error;
}

static int walk_series(struct question *question, const struct series *series)
{
	struct row row;
	bool has_row = false;
	int error = 0;

	for (size_t i = 0; i < SPANS; i++)
		question->last_bucket[i] = INT64_MIN;
	for (int level = LM_HISTORY_LEVELS - 1; level >= 0 && !error; level--)
		error = walk_level(question, series, level, &row, &has_row);
	if (!error && has_row)
		give_row(question, series, &row, INT64_MAX);
	return error;
}

static int walk(struct question *question, int64_t span_ns)
{
	int error = 0;

	memset(question->counts, 0, sizeof(question->counts));
	question->span_ns = span_ns;
	question->points_len = 0;
	question->open_series = NULL;
	for (size_t i = 0; i < question->series_len && !error; i++)
		error = walk_series(question, &question->series[i]);
	return error;
}

/* The finest span in which there are not too many points. */
static int64_t fitting_span(const struct question *question)
{
	size_t i = 0;

	while (i < SPANS - 1 && question->counts[i] > LM_HISTORY_POINTS_MAX)
		i++;
	return spans_ns[i];
}

static int by_time(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x->series->n < y->series->n ? -1 : x->series->n > y->series->n;
}

static int find_blocks(struct question *question)
{
	int error = 0;

	for (int level = 0; level < LM_HISTORY_LEVELS && !error; level++) {
		int64_t tier = lm_history_tier(question->kind, level);

		question->first_block[level] = 0;
		question->last_block[level] = -1;
		error = lm_history_number(
			question->history, LM_SQL_FIRST_BLOCK, &question->first_block[level], "i", tier);
		error = error ? error
			      : lm_history_number(
					question->history, LM_SQL_LAST_BLOCK, &question->last_block[level], "i", tier);
	}
	return error;
}

static int find_series(struct question *question, enum lm_history_sql sql, int64_t key)
{
	sqlite3_stmt *row;
	int result = lm_history_query(question->history, sql, &row, "iiii", key,
		question->from_ns - 2 * LM_HISTORY_HEARTBEAT_NS, question->to_ns, (int64_t)SERIES_MAX);

	if (result)
		return result;
	while (question->series_len < SERIES_MAX && (result = lm_history_step(question->history, row)) > 0) {
		struct series *series = &question->series[question->series_len++];
		const unsigned char *comm = sqlite3_column_text(row, 2);

		series->n = sqlite3_column_int64(row, 0);
		series->pid = (uint32_t)sqlite3_column_int64(row, 1);
		series->first_ns = sqlite3_column_int64(row, 3);
		series->last_ns = sqlite3_column_type(row, 4) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(row, 4);
		snprintf(series->comm, sizeof(series->comm), "%s", comm ? (const char *)comm : "");
	}
	sqlite3_reset(row);
	return result < 0 ? result : 0;
}

/* Fills question->points; to be ended in any case. */
static int ask(struct question *question, enum lm_history_sql sql, int64_t key)
{
	int64_t span_ns;
	int error;

	if (question->to_ns <= 0)
		question->to_ns = INT64_MAX - LM_HISTORY_DAY;
	question->series = calloc(SERIES_MAX, sizeof(*question->series));
	question->points = calloc(LM_HISTORY_POINTS_MAX, sizeof(*question->points));
	if (!question->series || !question->points)
		return lm_history_note(question->history, -ENOMEM, "there is no memory");
	error = lm_history_periods_read(question->history, &question->periods);
	error = error ? error : find_blocks(question);
	error = error ? error : find_series(question, sql, key);
	error = error ? error : walk(question, 0);
	if (error)
		return error;
	span_ns = fitting_span(question);
	if (span_ns)
		error = walk(question, span_ns);
	if (!error && question->points_len)
		qsort(question->points, question->points_len, sizeof(*question->points), by_time);
	return error;
}

static void end(struct question *question)
{
	lm_history_periods_free(&question->periods);
	free(question->series);
	free(question->points);
}

static int know_site(struct lm_history *history, uint64_t site)
{
	int64_t n = -1;
	int error = lm_history_number(history, LM_SQL_FIND_SITE, &n, "i", (int64_t)site);

	return error ? error : n < 0 ? -ENOENT : 0;
}

/* After an error the connection may have to be opened again. */
static int done(struct lm_history *history, int error)
{
	return error && error != -ENOENT ? lm_history_undo(history, error) : error;
}

int lm_history_points(struct lm_history *history, uint64_t site, int64_t from_ns, int64_t to_ns,
	lm_history_point_handler *handler, void *context)
{
	struct question question = {
		.history = history, .kind = LM_HISTORY_OF_SITES, .from_ns = from_ns, .to_ns = to_ns};
	int error = lm_history_ensure_open(history);

	error = error ? error : know_site(history, site);
	error = error ? error : ask(&question, LM_SQL_SERIES_OF_SITE, (int64_t)site);
	for (size_t i = 0; i < question.points_len && !error; i++) {
		const struct point *point = &question.points[i];
		const struct lm_history_point out = {
			.at_ns = point->at_ns,
			.step_ns = point->step_ns,
			.pid = point->series->pid,
			.comm = point->series->comm[0] ? point->series->comm : NULL,
			.count = point->count,
			.arrived = point->a,
			.departed = point->b,
			.oldest_blocked_since_ns = point->oldest_ns,
		};

		handler(&out, context);
	}
	end(&question);
	return done(history, error);
}

int lm_history_go_points(struct lm_history *history, uint32_t pid, int64_t from_ns, int64_t to_ns,
	lm_history_go_point_handler *handler, void *context)
{
	struct question question = {.history = history, .kind = LM_HISTORY_OF_GO, .from_ns = from_ns, .to_ns = to_ns};
	int error = lm_history_ensure_open(history);

	error = error ? error : ask(&question, pid ? LM_SQL_SERIES_OF_GO : LM_SQL_SERIES_OF_ALL_GO, pid);
	for (size_t i = 0; i < question.points_len && !error; i++) {
		const struct point *point = &question.points[i];
		const struct lm_history_go_point out = {
			.at_ns = point->at_ns,
			.step_ns = point->step_ns,
			.pid = point->series->pid,
			.comm = point->series->comm[0] ? point->series->comm : NULL,
			.goroutines = point->count,
			.gc_count = point->a,
			.heap_live_bytes = point->b,
		};

		handler(&out, context);
	}
	end(&question);
	return done(history, error);
}
