/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of goroutines.h share: goroutines.c (the interface), allgs.c (which g's there are), scan.c (a look at
 * all of them), unwound.c (the stack of one), waits.c (what it waits for), details.c.
 */
#ifndef LM_GOLANG_GOROUTINES_STATE_H
#define LM_GOLANG_GOROUTINES_STATE_H

#include "user/golang/goroutines.h"
#include "user/golang/interned.h"
#include "user/golang/memory.h"
#include "user/golang/runtime_find.h"
#include "user/resolver/remote.h"

#define LM_GO_CHUNK_BYTES 262144u
#define LM_GO_BATCH 64              /* stacks that are read between two reads of their g's */
#define LM_GO_GOID_MAX (1ull << 56) /* no program creates as many */
#define LM_GO_ADDRESS_MAX (1ull << 47)

/* What is known of a goroutine: of a million it is most of the memory. */
struct lm_goroutine {
	uint64_t goid, parent_goid, sp, wait_since_ns, object;
	uint32_t stack, stack_bytes, objects;
	uint32_t place;   /* of pc: folded */
	uint8_t status;   /* enum lm_go_status */
	uint8_t sequence; /* counts how often it has stopped running; 0 before 1.17 */
	uint8_t state, reason, flags;
};

/* A goroutine that has run: what was found of it between two reads of its g. */
struct lm_go_found {
	uint32_t index;
	const unsigned char *g; /* the first read */
	struct lm_goroutine now;
	uint64_t creator_pc, semaphore;
	uint16_t pcs_len;
	bool complete, first_exact;
	uint64_t pcs[LM_GO_FRAMES_MAX];
};

enum lm_go_start { LM_GO_START_USER, LM_GO_START_SYSTEM, LM_GO_START_FINALIZERS };

struct lm_go_start_known {
	uint64_t pc;
	uint8_t start; /* enum lm_go_start */
};

#define LM_GO_STARTS 64 /* places of a cache */

struct lm_goroutines {
	struct lm_go_memory memory; /* nothing is kept of it */
	struct lm_go_tables *tables;
	struct lm_go_runtime runtime;

	uint64_t *addresses; /* of g's, by index */
	struct lm_goroutine *known;
	uint32_t *order;   /* indices by address */
	uint64_t *changed; /* bits by index: not told yet */
	size_t len, room;
	struct lm_go_interned interned;

	unsigned false_starts;     /* looks in a row that could not begin, as the list was being changed */
	bool looking;              /* a look has begun and not ended */
	size_t at;                 /* in order: where it goes on */
	size_t readable;           /* g's that were there */
	struct lm_go_summary next; /* of the look that has begun */
	struct lm_go_summary summary;
	size_t told; /* indices below have no bit in changed */

	struct lm_remote stack_memory, object_memory;
	struct lm_go_start_known starts[LM_GO_STARTS];
	int32_t sudog_slot; /* of semacquire1's frame: where the last sudog was found; -1: none yet */
	bool object_missed; /* the lock that a goroutine waits for was not found */

	unsigned char *chunk; /* LM_GO_CHUNK_BYTES of g's */
	unsigned char *again; /* and once more, those of a batch */
	struct lm_go_found *batch;
	size_t batch_len;
};

/* Brings addresses and order up to date. 0, -EAGAIN, -EIO with *why, -ENOMEM. */
int lm_go_allgs_update(struct lm_goroutines *goroutines, const char **why);

/* Goes on with the look. 0; -EAGAIN: end_ns came first. */
int lm_go_scan(struct lm_goroutines *goroutines, uint64_t end_ns);

/* Reads the stack of a goroutine whose g was read, and what the semaphore is that it waits for. */
void lm_go_unwind(struct lm_goroutines *goroutines, struct lm_go_found *found);
/* Which lock the stack waits for (enum lm_go_state). */
enum lm_go_state lm_go_stack_lock(struct lm_goroutines *goroutines, uint32_t stack);
/* Is there a function on it that is not the runtime's? */
bool lm_go_stack_runs_user(struct lm_goroutines *goroutines, uint32_t stack);

/* Is it a wait for a channel? For a lock? */
bool lm_go_waits_for_channel(enum lm_go_state state);
bool lm_go_waits_for_lock(enum lm_go_state state);
/* From a goroutine's g: objects, object, whether a timer may wake it; of locks found->semaphore, if that is there. */
void lm_go_read_waits(struct lm_goroutines *goroutines, struct lm_go_found *found);
/* Is the address a sudog of this g that waits for a semaphore? Then that is *semaphore. */
bool lm_go_read_semaphore(struct lm_goroutines *goroutines, uint64_t sudog, uint64_t g, uint64_t *semaphore);
/* The address of the lock with this semaphore. */
uint64_t lm_go_lock_of(enum lm_go_state state, uint64_t semaphore);

uint64_t lm_go_now_ns(void);

#endif
