// SPDX-License-Identifier: GPL-2.0-or-later
/* The words of the report. Which of them are written where is decided by text.c. */
#include "user/render/parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "user/render/site.h"
#include "user/render/words.h"

#define INDENT 4
#define NAMES_LISTED 3 /* processes named in a line */
#define HALF_DAY_S 43200

static size_t end_line(const struct lm_parts *parts)
{
	return parts->window ? lm_page_end(parts->page) : lm_page_end_prose(parts->page, INDENT);
}

/* The lines from that one to the last. */
static struct lm_lines lines_from(const struct lm_parts *parts, size_t first)
{
	return (struct lm_lines){first, lm_page_len(parts->page) - first};
}

const char *lm_parts_plural(int64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

/* "1 confirmed, 2 likely" */
static void add_levels(const struct lm_parts *parts)
{
	const char *separator = "";

	for (int level = LM_LEVEL_CONFIRMED; level > LM_LEVEL_NONE; level--) {
		int64_t count = parts->snapshot->totals.findings[level];

		if (!count)
			continue;
		lm_page_print(parts->page, "%s%s %s", separator, lm_words_count(count).text, lm_level_name(level));
		separator = ", ";
	}
	if (!*separator)
		lm_page_print(parts->page, "none");
}

/* A window says it in few words, so that its hint has room. */
static void add_watching(const struct lm_parts *parts)
{
	const struct lm_snapshot *snapshot = parts->snapshot;
	double watching_s = snapshot->watching_s;
	int64_t since_ns;

	if (!isfinite(watching_s) || watching_s <= 0 || watching_s * 1e9 >= (double)snapshot->time_ns)
		return;
	if (parts->window) {
		lm_page_print(parts->page, "  watching for %s", lm_words_duration(watching_s).text);
		return;
	}
	since_ns = snapshot->time_ns - (int64_t)(watching_s * 1e9);
	lm_page_print(parts->page, "  watching since %s (%s)",
		watching_s < HALF_DAY_S ? lm_words_time_of_day(since_ns).text : lm_words_time(since_ns).text,
		lm_words_duration(watching_s).text);
}

/* At the right of the line, or nowhere. */
static void add_hint(const struct lm_parts *parts)
{
	const char *hint = parts->window ? parts->window->hint : NULL;
	size_t columns = hint ? (size_t)parts->window->columns : 0;

	if (!hint || lm_page_column(parts->page) + 2 + strlen(hint) > columns)
		return;
	lm_page_fill(parts->page, columns - strlen(hint));
	lm_page_print(parts->page, "%s", hint);
}

static void add_count(const struct lm_parts *parts, int64_t count, const char *one, const char *many)
{
	lm_page_print(parts->page, "%s %s", lm_words_count(count).text, lm_parts_plural(count, one, many));
}

/* The Go program with most goroutines of those with fewer than that many, or as many and later; NULL if there is none.
 */
static const struct lm_snapshot_process *next_go(
	const struct lm_snapshot *snapshot, const struct lm_snapshot_process *last)
{
	const struct lm_snapshot_process *next = NULL;

	for (size_t i = 0; i < snapshot->processes_len; i++) {
		const struct lm_snapshot_process *process = &snapshot->processes[i];

		if (!process->go || process->go->goroutines < 0)
			continue;
		if (last && (process->go->goroutines > last->go->goroutines ||
				    (process->go->goroutines == last->go->goroutines && process <= last)))
			continue;
		if (!next || process->go->goroutines > next->go->goroutines)
			next = process;
	}
	return next;
}

/* "go1.24.4 api[4711]: 1,240 goroutines, 37 GCs (2.1/min), live heap 12.4 MiB (+3.1 MiB/h)" */
static void compose_go(const struct lm_parts *parts, const struct lm_snapshot_process *process)
{
	const struct lm_snapshot_go *go = process->go;
	struct lm_page *page = parts->page;

	lm_page_add(page, go->version ? go->version : "Go");
	lm_page_print(page, " ");
	lm_page_add(page, process->comm);
	lm_page_print(page, "[%" PRIu32 "]: ", process->pid);
	add_count(parts, go->goroutines, "goroutine", "goroutines");
	if (go->gc_count >= 0) {
		lm_page_print(page, ", ");
		add_count(parts, go->gc_count, "GC", "GCs");
	}
	if (go->gc_count >= 0 && isfinite(go->gc_per_min))
		lm_page_print(page, " (%.1f/min)", go->gc_per_min);
	if (go->heap_live_bytes >= 0)
		lm_page_print(page, ", live heap %s", lm_words_bytes(go->heap_live_bytes).text);
	if (go->heap_live_bytes >= 0 && isfinite(go->heap_bytes_per_h) && fabs(go->heap_bytes_per_h) < 1e18)
		lm_page_print(page, " (%s%s/h)", go->heap_bytes_per_h < 0 ? "−" : "+",
			lm_words_bytes((int64_t)fabs(go->heap_bytes_per_h)).text);
	end_line(parts);
}

static void compose_largest_go(const struct lm_parts *parts)
{
	const struct lm_snapshot_process *process = NULL;

	for (int i = 0; i < NAMES_LISTED && (process = next_go(parts->snapshot, process)); i++)
		compose_go(parts, process);
}

struct lm_lines lm_parts_heading(const struct lm_parts *parts)
{
	const struct lm_snapshot *snapshot = parts->snapshot;
	struct lm_page *page = parts->page;
	size_t first = lm_page_len(page);

	lm_page_style(page, LM_STYLE_BOLD);
	lm_page_print(page, "leakmon");
	if (snapshot->version) {
		lm_page_print(page, " ");
		lm_page_add(page, snapshot->version);
	}
	lm_page_style(page, LM_STYLE_PLAIN);
	if (snapshot->host) {
		lm_page_print(page, "  ");
		lm_page_add(page, snapshot->host);
	}
	lm_page_print(page, "  %s", lm_words_time(snapshot->time_ns).text);
	add_watching(parts);
	add_hint(parts);
	end_line(parts);

	lm_page_print(page, "findings: ");
	add_levels(parts);
	lm_page_print(page, "; %s of ", lm_words_count(snapshot->totals.blocked_threads).text);
	add_count(parts, snapshot->totals.threads, "thread", "threads");
	lm_page_print(page, " blocked at ");
	add_count(parts, snapshot->totals.sites, "site", "sites");
	lm_page_print(page, " in ");
	add_count(parts, snapshot->totals.processes, "process", "processes");
	if (snapshot->totals.goroutines >= 0) {
		lm_page_print(page, ", ");
		add_count(parts, snapshot->totals.goroutines, "goroutine", "goroutines");
	}
	lm_page_print(page, "; a look takes %s, leakmon used %s CPU, %s", lm_words_duration(snapshot->self.scan_s).text,
		lm_words_duration(snapshot->self.cpu_s).text, lm_words_bytes(snapshot->self.rss_bytes).text);
	end_line(parts);
	compose_largest_go(parts);
	return lines_from(parts, first);
}

struct lm_lines lm_parts_loss(const struct lm_parts *parts)
{
	const struct lm_snapshot_losses *losses = &parts->snapshot->losses;
	const struct {
		uint64_t count;
		const char *name, *meaning;
	} causes[] = {
		{losses->ring_full, "ring_full", "what happened between looks is missing"},
		{losses->storage_failed, "storage_failed", "threads without their history"},
		{losses->program_missed, "program_missed", "switches not seen: times may be too old"},
		{losses->scan_truncated, "scan_truncated", "looks cut short: threads are missing"},
		{losses->torn_reads, "torn_reads", "stacks that changed while they were read: left out"},
		{losses->unwind_failed, "unwind_failed", "stacks missing or ending early"},
		{losses->symbol_failed, "symbol_failed", "frames without names"},
		{losses->skipped_processes, "skipped_processes", "their threads are missing"},
	};
	const char *separator = "LOSS: ";
	size_t first = lm_page_len(parts->page);

	if (lm_snapshot_complete(parts->snapshot))
		return lines_from(parts, first);
	lm_page_style(parts->page, LM_STYLE_YELLOW);
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (!causes[i].count)
			continue;
		lm_page_print(parts->page, "%s%s %s (%s)", separator,
			lm_words_count(causes[i].count <= INT64_MAX ? (int64_t)causes[i].count : INT64_MAX).text,
			causes[i].name, causes[i].meaning);
		separator = ", ";
	}
	end_line(parts);
	return lines_from(parts, first);
}

