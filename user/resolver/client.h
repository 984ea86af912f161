/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The privileged side of the resolver: starts the worker process, hands it open
 * file descriptors, and gets stacks back. The worker parses what an attacker may
 * control (ELF, DWARF, remote memory) and has no privileges; if it crashes or
 * overruns its time it is killed, counted and started again, and only the
 * process (target) that it was working on is reported as unresolved.
 *
 * Calls are synchronous and bounded by a deadline.
 */
#ifndef LM_RESOLVER_CLIENT_H
#define LM_RESOLVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leakmon_abi.h"
#include "user/golang/record.h"
#include "user/stacks.h"

struct lm_resolver; /* one worker process and what it was told */
struct lm_target;   /* one address space: a process between two execs */

struct lm_resolver_config {
	struct lm_stacks *stacks;    /* where results are stored; outlives the resolver */
	const char *proc_root;       /* normally "/proc" */
	const char *executable;      /* what to start as the worker; NULL = this program */
	uint64_t target_deadline_ns; /* the longest silence of the worker before it is killed; 0 = 2 s */
	bool debuginfo;              /* look for separate debug files under /usr/lib/debug */
};

struct lm_resolver_counters {
	uint64_t worker_restarts;
	uint64_t unwound;       /* stacks tried */
	uint64_t unwind_failed; /* stacks without any frame, or broken before the outermost frame: also of threads that
				   ran while they were read, which cannot be told here */
	uint64_t found_dead;    /* workers that had ended without having been asked for anything */
	uint64_t symbol_failed; /* frames whose module could not be read at all (not: has no symbols) */
};

/* Starts the worker. 0 or -errno. */
int lm_resolver_start(const struct lm_resolver_config *config, struct lm_resolver **resolver);
/* Ends the worker and frees all targets. NULL is fine. */
void lm_resolver_free(struct lm_resolver *resolver);

/* Opens the address space of a process: its memory and its maps. The caller says who the process is by
 * (pid, start_ns); a process that is gone or another by now is -ESRCH. */
int lm_target_open(struct lm_resolver *resolver, pid_t pid, uint64_t start_ns, struct lm_target **target);
/* NULL is fine. */
void lm_target_close(struct lm_resolver *resolver, struct lm_target *target);

struct lm_unwind_request {
	struct lm_regs regs;
	/* out: */
	const struct lm_stack *stack; /* with a reference for the caller; NULL if nothing could be unwound */
	const char *why;              /* static text, the reason when stack is NULL */
};

/* Unwinds many threads of one target. Maps are read again when an address is in none of them.
 * Returns 0 (look at each request), -ESRCH if the process is gone, -ETIMEDOUT or -ECONNRESET if the worker
 * overran its time or died on this target (it has been started again; later calls for this target fail at once
 * with -EUCLEAN), -ENOMEM. */
int lm_target_unwind(struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests,
	size_t requests_len);

/*
 * A look at the goroutines of a target, for at most about budget_ns. 0: it is complete, *summary (valid until the next
 * look) says what there is, and lm_target_go_changes() is to be called until it returns 0; *anew: what was told before
 * holds no longer, all is told again.
 * -ENOEXEC: this is no Go program; -EAGAIN: not complete, the next call goes on with it; -ENOTSUP: its goroutines
 * cannot be read, *why says why (owned by the target); else as lm_target_unwind(), and *why is set.
 */
int lm_target_go_look(struct lm_resolver *resolver, struct lm_target *target, uint64_t budget_ns,
	const struct lm_go_summary **summary, bool *anew, const char **why);
/* The next records of what the last look has found changed, at most LM_TARGET_GO_CHANGES; 0 when there are no more, or
 * -errno as above: -ECONNRESET too if there are more than the worker has said, or than LM_TARGET_GO_RECORDS in all. */
#define LM_TARGET_GO_CHANGES (65520 / sizeof(struct lm_go_record)) /* as many as a message holds behind its head */
#define LM_TARGET_GO_RECORDS (1u << 22)                            /* one for each goroutine that there may be */
int lm_target_go_changes(struct lm_resolver *resolver, struct lm_target *target, struct lm_go_record *records);
/* Of what was told something was lost: the next look is anew. */
void lm_target_go_tell_again(struct lm_target *target);

/* Where a goroutine was created. Texts are owned by whoever has it, NULL if they are not known. */
struct lm_target_go_creator {
	char *function, *file;
	uint32_t line;
};

/* The stack of this number, with a reference for the caller (NULL: it is not known any more), and the go statement. 0
 * or -errno as above. */
int lm_target_go_stack(struct lm_resolver *resolver, struct lm_target *target, uint32_t number,
	const struct lm_stack **stack, struct lm_target_go_creator *creator);
/* What it takes to show one goroutine. False if it cannot be had. */
bool lm_target_go_details(struct lm_resolver *resolver, struct lm_target *target, uint32_t index, uint64_t goid,
	struct lm_go_details *details);
/* Is it a Go program, whether its goroutines can be read or not? */
bool lm_target_is_go(const struct lm_target *target);
/* Go's own words for a wait, NULL if there are none; owned by the target. */
const char *lm_target_go_reason(const struct lm_target *target, uint8_t reason);

/* Reads memory of the target through its descriptor: bytes read (may be short), or -errno. */
ssize_t lm_target_read(struct lm_target *target, uint64_t address, void *buffer, size_t size);

/* Why the target's Python frames are not shown: static text. NULL if they are, or it has none. */
const char *lm_target_python_why(const struct lm_target *target);

/* Build id of the main executable in hex, NULL if not known. Owned by the target. */
const char *lm_target_build_id(const struct lm_target *target);

/* Gives back what the worker keeps, and does without separate debug files from now on: functions go by the symbols of
 * their modules. */
void lm_resolver_save_memory(struct lm_resolver *resolver);

void lm_resolver_counters(const struct lm_resolver *resolver, struct lm_resolver_counters *counters);

/* Is this the worker, or one that was killed and has not been seen to end? */
bool lm_resolver_owns(const struct lm_resolver *resolver, pid_t pid);

/* Resident memory of the worker in bytes and its CPU time so far, of all workers started; 0 if not known. */
void lm_resolver_usage(const struct lm_resolver *resolver, uint64_t *rss_bytes, double *cpu_s);

/* The worker's main function: `leakmon` runs it when it is started as the resolver (argv[0] is LM_RESOLVER_ARGV0). */
#define LM_RESOLVER_ARGV0 "leakmon-resolver"
int lm_resolver_worker_main(int socket_fd);

#endif
