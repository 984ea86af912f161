/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns time, identity and groups: records and a clock in, a snapshot out. Touches
 * neither BPF nor /proc; what it needs from there it asks of its caller:
 *
 *   lm_monitor_begin_look, lm_monitor_record (all records of a look), lm_monitor_end_look
 *   for each process of lm_monitor_wanted: unwind, lm_monitor_set_stack
 *   if anything was unwound: a second look, which confirms the stacks or finds them torn
 *   lm_monitor_settle, lm_monitor_judge, lm_report_build (report.h)
 *
 * A process is (tgid, start time, exec id), a thread (tid, start time).
 */
#ifndef LM_MONITOR_H
#define LM_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leakmon_abi.h"
#include "user/exhaustion.h"
#include "user/golang/record.h"
#include "user/groups.h"
#include "user/load.h"
#include "user/owners.h"
#include "user/snapshot.h"
#include "user/stacks.h"
#include "user/stays.h"

struct lm_process;

struct lm_monitor_config {
	uint64_t min_blocked_ns, horizon_ns;
	int members; /* listed for each site */
	/* the name of the kernel function at an address and the offset in it, NULL if not known */
	const char *(*kernel_symbol)(const void *context, uint64_t address, uint64_t *offset);
	const void *kernel_symbol_context;
	bool (*thread_exists)(uint32_t tid); /* of leakmon's own PID namespace; NULL: not known of those not watched */
	/* what it takes to show one goroutine, now; false if it cannot be had. NULL: never. For a report, of few */
	bool (*go_details)(void *context, struct lm_process *process, uint32_t index, uint64_t goid,
		struct lm_go_details *details);
	void *go_details_context;
};

struct lm_go; /* what is known of the goroutines of a process, see monitor_go.h */

/* What only the caller can find out about a process; texts are owned by the process. */
struct lm_process_facts {
	char *exe, *build_id, *container_id;
	uint64_t rss_bytes;                     /* 0 = not known */
	uint64_t first_rss_bytes, first_rss_ns; /* when it was first known, 0 = not yet */
	uint64_t limits_ns;                     /* when the limits were read, only where something grows; 0 = never */
	struct lm_limits limits;
	const char *unresolved; /* static text: why its stacks cannot be had, NULL if they can */
	uint64_t retry_ns;     /* when to try again, meanwhile what that takes is kept; 0: never, or there is no need */
	unsigned int failures; /* so many times the resolver failed on it */
	int failure;           /* of the resolver on its goroutines, at this look: -errno, 0 = none */
	const char *no_python; /* the same of its Python frames */
};

/* A thread whose stack is wanted, or wanted and waiting to be confirmed. */
struct lm_pending {
	struct lm_regs regs;
	size_t kernel_stack_len;
	uint64_t kernel_stack[];
};

/* A thread that waits for a lock whose owner is on record: where, and what was read there. It is dropped when the
 * thread runs, so that two equal reads are of one wait. */
struct lm_lock_wait {
	struct lm_owner_read read;
	struct lm_owner owner;
	uint64_t first_read_ns, last_read_ns; /* the first and last read of this owner; 0: not read yet */
	uint64_t missed_ns;                   /* the first look after which this owner was not there; 0: it was */
	uint32_t owner_tid;                   /* whose that was at the last analysis; 0: not known */
	uint64_t owner_start_ns;
};

struct lm_thread {
	uint32_t tid;
	uint64_t start_ns;
	UT_hash_handle hh;
	struct lm_process *process;
	struct lm_thread *prev, *next; /* in the process */
	struct lm_resident resident;
	char comm[LM_COMM_LEN + 1];
	uint32_t state, flags;
	uint64_t seen_look; /* number of the last look that saw it */
	uint64_t wait_since_ns;
	uint64_t switches, voluntary, cpu_ns, fs_base;
	uint64_t blocked_ns, preempted_ns, waits, last_wait_end_ns, longest_wait_ns;
	uint32_t own_tid, pid_ns; /* as locks of its process name it, and where; 0 = not known */
	struct lm_futex_last futex;
	struct lm_stay_point stay; /* at the last look that saw it blocked; at_ns 0: it is not staying anywhere */
	uint64_t stay_since_ns;
	uint64_t placed_ns;           /* when its group was last found out from its stack */
	uint64_t woken_ns;            /* at this look it waits again where another thread has woken it then; 0 = no */
	bool ticks;                   /* its stay is a row of waits that timers end */
	uint8_t calm_looks;           /* in a row that found it only ticking, at most LM_STAY_CALM_LOOKS */
	uint64_t away_ns;             /* since this look it runs, and is expected back; 0: it is there */
	struct lm_lock_wait *lock;    /* NULL: it waits for nothing that somebody holds */
	uint64_t polled;              /* address of the one struct pollfd that it waits for, 0: it does not */
	bool deadlocked;              /* a deadlock among the lock findings has it */
	uint32_t holds_for;           /* waiters for locks that it holds */
	uint64_t holds_since_ns;      /* since when the longest of those waits */
	struct lm_pending *pending;   /* what is needed for its stack; NULL once it is grouped, or not blocked */
	const struct lm_stack *stack; /* unwound but not yet confirmed; with a reference */
	const char *stack_why;
	bool unwound, confirmed;
};

