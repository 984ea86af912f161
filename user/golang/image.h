/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The segments and sections of an ELF file, as addresses in a target that has mapped it. */
#ifndef LM_GOLANG_IMAGE_H
#define LM_GOLANG_IMAGE_H

#include "user/golang/binary.h"

/* What the names of the sections say. */
enum lm_go_sections { LM_GO_SECTIONS_NONE, LM_GO_SECTIONS_OTHER, LM_GO_SECTIONS_GO };

/* From the file. */
enum lm_go_sections lm_go_image_sections(struct lm_elf *elf, struct lm_go_binary *binary);
void lm_go_image_segments(struct lm_elf *elf, struct lm_go_binary *binary);
/* From the ELF header at the address in the target's memory, which says the bias too. False if there is none. */
bool lm_go_image_read(const struct lm_go_memory *memory, uint64_t header, struct lm_go_binary *binary);

#endif
