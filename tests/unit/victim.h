/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children of a test that block in pause(2), and their registers, as the kernel side of leakmon would report them. */
#ifndef LM_TEST_VICTIM_H
#define LM_TEST_VICTIM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "leakmon_abi.h"

#define VICTIM_DEADLINE_S 20

static inline bool victim_is_in_pause(pid_t pid)
{
	char path[64];
	int nr = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%d", &nr) != 1)
		nr = -1;
	fclose(file);
	return nr == SYS_pause;
}

/* Fails if the victim ends instead. */
static inline void victim_await_pause(pid_t pid)
{
	const time_t deadline = time(NULL) + VICTIM_DEADLINE_S;

	while (!victim_is_in_pause(pid)) {
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		assert_true(time(NULL) < deadline);
		usleep(1000);
	}
}

/* A test may trace its own child; leakmon gets registers from the kernel, which needs no stop. pause() goes on as if
 * nothing had been, so that the victim is in it again afterwards. */
static inline void victim_read_registers(pid_t pid, struct lm_regs *regs)
{
	struct user_regs_struct user;

	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &user), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	victim_await_pause(pid);
	*regs = (struct lm_regs){
		.nr = SYS_pause,
		.ip = user.rip,
		.sp = user.rsp,
		.bp = user.rbp,
		.bx = user.rbx,
		.r12 = user.r12,
		.r13 = user.r13,
		.r14 = user.r14,
		.r15 = user.r15,
	};
}

static inline void victim_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
