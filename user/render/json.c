// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leakmon.snapshot/1 as CONTRACT.md has it: every field, in its order, on one line.
 * Built and written a process, a site, a finding at a time, so that a report of
 * thousands of sites needs no more memory than one of them.
 */
#include <jansson.h>

#include "user/render/json_finding.h"
#include "user/render/json_site.h"
#include "user/render/json_values.h"
#include "user/render/json_writer.h"
#include "user/render/render.h"

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

static json_t *given_up_of(const void *item)
{
	return lm_json_text(*(const char *const *)item);
}

static json_t *self_of(const struct lm_snapshot *snapshot)
{
	json_t *object = json_object();

	lm_json_set(&object, "cpu_s", lm_json_real(snapshot->self.cpu_s));
	lm_json_set(&object, "rss_bytes", lm_json_count(snapshot->self.rss_bytes));
	lm_json_set(&object, "bpf_bytes", lm_json_count(snapshot->self.bpf_bytes));
	lm_json_set(&object, "scan_s", lm_json_real(snapshot->self.scan_s));
	lm_json_set(&object, "given_up",
		lm_json_array(snapshot->self.given_up, snapshot->self.given_up_len, sizeof(*snapshot->self.given_up),
			given_up_of));
	return object;
}

static void put_heading(struct lm_json_writer *writer, const struct lm_snapshot *snapshot)
{
	lm_json_put(writer, "schema", json_string("leakmon.snapshot/1"));
	lm_json_put(writer, "time", lm_json_time(snapshot->time_ns));
	lm_json_put(writer, "host", lm_json_text(snapshot->host));
	lm_json_put(writer, "version", lm_json_text(snapshot->version));
	lm_json_put(writer, "interval_s", lm_json_real(snapshot->interval_s));
	lm_json_put(writer, "watching_s", lm_json_real(snapshot->watching_s));
	lm_json_put(writer, "complete", json_boolean(lm_snapshot_complete(snapshot)));
	lm_json_put(writer, "losses", losses_of(&snapshot->losses));
	lm_json_put(writer, "totals", totals_of(snapshot));
}

static void put_findings(struct lm_json_writer *writer, const struct lm_snapshot *snapshot, enum lm_level min_level)
{
	lm_json_open_array(writer, "findings");
	for (size_t i = 0; i < snapshot->findings_len && !writer->error; i++) {
		if (snapshot->findings[i].level >= min_level)
			lm_json_put(writer, NULL, lm_json_finding(&snapshot->findings[i]));
	}
	lm_json_close_array(writer);
}

int lm_render_json(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_render_options *options)
{
	size_t sites = options->top > 0 ? (size_t)options->top : snapshot->sites_len;
	size_t members = options->members > 0 ? (size_t)options->members : 0;
	struct lm_json_writer writer = {.stream = stream};

	lm_json_open(&writer);
	put_heading(&writer, snapshot);
	lm_json_open_array(&writer, "processes");
	for (size_t i = 0; i < snapshot->processes_len && !writer.error; i++)
		lm_json_put(&writer, NULL, process_of(&snapshot->processes[i]));
	lm_json_close_array(&writer);
	lm_json_open_array(&writer, "sites");
	for (size_t i = 0; i < snapshot->sites_len && i < sites && !writer.error; i++)
		lm_json_put(&writer, NULL, lm_json_site(&snapshot->sites[i], members));
	lm_json_close_array(&writer);
	put_findings(&writer, snapshot, options->min_level);
	lm_json_put(&writer, "self", self_of(snapshot));
	lm_json_open_array(&writer, "withdrawn");
	for (size_t i = 0; i < snapshot->withdrawn_len && !writer.error; i++)
		lm_json_put(&writer, NULL, lm_json_withdrawn(&snapshot->withdrawn[i]));
	lm_json_close_array(&writer);
	lm_json_open_array(&writer, "notes");
	for (size_t i = 0; i < snapshot->notes_len && !writer.error; i++) {
		if (snapshot->notes[i])
			lm_json_put(&writer, NULL, lm_json_text(snapshot->notes[i]));
	}
	lm_json_close_array(&writer);
	return lm_json_close(&writer);
}
