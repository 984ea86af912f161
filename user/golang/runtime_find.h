/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a Go program's runtime keeps what is read of it. A stripped program has no symbols for that, but its function
 * table has names, and the code of a few functions tells the addresses that it works with.
 */
#ifndef LM_GOLANG_RUNTIME_FIND_H
#define LM_GOLANG_RUNTIME_FIND_H

#include "user/golang/memory.h"
#include "user/golang/record.h"
#include "user/golang/runtime_layout.h"
#include "user/golang/tables.h"
#include "user/resolver/module.h"

#define LM_GO_REASONS 64
#define LM_GO_REASON_BYTES 48

struct lm_go_reason {
	char text[LM_GO_REASON_BYTES];
	uint8_t state; /* enum lm_go_state */
};

struct lm_go_runtime {
	const struct lm_go_runtime_layout *layout; /* of the version or, if is_from_debug, debug_layout */
	struct lm_go_runtime_layout debug_layout;  /* what the program's debug information says */
	bool is_from_debug;
	uint64_t allgs;               /* slice of *g */
	uint64_t gc_count, heap_live; /* u32, u64 */
	uint64_t goid_source;         /* u64: up to there goids were given out; 0: not found */
	const char *no_gc;            /* static text: why the first two were not found; NULL: they were */
	struct lm_go_range text;
	struct lm_go_range semacquire; /* code of runtime.semacquire1; empty: not found */
	uint64_t time_types[2];        /* type of what is sent in timers' channels; 0: the program has none */
	struct lm_go_reason reasons[LM_GO_REASONS];
	size_t reasons_len;
};

/* elf is that of the program, NULL if there is no file; runtime must stay where it is. 0; -ENOTSUP with *why (static
 * text); -EAGAIN: it has not started yet; -ENOMEM. */
int lm_go_runtime_find(struct lm_go_memory *memory, struct lm_go_tables *tables, struct lm_elf *elf,
	struct lm_go_runtime *runtime, const char **why);

/* What a wait that Go calls so is. */
enum lm_go_state lm_go_reason_state(const char *text);

#endif
