// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Methods: what they are called and where their lines are. A Method has a constant
 * part, which names its constant pool; names and the class's source file are entries of
 * the pool. Each pointer may lead anywhere: what is no text of a name is no method.
 */
#include <stdio.h>
#include <string.h>

#include "user/resolver/java_state.h"

#define NAME_MAX_BYTES 512       /* of a class or a method: longer ones are cut */
#define SIGNATURE_MAX_BYTES 1024 /* only for the key */
#define WORD 8
#define BYTECODE_MAX 65535
#define LINE_ENTRIES_MAX 8192
#define BIASED_SINCE 20 /* the JDK whose numbers of variable length have no byte 0 */

/* Where the constant part of a method leads. */
struct parts {
	uint64_t const_method, pool, pool_len, code_size, flags, klass;
};

/* Reads a Symbol; false if it is no printable text. */
static bool read_symbol(struct lm_java *java, uint64_t symbol, char *text, size_t size)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t len;

	if (!symbol || !lm_java_field_read(java->remote, symbol, &layout->symbol.length, &len) || !len)
		return false;
	if (len > size - 1)
		len = size - 1;
	if (!lm_remote_read(java->remote, symbol + layout->symbol.body.at, text, len))
		return false;
	text[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	}
	return true;
}

static bool read_pool_symbol(struct lm_java *java, const struct parts *parts, uint64_t index, char *text, size_t size)
{
	uint64_t symbol;

	return index && index < parts->pool_len &&
	       lm_remote_read(java->remote, parts->pool + java->layout.constant_pool.bytes + index * WORD, &symbol,
		       sizeof(symbol)) &&
	       read_symbol(java, symbol, text, size);
}

static bool read_parts(struct lm_java *java, uint64_t address, struct parts *parts)
{
	const struct lm_java_layout *layout = &java->layout;
	struct lm_remote *remote = java->remote;

	if (!address || address % WORD ||
		!lm_java_field_read(remote, address, &layout->method.const_method, &parts->const_method) ||
		!lm_java_field_read(remote, parts->const_method, &layout->const_method.constants, &parts->pool) ||
		!lm_java_field_read(remote, parts->const_method, &layout->const_method.code_size, &parts->code_size) ||
		!lm_java_field_read(remote, parts->pool, &layout->constant_pool.length, &parts->pool_len) ||
		!lm_java_field_read(remote, parts->pool, &layout->constant_pool.pool_holder, &parts->klass))
		return false;
	if (!lm_java_field_read(remote, parts->const_method, &layout->const_method.flags, &parts->flags))
		parts->flags = 0;
	return parts->code_size <= BYTECODE_MAX;
}

/* The class's source file, "" if it is not known. */
static void read_file(struct lm_java *java, const struct parts *parts, char *file, size_t size)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t index;

	if (!lm_java_field_read(java->remote, parts->pool, &layout->constant_pool.source_file_name_index, &index) &&
		!lm_java_field_read(java->remote, parts->klass, &layout->klass.source_file_name_index, &index))
		index = 0;
	if (!read_pool_symbol(java, parts, index, file, size))
		*file = '\0';
}

/* False if there is no method at the address. */
static bool read_names(struct lm_java *java, const struct parts *parts, char class_name[NAME_MAX_BYTES],
	char name[NAME_MAX_BYTES], char signature[SIGNATURE_MAX_BYTES])
{
	const struct lm_java_layout *layout = &java->layout;
	char internal[NAME_MAX_BYTES];
	uint64_t name_index, signature_index, class_symbol;

	if (!lm_java_field_read(java->remote, parts->const_method, &layout->const_method.name_index, &name_index) ||
		!lm_java_field_read(
			java->remote, parts->const_method, &layout->const_method.signature_index, &signature_index) ||
		!lm_java_field_read(java->remote, parts->klass, &layout->klass.name, &class_symbol) ||
		!read_symbol(java, class_symbol, internal, sizeof(internal)) ||
		!read_pool_symbol(java, parts, name_index, name, NAME_MAX_BYTES) ||
		!read_pool_symbol(java, parts, signature_index, signature, SIGNATURE_MAX_BYTES) || signature[0] != '(')
		return false;
	lm_java_class_name(internal, class_name, NAME_MAX_BYTES);
	return true;
}

