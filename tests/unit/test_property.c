// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must hold whatever happens: threads that come, tick, leave, are woken all at
 * once, exit with or without an event, looks that are cut short, clocks that jump. A
 * model beside the monitor knows who is where. SEED says which runs to repeat.
 */
#include "monitor_fixture.h"

#include "user/render/render.h"

#define MS 1000000ull
#define US 1000ull
#define NR_NANOSLEEP 35
#define THREADS 60
#define STEPS 400
#define RUNS 20
#define SLOWER 3 /* times: what is not scaled, because it is a property of machines, must still hold */
#define MEMBERS 400
#define SCENES 400
#define EXODUS 500

/* One thread as it really is. */
struct actor {
	bool alive, is_ticker, is_seen; /* the last look has found it waiting for long enough */
	uint64_t here_since_ns;         /* in its place, wake-ups by timers and broadcasts left out */
	struct lm_thread_record record;
};

struct world {
	struct fixture *fixture;
	struct actor actors[THREADS];
	uint32_t last_tid;
	uint64_t now_ns, factor; /* all times are so many times as long */
	uint64_t random;
	unsigned int seed;
	int leave_per_mille; /* of those that are there, at each step: few in some runs, so that there is a leak to find
			      */
	size_t findings, withdrawn, broadcasts;
};

static unsigned int first_seed(void)
{
	return getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261123;
}

/* The finaliser of splitmix64, of a counter: each world has a row of its own. */
static uint64_t draw(uint64_t *state)
{
	uint64_t number = *state += 0x9e3779b97f4a7c15ull;

	number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9ull;
	number = (number ^ (number >> 27)) * 0x94d049bb133111ebull;
	return number ^ (number >> 31);
}

static bool happens(struct world *world, unsigned int per_mille)
{
	return draw(&world->random) % 1000 < per_mille;
}

static struct world *new_world(unsigned int seed, int leave_per_mille, uint64_t factor)
{
	struct world *world = calloc(1, sizeof(*world));
	void *inner;

	assert_non_null(world);
	set_up(&inner);
	world->fixture = inner;
	world->random = world->seed = seed;
	world->leave_per_mille = leave_per_mille;
	world->factor = factor;
	world->now_ns = PROCESS_START + 700 * S * factor;
	world->fixture->monitor->config.min_blocked_ns *= factor;
	world->fixture->monitor->config.horizon_ns *= factor;
	world->fixture->monitor->groups.horizon_ns *= factor;
	return world;
}

static void free_world(struct world *world)
{
	void *inner = world->fixture;

	tear_down(&inner);
	free(world);
}

/* It comes to life, and blocks at once. */
static void come(struct world *world, struct actor *actor)
{
	uint32_t tid = ++world->last_tid;

	*actor = (struct actor){
		.alive = true, .is_ticker = happens(world, 300), .here_since_ns = world->now_ns - MS * world->factor};
	actor->record = blocked(1000 + tid, actor->here_since_ns, 2);
	actor->record.head.start_ns = world->now_ns - 2 * MS * world->factor;
	if (actor->is_ticker)
		actor->record.regs.nr = NR_NANOSLEEP;
}

/* Its wait ends now or a moment ago, and another begins a moment later. */
static void wait_again(struct world *world, struct actor *actor, uint64_t ago_ns)
{
	struct lm_thread_record *record = &actor->record;
	uint64_t ended_ns = world->now_ns - ago_ns * world->factor;

	if (ended_ns <= record->wait_since_ns)
		return;
	record->blocked_ns += ended_ns - record->wait_since_ns;
	record->waits++;
	record->switches += 2;
	record->cpu_ns += MS / 20;
	record->last_wait_end_ns = ended_ns;
	record->wait_since_ns = ended_ns + MS / 10 * world->factor;
	/* a sleep of 20 ms and more ends by its timer: the stay goes on */
	if (!actor->is_ticker)
		actor->here_since_ns = record->wait_since_ns;
}

