/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs share: per-thread state in task storage (nothing shared
 * between threads, no hash map updated under the run-queue lock), settings that
 * user space fixes before loading, and counters of what was lost.
 */
#ifndef LEAKMON_STATE_H
#define LEAKMON_STATE_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "leakmon_abi.h"

enum filter_mode {
	FILTER_NONE = 0,   /* the whole machine */
	FILTER_LIST = 1,   /* filter_tgids, compared on the switch path */
	FILTER_MARKED = 2, /* processes whose leader user space marked in task storage */
};

/* Fixed before loading: the verifier removes the branches that are not taken. */
const volatile __u32 filter_mode;
const volatile __u32 filter_len;
const volatile __u32 filter_tgids[LM_FILTER_MAX]; /* in the initial PID namespace, as the kernel counts */
const volatile bool watch_kernel_threads;
const volatile bool watch_children;   /* processes that a marked one starts are marked too */
const volatile bool has_prev_state;   /* sched_switch passes prev_state as its fourth argument (5.18) */
const volatile bool in_pid_namespace; /* leakmon is not in the initial one */

/* Depth of leakmon's PID namespace: set by the first look, which runs in leakmon. */
__u32 pid_level;

/* Written by user space between looks: a thread reports whole again when the epoch has changed. */
__u32 epoch = 1;

/* CLOCK_BOOTTIME minus the scheduler's clock, measured on the reader of this look; 0 = not known. */
__u64 clock_offset_ns;

__u64 switch_missed; /* switches that the switch program was not called for */

struct thread_state {
	__u32 marked;      /* on a leader: the process is watched. User space writes it, so it is the first field */
	__u32 off_blocked; /* went off-CPU blocked, not preempted */
	__u64 off_ns;      /* went off-CPU then; 0 = on CPU or not known */
	__u64 blocked_ns;  /* in completed waits, the wait for a CPU after them included */
	__u64 preempted_ns;
	__u64 waits;
	__u64 last_wait_ns, last_wait_end_ns, longest_wait_ns;
	__u64 futex_wait_end_ns; /* last_wait_end_ns at the end of the last futex call */
	__u64 seen_since_ns;
	__u64 run_delay_before_ns; /* the thread's run delay at seen_since_ns */
	/* what the last look reported */
	__u64 reported_switches;
	__u32 reported_state;
	__u32 reported_epoch;
	__u32 off_derived; /* off_ns is not seen but derived */
	__u32 stops;
	struct lm_futex_last futex;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* 16,384 thread births and deaths between two looks */
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LM_LOSS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

static __always_inline void count_loss(__u32 cause)
{
	__u64 *count = bpf_map_lookup_elem(&losses, &cause);

	if (count)
		(*count)++;
}

static __always_inline bool tgid_listed(__u32 tgid)
{
	/* nearly always there is one: the verifier then removes the loop with its loads */
	if (filter_tgids[0] == tgid)
		return true;
	if (filter_len == 1)
		return false;
#pragma unroll
	for (__u32 i = 1; i < LM_FILTER_MAX; i++) {
		if (i < filter_len && filter_tgids[i] == tgid)
			return true;
	}
	return false;
}

static __always_inline struct thread_state *state_of(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, 0, 0);
}

/* Is this thread to be watched? For the slow paths; the switch path asks for its storage instead. */
static __always_inline bool task_watched(struct task_struct *task)
{
	if (!watch_kernel_threads && task->flags & PF_KTHREAD)
		return false;
	if (filter_mode == FILTER_LIST)
		return tgid_listed(task->tgid);
	if (filter_mode == FILTER_MARKED) {
		struct thread_state *leader = state_of(task->group_leader);

		return leader && leader->marked;
	}
	return true;
}

static __always_inline __u32 pid_number(struct pid *pid)
{
	struct upid upid = {};
	__u32 level = pid_level;

	/* MAX_PID_NS_LEVEL of the kernel */
	if (level > 32 || bpf_core_read(&upid, sizeof(upid), &pid->numbers[level]))
		return 0;
	return upid.nr;
}

/* The TID as leakmon's own PID namespace counts it; 0 if the thread has none there. */
static __always_inline __u32 tid_of(struct task_struct *task)
{
	struct pid *pid;

	if (!in_pid_namespace)
		return task->pid;
	pid = task->thread_pid;
	return pid && BPF_CORE_READ(pid, level) >= pid_level ? pid_number(pid) : 0;
}

static __always_inline __u32 tgid_of(struct task_struct *task)
{
	return !in_pid_namespace ? task->tgid : tid_of(task->group_leader);
}

/* Stopped in the way of a signal, but in the state of a wait? */
static __always_inline bool is_frozen(struct task_struct *task)
{
	return bpf_core_field_exists(task->frozen) && BPF_CORE_READ_BITFIELD(task, frozen);
}

static __always_inline __u64 exec_id_of(struct task_struct *task)
{
	return bpf_core_field_exists(task->self_exec_id) ? task->self_exec_id : 0;
}

static __always_inline __u64 run_delay_of(struct task_struct *task)
{
	return bpf_core_field_exists(task->sched_info.run_delay) ? task->sched_info.run_delay : 0;
}

#endif
