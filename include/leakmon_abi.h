/* SPDX-License-Identifier: GPL-2.0-only OR GPL-2.0-or-later */
/*
 * The one contract between the BPF programs (bpf/) and user space (user/probe.c):
 * the records that cross, laid out the same for both compilers.
 *
 * All times are CLOCK_BOOTTIME nanoseconds. All TIDs and PIDs are those of
 * leakmon's own PID namespace. A time of 0 means "not known".
 */
#ifndef LEAKMON_ABI_H
#define LEAKMON_ABI_H

#ifdef __bpf__
#define LM_ABI_ASSERT _Static_assert
#else
#include <assert.h>
#include <linux/types.h>
#define LM_ABI_ASSERT static_assert
#endif

#define LM_COMM_LEN 16
#define LM_SHORT_WAIT_NS 20000000ull /* below it a wait is contention for a lock, or of a thread that is busy */
#define LM_KSTACK_MAX 48             /* the deepest blocked kernel stacks seen are about 35 frames (NFS over ext4) */
#define LM_FILTER_MAX 16             /* PIDs compared on the switch path; longer lists go by the mark in task storage */

enum lm_record_type {
	LM_RECORD_THREAD = 1, /* struct lm_thread_record: changed since the last look */
	LM_RECORD_SAME = 2,   /* struct lm_record alone: has not run since the last look */
	LM_RECORD_NEW = 3,    /* struct lm_life_record, from the ring buffer */
	LM_RECORD_EXIT = 4,
	LM_RECORD_EXEC = 5,
	LM_RECORD_END = 6, /* struct lm_end_record: the look is complete */
};

/* Opens every record. A thread is (tid, start_ns), never the bare number. */
struct lm_record {
	__u16 type;
	__u16 size; /* of the whole record, a multiple of 8 */
	__u32 tid;
	__u64 start_ns;
};

enum lm_thread_flags {
	LM_THREAD_KERNEL = 1 << 0,   /* a kernel thread: no user registers */
	LM_THREAD_ON_CPU = 1 << 1,   /* was running: no kernel stack, registers stale */
	LM_THREAD_REGS = 1 << 2,     /* regs is valid */
	LM_THREAD_COMPAT = 1 << 3,   /* 32-bit code */
	LM_THREAD_EXACT = 1 << 4,    /* wait_since_ns was seen by the switch program, not derived */
	LM_THREAD_EXITING = 1 << 5,  /* PF_EXITING or a zombie */
	LM_THREAD_UNSTORED = 1 << 6, /* no task storage could be made: totals are unknown */
};

/* Task states as the kernel counts them, masked to those that we tell apart. */
enum lm_task_state {
	LM_STATE_RUNNING = 0x0, /* running, or waiting for a CPU */
	LM_STATE_INTERRUPTIBLE = 0x1,
	LM_STATE_UNINTERRUPTIBLE = 0x2,
	LM_STATE_STOPPED = 0x4, /* or frozen by its cgroup */
	LM_STATE_TRACED = 0x8,
	LM_STATE_DEAD = 0x10,   /* EXIT_DEAD */
	LM_STATE_ZOMBIE = 0x20, /* EXIT_ZOMBIE */
	LM_STATE_PARKED = 0x40,
	LM_STATE_IDLE = 0x402, /* TASK_UNINTERRUPTIBLE | TASK_NOLOAD: an idle kernel thread */
};

/* What user-space registers hold while a thread is in the kernel (x86-64 names). */
struct lm_regs {
	__u64 ip, sp, bp, bx, r12, r13, r14, r15;
	__u64 di, si, dx, r10, r8, r9; /* the six syscall arguments */
	__s64 nr;                      /* syscall number, -1 when not in a system call */
	__u64 fs_base;                 /* the TCB of the thread */
};

