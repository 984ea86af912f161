// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which metrics there are, in the order of their importance: when there may be no
 * more series, those of processes, which any user can make many of, go first.
 */
#include "user/render/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "user/render/metrics_processes.h"
#include "user/render/metrics_text.h"
#include "user/render/profile.h"
#include "user/render/site.h"

#define SITES_MAX 20
#define INFOS_MAX 20 /* of processes with findings */
#define FINDINGS_MAX 20
#define NS_PER_S 1e9

static const struct lm_metrics_family build_info = {
	"leakmon_build_info", LM_METRICS_INFO, NULL, "Version of leakmon; always 1."};
static const struct lm_metrics_family scans = {
	"leakmon_scans_total", LM_METRICS_COUNTER, NULL, "Looks at all watched threads."};
static const struct lm_metrics_family scan_duration = {"leakmon_scan_duration_seconds", LM_METRICS_HISTOGRAM, "seconds",
	"What the looks at all watched threads took."};
static const struct lm_metrics_family losses = {"leakmon_losses_total", LM_METRICS_COUNTER, NULL,
	"What could not be seen, by cause; reports are complete while none grows."};
static const struct lm_metrics_family findings = {
	"leakmon_findings", LM_METRICS_GAUGE, NULL, "Present findings by level and type."};
static const struct lm_metrics_family finding_info = {
	"leakmon_finding_info", LM_METRICS_INFO, NULL, "Where the 20 worst findings are; always 1."};
static const struct lm_metrics_family site_count = {"leakmon_site_count", LM_METRICS_GAUGE, NULL,
	"Threads or goroutines that are blocked at a site, of the 20 worst sites."};
static const struct lm_metrics_family site_oldest = {"leakmon_site_oldest_blocked_timestamp_seconds", LM_METRICS_GAUGE,
	"seconds", "Since when the one that has waited longest at a site is blocked, since the epoch."};
static const struct lm_metrics_family site_info = {
	"leakmon_site_info", LM_METRICS_INFO, NULL, "What a site is known by; always 1."};
static const struct lm_metrics_family process_info = {
	"leakmon_process_info", LM_METRICS_INFO, NULL, "Containers of processes with findings; always 1."};
static const struct lm_metrics_family suppressed = {"leakmon_series_suppressed_total", LM_METRICS_COUNTER, NULL,
	"Series left out of all answers so far, to keep their number bounded."};

#define LABELS(...) ((const struct lm_metrics_label[LM_METRICS_LABELS_MAX]){__VA_ARGS__})

static void write_process_self(struct lm_metrics_writer *writer, const struct lm_metrics_self *self)
{
	static const struct lm_metrics_family cpu = {
		"process_cpu_seconds_total", LM_METRICS_COUNTER, "seconds", "CPU time of leakmon, user and system."};
	static const struct lm_metrics_family start = {"process_start_time_seconds", LM_METRICS_GAUGE, "seconds",
		"When leakmon was started, since the epoch."};
	static const struct lm_metrics_family integers[] = {
		{"process_resident_memory_bytes", LM_METRICS_GAUGE, "bytes", "Resident memory of leakmon."},
		{"process_virtual_memory_bytes", LM_METRICS_GAUGE, "bytes", "Virtual memory of leakmon."},
		{"process_open_fds", LM_METRICS_GAUGE, NULL, "Open file descriptors of leakmon."},
		{"process_max_fds", LM_METRICS_GAUGE, NULL, "How many file descriptors leakmon may open."},
	};
	const int64_t values[] = {self->rss_bytes, self->virtual_bytes, self->open_fds, self->max_fds};

	lm_metrics_begin(writer, &cpu);
	lm_metrics_real(writer, NULL, self->cpu_s);
	lm_metrics_begin(writer, &start);
	lm_metrics_real(writer, NULL, self->start_time_s);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		lm_metrics_begin(writer, &integers[i]);
		if (values[i] >= 0)
			lm_metrics_count(writer, NULL, values[i]);
	}
}

static int64_t clamp(uint64_t count)
{
	return count < INT64_MAX ? (int64_t)count : INT64_MAX;
}

static void write_losses(struct lm_metrics_writer *writer, const struct lm_snapshot_losses *counts)
{
	const struct {
		const char *cause;
		uint64_t count;
	} causes[] = {{"ring_full", counts->ring_full}, {"storage_failed", counts->storage_failed},
		{"program_missed", counts->program_missed}, {"scan_truncated", counts->scan_truncated},
		{"torn_reads", counts->torn_reads}, {"unwind_failed", counts->unwind_failed},
		{"symbol_failed", counts->symbol_failed}, {"skipped_processes", counts->skipped_processes}};

	lm_metrics_begin(writer, &losses);
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		lm_metrics_count(writer, LABELS({"cause", causes[i].cause}), clamp(causes[i].count));
}

