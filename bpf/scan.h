/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scan: a task iterator that visits every thread. It is the truth; the other
 * programs add precision between scans. A thread that has not run since the last
 * look gets a 16-byte record and no stack.
 */
#include "state.h"

/* User space clears these before a look and never runs two looks at once, so one scratch record is enough. */
__u64 look_threads;
__u64 look_unstored;
__u64 look_began_ns;

static struct lm_thread_record scratch;

/* The states that we tell apart, without the flags that newer kernels add. */
static __always_inline __u32 reported_state(struct task_struct *task)
{
	__u32 state = bpf_core_field_exists(task->__state) ? task->__state
							   : BPF_CORE_READ((struct task_struct___old *)task, state);
	__u32 exit_state = task->exit_state & (LM_STATE_DEAD | LM_STATE_ZOMBIE);

	if (exit_state)
		return exit_state;
	if ((state & LM_STATE_IDLE) == LM_STATE_IDLE)
		return LM_STATE_IDLE;
	if (state & (LM_STATE_STOPPED | LM_STATE_TRACED | LM_STATE_PARKED))
		return state & (LM_STATE_STOPPED | LM_STATE_TRACED | LM_STATE_PARKED);
	if (state & LM_STATE_INTERRUPTIBLE && is_frozen(task))
		return LM_STATE_STOPPED;
	return state & (LM_STATE_INTERRUPTIBLE | LM_STATE_UNINTERRUPTIBLE);
}

/*
 * When a thread that is off-CPU went off, for waits that began unseen. sched_info.last_arrival (when it last came on
 * CPU) and se.exec_start (when its CPU time was last charged, which happens as it leaves) are both at or before that
 * moment; exec_start's clock leaves out IRQ and steal time, so the later one of the two is the nearest.
 */
static __always_inline __u64 derived_wait_start(struct task_struct *task, __u64 now)
{
	__u64 last = task->se.exec_start;
	__u64 since;

	if (bpf_core_field_exists(task->sched_info.last_arrival) && task->sched_info.last_arrival > last)
		last = task->sched_info.last_arrival;
	if (!last || !clock_offset_ns)
		return 0;
	since = last + clock_offset_ns;
	if (since > now)
		since = now;
	return since < task->start_boottime ? task->start_boottime : since;
}

static __always_inline void fill_regs(struct task_struct *task, struct lm_thread_record *record)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct lm_regs *out = &record->regs;

	if (!regs)
		return;
	if (BPF_CORE_READ(regs, cs) != USER_CS_64 || task->thread_info.status & TS_COMPAT)
		record->flags |= LM_THREAD_COMPAT;
	record->flags |= LM_THREAD_REGS;
	out->ip = BPF_CORE_READ(regs, ip);
	out->sp = BPF_CORE_READ(regs, sp);
	out->bp = BPF_CORE_READ(regs, bp);
	out->bx = BPF_CORE_READ(regs, bx);
	out->r12 = BPF_CORE_READ(regs, r12);
	out->r13 = BPF_CORE_READ(regs, r13);
	out->r14 = BPF_CORE_READ(regs, r14);
	out->r15 = BPF_CORE_READ(regs, r15);
	out->di = BPF_CORE_READ(regs, di);
	out->si = BPF_CORE_READ(regs, si);
	out->dx = BPF_CORE_READ(regs, dx);
	out->r10 = BPF_CORE_READ(regs, r10);
	out->r8 = BPF_CORE_READ(regs, r8);
	out->r9 = BPF_CORE_READ(regs, r9);
	out->nr = (__s64)BPF_CORE_READ(regs, orig_ax);
	out->fs_base = task->thread.fsbase;
}

/* The TID that the thread's own process knows, which is what locks hold. */
static __always_inline void fill_own_tid(struct task_struct *task, struct lm_thread_record *record)
{
	struct pid *pid = task->thread_pid;
	struct upid upid = {};
	__u32 level;

	if (!pid)
		return;
	level = BPF_CORE_READ(pid, level);
	/* MAX_PID_NS_LEVEL of the kernel */
	if (level > 32 || bpf_core_read(&upid, sizeof(upid), &pid->numbers[level]))
		return;
	record->own_tid = upid.nr;
	record->pid_ns = BPF_CORE_READ(upid.ns, ns.inum);
}

static __always_inline void fill_totals(
	struct task_struct *task, const struct thread_state *state, struct lm_thread_record *record)
{
	__u64 off_ns = state->blocked_ns + state->preempted_ns;
	__u64 delay_ns = record->run_delay_ns - state->run_delay_before_ns;

	record->seen_since_ns = state->seen_since_ns;
	record->preempted_ns = state->preempted_ns;
	/* blocked_ns holds the wait for a CPU after each wake-up; the kernel's run delay is that and the
	 * preemptions. */
	record->blocked_ns = off_ns > delay_ns ? off_ns - delay_ns : 0;
	record->waits = state->waits;
	record->stops = state->stops;
	record->last_wait_ns = state->last_wait_ns;
	record->last_wait_end_ns = state->last_wait_end_ns;
	record->longest_wait_ns = state->longest_wait_ns;
	record->futex = state->futex;
}

