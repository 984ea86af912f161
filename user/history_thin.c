// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes room, a little at a time: the oldest block of each tier goes to the next coarser one, or is dropped, some
 * series after the other, each step a transaction of its own. If the history is still too large everything is done as
 * if it was older than it is (pressure), until it fits.
 */
#include <errno.h>
#include <time.h>

#include "user/history_state.h"

#define CHUNK_POINTS 400 /* thinned in one transaction: about 1 ms */
#define DROP_ROWS 200
#define DROP_SITES 50     /* of up to 64 KiB each */
#define SPARE_PAGES 64    /* that thinning may take more than writing: it frees them soon */
#define PRESSURE_MAX 24   /* 30 days become half a second */
#define RETENTION_AFTER 4 /* what is kept at all is cut when cutting its steps was not enough */

struct thinning {
	struct lm_history *history;
	struct lm_history_periods periods;
	int64_t now_ns;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t kept_from(const struct thinning *thinning)
{
	const struct lm_history *history = thinning->history;
	int cut = history->pressure > RETENTION_AFTER ? history->pressure - RETENTION_AFTER : 0;
	uint64_t kept_ns = history->retention_ns >> cut;

	return kept_ns < (uint64_t)thinning->now_ns ? thinning->now_ns - (int64_t)kept_ns : 0;
}

/* Points of a tier's block that are handled in one transaction. */
struct chunk {
	int kind, level;
	int64_t tier, block;
	int64_t first, end; /* of the series */
};

static int find_chunk(struct thinning *thinning, struct chunk *chunk)
{
	struct lm_history *history = thinning->history;
	int error = lm_history_number(history, LM_SQL_CHUNK_FIRST, &chunk->first, "ii", chunk->tier, chunk->block);

	chunk->end = INT64_MAX;
	error = error ? error
		      : lm_history_number(history, LM_SQL_CHUNK_END, &chunk->end, "iii", chunk->tier, chunk->block,
				(int64_t)CHUNK_POINTS);
	if (chunk->end == chunk->first)
		chunk->end++;
	return error;
}

/* What goes to the next tier as one point. */
struct bucket {
	int64_t series, at_ns; /* series 0: there is none */
	int64_t most, last, a, b, oldest_ns;
	int64_t last_at_ns;
};

static int64_t greatest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int put_bucket(struct thinning *thinning, const struct chunk *chunk, const struct bucket *bucket)
{
	const struct lm_history_level *to = &lm_history_levels[chunk->level + 1];
	int64_t end_ns = bucket->at_ns + to->step_ns, last = bucket->last;
	enum lm_history_sql sql = chunk->kind == LM_HISTORY_OF_GO ? LM_SQL_MERGE_GO_POINT : LM_SQL_MERGE_SITE_POINT;

	if (!bucket->series)
		return 0;
	/* watching was interrupted after it: nobody knows how it went on */
	if (lm_history_period_of(&thinning->periods, bucket->last_at_ns).from_ns !=
		lm_history_period_of(&thinning->periods, end_ns - 1).from_ns)
		last = -1;
	return lm_history_run(thinning->history, sql, bucket->oldest_ns > 0 ? "iiiiiiiii" : "iiiiiiii",
		(int64_t)lm_history_tier(chunk->kind, chunk->level + 1), bucket->at_ns / to->block_ns, bucket->series,
		bucket->at_ns % to->block_ns, bucket->most, last, bucket->a, bucket->b, bucket->oldest_ns);
}

static void join(struct bucket *bucket, const struct bucket *point, int kind)
{
	bucket->most = greatest(bucket->most, point->most);
	bucket->last = point->last;
	bucket->last_at_ns = point->last_at_ns;
	bucket->a = kind == LM_HISTORY_OF_GO ? greatest(bucket->a, point->a) : bucket->a + point->a;
	bucket->b = kind == LM_HISTORY_OF_GO ? greatest(bucket->b, point->b) : bucket->b + point->b;
	if (!bucket->oldest_ns || (point->oldest_ns && point->oldest_ns < bucket->oldest_ns))
		bucket->oldest_ns = point->oldest_ns;
}

static void take_point(sqlite3_stmt *row, const struct chunk *chunk, struct bucket *point)
{
	const struct lm_history_level *from = &lm_history_levels[chunk->level];
	int64_t step_ns = lm_history_levels[chunk->level + 1].step_ns;
	int64_t at_ns = chunk->block * from->block_ns + sqlite3_column_int64(row, 1);

	*point = (struct bucket){
		.series = sqlite3_column_int64(row, 0),
		.at_ns = at_ns / step_ns * step_ns,
		.most = sqlite3_column_int64(row, 2),
		.last = sqlite3_column_int64(row, 3),
		.a = sqlite3_column_int64(row, 4),
		.b = sqlite3_column_int64(row, 5),
		.oldest_ns = sqlite3_column_int64(row, 6),
		.last_at_ns = from->step_ns ? at_ns + from->step_ns - 1 : at_ns,
	};
}

static int move_chunk(struct thinning *thinning, const struct chunk *chunk)
{
	struct bucket bucket = {0}, point;
	sqlite3_stmt *row;
	int result = lm_history_query(
		thinning->history, LM_SQL_CHUNK, &row, "iiii", chunk->tier, chunk->block, chunk->first, chunk->end);

	if (result)
		return result;
	while ((result = lm_history_step(thinning->history, row)) > 0) {
		take_point(row, chunk, &point);
		if (bucket.series == point.series && bucket.at_ns == point.at_ns) {
			join(&bucket, &point, chunk->kind);
			continue;
		}
		result = put_bucket(thinning, chunk, &bucket);
		if (result) {
			sqlite3_reset(row);
			return result;
		}
		bucket = point;
	}
	return result ? result : put_bucket(thinning, chunk, &bucket);
}

static int handle_chunk(struct thinning *thinning, struct chunk *chunk, bool is_dropped)
{
	struct lm_history *history = thinning->history;
	int error = lm_history_run(history, LM_SQL_BEGIN, "");

	error = error ? error : find_chunk(thinning, chunk);
	if (!error && !is_dropped)
		error = move_chunk(thinning, chunk);
	error = error ? error
		      : lm_history_run(history, LM_SQL_DROP_CHUNK, "iiii", chunk->tier, chunk->block, chunk->first,
				chunk->end);
	error = error ? error : lm_history_run(history, LM_SQL_COMMIT, "");
	return error ? error : 1;
}

/* The oldest block of a tier. Like the steps below: 1 if it did something, 0 if there was nothing to do. */
static int thin_tier(struct thinning *thinning, int kind, int level)
{
	const struct lm_history_level *of = &lm_history_levels[level];
	struct chunk chunk = {.kind = kind, .level = level, .tier = lm_history_tier(kind, level), .block = INT64_MIN};
	int64_t age_ns = of->age_ns >> thinning->history->pressure, end_ns;
	int error = lm_history_number(thinning->history, LM_SQL_FIRST_BLOCK, &chunk.block, "i", chunk.tier);

	if (error || chunk.block == INT64_MIN)
		return error;
	end_ns = (chunk.block + 1) * of->block_ns;
	if (end_ns <= kept_from(thinning))
		return handle_chunk(thinning, &chunk, true);
	if (level < LM_HISTORY_LEVELS - 1 && end_ns <= thinning->now_ns - age_ns)
		return handle_chunk(thinning, &chunk, false);
	return 0;
}

static int thin_points(struct thinning *thinning)
{
	int result = 0;

	for (int kind = 0; kind < LM_HISTORY_KINDS && !result; kind++) {
		for (int level = 0; level < LM_HISTORY_LEVELS && !result; level++)
			result = thin_tier(thinning, kind, level);
	}
	return result;
}

static int drop(struct thinning *thinning, enum lm_history_sql sql, int64_t rows)
{
	int error = lm_history_run(thinning->history, sql, "ii", kept_from(thinning), rows);

	return error ? error : sqlite3_changes(thinning->history->db) > 0;
}

static int drop_old(struct thinning *thinning)
{
	static const struct {
		enum lm_history_sql sql;
		int64_t rows;
	} drops[] = {{LM_SQL_DROP_CHANGES, DROP_ROWS}, {LM_SQL_DROP_SITE_SERIES, DROP_SITES},
		{LM_SQL_DROP_SITES, DROP_SITES}, {LM_SQL_DROP_SERIES, DROP_ROWS}, {LM_SQL_DROP_MEMORY, DROP_ROWS},
		{LM_SQL_DROP_PERIODS, DROP_ROWS}};
	int result = 0;

	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]) && !result; i++)
		result = drop(thinning, drops[i].sql, drops[i].rows);
	return result;
}

