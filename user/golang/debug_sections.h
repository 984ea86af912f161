/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few debug sections that tell of types, out of a file that may be large and may have compressed them. */
#ifndef LM_GOLANG_DEBUG_SECTIONS_H
#define LM_GOLANG_DEBUG_SECTIONS_H

#include <libelf.h>
#include <stddef.h>

/* Of these sections, decompressed. A server with net/http has 3 MiB, which take 14 ms in all. */
#define LM_GO_DEBUG_MAX_BYTES (64ull << 20)

/* An ELF file of nothing but these, decompressed, to be freed; NULL if there are none, they are broken, more than that,
 * or compressed in another way than zlib's. */
char *lm_go_debug_sections(Elf *elf, size_t *size);

#endif
