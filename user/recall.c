// SPDX-License-Identifier: GPL-2.0-or-later
/* Fixed records with a version before them: another version of leakmon begins anew. */
#include "user/recall.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_GROUP 0x6c6d6701u
#define VERSION_STAYS 0x6c6d7301u
#define VERSION_LOAD 0x6c6d6c01u
#define FEW 8                                  /* residents below which no rule of the verdicts looks at a group */
#define RETURN_NS (10 * 1000000000ull)         /* a thread that ticks may be at its tick when it is looked at */
#define SAVED_AGAIN_NS (86400 * 1000000000ull) /* what was not written for long the history drops */
#define COUNT_MAX ((uint32_t)1 << 24)          /* of stays in the histogram: old ones weigh no more than that */

struct kept_member {
	uint64_t id, start_ns, since_ns, ticks;
};

/* No pointers and no padding. */
struct kept_group {
	uint32_t version, size;
	uint64_t saved_ns, watch_start_ns;
	int64_t arrived, departed;
	uint64_t last_departures_ns[LM_VERDICT_AGES];
	uint32_t departures[LM_VERDICT_AGES];
	uint32_t flag_level;
	uint64_t flag_since_ns, flag_demanded_age_ns;
	uint32_t flag_age, flag_departures;
	uint64_t verdict_since_ns;
	uint32_t verdict_level, verdict_type, verdict_age, retrospective;
	int64_t survivors, verdict_departures, cohorts_filled, cohorts;
	double window_s, age_floor_s, longest_completed_s;
	uint64_t members_len;
	struct kept_member members[];
};

struct kept_stays {
	uint32_t version, size;
	uint64_t longest_ns;
	uint32_t completed[LM_VERDICT_HISTOGRAM];
};

struct kept_load {
	uint32_t version, size;
	uint64_t step_ns;
	struct lm_load load;
};

bool lm_recall_is_due(const struct lm_group *group, uint64_t now_ns)
{
	const struct lm_recall_state *saved = &group->saved;

	if (group->recalled || group->kernel_thread || group->go_runtime)
		return false;
	if (group->count < FEW && group->flag.level == LM_LEVEL_NONE && !group->flag.demanded_age_ns &&
		!saved->arrived && !saved->departed)
		return false;
	return !saved->once || now_ns - saved->at_ns >= SAVED_AGAIN_NS || saved->arrived != group->arrived ||
	       saved->departed != group->departed || saved->flag_level != group->flag.level ||
	       saved->verdict_level != group->verdict.level;
}

static int by_since(const void *a, const void *b)
{
	const struct kept_member *x = a, *y = b;

	return (x->since_ns > y->since_ns) - (x->since_ns < y->since_ns);
}

static void fill_kept(const struct lm_group *group, struct kept_group *kept)
{
	const struct lm_snapshot_evidence *evidence = &group->verdict.evidence;

	kept->version = VERSION_GROUP;
	kept->size = sizeof(*kept);
	kept->watch_start_ns = group->watch_start_ns;
	kept->arrived = group->arrived;
	kept->departed = group->departed;
	memcpy(kept->last_departures_ns, group->last_departures_ns, sizeof(kept->last_departures_ns));
	memcpy(kept->departures, group->departures, sizeof(kept->departures));
	kept->flag_level = group->flag.level;
	kept->flag_since_ns = group->flag.since_ns;
	kept->flag_demanded_age_ns = group->flag.demanded_age_ns;
	kept->flag_age = group->flag.age;
	kept->flag_departures = group->flag.departures;
	kept->verdict_since_ns = group->verdict.since_ns;
	kept->verdict_level = group->verdict.level;
	kept->verdict_type = group->verdict.type;
	kept->verdict_age = group->verdict.age;
	kept->retrospective = evidence->retrospective;
	kept->survivors = evidence->survivors;
	kept->verdict_departures = evidence->departures;
	kept->cohorts_filled = evidence->cohorts_filled;
	kept->cohorts = evidence->cohorts;
	kept->window_s = evidence->window_s;
	kept->age_floor_s = evidence->age_floor_s;
	kept->longest_completed_s = evidence->longest_completed_s;
}

