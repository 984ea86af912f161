// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/PID/maps: the mappings that are needed to name code, out of as many as a
 * process likes to have. Read once, line by line; of the other mappings nothing is kept.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/lines.h"
#include "user/proc.h"
#include "user/proc_files.h"

/* Chromium and the JVM have some 1,000 such mappings; a process that has more than this wants to hurt. */
#define MAPS_MAX 20000
#define PATHS_BYTES_MAX (8 * 1024 * 1024)

/* A path is at most 4 KiB, four times that if it is all newlines, behind 80 bytes of numbers. */
static_assert(LM_LINE_BYTES_MAX > 4 * PATH_MAX + 80, "lines are taken whole");

struct reader {
	struct lm_maps maps;
	size_t allocated;
	size_t path_bytes;
};

static bool is_file(const struct lm_map *map)
{
	return map->inode != 0;
}

static int compare_files(const void *a, const void *b)
{
	const struct lm_map *x = a, *y = b;

	if (x->dev_major != y->dev_major)
		return x->dev_major < y->dev_major ? -1 : 1;
	if (x->dev_minor != y->dev_minor)
		return x->dev_minor < y->dev_minor ? -1 : 1;
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static bool same_file(const struct lm_map *a, const struct lm_map *b)
{
	return compare_files(a, b) == 0;
}

/* The files that have code: copies of their mappings, sorted; the paths stay those of the originals. */
static int collect_code(const struct lm_maps *maps, struct lm_map **code, size_t *code_len)
{
	struct lm_map *files = malloc((maps->len + 1) * sizeof(*files));
	size_t len = 0;

	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < maps->len; i++) {
		if (maps->maps[i].executable && is_file(&maps->maps[i]))
			files[len++] = maps->maps[i];
	}
	qsort(files, len, sizeof(*files), compare_files);
	*code = files;
	*code_len = len;
	return 0;
}

/* Drops the data of files without code, but not that of the file read last if more of it may come. */
static int drop_data(struct reader *reader, bool more_to_come)
{
	struct lm_maps *maps = &reader->maps;
	struct lm_map *code, last;
	size_t code_len, kept = 0;
	int error = collect_code(maps, &code, &code_len);

	if (error)
		return error;
	if (maps->len)
		last = maps->maps[maps->len - 1];
	for (size_t i = 0; i < maps->len; i++) {
		struct lm_map *map = &maps->maps[i];

		if (map->executable || bsearch(map, code, code_len, sizeof(*code), compare_files) ||
			(more_to_come && same_file(map, &last))) {
			maps->maps[kept++] = *map;
		} else {
			reader->path_bytes -= strlen(map->path) + 1;
			free(map->path);
		}
	}
	maps->len = kept;
	free(code);
	return 0;
}

