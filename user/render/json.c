// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leakmon.snapshot/1 as CONTRACT.md has it: every field, in its order, on one line.
 * Built and written a process, a site, a finding at a time, so that a report of
 * thousands of sites needs no more memory than one of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/render/escape.h"
#include "user/render/render.h"

#define NS_PER_S INT64_C(1000000000)

/* 12 digits: milliseconds of a century, and 0.1 stays 0.1. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12))

struct writer {
	FILE *stream;
	int error;  /* the first one, 0 or -errno; nothing is written after it */
	bool begun; /* the object or array that is being written has a member */
};

static void put_bytes(struct writer *writer, const char *bytes, size_t len)
{
	if (writer->error)
		return;
	errno = 0;
	if (fwrite(bytes, 1, len, writer->stream) != len)
		writer->error = errno ? -errno : -EIO;
}

static int dump_bytes(const char *bytes, size_t len, void *context)
{
	struct writer *writer = context;

	put_bytes(writer, bytes, len);
	return writer->error ? -1 : 0;
}

static void put(struct writer *writer, const char *text)
{
	put_bytes(writer, text, strlen(text));
}

/* Writes the value, and the key before it unless it is NULL. Takes the value over; NULL means no memory. */
static void put_value(struct writer *writer, const char *key, json_t *value)
{
	if (!value && !writer->error)
		writer->error = -ENOMEM;
	if (writer->begun)
		put(writer, ",");
	writer->begun = true;
	if (key) {
		put(writer, "\"");
		put(writer, key);
		put(writer, "\":");
	}
	if (value && !writer->error && json_dump_callback(value, dump_bytes, writer, DUMP_FLAGS) && !writer->error)
		writer->error = -ENOMEM;
	json_decref(value);
}

static void open_array(struct writer *writer, const char *key)
{
	put(writer, ",\"");
	put(writer, key);
	put(writer, "\":[");
	writer->begun = false;
}

static void close_array(struct writer *writer)
{
	put(writer, "]");
	writer->begun = true;
}

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			return false;
	}
	return true;
}

static json_t *text_of(const char *text)
{
	json_t *value;
	char *escaped;

	if (!text || !*text)
		return json_null();
	if (is_plain(text))
		return json_string_nocheck(text);
	escaped = lm_escape(text);
	if (!escaped)
		return NULL;
	value = json_string_nocheck(escaped);
	free(escaped);
	return value;
}

static json_t *time_of(int64_t ns)
{
	time_t s = ns / NS_PER_S;
	char date[32], text[48];
	struct tm tm;

	if (ns <= 0 || !gmtime_r(&s, &tm))
		return json_null();
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(ns % NS_PER_S / 1000000));
	return json_string_nocheck(text);
}

static json_t *real_of(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

/* A count, of which -1 is not known. */
static json_t *count_of(int64_t count)
{
	return count >= 0 ? json_integer(count) : json_null();
}

/* JSON readers have 64 bits with a sign at most; what is beyond is no offset but garbage. */
static json_t *offset_of(uint64_t offset)
{
	return offset <= INT64_MAX ? json_integer((json_int_t)offset) : json_null();
}

static json_t *loss_of(uint64_t loss)
{
	return json_integer(loss <= INT64_MAX ? (json_int_t)loss : INT64_MAX);
}

/* Puts the value, which it takes over, into the object. No memory for either leaves NULL in place of the object. */
static void set(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(*object, key, value) != 0) {
		json_decref(*object);
		*object = NULL;
	}
}

/* Builds an array of what each item of an array becomes. */
typedef json_t *item_builder(const void *item);

