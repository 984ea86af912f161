/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who waits where, since when: groups of threads or goroutines of one process that wait in the same place. Pure. */
#ifndef LM_GROUPS_H
#define LM_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define HASH_NONFATAL_OOM 1 /* else it ends the program */
#include <uthash.h>

#include "user/places.h"
#include "user/snapshot.h"
#include "user/stacks.h"
#include "user/verdicts.h"
#include "user/waits.h"

#define LM_GROUP_SAMPLES 17 /* of the counts, so that a rate looks back over at most a horizon */

struct lm_thread;
struct lm_process;

/* One stay of a thread or goroutine in a group; embedded in whatever stands for it. Times are CLOCK_BOOTTIME. */
struct lm_resident {
	struct lm_group *group; /* NULL: in none */
	size_t index;           /* in the group's arrays */
	uint64_t wait_since_ns; /* of the present wait: a stay may be a row of waits. 0: not known */
	uint64_t object;
	bool has_object;
	uint32_t stack_bytes; /* held by its stack, of goroutines */
};

struct lm_group_key {
	uint64_t process; /* the process's own number in the monitor */
	uint64_t site;    /* hash of wait class and normalised stack, the same on every machine */
};

struct lm_group_sample {
	uint64_t at_ns;
	int64_t arrived, departed;
};

/* What was said of a group, so that it can be withdrawn when those that it rested on leave after all. */
struct lm_flag {
	enum lm_level level;      /* the highest so far, NONE = nothing was said */
	uint64_t since_ns;        /* the earliest arrival that it rested on */
	int age;                  /* index of the age floor that it was reached with */
	uint32_t departures;      /* of that age, when it was reached */
	uint64_t doubted_ns;      /* since then too many of those that it rests on have left; 0 = they have not */
	uint64_t demanded_age_ns; /* after a withdrawal: survivors must be older than this; 0 = none yet */
};

/* A resident of before a restart, see recall.h. */
struct lm_recalled {
	uint64_t id, start_ns, since_ns;
	bool ticks; /* its stay was a row of waits, which timers ended */
	bool back;  /* it is there again */
};

/* What of a group stands on disk already, so that it is written only when that changes. */
struct lm_recall_state {
	bool once;
	uint64_t at_ns;
	int64_t arrived, departed;
	enum lm_level flag_level, verdict_level;
};
struct lm_stays_saved {
	uint64_t len;
	uint32_t completed[LM_VERDICT_HISTOGRAM];
};

struct lm_group {
	struct lm_group_key key;
	enum lm_site_kind kind;     /* of the residents: whoever embeds them */
	struct lm_process *process; /* the caller's */
	uint64_t watch_start_ns;    /* who came before that was not seen to come */
	struct lm_wait wait;
	const struct lm_stack *stack; /* of a member, whole; with a reference. NULL: none could be had */
	const char *stack_why;        /* static text, why stack is NULL or ends early */
	uint64_t *kernel_stack;       /* addresses, innermost first */
	size_t kernel_stack_len;
	bool idle_worker, kernel_thread;
	bool go_runtime;  /* threads of a Go program that park in its runtime, wherever that is */
	bool own_objects; /* each member waits on an object of its own whatever it waits for, as a JVM's threads do */
	const char *leaf; /* the innermost application function, NULL if not known; owned by the stack */

	struct lm_resident **residents;    /* in no order */
	struct lm_verdict_member *members; /* of the residents, by the same index */
	size_t capacity;
	int64_t count, arrived, departed;
	uint32_t departures[LM_VERDICT_AGES];         /* stays that ended at this age or later */
	uint64_t last_departures_ns[LM_VERDICT_AGES]; /* when the last of them did, 0 = none has */
	uint32_t completed[LM_VERDICT_HISTOGRAM];     /* stays by log2 of their ns */
	uint64_t completed_len, longest_completed_ns;
	struct lm_group_sample samples[LM_GROUP_SAMPLES]; /* a ring, samples_at is the oldest */
	size_t samples_len, samples_at;
	uint64_t emptied_ns; /* when the last one left; 0 = not empty */