struct lm_process {
	struct {
		uint32_t tgid;
		uint32_t pad;
		uint64_t start_ns;
	} key;
	UT_hash_handle hh;
	uint64_t number; /* never used twice */
	uint64_t exec_id;
	char comm[LM_COMM_LEN + 1];
	struct lm_thread *threads;
	int64_t threads_len;
	uint64_t cpu_ns; /* used by the threads that were seen, by those that have ended too */
	struct lm_load load;
	bool load_recalled;        /* what the history knew of it is there */
	uint32_t load_saved_steps; /* of the load, when it was last written to the history */
	bool kernel_thread, compat;
	bool facts_known; /* false again after an exec */
	struct lm_process_facts facts;
	void *target;     /* the caller's handle of its address space */
	struct lm_go *go; /* NULL: nobody has looked for goroutines */
};

struct lm_watched {
	uint32_t tgid;
	uint64_t start_ns;
};

#define LM_MONITOR_NOTES 20 /* kept between two reports; more are counted */

struct lm_monitor_counters {
	uint64_t torn_reads;                     /* stacks dropped because the thread or goroutine ran meanwhile */
	uint64_t unwind_failed;                  /* stacks of threads that stood still: none, or it ends early */
	uint64_t unknown_threads;                /* records of threads that we have lost, or had no memory for */
	uint64_t threads_started, threads_ended; /* since the last report */
	uint64_t go_unwind_failed; /* goroutines that wait and whose stack ends early, at their last look */
};

/* A thread that waits for a lock, and what it is to others that wait. */
struct lm_lock_member {
	const struct lm_thread *thread;
	uint64_t holds, waits_for; /* addresses; holds 0: nothing that others of the finding wait for */
};

/* A deadlock, a lock whose owner is gone, or a pile-up behind an owner. */
struct lm_lock_finding {
	enum lm_finding_type type;
	enum lm_level level;
	struct lm_lock_member *members; /* of a deadlock: the cycle, each waits for the next; else the one that has
					   waited longest */
	size_t members_len;
	uint64_t object;
	const struct lm_thread *owner; /* NULL if it is gone */
	uint32_t owner_tid;            /* as the lock names it */
	const struct lm_thread
		*root; /* of a pile-up: who the owner waits for in the end, NULL if it waits for no lock */
	int64_t waiters;
	uint64_t since_ns; /* the longest wait that all of it has lasted for */
	bool soft;         /* a wait of the cycle has a timeout */
};

/* A finding that did not hold: threads that it rested on have left. */
struct lm_withdrawn {
	enum lm_level level;
	enum lm_finding_type type;
	enum lm_site_kind kind;
	uint32_t tgid;
	uint64_t process_start_ns, site;
	uint64_t since_ns, withdrawn_ns;
	uint64_t left, longest_ns; /* how many left, and the longest stay completed there */
	char place[128];
	char comm[LM_COMM_LEN + 1];
};

#define LM_MONITOR_WITHDRAWN 64 /* the last ones, each kept for a third of a horizon */