const struct lm_java_method *lm_java_method_at(struct lm_java *java, uint64_t address)
{
	const struct lm_java_method *known = lm_java_names_method(java->names, address);
	char class_name[NAME_MAX_BYTES], name[NAME_MAX_BYTES], signature[SIGNATURE_MAX_BYTES], file[NAME_MAX_BYTES];
	char full[2 * NAME_MAX_BYTES];
	struct lm_java_method method = {.name = full, .file = file};
	struct parts parts;

	if (known)
		return known->key ? known : NULL;
	full[0] = file[0] = '\0';
	if (lm_java_spend(java) && read_parts(java, address, &parts) &&
		read_names(java, &parts, class_name, name, signature)) {
		method.key = lm_java_key(class_name, name, signature);
		method.code = parts.const_method + java->layout.const_method.bytes;
		method.code_size = parts.code_size;
		method.has_lines = parts.flags & java->layout.has_line_numbers;
		snprintf(full, sizeof(full), "%s.%s", class_name, name);
		read_file(java, &parts, file, sizeof(file));
	}
	known = lm_java_names_add_method(java->names, address, &method);
	return known && known->key ? known : NULL;
}

bool lm_java_number_read(struct lm_java *java, uint64_t *address, uint32_t *value)
{
	/* JDK 8, with one heap, calls itself 25 */
	unsigned bias = java->layout.major_version >= BIASED_SINCE && !java->layout.code_cache.heap.size;
	uint32_t sum = 0;

	for (unsigned i = 0; i < 5; i++) {
		uint8_t byte;

		if (!lm_java_spend(java) || !lm_remote_read(java->remote, (*address)++, &byte, 1) || byte < bias)
			return false;
		sum += (uint32_t)(byte - bias) << (6 * i);
		/* the highest 64 bytes say that another follows */
		if (byte < 192)
			break;
	}
	*value = sum;
	return true;
}

static bool read_signed(struct lm_java *java, uint64_t *address, int32_t *value)
{
	uint32_t number;

	if (!lm_java_number_read(java, address, &number))
		return false;
	*value = (int32_t)(number >> 1) ^ -(int32_t)(number & 1);
	return true;
}

/* The line of a bytecode: the table has pairs of steps, one a byte where both are small. */
static uint32_t find_line(struct lm_java *java, const struct lm_java_method *method, uint32_t wanted)
{
	uint64_t at = method->code + method->code_size;
	int64_t bci = 0, line = 0, best_bci = -1, best_line = 0;

	for (int i = 0; i < LINE_ENTRIES_MAX && method->has_lines; i++) {
		int32_t bci_step, line_step;
		uint8_t byte;

		if (!lm_java_spend(java) || !lm_remote_read(java->remote, at++, &byte, 1) || !byte)
			break;
		if (byte == 0xff) {
			if (!read_signed(java, &at, &bci_step) || !read_signed(java, &at, &line_step))
				break;
		} else {
			bci_step = byte >> 3;
			line_step = byte & 7;
		}
		bci += bci_step;
		line += line_step;
		if (bci <= wanted && bci >= best_bci) {
			best_bci = bci;
			best_line = line;
		}
	}
	return best_line > 0 && best_line <= BYTECODE_MAX ? best_line : 0;
}

uint64_t lm_java_method_place(struct lm_java *java, const struct lm_java_method *method, uint32_t bci)
{
	struct lm_java_place known;
	uint64_t key;

	if (bci >= method->code_size)
		bci = 0;
	key = method->key | bci;
	if (!lm_java_names_place(java->names, key, &known))
		lm_java_names_add_place(java->names, key, method, method->code_size ? find_line(java, method, bci) : 0);
	return key;
}
