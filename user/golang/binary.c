// SPDX-License-Identifier: GPL-2.0-or-later
/* From mappings to the addresses of what Go's linker wrote. */
#include "user/golang/binary.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/golang/image.h"

#define NOTE_BYTES 4096
#define NOTE_GO_BUILD_ID 4
#define VERSION_MAX 128
#define BUILDINFO_MAGIC 0x697562206f4720ffull /* "\xff Go bui" */
#define BUILDINFO_SEARCH (1u << 20)           /* bytes: it is close to the beginning of the data */

/* The beginning of the build information, as cmd/link/internal/ld/data.go writes it. */
struct buildinfo {
	char magic[14];
	uint8_t pointer_bytes, flags;
	uint64_t version; /* without INLINE: the address of a string */
	uint64_t module;
};

#define INLINE 2 /* of its flags: the version stands behind it */

static bool accept_buildinfo(void *context, uint64_t at)
{
	const struct lm_go_memory *memory = context;
	struct buildinfo info;

	return lm_go_memory_read_now(memory, at, &info, sizeof(info)) &&
	       memcmp(info.magic, "\xff Go buildinf:", sizeof(info.magic)) == 0 &&
	       (info.flags & INLINE || info.pointer_bytes == 8) && at % 16 == 0;
}

static struct lm_go_range begin_of(struct lm_go_range range, uint64_t most)
{
	if (range.end - range.start > most)
		range.end = range.start + most;
	return range;
}

/* At the beginning of what is written, or of what is only relocated. */
static uint64_t search_buildinfo(struct lm_go_memory *memory, const struct lm_go_binary *binary)
{
	const uint64_t magic = BUILDINFO_MAGIC;
	uint64_t at;

	for (size_t i = 0; i < binary->segments_len; i++) {
		const struct lm_go_segment *segment = &binary->segments[i];

		if (segment->writable && lm_go_memory_search(memory, begin_of(segment->range, BUILDINFO_SEARCH), &magic,
						 1, accept_buildinfo, memory, &at))
			return at;
	}
	return 0;
}

static bool has_go_note(const struct lm_go_memory *memory, const struct lm_go_binary *binary)
{
	size_t size = binary->note_bytes < NOTE_BYTES ? binary->note_bytes : NOTE_BYTES, at = 0;
	unsigned char notes[NOTE_BYTES];
	Elf64_Nhdr note;

	if (!size || !lm_go_memory_read_now(memory, binary->note, notes, size))
		return false;
	while (at + sizeof(note) + 4 <= size) {
		uint64_t len;

		memcpy(&note, notes + at, sizeof(note));
		if (note.n_namesz == 4 && note.n_type == NOTE_GO_BUILD_ID &&
			memcmp(notes + at + sizeof(note), "Go\0", 4) == 0)
			return true;
		len = sizeof(note) + (((uint64_t)note.n_namesz + 3) & ~3ull) + (((uint64_t)note.n_descsz + 3) & ~3ull);
		if (len > size - at)
			break;
		at += len;
	}
	return false;
}

/* No sections, or no file: the segments are there all the same, and say enough. */
static bool is_go_without_sections(struct lm_go_memory *memory, struct lm_go_binary *binary)
{
	binary->buildinfo = search_buildinfo(memory, binary);
	return binary->buildinfo || has_go_note(memory, binary);
}

/* A file's first mapping is where its ELF header is, as far as one can tell from one with code. */
static bool read_headers(const struct lm_go_memory *memory, const struct lm_region *region, struct lm_go_binary *binary)
{
	return (region->file_offset <= region->start &&
		       lm_go_image_read(memory, region->start - region->file_offset, binary)) ||
	       lm_go_image_read(memory, region->start, binary);
}

static bool is_go(
	struct lm_go_memory *memory, const struct lm_region *region, bool is_main, struct lm_go_binary *binary)
{
	enum lm_go_sections sections = LM_GO_SECTIONS_NONE;

	*binary = (struct lm_go_binary){0};
	if (region->elf && lm_elf_bias(region->elf, region->start, region->end, region->file_offset, &binary->bias)) {
		sections = lm_go_image_sections(region->elf, binary);
		if (sections == LM_GO_SECTIONS_OTHER)
			return false;
		lm_go_image_segments(region->elf, binary);
	} else if (is_main) {
		read_headers(memory, region, binary);
	}
	return sections == LM_GO_SECTIONS_GO || (is_main && is_go_without_sections(memory, binary));
}

int lm_go_binary_find(
	struct lm_go_memory *memory, const struct lm_region *regions, size_t regions_len, struct lm_go_binary *binary)
{
	const struct lm_region *last = NULL;
	bool is_main = true;

	for (size_t i = 0; i < regions_len; i++) {
		const struct lm_region *region = &regions[i];

		if (!region->executable || (last && last->module == region->module && last->elf == region->elf))
			continue;
		if (is_go(memory, region, is_main, binary))
			return 0;
		/* the main program is the first file: what is before it was only mapped */
		is_main &= region->module == LM_MODULE_NONE;
		last = region;
	}
	return -ENOEXEC;
}

