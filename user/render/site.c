// SPDX-License-Identifier: GPL-2.0-or-later
/* Headlines and stacks. Which of their lines are written is decided by text.c. */
#include "user/render/site.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/render/site_go.h"
#include "user/render/words.h"

#define INDENT 4
#define PROCESS_MAX 24 /* columns: longer names push their own line only */
#define PLACE_MAX 40
#define PLACE_MIN 20 /* what a narrow window leaves of it */

struct cells {
	struct lm_words count, oldest, median, arrived, departed, rate;
};

static struct cells cells_of(const struct lm_snapshot *snapshot, const struct lm_snapshot_site *site)
{
	struct cells cells = {
		.count = lm_words_count(site->count),
		.oldest = {"?"},
		.median = lm_words_duration(site->median_blocked_s),
		.rate = lm_words_rate(site->rate_per_h),
	};
	int64_t age_ns = snapshot->time_ns - site->oldest_blocked_since_ns;

	if (site->oldest_blocked_since_ns > 0 && snapshot->time_ns > 0)
		cells.oldest = lm_words_duration(age_ns > 0 ? (double)age_ns / 1e9 : 0);
	snprintf(cells.arrived.text, sizeof(cells.arrived.text), "+%.40s", lm_words_count(site->arrived).text);
	snprintf(cells.departed.text, sizeof(cells.departed.text), "−%.40s", lm_words_count(site->departed).text);
	return cells;
}

static const char *unit_of(const struct lm_snapshot_site *site)
{
	if (site->kind == LM_SITE_GOROUTINE)
		return site->count == 1 ? "goroutine" : "goroutines";
	return site->count == 1 ? "thread" : "threads";
}

static bool is_named(const char *name)
{
	return name && *name;
}

const struct lm_snapshot_frame *lm_site_place(const struct lm_snapshot_site *site)
{
	if (site->place)
		return site->place;
	return site->kernel_stack_len ? &site->kernel_stack[0] : NULL;
}

static void add_frame(struct lm_page *page, const struct lm_snapshot_frame *frame)
{
	if (is_named(frame->function)) {
		lm_page_add(page, frame->function);
		return;
	}
	lm_page_add(page, is_named(frame->module) ? frame->module : "[unknown]");
	lm_page_print(page, "+0x%" PRIx64, frame->offset);
}

static size_t frame_width(const struct lm_snapshot_frame *frame)
{
	if (is_named(frame->function))
		return lm_page_width(frame->function);
	return lm_page_width(is_named(frame->module) ? frame->module : "[unknown]") +
	       (size_t)snprintf(NULL, 0, "+0x%" PRIx64, frame->offset);
}

static const char *base_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash && slash[1] ? slash + 1 : file;
}

static bool shows_line(const struct lm_snapshot_site *site)
{
	return site->place_has_line && is_named(site->place->file) && site->place->line;
}

static void add_place(struct lm_page *page, const struct lm_snapshot_site *site)
{
	const struct lm_snapshot_frame *place = lm_site_place(site);

	if (!place)
		return;
	add_frame(page, place);
	if (!shows_line(site))
		return;
	lm_page_print(page, " (");
	lm_page_add(page, base_name(place->file));
	lm_page_print(page, ":%" PRIu32 ")", place->line);
}

static size_t place_width(const struct lm_snapshot_site *site)
{
	const struct lm_snapshot_frame *place = lm_site_place(site);
	size_t width = place ? frame_width(place) : 0;

	if (shows_line(site))
		width += (size_t)snprintf(NULL, 0, " (:%" PRIu32 ")", place->line) +
			 lm_page_width(base_name(place->file));
	return width;
}

static void add_process(struct lm_page *page, const struct lm_snapshot_site *site)
{
	lm_page_add(page, site->comm);
	lm_page_print(page, "[%" PRIu32 "]", site->pid);
}

