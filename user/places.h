/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes two waits one place: the wait class and a normalised stack, without the
 * frames that only wait for their caller or only start threads, recursion folded. Pure.
 */
#ifndef LM_PLACES_H
#define LM_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/snapshot.h"
#include "user/stacks.h"
#include "user/waits.h"

struct lm_process;

/* A place that a thread or goroutine waits in. */
struct lm_place {
	enum lm_site_kind kind;
	uint64_t process;         /* its number */
	struct lm_process *whose; /* the same, for the group to keep */
	uint64_t watch_start_ns;  /* since then such waits are watched in the process; 0: since we came */
	uint64_t site;            /* what lm_place_site() says of it, where that is known already; 0: it is not */
	bool go_runtime;          /* a thread that parks in Go's runtime: all of them are one place */
	struct lm_wait wait;
	const struct lm_stack *stack;
	const char *stack_why;
	const uint64_t *kernel_stack;
	size_t kernel_stack_len;
	bool kernel_thread;
};

/* The hash of a place, the same on every machine: of kind, wait class and what the stack tells. */
uint64_t lm_place_site(const struct lm_place *place);

/* Is it known for workers that idle there? */
bool lm_place_is_idle_worker(const struct lm_place *place);
/* Has each that waits there an object of its own, whatever it waits for, as a JVM's threads do? */
bool lm_place_has_own_objects(const struct lm_place *place);

/* The innermost frame of a stack that is not only there to wait, and which of its functions. The stack must have
 * frames. */
const struct lm_frame *lm_place_leaf_frame(const struct lm_stack *stack, uint32_t *function);
/* The innermost application function of a stack (NULL: none), owned by that; NULL if it is not known. */
const char *lm_place_leaf(const struct lm_stack *stack);

#endif
