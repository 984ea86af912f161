// SPDX-License-Identifier: GPL-2.0-or-later
#include "user/render/json_site.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "user/render/json_values.h"
#include "user/render/site.h"

json_t *lm_json_frame(const void *item)
{
	const struct lm_snapshot_frame *frame = item;
	json_t *object = json_object();

	lm_json_set(&object, "function", lm_json_text(frame->function));
	lm_json_set(&object, "module", lm_json_text(frame->module));
	lm_json_set(&object, "build_id", lm_json_text(frame->build_id));
	lm_json_set(&object, "offset", lm_json_offset(frame->offset));
	lm_json_set(&object, "file", lm_json_text(frame->file));
	lm_json_set(&object, "line", frame->line ? json_integer(frame->line) : json_null());
	lm_json_set(&object, "inlined", json_boolean(frame->inlined));
	return object;
}

static json_t *kernel_frame_of(const void *item)
{
	const struct lm_snapshot_frame *frame = item;
	json_t *object = json_object();

	lm_json_set(&object, "function", lm_json_text(frame->function));
	lm_json_set(&object, "offset", lm_json_offset(frame->offset));
	return object;
}

static json_t *futex_call_of(uint64_t object, int64_t at_ns, const char *outcome, json_t *result)
{
	json_t *call = json_object();

	if (!at_ns) {
		json_decref(call);
		json_decref(result);
		return json_null();
	}
	lm_json_set(&call, "object", lm_json_address(object));
	lm_json_set(&call, "at", lm_json_time(at_ns));
	lm_json_set(&call, outcome, result);
	return call;
}

/* How a wait ended, in words that say what it means; the rare rest by the name of its errno. */
static json_t *ending_of(int64_t result)
{
	const char *name = result >= 0 ? "woken" : result == -ETIMEDOUT ? "timeout" : strerrorname_np((int)-result);

	return name ? json_string(name) : json_null();
}

static json_t *woken_of(int64_t result)
{
	return result >= 0 ? json_integer(result) : json_null();
}

static json_t *goid_of(uint64_t goid)
{
	return goid ? lm_json_offset(goid) : json_null();
}

/* What threads and goroutines have in common. */
static json_t *begin_member(const struct lm_snapshot_member *member)
{
	json_t *object = json_object();

	lm_json_set(&object, "id", lm_json_offset(member->id));
	lm_json_set(&object, "comm", lm_json_text(member->comm));
	lm_json_set(&object, "started", lm_json_time(member->started_ns));
	lm_json_set(&object, "blocked_since", lm_json_time(member->blocked_since_ns));
	lm_json_set(&object, "resident_since", lm_json_time(member->resident_since_ns));
	lm_json_set(&object, "exact", json_boolean(member->exact));
	return object;
}

static json_t *goroutine_of(const void *item)
{
	const struct lm_snapshot_member *member = item;
	json_t *object = begin_member(member);

	lm_json_set(&object, "parent", goid_of(member->go.parent_goid));
	lm_json_set(&object, "stack_bytes", lm_json_count(member->go.stack_bytes));
	lm_json_set(&object, "locked_to_thread", json_boolean(member->go.locked));
	lm_json_set(&object, "labels", lm_json_text(member->go.labels));
	return object;
}

static json_t *thread_of(const void *item)
{
	const struct lm_snapshot_member *member = item;
	json_t *object = begin_member(member);

	lm_json_set(&object, "blocked_total_s", lm_json_real(member->blocked_total_s));
	lm_json_set(&object, "preempted_total_s", lm_json_real(member->preempted_total_s));
	lm_json_set(&object, "longest_wait_s", lm_json_real(member->longest_wait_s));
	lm_json_set(&object, "waits", lm_json_count(member->waits));
	lm_json_set(&object, "last_futex_wait",
		futex_call_of(member->last_futex_wait.object, member->last_futex_wait.at_ns, "ended",
			ending_of(member->last_futex_wait.result)));
	lm_json_set(&object, "last_futex_wake",
		futex_call_of(member->last_futex_wake.object, member->last_futex_wake.at_ns, "woken",
			woken_of(member->last_futex_wake.result)));
	return object;
}

static json_t *wait_object_of(const struct lm_snapshot_site *site)
{
	char text[32];

	if (!site->wait.has_object)
		return json_null();
	if (!site->wait.object_is_fd)
		return lm_json_address(site->wait.object);
	snprintf(text, sizeof(text), "fd:%" PRIu64, site->wait.object);
	return json_string_nocheck(text);
}