/* How many notes from the first on are the same. */
static size_t run_of(const char *const *notes, size_t len)
{
	size_t run = 1;

	while (run < len && notes[run] && strcmp(notes[0], notes[run]) == 0)
		run++;
	return run;
}

struct lm_lines lm_parts_notes(const struct lm_parts *parts)
{
	const struct lm_snapshot *snapshot = parts->snapshot;
	size_t first = lm_page_len(parts->page);

	for (size_t i = 0, run; i < snapshot->notes_len; i += run) {
		run = 1;
		if (!snapshot->notes[i])
			continue;
		run = run_of(&snapshot->notes[i], snapshot->notes_len - i);
		lm_page_print(parts->page, "note: ");
		lm_page_add(parts->page, snapshot->notes[i]);
		if (run > 1)
			lm_page_print(parts->page, " ×%zu", run);
		end_line(parts);
	}
	for (size_t i = 0; i < snapshot->self.given_up_len; i++) {
		lm_page_print(parts->page, "given up: ");
		lm_page_add(parts->page, snapshot->self.given_up[i]);
		end_line(parts);
	}
	for (size_t i = 0; i < snapshot->withdrawn_len; i++) {
		char type[32];

		lm_page_print(parts->page,
			"withdrawn at %s: %s %s: ", lm_words_time_of_day(snapshot->withdrawn[i].withdrawn_ns).text,
			lm_level_name(snapshot->withdrawn[i].level),
			lm_site_type_words(snapshot->withdrawn[i].type, type, sizeof(type)));
		lm_page_add(parts->page, snapshot->withdrawn[i].summary);
		end_line(parts);
	}
	return lines_from(parts, first);
}

