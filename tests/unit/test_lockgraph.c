// SPDX-License-Identifier: GPL-2.0-or-later
/* The wait-for graph: small ones by hand, random ones against a search that knows no shortcut, and a large one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "user/lockgraph.h"

#define NONE LM_LOCK_NO_THREAD
#define PROCESS 7
#define ROUNDS 20000
#define EDGES_MAX 14
#define MANY 100000
#define MANY_MS_MAX 500 /* 15 to 50 ms were measured; sanitizers and a busy machine take their time */

/* Thread `waiter` waits for a lock of `owner`, which has the address of its number. */
static struct lm_lock_edge edge(uint64_t waiter, uint64_t owner)
{
	return (struct lm_lock_edge){.waiter = waiter,
		.owner = owner,
		.process = PROCESS,
		.object = 0x1000 + owner * 64,
		.strength = LM_OWNER_STRONG,
		.confirmed = true};
}

static void nothing_waits(void **state)
{
	struct lm_lockgraph graph;

	(void)state;
	assert_int_equal(lm_lockgraph_analyse(NULL, 0, &graph), 0);
	assert_int_equal(graph.chains_len + graph.cycles_len + graph.orphans_len + graph.pileups_len, 0);
	lm_lockgraph_free(&graph);
	lm_lockgraph_free(&graph);
	lm_lockgraph_free(NULL);
}

static void no_memory_leaves_the_graph_alone(void **state)
{
	struct lm_lockgraph graph = {.cycles_len = 77};

	(void)state;
	assert_int_equal(lm_lockgraph_analyse(NULL, SIZE_MAX, &graph), -ENOMEM);
	assert_int_equal(graph.cycles_len, 77);
}

static void two_threads_that_wait_for_each_other_are_a_cycle(void **state)
{
	struct lm_lock_edge edges[] = {edge(9, 4), edge(4, 9)};
	struct lm_lockgraph graph;

	(void)state;
	assert_int_equal(lm_lockgraph_analyse(edges, 2, &graph), 0);
	assert_int_equal(graph.cycles_len, 1);
	assert_int_equal(graph.cycles[0].len, 2);
	assert_int_equal(graph.cycles[0].edges[0], 1); /* begins with the smallest waiter */
	assert_int_equal(graph.cycles[0].edges[1], 0);
	assert_int_equal(graph.cycles[0].weakest, LM_OWNER_STRONG);
	assert_true(graph.cycles[0].confirmed);
	assert_int_equal(graph.orphans_len, 0);
	assert_int_equal(graph.pileups_len, 2);
	assert_int_equal(graph.pileups[0].len, 1);
	assert_int_equal(graph.pileups[0].in_cycle, 1);
	lm_lockgraph_free(&graph);
}

static void a_thread_that_waits_for_itself_is_a_cycle_of_one(void **state)
{
	struct lm_lock_edge edges[] = {edge(4, 4)};
	struct lm_lockgraph graph;

	(void)state;
	assert_int_equal(lm_lockgraph_analyse(edges, 1, &graph), 0);
	assert_int_equal(graph.cycles_len, 1);
	assert_int_equal(graph.cycles[0].len, 1);
	assert_int_equal(graph.chains[0].end, LM_LOCK_END_CYCLE);
	assert_int_equal(graph.chains[0].depth, 0);
	lm_lockgraph_free(&graph);
}

static void one_soft_or_unconfirmed_edge_weakens_the_cycle_and_all_behind_it(void **state)
{
	struct lm_lock_edge edges[] = {edge(1, 2), edge(2, 3), edge(3, 1), edge(5, 2)};
	struct lm_lockgraph graph;

	(void)state;
	edges[0].strength = LM_OWNER_CERTAIN;
	edges[1].strength = LM_OWNER_SOFT;
	edges[2].confirmed = false;
	assert_int_equal(lm_lockgraph_analyse(edges, 4, &graph), 0);
	assert_int_equal(graph.cycles[0].weakest, LM_OWNER_SOFT);
	assert_false(graph.cycles[0].confirmed);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(graph.chains[i].weakest, LM_OWNER_SOFT);
		assert_false(graph.chains[i].confirmed);
	}
	lm_lockgraph_free(&graph);
}

