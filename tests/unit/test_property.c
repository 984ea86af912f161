// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must hold whatever happens: threads that come, tick, leave, are woken all at
 * once, exit with or without an event, looks that are cut short, clocks that jump. A
 * model beside the monitor knows who is where. SEED says which runs to repeat.
 */
#include "monitor_fixture.h"

#include "user/render/render.h"

#define MS 1000000ull
#define NR_NANOSLEEP 35
#define THREADS 60
#define STEPS 400
#define RUNS 20

/* One thread as it really is. */
struct actor {
	bool alive, is_ticker;
	uint64_t here_since_ns; /* in its place, wake-ups by timers left out */
	struct lm_thread_record record;
};

struct world {
	struct fixture *fixture;
	struct actor actors[THREADS];
	uint32_t last_tid;
	uint64_t now_ns;
	unsigned seed;
	int leave_per_mille; /* of those that are there, at each step: few in some runs, so that there is a leak to find
			      */
};

static bool happens(int percent)
{
	return random() % 100 < percent;
}

/* It comes to life, and blocks at once. */
static void come(struct world *world, struct actor *actor)
{
	uint32_t tid = ++world->last_tid;

	*actor = (struct actor){.alive = true, .is_ticker = happens(30), .here_since_ns = world->now_ns - MS};
	actor->record = blocked(1000 + tid, world->now_ns - MS, 2);
	actor->record.head.start_ns = world->now_ns - 2 * MS;
	if (actor->is_ticker)
		actor->record.regs.nr = NR_NANOSLEEP;
}

/* Its wait ends now or a moment ago, and another begins a moment later. */
static void wait_again(struct world *world, struct actor *actor, uint64_t ago_ns)
{
	struct lm_thread_record *record = &actor->record;
	uint64_t ended_ns = world->now_ns - ago_ns;

	if (ended_ns <= record->wait_since_ns)
		return;
	record->blocked_ns += ended_ns - record->wait_since_ns;
	record->waits++;
	record->switches += 2;
	record->cpu_ns += MS / 20;
	record->last_wait_end_ns = ended_ns;
	record->wait_since_ns = ended_ns + MS / 10;
	/* a sleep of 20 ms and more ends by its timer: the stay goes on */
	if (!actor->is_ticker)
		actor->here_since_ns = record->wait_since_ns;
}

static void live(struct world *world)
{
	for (int i = 0; i < THREADS; i++) {
		struct actor *actor = &world->actors[i];

		if (!actor->alive) {
			if (happens(1))
				come(world, actor);
		} else if (actor->is_ticker) {
			wait_again(world, actor, 50 * MS);
		} else if (random() % 1000 < world->leave_per_mille) {
			wait_again(world, actor, 50 * MS + i * 11 * MS);
		} else if (random() % 1000 < world->leave_per_mille) {
			actor->alive = false;
		}
	}
}

static void feed_all(struct world *world, bool complete)
{
	begin(world->fixture, world->now_ns);
	for (int i = 0; i < THREADS; i++) {
		if (world->actors[i].alive)
			feed(world->fixture, world->actors[i].record);
	}
	lm_monitor_end_look(world->fixture->monitor, complete);
}

/* A look, its stacks, the look that confirms them; now and then the first is cut short. */
static struct lm_snapshot look(struct world *world)
{
	struct lm_snapshot snapshot;

	feed_all(world, !happens(5));
	for (int i = 0; i < THREADS / 16 + 1; i++)
		unwind(world->fixture, 8);
	feed_all(world, true);
	snapshot = report(world->fixture);
	return snapshot;
}

static int64_t count_here(const struct world *world, uint64_t age_ns)
{
	int64_t here = 0;

	for (int i = 0; i < THREADS; i++)
		here += world->actors[i].alive && world->now_ns - world->actors[i].here_since_ns >= age_ns;
	return here;
}

