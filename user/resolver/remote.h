/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of a target, read through its descriptor a page or two at a time: a pread costs more than the copy. */
#ifndef LM_RESOLVER_REMOTE_H
#define LM_RESOLVER_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_REMOTE_WINDOWS 4
#define LM_REMOTE_WINDOW_BYTES 8192

struct lm_remote_window {
	uint64_t start;   /* aligned to LM_REMOTE_WINDOW_BYTES */
	size_t low, high; /* bytes [low, high) could be read */
	unsigned long used;
	unsigned char bytes[LM_REMOTE_WINDOW_BYTES];
};

struct lm_remote {
	int fd;
	unsigned long clock;
	struct lm_remote_window windows[LM_REMOTE_WINDOWS];
};

/* Forgets what was read, for another target or another moment. */
void lm_remote_reset(struct lm_remote *remote, int fd);

/* Copies size bytes at the address; false if they cannot be read. */
bool lm_remote_read(struct lm_remote *remote, uint64_t address, void *buffer, size_t size);

#endif
