/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the readers of /proc share: how a file of a process is opened. For proc.c and proc_maps.c alone. */
#ifndef LM_PROC_FILES_H
#define LM_PROC_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The kernel ends the path of a file that has no name any more so; but a file may also be called so. */
#define LM_PROC_DELETED " (deleted)"

/* PROC_ROOT/PID/NAME; -ENAMETOOLONG. */
int lm_proc_path(const char *proc_root, pid_t pid, const char *name, char path[PATH_MAX]);

/* Opens PROC_ROOT/PID/NAME for reading; the caller closes it. -ESRCH if the process is gone, -ENOENT if it is there
 * but has no such file. */
int lm_proc_open(const char *proc_root, pid_t pid, const char *name, int *fd);

/* Of a path that seems to say so: is the file behind this link of /proc (exe, map_files/…) deleted indeed, as far as
 * one can tell? Never waits for a file system. */
bool lm_proc_unlinked(const char *path);

#endif
