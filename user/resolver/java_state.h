/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of java.h share: java.c (frames), java_code.c (the code cache), java_scopes.c (inlined calls),
 * java_method.c (methods, lines). */
#ifndef LM_RESOLVER_JAVA_STATE_H
#define LM_RESOLVER_JAVA_STATE_H

#include "user/resolver/java.h"

#define LM_JAVA_HEAPS_MAX 8 /* JDK 25 has at most four */

/* A part of the code cache, and the map that leads from an address in it to the blob there. */
struct lm_java_heap {
	uint64_t low, high, segmap_low, segmap_high;
	unsigned log2_segment;
};

enum lm_java_state { LM_JAVA_UNREAD, LM_JAVA_READ, LM_JAVA_REFUSED };

struct lm_java {
	uint64_t variables[LM_JAVA_VARIABLES];
	enum lm_java_state state;
	const char *why;
	struct lm_java_layout layout;
	struct lm_remote *remote;
	struct lm_java_names *names;
	unsigned steps_left;  /* reads of hostile lists that a stack may still cost */
	unsigned frames_left; /* that it may still have: those of stubs are not counted elsewhere */
	bool heaps_read;      /* in this message; what follows is of it */
	struct lm_java_heap heaps[LM_JAVA_HEAPS_MAX];
	size_t heaps_len;
	uint64_t interpreter_low, interpreter_high, call_stub_return;
};

/* The last: returned to by a virtual thread whose outer frames are not on this stack but among the JVM's objects. */
enum lm_java_blob_kind { LM_JAVA_BLOB_STUB, LM_JAVA_BLOB_METHOD, LM_JAVA_BLOB_CONTINUATION };

/* A piece of generated code, with its header. */
struct lm_java_blob {
	uint64_t address;
	uint64_t code;       /* where its instructions begin */
	uint64_t size;       /* with the header */
	uint64_t frame_size; /* bytes, with the return address; 0: not known */
	uint64_t frame_complete;
	enum lm_java_blob_kind kind;
};

/* Is there anything left of what a stack may cost? */
static inline bool lm_java_spend(struct lm_java *java)
{
	return java->steps_left && java->steps_left--;
}

/* Reads where the code is, once in a message. False if it cannot be read. */
bool lm_java_code_read(struct lm_java *java);
/* Is the address within the code cache? Says nothing of what is there. */
bool lm_java_code_holds(const struct lm_java *java, uint64_t pc);
/* Does pc lie in the interpreter's code for this bytecode? */
bool lm_java_code_interprets(struct lm_java *java, uint64_t pc, uint32_t bytecode);
/* The blob whose code holds pc; false if none. */
bool lm_java_code_find(struct lm_java *java, uint64_t pc, struct lm_java_blob *blob);

/* The method at the address; NULL if there is none, or out of memory. */
const struct lm_java_method *lm_java_method_at(struct lm_java *java, uint64_t address);
/* The key of a place in a method, which is named. */
uint64_t lm_java_method_place(struct lm_java *java, const struct lm_java_method *method, uint32_t bci);

/* One of JDK 20's and later unsigned numbers of variable length, or one of those before; *address is moved behind it.
 */
bool lm_java_number_read(struct lm_java *java, uint64_t *address, uint32_t *value);

/* Fills the keys of a compiled frame that returns to, or is at, pc. */
void lm_java_scopes_name(struct lm_java *java, const struct lm_java_blob *blob, struct lm_java_frame *frame);

#endif
