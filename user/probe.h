/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel side seen from user space: loads and attaches the BPF programs and
 * hands over their records. The only module that knows libbpf.
 */
#ifndef LM_PROBE_H
#define LM_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leakmon_abi.h"

enum lm_probe_futex { LM_PROBE_FUTEX_NONE, LM_PROBE_FUTEX_FENTRY, LM_PROBE_FUTEX_TRACEPOINT };

struct lm_probe_config {
	const pid_t *pids; /* NULL = the whole machine */
	size_t pids_len;
	bool kernel_threads;
	bool children;         /* of pids too, and theirs: those that are started from now on */
	bool futex_fentry;     /* attach the futex programs where only futex calls pay */
	bool futex_tracepoint; /* else attach them where every system call of the machine pays */
};

struct lm_probe_losses {
	uint64_t ring_full, storage_failed, program_missed;
};

/* Why the probe could not be opened, for a person. */
struct lm_probe_error {
	bool refused; /* privilege or a kernel feature is missing, not a failure of ours */
	char text[512];
};

typedef void lm_record_handler(const struct lm_record *record, void *context);

struct lm_probe;

/* Loads and attaches. 0, or -errno and the reason in error. */
int lm_probe_open(const struct lm_probe_config *config, struct lm_probe **probe, struct lm_probe_error *error);
/* Detaches and unloads everything. NULL is fine. */
void lm_probe_free(struct lm_probe *probe);

/* One look at all watched threads: THREAD and SAME records, one END last. 0, or -errno when the look was cut short;
 * then threads report whole again in the next look. */
int lm_probe_look(struct lm_probe *probe, lm_record_handler *handler, void *context);

/* Hands over the births, deaths and execs since the last call. 0 or -errno. */
int lm_probe_drain(struct lm_probe *probe, lm_record_handler *handler, void *context);

/* Readable when drain should be called before the next look. Owned by the probe. */
int lm_probe_fd(const struct lm_probe *probe);

/* Makes every thread report whole in the next look. */
void lm_probe_forget(struct lm_probe *probe);

enum lm_probe_futex lm_probe_futex(const struct lm_probe *probe);
void lm_probe_losses(struct lm_probe *probe, struct lm_probe_losses *losses);
/* Kernel memory that the maps hold, in bytes, 0 if not known. */
uint64_t lm_probe_memory(const struct lm_probe *probe);

#endif
