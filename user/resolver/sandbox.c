// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is left is memory, the descriptors that were given, and the socket.
 *
 * Without capabilities of its own, root still owns root's files and may signal root's processes; so where there is no
 * other identity to be had (CAP_SETUID is none of the six that the daemon is given), what stands in the way is the
 * filter alone: no call that opens, starts, or reaches another process is in it, nor one that does so by its arguments.
 */
#include "user/resolver/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534
#define MEMORY_MAX_BYTES (1024ull << 20) /* that it can write to; a million goroutines are 100 to 400 MiB of it */
#define SPACE_MAX_BYTES (64ull << 30)    /* of address space: debug files of 2 GiB are mapped, not read */
#define DESCRIPTORS_MAX 65536

/* CAP_KILL is not for this process: it has what leakmon has, which must be able to end a process of another user. */
static bool may_change_identity(const struct __user_cap_data_struct *held)
{
	const uint32_t needed = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;

	return (held[0].effective & needed) == needed;
}

static int drop_identity(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct held[2] = {0}, none[2] = {0};

	if (syscall(SYS_capget, &header, held))
		return -errno;
	if (geteuid() == 0 && may_change_identity(held)) {
		if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			return -errno;
	}
	if (syscall(SYS_capset, &header, none))
		return -errno;
	return 0;
}

static int set_limits(void)
{
	const struct rlimit memory = {MEMORY_MAX_BYTES, MEMORY_MAX_BYTES}, space = {SPACE_MAX_BYTES, SPACE_MAX_BYTES};
	const struct rlimit none = {0, 0};
	struct rlimit descriptors;

	if (setrlimit(RLIMIT_CORE, &none))
		return -errno;
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory takes terabytes of address space */
	if (setrlimit(RLIMIT_DATA, &memory) || setrlimit(RLIMIT_AS, &space))
		return -errno;
#else
	(void)memory, (void)space;
#endif
	if (getrlimit(RLIMIT_NOFILE, &descriptors))
		return -errno;
	descriptors.rlim_cur = descriptors.rlim_max < DESCRIPTORS_MAX ? descriptors.rlim_max : DESCRIPTORS_MAX;
	return setrlimit(RLIMIT_NOFILE, &descriptors) ? -errno : 0;
}

#ifndef __SANITIZE_ADDRESS__
static int filter_calls(void)
{
	static const int allowed[] = {SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
		SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(mmap),
		SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk),
		SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(restart_syscall), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(getpid),
		SCMP_SYS(gettid), SCMP_SYS(setsockopt)};
	/* F_SETOWN is a way to signal others */
	static const int controls[] = {F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC};
	/* elfutils looks for the files that debug information names beside it; here there is nothing to be found */
	static const int refused[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(faccessat),
		SCMP_SYS(faccessat2), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(readlink),
		SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(ioctl), SCMP_SYS(prlimit64), SCMP_SYS(sysinfo)};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]) && !error; i++)
		error = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, (uint64_t)controls[i], 0));
	/* abort() */
	if (!error)
		error = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0));
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
#else
static int filter_calls(void)
{
	return 0; /* the sanitizer's own calls are not ours to list */
}
#endif

int lm_sandbox_enter(void)
{
	int error = drop_identity();

	if (!error)
		error = set_limits();
	if (error)
		return error;
	/* a change of identity clears it, so it comes after */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return filter_calls();
}