static void widen(size_t *width, size_t needed, size_t most)
{
	if (needed > most)
		needed = most;
	if (*width < needed)
		*width = needed;
}

void lm_site_measure(const struct lm_snapshot *snapshot, const struct lm_site_view *view, struct lm_site_widths *widths)
{
	const struct lm_snapshot_site *site = view->site;
	struct cells cells = cells_of(snapshot, site);

	widen(&widths->count, lm_page_width(cells.count.text), SIZE_MAX);
	widen(&widths->unit, strlen(unit_of(site)), SIZE_MAX);
	widen(&widths->oldest, lm_page_width(cells.oldest.text), SIZE_MAX);
	widen(&widths->median, lm_page_width(cells.median.text), SIZE_MAX);
	widen(&widths->arrived, lm_page_width(cells.arrived.text), SIZE_MAX);
	widen(&widths->departed, lm_page_width(cells.departed.text), SIZE_MAX);
	widen(&widths->rate, lm_page_width(cells.rate.text), SIZE_MAX);
	widen(&widths->process,
		(site->comm ? lm_page_width(site->comm) : 0) + (size_t)snprintf(NULL, 0, "[%" PRIu32 "]", site->pid),
		PROCESS_MAX);
	widen(&widths->place, place_width(site), PLACE_MAX);
}

/* How many different things the members wait on, if that is known. */
static void add_objects(struct lm_page *page, const struct lm_snapshot_site *site)
{
	bool fd = site->wait.object_is_fd;
	int64_t objects = site->wait.objects;

	if (objects == 1 && site->wait.has_object)
		lm_page_print(page, fd ? ", %sfd %" PRIu64 : ", %s0x%" PRIx64, site->count > 1 ? "all on one: " : "on ",
			site->wait.object);
	else if (objects > 1 && objects == site->count)
		lm_page_print(page, ", each on %s of its own", fd ? "a descriptor" : "an object");
	else if (objects > 1)
		lm_page_print(page, ", on %s %s", lm_words_count(objects).text, fd ? "descriptors" : "objects");
}

static void add_wait(struct lm_page *page, const struct lm_snapshot_site *site)
{
	if (site->kind == LM_SITE_GOROUTINE && is_named(site->wait.detail)) {
		lm_page_add(page, site->wait.detail);
		return;
	}
	lm_page_print(page, "%s", lm_wait_class_name(site->wait.wait_class));
	if (is_named(site->wait.detail)) {
		lm_page_print(page, " (");
		lm_page_add(page, site->wait.detail);
		lm_page_print(page, ")");
	}
	add_objects(page, site);
}

static void add_site_and_finding(struct lm_page *page, const struct lm_site_view *view)
{
	char type[32];

	lm_page_style(page, LM_STYLE_DIM);
	lm_page_print(page, "  %016" PRIx64, view->site->site);
	lm_page_style(page, LM_STYLE_PLAIN);
	if (!view->finding)
		return;
	lm_page_print(page, "  ");
	lm_page_style(page, lm_site_level_style(view->finding->level));
	lm_page_print(page, "%s %s", lm_level_name(view->finding->level),
		lm_site_type_words(view->finding->type, type, sizeof(type)));
}

/* A text at the right of the next cell of that width, behind the label. */
static void add_right(struct lm_page *page, const char *label, const char *text, size_t width)
{
	size_t taken = lm_page_width(text);

	lm_page_print(page, "%s", label);
	if (taken < width)
		lm_page_fill(page, lm_page_column(page) + width - taken);
	lm_page_print(page, "%s", text);
}

static void add_count(struct lm_page *page, const struct lm_site_view *view, const char *count, size_t width)
{
	add_right(page, "", "", width > lm_page_width(count) ? width - lm_page_width(count) : 0);
	lm_page_style(page, view->finding ? lm_site_level_style(view->finding->level) : LM_STYLE_BOLD);
	lm_page_print(page, "%s", count);
	lm_page_style(page, LM_STYLE_PLAIN);
}

