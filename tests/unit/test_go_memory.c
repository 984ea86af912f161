// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of a Go program, for which a file stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/golang/memory.h"

#define PAGES 64
#define BYTES (PAGES * (uint64_t)LM_GO_PAGE_BYTES)
#define WORD 0x1122334455667788ull

struct fixture {
	int fd;
	struct lm_go_memory memory;
	unsigned accepted; /* how often a word was shown */
	uint64_t wanted;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	fixture->fd = memfd_create("memory", MFD_CLOEXEC);
	*state = fixture;
	return fixture->fd < 0 || ftruncate(fixture->fd, BYTES) || lm_go_memory_init(&fixture->memory, fixture->fd);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_go_memory_release(&fixture->memory);
	close(fixture->fd);
	free(fixture);
	return 0;
}

static void put(const struct fixture *fixture, uint64_t at, const void *bytes, size_t size)
{
	assert_int_equal(pwrite(fixture->fd, bytes, size, (off_t)at), size);
}

static void what_lies_across_pages_is_read_whole(void **state)
{
	struct fixture *fixture = *state;
	char text[16], long_text[LM_GO_PAGE_BYTES + 10];

	put(fixture, LM_GO_PAGE_BYTES - 3, "across", 7);
	assert_true(lm_go_memory_read(&fixture->memory, LM_GO_PAGE_BYTES - 3, text, 7));
	assert_string_equal(text, "across");
	memset(text, 0, sizeof(text));
	assert_true(lm_go_memory_text(&fixture->memory, LM_GO_PAGE_BYTES - 3, text, sizeof(text)));
	assert_string_equal(text, "across");
	assert_true(lm_go_memory_text(&fixture->memory, LM_GO_PAGE_BYTES - 3, text, 7));
	assert_false(lm_go_memory_text(&fixture->memory, LM_GO_PAGE_BYTES - 3, text, 6));
	memset(long_text, 'x', sizeof(long_text));
	put(fixture, BYTES - sizeof(long_text), long_text, sizeof(long_text));
	assert_false(lm_go_memory_text(&fixture->memory, BYTES - 5, long_text, sizeof(long_text)));
}

static void a_page_that_gives_way_to_another_is_read_again(void **state)
{
	struct fixture *fixture = *state;
	uint64_t far = LM_GO_PAGES * (uint64_t)LM_GO_PAGE_BYTES;
	char byte;

	put(fixture, 0, "a", 1);
	put(fixture, far, "b", 1);
	for (int i = 0; i < 3; i++) {
		assert_true(lm_go_memory_read(&fixture->memory, 0, &byte, 1));
		assert_int_equal(byte, 'a');
		assert_true(lm_go_memory_read(&fixture->memory, far, &byte, 1));
		assert_int_equal(byte, 'b');
	}
}

static void no_address_leads_astray(void **state)
{
	static const uint64_t addresses[] = {BYTES, BYTES - 1, 1ull << 40, 1ull << 62, 1ull << 63, UINT64_MAX - 1};
	struct fixture *fixture = *state;
	struct lm_go_window *window = malloc(sizeof(*window));
	char bytes[4];

	assert_non_null(window);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		assert_false(lm_go_memory_read(&fixture->memory, addresses[i], bytes, sizeof(bytes)));
		assert_false(lm_go_memory_read_now(&fixture->memory, addresses[i], bytes, sizeof(bytes)));
		lm_go_window_init(window, &fixture->memory);
		assert_null(lm_go_window_at(window, addresses[i], sizeof(bytes)));
	}
	assert_null(lm_go_window_at(window, 0, LM_GO_WINDOW_BYTES + 1));
	free(window);
}

static void a_window_follows_but_not_for_ever(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_window *window = malloc(sizeof(*window));
	unsigned fills = 0;

	assert_non_null(window);
	put(fixture, 100, "here", 5);
	put(fixture, BYTES - 5, "last", 5);
	lm_go_window_init(window, &fixture->memory);
	assert_string_equal((const char *)lm_go_window_at(window, 100, 5), "here");
	assert_string_equal((const char *)lm_go_window_at(window, BYTES - 5, 5), "last");
	assert_null(lm_go_window_at(window, BYTES - 5, 6));
	assert_string_equal((const char *)lm_go_window_at(window, 100, 5), "here");
	while (fills < 2 * LM_GO_WINDOW_FILLS && lm_go_window_at(window, fills % 2 ? 0 : BYTES / 2, 1))
		fills++;
	assert_in_range(fills, LM_GO_WINDOW_FILLS - 10, LM_GO_WINDOW_FILLS);
	free(window);
}

static bool accept_wanted(void *context, uint64_t at)
{
	struct fixture *fixture = context;

	fixture->accepted++;
	return at == fixture->wanted;
}

static bool search(struct fixture *fixture, uint64_t start, uint64_t end, uint64_t *at)
{
	static const uint64_t words[] = {1, WORD};

	return lm_go_memory_search(
		&fixture->memory, (struct lm_go_range){start, end}, words, 2, accept_wanted, fixture, at);
}

static void aligned_words_are_found_up_to_the_one_that_is_accepted(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t word = WORD;
	uint64_t at;

	fixture->wanted = LM_GO_WINDOW_BYTES + 16;
	put(fixture, 0, &word, 8);
	put(fixture, 20, &word, 8); /* not aligned */
	put(fixture, LM_GO_WINDOW_BYTES + 8, &word, 8);
	put(fixture, LM_GO_WINDOW_BYTES + 16, &word, 8);
	put(fixture, LM_GO_WINDOW_BYTES + 24, &word, 8);
	assert_true(search(fixture, 0, BYTES, &at));
	assert_int_equal(at, fixture->wanted);
	assert_int_equal(fixture->accepted, 3);
	/* what begins or ends in between */
	assert_true(search(fixture, 1, fixture->wanted + 8, &at));
	assert_int_equal(fixture->accepted, 5);
	assert_false(search(fixture, 1, fixture->wanted + 7, &at));
	assert_false(search(fixture, fixture->wanted + 8, BYTES + (1ull << 50), &at));
	assert_false(search(fixture, 10, 0, &at));
	assert_false(search(fixture, UINT64_MAX - 20, UINT64_MAX, &at));
}

static void a_search_ends_where_every_word_is_one(void **state)
{
	struct fixture *fixture = *state;
	uint64_t *words = malloc(BYTES), at;

	assert_non_null(words);
	for (size_t i = 0; i < BYTES / sizeof(*words); i++)
		words[i] = WORD;
	put(fixture, 0, words, BYTES);
	free(words);
	fixture->wanted = UINT64_MAX;
	assert_false(search(fixture, 0, BYTES, &at));
	assert_false(search(fixture, 0, BYTES, &at));
	assert_int_equal(fixture->accepted, LM_GO_SEARCH_TRIES);
}

static void all_searches_together_are_bounded(void **state)
{
	struct fixture *fixture = *state;
	unsigned rounds = 0;
	uint64_t at;

	fixture->memory.search_bytes_left = 10 * BYTES;
	while (rounds < 100 && fixture->memory.search_bytes_left) {
		search(fixture, 0, BYTES, &at);
		rounds++;
	}
	assert_int_equal(rounds, 10);
	assert_false(search(fixture, 0, BYTES, &at));
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		test(what_lies_across_pages_is_read_whole),
		test(a_page_that_gives_way_to_another_is_read_again),
		test(no_address_leads_astray),
		test(a_window_follows_but_not_for_ever),
		test(aligned_words_are_found_up_to_the_one_that_is_accepted),
		test(a_search_ends_where_every_word_is_one),
		test(all_searches_together_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
