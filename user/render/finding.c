// SPDX-License-Identifier: GPL-2.0-or-later
/* A finding as text: its sentence, when it would be wrong, what bounds it, and the stacks of a deadlock. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "user/render/parts.h"
#include "user/render/site.h"
#include "user/render/words.h"

#define INDENT 4

static const char *comm_of(const struct lm_snapshot *snapshot, uint32_t pid)
{
	for (size_t i = 0; i < snapshot->processes_len; i++) {
		if (snapshot->processes[i].pid == pid)
			return snapshot->processes[i].comm;
	}
	return NULL;
}

/* "LIKELY leak: 500 threads of …" */
static void add_verdict(const struct lm_parts *parts, const struct lm_snapshot_finding *finding)
{
	const char *level = lm_level_name(finding->level);
	char type[32];

	lm_page_style(parts->page, lm_site_level_style(finding->level));
	for (; *level; level++)
		lm_page_print(parts->page, "%c", *level >= 'a' && *level <= 'z' ? *level - 'a' + 'A' : *level);
	lm_page_style(parts->page, LM_STYLE_PLAIN);
	lm_page_print(parts->page, " %s: ", lm_site_type_words(finding->type, type, sizeof(type)));
	lm_page_add(parts->page, finding->summary ? finding->summary : "?");
}

static void add_where(const struct lm_parts *parts, const struct lm_snapshot_finding *finding)
{
	struct lm_page *page = parts->page;

	lm_page_print(page, "%*s", INDENT, "");
	lm_page_style(page, LM_STYLE_DIM);
	lm_page_add(page, comm_of(parts->snapshot, finding->pid));
	lm_page_print(page, "[%" PRIu32 "]", finding->pid);
	if (finding->site)
		lm_page_print(page, "  site %016" PRIx64, finding->site);
	if (finding->since_ns > 0)
		lm_page_print(page, "  since %s (%s)", lm_words_time(finding->since_ns).text,
			lm_words_duration((double)(parts->snapshot->time_ns - finding->since_ns) / 1e9).text);
	if (finding->evidence.retrospective)
		lm_page_print(page, "  judged by what was there at the first look");
}

/* What bounds the finding: why it is not surer, and when something runs out. */
static void add_limits(const struct lm_parts *parts, const struct lm_snapshot_finding *finding)
{
	struct lm_page *page = parts->page;
	int64_t left_ns = finding->exhaustion.at_ns - parts->snapshot->time_ns;

	if (finding->held_back) {
		lm_page_print(page, "%*sno surer, because ", INDENT, "");
		lm_page_add(page, finding->held_back);
		lm_page_end_prose(page, 2 * INDENT);
	}
	if (finding->exhaustion.resource) {
		lm_page_print(page, "%*sat this rate %s (%s) is reached in %s, at %s", INDENT, "",
			finding->exhaustion.resource, lm_words_count(finding->exhaustion.limit).text,
			lm_words_duration(left_ns > 0 ? (double)left_ns / 1e9 : 0).text,
			lm_words_time(finding->exhaustion.at_ns).text);
		lm_page_end_prose(page, 2 * INDENT);
	}
}

static void add_frames(struct lm_page *page, const struct lm_snapshot_frame *frames, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const struct lm_snapshot_frame *frame = &frames[i];

		lm_page_print(page, "%*s", 2 * INDENT, "");
		if (frame->function) {
			lm_page_add(page, frame->function);
		} else {
			lm_page_add(page, frame->module);
			lm_page_print(page, "+0x%" PRIx64, frame->offset);
		}
		if (frame->file) {
			lm_page_print(page, "  ");
			lm_page_add(page, frame->file);
			lm_page_print(page, ":%" PRIu32, frame->line);
		}
		lm_page_end(page);
	}
}

/* "TID 77 worker holds 0x…, waits for 0x…", and its stack below, innermost first. */
static void add_cycle_member(struct lm_page *page, const struct lm_snapshot_cycle_member *member)
{
	lm_page_print(page, "%*sTID %" PRIu64 " ", INDENT, "", member->id);
	lm_page_add(page, member->comm);
	if (member->holds)
		lm_page_print(page, " holds 0x%" PRIx64 ",", member->holds);
	lm_page_print(page, " waits for 0x%" PRIx64, member->waits_for);
	lm_page_end_prose(page, 2 * INDENT);
	add_frames(page, member->stack, member->stack_len);
}

struct lm_lines lm_parts_finding(
	const struct lm_parts *parts, const struct lm_snapshot_finding *finding, struct lm_lines *brief)
{
	struct lm_page *page = parts->page;
	size_t first;

	add_verdict(parts, finding);
	*brief = (struct lm_lines){lm_page_end(page), 1};
	first = lm_page_len(page);
	add_verdict(parts, finding);
	lm_page_end_prose(page, INDENT);
	if (finding->wrong_if) {
		lm_page_print(page, "%*swould be wrong if: ", INDENT, "");
		lm_page_add(page, finding->wrong_if);
		lm_page_end_prose(page, 2 * INDENT);
	}
	add_limits(parts, finding);
	add_where(parts, finding);
	lm_page_end_prose(page, 2 * INDENT);
	for (size_t i = 0; i < finding->cycle_len; i++)
		add_cycle_member(page, &finding->cycle[i]);
	return (struct lm_lines){first, lm_page_len(page) - first};
}

static const struct lm_snapshot_site *site_of(
	const struct lm_snapshot *snapshot, const struct lm_snapshot_finding *finding)
{
	for (size_t i = 0; i < snapshot->sites_len; i++) {
		if (snapshot->sites[i].pid == finding->pid && snapshot->sites[i].site == finding->site)
			return &snapshot->sites[i];
	}
	return NULL;
}

int lm_render_finding(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_snapshot_finding *finding,
	const struct lm_render_options *options)
{
	struct lm_page *page = lm_page_new(options->columns, options->color);
	const struct lm_parts parts = {.page = page, .snapshot = snapshot};
	const struct lm_snapshot_site *site = site_of(snapshot, finding);
	struct lm_lines lines, brief;
	int error;

	if (!page)
		return -ENOMEM;
	lines = lm_parts_finding(&parts, finding, &brief);
	/* the stacks of a cycle are told with its members */
	if (site && !finding->cycle_len)
		add_frames(page, site->stack, site->stack_len);
	lines.len = lm_page_len(page) - lines.first;
	for (size_t i = 0; i < lines.len; i++)
		lm_page_write(page, lines.first + i, stream);
	error = lm_page_error(page);
	lm_page_free(page);
	return error ? error : ferror(stream) ? -EIO : 0;
}
