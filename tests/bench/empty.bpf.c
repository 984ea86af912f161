// SPDX-License-Identifier: GPL-2.0-only
/* What it costs to be called at every switch and do nothing: the measure of the switch program. */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

SEC("tp_btf/sched_switch")
int empty(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
