/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values as CONTRACT.md writes them: what is not known is null. All return NULL when there is no memory. */
#ifndef LM_RENDER_JSON_VALUES_H
#define LM_RENDER_JSON_VALUES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

json_t *lm_json_text(const char *text); /* escaped; null for NULL and "" */
json_t *lm_json_time(int64_t ns);       /* since the epoch */
json_t *lm_json_real(double value);     /* null for NAN */
json_t *lm_json_count(int64_t count);   /* null below 0 */
json_t *lm_json_offset(uint64_t offset);
json_t *lm_json_address(uint64_t address); /* "0x5581…" */
json_t *lm_json_site_id(uint64_t site);    /* 16 hex digits */

/* Puts the value, which it takes over, into the object. No memory for either leaves NULL in place of the object. */
void lm_json_set(json_t **object, const char *key, json_t *value);

/* Builds an array of what each item of an array becomes. */
typedef json_t *lm_json_builder(const void *item);
json_t *lm_json_array(const void *items, size_t len, size_t item_size, lm_json_builder *build);

#define LM_JSON_ARRAY(owner, name, build)                                                                              \
	lm_json_array((owner)->name, (owner)->name##_len, sizeof(*(owner)->name), build)

#endif
