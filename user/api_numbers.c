// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers of one line of text, for scripts and for what looks after daemons. */
#include <errno.h>
#include <inttypes.h>

#include "user/api_state.h"

/* -1 is refused with the reason. */
static int give_number(struct lm_api_call *call, int64_t number, const char *why)
{
	char text[32];

	if (number < 0)
		return lm_api_refuse(call, 503, NULL, "%s", why);
	snprintf(text, sizeof(text), "%" PRId64, number);
	return lm_api_say(call, 200, text);
}

int lm_api_threads(struct lm_api_call *call)
{
	const struct lm_snapshot_process *process = NULL;
	uint32_t pid = 0;
	int64_t threads;
	int error = lm_api_need_snapshot(call);

	if (!error)
		error = lm_api_take_process(call, &pid, &process);
	if (error)
		return error;
	threads = pid ? (process ? process->threads : -1) : call->source->snapshot->totals.threads;
	return give_number(call, threads, "the number of threads is not known");
}

int lm_api_goroutines(struct lm_api_call *call)
{
	const struct lm_snapshot_process *process = NULL;
	uint32_t pid = 0;
	int error = lm_api_need_snapshot(call);

	if (!error)
		error = lm_api_take_process(call, &pid, &process);
	if (!error)
		error = lm_api_need_goroutines(call, pid, process);
	if (error)
		return error;
	return give_number(call, pid ? process->goroutines : call->source->snapshot->totals.goroutines,
		"of no process the goroutines are known");
}

int lm_api_healthy(struct lm_api_call *call)
{
	if (call->source->healthy)
		return lm_api_say(call, 200, "leakmon is healthy");
	return lm_api_say(call, 503, "leakmon cannot look at the threads; its log says why");
}

int lm_api_ready(struct lm_api_call *call)
{
	if (call->source->ready)
		return lm_api_say(call, 200, "leakmon is ready");
	return lm_api_say(call, 503, "leakmon is not ready: it has not looked once yet");
}