static void add_sentence(struct lm_page *page, const struct lm_snapshot *snapshot, const struct lm_site_widths *widths,
	const struct lm_site_view *view)
{
	struct cells cells = cells_of(snapshot, view->site);
	size_t column;

	add_count(page, view, cells.count.text, widths->count);
	column = lm_page_column(page) + 1;
	lm_page_print(page, " %s", unit_of(view->site));
	lm_page_fill(page, column + widths->unit);
	add_right(page, "  oldest ", cells.oldest.text, widths->oldest);
	add_right(page, "  median ", cells.median.text, widths->median);
	add_right(page, "  ", cells.arrived.text, widths->arrived);
	add_right(page, " ", cells.departed.text, widths->departed);
	add_right(page, "  ", cells.rate.text, widths->rate);
	lm_page_print(page, "  ");
	column = lm_page_column(page);
	add_process(page, view->site);
	lm_page_fill(page, column + widths->process);
}

#define GAP 2 /* columns between two cells */
#define HEAD_COUNT "COUNT"
#define HEAD_OLDEST "OLDEST"
#define HEAD_RATE "RATE"
#define HEAD_PROCESS "PROCESS"
#define HEAD_PLACE "WHERE"
#define HEAD_MEDIAN "MEDIAN"
#define HEAD_ARRIVED "IN"
#define HEAD_DEPARTED "OUT"
#define HEAD_REST "  WAITS ON  SITE"

static size_t wider(size_t width, const char *head)
{
	return width > strlen(head) ? width : strlen(head);
}

/* Of a row of the table, but for its place. */
static size_t width_of_others(const struct lm_site_widths *widths)
{
	return wider(widths->count, HEAD_COUNT) + wider(widths->oldest, HEAD_OLDEST) + wider(widths->rate, HEAD_RATE) +
	       wider(widths->process, HEAD_PROCESS) + wider(widths->median, HEAD_MEDIAN) +
	       wider(widths->arrived, HEAD_ARRIVED) + wider(widths->departed, HEAD_DEPARTED) + 7 * GAP;
}

void lm_site_fit(const struct lm_render_options *options, struct lm_site_widths *widths)
{
	size_t columns = options->columns > 0 ? (size_t)options->columns : 0, others = width_of_others(widths);

	if (!columns || options->rows <= 0 || others + widths->place <= columns)
		return;
	widths->place = others + PLACE_MIN < columns ? columns - others : PLACE_MIN;
}

/* What matters most stands at the left, since a narrow window cuts the right. */
static void add_row(struct lm_page *page, const struct lm_snapshot *snapshot, const struct lm_site_widths *widths,
	const struct lm_site_view *view)
{
	struct cells cells = cells_of(snapshot, view->site);
	size_t column;

	add_count(page, view, cells.count.text, wider(widths->count, HEAD_COUNT));
	add_right(page, "  ", cells.oldest.text, wider(widths->oldest, HEAD_OLDEST));
	add_right(page, "  ", cells.rate.text, wider(widths->rate, HEAD_RATE));
	lm_page_print(page, "  ");
	column = lm_page_column(page);
	add_process(page, view->site);
	lm_page_cell(page, column + wider(widths->process, HEAD_PROCESS));
	lm_page_print(page, "  ");
	column = lm_page_column(page);
	add_place(page, view->site);
	lm_page_cell(page, column + wider(widths->place, HEAD_PLACE));
	add_right(page, "  ", cells.median.text, wider(widths->median, HEAD_MEDIAN));
	add_right(page, "  ", cells.arrived.text, wider(widths->arrived, HEAD_ARRIVED));
	add_right(page, "  ", cells.departed.text, wider(widths->departed, HEAD_DEPARTED));
}

