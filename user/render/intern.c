// SPDX-License-Identifier: GPL-2.0-or-later
/* A hash table that keeps the order in which its entries came. */
#include "user/render/intern.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct lm_intern_entry {
	UT_hash_handle hh;
	int64_t number;
	size_t len;
	_Alignas(max_align_t) char bytes[];
};

int64_t lm_intern_add(struct lm_intern *intern, const void *bytes, size_t len)
{
	struct lm_intern_entry *entry;

	if (len > UINT32_MAX) /* uthash counts no further */
		return -ENOMEM;
	HASH_FIND(hh, intern->table, bytes, len, entry);
	if (entry)
		return entry->number;
	entry = lm_arena_alloc(intern->arena, sizeof(*entry) + len + 1);
	if (!entry)
		return -ENOMEM;
	entry->number = (int64_t)lm_intern_len(intern);
	entry->len = len;
	memcpy(entry->bytes, bytes, len);
	HASH_ADD_KEYPTR(hh, intern->table, entry->bytes, len, entry);
	return entry->hh.tbl ? entry->number : -ENOMEM;
}

size_t lm_intern_len(const struct lm_intern *intern)
{
	return HASH_COUNT(intern->table);
}

int lm_intern_each(const struct lm_intern *intern, lm_intern_visitor *visit, void *context)
{
	int error = 0;

	for (struct lm_intern_entry *entry = intern->table; entry && !error; entry = entry->hh.next)
		error = visit(context, entry->number, entry->bytes, entry->len);
	return error;
}

void lm_intern_free(struct lm_intern *intern)
{
	HASH_CLEAR(hh, intern->table);
}
