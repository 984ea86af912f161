/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A JVM made by hand in the test's own memory, with a layout of its own: the tables
 * that describe it, a code cache with an interpreter, a compiled method and a stub, two
 * methods, and a stack. Tests change what they like before they look at it.
 */
#ifndef LM_FAKE_JVM_H
#define LM_FAKE_JVM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "user/resolver/java.h"

#define SEGMENT 64
#define SEGMENTS 256
#define INTERPRETER 16 /* segments where things begin */
#define COMPILED 64
#define STUB 128
#define CODE_AT 96       /* bytes from a blob's header to its code */
#define COMPILED_FRAME 8 /* words */
#define STUB_FRAME 4

struct fake_symbol {
	uint32_t hash;
	uint16_t length;
	char body[58];
};

struct fake_klass {
	uint64_t vtable;
	const struct fake_symbol *name;
};

struct fake_pool {
	uint64_t vtable;
	struct fake_klass *holder;
	int32_t length;
	uint16_t source_file;
	uint64_t entries[8];
};

struct fake_const_method {
	struct fake_pool *constants;
	uint16_t flags, code_size, name, signature;
	uint8_t code[48]; /* bytecode, then lines */
};

struct fake_method {
	uint64_t vtable;
	struct fake_const_method *const_method;
};

struct fake_space {
	uint64_t low, high;
};

struct fake_heap {
	struct fake_space memory, segmap;
	int32_t log2_segment;
};

struct fake_block {
	uint64_t length;
	uint8_t used;
};

struct fake_pc_desc {
	int32_t pc_offset, scope;
};

struct fake_blob {
	const char *name;
	int32_t size, frame_size, frame_complete, code_offset;
	/* of a method */
	struct fake_method *method;
	int32_t orig_pc, deopt_handler, scopes_pcs, scopes_data, metadata;
};

struct fake_queue {
	uint64_t buffer;
	int32_t limit;
};

struct fake_field {
	const char *type, *name, *type_string;
	int32_t is_static;
	uint64_t offset;
	void *address;
};

struct fake_type {
	const char *name;
	uint64_t size;
};

struct fake_constant {
	const char *name;
	int32_t value;
};

struct fake_array {
	int32_t len;
	uint64_t *data;
};

struct fake_jvm {
	struct fake_field fields[64];
	struct fake_type types[8];
	struct fake_constant constants[4];
	uint64_t pointers[LM_JAVA_VARIABLES]; /* the exported variables */
	uint64_t variables[LM_JAVA_VARIABLES];
	struct fake_symbol class_name, outer_name, inner_name, signature, file;
	struct fake_klass klass;
	struct fake_pool pool;
	struct fake_const_method outer_const, inner_const;
	struct fake_method outer, inner;
	_Alignas(4096) unsigned char code[SEGMENTS * SEGMENT];
	unsigned char segmap[SEGMENTS];
	struct fake_heap heap;
	uint64_t heap_pointer;
	struct fake_array array, *heaps;
	struct fake_queue queue, *interpreter;
	uint64_t call_stub_return;
	int32_t version;
	struct fake_pc_desc pc_descs[4]; /* copied into the compiled method */
	unsigned char scopes[32];
	uint64_t stack[64];
};

#define OF(type, field_name, string, structure, member)                                                                \
	(struct fake_field)                                                                                            \
	{                                                                                                              \
		type, field_name, string, 0, offsetof(structure, member), NULL                                         \
	}
#define AT(type, field_name, string, variable)                                                                         \
	(struct fake_field)                                                                                            \
	{                                                                                                              \
		type, field_name, string, 1, 0, variable                                                               \
	}

static inline void fake_symbol_set(struct fake_symbol *symbol, const char *text)
{
	symbol->length = strlen(text);
	memcpy(symbol->body, text, strlen(text));
}

static inline void fake_describe_methods(struct fake_jvm *jvm, size_t *len)
{
	struct fake_field *field = jvm->fields + *len;

	*field++ = OF("Method", "_constMethod", "ConstMethod*", struct fake_method, const_method);
	*field++ = OF("ConstMethod", "_constants", "ConstantPool*", struct fake_const_method, constants);
	*field++ = OF("ConstMethod", "_flags", "u2", struct fake_const_method, flags);
	*field++ = OF("ConstMethod", "_code_size", "u2", struct fake_const_method, code_size);
	*field++ = OF("ConstMethod", "_name_index", "u2", struct fake_const_method, name);
	*field++ = OF("ConstMethod", "_signature_index", "u2", struct fake_const_method, signature);
	*field++ = OF("ConstantPool", "_pool_holder", "InstanceKlass*", struct fake_pool, holder);
	*field++ = OF("ConstantPool", "_length", "int", struct fake_pool, length);
	*field++ = OF("ConstantPool", "_source_file_name_index", "u2", struct fake_pool, source_file);
	*field++ = OF("Klass", "_name", "Symbol*", struct fake_klass, name);
	*field++ = OF("Symbol", "_length", "u2", struct fake_symbol, length);
	*field++ = OF("Symbol", "_body", "", struct fake_symbol, body);
	*len = field - jvm->fields;
}

