// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long goroutines stay where they wait. Who was there at the first look is counted at
 * once, since when only if a garbage collection has dated it; who comes later is counted when
 * it has waited long enough, since the look that first saw it. How they come into groups is in
 * monitor_go_settle.c, where they are kept in monitor_go_table.c, when those of the first look
 * were born in monitor_go_births.c.
 */
#include "user/monitor_go.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/monitor_go_state.h"

#define HELD_MIN_NS 5000000000ull /* the resolver is asked again before that */
#define SAME_DATE_NS 1000000000u  /* dates that differ by less are one: they are converted from another clock */

static struct lm_go *go_of(struct lm_process *process)
{
	struct lm_go *go;

	if (process->go)
		return process->go;
	go = calloc(1, sizeof(*go));
	if (!go)
		return NULL;
	for (int i = 0; i < LM_GO_LISTS; i++)
		go->lists[i].first = go->lists[i].last = LM_GO_NOBODY;
	go->summary.gc_count = go->summary.heap_live_bytes = -1;
	process->go = go;
	return go;
}

static bool waits(const struct lm_goroutine *goroutine)
{
	return goroutine->state >= LM_GO_CHAN_SEND && goroutine->state < LM_GO_STATES;
}

int lm_monitor_go_begin(
	struct lm_monitor *monitor, struct lm_process *process, uint64_t now_ns, int64_t mono_to_boot_ns)
{
	struct lm_go *go = go_of(process);

	(void)monitor;
	if (!go)
		return -ENOMEM;
	go->is_go = true;
	go->goids_known = false;
	go->now_ns = now_ns;
	go->mono_to_boot_ns = mono_to_boot_ns;
	return 0;
}

/* When the goroutine was first seen to be in its present wait by a garbage collection; 0: none has. */
static uint64_t date_of(const struct lm_go *go, const struct lm_go_record *record)
{
	uint64_t boot_ns = record->wait_since_ns + (uint64_t)go->mono_to_boot_ns;

	if (!record->wait_since_ns || (int64_t)boot_ns <= 0)
		return 0;
	return boot_ns < go->now_ns ? boot_ns : go->now_ns;
}

void lm_go_end_stay(struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine, uint64_t at_ns)
{
	lm_groups_leave(&monitor->groups, &goroutine->resident, at_ns);
	lm_go_list(go, goroutine, LM_GO_LIST_NONE);
	goroutine->since_ns = 0;
	goroutine->restless = false;
	goroutine->found = false;
}

static void begin_stay(struct lm_go *go, struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	uint64_t dated_ns = date_of(go, record);

	goroutine->found = !go->last_look_ns;
	if (goroutine->found)
		goroutine->since_ns = dated_ns;
	else
		goroutine->since_ns = dated_ns > go->last_look_ns ? dated_ns : go->now_ns;
	goroutine->dated = dated_ns && goroutine->since_ns == dated_ns;
	/* the look that first saw it came after its birth */
	if (!goroutine->found && goroutine->born_ns > goroutine->since_ns)
		goroutine->born_ns = goroutine->since_ns;
	goroutine->resident.wait_since_ns = goroutine->since_ns;
	lm_go_list(go, goroutine, LM_GO_LIST_YOUNG);
}

/* Only a timer has woken it, or nothing has: it is where it was. */
static void wait_again(struct lm_go *go, struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	uint64_t dated_ns = date_of(go, record);

	goroutine->dated = dated_ns > go->last_look_ns;
	goroutine->resident.wait_since_ns = goroutine->dated ? dated_ns : go->now_ns;
	if (goroutine->resident.group)
		lm_groups_wait_again(&goroutine->resident, goroutine->resident.wait_since_ns);
}

/* A wait that was there when we came, and that a garbage collection has dated only now, is at least as old as our watch
 * of it. */
static void learn_date(struct lm_go *go, struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	uint64_t dated_ns = date_of(go, record);

	if (!dated_ns || goroutine->resident.wait_since_ns)
		return;
	if (go->first_look_ns && dated_ns > go->first_look_ns)
		dated_ns = go->first_look_ns;
	goroutine->resident.wait_since_ns = dated_ns;
	if (goroutine->resident.group)
		lm_groups_wait_again(&goroutine->resident, dated_ns);
}

