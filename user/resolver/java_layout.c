// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables that libjvm.so exports for debuggers (gHotSpotVMStructs and others), read
 * from the target's memory. Names of fields are those of JDK 8 to 25; where a field has
 * moved from one class to another there is a row for each. The tables are the
 * target's own, so they are bounded like all else.
 */
#include "user/resolver/java_layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES_MAX 8192 /* of a table: JDK 8 has some 3,000 constants, all others fewer */
#define NAME_BYTES 64    /* none of those that are looked for is as long */
#define ENTRY_BYTES 64   /* the largest entry has 48 */
#define PAGE_BYTES 4096u
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define FIELD(type, name, member, required)                                                                            \
	{                                                                                                              \
		type, name, offsetof(struct lm_java_layout, member), required                                          \
	}

struct field_row {
	const char *type, *name;
	size_t member; /* struct lm_java_field of the layout */
	bool required; /* unless another row fills the same member */
};

static const struct field_row field_rows[] = {
	FIELD("Method", "_constMethod", method.const_method, true),
	FIELD("ConstMethod", "_constants", const_method.constants, true),
	FIELD("ConstMethod", "_flags", const_method.flags, false),
	FIELD("ConstMethod", "_flags._flags", const_method.flags, false),
	FIELD("ConstMethod", "_code_size", const_method.code_size, true),
	FIELD("ConstMethod", "_name_index", const_method.name_index, true),
	FIELD("ConstMethod", "_signature_index", const_method.signature_index, true),
	FIELD("ConstantPool", "_pool_holder", constant_pool.pool_holder, true),
	FIELD("ConstantPool", "_length", constant_pool.length, true),
	FIELD("ConstantPool", "_source_file_name_index", constant_pool.source_file_name_index, false),
	FIELD("InstanceKlass", "_source_file_name_index", klass.source_file_name_index, false),
	FIELD("Klass", "_name", klass.name, true),
	FIELD("Symbol", "_length", symbol.length, true),
	FIELD("Symbol", "_body", symbol.body, true),
	FIELD("Symbol", "_body[0]", symbol.body, true),
	FIELD("CodeCache", "_heap", code_cache.heap, false),
	FIELD("CodeCache", "_heaps", code_cache.heaps, false),
	FIELD("CodeHeap", "_memory", code_cache.memory, true),
	FIELD("CodeHeap", "_segmap", code_cache.segmap, true),
	FIELD("CodeHeap", "_log2_segment_size", code_cache.log2_segment_size, true),
	FIELD("GrowableArrayBase", "_len", code_cache.array_len, false),
	FIELD("GenericGrowableArray", "_len", code_cache.array_len, false),
	FIELD("GrowableArray<int>", "_data", code_cache.array_data, false),
	FIELD("VirtualSpace", "_low", code_cache.space_low, true),
	FIELD("VirtualSpace", "_high", code_cache.space_high, true),
	FIELD("HeapBlock", "_header", code_cache.block_header, true),
	FIELD("HeapBlock::Header", "_used", code_cache.block_used, true),
	FIELD("CodeBlob", "_name", code_blob.name, true),
	FIELD("CodeBlob", "_size", code_blob.size, true),
	FIELD("CodeBlob", "_frame_size", code_blob.frame_size, true),
	FIELD("CodeBlob", "_frame_complete_offset", code_blob.frame_complete_offset, false),
	FIELD("CodeBlob", "_code_begin", code_blob.code_begin, false),
	FIELD("CodeBlob", "_code_offset", code_blob.code_offset, false),
	FIELD("CodeBlob", "_data_offset", code_blob.data_offset, false),
	FIELD("CodeBlob", "_mutable_data", code_blob.mutable_data, false),
	FIELD("CodeBlob", "_relocation_size", code_blob.relocation_size, false),
	FIELD("nmethod", "_method", nmethod.method, true),
	FIELD("CompiledMethod", "_method", nmethod.method, true),
	FIELD("nmethod", "_orig_pc_offset", nmethod.orig_pc_offset, false),
	FIELD("CompiledMethod", "_deopt_handler_begin", nmethod.deopt_handler_begin, false),
	FIELD("nmethod", "_deopt_handler_offset", nmethod.deopt_handler_offset, false),
	FIELD("nmethod", "_deoptimize_offset", nmethod.deopt_handler_offset, false),
	FIELD("nmethod", "_immutable_data", nmethod.immutable_data, false),
	FIELD("nmethod", "_scopes_pcs_offset", nmethod.scopes_pcs_offset, false),
	FIELD("CompiledMethod", "_scopes_data_begin", nmethod.scopes_data_begin, false),
	FIELD("nmethod", "_scopes_data_begin", nmethod.scopes_data_begin, false),
	FIELD("nmethod", "_scopes_data_offset", nmethod.scopes_data_offset, false),
	FIELD("nmethod", "_metadata_offset", nmethod.metadata_offset, false),
	FIELD("PcDesc", "_pc_offset", pc_desc.pc_offset, false),
	FIELD("PcDesc", "_scope_decode_offset", pc_desc.scope_decode_offset, false),
	FIELD("InterpreterCodelet", "_size", stubs.codelet_size, false),
	FIELD("InterpreterCodelet", "_bytecode", stubs.codelet_bytecode, false),
	FIELD("AbstractInterpreter", "_code", stubs.interpreter_code, true),
	FIELD("StubQueue", "_stub_buffer", stubs.stub_buffer, true),
	FIELD("StubQueue", "_buffer_limit", stubs.buffer_limit, true),
	FIELD("StubRoutines", "_call_stub_return_address", stubs.call_stub_return_address, true),
};