/* A row that ends with less than its heads would lose a number to the ellipsis. */
static bool has_room_for_rest(int columns, const struct lm_site_widths *widths)
{
	size_t row = width_of_others(widths) + wider(widths->place, HEAD_PLACE);

	return columns <= 0 || row + strlen(HEAD_REST) <= (size_t)columns;
}

size_t lm_site_compose_columns(struct lm_page *page, int columns, const struct lm_site_widths *widths)
{
	size_t column;

	lm_page_style(page, LM_STYLE_BOLD);
	add_right(page, "", HEAD_COUNT, wider(widths->count, HEAD_COUNT));
	add_right(page, "  ", HEAD_OLDEST, wider(widths->oldest, HEAD_OLDEST));
	add_right(page, "  ", HEAD_RATE, wider(widths->rate, HEAD_RATE));
	column = lm_page_column(page) + 2;
	lm_page_print(page, "  %s", HEAD_PROCESS);
	column += wider(widths->process, HEAD_PROCESS) + 2;
	lm_page_fill(page, column);
	lm_page_print(page, "%s", HEAD_PLACE);
	lm_page_fill(page, column + wider(widths->place, HEAD_PLACE));
	add_right(page, "  ", HEAD_MEDIAN, wider(widths->median, HEAD_MEDIAN));
	add_right(page, "  ", HEAD_ARRIVED, wider(widths->arrived, HEAD_ARRIVED));
	add_right(page, "  ", HEAD_DEPARTED, wider(widths->departed, HEAD_DEPARTED));
	if (has_room_for_rest(columns, widths))
		lm_page_print(page, HEAD_REST);
	return lm_page_end(page);
}

/* A headline without what the members wait on. */
static void add_headline(struct lm_page *page, const struct lm_snapshot *snapshot,
	const struct lm_render_options *options, const struct lm_site_widths *widths, const struct lm_site_view *view)
{
	if (options->rows > 0)
		add_row(page, snapshot, widths, view);
	else
		add_sentence(page, snapshot, widths, view);
}

