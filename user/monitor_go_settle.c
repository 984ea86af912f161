// SPDX-License-Identifier: GPL-2.0-or-later
/* What the end of a look at goroutines settles: who has waited long enough to be counted, and in which group. */
#include <errno.h>

#include "user/monitor_go_state.h"
#include "user/recall.h"

#define AWAY_LOOKS 3 /* so many looks in a row cannot read where it is: then it is not there */

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
	if (stack)
		goroutine->creator = stack->creator;
	if (lm_recall_since(group, (struct lm_recall_id){.id = goroutine->goid}, goroutine->resident.wait_since_ns,
		    &goroutine->since_ns) &&
		!goroutine->resident.wait_since_ns)
		goroutine->resident.wait_since_ns = goroutine->since_ns;
	fill_member(goroutine, &member);
	if (lm_groups_join(group, &goroutine->resident, &member))
		return -ENOMEM;
	lm_go_list(process->go, goroutine, LM_GO_LIST_NONE);
	return 0;
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
		lm_go_end_stay(monitor, go, goroutine, go->now_ns);
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
		lm_go_end_stay(monitor, go, goroutine, go->now_ns);
		goroutine->state = LM_GO_MOVED;
	}
}

static void remove_untold(struct lm_monitor *monitor, struct lm_go *go)
{
	struct lm_goroutine *goroutine;

	for (uint32_t index = 0; (goroutine = lm_go_next(go, &index));) {
		if (!goroutine->told)
			lm_go_remove(monitor, go, goroutine);
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
		/* a P that has work has a thread */
		error = lm_go_estimate_births(go, process->key.start_ns, process->threads_len);
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
