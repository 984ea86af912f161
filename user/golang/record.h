/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Goroutines as plain data: what a look at a Go program found. Who reads them fills
 * these, who judges them reads them; neither knows the other.
 *
 * Times are Go's nanotime(), which is CLOCK_MONOTONIC; 0 = not known. Addresses are the
 * program's own; 0 = none.
 */
#ifndef LM_GOLANG_RECORD_H
#define LM_GOLANG_RECORD_H

#include <stdint.h>

/* What a goroutine does, as far as that matters to who waits for it to end. The waits are in the order of
 * CONTRACT.md; LM_GO_GONE to LM_GO_MOVED are no waits. */
enum lm_go_state {
	LM_GO_GONE,    /* it has ended: what was known under its index holds no longer */
	LM_GO_RUNNING, /* runs, or could */
	LM_GO_MOVED,   /* its stack changed while it was read: where it is is not known */
	LM_GO_CHAN_SEND,
	LM_GO_CHAN_RECEIVE,
	LM_GO_CHAN_SEND_NIL,
	LM_GO_CHAN_RECEIVE_NIL,
	LM_GO_SELECT,
	LM_GO_SELECT_NO_CASES,
	LM_GO_MUTEX,
	LM_GO_RWMUTEX_READ,
	LM_GO_RWMUTEX_WRITE,
	LM_GO_COND,
	LM_GO_WAITGROUP,
	LM_GO_SEMAPHORE,
	LM_GO_SLEEP,
	LM_GO_IO,
	LM_GO_SYSCALL,
	LM_GO_OTHER,
	LM_GO_STATES
};

enum lm_go_flags {
	LM_GO_SYSTEM = 1 << 0,   /* the runtime's own: not counted by runtime.NumGoroutine() */
	LM_GO_RAN = 1 << 1,      /* waits where it waited at the last look, but has run meanwhile */
	LM_GO_TIMED = 1 << 2,    /* a timer is among what may wake it: it may be ticking */
	LM_GO_LOCKED = 1 << 3,   /* bound to a thread of its own (runtime.LockOSThread) */
	LM_GO_LABELLED = 1 << 4, /* has pprof labels */
	LM_GO_UNWOUND = 1 << 5,  /* its stack was read to the end; else stack has what could be read */
};

#define LM_GO_STACK_NONE 0 /* no stack is known */

/* One goroutine that is new, has changed, or is gone since the last look. */
struct lm_go_record {
	uint32_t index; /* in runtime.allgs: never used by two at a time */
	uint32_t flags; /* enum lm_go_flags */
	uint64_t goid;  /* grows with every goroutine that is created, but for batches of 16 that each P takes */
	uint64_t parent_goid;
	uint64_t wait_since_ns; /* the first GC that saw it wait: it has waited at least since then. 0: none has */
	uint64_t object;        /* channel, mutex, WaitGroup … that it waits for; of a select: the first channel */
	uint32_t objects;       /* how many channels a select waits for; else 1 or, without an object, 0 */
	uint32_t stack;         /* number of its stack: equal ones have the same. LM_GO_STACK_NONE: not known */
	uint32_t stack_bytes;   /* held by its stack */
	uint8_t state;          /* enum lm_go_state */
	uint8_t reason;         /* index of Go's own wait reason, see struct lm_go_reason */
	uint8_t pad[2];
};

/* One look at a program. */
struct lm_go_summary {
	char version[32];        /* "go1.24.4" */
	uint64_t goroutines;     /* as runtime.NumGoroutine() counts */
	uint64_t system;         /* the runtime's own, not in goroutines */
	uint64_t newest_goid;    /* the largest that is alive or, where that is known, was given out */
	uint64_t moved;          /* goroutines in LM_GO_MOVED at this look */
	uint64_t not_unwound;    /* waiting goroutines whose stack ends early */
	int64_t gc_count;        /* -1: not known */
	int64_t heap_live_bytes; /* -1: not known */
	uint64_t now_ns;         /* CLOCK_MONOTONIC when the look ended */
	const char *no_gc;       /* static text: why those two are not known, NULL if they are */
	const char *no_objects;  /* static text: why objects of mutexes and the like are not known, NULL if they are */
};

/* What is asked of one goroutine only to show it. */
struct lm_go_channel {
	uint64_t address;  /* 0: the goroutine waits for no channel, or it has gone on */
	uint64_t len, cap; /* of elements */
	uint32_t elem_bytes;
	uint32_t closed;             /* 1: it is */
	uint32_t senders, receivers; /* goroutines that wait on each side, counted up to 10,000 */
};

#define LM_GO_LABELS_MAX 256
struct lm_go_details {
	struct lm_go_channel channel;
	char labels[LM_GO_LABELS_MAX]; /* "key=value, key=value", cut if they are longer; "" if there are none */
};

#endif
