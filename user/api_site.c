// SPDX-License-Identifier: GPL-2.0-or-later
/* All that is known of one site: in the last report, and in the history. */
#include <errno.h>
#include <inttypes.h>

#include "user/api_state.h"
#include "user/render/json_site.h"
#include "user/render/json_values.h"

#define MEMBERS_DEFAULT 5
#define CHANGES_MAX 100

struct view {
	uint64_t site;
	int members;
	json_t *known;                      /* NULL: the history does not know it */
	json_t *changes;                    /* NULL: there is no history */
	const char *no_history;             /* why; NULL if there is one */
	const struct lm_snapshot *snapshot; /* NULL: there was no report yet */
};

/* Text of the history in the form of the contract; null if it is none. */
static json_t *parsed(const char *text)
{
	json_t *value = text ? json_loads(text, 0, NULL) : NULL;

	return value ? value : json_null();
}

static void take_known(const struct lm_history_site *site, void *context)
{
	struct view *view = context;
	json_t *object = json_object();

	lm_json_set(&object, "first_seen", lm_json_time(site->first_ns));
	lm_json_set(&object, "last_seen", lm_json_time(site->last_ns));
	lm_json_set(&object, "kind", json_string(site->kind == LM_SITE_GOROUTINE ? "goroutine" : "thread"));
	lm_json_set(&object, "wait_class", lm_json_text(site->wait_class));
	lm_json_set(&object, "function", lm_json_text(site->function));
	lm_json_set(&object, "stack", parsed(site->stack_json));
	lm_json_set(&object, "created_by", parsed(site->created_by_json));
	json_decref(view->known);
	view->known = object;
}

static void take_change(const struct lm_change *change, void *context)
{
	struct view *view = context;

	/* a NULL is refused by jansson, and told by the one who looks for the array */
	if (view->changes && json_array_append_new(view->changes, lm_api_change(change)) != 0) {
		json_decref(view->changes);
		view->changes = NULL;
	}
}

/* Fills what the history knows, or why it does not answer. */
static int ask_history(struct lm_api_call *call, struct view *view)
{
	struct lm_history *history = call->source->history;
	int error;

	view->no_history = lm_api_no_history(call);
	if (view->no_history)
		return 0;
	view->changes = json_array();
	error = lm_history_site(history, view->site, take_known, view);
	if (!error && !view->known)
		return -ENOMEM;
	if (!error || error == -ENOENT)
		error = lm_history_changes(history, view->site, 0, 0, CHANGES_MAX, take_change, view);
	if (error == -ENOMEM || !view->changes)
		return -ENOMEM;
	if (error) {
		const char *trouble = lm_history_trouble(history);

		view->no_history = trouble ? trouble : "the history cannot be read";
	}
	return 0;
}

static bool is_in_snapshot(const struct view *view)
{
	/* findings that are about no site have 0 */
	const struct lm_snapshot *snapshot = view->site ? view->snapshot : NULL;

	for (size_t i = 0; snapshot && i < snapshot->sites_len; i++) {
		if (snapshot->sites[i].site == view->site)
			return true;
	}
	for (size_t i = 0; snapshot && i < snapshot->findings_len; i++) {
		if (snapshot->findings[i].site == view->site)
			return true;
	}
	return false;
}

static void put_now(struct lm_json_writer *writer, const struct view *view)
{
	const struct lm_snapshot *snapshot = view->snapshot;

	if (!snapshot) {
		lm_json_put(writer, "now", json_null());
		lm_json_put(writer, "findings", json_null());
		return;
	}
	lm_json_open_array(writer, "now");
	for (size_t i = 0; i < snapshot->sites_len && !writer->error; i++) {
		if (snapshot->sites[i].site == view->site)
			lm_json_put(writer, NULL, lm_json_site(&snapshot->sites[i], (size_t)view->members));
	}
	lm_json_close_array(writer);
	lm_json_open_array(writer, "findings");
	for (size_t i = 0; i < snapshot->findings_len && !writer->error; i++) {
		if (snapshot->findings[i].site == view->site)
			lm_json_put(writer, NULL, lm_api_finding(snapshot, &snapshot->findings[i]));
	}
	lm_json_close_array(writer);
}

static void put_unavailable(struct lm_json_writer *writer, const struct view *view)
{
	json_t *object;

	lm_json_open_array(writer, "unavailable");
	if (view->no_history) {
		object = json_object();
		lm_json_set(&object, "what", json_string("history"));
		lm_json_set(&object, "why", lm_json_text(view->no_history));
		lm_json_put(writer, NULL, object);
	}
	lm_json_close_array(writer);
}

static int write_view(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct view *view = context;
	struct lm_json_writer writer = {.stream = stream};

	(void)call;
	lm_json_open(&writer);
	lm_json_put(&writer, "schema", json_string("leakmon.site/1"));
	lm_json_put(&writer, "site", lm_json_site_id(view->site));
	lm_json_put(&writer, "time", view->snapshot ? lm_json_time(view->snapshot->time_ns) : json_null());
	put_now(&writer, view);
	lm_json_put(&writer, "known", view->known ? json_incref(view->known) : json_null());
	lm_json_put(&writer, "changes", view->changes && !view->no_history ? json_incref(view->changes) : json_null());
	put_unavailable(&writer, view);
	return lm_json_close(&writer);
}

static int give_view(struct lm_api_call *call, const struct view *view)
{
	if (view->known || is_in_snapshot(view))
		return lm_api_write(call, LM_API_JSON, write_view, view);
	if (!view->snapshot)
		return lm_api_need_snapshot(call);
	return lm_api_refuse(call, 404,
		view->no_history ? "it is not in the last report, and there is no history of those before" : NULL,
		"site %016" PRIx64 " is not known", view->site);
}

int lm_api_site(struct lm_api_call *call)
{
	struct view view = {.members = MEMBERS_DEFAULT, .snapshot = call->source->snapshot};
	int error;

	if (lm_api_parse_site(call->rest, &view.site))
		return lm_api_refuse_value(call, "site", call->rest, "give the 16 hexadecimal digits of a site");
	error = lm_api_take_count(call, "members", &view.members);
	if (!error)
		error = ask_history(call, &view);
	if (!error)
		error = give_view(call, &view);
	json_decref(view.known);
	json_decref(view.changes);
	return error;
}