/* All that wait are woken within a moment, find nothing to do, and wait again: none of those has left who was seen. */
static void broadcast(struct world *world)
{
	size_t seen = 0;

	for (int i = 0; i < THREADS; i++)
		seen += world->actors[i].alive && !world->actors[i].is_ticker && world->actors[i].is_seen;
	if (seen < 8)
		return;
	world->broadcasts++;
	for (int i = 0; i < THREADS; i++) {
		struct actor *actor = &world->actors[i];
		uint64_t here_since_ns = actor->here_since_ns;

		if (!actor->alive || actor->is_ticker)
			continue;
		wait_again(world, actor, 50 * MS + i * 20 * US);
		if (actor->is_seen)
			actor->here_since_ns = here_since_ns;
	}
}

static void live(struct world *world)
{
	for (int i = 0; i < THREADS; i++) {
		struct actor *actor = &world->actors[i];

		if (!actor->alive) {
			if (happens(world, 10))
				come(world, actor);
		} else if (actor->is_ticker && !(world->leave_per_mille == EXODUS && happens(world, EXODUS))) {
			wait_again(world, actor, 50 * MS);
		} else if (happens(world, world->leave_per_mille)) {
			wait_again(world, actor, 50 * MS + i * 11 * MS);
		} else if (happens(world, world->leave_per_mille)) {
			actor->alive = false;
		}
	}
}

/* lost: of the records, in a look that is not complete. */
static void feed_all(struct world *world, bool complete, unsigned int lost_per_mille)
{
	begin(world->fixture, world->now_ns);
	for (int i = 0; i < THREADS; i++) {
		if (world->actors[i].alive && !happens(world, lost_per_mille))
			feed(world->fixture, world->actors[i].record);
	}
	lm_monitor_end_look(world->fixture->monitor, complete);
}

/* A look, its stacks, the look that confirms them; now and then the first is cut short. */
static struct lm_snapshot look(struct world *world, bool complete)
{
	struct lm_snapshot snapshot;

	feed_all(world, complete, complete ? 0 : 300);
	for (int i = 0; i < THREADS / 16 + 1; i++)
		unwind(world->fixture, 8);
	feed_all(world, true, 0);
	/* who was lost in the first look has no stack yet */
	for (int i = 0; i < THREADS / 16 + 1; i++)
		unwind(world->fixture, 8);
	feed_all(world, true, 0);
	for (int i = 0; i < THREADS; i++)
		world->actors[i].is_seen = world->now_ns - world->actors[i].here_since_ns >= S * world->factor;
	snapshot = report(world->fixture);
	world->findings += snapshot.findings_len;
	world->withdrawn += snapshot.withdrawn_len;
	return snapshot;
}

/* The machine slept for an hour now and then: CLOCK_BOOTTIME goes on. */
static struct lm_snapshot step(struct world *world)
{
	world->now_ns += (happens(world, 10) ? 3600 * S : (1 + draw(&world->random) % 30) * S) * world->factor;
	if (happens(world, 30)) {
		/* of which half was lost it would not be known for one */
		broadcast(world);
		return look(world, true);
	}
	live(world);
	return look(world, !happens(world, 50));
}

static int64_t count_here(const struct world *world, uint64_t age_ns)
{
	int64_t here = 0;

	for (int i = 0; i < THREADS; i++)
		here += world->actors[i].alive && world->now_ns - world->actors[i].here_since_ns >= age_ns;
	return here;
}

/* The wall clock is set while we watch: that changes when things are said to be, and nothing else. */
static void check_wall_clock(const struct world *world, const struct lm_snapshot *snapshot)
{
	int64_t back_ns = -86400 * (int64_t)S;
	struct lm_snapshot other = {0};

	assert_int_equal(lm_report_build(world->fixture->monitor, world->now_ns, back_ns, &other), 0);
	assert_int_equal(other.findings_len, snapshot->findings_len);
	for (size_t i = 0; i < other.findings_len; i++) {
		const struct lm_snapshot_finding *one = &snapshot->findings[i], *same = &other.findings[i];

		assert_string_equal(one->id, same->id);
		assert_string_equal(one->summary, same->summary);
		assert_int_equal(one->level, same->level);
		assert_true(same->since_ns == one->since_ns + back_ns);
	}
	lm_snapshot_free(&other);
}

