/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sched_switch: when each watched thread went off-CPU, and for how long. The
 * hottest path of all: one task-storage element on each side, one clock, no
 * stack, no shared map.
 */
#include "state.h"

static __always_inline void went_off(struct thread_state *state, __u64 now, bool blocked)
{
	state->off_blocked = blocked;
	state->off_derived = false;
	state->off_ns = now;
}

static __always_inline void came_on(struct thread_state *state, __u64 now)
{
	__u64 off_ns = state->off_ns;

	state->off_ns = 0;
	if (!off_ns || now <= off_ns)
		return;
	if (!state->off_blocked) {
		state->preempted_ns += now - off_ns;
		return;
	}
	state->blocked_ns += now - off_ns;
	state->waits++;
	state->last_wait_ns = now - off_ns;
	state->last_wait_end_ns = now;
	if (now - off_ns > state->longest_wait_ns)
		state->longest_wait_ns = now - off_ns;
}

static __always_inline __u32 state_now(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return BPF_CORE_READ((struct task_struct___old *)task, state);
}

SEC("tp_btf/sched_switch")
int switch_threads(__u64 *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx[1];
	struct task_struct *next = (struct task_struct *)ctx[2];
	struct thread_state *state;
	__u64 now = 0;

	if (filter_mode != FILTER_LIST || tgid_listed(prev->tgid)) {
		state = state_of(prev);
		if (state) {
			/* the argument: by now a woken thread may already have put another state into prev */
			__u32 prev_state = has_prev_state ? (__u32)ctx[3] : state_now(prev);

			now = bpf_ktime_get_boot_ns();
			went_off(state, now, !(bool)ctx[0] && prev_state != 0);
		}
	}
	if (filter_mode != FILTER_LIST || tgid_listed(next->tgid)) {
		state = state_of(next);
		if (state)
			came_on(state, now ? now : bpf_ktime_get_boot_ns());
	}
	return 0;
}
