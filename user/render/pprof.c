// SPDX-License-Identifier: GPL-2.0-or-later
/* A profile.proto of what is blocked, packed straight into gzip. The tables are pprof_tables.c's. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <zlib.h>

#include "user/render/pprof_tables.h"
#include "user/render/profile.h"
#include "user/render/render.h"

#define SAMPLE_TYPES 2
#define LABELS 5
#define GZIP (15 + 16) /* the largest window, and gzip's own header and end */
#define NS_PER_S 1e9
#define US_PER_S 1e6
#define AGES_MAX_S 9.2e9 /* of all samples in nanoseconds that fit into an int64_t */

struct builder {
	const struct lm_snapshot *snapshot;
	const struct lm_profile_filter *filter;
	struct lm_pprof_tables tables;
	LmPprof__Profile profile;
	LmPprof__ValueType types[SAMPLE_TYPES], *type_list[SAMPLE_TYPES];
	double ages_per_s;              /* of the unit of ages */
	int64_t counts_left, ages_left; /* readers add values up: all of them together must fit */
};

static double age_of(const struct lm_snapshot_site *site)
{
	return isfinite(site->sum_blocked_s) && site->sum_blocked_s > 0 ? site->sum_blocked_s : 0;
}

/* Sets the units, and returns how many samples there will be. */
static size_t open_types(struct builder *builder)
{
	struct lm_profile_cursor cursor = {0};
	const struct lm_snapshot_site *site;
	double ages_s = 0;
	size_t samples = 0;
	bool fits;

	while ((site = lm_profile_next(builder->snapshot, builder->filter, &cursor))) {
		ages_s += age_of(site);
		samples++;
	}
	fits = ages_s < AGES_MAX_S;
	builder->ages_per_s = fits ? NS_PER_S : US_PER_S;
	for (size_t i = 0; i < SAMPLE_TYPES; i++) {
		lm_pprof__value_type__init(&builder->types[i]);
		builder->type_list[i] = &builder->types[i];
	}
	builder->types[0].type = builder->types[0].unit = lm_pprof_text(&builder->tables, "count");
	builder->types[1].type = lm_pprof_text(&builder->tables, "age");
	builder->types[1].unit = lm_pprof_text(&builder->tables, fits ? "nanoseconds" : "microseconds");
	return samples;
}

static int64_t take_of(int64_t *left, int64_t value)
{
	if (value > *left)
		value = *left;
	*left -= value;
	return value;
}

static int64_t age_value(struct builder *builder, const struct lm_snapshot_site *site)
{
	double age = age_of(site) * builder->ages_per_s;

	return take_of(&builder->ages_left, age < 0x1p63 ? (int64_t)age : INT64_MAX);
}

static int add_labels(struct builder *builder, const struct lm_snapshot_site *site, LmPprof__Sample *sample)
{
	struct lm_pprof_tables *tables = &builder->tables;
	LmPprof__Label *labels = lm_arena_alloc(tables->arena, LABELS * sizeof(*labels));
	char pid[16], id[24];

	snprintf(pid, sizeof(pid), "%" PRIu32, site->pid);
	snprintf(id, sizeof(id), "%016" PRIx64, site->site);
	const char *const texts[LABELS][2] = {{"pid", pid}, {"comm", site->comm},
		{"kind", site->kind == LM_SITE_GOROUTINE ? "goroutine" : "thread"},
		{"wait", lm_wait_class_name(site->wait.wait_class)}, {"site", id}};

	sample->label = lm_arena_alloc(tables->arena, LABELS * sizeof(*sample->label));
	if (!labels || !sample->label)
		return -ENOMEM;
	for (size_t i = 0; i < LABELS; i++) {
		if (!texts[i][1] || !*texts[i][1])
			continue;
		lm_pprof__label__init(&labels[i]);
		labels[i].key = lm_pprof_text(tables, texts[i][0]);
		labels[i].str = lm_pprof_text(tables, texts[i][1]);
		sample->label[sample->n_label++] = &labels[i];
	}
	return 0;
}

/* The program's functions come first into the tables: the first file is what readers call the profile by. */
static int add_stack(struct builder *builder, const struct lm_snapshot_site *site, LmPprof__Sample *sample)
{
	static const struct lm_snapshot_frame unknown = {.function = "[unknown]"};
	struct lm_pprof_tables *tables = &builder->tables;
	size_t len = site->stack_len + site->kernel_stack_len, at = site->kernel_stack_len;
	uint64_t *ids = lm_arena_alloc(tables->arena, (len + 1) * sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < site->stack_len;) {
		size_t frames = lm_pprof_location_len(&site->stack[i], site->stack_len - i);

		ids[at++] = lm_pprof_location(tables, &site->stack[i], frames);
		i += frames;
	}
	for (size_t i = 0; i < site->kernel_stack_len; i++)
		ids[i] = lm_pprof_kernel_location(tables, &site->kernel_stack[i]);
	if (!len)
		ids[at++] = lm_pprof_location(tables, &unknown, 1);
	sample->location_id = ids;
	sample->n_location_id = at;
	return 0;
}