static void check_report(const struct world *world, const struct lm_snapshot *snapshot)
{
	int64_t blocked_threads = 0;

	for (size_t i = 0; i < snapshot->sites_len; i++)
		blocked_threads += snapshot->sites[i].count;
	assert_int_equal(blocked_threads, snapshot->totals.blocked_threads);
	assert_int_equal(blocked_threads, count_here(world, S));
	for (size_t i = 0; i < snapshot->findings_len; i++) {
		const struct lm_snapshot_finding *finding = &snapshot->findings[i];
		double floor_s = finding->evidence.age_floor_s;

		if (finding->type != LM_FINDING_LEAK)
			continue;
		/* it rests on nobody who left: so many are really there, for so long */
		if (finding->evidence.survivors > count_here(world, floor_s * S))
			print_error("seed %u: %s\n", world->seed, finding->summary);
		assert_true(finding->evidence.survivors <= count_here(world, floor_s * S));
	}
}

static void a_finding_never_rests_on_a_member_that_left(void **state)
{
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261123;
	size_t findings = 0;

	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		struct world *world = calloc(1, sizeof(*world));
		void *inner;

		assert_non_null(world);
		set_up(&inner);
		world->fixture = inner;
		world->seed = seed + run;
		world->leave_per_mille = run % 2 ? 10 : run % 4;
		srandom(world->seed);
		world->now_ns = PROCESS_START + 700 * S;
		for (int step = 0; step < STEPS; step++) {
			struct lm_snapshot snapshot;

			/* the machine slept for an hour: CLOCK_BOOTTIME goes on */
			world->now_ns += happens(1) ? 3600 * S : (1 + random() % 30) * S;
			live(world);
			snapshot = look(world);
			check_report(world, &snapshot);
			findings += snapshot.findings_len;
			lm_snapshot_free(&snapshot);
		}
		tear_down(&inner);
		free(world);
	}
	/* findings came up, or this says little */
	assert_true(findings > 0);
}

static char *as_json(const struct lm_snapshot *snapshot)
{
	const struct lm_render_options options = {.members = 5, .min_level = LM_LEVEL_SUSPECT};
	char *text = NULL;
	size_t len;
	FILE *memory = open_memstream(&text, &len);

	assert_non_null(memory);
	assert_int_equal(lm_render_json(memory, snapshot, &options), 0);
	fclose(memory);
	return text;
}

static void records_of_a_look_in_any_order_give_the_same_report(void **state)
{
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261123;
	struct lm_thread_record records[THREADS];
	char *first = NULL;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		records[i] = blocked(1000 + i, PROCESS_START + (100 + 15 * i) * S, 2 + i);
		records[i].head.start_ns = records[i].wait_since_ns - MS;
	}
	srandom(seed);
	for (int round = 0; round < 20; round++) {
		struct fixture *fixture;
		struct lm_snapshot snapshot;
		char *text;
		void *inner;

		set_up(&inner);
		fixture = inner;
		for (int i = THREADS - 1; i > 0; i--) {
			int other = random() % (i + 1);
			struct lm_thread_record swapped = records[i];

			records[i] = records[other];
			records[other] = swapped;
		}
		begin(fixture, PROCESS_START + 1000 * S);
		for (int i = 0; i < THREADS; i++)
			feed(fixture, records[i]);
		lm_monitor_end_look(fixture->monitor, true);
		for (int i = 0; i < THREADS / 16 + 1; i++)
			unwind(fixture, 8);
		begin(fixture, PROCESS_START + 1000 * S);
		for (int i = THREADS - 1; i >= 0; i--)
			feed_same_thread(fixture, &records[i]);
		lm_monitor_end_look(fixture->monitor, true);
		snapshot = report(fixture);
		text = as_json(&snapshot);
		assert_non_null(strstr(text, "\"leak\""));
		if (!first)
			first = strdup(text);
		assert_string_equal(text, first);
		free(text);
		lm_snapshot_free(&snapshot);
		tear_down(&inner);
	}
	free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finding_never_rests_on_a_member_that_left),
		cmocka_unit_test(records_of_a_look_in_any_order_give_the_same_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
