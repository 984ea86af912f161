/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which frames of a Python program's stack tell where it is, and which only run, start or wait on behalf of others.
 * Pure. */
#ifndef LM_WAIT_PYTHON_H
#define LM_WAIT_PYTHON_H

#include <stdbool.h>
#include <stddef.h>

#include "user/stacks.h"

/* A native frame of the interpreter itself (python3.11, libpython3.11.so.1.0)? Which of its functions a Python call
 * goes through depends on how often the line has run. */
bool lm_wait_is_interpreter(const struct lm_frame *frame);

/* The index of the Python frame that a stack is known by: the innermost that is not of the standard library's modules
 * for waiting (threading.py, queue.py, asyncio/ …). If all are, the outermost that does not only start threads. False
 * if there is no Python frame. */
bool lm_wait_python_leaf(const struct lm_stack *stack, size_t *leaf);

/* Is the innermost Python frame that of a pool's worker, which waits there for work? */
bool lm_wait_is_idle_python(const struct lm_stack *stack);

#endif
