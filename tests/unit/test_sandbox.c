// SPDX-License-Identifier: GPL-2.0-or-later
/* What a process can still do after lm_sandbox_enter: children try, their parent sees how they end. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/resolver/sandbox.h"

#define ENTERED 0
#define NOT_ENTERED 99
#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static pid_t parent;
static int pipe_fds[2];

static void signal_parent_thread(void)
{
	syscall(SYS_tgkill, parent, parent, 0);
}

static void signal_parent(void)
{
	kill(parent, 0);
}

/* Data that comes would then signal the parent, which the kernel lets a file of root do to any process. */
static void own_parent(void)
{
	fcntl(pipe_fds[0], F_SETOWN, parent);
}

static void start_process(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void trace_parent(void)
{
	syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0);
}

static void execute(void)
{
	char *const words[] = {NULL};

	execve("/bin/true", words, words);
}

static void open_file(void)
{
	if (open("/proc/self/status", O_RDONLY) >= 0 || errno != EACCES)
		_exit(1);
}

static void use_what_is_given(void)
{
	if (fcntl(pipe_fds[0], F_GETFD) < 0 || syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0))
		_exit(1);
}

/* The status of a child that enters the sandbox and tries. */
static int try_inside(void (*function)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (lm_sandbox_enter())
			_exit(NOT_ENTERED);
		function();
		_exit(ENTERED);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void other_processes_are_out_of_reach(void **state)
{
	static void (*const attempts[])(void) = {
		signal_parent_thread, signal_parent, own_parent, start_process, trace_parent, execute};

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* there is no filter in such a build */
#endif
	for (size_t i = 0; i < LEN(attempts); i++) {
		int status = try_inside(attempts[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("attempt %zu: status %#x", i, status);
	}
}

static void what_parsing_needs_still_works(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	assert_int_equal(try_inside(use_what_is_given), ENTERED);
	assert_int_equal(try_inside(open_file), ENTERED);
	assert_int_equal(WTERMSIG(try_inside(abort)), SIGABRT);
}

/* Takes capabilities of the effective and permitted sets. */
static int give_up(uint32_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~capabilities;
	data[0].permitted &= ~capabilities;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* The line of /proc/PID/status that begins so. */
static void read_status(pid_t pid, const char *name, char line[128])
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, 128, file) && strncmp(line, name, strlen(name)) != 0)
		;
	assert_int_equal(strncmp(line, name, strlen(name)), 0);
	fclose(file);
}

/* What a process is after the sandbox that lacked these capabilities before it. */
static void enter_without(uint32_t capabilities, unsigned int uid)
{
	char byte = 0, line[128];
	int to[2], from[2], status;
	unsigned long long held = 1;
	unsigned int real = 1;
	pid_t child;

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	child = fork();
	if (child == 0) {
		close(to[1]);
		if (give_up(capabilities) || lm_sandbox_enter())
			_exit(NOT_ENTERED);
		close(from[1]); /* the parent's read ends */
		_exit(read(to[0], &byte, 1) < 0);
	}
	close(from[1]);
	assert_int_equal(read(from[0], &byte, 1), 0);
	read_status(child, "CapPrm:", line);
	assert_int_equal(sscanf(line, "CapPrm: %llx", &held), 1);
	assert_int_equal(held, 0);
	read_status(child, "NoNewPrivs:", line);
	assert_string_equal(line, "NoNewPrivs:\t1\n");
	read_status(child, "Uid:", line);
	assert_int_equal(sscanf(line, "Uid: %u", &real), 1);
	assert_int_equal(real, uid);
	close(to[1]);
	close(to[0]);
	close(from[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void root_becomes_nobody(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	enter_without(0, 65534);
}

static void root_that_may_not_change_keeps_no_capability(void **state)
{
	const uint32_t each[] = {1u << CAP_SETUID, 1u << CAP_SETGID, 1u << CAP_KILL,
		1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL | 1u << CAP_DAC_OVERRIDE};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < LEN(each); i++)
		enter_without(each[i], 0);
}

static int set_up(void **state)
{
	(void)state;
	parent = getpid();
	return pipe(pipe_fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_processes_are_out_of_reach),
		cmocka_unit_test(what_parsing_needs_still_works),
		cmocka_unit_test(root_becomes_nobody),
		cmocka_unit_test(root_that_may_not_change_keeps_no_capability),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
