/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wait-for graph: threads that wait for locks, and the threads that hold them.
 * Finds deadlocks (cycles), locks whose owner is gone, and who holds up whom.
 * A thread waits for one lock at most, so one edge a thread is all there is. Pure.
 */
#ifndef LM_LOCKGRAPH_H
#define LM_LOCKGRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/owners.h"

#define LM_LOCK_NO_THREAD UINT64_MAX
#define LM_LOCK_NO_CYCLE SIZE_MAX

struct lm_lock_edge {
	uint64_t waiter;          /* number of a thread, the caller's */
	uint64_t owner;           /* the same, LM_LOCK_NO_THREAD = not known, or gone without a number */
	uint64_t process, object; /* the lock */
	enum lm_owner_strength strength;
	bool owner_gone; /* the owner does not exist any more */
	bool confirmed;  /* read twice over one wait, see monitor_locks.c */
};

/* How the chain "waits for a thread that waits for …" ends. */
enum lm_lock_end {
	LM_LOCK_END_HOLDER,  /* at a thread that waits for no lock: the root */
	LM_LOCK_END_UNKNOWN, /* at a lock whose owner is not known */
	LM_LOCK_END_GONE,    /* at a lock whose owner is gone */
	LM_LOCK_END_CYCLE,   /* in a deadlock */
};

/* Where the wait of one edge leads to. */
struct lm_lock_chain {
	enum lm_lock_end end;
	uint64_t root; /* the thread that holds the last lock, or the first one met of the cycle */
	size_t depth;  /* locks from the waiter to the root: 1 = the owner is the root; 0 = the edge is in the cycle */
	size_t last;   /* edge of the last of these locks; of an edge in the cycle the edge itself */
	size_t cycle;  /* index, or LM_LOCK_NO_CYCLE */
	enum lm_owner_strength weakest; /* of all edges of the chain, the whole cycle included */
	bool confirmed;                 /* all of them are */
};

/* Each thread waits for the next one's lock, the last for the first one's. A thread that waits for its own lock is a
 * cycle of one. Begins with the smallest waiter, so that the same deadlock is always told in the same order. */
struct lm_lock_cycle {
	const size_t *edges; /* indices */
	size_t len;
	enum lm_owner_strength weakest;
	bool confirmed; /* every edge is */
};

/* All who wait for one lock. */
struct lm_lock_group {
	uint64_t process, object;
	const size_t *edges; /* indices, ascending; all waiters */
	size_t len;
	size_t in_cycle;                /* of these, members of a cycle */
	uint64_t owner;                 /* as the first edge says that knows one, else LM_LOCK_NO_THREAD */
	struct lm_lock_chain chain;     /* of that edge, else of the first one */
	enum lm_owner_strength weakest; /* of the group's own edges */
	bool confirmed;                 /* the same */
};

/* Owns every array. Indices are those of the edges analysed. */
struct lm_lockgraph {
	struct lm_lock_chain *chains; /* one an edge */
	size_t chains_len;
	struct lm_lock_cycle *cycles;
	size_t cycles_len;
	struct lm_lock_group *orphans; /* locks whose owner is gone; by process, then object */
	size_t orphans_len;
	struct lm_lock_group *pileups; /* all other locks, from one waiter up; in the same order */
	size_t pileups_len;
	size_t *members; /* what `edges` above point into */
};

/* 0 or -ENOMEM. Should two edges have one waiter, chains go through the first. Takes time in proportion to len, and no
 * stack. */
int lm_lockgraph_analyse(const struct lm_lock_edge *edges, size_t len, struct lm_lockgraph *graph);

/* Frees what the graph holds, not the graph itself. */
void lm_lockgraph_free(struct lm_lockgraph *graph);

#endif