static __always_inline void fill_record(struct task_struct *task, struct thread_state *state, __u32 task_state,
	__u64 switches, bool on_cpu, struct lm_thread_record *record)
{
	long len;

	__builtin_memset(record, 0, offsetof(struct lm_thread_record, kstack));
	record->head.type = LM_RECORD_THREAD;
	record->head.tid = tid_of(task);
	record->head.start_ns = task->start_boottime;
	record->tgid = tgid_of(task);
	record->tgid_start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	record->exec_id = exec_id_of(task);
	record->now_ns = bpf_ktime_get_boot_ns();
	record->switches = switches;
	record->voluntary = task->nvcsw;
	record->cpu_ns = task->se.sum_exec_runtime;
	record->run_delay_ns = run_delay_of(task);
	record->state = task_state;
	record->parent_tid = tgid_of(task->real_parent);
	fill_own_tid(task, record);
	BPF_CORE_READ_STR_INTO(&record->comm, task, comm);
	if (task->flags & PF_KTHREAD)
		record->flags |= LM_THREAD_KERNEL;
	if (task->flags & PF_EXITING || task_state & (LM_STATE_DEAD | LM_STATE_ZOMBIE))
		record->flags |= LM_THREAD_EXITING;
	if (on_cpu)
		record->flags |= LM_THREAD_ON_CPU;
	if (state) {
		fill_totals(task, state, record);
		if (!on_cpu && state->off_ns) {
			/* the switch program's clock may be some microseconds ahead */
			record->wait_since_ns = state->off_ns < record->now_ns ? state->off_ns : record->now_ns;
			if (!state->off_derived)
				record->flags |= LM_THREAD_EXACT;
		}
	} else {
		record->flags |= LM_THREAD_UNSTORED;
		if (!on_cpu)
			record->wait_since_ns = derived_wait_start(task, record->now_ns);
	}
	if (on_cpu || record->flags & LM_THREAD_EXITING)
		return;
	if (!(record->flags & LM_THREAD_KERNEL))
		fill_regs(task, record);
	if (task_state == LM_STATE_RUNNING)
		return;
	len = bpf_get_task_stack(task, record->kstack, sizeof(record->kstack), 0);
	if (len < 0)
		record->kstack_error = len;
	else
		record->kstack_len = len / sizeof(record->kstack[0]);
}

static __always_inline long write_record(struct seq_file *seq, struct lm_thread_record *record)
{
	__u64 size = offsetof(struct lm_thread_record, kstack) + record->kstack_len * sizeof(record->kstack[0]);

	if (size > sizeof(*record))
		size = sizeof(*record);
	record->head.size = size;
	return bpf_seq_write(seq, record, size);
}

/*
 * The offset between the clocks, from the reader itself: user space sleeps for a moment right before a look, so the
 * reader came on CPU just now (10–20 µs ago, measured), and the scheduler noted that on its own clock.
 */
static __always_inline void measure_reader(void)
{
	struct task_struct *reader = bpf_get_current_task_btf();
	__u64 arrival = reader->se.exec_start;

	if (in_pid_namespace)
		pid_level = BPF_CORE_READ(reader, thread_pid, level);
	if (bpf_core_field_exists(reader->sched_info.last_arrival))
		arrival = reader->sched_info.last_arrival;
	clock_offset_ns = arrival ? look_began_ns - arrival : 0;
}

static __always_inline void begin_seeing(struct task_struct *task, struct thread_state *state, bool on_cpu)
{
	__u64 now = bpf_ktime_get_boot_ns();

	state->run_delay_before_ns = run_delay_of(task);
	if (!on_cpu) {
		state->off_derived = true;
		state->off_blocked = true;
		state->off_ns = derived_wait_start(task, now);
	}
	/* last: the switch program counts what it misses from here on */
	barrier_var(now);
	state->seen_since_ns = now;
}

static __always_inline long visit(struct seq_file *seq, struct task_struct *task)
{
	struct thread_state *state = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	__u64 switches = task->nvcsw + task->nivcsw;
	__u32 task_state = reported_state(task);
	bool on_cpu = task->on_cpu;
	long error;

	look_threads++;
	/* One that is ending is told whole each time, also a zombie: user space has let go of it and would miss it. */
	if (state && state->reported_epoch == epoch && state->reported_switches == switches &&
		state->reported_state == task_state && !on_cpu && !(task->flags & PF_EXITING)) {
		struct lm_record same = {
			.type = LM_RECORD_SAME,
			.size = sizeof(same),
			.tid = tid_of(task),
			.start_ns = task->start_boottime,
		};

		return bpf_seq_write(seq, &same, sizeof(same));
	}
	if (!state) {
		look_unstored++;
		if (!(task->flags & PF_EXITING))
			count_loss(LM_LOSS_STORAGE_FAILED);
	} else if (!state->seen_since_ns) {
		begin_seeing(task, state, on_cpu);
	} else if (!state->off_ns && !on_cpu && task_state != LM_STATE_RUNNING) {
		/* the switch program did not see it go: derive what was missed */
		__sync_fetch_and_add(&switch_missed, 1);
		state->off_derived = true;
		state->off_blocked = true;
		state->off_ns = derived_wait_start(task, bpf_ktime_get_boot_ns());
	}
	fill_record(task, state, task_state, switches, on_cpu, &scratch);
	error = write_record(seq, &scratch);
	/*
	 * When the buffer is full the kernel calls us again for this thread: only what was taken is reported. One that
	 * is on its way off a CPU was told of as running though its switch is counted already: it is told again.
	 */
	if (!error && state) {
		state->reported_epoch = on_cpu ? 0 : epoch;
		state->reported_switches = switches;
		state->reported_state = task_state;
	}
	return error;
}

SEC("iter/task")
int scan_threads(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;

	if (!look_began_ns) {
		look_began_ns = bpf_ktime_get_boot_ns();
		measure_reader();
	}
	if (!task) {
		struct lm_end_record end = {
			.head = {.type = LM_RECORD_END, .size = sizeof(end)},
			.now_ns = bpf_ktime_get_boot_ns(),
			.threads = look_threads,
			.unstored = look_unstored,
			.began_ns = look_began_ns,
		};

		bpf_seq_write(seq, &end, sizeof(end));
		return 0;
	}
	if (task_watched(task) && tid_of(task))
		visit(seq, task);
	return 0;
}
