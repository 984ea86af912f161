// SPDX-License-Identifier: GPL-2.0-or-later
/* The layout of Go's runtime from debug information, which may be broken or not that of the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_debug.h"
#include "fake_goroutines.h"
#include "user/golang/debug_layout.h"
#include "user/golang/runtime_find.h"

#define CHANGES 20000

static int set_up(void **state)
{
	struct fake_debug *debug = calloc(1, sizeof(*debug));

	elf_version(EV_CURRENT);
	*state = debug;
	return debug ? 0 : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static struct lm_elf *open_file(const struct fake_debug *debug)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct lm_elf *elf = NULL;

	assert_int_equal(write(fd, debug->bytes, debug->len), debug->len);
	assert_true(!lm_elf_open(fd, &elf) || !elf);
	return elf;
}

static int read_layout(const struct fake_debug *debug, struct lm_go_runtime_layout *layout)
{
	struct lm_elf *elf = open_file(debug);
	int error = elf ? lm_go_debug_layout(elf, layout) : -ENOEXEC;

	lm_elf_free(elf);
	return error;
}

static void like_version(struct fake_debug *debug, int minor)
{
	debug->traceable = minor >= 26;
	debug->labels = minor >= 24;
	debug->labels_map = minor < 24;
}

/* minor and bytes are not offsets. */
static void assert_same(const struct lm_go_runtime_layout *found, const struct lm_go_runtime_layout *wanted)
{
	struct lm_go_runtime_layout same = *found;

	same.minor = wanted->minor;
	same.g.bytes = wanted->g.bytes;
	assert_memory_equal(&same, wanted, sizeof(same));
	assert_in_range(found->g.bytes, found->g.labels + 8, LM_GO_G_MAX_BYTES);
}

static void the_layout_is_what_the_debug_information_says(void **state)
{
	static const int minors[] = {15, 19, 23, 24, 26};

	for (size_t i = 0; i < sizeof(minors) / sizeof(minors[0]); i++) {
		for (int form = FAKE_PLAIN; form <= FAKE_GNU_COMPRESSED; form++) {
			struct fake_debug *debug = *state;
			struct lm_go_runtime_layout layout;

			*debug = (struct fake_debug){.form = form};
			like_version(debug, minors[i]);
			fake_make_debug(debug, lm_go_runtime_layout_of(minors[i]));
			layout = *lm_go_runtime_layout_of(minors[i] < 24 ? 26 : 15); /* as far from it as may be */
			assert_int_equal(read_layout(debug, &layout), 0);
			assert_same(&layout, lm_go_runtime_layout_of(minors[i]));
		}
	}
}

static void a_runtime_that_nobody_has_seen_is_read_as_it_says(void **state)
{
	struct lm_go_runtime_layout future = *lm_go_runtime_layout_of(26), layout;
	struct fake_debug *debug = *state;

	like_version(debug, 26);
	future.g.labels = 0x240;
	future.channel.sendq = 0x38;
	future.sudog.link = 0x58;
	future.moduledata.data = 0x128;
	fake_make_debug(debug, &future);
	layout = *lm_go_runtime_layout_of(0);
	assert_int_equal(read_layout(debug, &layout), 0);
	assert_same(&layout, &future);
}

static void labels_of_which_nothing_is_said_are_those_of_the_version(void **state)
{
	struct fake_debug *debug = *state;

	for (int minor = 23; minor <= 24; minor++) {
		struct lm_go_runtime_layout layout = *lm_go_runtime_layout_of(minor);

		*debug = (struct fake_debug){0};
		fake_make_debug(debug, &layout);
		assert_int_equal(read_layout(debug, &layout), 0);
		assert_same(&layout, lm_go_runtime_layout_of(minor));
	}
}

static void assert_useless(const struct fake_debug *debug)
{
	struct lm_go_runtime_layout layout, before;

	memset(&layout, 0x55, sizeof(layout));
	before = layout;
	assert_int_equal(read_layout(debug, &layout), -ENOENT);
	assert_memory_equal(&layout, &before, sizeof(layout));
}

static void what_does_not_tell_everything_is_not_used(void **state)
{
	static const char *const members[] = {
		"goid", "atomicstatus", "c", "elem", "data", "sendq", "pc", "vu", "first"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct fake_debug *debug = *state;

		*debug = (struct fake_debug){.leave_out = members[i]};
		like_version(debug, 26);
		fake_make_debug(debug, lm_go_runtime_layout_of(26));
		assert_useless(debug);
	}
}

static void structs_of_other_packages_are_not_the_runtimes(void **state)
{
	struct fake_debug *debug = *state;

	debug->unit = "runtime/debug";
	like_version(debug, 26);
	fake_make_debug(debug, lm_go_runtime_layout_of(26));
	assert_useless(debug);
}

static void offsets_beyond_what_is_read_are_not_used(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct lm_go_runtime_layout large = *lm_go_runtime_layout_of(26);
		uint16_t *const fields[] = {
			&large.g.gopc, &large.sudog.channel, &large.channel.sendq, &large.moduledata.bss};
		const uint16_t firsts[] = {LM_GO_G_MAX_BYTES - 7, LM_GO_SUDOG_BYTES - 7, LM_GO_HCHAN_BYTES - 7, 0xfff0};
		struct fake_debug *debug = *state;

		*debug = (struct fake_debug){0};
		like_version(debug, 26);
		*fields[i] = firsts[i];
		fake_make_debug(debug, &large);
		assert_useless(debug);
	}
}

