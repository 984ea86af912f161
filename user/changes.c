// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keeps the findings of the last report, sorted by their ids, and walks them beside those of the next one. What is
 * said of a finding is the monitor's business, who is told of the change the daemon's.
 */
#include "user/changes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

struct kept {
	char id[17];
	enum lm_level level;
	enum lm_finding_type type;
	uint32_t pid;
	uint64_t site;
	int64_t since_ns, found_ns; /* found_ns: of the report that showed it first */
	char *comm, *summary;
	bool is_remembered; /* and not yet seen again */
};

struct list {
	struct kept *items; /* in the order of their ids, each once */
	size_t len;
};

struct lm_changes {
	struct list last;
};

const char *lm_change_name(enum lm_change_kind kind)
{
	static const char *const names[LM_CHANGES] = {
		[LM_CHANGE_FOUND] = "found",
		[LM_CHANGE_LEVEL] = "level",
		[LM_CHANGE_WITHDRAWN] = "withdrawn",
		[LM_CHANGE_ENDED] = "ended",
	};

	return (size_t)kind < ARRAY_LEN(names) ? names[kind] : "unknown";
}

static void clear(struct list *list)
{
	for (size_t i = 0; i < list->len; i++) {
		free(list->items[i].comm);
		free(list->items[i].summary);
	}
	free(list->items);
	*list = (struct list){0};
}

int lm_changes_new(struct lm_changes **changes)
{
	struct lm_changes *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	*changes = made;
	return 0;
}

void lm_changes_free(struct lm_changes *changes)
{
	if (!changes)
		return;
	clear(&changes->last);
	free(changes);
}

/* False if there is no memory; a text that is not known stays so. */
static bool copy_texts(const char *comm, const char *summary, struct kept *kept)
{
	kept->comm = comm ? strdup(comm) : NULL;
	kept->summary = summary ? strdup(summary) : NULL;
	return (!comm || kept->comm) && (!summary || kept->summary);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct kept *)a)->id, ((const struct kept *)b)->id);
}

static struct kept *find(const struct list *list, const char *id)
{
	struct kept wanted = {0};

	strncpy(wanted.id, id, sizeof(wanted.id) - 1);
	return list->len ? bsearch(&wanted, list->items, list->len, sizeof(wanted), by_id) : NULL;
}

static const char *comm_of(const struct lm_snapshot *snapshot, uint32_t pid)
{
	for (size_t i = 0; i < snapshot->processes_len; i++) {
		if (snapshot->processes[i].pid == pid)
			return snapshot->processes[i].comm;
	}
	return NULL;
}

static bool copy_finding(
	const struct lm_snapshot *snapshot, const struct lm_snapshot_finding *finding, struct kept *kept)
{
	*kept = (struct kept){
		.level = finding->level,
		.type = finding->type,
		.pid = finding->pid,
		.site = finding->site,
		.since_ns = finding->since_ns,
		.found_ns = snapshot->time_ns,
	};
	memcpy(kept->id, finding->id, sizeof(kept->id));
	kept->id[sizeof(kept->id) - 1] = 0;
	return copy_texts(comm_of(snapshot, finding->pid), finding->summary, kept);
}

static bool copy_kept(const struct kept *from, struct kept *to)
{
	*to = *from;
	return copy_texts(from->comm, from->summary, to);
}