static void a_cycle_goes_through_several_processes(void **state)
{
	struct lm_lock_edge edges[] = {edge(1, 2), edge(2, 1)};
	struct lm_lockgraph graph;

	(void)state;
	edges[1].process = PROCESS + 1;
	assert_int_equal(lm_lockgraph_analyse(edges, 2, &graph), 0);
	assert_int_equal(graph.cycles_len, 1);
	assert_int_equal(graph.cycles[0].len, 2);
	lm_lockgraph_free(&graph);
}

static void waiters_behind_a_cycle_are_told_from_its_members(void **state)
{
	struct lm_lock_edge edges[] = {edge(30, 20), edge(20, 1), edge(1, 2), edge(2, 1)};
	struct lm_lockgraph graph;

	(void)state;
	assert_int_equal(lm_lockgraph_analyse(edges, 4, &graph), 0);
	assert_int_equal(graph.cycles_len, 1);
	assert_int_equal(graph.cycles[0].len, 2);
	assert_int_equal(graph.chains[0].end, LM_LOCK_END_CYCLE);
	assert_int_equal(graph.chains[0].depth, 2);
	assert_int_equal(graph.chains[0].cycle, 0);
	assert_int_equal(graph.chains[0].root, 1);
	assert_int_equal(graph.chains[0].last, 1);
	assert_int_equal(graph.chains[1].depth, 1);
	/* the lock of thread 1: a member and one behind it */
	assert_int_equal(graph.pileups_len, 3);
	assert_int_equal(graph.pileups[0].object, edges[1].object);
	assert_int_equal(graph.pileups[0].len, 2);
	assert_int_equal(graph.pileups[0].in_cycle, 1);
	assert_int_equal(graph.pileups[0].owner, 1);
	assert_int_equal(graph.pileups[0].chain.end, LM_LOCK_END_CYCLE);
	lm_lockgraph_free(&graph);
}

static void a_pileup_names_the_thread_at_the_root(void **state)
{
	struct lm_lock_edge edges[] = {edge(1, 10), edge(2, 10), edge(3, 10), edge(10, 11), edge(11, 12)};
	struct lm_lockgraph graph;
	const struct lm_lock_group *pileup;

	(void)state;
	assert_int_equal(lm_lockgraph_analyse(edges, 5, &graph), 0);
	assert_int_equal(graph.cycles_len, 0);
	assert_int_equal(graph.pileups_len, 3);
	pileup = &graph.pileups[0];
	assert_int_equal(pileup->process, PROCESS);
	assert_int_equal(pileup->object, edges[0].object);
	assert_int_equal(pileup->len, 3);
	assert_int_equal(pileup->edges[0], 0);
	assert_int_equal(pileup->edges[2], 2);
	assert_int_equal(pileup->in_cycle, 0);
	assert_int_equal(pileup->owner, 10);
	assert_int_equal(pileup->chain.end, LM_LOCK_END_HOLDER);
	assert_int_equal(pileup->chain.root, 12);
	assert_int_equal(pileup->chain.depth, 3);
	assert_int_equal(pileup->chain.last, 4);
	assert_int_equal(pileup->chain.cycle, LM_LOCK_NO_CYCLE);
	lm_lockgraph_free(&graph);
}

static void an_owner_that_only_some_reads_know_is_the_groups_owner(void **state)
{
	struct lm_lock_edge edges[] = {edge(1, 10), edge(2, 10), edge(3, 11)};
	struct lm_lockgraph graph;

	(void)state;
	edges[0].owner = NONE;
	edges[2].owner = NONE;
	assert_int_equal(lm_lockgraph_analyse(edges, 3, &graph), 0);
	assert_int_equal(graph.pileups_len, 2);
	assert_int_equal(graph.pileups[0].owner, 10);
	assert_int_equal(graph.pileups[0].chain.end, LM_LOCK_END_HOLDER);
	assert_int_equal(graph.pileups[1].owner, NONE);
	assert_int_equal(graph.pileups[1].chain.end, LM_LOCK_END_UNKNOWN);
	lm_lockgraph_free(&graph);
}

