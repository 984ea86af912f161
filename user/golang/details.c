// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read of one goroutine only when it is shown: its channel, and who else waits there; its labels. */
#include <stdlib.h>
#include <string.h>

#include "user/golang/goroutines_state.h"

#define WAITERS_MAX 10000
#define LABELS_MAX 32
#define MAP_BUCKETS_BITS 4 /* of a map of labels that is read */
#define MAP_BUCKET_LEN 8
#define MAP_FILLED 5 /* smaller ones say why there is no entry */
#define MAP_OVERFLOWS 8

struct text {
	uint64_t address, len;
};

struct label {
	char key[LM_GO_LABELS_MAX], value[LM_GO_LABELS_MAX];
};

struct labels {
	struct lm_go_memory *memory;
	struct label labels[LABELS_MAX];
	size_t len;
};

/* As runtime/map.go of up to 1.23 has it, for map[string]string. */
struct bucket {
	uint8_t top[MAP_BUCKET_LEN];
	struct text keys[MAP_BUCKET_LEN], values[MAP_BUCKET_LEN];
	uint64_t overflow;
};

struct map {
	uint64_t count;
	uint8_t flags, bits;
	uint16_t overflows;
	uint32_t seed;
	uint64_t buckets, old_buckets;
};

/* How many sudogs are in the queue that begins with this one; false if it is none: it leads nowhere, or in a circle. */
static bool count_waiters(struct lm_goroutines *goroutines, uint64_t sudog, uint32_t *count)
{
	uint64_t seen = 0, next;

	for (*count = 0; *count < WAITERS_MAX && sudog; sudog = next) {
		if (sudog % 8 || sudog >= LM_GO_ADDRESS_MAX || sudog == seen ||
			!lm_remote_read(&goroutines->object_memory, sudog + goroutines->runtime.layout->sudog.next,
				&next, sizeof(next)))
			return false;
		/* a circle comes back to one of those at powers of two (Brent) */
		(*count)++;
		if (!(*count & (*count - 1)))
			seen = sudog;
	}
	return true;
}

static void read_channel(struct lm_goroutines *goroutines, uint64_t address, struct lm_go_channel *channel)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	unsigned char bytes[LM_GO_HCHAN_BYTES];

	if (!lm_remote_read(&goroutines->object_memory, address, bytes, sizeof(bytes)) ||
		lm_go_field64(bytes, layout->channel.qcount) > lm_go_field64(bytes, layout->channel.dataqsiz) ||
		lm_go_field32(bytes, layout->channel.closed) > 1 ||
		!count_waiters(goroutines, lm_go_field64(bytes, layout->channel.sendq), &channel->senders) ||
		!count_waiters(goroutines, lm_go_field64(bytes, layout->channel.recvq), &channel->receivers)) {
		*channel = (struct lm_go_channel){0};
		return;
	}
	channel->address = address;
	channel->len = lm_go_field64(bytes, layout->channel.qcount);
	channel->cap = lm_go_field64(bytes, layout->channel.dataqsiz);
	channel->elem_bytes = lm_go_field16(bytes, layout->channel.elemsize);
	channel->closed = lm_go_field32(bytes, layout->channel.closed) != 0;
}

/* Copies what there is room for; what is not to be printed is replaced. */
static bool read_text(const struct labels *labels, const struct text *text, char *copy, size_t size)
{
	size_t len = text->len < size ? text->len : size - 1;

	if (text->len > UINT32_MAX || !lm_go_memory_read_now(labels->memory, text->address, copy, len))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!copy[i])
			copy[i] = '?';
	}
	copy[len] = 0;
	return true;
}

static void add_label(struct labels *labels, const struct text *key, const struct text *value)
{
	struct label *label = &labels->labels[labels->len];

	if (labels->len < LABELS_MAX && read_text(labels, key, label->key, sizeof(label->key)) &&
		read_text(labels, value, label->value, sizeof(label->value)))
		labels->len++;
}

