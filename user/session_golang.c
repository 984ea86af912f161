// SPDX-License-Identifier: GPL-2.0-or-later
/* Each Go program is looked at in slices, so that the resolver is never silent for long; what a large program cannot be
 * read in at once goes on with the next look. */
#include "user/session_golang.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "user/monitor_go.h"

#define NS_PER_S 1000000000ull
#define SLICE_NS (NS_PER_S / 2)
#define LOOK_NS (4 * NS_PER_S) /* of one program, at most */
#define STACKS 64

static uint64_t now_on(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int take_records(struct lm_monitor *monitor, struct lm_resolver *resolver, struct lm_process *process)
{
	static struct lm_go_record records[LM_TARGET_GO_CHANGES];

	for (;;) {
		int len = lm_target_go_changes(resolver, process->target, records), error = 0;

		if (len <= 0)
			return len;
		for (int i = 0; i < len && !error; i++)
			error = lm_monitor_go_record(monitor, process, &records[i]);
		if (error)
			return error;
	}
}

static int take_stack(
	struct lm_monitor *monitor, struct lm_resolver *resolver, struct lm_process *process, uint32_t number)
{
	struct lm_target_go_creator texts;
	struct lm_go_creator creator;
	const struct lm_stack *stack;
	int error = lm_target_go_stack(resolver, process->target, number, &stack, &texts);

	if (error)
		return error;
	creator = (struct lm_go_creator){.function = texts.function, .file = texts.file, .line = texts.line};
	error = lm_monitor_go_set_stack(monitor, process, number, stack, stack ? NULL : "its stack could not be read",
		creator.function ? &creator : NULL);
	free(texts.function);
	free(texts.file);
	return error;
}

static int take_stacks(struct lm_monitor *monitor, struct lm_resolver *resolver, struct lm_process *process)
{
	uint32_t numbers[STACKS];
	size_t len;

	while ((len = lm_monitor_go_unknown_stacks(process, numbers, STACKS))) {
		for (size_t i = 0; i < len; i++) {
			int error = take_stack(monitor, resolver, process, numbers[i]);

			if (error)
				return error;
		}
	}
	return 0;
}

static int take_reasons(struct lm_process *process)
{
	for (unsigned reason = 0; reason <= UINT8_MAX; reason++) {
		const char *text = lm_target_go_reason(process->target, reason);
		int error = text ? lm_monitor_go_set_reason(process, reason, text) : 0;

		if (error)
			return error;
	}
	return 0;
}

static int take_look(struct lm_monitor *monitor, struct lm_resolver *resolver, struct lm_process *process,
	const struct lm_go_summary *summary, bool anew)
{
	uint64_t now_ns = now_on(CLOCK_BOOTTIME);
	int error;

	if (anew)
		lm_monitor_go_reset(monitor, process);
	error = lm_monitor_go_begin(monitor, process, now_ns, (int64_t)(now_ns - now_on(CLOCK_MONOTONIC)));
	if (!error && anew)
		error = take_reasons(process);
	if (!error)
		error = take_records(monitor, resolver, process);
	if (!error)
		error = take_stacks(monitor, resolver, process);
	if (!error)
		error = lm_monitor_go_end(monitor, process, summary);
	return error;
}

static int read_process(struct lm_monitor *monitor, struct lm_resolver *resolver, struct lm_process *process)
{
	uint64_t end_ns = now_on(CLOCK_MONOTONIC) + LOOK_NS;
	const struct lm_go_summary *summary;
	const char *why;
	bool anew;
	int error;

	do
		error = lm_target_go_look(resolver, process->target, SLICE_NS, &summary, &anew, &why);
	while (error == -EAGAIN && now_on(CLOCK_MONOTONIC) < end_ns);
	if (!error) {
		error = take_look(monitor, resolver, process, summary, anew);
		if (error)
			lm_target_go_tell_again(process->target);
	}
	switch (error) {
	case 0:
	case -EAGAIN:
	case -ESRCH:
		return 0;
	case -ENOMEM:
		return error;
	case -ENOEXEC:
		return lm_monitor_go_failed(monitor, process, false, LM_WHY_NOT_GO);
	default:
		process->facts.failure = error;
		return lm_monitor_go_failed(monitor, process, lm_target_is_go(process->target), why);
	}
}

/* What is known of them holds for a while, until it is tried again. */
static int keep_for_now(struct lm_monitor *monitor, struct lm_process *process)
{
	struct lm_go_counts counts;

	if (!lm_monitor_go_counts(process, &counts))
		return 0;
	return lm_monitor_go_failed(monitor, process, true, process->facts.unresolved);
}

int lm_session_read_goroutines(struct lm_monitor *monitor, struct lm_resolver *resolver)
{
	struct lm_process *process = NULL;
	int error = 0;

	while (!error && (process = lm_monitor_next_process(monitor, process))) {
		if (process->facts.unresolved)
			error = keep_for_now(monitor, process);
		else if (process->target)
			error = read_process(monitor, resolver, process);
	}
	return error;
}
