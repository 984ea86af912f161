// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Profiles: pprof's are unpacked with the generated code and held against the
 * snapshot, the texts against golden files (RENEW=1 writes them anew; the tests run
 * in the root of the repository).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <zlib.h>

#include "golden.h"
#include "render_snapshots.h"
#include "user/render/profile.h"
#include "user/render/profile.pb-c.h"
#include "user/render/render.h"

#define PROFILE_MAX (1 << 22)

typedef int profile_writer(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter);

static const struct lm_profile_filter everything;
static const struct lm_snapshot *const snapshots[] = {
	&leaky_snapshot, &hostile_snapshot, &nameless_snapshot, &ended_snapshot, &quiet_snapshot, &go_snapshot};

static char *render(
	profile_writer *write, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter, size_t *size)
{
	char *bytes = NULL;
	FILE *stream = open_memstream(&bytes, size);

	assert_non_null(stream);
	assert_int_equal(write(stream, snapshot, filter), 0);
	assert_int_equal(fclose(stream), 0);
	return bytes;
}

static char *render_text(
	profile_writer *write, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter)
{
	size_t size;
	char *text = render(write, snapshot, filter, &size);

	assert_int_equal(strlen(text), size);
	return text;
}

static LmPprof__Profile *unpack(const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter)
{
	uint8_t *bytes = malloc(PROFILE_MAX);
	size_t size;
	char *packed = render(lm_profile_pprof, snapshot, filter, &size);
	z_stream zip = {
		.next_in = (Bytef *)packed, .avail_in = (uInt)size, .next_out = bytes, .avail_out = PROFILE_MAX};
	LmPprof__Profile *profile;

	assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
	assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
	assert_int_equal(zip.avail_in, 0);
	profile = lm_pprof__profile__unpack(NULL, PROFILE_MAX - zip.avail_out, bytes);
	assert_non_null(profile);
	inflateEnd(&zip);
	free(packed);
	free(bytes);
	return profile;
}

static void release(LmPprof__Profile *profile)
{
	lm_pprof__profile__free_unpacked(profile, NULL);
}

static const char *text_of(const LmPprof__Profile *profile, int64_t index)
{
	assert_in_range(index, 0, profile->n_string_table - 1);
	return profile->string_table[index];
}

static const char *label_of(const LmPprof__Profile *profile, size_t sample, const char *key)
{
	for (size_t i = 0; i < profile->sample[sample]->n_label; i++) {
		const LmPprof__Label *label = profile->sample[sample]->label[i];

		if (strcmp(text_of(profile, label->key), key) == 0)
			return text_of(profile, label->str);
	}
	return NULL;
}

/* Ids are the numbers of their places, from 1. */
static const LmPprof__Location *location_of(const LmPprof__Profile *profile, size_t sample, size_t at)
{
	uint64_t id = profile->sample[sample]->location_id[at];

	assert_true(at < profile->sample[sample]->n_location_id);
	assert_in_range(id, 1, profile->n_location);
	return profile->location[id - 1];
}

static const char *function_of(const LmPprof__Profile *profile, size_t sample, size_t at, size_t line)
{
	const LmPprof__Location *location = location_of(profile, sample, at);

	assert_true(line < location->n_line);
	assert_in_range(location->line[line]->function_id, 1, profile->n_function);
	return text_of(profile, profile->function[location->line[line]->function_id - 1]->name);
}

static void check_texts(const LmPprof__Profile *profile)
{
	assert_string_equal(profile->string_table[0], "");
	for (size_t i = 0; i < profile->n_string_table; i++) {
		json_t *utf8 = json_string(profile->string_table[i]);

		assert_non_null(utf8);
		json_decref(utf8);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(profile->string_table[i], profile->string_table[j]);
		for (const char *at = profile->string_table[i]; *at; at++)
			assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
	}
}

static void check_places(const LmPprof__Profile *profile)
{
	for (size_t i = 0; i < profile->n_mapping; i++) {
		const LmPprof__Mapping *mapping = profile->mapping[i];

		assert_int_equal(mapping->id, i + 1);
		assert_true(mapping->memory_start < mapping->memory_limit);
		assert_true(!i || profile->mapping[i - 1]->memory_limit < mapping->memory_start);
		text_of(profile, mapping->filename);
		text_of(profile, mapping->build_id);
	}
	for (size_t i = 0; i < profile->n_location; i++) {
		const LmPprof__Location *location = profile->location[i];

		assert_int_equal(location->id, i + 1);
		assert_true(location->n_line > 0);
		assert_in_range(location->mapping_id, 0, profile->n_mapping);
		if (location->address)
			assert_in_range(location->address, profile->mapping[location->mapping_id - 1]->memory_start,
				profile->mapping[location->mapping_id - 1]->memory_limit - 1);
	}
	for (size_t i = 0; i < profile->n_function; i++) {
		assert_int_equal(profile->function[i]->id, i + 1);
		assert_string_not_equal(text_of(profile, profile->function[i]->name), "");
	}
}