/* Numbers of Go's: at most 10 bytes, seven bits in each. */
static bool read_length(const unsigned char *bytes, size_t size, size_t *at, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; *at < size && shift < 63; shift += 7) {
		unsigned char byte = bytes[(*at)++];

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool read_inline_version(const struct lm_go_memory *memory, uint64_t at, char *version, uint64_t *len)
{
	unsigned char bytes[10];
	size_t used = 0;

	return lm_go_memory_read_now(memory, at, bytes, sizeof(bytes)) &&
	       read_length(bytes, sizeof(bytes), &used, len) && *len <= VERSION_MAX &&
	       lm_go_memory_read_now(memory, at + used, version, *len);
}

/* Before 1.18: the address of a string header. */
static bool read_linked_version(const struct lm_go_memory *memory, uint64_t at, char *version, uint64_t *len)
{
	uint64_t string[2];

	if (!lm_go_memory_read_now(memory, at, string, sizeof(string)) || string[1] > VERSION_MAX)
		return false;
	*len = string[1];
	return lm_go_memory_read_now(memory, string[0], version, *len);
}

static int minor_of(const char *version)
{
	char *end;
	unsigned long minor;

	if (strncmp(version, "go1.", 4) != 0 || version[4] < '0' || version[4] > '9')
		return 0;
	minor = strtoul(version + 4, &end, 10);
	/* "go1.24", "go1.24.4", "go1.25rc1", "go1.24 X:name", "go1.26-a1b2c3" */
	return minor < 1000 && (!*end || strchr(".- rb", *end)) ? (int)minor : 0;
}

bool lm_go_binary_version(
	const struct lm_go_memory *memory, const struct lm_go_binary *binary, char *version, size_t size, int *minor)
{
	struct buildinfo info;
	char text[VERSION_MAX];
	uint64_t len;

	*minor = 0;
	if (!binary->buildinfo || !accept_buildinfo((void *)memory, binary->buildinfo) ||
		!lm_go_memory_read_now(memory, binary->buildinfo, &info, sizeof(info)))
		return false;
	if (!(info.flags & INLINE ? read_inline_version(memory, binary->buildinfo + sizeof(info), text, &len)
				  : read_linked_version(memory, info.version, text, &len)))
		return false;
	if (len >= size)
		len = size - 1;
	for (uint64_t i = 0; i < len; i++)
		version[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	version[len] = '\0';
	*minor = minor_of(version);
	return len;
}

struct search {
	struct lm_go_memory *memory;
	struct lm_go_layout *layout;
	int minor;
};

static bool accept_header(void *context, uint64_t at)
{
	const struct search *search = context;

	return lm_go_layout_read_header(search->memory, at, search->layout);
}

static bool accept_moduledata(void *context, uint64_t at)
{
	const struct search *search = context;

	return lm_go_layout_read_moduledata(search->memory, at, search->minor, search->layout);
}

static bool find_header(const struct search *search, const struct lm_go_binary *binary)
{
	uint64_t at;

	if (binary->pclntab)
		return accept_header((void *)search, binary->pclntab);
	/* read-only data first: there it is, but in the oldest position-dependent programs */
	for (int writable = 0; writable < 2; writable++) {
		for (size_t i = 0; i < binary->segments_len; i++) {
			const struct lm_go_segment *segment = &binary->segments[i];

			if (segment->writable == writable &&
				lm_go_memory_search(search->memory, segment->range, lm_go_magics, LM_GO_MAGICS,
					accept_header, (void *)search, &at))
				return true;
		}
	}
	return false;
}

static bool find_moduledata_in(const struct search *search, struct lm_go_range range)
{
	uint64_t at;

	return lm_go_memory_search(
		search->memory, range, &search->layout->pclntab, 1, accept_moduledata, (void *)search, &at);
}

static bool find_moduledata(const struct search *search, const struct lm_go_binary *binary)
{
	if (find_moduledata_in(search, binary->moduledata) || find_moduledata_in(search, binary->data))
		return true;
	for (int writable = 1; writable >= 0; writable--) {
		for (size_t i = 0; i < binary->segments_len; i++) {
			const struct lm_go_segment *segment = &binary->segments[i];

			if (segment->writable == writable && !segment->executable &&
				find_moduledata_in(search, segment->range))
				return true;
		}
	}
	return false;
}

int lm_go_binary_layout(
	struct lm_go_memory *memory, const struct lm_go_binary *binary, int minor, struct lm_go_layout *layout)
{
	const struct search search = {.memory = memory, .layout = layout, .minor = minor};

	if (!find_header(&search, binary))
		return -ENOTSUP;
	if (find_moduledata(&search, binary))
		return 0;
	/* that of a program that may be anywhere leads nowhere until it has been relocated */
	return binary->bias ? -EAGAIN : -ENOTSUP;
}
