/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the endpoints share: a request under way, how it is answered or refused, its
 * checked parameters. Private to user/api*.c.
 */
#ifndef LM_API_STATE_H
#define LM_API_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "user/api.h"
#include "user/render/json_writer.h"
#include "user/render/profile.h"

struct lm_api_call {
	const struct lm_api_source *source;
	const struct lm_api_request *request;
	const char *rest; /* of the path, behind what the endpoint is named by */
	struct lm_api_answer answer;
};

/* Answers, or returns -errno. What has refused returns LM_API_REFUSED, which is handed on. */
typedef int lm_api_handler(struct lm_api_call *call);
#define LM_API_REFUSED (-ECANCELED)

/* --- answering --- */

/* Writes a body; 0 or -errno, also after it has refused: what it wrote is then dropped. */
typedef int lm_api_writer(FILE *stream, struct lm_api_call *call, const void *context);
/* Answers with what the writer writes. */
int lm_api_write(struct lm_api_call *call, const char *content_type, lm_api_writer *write, const void *context);
/* Answers with text that is the program's own, and a newline. */
int lm_api_say(struct lm_api_call *call, unsigned int status, const char *text);

/* An error: JSON under /api/, text elsewhere. Both are escaped; the hint says what to do, NULL: nothing. Returns
 * LM_API_REFUSED or -ENOMEM. */
int lm_api_refuse(struct lm_api_call *call, unsigned int status, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Refuses with 503 if there is no snapshot yet, else 0. */
int lm_api_need_snapshot(struct lm_api_call *call);
/* The reason why there is no history now, NULL if there is one. */
const char *lm_api_no_history(const struct lm_api_call *call);

#define LM_API_TEXT "text/plain; charset=utf-8"
#define LM_API_JSON "application/json"
#define LM_API_BYTES "application/octet-stream"

/* --- parameters: each refuses with 400 what is wrong, and leaves the value as it is if the parameter is not there ---
 */

/* The value, NULL if it is not there. */
const char *lm_api_parameter_of(const struct lm_api_call *call, const char *name);
/* Refuses the value of that parameter. */
int lm_api_refuse_value(struct lm_api_call *call, const char *name, const char *value, const char *right);
int lm_api_take_count(struct lm_api_call *call, const char *name, int *count);
int lm_api_take_level(struct lm_api_call *call, const char *name, enum lm_level *level);
/* A site; "" is none, as forms send it. */
int lm_api_take_site(struct lm_api_call *call, const char *name, bool *is_given, uint64_t *site);
/* A PID, of any process. */
int lm_api_take_pid(struct lm_api_call *call, uint32_t *pid);
/* RFC 3339, seconds since the epoch, or a duration before now; "" is none. */
int lm_api_take_time(struct lm_api_call *call, const char *name, int64_t now_ns, int64_t *time_ns);

/* 16 hex digits and no more, else -EINVAL. */
int lm_api_parse_site(const char *text, uint64_t *site);
/* "2026-11-23T12:00:00.5Z", "…+01:00" (or a blank for the +, as forms decode it), "1795435200.5", "90m" = so long
 * before now. -EINVAL, or -ERANGE outside 1970 to 2262. */
int lm_api_parse_time(const char *text, int64_t now_ns, int64_t *time_ns);

/* True if the client's Accept asks for OpenMetrics 1.0 rather than for Prometheus text, as RFC 9110 (12.5.1) weighs
 * them; wildcards ask for nothing. NULL: there is none. */
bool lm_api_accepts_openmetrics(const char *accept);

/* --- what is in a snapshot --- */

/* Takes the PID, which must be one of the snapshot's: refuses with 404. The process is NULL, and the PID 0, without the
 * parameter; it is NULL too where only a site tells of the process. */
int lm_api_take_process(struct lm_api_call *call, uint32_t *pid, const struct lm_snapshot_process **process);
/* Refuses with 404 if the process is no Go program, with 503 if its goroutines are not known. */
int lm_api_need_goroutines(struct lm_api_call *call, uint32_t pid, const struct lm_snapshot_process *process);
/* comm of a process; NULL = not known. */
const char *lm_api_comm(const struct lm_snapshot *snapshot, uint32_t pid);

/* A finding with the comm of its process. NULL: no memory. */
json_t *lm_api_finding(const struct lm_snapshot *snapshot, const struct lm_snapshot_finding *finding);
json_t *lm_api_change(const struct lm_change *change);

/* --- endpoints --- */

lm_api_handler lm_api_metrics, lm_api_snapshot, lm_api_findings, lm_api_site, lm_api_history, lm_api_events,
	lm_api_profiles, lm_api_threads_profile, lm_api_goroutines_profile, lm_api_export, lm_api_threads,
	lm_api_goroutines, lm_api_healthy, lm_api_ready;

#endif
