/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One report as plain data: what CONTRACT.md calls the snapshot object. The
 * monitor fills it; renderers, HTTP and history see nothing else.
 *
 * Times are wall-clock nanoseconds since the epoch, 0 = not known. Durations are
 * seconds, NAN = not known. Counts of -1 are not known. Texts are as the process
 * gave them: each renderer escapes them for its own output. NULL = not known.
 */
#ifndef LM_SNAPSHOT_H
#define LM_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lm_wait_class {
	LM_WAIT_FUTEX_MUTEX,
	LM_WAIT_FUTEX_RWLOCK,
	LM_WAIT_FUTEX_COND,
	LM_WAIT_FUTEX_SEM,
	LM_WAIT_FUTEX_BARRIER,
	LM_WAIT_FUTEX_JOIN,
	LM_WAIT_FUTEX_PI,
	LM_WAIT_FUTEX_OTHER,
	LM_WAIT_POLL,
	LM_WAIT_SOCKET,
	LM_WAIT_PIPE,
	LM_WAIT_FILE,
	LM_WAIT_DISK,
	LM_WAIT_SLEEP,
	LM_WAIT_CHILD,
	LM_WAIT_SIGNAL,
	LM_WAIT_IO_URING,
	LM_WAIT_STOPPED,
	LM_WAIT_OTHER,
	/* of goroutines, in the order of enum lm_go_state */
	LM_WAIT_GO_CHAN_SEND,
	LM_WAIT_GO_CHAN_RECEIVE,
	LM_WAIT_GO_CHAN_SEND_NIL,
	LM_WAIT_GO_CHAN_RECEIVE_NIL,
	LM_WAIT_GO_SELECT,
	LM_WAIT_GO_SELECT_NO_CASES,
	LM_WAIT_GO_MUTEX,
	LM_WAIT_GO_RWMUTEX_READ,
	LM_WAIT_GO_RWMUTEX_WRITE,
	LM_WAIT_GO_COND,
	LM_WAIT_GO_WAITGROUP,
	LM_WAIT_GO_SEMAPHORE,
	LM_WAIT_GO_SLEEP,
	LM_WAIT_GO_IO,
	LM_WAIT_GO_SYSCALL,
	LM_WAIT_GO_OTHER,
	LM_WAIT_CLASSES
};

/* As CONTRACT.md spells it: "futex_mutex" … */
const char *lm_wait_class_name(enum lm_wait_class wait_class);

enum lm_level { LM_LEVEL_NONE, LM_LEVEL_SUSPECT, LM_LEVEL_LIKELY, LM_LEVEL_CONFIRMED, LM_LEVELS };
const char *lm_level_name(enum lm_level level);
/* -EINVAL if the text names none. */
int lm_level_parse(const char *text, enum lm_level *level);

enum lm_finding_type {
	LM_FINDING_LEAK,
	LM_FINDING_DEADLOCK,
	LM_FINDING_ORPHANED_LOCK,
	LM_FINDING_PILEUP,
	LM_FINDING_STUCK,
	LM_FINDING_CONNECTIONS,
	LM_FINDING_TYPES
};
const char *lm_finding_type_name(enum lm_finding_type type);

enum lm_site_kind { LM_SITE_THREAD, LM_SITE_GOROUTINE };

/* One line of a stack: a function, inlined or not. */
struct lm_snapshot_frame {
	const char *function; /* NULL: no symbol */
	const char *module;   /* NULL in kernel stacks */
	const char *build_id;
	uint64_t offset; /* file offset in the module; in kernel stacks the offset in the function */
	const char *file;
	uint32_t line; /* 0 = not known */
	bool inlined;
};

