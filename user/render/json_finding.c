// SPDX-License-Identifier: GPL-2.0-or-later
#include "user/render/json_finding.h"

#include "user/render/json_site.h"
#include "user/render/json_values.h"

static json_t *evidence_of(const struct lm_snapshot_evidence *evidence)
{
	json_t *object = json_object();

	lm_json_set(&object, "survivors", lm_json_count(evidence->survivors));
	lm_json_set(&object, "departures", lm_json_count(evidence->departures));
	lm_json_set(&object, "cohorts_filled", lm_json_count(evidence->cohorts_filled));
	lm_json_set(&object, "cohorts", lm_json_count(evidence->cohorts));
	lm_json_set(&object, "window_s", lm_json_real(evidence->window_s));
	lm_json_set(&object, "age_floor_s", lm_json_real(evidence->age_floor_s));
	lm_json_set(&object, "longest_completed_s", lm_json_real(evidence->longest_completed_s));
	lm_json_set(&object, "retrospective", json_boolean(evidence->retrospective));
	return object;
}

static json_t *cycle_member_of(const void *item)
{
	const struct lm_snapshot_cycle_member *member = item;
	json_t *object = json_object();

	lm_json_set(&object, "id", lm_json_offset(member->id));
	lm_json_set(&object, "comm", lm_json_text(member->comm));
	lm_json_set(&object, "holds", member->holds ? lm_json_address(member->holds) : json_null());
	lm_json_set(&object, "waits_for", lm_json_address(member->waits_for));
	lm_json_set(&object, "stack", LM_JSON_ARRAY(member, stack, lm_json_frame));
	return object;
}

static json_t *exhaustion_of(const struct lm_snapshot_finding *finding)
{
	json_t *object;

	if (!finding->exhaustion.resource)
		return json_null();
	object = json_object();
	lm_json_set(&object, "resource", lm_json_text(finding->exhaustion.resource));
	lm_json_set(&object, "limit", lm_json_count(finding->exhaustion.limit));
	lm_json_set(&object, "at", lm_json_time(finding->exhaustion.at_ns));
	return object;
}

static json_t *lock_of(const struct lm_snapshot_finding *finding)
{
	json_t *object;

	if (!finding->lock.object)
		return json_null();
	object = json_object();
	lm_json_set(&object, "object", lm_json_address(finding->lock.object));
	lm_json_set(&object, "owner", finding->lock.owner ? lm_json_offset(finding->lock.owner) : json_null());
	lm_json_set(&object, "waiters", lm_json_count(finding->lock.waiters));
	return object;
}

json_t *lm_json_finding(const struct lm_snapshot_finding *finding)
{
	json_t *object = json_object();

	lm_json_set(&object, "id", lm_json_text(finding->id));
	lm_json_set(&object, "level", json_string(lm_level_name(finding->level)));
	lm_json_set(&object, "type", json_string(lm_finding_type_name(finding->type)));
	lm_json_set(&object, "pid", json_integer(finding->pid));
	lm_json_set(&object, "site", finding->site ? lm_json_site_id(finding->site) : json_null());
	lm_json_set(&object, "since", lm_json_time(finding->since_ns));
	lm_json_set(&object, "summary", lm_json_text(finding->summary));
	lm_json_set(&object, "evidence", evidence_of(&finding->evidence));
	lm_json_set(&object, "wrong_if", lm_json_text(finding->wrong_if));
	lm_json_set(
		&object, "cycle", finding->cycle_len ? LM_JSON_ARRAY(finding, cycle, cycle_member_of) : json_null());
	lm_json_set(&object, "exhaustion", exhaustion_of(finding));
	lm_json_set(&object, "held_back", lm_json_text(finding->held_back));
	lm_json_set(&object, "lock", lock_of(finding));
	return object;
}

json_t *lm_json_withdrawn(const struct lm_snapshot_withdrawn *withdrawn)
{
	json_t *object = json_object();

	lm_json_set(&object, "id", lm_json_text(withdrawn->id));
	lm_json_set(&object, "level", json_string(lm_level_name(withdrawn->level)));
	lm_json_set(&object, "type", json_string(lm_finding_type_name(withdrawn->type)));
	lm_json_set(&object, "pid", json_integer(withdrawn->pid));
	lm_json_set(&object, "site", withdrawn->site ? lm_json_site_id(withdrawn->site) : json_null());
	lm_json_set(&object, "since", lm_json_time(withdrawn->since_ns));
	lm_json_set(&object, "withdrawn", lm_json_time(withdrawn->withdrawn_ns));
	lm_json_set(&object, "summary", lm_json_text(withdrawn->summary));
	return object;
}
