// SPDX-License-Identifier: GPL-2.0-or-later
/* A finding points into its report, with its stacks and its process; so that report lives as long as the finding. */
#include "user/kept.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct held {
	struct lm_snapshot snapshot;
	size_t users; /* the findings that point into it, and one if it is the last report */
};

struct entry {
	struct held *held;
	const struct lm_snapshot_finding *finding;
	bool seen; /* in the last report */
	struct entry *prev, *next;
};

struct lm_kept {
	struct held *last;
	struct entry *entries;
	size_t entries_len, left_out;
	enum lm_level worst_left_out;
};

int lm_kept_new(struct lm_kept **out)
{
	struct lm_kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	*out = kept;
	return 0;
}

static void release(struct held *held)
{
	if (!held || --held->users)
		return;
	lm_snapshot_free(&held->snapshot);
	free(held);
}

static void drop(struct lm_kept *kept, struct entry *entry)
{
	DL_DELETE(kept->entries, entry);
	kept->entries_len--;
	release(entry->held);
	free(entry);
}

void lm_kept_free(struct lm_kept *kept)
{
	struct entry *entry, *next;

	if (!kept)
		return;
	DL_FOREACH_SAFE(kept->entries, entry, next)
	drop(kept, entry);
	release(kept->last);
	free(kept);
}

static struct entry *find(struct lm_kept *kept, const char *id)
{
	struct entry *entry;

	DL_FOREACH(kept->entries, entry)
	{
		if (strcmp(entry->finding->id, id) == 0)
			return entry;
	}
	return NULL;
}

static struct entry *add(struct lm_kept *kept, enum lm_level level)
{
	struct entry *entry = kept->entries_len < LM_KEPT_MAX ? calloc(1, sizeof(*entry)) : NULL;

	if (!entry) {
		kept->left_out++;
		kept->worst_left_out = level > kept->worst_left_out ? level : kept->worst_left_out;
		return NULL;
	}
	DL_APPEND(kept->entries, entry);
	kept->entries_len++;
	return entry;
}

static void keep(struct lm_kept *kept, const struct lm_snapshot_finding *finding)
{
	struct entry *entry = find(kept, finding->id);

	if (!entry)
		entry = add(kept, finding->level);
	if (!entry)
		return;
	kept->last->users++;
	release(entry->held);
	entry->held = kept->last;
	entry->finding = finding;
	entry->seen = true;
}

static const struct lm_snapshot_process *find_process(const struct lm_snapshot *snapshot, uint32_t pid)
{
	for (size_t i = 0; i < snapshot->processes_len; i++) {
		if (snapshot->processes[i].pid == pid)
			return &snapshot->processes[i];
	}
	return NULL;
}

static const struct lm_snapshot_site *find_site(const struct lm_snapshot *snapshot, uint32_t pid, uint64_t site)
{
	for (size_t i = 0; i < snapshot->sites_len; i++) {
		if (snapshot->sites[i].pid == pid && snapshot->sites[i].site == site)
			return &snapshot->sites[i];
	}
	return NULL;
}

static void drop_withdrawn(struct lm_kept *kept)
{
	const struct lm_snapshot *last = &kept->last->snapshot;

	for (size_t i = 0; i < last->withdrawn_len; i++) {
		struct entry *entry = find(kept, last->withdrawn[i].id);

		if (entry && !entry->seen)
			drop(kept, entry);
	}
}

int lm_kept_take(struct lm_kept *kept, struct lm_snapshot *report)
{
	struct held *held = calloc(1, sizeof(*held));
	struct entry *entry, *next;

	if (!held) {
		lm_snapshot_free(report);
		return -ENOMEM;
	}
	held->snapshot = *report;
	held->users = 1;
	release(kept->last);
	kept->last = held;
	DL_FOREACH(kept->entries, entry)
	entry->seen = false;
	for (size_t i = 0; i < held->snapshot.findings_len; i++)
		keep(kept, &held->snapshot.findings[i]);
	drop_withdrawn(kept);
	DL_FOREACH_SAFE(kept->entries, entry, next)
	{
		if (!entry->seen && find_process(&held->snapshot, entry->finding->pid))
			drop(kept, entry);
	}
	return 0;
}

