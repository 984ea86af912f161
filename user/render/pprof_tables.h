/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of a profile.proto: each text, function, file and place stands there once, and samples name them by
 * number. */
#ifndef LM_RENDER_PPROF_TABLES_H
#define LM_RENDER_PPROF_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "user/render/intern.h"
#include "user/render/profile.pb-c.h"
#include "user/snapshot.h"

struct lm_pprof_tables {
	struct lm_arena *arena;
	struct lm_intern texts, functions, mappings, locations;
	int error; /* the first one, 0 or -ENOMEM; what is returned after it is meaningless */
};

/* The arena is the caller's and owns all that is made. */
void lm_pprof_tables_open(struct lm_pprof_tables *tables, struct lm_arena *arena);
void lm_pprof_tables_close(struct lm_pprof_tables *tables);

/* The index of a text, escaped; 0 for NULL and "". */
int64_t lm_pprof_text(struct lm_pprof_tables *tables, const char *text);

/* The number of the file that the frame is in; 0: it is not known. */
uint64_t lm_pprof_mapping(struct lm_pprof_tables *tables, const struct lm_snapshot_frame *frame);

/* Adds the location of the frames, a function with what was inlined there before it, or of the kernel. The number. */
uint64_t lm_pprof_location(struct lm_pprof_tables *tables, const struct lm_snapshot_frame *frames, size_t len);
uint64_t lm_pprof_kernel_location(struct lm_pprof_tables *tables, const struct lm_snapshot_frame *frame);

/* How many of the frames, at least one of which there is, are one location. */
size_t lm_pprof_location_len(const struct lm_snapshot_frame *frames, size_t len);

/* Hangs all tables into the profile. 0 or -ENOMEM. */
int lm_pprof_tables_fill(struct lm_pprof_tables *tables, LmPprof__Profile *profile);

#endif
