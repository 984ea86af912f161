// SPDX-License-Identifier: GPL-2.0-or-later
/* Which path is answered by whom. What nobody here answers may be a file of the page. */
#include "user/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/api_state.h"
#include "user/web/assets.h"

struct row {
	const char *path;
	lm_api_handler *handler;
	bool is_prefix;      /* something may follow */
	bool is_of_snapshot; /* as an answer is, see api.h */
};

static const struct row rows[] = {
	{"/metrics", lm_api_metrics, false, false},
	{"/api/v1/snapshot", lm_api_snapshot, false, true},
	{"/api/v1/findings", lm_api_findings, false, true},
	{"/api/v1/sites/", lm_api_site, true, false},
	{"/api/v1/history", lm_api_history, false, false},
	{"/api/v1/events", lm_api_events, false, false},
	{"/api/v1/export", lm_api_export, false, true},
	{"/debug/pprof/threads", lm_api_threads_profile, false, true},
	{"/debug/pprof/goroutines", lm_api_goroutines_profile, false, true},
	{"/debug/pprof/", lm_api_profiles, false, false},
	{"/threads", lm_api_threads, false, true},
	{"/goroutines", lm_api_goroutines, false, true},
	{"/-/healthy", lm_api_healthy, false, false},
	{"/-/ready", lm_api_ready, false, false},
};

static const struct row *find(const char *path)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].path);

		if (strncmp(path, rows[i].path, len) == 0 && (rows[i].is_prefix || !path[len]))
			return &rows[i];
	}
	return NULL;
}

static int give_asset(struct lm_api_call *call)
{
	const struct lm_asset *asset = lm_asset_find(call->request->path);
	struct lm_api_answer *answer = &call->answer;

	if (!asset)
		return lm_api_refuse(
			call, 404, "the page at / and README.md say what there is", "there is no such page");
	answer->body = malloc(asset->len + 1);
	if (!answer->body)
		return -ENOMEM;
	memcpy(answer->body, asset->bytes, asset->len);
	answer->body[asset->len] = '\0';
	answer->len = asset->len;
	answer->status = 200;
	answer->content_type = asset->content_type;
	answer->security = LM_ASSET_SECURITY;
	answer->is_static = true;
	return 0;
}

static int answer_by(struct lm_api_call *call, const struct row *row)
{
	int error;

	if (!row)
		return give_asset(call);
	call->rest = call->request->path + strlen(row->path);
	error = row->handler(call);
	if (!error)
		call->answer.is_of_snapshot = row->is_of_snapshot;
	return error;
}

int lm_api_answer(
	const struct lm_api_source *source, const struct lm_api_request *request, struct lm_api_answer *answer)
{
	struct lm_api_call call = {.source = source, .request = request};
	int error = answer_by(&call, find(request->path));

	if (error && error != LM_API_REFUSED && error != -ENOMEM)
		error = lm_api_refuse(&call, 500, NULL, "the answer could not be written: %s", strerror(-error));
	if (error == -ENOMEM) {
		lm_api_answer_free(&call.answer);
		return error;
	}
	*answer = call.answer;
	return 0;
}

void lm_api_answer_free(struct lm_api_answer *answer)
{
	free(answer->body);
	*answer = (struct lm_api_answer){0};
}
