// SPDX-License-Identifier: GPL-2.0-or-later
/* What the header and the moduledata say of each other must agree: that tells a moduledata from a chance word. */
#include "user/golang/layout.h"

#include <string.h>

#define FUNCTIONS_MAX 8000000u /* Kubernetes' largest programs have 200,000 */
#define TABLE_MAX (1ull << 28) /* bytes */
#define HEADER_WORDS 9
#define MODULEDATA_WORDS 48

/* Words of the moduledata. The first is the pclntab; each table is a slice: address, length, capacity. */
enum { NAMES = 1, UNITS = 4, FILES = 7, VALUES = 10, FUNCTIONS = 13, INDEX = 16, TEXT = 22 };
enum { OLD_INDEX = 3, OLD_TEXT = 12 };
enum { TYPES = 37, GOFUNC_1_18 = 38, GOFUNC_1_20 = 40, GOFUNC_1_27 = 43 };

const uint64_t lm_go_magics[LM_GO_MAGICS] = {
	0x08010000fffffffb, 0x08010000fffffffa, 0x08010000fffffff0, 0x08010000fffffff1};

bool lm_go_layout_read_header(const struct lm_go_memory *memory, uint64_t pclntab, struct lm_go_layout *layout)
{
	uint64_t words[HEADER_WORDS];
	const uint64_t *offsets;
	int format = 0;

	if (!lm_go_memory_read_now(memory, pclntab, words, sizeof(words)))
		return false;
	while (format < LM_GO_MAGICS && lm_go_magics[format] != words[0])
		format++;
	if (format == LM_GO_MAGICS || !words[1] || words[1] > FUNCTIONS_MAX)
		return false;
	*layout = (struct lm_go_layout){.format = format, .pclntab = pclntab, .functions_len = words[1]};
	if (format == LM_GO_FORMAT_1_2) {
		layout->index.start = pclntab + 16;
		return true;
	}
	/* the address of the code stands before the offsets from 1.18 on */
	offsets = words + (format == LM_GO_FORMAT_1_16 ? 3 : 4);
	for (int i = 0; i < 5; i++) {
		if (offsets[i] > TABLE_MAX || (i && offsets[i] < offsets[i - 1]))
			return false;
	}
	layout->names.start = pclntab + offsets[0];
	layout->units.start = pclntab + offsets[1];
	layout->files.start = pclntab + offsets[2];
	layout->values.start = pclntab + offsets[3];
	layout->functions.start = pclntab + offsets[4];
	layout->index.start = layout->functions.start;
	return true;
}

/* Takes over the length of a table that is where the header says it is. */
static bool take_slice(const uint64_t *words, size_t elem_bytes, struct lm_go_slice *slice)
{
	if (words[0] != slice->start || words[1] > TABLE_MAX / elem_bytes || words[2] < words[1])
		return false;
	slice->len = words[1] * elem_bytes;
	return true;
}

static bool take_old(const uint64_t *words, struct lm_go_layout *layout)
{
	struct lm_go_slice all = {.start = layout->pclntab};

	if (!take_slice(words, 1, &all) || !take_slice(words + OLD_INDEX, 16, &layout->index))
		return false;
	layout->names = layout->files = layout->values = layout->functions = all;
	layout->text = words[OLD_TEXT];
	layout->etext = words[OLD_TEXT + 1];
	return true;
}

/* 1.27 has a length between the beginning of the types and their end, and the end of the pclntab behind gofunc. */
static bool is_like_1_27(const uint64_t *words)
{
	return words[TYPES + 2] >= words[TYPES] && words[TYPES + 1] <= words[TYPES + 2] - words[TYPES] &&
	       words[GOFUNC_1_27 + 1] > words[0] && words[GOFUNC_1_27 + 1] - words[0] < TABLE_MAX;
}

static uint64_t find_gofunc(const uint64_t *words, int minor, enum lm_go_format format)
{
	if (format <= LM_GO_FORMAT_1_16)
		return 0;
	if (format == LM_GO_FORMAT_1_18)
		return words[GOFUNC_1_18];
	return words[(minor ? minor >= 27 : is_like_1_27(words)) ? GOFUNC_1_27 : GOFUNC_1_20];
}

bool lm_go_layout_read_moduledata(
	const struct lm_go_memory *memory, uint64_t moduledata, int minor, struct lm_go_layout *layout)
{
	size_t index_bytes = layout->format < LM_GO_FORMAT_1_18 ? 16 : 8;
	uint64_t words[MODULEDATA_WORDS];

	if (!lm_go_memory_read_now(memory, moduledata, words, sizeof(words)) || words[0] != layout->pclntab)
		return false;
	if (layout->format == LM_GO_FORMAT_1_2) {
		if (!take_old(words, layout))
			return false;
	} else {
		if (!take_slice(words + NAMES, 1, &layout->names) || !take_slice(words + UNITS, 4, &layout->units) ||
			!take_slice(words + FILES, 1, &layout->files) ||
			!take_slice(words + VALUES, 1, &layout->values) ||
			!take_slice(words + FUNCTIONS, 1, &layout->functions) ||
			!take_slice(words + INDEX, index_bytes, &layout->index))
			return false;
		layout->text = words[TEXT];
		layout->etext = words[TEXT + 1];
	}
	/* one more than there are functions: the end of the last */
	if (layout->index.len != (layout->functions_len + 1) * index_bytes)
		return false;
	layout->gofunc = find_gofunc(words, minor, layout->format);
	layout->moduledata = moduledata;
	return true;
}
