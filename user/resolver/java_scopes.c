// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Compiled frames: which methods stand in one, inlined ones first. Where the compiled
 * code calls, a PcDesc leads to a chain of scopes: the outer scope, the method, the
 * bytecode. The outermost must be the method that was compiled; if it is not, what was
 * read is not believed and only that method is named.
 */
#include "user/resolver/java_state.h"

#define WORD 8
#define PC_DESCS_MAX 65536
#define METADATA_MAX 65536

/* Where the tables of a compiled method are. */
struct tables {
	uint64_t pc_descs, scopes;
	uint64_t metadata[2]; /* where it may be; 0: not known */
};

static bool read(struct lm_java *java, uint64_t base, const struct lm_java_field *field, uint64_t *value)
{
	return lm_java_field_read(java->remote, base, field, value);
}

/* JDK 8 has all behind the header, later ones point to the scopes, those since JDK 23 have a part of its own for what
 * never changes. */
static bool find_tables(struct lm_java *java, const struct lm_java_blob *blob, struct tables *tables)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t base = blob->address, offset;

	if (layout->nmethod.immutable_data.size && !read(java, blob->address, &layout->nmethod.immutable_data, &base))
		return false;
	if (!layout->pc_desc.bytes || !read(java, blob->address, &layout->nmethod.scopes_pcs_offset, &offset))
		return false;
	tables->pc_descs = base + offset;
	if (!read(java, blob->address, &layout->nmethod.scopes_data_begin, &tables->scopes)) {
		if (!read(java, blob->address, &layout->nmethod.scopes_data_offset, &offset))
			return false;
		tables->scopes = base + offset;
	}
	return true;
}

/* The methods that scopes name by number: behind the header; since JDK 23 in the data part; since JDK 25 behind the
 * relocations of a part of its own. */
static void find_metadata(struct lm_java *java, const struct lm_java_blob *blob, struct tables *tables)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t offset, data;

	tables->metadata[0] = tables->metadata[1] = 0;
	if (read(java, blob->address, &layout->nmethod.metadata_offset, &offset)) {
		tables->metadata[0] = blob->address + offset;
		if (read(java, blob->address, &layout->code_blob.data_offset, &data))
			tables->metadata[1] = blob->address + data + offset;
	} else if (read(java, blob->address, &layout->code_blob.mutable_data, &data) &&
		   read(java, blob->address, &layout->code_blob.relocation_size, &offset)) {
		tables->metadata[0] = data + offset;
	}
}

/* Where the scope of pc begins, from the first PcDesc at or behind it. The last one of a method is beyond all code. */
static bool find_scope(struct lm_java *java, const struct tables *tables, uint32_t pc_offset, uint64_t *offset)
{
	const struct lm_java_layout *layout = &java->layout;

	for (uint64_t i = 0; i < PC_DESCS_MAX; i++) {
		uint64_t at = tables->pc_descs + i * layout->pc_desc.bytes, found;

		if (!lm_java_spend(java) || !read(java, at, &layout->pc_desc.pc_offset, &found))
			return false;
		if ((int32_t)found < (int32_t)pc_offset)
			continue;
		return found != INT32_MAX && read(java, at, &layout->pc_desc.scope_decode_offset, offset) && *offset;
	}
	return false;
}

/* Reads the chain from that scope on into the keys. False if it is not that of this method. */
static bool read_chain(struct lm_java *java, const struct tables *tables, uint64_t metadata, uint64_t offset,
	uint64_t outermost, struct lm_java_frame *frame)
{
	uint64_t method_at = 0;

	frame->keys_len = 0;
	while (offset) {
		uint64_t at = tables->scopes + offset;
		uint32_t sender, index, bci;
		const struct lm_java_method *method;

		if (frame->keys_len == LM_JAVA_INLINED_MAX || !lm_java_number_read(java, &at, &sender) ||
			!lm_java_number_read(java, &at, &index) || !lm_java_number_read(java, &at, &bci) || !index ||
			index > METADATA_MAX ||
			!lm_remote_read(java->remote, metadata + (index - 1) * WORD, &method_at, sizeof(method_at)))
			return false;
		method = lm_java_method_at(java, method_at);
		if (!method)
			return false;
		/* one less: a bytecode before the first is the method's entry */
		frame->keys[frame->keys_len++] = lm_java_method_place(java, method, bci ? bci - 1 : 0);
		offset = sender;
	}
	return method_at == outermost;
}

/* Code that is no longer valid is returned to at a handler's address; the frame holds where it was. */
static uint64_t original_pc(struct lm_java *java, const struct lm_java_blob *blob, const struct lm_java_frame *frame)
{
	const struct lm_java_layout *layout = &java->layout;
	uint64_t handler, offset, pc;

	if (!read(java, blob->address, &layout->nmethod.deopt_handler_begin, &handler)) {
		if (!read(java, blob->address, &layout->nmethod.deopt_handler_offset, &offset))
			return frame->pc;
		handler = blob->address + offset;
	}
	if (frame->pc != handler || !read(java, blob->address, &layout->nmethod.orig_pc_offset, &offset) ||
		offset >= blob->frame_size || !lm_remote_read(java->remote, frame->sp + offset, &pc, sizeof(pc)) ||
		pc < blob->code || pc - blob->address > blob->size)
		return frame->pc;
	return pc;
}

void lm_java_scopes_name(struct lm_java *java, const struct lm_java_blob *blob, struct lm_java_frame *frame)
{
	uint64_t method_at, offset, pc = original_pc(java, blob, frame);
	const struct lm_java_method *method;
	struct tables tables;

	frame->keys_len = 0;
	if (!read(java, blob->address, &java->layout.nmethod.method, &method_at))
		return;
	method = lm_java_method_at(java, method_at);
	if (!method)
		return;
	if (method->code_size && pc >= blob->code && find_tables(java, blob, &tables) &&
		find_scope(java, &tables, pc - blob->code, &offset)) {
		find_metadata(java, blob, &tables);
		for (int i = 0; i < 2; i++) {
			if (tables.metadata[i] &&
				read_chain(java, &tables, tables.metadata[i], offset, method_at, frame))
				return;
		}
	}
	frame->keys[0] = lm_java_method_place(java, method, 0);
	frame->keys_len = 1;
}
