// SPDX-License-Identifier: GPL-2.0-or-later
/* When watching went on: a count holds until then at most. */
#include <errno.h>
#include <stdlib.h>

#include "user/history_state.h"

static int compare(const void *a, const void *b)
{
	const struct lm_history_period *x = a, *y = b;

	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

static int add(struct lm_history_periods *periods, const struct lm_history_period *period)
{
	/* doubled when the length is a power of two */
	if ((periods->len & (periods->len - 1)) == 0) {
		size_t size = (periods->len ? 2 * periods->len : 1) * sizeof(*period);
		struct lm_history_period *items = realloc(periods->items, size);

		if (!items)
			return -ENOMEM;
		periods->items = items;
	}
	periods->items[periods->len++] = *period;
	return 0;
}

int lm_history_periods_read(struct lm_history *history, struct lm_history_periods *periods)
{
	struct lm_history_periods read = {0};
	sqlite3_stmt *row;
	int result = lm_history_query(history, LM_SQL_PERIODS, &row, "i", (int64_t)LM_HISTORY_PERIODS_MAX);

	if (result)
		return result;
	while ((result = lm_history_step(history, row)) > 0) {
		struct lm_history_period period = {
			sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2)};

		result = add(&read, &period);
		if (result) {
			sqlite3_reset(row);
			lm_history_note(history, result, "there is no memory");
			break;
		}
	}
	if (result) {
		free(read.items);
		return result;
	}
	/* the clock may have been set */
	if (read.len)
		qsort(read.items, read.len, sizeof(*read.items), compare);
	*periods = read;
	return 0;
}

void lm_history_periods_free(struct lm_history_periods *periods)
{
	free(periods->items);
}

struct lm_history_period lm_history_period_of(const struct lm_history_periods *periods, int64_t at_ns)
{
	size_t low = 0, high = periods->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (periods->items[middle].from_ns <= at_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? periods->items[low - 1] : (struct lm_history_period){at_ns, at_ns, 0};
}