struct lm_snapshot_member {
	uint64_t id;
	const char *comm;
	int64_t started_ns;
	int64_t blocked_since_ns;
	int64_t resident_since_ns; /* in this place: wake-ups by timers do not end a stay */
	bool exact;                /* blocked_since was seen happening; else derived from when the thread last ran */
	double blocked_total_s;    /* in all waits seen, the present one included */
	double preempted_total_s;
	double longest_wait_s; /* completed waits seen */
	int64_t waits;
	struct {
		uint64_t object; /* address of the futex word */
		int64_t at_ns;   /* when the call returned; 0: none was seen, and the rest is not known */
		int64_t result;  /* of a wait: 0, or -errno as -ETIMEDOUT; of a wake: threads woken, or -errno */
	} last_futex_wait, last_futex_wake;
	struct { /* of a goroutine; for those what is said of futexes, CPUs and comm is not known */
		uint64_t parent_goid; /* 0 = not known */
		int64_t stack_bytes;
		bool locked;        /* bound to a thread of its own */
		const char *labels; /* "key=value, key=value", NULL: none, or not asked for */
	} go;
};

/* The go statement that created a goroutine. */
struct lm_snapshot_creator {
	const char *function, *file;
	uint32_t line;        /* 0 = not known */
	uint64_t parent_goid; /* of the first member's; 0 = not known */
	int64_t creators;     /* how many different go statements created the members */
};

/* The channel that the first member waits for. */
struct lm_snapshot_channel {
	uint64_t address;
	int64_t len, cap; /* of elements */
	bool closed;
	int64_t senders, receivers; /* goroutines that wait on each side */
};

/* The thread that holds the one lock that all members wait for, or whose end they wait for. */
struct lm_snapshot_owner {
	uint64_t id;
	const char *comm;
	const char *waits_in; /* where it is blocked itself; NULL: it runs, or has waited for a moment only */
};

struct lm_snapshot_site {
	uint64_t site; /* printed as 16 hex digits */
	uint32_t pid;
	const char *comm;
	enum lm_site_kind kind;
	struct {
		enum lm_wait_class wait_class;
		bool has_object;
		uint64_t object; /* of the first member; an address, or a descriptor when object_is_fd */
		bool object_is_fd;
		int64_t objects;                       /* how many different ones the members wait on, -1 = not known */
		const char *detail;                    /* "pthread_cond_wait", "read", NULL */
		const struct lm_snapshot_owner *owner; /* NULL: there is none, or it is not known */
	} wait;
	int64_t count, arrived, departed;
	int64_t oldest_blocked_since_ns, newest_blocked_since_ns;
	int64_t oldest_resident_since_ns;
	double median_blocked_s, rate_per_h;
	double sum_blocked_s; /* the present waits of all members that are known, added up */
	bool idle_pool;       /* known for idle workers: shown as such, below the rest */
	const struct lm_snapshot_frame *stack;
	size_t stack_len;
	const struct lm_snapshot_frame *place;        /* of stack: what the site is known by. NULL: there is no stack */
	bool place_has_line;                          /* of Python and Go, where people look for lines */
	const char *stack_why;                        /* why the stack is missing or ends early, NULL if it is whole */
	const struct lm_snapshot_creator *created_by; /* of goroutines, NULL = not known */
	const struct lm_snapshot_channel *channel;    /* NULL: the members wait for none, or it is not known */
	const char *shape;   /* of goroutines: what the site looks like in one line, NULL if there is nothing to say */
	int64_t stack_bytes; /* held by the stacks of all members, of goroutines; -1 = not known */
	const struct lm_snapshot_frame *kernel_stack;
	size_t kernel_stack_len;
	const struct lm_snapshot_member *members;
	size_t members_len;
};

struct lm_snapshot_unavailable {
	const char *what, *why;
};
/* Why there are no goroutines where there can be none. */
#define LM_WHY_NOT_GO "not a Go program"
#define LM_WHY_KERNEL_THREAD "a kernel thread"

/* What is known of a Go program. */
struct lm_snapshot_go {
	const char *version; /* "go1.24.4" */
	int64_t goroutines;  /* as runtime.NumGoroutine() counts; -1 = not known, the process says why */
	int64_t gc_count;    /* -1 = not known, as is the next */
	int64_t heap_live_bytes;
	double gc_per_min;       /* since the last report, NAN = not known */
	double heap_bytes_per_h; /* growth of the live heap while watching, NAN = not known */
};

