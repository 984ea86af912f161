/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the registers of a blocked thread to its chain of return addresses. */
#ifndef LM_RESOLVER_UNWIND_H
#define LM_RESOLVER_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leakmon_abi.h"
#include "user/resolver/expression.h"
#include "user/resolver/module.h"
#include "user/resolver/protocol.h"
#include "user/resolver/remote.h"

/* One mapping of a target. */
struct lm_region {
	uint64_t start, end, file_offset;
	uint32_t module; /* LM_MODULE_NONE: no file */
	bool executable;
	struct lm_elf *elf; /* NULL: none, or not readable */
};

/* What was found out about a word as the return address of the code at pc. */
struct lm_judgement {
	uint64_t address, pc;
	uint8_t quality;
};

#define LM_JUDGEMENTS 4096
#define LM_UNWIND_WORDS 32768 /* of a stack that may be looked at where there is no call-frame information */

struct lm_perf_map;
struct lm_java;
struct lm_go_tables;

struct lm_rows; /* call-frame rows by module and address, shared by all targets */

struct lm_unwinder {
	struct lm_remote remote;
	struct lm_rows *rows;
	const struct lm_region *regions; /* ascending */
	size_t regions_len;
	const struct lm_perf_map *perf_map; /* NULL: none */
	struct lm_java *java;               /* NULL: this is no JVM */
	struct lm_go_tables *go;            /* NULL: this is no Go program */
	unsigned words_left;
	bool unmapped, unnamed; /* out: an address was in no region; in code without a file and without a symbol */
	struct lm_judgement judgements[LM_JUDGEMENTS];
};

/* Forgets what it found out: the regions are those of another process, or have changed. */
void lm_unwinder_forget(struct lm_unwinder *unwinder);

int lm_rows_new(struct lm_rows **rows);
void lm_rows_free(struct lm_rows *rows);
/* Forgets all rows: module numbers or files have changed. */
void lm_rows_clear(struct lm_rows *rows);

/* The region that holds the address, NULL if none does. */
const struct lm_region *lm_unwinder_region(const struct lm_unwinder *unwinder, uint64_t address);

/* Fills at most max frames, innermost first; *len says how many. */
enum lm_unwind_status lm_unwinder_run(struct lm_unwinder *unwinder, const struct lm_regs *regs,
	struct lm_frame_message *frames, size_t max, size_t *len);

#endif
