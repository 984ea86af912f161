/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All goroutines of a Go program, read from its memory while it goes on. A look reads
 * every g; the stack is read again only of those that have run since the last one. What
 * changed meanwhile is found out by reading twice and is not reported as fact.
 */
#ifndef LM_GOLANG_GOROUTINES_H
#define LM_GOLANG_GOROUTINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/golang/record.h"
#include "user/golang/tables.h"

struct lm_goroutines; /* what is known of those of one program */

/* tables must outlive it. 0; -ENOTSUP: *why says what of this program could not be made out (static text); -EAGAIN:
 * its runtime has not started yet; -ENOMEM. */
int lm_goroutines_new(int mem_fd, struct lm_go_tables *tables, const struct lm_region *regions, size_t regions_len,
	struct lm_goroutines **goroutines, const char **why);
/* NULL is fine. */
void lm_goroutines_free(struct lm_goroutines *goroutines);

/*
 * Looks at all goroutines. 0 when the look is complete; -EAGAIN when end_ns (CLOCK_MONOTONIC) came first: the next
 * call goes on with it; -EIO: the memory is not what it should be, *why says what (static text).
 */
int lm_goroutines_look(struct lm_goroutines *goroutines, uint64_t end_ns, const char **why);
/* Of the last complete look. */
const struct lm_go_summary *lm_goroutines_summary(const struct lm_goroutines *goroutines);

/* Moves out what has changed since it was last asked for, at most max records; 0 when there are no more. */
size_t lm_goroutines_changes(struct lm_goroutines *goroutines, struct lm_go_record *records, size_t max);
/* How many it would move out. */
uint64_t lm_goroutines_changed(const struct lm_goroutines *goroutines);
/* Forgets what was told: all goroutines are reported as changed again. */
void lm_goroutines_tell_again(struct lm_goroutines *goroutines);

/* The program counters of a stack, innermost first, and that of the go statement which created the goroutine (0: none);
 * 0 if there is no such stack. Only the first is exact, and only where *first_exact says so. */
size_t lm_goroutines_stack(const struct lm_goroutines *goroutines, uint32_t stack, const uint64_t **pcs,
	uint64_t *creator_pc, bool *first_exact);

/* Go's own words for a wait ("chan send"), NULL if there is no such reason. */
const char *lm_goroutines_reason(const struct lm_goroutines *goroutines, uint8_t reason);

/* What it takes to show one goroutine. False if it is not there any more. */
bool lm_goroutines_details(
	struct lm_goroutines *goroutines, uint32_t index, uint64_t goid, struct lm_go_details *details);

/* Memory that it holds, in bytes. */
size_t lm_goroutines_bytes(const struct lm_goroutines *goroutines);

#endif