struct lm_snapshot_process {
	uint32_t pid;
	int64_t start_ns;
	const char *comm, *exe, *build_id, *runtime, *go_version, *container_id;
	int64_t threads, blocked_threads, goroutines;
	int64_t rss_bytes;
	const struct lm_snapshot_go *go; /* NULL: no Go program */
	const struct lm_snapshot_unavailable *unavailable;
	size_t unavailable_len;
};

struct lm_snapshot_evidence {
	int64_t survivors, departures, cohorts_filled, cohorts;
	double window_s, age_floor_s, longest_completed_s;
	bool retrospective;
};

/* A thread of a deadlock, or the one that has waited longest for a lock. */
struct lm_snapshot_cycle_member {
	uint64_t id;
	const char *comm;
	uint64_t holds, waits_for; /* addresses of locks; holds 0: none that matters here */
	const struct lm_snapshot_frame *stack;
	size_t stack_len;
};

struct lm_snapshot_finding {
	char id[17];
	enum lm_level level;
	enum lm_finding_type type;
	uint32_t pid;
	uint64_t site;
	int64_t since_ns;
	const char *summary, *wrong_if;
	const char *held_back; /* what keeps it from a higher level, NULL if nothing does */
	struct lm_snapshot_evidence evidence;
	struct {
		uint64_t object; /* address, 0: the finding is about no lock */
		uint64_t owner;  /* TID, as leakmon counts where it is known; 0: none, or not known */
		int64_t waiters; /* threads that wait for it, directly or behind others */
	} lock;
	const struct lm_snapshot_cycle_member *cycle; /* of deadlocks, in order: each waits for the next */
	size_t cycle_len;
	struct {
		const char *resource; /* "pids.max" …, NULL: not known, or it does not grow */
		int64_t limit;
		int64_t at_ns; /* at the present rate */
	} exhaustion;
};

/* A finding of before that did not hold: threads that it rested on have left. */
struct lm_snapshot_withdrawn {
	char id[17];
	enum lm_level level;
	enum lm_finding_type type;
	uint32_t pid;
	uint64_t site;
	int64_t since_ns, withdrawn_ns;
	const char *summary;
};

struct lm_snapshot_losses {
	uint64_t ring_full, storage_failed, program_missed, scan_truncated;
	uint64_t torn_reads, unwind_failed, symbol_failed, skipped_processes;
};

struct lm_snapshot {
	int64_t time_ns;
	const char *host, *version;
	double interval_s, watching_s;
	struct lm_snapshot_losses losses;
	struct {
		int64_t processes, threads, blocked_threads, goroutines, sites;
		int64_t findings[LM_LEVELS]; /* by enum lm_level; [LM_LEVEL_NONE] is unused */
	} totals;
	const struct lm_snapshot_process *processes;
	size_t processes_len;
	const struct lm_snapshot_site *sites; /* worst first; idle pools last */
	size_t sites_len;
	const struct lm_snapshot_finding *findings; /* worst first */
	size_t findings_len;
	const struct lm_snapshot_withdrawn *withdrawn; /* the last ones, for a third of a horizon */
	size_t withdrawn_len;
	const char *const *notes; /* what happened since the last report: "process 12 (x) ended", … */
	size_t notes_len;
	struct {
		double cpu_s, scan_s;
		int64_t rss_bytes, bpf_bytes;
		const char *const *given_up; /* what a daemon does without, and why */
		size_t given_up_len;
	} self;
	struct lm_arena *arena; /* owns every text and array above */
};

/* True if every loss is 0. */
bool lm_snapshot_complete(const struct lm_snapshot *snapshot);

/* Memory that is freed all at once. */
struct lm_arena *lm_arena_new(void);
void lm_arena_free(struct lm_arena *arena);
/* Zeroed memory, or NULL when there is none. */
void *lm_arena_alloc(struct lm_arena *arena, size_t size);
/* A copy of the text; NULL for NULL, or when there is no memory. */
char *lm_arena_text(struct lm_arena *arena, const char *text);
char *lm_arena_format(struct lm_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

void lm_snapshot_free(struct lm_snapshot *snapshot);

#endif
