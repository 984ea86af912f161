/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the parts of a Go program's tables lie: the header of the pclntab, and the moduledata, in which the runtime
 * finds them itself. Layouts from runtime/symtab.go and cmd/link/internal/ld/pcln.go of Go 1.15 to 1.27.
 */
#ifndef LM_GOLANG_LAYOUT_H
#define LM_GOLANG_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/golang/memory.h"

/* By the first Go that wrote it so. */
enum lm_go_format { LM_GO_FORMAT_1_2, LM_GO_FORMAT_1_16, LM_GO_FORMAT_1_18, LM_GO_FORMAT_1_20 };

#define LM_GO_MAGICS 4
/* The first eight bytes of a pclntab on amd64, by format. */
extern const uint64_t lm_go_magics[LM_GO_MAGICS];

struct lm_go_slice {
	uint64_t start, len; /* bytes */
};

struct lm_go_layout {
	enum lm_go_format format;
	uint64_t pclntab, moduledata;
	uint64_t functions_len;
	struct lm_go_slice index;                                  /* of functions, by address: "ftab" */
	struct lm_go_slice functions, names, units, files, values; /* structs; texts; pcvalue tables */
	uint64_t text, etext;
	uint64_t gofunc; /* what offsets of funcdata are relative to; 0 where they are addresses, or it is not known */
};

/* Reads the header at layout->pclntab: format, and the offsets of what is in it. False if there is none. */
bool lm_go_layout_read_header(const struct lm_go_memory *memory, uint64_t pclntab, struct lm_go_layout *layout);

/* Reads the moduledata; false if what is at the address is none that belongs to the header. minor is that of the
 * version, 0 if it is not known. */
bool lm_go_layout_read_moduledata(
	const struct lm_go_memory *memory, uint64_t moduledata, int minor, struct lm_go_layout *layout);

#endif