static json_t *owner_of(const struct lm_snapshot_owner *owner)
{
	json_t *object;

	if (!owner)
		return json_null();
	object = json_object();
	lm_json_set(&object, "id", lm_json_offset(owner->id));
	lm_json_set(&object, "comm", lm_json_text(owner->comm));
	lm_json_set(&object, "waits_in", lm_json_text(owner->waits_in));
	return object;
}

static json_t *wait_of(const struct lm_snapshot_site *site)
{
	json_t *object = json_object();

	lm_json_set(&object, "class", json_string(lm_wait_class_name(site->wait.wait_class)));
	lm_json_set(&object, "object", wait_object_of(site));
	lm_json_set(&object, "objects", lm_json_count(site->wait.objects));
	lm_json_set(&object, "detail", lm_json_text(site->wait.detail));
	lm_json_set(&object, "owner", owner_of(site->wait.owner));
	return object;
}

static json_t *creator_of(const struct lm_snapshot_creator *creator)
{
	json_t *object;

	if (!creator)
		return json_null();
	object = json_object();
	lm_json_set(&object, "function", lm_json_text(creator->function));
	lm_json_set(&object, "file", lm_json_text(creator->file));
	lm_json_set(&object, "line", creator->line ? json_integer(creator->line) : json_null());
	lm_json_set(&object, "parent", goid_of(creator->parent_goid));
	lm_json_set(&object, "creators", lm_json_count(creator->creators));
	return object;
}

static json_t *channel_of(const struct lm_snapshot_channel *channel)
{
	json_t *object;

	if (!channel)
		return json_null();
	object = json_object();
	lm_json_set(&object, "address", lm_json_address(channel->address));
	lm_json_set(&object, "len", lm_json_count(channel->len));
	lm_json_set(&object, "cap", lm_json_count(channel->cap));
	lm_json_set(&object, "closed", json_boolean(channel->closed));
	lm_json_set(&object, "senders", lm_json_count(channel->senders));
	lm_json_set(&object, "receivers", lm_json_count(channel->receivers));
	return object;
}

/* What only sites of goroutines have. */
static void set_go(json_t **object, const struct lm_snapshot_site *site)
{
	lm_json_set(object, "channel", channel_of(site->channel));
	lm_json_set(object, "shape", lm_json_text(site->shape));
	lm_json_set(object, "stack_bytes", lm_json_count(site->stack_bytes));
}

/* Which frame of the stack the site is known by. */
static json_t *place_of(const struct lm_snapshot_site *site)
{
	const struct lm_snapshot_frame *place = lm_site_place(site);

	for (size_t i = 0; i < site->stack_len; i++) {
		if (place == &site->stack[i])
			return json_integer((json_int_t)i);
	}
	return json_null();
}

json_t *lm_json_site(const struct lm_snapshot_site *site, size_t members)
{
	bool is_go = site->kind == LM_SITE_GOROUTINE;
	json_t *object = json_object();

	if (members > site->members_len)
		members = site->members_len;
	lm_json_set(&object, "site", lm_json_site_id(site->site));
	lm_json_set(&object, "pid", json_integer(site->pid));
	lm_json_set(&object, "kind", json_string(is_go ? "goroutine" : "thread"));
	lm_json_set(&object, "wait", wait_of(site));
	lm_json_set(&object, "count", lm_json_count(site->count));
	lm_json_set(&object, "arrived", lm_json_count(site->arrived));
	lm_json_set(&object, "departed", lm_json_count(site->departed));
	lm_json_set(&object, "oldest_blocked_since", lm_json_time(site->oldest_blocked_since_ns));
	lm_json_set(&object, "newest_blocked_since", lm_json_time(site->newest_blocked_since_ns));
	lm_json_set(&object, "median_blocked_s", lm_json_real(site->median_blocked_s));
	lm_json_set(&object, "rate_per_h", lm_json_real(site->rate_per_h));
	lm_json_set(&object, "stack", LM_JSON_ARRAY(site, stack, lm_json_frame));
	lm_json_set(&object, "kernel_stack", LM_JSON_ARRAY(site, kernel_stack, kernel_frame_of));
	lm_json_set(&object, "created_by", creator_of(site->created_by));
	lm_json_set(&object, "members",
		lm_json_array(site->members, members, sizeof(*site->members), is_go ? goroutine_of : thread_of));
	lm_json_set(&object, "comm", lm_json_text(site->comm));
	lm_json_set(&object, "idle_pool", json_boolean(site->idle_pool));
	lm_json_set(&object, "stack_why", lm_json_text(site->stack_why));
	lm_json_set(&object, "oldest_resident_since", lm_json_time(site->oldest_resident_since_ns));
	lm_json_set(&object, "sum_blocked_s", lm_json_real(site->sum_blocked_s));
	lm_json_set(&object, "place", place_of(site));
	if (is_go)
		set_go(&object, site);
	return object;
}
