// SPDX-License-Identifier: GPL-2.0-or-later
/* Profiles of what is blocked now, for the tools that read such. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/api_state.h"
#include "user/render/render.h"

/* Takes what all profiles take: a process, and how many sites. */
static int take_filter(
	struct lm_api_call *call, struct lm_profile_filter *filter, const struct lm_snapshot_process **process)
{
	int error = lm_api_need_snapshot(call);

	if (!error)
		error = lm_api_take_process(call, &filter->pid, process);
	return error ? error : lm_api_take_count(call, "top", &filter->top);
}

static int write_pprof(FILE *stream, struct lm_api_call *call, const void *context)
{
	return lm_profile_pprof(stream, call->source->snapshot, context);
}

static int write_pprof_text(FILE *stream, struct lm_api_call *call, const void *context)
{
	return lm_profile_pprof_text(stream, call->source->snapshot, context);
}

static int write_speedscope(FILE *stream, struct lm_api_call *call, const void *context)
{
	return lm_profile_speedscope(stream, call->source->snapshot, context);
}

/* The renderer takes the sites of all processes: it is given a report that has no others. */
static int write_collapsed(FILE *stream, struct lm_api_call *call, const void *context)
{
	const struct lm_profile_filter *filter = context;
	const struct lm_render_options options = {.top = 0};
	struct lm_profile_cursor cursor = {0};
	struct lm_snapshot view = *call->source->snapshot;
	struct lm_snapshot_site *sites = calloc(view.sites_len + 1, sizeof(*sites));
	const struct lm_snapshot_site *site;
	size_t len = 0;
	int error;

	if (!sites)
		return -ENOMEM;
	while ((site = lm_profile_next(call->source->snapshot, filter, &cursor)))
		sites[len++] = *site;
	view.sites = sites;
	view.sites_len = len;
	error = lm_render_collapsed(stream, &view, &options);
	free(sites);
	return error;
}

/* As Go's net/http/pprof has it: a file to be loaded, or with debug=1 text to be read. */
static int give_pprof(struct lm_api_call *call, const struct lm_profile_filter *filter, const char *disposition)
{
	int debug = 0, error = lm_api_take_count(call, "debug", &debug);

	if (error)
		return error;
	if (debug)
		return lm_api_write(call, LM_API_TEXT, write_pprof_text, filter);
	error = lm_api_write(call, LM_API_BYTES, write_pprof, filter);
	if (!error)
		call->answer.disposition = disposition;
	return error;
}

int lm_api_threads_profile(struct lm_api_call *call)
{
	struct lm_profile_filter filter = {.kind = LM_PROFILE_THREADS};
	const struct lm_snapshot_process *process;
	int error = take_filter(call, &filter, &process);

	return error ? error : give_pprof(call, &filter, "attachment; filename=\"threads\"");
}

int lm_api_goroutines_profile(struct lm_api_call *call)
{
	struct lm_profile_filter filter = {.kind = LM_PROFILE_GOROUTINES};
	const struct lm_snapshot_process *process;
	int error = take_filter(call, &filter, &process);

	if (!error)
		error = lm_api_need_goroutines(call, filter.pid, process);
	return error ? error : give_pprof(call, &filter, "attachment; filename=\"goroutines\"");
}

int lm_api_profiles(struct lm_api_call *call)
{
	return lm_api_say(call, 200,
		"Profiles of what is blocked now, for go tool pprof:\n"
		"/debug/pprof/threads\n"
		"/debug/pprof/goroutines\n"
		"?pid=PID: of one process; ?debug=1: as text");
}

struct format {
	const char *name, *content_type, *disposition;
	lm_api_writer *write;
};

static const struct format formats[] = {
	{"collapsed", LM_API_TEXT, "attachment; filename=\"leakmon.collapsed\"", write_collapsed},
	{"speedscope", LM_API_JSON, "attachment; filename=\"leakmon.speedscope.json\"", write_speedscope},
	{"pprof", LM_API_BYTES, "attachment; filename=\"leakmon.pb.gz\"", write_pprof},
};

static int take_format(struct lm_api_call *call, const struct format **format)
{
	const char *value = lm_api_parameter_of(call, "format"), *right = "give collapsed, speedscope or pprof";

	if (!value)
		return lm_api_refuse(call, 400, right, "format: is missing");
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(value, formats[i].name) == 0) {
			*format = &formats[i];
			return 0;
		}
	}
	return lm_api_refuse_value(call, "format", value, right);
}

int lm_api_export(struct lm_api_call *call)
{
	struct lm_profile_filter filter = {.kind = LM_PROFILE_ALL};
	const struct lm_snapshot_process *process;
	const struct format *format = NULL;
	int error = take_format(call, &format);

	if (!error)
		error = take_filter(call, &filter, &process);
	if (!error)
		error = lm_api_write(call, format->content_type, format->write, &filter);
	if (!error)
		call->answer.disposition = format->disposition;
	return error;
}
