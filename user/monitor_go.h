/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The goroutines of a process in the monitor: what was told of them, and how long they
 * stay where they wait. A look at one Go program is told so:
 *
 *   lm_monitor_go_begin, lm_monitor_go_record (what has changed since the last look),
 *   for each of lm_monitor_go_unknown_stacks: lm_monitor_go_set_stack
 *   lm_monitor_go_end, when the look is complete; that groups those that have waited long enough
 *
 * A look that takes several rounds is begun anew in each and ended in the last. All of it comes
 * before lm_monitor_settle of the same look, so that threads that park in Go's runtime are known as such.
 */
#ifndef LM_MONITOR_GO_H
#define LM_MONITOR_GO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/golang/record.h"
#include "user/groups.h"
#include "user/snapshot.h"
#include "user/stacks.h"

struct lm_monitor;
struct lm_process;

#define LM_MONITOR_GOROUTINES_MAX (1u << 22) /* of one process: records of higher indices are left out and counted */

/* A go statement, as data. */
struct lm_go_creator {
	const char *function; /* NULL: not known, as is file */
	const char *file;
	uint32_t line; /* 0: not known */
};

/* One goroutine. There may be a million: 96 bytes, and 36 in its group. Times are CLOCK_BOOTTIME ns. */
struct lm_goroutine {
	struct lm_resident resident;
	uint64_t goid; /* 0: nobody has this index */
	uint64_t parent_goid;
	uint64_t since_ns; /* of its stay, as late as it may have begun; 0: not known, it was there when we came */
	uint64_t born_ns;  /* estimated from its goid unless seen_born */
	uint32_t index;
	uint32_t stack;      /* its number, in its process */
	uint32_t prev, next; /* indices, in the one list of the process that it is in */
	uint16_t creator;    /* see lm_monitor_go_creator; 0: not known */
	uint8_t state;       /* enum lm_go_state */
	uint8_t reason;
	uint8_t flags; /* enum lm_go_flags */
	uint8_t list;  /* which list that is */
	uint8_t away_look;
	bool found : 1;     /* it was in its stay when we came */
	bool dated : 1;     /* wait_since_ns is what a garbage collection says */
	bool seen_born : 1; /* born_ns is true to a look */
	bool restless : 1;  /* it has run since its birth: a younger one was dated in its wait long before it was */
	bool told : 1;      /* since the reader was started again */
};

/* What is known of a process that runs a Go program. */
struct lm_go_counts {
	char version[sizeof(((struct lm_go_summary *)0)->version)]; /* "" = not known */
	int64_t goroutines;                                         /* -1: not known, as are the next two */
	int64_t gc_count, heap_live_bytes;
	const char *no_gc, *no_objects; /* as in the summary: why these are not known, NULL if they are */
	const char *why;                /* why goroutines cannot be read now, NULL if they can; see below */
};

/* A look at the process begins. mono_to_boot_ns: what is added to CLOCK_MONOTONIC for CLOCK_BOOTTIME. 0 or -ENOMEM. */
int lm_monitor_go_begin(
	struct lm_monitor *monitor, struct lm_process *process, uint64_t now_ns, int64_t mono_to_boot_ns);
/* One goroutine has changed. Takes any garbage. 0 or -ENOMEM. */
int lm_monitor_go_record(struct lm_monitor *monitor, struct lm_process *process, const struct lm_go_record *record);
/* The look is complete: goroutines that wait come into their groups. 0 or -ENOMEM. */
int lm_monitor_go_end(struct lm_monitor *monitor, struct lm_process *process, const struct lm_go_summary *summary);

/* Fills numbers with stacks that records have named and that are not known yet, at most max; returns how many. They are
 * named again until lm_monitor_go_set_stack was called for them. */
size_t lm_monitor_go_unknown_stacks(const struct lm_process *process, uint32_t *numbers, size_t max);
/* The stack of that number, taking over the reference; NULL with the reason (static text) if it could not be had.
 * creator is copied; NULL: not known. A number that nobody asked for is dropped. 0 or -ENOMEM: it stays unknown. */
int lm_monitor_go_set_stack(struct lm_monitor *monitor, struct lm_process *process, uint32_t number,
	const struct lm_stack *stack, const char *why, const struct lm_go_creator *creator);

/* Go's own words for a wait reason, copied; the first that is given holds. lm_monitor_go_reason: NULL if none was. */
int lm_monitor_go_set_reason(struct lm_process *process, uint8_t reason, const char *text);
const char *lm_monitor_go_reason(const struct lm_process *process, uint8_t reason);

/* Whoever reads the goroutines has been started again: all are told anew, and stacks are numbered anew. Those told
 * again stay where they were; those not told by the next lm_monitor_go_end are gone. */
void lm_monitor_go_reset(struct lm_monitor *monitor, struct lm_process *process);
/* Goroutines cannot be read now; why must last until the next call for this process, or until it is dropped. is_go: it
 * is a Go program. What was known holds for a while. */
int lm_monitor_go_failed(struct lm_monitor *monitor, struct lm_process *process, bool is_go, const char *why);
/* Forgets all about the goroutines of a process that ends or becomes another program. */
void lm_monitor_go_drop(struct lm_monitor *monitor, struct lm_process *process);

/* Is it known to be a Go program? Then what is known is in counts. */
bool lm_monitor_go_counts(const struct lm_process *process, struct lm_go_counts *counts);
/* What speaks against a leak of goroutines (enum lm_verdict_guards), beside what the group itself has. */
unsigned int lm_monitor_go_guards(const struct lm_monitor *monitor, const struct lm_group *group);
/* Are the births of the members known better than by the order of creation? They are where collections have dated
 * most of them soon after that, or where so many others have come and gone between them that they were not born at
 * once. Slow: looks at all goroutines. */
bool lm_monitor_go_births_tell(const struct lm_group *group, uint64_t now_ns);

/* The goroutine of a resident of a group whose kind is LM_SITE_GOROUTINE. */
struct lm_goroutine *lm_goroutine_of(const struct lm_resident *resident);
/* Of that number in the process; all NULL and 0 if it is not known. */
struct lm_go_creator lm_monitor_go_creator(const struct lm_process *process, uint16_t creator);

#endif
