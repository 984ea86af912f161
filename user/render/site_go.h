/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a site of goroutines has on top of others, as Go's own dumps have it. Each writes a line without ending it. */
#ifndef LM_RENDER_SITE_GO_H
#define LM_RENDER_SITE_GO_H

#include <stdbool.h>
#include <stddef.h>

#include "user/render/page.h"
#include "user/snapshot.h"

/* "goroutine 18 [chan send, 5 minutes, locked to thread]:" of the first member; false if there is none. */
bool lm_site_go_head(struct lm_page *page, const struct lm_snapshot *snapshot, const struct lm_snapshot_site *site);

/* "created by main.multiQuery in goroutine 1"; false if that is not known. The file is the caller's to add. */
bool lm_site_go_creator(struct lm_page *page, const struct lm_snapshot_site *site);

/* The frames between those at both ends that are the runtime's own, which Go's dumps leave out: [*first, *end). All of
 * them if there are no others. */
void lm_site_go_frames(const struct lm_snapshot_site *site, size_t *first, size_t *end);

#endif
