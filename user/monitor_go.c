// SPDX-License-Identifier: GPL-2.0-or-later
/* Goroutines by index, and how long they stay where they wait. */
#include "user/monitor_go.h"

#include <errno.h>

#include "user/monitor.h"

int lm_monitor_go_begin(
	struct lm_monitor *monitor, struct lm_process *process, uint64_t now_ns, int64_t mono_to_boot_ns)
{
	(void)monitor, (void)process, (void)now_ns, (void)mono_to_boot_ns;
	return 0;
}

int lm_monitor_go_record(struct lm_monitor *monitor, struct lm_process *process, const struct lm_go_record *record)
{
	(void)monitor, (void)process, (void)record;
	return 0;
}

int lm_monitor_go_end(struct lm_monitor *monitor, struct lm_process *process, const struct lm_go_summary *summary)
{
	(void)monitor, (void)process, (void)summary;
	return 0;
}

size_t lm_monitor_go_unknown_stacks(const struct lm_process *process, uint32_t *numbers, size_t max)
{
	(void)process, (void)numbers, (void)max;
	return 0;
}

int lm_monitor_go_set_stack(struct lm_monitor *monitor, struct lm_process *process, uint32_t number,
	const struct lm_stack *stack, const char *why, const struct lm_go_creator *creator)
{
	(void)process, (void)number, (void)why, (void)creator;
	lm_stack_unref(monitor->groups.stacks, stack);
	return 0;
}

int lm_monitor_go_set_reason(struct lm_process *process, uint8_t reason, const char *text)
{
	(void)process, (void)reason, (void)text;
	return 0;
}

const char *lm_monitor_go_reason(const struct lm_process *process, uint8_t reason)
{
	(void)process, (void)reason;
	return NULL;
}

void lm_monitor_go_reset(struct lm_monitor *monitor, struct lm_process *process)
{
	(void)monitor, (void)process;
}

int lm_monitor_go_failed(struct lm_monitor *monitor, struct lm_process *process, bool is_go, const char *why)
{
	(void)monitor, (void)process, (void)is_go, (void)why;
	return 0;
}

void lm_monitor_go_drop(struct lm_monitor *monitor, struct lm_process *process)
{
	(void)monitor, (void)process;
}

bool lm_monitor_go_counts(const struct lm_process *process, struct lm_go_counts *counts)
{
	(void)process, (void)counts;
	return false;
}

struct lm_goroutine *lm_goroutine_of(const struct lm_resident *resident)
{
	return (struct lm_goroutine *)((char *)resident - offsetof(struct lm_goroutine, resident));
}

struct lm_go_creator lm_monitor_go_creator(const struct lm_process *process, uint16_t creator)
{
	(void)process, (void)creator;
	return (struct lm_go_creator){0};
}
