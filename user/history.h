/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was seen, kept over restarts: an SQLite database of its own directory (0700,
 * files 0600), one connection, WAL. A report is one transaction, so that a kill at any
 * moment loses at most the one under way. Bounded by age and by size: old counts are
 * thinned to coarser steps, then dropped.
 *
 * A disk that is full, read-only or broken costs the history, never the watching:
 * every call fails with -errno and what went wrong can be asked for; later calls try again.
 */
#ifndef LM_HISTORY_H
#define LM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/changes.h"
#include "user/snapshot.h"

#define LM_HISTORY_RETENTION_NS (30ull * 86400 * 1000000000) /* the default of --retention */
#define LM_HISTORY_MAX_BYTES (256ull << 20)
#define LM_HISTORY_POINTS_MAX 10000 /* given for one question */

struct lm_history;

struct lm_history_config {
	const char *directory; /* made if it is not there */
	uint64_t retention_ns;
	uint64_t max_bytes;  /* of all its files together */
	const char *boot_id; /* /proc/sys/kernel/random/boot_id: what is kept of processes is of one boot alone */
};

/* Opens or makes it. A database that is broken is renamed (".broken") and begun anew, which why tells and is no error;
 * so is one of an older schema brought up to date. 0, or -errno and in why what failed, on which file, why, and what to
 * do. */
int lm_history_open(const struct lm_history_config *config, struct lm_history **history, char why[256]);
/* NULL is fine. */
void lm_history_close(struct lm_history *history);

/* One transaction. begin and end may fail; puts in between are then undone, and fail or do nothing. */
int lm_history_begin(struct lm_history *history, int64_t at_ns);
int lm_history_end(struct lm_history *history);
/* Undoes the transaction under way; does nothing if there is none. */
void lm_history_abandon(struct lm_history *history);

/* The sites of a report with their counts and stacks: a point for each site, and for each Go program its goroutines, GC
 * count and live heap. Text of stacks is kept once for a site. Unchanged counts are not written again: what a point
 * tells holds until the next one. */
int lm_history_put_snapshot(struct lm_history *history, const struct lm_snapshot *snapshot);
int lm_history_put_change(struct lm_history *history, const struct lm_change *change);

/*
 * What the monitor wants to know again after a restart, as bytes that only it understands: of a site on every machine
 * (pid 0), or of a site in one process of this boot. An empty blob is forgotten.
 */
struct lm_history_memory_key {
	uint64_t site;
	uint32_t kind;             /* enum lm_site_kind */
	uint32_t pid;              /* 0: of the site in any process */
	uint64_t process_start_ns; /* since boot, 0 with pid 0 */
};
int lm_history_put_memory(
	struct lm_history *history, const struct lm_history_memory_key *key, const void *bytes, size_t len);
/* bytes: to be freed by the caller. -ENOENT: there is none. */
int lm_history_get_memory(
	struct lm_history *history, const struct lm_history_memory_key *key, void **bytes, size_t *len);

/* Findings that had not ended when the history was last written to, by the last change of each. Of this boot alone. */
int lm_history_open_findings(struct lm_history *history, lm_change_handler *handler, void *context);

/* Questions. from and to are wall-clock ns; 0: without bound. Rows come in the order of time. */
struct lm_history_point {
	int64_t at_ns;
	int64_t step_ns; /* how much time it stands for: counts are the largest in it; a count that did not change holds
			    for one long step */
	uint32_t pid;
	const char *comm;
	int64_t count, arrived, departed;
	int64_t oldest_blocked_since_ns; /* 0 = not known */
};
typedef void lm_history_point_handler(const struct lm_history_point *point, void *context);
/* At most LM_HISTORY_POINTS_MAX, evenly over the time if there are more. -ENOENT: the site is not known. */
int lm_history_points(struct lm_history *history, uint64_t site, int64_t from_ns, int64_t to_ns,
	lm_history_point_handler *handler, void *context);

struct lm_history_go_point {
	int64_t at_ns, step_ns;
	uint32_t pid;
	const char *comm;
	int64_t goroutines, gc_count, heap_live_bytes; /* -1 = not known */
};
typedef void lm_history_go_point_handler(const struct lm_history_go_point *point, void *context);
/* pid 0: of all Go programs. */
int lm_history_go_points(struct lm_history *history, uint32_t pid, int64_t from_ns, int64_t to_ns,
	lm_history_go_point_handler *handler, void *context);

/* The findings' changes, newest first, at most len. site 0: of all. */
int lm_history_changes(struct lm_history *history, uint64_t site, int64_t from_ns, int64_t to_ns, size_t len,
	lm_change_handler *handler, void *context);

/* What the site was last seen as: first and last time, name and stack as JSON in the form of the contract (an array of
 * frames). -ENOENT: the site is not known. */
struct lm_history_site {
	uint64_t site;
	enum lm_site_kind kind;
	int64_t first_ns, last_ns;
	const char *wait_class, *function, *stack_json,
		*created_by_json; /* valid in the handler only; NULL = not known */
};
typedef void lm_history_site_handler(const struct lm_history_site *site, void *context);
int lm_history_site(struct lm_history *history, uint64_t site, lm_history_site_handler *handler, void *context);

/* Makes room: drops what is older than the retention, thins what is old, keeps the size. A little at a time: to be
 * called after each end; bounded to about budget_ns. */
int lm_history_thin(struct lm_history *history, int64_t now_ns, uint64_t budget_ns);
/* A smaller limit from now on, when memory or disk is scarce. */
void lm_history_set_max_bytes(struct lm_history *history, uint64_t max_bytes);

/* Of all its files; -1 = not known. */
int64_t lm_history_bytes(const struct lm_history *history);
/* What went wrong last, for a person, or what of the last report was left out for want of room; NULL if the last
 * transaction was written whole. */
const char *lm_history_trouble(const struct lm_history *history);

#endif