/* True for what this report would have shown. */
static bool matters(const struct lm_snapshot_process *process, const struct lm_snapshot_unavailable *unavailable)
{
	static const char *const never_shown[] = {
		"goroutines", "go_version", "container_id", "exe", "build_id", "rss", "rss_bytes", "start_time"};

	if (!unavailable->what || !unavailable->why)
		return false;
	if (process->go && strcmp(unavailable->what, "goroutines") == 0)
		return true;
	if (!process->blocked_threads)
		return false;
	for (size_t i = 0; i < sizeof(never_shown) / sizeof(never_shown[0]); i++) {
		if (strcmp(unavailable->what, never_shown[i]) == 0)
			return false;
	}
	return true;
}

static bool lacks(const struct lm_snapshot_process *process, const struct lm_snapshot_unavailable *unavailable)
{
	for (size_t i = 0; i < process->unavailable_len; i++) {
		const struct lm_snapshot_unavailable *other = &process->unavailable[i];

		if (matters(process, other) && strcmp(other->what, unavailable->what) == 0 &&
			strcmp(other->why, unavailable->why) == 0)
			return true;
	}
	return false;
}

/* True if a process before this one lacks the same. */
static bool is_told(
	const struct lm_snapshot *snapshot, size_t process, const struct lm_snapshot_unavailable *unavailable)
{
	for (size_t i = 0; i < process; i++) {
		if (lacks(&snapshot->processes[i], unavailable))
			return true;
	}
	return false;
}

/* "no stacks of a[1], b[2] and 5 more: why", for the process and all that come after it. */
static void compose_limit(
	const struct lm_parts *parts, size_t process, const struct lm_snapshot_unavailable *unavailable)
{
	const struct lm_snapshot *snapshot = parts->snapshot;
	size_t lacking = 0;

	lm_page_style(parts->page, LM_STYLE_DIM);
	lm_page_print(parts->page, "no ");
	lm_page_add(parts->page, unavailable->what);
	for (size_t i = process; i < snapshot->processes_len; i++) {
		if (!lacks(&snapshot->processes[i], unavailable) || ++lacking > NAMES_LISTED)
			continue;
		lm_page_print(parts->page, lacking == 1 ? " of " : ", ");
		lm_page_add(parts->page, snapshot->processes[i].comm);
		lm_page_print(parts->page, "[%" PRIu32 "]", snapshot->processes[i].pid);
	}
	if (lacking > NAMES_LISTED)
		lm_page_print(parts->page, " and %zu more", lacking - NAMES_LISTED);
	lm_page_print(parts->page, ": ");
	lm_page_add(parts->page, unavailable->why);
	end_line(parts);
}

struct lm_lines lm_parts_limits(const struct lm_parts *parts)
{
	const struct lm_snapshot *snapshot = parts->snapshot;
	size_t first = lm_page_len(parts->page);

	for (size_t i = 0; i < snapshot->processes_len; i++) {
		const struct lm_snapshot_process *process = &snapshot->processes[i];

		for (size_t j = 0; j < process->unavailable_len; j++) {
			const struct lm_snapshot_unavailable *unavailable = &process->unavailable[j];

			if (matters(process, unavailable) && !is_told(snapshot, i, unavailable))
				compose_limit(parts, i, unavailable);
		}
	}
	return lines_from(parts, first);
}
