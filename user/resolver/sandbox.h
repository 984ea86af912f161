/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes away from this process all that parsing does not need. */
#ifndef LM_RESOLVER_SANDBOX_H
#define LM_RESOLVER_SANDBOX_H

/* 0 or -errno. After it: no capability, no new file, no network, no other process; nobody in place of root where the
 * capabilities for that are there. */
int lm_sandbox_enter(void);

#endif
