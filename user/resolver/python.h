/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Python functions that the threads of a CPython program are in, read from its
 * memory while it goes on. A thread is known by its TCB, which is what pthread_self()
 * gave when Python noted it. The places (function, file, line) get numbers, by which
 * frames name them: see LM_MODULE_PYTHON.
 */
#ifndef LM_RESOLVER_PYTHON_H
#define LM_RESOLVER_PYTHON_H

#include <stddef.h>
#include <stdint.h>

#include "leakmon_abi.h"
#include "user/resolver/protocol.h"
#include "user/resolver/python_code.h"
#include "user/resolver/unwind.h"

struct lm_python; /* the target at hand, and the places of all */

/* 0 or -ENOMEM. */
int lm_python_new(struct lm_python **python);
void lm_python_free(struct lm_python *python);

/* Turns to a target: regions are looked through for an interpreter, if any has one. Forgets the one before. */
void lm_python_turn(struct lm_python *python, int mem_fd, const struct lm_region *regions, size_t regions_len);

/* What was read of the target before may be old by now, and so many places may be too many. To be called before the
 * threads of a message; end_ns (CLOCK_MONOTONIC): when to leave frames out. */
void lm_python_begin(struct lm_python *python, uint64_t end_ns);

/*
 * Puts the thread's Python frames behind the native frames of the interpreter that run them, innermost first. Frames
 * that are beyond max are left out. Returns the new length; *status becomes LM_UNWIND_TRUNCATED if some were.
 */
size_t lm_python_add(struct lm_python *python, const struct lm_regs *regs, struct lm_frame_message *frames, size_t len,
	size_t max, enum lm_unwind_status *status);

/* What came of the target so far. */
enum lm_python_status lm_python_status(const struct lm_python *python);

/* The place of this number, NULL if there is none. It lives until lm_python_begin(). */
const struct lm_python_place *lm_python_place(const struct lm_python *python, uint64_t number);

#endif
