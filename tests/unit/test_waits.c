// SPDX-License-Identifier: GPL-2.0-or-later
/* What threads wait on, from what was seen of real ones (Linux 6.18, glibc 2.36, musl 1.2.3, Rust 1.95, x86-64). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <time.h>

#include "user/waits.h"

#define NAMES 8
#define NR_FUTEX 202
#define NR_RESTART 219
#define BASE 0x55bc9c8c8000ull /* of locks in the data of the program */
#define SP 0x7f93799ff000ull   /* stack pointer of the thread */
#define TIMEOUT (SP + 0x80)

#define S LM_STATE_INTERRUPTIBLE
#define D LM_STATE_UNINTERRUPTIBLE
#define IN_JOIN_TARGET (1u << 30)
#define WITHOUT_REGS (1u << 31)
#define NAMELESS_LIBC (1u << 29)

enum { NO_OBJECT, ADDRESS, DESCRIPTOR };

struct sample {
	const char *what;
	int64_t nr;
	uint64_t di, si, dx, r10;
	const char *user[NAMES], *kernel[NAMES];
	uint32_t state; /* with IN_JOIN_TARGET, WITHOUT_REGS, NAMELESS_LIBC */
	enum lm_wait_class expected;
	int object_kind;
	uint64_t object;
	const char *detail;
};

#define FUTEX_KERNEL                                                                                                   \
	{                                                                                                              \
		"futex_do_wait", "__futex_wait", "futex_wait", "do_futex", "__x64_sys_futex"                           \
	}
#define RESTARTED_FUTEX                                                                                                \
	{                                                                                                              \
		"futex_do_wait", "__futex_wait", "futex_wait", "futex_wait_restart"                                    \
	}

/* Read off threads that were blocked in each way: registers and kernel stack from /proc, names as leakmon's resolver
 * gives them with the debugging symbols of libc at hand. */
