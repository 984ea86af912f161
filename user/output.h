/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where reports go: stdout, or a file that appears whole under its name or not at all. */
#ifndef LM_OUTPUT_H
#define LM_OUTPUT_H

#include <stddef.h>

struct lm_output {
	int fd;           /* -1 = none */
	int end_fd;       /* the caller's: when it is readable, a reader that takes no more is given up; -1 = none */
	int patience_ms;  /* how long a report may wait for a reader; -1 = for ever */
	const char *path; /* NULL = stdout */
	char *target;     /* the file that path leads to; NULL when that is no regular one */
	char *temporary;  /* beside it, what is written until lm_output_finish; NULL likewise */
};

/* Those of the standard descriptors that are closed are taken, lest a file that we open gets their number and words
 * for standard error are written into it. Whom we start finds them closed. */
void lm_output_hold_standard(void);

/* Opens stdout (path NULL), or a temporary file beside the one that path leads to; a device or pipe is written
 * directly. For end_fd and patience_ms see above. 0 or -errno; -ENXIO: nobody reads the FIFO. */
int lm_output_open(const char *path, int end_fd, int patience_ms, struct lm_output *output);

/* Writes all of it; *written (NULL: who cares) is how much was, also on failure. 0 or -errno; -EPIPE when the reader
 * has gone, -EAGAIN when the patience is over, -ECANCELED when it is to end and the reader takes no more. */
int lm_output_write(const struct lm_output *output, const char *bytes, size_t len, size_t *written);

/* Why it cannot be written, in words. */
const char *lm_output_reason(int error);

/* Closes the file and gives it its name. 0 or -errno: then the temporary file is removed. */
int lm_output_finish(struct lm_output *output);

/* Says that a report could not be written there (path NULL: stdout), why, and what to do. */
void lm_output_complain(const char *path, int error);

/* Writes out what was printed on stdout. 0, or -errno and it has been said that what could not be. */
int lm_output_flush_standard(const char *what);

/* Drops what is not finished. */
void lm_output_abandon(struct lm_output *output);

#endif
