// SPDX-License-Identifier: GPL-2.0-or-later
/* What all profiles have in common: which sites, and what their frames are called. */
#include "user/render/profile.h"

#include <inttypes.h>
#include <stdlib.h>

#include "user/render/escape.h"

static bool is_taken(const struct lm_snapshot_site *site, const struct lm_profile_filter *filter)
{
	if (site->count <= 0 || (filter->pid && site->pid != filter->pid))
		return false;
	return filter->kind == LM_PROFILE_ALL ||
	       (site->kind == LM_SITE_GOROUTINE) == (filter->kind == LM_PROFILE_GOROUTINES);
}

const struct lm_snapshot_site *lm_profile_next(
	const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter, struct lm_profile_cursor *cursor)
{
	while (cursor->next < snapshot->sites_len && (filter->top <= 0 || cursor->taken < filter->top)) {
		const struct lm_snapshot_site *site = &snapshot->sites[cursor->next++];

		if (!is_taken(site, filter))
			continue;
		cursor->taken++;
		return site;
	}
	return NULL;
}

const char *lm_profile_text(struct lm_arena *arena, const char *text)
{
	char *escaped = lm_escape(text ? text : ""), *copy = escaped ? lm_arena_text(arena, escaped) : NULL;

	free(escaped);
	return copy;
}

const char *lm_profile_frame_name(struct lm_arena *arena, const struct lm_snapshot_frame *frame)
{
	const char *module;

	if (frame->function && *frame->function)
		return lm_profile_text(arena, frame->function);
	module = frame->module && *frame->module ? lm_profile_text(arena, frame->module) : "[unknown]";
	return module ? lm_arena_format(arena, "%s+0x%" PRIx64, module, frame->offset) : NULL;
}
