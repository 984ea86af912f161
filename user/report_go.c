// SPDX-License-Identifier: GPL-2.0-or-later
/* What a report says of goroutines beside what it says of threads: who created them, the channel, one line that tells
 * their shape, and what the runtime counts. Only what is true of all of them, or of those that were asked. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "user/monitor_go_state.h"
#include "user/report_build.h"

#define S_PER_H 3600.0
#define S_PER_MIN 60.0
#define NS_PER_S 1e9

static const char *with_commas(const struct lm_report *report, int64_t number)
{
	if (number < 1000)
		return lm_arena_format(report->arena, "%" PRId64, number);
	return lm_arena_format(report->arena, "%s,%03" PRId64, with_commas(report, number / 1000), number % 1000);
}

/* --- members --- */

static bool waits_for_channel(const struct lm_group *group)
{
	enum lm_wait_class wait_class = group->wait.wait_class;

	return wait_class == LM_WAIT_GO_CHAN_SEND || wait_class == LM_WAIT_GO_CHAN_RECEIVE ||
	       wait_class == LM_WAIT_GO_SELECT;
}

static bool ask(const struct lm_report *report, const struct lm_group *group, const struct lm_goroutine *goroutine,
	struct lm_go_details *details)
{
	const struct lm_monitor_config *config = &report->monitor->config;

	memset(details, 0, sizeof(*details));
	if (!config->go_details || (!waits_for_channel(group) && !(goroutine->flags & LM_GO_LABELLED)))
		return false;
	if (!config->go_details(config->go_details_context, group->process, goroutine->index, goroutine->goid, details))
		return false;
	details->labels[sizeof(details->labels) - 1] = 0;
	return true;
}

void lm_report_go_member(const struct lm_report *report, const struct lm_resident *resident,
	struct lm_snapshot_member *member, struct lm_go_channel *channel)
{
	const struct lm_goroutine *goroutine = lm_goroutine_of(resident);
	struct lm_go_details details;

	ask(report, resident->group, goroutine, &details);
	*channel = details.channel;
	member->id = goroutine->goid;
	member->started_ns = goroutine->seen_born ? lm_report_wall_time(report, goroutine->born_ns) : 0;
	member->blocked_since_ns = lm_report_wall_time(report, resident->wait_since_ns);
	member->resident_since_ns = lm_report_wall_time(report, goroutine->since_ns);
	member->blocked_total_s = NAN;
	member->preempted_total_s = NAN;
	member->longest_wait_s = NAN;
	member->waits = -1;
	member->go.parent_goid = goroutine->parent_goid;
	member->go.stack_bytes = resident->stack_bytes;
	member->go.locked = goroutine->flags & LM_GO_LOCKED;
	if (details.labels[0])
		member->go.labels = lm_arena_text(report->arena, details.labels);
}

/* --- sites --- */

int64_t lm_report_go_creators(const struct lm_group *group)
{
	bool seen[UINT16_MAX + 1] = {false};
	int64_t creators = 0;

	for (int64_t i = 0; i < group->count; i++) {
		uint16_t creator = lm_goroutine_of(group->residents[i])->creator;

		creators += creator && !seen[creator];
		seen[creator] = true;
	}
	return creators;
}

static int fill_creator(const struct lm_report *report, const struct lm_goroutine *first, struct lm_snapshot_site *site)
{
	const struct lm_group *group = first->resident.group;
	struct lm_go_creator creator = lm_monitor_go_creator(group->process, first->creator);
	struct lm_snapshot_creator *out;

	if (!creator.function && !creator.file && !first->parent_goid)
		return 0;
	out = lm_arena_alloc(report->arena, sizeof(*out));
	if (!out)
		return -ENOMEM;
	out->function = lm_arena_text(report->arena, creator.function);
	out->file = lm_arena_text(report->arena, creator.file);
	out->line = creator.line;
	out->parent_goid = first->parent_goid;
	out->creators = lm_report_go_creators(group);
	site->created_by = out;
	return 0;
}

static int fill_channel(
	const struct lm_report *report, const struct lm_go_channel *channel, struct lm_snapshot_site *site)
{
	struct lm_snapshot_channel *out;

	if (!channel->address)
		return 0;
	out = lm_arena_alloc(report->arena, sizeof(*out));
	if (!out)
		return -ENOMEM;
	*out = (struct lm_snapshot_channel){
		.address = channel->address,
		.len = channel->len,
		.cap = channel->cap,
		.closed = channel->closed,
		.senders = channel->senders,
		.receivers = channel->receivers,
	};
	site->channel = out;
	return 0;
}

