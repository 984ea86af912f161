/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of a file of the kernel, such as /proc/PID/maps, which may be as many as a process likes to have. */
#ifndef LM_LINES_H
#define LM_LINES_H

#define LM_LINE_BYTES_MAX (64 * 1024) /* with its newline */

enum lm_line_end {
	LM_LINE_WHOLE,
	LM_LINE_UNENDED,  /* the last one: the file ends within it */
	LM_LINE_TOO_LONG, /* the first LM_LINE_BYTES_MAX of it; the rest is skipped */
};

/* Is given each line without its newline, ended by a 0; it lasts until the handler returns. Anything but 0 ends the
 * reading. */
typedef int lm_line_handler(const char *line, enum lm_line_end end, void *context);

/* Reads from the descriptor to its end. 0, what the handler returned, or -errno. */
int lm_lines_read(int fd, lm_line_handler *handler, void *context);

#endif
