// SPDX-License-Identifier: GPL-2.0-or-later
/* Names as the symbol tables of glibc 2.31–2.41, musl 1.2, libstdc++, Rust's std, CPython and the JDK have them. */
#include "user/wait_names.h"

#include <stddef.h>
#include <string.h>

#include "user/waits.h"

/* Looked up from the innermost frame outwards, so the function nearest to the futex decides: what pthread_cond_wait
 * calls to take its mutex again is a wait for the mutex. */
static const struct lm_user_wait user_waits[] = {
	{"pthread_mutex_lock", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock"},
	{"pthread_mutex_timedlock", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_timedlock"},
	{"pthread_mutex_clocklock*", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_clocklock"},
	{"pthread_mutex_lock_full", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock"},
	{"pthread_mutex_cond_lock", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock"},
	{"lll_lock_wait*", LM_WAIT_FUTEX_MUTEX, "pthread_mutex_lock"},
	{"pthread_cond_wait", LM_WAIT_FUTEX_COND, "pthread_cond_wait"},
	{"pthread_cond_wait_common", LM_WAIT_FUTEX_COND, "pthread_cond_wait"},
	{"pthread_cond_timedwait*", LM_WAIT_FUTEX_COND, "pthread_cond_timedwait"},
	{"pthread_cond_clockwait*", LM_WAIT_FUTEX_COND, "pthread_cond_clockwait"},
	{"cnd_wait", LM_WAIT_FUTEX_COND, "cnd_wait"},
	{"sem_wait*", LM_WAIT_FUTEX_SEM, "sem_wait"},
	{"new_sem_wait*", LM_WAIT_FUTEX_SEM, "sem_wait"},
	{"sem_timedwait*", LM_WAIT_FUTEX_SEM, "sem_timedwait"},
	{"sem_clockwait*", LM_WAIT_FUTEX_SEM, "sem_clockwait"},
	{"pthread_rwlock_rdlock*", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_rdlock"},
	{"pthread_rwlock_wrlock*", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_wrlock"},
	{"pthread_rwlock_timedrdlock*", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_timedrdlock"},
	{"pthread_rwlock_timedwrlock*", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_timedwrlock"},
	{"pthread_rwlock_clockrdlock*", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_clockrdlock"},
	{"pthread_rwlock_clockwrlock*", LM_WAIT_FUTEX_RWLOCK, "pthread_rwlock_clockwrlock"},
	{"pthread_barrier_wait", LM_WAIT_FUTEX_BARRIER, "pthread_barrier_wait"},
	{"pthread_join", LM_WAIT_FUTEX_JOIN, "pthread_join"},
	{"pthread_timedjoin_np*", LM_WAIT_FUTEX_JOIN, "pthread_timedjoin_np"},
	{"pthread_clockjoin*", LM_WAIT_FUTEX_JOIN, "pthread_join"},
	{"thrd_join", LM_WAIT_FUTEX_JOIN, "thrd_join"},
	{"std::sys::*futex_mutex::*", LM_WAIT_FUTEX_MUTEX, "std::sync::Mutex::lock"},
	{"std::sys::*mutex::futex::*", LM_WAIT_FUTEX_MUTEX, "std::sync::Mutex::lock"},
	{"std::sys::*futex_condvar::*", LM_WAIT_FUTEX_COND, "std::sync::Condvar::wait"},
	{"std::sys::*condvar::futex::*", LM_WAIT_FUTEX_COND, "std::sync::Condvar::wait"},
	{"std::sync::*condvar::Condvar::wait*", LM_WAIT_FUTEX_COND, "std::sync::Condvar::wait"},
	{"std::sys::*futex_rwlock::*", LM_WAIT_FUTEX_RWLOCK, "std::sync::RwLock"},
	{"std::sys::*rwlock::futex::*", LM_WAIT_FUTEX_RWLOCK, "std::sync::RwLock"},
	{"std::thread::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"},
	{"std::thread::Thread::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"},
	{"std::sys::*thread_park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"},
	{"std::sys::*Parker::park*", LM_WAIT_FUTEX_OTHER, "std::thread::park"},
	{"std::sync::mpmc::*recv*", LM_WAIT_FUTEX_OTHER, "std::sync::mpsc::recv"},
	{"parking_lot*", LM_WAIT_FUTEX_OTHER, "parking_lot"},
	{"std::atomic_futex_unsigned_base::M_futex_wait_until*", LM_WAIT_FUTEX_OTHER, "std::future::wait"},
	{"std::__atomic_futex_unsigned_base::_M_futex_wait_until*", LM_WAIT_FUTEX_OTHER, "std::future::wait"},
	{"PyThread_acquire_lock*", LM_WAIT_FUTEX_SEM, "PyThread_acquire_lock"},
	{"runtime.futex*", LM_WAIT_FUTEX_OTHER, "runtime.futex"},
};

const struct lm_kernel_wait lm_kernel_waits[] = {
	/* in the order of how much they say: a poll of a pipe is a poll */
	{"do_epoll_wait", LM_WAIT_POLL, "epoll_wait", true},
	{"ep_poll", LM_WAIT_POLL, "epoll_wait", true},
	{"do_sys_poll", LM_WAIT_POLL, "poll", true},
	{"do_select", LM_WAIT_POLL, "select", true},
	{"do_restart_poll", LM_WAIT_POLL, "poll", true},
	{"do_nanosleep", LM_WAIT_SLEEP, "nanosleep", true},
	{"hrtimer_nanosleep", LM_WAIT_SLEEP, "nanosleep", true},
	{"io_cqring_wait", LM_WAIT_IO_URING, "io_uring_enter", true},
	{"io_wq_worker", LM_WAIT_IO_URING, "io_uring worker", true},
	{"io_sq_thread", LM_WAIT_IO_URING, "io_uring worker", true},
	{"do_wait", LM_WAIT_CHILD, "wait4", true},
	{"do_sigtimedwait", LM_WAIT_SIGNAL, "sigtimedwait", true},
	{"sigsuspend", LM_WAIT_SIGNAL, "sigsuspend", true},
	{"pipe_read", LM_WAIT_PIPE, "read", true},
	{"anon_pipe_read", LM_WAIT_PIPE, "read", true},
	{"fifo_pipe_read", LM_WAIT_PIPE, "read", true},
	{"pipe_write", LM_WAIT_PIPE, "write", true},
	{"anon_pipe_write", LM_WAIT_PIPE, "write", true},
	{"fifo_pipe_write", LM_WAIT_PIPE, "write", true},
	{"pipe_wait_readable", LM_WAIT_PIPE, "read", true},
	{"pipe_wait_writable", LM_WAIT_PIPE, "write", true},
	{"wait_for_partner", LM_WAIT_PIPE, "open", true},
	{"fifo_open", LM_WAIT_PIPE, "open", true},
	{"sock_recvmsg", LM_WAIT_SOCKET, "recv", true},
	{"sock_read_iter", LM_WAIT_SOCKET, "read", true},
	{"sock_sendmsg", LM_WAIT_SOCKET, "send", true},
	{"sock_write_iter", LM_WAIT_SOCKET, "write", true},
	{"__sys_recvfrom", LM_WAIT_SOCKET, "recvfrom", true},
	{"__sys_recvmsg", LM_WAIT_SOCKET, "recvmsg", true},
	{"__sys_sendto", LM_WAIT_SOCKET, "sendto", true},
	{"__sys_sendmsg", LM_WAIT_SOCKET, "sendmsg", true},
	{"__sys_connect", LM_WAIT_SOCKET, "connect", true},
	{"__sys_accept4", LM_WAIT_SOCKET, "accept", true},
	{"do_accept", LM_WAIT_SOCKET, "accept", true},
	{"inet_csk_accept", LM_WAIT_SOCKET, "accept", true},
	{"sk_wait_data", LM_WAIT_SOCKET, "recv", true},
	{"__skb_wait_for_more_packets", LM_WAIT_SOCKET, "recv", true},
	{"n_tty_read", LM_WAIT_FILE, "read", true},
	{"n_tty_write", LM_WAIT_FILE, "write", true},
	{"eventfd_read", LM_WAIT_FILE, "read", true},
	{"signalfd_read", LM_WAIT_FILE, "read", true},
	{"signalfd_read_iter", LM_WAIT_FILE, "read", true},
	{"timerfd_read", LM_WAIT_FILE, "read", true},
	{"timerfd_read_iter", LM_WAIT_FILE, "read", true},
	{"inotify_read", LM_WAIT_FILE, "read", true},
	{"fcntl_setlk", LM_WAIT_FILE, "fcntl", true},
	{"locks_lock_inode_wait", LM_WAIT_FILE, "flock", true},
	{"flock_lock_inode_wait", LM_WAIT_FILE, "flock", true},
	{"futex_wait", LM_WAIT_FUTEX_OTHER, "futex", true},
	{"__futex_wait", LM_WAIT_FUTEX_OTHER, "futex", true},
	{NULL, LM_WAIT_OTHER, NULL, false},
};

static const struct lm_call_wait call_waits[] = {
	{0, "read", LM_WAIT_FILE, true, true},
	{1, "write", LM_WAIT_FILE, true, true},
	{2, "open", LM_WAIT_FILE, true, false},
	{7, "poll", LM_WAIT_POLL, false, false},
	{16, "ioctl", LM_WAIT_FILE, true, true},
	{17, "pread64", LM_WAIT_FILE, true, true},
	{18, "pwrite64", LM_WAIT_FILE, true, true},
	{19, "readv", LM_WAIT_FILE, true, true},
	{20, "writev", LM_WAIT_FILE, true, true},
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
	{61, "wait4", LM_WAIT_CHILD, false, false},
	{65, "semop", LM_WAIT_OTHER, false, false},
	{69, "msgsnd", LM_WAIT_OTHER, false, false},
	{70, "msgrcv", LM_WAIT_OTHER, false, false},
	{72, "fcntl", LM_WAIT_FILE, false, true},
	{73, "flock", LM_WAIT_FILE, false, true},
	{74, "fsync", LM_WAIT_DISK, false, true},
	{75, "fdatasync", LM_WAIT_DISK, false, true},
	{128, "rt_sigtimedwait", LM_WAIT_SIGNAL, false, false},
	{130, "rt_sigsuspend", LM_WAIT_SIGNAL, false, false},
	{202, "futex", LM_WAIT_FUTEX_OTHER, false, false},
	{208, "io_getevents", LM_WAIT_DISK, false, false},
	{220, "semtimedop", LM_WAIT_OTHER, false, false},
	{230, "clock_nanosleep", LM_WAIT_SLEEP, false, false},
	{232, "epoll_wait", LM_WAIT_POLL, false, true},
	{242, "mq_timedsend", LM_WAIT_OTHER, false, true},
	{243, "mq_timedreceive", LM_WAIT_OTHER, false, true},
	{247, "waitid", LM_WAIT_CHILD, false, false},
	{257, "openat", LM_WAIT_FILE, true, false},
	{270, "pselect6", LM_WAIT_POLL, false, false},
	{271, "ppoll", LM_WAIT_POLL, false, false},
	{275, "splice", LM_WAIT_FILE, true, true},
	{276, "tee", LM_WAIT_PIPE, false, true},
	{278, "vmsplice", LM_WAIT_PIPE, false, true},
	{281, "epoll_pwait", LM_WAIT_POLL, false, true},
	{288, "accept4", LM_WAIT_SOCKET, false, true},
	{295, "preadv", LM_WAIT_FILE, true, true},
	{296, "pwritev", LM_WAIT_FILE, true, true},
	{299, "recvmmsg", LM_WAIT_SOCKET, false, true},
	{307, "sendmmsg", LM_WAIT_SOCKET, false, true},
	{326, "copy_file_range", LM_WAIT_FILE, false, true},
	{327, "preadv2", LM_WAIT_FILE, true, true},
	{328, "pwritev2", LM_WAIT_FILE, true, true},
	{333, "io_pgetevents", LM_WAIT_DISK, false, false},
	{426, "io_uring_enter", LM_WAIT_IO_URING, false, true},
	{437, "openat2", LM_WAIT_FILE, true, false},
	{441, "epoll_pwait2", LM_WAIT_POLL, false, true},
	{449, "futex_waitv", LM_WAIT_FUTEX_OTHER, false, false},
	{455, "futex_wait", LM_WAIT_FUTEX_OTHER, false, false},
};

/* Functions that only wait for their caller, beside those of user_waits. */
static const char *const wait_functions[] = {"futex_abstimed_wait*", "futex_wait*", "futex_reltimed_wait*", "GI_futex*",
	"syscall_cp*", "timedwait*", "wait", "syscall_cancel*", "internal_syscall_cancel*", "read", "libc_read",
	"write", "libc_write", "readv", "writev", "pread64", "poll", "ppoll", "select", "select64", "pselect",
	"epoll_wait", "epoll_pwait", "recv", "libc_recv", "recvfrom", "recvmsg", "send", "sendto", "sendmsg", "accept",
	"libc_accept", "accept4", "connect", "nanosleep", "clock_nanosleep*", "sleep", "usleep", "pause", "libc_pause",
	"sigsuspend", "sigwait", "sigtimedwait", "sigwaitinfo", "wait4", "waitpid", "waitid", "flock", "fcntl*",
	"ioctl", "syscall", "std::condition_variable::wait*", "std::mutex::lock", "gthread*", "std::thread::join*",
	"std::this_thread::sleep*", "std::recursive_mutex::lock", "std::unique_lock*", "std::lock_guard*",
	"std::shared_mutex*", "std::shared_timed_mutex*", "std::condition_variable_any*", "std::future*",
	"std::basic_future*", "std::__basic_future*", "std::_State_baseV2*", "std::__future_base*", "std::sys::*",
	"std::sys_common::*", "std::thread::sleep*", "std::thread::JoinInner*", "std::thread::JoinHandle*",
	"std::sync::*", "core::*", "alloc::*", "runtime.futexsleep*", "runtime.notesleep*", NULL};

static const char *const idle_workers[] = {"*ThreadPoolExecutor.getTask*", "*ThreadPoolExecutor::getTask*",
	"*ForkJoinPool.awaitWork*", "*ForkJoinPool::awaitWork*", "*concurrent.futures.thread*_worker*",
	"*_worker_loop*", NULL};

/* Does text match the pattern, in which * stands for anything? Patterns are short and have at most three of them. */
static bool matches(const char *pattern, const char *text)
{
	for (; *pattern && *pattern != '*'; pattern++, text++) {
		if (*pattern != *text)
			return false;
	}
	if (!*pattern)
		return !*text;
	pattern++;
	if (!*pattern)
		return true;
	for (; *text; text++) {
		if (matches(pattern, text))
			return true;
	}
	return false;
}

/* Without leading underscores and __GI_, and without a symbol version. */
static const char *plain_name(const char *function, char *buffer, size_t size)
{
	size_t len;

	function += strspn(function, "_");
	if (strncmp(function, "GI_", 3) == 0)
		function += 3 + strspn(function + 3, "_");
	len = strcspn(function, "@");
	if (len >= size)
		len = size - 1;
	memcpy(buffer, function, len);
	buffer[len] = '\0';
	return buffer;
}

static bool matches_any(const char *const *patterns, const char *function)
{
	char buffer[256];
	const char *name = plain_name(function, buffer, sizeof(buffer));

	for (; *patterns; patterns++) {
		if (matches(*patterns, name))
			return true;
	}
	return false;
}

const struct lm_user_wait *lm_wait_find_name(const char *function)
{
	char buffer[256];
	const char *name = plain_name(function, buffer, sizeof(buffer));

	for (size_t i = 0; i < sizeof(user_waits) / sizeof(user_waits[0]); i++) {
		if (matches(user_waits[i].name, name))
			return &user_waits[i];
	}
	return NULL;
}

const struct lm_call_wait *lm_wait_find_call(int64_t nr)
{
	for (size_t i = 0; i < sizeof(call_waits) / sizeof(call_waits[0]); i++) {
		if (call_waits[i].nr == nr)
			return &call_waits[i];
	}
	return NULL;
}

const char *lm_wait_public_name(const char *function)
{
	char buffer[256];
	const char *name = plain_name(function, buffer, sizeof(buffer));

	if (strncmp(name, "libc_", 5) == 0)
		name += 5;
	for (const char *const *known = wait_functions; *known; known++) {
		if (!strchr(*known, '*') && !strchr(*known, ':') && strcmp(*known, name) == 0)
			return *known;
	}
	/* nanosleep's own helper */
	return strcmp(name, "clock_nanosleep_time64") == 0 ? "clock_nanosleep" : NULL;
}

bool lm_wait_is_wait_function(const char *function)
{
	return lm_wait_find_name(function) || matches_any(wait_functions, function);
}

bool lm_wait_is_idle_worker(const char *function)
{
	return matches_any(idle_workers, function);
}
