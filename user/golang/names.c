// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of functions and files. Each is read once and kept: who asked for it may show it much later. */
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "user/golang/tables_state.h"

#define TEXT_MAX 16384 /* names of generic code can hold whole types */
#define TEXTS_BYTES (32u << 20)
#define PRINTED (1ull << 63) /* marks what is kept of a name as it is printed */

struct lm_go_text {
	uint64_t key;
	UT_hash_handle hh;
	char text[];
};

void lm_go_texts_free(struct lm_go_tables *tables)
{
	struct lm_go_text *text, *next;

	HASH_ITER (hh, tables->texts, text, next) {
		HASH_DEL(tables->texts, text);
		free(text);
	}
}

static const char *keep(struct lm_go_tables *tables, uint64_t key, const char *bytes)
{
	size_t size = strlen(bytes) + 1;
	struct lm_go_text *text;

	if (tables->texts_bytes + size > TEXTS_BYTES)
		return NULL;
	text = calloc(1, sizeof(*text) + size);
	if (!text)
		return NULL;
	text->key = key;
	memcpy(text->text, bytes, size);
	HASH_ADD(hh, tables->texts, key, sizeof(text->key), text);
	if (!text->hh.tbl) {
		free(text);
		return NULL;
	}
	tables->texts_bytes += sizeof(*text) + size;
	return text->text;
}

static const char *find(const struct lm_go_tables *tables, uint64_t key)
{
	struct lm_go_text *text;

	HASH_FIND(hh, tables->texts, &key, sizeof(key), text);
	return text ? text->text : NULL;
}

/* Copies the text at the offset, which ends within the table. */
static bool copy_text(
	struct lm_go_tables *tables, const struct lm_go_slice *slice, uint64_t offset, char *text, size_t size)
{
	if (offset >= slice->len)
		return false;
	if (size > slice->len - offset)
		size = slice->len - offset;
	return lm_go_memory_text(&tables->memory, slice->start + offset, text, size);
}

const char *lm_go_text_at(struct lm_go_tables *tables, const struct lm_go_slice *slice, uint64_t offset)
{
	const char *known = find(tables, slice->start + offset);
	char text[TEXT_MAX];

	if (known)
		return known;
	return copy_text(tables, slice, offset, text, sizeof(text)) && *text ? keep(tables, slice->start + offset, text)
									     : NULL;
}

/* runtime.funcNameForPrint and printFuncName: what stands for types is left out, and gopanic is called panic. There is
 * room for three more bytes. */
static void make_printed(char *text)
{
	char *open = strchr(text, '['), *close = strrchr(text, ']');

	if (strcmp(text, "runtime.gopanic") == 0) {
		strcpy(text, "panic");
	} else if (open && close > open) {
		memmove(open + 4, close, strlen(close) + 1);
		memcpy(open + 1, "...", 3);
	}
}

const char *lm_go_text_printed(struct lm_go_tables *tables, uint64_t offset)
{
	const struct lm_go_slice *names = &tables->layout.names;
	uint64_t key = (names->start + offset) | PRINTED;
	const char *known = find(tables, key);
	char text[TEXT_MAX + sizeof("...")];

	if (known)
		return known;
	if (!copy_text(tables, names, offset, text, TEXT_MAX) || !*text)
		return NULL;
	make_printed(text);
	return keep(tables, key, text);
}

bool lm_go_text_is(struct lm_go_tables *tables, uint64_t offset, const char *name)
{
	char text[64];
	size_t size = strlen(name) + 1;

	return size <= sizeof(text) && lm_go_slice_read(tables, &tables->layout.names, offset, text, size) &&
	       memcmp(text, name, size) == 0;
}