/* Static numbers that are read at once: they are set when the library is loaded. */
static const char version_type[] = "Abstract_VM_Version", version_field[] = "_vm_major_version";

struct number_row {
	const char *name;
	size_t member; /* uint64_t or int64_t of the layout */
	bool required;
};

#define NUMBER(name, member, required)                                                                                 \
	{                                                                                                              \
		name, offsetof(struct lm_java_layout, member), required                                                \
	}

static const struct number_row size_rows[] = {
	NUMBER("ConstMethod", const_method.bytes, true),
	NUMBER("ConstantPool", constant_pool.bytes, true),
	NUMBER("HeapBlock", code_cache.block_bytes, true),
	NUMBER("PcDesc", pc_desc.bytes, false),
};

static const struct number_row constant_rows[] = {
	NUMBER("ConstMethod::_has_linenumber_table", has_line_numbers, false),
	NUMBER("ConstMethodFlags::_misc_has_linenumber_table", has_line_numbers, false),
};

const char *const lm_java_variable_names[LM_JAVA_VARIABLES] = {
	"gHotSpotVMStructs",
	"gHotSpotVMStructEntryArrayStride",
	"gHotSpotVMStructEntryTypeNameOffset",
	"gHotSpotVMStructEntryFieldNameOffset",
	"gHotSpotVMStructEntryTypeStringOffset",
	"gHotSpotVMStructEntryIsStaticOffset",
	"gHotSpotVMStructEntryOffsetOffset",
	"gHotSpotVMStructEntryAddressOffset",
	"gHotSpotVMTypes",
	"gHotSpotVMTypeEntryArrayStride",
	"gHotSpotVMTypeEntryTypeNameOffset",
	"gHotSpotVMTypeEntrySizeOffset",
	"gHotSpotVMIntConstants",
	"gHotSpotVMIntConstantEntryArrayStride",
	"gHotSpotVMIntConstantEntryNameOffset",
	"gHotSpotVMIntConstantEntryValueOffset",
};

struct reader {
	struct lm_remote *remote;
	const uint64_t *variables;
	struct lm_java_layout *layout;
};

/* One of the tables: where it is, how long its entries are, and where in an entry what is looked for lies. */
struct table {
	uint64_t at, stride;
	uint64_t columns[6];
};

bool lm_java_field_read(struct lm_remote *remote, uint64_t base, const struct lm_java_field *field, uint64_t *value)
{
	uint64_t found = 0;

	if (!field->size || field->size > sizeof(found) ||
		!lm_remote_read(remote, base + field->at, &found, field->size))
		return false;
	*value = found;
	return true;
}

