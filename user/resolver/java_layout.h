/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a HotSpot JVM lays out what its stacks are made of. libjvm.so describes itself
 * in tables that it exports for debuggers, so no version's layout is known here.
 */
#ifndef LM_RESOLVER_JAVA_LAYOUT_H
#define LM_RESOLVER_JAVA_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/resolver/remote.h"

/* Where a field is: within its structure, or, of a static one, in memory. */
struct lm_java_field {
	uint64_t at;
	uint8_t size; /* 1, 2, 4 or 8; 0: this JVM has no such field */
};

/* Named after the JVM's own fields, without the underscore. */
struct lm_java_layout {
	struct {
		struct lm_java_field const_method;
	} method;
	struct {
		struct lm_java_field constants, flags, code_size, name_index, signature_index;
		uint64_t bytes;
	} const_method;
	struct {
		struct lm_java_field pool_holder, length, source_file_name_index;
		uint64_t bytes;
	} constant_pool;
	struct {
		struct lm_java_field name, source_file_name_index; /* the latter until JDK 15 */
	} klass;
	struct {
		struct lm_java_field length, body;
	} symbol;
	struct {
		struct lm_java_field heap, heaps; /* static: JDK 8 has one, later ones an array of them */
		struct lm_java_field memory, segmap, log2_segment_size;
		struct lm_java_field array_len, array_data;
		struct lm_java_field space_low, space_high;
		struct lm_java_field block_header, block_used;
		uint64_t block_bytes;
	} code_cache;
	struct {
		struct lm_java_field name, size, frame_size, frame_complete_offset, code_begin, code_offset,
			data_offset, mutable_data, relocation_size;
	} code_blob;
	struct {
		struct lm_java_field method, orig_pc_offset, deopt_handler_begin, deopt_handler_offset;
		struct lm_java_field immutable_data, scopes_pcs_offset, scopes_data_begin, scopes_data_offset,
			metadata_offset;
	} nmethod;
	struct {
		struct lm_java_field pc_offset, scope_decode_offset;
		uint64_t bytes;
	} pc_desc;
	struct {
		struct lm_java_field codelet_size, codelet_bytecode; /* of the interpreter, one for each bytecode */
		struct lm_java_field interpreter_code, stub_buffer, buffer_limit, call_stub_return_address;
	} stubs;
	int64_t has_line_numbers; /* flag of const_method.flags, 0: not known */
	int64_t major_version;    /* of the JVM, 0: not known */
};

#define LM_JAVA_VARIABLES 16

/* The variables that libjvm.so exports and that are used here. */
extern const char *const lm_java_variable_names[LM_JAVA_VARIABLES];

/* Reads the tables; variables are the addresses of those above. 0; -EAGAIN if the JVM has not filled them yet (it is
 * starting), or memory could not be read; -ENOTSUP if it has not what is needed, with the name of what is missing in
 * *why (static text). */
int lm_java_layout_read(struct lm_remote *remote, const uint64_t variables[LM_JAVA_VARIABLES],
	struct lm_java_layout *layout, const char **why);

/* Reads a field of the structure at base, zero-extended; of a static one, base is 0. */
bool lm_java_field_read(struct lm_remote *remote, uint64_t base, const struct lm_java_field *field, uint64_t *value);

/* Reads a text that ends in NUL, cut to size - 1 bytes. */
bool lm_java_text_read(struct lm_remote *remote, uint64_t address, char *text, size_t size);

#endif