/* " (len 0, cap 0)" if all channels that were asked for agree. */
static const char *text_fill(const struct lm_report *report, const struct lm_go_channel *channels, size_t len)
{
	const struct lm_go_channel *known = NULL;

	for (size_t i = 0; i < len; i++) {
		if (!channels[i].address)
			continue;
		if (known && (known->len != channels[i].len || known->cap != channels[i].cap))
			return "";
		known = &channels[i];
	}
	if (!known)
		return "";
	return lm_arena_format(report->arena, " (len %" PRIu64 ", cap %" PRIu64 ")", known->len, known->cap);
}

/* How many things a goroutine of such a site waits for is told where it is known. */
struct shape {
	const char *one, *many; /* "waits to send", "wait to send" */
	const char *own,
		*shared; /* each waits for one of its own, all for the same; NULL: for nothing that can be told */
	const char *some, *things; /* "on", "channels" */
	const char *so;            /* what follows from that they wait, NULL: nothing */
};

static const struct shape shapes[LM_WAIT_CLASSES] = {
	[LM_WAIT_GO_CHAN_SEND] = {"waits to send", "wait to send", "each on a channel of its own", "all on one channel",
		"on", "channels", "nobody receives" /* who did would have taken what is sent */},
	[LM_WAIT_GO_CHAN_RECEIVE] = {"waits to receive", "wait to receive", "each on a channel of its own",
		"all on one channel", "on", "channels", NULL},
	[LM_WAIT_GO_CHAN_SEND_NIL] = {"waits for ever: it sends to a channel that is nil",
		"wait for ever: they send to a channel that is nil", NULL, NULL, NULL, NULL, NULL},
	[LM_WAIT_GO_CHAN_RECEIVE_NIL] = {"waits for ever: it receives from a channel that is nil",
		"wait for ever: they receive from a channel that is nil", NULL, NULL, NULL, NULL, NULL},
	[LM_WAIT_GO_SELECT] = {"waits in a select", "wait in a select", "the first channel of each is its own",
		"the first channel of all is the same", "their first channels are", "different ones", NULL},
	[LM_WAIT_GO_SELECT_NO_CASES] = {"waits for ever: its select has no cases",
		"wait for ever: their select has no cases", NULL, NULL, NULL, NULL, NULL},
	[LM_WAIT_GO_MUTEX] = {"waits to lock a mutex", "wait to lock a mutex", "each one of its own",
		"all the same one", "one of", "mutexes", NULL},
	[LM_WAIT_GO_RWMUTEX_READ] = {"waits to lock an RWMutex for reading", "wait to lock an RWMutex for reading",
		"each one of its own", "all the same one", "one of", "RWMutexes", NULL},
	[LM_WAIT_GO_RWMUTEX_WRITE] = {"waits to lock an RWMutex for writing", "wait to lock an RWMutex for writing",
		"each one of its own", "all the same one", "one of", "RWMutexes", NULL},
	[LM_WAIT_GO_COND] = {"waits for a condition", "wait for a condition", "each for one of its own",
		"all for the same one", "one of", "conditions", NULL},
	[LM_WAIT_GO_WAITGROUP] = {"waits for a WaitGroup", "wait for a WaitGroup", "each for one of its own",
		"all for the same one", "one of", "WaitGroups", NULL},
	[LM_WAIT_GO_SEMAPHORE] = {"waits for a semaphore", "wait for a semaphore", "each for one of its own",
		"all for the same one", "one of", "semaphores", NULL},
	[LM_WAIT_GO_SLEEP] = {"sleeps", "sleep", NULL, NULL, NULL, NULL, NULL},
	[LM_WAIT_GO_IO] = {"waits for input or output", "wait for input or output", NULL, NULL, NULL, NULL, NULL},
	[LM_WAIT_GO_SYSCALL] = {"is in a system call", "are in system calls", NULL, NULL, NULL, NULL, NULL},
};

/* ", each on a channel of its own", ", all on one channel", ", on 12 channels"; "" if that is not known. */
static const char *text_objects(const struct lm_report *report, const struct shape *shape, const struct lm_group *group)
{
	if (!shape->own || group->objects <= 0 || group->count == 1)
		return "";
	if (group->objects == 1)
		return lm_arena_format(report->arena, ", %s", shape->shared);
	if (group->objects == group->count)
		return lm_arena_format(report->arena, ", %s", shape->own);
	return lm_arena_format(
		report->arena, ", %s %s %s", shape->some, with_commas(report, group->objects), shape->things);
}