/* What was written while the clock was wrong is brought back to now, and points that are later than that are dropped.
 */
static int drop_future(struct thinning *thinning)
{
	static const enum lm_history_sql updates[] = {LM_SQL_FUTURE_CHANGES, LM_SQL_FUTURE_SITES, LM_SQL_FUTURE_SERIES,
		LM_SQL_FUTURE_PERIODS, LM_SQL_FUTURE_MEMORY};
	int64_t latest_ns = thinning->now_ns + LM_HISTORY_HOUR;
	int error = 0;

	for (int tier = 0; tier < LM_HISTORY_KINDS * LM_HISTORY_LEVELS; tier++) {
		const struct lm_history_level *of = &lm_history_levels[tier % LM_HISTORY_LEVELS];
		struct chunk chunk = {.tier = tier};

		error = lm_history_number(thinning->history, LM_SQL_LAST_BLOCK, &chunk.block, "i", chunk.tier);
		if (!error && chunk.block > latest_ns / of->block_ns)
			error = handle_chunk(thinning, &chunk, true);
		if (error)
			return error;
	}
	for (size_t i = 0; i < sizeof(updates) / sizeof(updates[0]) && !error; i++)
		error = lm_history_run(thinning->history, updates[i], "i", latest_ns);
	thinning->history->check_future = error;
	return error;
}

