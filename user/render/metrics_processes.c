// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A table of processes by name for threads, one for goroutines: the 20 with the most,
 * then all others as "other". Names are compared as they are written, so that two
 * that differ in what cannot be shown make one series. A process that calls itself
 * "other" is among the others.
 */
#include "user/render/metrics_processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/render/intern.h"

#define PROCESSES_MAX 20
#define OTHER "other"
#define NOT_BLOCKED LM_WAIT_CLASSES /* goroutines of a process that are in no site */
#define REASONS (LM_WAIT_CLASSES + 1)

static const struct lm_metrics_family blocked_threads = {"leakmon_blocked_threads", LM_METRICS_GAUGE, NULL,
	"Blocked threads of the 20 processes with the most, and of all others, by what they wait for."};
static const struct lm_metrics_family goroutines = {"leakmon_goroutines", LM_METRICS_GAUGE, NULL,
	"Goroutines of the 20 processes with the most, and of all others, by what they wait for."};

struct row {
	const char *name;
	int64_t counts[REASONS], total;
};

struct table {
	enum lm_site_kind kind;
	const struct lm_metrics_family *family;
	struct lm_intern names;
	struct row *rows;
	size_t len, max;
};

void lm_metrics_process_name(const char *comm, char name[LM_METRICS_VALUE_BYTES])
{
	lm_metrics_label_text(comm && *comm ? comm : "unknown", name);
}

static int64_t sum_of(int64_t a, int64_t b)
{
	return a < INT64_MAX - b ? a + b : INT64_MAX;
}

static void add_count(struct row *row, size_t reason, int64_t count)
{
	row->counts[reason] = sum_of(row->counts[reason], count);
	row->total = sum_of(row->total, count);
}

/* The row of a name. NULL: no memory. */
static struct row *row_of(struct table *table, const char *comm)
{
	char name[LM_METRICS_VALUE_BYTES];
	int64_t number;

	lm_metrics_process_name(comm, name);
	number = lm_intern_add(&table->names, name, strlen(name));
	if (number < 0 || (size_t)number >= table->max)
		return NULL;
	if ((size_t)number == table->len) {
		table->rows[table->len].name = lm_arena_text(table->names.arena, name);
		if (!table->rows[table->len].name)
			return NULL;
		table->len++;
	}
	return &table->rows[number];
}

static size_t reason_of(const struct lm_snapshot_site *site)
{
	size_t wait_class = site->wait.wait_class;

	if (wait_class < LM_WAIT_CLASSES)
		return wait_class;
	return site->kind == LM_SITE_GOROUTINE ? LM_WAIT_GO_OTHER : LM_WAIT_OTHER;
}

static int add_sites(struct table *table, const struct lm_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->sites_len; i++) {
		const struct lm_snapshot_site *site = &snapshot->sites[i];
		struct row *row;

		if (site->kind != table->kind || site->count <= 0)
			continue;
		row = row_of(table, site->comm);
		if (!row)
			return -ENOMEM;
		add_count(row, reason_of(site), site->count);
	}
	return 0;
}

/* What processes of one name have beyond their sites: their totals are added up before the sites are subtracted. */
static int add_not_blocked(struct table *table, const struct lm_snapshot *snapshot)
{
	int64_t *totals = calloc(table->max + 1, sizeof(*totals));
	int error = totals ? 0 : -ENOMEM;

	for (size_t i = 0; i < snapshot->processes_len && !error; i++) {
		const struct lm_snapshot_process *process = &snapshot->processes[i];
		struct row *row;

		if (process->goroutines <= 0)
			continue;
		row = row_of(table, process->comm);
		if (row)
			totals[row - table->rows] = sum_of(totals[row - table->rows], process->goroutines);
		else
			error = -ENOMEM;
	}
	for (size_t i = 0; i < table->len && !error; i++) {
		if (totals[i] > table->rows[i].total)
			add_count(&table->rows[i], NOT_BLOCKED, totals[i] - table->rows[i].total);
	}
	free(totals);
	return error;
}

/* The most first, those that are called "other" last. */
static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = (strcmp(x->name, OTHER) == 0) - (strcmp(y->name, OTHER) == 0);

	if (!order)
		order = (y->total > x->total) - (y->total < x->total);
	return order ? order : strcmp(x->name, y->name);
}

static void merge_others(struct table *table)
{
	qsort(table->rows, table->len, sizeof(*table->rows), compare);
	if (table->len <= PROCESSES_MAX)
		return;
	for (size_t i = PROCESSES_MAX + 1; i < table->len; i++) {
		for (size_t reason = 0; reason < REASONS; reason++)
			add_count(&table->rows[PROCESSES_MAX], reason, table->rows[i].counts[reason]);
	}
	table->len = PROCESSES_MAX + 1;
	table->rows[PROCESSES_MAX].name = OTHER;
}

static int fill_table(struct table *table, const struct lm_snapshot *snapshot, struct lm_arena *arena)
{
	int error;

	table->names.arena = arena;
	table->max = snapshot->sites_len + snapshot->processes_len;
	table->rows = lm_arena_alloc(arena, (table->max + 1) * sizeof(*table->rows));
	error = table->rows ? add_sites(table, snapshot) : -ENOMEM;
	if (!error && table->kind == LM_SITE_GOROUTINE)
		error = add_not_blocked(table, snapshot);
	if (!error)
		merge_others(table);
	return error;
}

static size_t series_of(const struct table *table)
{
	size_t series = 0;

	for (size_t i = 0; i < table->len; i++) {
		for (size_t reason = 0; reason < REASONS; reason++)
			series += table->rows[i].counts[reason] > 0;
	}
	return series;
}

static void write_row(struct lm_metrics_writer *writer, const struct row *row)
{
	for (size_t reason = 0; reason < REASONS; reason++) {
		const struct lm_metrics_label labels[LM_METRICS_LABELS_MAX] = {{"process", row->name},
			{"reason", reason == NOT_BLOCKED ? "not_blocked" : lm_wait_class_name(reason)}};

		if (row->counts[reason] > 0)
			lm_metrics_count(writer, labels, row->counts[reason]);
	}
}

/* Within so many series; the others, who stand for many, before the single ones. */
static void write_table(struct lm_metrics_writer *writer, const struct table *table, size_t series)
{
	size_t beyond = writer->left > series ? writer->left - series : 0, last = table->len;
	bool has_others = last && strcmp(table->rows[last - 1].name, OTHER) == 0;

	writer->left -= beyond;
	lm_metrics_begin(writer, table->family);
	if (has_others)
		write_row(writer, &table->rows[--last]);
	for (size_t i = 0; i < last; i++)
		write_row(writer, &table->rows[i]);
	writer->left += beyond;
}

int lm_metrics_processes(struct lm_metrics_writer *writer, const struct lm_snapshot *snapshot, struct lm_arena *arena)
{
	struct table threads = {.kind = LM_SITE_THREAD, .family = &blocked_threads};
	struct table routines = {.kind = LM_SITE_GOROUTINE, .family = &goroutines};
	int error = fill_table(&threads, snapshot, arena);

	if (!error)
		error = fill_table(&routines, snapshot, arena);
	if (!error) {
		/* neither kind takes from the other what is its half */
		size_t half = writer->left / 2, wanted = series_of(&routines);
		size_t reserved = wanted < half ? wanted : half;

		write_table(writer, &threads, writer->left - reserved);
		write_table(writer, &routines, writer->left);
	}
	lm_intern_free(&threads.names);
	lm_intern_free(&routines.names);
	return error;
}