static void locks_of_gone_owners_are_grouped_by_process_and_object(void **state)
{
	struct lm_lock_edge edges[] = {edge(1, 50), edge(2, 50), edge(3, 50), edge(4, 1), edge(5, 51)};
	struct lm_lockgraph graph;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		edges[i].owner_gone = i != 3;
	edges[2].process = PROCESS + 1;
	edges[1].confirmed = false;
	edges[1].strength = LM_OWNER_SOFT;
	assert_int_equal(lm_lockgraph_analyse(edges, 5, &graph), 0);
	assert_int_equal(graph.orphans_len, 3);
	assert_int_equal(graph.orphans[0].len, 2);
	assert_int_equal(graph.orphans[0].owner, 50);
	assert_int_equal(graph.orphans[0].weakest, LM_OWNER_SOFT);
	assert_false(graph.orphans[0].confirmed);
	assert_int_equal(graph.orphans[1].len, 1);
	assert_int_equal(graph.orphans[1].owner, 51);
	assert_int_equal(graph.orphans[2].process, PROCESS + 1);
	assert_true(graph.orphans[2].confirmed);
	/* who waits for a thread that waits for a gone one */
	assert_int_equal(graph.pileups_len, 1);
	assert_int_equal(graph.pileups[0].owner, 1);
	assert_int_equal(graph.pileups[0].chain.end, LM_LOCK_END_GONE);
	assert_int_equal(graph.pileups[0].chain.last, 0);
	lm_lockgraph_free(&graph);
}

/* A thread number may be used again: the gone thread is not the one that waits. */
static void a_gone_owner_leads_to_no_waiter_of_its_number(void **state)
{
	struct lm_lock_edge edges[] = {edge(1, 2), edge(2, 1)};
	struct lm_lockgraph graph;

	(void)state;
	edges[0].owner_gone = true;
	assert_int_equal(lm_lockgraph_analyse(edges, 2, &graph), 0);
	assert_int_equal(graph.cycles_len, 0);
	assert_int_equal(graph.chains[1].end, LM_LOCK_END_GONE);
	lm_lockgraph_free(&graph);
}

static void a_second_edge_of_a_waiter_leads_on_but_not_into_it(void **state)
{
	struct lm_lock_edge edges[] = {edge(1, 2), edge(2, 3), edge(2, 1)};
	struct lm_lockgraph graph;

	(void)state;
	assert_int_equal(lm_lockgraph_analyse(edges, 3, &graph), 0);
	assert_int_equal(graph.cycles_len, 0);
	assert_int_equal(graph.chains[0].root, 3);
	assert_int_equal(graph.chains[2].root, 3);
	assert_int_equal(graph.chains[2].depth, 3);
	lm_lockgraph_free(&graph);
}

/* The edge whose waiter is the owner of this one. */
static size_t successor(const struct lm_lock_edge *edges, size_t len, size_t at)
{
	if (edges[at].owner_gone || edges[at].owner == NONE)
		return SIZE_MAX;
	for (size_t i = 0; i < len; i++) {
		if (edges[i].waiter == edges[at].owner)
			return i;
	}
	return SIZE_MAX;
}

static bool is_in_cycle(const struct lm_lock_edge *edges, size_t len, size_t start)
{
	size_t at = successor(edges, len, start);

	for (size_t i = 0; i < len && at != SIZE_MAX && at != start; i++)
		at = successor(edges, len, at);
	return at == start;
}

static void check_chain(const struct lm_lock_edge *edges, size_t len, size_t start, const struct lm_lock_chain *chain)
{
	enum lm_owner_strength weakest = edges[start].strength;
	bool confirmed = edges[start].confirmed;
	size_t at = start, last = start, depth = 0;

	while (at != SIZE_MAX && !is_in_cycle(edges, len, at)) {
		depth++;
		last = at;
		weakest = edges[at].strength < weakest ? edges[at].strength : weakest;
		confirmed = confirmed && edges[at].confirmed;
		at = successor(edges, len, at);
	}
	if (at != SIZE_MAX) {
		assert_int_equal(chain->end, LM_LOCK_END_CYCLE);
		assert_int_equal(chain->root, edges[at].waiter);
		for (size_t i = 0; i < len; i++, at = successor(edges, len, at)) {
			weakest = edges[at].strength < weakest ? edges[at].strength : weakest;
			confirmed = confirmed && edges[at].confirmed;
		}
	} else {
		assert_int_equal(chain->cycle, LM_LOCK_NO_CYCLE);
		assert_int_equal(chain->end, edges[last].owner_gone      ? LM_LOCK_END_GONE
					     : edges[last].owner == NONE ? LM_LOCK_END_UNKNOWN
									 : LM_LOCK_END_HOLDER);
		assert_int_equal(chain->root, edges[last].owner);
	}
	assert_int_equal(chain->depth, depth);
	assert_int_equal(chain->last, last);
	assert_int_equal(chain->weakest, weakest);
	assert_int_equal(chain->confirmed, confirmed);
}