/* How often each frame of the site stands in the sample: all of them, as lines. */
static size_t lines_of(const LmPprof__Profile *profile, size_t sample)
{
	size_t lines = 0;

	for (size_t i = 0; i < profile->sample[sample]->n_location_id; i++)
		lines += location_of(profile, sample, i)->n_line;
	return lines;
}

static void pprof_holds_every_site_frame_and_total_of_any_report(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(snapshots); i++) {
		LmPprof__Profile *profile = unpack(snapshots[i], &everything);
		uint64_t counts = 0, expected = 0;

		check_texts(profile);
		check_places(profile);
		assert_int_equal(profile->n_sample, snapshots[i]->sites_len);
		assert_int_equal(profile->time_nanos, NOW_NS);
		assert_string_equal(text_of(profile, profile->default_sample_type), "count");
		for (size_t j = 0; j < profile->n_sample; j++) {
			const struct lm_snapshot_site *site = &snapshots[i]->sites[j];
			size_t frames = site->stack_len + site->kernel_stack_len;

			assert_int_equal(profile->sample[j]->n_value, 2);
			assert_int_equal(lines_of(profile, j), frames ? frames : 1);
			assert_true(profile->sample[j]->value[0] >= 0 && profile->sample[j]->value[1] >= 0);
			counts += (uint64_t)profile->sample[j]->value[0];
			expected += (uint64_t)site->count;
		}
		assert_int_equal(counts, expected < INT64_MAX ? expected : INT64_MAX);
		release(profile);
	}
}

static void pprof_says_what_a_sample_is(void **state)
{
	LmPprof__Profile *profile = unpack(&leaky_snapshot, &everything);
	const LmPprof__Mapping *program = profile->mapping[0];

	(void)state;
	assert_int_equal(profile->n_sample_type, 2);
	assert_string_equal(text_of(profile, profile->sample_type[0]->type), "count");
	assert_string_equal(text_of(profile, profile->sample_type[0]->unit), "count");
	assert_string_equal(text_of(profile, profile->sample_type[1]->type), "age");
	assert_string_equal(text_of(profile, profile->sample_type[1]->unit), "nanoseconds");
	assert_int_equal(profile->sample[0]->value[0], 500);
	assert_int_equal(profile->sample[0]->value[1], INT64_C(780250000000000));
	assert_string_equal(label_of(profile, 0, "pid"), "1234");
	assert_string_equal(label_of(profile, 0, "comm"), "leaky");
	assert_string_equal(label_of(profile, 0, "kind"), "thread");
	assert_string_equal(label_of(profile, 0, "wait"), "futex_cond");
	assert_string_equal(label_of(profile, 0, "site"), "9f2c41d07be1a3c5");
	assert_string_equal(function_of(profile, 0, 0, 0), "futex_do_wait");
	assert_string_equal(function_of(profile, 0, 7, 0), "wait_for_result");
	assert_string_equal(function_of(profile, 0, 12, 0), "plugin.so+0x1a2b");
	assert_int_equal(location_of(profile, 0, 7)->line[0]->line, 7);
	assert_string_equal(text_of(profile, program->filename), "leaky");
	assert_string_equal(text_of(profile, program->build_id), LEAKY_ID);
	assert_int_equal(location_of(profile, 0, 7)->address - program->memory_start, 4939);
	/* the same place in two sites is one location */
	assert_int_equal(profile->sample[0]->location_id[6], profile->sample[2]->location_id[0]);
	release(profile);
}

static void inlined_calls_share_the_place_of_their_caller(void **state)
{
	LmPprof__Profile *profile = unpack(&go_snapshot, &everything);

	(void)state;
	assert_int_equal(profile->sample[0]->n_location_id, 4);
	assert_int_equal(location_of(profile, 0, 2)->n_line, 2);
	assert_string_equal(function_of(profile, 0, 2, 0), "main.query");
	assert_string_equal(function_of(profile, 0, 2, 1), "main.multiQuery.func1");
	assert_string_equal(label_of(profile, 0, "kind"), "goroutine");
	assert_string_equal(label_of(profile, 0, "wait"), "chan_send");
	release(profile);
}

