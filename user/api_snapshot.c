// SPDX-License-Identifier: GPL-2.0-or-later
/* The last report: whole, its findings, its metrics, and what others look up in it. */
#include <errno.h>
#include <string.h>

#include "user/api_state.h"
#include "user/render/json_finding.h"
#include "user/render/json_values.h"
#include "user/render/metrics.h"
#include "user/render/render.h"

#define MEMBERS_DEFAULT 5

static const struct lm_snapshot_process *process_of(const struct lm_snapshot *snapshot, uint32_t pid)
{
	for (size_t i = 0; i < snapshot->processes_len; i++) {
		if (snapshot->processes[i].pid == pid)
			return &snapshot->processes[i];
	}
	return NULL;
}

static const struct lm_snapshot_site *site_of(const struct lm_snapshot *snapshot, uint32_t pid)
{
	for (size_t i = 0; i < snapshot->sites_len; i++) {
		if (snapshot->sites[i].pid == pid)
			return &snapshot->sites[i];
	}
	return NULL;
}

const char *lm_api_comm(const struct lm_snapshot *snapshot, uint32_t pid)
{
	const struct lm_snapshot_process *process = process_of(snapshot, pid);
	const struct lm_snapshot_site *site = process ? NULL : site_of(snapshot, pid);

	return process ? process->comm : site ? site->comm : NULL;
}

int lm_api_take_process(struct lm_api_call *call, uint32_t *pid, const struct lm_snapshot_process **process)
{
	uint32_t given = 0;
	int error = lm_api_take_pid(call, &given);

	if (error)
		return error;
	*process = given ? process_of(call->source->snapshot, given) : NULL;
	if (given && !*process && !site_of(call->source->snapshot, given))
		return lm_api_refuse(call, 404, "it has ended, is not watched, or was not seen yet",
			"no process with PID %u", given);
	*pid = given;
	return 0;
}

static const char *why_no_goroutines(const struct lm_snapshot_process *process)
{
	for (size_t i = 0; i < process->unavailable_len; i++) {
		const struct lm_snapshot_unavailable *item = &process->unavailable[i];

		if (item->what && item->why && strcmp(item->what, "goroutines") == 0)
			return item->why;
	}
	return "not known";
}

int lm_api_need_goroutines(struct lm_api_call *call, uint32_t pid, const struct lm_snapshot_process *process)
{
	const char *why, *comm;
	bool is_no_go;

	if (!pid || (process && process->goroutines >= 0))
		return 0;
	why = process ? why_no_goroutines(process) : "not known";
	comm = process && process->comm ? process->comm : "?";
	is_no_go =
		process && !process->go && (strcmp(why, LM_WHY_NOT_GO) == 0 || strcmp(why, LM_WHY_KERNEL_THREAD) == 0);
	return lm_api_refuse(
		call, is_no_go ? 404 : 503, NULL, "no goroutines of PID %u (%s) are known: %s", pid, comm, why);
}

/* --- /metrics --- */

static int write_metrics(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct lm_api_source *source = call->source;

	return lm_render_metrics(
		stream, source->snapshot, source->self, *(const enum lm_metrics_format *)context, source->max_series);
}

int lm_api_metrics(struct lm_api_call *call)
{
	enum lm_metrics_format format =
		lm_api_accepts_openmetrics(call->request->accept) ? LM_METRICS_OPENMETRICS : LM_METRICS_PROMETHEUS;
	int error = lm_api_need_snapshot(call);

	return error ? error : lm_api_write(call, lm_metrics_content_type(format), write_metrics, &format);
}

/* --- /api/v1/snapshot --- */

static int write_snapshot(FILE *stream, struct lm_api_call *call, const void *context)
{
	return lm_render_json(stream, call->source->snapshot, context);
}

int lm_api_snapshot(struct lm_api_call *call)
{
	struct lm_render_options options = {.members = MEMBERS_DEFAULT, .min_level = LM_LEVEL_SUSPECT};
	int error = lm_api_need_snapshot(call);

	if (!error)
		error = lm_api_take_count(call, "members", &options.members);
	if (!error)
		error = lm_api_take_count(call, "top", &options.top);
	if (!error)
		error = lm_api_take_level(call, "min_level", &options.min_level);
	return error ? error : lm_api_write(call, LM_API_JSON, write_snapshot, &options);
}

/* --- /api/v1/findings --- */

json_t *lm_api_finding(const struct lm_snapshot *snapshot, const struct lm_snapshot_finding *finding)
{
	json_t *object = lm_json_finding(finding);

	lm_json_set(&object, "comm", lm_json_text(lm_api_comm(snapshot, finding->pid)));
	return object;
}

static json_t *withdrawn_of(const struct lm_snapshot *snapshot, const struct lm_snapshot_withdrawn *withdrawn)
{
	json_t *object = lm_json_withdrawn(withdrawn);

	lm_json_set(&object, "comm", lm_json_text(lm_api_comm(snapshot, withdrawn->pid)));
	return object;
}

static int write_findings(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct lm_snapshot *snapshot = call->source->snapshot;
	const enum lm_level *level = context;
	struct lm_json_writer writer = {.stream = stream};

	lm_json_open(&writer);
	lm_json_put(&writer, "schema", json_string("leakmon.findings/1"));
	lm_json_put(&writer, "time", lm_json_time(snapshot->time_ns));
	lm_json_put(&writer, "host", lm_json_text(snapshot->host));
	lm_json_open_array(&writer, "findings");
	for (size_t i = 0; i < snapshot->findings_len && !writer.error; i++) {
		if (snapshot->findings[i].level >= *level)
			lm_json_put(&writer, NULL, lm_api_finding(snapshot, &snapshot->findings[i]));
	}
	lm_json_close_array(&writer);
	lm_json_open_array(&writer, "withdrawn");
	for (size_t i = 0; i < snapshot->withdrawn_len && !writer.error; i++) {
		if (snapshot->withdrawn[i].level >= *level)
			lm_json_put(&writer, NULL, withdrawn_of(snapshot, &snapshot->withdrawn[i]));
	}
	lm_json_close_array(&writer);
	return lm_json_close(&writer);
}

int lm_api_findings(struct lm_api_call *call)
{
	enum lm_level level = LM_LEVEL_SUSPECT;
	int error = lm_api_need_snapshot(call);

	if (!error)
		error = lm_api_take_level(call, "level", &level);
	return error ? error : lm_api_write(call, LM_API_JSON, write_findings, &level);
}
