// SPDX-License-Identifier: GPL-2.0-or-later
/* By the system calls themselves, so that no library is needed for it. */
#include "user/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (1ull << (capability))
#define KEPT                                                                                                           \
	(BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_SYS_PTRACE) | BIT(CAP_SYSLOG) | BIT(CAP_DAC_READ_SEARCH) |          \
		BIT(CAP_CHECKPOINT_RESTORE))

/* Out of the bounding set, so that no program that is started has it either. Needs CAP_SETPCAP; who lacks that has been
 * given a small set by somebody else. */
static int drop_from_bounding_set(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
		if (capability < 64 && KEPT & BIT(capability))
			continue;
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
			return errno == EPERM ? 0 : -errno;
	}
	return 0;
}

int lm_privileges_keep_few(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];
	int error = drop_from_bounding_set();

	if (error)
		return error;
	if (syscall(SYS_capget, &header, sets))
		return -errno;
	for (int word = 0; word < 2; word++) {
		uint32_t kept = KEPT >> (32 * word);

		sets[word].permitted &= kept;
		sets[word].effective &= kept;
		sets[word].inheritable &= kept;
	}
	if (syscall(SYS_capset, &header, sets))
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}
