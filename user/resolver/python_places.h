/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places in Python programs, each stored once, with numbers that are never given twice. */
#ifndef LM_RESOLVER_PYTHON_PLACES_H
#define LM_RESOLVER_PYTHON_PLACES_H

#include <stddef.h>
#include <stdint.h>

#include "user/resolver/python_code.h"

struct lm_python_places;

int lm_python_places_new(struct lm_python_places **places);
void lm_python_places_free(struct lm_python_places *places);

/* The number of the place, which is stored if it is new; 0 if there is no memory for it. */
uint64_t lm_python_places_number(struct lm_python_places *places, const struct lm_python_place *place);
/* NULL if there is none. */
const struct lm_python_place *lm_python_places_find(const struct lm_python_places *places, uint64_t number);

/* Forgets all places; their numbers stay used. */
void lm_python_places_clear(struct lm_python_places *places);
/* Memory that they take. */
size_t lm_python_places_bytes(const struct lm_python_places *places);

#endif