static int add(struct list *list, const struct kept *kept)
{
	struct kept *items = realloc(list->items, (list->len + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->len++] = *kept;
	return 0;
}

/* Of ids that are there twice, the first: findings come worst first. */
static void sort_once_each(struct list *list)
{
	size_t len = 0;

	if (list->len)
		qsort(list->items, list->len, sizeof(*list->items), by_id);
	for (size_t i = 0; i < list->len; i++) {
		if (len && strcmp(list->items[len - 1].id, list->items[i].id) == 0) {
			free(list->items[i].comm);
			free(list->items[i].summary);
		} else {
			list->items[len++] = list->items[i];
		}
	}
	list->len = len;
}

static int take_findings(const struct lm_snapshot *snapshot, struct list *list)
{
	*list = (struct list){0};
	if (!snapshot->findings_len)
		return 0;
	list->items = calloc(snapshot->findings_len, sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	while (list->len < snapshot->findings_len) {
		/* counted first: what was copied of it is to be freed */
		struct kept *kept = &list->items[list->len++];

		if (!copy_finding(snapshot, &snapshot->findings[list->len - 1], kept))
			return -ENOMEM;
	}
	sort_once_each(list);
	return 0;
}

/* The withdrawal of it since it was found. Older ones stay in the report for some time: it may have come back since. */
static const struct lm_snapshot_withdrawn *withdrawal_of(const struct lm_snapshot *snapshot, const struct kept *kept)
{
	for (size_t i = 0; i < snapshot->withdrawn_len; i++) {
		if (strcmp(snapshot->withdrawn[i].id, kept->id) == 0 &&
			snapshot->withdrawn[i].withdrawn_ns >= kept->found_ns)
			return &snapshot->withdrawn[i];
	}
	return NULL;
}

/* What is remembered and may still be found again is taken over; what was there before keeps when it was found. */
static int take_over(const struct lm_changes *changes, const struct lm_snapshot *snapshot, struct list *list)
{
	size_t found = list->len;

	for (size_t i = 0; i < changes->last.len; i++) {
		const struct kept *before = &changes->last.items[i];
		struct list sorted = {.items = list->items, .len = found};
		struct kept *now = find(&sorted, before->id), copy;

		if (now) {
			now->found_ns = before->found_ns;
		} else if (before->is_remembered && snapshot->watching_s < LM_CHANGES_GRACE_S &&
			   !withdrawal_of(snapshot, before)) {
			if (!copy_kept(before, &copy) || add(list, &copy)) {
				free(copy.comm);
				free(copy.summary);
				return -ENOMEM;
			}
		}
	}
	sort_once_each(list);
	return 0;
}

struct telling {
	const struct lm_snapshot *snapshot;
	lm_change_handler *handler;
	void *context;
};

static void tell(const struct telling *telling, enum lm_change_kind kind, const struct kept *kept, enum lm_level before,
	const char *summary)
{
	struct lm_change change = {
		.kind = kind,
		.at_ns = telling->snapshot->time_ns,
		.level = kept->level,
		.before = before,
		.type = kept->type,
		.pid = kept->pid,
		.site = kept->site,
		.since_ns = kept->since_ns,
		.comm = kept->comm,
		.summary = summary,
	};

	memcpy(change.id, kept->id, sizeof(change.id));
	telling->handler(&change, telling->context);
}

static void tell_now(const struct telling *telling, const struct list *last, const struct kept *now)
{
	const struct kept *before = find(last, now->id);

	if (!before)
		tell(telling, LM_CHANGE_FOUND, now, LM_LEVEL_NONE, now->summary);
	else if (before->level != now->level)
		tell(telling, LM_CHANGE_LEVEL, now, before->level, now->summary);
}

static void tell_withdrawn(const struct telling *telling, const struct kept *before)
{
	const struct lm_snapshot_withdrawn *withdrawn = withdrawal_of(telling->snapshot, before);

	if (withdrawn)
		tell(telling, LM_CHANGE_WITHDRAWN, before, before->level,
			withdrawn->summary ? withdrawn->summary : before->summary);
}

/* Both lists are sorted: what is gone is told where its id belongs. */
static void tell_all(const struct telling *telling, const struct list *last, const struct list *now)
{
	size_t i = 0;

	for (size_t j = 0; j <= now->len; j++) {
		for (; i < last->len && (j == now->len || strcmp(last->items[i].id, now->items[j].id) < 0); i++)
			tell_withdrawn(telling, &last->items[i]);
		if (j == now->len)
			break;
		if (i < last->len && strcmp(last->items[i].id, now->items[j].id) == 0)
			i++;
		tell_now(telling, last, &now->items[j]);
	}
	for (i = 0; i < last->len; i++) {
		const struct kept *before = &last->items[i];

		if (!find(now, before->id) && !withdrawal_of(telling->snapshot, before))
			tell(telling, LM_CHANGE_ENDED, before, before->level, before->summary);
	}
}

int lm_changes_take(
	struct lm_changes *changes, const struct lm_snapshot *snapshot, lm_change_handler *handler, void *context)
{
	struct telling telling = {.snapshot = snapshot, .handler = handler, .context = context};
	struct list now, last = changes->last;
	int error = take_findings(snapshot, &now);

	if (!error)
		error = take_over(changes, snapshot, &now);
	if (error) {
		clear(&now);
		return error;
	}
	changes->last = now;
	tell_all(&telling, &last, &now);
	clear(&last);
	return 0;
}

int lm_changes_remember(struct lm_changes *changes, const struct lm_change *change)
{
	struct kept kept = {
		.level = change->level,
		.type = change->type,
		.pid = change->pid,
		.site = change->site,
		.since_ns = change->since_ns,
		.found_ns = change->at_ns,
		.is_remembered = true,
	};

	if (find(&changes->last, change->id))
		return 0;
	memcpy(kept.id, change->id, sizeof(kept.id));
	kept.id[sizeof(kept.id) - 1] = 0;
	if (!copy_texts(change->comm, change->summary, &kept) || add(&changes->last, &kept)) {
		free(kept.comm);
		free(kept.summary);
		return -ENOMEM;
	}
	sort_once_each(&changes->last);
	return 0;
}
