// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leakmon.snapshot/1 as CONTRACT.md has it: every field, in its order, on one line.
 * Built and written a process, a site, a finding at a time, so that a report of
 * thousands of sites needs no more memory than one of them.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "user/render/json_site.h"
#include "user/render/json_values.h"
#include "user/render/render.h"

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

static json_t *loss_of(uint64_t loss)
{
	return json_integer(loss <= INT64_MAX ? (json_int_t)loss : INT64_MAX);
}

static json_t *losses_of(const struct lm_snapshot_losses *losses)
{
	json_t *object = json_object();

	lm_json_set(&object, "ring_full", loss_of(losses->ring_full));
	lm_json_set(&object, "storage_failed", loss_of(losses->storage_failed));
	lm_json_set(&object, "program_missed", loss_of(losses->program_missed));
	lm_json_set(&object, "scan_truncated", loss_of(losses->scan_truncated));
	lm_json_set(&object, "torn_reads", loss_of(losses->torn_reads));
	lm_json_set(&object, "unwind_failed", loss_of(losses->unwind_failed));
	lm_json_set(&object, "symbol_failed", loss_of(losses->symbol_failed));
	lm_json_set(&object, "skipped_processes", loss_of(losses->skipped_processes));
	return object;
}

static json_t *levels_of(const int64_t findings[LM_LEVELS])
{
	json_t *object = json_object();

	for (int level = LM_LEVEL_SUSPECT; level < LM_LEVELS; level++)
		lm_json_set(&object, lm_level_name(level), lm_json_count(findings[level]));
	return object;
}

static json_t *totals_of(const struct lm_snapshot *snapshot)
{
	json_t *object = json_object();

	lm_json_set(&object, "processes", lm_json_count(snapshot->totals.processes));
	lm_json_set(&object, "threads", lm_json_count(snapshot->totals.threads));
	lm_json_set(&object, "blocked_threads", lm_json_count(snapshot->totals.blocked_threads));
	lm_json_set(&object, "goroutines", lm_json_count(snapshot->totals.goroutines));
	lm_json_set(&object, "sites", lm_json_count(snapshot->totals.sites));
	lm_json_set(&object, "findings", levels_of(snapshot->totals.findings));
	return object;
}

static json_t *unavailable_of(const void *item)
{
	const struct lm_snapshot_unavailable *unavailable = item;
	json_t *object = json_object();

	lm_json_set(&object, "what", lm_json_text(unavailable->what));
	lm_json_set(&object, "why", lm_json_text(unavailable->why));
	return object;
}

static json_t *go_of(const struct lm_snapshot_go *go)
{
	json_t *object;

	if (!go)
		return json_null();
	object = json_object();
	lm_json_set(&object, "version", lm_json_text(go->version));
	lm_json_set(&object, "gc_count", lm_json_count(go->gc_count));
	lm_json_set(&object, "heap_live_bytes", lm_json_count(go->heap_live_bytes));
	lm_json_set(&object, "goroutines", lm_json_count(go->goroutines));
	lm_json_set(&object, "gc_per_min", lm_json_real(go->gc_per_min));
	lm_json_set(&object, "heap_bytes_per_h", lm_json_real(go->heap_bytes_per_h));
	return object;
}

static json_t *process_of(const struct lm_snapshot_process *process)
{
	json_t *object = json_object();

	lm_json_set(&object, "pid", json_integer(process->pid));
	lm_json_set(&object, "start_time", lm_json_time(process->start_ns));
	lm_json_set(&object, "comm", lm_json_text(process->comm));
	lm_json_set(&object, "exe", lm_json_text(process->exe));
	lm_json_set(&object, "build_id", lm_json_text(process->build_id));
	lm_json_set(&object, "runtime", lm_json_text(process->runtime));
	lm_json_set(&object, "go_version", lm_json_text(process->go_version));
	lm_json_set(&object, "container_id", lm_json_text(process->container_id));
	lm_json_set(&object, "threads", lm_json_count(process->threads));
	lm_json_set(&object, "blocked_threads", lm_json_count(process->blocked_threads));
	lm_json_set(&object, "goroutines", lm_json_count(process->goroutines));
	lm_json_set(&object, "rss_bytes", lm_json_count(process->rss_bytes));
	lm_json_set(&object, "go", go_of(process->go));
	lm_json_set(&object, "unavailable", LM_JSON_ARRAY(process, unavailable, unavailable_of));
	return object;
}

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

static json_t *finding_of(const struct lm_snapshot_finding *finding)
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

static json_t *withdrawn_of(const void *item)
{
	const struct lm_snapshot_withdrawn *withdrawn = item;
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

static json_t *self_of(const struct lm_snapshot *snapshot)
{
	json_t *object = json_object();

	lm_json_set(&object, "cpu_s", lm_json_real(snapshot->self.cpu_s));
	lm_json_set(&object, "rss_bytes", lm_json_count(snapshot->self.rss_bytes));
	lm_json_set(&object, "bpf_bytes", lm_json_count(snapshot->self.bpf_bytes));
	lm_json_set(&object, "scan_s", lm_json_real(snapshot->self.scan_s));
	return object;
}

static void put_heading(struct writer *writer, const struct lm_snapshot *snapshot)
{
	put_value(writer, "schema", json_string("leakmon.snapshot/1"));
	put_value(writer, "time", lm_json_time(snapshot->time_ns));
	put_value(writer, "host", lm_json_text(snapshot->host));
	put_value(writer, "version", lm_json_text(snapshot->version));
	put_value(writer, "interval_s", lm_json_real(snapshot->interval_s));
	put_value(writer, "watching_s", lm_json_real(snapshot->watching_s));
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
		put_value(&writer, NULL, lm_json_site(&snapshot->sites[i], members));
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
			put_value(&writer, NULL, lm_json_text(snapshot->notes[i]));
	}
	close_array(&writer);
	put(&writer, "}\n");
	errno = 0;
	if (!writer.error && fflush(stream) != 0)
		writer.error = errno ? -errno : -EIO;
	return writer.error;
}
