// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages, each at the place that its number gives it: a table that is smaller than all places together never loses a
 * page to another of its own. */
#include "user/golang/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int lm_go_memory_init(struct lm_go_memory *memory, int fd)
{
	*memory = (struct lm_go_memory){.fd = fd,
		.pages = calloc(LM_GO_PAGES, sizeof(*memory->pages)),
		.search_bytes_left = LM_GO_SEARCH_BYTES,
		.search_tries_left = LM_GO_SEARCH_TRIES};
	return memory->pages ? 0 : -ENOMEM;
}

void lm_go_memory_release(struct lm_go_memory *memory)
{
	for (size_t i = 0; memory->pages && i < LM_GO_PAGES; i++)
		free(memory->pages[i].bytes);
	free(memory->pages);
	memory->pages = NULL;
}

/* How much could be read: up to the first page that is not there. */
static size_t read_part(int fd, uint64_t address, void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t len = pread(fd, (char *)buffer + done, size - done, (off_t)(address + done));

		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			break;
		done += len;
	}
	return done;
}

/* No user memory lies in the upper half: pread would take it as a negative offset. */
static bool is_sane(uint64_t address, size_t size)
{
	return address < (1ull << 63) && size < (1ull << 62);
}

bool lm_go_memory_read_now(const struct lm_go_memory *memory, uint64_t address, void *buffer, size_t size)
{
	return is_sane(address, size) && read_part(memory->fd, address, buffer, size) == size;
}

static const struct lm_go_page *find_page(struct lm_go_memory *memory, uint64_t start)
{
	struct lm_go_page *page = &memory->pages[start / LM_GO_PAGE_BYTES % LM_GO_PAGES];

	if (page->bytes && page->len && page->address == start)
		return page;
	if (!page->bytes) {
		page->bytes = malloc(LM_GO_PAGE_BYTES);
		if (!page->bytes)
			return NULL;
	}
	page->address = start;
	page->len = read_part(memory->fd, start, page->bytes, LM_GO_PAGE_BYTES);
	return page;
}

bool lm_go_memory_read(struct lm_go_memory *memory, uint64_t address, void *buffer, size_t size)
{
	unsigned char *out = buffer;

	if (!is_sane(address, size))
		return false;
	while (size) {
		size_t at = address % LM_GO_PAGE_BYTES, part = LM_GO_PAGE_BYTES - at;
		const struct lm_go_page *page = find_page(memory, address - at);

		if (part > size)
			part = size;
		if (!page || at + part > page->len)
			return false;
		memcpy(out, page->bytes + at, part);
		out += part;
		address += part;
		size -= part;
	}
	return true;
}

bool lm_go_memory_text(struct lm_go_memory *memory, uint64_t address, char *text, size_t size)
{
	if (!is_sane(address, size))
		return false;
	while (size) {
		size_t at = address % LM_GO_PAGE_BYTES, part;
		const struct lm_go_page *page = find_page(memory, address - at);

		if (!page || at >= page->len)
			return false;
		part = page->len - at;
		if (part > size)
			part = size;
		if (memccpy(text, page->bytes + at, '\0', part))
			return true;
		text += part;
		address += part;
		size -= part;
	}
	return false;
}

void lm_go_window_init(struct lm_go_window *window, const struct lm_go_memory *memory)
{
	window->memory = memory;
	window->start = 0;
	window->len = 0;
	window->fills_left = LM_GO_WINDOW_FILLS;
}

const unsigned char *lm_go_window_at(struct lm_go_window *window, uint64_t address, size_t size)
{
	if (size > LM_GO_WINDOW_BYTES || !is_sane(address, size))
		return NULL;
	if (address < window->start || address - window->start > window->len ||
		window->len - (address - window->start) < size) {
		if (!window->fills_left)
			return NULL;
		window->fills_left--;
		window->start = address;
		window->len = read_part(window->memory->fd, address, window->bytes, LM_GO_WINDOW_BYTES);
	}
	return size <= window->len ? window->bytes + (address - window->start) : NULL;
}

static bool is_one_of(uint64_t word, const uint64_t *words, size_t words_len)
{
	for (size_t i = 0; i < words_len; i++) {
		if (words[i] == word)
			return true;
	}
	return false;
}

/* The next part of a range, of words_len words. */
static bool read_words(struct lm_go_memory *memory, struct lm_go_range range, uint64_t *buffer, size_t *words_len)
{
	uint64_t size = range.end - range.start;

	if (size > LM_GO_WINDOW_BYTES)
		size = LM_GO_WINDOW_BYTES;
	if (size > memory->search_bytes_left)
		size = memory->search_bytes_left;
	memory->search_bytes_left -= size;
	*words_len = read_part(memory->fd, range.start, buffer, size) / sizeof(*buffer);
	return *words_len;
}

bool lm_go_memory_search(struct lm_go_memory *memory, struct lm_go_range range, const uint64_t *words, size_t words_len,
	bool (*accept)(void *context, uint64_t at), void *context, uint64_t *at)
{
	uint64_t *buffer = malloc(LM_GO_WINDOW_BYTES);
	bool found = false;
	size_t len;

	if (!is_sane(range.start, 0) || !is_sane(range.end, 0))
		range.end = range.start;
	range.start = (range.start + 7) & ~7ull;
	while (buffer && !found && range.start < range.end && read_words(memory, range, buffer, &len)) {
		for (size_t i = 0; i < len && !found && memory->search_tries_left; i++) {
			if (!is_one_of(buffer[i], words, words_len))
				continue;
			*at = range.start + i * sizeof(*buffer);
			found = accept(context, *at);
			memory->search_tries_left--;
		}
		range.start += len * sizeof(*buffer);
	}
	free(buffer);
	return found;
}
