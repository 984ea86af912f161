/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the fields of the runtime's structs lie, from the debug information of a program that has any. */
#ifndef LM_GOLANG_DEBUG_LAYOUT_H
#define LM_GOLANG_DEBUG_LAYOUT_H

#include "user/golang/runtime_layout.h"
#include "user/resolver/module.h"

/*
 * Replaces what the layout, that of the version as far as it is known, has of offsets. 0; -ENOENT: there is no debug
 * information of the runtime, or it does not tell all of them, or is too large, or took too long: the layout is as it
 * was. Nothing of what was read is kept.
 */
int lm_go_debug_layout(struct lm_elf *elf, struct lm_go_runtime_layout *layout);

#endif
