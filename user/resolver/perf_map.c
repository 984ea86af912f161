// SPDX-License-Identifier: GPL-2.0-or-later
/* Of each line only the range is kept and where its name lies in the file: a JVM has 50,000 methods. */
#include "user/resolver/perf_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define ENTRIES_MAX 262144
#define OVERLAPS_MAX 16 /* entries before the address that are looked at: code is thrown away and made anew */

struct entry {
	uint64_t start;
	uint32_t size, name_at; /* offset in the file; later lines are newer */
};

struct lm_perf_map {
	int fd;
	struct entry *entries;
	size_t len, room;
};

static bool take_hex(const char **at, const char *end, uint64_t *value)
{
	const char *text = *at;
	uint64_t sum = 0;

	if (end - text > 2 && text[0] == '0' && text[1] == 'x')
		text += 2;
	for (*at = text; text < end && text - *at < 16; text++) {
		unsigned digit;

		if (*text >= '0' && *text <= '9')
			digit = *text - '0';
		else if ((*text | 32) >= 'a' && (*text | 32) <= 'f')
			digit = (*text | 32) - 'a' + 10;
		else
			break;
		sum = sum << 4 | digit;
	}
	if (text == *at || text == end || *text != ' ')
		return false;
	*at = text + 1;
	*value = sum;
	return true;
}

static int add_entry(struct lm_perf_map *map, const struct entry *entry)
{
	if (map->len == map->room) {
		size_t larger = map->room ? map->room * 2 : 1024;
		struct entry *grown = realloc(map->entries, larger * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		map->entries = grown;
		map->room = larger;
	}
	map->entries[map->len++] = *entry;
	return 0;
}

/* A line without its newline, which lies at the offset of the file. What makes no sense is left out. */
static int take_line(struct lm_perf_map *map, const char *line, size_t len, size_t offset)
{
	const char *at = line, *end = line + len;
	uint64_t start, size;
	struct entry entry;

	if (!take_hex(&at, end, &start) || !take_hex(&at, end, &size) || !size || size > UINT32_MAX)
		return 0;
	if (map->len == ENTRIES_MAX)
		return 0;
	entry = (struct entry){.start = start, .size = size, .name_at = offset + (at - line)};
	return add_entry(map, &entry);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->name_at > y->name_at) - (x->name_at < y->name_at);
}

/* Lines that are longer than the buffer are taken up to its end, and what follows as lines that make no sense. */
static int read_entries(struct lm_perf_map *map, char *buffer)
{
	size_t offset = 0, kept = 0;
	int error = 0;

	while (!error && offset < LM_PERF_MAP_BYTES) {
		ssize_t got = pread(map->fd, buffer + kept, BUFFER_BYTES - kept, offset + kept);
		char *line = buffer, *end, *newline;

		if (got < 0)
			return -errno;
		if (got == 0)
			return 0; /* a line without an end is being written */
		end = buffer + kept + got;
		while (!error && (newline = memchr(line, '\n', end - line))) {
			error = take_line(map, line, newline - line, offset + (line - buffer));
			line = newline + 1;
		}
		if (line == buffer && end == buffer + BUFFER_BYTES)
			line = end;
		kept = end - line;
		offset += line - buffer;
		memmove(buffer, line, kept);
	}
	return error;
}

int lm_perf_map_open(int fd, struct lm_perf_map **out)
{
	struct lm_perf_map *map = calloc(1, sizeof(*map));
	char *buffer = malloc(BUFFER_BYTES);
	int error = -ENOMEM;

	if (!map || !buffer) {
		close(fd);
		free(map);
		goto free_buffer;
	}
	map->fd = fd;
	error = read_entries(map, buffer);
	if (error) {
		lm_perf_map_free(map);
		goto free_buffer;
	}
	if (map->len)
		qsort(map->entries, map->len, sizeof(map->entries[0]), compare_entries);
	*out = map;
free_buffer:
	free(buffer);
	return error;
}

void lm_perf_map_free(struct lm_perf_map *map)
{
	if (!map)
		return;
	close(map->fd);
	free(map->entries);
	free(map);
}

size_t lm_perf_map_bytes(const struct lm_perf_map *map)
{
	return sizeof(*map) + map->room * sizeof(map->entries[0]);
}

static const struct entry *find_entry(const struct lm_perf_map *map, uint64_t address)
{
	size_t low = 0, high = map ? map->len : 0, first;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->entries[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	first = low > OVERLAPS_MAX ? low - OVERLAPS_MAX : 0;
	while (low-- > first) {
		if (address - map->entries[low].start < map->entries[low].size)
			return &map->entries[low];
	}
	return NULL;
}

bool lm_perf_map_find(const struct lm_perf_map *map, uint64_t address, uint64_t *start)
{
	const struct entry *entry = find_entry(map, address);

	if (entry)
		*start = entry->start;
	return entry;
}

void lm_perf_map_name(const struct lm_perf_map *map, uint64_t address, char *name, size_t size)
{
	const struct entry *entry = find_entry(map, address);
	ssize_t len = entry ? pread(map->fd, name, size - 1, entry->name_at) : 0;

	name[len > 0 ? len : 0] = '\0';
	name[strcspn(name, "\r\n")] = '\0';
}
