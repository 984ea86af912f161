// SPDX-License-Identifier: GPL-2.0-or-later
/* pcvalue tables: runs of a value and the code it holds for, both as differences to the run before (runtime.pcvalue).
 */
#include "user/golang/tables_state.h"

#define PART_BYTES 64

/* Bytes of a table, a few at a time. */
struct bytes {
	struct lm_go_tables *tables;
	uint64_t offset; /* of the next part */
	size_t at, len;
	unsigned char part[PART_BYTES];
};

static bool next_byte(struct bytes *bytes, unsigned char *byte)
{
	const struct lm_go_slice *values = &bytes->tables->layout.values;

	if (bytes->at == bytes->len) {
		if (bytes->offset >= values->len)
			return false;
		bytes->len = values->len - bytes->offset < PART_BYTES ? values->len - bytes->offset : PART_BYTES;
		bytes->at = 0;
		if (!lm_go_slice_read(bytes->tables, values, bytes->offset, bytes->part, bytes->len))
			return false;
		bytes->offset += bytes->len;
	}
	*byte = bytes->part[bytes->at++];
	return true;
}

static bool next_number(struct bytes *bytes, uint32_t *number)
{
	*number = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		unsigned char byte;

		if (!next_byte(bytes, &byte))
			return false;
		*number |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

bool lm_go_value_find(
	struct lm_go_tables *tables, const struct lm_go_func *func, uint32_t offset, uint64_t pc, int32_t *value)
{
	struct bytes bytes = {.tables = tables, .offset = offset};
	uint64_t end = func->entry;
	uint32_t sum = UINT32_MAX;

	if (!offset)
		return false;
	for (bool first = true; tables->values_left; first = false) {
		uint32_t change, size;

		tables->values_left--;
		if (!next_number(&bytes, &change) || (!change && !first) || !next_number(&bytes, &size))
			return false;
		/* the sign is the lowest bit */
		sum += -(change & 1) ^ change >> 1;
		end += size;
		if (pc < end) {
			*value = (int32_t)sum;
			return true;
		}
	}
	return false;
}