/* Makes room for one more mapping. -E2BIG if there are too many, even without those that can be dropped. */
static int make_room(struct reader *reader)
{
	struct lm_map *grown;
	size_t wanted;
	int error;

	if (reader->maps.len >= MAPS_MAX || reader->path_bytes >= PATHS_BYTES_MAX) {
		error = drop_data(reader, true);
		if (error)
			return error;
		/* with little gained, the next call would come soon */
		if (reader->maps.len > MAPS_MAX / 4 * 3 || reader->path_bytes > PATHS_BYTES_MAX / 4 * 3)
			return -E2BIG;
	}
	if (reader->maps.len < reader->allocated)
		return 0;
	wanted = reader->allocated ? reader->allocated * 2 : 64;
	grown = reallocarray(reader->maps.maps, wanted, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	reader->maps.maps = grown;
	reader->allocated = wanted;
	return 0;
}

/* The kernel writes a newline in a path as "\012", and nothing else so; a backslash it leaves alone. */
static char *decode_path(const char *text)
{
	char *path = malloc(strlen(text) + 1), *out = path;

	if (!path)
		return NULL;
	while (*text) {
		if (strncmp(text, "\\012", 4) == 0) {
			*out++ = '\n';
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = 0;
	return path;
}

/* Reads digits of this base up to the character that must end them. */
static bool take_number(const char **at, int base, char end, uint64_t *value)
{
	static const char digits[] = "0123456789abcdef";
	const char *text = *at, *digit;
	uint64_t sum = 0;

	for (; *text && (digit = memchr(digits, *text, base)); text++) {
		if (__builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
			__builtin_add_overflow(sum, (uint64_t)(digit - digits), &sum))
			return false;
	}
	if (text == *at || *text != end)
		return false;
	*at = text + 1;
	*value = sum;
	return true;
}

/* "start-end perms offset major:minor inode   path"; path is set to the part of the line that holds it. */
static bool parse_line(const char *line, struct lm_map *map, const char **path)
{
	uint64_t major, minor;

	if (!take_number(&line, 16, '-', &map->start) || !take_number(&line, 16, ' ', &map->end))
		return false;
	if (strnlen(line, 5) < 5 || line[4] != ' ' || map->end <= map->start)
		return false;
	map->executable = line[2] == 'x';
	line += 5;
	if (!take_number(&line, 16, ' ', &map->file_offset) || !take_number(&line, 16, ':', &major) ||
		!take_number(&line, 16, ' ', &minor))
		return false;
	/* the kernel puts a blank after the inode of mappings without a name, too; a laid-out file need not */
	if (!take_number(&line, 10, ' ', &map->inode) && !take_number(&line, 10, 0, &map->inode))
		return false;
	map->dev_major = major;
	map->dev_minor = minor;
	*path = line[-1] ? line + strspn(line, " ") : "";
	return true;
}

static int take_line(const char *line, enum lm_line_end end, void *context)
{
	struct reader *reader = context;
	struct lm_map map = {0};
	const char *path;
	int error;

	/* A line that cannot be understood is of no use, but those that follow are. The process may go away while it is
	 * read: then the last one has no end. */
	if (end != LM_LINE_WHOLE || !parse_line(line, &map, &path)) {
		reader->maps.truncated = true;
		return 0;
	}
	if (!map.executable && !is_file(&map))
		return 0;
	error = make_room(reader);
	if (error)
		return error;
	map.path = decode_path(path);
	if (!map.path)
		return -ENOMEM;
	reader->path_bytes += strlen(map.path) + 1;
	reader->maps.maps[reader->maps.len++] = map;
	return 0;
}

static bool ends_deleted(const char *path)
{
	const size_t len = strlen(path), suffix_len = sizeof(LM_PROC_DELETED) - 1;

	return len > suffix_len && strcmp(path + len - suffix_len, LM_PROC_DELETED) == 0;
}

/* Takes " (deleted)" off the paths where it is the kernel's and not part of the name. */
static void find_deleted(const char *proc_root, pid_t pid, struct lm_maps *maps)
{
	char name[64], link[PATH_MAX];
	const struct lm_map *before = NULL;

	for (size_t i = 0; i < maps->len; i++) {
		struct lm_map *map = &maps->maps[i];

		if (!ends_deleted(map->path))
			continue;
		if (before && same_file(before, map)) {
			map->deleted = before->deleted;
		} else {
			snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, map->start, map->end);
			map->deleted = lm_proc_path(proc_root, pid, name, link) || lm_proc_unlinked(link);
			before = map;
		}
		if (map->deleted)
			map->path[strlen(map->path) - (sizeof(LM_PROC_DELETED) - 1)] = 0;
	}
}

int lm_proc_maps(const char *proc_root, pid_t pid, struct lm_maps *maps)
{
	struct reader reader = {0};
	int fd, error = lm_proc_open(proc_root, pid, "maps", &fd);

	if (error)
		return error;
	error = lm_lines_read(fd, take_line, &reader);
	close(fd);
	if (error == -E2BIG) {
		reader.maps.truncated = true;
		error = 0;
	}
	if (!error)
		error = drop_data(&reader, false);
	if (error) {
		lm_maps_free(&reader.maps);
		return error;
	}
	find_deleted(proc_root, pid, &reader.maps);
	*maps = reader.maps;
	return 0;
}

void lm_maps_free(struct lm_maps *maps)
{
	if (!maps)
		return;
	for (size_t i = 0; i < maps->len; i++)
		free(maps->maps[i].path);
	free(maps->maps);
	*maps = (struct lm_maps){0};
}
