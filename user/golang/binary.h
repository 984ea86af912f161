/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells a Go program from others, and finds its build information, tables and moduledata: by its sections where its
 * file can be read and has them, else by what is mapped. Others cost little: their sections are looked at, or the
 * beginning of their data.
 */
#ifndef LM_GOLANG_BINARY_H
#define LM_GOLANG_BINARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/golang/layout.h"
#include "user/golang/memory.h"
#include "user/resolver/unwind.h"

#define LM_GO_SEGMENTS 32

struct lm_go_segment {
	struct lm_go_range range; /* of the file's bytes as they are mapped */
	bool writable, executable;
};

/* A program or library that is mapped; all addresses are the target's. */
struct lm_go_binary {
	uint64_t bias;
	struct lm_go_segment segments[LM_GO_SEGMENTS]; /* what is only relocated, then not written any more, is apart */
	size_t segments_len;
	uint64_t note, note_bytes;           /* PT_NOTE */
	uint64_t pclntab, buildinfo;         /* 0: no section */
	struct lm_go_range moduledata, data; /* of the sections that hold a moduledata; empty: no such */
};

/* 0 or -ENOEXEC: none of the regions' modules is a Go program or library. */
int lm_go_binary_find(
	struct lm_go_memory *memory, const struct lm_region *regions, size_t regions_len, struct lm_go_binary *binary);

/* The version that it was built with, at most size - 1 bytes of it, and its minor number (0: not known). False if it is
 * not known. */
bool lm_go_binary_version(
	const struct lm_go_memory *memory, const struct lm_go_binary *binary, char *version, size_t size, int *minor);

/* Fills the layout. 0; -EAGAIN: the tables are there, but nothing leads to them yet; -ENOTSUP: there are none in a
 * known format. */
int lm_go_binary_layout(
	struct lm_go_memory *memory, const struct lm_go_binary *binary, int minor, struct lm_go_layout *layout);

#endif
