// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers from the kernel's BTF and from trial loads. */
#include "user/kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const futex_call_names[LM_FUTEX_CALLS] = {
	"futex", "futex_waitv", "futex_wake", "futex_wait", "futex_requeue"};

static bool enum_has(const struct btf *btf, const char *enum_name, const char *value_name)
{
	int id = btf__find_by_name_kind(btf, enum_name, BTF_KIND_ENUM);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, id) : NULL;
	const struct btf_enum *values = type ? btf_enum(type) : NULL;

	for (int i = 0; type && i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(btf, values[i].name_off);

		if (name && strcmp(name, value_name) == 0)
			return true;
	}
	return false;
}

const char *lm_kernel_missing_feature(void)
{
	static const struct {
		const char *helper, *why;
	} needed[] = {
		{"BPF_FUNC_ringbuf_reserve", "no BPF ring buffer (Linux 5.8); leakmon needs Linux 5.15 or later"},
		{"BPF_FUNC_task_storage_get",
			"no BPF task storage for tracing programs (Linux 5.12); leakmon needs Linux 5.15 or later"},
		{"BPF_FUNC_task_pt_regs", "BPF programs cannot read saved registers (bpf_task_pt_regs, Linux 5.15); "
					  "leakmon needs Linux 5.15 or later"},
	};
	struct btf *btf = btf__load_vmlinux_btf();
	const char *missing = NULL;

	if (!btf && access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		return "its BTF type information could not be read (/sys/kernel/btf/vmlinux): are memory or "
		       "descriptors "
		       "short?";
	if (!btf)
		return "it has no BTF type information (/sys/kernel/btf/vmlinux); use a kernel built with "
		       "CONFIG_DEBUG_INFO_BTF=y, as "
		       "all distribution kernels since 2021 are";
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && !missing; i++) {
		if (!enum_has(btf, "bpf_func_id", needed[i].helper))
			missing = needed[i].why;
	}
	if (!missing && btf__find_by_name_kind(btf, "bpf_iter__task", BTF_KIND_STRUCT) < 0)
		missing = "no BPF task iterator (Linux 5.8); leakmon needs Linux 5.15 or later";
	btf__free(btf);
	return missing;
}

bool lm_kernel_switch_has_prev_state(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *type = NULL;
	bool has = false;
	int id;

	if (!btf)
		return false;
	/* typedef void (*btf_trace_sched_switch)(void *, bool preempt, prev, next, unsigned int prev_state) */
	id = btf__find_by_name_kind(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	if (id > 0)
		type = btf__type_by_id(btf, btf__type_by_id(btf, id)->type);
	if (type && btf_is_ptr(type))
		type = btf__type_by_id(btf, type->type);
	if (type && btf_is_func_proto(type))
		has = btf_vlen(type) >= 5;
	btf__free(btf);
	return has;
}

static int load_empty_fexit(void)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int id = libbpf_find_vmlinux_btf_id("__x64_sys_futex", BPF_TRACE_FEXIT);
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FEXIT, .attach_btf_id = id);

	if (id < 0)
		return id;
	return bpf_prog_load(BPF_PROG_TYPE_TRACING, "lm_trial", "GPL", program, 2, &options);
}

bool lm_kernel_has_fexit(char *why, size_t why_size)
{
	int program_fd = load_empty_fexit();
	int link_fd = program_fd < 0 ? program_fd : bpf_raw_tracepoint_open(NULL, program_fd);

	if (link_fd < 0 && why)
		snprintf(why, why_size, "the kernel refused to %s one: %s", program_fd < 0 ? "load" : "attach",
			strerror(-link_fd));
	if (link_fd >= 0)
		close(link_fd);
	if (program_fd >= 0)
		close(program_fd);
	return link_fd >= 0;
}

bool lm_kernel_has_futex_call(enum lm_futex_call call)
{
	char name[64];

	snprintf(name, sizeof(name), "__x64_sys_%s", futex_call_names[call]);
	return libbpf_find_vmlinux_btf_id(name, BPF_TRACE_FEXIT) > 0;
}

/* A tracefs that no path leads to: nothing of it is seen by anybody else. */
static int open_private_tracefs(void)
{
	int root = -1, context = syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);

	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		root = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	if (root < 0)
		root = -errno;
	close(context);
	return root;
}

static int read_number_at(int directory, const char *path, long *number)
{
	char text[32] = "";
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -EIO;
	*number = strtol(text, NULL, 10);
	return 0;
}

static int tracepoint_id(enum lm_futex_call call, long *id)
{
	char path[96];
	int root, error;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/syscalls/sys_exit_%s/id", futex_call_names[call]);
	if (read_number_at(AT_FDCWD, path, id) == 0)
		return 0;
	root = open_private_tracefs();
	if (root < 0)
		return root;
	snprintf(path, sizeof(path), "events/syscalls/sys_exit_%s/id", futex_call_names[call]);
	error = read_number_at(root, path, id);
	close(root);
	return error;
}

int lm_kernel_open_futex_tracepoint(enum lm_futex_call call)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.sample_period = 1,
		.wakeup_events = 1,
	};
	long id = 0;
	int fd, error = tracepoint_id(call, &id);

	if (error)
		return error;
	attr.config = id;
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
