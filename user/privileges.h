/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of root's power is kept once everything is loaded and attached. */
#ifndef LM_PRIVILEGES_H
#define LM_PRIVILEGES_H

/*
 * Keeps CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYSLOG, CAP_DAC_READ_SEARCH and
 * CAP_CHECKPOINT_RESTORE as far as they are there, and drops the rest for good, also of
 * what is started later. 0 or -errno.
 */
int lm_privileges_keep_few(void);

#endif