static json_t *array_of(const void *items, size_t len, size_t item_size, item_builder *build)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < len; i++) {
		if (json_array_append_new(array, build((const char *)items + i * item_size)) != 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

#define ARRAY_OF(owner, name, build) array_of((owner)->name, (owner)->name##_len, sizeof(*(owner)->name), build)

static json_t *losses_of(const struct lm_snapshot_losses *losses)
{
	json_t *object = json_object();

	set(&object, "ring_full", loss_of(losses->ring_full));
	set(&object, "storage_failed", loss_of(losses->storage_failed));
	set(&object, "program_missed", loss_of(losses->program_missed));
	set(&object, "scan_truncated", loss_of(losses->scan_truncated));
	set(&object, "torn_reads", loss_of(losses->torn_reads));
	set(&object, "unwind_failed", loss_of(losses->unwind_failed));
	set(&object, "symbol_failed", loss_of(losses->symbol_failed));
	set(&object, "skipped_processes", loss_of(losses->skipped_processes));
	return object;
}

static json_t *levels_of(const int64_t findings[LM_LEVELS])
{
	json_t *object = json_object();

	for (int level = LM_LEVEL_SUSPECT; level < LM_LEVELS; level++)
		set(&object, lm_level_name(level), count_of(findings[level]));
	return object;
}

static json_t *totals_of(const struct lm_snapshot *snapshot)
{
	json_t *object = json_object();

	set(&object, "processes", count_of(snapshot->totals.processes));
	set(&object, "threads", count_of(snapshot->totals.threads));
	set(&object, "blocked_threads", count_of(snapshot->totals.blocked_threads));
	set(&object, "goroutines", count_of(snapshot->totals.goroutines));
	set(&object, "sites", count_of(snapshot->totals.sites));
	set(&object, "findings", levels_of(snapshot->totals.findings));
	return object;
}

static json_t *unavailable_of(const void *item)
{
	const struct lm_snapshot_unavailable *unavailable = item;
	json_t *object = json_object();

	set(&object, "what", text_of(unavailable->what));
	set(&object, "why", text_of(unavailable->why));
	return object;
}

static json_t *process_of(const struct lm_snapshot_process *process)
{
	json_t *object = json_object();

	set(&object, "pid", json_integer(process->pid));
	set(&object, "start_time", time_of(process->start_ns));
	set(&object, "comm", text_of(process->comm));
	set(&object, "exe", text_of(process->exe));
	set(&object, "build_id", text_of(process->build_id));
	set(&object, "runtime", text_of(process->runtime));
	set(&object, "go_version", text_of(process->go_version));
	set(&object, "container_id", text_of(process->container_id));
	set(&object, "threads", count_of(process->threads));
	set(&object, "blocked_threads", count_of(process->blocked_threads));
	set(&object, "goroutines", count_of(process->goroutines));
	set(&object, "rss_bytes", count_of(process->rss_bytes));
	set(&object, "unavailable", ARRAY_OF(process, unavailable, unavailable_of));
	return object;
}

static json_t *frame_of(const void *item)
{
	const struct lm_snapshot_frame *frame = item;
	json_t *object = json_object();

	set(&object, "function", text_of(frame->function));
	set(&object, "module", text_of(frame->module));
	set(&object, "build_id", text_of(frame->build_id));
	set(&object, "offset", offset_of(frame->offset));
	set(&object, "file", text_of(frame->file));
	set(&object, "line", frame->line ? json_integer(frame->line) : json_null());
	set(&object, "inlined", json_boolean(frame->inlined));
	return object;
}

static json_t *kernel_frame_of(const void *item)
{
	const struct lm_snapshot_frame *frame = item;
	json_t *object = json_object();

	set(&object, "function", text_of(frame->function));
	set(&object, "offset", offset_of(frame->offset));
	return object;
}

static json_t *address_of(uint64_t address)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	return json_string_nocheck(text);
}

static json_t *futex_call_of(uint64_t object, int64_t at_ns, const char *outcome, json_t *result)
{
	json_t *call = json_object();

	if (!at_ns) {
		json_decref(call);
		json_decref(result);
		return json_null();
	}
	set(&call, "object", address_of(object));
	set(&call, "at", time_of(at_ns));
	set(&call, outcome, result);
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

static json_t *member_of(const void *item)
{
	const struct lm_snapshot_member *member = item;
	json_t *object = json_object();

	set(&object, "id", offset_of(member->id));
	set(&object, "comm", text_of(member->comm));
	set(&object, "started", time_of(member->started_ns));
	set(&object, "blocked_since", time_of(member->blocked_since_ns));
	set(&object, "resident_since", time_of(member->resident_since_ns));
	set(&object, "exact", json_boolean(member->exact));
	set(&object, "blocked_total_s", real_of(member->blocked_total_s));
	set(&object, "preempted_total_s", real_of(member->preempted_total_s));
	set(&object, "longest_wait_s", real_of(member->longest_wait_s));
	set(&object, "waits", count_of(member->waits));
	set(&object, "last_futex_wait",
		futex_call_of(member->last_futex_wait.object, member->last_futex_wait.at_ns, "ended",
			ending_of(member->last_futex_wait.result)));
	set(&object, "last_futex_wake",
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
		return address_of(site->wait.object);
	snprintf(text, sizeof(text), "fd:%" PRIu64, site->wait.object);
	return json_string_nocheck(text);
}

static json_t *wait_of(const struct lm_snapshot_site *site)
{
	json_t *object = json_object();

	set(&object, "class", json_string(lm_wait_class_name(site->wait.wait_class)));
	set(&object, "object", wait_object_of(site));
	set(&object, "objects", count_of(site->wait.objects));
	set(&object, "detail", text_of(site->wait.detail));
	return object;
}

static json_t *site_id_of(uint64_t site)
{
	char text[32];

	snprintf(text, sizeof(text), "%016" PRIx64, site);
	return json_string_nocheck(text);
}

static json_t *site_of(const struct lm_snapshot_site *site, size_t members)
{
	json_t *object = json_object();

	if (members > site->members_len)
		members = site->members_len;
	set(&object, "site", site_id_of(site->site));
	set(&object, "pid", json_integer(site->pid));
	set(&object, "kind", json_string(site->kind == LM_SITE_GOROUTINE ? "goroutine" : "thread"));
	set(&object, "wait", wait_of(site));
	set(&object, "count", count_of(site->count));
	set(&object, "arrived", count_of(site->arrived));
	set(&object, "departed", count_of(site->departed));
	set(&object, "oldest_blocked_since", time_of(site->oldest_blocked_since_ns));
	set(&object, "newest_blocked_since", time_of(site->newest_blocked_since_ns));
	set(&object, "median_blocked_s", real_of(site->median_blocked_s));
	set(&object, "rate_per_h", real_of(site->rate_per_h));
	set(&object, "stack", ARRAY_OF(site, stack, frame_of));
	set(&object, "kernel_stack", ARRAY_OF(site, kernel_stack, kernel_frame_of));
	set(&object, "created_by", json_null());
	set(&object, "members", array_of(site->members, members, sizeof(*site->members), member_of));
	set(&object, "comm", text_of(site->comm));
	set(&object, "idle_pool", json_boolean(site->idle_pool));
	set(&object, "stack_why", text_of(site->stack_why));
	set(&object, "oldest_resident_since", time_of(site->oldest_resident_since_ns));
	return object;
}

static json_t *evidence_of(const struct lm_snapshot_evidence *evidence)
{
	json_t *object = json_object();

	set(&object, "survivors", count_of(evidence->survivors));
	set(&object, "departures", count_of(evidence->departures));
	set(&object, "cohorts_filled", count_of(evidence->cohorts_filled));
	set(&object, "cohorts", count_of(evidence->cohorts));
	set(&object, "window_s", real_of(evidence->window_s));
	set(&object, "age_floor_s", real_of(evidence->age_floor_s));
	set(&object, "longest_completed_s", real_of(evidence->longest_completed_s));
	set(&object, "retrospective", json_boolean(evidence->retrospective));
	return object;
}

static json_t *cycle_member_of(const void *item)
{
	const struct lm_snapshot_cycle_member *member = item;
	json_t *object = json_object();

	set(&object, "id", offset_of(member->id));
	set(&object, "comm", text_of(member->comm));
	set(&object, "holds", member->holds ? address_of(member->holds) : json_null());
	set(&object, "waits_for", address_of(member->waits_for));
	set(&object, "stack", ARRAY_OF(member, stack, frame_of));
	return object;
}

static json_t *exhaustion_of(const struct lm_snapshot_finding *finding)
{
	json_t *object;

	if (!finding->exhaustion.resource)
		return json_null();
	object = json_object();
	set(&object, "resource", text_of(finding->exhaustion.resource));
	set(&object, "limit", count_of(finding->exhaustion.limit));
	set(&object, "at", time_of(finding->exhaustion.at_ns));
	return object;
}

static json_t *lock_of(const struct lm_snapshot_finding *finding)
{
	json_t *object;

	if (!finding->lock.object)
		return json_null();
	object = json_object();
	set(&object, "object", address_of(finding->lock.object));
	set(&object, "owner", finding->lock.owner ? offset_of(finding->lock.owner) : json_null());
	set(&object, "waiters", count_of(finding->lock.waiters));
	return object;
}

static json_t *finding_of(const struct lm_snapshot_finding *finding)
{
	json_t *object = json_object();

	set(&object, "id", text_of(finding->id));
	set(&object, "level", json_string(lm_level_name(finding->level)));
	set(&object, "type", json_string(lm_finding_type_name(finding->type)));
	set(&object, "pid", json_integer(finding->pid));
	set(&object, "site", finding->site ? site_id_of(finding->site) : json_null());
	set(&object, "since", time_of(finding->since_ns));
	set(&object, "summary", text_of(finding->summary));
	set(&object, "evidence", evidence_of(&finding->evidence));
	set(&object, "wrong_if", text_of(finding->wrong_if));
	set(&object, "cycle", finding->cycle_len ? ARRAY_OF(finding, cycle, cycle_member_of) : json_null());
	set(&object, "exhaustion", exhaustion_of(finding));
	set(&object, "held_back", text_of(finding->held_back));
	set(&object, "lock", lock_of(finding));
	return object;
}

static json_t *withdrawn_of(const void *item)
{
	const struct lm_snapshot_withdrawn *withdrawn = item;
	json_t *object = json_object();

	set(&object, "id", text_of(withdrawn->id));
	set(&object, "level", json_string(lm_level_name(withdrawn->level)));
	set(&object, "type", json_string(lm_finding_type_name(withdrawn->type)));
	set(&object, "pid", json_integer(withdrawn->pid));
	set(&object, "site", withdrawn->site ? site_id_of(withdrawn->site) : json_null());
	set(&object, "since", time_of(withdrawn->since_ns));
	set(&object, "withdrawn", time_of(withdrawn->withdrawn_ns));
	set(&object, "summary", text_of(withdrawn->summary));
	return object;
}

static json_t *self_of(const struct lm_snapshot *snapshot)
{
	json_t *object = json_object();

	set(&object, "cpu_s", real_of(snapshot->self.cpu_s));
	set(&object, "rss_bytes", count_of(snapshot->self.rss_bytes));
	set(&object, "bpf_bytes", count_of(snapshot->self.bpf_bytes));
	set(&object, "scan_s", real_of(snapshot->self.scan_s));
	return object;
}

static void put_heading(struct writer *writer, const struct lm_snapshot *snapshot)
{
	put_value(writer, "schema", json_string("leakmon.snapshot/1"));
	put_value(writer, "time", time_of(snapshot->time_ns));
	put_value(writer, "host", text_of(snapshot->host));
	put_value(writer, "version", text_of(snapshot->version));
	put_value(writer, "interval_s", real_of(snapshot->interval_s));
	put_value(writer, "watching_s", real_of(snapshot->watching_s));
	put_value(writer, "complete", json_boolean(lm_snapshot_complete(snapshot)));
	put_value(writer, "losses", losses_of(&snapshot->losses));
	put_value(writer, "totals", totals_of(snapshot));
}

static void put_findings(struct writer *writer, const struct lm_snapshot *snapshot, enum lm_level min_level)
{
	open_array(writer, "findings");
	for (size_t i = 0; i < snapshot->findings_len && !writer->error; i++) {
		if (snapshot->findings[i].level >= min_level)
			put_value(writer, NULL, finding_of(&snapshot->findings[i]));
	}
	close_array(writer);
}

int lm_render_json(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_render_options *options)
{
	size_t sites = options->top > 0 ? (size_t)options->top : snapshot->sites_len;
	size_t members = options->members > 0 ? (size_t)options->members : 0;
	struct writer writer = {.stream = stream};

	put(&writer, "{");
	put_heading(&writer, snapshot);
	open_array(&writer, "processes");
	for (size_t i = 0; i < snapshot->processes_len && !writer.error; i++)
		put_value(&writer, NULL, process_of(&snapshot->processes[i]));
	close_array(&writer);
	open_array(&writer, "sites");
	for (size_t i = 0; i < snapshot->sites_len && i < sites && !writer.error; i++)
		put_value(&writer, NULL, site_of(&snapshot->sites[i], members));
	close_array(&writer);
	put_findings(&writer, snapshot, options->min_level);
	put_value(&writer, "self", self_of(snapshot));
	open_array(&writer, "withdrawn");
	for (size_t i = 0; i < snapshot->withdrawn_len && !writer.error; i++)
		put_value(&writer, NULL, withdrawn_of(&snapshot->withdrawn[i]));
	close_array(&writer);
	open_array(&writer, "notes");
	for (size_t i = 0; i < snapshot->notes_len && !writer.error; i++) {
		if (snapshot->notes[i])
			put_value(&writer, NULL, text_of(snapshot->notes[i]));
	}
	close_array(&writer);
	put(&writer, "}\n");
	errno = 0;
	if (!writer.error && fflush(stream) != 0)
		writer.error = errno ? -errno : -EIO;
	return writer.error;
}