/* The last completed futex calls of a thread, by the futex programs; times 0 = none seen. */
struct lm_futex_last {
	__u64 wait_uaddr, wait_end_ns;
	__u64 wake_uaddr, wake_ns; /* the last wake that woke somebody, or tried to */
	__u64 wait_timeout;        /* user address of the timeout, 0 = none */
	__u32 wait_op, wait_val;
	__u32 wake_op, wake_val;
	__s32 wait_result;  /* 0, -ETIMEDOUT, -EINTR, -EAGAIN … */
	__s32 wake_result;  /* threads woken, or -errno */
	__u64 waits, wakes; /* calls completed */
	__u64 woken;        /* waits of LM_SHORT_WAIT_NS or more that another thread ended: no timeout, no signal */
};

struct lm_thread_record {
	struct lm_record head;
	__u32 tgid;
	__u32 flags; /* enum lm_thread_flags */
	__u64 tgid_start_ns;
	__u64 exec_id; /* grows with every exec of the process */
	__u64 now_ns;
	__u64 wait_since_ns; /* start of the present time off-CPU, 0 = on CPU or not known */
	__u64 switches;      /* voluntary + involuntary */
	__u64 voluntary;
	__u64 cpu_ns;       /* CPU time used */
	__u64 run_delay_ns; /* time spent runnable, waiting for a CPU */
	/* seen by the switch program, since it began to see this thread (seen_since_ns) */
	__u64 seen_since_ns;
	__u64 blocked_ns;   /* in completed waits */
	__u64 preempted_ns; /* off-CPU while runnable, completed */
	__u64 waits;        /* completed waits */
	__u64 stops;        /* by a signal, a debugger or its cgroup; each is a wait, too */
	__u64 last_wait_ns, last_wait_end_ns;
	__u64 longest_wait_ns;
	struct lm_futex_last futex;
	struct lm_regs regs;
	__u32 state;        /* enum lm_task_state */
	__u32 kstack_len;   /* entries of kstack that are valid */
	__s32 kstack_error; /* 0, or why there is no kernel stack: -errno */
	__u32 parent_tid;   /* the process that started this one, 0 = not known */
	__u32 own_tid;      /* the TID as the thread's own PID namespace counts it, 0 = not known */
	__u32 pid_ns;       /* inode number of that namespace, 0 = not known */
	char comm[LM_COMM_LEN];
	__u64 kstack[LM_KSTACK_MAX]; /* only kstack_len of them are sent */
};

/* NEW: tid was started by parent_tid. EXIT: tid ended. EXEC: tgid runs a new program; tid = the thread that called
 * exec. */
struct lm_life_record {
	struct lm_record head;
	__u32 tgid;
	__u32 parent_tid;
	__u64 tgid_start_ns;
	__u64 now_ns;
	__u64 exec_id;
	char comm[LM_COMM_LEN];
};

struct lm_end_record {
	struct lm_record head;
	__u64 now_ns;
	__u64 threads;  /* records of this look */
	__u64 unstored; /* threads for which no task storage could be made */
	__u64 began_ns;
};

/* Counted in the kernel, by cause, summed over CPUs by user space. */
enum lm_loss {
	LM_LOSS_RING_FULL,      /* a life record did not fit into the ring buffer */
	LM_LOSS_STORAGE_FAILED, /* no task storage for a thread */
	LM_LOSS_COUNT
};

LM_ABI_ASSERT(sizeof(struct lm_record) == 16, "lm_record");
LM_ABI_ASSERT(sizeof(struct lm_regs) == 128, "lm_regs");
LM_ABI_ASSERT(sizeof(struct lm_futex_last) == 88, "lm_futex_last");
LM_ABI_ASSERT(sizeof(struct lm_thread_record) % 8 == 0, "lm_thread_record");
LM_ABI_ASSERT(sizeof(struct lm_life_record) == 64, "lm_life_record");
LM_ABI_ASSERT(sizeof(struct lm_end_record) == 48, "lm_end_record");

#endif
