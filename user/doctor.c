// SPDX-License-Identifier: GPL-2.0-or-later
/* Each check tries the real thing: it loads and attaches the programs, starts the resolver, opens what a watch opens.
 */
#include "user/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "user/capabilities.h"
#include "user/kernel.h"
#include "user/ksyms.h"
#include "user/probe.h"
#include "user/resolver/client.h"
#include "user/stacks.h"

#define EXIT_REFUSED 77

struct check {
	const char *name;
	/* true if it works; else why gets the reason */
	bool (*works)(char *why, size_t why_size);
	bool needed;
	const char *cost; /* of not having it */
	const char *mend;
};

static bool has_features(char *why, size_t why_size)
{
	const char *missing = lm_kernel_missing_feature();

	if (missing)
		snprintf(why, why_size, "%s", missing);
	return !missing;
}

static bool loads_programs(char *why, size_t why_size)
{
	const pid_t self = getpid();
	const struct lm_probe_config config = {.pids = &self, .pids_len = 1};
	struct lm_probe_error error;
	struct lm_probe *probe;

	if (lm_probe_open(&config, &probe, &error)) {
		snprintf(why, why_size, "%s", error.text);
		return false;
	}
	lm_probe_free(probe);
	return true;
}

static bool opens(const char *path, int flags, char *why, size_t why_size)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

static bool has_capability(unsigned int number, char *why, size_t why_size)
{
	for (size_t i = 0; i < LM_CAPABILITIES; i++) {
		const struct lm_capability *capability = &lm_capabilities[i];

		if (capability->number != number)
			continue;
		if (lm_capability_held(capability))
			return true;
		snprintf(why, why_size, "this process has no %s", capability->name);
	}
	return false;
}

static bool reads_memory(char *why, size_t why_size)
{
	return has_capability(CAP_SYS_PTRACE, why, why_size);
}

static bool reads_others_files(char *why, size_t why_size)
{
	return has_capability(CAP_DAC_READ_SEARCH, why, why_size);
}

static bool opens_mapped_files(char *why, size_t why_size)
{
	return has_capability(CAP_CHECKPOINT_RESTORE, why, why_size);
}

static bool starts_resolver(char *why, size_t why_size)
{
	struct lm_resolver_config config = {.proc_root = "/proc"};
	struct lm_resolver *resolver = NULL;
	int error = lm_stacks_new(&config.stacks);

	if (!error)
		error = lm_resolver_start(&config, &resolver);
	if (error)
		snprintf(why, why_size, "%s", strerror(-error));
	lm_resolver_free(resolver);
	lm_stacks_free(config.stacks);
	return !error;
}

static bool names_kernel_functions(char *why, size_t why_size)
{
	struct lm_ksyms *ksyms;
	int error = lm_ksyms_load("/proc/kallsyms", &ksyms);

	if (error) {
		snprintf(why, why_size, "/proc/kallsyms: %s",
			error == -EPERM ? "the addresses are hidden" : strerror(-error));
		return false;
	}
	lm_ksyms_free(ksyms);
	return true;
}

static bool has_futex_tracepoint(char *why, size_t why_size)
{
	int fd = lm_kernel_open_futex_tracepoint(LM_FUTEX_FUTEX);

	if (fd < 0) {
		snprintf(why, why_size, "%s", strerror(-fd));
		return false;
	}
	close(fd);
	return true;
}

static bool has_separate_debug_files(char *why, size_t why_size)
{
	return opens("/usr/lib/debug/.build-id", O_RDONLY | O_DIRECTORY, why, why_size);
}

static const struct check checks[] = {
	{"the kernel's features (Linux 5.15 with BTF)", has_features, true, "nothing works without them",
		"boot a kernel of Linux 5.15 or later with CONFIG_DEBUG_INFO_BTF=y"},
	{"BPF programs load and attach", loads_programs, true, "nothing works without them",
		"run it as root: sudo leakmon doctor"},
	{"the memory of other processes", reads_memory, true, "no user stacks", "run it as root: sudo leakmon doctor"},
	{"mapped files of other processes", opens_mapped_files, false,
		"programs and libraries that were deleted or lie in containers have no symbols",
		"run it as root, or give it CAP_CHECKPOINT_RESTORE"},
	{"files that only their users may read", reads_others_files, false, "such programs have no symbols",
		"run it as root, or give it CAP_DAC_READ_SEARCH"},
	{"the resolver process", starts_resolver, true, "no user stacks",
		"see whether processes can be started (ulimit -u, pids.max)"},
	{"names of kernel functions", names_kernel_functions, false,
		"kernel stacks are addresses, and some waits cannot be told apart",
		"sudo sysctl kernel.kptr_restrict=1, and run it as root or give it CAP_SYSLOG"},
	{"futex calls by fexit", lm_kernel_has_fexit, false,
		"who last woke a futex is known only with --futex on or -p, which slows every system call of the "
		"machine a little",
		"use a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"},
	{"futex calls by tracepoint", has_futex_tracepoint, false,
		"without fexit too: who last woke a futex is not known",
		"use a kernel with CONFIG_FTRACE_SYSCALLS, and run it as root"},
	{"separate debug files", has_separate_debug_files, false,
		"stripped system libraries have no line numbers and fewer names", "sudo apt-get install libc6-dbg"},
};

int lm_doctor_run(FILE *stream)
{
	struct utsname kernel;
	bool can_work = true, limited = false;

	uname(&kernel);
	fprintf(stream, "leakmon %s on Linux %s (%s)\n", LM_VERSION, kernel.release, kernel.machine);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const struct check *check = &checks[i];
		char why[512] = "";

		/* programs that need what the kernel lacks would only say so again */
		if (check->works == loads_programs && !can_work)
			continue;

		if (check->works(why, sizeof(why))) {
			fprintf(stream, "ok       %s\n", check->name);
			continue;
		}
		if (check->needed)
			can_work = false;
		limited = true;
		fprintf(stream, "%-8s %s: %s\n         cost: %s\n         mend: %s\n",
			check->needed ? "MISSING" : "limited", check->name, why, check->cost, check->mend);
	}
	if (!can_work)
		fprintf(stream, "leakmon cannot work here.\n");
	else
		fprintf(stream, "leakmon can work here%s.\n", limited ? ", with the limits named above" : "");
	return can_work ? 0 : EXIT_REFUSED;
}