const struct lm_snapshot *lm_kept_last(const struct lm_kept *kept)
{
	return kept->last ? &kept->last->snapshot : NULL;
}

enum lm_level lm_kept_worst(const struct lm_kept *kept)
{
	enum lm_level worst = kept->worst_left_out;
	const struct entry *entry;

	DL_FOREACH(kept->entries, entry)
	worst = entry->finding->level > worst ? entry->finding->level : worst;
	return worst;
}

void lm_kept_print(const struct lm_kept *kept, FILE *out, const struct lm_render_options *options)
{
	const struct entry *entry;

	DL_FOREACH(kept->entries, entry)
	{
		if (entry->finding->level >= options->min_level)
			lm_render_finding(out, &entry->held->snapshot, entry->finding, options);
	}
	if (kept->left_out)
		fprintf(out, "… and %zu findings more than are kept\n", kept->left_out);
}

/* Copies an array into the arena with room for so many more. */
static void *copy_with_room(struct lm_arena *arena, const void *array, size_t len, size_t more, size_t size)
{
	char *copy = lm_arena_alloc(arena, (len + more + 1) * size);

	if (copy && len)
		memcpy(copy, array, len * size);
	return copy;
}

/* The arrays of a report that grows. */
struct merge {
	struct lm_snapshot snapshot;
	struct lm_snapshot_finding *findings;
	struct lm_snapshot_site *sites;
	struct lm_snapshot_process *processes;
};

static int open_merge(const struct lm_kept *kept, struct merge *merge)
{
	struct lm_snapshot *merged = &merge->snapshot;
	size_t more = kept->entries_len;

	*merged = kept->last->snapshot;
	merged->arena = lm_arena_new();
	if (!merged->arena)
		return -ENOMEM;
	merge->findings =
		copy_with_room(merged->arena, merged->findings, merged->findings_len, more, sizeof(*merge->findings));
	merge->sites = copy_with_room(merged->arena, merged->sites, merged->sites_len, more, sizeof(*merge->sites));
	merge->processes = copy_with_room(
		merged->arena, merged->processes, merged->processes_len, more, sizeof(*merge->processes));
	merged->findings = merge->findings;
	merged->sites = merge->sites;
	merged->processes = merge->processes;
	if (merge->findings && merge->sites && merge->processes)
		return 0;
	lm_arena_free(merged->arena);
	return -ENOMEM;
}

static void add_ended(struct merge *merge, const struct entry *entry)
{
	struct lm_snapshot *merged = &merge->snapshot;
	const struct lm_snapshot_finding *finding = entry->finding;
	const struct lm_snapshot_process *process = find_process(&entry->held->snapshot, finding->pid);
	const struct lm_snapshot_site *site = find_site(&entry->held->snapshot, finding->pid, finding->site);

	merge->findings[merged->findings_len++] = *finding;
	merged->totals.findings[finding->level]++;
	if (site && !find_site(merged, finding->pid, finding->site))
		merge->sites[merged->sites_len++] = *site;
	if (process && !find_process(merged, finding->pid))
		merge->processes[merged->processes_len++] = *process;
}

int lm_kept_merge(const struct lm_kept *kept, struct lm_snapshot *out)
{
	const struct entry *entry;
	struct merge merge;
	int error;

	if (!kept->last)
		return -ENOENT;
	error = open_merge(kept, &merge);
	if (error)
		return error;
	DL_FOREACH(kept->entries, entry)
	{
		if (!entry->seen)
			add_ended(&merge, entry);
	}
	*out = merge.snapshot;
	return 0;
}