static void a_name_cannot_pass_for_another(void **state)
{
	LmPprof__Profile *profile = unpack(&hostile_snapshot, &everything);

	(void)state;
	assert_string_equal(label_of(profile, 0, "comm"), "\\x1b[31mroot\\x1b[0m");
	assert_null(label_of(profile, 1, "comm")); /* not known */
	assert_string_equal(function_of(profile, 0, 2, 0), "f\\x0a\\x1b]0;owned\\x07;rm -rf");
	assert_int_equal(location_of(profile, 0, 2)->address, 0); /* no file is so large */
	assert_string_equal(function_of(profile, 1, 0, 0), "[unknown]");
	release(profile);
}

/* Sites with these sums of ages. */
static LmPprof__Profile *aged(double first_s, double second_s)
{
	const struct lm_snapshot_site sites[] = {{.pid = 1, .count = 1, .sum_blocked_s = first_s},
		{.pid = 2, .count = INT64_MAX, .sum_blocked_s = second_s}};
	const struct lm_snapshot snapshot = {MACHINE, ARRAY(sites, sites)};

	return unpack(&snapshot, &everything);
}

static void ages_whose_sum_is_too_large_for_nanoseconds_are_microseconds(void **state)
{
	LmPprof__Profile *profile = aged(4.5e9, 4.5e9);

	(void)state;
	assert_string_equal(text_of(profile, profile->sample_type[1]->unit), "nanoseconds");
	assert_int_equal(profile->sample[1]->value[1], INT64_C(4500000000000000000));
	release(profile);
	profile = aged(5e9, 5e9);
	assert_string_equal(text_of(profile, profile->sample_type[1]->unit), "microseconds");
	assert_int_equal(profile->sample[1]->value[1], INT64_C(5000000000000000));
	release(profile);
	profile = aged(1e300, 1e300);
	assert_int_equal(profile->sample[0]->value[1], INT64_MAX);
	assert_int_equal(profile->sample[1]->value[1], 0);
	assert_int_equal(profile->sample[1]->value[0], INT64_MAX - 1);
	release(profile);
	profile = aged(NAN, -1);
	assert_int_equal(profile->sample[0]->value[1], 0);
	assert_int_equal(profile->sample[1]->value[1], 0);
	release(profile);
}

static size_t samples(const struct lm_snapshot *snapshot, struct lm_profile_filter filter)
{
	LmPprof__Profile *profile = unpack(snapshot, &filter);
	size_t len = profile->n_sample;

	release(profile);
	return len;
}

static void a_profile_is_of_a_kind_or_of_a_process(void **state)
{
	(void)state;
	assert_int_equal(samples(&hostile_snapshot, (struct lm_profile_filter){.kind = LM_PROFILE_THREADS}), 1);
	assert_int_equal(samples(&hostile_snapshot, (struct lm_profile_filter){.kind = LM_PROFILE_GOROUTINES}), 1);
	assert_int_equal(samples(&nameless_snapshot, (struct lm_profile_filter){.pid = 80}), 1);
	assert_int_equal(samples(&nameless_snapshot, (struct lm_profile_filter){.pid = 5}), 0);
	assert_int_equal(samples(&nameless_snapshot, (struct lm_profile_filter){.top = 3}), 3);
	assert_int_equal(samples(&go_snapshot, (struct lm_profile_filter){.kind = LM_PROFILE_GOROUTINES, .top = 1}), 1);
}

static void thousands_of_sites_are_packed_whole(void **state)
{
	struct lm_arena *arena = lm_arena_new();
	struct lm_snapshot many = many_snapshot(arena, 3000, 100);
	LmPprof__Profile *profile = unpack(&many, &everything);

	(void)state;
	assert_int_equal(profile->n_sample, 3000);
	assert_int_equal(profile->n_function, 105);
	assert_int_equal(lines_of(profile, 2999), 105);
	release(profile);
	lm_snapshot_free(&many);
}

static void a_full_device_is_reported_wherever_it_fills_up(void **state)
{
	static profile_writer *const writers[] = {lm_profile_pprof, lm_profile_pprof_text, lm_profile_speedscope};

	(void)state;
	for (size_t i = 0; i < LEN(writers) * 2; i++) {
		size_t len;
		char *bytes = render(writers[i / 2], &leaky_snapshot, &everything, &len);

		for (size_t room = 0; room <= len; room += room + 1 < len && len - room > 40 ? 37 : 1) {
			size_t left = room;
			FILE *stream = golden_limited_stream(&left, i % 2 == 0);

			assert_int_equal(
				writers[i / 2](stream, &leaky_snapshot, &everything), room < len ? -ENOSPC : 0);
			fclose(stream);
		}
		free(bytes);
	}
}