struct size {
	int64_t pages, unused, max;
};

static int measure(struct thinning *thinning, struct size *size)
{
	int error;

	*size = (struct size){0};
	error = lm_history_number(thinning->history, LM_SQL_PAGES, &size->pages, "");
	size->max = lm_history_pages_max(thinning->history);
	return error ? error : lm_history_number(thinning->history, LM_SQL_FREE_PAGES, &size->unused, "");
}

/* Pages that are not used are given back when the file is too large, or when they are many. */
static int shrink(struct thinning *thinning, const struct size *size)
{
	struct lm_history *history = thinning->history;
	int error;

	if (size->unused && (size->pages > size->max || size->unused > size->pages / 2 + 256)) {
		error = lm_history_run(history, LM_SQL_VACUUM, "");
		return error ? error : 1;
	}
	error = lm_history_write_back(history, 2 * lm_history_log_bytes(history));
	if (error)
		return error;
	/* a broken database is kept to be looked at while there is room */
	return lm_history_bytes(history) > (int64_t)history->max_bytes && lm_history_files_drop_broken(history);
}

/* Presses harder if the history is too large, and less if it has become much smaller. */
static int press(struct thinning *thinning, const struct size *size)
{
	struct lm_history *history = thinning->history;
	int64_t used = size->pages - size->unused;

	if (used * 100 > size->max * 70 && history->pressure < PRESSURE_MAX) {
		history->pressure++;
		return 1;
	}
	if (used * 100 < size->max * 40 && history->pressure > 0)
		history->pressure--;
	return 0;
}

static int do_something(struct thinning *thinning)
{
	struct size size;
	int result = thinning->history->check_future ? drop_future(thinning) : 0;

	result = result ? result : thin_points(thinning);
	result = result ? result : drop_old(thinning);
	if (result)
		return result;
	result = measure(thinning, &size);
	result = result ? result : shrink(thinning, &size);
	return result ? result : press(thinning, &size);
}

/* Writing gets its own limit back when it begins. */
static int give_spare(struct thinning *thinning)
{
	struct lm_history *history = thinning->history;
	struct size size;
	int error = measure(thinning, &size);
	int64_t above = size.pages > size.max ? size.pages - size.max : 0;

	/* when there is room anyway, nothing is to be set */
	if (error || (size.pages + SPARE_PAGES < size.max && history->are_limits_set))
		return error;
	history->are_limits_set = false;
	return lm_history_database_limit(history, above + SPARE_PAGES);
}

int lm_history_thin(struct lm_history *history, int64_t now_ns, uint64_t budget_ns)
{
	struct thinning thinning = {.history = history, .now_ns = now_ns};
	uint64_t begun_ns = clock_ns();
	int result = history->in_transaction ? -EBUSY : lm_history_ensure_open(history);

	if (result)
		return result;
	result = give_spare(&thinning);
	result = result ? result : lm_history_periods_read(history, &thinning.periods);
	if (!result) {
		do
			result = do_something(&thinning);
		while (result > 0 && clock_ns() - begun_ns < budget_ns);
	}
	lm_history_periods_free(&thinning.periods);
	return result < 0 ? lm_history_undo(history, result) : 0;
}
