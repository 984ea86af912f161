// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is kept of a site once: its name, its wait class, its stack as JSON. A program may make up sites as it likes:
 * each is bounded, and so is what a report brings of new ones.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "user/history_state.h"
#include "user/render/json_site.h"
#include "user/render/site.h"

#define FRAMES_MAX 256
#define FUNCTION_MAX_BYTES 1024

struct words {
	char *stack, *created_by, *function; /* NULL = not known */
};

static void free_words(struct words *words)
{
	free(words->stack);
	free(words->created_by);
	free(words->function);
}

static uint64_t mix(uint64_t mark, uint64_t value)
{
	return (mark ^ value) * 0x9e3779b97f4a7c15ull >> 3;
}

/* Without the texts of the names, all of which would have to be read for every site of every report: their lengths do,
 * as a site is known by its places in files already. */
struct lm_history_mark lm_history_mark_site(const struct lm_snapshot_site *site)
{
	uint64_t mark = site->stack_len;
	int64_t told = (int64_t)site->stack_len;

	for (size_t i = 0; i < site->stack_len; i++) {
		const struct lm_snapshot_frame *frame = &site->stack[i];

		mark = mix(mark, frame->offset);
		mark = mix(mark, frame->line + (frame->function ? strlen(frame->function) << 32 : 0));
		told += (frame->function ? 1 : 0) + (frame->file ? 1 : 0) + (frame->line ? 1 : 0);
	}
	if (site->created_by) {
		mark = mix(mark, site->created_by->line + 1);
		told += 1 + (site->created_by->function ? 1 : 0);
	}
	return (struct lm_history_mark){.told = told, .mark = (int64_t)(mark >> 1)};
}

/* One part of a site's object as text; "" in place of null. */
static int dump(const json_t *object, const char *key, char **text)
{
	const json_t *part = json_object_get(object, key);

	*text = json_is_null(part) ? NULL : json_dumps(part, JSON_COMPACT);
	return json_is_null(part) || *text ? 0 : -ENOMEM;
}

/* A stack that is too long loses its outer frames. */
static int take_stack(const struct lm_snapshot_site *site, struct words *words)
{
	struct lm_snapshot_site part = *site;
	int error;

	part.kernel_stack_len = 0;
	if (part.stack_len > FRAMES_MAX)
		part.stack_len = FRAMES_MAX;
	for (;; part.stack_len /= 2) {
		json_t *object = lm_json_site(&part, 0);

		error = object ? dump(object, "stack", &words->stack) : -ENOMEM;
		if (!error && !words->created_by)
			error = dump(object, "created_by", &words->created_by);
		json_decref(object);
		if (error || !words->stack || strlen(words->stack) <= LM_HISTORY_STACK_MAX_BYTES)
			break;
		free(words->stack);
		words->stack = NULL;
	}
	if (!error && words->created_by && strlen(words->created_by) > LM_HISTORY_STACK_MAX_BYTES) {
		free(words->created_by);
		words->created_by = NULL;
	}
	return error;
}

static int find_words(const struct lm_snapshot_site *site, struct words *words)
{
	const struct lm_snapshot_frame *place = lm_site_place(site);

	*words = (struct words){0};
	if (place && place->function && place->function[0]) {
		words->function = strndup(place->function, FUNCTION_MAX_BYTES);
		if (!words->function)
			return -ENOMEM;
	}
	return take_stack(site, words);
}

static size_t bytes_of(const struct words *words)
{
	return (words->stack ? strlen(words->stack) : 0) + (words->created_by ? strlen(words->created_by) : 0) +
	       (words->function ? strlen(words->function) : 0);
}

/* False if what is new in this transaction would be too much. */
static bool has_room(struct lm_history *history, size_t bytes)
{
	if (!history->has_room || bytes > history->new_bytes_left)
		return false;
	history->new_bytes_left -= bytes;
	return true;
}

int lm_history_find_site(struct lm_history *history, uint64_t site, int64_t *n, struct lm_history_mark *mark)
{
	sqlite3_stmt *row;
	bool has_ended;
	int result = lm_history_query(history, LM_SQL_FIND_SITE, &row, "i", (int64_t)site);

	if (result)
		return result;
	result = lm_history_step(history, row);
	if (result <= 0)
		return result < 0 ? result : -ENOENT;
	*n = sqlite3_column_int64(row, 0);
	has_ended = sqlite3_column_type(row, 1) != SQLITE_NULL;
	*mark = (struct lm_history_mark){sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3)};
	sqlite3_reset(row);
	return has_ended ? lm_history_run(history, LM_SQL_REVIVE_SITE, "i", *n) : 0;
}

int lm_history_add_site(struct lm_history *history, const struct lm_snapshot_site *site, int64_t *n)
{
	struct lm_history_mark mark = lm_history_mark_site(site);
	struct words words;
	int error;

	if (!history->has_room)
		return 1;
	error = find_words(site, &words);
	if (error)
		lm_history_note(history, error, "there is no memory");
	else if (!has_room(history, bytes_of(&words)))
		error = 1;
	else
		error = lm_history_run(history, LM_SQL_ADD_SITE, "iiiiitttt", (int64_t)site->site, (int64_t)site->kind,
			history->at_ns, mark.told, mark.mark, lm_wait_class_name(site->wait.wait_class), words.function,
			words.stack, words.created_by);
	if (!error)
		*n = sqlite3_last_insert_rowid(history->db);
	free_words(&words);
	return error;
}

int lm_history_describe_site(struct lm_history *history, const struct lm_snapshot_site *site, int64_t n)
{
	struct lm_history_mark mark = lm_history_mark_site(site);
	struct words words;
	int error = find_words(site, &words);

	if (error)
		lm_history_note(history, error, "there is no memory");
	else if (has_room(history, bytes_of(&words)))
		error = lm_history_run(history, LM_SQL_DESCRIBE_SITE, "iiitttt", n, mark.told, mark.mark,
			lm_wait_class_name(site->wait.wait_class), words.function, words.stack, words.created_by);
	free_words(&words);
	return error;
}
