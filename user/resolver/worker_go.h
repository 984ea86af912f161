/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the worker does for Go programs: each call answers one message. */
#ifndef LM_RESOLVER_WORKER_GO_H
#define LM_RESOLVER_WORKER_GO_H

#include <stddef.h>
#include <stdint.h>

#include "user/resolver/protocol.h"
#include "user/resolver/symbols.h"
#include "user/resolver/unwind.h"

struct lm_worker_go; /* the Go program of one target */

/* Looks for a Go program in what is mapped so, and writes struct lm_go_open_reply to out; returns its size. *go is NULL
 * if it has no tables that can be read. */
size_t lm_worker_go_open(
	int mem_fd, const struct lm_region *regions, size_t regions_len, struct lm_worker_go **go, void *out);
/* NULL is fine. */
void lm_worker_go_free(struct lm_worker_go *go);

/* Writes the answer to any other message about goroutines to out, which has LM_MESSAGE_MAX bytes; returns its size, 0
 * if the message makes no sense. go may be NULL: then there is nothing to be told. */
size_t lm_worker_go_answer(struct lm_worker_go *go, uint32_t type, const void *payload, size_t size, void *out);

/* Its tables, NULL if there are none. */
struct lm_go_tables *lm_worker_go_tables(struct lm_worker_go *go);
/* The functions that the address stands for, innermost first, at most max (LM_INLINED_MAX at most); 0: it is not in
 * Go's code. */
size_t lm_worker_go_functions(
	struct lm_worker_go *go, uint64_t pc, bool exact, struct lm_symbol_line *lines, size_t max);

/* Memory that it holds, in bytes. */
size_t lm_worker_go_bytes(const struct lm_worker_go *go);

#endif
