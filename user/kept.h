/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings that outlive their processes: threads are gone when a process ends, what was
 * found of it is not. One that was withdrawn, or that no longer holds while its process
 * lives, is dropped. Pure: reports in, findings out.
 */
#ifndef LM_KEPT_H
#define LM_KEPT_H

#include <stddef.h>
#include <stdio.h>

#include "user/render/render.h"
#include "user/snapshot.h"

#define LM_KEPT_MAX 1000 /* findings; more are only counted */

struct lm_kept;

/* 0 or -ENOMEM. */
int lm_kept_new(struct lm_kept **kept);
/* NULL is fine. */
void lm_kept_free(struct lm_kept *kept);

/* Takes over the report, which is now the last one. 0 or -ENOMEM; then the report is freed, and the one before is still
 * the last. */
int lm_kept_take(struct lm_kept *kept, struct lm_snapshot *report);

/* The last report, owned by kept; NULL: there was none yet. */
const struct lm_snapshot *lm_kept_last(const struct lm_kept *kept);

/* Of all that stand; LM_LEVEL_NONE: nothing does. */
enum lm_level lm_kept_worst(const struct lm_kept *kept);

/* Those of the options' level and above, as text. */
void lm_kept_print(const struct lm_kept *kept, FILE *out, const struct lm_render_options *options);

/* The last report, with the findings of processes that have ended, their sites and those processes as they were. To be
 * freed before kept. -ENOENT: there was no report; or -ENOMEM. */
int lm_kept_merge(const struct lm_kept *kept, struct lm_snapshot *merged);

#endif
