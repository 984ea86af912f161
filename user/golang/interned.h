/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stacks by number: equal ones are kept once. A number is never given to another stack, even when its own is gone. */
#ifndef LM_GOLANG_INTERNED_H
#define LM_GOLANG_INTERNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_GO_FRAMES_MAX 128

struct lm_go_stack {
	const uint64_t *pcs; /* innermost first */
	uint64_t creator_pc; /* 0: none */
	uint32_t number, hash;
	uint16_t len;
	bool first_exact;
	bool used;    /* see lm_go_interned_sweep() */
	uint8_t lock; /* enum lm_go_state: which lock this waits for, where the stack tells; 0: not looked at yet */
	bool runs_on_user; /* code that is not the runtime's is on it; valid once lock is set */
};

struct lm_go_interned {
	struct lm_go_stack *stacks; /* ascending by number */
	uint32_t *table;            /* by hash: place in stacks + 1, 0: empty; a power of two at least twice len */
	size_t len, room, table_len, pcs_len;
	size_t kept; /* len after the last sweep */
	uint32_t last_number;
};

void lm_go_interned_free(struct lm_go_interned *interned);

/* The number of the stack; key's number, hash and what follows first_exact are ignored. 0 where there is no memory, or
 * there are too many different ones. */
uint32_t lm_go_interned_add(struct lm_go_interned *interned, const struct lm_go_stack *key);
/* NULL if there is none. Valid until the next call that adds or sweeps. */
struct lm_go_stack *lm_go_interned_get(const struct lm_go_interned *interned, uint32_t number);

/* Have they become so many that a sweep is worth its time? */
bool lm_go_interned_crowded(const struct lm_go_interned *interned);
/* Frees those that are not marked as used, and takes the marks off. */
void lm_go_interned_sweep(struct lm_go_interned *interned);

size_t lm_go_interned_bytes(const struct lm_go_interned *interned);

#endif