static int add_sample(struct builder *builder, const struct lm_snapshot_site *site)
{
	struct lm_arena *arena = builder->tables.arena;
	LmPprof__Sample *sample = lm_arena_alloc(arena, sizeof(*sample));
	int64_t *values = lm_arena_alloc(arena, SAMPLE_TYPES * sizeof(*values));
	int error;

	if (!sample || !values)
		return -ENOMEM;
	lm_pprof__sample__init(sample);
	values[0] = take_of(&builder->counts_left, site->count);
	values[1] = age_value(builder, site);
	sample->value = values;
	sample->n_value = SAMPLE_TYPES;
	builder->profile.sample[builder->profile.n_sample++] = sample;
	error = add_stack(builder, site, sample);
	return error ? error : add_labels(builder, site, sample);
}

/* The file of the first site's program, if a frame of it is there, goes before the libraries. */
static void add_program(struct builder *builder)
{
	struct lm_profile_cursor cursor = {0};
	const struct lm_snapshot_site *site = lm_profile_next(builder->snapshot, builder->filter, &cursor);

	for (size_t i = 0; site && i < builder->snapshot->processes_len; i++) {
		const struct lm_snapshot_process *process = &builder->snapshot->processes[i];

		if (process->pid != site->pid || !process->build_id)
			continue;
		for (size_t j = 0; j < site->stack_len; j++) {
			const char *build_id = site->stack[j].build_id;

			if (!build_id || strcmp(build_id, process->build_id) != 0)
				continue;
			lm_pprof_mapping(&builder->tables, &site->stack[j]);
			return;
		}
	}
}

static int build(struct builder *builder)
{
	LmPprof__Profile *profile = &builder->profile;
	struct lm_profile_cursor cursor = {0};
	const struct lm_snapshot_site *site;
	size_t samples = open_types(builder);
	int error = 0;

	profile->sample_type = builder->type_list;
	profile->n_sample_type = SAMPLE_TYPES;
	profile->default_sample_type = builder->types[0].type;
	profile->time_nanos = builder->snapshot->time_ns;
	profile->sample = lm_arena_alloc(builder->tables.arena, (samples + 1) * sizeof(*profile->sample));
	if (!profile->sample)
		return -ENOMEM;
	add_program(builder);
	while (!error && (site = lm_profile_next(builder->snapshot, builder->filter, &cursor)))
		error = add_sample(builder, site);
	return error ? error : lm_pprof_tables_fill(&builder->tables, profile);
}

/* What protobuf-c writes to: gzip, and behind it the stream. */
struct packer {
	ProtobufCBuffer base; /* first: protobuf-c hands it back */
	z_stream zip;
	FILE *stream;
	int error;
};

static void deflate_all(struct packer *packer, int flush)
{
	unsigned char out[16384];

	do {
		size_t len;
		int result;

		packer->zip.next_out = out;
		packer->zip.avail_out = sizeof(out);
		result = deflate(&packer->zip, flush);
		len = sizeof(out) - packer->zip.avail_out;
		errno = 0;
		if (result == Z_STREAM_ERROR)
			packer->error = -EIO;
		else if (fwrite(out, 1, len, packer->stream) != len)
			packer->error = errno ? -errno : -EIO;
	} while (!packer->error && packer->zip.avail_out == 0);
}

static void append(ProtobufCBuffer *buffer, size_t len, const uint8_t *bytes)
{
	struct packer *packer = (struct packer *)buffer;

	/* zlib counts in 32 bits */
	while (len && !packer->error) {
		uInt part = len < UINT32_MAX ? (uInt)len : UINT32_MAX;

		packer->zip.next_in = (Bytef *)bytes;
		packer->zip.avail_in = part;
		deflate_all(packer, Z_NO_FLUSH);
		bytes += part;
		len -= part;
	}
}

static int pack(FILE *stream, const LmPprof__Profile *profile)
{
	struct packer packer = {.base = {.append = append}, .stream = stream};

	if (deflateInit2(&packer.zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	lm_pprof__profile__pack_to_buffer(profile, &packer.base);
	if (!packer.error)
		deflate_all(&packer, Z_FINISH);
	deflateEnd(&packer.zip);
	errno = 0;
	if (!packer.error && fflush(stream) != 0)
		packer.error = errno ? -errno : -EIO;
	return packer.error;
}

int lm_profile_pprof(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter)
{
	struct builder builder = {
		.snapshot = snapshot, .filter = filter, .counts_left = INT64_MAX, .ages_left = INT64_MAX};
	struct lm_arena *arena = lm_arena_new();
	int error;

	if (!arena)
		return -ENOMEM;
	lm_pprof__profile__init(&builder.profile);
	lm_pprof_tables_open(&builder.tables, arena);
	error = build(&builder);
	if (!error)
		error = pack(stream, &builder.profile);
	lm_pprof_tables_close(&builder.tables);
	lm_arena_free(arena);
	return error;
}

int lm_render_pprof(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_render_options *options)
{
	const struct lm_profile_filter filter = {.top = options->top};

	return lm_profile_pprof(stream, snapshot, &filter);
}
