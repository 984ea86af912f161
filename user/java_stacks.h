/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which frames of a Java stack are the program's own, and which the JVM's and its library's. Pure. */
#ifndef LM_JAVA_STACKS_H
#define LM_JAVA_STACKS_H

#include <stdbool.h>

#include "user/stacks.h"

/* Has the stack a Java method? */
bool lm_java_stacks_is_one(const struct lm_stack *stack);

/* A method of the JDK's own packages, or native code that comes with the JVM? */
bool lm_java_stacks_is_runtime(const struct lm_frame *frame);
/* Native code that comes with the JVM? */
bool lm_java_stacks_is_jvm(const struct lm_frame *frame);

/* A frame that is there or not as the JVM likes, whatever the program does: of interpreted code only, of reflection
 * and method handles until they are used often. */
bool lm_java_stacks_is_plumbing(const struct lm_frame *frame);

/* Of a stack in which only the runtime's frames stand, the one that says most about the thread: what an idle worker of
 * a pool does, else the innermost method that is not only there to wait. The index of a Java frame. */
size_t lm_java_stacks_most_telling(const struct lm_stack *stack);

#endif
