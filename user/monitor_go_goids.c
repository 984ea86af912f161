// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which goids are alive, in order: each site of a program asks how many there are between two of its own, and there may
 * be thousands of sites and a million goroutines.
 */
#include <stdlib.h>
#include <string.h>

#include "user/monitor_go_state.h"

#define DIGIT_BITS 11
#define DIGITS (1u << DIGIT_BITS)

static size_t collect(const struct lm_go *go, uint64_t *goids, bool *ascending)
{
	const struct lm_goroutine *goroutine;
	size_t len = 0;

	*ascending = true;
	for (uint32_t index = 0; len < go->known && (goroutine = lm_go_next(go, &index));) {
		*ascending &= !len || goids[len - 1] <= goroutine->goid;
		goids[len++] = goroutine->goid;
	}
	return len;
}

/* By one digit, from one place to the other: those that are equal in it keep their order. */
static void sort_by_digit(const uint64_t *from, uint64_t *to, size_t len, unsigned shift)
{
	size_t starts[DIGITS + 1] = {0};

	for (size_t i = 0; i < len; i++)
		starts[(from[i] >> shift) % DIGITS + 1]++;
	for (size_t digit = 1; digit < DIGITS; digit++)
		starts[digit] += starts[digit - 1];
	for (size_t i = 0; i < len; i++)
		to[starts[(from[i] >> shift) % DIGITS]++] = from[i];
}

/* Linear: a million of 30 bits take some 10 ms. What is sorted is in the place that is returned. */
static uint64_t *sort(uint64_t *goids, uint64_t *other, size_t len)
{
	uint64_t all = 0;

	for (size_t i = 0; i < len; i++)
		all |= goids[i];
	for (unsigned shift = 0; shift < 64 && all >> shift; shift += DIGIT_BITS) {
		uint64_t *sorted = other;

		sort_by_digit(goids, sorted, len, shift);
		other = goids;
		goids = sorted;
	}
	return goids;
}

static bool know_goids(struct lm_go *go)
{
	uint64_t *goids = malloc((go->known + 1) * sizeof(*goids)), *other = NULL, *sorted = goids;
	bool ascending = false;
	size_t len = goids ? collect(go, goids, &ascending) : 0;

	if (goids && !ascending) {
		other = malloc((len + 1) * sizeof(*other));
		sorted = other ? sort(goids, other, len) : NULL;
	}
	if (sorted != goids)
		free(goids);
	if (sorted != other)
		free(other);
	if (!sorted)
		return false;
	free(go->goids);
	go->goids = sorted;
	go->goids_len = len;
	go->goids_known = true;
	return true;
}

/* How many are below it, or no higher. */
static size_t up_to(const struct lm_go *go, uint64_t goid, bool with)
{
	size_t low = 0, high = go->goids_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (go->goids[middle] < goid || (with && go->goids[middle] == goid))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool lm_go_goids_between(struct lm_go *go, uint64_t first, uint64_t last, uint64_t *alive)
{
	if (!go->goids_known && !know_goids(go))
		return false;
	*alive = last < first ? 0 : up_to(go, last, true) - up_to(go, first, false);
	return true;
}