static void write_own(
	struct lm_metrics_writer *writer, const struct lm_snapshot *snapshot, const struct lm_metrics_self *self)
{
	lm_metrics_begin(writer, &build_info);
	lm_metrics_count(writer, LABELS({"version", snapshot->version}), 1);
	lm_metrics_begin(writer, &scans);
	lm_metrics_count(writer, NULL, clamp(self->scans));
	write_losses(writer, &self->losses);
	write_process_self(writer, self);
	lm_metrics_begin(writer, &scan_duration);
	lm_metrics_histogram(writer, self);
}

/* All levels and types, also those of which there is none: rules want a 0 to begin with. */
static void write_findings(struct lm_metrics_writer *writer, const struct lm_snapshot *snapshot)
{
	int64_t counts[LM_LEVELS][LM_FINDING_TYPES] = {0};

	for (size_t i = 0; i < snapshot->findings_len; i++) {
		size_t level = snapshot->findings[i].level, type = snapshot->findings[i].type;

		if (level < LM_LEVELS && type < LM_FINDING_TYPES)
			counts[level][type]++;
	}
	lm_metrics_begin(writer, &findings);
	for (int level = LM_LEVELS - 1; level > LM_LEVEL_NONE; level--) {
		for (int type = 0; type < LM_FINDING_TYPES; type++)
			lm_metrics_count(writer,
				LABELS({"level", lm_level_name(level)}, {"type", lm_finding_type_name(type)}),
				counts[level][type]);
	}
}

struct place {
	uint64_t site;
	enum lm_level level;
	enum lm_finding_type type;
	char process[LM_METRICS_VALUE_BYTES];
};

static bool is_known_place(const struct place *places, size_t len, const struct place *place)
{
	for (size_t i = 0; i < len; i++) {
		if (places[i].site == place->site && places[i].level == place->level && places[i].type == place->type &&
			strcmp(places[i].process, place->process) == 0)
			return true;
	}
	return false;
}

static const struct lm_snapshot_process *process_of(const struct lm_snapshot *snapshot, uint32_t pid)
{
	for (size_t i = 0; i < snapshot->processes_len; i++) {
		if (snapshot->processes[i].pid == pid)
			return &snapshot->processes[i];
	}
	return NULL;
}

/* What an alert names: the counts alone do not say where. Of processes with one name one series. */
static void write_finding_infos(struct lm_metrics_writer *writer, const struct lm_snapshot *snapshot)
{
	struct place places[FINDINGS_MAX];
	size_t len = 0;

	lm_metrics_begin(writer, &finding_info);
	for (size_t i = 0; i < snapshot->findings_len; i++) {
		const struct lm_snapshot_finding *finding = &snapshot->findings[i];
		const struct lm_snapshot_process *process = process_of(snapshot, finding->pid);
		struct place place = {.site = finding->site, .level = finding->level, .type = finding->type};
		char site[24];

		if (finding->level == LM_LEVEL_NONE || finding->level >= LM_LEVELS || finding->type >= LM_FINDING_TYPES)
			continue;
		lm_metrics_process_name(process ? process->comm : NULL, place.process);
		if (is_known_place(places, len, &place))
			continue;
		if (len == FINDINGS_MAX) {
			writer->suppressed++;
			continue;
		}
		places[len++] = place;
		snprintf(site, sizeof(site), "%016" PRIx64, place.site);
		lm_metrics_count(writer,
			LABELS({"process", place.process}, {"site", site}, {"level", lm_level_name(place.level)},
				{"type", lm_finding_type_name(place.type)}),
			1);
	}
}

/* The worst sites, those of processes with one name and place as one. */
struct site_row {
	char process[LM_METRICS_VALUE_BYTES];
	char id[24];
	const struct lm_snapshot_site *first;
	int64_t count, oldest_ns; /* 0 = not known */
	bool older;               /* and one whose beginning is not known */
	bool repeated;            /* another process has the same site further up */
};

struct site_rows {
	struct site_row rows[SITES_MAX];
	size_t len;
};

static void add_to_row(struct site_row *row, const struct lm_snapshot_site *site)
{
	int64_t since_ns = site->oldest_blocked_since_ns;

	if (site->count > 0)
		row->count = site->count < INT64_MAX - row->count ? row->count + site->count : INT64_MAX;
	row->older |= since_ns <= 0;
	if (since_ns > 0 && (!row->oldest_ns || since_ns < row->oldest_ns))
		row->oldest_ns = since_ns;
}

static void fill_rows(const struct lm_snapshot *snapshot, struct site_rows *rows)
{
	for (size_t i = 0; i < snapshot->sites_len; i++) {
		const struct lm_snapshot_site *site = &snapshot->sites[i];
		char process[LM_METRICS_VALUE_BYTES];
		bool repeated = false;
		size_t at = 0;

		lm_metrics_process_name(site->comm, process);
		for (; at < rows->len; at++) {
			bool same = rows->rows[at].first->site == site->site;

			if (same && strcmp(rows->rows[at].process, process) == 0)
				break;
			repeated |= same;
		}
		if (at == SITES_MAX)
			continue;
		if (at == rows->len) {
			struct site_row *row = &rows->rows[rows->len++];

			*row = (struct site_row){.first = site, .repeated = repeated};
			memcpy(row->process, process, sizeof(process));
			snprintf(row->id, sizeof(row->id), "%016" PRIx64, site->site);
		}
		add_to_row(&rows->rows[at], site);
	}
}

