// SPDX-License-Identifier: GPL-2.0-or-later
/* What speaks against a leak of goroutines: what they wait for, and how little may be known of their births. */
#include "user/monitor_go_state.h"

#define SHARED_OBJECT_SHARE 0.2 /* objects shared by this few of the members are one queue's */
#define DEAD_SHARE 0.5          /* of connections that … */
#define SILENT_S 7200.0         /* … have not said anything for so long */
#define DATED_SHARE 0.8         /* of the members … */
#define DATED_COHORTS 8         /* … are dated within such a part of the time since the first of them was born */
#define ENDED_SHARE 0.1         /* of the goids between the first and the last member */
#define GOIDS_AT_ONCE                                                                                                  \
	16u /* a P takes so many at a time, and may leave them unused: there are no more Ps than threads */

/* Who sends to one channel, or wants one lock, does no work until it has. */
static bool waits_for_work(const struct lm_group *group)
{
	enum lm_wait_class wait_class = group->wait.wait_class;
	bool receives = wait_class == LM_WAIT_GO_CHAN_RECEIVE || wait_class == LM_WAIT_GO_SELECT ||
			wait_class == LM_WAIT_GO_COND;

	return receives && group->objects > 0 && group->objects < SHARED_OBJECT_SHARE * group->count;
}

/* A goroutine that waits for input has heard nothing since. */
static bool are_silent(const struct lm_monitor *monitor, const struct lm_group *group)
{
	uint64_t silent_ns = lm_verdict_scaled_ns(monitor->config.horizon_ns, SILENT_S);
	int64_t silent = 0;

	for (int64_t i = 0; i < group->count; i++) {
		uint64_t since_ns = group->residents[i]->wait_since_ns;

		/* a look at goroutines ends a little later than that at threads, which is the monitor's now */
		silent += since_ns && since_ns + silent_ns <= monitor->now_ns;
	}
	return silent >= DEAD_SHARE * group->count;
}

unsigned int lm_monitor_go_guards(const struct lm_monitor *monitor, const struct lm_group *group)
{
	unsigned int guards = waits_for_work(group) ? LM_GUARD_IDLE_WORKERS : 0;

	if (group->guards & LM_GUARD_CONNECTIONS && are_silent(monitor, group))
		guards |= LM_GUARD_DEAD_PEERS;
	return guards;
}

static bool are_dated(const struct lm_group *group, uint64_t now_ns)
{
	uint64_t first_ns = UINT64_MAX, within_ns;
	int64_t dated = 0;

	for (int64_t i = 0; i < group->count; i++) {
		if (group->members[i].born_ns < first_ns)
			first_ns = group->members[i].born_ns;
	}
	within_ns = now_ns > first_ns ? (now_ns - first_ns) / DATED_COHORTS : 0;
	for (int64_t i = 0; i < group->count; i++) {
		uint64_t wait_ns = group->residents[i]->wait_since_ns, born_ns = group->members[i].born_ns;

		dated += wait_ns && wait_ns <= born_ns + within_ns;
	}
	return dated >= DATED_SHARE * group->count;
}

/* Have goroutines been born and ended all the time that the members were born? */
static bool others_ended_meanwhile(const struct lm_group *group)
{
	uint64_t first = UINT64_MAX, last = 0, alive, unused;

	for (int64_t i = 0; i < group->count; i++) {
		uint64_t goid = lm_goroutine_of(group->residents[i])->goid;

		first = goid < first ? goid : first;
		last = goid > last ? goid : last;
	}
	if (!lm_go_goids_between(group->process->go, first, last, &alive))
		return false;
	unused = (uint64_t)group->process->threads_len * GOIDS_AT_ONCE;
	return last - first > alive + unused && last - first - alive - unused >= ENDED_SHARE * (last - first);
}

bool lm_monitor_go_births_tell(const struct lm_group *group, uint64_t now_ns)
{
	return are_dated(group, now_ns) || others_ended_meanwhile(group);
}
