/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that start, end, or become another program: storage before it is needed, and a record of each. */
#include "state.h"

static __always_inline void send_life(struct task_struct *task, __u16 type, __u32 tid, __u32 parent_tid)
{
	struct lm_life_record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	__u64 waiting;

	if (!record) {
		count_loss(LM_LOSS_RING_FULL);
		return;
	}
	record->head.type = type;
	record->head.size = sizeof(*record);
	record->head.tid = tid;
	record->head.start_ns = task->start_boottime;
	record->tgid = tgid_of(task);
	record->parent_tid = parent_tid;
	record->tgid_start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	record->now_ns = bpf_ktime_get_boot_ns();
	record->exec_id = exec_id_of(task);
	BPF_CORE_READ_STR_INTO(&record->comm, task, comm);
	/* Looks drain the buffer; user space is woken only when half of it is full. */
	waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	bpf_ringbuf_submit(record, waiting > 1 << 19 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline bool child_watched(struct task_struct *parent, struct task_struct *child)
{
	struct thread_state *state;

	if (filter_mode != FILTER_MARKED && !in_pid_namespace)
		return task_watched(child);
	if (watch_children)
		return task_watched(parent);
	/* Marks are on leaders and the child may be one; another PID namespace is none of ours: what the thread that
	 * starts it is, the child is too. */
	state = state_of(parent);
	return state && (filter_mode == FILTER_NONE || parent->tgid == child->tgid);
}

SEC("tp_btf/task_newtask")
int BPF_PROG(thread_new, struct task_struct *task, __u64 clone_flags)
{
	struct task_struct *parent = bpf_get_current_task_btf();
	struct thread_state *state;

	if (!child_watched(parent, task))
		return 0;
	state = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (state) {
		state->seen_since_ns = task->start_boottime;
		state->marked = watch_children && parent->tgid != task->tgid;
		/* It waits for its first CPU, which the kernel counts as run delay: then so do we. */
		state->off_ns = bpf_ktime_get_boot_ns();
		state->off_blocked = false;
	} else {
		count_loss(LM_LOSS_STORAGE_FAILED);
	}
	send_life(task, LM_RECORD_NEW, tid_of(task), tid_of(parent));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exit, struct task_struct *task)
{
	if (task_watched(task) && (!in_pid_namespace || state_of(task)))
		send_life(task, LM_RECORD_EXIT, tid_of(task), 0);
	return 0;
}

/* After an exec by another thread than the leader, that thread has the leader's TID and start time; old_pid is the
 * TID that it had. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid)
{
	if (task_watched(task) && (!in_pid_namespace || state_of(task)))
		send_life(task, LM_RECORD_EXEC, tid_of(task), 0);
	return 0;
}
