/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of tables.h share: tables.c (functions), names.c (texts), values.c (pcvalue tables), step.c (frames),
 * lines.c (lines, inlined calls). */
#ifndef LM_GOLANG_TABLES_STATE_H
#define LM_GOLANG_TABLES_STATE_H

#include "user/golang/layout.h"
#include "user/golang/memory.h"
#include "user/golang/tables.h"

#define LM_GO_STEPS 4096     /* places in the cache of frames */
#define LM_GO_VALUES 1000000 /* runs of pcvalue tables that one question may cost: 5 ms */
#define LM_GO_SIZES 65536    /* of those that a frame's size may: a call or a return has two, and stacks are many */

/* What stepping over a frame takes, by its program counter. */
struct lm_go_frame {
	uint64_t pc;  /* 0: none here yet */
	int32_t size; /* from its sp to the return address */
	uint8_t exact;
	uint8_t kind; /* enum lm_go_frame_kind */
};

enum lm_go_frame_kind {
	LM_GO_FRAME_NOWHERE, /* in no function */
	LM_GO_FRAME_STUCK,   /* its size is not known */
	LM_GO_FRAME_PLAIN,
	LM_GO_FRAME_INJECTED, /* put there by the runtime: the caller's pc is to be run */
	LM_GO_FRAME_OUTERMOST,
};

struct lm_go_text;

struct lm_go_tables {
	struct lm_go_memory memory;
	struct lm_go_layout layout;
	char version[32];
	int minor;
	unsigned values_left; /* runs that may still be read for what is being asked */
	bool wrapper_sought;
	uint8_t wrapper_id;       /* func_id of what the compiler put between functions; 0: not known */
	struct lm_go_text *texts; /* those that were given out, by address */
	size_t texts_bytes;
	struct lm_go_frame frames[LM_GO_STEPS];
};

/* A function as its struct in the table has it. */
struct lm_go_func {
	uint64_t entry, end;
	uint64_t at; /* of the struct, in the target */
	uint32_t number, head_bytes;
	uint32_t name, pcsp, pcfile, pcln, pcdata_len, unit;
	uint8_t id, flags, funcdata_len;
};

/* The function that holds the address; false if none does. */
bool lm_go_func_find(struct lm_go_tables *tables, uint64_t pc, struct lm_go_func *func);

/* Copies bytes of a table; false if they are not within it. */
bool lm_go_slice_read(
	struct lm_go_tables *tables, const struct lm_go_slice *slice, uint64_t offset, void *buffer, size_t size);

/* A text of a table, kept as long as the tables; NULL if there is none, it is too long, or there is no memory. */
const char *lm_go_text_at(struct lm_go_tables *tables, const struct lm_go_slice *slice, uint64_t offset);
/* The same of a function's name, as Go's own dumps print it. */
const char *lm_go_text_printed(struct lm_go_tables *tables, uint64_t offset);
void lm_go_texts_free(struct lm_go_tables *tables);
/* Is this the function's name? */
bool lm_go_text_is(struct lm_go_tables *tables, uint64_t offset, const char *name);

/* The value at an address of a function in the pcvalue table at the offset; false if there is none. */
bool lm_go_value_find(
	struct lm_go_tables *tables, const struct lm_go_func *func, uint32_t offset, uint64_t pc, int32_t *value);

#endif
