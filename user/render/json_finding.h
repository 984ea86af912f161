/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings, and those that did not hold. All return NULL when there is no memory. */
#ifndef LM_RENDER_JSON_FINDING_H
#define LM_RENDER_JSON_FINDING_H

#include <jansson.h>

#include "user/snapshot.h"

json_t *lm_json_finding(const struct lm_snapshot_finding *finding);
json_t *lm_json_withdrawn(const struct lm_snapshot_withdrawn *withdrawn);

#endif
