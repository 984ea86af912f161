// SPDX-License-Identifier: GPL-2.0-or-later
#include "user/render/site_go.h"

#include <inttypes.h>
#include <string.h>

#include "user/render/words.h"

#define NS_PER_MIN INT64_C(60000000000)

bool lm_site_go_head(struct lm_page *page, const struct lm_snapshot *snapshot, const struct lm_snapshot_site *site)
{
	const struct lm_snapshot_member *first = site->members_len ? &site->members[0] : NULL;
	int64_t minutes;

	if (!first)
		return false;
	lm_page_print(page, "goroutine %" PRIu64 " [", first->id);
	lm_page_add(page, site->wait.detail ? site->wait.detail : lm_wait_class_name(site->wait.wait_class));
	minutes = first->blocked_since_ns > 0 ? (snapshot->time_ns - first->blocked_since_ns) / NS_PER_MIN : 0;
	if (minutes > 0)
		lm_page_print(page, ", %" PRId64 " minutes", minutes);
	if (first->go.locked)
		lm_page_print(page, ", locked to thread");
	lm_page_print(page, "]:");
	if (first->go.labels && *first->go.labels) {
		lm_page_print(page, "  {");
		lm_page_add(page, first->go.labels);
		lm_page_print(page, "}");
	}
	return true;
}

bool lm_site_go_creator(struct lm_page *page, const struct lm_snapshot_site *site)
{
	const struct lm_snapshot_creator *creator = site->created_by;

	if (!creator || !creator->function)
		return false;
	lm_page_print(page, "created by ");
	lm_page_add(page, creator->function);
	if (creator->parent_goid)
		lm_page_print(page, " in goroutine %" PRIu64, creator->parent_goid);
	if (creator->creators > 1)
		lm_page_print(page, " (and at %s other %s)", lm_words_count(creator->creators - 1).text,
			creator->creators == 2 ? "place" : "places");
	return true;
}

static bool is_runtime(const struct lm_snapshot_frame *frame)
{
	return frame->function && strncmp(frame->function, "runtime.", strlen("runtime.")) == 0;
}

void lm_site_go_frames(const struct lm_snapshot_site *site, size_t *first, size_t *end)
{
	*first = 0;
	*end = site->stack_len;
	while (*first < *end && is_runtime(&site->stack[*first]))
		(*first)++;
	while (*end > *first && is_runtime(&site->stack[*end - 1]))
		(*end)--;
	if (*first < *end)
		return;
	*first = 0;
	*end = site->stack_len;
}