static void check_cycles(const struct lm_lock_edge *edges, size_t len, const struct lm_lockgraph *graph)
{
	size_t members = 0, expected = 0;

	for (size_t i = 0; i < len; i++)
		expected += is_in_cycle(edges, len, i);
	for (size_t i = 0; i < graph->cycles_len; i++) {
		const struct lm_lock_cycle *cycle = &graph->cycles[i];

		members += cycle->len;
		for (size_t j = 0; j < cycle->len; j++) {
			size_t next = successor(edges, len, cycle->edges[j]);

			assert_int_equal(next, cycle->edges[(j + 1) % cycle->len]);
			assert_true(!j || next != cycle->edges[j]);
			assert_true(edges[cycle->edges[0]].waiter <= edges[cycle->edges[j]].waiter);
			assert_int_equal(graph->chains[cycle->edges[j]].cycle, i);
			assert_int_equal(graph->chains[cycle->edges[j]].depth, 0);
		}
	}
	/* each member once, as each has one successor */
	assert_int_equal(members, expected);
}

static bool belongs_to(const struct lm_lock_edge *candidate, const struct lm_lock_group *group, bool gone)
{
	return candidate->process == group->process && candidate->object == group->object &&
	       candidate->owner_gone == gone;
}

static void check_group(const struct lm_lock_edge *edges, size_t len, bool gone, const struct lm_lockgraph *graph,
	const struct lm_lock_group *group)
{
	enum lm_owner_strength weakest = LM_OWNER_CERTAIN;
	size_t waiters = 0, in_cycle = 0, first_known = SIZE_MAX;
	bool confirmed = true;

	for (size_t i = 0; i < len; i++) {
		if (!belongs_to(&edges[i], group, gone))
			continue;
		assert_true(waiters < group->len);
		assert_int_equal(group->edges[waiters++], i);
		in_cycle += is_in_cycle(edges, len, i);
		confirmed = confirmed && edges[i].confirmed;
		weakest = edges[i].strength < weakest ? edges[i].strength : weakest;
		if (first_known == SIZE_MAX && edges[i].owner != NONE)
			first_known = i;
	}
	assert_int_equal(group->len, waiters);
	assert_int_equal(group->in_cycle, in_cycle);
	assert_int_equal(group->confirmed, confirmed);
	assert_int_equal(group->weakest, weakest);
	assert_int_equal(group->owner, first_known == SIZE_MAX ? NONE : edges[first_known].owner);
	if (first_known == SIZE_MAX)
		first_known = group->edges[0];
	assert_int_equal(group->chain.end, graph->chains[first_known].end);
	assert_int_equal(group->chain.root, graph->chains[first_known].root);
	assert_int_equal(group->chain.last, graph->chains[first_known].last);
	assert_int_equal(group->chain.depth, graph->chains[first_known].depth);
}

static void check_groups(const struct lm_lock_edge *edges, size_t len, bool gone, const struct lm_lockgraph *graph)
{
	const struct lm_lock_group *groups = gone ? graph->orphans : graph->pileups;
	size_t groups_len = gone ? graph->orphans_len : graph->pileups_len;
	size_t members = 0, expected = 0;

	for (size_t i = 0; i < len; i++)
		expected += edges[i].owner_gone == gone;
	for (size_t i = 0; i < groups_len; i++) {
		const struct lm_lock_group *group = &groups[i];

		assert_true(!i || group[-1].process < group->process ||
			    (group[-1].process == group->process && group[-1].object < group->object));
		check_group(edges, len, gone, graph, group);
		members += group->len;
	}
	assert_int_equal(members, expected);
}

