/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Evaluates the DWARF expressions that call-frame information uses: bounded in steps and depth, total in errors. */
#ifndef LM_RESOLVER_EXPRESSION_H
#define LM_RESOLVER_EXPRESSION_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/resolver/remote.h"

#define LM_DWARF_REGISTERS 17 /* x86-64: 0–15 by DWARF number, 16 the return address */

struct lm_register_set {
	uint64_t value[LM_DWARF_REGISTERS];
	uint32_t known; /* bit i: value[i] is */
};

struct lm_expression_input {
	const struct lm_register_set *registers;
	struct lm_remote *remote;
	bool has_cfa;
	uint64_t cfa;
};

/* False if the expression cannot be evaluated. *is_value: the result is the value itself, not where it is stored. */
bool lm_expression_evaluate(const struct lm_expression_input *input, const Dwarf_Op *operations, size_t len,
	uint64_t *result, bool *is_value);

#endif
