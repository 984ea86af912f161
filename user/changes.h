/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has become of the findings from one report to the next: for the journal, the event stream and the history. Pure.
 */
#ifndef LM_CHANGES_H
#define LM_CHANGES_H

#include <stddef.h>
#include <stdint.h>

#include "user/snapshot.h"

enum lm_change_kind {
	LM_CHANGE_FOUND,     /* it is new */
	LM_CHANGE_LEVEL,     /* it has another level than before */
	LM_CHANGE_WITHDRAWN, /* it did not hold: threads that it rested on have left */
	LM_CHANGE_ENDED,     /* it is not there any more: its process has ended, or what it told of is over */
	LM_CHANGES
};
/* "found", "level", "withdrawn", "ended". */
const char *lm_change_name(enum lm_change_kind kind);

struct lm_change {
	enum lm_change_kind kind;
	int64_t at_ns; /* wall-clock, of the report that shows it */
	char id[17];
	enum lm_level level,
		before; /* before: NONE if it is new; of what was withdrawn or has ended both are the last one */
	enum lm_finding_type type;
	uint32_t pid;
	uint64_t site;
	int64_t since_ns;
	const char *comm;    /* of the process, NULL = not known */
	const char *summary; /* as it was last said */
};

typedef void lm_change_handler(const struct lm_change *change, void *context);

struct lm_changes; /* the findings of the last report */

int lm_changes_new(struct lm_changes **changes);
/* NULL is fine. */
void lm_changes_free(struct lm_changes *changes);
/* Hands over what has changed since the report before, in the order of the findings' ids; what ended comes last. 0 or
 * -ENOMEM: then nothing was handed over, and the next report is compared with the one before. */
int lm_changes_take(
	struct lm_changes *changes, const struct lm_snapshot *snapshot, lm_change_handler *handler, void *context);
/* A finding that was there before a restart: it is not new when it is found again. One that is not found again has
 * ended when LM_CHANGES_GRACE_S have been watched: it takes some looks to find it. 0 or -ENOMEM. */
#define LM_CHANGES_GRACE_S 60
int lm_changes_remember(struct lm_changes *changes, const struct lm_change *change);

#endif