/* Ends a line of the body that stands for that many frames. */
static void end_body_line(struct lm_page *page, struct lm_site_view *view, size_t frames)
{
	lm_page_end(page);
	view->frames[view->body_len++] = frames;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool look_same(const struct lm_snapshot_frame *a, const struct lm_snapshot_frame *b)
{
	if (!same_text(a->function, b->function) || !same_text(a->module, b->module) || a->inlined != b->inlined)
		return false;
	return is_named(a->function) ? same_text(a->file, b->file) && a->line == b->line : a->offset == b->offset;
}

/* How many frames from the first on look the same: recursion. */
static size_t run_of(const struct lm_snapshot_frame *frames, size_t len)
{
	size_t run = 1;

	while (run < len && look_same(&frames[0], &frames[run]))
		run++;
	return run;
}

/* The name of the file is enough where its path would push the line number off the window. */
static const char *file_that_fits(
	const struct lm_page *page, const struct lm_render_options *options, const struct lm_snapshot_frame *frame)
{
	size_t width = lm_page_column(page) + 2 + lm_page_width(frame->file) + strlen(":123456");

	return options->columns > 0 && width > (size_t)options->columns ? base_name(frame->file) : frame->file;
}

static void add_source(
	struct lm_page *page, const struct lm_render_options *options, const struct lm_snapshot_frame *frame)
{
	if (!is_named(frame->function) || (!is_named(frame->file) && !is_named(frame->module)))
		return;
	lm_page_style(page, LM_STYLE_DIM);
	if (!is_named(frame->file)) {
		lm_page_print(page, "  (");
		lm_page_add(page, frame->module);
		lm_page_print(page, ")");
		return;
	}
	lm_page_print(page, "  ");
	lm_page_add(page, file_that_fits(page, options, frame));
	if (frame->line)
		lm_page_print(page, ":%" PRIu32, frame->line);
}

static void compose_stack(struct lm_page *page, const struct lm_render_options *options, struct lm_site_view *view)
{
	const struct lm_snapshot_site *site = view->site;
	size_t first = 0, end = site->stack_len;

	if (site->kind == LM_SITE_GOROUTINE)
		lm_site_go_frames(site, &first, &end);
	for (size_t i = first, run; i < end; i += run) {
		const struct lm_snapshot_frame *frame = &site->stack[i];

		run = run_of(frame, end - i);
		lm_page_print(page, "%*s", INDENT, "");
		add_frame(page, frame);
		if (frame->inlined)
			lm_page_print(page, " (inlined)");
		add_source(page, options, frame);
		lm_page_style(page, LM_STYLE_PLAIN);
		if (run > 1)
			lm_page_print(page, "  ×%zu", run);
		end_body_line(page, view, run);
	}
}

static void add_kernel_frame(struct lm_page *page, const struct lm_snapshot_frame *frame)
{
	lm_page_add(page, is_named(frame->function) ? frame->function : "[unknown]");
}

/* Below a user stack the kernel's part is a single line: most of it is the same for every wait of a class. */
static void compose_kernel_line(struct lm_page *page, struct lm_site_view *view)
{
	const struct lm_snapshot_site *site = view->site;

	if (!site->kernel_stack_len)
		return;
	lm_page_print(page, "%*s", INDENT, "");
	lm_page_style(page, LM_STYLE_DIM);
	lm_page_print(page, "kernel: ");
	for (size_t i = 0; i < site->kernel_stack_len; i++) {
		if (i)
			lm_page_print(page, " ← ");
		add_kernel_frame(page, &site->kernel_stack[i]);
	}
	end_body_line(page, view, site->kernel_stack_len);
}

static void compose_kernel_stack(struct lm_page *page, struct lm_site_view *view)
{
	for (size_t i = 0; i < view->site->kernel_stack_len; i++) {
		const struct lm_snapshot_frame *frame = &view->site->kernel_stack[i];

		lm_page_print(page, "%*s", INDENT, "");
		add_kernel_frame(page, frame);
		if (is_named(frame->function)) {
			lm_page_style(page, LM_STYLE_DIM);
			lm_page_print(page, "+0x%" PRIx64 "  (kernel)", frame->offset);
		}
		end_body_line(page, view, 1);
	}
}

static void compose_why(struct lm_page *page, struct lm_site_view *view)
{
	const struct lm_snapshot_site *site = view->site;

	if (!site->stack_why && (site->stack_len || site->kernel_stack_len))
		return;
	lm_page_print(page, "%*s", INDENT, "");
	lm_page_style(page, LM_STYLE_DIM);
	if (site->stack_len)
		lm_page_print(page, "… the stack ends here: ");
	else
		lm_page_print(page, site->stack_why ? "no user stack: " : "no stack");
	lm_page_add(page, site->stack_why);
	end_body_line(page, view, 0);
}

static void compose_owner(struct lm_page *page, struct lm_site_view *view)
{
	const struct lm_snapshot_owner *owner = view->site->wait.owner;

	if (!owner)
		return;
	lm_page_print(page, "%*s%s TID %" PRIu64 " (", INDENT, "",
		view->site->wait.wait_class == LM_WAIT_FUTEX_JOIN ? "waits for the end of" : "held by", owner->id);
	lm_page_add(page, owner->comm);
	lm_page_print(page, "), which ");
	if (owner->waits_in) {
		lm_page_print(page, "waits in ");
		lm_page_add(page, owner->waits_in);
	} else {
		lm_page_print(page, "runs, or has waited for a moment only");
	}
	end_body_line(page, view, 0);
}

static void compose_goroutine_head(struct lm_page *page, const struct lm_snapshot *snapshot, struct lm_site_view *view)
{
	if (is_named(view->site->shape)) {
		lm_page_print(page, "%*s", INDENT, "");
		lm_page_add(page, view->site->shape);
		end_body_line(page, view, 0);
	}
	if (!view->site->members_len)
		return;
	lm_page_print(page, "%*s", INDENT, "");
	lm_site_go_head(page, snapshot, view->site);
	end_body_line(page, view, 0);
}

static void compose_creator(struct lm_page *page, const struct lm_render_options *options, struct lm_site_view *view)
{
	const struct lm_snapshot_creator *creator = view->site->created_by;
	struct lm_snapshot_frame frame;

	if (!creator || !is_named(creator->function))
		return;
	frame = (struct lm_snapshot_frame){.function = creator->function, .file = creator->file, .line = creator->line};
	lm_page_print(page, "%*s", INDENT, "");
	lm_site_go_creator(page, view->site);
	add_source(page, options, &frame);
	lm_page_style(page, LM_STYLE_PLAIN);
	end_body_line(page, view, 0);
}

static void compose_body(struct lm_page *page, const struct lm_snapshot *snapshot,
	const struct lm_render_options *options, struct lm_site_view *view)
{
	bool is_go = view->site->kind == LM_SITE_GOROUTINE;

	compose_owner(page, view);
	if (is_go)
		compose_goroutine_head(page, snapshot, view);
	if (view->site->stack_len) {
		compose_kernel_line(page, view);
		compose_stack(page, options, view);
	} else {
		compose_kernel_stack(page, view);
	}
	compose_why(page, view);
	if (is_go)
		compose_creator(page, options, view);
}

/* What did not fit into the headline. */
static void compose_rest(struct lm_page *page, struct lm_site_view *view)
{
	lm_page_print(page, "%*s", INDENT, "");
	add_wait(page, view->site);
	add_site_and_finding(page, view);
	end_body_line(page, view, 0);
}

int lm_site_compose(struct lm_page *page, const struct lm_snapshot *snapshot, const struct lm_render_options *options,
	const struct lm_site_widths *widths, struct lm_site_view *view)
{
	bool whole = options->rows <= 0 || has_room_for_rest(options->columns, widths);

	/* a line for each frame, the rest of the headline, the owner, why the stack ends, and a goroutine's three */
	view->frames = calloc(view->site->stack_len + view->site->kernel_stack_len + 6, sizeof(*view->frames));
	if (!view->frames)
		return -ENOMEM;
	add_headline(page, snapshot, options, widths, view);
	if (whole) {
		lm_page_print(page, "  ");
		add_wait(page, view->site);
		add_site_and_finding(page, view);
		whole = options->columns <= 0 || lm_page_column(page) <= (size_t)options->columns;
	}
	view->headline_alone = view->headline = lm_page_end(page);
	if (!whole) {
		add_headline(page, snapshot, options, widths, view);
		view->headline = lm_page_end(page);
	}
	view->body = lm_page_len(page);
	view->body_len = 0;
	if (!whole)
		compose_rest(page, view);
	compose_body(page, snapshot, options, view);
	view->body_shown = view->body_len;
	return lm_page_error(page);
}

size_t lm_site_frames_hidden(const struct lm_site_view *view)
{
	size_t hidden = 0;

	for (size_t i = view->body_shown; i < view->body_len; i++)
		hidden += view->frames[i];
	return hidden;
}

void lm_site_view_clear(struct lm_site_view *view)
{
	free(view->frames);
	view->frames = NULL;
}

enum lm_style lm_site_level_style(enum lm_level level)
{
	if (level >= LM_LEVEL_LIKELY)
		return LM_STYLE_RED;
	return level == LM_LEVEL_SUSPECT ? LM_STYLE_YELLOW : LM_STYLE_PLAIN;
}

const char *lm_site_type_words(enum lm_finding_type type, char *buffer, size_t size)
{
	snprintf(buffer, size, "%s", lm_finding_type_name(type));
	for (char *at = strchr(buffer, '_'); at; at = strchr(at, '_'))
		*at = ' ';
	return buffer;
}