int lm_recall_save(struct lm_group *group, lm_recall_identify *identify, uint64_t now_ns, void **bytes, size_t *len)
{
	struct kept_group *kept = calloc(1, sizeof(*kept) + group->count * sizeof(kept->members[0]));

	if (!kept)
		return -ENOMEM;
	fill_kept(group, kept);
	kept->saved_ns = now_ns;
	for (int64_t i = 0; i < group->count; i++) {
		struct lm_recall_id id = identify(group->residents[i]);

		kept->members[i] = (struct kept_member){id.id, id.start_ns, group->members[i].since_ns, id.ticks};
	}
	kept->members_len = group->count;
	if (kept->members_len > LM_RECALL_MEMBERS) {
		qsort(kept->members, kept->members_len, sizeof(kept->members[0]), by_since);
		kept->members_len = LM_RECALL_MEMBERS;
	}
	group->saved.once = true;
	group->saved.at_ns = now_ns;
	group->saved.arrived = group->arrived;
	group->saved.departed = group->departed;
	group->saved.flag_level = group->flag.level;
	group->saved.verdict_level = group->verdict.level;
	*len = sizeof(*kept) + kept->members_len * sizeof(kept->members[0]);
	*bytes = kept;
	return 0;
}

static bool is_valid(const struct kept_group *kept, size_t len, uint64_t now_ns)
{
	if (len < sizeof(*kept) || kept->version != VERSION_GROUP || kept->size != sizeof(*kept))
		return false;
	if (kept->members_len > LM_RECALL_MEMBERS ||
		len != sizeof(*kept) + kept->members_len * sizeof(kept->members[0]))
		return false;
	return kept->flag_level < LM_LEVELS && kept->verdict_level < LM_LEVELS && kept->flag_age < LM_VERDICT_AGES &&
	       kept->verdict_age < LM_VERDICT_AGES && kept->verdict_type < LM_FINDING_TYPES &&
	       kept->watch_start_ns <= now_ns && kept->arrived >= 0 && kept->departed >= 0 && !isnan(kept->window_s) &&
	       !isnan(kept->age_floor_s);
}