struct lm_monitor {
	struct lm_monitor_config config;
	struct lm_groups groups;
	struct lm_process *processes;
	struct lm_thread *threads;
	struct lm_thread *last_found; /* by a record of the look under way; NULL: none, or it is gone */
	struct lm_watched *watched;   /* NULL: everything */
	size_t watched_len;
	uint64_t look, now_ns, watch_start_ns;
	bool look_complete; /* the last one */
	bool forgot; /* a record of it had no room: its caller has the next look tell all anew, and unsets this */
	bool owners_missed; /* by the last analysis of locks, and not by those before */
	uint64_t last_process_number;
	struct lm_monitor_counters counters;
	struct lm_group **connections; /* groups of connections, while verdicts are reached */
	size_t connections_len;
	struct lm_lock_finding *lock_findings; /* of the last judgement, worst first; threads are those of then */
	size_t lock_findings_len;
	struct lm_withdrawn withdrawn[LM_MONITOR_WITHDRAWN]; /* oldest first */
	size_t withdrawn_len;
	char *notes[LM_MONITOR_NOTES];
	size_t notes_len; /* may be larger than LM_MONITOR_NOTES: the rest is only counted */
	void (*gone)(struct lm_process *process, void *context);
	void *gone_context;
};

int lm_monitor_new(const struct lm_monitor_config *config, struct lm_stacks *stacks, struct lm_monitor **monitor);
/* The targets of the processes must have been closed. NULL is fine. */
void lm_monitor_free(struct lm_monitor *monitor);

/* Only these processes are watched: records of others, also of a later process with the same PID, are dropped. */
int lm_monitor_watch_only(struct lm_monitor *monitor, pid_t pid, uint64_t start_ns);

void lm_monitor_begin_look(struct lm_monitor *monitor, uint64_t now_ns);
void lm_monitor_record(struct lm_monitor *monitor, const struct lm_record *record);
/* complete: the END record came, so threads that were not seen are gone. */
void lm_monitor_end_look(struct lm_monitor *monitor, bool complete);

/* The next process after this one (NULL: the first), in any order. */
struct lm_process *lm_monitor_next_process(struct lm_monitor *monitor, struct lm_process *process);

/* Fills wanted with threads of the process whose stack is to be unwound now, at most len; returns how many. */
size_t lm_monitor_wanted(struct lm_monitor *monitor, struct lm_process *process, struct lm_thread **wanted, size_t len);
/* The stack of such a thread, taking over the reference; NULL with the reason if it could not be had. */
void lm_monitor_set_stack(struct lm_thread *thread, const struct lm_stack *stack, const char *why);

/* Stacks of the process that could not be had and are not placed yet are wanted again. */
void lm_monitor_want_again(struct lm_process *process);

/* Drops what was kept to find out where the thread waits. */
void lm_monitor_forget_stack(struct lm_monitor *monitor, struct lm_thread *thread);
/* How its group is to see the thread: since when it stays, when it was born, how much it ran. */
void lm_thread_fill_member(const struct lm_thread *thread, struct lm_verdict_member *member);

/* Groups the threads whose stacks are confirmed. Once after the looks of a round. 0 or -ENOMEM. */
int lm_monitor_settle(struct lm_monitor *monitor);

/* Processes that ended or became another program since the last call, for the caller to close their targets:
 * called for each before it is forgotten. */
void lm_monitor_on_gone(
	struct lm_monitor *monitor, void (*gone)(struct lm_process *process, void *context), void *context);

/* What a thread waits for, for the caller to read the memory of (lock->read): set when its place is found out. */
void lm_thread_expect_owner(struct lm_thread *thread, const struct lm_owner_wait *wait);
void lm_thread_forget_owner(struct lm_thread *thread);
/* Who holds it, as read at that time; NULL: that could not be told. */
void lm_thread_set_owner(struct lm_thread *thread, const struct lm_owner *owner, uint64_t now_ns);

/* Finds deadlocks, locks without an owner and pile-ups among what was read, after a look that followed the reads.
 * Where an owner was not there (owners_missed) it takes another read, look and analysis to say that it is gone. Before
 * lm_monitor_judge. 0 or -ENOMEM. */
int lm_monitor_analyse_locks(struct lm_monitor *monitor);
void lm_monitor_drop_lock_findings(struct lm_monitor *monitor);

/* Is the verdict of the group to be reached anew now? So that the caller finds out only then what it must know. */
bool lm_monitor_is_due(const struct lm_monitor *monitor, const struct lm_group *group);

/* Evaluates the verdicts of groups that are due for it; all of them if final. 0 or -ENOMEM. */
int lm_monitor_judge(struct lm_monitor *monitor, bool final);

/* The thread of a resident of a group. */
struct lm_thread *lm_thread_of(const struct lm_resident *resident);

#endif
