// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When were goroutines born that were there before us? Goids grow with every goroutine
 * that is created, so they are a clock; garbage collections set it: one that saw a
 * goroutine wait dates all older ones, as they were there then. Between two dates goids
 * are taken to have grown evenly. A pool that was started at once and waits ever since
 * has one date, however long ago that is; a leak has as many as there were collections.
 *
 * Goids are given out in batches, to each P one when its last is used up (runtime.newproc1),
 * so that one P may be far behind another. Older is for certain who has a lower goid of
 * the same batch; of others who is so many batches behind as there may be Ps. And a gap
 * between goids of two batches that other Ps may fill is no time in which none was born.
 */
#include <errno.h>
#include <stdlib.h>

#include "user/monitor_go_state.h"

#define BATCH 16           /* _GoidCacheBatch */
#define RESIDENT_SHARE 0.9 /* of the known life: a wait that is dated so late began after the goroutine had run */

struct birth {
	uint64_t goid;
	uint64_t limit_ns; /* it was born by then: the earliest date of its own and of those that are younger */
	struct lm_goroutine *goroutine;
};

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_goid(const void *a, const void *b)
{
	return compare(((const struct birth *)a)->goid, ((const struct birth *)b)->goid);
}

static int by_limit(const void *a, const void *b)
{
	const struct birth *x = a, *y = b;

	return x->limit_ns != y->limit_ns ? compare(x->limit_ns, y->limit_ns) : compare(x->goid, y->goid);
}

static size_t collect(const struct lm_go *go, struct birth *births, size_t max)
{
	struct lm_goroutine *goroutine;
	size_t len = 0;

	for (uint32_t index = 0; len < max && (goroutine = lm_go_next(go, &index));)
		births[len++] = (struct birth){.goid = goroutine->goid, .goroutine = goroutine};
	return len;
}

static uint64_t date_of(const struct lm_go *go, const struct birth *birth)
{
	const struct lm_goroutine *goroutine = birth->goroutine;

	return goroutine->dated && goroutine->since_ns < go->now_ns ? goroutine->since_ns : go->now_ns;
}

static uint64_t batch_of(uint64_t goid)
{
	return (goid - 1) / BATCH;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* births are ascending by goid; at most so many Ps have an unfinished batch. */
static void find_limits(const struct lm_go *go, struct birth *births, size_t len, uint64_t ps)
{
	uint64_t in_batch_ns = go->now_ns, far_ns = go->now_ns;
	size_t far = len; /* those from here on are far enough ahead */

	for (size_t i = len; i-- > 0;) {
		uint64_t batch = batch_of(births[i].goid), own_ns = date_of(go, &births[i]);

		while (far > i && batch_of(births[far - 1].goid) > batch + ps)
			far_ns = earlier(far_ns, date_of(go, &births[--far]));
		if (i + 1 == len || batch_of(births[i + 1].goid) != batch)
			in_batch_ns = own_ns;
		in_batch_ns = earlier(in_batch_ns, own_ns);
		births[i].limit_ns = earlier(in_batch_ns, far_ns);
	}
}

/* The latest date that there is, 0 if there is none. */
static uint64_t find_latest(const struct birth *births, size_t len)
{
	uint64_t latest_ns = 0;

	for (size_t i = 0; i < len; i++) {
		const struct lm_goroutine *goroutine = births[i].goroutine;

		if (goroutine->dated && goroutine->since_ns > latest_ns)
			latest_ns = goroutine->since_ns;
	}
	return latest_ns;
}

/* How many goids were given out from one birth to the next: those of the batches that other Ps hold do not count. */
static uint64_t step(uint64_t from_goid, uint64_t to_goid, uint64_t ps)
{
	uint64_t goids = to_goid > from_goid ? to_goid - from_goid : 1;

	return batch_of(to_goid) > batch_of(from_goid) && goids <= ps * BATCH ? 1 : goids;
}

/* Those born by one date, after the first of from_goid, evenly between from_ns and to_ns; unborn: goids that were given
 * out since the last of them. */
static void interpolate(struct birth *births, size_t len, uint64_t from_goid, uint64_t from_ns, uint64_t to_ns,
	uint64_t unborn, uint64_t ps)
{
	uint64_t all = unborn, passed = 0, before = from_goid;

	for (size_t i = 0; i < len; before = births[i++].goid)
		all += step(before, births[i].goid, ps);
	before = from_goid;
	for (size_t i = 0; i < len; before = births[i++].goid) {
		passed += step(before, births[i].goid, ps);
		births[i].goroutine->born_ns = from_ns + (uint64_t)((to_ns - from_ns) * ((double)passed / all));
	}
}

/* births are ascending by limit. */
static void date_births(
	const struct lm_go *go, struct birth *births, size_t len, uint64_t process_start_ns, uint64_t ps)
{
	uint64_t from_goid = 0, from_ns = process_start_ns;

	for (size_t from = 0, to; from < len; from = to) {
		uint64_t to_ns = births[from].limit_ns > from_ns ? births[from].limit_ns : from_ns, last, unborn;

		for (to = from; to < len && births[to].limit_ns == births[from].limit_ns; to++)
			;
		last = births[to - 1].goid;
		/* those after the last date were born by now, as was the newest of all */
		unborn = to == len && go->newest_goid > last ? go->newest_goid - last : 0;
		interpolate(births + from, to - from, from_goid, from_ns, to_ns, unborn, ps);
		if (last > from_goid)
			from_goid = last;
		from_ns = to_ns;
	}
}

/* Who lived at a collection, as a younger one was dated then, and is dated only long after that, or was not by the last
 * one: it has run in between. Where the present wait is not dated all that is known is that it is recent. */
static void find_restless(const struct lm_go *go, const struct birth *births, size_t len, uint64_t latest_ns)
{
	for (size_t i = 0; i < len; i++) {
		struct lm_goroutine *goroutine = births[i].goroutine;
		uint64_t life_ns = go->now_ns - births[i].limit_ns;
		uint64_t dated_ns = goroutine->dated ? goroutine->since_ns : latest_ns;

		if (!goroutine->found || (!goroutine->dated && births[i].limit_ns == go->now_ns))
			continue;
		goroutine->restless = go->now_ns - dated_ns < RESIDENT_SHARE * life_ns;
		if (!goroutine->dated)
			goroutine->since_ns = go->now_ns;
	}
}

int lm_go_estimate_births(struct lm_go *go, uint64_t process_start_ns, uint64_t ps)
{
	struct birth *births = malloc((go->known + 1) * sizeof(*births));
	size_t len;

	if (!births)
		return -ENOMEM;
	len = collect(go, births, go->known);
	qsort(births, len, sizeof(*births), by_goid);
	find_limits(go, births, len, ps);
	qsort(births, len, sizeof(*births), by_limit);
	date_births(go, births, len, process_start_ns, ps);
	find_restless(go, births, len, find_latest(births, len));
	free(births);
	return 0;
}