static void check_report(const struct world *world, const struct lm_snapshot *snapshot)
{
	int64_t blocked_threads = 0, here = count_here(world, S * world->factor);

	for (size_t i = 0; i < snapshot->sites_len; i++)
		blocked_threads += snapshot->sites[i].count;
	if (blocked_threads != here)
		print_error("seed %u\n", world->seed);
	assert_int_equal(blocked_threads, snapshot->totals.blocked_threads);
	assert_int_equal(blocked_threads, here);
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
	check_wall_clock(world, snapshot);
}

static void a_finding_never_rests_on_a_member_that_left(void **state)
{
	unsigned int seed = first_seed();
	size_t findings = 0, withdrawn = 0, broadcasts = 0;

	(void)state;
	for (unsigned int run = 0; run < RUNS; run++) {
		struct world *world = new_world(seed + run, run % 2 ? 10 : run % 4, 1);

		for (int i = 0; i < STEPS; i++) {
			struct lm_snapshot snapshot;

			/* what seemed to be a leak goes after all */
			if (i == STEPS - 20)
				world->leave_per_mille = EXODUS;
			snapshot = step(world);
			check_report(world, &snapshot);
			lm_snapshot_free(&snapshot);
		}
		findings += world->findings;
		withdrawn += world->withdrawn;
		broadcasts += world->broadcasts;
		free_world(world);
	}
	/* all of it came up, or this says little */
	print_message("%zu findings, %zu withdrawn, %zu broadcasts\n", findings, withdrawn, broadcasts);
	assert_true(findings > 0 && withdrawn > 0 && broadcasts > 0);
}

/* The same life, each time SLOWER times as long, at a horizon that is so, too. */
static void scaling_the_horizon_and_all_times_gives_the_same_verdicts(void **state)
{
	unsigned int seed = first_seed();
	size_t findings = 0;

	(void)state;
	for (unsigned int run = 0; run < RUNS; run++) {
		struct world *one = new_world(seed + run, run % 2 ? 10 : run % 4, 1);
		struct world *slower = new_world(seed + run, run % 2 ? 10 : run % 4, SLOWER);

		for (int i = 0; i < STEPS; i++) {
			struct lm_snapshot a = step(one), b = step(slower);

			if (a.findings_len != b.findings_len)
				print_error("seed %u, step %d\n", one->seed, i);
			assert_int_equal(a.findings_len, b.findings_len);
			assert_int_equal(a.withdrawn_len, b.withdrawn_len);
			for (size_t f = 0; f < a.findings_len; f++) {
				assert_int_equal(a.findings[f].site, b.findings[f].site);
				assert_int_equal(a.findings[f].type, b.findings[f].type);
				assert_int_equal(a.findings[f].level, b.findings[f].level);
				assert_int_equal(a.findings[f].evidence.survivors, b.findings[f].evidence.survivors);
				assert_int_equal(
					a.findings[f].evidence.cohorts_filled, b.findings[f].evidence.cohorts_filled);
			}
			lm_snapshot_free(&a);
			lm_snapshot_free(&b);
		}
		findings += one->findings;
		free_world(one);
		free_world(slower);
	}
	assert_true(findings > 0);
}

/* What one verdict rests on, at random. */
struct scene {
	struct lm_verdict_input input;
	struct lm_verdict_member members[MEMBERS];
	uint32_t departures[LM_VERDICT_AGES];
	uint64_t last_departures_ns[LM_VERDICT_AGES];
	struct lm_load load;
};

/* Of the horizon of 30 s and so many times as slow; the same from the same state. Arrivals over up to `span` horizons.
 */