static int write_site_info(struct lm_metrics_writer *writer, struct lm_arena *arena, const struct site_row *row)
{
	const struct lm_snapshot_frame *place = lm_site_place(row->first);
	const char *function = place ? lm_profile_frame_name(arena, place) : "";

	if (!function)
		return -ENOMEM;
	lm_metrics_count(writer,
		LABELS({"site", row->id}, {"function", function}, {"module", place ? place->module : NULL},
			{"kind", row->first->kind == LM_SITE_GOROUTINE ? "goroutine" : "thread"}),
		1);
	return 0;
}

static int write_sites(struct lm_metrics_writer *writer, const struct lm_snapshot *snapshot, struct lm_arena *arena)
{
	struct site_rows *rows = lm_arena_alloc(arena, sizeof(*rows));
	int error = 0;

	if (!rows)
		return -ENOMEM;
	fill_rows(snapshot, rows);
	lm_metrics_begin(writer, &site_count);
	for (size_t i = 0; i < rows->len; i++)
		lm_metrics_count(writer, LABELS({"process", rows->rows[i].process}, {"site", rows->rows[i].id}),
			rows->rows[i].count);
	lm_metrics_begin(writer, &site_oldest);
	for (size_t i = 0; i < rows->len; i++) {
		if (!rows->rows[i].older)
			lm_metrics_real(writer, LABELS({"process", rows->rows[i].process}, {"site", rows->rows[i].id}),
				(double)rows->rows[i].oldest_ns / NS_PER_S);
	}
	lm_metrics_begin(writer, &site_info);
	for (size_t i = 0; i < rows->len && !error; i++) {
		if (!rows->rows[i].repeated)
			error = write_site_info(writer, arena, &rows->rows[i]);
	}
	return error;
}

struct info {
	char process[LM_METRICS_VALUE_BYTES], container[LM_METRICS_VALUE_BYTES];
};

static bool is_known_info(const struct info *infos, size_t len, const struct info *info)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(infos[i].process, info->process) == 0 && strcmp(infos[i].container, info->container) == 0)
			return true;
	}
	return false;
}

/* Of the worst findings; what is beyond the limit of infos is counted as left out. */
static void write_process_infos(struct lm_metrics_writer *writer, const struct lm_snapshot *snapshot)
{
	struct info infos[INFOS_MAX];
	size_t len = 0;

	lm_metrics_begin(writer, &process_info);
	for (size_t i = 0; i < snapshot->findings_len; i++) {
		const struct lm_snapshot_process *process = process_of(snapshot, snapshot->findings[i].pid);
		struct info info;

		if (!process)
			continue;
		lm_metrics_process_name(process->comm, info.process);
		lm_metrics_label_text(process->container_id, info.container);
		if (is_known_info(infos, len, &info))
			continue;
		if (len == INFOS_MAX) {
			writer->suppressed++;
			continue;
		}
		infos[len++] = info;
		lm_metrics_count(writer, LABELS({"process", info.process}, {"container_id", info.container}), 1);
	}
}

/* What was left out is known only at the end; its line has been kept free. */
static void write_end(struct lm_metrics_writer *writer, struct lm_metrics_self *self)
{
	self->series_suppressed += writer->suppressed;
	writer->left = 1;
	lm_metrics_begin(writer, &suppressed);
	lm_metrics_count(writer, NULL, clamp(self->series_suppressed));
	if (writer->format == LM_METRICS_OPENMETRICS)
		fputs("# EOF\n", writer->stream);
}

int lm_render_metrics(FILE *stream, const struct lm_snapshot *snapshot, struct lm_metrics_self *self,
	enum lm_metrics_format format, size_t max_series)
{
	struct lm_metrics_writer writer = {.stream = stream, .format = format, .left = max_series ? max_series - 1 : 0};
	struct lm_arena *arena = lm_arena_new();
	int error;

	if (!arena)
		return -ENOMEM;
	errno = 0;
	write_own(&writer, snapshot, self);
	write_findings(&writer, snapshot);
	write_finding_infos(&writer, snapshot);
	error = write_sites(&writer, snapshot, arena);
	write_process_infos(&writer, snapshot);
	if (!error)
		error = lm_metrics_processes(&writer, snapshot, arena);
	write_end(&writer, self);
	lm_arena_free(arena);
	if (!error && (fflush(stream) != 0 || ferror(stream)))
		error = errno ? -errno : -EIO;
	return error;
}