static int by_id(const void *a, const void *b)
{
	const struct lm_recalled *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Those who came while we watched will be counted as arrivals when they join again. */
static int restore_members(struct lm_group *group, const struct kept_group *kept, uint64_t now_ns)
{
	struct lm_recalled *recalled = calloc(kept->members_len + 1, sizeof(*recalled));

	if (!recalled)
		return -ENOMEM;
	group->arrived = kept->arrived;
	for (uint64_t i = 0; i < kept->members_len; i++) {
		const struct kept_member *member = &kept->members[i];

		recalled[i] = (struct lm_recalled){
			.id = member->id,
			.start_ns = member->start_ns,
			.since_ns = member->since_ns < now_ns ? member->since_ns : now_ns,
			.ticks = member->ticks,
		};
		group->arrived -= recalled[i].since_ns > kept->watch_start_ns && group->arrived > 0;
	}
	qsort(recalled, kept->members_len, sizeof(*recalled), by_id);
	group->recalled = recalled;
	group->recalled_len = kept->members_len;
	group->recalled_ns = now_ns;
	group->saved_ns = kept->saved_ns;
	return 0;
}

int lm_recall_restore(struct lm_group *group, const void *bytes, size_t len, uint64_t now_ns)
{
	const struct kept_group *kept = bytes;
	int error = is_valid(kept, len, now_ns) ? restore_members(group, kept, now_ns) : -EINVAL;

	if (error)
		return error;
	group->watch_start_ns = kept->watch_start_ns;
	group->departed = kept->departed;
	memcpy(group->last_departures_ns, kept->last_departures_ns, sizeof(kept->last_departures_ns));
	memcpy(group->departures, kept->departures, sizeof(kept->departures));
	group->flag = (struct lm_flag){
		.level = kept->flag_level,
		.since_ns = kept->flag_since_ns,
		.demanded_age_ns = kept->flag_demanded_age_ns,
		.age = kept->flag_age,
		.departures = kept->flag_departures,
	};
	group->verdict = (struct lm_verdict){
		.level = kept->verdict_level,
		.type = kept->verdict_type,
		.since_ns = kept->verdict_since_ns,
		.age = kept->verdict_age,
		.evidence =
			{
				.survivors = kept->survivors,
				.departures = kept->verdict_departures,
				.cohorts_filled = kept->cohorts_filled,
				.cohorts = kept->cohorts,
				.window_s = kept->window_s,
				.age_floor_s = kept->age_floor_s,
				.longest_completed_s = kept->longest_completed_s,
				.retrospective = kept->retrospective,
			},
	};
	return 0;
}

bool lm_recall_since(struct lm_group *group, struct lm_recall_id id, uint64_t wait_since_ns, uint64_t *since_ns)
{
	struct lm_recalled wanted = {.id = id.id}, *recalled;

	if (!group->recalled)
		return false;
	recalled = bsearch(&wanted, group->recalled, group->recalled_len, sizeof(wanted), by_id);
	if (!recalled || recalled->start_ns != id.start_ns || recalled->back)
		return false;
	if (wait_since_ns > group->saved_ns && !recalled->ticks)
		return false;
	recalled->back = true;
	*since_ns = recalled->since_ns;
	return true;
}

void lm_recall_settle(struct lm_groups *groups, struct lm_group *group, uint64_t now_ns)
{
	if (!group->recalled || now_ns - group->recalled_ns < RETURN_NS)
		return;
	for (size_t i = 0; i < group->recalled_len; i++) {
		const struct lm_recalled *recalled = &group->recalled[i];

		if (recalled->back)
			continue;
		group->arrived += recalled->since_ns > group->watch_start_ns;
		lm_groups_note_left(groups, group, recalled->since_ns, group->recalled_ns);
	}
	free(group->recalled);
	group->recalled = NULL;
	group->recalled_len = 0;
}

int lm_recall_save_load(const struct lm_load *load, uint64_t step_ns, void **bytes, size_t *len)
{
	struct kept_load *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	*kept = (struct kept_load){.version = VERSION_LOAD, .size = sizeof(*kept), .step_ns = step_ns, .load = *load};
	*bytes = kept;
	*len = sizeof(*kept);
	return 0;
}

int lm_recall_restore_load(struct lm_load *load, uint64_t step_ns, const void *bytes, size_t len)
{
	const struct kept_load *kept = bytes;

	if (len != sizeof(*kept) || kept->version != VERSION_LOAD || kept->size != sizeof(*kept))
		return -EINVAL;
	if (kept->step_ns != step_ns || kept->load.begun_ns > load->begun_ns)
		return -EINVAL;
	lm_load_resume(load, &kept->load, step_ns);
	return 0;
}

static bool are_stays(const struct kept_stays *kept, size_t len)
{
	return len == sizeof(*kept) && kept->version == VERSION_STAYS && kept->size == sizeof(*kept);
}

/* What was added of the group so far: kept by it only where something is saved. */
static struct lm_stays_saved *saved_stays(struct lm_group *group)
{
	if (!group->stays_saved)
		group->stays_saved = calloc(1, sizeof(*group->stays_saved));
	return group->stays_saved;
}

bool lm_recall_has_stays(const struct lm_group *group)
{
	return group->completed_len > (group->stays_saved ? group->stays_saved->len : 0);
}

int lm_recall_add_stays(struct lm_group *group, const void *before, size_t before_len, void **bytes, size_t *len)
{
	struct lm_stays_saved *saved;
	struct kept_stays *kept;

	saved = saved_stays(group);
	kept = calloc(1, sizeof(*kept));
	if (!saved || !kept) {
		free(kept);
		return -ENOMEM;
	}
	if (before && are_stays(before, before_len))
		memcpy(kept, before, sizeof(*kept));
	kept->version = VERSION_STAYS;
	kept->size = sizeof(*kept);
	if (kept->longest_ns < group->longest_completed_ns)
		kept->longest_ns = group->longest_completed_ns;
	for (int i = 0; i < LM_VERDICT_HISTOGRAM; i++) {
		uint64_t sum = (uint64_t)kept->completed[i] + (group->completed[i] - saved->completed[i]);

		kept->completed[i] = sum < COUNT_MAX ? sum : COUNT_MAX;
	}
	*bytes = kept;
	*len = sizeof(*kept);
	return 0;
}

void lm_recall_stays_are_kept(struct lm_group *group)
{
	struct lm_stays_saved *saved = group->stays_saved;

	if (!saved)
		return;
	memcpy(saved->completed, group->completed, sizeof(saved->completed));
	saved->len = group->completed_len;
}

int lm_recall_restore_stays(struct lm_group *group, const void *bytes, size_t len)
{
	const struct kept_stays *kept = bytes;
	struct lm_stays_saved *saved;

	if (!are_stays(kept, len))
		return -EINVAL;
	saved = saved_stays(group);
	if (!saved)
		return -ENOMEM;
	memcpy(group->completed, kept->completed, sizeof(group->completed));
	memcpy(saved->completed, kept->completed, sizeof(saved->completed));
	group->completed_len = 0;
	for (int i = 0; i < LM_VERDICT_HISTOGRAM; i++)
		group->completed_len += kept->completed[i];
	saved->len = group->completed_len;
	group->longest_completed_ns = kept->longest_ns;
	return 0;
}
