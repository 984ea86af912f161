/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file with code, as the worker holds it: its segments, its call-frame
 * information, its debug information. Shared by all targets that map it. What is
 * large is opened when it is first needed and can be let go of again.
 */
#ifndef LM_RESOLVER_MODULE_H
#define LM_RESOLVER_MODULE_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_MODULE_SEGMENTS 16

struct lm_segment {
	uint64_t vaddr, file_offset, size;
};

/* One compilation unit's share of the addresses. */
struct lm_unit_range {
	uint64_t low, high;
	Dwarf_Off unit; /* of its DIE */
};

struct lm_elf {
	Elf *elf;
	int debug_fd;                                   /* of the separate debug file, -1: none */
	Elf *debug_elf;                                 /* NULL: none, or not open now: see lm_elf_debug() */
	struct lm_segment segments[LM_MODULE_SEGMENTS]; /* executable ones */
	size_t segments_len;
	Dwarf_CFI *eh_cfi, *debug_cfi;
	bool cfi_tried;
	Dwarf *dwarf;
	bool dwarf_tried;
	struct lm_unit_range *units; /* ascending by low */
	size_t units_len;
	uint64_t *starts; /* of functions, ascending; NULL: not looked at yet */
	size_t starts_len;
	struct lm_python_symbols *python; /* NULL: not looked at yet; see python.c */
	uint64_t deadline_ns;             /* for what may take long, CLOCK_MONOTONIC; 0: none */
};

/* Has what is being done with this module taken too long? */
bool lm_elf_expired(const struct lm_elf *elf);

/* Maps the file and closes the descriptor. 0, -ENOEXEC if it is no 64-bit x86 ELF file, -errno. */
int lm_elf_open(int fd, struct lm_elf **elf);
void lm_elf_free(struct lm_elf *elf);

/* Takes over the descriptor of the separate debug file, if its build id is the same; else closes it. */
void lm_elf_add_debug(struct lm_elf *elf, int debug_fd);
/* The separate debug file, NULL if there is none. */
Elf *lm_elf_debug(struct lm_elf *elf);

/* Length of the build id, 0 if there is none; *bytes is owned by the module. */
size_t lm_elf_build_id(const struct lm_elf *elf, const uint8_t **bytes);
/* Has it debug information of its own? */
bool lm_elf_has_lines(const struct lm_elf *elf);

/* File offset to address in the file's own numbering; false if no executable segment holds it. And back. */
bool lm_elf_to_vaddr(const struct lm_elf *elf, uint64_t file_offset, uint64_t *vaddr);
bool lm_elf_to_offset(const struct lm_elf *elf, uint64_t vaddr, uint64_t *file_offset);

/* Finds exported variables by their names: their addresses in the file's own numbering, 0 for those that it does not
 * have. */
void lm_elf_variables(struct lm_elf *elf, const char *const *names, size_t len, uint64_t *vaddrs);

/* What is added to addresses of the file's own numbering where a part of it is mapped so; false if there is no code in
 * that part. */
bool lm_elf_bias(const struct lm_elf *elf, uint64_t start, uint64_t end, uint64_t file_offset, uint64_t *bias);

/* The call-frame information, NULL if there is none: .eh_frame first, then .debug_frame. */
Dwarf_CFI *lm_elf_cfi(struct lm_elf *elf, bool debug_frame);
/* The debug information, its own or the separate one, with units filled; NULL if there is none. */
Dwarf *lm_elf_dwarf(struct lm_elf *elf);
/* The unit whose code holds the address; false if none. */
bool lm_elf_unit(struct lm_elf *elf, uint64_t vaddr, Dwarf_Die *unit);

/* Lets go of the debug information, which is large and seldom needed, and of the pages of the files. */
void lm_elf_trim(struct lm_elf *elf);

#endif
