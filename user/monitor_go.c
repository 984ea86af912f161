// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long goroutines stay where they wait. Who was there at the first look is counted at
 * once, since when only if a garbage collection has dated it; who comes later is counted when
 * it has waited long enough, since the look that first saw it. Where they are kept is in
 * monitor_go_table.c, when those of the first look were born in monitor_go_births.c.
 */
#include "user/monitor_go.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/monitor_go_state.h"

#define AWAY_LOOKS 3             /* so many looks in a row cannot read where it is: then it is not there */
#define SAME_DATE_NS 1000000000u /* dates that differ by less are one: they are converted from another clock */

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

static void end_stay(struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine, uint64_t at_ns)
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

static void remove_goroutine(struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine)
{
	uint32_t index = goroutine->index;

	end_stay(monitor, go, goroutine, go->now_ns);
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
		end_stay(monitor, go, goroutine, go->now_ns);
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
		end_stay(monitor, go, goroutine, go->now_ns);
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
	end_stay(monitor, go, goroutine, go->now_ns);
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
		remove_goroutine(monitor, go, goroutine);
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

/* --- into groups --- */

static void fill_member(const struct lm_goroutine *goroutine, struct lm_verdict_member *member)
{
	member->since_ns = goroutine->since_ns ? goroutine->since_ns : goroutine->born_ns;
	member->born_ns = goroutine->born_ns < member->since_ns ? goroutine->born_ns : member->since_ns;
	/* how often it ran is not known, only that it did */
	member->switches = goroutine->restless ? UINT32_MAX : 0;
	member->cpu_ms = 0;
}

static int find_group(struct lm_monitor *monitor, struct lm_process *process, const struct lm_goroutine *goroutine,
	struct lm_go_stack *stack, struct lm_group **group)
{
	struct lm_place place = {
		.kind = LM_SITE_GOROUTINE,
		.process = process->number,
		.whose = process,
		.watch_start_ns = process->go->first_look_ns,
		.wait =
			{
				.wait_class = LM_WAIT_GO_CHAN_SEND + (goroutine->state - LM_GO_CHAN_SEND),
				.has_object = goroutine->resident.has_object,
				.object = goroutine->resident.object,
				.detail = lm_monitor_go_reason(process, goroutine->reason),
			},
		.stack = stack ? stack->stack : NULL,
		.stack_why = stack ? stack->why : "its stack could not be read",
		.site = stack ? stack->sites[goroutine->state] : 0,
	};

	if (place.stack && !place.stack->frames_len)
		place.stack = NULL;
	if (!place.stack && !place.stack_why)
		place.stack_why = "its stack is not known";
	place.site = lm_place_site(&place);
	if (stack)
		stack->sites[goroutine->state] = place.site;
	return lm_groups_find(&monitor->groups, &place, group);
}

/* Does it wait for its stack to be known? */
static bool needs_stack(const struct lm_goroutine *goroutine, const struct lm_go_stack *stack)
{
	return goroutine->stack != LM_GO_STACK_NONE && stack && !stack->known;
}

static int join(struct lm_monitor *monitor, struct lm_process *process, struct lm_goroutine *goroutine,
	struct lm_go_stack *stack)
{
	struct lm_verdict_member member;
	struct lm_group *group;

	if (find_group(monitor, process, goroutine, stack, &group))
		return -ENOMEM;
	lm_go_list(process->go, goroutine, LM_GO_LIST_NONE);
	if (stack)
		goroutine->creator = stack->creator;
	fill_member(goroutine, &member);
	return lm_groups_join(group, &goroutine->resident, &member);
}

static int group_young(struct lm_monitor *monitor, struct lm_process *process)
{
	struct lm_go *go = process->go;
	uint32_t next = go->lists[LM_GO_LIST_YOUNG].first;

	while (next != LM_GO_NOBODY) {
		struct lm_goroutine *goroutine = lm_go_find(go, next);
		struct lm_go_stack *stack = lm_go_find_stack(go, goroutine->stack);

		/* they are in the order of coming */
		if (!goroutine->found && go->now_ns - goroutine->since_ns < monitor->config.min_blocked_ns)
			break;
		next = goroutine->next;
		if (!needs_stack(goroutine, stack) && join(monitor, process, goroutine, stack))
			return -ENOMEM;
	}
	return 0;
}

/* Those that were told again: are they still where they were? */
static int check_told(struct lm_monitor *monitor, struct lm_process *process)
{
	struct lm_go *go = process->go;
	uint32_t next = go->lists[LM_GO_LIST_TOLD].first;

	while (next != LM_GO_NOBODY) {
		struct lm_goroutine *goroutine = lm_go_find(go, next);
		struct lm_go_stack *stack = lm_go_find_stack(go, goroutine->stack);
		struct lm_group *group;

		next = goroutine->next;
		if (needs_stack(goroutine, stack))
			continue;
		if (find_group(monitor, process, goroutine, stack, &group))
			return -ENOMEM;
		if (group == goroutine->resident.group) {
			lm_go_list(go, goroutine, LM_GO_LIST_NONE);
			continue;
		}
		end_stay(monitor, go, goroutine, go->now_ns);
		goroutine->since_ns = goroutine->resident.wait_since_ns = go->now_ns;
		goroutine->dated = false;
		lm_go_list(go, goroutine, LM_GO_LIST_YOUNG);
	}
	return 0;
}

static void give_up_away(struct lm_monitor *monitor, struct lm_go *go)
{
	while (go->lists[LM_GO_LIST_AWAY].first != LM_GO_NOBODY) {
		struct lm_goroutine *goroutine = lm_go_find(go, go->lists[LM_GO_LIST_AWAY].first);

		if ((uint8_t)(go->look - goroutine->away_look) < AWAY_LOOKS)
			break;
		end_stay(monitor, go, goroutine, go->now_ns);
		goroutine->state = LM_GO_MOVED;
	}
}

static void remove_untold(struct lm_monitor *monitor, struct lm_go *go)
{
	struct lm_goroutine *goroutine;

	for (uint32_t index = 0; (goroutine = lm_go_next(go, &index));) {
		if (!goroutine->told)
			remove_goroutine(monitor, go, goroutine);
	}
	go->telling_again = false;
}

static void keep_summary(struct lm_monitor *monitor, struct lm_go *go, const struct lm_go_summary *summary)
{
	monitor->counters.go_unwind_failed += summary->not_unwound - go->summary.not_unwound;
	if (go->newest_goid < summary->newest_goid)
		go->newest_goid = summary->newest_goid;
	go->summary = *summary;
	go->summary.version[sizeof(go->summary.version) - 1] = 0;
	go->summary.newest_goid = go->newest_goid;
	if (!go->first_heap_ns && summary->heap_live_bytes >= 0) {
		go->first_heap_ns = go->now_ns;
		go->first_heap_bytes = summary->heap_live_bytes;
	}
}

int lm_monitor_go_end(struct lm_monitor *monitor, struct lm_process *process, const struct lm_go_summary *summary)
{
	struct lm_go *go = process->go;
	int error = 0;

	if (!go)
		return 0;
	if (go->telling_again)
		remove_untold(monitor, go);
	keep_summary(monitor, go, summary);
	if (!go->last_look_ns) {
		go->first_look_ns = go->now_ns;
		error = lm_go_estimate_births(go, process->key.start_ns);
	}
	give_up_away(monitor, go);
	if (!error)
		error = check_told(monitor, process);
	if (!error)
		error = group_young(monitor, process);
	if (error)
		return error;
	go->last_look_ns = go->now_ns;
	go->look++;
	go->why = NULL;
	return 0;
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
	go->is_go = is_go;
	go->why = why;
	if (go->known && (!go->last_look_ns || monitor->now_ns - go->last_look_ns > held_ns))
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
