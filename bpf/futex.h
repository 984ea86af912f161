/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Completed futex calls: what a thread last waited on or woke, and how it ended.
 * What it waits on now is in its saved registers, so nothing is done on entry.
 *
 * Two ways in, of which user space loads one: fexit on the system calls, which
 * only futex calls pay for, or the sys_exit_futex* tracepoints, which make every
 * system call of the machine slower.
 */
#include "state.h"

#define FUTEX_CMD_MASK 0x7f
#define NR_FUTEX 202
#define NR_FUTEX_WAITV 449
#define NR_FUTEX_WAKE 454
#define NR_FUTEX_WAIT 455
#define NR_FUTEX_REQUEUE 456

/* Of the operations of futex(2): WAIT 0, LOCK_PI 6, WAIT_BITSET 9, WAIT_REQUEUE_PI 11, LOCK_PI2 13. */
#define WAIT_OPS (1u << 0 | 1u << 6 | 1u << 9 | 1u << 11 | 1u << 13)

static __always_inline void note_wait(
	struct thread_state *state, __u64 uaddr, __u32 op, __u32 val, __u64 timeout, long result)
{
	struct lm_futex_last *futex = &state->futex;

	futex->wait_uaddr = uaddr;
	futex->wait_op = op;
	futex->wait_val = val;
	futex->wait_timeout = timeout;
	futex->wait_result = result;
	futex->wait_end_ns = bpf_ktime_get_boot_ns();
	futex->waits++;
	/* If it slept, it has just come back on CPU, so that is the last wait that the switch program saw. One that was
	 * woken before it slept has nothing to do with the wait of the call before it. */
	futex->woken += result >= 0 && state->last_wait_ns >= LM_SHORT_WAIT_NS &&
			state->last_wait_end_ns != state->futex_wait_end_ns;
	state->futex_wait_end_ns = state->last_wait_end_ns;
}

static __always_inline void note_wake(struct lm_futex_last *futex, __u64 uaddr, __u32 op, __u32 val, long result)
{
	futex->wakes++;
	/* a wake that woke nobody must not hide the one before it that did */
	if (result == 0 && futex->wake_result > 0)
		return;
	futex->wake_uaddr = uaddr;
	futex->wake_op = op;
	futex->wake_val = val;
	futex->wake_result = result;
	futex->wake_ns = bpf_ktime_get_boot_ns();
}

static __always_inline int futex_done(struct pt_regs *regs, __u32 nr, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *state;
	__u64 uaddr, second, third, fourth;

	if (filter_mode == FILTER_LIST && !tgid_listed(task->tgid))
		return 0;
	state = state_of(task);
	if (!state)
		return 0;
	uaddr = BPF_CORE_READ(regs, di);
	second = BPF_CORE_READ(regs, si);
	third = BPF_CORE_READ(regs, dx);
	fourth = BPF_CORE_READ(regs, r10);
	switch (nr) {
	case NR_FUTEX:
		if (WAIT_OPS & 1u << (second & 31) && (second & FUTEX_CMD_MASK) < 32)
			note_wait(state, uaddr, second, third, fourth, result);
		else
			note_wake(&state->futex, uaddr, second, third, result);
		break;
	case NR_FUTEX_WAIT: /* (uaddr, val, mask, flags, timeout, clockid) */
		note_wait(state, uaddr, fourth, second, BPF_CORE_READ(regs, r8), result);
		break;
	case NR_FUTEX_WAITV: /* (waiters, nr, flags, timeout, clockid): uaddr is that of the list */
		note_wait(state, uaddr, third, second, fourth, result);
		break;
	case NR_FUTEX_WAKE: /* (uaddr, mask, nr, flags) */
		note_wake(&state->futex, uaddr, fourth, third, result);
		break;
	default: /* futex_requeue(waiters, flags, nr_wake, nr_requeue) */
		note_wake(&state->futex, uaddr, second, third, result);
	}
	return 0;
}

#define FUTEX_PROGRAMS(name, number)                                                                                   \
	SEC("fexit/__x64_sys_" #name)                                                                                  \
	int BPF_PROG(fexit_##name, struct pt_regs *regs, long result)                                                  \
	{                                                                                                              \
		return futex_done(regs, number, result);                                                               \
	}                                                                                                              \
	SEC("tp/syscalls/sys_exit_" #name)                                                                             \
	int tp_##name(struct trace_event_raw_sys_exit *ctx)                                                            \
	{                                                                                                              \
		struct task_struct *task = bpf_get_current_task_btf();                                                 \
                                                                                                                       \
		return futex_done((struct pt_regs *)bpf_task_pt_regs(task), number, ctx->ret);                         \
	}

FUTEX_PROGRAMS(futex, NR_FUTEX)
FUTEX_PROGRAMS(futex_waitv, NR_FUTEX_WAITV)
FUTEX_PROGRAMS(futex_wake, NR_FUTEX_WAKE)
FUTEX_PROGRAMS(futex_wait, NR_FUTEX_WAIT)
FUTEX_PROGRAMS(futex_requeue, NR_FUTEX_REQUEUE)
