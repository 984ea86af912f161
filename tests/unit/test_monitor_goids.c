// SPDX-License-Identifier: GPL-2.0-or-later
/* How many goroutines are alive between two goids, in whatever order they lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "user/monitor_go_state.h"

#define SLOTS 5000

static void put(struct lm_go *go, uint32_t index, uint64_t goid)
{
	struct lm_goroutine *goroutine = lm_go_slot(go, index);

	assert_non_null(goroutine);
	go->known += (goid != 0) - (goroutine->goid != 0);
	goroutine->goid = goid;
	go->goids_known = false;
}

static void check(struct lm_go *go, uint64_t first, uint64_t last)
{
	const struct lm_goroutine *goroutine;
	uint64_t alive, counted = 0;

	for (uint32_t index = 0; (goroutine = lm_go_next(go, &index));)
		counted += goroutine->goid >= first && goroutine->goid <= last;
	assert_true(lm_go_goids_between(go, first, last, &alive));
	assert_int_equal(alive, counted);
}

static void check_everywhere(struct lm_go *go)
{
	static const uint64_t ends[] = {0, 1, 2, 1000, 1ull << 30, 1ull << 55, UINT64_MAX - 1, UINT64_MAX};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		for (size_t j = 0; j < sizeof(ends) / sizeof(ends[0]); j++)
			check(go, ends[i], ends[j]);
	}
	for (int i = 0; i < 50; i++) {
		const struct lm_goroutine *one = lm_go_find(go, random() % SLOTS),
					  *other = lm_go_find(go, random() % SLOTS);

		if (one && other)
			check(go, one->goid, other->goid);
	}
}

static void goids_are_counted_in_whatever_order_they_lie(void **state)
{
	(void)state;
	for (int bits = 1; bits <= 64; bits += 9) {
		struct lm_go go = {0};

		srandom(bits);
		check_everywhere(&go);
		for (uint32_t index = 0; index < SLOTS; index++) {
			uint64_t goid = (uint64_t)random() << 40 ^ (uint64_t)random() << 20 ^ (uint64_t)random();

			put(&go, index, index % 7 ? goid >> (64 - bits) : 0);
		}
		check_everywhere(&go);
		lm_go_forget_all(NULL, &go);
	}
}

static void goids_in_order_are_counted_too(void **state)
{
	struct lm_go go = {0};

	(void)state;
	for (uint32_t index = 0; index < SLOTS; index++)
		put(&go, index, index * 3 + 1);
	check_everywhere(&go);
	put(&go, 0, UINT64_MAX);
	check_everywhere(&go);
	lm_go_forget_all(NULL, &go);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goids_are_counted_in_whatever_order_they_lie),
		cmocka_unit_test(goids_in_order_are_counted_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
