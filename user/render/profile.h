/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is blocked now as a profile: a sample is a site, with how many members it has
 * and how long their present waits have lasted, added up. Innermost come the
 * functions of the kernel, then those of the program.
 */
#ifndef LM_RENDER_PROFILE_H
#define LM_RENDER_PROFILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "user/snapshot.h"

enum lm_profile_kind { LM_PROFILE_ALL, LM_PROFILE_THREADS, LM_PROFILE_GOROUTINES };

struct lm_profile_filter {
	enum lm_profile_kind kind;
	uint32_t pid; /* of this process alone, 0 = of all */
	int top;      /* at most so many sites, 0 = all */
};

/* All of these write one whole profile; 0 or -errno (of the stream, or -ENOMEM). */

/*
 * Gzipped profile.proto. Sample types: "count" (the default) and "age". Ages are
 * nanoseconds; should their sum over all samples not fit into 63 bits (292 years),
 * all are microseconds, and the unit says so. Labels of a sample, all texts: pid,
 * comm, kind (thread, goroutine), wait (its class), site (16 hex digits). A place
 * without a symbol is called "module+0xOFFSET". Addresses are offsets in the file
 * of the module, moved by the start of its mapping.
 */
int lm_profile_pprof(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter);

/* The same for people, as Go's net/http/pprof has it with ?debug=1: "goroutine profile: total N", the largest first. */
int lm_profile_pprof_text(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter);

/* speedscope's JSON: one profile by count, one by age in seconds. The outermost frame is the process. */
int lm_profile_speedscope(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter);

/* The next site that the filter takes, NULL after the last. next is where to look on, and begins as 0; taken is how
 * many there were, and begins as 0. */
struct lm_profile_cursor {
	size_t next;
	int taken;
};
const struct lm_snapshot_site *lm_profile_next(
	const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter, struct lm_profile_cursor *cursor);

/* The name of a frame, escaped: its function, or "module+0xOFFSET", "[unknown]+0xOFFSET". The arena's; NULL: no memory.
 */
const char *lm_profile_frame_name(struct lm_arena *arena, const struct lm_snapshot_frame *frame);

/* The text escaped, "" for NULL. The arena's; NULL: no memory. */
const char *lm_profile_text(struct lm_arena *arena, const char *text);

#endif
