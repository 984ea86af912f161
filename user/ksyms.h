/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of kernel functions, from /proc/kallsyms, read once when first needed, kept compact. */
#ifndef LM_KSYMS_H
#define LM_KSYMS_H

#include <stdint.h>

struct lm_ksyms;

/* Reads the text symbols of the file. -EPERM if the addresses are hidden (kptr_restrict). */
int lm_ksyms_load(const char *path, struct lm_ksyms **ksyms);
void lm_ksyms_free(struct lm_ksyms *ksyms);

/* The function that holds the address, and the offset into it; NULL if none is known. */
const char *lm_ksyms_find(const struct lm_ksyms *ksyms, uint64_t address, uint64_t *offset);

#endif