static void read_slice(struct labels *labels, uint64_t address)
{
	struct text pair[2];
	uint64_t slice[2];

	if (!lm_go_memory_read_now(labels->memory, address, slice, sizeof(slice)))
		return;
	for (size_t i = 0; i < slice[1] && i < LABELS_MAX; i++) {
		if (!lm_go_memory_read_now(labels->memory, slice[0] + i * sizeof(pair), pair, sizeof(pair)))
			return;
		add_label(labels, &pair[0], &pair[1]);
	}
}

static void read_bucket(struct labels *labels, uint64_t address)
{
	struct bucket bucket;

	for (int i = 0; address && i < MAP_OVERFLOWS; i++, address = bucket.overflow) {
		if (!lm_go_memory_read_now(labels->memory, address, &bucket, sizeof(bucket)))
			return;
		for (size_t slot = 0; slot < MAP_BUCKET_LEN; slot++) {
			if (bucket.top[slot] >= MAP_FILLED)
				add_label(labels, &bucket.keys[slot], &bucket.values[slot]);
		}
	}
}

/* One that is being moved into more buckets is left alone: entries are in either place. */
static void read_map(struct labels *labels, uint64_t address)
{
	struct map map;
	uint64_t at;

	if (!lm_go_memory_read_now(labels->memory, address, &at, sizeof(at)) ||
		!lm_go_memory_read_now(labels->memory, at, &map, sizeof(map)) || map.old_buckets ||
		map.bits > MAP_BUCKETS_BITS)
		return;
	for (size_t i = 0; i < 1u << map.bits; i++)
		read_bucket(labels, map.buckets + i * sizeof(struct bucket));
}

static int compare_labels(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static size_t append(char *text, size_t at, size_t size, const char *more)
{
	size_t len = strlen(more);

	if (len > size - 1 - at)
		len = size - 1 - at;
	memcpy(text + at, more, len);
	text[at + len] = 0;
	return at + len;
}

static void read_labels(struct lm_goroutines *goroutines, uint64_t address, char *text, size_t size)
{
	struct labels *labels = calloc(1, sizeof(*labels));
	size_t at = 0;

	if (!labels)
		return;
	labels->memory = &goroutines->memory;
	if (goroutines->runtime.layout->labels_are_slice)
		read_slice(labels, address);
	else
		read_map(labels, address);
	qsort(labels->labels, labels->len, sizeof(labels->labels[0]), compare_labels);
	for (size_t i = 0; i < labels->len; i++) {
		at = append(text, at, size, i ? ", " : "");
		at = append(text, at, size, labels->labels[i].key);
		at = append(text, at, size, "=");
		at = append(text, at, size, labels->labels[i].value);
	}
	free(labels);
}

bool lm_goroutines_details(
	struct lm_goroutines *goroutines, uint32_t index, uint64_t goid, struct lm_go_details *details)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	const struct lm_goroutine *known = &goroutines->known[index < goroutines->len ? index : 0];
	unsigned char g[LM_GO_G_MAX_BYTES];
	struct lm_go_found *found = goroutines->batch;

	*details = (struct lm_go_details){0};
	if (index >= goroutines->len || known->goid != goid || known->state == LM_GO_GONE ||
		!lm_go_memory_read_now(&goroutines->memory, goroutines->addresses[index], g, sizeof(g)) ||
		lm_go_field64(g, layout->g.goid) != goid)
		return false;
	lm_remote_reset(&goroutines->object_memory, goroutines->memory.fd);
	if (lm_go_waits_for_channel(known->state)) {
		*found = (struct lm_go_found){.index = index, .g = g, .now.state = known->state};
		lm_go_read_waits(goroutines, found);
		if (found->now.object)
			read_channel(goroutines, found->now.object, &details->channel);
		found->g = NULL;
	}
	if (lm_go_field64(g, layout->g.labels))
		read_labels(goroutines, lm_go_field64(g, layout->g.labels), details->labels, sizeof(details->labels));
	return true;
}
