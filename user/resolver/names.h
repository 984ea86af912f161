/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of functions as people know them. */
#ifndef LM_RESOLVER_NAMES_H
#define LM_RESOLVER_NAMES_H

#include <stdbool.h>

#include "user/resolver/protocol.h"

/* A C++ or Rust symbol? */
bool lm_name_is_mangled(const char *name);

/* Copies a text, cut to LM_TEXT_MAX; NULL is "". */
void lm_name_copy(const char *from, char text[LM_TEXT_MAX + 1]);

/* Demangles a symbol to a plain qualified name, without parameters, hashes and symbol versions, cut to LM_TEXT_MAX;
 * what is not mangled is copied. */
void lm_name_plain(const char *symbol, char text[LM_TEXT_MAX + 1]);

#endif