bool lm_java_text_read(struct lm_remote *remote, uint64_t address, char *text, size_t size)
{
	size_t len = 0;

	/* what lies behind the text may not be there: never beyond its page */
	while (len < size - 1) {
		size_t part = PAGE_BYTES - (address + len) % PAGE_BYTES;

		if (part > size - 1 - len)
			part = size - 1 - len;
		if (!lm_remote_read(remote, address + len, text + len, part))
			return false;
		if (memchr(text + len, 0, part))
			return true;
		len += part;
	}
	text[len] = '\0';
	return true;
}

static bool read_variable(const struct reader *reader, const char *name, uint64_t *value)
{
	for (size_t i = 0; i < LM_JAVA_VARIABLES; i++) {
		uint64_t address = reader->variables[i];

		if (strcmp(lm_java_variable_names[i], name) == 0)
			return address && lm_remote_read(reader->remote, address, value, sizeof(*value));
	}
	return false;
}

/* Finds a table by its names: "gHotSpotVM", its kind, then the columns. */
static bool find_table(
	const struct reader *reader, const char *kind, const char *const *columns, size_t len, struct table *table)
{
	char name[NAME_BYTES];

	/* structs, types and constants are in the plural; their entries are not */
	snprintf(name, sizeof(name), "gHotSpotVM%ss", kind);
	if (!read_variable(reader, name, &table->at))
		return false;
	snprintf(name, sizeof(name), "gHotSpotVM%sEntryArrayStride", kind);
	if (!read_variable(reader, name, &table->stride) || !table->stride || table->stride > ENTRY_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		snprintf(name, sizeof(name), "gHotSpotVM%sEntry%sOffset", kind, columns[i]);
		if (!read_variable(reader, name, &table->columns[i]) || table->columns[i] >= table->stride)
			return false;
	}
	return true;
}

/* Copies the entry at the index; false at the table's end or if it cannot be read. */
static bool read_entry(const struct reader *reader, const struct table *table, size_t index, unsigned char *entry)
{
	memset(entry, 0, ENTRY_BYTES + 8);
	return index < ENTRIES_MAX &&
	       lm_remote_read(reader->remote, table->at + index * table->stride, entry, table->stride);
}

static uint64_t column(const struct table *table, const unsigned char *entry, size_t number, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, entry + table->columns[number], size);
	return value;
}

/* The size of a field by its C++ type; what is neither a small number nor known is a pointer, or a structure of which
 * only the place matters. */
static uint8_t size_of_type(const char *type)
{
	static const struct {
		const char *type;
		uint8_t size;
	} sizes[] = {
		{"int", 4},
		{"jint", 4},
		{"unsigned int", 4},
		{"u4", 4},
		{"uint32_t", 4},
		{"uint", 4},
		{"Bytecodes::Code", 4},
		{"juint", 4},
		{"AccessFlags", 2},
		{"u2", 2},
		{"jushort", 2},
		{"uint16_t", 2},
		{"int16_t", 2},
		{"unsigned short", 2},
		{"u1", 1},
		{"bool", 1},
		{"unsigned char", 1},
		{"uint8_t", 1},
		{"CodeBlobKind", 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (strcmp(sizes[i].type, type) == 0)
			return sizes[i].size;
	}
	return 8;
}

enum struct_column { TYPE_NAME, FIELD_NAME, TYPE_STRING, IS_STATIC, OFFSET, ADDRESS };

static bool is_wanted_type(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(field_rows); i++) {
		if (strcmp(field_rows[i].type, type) == 0)
			return true;
	}
	return strcmp(version_type, type) == 0;
}

static void take_field(const struct reader *reader, const struct table *table, const unsigned char *entry,
	const char *type, const char *name)
{
	bool is_static = column(table, entry, IS_STATIC, 4);
	struct lm_java_field field = {.at = column(table, entry, is_static ? ADDRESS : OFFSET, 8)};
	char type_string[NAME_BYTES];

	if (!lm_java_text_read(reader->remote, column(table, entry, TYPE_STRING, 8), type_string, sizeof(type_string)))
		return;
	field.size = size_of_type(type_string);
	/* no structure is as large */
	if (!is_static && field.at > PAGE_BYTES)
		return;
	if (strcmp(type, version_type) == 0 && strcmp(name, version_field) == 0) {
		uint32_t version = 0;

		lm_remote_read(reader->remote, field.at, &version, sizeof(version));
		reader->layout->major_version = version;
	}
	for (size_t i = 0; i < ARRAY_LEN(field_rows); i++) {
		const struct field_row *row = &field_rows[i];

		if (strcmp(row->type, type) == 0 && strcmp(row->name, name) == 0)
			memcpy((char *)reader->layout + row->member, &field, sizeof(field));
	}
}

