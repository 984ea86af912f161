/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sched_switch: when each watched thread went off-CPU, and for how long. The
 * hottest path of all: one task-storage element on each side, no clock read
 * but now and then, no stack, no shared map.
 */
#include "state.h"

/*
 * Reading the clock is more than half of the cost of a switch (47 of 78 ns, in a virtual machine). The scheduler has
 * just read its own, which runs at the rate of ours but for NTP's slewing (at most 500 ppm: 0.5 us in this time) and
 * stands still while the machine is suspended (when no thread of a user is switched to for longer than this).
 */
#define CPU_CLOCK_TRUSTED_NS 1000000

struct cpu_clock {
	__u64 clock;  /* the scheduler's, when it was last compared with CLOCK_BOOTTIME */
	__u64 offset; /* to be added to it */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu_clock);
} cpu_clocks SEC(".maps");

/* CLOCK_BOOTTIME of a switch away from this task, to some microseconds. */
static __always_inline __u64 switch_time(struct task_struct *prev)
{
	struct cpu_clock *known;
	__u64 clock, now;
	__u32 first = 0;

	if (!bpf_core_field_exists(prev->se.cfs_rq) || !bpf_core_field_exists(prev->se.cfs_rq->rq->clock))
		return bpf_ktime_get_boot_ns();
	known = bpf_map_lookup_elem(&cpu_clocks, &first);
	clock = prev->se.cfs_rq->rq->clock;
	if (known && clock - known->clock < CPU_CLOCK_TRUSTED_NS)
		return clock + known->offset;
	now = bpf_ktime_get_boot_ns();
	if (known) {
		known->clock = clock;
		known->offset = now - clock;
	}
	return now;
}

static __always_inline void count_missed(void)
{
	__sync_fetch_and_add(&switch_missed, 1);
}

static __always_inline void came_on(struct thread_state *state, __u64 now)
{
	__u64 off_ns = state->off_ns, off_for_ns;

	state->off_ns = 0;
	if (!off_ns && state->seen_since_ns)
		count_missed();
	if (!off_ns)
		return;
	/* clocks of two CPUs are some microseconds apart */
	off_for_ns = now > off_ns ? now - off_ns : 0;
	if (!state->off_blocked) {
		state->preempted_ns += off_for_ns;
		return;
	}
	state->blocked_ns += off_for_ns;
	state->waits++;
	state->last_wait_ns = off_for_ns;
	state->last_wait_end_ns = now;
	if (off_for_ns > state->longest_wait_ns)
		state->longest_wait_ns = off_for_ns;
}

/*
 * Not every switch reaches this program: on Linux 6.18 about 1 in 10,000 switches onto a CPU was not seen, with
 * recursion_misses 0 and for a reason that is not known. Then a thread goes off that never came on. The scheduler has
 * noted when it did (to the 10-20 us by which clock_offset_ns is known), so its wait is completed after the fact.
 */
static __always_inline void repair_missed_on(struct task_struct *task, struct thread_state *state, __u64 now)
{
	__u64 on_ns = 0;

	if (bpf_core_field_exists(task->sched_info.last_arrival) && clock_offset_ns)
		on_ns = task->sched_info.last_arrival + clock_offset_ns;
	if (on_ns > state->off_ns && on_ns <= now + 1000000)
		came_on(state, on_ns < now ? on_ns : now);
	else
		count_missed();
}

static __always_inline void went_off(struct task_struct *task, struct thread_state *state, __u64 now, bool blocked)
{
	if (state->off_ns && !state->off_derived)
		repair_missed_on(task, state, now);
	state->off_blocked = blocked;
	state->off_derived = false;
	state->off_ns = now;
}

static __always_inline __u32 state_now(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return BPF_CORE_READ((struct task_struct___old *)task, state);
}

/* May it have an element? The idle task is a kernel thread, too. */
static __always_inline bool switch_watched(struct task_struct *task)
{
	if (filter_mode == FILTER_LIST)
		return tgid_listed(task->tgid);
	return watch_kernel_threads || !(task->flags & PF_KTHREAD);
}

SEC("tp_btf/sched_switch")
int switch_threads(__u64 *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx[1];
	struct task_struct *next = (struct task_struct *)ctx[2];
	struct thread_state *state;
	__u64 now = 0;

	if (switch_watched(prev)) {
		state = state_of(prev);
		if (state) {
			/* the argument: by now a woken thread may already have put another state into prev */
			__u32 prev_state = has_prev_state ? (__u32)ctx[3] : state_now(prev);

			now = switch_time(prev);
			went_off(prev, state, now, !(bool)ctx[0] && prev_state != 0);
			if (prev_state && (prev_state & (LM_STATE_STOPPED | LM_STATE_TRACED) || is_frozen(prev)))
				state->stops++;
		}
	}
	if (switch_watched(next)) {
		state = state_of(next);
		if (state)
			came_on(state, now ? now : switch_time(prev));
	}
	return 0;
}