static inline void fake_describe_code(struct fake_jvm *jvm, size_t *len)
{
	struct fake_field *field = jvm->fields + *len;

	*field++ = AT("CodeCache", "_heaps", "GrowableArray<CodeHeap*>*", &jvm->heaps);
	*field++ = OF("GrowableArrayBase", "_len", "int", struct fake_array, len);
	*field++ = OF("GrowableArray<int>", "_data", "int*", struct fake_array, data);
	*field++ = OF("CodeHeap", "_memory", "VirtualSpace", struct fake_heap, memory);
	*field++ = OF("CodeHeap", "_segmap", "VirtualSpace", struct fake_heap, segmap);
	*field++ = OF("CodeHeap", "_log2_segment_size", "int", struct fake_heap, log2_segment);
	*field++ = OF("VirtualSpace", "_low", "char*", struct fake_space, low);
	*field++ = OF("VirtualSpace", "_high", "char*", struct fake_space, high);
	*field++ = OF("HeapBlock", "_header", "HeapBlock::Header", struct fake_block, length);
	*field++ = OF("HeapBlock::Header", "_used", "bool", struct fake_block, used);
	*field++ = OF("CodeBlob", "_name", "const char*", struct fake_blob, name);
	*field++ = OF("CodeBlob", "_size", "int", struct fake_blob, size);
	*field++ = OF("CodeBlob", "_frame_size", "int", struct fake_blob, frame_size);
	*field++ = OF("CodeBlob", "_frame_complete_offset", "int", struct fake_blob, frame_complete);
	*field++ = OF("CodeBlob", "_code_offset", "int", struct fake_blob, code_offset);
	*field++ = OF("nmethod", "_method", "Method*", struct fake_blob, method);
	*field++ = OF("nmethod", "_orig_pc_offset", "int", struct fake_blob, orig_pc);
	*field++ = OF("nmethod", "_deopt_handler_offset", "int", struct fake_blob, deopt_handler);
	*field++ = OF("nmethod", "_scopes_pcs_offset", "int", struct fake_blob, scopes_pcs);
	*field++ = OF("nmethod", "_scopes_data_offset", "int", struct fake_blob, scopes_data);
	*field++ = OF("nmethod", "_metadata_offset", "int", struct fake_blob, metadata);
	*field++ = OF("PcDesc", "_pc_offset", "int", struct fake_pc_desc, pc_offset);
	*field++ = OF("PcDesc", "_scope_decode_offset", "int", struct fake_pc_desc, scope);
	*field++ = AT("AbstractInterpreter", "_code", "StubQueue*", &jvm->interpreter);
	*field++ = OF("StubQueue", "_stub_buffer", "address", struct fake_queue, buffer);
	*field++ = OF("StubQueue", "_buffer_limit", "int", struct fake_queue, limit);
	*field++ = AT("StubRoutines", "_call_stub_return_address", "address", &jvm->call_stub_return);
	*field++ = AT("Abstract_VM_Version", "_vm_major_version", "int", &jvm->version);
	*len = field - jvm->fields;
}

static inline void fake_tables(struct fake_jvm *jvm)
{
	const uint64_t pointers[LM_JAVA_VARIABLES] = {(uintptr_t)jvm->fields, sizeof(struct fake_field),
		offsetof(struct fake_field, type), offsetof(struct fake_field, name),
		offsetof(struct fake_field, type_string), offsetof(struct fake_field, is_static),
		offsetof(struct fake_field, offset), offsetof(struct fake_field, address), (uintptr_t)jvm->types,
		sizeof(struct fake_type), offsetof(struct fake_type, name), offsetof(struct fake_type, size),
		(uintptr_t)jvm->constants, sizeof(struct fake_constant), offsetof(struct fake_constant, name),
		offsetof(struct fake_constant, value)};
	size_t len = 0;

	memcpy(jvm->pointers, pointers, sizeof(pointers));
	for (size_t i = 0; i < LM_JAVA_VARIABLES; i++)
		jvm->variables[i] = (uintptr_t)&jvm->pointers[i];
	fake_describe_methods(jvm, &len);
	fake_describe_code(jvm, &len);
	jvm->types[0] = (struct fake_type){"ConstMethod", offsetof(struct fake_const_method, code)};
	jvm->types[1] = (struct fake_type){"ConstantPool", offsetof(struct fake_pool, entries)};
	jvm->types[2] = (struct fake_type){"HeapBlock", sizeof(struct fake_block)};
	jvm->types[3] = (struct fake_type){"PcDesc", sizeof(struct fake_pc_desc)};
	jvm->constants[0] = (struct fake_constant){"ConstMethod::_has_linenumber_table", 1};
}

/* com.example.Client.await, which is inlined into com.example.Client.call; both have lines: 7 from bytecode 0, 9 from
 * 3, and a far one. */