static bool read_fields(const struct reader *reader)
{
	static const char *const columns[] = {"TypeName", "FieldName", "TypeString", "IsStatic", "Offset", "Address"};
	unsigned char entry[ENTRY_BYTES + 8];
	char type[NAME_BYTES] = "", name[NAME_BYTES];
	uint64_t type_at = 0, at;
	bool wanted = false;
	struct table table;

	if (!find_table(reader, "Struct", columns, ARRAY_LEN(columns), &table))
		return false;
	for (size_t i = 0; read_entry(reader, &table, i, entry); i++) {
		at = column(&table, entry, TYPE_NAME, 8);
		if (!at)
			return true;
		/* the fields of a class stand together, and share the text of its name */
		if (at != type_at) {
			if (!lm_java_text_read(reader->remote, at, type, sizeof(type)))
				return false;
			type_at = at;
			wanted = is_wanted_type(type);
		}
		if (wanted &&
			lm_java_text_read(reader->remote, column(&table, entry, FIELD_NAME, 8), name, sizeof(name)))
			take_field(reader, &table, entry, type, name);
	}
	return false;
}

/* Reads a table of names (the first column) and numbers of that size (the second). */
static bool read_numbers(const struct reader *reader, const char *kind, const char *const columns[2], size_t size,
	const struct number_row *rows, size_t rows_len)
{
	unsigned char entry[ENTRY_BYTES + 8];
	char name[NAME_BYTES];
	struct table table;

	if (!find_table(reader, kind, columns, 2, &table))
		return false;
	for (size_t i = 0; read_entry(reader, &table, i, entry); i++) {
		uint64_t at = column(&table, entry, 0, 8), value = column(&table, entry, 1, size);

		if (!at)
			return true;
		if (!lm_java_text_read(reader->remote, at, name, sizeof(name)))
			return false;
		for (size_t row = 0; row < rows_len; row++) {
			if (strcmp(rows[row].name, name) == 0)
				memcpy((char *)reader->layout + rows[row].member, &value, sizeof(value));
		}
	}
	return false;
}

/* What is needed and was not found, NULL if nothing. */
static const char *missing(const struct lm_java_layout *layout)
{
	for (size_t i = 0; i < ARRAY_LEN(field_rows); i++) {
		const struct lm_java_field *field = (const void *)((const char *)layout + field_rows[i].member);

		if (field_rows[i].required && !field->size)
			return field_rows[i].name;
	}
	for (size_t i = 0; i < ARRAY_LEN(size_rows); i++) {
		const uint64_t *bytes = (const void *)((const char *)layout + size_rows[i].member);

		if (size_rows[i].required && (!*bytes || *bytes > PAGE_BYTES))
			return size_rows[i].name;
	}
	if (!layout->code_cache.heap.size && !layout->code_cache.heaps.size)
		return "CodeCache::_heaps";
	if (layout->code_cache.heaps.size &&
		(!layout->code_cache.array_len.size || !layout->code_cache.array_data.size))
		return "GrowableArray";
	if (!layout->code_blob.code_begin.size && !layout->code_blob.code_offset.size)
		return "CodeBlob::_code_begin";
	return NULL;
}

int lm_java_layout_read(struct lm_remote *remote, const uint64_t variables[LM_JAVA_VARIABLES],
	struct lm_java_layout *layout, const char **why)
{
	static const char *const type_columns[] = {"TypeName", "Size"}, *const int_columns[] = {"Name", "Value"};
	struct lm_java_layout read = {0};
	struct reader reader = {.remote = remote, .variables = variables, .layout = &read};
	const char *lacks;

	if (!read_fields(&reader) || !read_numbers(&reader, "Type", type_columns, 8, size_rows, ARRAY_LEN(size_rows)) ||
		!read_numbers(&reader, "IntConstant", int_columns, 4, constant_rows, ARRAY_LEN(constant_rows)))
		return -EAGAIN;
	lacks = missing(&read);
	if (lacks) {
		*why = lacks;
		return -ENOTSUP;
	}
	*layout = read;
	return 0;
}
