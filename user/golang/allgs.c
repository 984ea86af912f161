// SPDX-License-Identifier: GPL-2.0-or-later
/* runtime.allgs only grows, and its entries never change: after the first look only what is new is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/golang/goroutines_state.h"

#define GOROUTINES_MAX (4u << 20)
#define TRIES 8
#define FALSE_STARTS 64 /* looks in a row that find no list to begin with: no program that runs is so unlucky */
#define READ_AGAIN 16   /* entries at the end: the slice may have been read while it was moved */

struct slice {
	uint64_t address, len, cap;
};

/* Its three words are written one after the other: they hold once they have been read alike twice. */
static int read_slice(struct lm_goroutines *goroutines, struct slice *slice, const char **why)
{
	struct slice again;

	for (int i = 0; i < TRIES; i++) {
		if (!lm_go_memory_read_now(&goroutines->memory, goroutines->runtime.allgs, slice, sizeof(*slice)) ||
			!lm_go_memory_read_now(&goroutines->memory, goroutines->runtime.allgs, &again, sizeof(again))) {
			*why = "its memory cannot be read";
			return -EIO;
		}
		if (memcmp(slice, &again, sizeof(again)) == 0 && slice->len <= slice->cap)
			break;
		if (i == TRIES - 1)
			return -EAGAIN;
	}
	if (slice->address % 8 || slice->address >= LM_GO_ADDRESS_MAX || slice->len < goroutines->len) {
		*why = "the list of its goroutines makes no sense";
		return -EIO;
	}
	if (slice->len > GOROUTINES_MAX) {
		*why = "it has more than 4,194,304 goroutines";
		return -EIO;
	}
	/* there were some when its runtime was found, and they are never less */
	if (!slice->len) {
		*why = "the list of its goroutines is empty";
		return -EIO;
	}
	return 0;
}

static bool grow(void *array, size_t room, size_t size)
{
	void **memory = array, *grown = reallocarray(*memory, room, size);

	if (grown)
		*memory = grown;
	return grown;
}

static int make_room(struct lm_goroutines *goroutines, size_t len)
{
	size_t room = len + len / 8 + 64, words = (room + 63) / 64, old_words = (goroutines->room + 63) / 64;

	if (len <= goroutines->room)
		return 0;
	if (!grow(&goroutines->addresses, room, sizeof(*goroutines->addresses)) ||
		!grow(&goroutines->known, room, sizeof(*goroutines->known)) ||
		!grow(&goroutines->order, room, sizeof(*goroutines->order)) ||
		!grow(&goroutines->changed, words, sizeof(*goroutines->changed)))
		return -ENOMEM;
	memset(goroutines->changed + old_words, 0, (words - old_words) * sizeof(*goroutines->changed));
	goroutines->room = room;
	return 0;
}

static int compare_addresses(const void *a, const void *b, void *context)
{
	const struct lm_goroutines *goroutines = context;
	uint64_t x = goroutines->addresses[*(const uint32_t *)a], y = goroutines->addresses[*(const uint32_t *)b];

	return x < y ? -1 : x > y;
}

/* Puts the indices from old_len on where they belong among those before, from the end. */
static int merge_order(struct lm_goroutines *goroutines, size_t old_len, size_t len)
{
	size_t added_len = len - old_len, left = old_len;
	uint32_t *added = calloc(added_len + 1, sizeof(*added));

	if (!added)
		return -ENOMEM;
	for (size_t i = 0; i < added_len; i++)
		added[i] = old_len + i;
	qsort_r(added, added_len, sizeof(*added), compare_addresses, goroutines);
	for (size_t i = len; added_len;) {
		if (left && goroutines->addresses[goroutines->order[left - 1]] >
				    goroutines->addresses[added[added_len - 1]])
			goroutines->order[--i] = goroutines->order[--left];
		else
			goroutines->order[--i] = added[--added_len];
	}
	free(added);
	return 0;
}

/* Entries that were read of the old place while the slice was moved may be wrong; they are the last. */
static int check_last(struct lm_goroutines *goroutines, const struct slice *slice, const char **why)
{
	size_t from = goroutines->len < READ_AGAIN ? 0 : goroutines->len - READ_AGAIN, n = goroutines->len - from;
	uint64_t again[READ_AGAIN];

	if (!lm_go_memory_read_now(&goroutines->memory, slice->address + from * 8, again, n * sizeof(*again))) {
		*why = "the list of its goroutines cannot be read";
		return -EIO;
	}
	if (memcmp(again, goroutines->addresses + from, n * sizeof(*again)) == 0)
		return 0;
	memcpy(goroutines->addresses + from, again, n * sizeof(*again));
	return merge_order(goroutines, 0, goroutines->len);
}

static int update(struct lm_goroutines *goroutines, const char **why)
{
	size_t old_len = goroutines->len;
	struct slice slice, after;
	int error = read_slice(goroutines, &slice, why);

	if (!error)
		error = make_room(goroutines, slice.len);
	if (!error)
		error = check_last(goroutines, &slice, why);
	if (error)
		return error;
	if (!lm_go_memory_read_now(&goroutines->memory, slice.address + old_len * 8, goroutines->addresses + old_len,
		    (slice.len - old_len) * 8) ||
		!lm_go_memory_read_now(&goroutines->memory, goroutines->runtime.allgs, &after, sizeof(after))) {
		*why = "the list of its goroutines cannot be read";
		return -EIO;
	}
	if (after.address != slice.address)
		return -EAGAIN;
	error = merge_order(goroutines, old_len, slice.len);
	if (error)
		return error;
	memset(goroutines->known + old_len, 0, (slice.len - old_len) * sizeof(*goroutines->known));
	goroutines->len = slice.len;
	return 0;
}

int lm_go_allgs_update(struct lm_goroutines *goroutines, const char **why)
{
	int error = update(goroutines, why);

	if (error != -EAGAIN) {
		goroutines->false_starts = 0;
	} else if (++goroutines->false_starts == FALSE_STARTS) {
		goroutines->false_starts = 0;
		*why = "the list of its goroutines changes faster than it can be read";
		error = -EIO;
	}
	return error;
}