static size_t make_random(struct lm_lock_edge *edges)
{
	size_t len = 1 + rand() % EDGES_MAX, threads = len + rand() % 4;
	uint64_t shuffled[EDGES_MAX + 4];

	for (size_t i = 0; i < threads; i++) {
		size_t other = rand() % (i + 1);

		shuffled[i] = shuffled[other];
		shuffled[other] = i;
	}
	for (size_t i = 0; i < len; i++) {
		edges[i] = edge(shuffled[i], rand() % 12 ? shuffled[rand() % threads] : NONE);
		edges[i].process = rand() % 2;
		edges[i].object = rand() % 4;
		edges[i].strength = rand() % 3;
		edges[i].confirmed = rand() % 4;
		edges[i].owner_gone = rand() % 10 == 0;
	}
	return len;
}

static void random_graphs_are_as_a_plain_search_finds_them(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < ROUNDS; round++) {
		struct lm_lock_edge edges[EDGES_MAX];
		struct lm_lockgraph graph;
		size_t len = make_random(edges);

		assert_int_equal(lm_lockgraph_analyse(edges, len, &graph), 0);
		assert_int_equal(graph.chains_len, len);
		for (size_t i = 0; i < len; i++)
			check_chain(edges, len, i, &graph.chains[i]);
		check_cycles(edges, len, &graph);
		check_groups(edges, len, true, &graph);
		check_groups(edges, len, false, &graph);
		lm_lockgraph_free(&graph);
	}
}

static double analyse_many(const struct lm_lock_edge *edges, struct lm_lockgraph *graph)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(lm_lockgraph_analyse(edges, MANY, graph), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (end.tv_sec - begin.tv_sec) * 1e3 + (end.tv_nsec - begin.tv_nsec) / 1e6;
}

/* One chain of all: the longest path, and every lock its own group. */
static void a_hundred_thousand_waits_take_no_time_and_no_stack(void **state)
{
	struct lm_lock_edge *edges = calloc(MANY, sizeof(*edges));
	struct lm_lockgraph graph;
	double took_ms;

	(void)state;
	assert_non_null(edges);
	for (size_t i = 0; i < MANY; i++)
		edges[i] = edge(i, (i * 7919 + 1) % MANY);
	took_ms = analyse_many(edges, &graph);
	print_message("%d waits: %.1f ms\n", MANY, took_ms);
	assert_true(took_ms < MANY_MS_MAX);
	lm_lockgraph_free(&graph);

	for (size_t i = 0; i < MANY; i++)
		edges[i] = edge(i, i + 1);
	took_ms = analyse_many(edges, &graph);
	print_message("in one chain: %.1f ms\n", took_ms);
	assert_true(took_ms < MANY_MS_MAX);
	assert_int_equal(graph.chains[0].depth, MANY);
	assert_int_equal(graph.chains[0].root, MANY);
	lm_lockgraph_free(&graph);

	edges[MANY - 1] = edge(MANY - 1, 0);
	analyse_many(edges, &graph);
	assert_int_equal(graph.cycles_len, 1);
	assert_int_equal(graph.cycles[0].len, MANY);
	lm_lockgraph_free(&graph);
	free(edges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_waits),
		cmocka_unit_test(no_memory_leaves_the_graph_alone),
		cmocka_unit_test(two_threads_that_wait_for_each_other_are_a_cycle),
		cmocka_unit_test(a_thread_that_waits_for_itself_is_a_cycle_of_one),
		cmocka_unit_test(one_soft_or_unconfirmed_edge_weakens_the_cycle_and_all_behind_it),
		cmocka_unit_test(a_cycle_goes_through_several_processes),
		cmocka_unit_test(waiters_behind_a_cycle_are_told_from_its_members),
		cmocka_unit_test(a_pileup_names_the_thread_at_the_root),
		cmocka_unit_test(an_owner_that_only_some_reads_know_is_the_groups_owner),
		cmocka_unit_test(locks_of_gone_owners_are_grouped_by_process_and_object),
		cmocka_unit_test(a_gone_owner_leads_to_no_waiter_of_its_number),
		cmocka_unit_test(a_second_edge_of_a_waiter_leads_on_but_not_into_it),
		cmocka_unit_test(random_graphs_are_as_a_plain_search_finds_them),
		cmocka_unit_test(a_hundred_thousand_waits_take_no_time_and_no_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
