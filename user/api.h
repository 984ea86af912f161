/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract's endpoints as a function: a path and its parameters in, an answer
 * out. Knows nothing of sockets and connections (http.h does).
 */
#ifndef LM_API_H
#define LM_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/changes.h"
#include "user/history.h"
#include "user/render/metrics.h"
#include "user/snapshot.h"

/* What is served. The daemon keeps it up to date; all of it is read in answering, nothing is kept. */
struct lm_api_source {
	const struct lm_snapshot *snapshot; /* NULL: there was no report yet */
	uint64_t generation;                /* another one for each snapshot */
	struct lm_metrics_self *self;
	struct lm_history *history; /* NULL: there is none */
	const char *history_why;    /* why not; NULL if there is one */
	bool healthy;               /* looks succeed */
	bool ready;                 /* attached, and one look done */
	size_t max_series;
};

/* The parameter's value, decoded, "" if it has none; NULL if it is not there. */
typedef const char *lm_api_parameter(const void *context, const char *name);

struct lm_api_request {
	const char *path; /* decoded, without the parameters */
	lm_api_parameter *parameter;
	const void *context;
	const char *accept; /* the header, NULL if it was not there */
};

enum lm_api_kind {
	LM_API_WHOLE, /* the body is the answer */
	LM_API_EVENTS /* the body is the beginning of a stream of events (lm_api_event) that does not end */
};

struct lm_api_answer {
	enum lm_api_kind kind;
	unsigned int status;      /* of HTTP */
	const char *content_type; /* static text */
	const char *disposition;  /* of Content-Disposition, static text; NULL: none */
	const char *security;     /* of Content-Security-Policy, static text; NULL: "default-src 'none'" */
	char *body;               /* to be freed */
	size_t len;
	bool is_of_snapshot; /* it depends on the path, its parameters, Accept and the generation alone: may be kept and
				tagged */
	bool is_static;      /* it never changes while this program runs */
};

/* Answers; errors are answers too, with a status of 4xx or 5xx and JSON {"error": …} or text. 0, or -ENOMEM: then there
 * is no answer. */
int lm_api_answer(
	const struct lm_api_source *source, const struct lm_api_request *request, struct lm_api_answer *answer);
void lm_api_answer_free(struct lm_api_answer *answer);

/* A change as a server-sent event ("event: …\nid: …\ndata: {…}\n\n"). To be freed; NULL: no memory. */
char *lm_api_event(const struct lm_change *change, size_t *len);

#endif
