// SPDX-License-Identifier: GPL-2.0-or-later
/* What threads wait on, from what was seen of real ones (Linux 6.18, glibc 2.36, x86-64). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/waits.h"

#define NAMES 4
#define NR_FUTEX 202
#define NR_RESTART 219

struct sample {
	const char *what;
	int64_t nr;
	uint64_t di, si, dx;
	const char *user[NAMES], *kernel[NAMES];
	uint32_t state;
	bool in_join_target;
	enum lm_wait_class expected;
	uint64_t object;
	const char *detail; /* NULL: not checked */
};

static const struct sample samples[] = {
	{"mutex by name", NR_FUTEX, 0x1000, 0x80, 2, {"futex_wait", "__lll_lock_wait", "pthread_mutex_lock", "work"},
		{"futex_wait"}, 1, false, LM_WAIT_FUTEX_MUTEX, 0x1000, "pthread_mutex_lock"},
	{"mutex by word", NR_FUTEX, 0x1000, 0x80, 2, {NULL}, {NULL}, 1, false, LM_WAIT_FUTEX_MUTEX, 0x1000, NULL},
	{"condition variable, first group", NR_FUTEX, 0x1028, 0x189, 0,
		{"__futex_abstimed_wait_common", "___pthread_cond_wait", "work"}, {NULL}, 1, false, LM_WAIT_FUTEX_COND,
		0x1000, "pthread_cond_wait"},
	{"condition variable, second group", NR_FUTEX, 0x102c, 0x189, 0, {"pthread_cond_timedwait"}, {NULL}, 1, false,
		LM_WAIT_FUTEX_COND, 0x1000, "pthread_cond_timedwait"},
	{"semaphore", NR_FUTEX, 0x1000, 0x189, 0, {"__futex_abstimed_wait_common", "__new_sem_wait_slow64"}, {NULL}, 1,
		false, LM_WAIT_FUTEX_SEM, 0x1000, "sem_wait"},
	{"no name, value 0: not to be told", NR_FUTEX, 0x1000, 0x189, 0, {NULL}, {NULL}, 1, false, LM_WAIT_FUTEX_OTHER,
		0x1000, NULL},
	{"rwlock, reader by word", NR_FUTEX, 0x1008, 0x189, 3, {NULL}, {NULL}, 1, false, LM_WAIT_FUTEX_RWLOCK, 0x1000,
		NULL},
	{"rwlock, writer by name", NR_FUTEX, 0x100c, 0x189, 3,
		{"__pthread_rwlock_wrlock_full64", "pthread_rwlock_wrlock"}, {NULL}, 1, false, LM_WAIT_FUTEX_RWLOCK,
		0x1000, "pthread_rwlock_wrlock"},
	{"barrier", NR_FUTEX, 0x1004, 0x80, 0, {"futex_wait_simple", "___pthread_barrier_wait"}, {NULL}, 1, false,
		LM_WAIT_FUTEX_BARRIER, 0x1000, "pthread_barrier_wait"},
	{"join by name", NR_FUTEX, 0x1990, 0x109, 77, {"__pthread_clockjoin_ex"}, {NULL}, 1, false, LM_WAIT_FUTEX_JOIN,
		0x1990, "pthread_join"},
	{"join by the target's control block", NR_FUTEX, 0x1990, 0x109, 77, {NULL}, {NULL}, 1, true, LM_WAIT_FUTEX_JOIN,
		0x1990, NULL},
	{"PI mutex", NR_FUTEX, 0x1000, 0x86, 0, {NULL}, {NULL}, 1, false, LM_WAIT_FUTEX_PI, 0x1000, NULL},
	{"read from a pipe", 0, 5, 0, 0, {"__GI___libc_read", "work"}, {"anon_pipe_read", "vfs_read"}, 1, false,
		LM_WAIT_PIPE, 5, "read"},
	{"read from a socket", 0, 5, 0, 0, {"read"}, {"sk_wait_data", "sock_recvmsg"}, 1, false, LM_WAIT_SOCKET, 5,
		"read"},
	{"read from a terminal", 0, 0, 0, 0, {NULL}, {"n_tty_read"}, 1, false, LM_WAIT_FILE, 0, "read"},
	{"nanosleep", 230, 0, 0, 0, {"__GI___clock_nanosleep", "__GI___nanosleep", "work"}, {"hrtimer_nanosleep"}, 1,
		false, LM_WAIT_SLEEP, 0, "nanosleep"},
	{"nanosleep, goes on after a stop", NR_RESTART, 0, 0, 0, {NULL}, {"do_nanosleep"}, 1, false, LM_WAIT_SLEEP, 0,
		NULL},
	{"poll", 7, 0x5000, 1, 0, {"poll"}, {"do_sys_poll"}, 1, false, LM_WAIT_POLL, 0, "poll"},
	{"poll of a pipe is a poll", 7, 0x5000, 1, 0, {NULL}, {"do_poll.constprop.0", "do_sys_poll"}, 1, false,
		LM_WAIT_POLL, 0, "poll"},
	{"epoll_wait", 232, 4, 0, 0, {"epoll_wait"}, {"ep_poll"}, 1, false, LM_WAIT_POLL, 4, "epoll_wait"},
	{"accept", 43, 3, 0, 0, {"__libc_accept"}, {"inet_csk_accept"}, 1, false, LM_WAIT_SOCKET, 3, "accept"},
	{"a child", 61, 0, 0, 0, {NULL}, {"do_wait"}, 1, false, LM_WAIT_CHILD, 0, "wait4"},
	{"a signal", 34, 0, 0, 0, {"pause"}, {NULL}, 1, false, LM_WAIT_SIGNAL, 0, "pause"},
	{"io_uring", 426, 6, 0, 0, {NULL}, {"io_cqring_wait"}, 1, false, LM_WAIT_IO_URING, 6, NULL},
	{"disk", 74, 3, 0, 0, {NULL}, {"jbd2_log_wait_commit"}, 2, false, LM_WAIT_DISK, 0, NULL},
	{"stopped", 7, 0, 0, 0, {NULL}, {NULL}, 4, false, LM_WAIT_STOPPED, 0, NULL},
	{"a page fault", -1, 0, 0, 0, {NULL}, {NULL}, 1, false, LM_WAIT_OTHER, 0, NULL},
};

