// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The report that a person reads: what is going on, what is wrong, then the sites,
 * worst first. Without a window everything is written; with one (rows), the lines
 * that matter most: the heading, findings, a line for each site, and stacks as far
 * as there is room. What is left out is always counted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "user/render/page.h"
#include "user/render/parts.h"
#include "user/render/render.h"
#include "user/render/site.h"
#include "user/render/words.h"

#define HEADING_ROWS 2 /* at least: when, and how many findings */
#define WINDOW_NOTES 3 /* at most, of the rows of a window */
#define WINDOW_SITES 5 /* keep a row each while findings are written out */
#define FIRST_SHARE 8  /* rows that a stack gets at first; more when every site has had its share */
#define INDENT 4

struct finding_view {
	struct lm_lines brief, full;
	bool whole;
};

struct report {
	FILE *stream;
	const struct lm_snapshot *snapshot;
	const struct lm_render_options *options;
	struct lm_page *page;
	struct lm_lines heading, loss, notes, limits;
	size_t notes_shown;
	bool notes_counted; /* there is a row to say how many notes are not shown */
	struct finding_view *findings;
	size_t findings_len, findings_shown;
	bool findings_headed;
	size_t findings_below; /* left out because of --min-level */
	struct lm_site_view *sites;
	size_t sites_len, sites_shown;
	struct lm_site_widths widths;
	size_t written;
};

static bool in_window(const struct report *report)
{
	return report->options->rows > 0;
}

static void write_line(struct report *report, size_t line)
{
	if (in_window(report) && report->written >= (size_t)report->options->rows)
		return;
	lm_page_write(report->page, line, report->stream);
	report->written++;
}

static void write_lines(struct report *report, struct lm_lines lines)
{
	for (size_t i = 0; i < lines.len; i++)
		write_line(report, lines.first + i);
}

/* A line of its own between parts, where there is no window to fit into. */
static void write_gap(struct report *report)
{
	if (!in_window(report))
		write_line(report, lm_page_end(report->page));
}

static int compose_findings(struct report *report, const struct lm_parts *parts)
{
	const struct lm_snapshot *snapshot = report->snapshot;
	struct finding_view *view;

	report->findings = calloc(snapshot->findings_len + 1, sizeof(*report->findings));
	if (!report->findings)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->findings_len; i++) {
		if (snapshot->findings[i].level < report->options->min_level) {
			report->findings_below++;
			continue;
		}
		view = &report->findings[report->findings_len++];
		view->full = lm_parts_finding(parts, &snapshot->findings[i], &view->brief);
		view->whole = true;
	}
	report->findings_shown = report->findings_len;
	report->findings_headed = report->findings_len > 0;
	return 0;
}

/* The finding about a site, NULL if there is none. */
static const struct lm_snapshot_finding *finding_of(const struct report *report, const struct lm_snapshot_site *site)
{
	for (size_t i = 0; i < report->snapshot->findings_len; i++) {
		const struct lm_snapshot_finding *finding = &report->snapshot->findings[i];

		if (finding->pid == site->pid && finding->site == site->site &&
			finding->level >= report->options->min_level)
			return finding;
	}
	return NULL;
}

/* Views of the sites to be shown, those of idle pools last. */
static void choose_sites(struct report *report, size_t limit)
{
	const struct lm_snapshot *snapshot = report->snapshot;

	for (int idle = 0; idle <= 1; idle++) {
		for (size_t i = 0; i < snapshot->sites_len && report->sites_len < limit; i++) {
			if (snapshot->sites[i].idle_pool == idle)
				report->sites[report->sites_len++].site = &snapshot->sites[i];
		}
	}
}