static void fill_scene(struct scene *scene, uint64_t state, uint64_t factor)
{
	uint64_t horizon_ns = 30 * S, span_ns = (1 + draw(&state) % 15) * horizon_ns, busy_ns = 0;
	struct lm_verdict_input *input = &scene->input;

	*input = (struct lm_verdict_input){
		.now_ns = (span_ns + horizon_ns) * factor,
		.horizon_ns = horizon_ns * factor,
		.watch_start_ns = (draw(&state) % 2 ? 1 + draw(&state) % horizon_ns : span_ns) * factor,
		.process_start_ns = 1,
		.members = scene->members,
		.members_len = draw(&state) % MEMBERS,
		.departures = scene->departures,
		.last_departures_ns = scene->last_departures_ns,
		.load = &scene->load,
		.guards = draw(&state) % 4 ? 0 : draw(&state) % 8,
	};
	for (size_t i = 0; i < input->members_len; i++) {
		uint64_t born_ns = 1 + draw(&state) % span_ns, wait_ns = draw(&state) % (horizon_ns / 100);

		scene->members[i] = (struct lm_verdict_member){
			.born_ns = born_ns * factor, .since_ns = (born_ns + wait_ns) * factor, .switches = 3};
	}
	for (int i = 0; i < LM_VERDICT_AGES && draw(&state) % 3 == 0; i++) {
		scene->departures[i] = draw(&state) % 4;
		scene->last_departures_ns[i] = scene->departures[i] ? (1 + draw(&state) % span_ns) * factor : 0;
	}
	if (draw(&state) % 2) {
		input->longest_completed_ns = (1 + draw(&state) % (horizon_ns / 3)) * factor;
		input->completed_p99_ns = input->longest_completed_ns;
	}
	for (uint64_t at_ns = 1; at_ns < span_ns; at_ns += horizon_ns / 30) {
		lm_load_note(&scene->load, at_ns * factor, horizon_ns / 30 * factor, busy_ns * factor);
		busy_ns += at_ns / horizon_ns % 4 ? horizon_ns / 1000 : horizon_ns / 100;
	}
}

static void any_input_is_judged_alike_at_every_scale(void **state)
{
	static const uint64_t factors[] = {2, 7, 60, 1000};
	size_t levels[LM_LEVELS] = {0};
	unsigned int seed = first_seed();

	(void)state;
	for (unsigned int i = 0; i < SCENES; i++) {
		struct scene *scene = calloc(2, sizeof(*scene));
		struct lm_verdict one, other;

		assert_non_null(scene);
		fill_scene(&scene[0], seed + i, 1);
		lm_verdict_leak(&scene[0].input, &one);
		levels[one.level]++;
		for (size_t f = 0; f < sizeof(factors) / sizeof(factors[0]); f++) {
			memset(&scene[1], 0, sizeof(scene[1]));
			fill_scene(&scene[1], seed + i, factors[f]);
			lm_verdict_leak(&scene[1].input, &other);
			if (one.level != other.level)
				print_error("seed %u, times %llu\n", seed + i, (unsigned long long)factors[f]);
			assert_int_equal(one.level, other.level);
			if (one.level == LM_LEVEL_NONE)
				continue;
			assert_int_equal(one.type, other.type);
			assert_int_equal(one.evidence.survivors, other.evidence.survivors);
			assert_int_equal(one.evidence.cohorts_filled, other.evidence.cohorts_filled);
			assert_true(one.since_ns * factors[f] == other.since_ns);
		}
		free(scene);
	}
	print_message(
		"%zu nothing, %zu suspect, %zu likely, %zu confirmed\n", levels[0], levels[1], levels[2], levels[3]);
	assert_true(levels[LM_LEVEL_NONE] && levels[LM_LEVEL_SUSPECT] && levels[LM_LEVEL_LIKELY]);
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
	uint64_t random = first_seed();
	struct lm_thread_record records[THREADS];
	char *first = NULL;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		records[i] = blocked(1000 + i, PROCESS_START + (100 + 15 * i) * S, 2 + i);
		records[i].head.start_ns = records[i].wait_since_ns - MS;
	}
	for (int round = 0; round < 20; round++) {
		struct fixture *fixture;
		struct lm_snapshot snapshot;
		char *text;
		void *inner;

		set_up(&inner);
		fixture = inner;
		for (int i = THREADS - 1; i > 0; i--) {
			int other = draw(&random) % (i + 1);
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
		cmocka_unit_test(scaling_the_horizon_and_all_times_gives_the_same_verdicts),
		cmocka_unit_test(any_input_is_judged_alike_at_every_scale),
		cmocka_unit_test(records_of_a_look_in_any_order_give_the_same_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