static void sections_that_claim_to_be_huge_are_not_decompressed(void **state)
{
	static const uint64_t sizes[] = {1, 100ull << 20, 127ull << 20, 1ull << 60, UINT64_MAX};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int form = FAKE_COMPRESSED; form <= FAKE_GNU_COMPRESSED; form++) {
			struct fake_debug *debug = *state;

			*debug = (struct fake_debug){.form = form, .claimed = sizes[i]};
			like_version(debug, 26);
			fake_make_debug(debug, lm_go_runtime_layout_of(26));
			assert_useless(debug);
		}
	}
}

/* Whatever is accepted lies within what is read. */
static void check_layout(const struct lm_go_runtime_layout *layout)
{
	const uint16_t *fields = &layout->g.stack_lo;

	assert_in_range(layout->g.bytes, 8, LM_GO_G_MAX_BYTES);
	for (size_t i = 0; i < offsetof(struct lm_go_runtime_layout, g.bytes) / 2 - 2; i++)
		assert_in_range(fields[i], 0, layout->g.bytes - 8);
	assert_in_range(layout->sudog.channel, 0, LM_GO_SUDOG_BYTES - 8);
	assert_in_range(layout->channel.sendq, 0, LM_GO_HCHAN_BYTES - 8);
}

static void broken_debug_information_does_no_harm(void **state)
{
	struct fake_debug *debug = *state;
	struct lm_go_runtime_layout layout;
	unsigned accepted = 0;

	like_version(debug, 26);
	fake_make_debug(debug, lm_go_runtime_layout_of(26));
	layout = *lm_go_runtime_layout_of(0);
	srandom(1);
	for (int i = 0; i < CHANGES; i++) {
		struct fake_debug broken = *debug;
		int changes = 1 + random() % 4;

		while (changes--)
			broken.bytes[64 + random() % (broken.len - 64)] = random();
		if (!read_layout(&broken, &layout)) {
			accepted++;
			check_layout(&layout);
		}
	}
	assert_in_range(accepted, 1, CHANGES - 1);
}

static const char *refusal(const struct lm_go_runtime_layout *program, const struct fake_debug *debug, bool *from_debug)
{
	static const struct lm_region region = {
		.start = FAKE_IMAGE, .end = FAKE_ETEXT, .module = 1, .executable = true};
	struct fake_go *fake = calloc(1, sizeof(*fake));
	struct lm_elf *elf = debug ? open_file(debug) : NULL;
	int fd = memfd_create("memory", MFD_CLOEXEC);
	struct lm_go_memory memory = {.fd = fd, .search_bytes_left = 1 << 20, .search_tries_left = 1000};
	struct lm_go_runtime runtime;
	struct lm_go_tables *tables;
	const char *why = NULL;
	int error;

	fake_make(fake, LM_GO_FORMAT_1_20, 27, "gox.99");
	fake_put_goroutines(fake, program);
	assert_int_equal(pwrite(fd, fake->bytes, FAKE_BYTES, 0), FAKE_BYTES);
	assert_int_equal(lm_go_tables_open(fd, &region, 1, &tables, &why), 0);
	error = lm_go_runtime_find(&memory, tables, elf, &runtime, &why);
	assert_int_equal(!error, !why);
	*from_debug = runtime.is_from_debug;
	lm_go_tables_free(tables);
	lm_elf_free(elf);
	close(fd);
	free(fake);
	return why;
}

static void a_version_that_is_not_known_is_read_with_debug_information_only(void **state)
{
	struct lm_go_runtime_layout program = *lm_go_runtime_layout_of(24);
	struct fake_debug *debug = *state;
	bool from_debug;

	like_version(debug, 24);
	fake_make_debug(debug, &program);
	assert_string_equal(refusal(&program, NULL, &from_debug), "its runtime is laid out in a way that is not known");
	assert_null(refusal(&program, debug, &from_debug));
	assert_true(from_debug);
}

static void debug_information_that_the_code_contradicts_is_refused(void **state)
{
	const struct lm_go_runtime_layout *program = lm_go_runtime_layout_of(26);
	struct lm_go_runtime_layout other = *program;
	struct fake_debug *debug = *state;
	bool from_debug;

	like_version(debug, 26);
	other.g.status += 8;
	fake_make_debug(debug, &other);
	assert_null(refusal(program, NULL, &from_debug));
	assert_false(from_debug);
	assert_string_equal(refusal(program, debug, &from_debug), "its debug information does not agree with its code");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_layout_is_what_the_debug_information_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_runtime_that_nobody_has_seen_is_read_as_it_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			labels_of_which_nothing_is_said_are_those_of_the_version, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_does_not_tell_everything_is_not_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(structs_of_other_packages_are_not_the_runtimes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(offsets_beyond_what_is_read_are_not_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sections_that_claim_to_be_huge_are_not_decompressed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(broken_debug_information_does_no_harm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_version_that_is_not_known_is_read_with_debug_information_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			debug_information_that_the_code_contradicts_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