static const struct sample glibc[] = {
	{"normal mutex", NR_FUTEX, BASE + 0x8a0, 0x80, 2, 0,
		{"futex_wait", "__lll_lock_wait", "lll_mutex_lock_optimized", "pthread_mutex_lock", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x8a0, "pthread_mutex_lock"},
	{"mutex shared between processes", NR_FUTEX, BASE + 0x760, 0x0, 2, 0,
		{"futex_wait", "__lll_lock_wait", "lll_mutex_lock_optimized", "pthread_mutex_lock", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x760, "pthread_mutex_lock"},
	{"robust mutex", NR_FUTEX, BASE + 0x7a0, 0x0, 0x80007948, 0,
		{"futex_wait", "__pthread_mutex_lock_full", "work"}, FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS,
		BASE + 0x7a0, "pthread_mutex_lock"},
	{"mutex with a timeout", NR_FUTEX, BASE + 0x8a0, 0x189, 2, TIMEOUT,
		{"__futex_abstimed_wait_common", "__futex_clocklock64", "__pthread_mutex_clocklock_common", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x8a0, "pthread_mutex_timedlock"},
	{"PI mutex", NR_FUTEX, BASE + 0x7e0, 0x86, 0, 0, {"__futex_lock_pi64", "__pthread_mutex_lock_full", "work"},
		{"rt_mutex_schedule", "futex_lock_pi", "do_futex", "__x64_sys_futex"}, S, LM_WAIT_FUTEX_PI, ADDRESS,
		BASE + 0x7e0, "pthread_mutex_lock"},
	{"PI mutex with a timeout", NR_FUTEX, BASE + 0x7e0, 0x86, 0, TIMEOUT,
		{"__futex_lock_pi64", "__pthread_mutex_clocklock_common", "work"},
		{"rt_mutex_schedule", "futex_lock_pi", "do_futex", "__x64_sys_futex"}, S, LM_WAIT_FUTEX_PI, ADDRESS,
		BASE + 0x7e0, "pthread_mutex_timedlock"},
	{"mtx_lock", NR_FUTEX, BASE + 0x520, 0x80, 2, 0,
		{"futex_wait", "__lll_lock_wait", "lll_mutex_lock_optimized", "pthread_mutex_lock", "mtx_lock", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x520, "mtx_lock"},
	{"a lock inside libc", NR_FUTEX, BASE + 0x524, 0x80, 2, 0, {"futex_wait", "__lll_lock_wait_private", "malloc"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x524, "__lll_lock_wait"},
	{"condition", NR_FUTEX, BASE + 0x6c8, 0x189, 0, 0,
		{"__futex_abstimed_wait_common64", "__futex_abstimed_wait_common", "__pthread_cond_wait_common",
			"pthread_cond_wait", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x6a0, "pthread_cond_wait"},
	{"condition, its other word", NR_FUTEX, BASE + 0x6cc, 0x189, 0, 0,
		{"__futex_abstimed_wait_common", NULL, "pthread_cond_wait", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x6a0, "pthread_cond_wait"},
	{"condition with a timeout", NR_FUTEX, BASE + 0x6c8, 0x189, 0, TIMEOUT,
		{"__futex_abstimed_wait_common64", "__futex_abstimed_wait_common", "__pthread_cond_wait_common",
			"pthread_cond_timedwait", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x6a0, "pthread_cond_timedwait"},
	{"condition with a timeout, monotonic", NR_FUTEX, BASE + 0x688, 0x89, 0, TIMEOUT,
		{"__futex_abstimed_wait_common", "pthread_cond_timedwait@@GLIBC_2.3.2", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x660, "pthread_cond_timedwait"},
	{"cnd_wait", NR_FUTEX, BASE + 0x508, 0x189, 0, 0,
		{"__futex_abstimed_wait_common", "__pthread_cond_wait_common", "pthread_cond_wait", "cnd_wait", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x4e0, "cnd_wait"},
	{"the mutex of a condition, taken again", NR_FUTEX, BASE + 0x8a0, 0x80, 2, 0,
		{"futex_wait", "__lll_lock_wait", "__pthread_mutex_cond_lock", "__pthread_cond_wait_common",
			"pthread_cond_wait", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x8a0, "pthread_mutex_lock"},
	{"semaphore", NR_FUTEX, BASE + 0x560, 0x189, 0, 0,
		{"__futex_abstimed_wait_common64", "__futex_abstimed_wait_common", "__new_sem_wait_slow64.constprop.0",
			"work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_SEM, ADDRESS, BASE + 0x560, "sem_wait"},
	{"semaphore with a timeout", NR_FUTEX, BASE + 0x560, 0x189, 0, TIMEOUT,
		{"__futex_abstimed_wait_common", "__new_sem_wait_slow64.constprop.0", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_SEM, ADDRESS, BASE + 0x560, "sem_timedwait"},
	{"rwlock, reader", NR_FUTEX, BASE + 0x628, 0x189, 3, 0,
		{"__futex_abstimed_wait_common", "__pthread_rwlock_rdlock_full64", "pthread_rwlock_rdlock", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_RWLOCK, ADDRESS, BASE + 0x620, "pthread_rwlock_rdlock"},
	{"rwlock, writer", NR_FUTEX, BASE + 0x62c, 0x189, 3, 0,
		{"__futex_abstimed_wait_common", "__pthread_rwlock_wrlock_full64", "pthread_rwlock_wrlock", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_RWLOCK, ADDRESS, BASE + 0x620, "pthread_rwlock_wrlock"},
	{"rwlock, writer behind readers", NR_FUTEX, BASE + 0x5e8, 0x189, 2, 0,
		{"__futex_abstimed_wait_common", "__pthread_rwlock_wrlock_full64", "pthread_rwlock_wrlock", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_RWLOCK, ADDRESS, BASE + 0x5e0, "pthread_rwlock_wrlock"},
	{"rwlock, writer with a timeout", NR_FUTEX, BASE + 0x62c, 0x189, 3, TIMEOUT,
		{"__futex_abstimed_wait_common", "__pthread_rwlock_wrlock_full64", "pthread_rwlock_timedwrlock",
			"work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_RWLOCK, ADDRESS, BASE + 0x620, "pthread_rwlock_timedwrlock"},
	{"barrier", NR_FUTEX, BASE + 0x584, 0x80, 0, 0,
		{"futex_wait", "futex_wait_simple", "pthread_barrier_wait", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_BARRIER, ADDRESS, BASE + 0x580, "pthread_barrier_wait"},
	{"join", NR_FUTEX, 0x7f9379903990, 0x109, 0x794e, 0,
		{"__futex_abstimed_wait_common64", "__futex_abstimed_wait_common", "__pthread_clockjoin_ex", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_JOIN, ADDRESS, 0x7f9379903990, "pthread_join"},
	{"nanosleep", 230, 0, 0, TIMEOUT, 0, {"clock_nanosleep", "nanosleep", "work"},
		{"hrtimer_nanosleep", "common_nsleep", "__x64_sys_clock_nanosleep"}, S, LM_WAIT_SLEEP, NO_OBJECT, 0,
		"nanosleep"},
	{"thrd_sleep", 230, 0, 0, TIMEOUT, 0, {"clock_nanosleep", "thrd_sleep", "work"},
		{"hrtimer_nanosleep", "common_nsleep", "__x64_sys_clock_nanosleep"}, S, LM_WAIT_SLEEP, NO_OBJECT, 0,
		"thrd_sleep"},
	{"pause", 34, 0, 0, 2, 0, {"pause", "work"}, {"__do_sys_pause"}, S, LM_WAIT_SIGNAL, NO_OBJECT, 0, "pause"},
	{"sigwait", 128, SP, SP, 0, 8, {"__sigtimedwait", "sigwait", "work"},
		{"do_sigtimedwait.isra.0", "__x64_sys_rt_sigtimedwait"}, S, LM_WAIT_SIGNAL, NO_OBJECT, 0, "sigwait"},
	{"sigsuspend", 130, SP, 8, 0, 0, {"__sigsuspend", "work"}, {"sigsuspend.isra.0", "__x64_sys_rt_sigsuspend"}, S,
		LM_WAIT_SIGNAL, NO_OBJECT, 0, "sigsuspend"},
	{"waitpid", 61, UINT32_MAX, SP, 0, 0, {"wait4", "work"}, {"do_wait", "kernel_wait4"}, S, LM_WAIT_CHILD,
		NO_OBJECT, 0, "wait4"},
	{"vfork", 58, 0, 0, 0, 0, {"vfork"}, {"kernel_clone", "__do_sys_vfork"}, D, LM_WAIT_CHILD, NO_OBJECT, 0,
		"vfork"},
	{"read of a pipe", 0, 3, SP, 1, 0, {"__GI___libc_read", "__GI___libc_read", "work"},
		{"anon_pipe_read", "vfs_read", "ksys_read"}, S, LM_WAIT_PIPE, DESCRIPTOR, 3, "read"},
	{"write to a pipe", 1, 6, SP, 1, 0, {"__libc_write", "write", "work"},
		{"anon_pipe_write", "vfs_write", "ksys_write"}, S, LM_WAIT_PIPE, DESCRIPTOR, 6, "write"},
	{"open of a FIFO", 257, 0xffffff9c, SP, 0, 0, {"open64", "work"},
		{"wait_for_partner", "fifo_open", "do_dentry_open", "vfs_open", "path_openat"}, S, LM_WAIT_PIPE,
		NO_OBJECT, 0, "open"},
	{"splice of pipes", 275, 3, 0, 6, 0, {"splice", "work"},
		{"pipe_wait_readable", "ipipe_prep.part.0", "do_splice"}, S, LM_WAIT_PIPE, DESCRIPTOR, 3, "splice"},
	{"recv, Unix", 45, 7, SP, 1, 0, {"__libc_recv", "recv", "work"},
		{"unix_stream_read_generic", "unix_stream_recvmsg", "sock_recvmsg", "__sys_recvfrom"}, S,
		LM_WAIT_SOCKET, DESCRIPTOR, 7, "recv"},
	{"read of a socket", 0, 7, SP, 1, 0, {"__libc_read", "read", "work"},
		{"unix_stream_read_generic", "unix_stream_recvmsg", "sock_recvmsg", "sock_read_iter", "vfs_read"}, S,
		LM_WAIT_SOCKET, DESCRIPTOR, 7, "read"},
	{"write to a socket", 1, 12, SP, 1, 0, {"__libc_write", "write", "work"},
		{"sock_alloc_send_pskb", "unix_stream_sendmsg", "sock_write_iter", "vfs_write"}, S, LM_WAIT_SOCKET,
		DESCRIPTOR, 12, "write"},
	{"read of TCP", 0, 15, SP, 1, 0, {"read", "work"},
		{"wait_woken", "sk_wait_data", "tcp_recvmsg_locked", "tcp_recvmsg", "sock_recvmsg", "sock_read_iter"},
		S, LM_WAIT_SOCKET, DESCRIPTOR, 15, "read"},
	{"send over TCP", 44, 15, SP, 1, 0, {"__libc_send", "send", "work"},
		{"wait_woken", "sk_stream_wait_memory", "tcp_sendmsg_locked", "tcp_sendmsg", "__sys_sendto"}, S,
		LM_WAIT_SOCKET, DESCRIPTOR, 15, "send"},
	{"accept", 43, 14, 0, 0, 0, {"accept", "work"},
		{"inet_csk_accept", "inet_accept", "do_accept", "__sys_accept4"}, S, LM_WAIT_SOCKET, DESCRIPTOR, 14,
		"accept"},
	{"connect, Unix", 42, 32, SP, 110, 0, {"connect", "work"}, {"unix_wait_for_peer", "unix_stream_connect"}, S,
		LM_WAIT_SOCKET, DESCRIPTOR, 32, "connect"},
	{"epoll_wait", 232, 21, SP, 1, UINT32_MAX, {"epoll_wait", "work"}, {"do_epoll_wait", "__x64_sys_epoll_wait"}, S,
		LM_WAIT_POLL, DESCRIPTOR, 21, "epoll_wait"},
	{"poll", 7, SP, 1, UINT32_MAX, 0, {"__poll", "work"}, {"poll_schedule_timeout.constprop.0", "do_sys_poll"}, S,
		LM_WAIT_POLL, NO_OBJECT, 0, "poll"},
	{"select", 270, 9, SP, 0, 0, {"__select", "work"},
		{"poll_schedule_timeout.constprop.0", "do_select", "core_sys_select"}, S, LM_WAIT_POLL, NO_OBJECT, 0,
		"select"},
	{"pselect", 270, 9, SP, 0, 0, {"pselect64_syscall", "pselect", "work"}, {"do_select"}, S, LM_WAIT_POLL,
		NO_OBJECT, 0, "pselect"},
	{"eventfd", 0, 22, SP, 8, 0, {"read", "work"}, {"do_wait_intr_irq", "eventfd_read", "vfs_read"}, S,
		LM_WAIT_FILE, DESCRIPTOR, 22, "read"},
	{"terminal", 0, 34, SP, 1, 0, {"read", "work"}, {"wait_woken", "n_tty_read", "tty_read", "vfs_read"}, S,
		LM_WAIT_FILE, DESCRIPTOR, 34, "read"},
	{"flock", 73, 19, 2, 0, 0, {"flock", "work"}, {"locks_lock_inode_wait", "__do_sys_flock"}, S, LM_WAIT_FILE,
		DESCRIPTOR, 19, "flock"},
	{"lock of a file", 72, 37, 38, SP, 0, {"__libc_fcntl64", "work"}, {"fcntl_setlk", "do_fcntl"}, S, LM_WAIT_FILE,
		DESCRIPTOR, 37, "fcntl"},
	{"message queue", 70, 1, SP, 8, 0, {"__libc_msgrcv", "work"}, {"do_msgrcv"}, S, LM_WAIT_OTHER, NO_OBJECT, 0,
		"msgrcv"},
	{"io_uring, by syscall()", 426, 36, 0, 1, 1, {"syscall", "work"}, {"io_cqring_wait", "__do_sys_io_uring_enter"},
		S, LM_WAIT_IO_URING, DESCRIPTOR, 36, "io_uring_enter"},
	{"futex_wait, the system call of its own", 455, BASE, 0, UINT32_MAX, 0x82, {"syscall", "work"},
		{"futex_do_wait", "__futex_wait", "__x64_sys_futex_wait"}, S, LM_WAIT_FUTEX_OTHER, ADDRESS, BASE,
		"futex_wait"},
	{"futex_waitv", 449, BASE, 1, 0, 0, {"syscall", "work"}, {"futex_wait_multiple", "__do_sys_futex_waitv"}, S,
		LM_WAIT_FUTEX_OTHER, NO_OBJECT, 0, "futex_waitv"},
};

/* After SIGSTOP and SIGCONT: the registers are still those of the first call, but for the number. */
static const struct sample restarted[] = {
	{"mutex", NR_RESTART, BASE + 0x8a0, 0x189, 2, TIMEOUT,
		{"__futex_abstimed_wait_common", "__pthread_mutex_clocklock_common", "work"}, RESTARTED_FUTEX, S,
		LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x8a0, "pthread_mutex_timedlock"},
	{"condition", NR_RESTART, BASE + 0x6c8, 0x189, 0, TIMEOUT, {NULL, "pthread_cond_timedwait", "work"},
		RESTARTED_FUTEX, S, LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x6a0, "pthread_cond_timedwait"},
	{"poll", NR_RESTART, SP, 1, UINT32_MAX, 0, {"__poll", "work"},
		{"poll_schedule_timeout.constprop.0", "do_sys_poll", "do_restart_poll"}, S, LM_WAIT_POLL, NO_OBJECT, 0,
		"poll"},
	{"sleep", NR_RESTART, 0, 0, TIMEOUT, 0, {"clock_nanosleep", "nanosleep", "sleep", "work"}, {"do_syscall_64"}, S,
		LM_WAIT_SLEEP, NO_OBJECT, 0, "sleep"},
	{"sleep, without names", NR_RESTART, 0, 0, TIMEOUT, 0, {NULL}, {"do_syscall_64"}, S, LM_WAIT_SLEEP, NO_OBJECT,
		0, "nanosleep"},
	{"sleep, an older kernel", NR_RESTART, 0, 0, TIMEOUT, 0, {NULL}, {"do_nanosleep", "hrtimer_nanosleep"}, S,
		LM_WAIT_SLEEP, NO_OBJECT, 0, "nanosleep"},
	{"nothing known", NR_RESTART, 0, 0, TIMEOUT, 0, {NULL}, {NULL}, S, LM_WAIT_OTHER, NO_OBJECT, 0,
		"restart_syscall"},
};

static const struct sample musl[] = {
	{"normal mutex", NR_FUTEX, BASE + 0x764, 0x80, 0xffffffff80000010, 0,
		{"__syscall_cp_c", "__timedwait_cp", "__timedwait", "pthread_mutex_timedlock", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x760, "pthread_mutex_lock"},
	{"mutex with a timeout", NR_FUTEX, BASE + 0x764, 0x80, 0xffffffff80000010, TIMEOUT,
		{"__syscall_cp_c", "__timedwait_cp", "__timedwait", "pthread_mutex_timedlock", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 0x760, "pthread_mutex_timedlock"},
	{"PI mutex", NR_FUTEX, BASE + 0x6a4, 0x86, 0, 0, {"pthread_mutex_timedlock", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_PI, ADDRESS, BASE + 0x6a0, "pthread_mutex_lock"},
	{"condition: a word of the waiter's own", NR_FUTEX, SP + 0xb4, 0x80, 2, 0,
		{"__syscall_cp_c", "__timedwait_cp", "pthread_cond_timedwait", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_COND, NO_OBJECT, 0, "pthread_cond_wait"},
	{"condition shared between processes", NR_FUTEX, BASE + 0x568, 0x0, 7, 0,
		{"__syscall_cp_c", "__timedwait_cp", "pthread_cond_timedwait", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x560, "pthread_cond_wait"},
	{"semaphore", NR_FUTEX, BASE + 0x420, 0x80, UINT64_MAX, 0,
		{"__syscall_cp_c", "__timedwait_cp", "sem_timedwait", "work"}, FUTEX_KERNEL, S, LM_WAIT_FUTEX_SEM,
		ADDRESS, BASE + 0x420, "sem_wait"},
	{"rwlock", NR_FUTEX, BASE + 0x4e0, 0x80, UINT64_MAX, 0,
		{"__syscall_cp_c", "__timedwait_cp", "__timedwait", "pthread_rwlock_timedrdlock", "work"}, FUTEX_KERNEL,
		S, LM_WAIT_FUTEX_RWLOCK, ADDRESS, BASE + 0x4e0, "pthread_rwlock_rdlock"},
	{"barrier: a word of the first waiter's", NR_FUTEX, SP + 0x15e8c, 0x80, 1, 0, {"pthread_barrier_wait", "work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_BARRIER, ADDRESS, SP + 0x15e8c, "pthread_barrier_wait"},
	{"join", NR_FUTEX, 0x7ff8ae29af70, 0x80, 2, 0,
		{"__syscall_cp_c", "__timedwait_cp", "pthread_timedjoin_np", "work"}, FUTEX_KERNEL, S,
		LM_WAIT_FUTEX_JOIN, ADDRESS, 0x7ff8ae29af70, "pthread_join"},
	{"sleep", 35, SP, SP, 0, 0, {"__syscall_cp_c", "clock_nanosleep", "nanosleep", "sleep", "work"},
		{"hrtimer_nanosleep", "__x64_sys_nanosleep"}, S, LM_WAIT_SLEEP, NO_OBJECT, 0, "sleep"},
	{"recv", 45, 7, SP, 1, 0, {"__syscall_cp_c", "recvfrom", "work"}, {"unix_stream_read_generic"}, S,
		LM_WAIT_SOCKET, DESCRIPTOR, 7, "recvfrom"},
};

/* What the words alone say, and what they do not. */
static const struct sample nameless[] = {
	{"mutex", NR_FUTEX, BASE, 0x80, 2, 0, {NULL}, FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE, "futex"},
	{"mutex with a timeout", NR_FUTEX, BASE, 0x189, 2, TIMEOUT, {NULL}, {NULL}, S, LM_WAIT_FUTEX_MUTEX, ADDRESS,
		BASE, "futex"},
	{"Rust's mutex", NR_FUTEX, BASE, 0x89, 2, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE, "futex"},
	{"glibc, robust mutex", NR_FUTEX, BASE, 0x0, 0x80007948, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_MUTEX, ADDRESS,
		BASE, "futex"},
	{"C++'s future is no robust mutex: no owner", NR_FUTEX, BASE, 0x0, 0x80000000, 0, {NULL}, {NULL}, S,
		LM_WAIT_FUTEX_OTHER, ADDRESS, BASE, "futex"},
	{"musl, mutex", NR_FUTEX, BASE + 4, 0x80, 0x8000794b, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE,
		"futex"},
	{"musl, a writer behind one reader, or else", NR_FUTEX, BASE, 0x80, 0x80000001, 0, {NULL}, {NULL}, S,
		LM_WAIT_FUTEX_OTHER, ADDRESS, BASE, "futex"},
	{"musl, semaphore or rwlock; Rust, park", NR_FUTEX, BASE, 0x80, UINT64_MAX, 0, {NULL}, {NULL}, S,
		LM_WAIT_FUTEX_OTHER, ADDRESS, BASE, "futex"},
	{"musl, condition", NR_FUTEX, SP + 0xb4, 0x80, 2, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_COND, NO_OBJECT, 0,
		"futex"},
	{"PI mutex", NR_FUTEX, BASE, 0x86, 0, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_PI, ADDRESS, BASE, "futex"},
	{"PI mutex, FUTEX_LOCK_PI2", NR_FUTEX, BASE, 0x8d, 0, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_PI, ADDRESS, BASE,
		"futex"},
	{"reader", NR_FUTEX, BASE + 8, 0x189, 3, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_RWLOCK, ADDRESS, BASE, "futex"},
	{"writer", NR_FUTEX, BASE + 12, 0x189, 3, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_RWLOCK, ADDRESS, BASE, "futex"},
	{"writer behind readers", NR_FUTEX, BASE + 8, 0x189, 2, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_RWLOCK, ADDRESS,
		BASE, "futex"},
	{"condition, semaphore, Python's lock", NR_FUTEX, BASE, 0x189, 0, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_OTHER,
		ADDRESS, BASE, "a condition variable or semaphore"},
	{"semaphore, in a libc that names only what it exports", NR_FUTEX, BASE, 0x189, 0, 0, {NULL, NULL, "work"},
		{NULL}, S | NAMELESS_LIBC, LM_WAIT_FUTEX_SEM, ADDRESS, BASE, "sem_wait"},
	{"the same with a timeout", NR_FUTEX, BASE, 0x189, 0, TIMEOUT, {NULL, NULL, "work"}, {NULL}, S | NAMELESS_LIBC,
		LM_WAIT_FUTEX_SEM, ADDRESS, BASE, "sem_timedwait"},
	{"another word in such a libc", NR_FUTEX, BASE, 0x189, 1, 0, {NULL, NULL, "work"}, {NULL}, S | NAMELESS_LIBC,
		LM_WAIT_FUTEX_OTHER, ADDRESS, BASE, "futex"},
	{"a parked Go thread, or anything", NR_FUTEX, BASE, 0x80, 0, 0, {NULL}, {NULL}, S, LM_WAIT_FUTEX_OTHER, ADDRESS,
		BASE, "futex"},
	{"join: the word is in a thread's control block", NR_FUTEX, 0x1990, 0x109, 77, 0, {NULL}, {NULL},
		S | IN_JOIN_TARGET, LM_WAIT_FUTEX_JOIN, ADDRESS, 0x1990, "pthread_join"},
	{"musl, join", NR_FUTEX, 0x1f70, 0x80, 2, 0, {NULL}, {NULL}, S | IN_JOIN_TARGET, LM_WAIT_FUTEX_JOIN, ADDRESS,
		0x1f70, "pthread_join"},
};

static const struct sample runtimes[] = {
	{"Java, synchronized", NR_FUTEX, BASE + 4, 0x189, 0, 0,
		{"pthread_cond_wait", "os::PlatformEvent::park", "ObjectMonitor::EnterI", "ObjectMonitor::enter"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 4, "synchronized"},
	{"Java, wait()", NR_FUTEX, BASE + 4, 0x189, 0, 0,
		{"pthread_cond_wait", "os::PlatformEvent::park", "ObjectMonitor::wait", "ObjectSynchronizer::wait"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_COND, ADDRESS, BASE + 4 - 44, "pthread_cond_wait"},
	{"Java, wait() that was notified", NR_FUTEX, BASE + 4, 0x189, 0, 0,
		{"pthread_cond_wait", "os::PlatformEvent::park", "ObjectMonitor::ReenterI", "ObjectMonitor::wait"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 4, "synchronized"},
	{"Rust, mutex", NR_FUTEX, BASE + 4, 0x89, 2, 0,
		{"syscall", "std::sys::pal::unix::futex::futex_wait",
			"<std::sys::sync::mutex::futex::Mutex>::lock_contended",
			"<std::sys::sync::mutex::futex::Mutex>::lock", "std::sync::poison::mutex::Mutex<T>::lock",
			"app::work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE + 4, "std::sync::Mutex::lock"},
	{"Rust 1.63, mutex", NR_FUTEX, BASE, 0x89, 2, 0,
		{"syscall", "std::sys::unix::futex::futex_wait",
			"std::sys::unix::locks::futex_mutex::Mutex::lock_contended"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE, "std::sync::Mutex::lock"},
	{"Rust, condition: no other word than its own", NR_FUTEX, BASE + 0x28, 0x89, 0, 0,
		{"syscall", "std::sys::pal::unix::futex::futex_wait",
			"<std::sys::sync::condvar::futex::Condvar>::wait_optional_timeout",
			"<std::sys::sync::condvar::futex::Condvar>::wait", "std::sync::poison::condvar::Condvar::wait"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_COND, ADDRESS, BASE + 0x28, "std::sync::Condvar::wait"},
	{"Rust, park", NR_FUTEX, BASE + 0x38, 0x89, UINT32_MAX, 0,
		{"syscall", "std::sys::pal::unix::futex::futex_wait",
			"<std::sys::sync::thread_parking::futex::Parker>::park", "<std::thread::thread::Thread>::park",
			"std::thread::functions::park", "app::work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_OTHER, ADDRESS, BASE + 0x38, "std::thread::park"},
	{"Rust, channel", NR_FUTEX, BASE + 0x38, 0x89, UINT32_MAX, 0,
		{"syscall", "std::sys::pal::unix::futex::futex_wait",
			"<std::sys::sync::thread_parking::futex::Parker>::park", "<std::thread::thread::Thread>::park",
			"<std::sync::mpmc::context::Context>::wait_until",
			"std::sync::mpmc::list::Channel<T>::recv::{{closure}}"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_OTHER, ADDRESS, BASE + 0x38, "std::sync::mpsc::Receiver::recv"},
	{"Rust, join", NR_FUTEX, 0x7f9839325990, 0x109, 0xe3f, 0,
		{"__futex_abstimed_wait_common", "__pthread_clockjoin_ex", "<std::sys::thread::unix::Thread>::join"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_JOIN, ADDRESS, 0x7f9839325990, "pthread_join"},
	{"parking_lot, mutex", NR_FUTEX, BASE, 0x80, 1, 0,
		{"syscall", "parking_lot_core::thread_parker::imp::ThreadParker::futex_wait",
			"parking_lot_core::parking_lot::park", "parking_lot::raw_mutex::RawMutex::lock_slow",
			"app::work"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE, "parking_lot::Mutex::lock"},
	{"C++, mutex", NR_FUTEX, BASE, 0x80, 2, 0,
		{"futex_wait", "__lll_lock_wait", "lll_mutex_lock_optimized", "pthread_mutex_lock",
			"__gthread_mutex_lock", "std::mutex::lock()", "app::work()"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_MUTEX, ADDRESS, BASE, "pthread_mutex_lock"},
	{"C++, future", NR_FUTEX, BASE, 0x0, 0x80000000, 0,
		{"syscall", "std::__atomic_futex_unsigned_base::_M_futex_wait_until(unsigned int*, unsigned int, bool)",
			"app::work()"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_OTHER, ADDRESS, BASE, "std::future::wait"},
	{"Python's lock, through libc", NR_FUTEX, BASE, 0x189, 0, 0,
		{"__futex_abstimed_wait_common", "__new_sem_wait_slow64", "PyThread_acquire_lock_timed",
			"acquire_timed"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_SEM, ADDRESS, BASE, "sem_wait"},
	{"Python's lock, libc without names", NR_FUTEX, BASE, 0x189, 0, 0, {NULL, NULL, "PyThread_acquire_lock_timed"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_SEM, ADDRESS, BASE, "PyThread_acquire_lock"},
	{"Go, a parked M", NR_FUTEX, BASE, 0x80, 0, 0, {"runtime.futex", "runtime.futexsleep", "runtime.notesleep"},
		FUTEX_KERNEL, S, LM_WAIT_FUTEX_OTHER, ADDRESS, BASE, "runtime.futex"},
	{"C++, sleep_for", 230, 0, 0, SP, SP,
		{"clock_nanosleep", "nanosleep", "std::this_thread::sleep_for<long, std::ratio<1l, 1l> >"},
		{"hrtimer_nanosleep"}, S, LM_WAIT_SLEEP, NO_OBJECT, 0, "nanosleep"},
};

static const struct sample states[] = {
	{"stopped", NR_FUTEX, BASE, 0x80, 2, 0, {"pthread_mutex_lock"}, {"do_signal_stop", "get_signal"},
		LM_STATE_STOPPED, LM_WAIT_STOPPED, NO_OBJECT, 0, NULL},
	{"traced", 0, 3, 0, 0, 0, {"read"}, {"ptrace_stop"}, LM_STATE_TRACED, LM_WAIT_STOPPED, NO_OBJECT, 0, NULL},
	{"frozen by its cgroup", 0, 3, 0, 0, 0, {"read"}, {"do_freezer_trap", "get_signal"}, S, LM_WAIT_STOPPED,
		NO_OBJECT, 0, "frozen by its cgroup"},
	{"disk", 74, 3, 0, 0, 0, {"fsync"}, {"folio_wait_bit_common", "ext4_sync_file"}, D, LM_WAIT_DISK, DESCRIPTOR, 3,
		"fsync"},
	{"disk, no names", 17, 3, 0, 0, 0, {NULL}, {NULL}, D, LM_WAIT_DISK, DESCRIPTOR, 3, "pread64"},
	{"a file lock in state D", 73, 3, 0, 0, 0, {NULL}, {"locks_lock_inode_wait"}, D, LM_WAIT_DISK, DESCRIPTOR, 3,
		"flock"},
	{"the lock of a socket in state D", 45, 3, 0, 0, 0, {"recv"}, {"__lock_sock", "tcp_recvmsg"}, D, LM_WAIT_SOCKET,
		DESCRIPTOR, 3, "recv"},
	{"a socket's buffer is paged out", 45, 3, 0, 0, 0, {"recv"},
		{"folio_wait_bit_common", "do_swap_page", "tcp_recvmsg"}, D, LM_WAIT_DISK, DESCRIPTOR, 3, "recv"},
	{"page fault", -1, 0, 0, 0, 0, {"work"}, {"folio_wait_bit_common", "filemap_fault"}, D, LM_WAIT_DISK, NO_OBJECT,
		0, "page fault"},
	{"page fault that a program answers", -1, 0, 0, 0, 0, {"work"}, {"handle_userfault", "do_anonymous_page"}, S,
		LM_WAIT_OTHER, NO_OBJECT, 0, "userfaultfd"},
	{"a call that a supervisor answers", 257, 0, 0, 0, 0, {"open"}, {"seccomp_do_user_notification"}, S,
		LM_WAIT_OTHER, NO_OBJECT, 0, "seccomp"},
	{"an unknown call", 9999, 0, 0, 0, 0, {NULL}, {"do_something"}, S, LM_WAIT_OTHER, NO_OBJECT, 0, NULL},
	{"an unknown kind of file", 0, 3, 0, 0, 0, {"read"}, {"some_driver_read", "vfs_read"}, S, LM_WAIT_FILE,
		DESCRIPTOR, 3, "read"},
	{"no kernel stack: the kind of file is not known", 0, 3, 0, 0, 0, {"read"}, {NULL}, S, LM_WAIT_OTHER,
		DESCRIPTOR, 3, "read"},
	{"an idle kernel thread is not in state D", -1, 0, 0, 0, 0, {NULL}, {"worker_thread", "kthread"},
		LM_STATE_IDLE | WITHOUT_REGS, LM_WAIT_OTHER, NO_OBJECT, 0, NULL},
	{"a kernel thread at the disk", -1, 0, 0, 0, 0, {NULL}, {"jbd2_journal_commit_transaction"}, D | WITHOUT_REGS,
		LM_WAIT_DISK, NO_OBJECT, 0, NULL},
	{"32-bit code: no registers", -1, 0, 0, 0, 0, {NULL}, {"futex_do_wait", "__futex_wait", "futex_wait"},
		S | WITHOUT_REGS, LM_WAIT_FUTEX_OTHER, NO_OBJECT, 0, "futex"},
	{"32-bit code, a part of a kernel function", -1, 0, 0, 0, 0, {NULL}, {"do_sigtimedwait.isra.0"},
		S | WITHOUT_REGS, LM_WAIT_SIGNAL, NO_OBJECT, 0, "rt_sigtimedwait"},
	{"nothing known", -1, 0, 0, 0, 0, {NULL}, {NULL}, S | WITHOUT_REGS, LM_WAIT_OTHER, NO_OBJECT, 0, NULL},
};

static size_t count(const char *const names[NAMES])
{
	size_t len = NAMES;

	while (len && !names[len - 1])
		len--;
	return len;
}

static bool as_expected(const struct sample *sample, const struct lm_wait *wait)
{
	if (wait->wait_class != sample->expected || wait->has_object != (sample->object_kind != NO_OBJECT))
		return false;
	if (wait->object_is_fd != (sample->object_kind == DESCRIPTOR) || wait->object != sample->object)
		return false;
	if (!sample->detail || !wait->detail)
		return sample->detail == wait->detail;
	return strcmp(sample->detail, wait->detail) == 0;
}

static void check(const struct sample *samples, size_t len)
{
	int wrong = 0;

	for (size_t i = 0; i < len; i++) {
		const struct sample *sample = &samples[i];
		const struct lm_wait_evidence evidence = {
			.state = sample->state & ~(IN_JOIN_TARGET | WITHOUT_REGS | NAMELESS_LIBC),
			.have_regs = !(sample->state & WITHOUT_REGS),
			.in_join_target = sample->state & IN_JOIN_TARGET,
			.nameless_libc = sample->state & NAMELESS_LIBC,
			.regs = {.nr = sample->nr,
				.di = sample->di,
				.si = sample->si,
				.dx = sample->dx,
				.r10 = sample->r10,
				.sp = SP},
			.kernel = sample->kernel,
			.kernel_len = count(sample->kernel),
			.user = sample->user,
			.user_len = count(sample->user),
		};
		struct lm_wait wait;

		lm_wait_classify(&evidence, &wait);
		if (as_expected(sample, &wait))
			continue;
		wrong++;
		print_error("%s: %s, %s %#llx, %s\n", sample->what, lm_wait_class_name(wait.wait_class),
			!wait.has_object    ? "no object"
			: wait.object_is_fd ? "descriptor"
					    : "address",
			(unsigned long long)wait.object, wait.detail ? wait.detail : "no detail");
	}
	assert_int_equal(wrong, 0);
}

#define CHECK(samples) check(samples, sizeof(samples) / sizeof((samples)[0]))

static void waits_of_glibc_are_told_apart(void **state)
{
	(void)state;
	CHECK(glibc);
}

static void waits_that_a_stop_interrupted_are_what_they_were(void **state)
{
	(void)state;
	CHECK(restarted);
}

static void waits_of_musl_are_told_apart(void **state)
{
	(void)state;
	CHECK(musl);
}

static void without_names_the_words_decide_where_they_can(void **state)
{
	(void)state;
	CHECK(nameless);
}

static void waits_of_runtimes_are_told_apart(void **state)
{
	(void)state;
	CHECK(runtimes);
}

static void the_state_and_the_kernel_stack_come_before_the_call(void **state)
{
	(void)state;
	CHECK(states);
}

static void without_registers_the_kernel_stack_decides(void **state)
{
	static const char *const kernel[] = {"schedule", "unix_stream_read_generic", "sock_recvmsg"};
	const struct lm_wait_evidence evidence = {.state = 1, .kernel = kernel, .kernel_len = 3};
	struct lm_wait wait;

	(void)state;
	lm_wait_classify(&evidence, &wait);
	assert_int_equal(wait.wait_class, LM_WAIT_SOCKET);
	assert_false(wait.has_object);
}

static void functions_that_only_wait_are_known_and_others_are_not(void **state)
{
	static const char *const waits[] = {"pthread_cond_wait", "___pthread_cond_wait", "__GI___libc_read", "read",
		"__read", "open64", "__libc_fcntl64", "__select", "syscall", "futex_wait", "__lll_lock_wait_private",
		"__futex_abstimed_wait_common64", "__pthread_mutex_lock_full", "__new_sem_wait_slow64.constprop.0",
		"std::condition_variable::wait", "std::condition_variable::wait(std::unique_lock<std::mutex>&)",
		"std::mutex::lock()", "std::thread::join()", "std::thread::park", "<std::thread::thread::Thread>::park",
		"<std::sys::sync::mutex::futex::Mutex>::lock_contended",
		"std::sync::mpmc::context::Context::wait_until", "PyThread_acquire_lock_timed", "take_gil",
		"__syscall_cp_c", "__syscall_cp_asm", "__timedwait_cp", "__wait", "runtime.futex", "runtime.notesleep",
		"sem_wait@@GLIBC_2.34", "__nanosleep", "java.lang.Object.wait", "java.lang.Object.wait0",
		"jdk.internal.misc.Unsafe.park", "java.util.concurrent.locks.LockSupport.parkNanos",
		"java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject.await"};
	static const char *const others[] = {"wait_for_result", "main", "reader", "poll_1", "app::wait",
		"pthread_cond_waiter", "_wait", "_read", "my_syscall", "syscall_handler", "futex_waiter",
		"app::core::run", "take_gill", "standard::wait", "readlink_all", "read64x", "lll", "start_thread", "",
		"_", "__", "__GI_", "libc_", "@", ".part.", "<", "64", "com.example.Client.wait",
		"java.util.concurrent.CountDownLatch.await", "java.lang.Thread.run"};

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		if (!lm_wait_is_wait_function(waits[i]))
			print_error("%s\n", waits[i]);
		assert_true(lm_wait_is_wait_function(waits[i]));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (lm_wait_is_wait_function(others[i]))
			print_error("%s\n", others[i]);
		assert_false(lm_wait_is_wait_function(others[i]));
	}
}

static void idle_workers_are_known_and_others_are_not(void **state)
{
	static const char *const idle[] = {"java.util.concurrent.ThreadPoolExecutor.getTask",
		"java.lang.Runnable java.util.concurrent.ThreadPoolExecutor.getTask()",
		"Ljava/util/concurrent/ThreadPoolExecutor;::getTask", "java.util.concurrent.ForkJoinPool.awaitWork",
		"java.util.concurrent.ScheduledThreadPoolExecutor$DelayedWorkQueue.take",
		"py::_worker:/usr/lib/python3.12/concurrent/futures/thread.py"};
	static const char *const others[] = {"main", "getTask", "my_worker_loop", "_worker", "py::_worker:/srv/app.py",
		"java.util.concurrent.ThreadPoolExecutor.runWorker", "java.util.concurrent.ForkJoinPool.scan",
		"java.util.concurrent.LinkedBlockingQueue.take"};

	(void)state;
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		assert_true(lm_wait_is_idle_worker(idle[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(lm_wait_is_idle_worker(others[i]));
}

/* A name is the process's choice: one that a pattern nearly matches in many ways takes no time. */
static void a_name_made_to_be_slow_is_not(void **state)
{
	char *name = malloc(100001);
	struct timespec start, end;

	(void)state;
	assert_non_null(name);
	for (int i = 0; i < 100000; i++)
		name[i] = "std::sys::mutex::futex:parking_lot::utex:concurrent.futures.thread"[i % 66];
	name[100000] = 0;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 100; i++) {
		lm_wait_is_wait_function(name);
		lm_wait_is_idle_worker(name);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	free(name);
	assert_true(end.tv_sec - start.tv_sec < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_of_glibc_are_told_apart),
		cmocka_unit_test(waits_that_a_stop_interrupted_are_what_they_were),
		cmocka_unit_test(waits_of_musl_are_told_apart),
		cmocka_unit_test(without_names_the_words_decide_where_they_can),
		cmocka_unit_test(waits_of_runtimes_are_told_apart),
		cmocka_unit_test(the_state_and_the_kernel_stack_come_before_the_call),
		cmocka_unit_test(without_registers_the_kernel_stack_decides),
		cmocka_unit_test(functions_that_only_wait_are_known_and_others_are_not),
		cmocka_unit_test(idle_workers_are_known_and_others_are_not),
		cmocka_unit_test(a_name_made_to_be_slow_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
