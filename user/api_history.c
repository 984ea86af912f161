// SPDX-License-Identifier: GPL-2.0-or-later
/* What was seen over time: of one site, or the findings' changes and the Go programs. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "user/api_state.h"
#include "user/render/json_values.h"

#define NS_PER_S 1e9
#define CHANGES_MAX 1000

struct question {
	bool of_site;
	uint64_t site;
	uint32_t pid; /* 0: of all */
	int64_t from_ns, to_ns;
};

/* What the handlers of rows write to. */
struct rows {
	struct lm_json_writer writer;
	uint32_t pid;
};

static void put_point(const struct lm_history_point *point, void *context)
{
	struct rows *rows = context;
	json_t *object;

	if (rows->writer.error || (rows->pid && point->pid != rows->pid))
		return;
	object = json_object();
	lm_json_set(&object, "time", lm_json_time(point->at_ns));
	lm_json_set(&object, "step_s", lm_json_real((double)point->step_ns / NS_PER_S));
	lm_json_set(&object, "pid", json_integer(point->pid));
	lm_json_set(&object, "comm", lm_json_text(point->comm));
	lm_json_set(&object, "count", lm_json_count(point->count));
	lm_json_set(&object, "arrived", lm_json_count(point->arrived));
	lm_json_set(&object, "departed", lm_json_count(point->departed));
	lm_json_set(&object, "oldest_blocked_since", lm_json_time(point->oldest_blocked_since_ns));
	lm_json_put(&rows->writer, NULL, object);
}

static void put_go_point(const struct lm_history_go_point *point, void *context)
{
	struct rows *rows = context;
	json_t *object;

	if (rows->writer.error)
		return;
	object = json_object();
	lm_json_set(&object, "time", lm_json_time(point->at_ns));
	lm_json_set(&object, "step_s", lm_json_real((double)point->step_ns / NS_PER_S));
	lm_json_set(&object, "pid", json_integer(point->pid));
	lm_json_set(&object, "comm", lm_json_text(point->comm));
	lm_json_set(&object, "goroutines", lm_json_count(point->goroutines));
	lm_json_set(&object, "gc_count", lm_json_count(point->gc_count));
	lm_json_set(&object, "heap_live_bytes", lm_json_count(point->heap_live_bytes));
	lm_json_put(&rows->writer, NULL, object);
}

static void put_change(const struct lm_change *change, void *context)
{
	struct rows *rows = context;

	if (!rows->writer.error && (!rows->pid || change->pid == rows->pid))
		lm_json_put(&rows->writer, NULL, lm_api_change(change));
}

/* A question that the history could not answer. */
static int refuse(struct lm_api_call *call, const struct question *question, int error)
{
	const char *trouble = lm_history_trouble(call->source->history);

	if (error == -ENOMEM)
		return error;
	if (error == -ENOENT && question->of_site)
		return lm_api_refuse(call, 404, "/api/v1/snapshot lists those of now",
			"site %016" PRIx64 " is not known to the history", question->site);
	return lm_api_refuse(call, 503, "the watching goes on without it; ask again later",
		"the history cannot be read: %s", trouble ? trouble : "its database did not answer");
}

static int put_points(struct rows *rows, struct lm_history *history, const struct question *question)
{
	int error;

	lm_json_open_array(&rows->writer, "points");
	error = lm_history_points(history, question->site, question->from_ns, question->to_ns, put_point, rows);
	lm_json_close_array(&rows->writer);
	return error;
}

static int put_changes_and_go(struct rows *rows, struct lm_history *history, const struct question *question)
{
	int error;

	lm_json_open_array(&rows->writer, "changes");
	error = lm_history_changes(history, 0, question->from_ns, question->to_ns, CHANGES_MAX, put_change, rows);
	lm_json_close_array(&rows->writer);
	if (error)
		return error;
	lm_json_open_array(&rows->writer, "go");
	error = lm_history_go_points(history, question->pid, question->from_ns, question->to_ns, put_go_point, rows);
	lm_json_close_array(&rows->writer);
	return error == -ENOENT ? 0 : error; /* there was no Go program */
}

static int write_answer(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct question *question = context;
	struct rows rows = {.writer = {.stream = stream}, .pid = question->pid};
	struct lm_history *history = call->source->history;
	int error;

	lm_json_open(&rows.writer);
	lm_json_put(&rows.writer, "schema", json_string("leakmon.history/1"));
	lm_json_put(&rows.writer, "site", question->of_site ? lm_json_site_id(question->site) : json_null());
	lm_json_put(&rows.writer, "from", lm_json_time(question->from_ns));
	lm_json_put(&rows.writer, "to", lm_json_time(question->to_ns));
	error = question->of_site ? put_points(&rows, history, question) : put_changes_and_go(&rows, history, question);
	if (error)
		return refuse(call, question, error);
	return lm_json_close(&rows.writer);
}

/* The present is that of the last report. */
static int64_t now_of(const struct lm_api_call *call)
{
	struct timespec now;

	if (call->source->snapshot)
		return call->source->snapshot->time_ns;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int take_question(struct lm_api_call *call, struct question *question)
{
	int64_t now_ns = now_of(call);
	int error = lm_api_take_site(call, "site", &question->of_site, &question->site);

	if (!error)
		error = lm_api_take_pid(call, &question->pid);
	if (!error)
		error = lm_api_take_time(call, "from", now_ns, &question->from_ns);
	if (!error)
		error = lm_api_take_time(call, "to", now_ns, &question->to_ns);
	if (!error && question->to_ns && question->from_ns > question->to_ns)
		error = lm_api_refuse_value(
			call, "from", lm_api_parameter_of(call, "from"), "give a time that is not after to=");
	return error;
}

int lm_api_history(struct lm_api_call *call)
{
	struct question question = {0};
	const char *why = lm_api_no_history(call);
	int error = take_question(call, &question);

	if (error)
		return error;
	if (why)
		return lm_api_refuse(call, 503, "the log says more; --state-dir sets where it is kept",
			"there is no history: %s", why);
	return lm_api_write(call, LM_API_JSON, write_answer, &question);
}
