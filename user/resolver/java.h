/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of Java code in the stacks of a HotSpot JVM: interpreted ones, compiled
 * ones with the calls that were inlined into them, and what lies between them and
 * native code. Read from memory alone; the JVM does not notice.
 */
#ifndef LM_RESOLVER_JAVA_H
#define LM_RESOLVER_JAVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/resolver/java_layout.h"
#include "user/resolver/java_names.h"
#include "user/resolver/remote.h"

#define LM_JAVA_INLINED_MAX 64 /* methods in one compiled frame */

struct lm_java; /* the JVM of one target */

/* variables: the addresses of lm_java_variable_names in the target. 0 or -ENOMEM. Nothing is read yet. */
int lm_java_new(const uint64_t variables[LM_JAVA_VARIABLES], struct lm_java **java);
void lm_java_free(struct lm_java *java);

/* Was it made for these addresses? */
bool lm_java_is_at(const struct lm_java *java, const uint64_t variables[LM_JAVA_VARIABLES]);

/* Before the stacks of a message: what the JVM may have changed since the last is forgotten. The names that its frames
 * get are added to names, which must last as long as they are asked for. */
void lm_java_begin(struct lm_java *java, struct lm_remote *remote, struct lm_java_names *names);
/* Before each stack. */
void lm_java_begin_stack(struct lm_java *java);

/* Why its frames cannot be read, static text; NULL if they can, or if nobody tried. */
const char *lm_java_why(const struct lm_java *java);

/* A frame; turned into its caller by lm_java_step(). */
struct lm_java_frame {
	uint64_t pc, sp, bp;
	bool bp_known;
	bool exact;                         /* in: pc is to be run next, not returned to */
	uint64_t keys[LM_JAVA_INLINED_MAX]; /* out: places for lm_java_names_place(), innermost first */
	size_t keys_len;                    /* 0: none of its own, such as a stub's */
	bool named;                         /* out: the frame is no method's, or its method is among the keys */
	bool cut;                           /* out: the callers are not on this stack; pc, sp and bp are as they were */
};

/* False, with all as it was, if pc is in no code of the JVM or the caller cannot be found. */
bool lm_java_step(struct lm_java *java, struct lm_java_frame *frame);

#endif
