// SPDX-License-Identifier: GPL-2.0-or-later
/* Two tables over the same entries: by what they say and by number. */
#include "user/resolver/python_places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define ENTRY_BYTES 160 /* of the tables, for each */

struct entry {
	uint64_t number;
	struct lm_python_place place;
	UT_hash_handle hh, hh_number;
	size_t key_len;
	char key[]; /* the lines, name, file */
};

struct lm_python_places {
	struct entry *by_key, *by_number;
	uint64_t last_number;
	size_t bytes;
};

int lm_python_places_new(struct lm_python_places **out)
{
	struct lm_python_places *places = calloc(1, sizeof(*places));

	if (!places)
		return -ENOMEM;
	*out = places;
	return 0;
}

void lm_python_places_clear(struct lm_python_places *places)
{
	struct entry *entry, *next;

	HASH_ITER (hh, places->by_key, entry, next) {
		HASH_DEL(places->by_key, entry);
		HASH_DELETE(hh_number, places->by_number, entry);
		free(entry);
	}
	places->bytes = 0;
}

void lm_python_places_free(struct lm_python_places *places)
{
	if (!places)
		return;
	lm_python_places_clear(places);
	free(places);
}

/* Lines, name and file in a row; the name ends in NUL, so that no two places have the same. */
static size_t put_key(const struct lm_python_place *place, char *key)
{
	size_t name_len = strlen(place->name) + 1, file_len = strlen(place->file);
	const uint32_t lines[2] = {place->first_line, place->line};

	memcpy(key, lines, sizeof(lines));
	memcpy(key + sizeof(lines), place->name, name_len);
	memcpy(key + sizeof(lines) + name_len, place->file, file_len);
	return sizeof(lines) + name_len + file_len;
}

static uint64_t add_entry(
	struct lm_python_places *places, const struct lm_python_place *place, const char *key, size_t key_len)
{
	struct entry *entry = calloc(1, sizeof(*entry) + key_len);

	if (!entry)
		return 0;
	memcpy(entry->key, key, key_len);
	entry->key_len = key_len;
	entry->place = *place;
	entry->number = places->last_number + 1;
	HASH_ADD_KEYPTR(hh, places->by_key, entry->key, key_len, entry);
	if (!entry->hh.tbl)
		goto free_entry;
	HASH_ADD(hh_number, places->by_number, number, sizeof(entry->number), entry);
	if (!entry->hh_number.tbl) {
		HASH_DEL(places->by_key, entry);
		goto free_entry;
	}
	places->bytes += sizeof(*entry) + key_len + ENTRY_BYTES;
	return ++places->last_number;

free_entry:
	free(entry);
	return 0;
}

uint64_t lm_python_places_number(struct lm_python_places *places, const struct lm_python_place *place)
{
	char key[sizeof(*place)];
	size_t key_len = put_key(place, key);
	struct entry *entry;

	HASH_FIND(hh, places->by_key, key, key_len, entry);
	return entry ? entry->number : add_entry(places, place, key, key_len);
}

const struct lm_python_place *lm_python_places_find(const struct lm_python_places *places, uint64_t number)
{
	struct entry *entry;

	HASH_FIND(hh_number, places->by_number, &number, sizeof(number), entry);
	return entry ? &entry->place : NULL;
}

size_t lm_python_places_bytes(const struct lm_python_places *places)
{
	return places->bytes;
}
