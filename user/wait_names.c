// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of functions that wait, as the symbol tables of glibc 2.31 to 2.41, musl 1.2,
 * libstdc++, Rust's std, CPython, the JDK and kernels from 5.15 have them, and the
 * system calls of x86-64. What follows from them is decided in waits.c.
 */
#include "user/wait_names.h"

#include <stdlib.h>
#include <string.h>

#include "user/prefixes.h"
#include "user/waits.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define NAME_BYTES 256 /* of a function's name as it is compared; no row is as long */

/*
 * Patterns are compared with the plain name (see plain_name): "*" stands for any text,
 * also for none; all else for itself. One that begins with "_" is compared with the name
 * as it is.
 */
#define LIBC(pattern, wait_class, name, timed)                                                                         \
	{                                                                                                              \
		pattern, wait_class, name, timed, true                                                                 \
	}
#define RUNTIME(pattern, wait_class, name)                                                                             \
	{                                                                                                              \
		pattern, wait_class, name, NULL, false                                                                 \
	}

/* musl's pthread_mutex_lock ends in a jump to pthread_mutex_timedlock, and glibc's functions for one thing share a
 * helper: whether the futex call has a timeout tells them apart. */
static const struct lm_futex_function futex_functions[] = {
	LIBC("pthread_mutex_lock", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock", NULL),
	LIBC("pthread_mutex_lock_full", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock", NULL),
	LIBC("pthread_mutex_cond_lock", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock", NULL),
	LIBC("pthread_mutex_timedlock", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock", "pthread_mutex_timedlock"),
	LIBC("pthread_mutex_clocklock_common", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_timedlock", NULL),
	LIBC("pthread_mutex_clocklock", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_clocklock", NULL),
	LIBC("mtx_lock", LM_WAIT_FUTEX_MUTEX, "mtx_lock", NULL),
	LIBC("mtx_timedlock", LM_WAIT_FUTEX_MUTEX, "mtx_lock", "mtx_timedlock"),
	RUNTIME("lll_lock_wait*", LM_WAIT_FUTEX_MUTEX, "__lll_lock_wait"), /* locks inside libc, if nothing called it */
	RUNTIME("__lockfile", LM_WAIT_FUTEX_MUTEX, "flockfile"),
	RUNTIME("__lock", LM_WAIT_FUTEX_MUTEX, "__lock"), /* musl's inner lock */
	LIBC("pthread_cond_wait", LM_WAIT_FUTEX_COND, "pthread_cond_wait", NULL),
	LIBC("pthread_cond_wait_common", LM_WAIT_FUTEX_COND, "pthread_cond_wait", "pthread_cond_timedwait"),
	LIBC("pthread_cond_timedwait", LM_WAIT_FUTEX_COND, "pthread_cond_wait", "pthread_cond_timedwait"),
	LIBC("pthread_cond_clockwait", LM_WAIT_FUTEX_COND, "pthread_cond_clockwait", NULL),
	LIBC("cnd_wait", LM_WAIT_FUTEX_COND, "cnd_wait", NULL),
	LIBC("cnd_timedwait", LM_WAIT_FUTEX_COND, "cnd_wait", "cnd_timedwait"),
	LIBC("sem_wait", LM_WAIT_FUTEX_SEM, "sem_wait", NULL),
	LIBC("new_sem_wait", LM_WAIT_FUTEX_SEM, "sem_wait", NULL),
	LIBC("new_sem_wait_slow64", LM_WAIT_FUTEX_SEM, "sem_wait", "sem_timedwait"),
	LIBC("new_sem_wait_slow", LM_WAIT_FUTEX_SEM, "sem_wait", "sem_timedwait"),
	LIBC("old_sem_wait", LM_WAIT_FUTEX_SEM, "sem_wait", NULL),
	LIBC("sem_timedwait", LM_WAIT_FUTEX_SEM, "sem_wait", "sem_timedwait"),
	LIBC("sem_clockwait", LM_WAIT_FUTEX_SEM, "sem_clockwait", NULL),
	LIBC("pthread_rwlock_rdlock", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_rdlock", NULL),
	LIBC("pthread_rwlock_wrlock", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_wrlock", NULL),
	LIBC("pthread_rwlock_timedrdlock", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_rdlock", "pthread_rwlock_timedrdlock"),
	LIBC("pthread_rwlock_timedwrlock", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_wrlock", "pthread_rwlock_timedwrlock"),
	LIBC("pthread_rwlock_clockrdlock", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_clockrdlock", NULL),
	LIBC("pthread_rwlock_clockwrlock", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_clockwrlock", NULL),
	LIBC("pthread_rwlock_rdlock_full64", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_rdlock",
		"pthread_rwlock_timedrdlock"),
	LIBC("pthread_rwlock_wrlock_full64", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_wrlock",
		"pthread_rwlock_timedwrlock"),
	LIBC("pthread_rwlock_rdlock_full", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_rdlock", "pthread_rwlock_timedrdlock"),
	LIBC("pthread_rwlock_wrlock_full", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_wrlock", "pthread_rwlock_timedwrlock"),
	LIBC("pthread_barrier_wait", LM_WAIT_FUTEX_BARRIER, "pthread_barrier_wait", NULL),
	LIBC("pthread_join", LM_WAIT_FUTEX_JOIN, "pthread_join", NULL),
	LIBC("pthread_timedjoin_np", LM_WAIT_FUTEX_JOIN, "pthread_join", "pthread_timedjoin_np"),
	LIBC("pthread_clockjoin_np", LM_WAIT_FUTEX_JOIN, "pthread_clockjoin_np", NULL),
	LIBC("pthread_clockjoin_ex", LM_WAIT_FUTEX_JOIN, "pthread_join", "pthread_timedjoin_np"),
	LIBC("thrd_join", LM_WAIT_FUTEX_JOIN, "thrd_join", NULL),
	RUNTIME("std::sys::*futex_mutex::*", LM_WAIT_FUTEX_MUTEX, "std::sync::Mutex::lock"),
	RUNTIME("std::sys::*mutex::futex::*", LM_WAIT_FUTEX_MUTEX, "std::sync::Mutex::lock"),
	RUNTIME("std::sys::*futex::Mutex::*", LM_WAIT_FUTEX_MUTEX, "std::sync::Mutex::lock"),
	RUNTIME("std::sys::*futex_condvar::*", LM_WAIT_FUTEX_COND, "std::sync::Condvar::wait"),
	RUNTIME("std::sys::*condvar::futex::*", LM_WAIT_FUTEX_COND, "std::sync::Condvar::wait"),
	RUNTIME("std::sys::*futex::Condvar::*", LM_WAIT_FUTEX_COND, "std::sync::Condvar::wait"),
	RUNTIME("std::sync::*ondvar::*wait*", LM_WAIT_FUTEX_COND, "std::sync::Condvar::wait"),
	RUNTIME("std::sys::*futex_rwlock::RwLock*::read*", LM_WAIT_FUTEX_RWLOCK, "std::sync::RwLock::read"),
	RUNTIME("std::sys::*futex_rwlock::RwLock*::write*", LM_WAIT_FUTEX_RWLOCK, "std::sync::RwLock::write"),
	RUNTIME("std::sys::*rwlock::futex::RwLock*::read*", LM_WAIT_FUTEX_RWLOCK, "std::sync::RwLock::read"),
	RUNTIME("std::sys::*rwlock::futex::RwLock*::write*", LM_WAIT_FUTEX_RWLOCK, "std::sync::RwLock::write"),
	RUNTIME("std::sys::*once::futex::*", LM_WAIT_FUTEX_OTHER, "std::sync::Once::call_once"),
	RUNTIME("std::thread::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"),
	RUNTIME("std::thread::functions::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"),
	RUNTIME("std::thread::*Thread::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"),
	RUNTIME("std::thread::*Thread>::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"),
	RUNTIME("std::thread::Inner::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"),
	RUNTIME("std::sys::*Parker*::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"),
	RUNTIME("std::sync::mpmc::*recv*", LM_WAIT_FUTEX_OTHER, "std::sync::mpsc::Receiver::recv"),
	RUNTIME("std::sync::mpmc::*send*", LM_WAIT_FUTEX_OTHER, "std::sync::mpsc::SyncSender::send"),
	RUNTIME("parking_lot_core::*", LM_WAIT_FUTEX_OTHER, "parking_lot_core::park"),
	RUNTIME("*parking_lot::*utex*::lock*", LM_WAIT_FUTEX_MUTEX, "parking_lot::Mutex::lock"),
	RUNTIME("*parking_lot::condvar::*", LM_WAIT_FUTEX_COND, "parking_lot::Condvar::wait"),
	RUNTIME("*parking_lot::*wlock*::lock*", LM_WAIT_FUTEX_RWLOCK, "parking_lot::RwLock"),
	RUNTIME("std::__atomic_futex_unsigned_base::_M_futex_wait_until*", LM_WAIT_FUTEX_OTHER, "std::future::wait"),
	RUNTIME("PyThread_acquire_lock*", LM_WAIT_FUTEX_SEM, "PyThread_acquire_lock"),
	RUNTIME("runtime.futex*", LM_WAIT_FUTEX_OTHER, "runtime.futex"),
};

/* From what says most to what says least: a poll of a pipe is a poll, and reads of a pipe go through no socket. */
static const struct lm_kernel_function kernel_functions[] = {
	{"do_freezer_trap", LM_WAIT_STOPPED, "frozen by its cgroup", true},
	{"__refrigerator", LM_WAIT_STOPPED, "frozen by its cgroup", true},
	{"do_signal_stop", LM_WAIT_STOPPED, NULL, true},
	{"ptrace_stop", LM_WAIT_STOPPED, NULL, true},
	{"seccomp_do_user_notification", LM_WAIT_OTHER, "seccomp", true},
	{"handle_userfault", LM_WAIT_OTHER, "userfaultfd", true},
	{"wait_for_vfork_done", LM_WAIT_CHILD, "vfork", false},
	{"kernel_clone", LM_WAIT_CHILD, "vfork", false},
	/* under a read of a socket whose buffer is paged out */
	{"folio_wait_bit*", LM_WAIT_DISK, NULL, false},
	{"do_epoll_wait", LM_WAIT_POLL, "epoll_wait", false},
	{"ep_poll", LM_WAIT_POLL, "epoll_wait", false},
	{"do_sys_poll", LM_WAIT_POLL, "poll", false},
	{"do_restart_poll", LM_WAIT_POLL, "poll", false},
	{"do_select", LM_WAIT_POLL, "select", false},
	{"do_nanosleep", LM_WAIT_SLEEP, "nanosleep", false},
	{"hrtimer_nanosleep*", LM_WAIT_SLEEP, "nanosleep", false},
	{"common_nsleep*", LM_WAIT_SLEEP, "clock_nanosleep", false},
	{"alarm_timer_nsleep*", LM_WAIT_SLEEP, "clock_nanosleep", false},
	{"futex_lock_pi", LM_WAIT_FUTEX_PI, "futex", false},
	{"futex_wait", LM_WAIT_FUTEX_OTHER, "futex", false},
	{"__futex_wait", LM_WAIT_FUTEX_OTHER, "futex", false},
	{"futex_wait_restart", LM_WAIT_FUTEX_OTHER, "futex", false},
	{"futex_wait_multiple", LM_WAIT_FUTEX_OTHER, "futex_waitv", false},
	{"io_cqring_wait", LM_WAIT_IO_URING, "io_uring_enter", false},
	{"io_wq_worker", LM_WAIT_IO_URING, "io_uring worker", false},
	{"io_sq_thread", LM_WAIT_IO_URING, "io_uring worker", false},
	{"do_wait", LM_WAIT_CHILD, "wait4", false},
	{"kernel_wait4", LM_WAIT_CHILD, "wait4", false},
	{"kernel_waitid", LM_WAIT_CHILD, "waitid", false},
	{"do_sigtimedwait", LM_WAIT_SIGNAL, "rt_sigtimedwait", false},
	{"sigsuspend", LM_WAIT_SIGNAL, "rt_sigsuspend", false},
	{"__do_sys_pause", LM_WAIT_SIGNAL, "pause", false},
	{"pipe_read", LM_WAIT_PIPE, "read", false},
	{"anon_pipe_read", LM_WAIT_PIPE, "read", false},
	{"fifo_pipe_read", LM_WAIT_PIPE, "read", false},
	{"pipe_write", LM_WAIT_PIPE, "write", false},
	{"anon_pipe_write", LM_WAIT_PIPE, "write", false},
	{"fifo_pipe_write", LM_WAIT_PIPE, "write", false},
	{"pipe_wait_readable", LM_WAIT_PIPE, "splice", false},
	{"pipe_wait_writable", LM_WAIT_PIPE, "splice", false},
	{"ipipe_prep", LM_WAIT_PIPE, "splice", false},
	{"opipe_prep", LM_WAIT_PIPE, "splice", false},
	{"wait_for_space", LM_WAIT_PIPE, "splice", false},
	{"wait_for_partner", LM_WAIT_PIPE, "open", false},
	{"fifo_open", LM_WAIT_PIPE, "open", false},
	{"inet_csk_accept", LM_WAIT_SOCKET, "accept", false},
	{"unix_accept", LM_WAIT_SOCKET, "accept", false},
	{"do_accept", LM_WAIT_SOCKET, "accept", false},
	{"unix_wait_for_peer", LM_WAIT_SOCKET, "connect", false},
	{"__sys_connect", LM_WAIT_SOCKET, "connect", false},
	{"*inet_stream_connect", LM_WAIT_SOCKET, "connect", false},
	{"*unix_stream_*", LM_WAIT_SOCKET, "recv", false},
	{"*unix_dgram_*", LM_WAIT_SOCKET, "recv", false},
	{"__skb_wait_for_more_packets", LM_WAIT_SOCKET, "recv", false},
	{"sk_wait_data", LM_WAIT_SOCKET, "recv", false},
	{"sk_stream_wait_*", LM_WAIT_SOCKET, "send", false},
	{"sock_alloc_send_pskb", LM_WAIT_SOCKET, "send", false},
	{"sock_*", LM_WAIT_SOCKET, "recv", false},
	{"__sock_*", LM_WAIT_SOCKET, "recv", false},
	{"__lock_sock*", LM_WAIT_SOCKET, NULL, false},
	{"__sys_recvfrom", LM_WAIT_SOCKET, "recvfrom", false},
	{"__sys_recvmsg", LM_WAIT_SOCKET, "recvmsg", false},
	{"__sys_sendto", LM_WAIT_SOCKET, "sendto", false},
	{"__sys_sendmsg", LM_WAIT_SOCKET, "sendmsg", false},
	{"tcp_*", LM_WAIT_SOCKET, NULL, false},
	{"udp_*", LM_WAIT_SOCKET, NULL, false},
	{"inet_*", LM_WAIT_SOCKET, NULL, false},
	{"vsock_*", LM_WAIT_SOCKET, NULL, false},
	{"sctp_*", LM_WAIT_SOCKET, NULL, false},
	{"tls_sw_*", LM_WAIT_SOCKET, NULL, false},
	{"netlink_*", LM_WAIT_SOCKET, NULL, false},
	{"packet_*", LM_WAIT_SOCKET, NULL, false},
	{"n_tty_*", LM_WAIT_FILE, "tty", false},
	{"tty_*", LM_WAIT_FILE, "tty", false},
	{"eventfd_*", LM_WAIT_FILE, "read", false},
	{"signalfd_*", LM_WAIT_FILE, "read", false},
	{"timerfd_*", LM_WAIT_FILE, "read", false},
	{"inotify_read", LM_WAIT_FILE, "read", false},
	{"fanotify_*", LM_WAIT_FILE, "read", false},
	{"userfaultfd_*", LM_WAIT_FILE, "read", false},
	{"fcntl_setlk*", LM_WAIT_FILE, "fcntl", false},
	{"locks_lock_inode_wait", LM_WAIT_FILE, "flock", false},
	{"flock_lock_inode_wait", LM_WAIT_FILE, "flock", false},
	{"request_wait_answer", LM_WAIT_FILE, "fuse", false},
	{"fuse_*", LM_WAIT_FILE, "fuse", false},
};

/* Ascending. The class is that of state S; in state D most of them wait for a disk. */
static const struct lm_call calls[] = {
	{0, "read", LM_WAIT_FILE, true, true},
	{1, "write", LM_WAIT_FILE, true, true},
	{2, "open", LM_WAIT_FILE, true, false},
	{3, "close", LM_WAIT_FILE, true, true},
	{4, "stat", LM_WAIT_FILE, false, false},
	{5, "fstat", LM_WAIT_FILE, false, true},
	{6, "lstat", LM_WAIT_FILE, false, false},
	{7, "poll", LM_WAIT_POLL, false, false},
	{16, "ioctl", LM_WAIT_FILE, true, true},
	{17, "pread64", LM_WAIT_FILE, true, true},
	{18, "pwrite64", LM_WAIT_FILE, true, true},
	{19, "readv", LM_WAIT_FILE, true, true},
	{20, "writev", LM_WAIT_FILE, true, true},
	{21, "access", LM_WAIT_FILE, false, false},
	{23, "select", LM_WAIT_POLL, false, false},
	{34, "pause", LM_WAIT_SIGNAL, false, false},
	{35, "nanosleep", LM_WAIT_SLEEP, false, false},
	{40, "sendfile", LM_WAIT_FILE, true, true},
	{42, "connect", LM_WAIT_SOCKET, false, true},
	{43, "accept", LM_WAIT_SOCKET, false, true},
	{44, "sendto", LM_WAIT_SOCKET, false, true},
	{45, "recvfrom", LM_WAIT_SOCKET, false, true},
	{46, "sendmsg", LM_WAIT_SOCKET, false, true},
	{47, "recvmsg", LM_WAIT_SOCKET, false, true},
	{48, "shutdown", LM_WAIT_SOCKET, false, true},
	{54, "setsockopt", LM_WAIT_SOCKET, false, true},
	{56, "clone", LM_WAIT_CHILD, false, false},
	{57, "fork", LM_WAIT_OTHER, false, false},
	{58, "vfork", LM_WAIT_CHILD, false, false},
	{59, "execve", LM_WAIT_OTHER, false, false},
	{60, "exit", LM_WAIT_OTHER, false, false},
	{61, "wait4", LM_WAIT_CHILD, false, false},
	{62, "kill", LM_WAIT_OTHER, false, false},
	{65, "semop", LM_WAIT_OTHER, false, false},
	{69, "msgsnd", LM_WAIT_OTHER, false, false},
	{70, "msgrcv", LM_WAIT_OTHER, false, false},
	{72, "fcntl", LM_WAIT_FILE, true, true},
	{73, "flock", LM_WAIT_FILE, false, true},
	{74, "fsync", LM_WAIT_FILE, false, true},
	{75, "fdatasync", LM_WAIT_FILE, false, true},
	{76, "truncate", LM_WAIT_FILE, false, false},
	{77, "ftruncate", LM_WAIT_FILE, false, true},
	{78, "getdents", LM_WAIT_FILE, false, true},
	{80, "chdir", LM_WAIT_FILE, false, false},
	{82, "rename", LM_WAIT_FILE, false, false},
	{83, "mkdir", LM_WAIT_FILE, false, false},
	{84, "rmdir", LM_WAIT_FILE, false, false},
	{85, "creat", LM_WAIT_FILE, true, false},
	{86, "link", LM_WAIT_FILE, false, false},
	{87, "unlink", LM_WAIT_FILE, false, false},
	{88, "symlink", LM_WAIT_FILE, false, false},
	{89, "readlink", LM_WAIT_FILE, false, false},
	{101, "ptrace", LM_WAIT_OTHER, false, false},
	{103, "syslog", LM_WAIT_FILE, false, false},
	{128, "rt_sigtimedwait", LM_WAIT_SIGNAL, false, false},
	{130, "rt_sigsuspend", LM_WAIT_SIGNAL, false, false},
	{137, "statfs", LM_WAIT_FILE, false, false},
	{138, "fstatfs", LM_WAIT_FILE, false, true},
	{162, "sync", LM_WAIT_FILE, false, false},
	{165, "mount", LM_WAIT_FILE, false, false},
	{166, "umount2", LM_WAIT_FILE, false, false},
	{187, "readahead", LM_WAIT_FILE, false, true},
	{191, "getxattr", LM_WAIT_FILE, false, false},
	{202, "futex", LM_WAIT_FUTEX_OTHER, false, false},
	{208, "io_getevents", LM_WAIT_FILE, false, false},
	{209, "io_submit", LM_WAIT_FILE, false, false},
	{217, "getdents64", LM_WAIT_FILE, false, true},
	{220, "semtimedop", LM_WAIT_OTHER, false, false},
	{221, "fadvise64", LM_WAIT_FILE, false, true},
	{230, "clock_nanosleep", LM_WAIT_SLEEP, false, false},
	{231, "exit_group", LM_WAIT_OTHER, false, false},
	{232, "epoll_wait", LM_WAIT_POLL, false, true},
	{242, "mq_timedsend", LM_WAIT_OTHER, false, true},
	{243, "mq_timedreceive", LM_WAIT_OTHER, false, true},
	{247, "waitid", LM_WAIT_CHILD, false, false},
	{249, "request_key", LM_WAIT_OTHER, false, false},
	{250, "keyctl", LM_WAIT_OTHER, false, false},
	{257, "openat", LM_WAIT_FILE, true, false},
	{258, "mkdirat", LM_WAIT_FILE, false, false},
	{260, "fchownat", LM_WAIT_FILE, false, false},
	{262, "newfstatat", LM_WAIT_FILE, false, false},
	{263, "unlinkat", LM_WAIT_FILE, false, false},
	{264, "renameat", LM_WAIT_FILE, false, false},
	{265, "linkat", LM_WAIT_FILE, false, false},
	{266, "symlinkat", LM_WAIT_FILE, false, false},
	{267, "readlinkat", LM_WAIT_FILE, false, false},
	{268, "fchmodat", LM_WAIT_FILE, false, false},
	{269, "faccessat", LM_WAIT_FILE, false, false},
	{270, "pselect6", LM_WAIT_POLL, false, false},
	{271, "ppoll", LM_WAIT_POLL, false, false},
	{275, "splice", LM_WAIT_FILE, true, true},
	{276, "tee", LM_WAIT_PIPE, false, true},
	{277, "sync_file_range", LM_WAIT_FILE, false, true},
	{278, "vmsplice", LM_WAIT_PIPE, false, true},
	{281, "epoll_pwait", LM_WAIT_POLL, false, true},
	{285, "fallocate", LM_WAIT_FILE, false, true},
	{288, "accept4", LM_WAIT_SOCKET, false, true},
	{295, "preadv", LM_WAIT_FILE, true, true},
	{296, "pwritev", LM_WAIT_FILE, true, true},
	{299, "recvmmsg", LM_WAIT_SOCKET, false, true},
	{306, "syncfs", LM_WAIT_FILE, false, true},
	{307, "sendmmsg", LM_WAIT_SOCKET, false, true},
	{310, "process_vm_readv", LM_WAIT_OTHER, false, false},
	{311, "process_vm_writev", LM_WAIT_OTHER, false, false},
	{313, "finit_module", LM_WAIT_FILE, false, true},
	{316, "renameat2", LM_WAIT_FILE, false, false},
	{318, "getrandom", LM_WAIT_OTHER, false, false},
	{322, "execveat", LM_WAIT_OTHER, false, false},
	{324, "membarrier", LM_WAIT_OTHER, false, false},
	{326, "copy_file_range", LM_WAIT_FILE, false, true},
	{327, "preadv2", LM_WAIT_FILE, true, true},
	{328, "pwritev2", LM_WAIT_FILE, true, true},
	{332, "statx", LM_WAIT_FILE, false, false},
	{333, "io_pgetevents", LM_WAIT_FILE, false, false},
	{426, "io_uring_enter", LM_WAIT_IO_URING, false, true},
	{435, "clone3", LM_WAIT_CHILD, false, false},
	{437, "openat2", LM_WAIT_FILE, true, false},
	{439, "faccessat2", LM_WAIT_FILE, false, false},
	{441, "epoll_pwait2", LM_WAIT_POLL, false, true},
	{449, "futex_waitv", LM_WAIT_FUTEX_OTHER, false, false},
	{454, "futex_wake", LM_WAIT_FUTEX_OTHER, false, false},
	{455, "futex_wait", LM_WAIT_FUTEX_OTHER, false, false},
	{456, "futex_requeue", LM_WAIT_FUTEX_OTHER, false, false},
};

/* Functions of libc that programs call and that wait in the calls above. Sorted. */
static const char *const public_names[] = {"accept", "accept4", "access", "aio_suspend", "clock_nanosleep", "close",
	"connect", "copy_file_range", "creat", "epoll_pwait", "epoll_pwait2", "epoll_wait", "execve", "fallocate",
	"fcntl", "fdatasync", "flock", "fstat", "fstatat", "fsync", "ftruncate", "getdents", "getrandom",
	"io_getevents", "io_submit", "ioctl", "klogctl", "lockf", "lstat", "mkdir", "mount", "mq_receive", "mq_send",
	"mq_timedreceive", "mq_timedsend", "msgrcv", "msgsnd", "nanosleep", "open", "openat", "openat2", "pause",
	"poll", "posix_fallocate", "posix_spawn", "posix_spawnp", "ppoll", "pread", "preadv", "preadv2", "pselect",
	"pwrite", "pwritev", "pwritev2", "read", "readahead", "readdir", "readv", "recv", "recvfrom", "recvmmsg",
	"recvmsg", "rename", "renameat", "rmdir", "select", "semop", "semtimedop", "send", "sendfile", "sendmmsg",
	"sendmsg", "sendto", "shutdown", "sigpause", "sigsuspend", "sigtimedwait", "sigwait", "sigwaitinfo", "sleep",
	"splice", "stat", "statx", "sync", "sync_file_range", "syncfs", "system", "tcdrain", "tee", "thrd_sleep",
	"truncate", "umount", "umount2", "unlink", "unlinkat", "usleep", "vfork", "vmsplice", "wait", "wait3", "wait4",
	"waitid", "waitpid", "write", "writev"};

/* Functions inside libc and of runtimes that only wait for their caller, beside futex_functions and public_names. */
static const char *const wait_functions[] = {
	/* glibc */
	"futex_wait", "futex_wait_simple", "futex_wait_cancelable", "futex_abstimed_wait*", "futex_reltimed_wait*",
	"futex_lock_pi*", "futex_clocklock*", "syscall_cancel", "syscall_cancel_arch", "internal_syscall_cancel",
	"lll_lock_wait*", "lll_mutex_lock_optimized", "lll_clocklock*", "lll_timedlock*", "select64",
	"pselect64_syscall", "semtimedop_syscall", "recvmsg_syscall", "sendmsg_syscall", "recvmmsg_syscall",
	"sendmmsg_syscall", "pthread_mutex_lock_slow", "syscall",
	/* musl */
	"__syscall_cp*", "__syscall", "__wait", "__timedwait*", "__tl_lock", "__futexwait",
	/* libstdc++ and libc++ */
	"std::condition_variable*", "std::_V2::condition_variable*", "std::mutex::lock*", "std::timed_mutex*",
	"std::recursive_mutex*", "std::recursive_timed_mutex*", "std::shared_mutex*", "std::shared_timed_mutex*",
	"std::__shared_mutex*", "std::__shared_timed_mutex*", "std::unique_lock*", "std::lock_guard*",
	"std::scoped_lock*", "std::shared_lock*", "std::thread::join*", "std::jthread::join*", "std::this_thread::*",
	"*std::this_thread::sleep*", "std::__atomic_futex_unsigned*", "*std::__atomic_wait*", "std::__detail::*wait*",
	"std::__future_base::*", "std::__basic_future*", "std::future*", "std::shared_future*",
	"std::counting_semaphore*", "std::latch::*", "std::barrier*", "std::__1::condition_variable*",
	"std::__1::mutex::lock*", "std::__1::__libcpp_*", "__gthread_*", "std::__shared_mutex*", "*glibcxx_rwlock_*",
	"std::__condvar::*", "std::__tree_barrier*", "std::__atomic_*", "std::atomic*::wait*",
	"std::__timed_mutex_impl*", "std::__platform_semaphore*",
	/* Rust */
	"std::sys::*", "std::sys_common::*", "std::sync::*", "std::io::*", "std::thread::park*", "std::thread::sleep*",
	"std::thread::functions::*", "std::thread::Thread*", "std::thread::thread::Thread*",
	"std::thread::Inner::park*", "std::thread::JoinInner*", "std::thread::JoinHandle*",
	"std::thread::join_handle::*", "std::thread::lifecycle::JoinInner*", "std::thread::local::*",
	"std::thread::scoped::*", "core::*", "alloc::*", "parking_lot*", "lock_api::*",
	/* CPython */
	"take_gil", "acquire_timed", "lock_PyThread_acquire_lock", "PyEval_RestoreThread", "PyEval_AcquireThread",
	"PyGILState_Ensure", "_PySemaphore_*", "_PyParkingLot_Park", "_PyMutex_LockTimed", "PyMutex_Lock",
	/* the JDK */
	"os::PlatformEvent::park*", "PlatformEvent::park*", "PlatformMonitor::wait*", "Parker::park*", "Unsafe_Park",
	"java.lang.Object.wait*", "java.lang.Thread.sleep*", "java.lang.Thread.join*", "jdk.internal.misc.Unsafe.park",
	"sun.misc.Unsafe.park", "java.util.concurrent.locks.*", "java.util.concurrent.ForkJoinPool.managedBlock",
	"java.util.concurrent.ForkJoinPool.unmanagedBlock", "java.util.concurrent.ForkJoinPool.compensatedBlock",
	/* Go */
	"runtime.notesleep*", "runtime.notetsleep*", "runtime.usleep*"};

/* As the resolver names Java's methods, and as Java's and CPython's perf maps write them. GLib's is there while the
 * worker waits for a task, no longer. */
static const char *const idle_workers[] = {"*ThreadPoolExecutor.getTask*", "*ThreadPoolExecutor::getTask*",
	"*ThreadPoolExecutor;::getTask*", "*ForkJoinPool.awaitWork*", "*ForkJoinPool::awaitWork*",
	"*ForkJoinPool;::awaitWork*", "*ScheduledThreadPoolExecutor$DelayedWorkQueue.take*",
	"*concurrent.futures.thread*_worker*", "py::_worker:*concurrent/futures/thread.py*",
	"py::worker:multiprocessing/pool.py", "g_thread_pool_wait_for_new_task"};

/* Does text match the pattern? At a mismatch the last "*" takes one more character, so the time is that of the two
 * lengths multiplied at most, whatever a process calls its functions. */
static bool matches(const char *pattern, const char *text)
{
	const char *after_star = NULL, *resume = NULL;

	while (*text) {
		if (*pattern == '*') {
			after_star = ++pattern;
			resume = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (after_star) {
			pattern = after_star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* What compilers append to copies and parts of functions. */
static size_t length_without_suffix(const char *name)
{
	static const char *const suffixes[] = {".constprop.", ".isra.", ".part.", ".cold", ".llvm.", ".lto_priv."};
	size_t len = strcspn(name, "@");

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		const char *at = strstr(name, suffixes[i]);

		if (at && at > name && (size_t)(at - name) < len)
			len = at - name;
	}
	return len;
}

/* Without a symbol version, what compilers append, the "<" of Rust's "<std::…::Mutex>::lock", and what libc puts before
 * its own names: "__GI_", two or more underscores. A single one is part of the name of some function of the program. */
static void plain_name(const char *function, char plain[NAME_BYTES])
{
	size_t len;

	if (strncmp(function, "__GI_", 5) == 0)
		function += 5;
	if (function[0] == '_' && function[1] == '_')
		function += strspn(function, "_");
	if (function[0] == '<')
		function++;
	len = length_without_suffix(function);
	if (len >= NAME_BYTES)
		len = NAME_BYTES - 1;
	memcpy(plain, function, len);
	plain[len] = 0;
}

static bool matches_function(const char *pattern, const char *function, const char *plain)
{
	return matches(pattern, pattern[0] == '_' ? function : plain);
}

static bool matches_any(const char *const *patterns, size_t len, const char *function)
{
	char plain[NAME_BYTES];

	plain_name(function, plain);
	for (size_t i = 0; i < len; i++) {
		if (matches_function(patterns[i], function, plain))
			return true;
	}
	return false;
}

const struct lm_futex_function *lm_wait_futex_function(const char *function)
{
	char plain[NAME_BYTES];

	plain_name(function, plain);
	for (size_t i = 0; i < ARRAY_LEN(futex_functions); i++) {
		if (matches_function(futex_functions[i].pattern, function, plain))
			return &futex_functions[i];
	}
	return NULL;
}

static bool matches_kernel(const char *pattern, const char *function)
{
	char name[NAME_BYTES];
	size_t len = strcspn(function, ".");

	if (!function[len])
		return matches(pattern, function);
	if (len >= NAME_BYTES)
		len = NAME_BYTES - 1;
	memcpy(name, function, len);
	name[len] = 0;
	return matches(pattern, name);
}

const struct lm_kernel_function *lm_wait_kernel_function(const char *const *functions, size_t len)
{
	for (size_t row = 0; row < ARRAY_LEN(kernel_functions); row++) {
		for (size_t i = 0; i < len; i++) {
			if (functions[i] && matches_kernel(kernel_functions[row].pattern, functions[i]))
				return &kernel_functions[row];
		}
	}
	return NULL;
}

static int compare_calls(const void *key, const void *row)
{
	int64_t nr = *(const int64_t *)key;
	const struct lm_call *call = row;

	return nr < call->nr ? -1 : nr > call->nr;
}

const struct lm_call *lm_wait_call(int64_t nr)
{
	return bsearch(&nr, calls, ARRAY_LEN(calls), sizeof(calls[0]), compare_calls);
}

static int compare_names(const void *key, const void *row)
{
	return strcmp(key, *(const char *const *)row);
}

static const char *find_public(const char *name)
{
	const char *const *found =
		bsearch(name, public_names, ARRAY_LEN(public_names), sizeof(public_names[0]), compare_names);

	return found ? *found : NULL;
}

const char *lm_wait_public_name(const char *function)
{
	static const char *const suffixes[] = {"_time64", "64", "_chk", "_2"};
	char plain[NAME_BYTES];
	const char *name = plain, *found;
	size_t len;

	plain_name(function, plain);
	if (strncmp(name, "libc_", 5) == 0)
		name += 5;
	found = find_public(name);
	len = strlen(name);
	for (size_t i = 0; !found && i < ARRAY_LEN(suffixes); i++) {
		size_t suffix_len = strlen(suffixes[i]);

		if (len <= suffix_len || strcmp(name + len - suffix_len, suffixes[i]) != 0)
			continue;
		len -= suffix_len;
		plain[name - plain + len] = 0;
		found = find_public(name);
	}
	return found;
}

bool lm_wait_is_libc(const char *module)
{
	static const char *const names[] = {"libc.so", "libc-2", "libpthread", "ld-musl", "libc.musl", "[vdso]"};

	return LM_STARTS_WITH(module, names);
}

bool lm_wait_is_wait_function(const char *function)
{
	return lm_wait_futex_function(function) || lm_wait_public_name(function) ||
	       matches_any(wait_functions, ARRAY_LEN(wait_functions), function);
}

bool lm_wait_is_idle_worker(const char *function)
{
	return matches_any(idle_workers, ARRAY_LEN(idle_workers), function);
}