static inline void fake_methods(struct fake_jvm *jvm)
{
	/* the second table by an escape: bytecode 0 + 0, line 0 + 300 (zigzag 600, in two bytes) */
	static const uint8_t outer_lines[] = {0 << 3 | 7, 3 << 3 | 2, 0}, inner_lines[] = {0xff, 0, 192 + 24, 6, 0};

	fake_symbol_set(&jvm->class_name, "com/example/Client");
	fake_symbol_set(&jvm->outer_name, "call");
	fake_symbol_set(&jvm->inner_name, "await");
	fake_symbol_set(&jvm->signature, "()V");
	fake_symbol_set(&jvm->file, "Client.java");
	jvm->klass.name = &jvm->class_name;
	jvm->pool = (struct fake_pool){.holder = &jvm->klass, .length = 8, .source_file = 4};
	jvm->pool.entries[1] = (uintptr_t)&jvm->outer_name;
	jvm->pool.entries[2] = (uintptr_t)&jvm->inner_name;
	jvm->pool.entries[3] = (uintptr_t)&jvm->signature;
	jvm->pool.entries[4] = (uintptr_t)&jvm->file;
	jvm->outer_const = (struct fake_const_method){
		.constants = &jvm->pool, .flags = 1, .code_size = 8, .name = 1, .signature = 3};
	jvm->inner_const = jvm->outer_const;
	jvm->inner_const.name = 2;
	memcpy(jvm->outer_const.code + 8, outer_lines, sizeof(outer_lines));
	memcpy(jvm->inner_const.code + 8, inner_lines, sizeof(inner_lines));
	jvm->outer.const_method = &jvm->outer_const;
	jvm->inner.const_method = &jvm->inner_const;
}

static inline struct fake_blob *fake_blob_at(struct fake_jvm *jvm, int segment)
{
	return (struct fake_blob *)(jvm->code + segment * SEGMENT + sizeof(struct fake_block));
}

/* A block of so many segments with a blob in it. */
static inline struct fake_blob *fake_blob_add(
	struct fake_jvm *jvm, int segment, int segments, const char *name, int frame_size)
{
	struct fake_block *block = (struct fake_block *)(jvm->code + segment * SEGMENT);
	struct fake_blob *blob = fake_blob_at(jvm, segment);

	*block = (struct fake_block){.length = segments, .used = 1};
	*blob = (struct fake_blob){.name = name,
		.size = segments * SEGMENT - (int)sizeof(*block),
		.frame_size = frame_size,
		.code_offset = CODE_AT};
	for (int i = 0; i < segments; i++)
		jvm->segmap[segment + i] = i;
	return blob;
}

static inline uint64_t fake_code_of(struct fake_jvm *jvm, int segment)
{
	return (uintptr_t)fake_blob_at(jvm, segment) + CODE_AT;
}

/* The compiled call: at code offset 16 it calls from bytecode 3, at 32 await is inlined there, at its bytecode 1. */
static inline void fake_compiled(struct fake_jvm *jvm)
{
	static const struct fake_pc_desc pc_descs[] = {{-1, 0}, {16, 1}, {32, 4}, {INT32_MAX, 0}};
	/* sender, method, bytecode + 1; offset 0 is nobody's */
	static const uint8_t scopes[] = {0, 0, 1, 4, 1, 2, 2};
	struct fake_blob *blob = fake_blob_add(jvm, COMPILED, 16, "nmethod", COMPILED_FRAME);
	const uint64_t metadata[] = {(uintptr_t)&jvm->outer, (uintptr_t)&jvm->inner};

	blob->method = &jvm->outer;
	blob->scopes_pcs = 512;
	blob->scopes_data = 600;
	blob->metadata = 640;
	blob->deopt_handler = 400;
	blob->orig_pc = 8;
	memcpy((char *)blob + blob->scopes_pcs, pc_descs, sizeof(pc_descs));
	memcpy((char *)blob + blob->scopes_data, scopes, sizeof(scopes));
	memcpy((char *)blob + blob->metadata, metadata, sizeof(metadata));
}

static inline void fake_jvm_init(struct fake_jvm *jvm)
{
	memset(jvm, 0, sizeof(*jvm));
	fake_tables(jvm);
	fake_methods(jvm);
	memset(jvm->segmap, 0xff, sizeof(jvm->segmap));
	fake_blob_add(jvm, INTERPRETER, 16, "Interpreter", 0);
	fake_blob_add(jvm, STUB, 4, "a stub", STUB_FRAME);
	fake_compiled(jvm);
	jvm->heap = (struct fake_heap){.log2_segment = 6};
	jvm->heap.memory = (struct fake_space){(uintptr_t)jvm->code, (uintptr_t)jvm->code + sizeof(jvm->code)};
	jvm->heap.segmap = (struct fake_space){(uintptr_t)jvm->segmap, (uintptr_t)jvm->segmap + SEGMENTS};
	jvm->heap_pointer = (uintptr_t)&jvm->heap;
	jvm->array = (struct fake_array){.len = 1, .data = &jvm->heap_pointer};
	jvm->heaps = &jvm->array;
	jvm->queue = (struct fake_queue){fake_code_of(jvm, INTERPRETER), 256};
	jvm->interpreter = &jvm->queue;
	jvm->call_stub_return = fake_code_of(jvm, STUB) + 8;
	jvm->version = 17;
}

#endif
