/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of a target that does not change while it runs: the tables of a Go program. Each page is read once and kept
 * as long as there is room. What is large and needed once is read past what is kept.
 */
#ifndef LM_GOLANG_MEMORY_H
#define LM_GOLANG_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_GO_PAGE_BYTES 4096u
#define LM_GO_PAGES 2048u /* kept at most: 8 MiB. Pages that lie as far apart share a place */
#define LM_GO_WINDOW_BYTES 65536u
#define LM_GO_WINDOW_FILLS 16384        /* 1 GiB: far more than the tables of any program */
#define LM_GO_SEARCH_BYTES (1ull << 30) /* that are searched in all */
#define LM_GO_SEARCH_TRIES 4096         /* words that may turn out not to be what was searched for */

struct lm_go_page {
	uint64_t address;
	unsigned char *bytes; /* NULL: none here yet */
	uint32_t len;         /* that could be read */
};

struct lm_go_memory {
	int fd;
	struct lm_go_page *pages;
	uint64_t search_bytes_left;
	unsigned search_tries_left;
};

/* The descriptor must outlive it. 0 or -ENOMEM. */
int lm_go_memory_init(struct lm_go_memory *memory, int fd);
void lm_go_memory_release(struct lm_go_memory *memory);

/* Copies size bytes at the address; false if they cannot be read. */
bool lm_go_memory_read(struct lm_go_memory *memory, uint64_t address, void *buffer, size_t size);
/* The same of memory that changes: nothing is kept. */
bool lm_go_memory_read_now(const struct lm_go_memory *memory, uint64_t address, void *buffer, size_t size);

/* Copies a text up to its NUL; false if it does not end within size bytes. */
bool lm_go_memory_text(struct lm_go_memory *memory, uint64_t address, char *text, size_t size);

/* A part of a target's memory that is read from front to back. */
struct lm_go_window {
	const struct lm_go_memory *memory;
	uint64_t start;
	size_t len;
	unsigned fills_left; /* who leads from one end to the other again and again is not followed for ever */
	unsigned char bytes[LM_GO_WINDOW_BYTES];
};

/* Nothing has been read yet. */
void lm_go_window_init(struct lm_go_window *window, const struct lm_go_memory *memory);
/* The bytes at the address, NULL if they cannot be read; size is at most LM_GO_WINDOW_BYTES. They are valid until the
 * next call. */
const unsigned char *lm_go_window_at(struct lm_go_window *window, uint64_t address, size_t size);

struct lm_go_range {
	uint64_t start, end;
};

/*
 * Looks through the range for an aligned word that is one of those in words, up to the first that is accepted:
 * true, and *at is its address. Ends where memory cannot be read, and where enough has been searched in all.
 */
bool lm_go_memory_search(struct lm_go_memory *memory, struct lm_go_range range, const uint64_t *words, size_t words_len,
	bool (*accept)(void *context, uint64_t at), void *context, uint64_t *at);

#endif