/* A date that holds as long as the wait is another one now. */
static bool is_dated_anew(
	const struct lm_go *go, const struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	uint64_t dated_ns = date_of(go, record), before_ns = goroutine->resident.wait_since_ns;

	return goroutine->dated && (!dated_ns || dated_ns > before_ns + SAME_DATE_NS);
}

static bool ticks(const struct lm_go_record *record)
{
	return record->flags & LM_GO_TIMED || record->state == LM_GO_SLEEP;
}

/* What became of a stay of which a record tells that the goroutine still waits, or waits again. */
static bool goes_on(const struct lm_go *go, const struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	bool same_stack = goroutine->stack == record->stack || (go->telling_again && !goroutine->told);

	if (!waits(goroutine) || goroutine->state != record->state || !same_stack)
		return false;
	if (record->flags & LM_GO_RAN)
		return ticks(record);
	/* where it was away or the reader was, it may have run unseen */
	if (goroutine->list == LM_GO_LIST_AWAY || !goroutine->told)
		return ticks(record) || !is_dated_anew(go, goroutine, record);
	return true;
}

void lm_go_remove(struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine)
{
	uint32_t index = goroutine->index;

	lm_go_end_stay(monitor, go, goroutine, go->now_ns);
	lm_go_use_stack(&monitor->groups, go, goroutine, LM_GO_STACK_NONE);
	memset(goroutine, 0, sizeof(*goroutine));
	goroutine->index = index;
	go->known--;
}

static void add_goroutine(struct lm_go *go, struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	goroutine->goid = record->goid;
	goroutine->state = LM_GO_RUNNING;
	goroutine->told = true;
	if (go->last_look_ns) {
		goroutine->born_ns = go->now_ns;
		goroutine->seen_born = record->goid > go->summary.newest_goid;
	}
	if (record->goid > go->newest_goid)
		go->newest_goid = record->goid;
	go->known++;
}

static void take_object(struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	struct lm_resident *resident = &goroutine->resident;

	if (resident->group && (resident->object != record->object || resident->stack_bytes != record->stack_bytes))
		resident->group->changed = true;
	resident->object = record->object;
	resident->has_object = record->object != 0;
	resident->stack_bytes = record->stack_bytes;
}

/* It was there, but went on while it was read: where it is now the next look tells. */
static void take_moved(struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine)
{
	monitor->counters.torn_reads++;
	if (goroutine->list == LM_GO_LIST_AWAY)
		return;
	if (goroutine->resident.group) {
		lm_go_list(go, goroutine, LM_GO_LIST_AWAY);
		goroutine->away_look = go->look;
	} else {
		lm_go_end_stay(monitor, go, goroutine, go->now_ns);
		goroutine->state = LM_GO_MOVED;
	}
}

static int take_waiting(
	struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	bool same = goes_on(go, goroutine, record), told_again = go->telling_again && !goroutine->told;

	take_object(goroutine, record);
	if (same && record->flags & LM_GO_RAN)
		wait_again(go, goroutine, record);
	else if (same)
		learn_date(go, goroutine, record);
	else
		lm_go_end_stay(monitor, go, goroutine, go->now_ns);
	goroutine->state = record->state;
	if (lm_go_use_stack(&monitor->groups, go, goroutine, record->stack))
		return -ENOMEM;
	if (!same)
		begin_stay(go, goroutine, record);
	else if (goroutine->resident.group && (told_again || goroutine->list == LM_GO_LIST_AWAY))
		lm_go_list(go, goroutine, LM_GO_LIST_TOLD);
	return 0;
}

static int take_state(
	struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine, const struct lm_go_record *record)
{
	if (record->state == LM_GO_MOVED) {
		take_moved(monitor, go, goroutine);
		return 0;
	}
	/* the runtime's own are nobody's leak */
	if (record->state >= LM_GO_CHAN_SEND && record->state < LM_GO_STATES && !(record->flags & LM_GO_SYSTEM))
		return take_waiting(monitor, go, goroutine, record);
	lm_go_end_stay(monitor, go, goroutine, go->now_ns);
	goroutine->state = LM_GO_RUNNING;
	return lm_go_use_stack(&monitor->groups, go, goroutine, LM_GO_STACK_NONE);
}