	struct lm_verdict verdict;
	uint64_t judged_ns; /* when the verdict was reached, 0 = never */
	struct lm_flag flag;
	struct {
		enum lm_level level; /* NONE: nobody is stuck */
		struct lm_thread *
			thread; /* the one that is, of those the one that came first; valid right after it was judged */
		const char *why; /* static text */
	} stuck;
	unsigned int guards; /* enum lm_verdict_guards, those that only the caller can know */
	int64_t piled_up;    /* members that wait for locks whose owners are known */

	struct lm_recalled *recalled; /* by id; NULL: none is waited for */
	size_t recalled_len;
	uint64_t recalled_ns, saved_ns; /* when they were restored, and when saved */
	struct lm_recall_state saved;
	struct lm_stays_saved *stays_saved; /* NULL: nothing was saved */

	/* over the present residents; valid while !changed */
	bool changed;
	uint64_t oldest_ns, newest_ns,
		median_ns; /* of the present waits; 0: it is not known of one, all, most of them */
	uint64_t first_ns; /* the stay that began first */
	int64_t objects;
	int64_t stack_bytes; /* of all, of goroutines */
	UT_hash_handle hh;
};

struct lm_groups {
	struct lm_group *table;
	struct lm_stacks *stacks;
	uint64_t watch_start_ns, horizon_ns;
	size_t empty_max; /* groups without members that are kept for their history */
	void (*made)(
		struct lm_group *group, void *context); /* called for a new one that nobody has joined; may be NULL */
	void *made_context;
};

/* Finds or makes the group of this place; takes its own reference of the stack. 0 or -ENOMEM. */
int lm_groups_find(struct lm_groups *groups, const struct lm_place *place, struct lm_group **group);

/* A thread has come to stay in the group: its object and present wait are set by the caller. 0 or -ENOMEM. */
int lm_groups_join(struct lm_group *group, struct lm_resident *resident, const struct lm_verdict_member *member);
/* It waits there again: the stay goes on with another wait. */
void lm_groups_wait_again(struct lm_resident *resident, uint64_t wait_since_ns);
/* How it stands in its group's eyes; only for a resident of one. */
struct lm_verdict_member *lm_resident_member(const struct lm_resident *resident);
/* Takes a resident out of a group in which it was for want of a better one: nobody has left. */
void lm_groups_take_back(struct lm_resident *resident, uint64_t at_ns);
/* It has left, at that time. Does nothing if it is in no group. */
void lm_groups_leave(struct lm_groups *groups, struct lm_resident *resident, uint64_t at_ns);

/* One who is no resident, since he was one before a restart, has left at that time. */
void lm_groups_note_left(const struct lm_groups *groups, struct lm_group *group, uint64_t since_ns, uint64_t at_ns);

/* Once a look: takes samples of the counts and lets go of groups that are long empty. */
void lm_groups_tick(struct lm_groups *groups, uint64_t now_ns);

/* Brings oldest, newest, median and objects up to date. 0 or -ENOMEM. */
int lm_group_refresh(struct lm_group *group);

/* Growth per hour at that time, NAN if not known: what was seen coming and going, or, before there is enough of that,
 * what the present members' arrivals tell; those of goroutines are no better than guesses then. process_start_ns as
 * CLOCK_BOOTTIME. */
double lm_group_rate_per_h(
	const struct lm_groups *groups, const struct lm_group *group, uint64_t now_ns, uint64_t process_start_ns);

/* Ends all groups of a process, or those of one kind: the residents that they still have are not touched. */
void lm_groups_drop_process(struct lm_groups *groups, uint64_t process);
void lm_groups_drop_kind(struct lm_groups *groups, uint64_t process, enum lm_site_kind kind);
void lm_groups_free(struct lm_groups *groups);

#endif