static int compose_sites(struct report *report)
{
	const struct lm_render_options *options = report->options;
	size_t limit = report->snapshot->sites_len;
	int error = 0;

	if (options->top > 0 && (size_t)options->top < limit)
		limit = (size_t)options->top;
	if (in_window(report) && (size_t)options->rows < limit)
		limit = (size_t)options->rows;
	report->sites = calloc(limit + 1, sizeof(*report->sites));
	if (!report->sites)
		return -ENOMEM;
	choose_sites(report, limit);
	for (size_t i = 0; i < report->sites_len; i++) {
		report->sites[i].finding = finding_of(report, report->sites[i].site);
		lm_site_measure(report->snapshot, &report->sites[i], &report->widths);
	}
	lm_site_fit(options, &report->widths);
	for (size_t i = 0; i < report->sites_len && !error; i++)
		error = lm_site_compose(report->page, report->snapshot, options, &report->widths, &report->sites[i]);
	report->sites_shown = report->sites_len;
	return error;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Takes up to that many of the rows left. */
static size_t take(size_t *left, size_t wanted)
{
	size_t taken = least(*left, wanted);

	*left -= taken;
	return taken;
}

/* How many of len items get a row each when there are that many rows; the last row says how many do not. */
static size_t rows_for(size_t *left, size_t len)
{
	if (len <= *left)
		return take(left, len);
	return *left ? take(left, *left) - 1 : 0;
}

/* First a row for each finding, then the whole of the first ones, worst first, as long as sites keep some rows. The
 * worst has its row before any site has, and before what is said of the others. */
static void plan_findings(struct report *report, size_t *left, size_t kept)
{
	size_t needed = least(report->findings_len, 2) + (report->findings_below > 0);
	size_t room = least(*left, *left > kept + needed ? *left - kept : needed);
	bool shows_worst = report->findings_len && room;

	*left -= room;
	if (report->findings_below)
		take(&room, 1);
	report->findings_shown = rows_for(&room, report->findings_len);
	if (!report->findings_shown)
		report->findings_shown = shows_worst;
	for (size_t i = 0; i < report->findings_len; i++)
		report->findings[i].whole = false;
	for (size_t i = 0; i < report->findings_shown; i++) {
		size_t more = report->findings[i].full.len - 1;

		if (more > room)
			break;
		report->findings[i].whole = true;
		room -= more;
	}
	*left += room;
}

/* Gives a stack up to that many rows more; one that is not whole needs a row to say so. */
static void grow(struct lm_site_view *view, size_t *left, size_t most)
{
	size_t has = view->body_shown + (view->body_shown && view->body_shown < view->body_len);
	size_t rows = least(least(has + *left, most), view->body_len);

	if (rows <= has || (rows < view->body_len && rows < 2))
		return;
	*left -= rows - has;
	view->body_shown = rows < view->body_len ? rows - 1 : rows;
}

static void plan_sites(struct report *report, size_t *left)
{
	bool idle = false;

	for (size_t i = 0; i < report->sites_len; i++) {
		report->sites[i].body_shown = 0;
		idle = idle || report->sites[i].site->idle_pool;
	}
	take(left, report->sites_len ? 1 + idle : 1); /* headings, or that there are none */
	if (report->sites_len < report->snapshot->sites_len && report->sites_len <= *left)
		take(left, 1); /* "and more", which rows_for counts on its own when the rows are too few */
	report->sites_shown = rows_for(left, report->sites_len);
	for (size_t i = 0; i < report->sites_shown; i++)
		grow(&report->sites[i], left, FIRST_SHARE);
	for (size_t i = 0; i < report->sites_shown; i++)
		grow(&report->sites[i], left, SIZE_MAX);
}

static void plan_notes(struct report *report, size_t *left, size_t kept)
{
	size_t room = *left > kept ? least(*left - kept, WINDOW_NOTES) : 0;

	*left -= room;
	report->notes_counted = room > 0;
	report->notes_shown = rows_for(&room, report->notes.len);
	*left += room;
}

/* Shares out the rows of the window. */
static void plan(struct report *report)
{
	size_t left = (size_t)report->options->rows;
	size_t kept = least(report->sites_len, WINDOW_SITES) + 2;
	size_t worst = report->findings_len && left > HEADING_ROWS; /* a row for it whatever else there is to say */

	left -= worst;
	report->heading.len = take(&left, report->heading.len);
	report->loss.len = take(&left, report->loss.len);
	plan_notes(report, &left, kept + report->findings_len);
	report->findings_headed = report->findings_len && take(&left, 1);
	left += worst;
	plan_findings(report, &left, kept);
	plan_sites(report, &left);
}

static void write_more(struct report *report, size_t count, const char *one, const char *many)
{
	lm_page_print(report->page, "… and %s more %s", lm_words_count((int64_t)count).text,
		lm_parts_plural((int64_t)count, one, many));
	write_line(report, lm_page_end(report->page));
}

static void write_findings(struct report *report)
{
	if (report->findings_headed) {
		write_gap(report);
		lm_page_style(report->page, LM_STYLE_BOLD);
		lm_page_print(report->page, "FINDINGS");
		write_line(report, lm_page_end(report->page));
	}
	for (size_t i = 0; i < report->findings_shown; i++) {
		const struct finding_view *view = &report->findings[i];

		write_lines(report, view->whole ? view->full : view->brief);
	}
	if (report->findings_shown < report->findings_len)
		write_more(report, report->findings_len - report->findings_shown, "finding", "findings");
	if (report->findings_below) {
		lm_page_print(report->page, "… and %zu %s below %s", report->findings_below,
			lm_parts_plural((int64_t)report->findings_below, "finding", "findings"),
			lm_level_name(report->options->min_level));
		write_line(report, lm_page_end(report->page));
	}
}

/* "… and 12 more sites (4,321 threads; 3 idle pools)" */
static void write_hidden_sites(struct report *report)
{
	const struct lm_snapshot *snapshot = report->snapshot;
	size_t hidden = snapshot->sites_len - report->sites_shown, idle = 0;
	uint64_t threads = 0;

	if (!hidden)
		return;
	for (size_t i = 0; i < snapshot->sites_len; i++) {
		threads += (uint64_t)snapshot->sites[i].count;
		idle += snapshot->sites[i].idle_pool;
	}
	for (size_t i = 0; i < report->sites_shown; i++) {
		threads -= (uint64_t)report->sites[i].site->count;
		idle -= report->sites[i].site->idle_pool;
	}
	write_gap(report);
	lm_page_print(report->page, "… and %s more %s (%s %s", lm_words_count((int64_t)hidden).text,
		lm_parts_plural((int64_t)hidden, "site", "sites"), lm_words_count((int64_t)threads).text,
		lm_parts_plural((int64_t)threads, "thread", "threads"));
	if (idle)
		lm_page_print(report->page, "; %s idle %s", lm_words_count((int64_t)idle).text,
			lm_parts_plural((int64_t)idle, "pool", "pools"));
	lm_page_print(report->page, ")");
	write_line(report, lm_page_end(report->page));
}

static void write_idle_heading(struct report *report)
{
	write_gap(report);
	lm_page_style(report->page, LM_STYLE_BOLD);
	lm_page_print(report->page, "idle pools (waiting for work)");
	write_line(report, lm_page_end(report->page));
}

static void write_site(struct report *report, const struct lm_site_view *view)
{
	size_t frames = lm_site_frames_hidden(view);

	write_line(report, view->body_shown ? view->headline : view->headline_alone);
	write_lines(report, (struct lm_lines){view->body, view->body_shown});
	if (!view->body_shown || !frames)
		return;
	lm_page_style(report->page, LM_STYLE_DIM);
	lm_page_print(report->page, "%*s… %zu more %s", INDENT, "", frames,
		lm_parts_plural((int64_t)frames, "frame", "frames"));
	write_line(report, lm_page_end(report->page));
}

static void write_sites(struct report *report)
{
	if (!report->snapshot->sites_len) {
		write_gap(report);
		lm_page_print(report->page, report->snapshot->totals.processes == 0
						    ? "There is no process to watch."
						    : "No thread has been blocked for as long as --min-blocked asks.");
		write_line(report, lm_page_end(report->page));
	}
	if (in_window(report) && report->sites_len)
		write_line(report, lm_site_compose_columns(report->page, report->options->columns, &report->widths));
	for (size_t i = 0; i < report->sites_shown; i++) {
		const struct lm_site_view *view = &report->sites[i];

		if (view->site->idle_pool && (i == 0 || !report->sites[i - 1].site->idle_pool))
			write_idle_heading(report);
		else
			write_gap(report);
		write_site(report, view);
	}
	write_hidden_sites(report);
}

static void write_notes(struct report *report)
{
	write_lines(report, (struct lm_lines){report->notes.first, report->notes_shown});
	if (report->notes_counted && report->notes_shown < report->notes.len)
		write_more(report, report->notes.len - report->notes_shown, "note", "notes");
}

static void write_report(struct report *report)
{
	write_lines(report, report->heading);
	write_lines(report, report->loss);
	write_notes(report);
	write_findings(report);
	write_sites(report);
	if (report->limits.len)
		write_gap(report);
	write_lines(report, report->limits);
	write_gap(report); /* another report may follow */
}

static int compose(struct report *report)
{
	struct lm_parts parts = {report->page, report->snapshot, in_window(report) ? report->options : NULL};
	int error;

	report->heading = lm_parts_heading(&parts);
	report->loss = lm_parts_loss(&parts);
	report->notes = lm_parts_notes(&parts);
	report->notes_shown = report->notes.len;
	error = compose_findings(report, &parts);
	if (!error)
		error = compose_sites(report);
	if (error)
		return error;
	report->limits = lm_parts_limits(&parts);
	if (in_window(report))
		plan(report);
	return lm_page_error(report->page);
}

int lm_render_text(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_render_options *options)
{
	struct report report = {.stream = stream, .snapshot = snapshot, .options = options};
	int error;

	report.page = lm_page_new(options->columns, options->color);
	if (!report.page)
		return -ENOMEM;
	error = compose(&report);
	if (!error) {
		errno = 0;
		write_report(&report);
		if (fflush(stream) != 0 || ferror(stream))
			error = errno ? -errno : -EIO;
		else
			error = lm_page_error(report.page);
	}
	for (size_t i = 0; report.sites && i < report.sites_len; i++)
		lm_site_view_clear(&report.sites[i]);
	free(report.sites);
	free(report.findings);
	lm_page_free(report.page);
	return error;
}