/* What speedscope's schema asks for, and the sums. */
static void check_speedscope(const struct lm_snapshot *snapshot)
{
	char *text = render_text(lm_profile_speedscope, snapshot, &everything);
	json_t *file = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *frames, *profiles;

	assert_non_null(file);
	frames = json_object_get(json_object_get(file, "shared"), "frames");
	profiles = json_object_get(file, "profiles");
	assert_int_equal(json_array_size(profiles), 2);
	for (size_t i = 0; i < 2; i++) {
		json_t *profile = json_array_get(profiles, i), *all = json_object_get(profile, "samples");
		json_t *weights = json_object_get(profile, "weights");
		double sum = 0, end = json_number_value(json_object_get(profile, "endValue"));

		assert_int_equal(json_array_size(all), snapshot->sites_len);
		assert_int_equal(json_array_size(weights), snapshot->sites_len);
		for (size_t j = 0; j < snapshot->sites_len; j++) {
			json_t *sample = json_array_get(all, j);

			sum += json_number_value(json_array_get(weights, j));
			assert_true(json_array_size(sample) >= 2);
			for (size_t k = 0; k < json_array_size(sample); k++)
				assert_in_range(json_integer_value(json_array_get(sample, k)), 0,
					(int64_t)json_array_size(frames) - 1);
		}
		assert_true(fabs(sum - end) <= 1e-9 * end);
	}
	json_decref(file);
	free(text);
}

static void speedscope_files_name_only_frames_that_are_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(snapshots); i++)
		check_speedscope(snapshots[i]);
}

/* pprof's own patterns of this form. */
static void the_text_form_is_one_that_pprof_reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(snapshots); i++) {
		char *text = render_text(lm_profile_pprof_text, snapshots[i], &everything);
		char *line = strchr(text, '\n') + 1, kind[32];
		int64_t total;

		assert_int_equal(sscanf(text, "%31s profile: total %" SCNd64 "\n", kind, &total), 2);
		for (; *line; line += strcspn(line, "\n") + 1) {
			int64_t count;
			uint64_t address;

			if (*line != '#' && *line != '\n')
				assert_int_equal(sscanf(line, "%" SCNd64 " @ 0x%" SCNx64, &count, &address), 2);
		}
		free(text);
	}
}

struct golden {
	const char *file;
	profile_writer *write;
	const struct lm_snapshot *snapshot;
	struct lm_profile_filter filter;
};

static const struct golden goldens[] = {
	{"leaky.speedscope.json", lm_profile_speedscope, &leaky_snapshot, {0}},
	{"hostile.speedscope.json", lm_profile_speedscope, &hostile_snapshot, {0}},
	{"go.speedscope.json", lm_profile_speedscope, &go_snapshot, {.top = 1}},
	{"leaky.pprof.txt", lm_profile_pprof_text, &leaky_snapshot, {.kind = LM_PROFILE_THREADS}},
	{"hostile.pprof.txt", lm_profile_pprof_text, &hostile_snapshot, {0}},
	{"go.pprof.txt", lm_profile_pprof_text, &go_snapshot, {.kind = LM_PROFILE_GOROUTINES}},
	{"nameless-80.pprof.txt", lm_profile_pprof_text, &nameless_snapshot, {.pid = 80}},
};

static void golden_file_is_met(void **state)
{
	const struct golden *golden = *state;
	char *text = render_text(golden->write, golden->snapshot, &golden->filter);

	golden_is_met(golden->file, text);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pprof_holds_every_site_frame_and_total_of_any_report),
		cmocka_unit_test(pprof_says_what_a_sample_is),
		cmocka_unit_test(inlined_calls_share_the_place_of_their_caller),
		cmocka_unit_test(a_name_cannot_pass_for_another),
		cmocka_unit_test(ages_whose_sum_is_too_large_for_nanoseconds_are_microseconds),
		cmocka_unit_test(a_profile_is_of_a_kind_or_of_a_process),
		cmocka_unit_test(thousands_of_sites_are_packed_whole),
		cmocka_unit_test(a_full_device_is_reported_wherever_it_fills_up),
		cmocka_unit_test(speedscope_files_name_only_frames_that_are_there),
		cmocka_unit_test(the_text_form_is_one_that_pprof_reads),
	};
	struct CMUnitTest golden_tests[LEN(goldens)];
	int failed;

	for (size_t i = 0; i < LEN(goldens); i++)
		golden_tests[i] = (struct CMUnitTest){
			goldens[i].file, golden_file_is_met, NULL, NULL, (void *)(uintptr_t)&goldens[i]};
	failed = cmocka_run_group_tests_name("golden files", golden_tests, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL) + failed;
}