static size_t count(const char *const names[NAMES])
{
	size_t len = 0;

	while (len < NAMES && names[len])
		len++;
	return len;
}

static void real_waits_are_classified(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *sample = &samples[i];
		const struct lm_wait_evidence evidence = {
			.state = sample->state,
			.have_regs = true,
			.in_join_target = sample->in_join_target,
			.regs = {.nr = sample->nr, .di = sample->di, .si = sample->si, .dx = sample->dx},
			.kernel = sample->kernel,
			.kernel_len = count(sample->kernel),
			.user = sample->user,
			.user_len = count(sample->user),
		};
		struct lm_wait wait;

		lm_wait_classify(&evidence, &wait);
		if (wait.wait_class != sample->expected || (sample->object && wait.object != sample->object) ||
			(sample->detail && (!wait.detail || strcmp(wait.detail, sample->detail) != 0)))
			print_error("%s: %s, object %#llx, %s\n", sample->what, lm_wait_class_name(wait.wait_class),
				(unsigned long long)wait.object, wait.detail ? wait.detail : "no detail");
		assert_int_equal(wait.wait_class, sample->expected);
		if (sample->object)
			assert_int_equal(wait.object, sample->object);
		if (sample->detail)
			assert_string_equal(wait.detail, sample->detail);
	}
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
		"std::condition_variable::wait", "std::thread::park", "__syscall_cp_c", "sem_wait@@GLIBC_2.34"};
	static const char *const others[] = {
		"wait_for_result", "main", "reader", "poll_1", "app::wait", "pthread_cond_waiter"};

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
	assert_true(lm_wait_is_idle_worker("java.util.concurrent.ThreadPoolExecutor.getTask"));
	assert_false(lm_wait_is_idle_worker("main"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_waits_are_classified),
		cmocka_unit_test(without_registers_the_kernel_stack_decides),
		cmocka_unit_test(functions_that_only_wait_are_known_and_others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