static const char *text_shape(const struct lm_report *report, const struct lm_group *group,
	const struct lm_go_channel *channels, size_t channels_len)
{
	const struct shape *shape = &shapes[group->wait.wait_class];
	bool is_one = group->count == 1;
	const char *objects, *fill;

	if (!shape->one)
		return NULL;
	objects = text_objects(report, shape, group);
	/* of a select the channel is one of several */
	fill = group->wait.wait_class == LM_WAIT_GO_SELECT ? "" : text_fill(report, channels, channels_len);
	return lm_arena_format(report->arena, "%s %s %s%s%s%s%s", with_commas(report, group->count),
		is_one ? "goroutine" : "goroutines", is_one ? shape->one : shape->many, objects ? objects : "",
		fill ? fill : "", shape->so ? ", " : "", shape->so ? shape->so : "");
}

int lm_report_go_site(const struct lm_report *report, const struct lm_group *group, const struct lm_resident *first,
	const struct lm_go_channel *channels, size_t channels_len, struct lm_snapshot_site *site)
{
	struct lm_go_details details = {.labels = ""};
	int error;

	if (!channels_len) {
		/* no members are to be listed */
		ask(report, group, lm_goroutine_of(first), &details);
		channels = &details.channel;
		channels_len = 1;
	}
	site->wait.has_object = first->has_object;
	site->wait.object = first->object;
	site->stack_bytes = group->stack_bytes;
	site->shape = text_shape(report, group, channels, channels_len);
	error = fill_creator(report, lm_goroutine_of(first), site);
	return error ? error : fill_channel(report, &channels[0], site);
}

/* --- processes --- */

static double gc_rate(const struct lm_report *report, struct lm_go *go)
{
	int64_t count = go->summary.gc_count, before = go->reported_gc_count;
	double passed_s = go->reported_ns ? lm_report_age_s(report, go->reported_ns) : 0;

	go->reported_gc_count = count;
	go->reported_ns = count >= 0 ? report->now_ns : 0;
	return count >= before && passed_s > 0 ? (count - before) / passed_s * S_PER_MIN : NAN;
}

/* NAN until there was time to see it grow: it goes up and down with each collection. */
static double heap_growth(const struct lm_report *report, const struct lm_go *go)
{
	double watched_s = go->first_heap_ns ? lm_report_age_s(report, go->first_heap_ns) : 0;
	double enough_s = report->monitor->config.horizon_ns / NS_PER_S / LM_VERDICT_STEPS_PER_HORIZON;

	if (watched_s < enough_s || go->summary.heap_live_bytes < 0)
		return NAN;
	return ((double)go->summary.heap_live_bytes - go->first_heap_bytes) / watched_s * S_PER_H;
}

/* Copied, as the reason is the target's, which may end or say another before the report is read. */
static void add(const struct lm_report *report, struct lm_snapshot_process *out, struct lm_snapshot_unavailable *items,
	const char *what, const char *why)
{
	const char *copy = lm_arena_text(report->arena, why);

	items[out->unavailable_len++] = (struct lm_snapshot_unavailable){what, copy ? copy : "out of memory"};
}

static const char *why_no_goroutines(const struct lm_process *process)
{
	if (process->kernel_thread)
		return LM_WHY_KERNEL_THREAD;
	if (process->go)
		return process->go->why;
	return process->facts.unresolved ? process->facts.unresolved : "not looked for yet";
}

int lm_report_go_process(const struct lm_report *report, const struct lm_process *process,
	struct lm_snapshot_process *out, struct lm_snapshot_unavailable *items)
{
	const char *why = why_no_goroutines(process);
	struct lm_snapshot_go *go;
	struct lm_go_counts counts;

	if (why)
		add(report, out, items, "goroutines", why);
	if (!lm_monitor_go_counts(process, &counts))
		return 0;
	if (process->go->refused && !why)
		add(report, out, items, "goroutines", "there are more than are kept");
	if (counts.no_gc)
		add(report, out, items, "gc", counts.no_gc);
	if (counts.no_objects)
		add(report, out, items, "goroutine objects", counts.no_objects);
	go = lm_arena_alloc(report->arena, sizeof(*go));
	if (!go)
		return -ENOMEM;
	go->version = counts.version[0] ? lm_arena_text(report->arena, counts.version) : NULL;
	go->goroutines = counts.goroutines;
	go->gc_count = counts.gc_count;
	go->heap_live_bytes = counts.heap_live_bytes;
	go->gc_per_min = gc_rate(report, process->go);
	go->heap_bytes_per_h = heap_growth(report, process->go);
	out->runtime = "go";
	out->go_version = go->version;
	out->goroutines = go->goroutines;
	out->go = go;
	return 0;
}
