// SPDX-License-Identifier: GPL-2.0-or-later
/* Lengths and pointers are the target's own and may be anything: only so much is read, whatever they say. */
#include "user/resolver/python_code.h"

#include <stddef.h>
#include <string.h>

#define HEAD_BYTES 152               /* of a code object, up to the last field that is read */
#define TABLE_MAX_BYTES (128u << 10) /* of line tables: functions of 10,000 lines have some 60 KiB */
#define UNITS_MAX LM_PYTHON_TEXT_MAX
#define LINE_MAX 10000000 /* what is beyond is no line */

struct object_head {
	uint64_t references, type;
};

bool lm_python_is_a(struct lm_remote *remote, uint64_t object, uint64_t type)
{
	struct object_head head;

	return object % 8 == 0 && lm_remote_read(remote, object, &head, sizeof(head)) && head.type == type &&
	       head.references;
}

static uint64_t word_at(const unsigned char *bytes, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

bool lm_python_read_code(struct lm_remote *remote, const struct lm_python_runtime *runtime, uint64_t address,
	struct lm_python_code *code)
{
	const struct lm_python_layout *layout = &runtime->layout;
	unsigned char head[HEAD_BYTES];

	if (layout->code_lines + 8 > HEAD_BYTES || layout->code_name + 8 > HEAD_BYTES ||
		layout->code_file + 8 > HEAD_BYTES || layout->code_first_line + 8 > HEAD_BYTES)
		return false;
	if (address % 8 || !lm_remote_read(remote, address, head, sizeof(head)))
		return false;
	if (word_at(head, offsetof(struct object_head, type)) != runtime->code_type || !word_at(head, 0))
		return false;
	*code = (struct lm_python_code){
		.address = address,
		.file = word_at(head, layout->code_file),
		.name = word_at(head, layout->code_name),
		.lines = word_at(head, layout->code_lines),
		.first_line = (uint32_t)word_at(head, layout->code_first_line),
	};
	return code->first_line < LINE_MAX;
}

/* Returns how many bytes were written: 1 to 4. */
static size_t put_utf8(uint32_t character, char *text)
{
	if (!character || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
		character = 0xfffd;
	if (character < 0x80) {
		text[0] = character;
		return 1;
	}
	if (character < 0x800) {
		text[0] = 0xc0 | character >> 6;
		text[1] = 0x80 | (character & 0x3f);
		return 2;
	}
	if (character < 0x10000) {
		text[0] = 0xe0 | character >> 12;
		text[1] = 0x80 | (character >> 6 & 0x3f);
		text[2] = 0x80 | (character & 0x3f);
		return 3;
	}
	text[0] = 0xf0 | character >> 18;
	text[1] = 0x80 | (character >> 12 & 0x3f);
	text[2] = 0x80 | (character >> 6 & 0x3f);
	text[3] = 0x80 | (character & 0x3f);
	return 4;
}

static void to_utf8(const unsigned char *units, size_t len, unsigned unit_bytes, char text[LM_PYTHON_TEXT_MAX + 1])
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		uint32_t character = 0;
		char encoded[4];
		size_t encoded_len;

		memcpy(&character, units + i * unit_bytes, unit_bytes);
		encoded_len = put_utf8(character, encoded);
		if (at + encoded_len > LM_PYTHON_TEXT_MAX)
			break;
		memcpy(text + at, encoded, encoded_len);
		at += encoded_len;
	}
	text[at] = '\0';
}

bool lm_python_read_text(struct lm_remote *remote, const struct lm_python_runtime *runtime, uint64_t address,
	bool keep_end, char text[LM_PYTHON_TEXT_MAX + 1])
{
	struct {
		struct object_head head;
		uint64_t length, hash;
		uint32_t state;
	} str;
	unsigned char units[UNITS_MAX * 4];
	unsigned kind;
	uint64_t data, first = 0, len, most;

	if (address % 8 || !lm_remote_read(remote, address, &str, sizeof(str)) || str.head.type != runtime->str_type ||
		!str.head.references)
		return false;
	/* state: 2 bits interned, 3 of the kind, is it compact, is it ASCII */
	kind = str.state >> 2 & 7;
	if ((kind != 1 && kind != 2 && kind != 4) || !(str.state >> 5 & 1) || str.length > UINT32_MAX)
		return false;
	/* so many that they fit whatever they are */
	most = str.state >> 6 & 1 ? UNITS_MAX : kind == 1 ? UNITS_MAX / 2 : kind == 2 ? UNITS_MAX / 3 : UNITS_MAX / 4;
	len = str.length < most ? str.length : most;
	if (keep_end)
		first = str.length - len;
	data = address + (str.state >> 6 & 1 ? runtime->layout.ascii_bytes : runtime->layout.compact_bytes);
	if (!lm_remote_read(remote, data + first * kind, units, len * kind))
		return false;
	to_utf8(units, len, kind, text);
	return true;
}

/* The bytes of a line table, some at a time. */
struct table {
	struct lm_remote *remote;
	uint64_t address, left;
	size_t at, len;
	unsigned char bytes[256];
};

