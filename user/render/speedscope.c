// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * speedscope's own JSON: frames that samples name by index, and two profiles over
 * the same samples, by count and by age. Names end as in collapsed stacks: functions
 * of the kernel in _[k].
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "user/render/intern.h"
#include "user/render/json_values.h"
#include "user/render/profile.h"
#include "user/render/render.h"

#define SCHEMA "https://www.speedscope.app/file-format-schema.json"
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

struct builder {
	struct lm_arena *arena;
	struct lm_intern keys; /* of frames */
	json_t *frames, *samples, *counts, *ages;
	int64_t count;
	double age_s;
	int error;
};

static void append(struct builder *builder, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		builder->error = -ENOMEM;
}

static json_t *new_frame(const char *name, const char *file, uint32_t line)
{
	json_t *frame = json_object();

	lm_json_set(&frame, "name", json_string(name));
	if (*file)
		lm_json_set(&frame, "file", json_string(file));
	if (*file && line)
		lm_json_set(&frame, "line", json_integer(line));
	return frame;
}

/* Puts the frame, its texts escaped, into the sample. Line feeds part the key, as escaped texts have none. */
static void put_frame(struct builder *builder, json_t *sample, const char *name, const char *file, uint32_t line)
{
	char *key = name && file ? lm_arena_format(builder->arena, "%s\n%s\n%" PRIu32, name, file, line) : NULL;
	int64_t len = (int64_t)lm_intern_len(&builder->keys), number = -ENOMEM;

	if (key)
		number = lm_intern_add(&builder->keys, key, strlen(key));
	if (number < 0) {
		builder->error = -ENOMEM;
		return;
	}
	if (number == len)
		append(builder, builder->frames, new_frame(name, file, line));
	append(builder, sample, json_integer(number));
}

static void put_process(struct builder *builder, json_t *sample, const struct lm_snapshot_site *site)
{
	const char *name = site->comm && *site->comm ? lm_profile_text(builder->arena, site->comm)
						     : lm_arena_format(builder->arena, "pid_%" PRIu32, site->pid);

	put_frame(builder, sample, name, "", 0);
}

static void put_kernel_frame(struct builder *builder, json_t *sample, const struct lm_snapshot_frame *frame)
{
	const char *name = lm_profile_text(builder->arena, frame->function);

	if (name)
		name = lm_arena_format(builder->arena, "%s_[k]", *name ? name : "[unknown]");
	put_frame(builder, sample, name, "", 0);
}

/* The outermost first. */
static json_t *sample_of(struct builder *builder, const struct lm_snapshot_site *site)
{
	json_t *sample = json_array();

	put_process(builder, sample, site);
	for (size_t i = site->stack_len; i > 0 && !builder->error; i--) {
		const struct lm_snapshot_frame *frame = &site->stack[i - 1];

		put_frame(builder, sample, lm_profile_frame_name(builder->arena, frame),
			lm_profile_text(builder->arena, frame->file), frame->line);
	}
	for (size_t i = site->kernel_stack_len; i > 0 && !builder->error; i--)
		put_kernel_frame(builder, sample, &site->kernel_stack[i - 1]);
	if (!site->stack_len && !site->kernel_stack_len)
		put_frame(builder, sample, "[unknown]", "", 0);
	return sample;
}

static void add_site(struct builder *builder, const struct lm_snapshot_site *site)
{
	int64_t count = site->count < INT64_MAX - builder->count ? site->count : INT64_MAX - builder->count;
	double age_s = isfinite(site->sum_blocked_s) && site->sum_blocked_s > 0 ? site->sum_blocked_s : 0;

	append(builder, builder->samples, sample_of(builder, site));
	append(builder, builder->counts, json_integer(count));
	append(builder, builder->ages, json_real(age_s));
	builder->count += count;
	builder->age_s += age_s;
}

/* Takes the weights and the end over; the samples are shared. */
static json_t *profile_of(const char *name, const char *unit, json_t *samples, json_t *weights, json_t *end)
{
	json_t *profile = json_object();

	lm_json_set(&profile, "type", json_string("sampled"));
	lm_json_set(&profile, "name", json_string(name));
	lm_json_set(&profile, "unit", json_string(unit));
	lm_json_set(&profile, "startValue", json_integer(0));
	lm_json_set(&profile, "endValue", end);
	lm_json_set(&profile, "samples", json_incref(samples));
	lm_json_set(&profile, "weights", weights);
	return profile;
}

/* Takes over what the builder has. */
static json_t *file_of(struct builder *builder, const struct lm_snapshot *snapshot)
{
	const char *version = lm_profile_text(builder->arena, snapshot->version);
	json_t *file = json_object(), *shared = json_object(), *profiles = json_array();

	append(builder, profiles,
		profile_of("blocked now, by count", "none", builder->samples, builder->counts,
			json_integer(builder->count)));
	append(builder, profiles,
		profile_of("blocked now, by age", "seconds", builder->samples, builder->ages,
			json_real(isfinite(builder->age_s) ? builder->age_s : 0)));
	json_decref(builder->samples);
	lm_json_set(&shared, "frames", builder->frames);
	lm_json_set(&file, "$schema", json_string(SCHEMA));
	lm_json_set(&file, "shared", shared);
	lm_json_set(&file, "profiles", profiles);
	lm_json_set(&file, "name", lm_json_time(snapshot->time_ns));
	lm_json_set(&file, "exporter",
		json_string(version ? lm_arena_format(builder->arena, "leakmon@%s", version) : NULL));
	lm_json_set(&file, "activeProfileIndex", json_integer(0));
	return file;
}

struct output {
	FILE *stream;
	int error;
};

static int write_bytes(const char *bytes, size_t len, void *context)
{
	struct output *output = context;

	errno = 0;
	if (fwrite(bytes, 1, len, output->stream) != len)
		output->error = errno ? -errno : -EIO;
	return output->error ? -1 : 0;
}

static int dump(FILE *stream, const json_t *file)
{
	struct output output = {.stream = stream};

	if (json_dump_callback(file, write_bytes, &output, DUMP_FLAGS))
		return output.error ? output.error : -ENOMEM;
	write_bytes("\n", 1, &output);
	errno = 0;
	if (!output.error && fflush(stream))
		output.error = errno ? -errno : -EIO;
	return output.error;
}

int lm_profile_speedscope(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter)
{
	struct builder builder = {.arena = lm_arena_new(),
		.frames = json_array(),
		.samples = json_array(),
		.counts = json_array(),
		.ages = json_array()};
	struct lm_profile_cursor cursor = {0};
	const struct lm_snapshot_site *site;
	json_t *file = NULL;
	int error;

	if (!builder.arena)
		builder.error = -ENOMEM;
	builder.keys.arena = builder.arena;
	while (!builder.error && (site = lm_profile_next(snapshot, filter, &cursor)))
		add_site(&builder, site);
	if (builder.arena)
		file = file_of(&builder, snapshot);
	error = file ? builder.error : -ENOMEM;
	if (!error)
		error = dump(stream, file);
	json_decref(file);
	lm_intern_free(&builder.keys);
	lm_arena_free(builder.arena);
	return error;
}

int lm_render_speedscope(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_render_options *options)
{
	const struct lm_profile_filter filter = {.top = options->top};

	return lm_profile_speedscope(stream, snapshot, &filter);
}
