/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers for equal things: each row of bytes gets the next number when it is first seen, counted from 0. */
#ifndef LM_RENDER_INTERN_H
#define LM_RENDER_INTERN_H

#include <stddef.h>
#include <stdint.h>

#include "user/snapshot.h"

struct lm_intern_entry;

struct lm_intern {
	struct lm_arena *arena; /* the caller's; owns the bytes */
	struct lm_intern_entry *table;
};

/* The number of the bytes, which are copied; it is the old length if they are new. -ENOMEM. */
int64_t lm_intern_add(struct lm_intern *intern, const void *bytes, size_t len);

/* How many different ones there are. */
size_t lm_intern_len(const struct lm_intern *intern);

/* Calls for each in the order of their numbers; stops at an error, and returns it. */
typedef int lm_intern_visitor(void *context, int64_t number, const void *bytes, size_t len);
int lm_intern_each(const struct lm_intern *intern, lm_intern_visitor *visit, void *context);

/* Frees the table; the bytes stay with the arena. */
void lm_intern_free(struct lm_intern *intern);

#endif
