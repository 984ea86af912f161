/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sites with their stacks and members. All return NULL when there is no memory. */
#ifndef LM_RENDER_JSON_SITE_H
#define LM_RENDER_JSON_SITE_H

#include <jansson.h>
#include <stddef.h>

#include "user/snapshot.h"

/* A struct lm_snapshot_frame of a user stack. */
json_t *lm_json_frame(const void *item);

/* A site with at most that many of its members. */
json_t *lm_json_site(const struct lm_snapshot_site *site, size_t members);

#endif
