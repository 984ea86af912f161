// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of capabilities, and what the kernel says of this process. deploy/ names the same six. */
#include "user/capabilities.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct lm_capability lm_capabilities[LM_CAPABILITIES] = {
	{CAP_BPF, CAP_SYS_ADMIN, "CAP_BPF", "no BPF program can be loaded", true},
	{CAP_PERFMON, CAP_SYS_ADMIN, "CAP_PERFMON", "BPF programs cannot look at threads", true},
	{CAP_SYS_PTRACE, CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "processes of other users have no user stacks", false},
	{CAP_SYSLOG, CAP_SYSLOG, "CAP_SYSLOG",
		"kernel functions may have no names, and some waits cannot be told apart", false},
	{CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, "CAP_DAC_READ_SEARCH",
		"programs that only their users may read have no symbols", false},
	{CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, "CAP_CHECKPOINT_RESTORE",
		"programs and libraries that were deleted or lie in containers have no symbols", false},
};

bool lm_capability_effective(unsigned int number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	return syscall(SYS_capget, &header, data) == 0 && data[number / 32].effective & 1u << number % 32;
}

bool lm_capability_held(const struct lm_capability *capability)
{
	return lm_capability_effective(capability->number) || lm_capability_effective(capability->instead);
}

size_t lm_capabilities_missing(bool needed_only, char *names, size_t size)
{
	size_t missing = 0, at = 0;

	if (size)
		names[0] = '\0';
	for (size_t i = 0; i < LM_CAPABILITIES; i++) {
		const struct lm_capability *capability = &lm_capabilities[i];

		if ((needed_only && !capability->needed) || lm_capability_held(capability))
			continue;
		if (at < size)
			at += snprintf(names + at, size - at, "%s%s", missing ? ", " : "", capability->name);
		missing++;
	}
	return missing;
}