static bool open_table(
	struct lm_remote *remote, const struct lm_python_runtime *runtime, uint64_t address, struct table *table)
{
	struct {
		struct object_head head;
		uint64_t length;
	} bytes;

	if (address % 8 || !lm_remote_read(remote, address, &bytes, sizeof(bytes)) ||
		bytes.head.type != runtime->bytes_type || bytes.length > TABLE_MAX_BYTES)
		return false;
	table->remote = remote;
	table->address = address + 32;
	table->left = bytes.length;
	table->at = table->len = 0;
	return true;
}

/* The next byte; -1 at the end. */
static int next_byte(struct table *table)
{
	if (table->at == table->len) {
		table->len = table->left < sizeof(table->bytes) ? table->left : sizeof(table->bytes);
		table->at = 0;
		if (!table->len || !lm_remote_read(table->remote, table->address, table->bytes, table->len)) {
			table->left = table->len = 0;
			return -1;
		}
		table->address += table->len;
		table->left -= table->len;
	}
	return table->bytes[table->at++];
}

/* Objects/lnotab_notes.txt of 3.8: the line is that of the last entry that begins at the instruction or before it. */
static int64_t line_by_lnotab(struct table *table, int64_t line, uint64_t at)
{
	uint64_t start = 0;
	int step, lines;

	while ((step = next_byte(table)) >= 0 && (lines = next_byte(table)) >= 0) {
		start += step;
		if (start > at)
			break;
		line += (int8_t)lines;
	}
	return line;
}

/* Objects/lnotab_notes.txt of 3.10: entries are ranges; -128 is one without a line. */
static int64_t line_by_linetable(struct table *table, int64_t line, uint64_t at)
{
	uint64_t end = 0;
	int step, lines;

	while ((step = next_byte(table)) >= 0 && (lines = next_byte(table)) >= 0) {
		end += step;
		if ((int8_t)lines != -128)
			line += (int8_t)lines;
		if (at < end)
			return (int8_t)lines == -128 ? 0 : line;
	}
	return 0;
}

/* A number in groups of six bits, the lowest first; all but the last have bit 6. The sign is the lowest bit. */
static int64_t signed_varint(struct table *table)
{
	uint64_t value = 0;
	unsigned shift = 0;
	int byte;

	do {
		byte = next_byte(table);
		if (byte < 0)
			return 0;
		value |= (uint64_t)(byte & 0x3f) << shift;
		shift += 6;
	} while (byte & 0x40 && shift < 36);
	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* Objects/locations.md of 3.11: the first byte of an entry has bit 7 (no other has it), what kind it is and how many
 * units of code it is for. */
static int64_t line_by_locations(struct table *table, int64_t line, uint64_t at)
{
	enum { ONE_LINE = 10, NO_COLUMNS = 13, LONG = 14, NONE = 15 };
	uint64_t end = 0;
	int byte;

	while ((byte = next_byte(table)) >= 0) {
		unsigned kind = byte >> 3 & 15;

		if (!(byte & 0x80))
			continue; /* columns, of the entry before */
		end += ((byte & 7) + 1) * 2;
		if (kind == NO_COLUMNS || kind == LONG)
			line += signed_varint(table);
		else if (kind >= ONE_LINE && kind < NO_COLUMNS)
			line += kind - ONE_LINE;
		if (at < end)
			return kind == NONE ? 0 : line;
	}
	return 0;
}

/* How far the instruction lies behind the first one, in bytes; false if it has not begun. */
static bool find_distance(const struct lm_python_layout *layout, const struct lm_python_code *code,
	uint64_t instruction, uint64_t *distance)
{
	if (layout->frames == LM_PYTHON_FRAME_OBJECTS) {
		if ((int32_t)instruction < 0)
			return false;
		*distance = (uint64_t)(int32_t)instruction * (layout->lines == LM_PYTHON_LINETABLE ? 2 : 1);
		return true;
	}
	*distance = instruction - (code->address + layout->code_instructions);
	return !(*distance >> 63);
}

static uint32_t find_line(struct lm_remote *remote, const struct lm_python_runtime *runtime,
	const struct lm_python_code *code, uint64_t instruction)
{
	struct table table;
	uint64_t distance;
	int64_t line;

	if (!find_distance(&runtime->layout, code, instruction, &distance))
		return code->first_line;
	if (!open_table(remote, runtime, code->lines, &table))
		return 0;
	switch (runtime->layout.lines) {
	case LM_PYTHON_LNOTAB:
		line = line_by_lnotab(&table, code->first_line, distance);
		break;
	case LM_PYTHON_LINETABLE:
		line = line_by_linetable(&table, code->first_line, distance);
		break;
	default:
		line = line_by_locations(&table, code->first_line, distance);
	}
	return line > 0 && line < LINE_MAX ? (uint32_t)line : 0;
}

bool lm_python_read_place(struct lm_remote *remote, const struct lm_python_runtime *runtime,
	const struct lm_python_code *code, uint64_t instruction, struct lm_python_place *place)
{
	if (!lm_python_read_text(remote, runtime, code->name, false, place->name) ||
		!lm_python_read_text(remote, runtime, code->file, true, place->file))
		return false;
	place->first_line = code->first_line;
	place->line = find_line(remote, runtime, code, instruction);
	return true;
}
