// SPDX-License-Identifier: GPL-2.0-or-later
/* Server-sent events: a JSON object on one line each, which is never more than one of them, as no line ends in it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "user/api_state.h"
#include "user/render/escape.h"
#include "user/render/json_values.h"

#define RETRY_MS 5000

json_t *lm_api_change(const struct lm_change *change)
{
	json_t *object = json_object();

	lm_json_set(&object, "change", json_string(lm_change_name(change->kind)));
	lm_json_set(&object, "time", lm_json_time(change->at_ns));
	lm_json_set(&object, "id", lm_json_text(change->id));
	lm_json_set(&object, "level", json_string(lm_level_name(change->level)));
	lm_json_set(&object, "before",
		change->before == LM_LEVEL_NONE ? json_null() : json_string(lm_level_name(change->before)));
	lm_json_set(&object, "type", json_string(lm_finding_type_name(change->type)));
	lm_json_set(&object, "pid", json_integer(change->pid));
	lm_json_set(&object, "comm", lm_json_text(change->comm));
	lm_json_set(&object, "site", change->site ? lm_json_site_id(change->site) : json_null());
	lm_json_set(&object, "since", lm_json_time(change->since_ns));
	lm_json_set(&object, "summary", lm_json_text(change->summary));
	return object;
}

/* Takes the data over; NULL: no memory. The id tells the times apart that a finding is told of. */
static int put_event(FILE *stream, const char *event, int64_t at_ns, const char *id, json_t *data)
{
	char *line = data ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL, *safe_id = lm_escape(id);
	int error = line && safe_id ? 0 : -ENOMEM;

	if (!error)
		fprintf(stream, "event: %s\nid: %" PRId64 "-%s\ndata: %s\n\n", event, at_ns, safe_id, line);
	free(safe_id);
	free(line);
	json_decref(data);
	return error;
}

static int write_beginning(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct lm_snapshot *snapshot = call->source->snapshot;
	int error = 0;

	(void)context;
	fprintf(stream, "retry: %d\n\n", RETRY_MS);
	for (size_t i = 0; snapshot && i < snapshot->findings_len && !error; i++)
		error = put_event(stream, "finding", snapshot->time_ns, snapshot->findings[i].id,
			lm_api_finding(snapshot, &snapshot->findings[i]));
	return error;
}

int lm_api_events(struct lm_api_call *call)
{
	int error = lm_api_write(call, "text/event-stream", write_beginning, NULL);

	if (!error)
		call->answer.kind = LM_API_EVENTS;
	return error;
}

char *lm_api_event(const struct lm_change *change, size_t *len)
{
	char *event = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&event, &size);
	int error;

	if (!stream)
		return NULL;
	error = put_event(stream, lm_change_name(change->kind), change->at_ns, change->id, lm_api_change(change));
	if (fclose(stream) != 0 || error) {
		free(event);
		return NULL;
	}
	*len = size;
	return event;
}