int lm_monitor_go_record(struct lm_monitor *monitor, struct lm_process *process, const struct lm_go_record *record)
{
	struct lm_go *go = process->go;
	struct lm_goroutine *goroutine = go ? lm_go_find(go, record->index) : NULL;
	int error;

	if (!go)
		return 0;
	if (goroutine && (record->state == LM_GO_GONE || goroutine->goid != record->goid)) {
		lm_go_remove(monitor, go, goroutine);
		goroutine = NULL;
	}
	if (record->state == LM_GO_GONE || !record->goid)
		return 0;
	if (!goroutine) {
		goroutine = lm_go_slot(go, record->index);
		if (!goroutine)
			return record->index < LM_MONITOR_GOROUTINES_MAX ? -ENOMEM : 0;
		add_goroutine(go, goroutine, record);
	}
	goroutine->parent_goid = record->parent_goid;
	goroutine->reason = record->reason;
	goroutine->flags = record->flags;
	error = take_state(monitor, go, goroutine, record);
	goroutine->told = true;
	return error;
}

/* --- when it cannot be read --- */

void lm_monitor_go_reset(struct lm_monitor *monitor, struct lm_process *process)
{
	struct lm_go *go = process->go;
	struct lm_goroutine *goroutine;

	if (!go)
		return;
	lm_go_forget_stacks(&monitor->groups, go);
	for (uint32_t index = 0; (goroutine = lm_go_next(go, &index));)
		goroutine->told = false;
	go->telling_again = true;
}

/* Nobody has left: it is only not known any more who is there. */
static void forget_goroutines(struct lm_monitor *monitor, struct lm_process *process)
{
	struct lm_go *go = process->go;

	lm_groups_drop_kind(&monitor->groups, process->number, LM_SITE_GOROUTINE);
	lm_go_forget_all(&monitor->groups, go);
	monitor->counters.go_unwind_failed -= go->summary.not_unwound;
	go->summary.not_unwound = 0;
	go->last_look_ns = 0;
	go->newest_goid = 0;
	go->telling_again = false;
}

int lm_monitor_go_failed(struct lm_monitor *monitor, struct lm_process *process, bool is_go, const char *why)
{
	uint64_t held_ns = monitor->config.horizon_ns / LM_VERDICT_STEPS_PER_HORIZON;
	struct lm_go *go = go_of(process);

	if (!go)
		return -ENOMEM;
	if (held_ns < HELD_MIN_NS)
		held_ns = HELD_MIN_NS;
	go->is_go = is_go;
	go->why = why;
	if (go->known && (!go->last_look_ns || go->last_look_ns + held_ns < monitor->now_ns))
		forget_goroutines(monitor, process);
	return 0;
}

void lm_monitor_go_drop(struct lm_monitor *monitor, struct lm_process *process)
{
	if (!process->go)
		return;
	forget_goroutines(monitor, process);
	lm_go_free(&monitor->groups, process->go);
	process->go = NULL;
}

/* --- what is known --- */

bool lm_monitor_go_counts(const struct lm_process *process, struct lm_go_counts *counts)
{
	const struct lm_go *go = process->go;

	if (!go || !go->is_go)
		return false;
	*counts = (struct lm_go_counts){
		.goroutines = go->last_look_ns && !go->why ? (int64_t)go->summary.goroutines : -1,
		.gc_count = go->summary.gc_count,
		.heap_live_bytes = go->summary.heap_live_bytes,
		.no_gc = go->summary.no_gc,
		.no_objects = go->summary.no_objects,
		.why = go->why,
	};
	memcpy(counts->version, go->summary.version, sizeof(counts->version));
	return true;
}

struct lm_goroutine *lm_goroutine_of(const struct lm_resident *resident)
{
	return (struct lm_goroutine *)((char *)resident - offsetof(struct lm_goroutine, resident));
}
