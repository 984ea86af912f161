/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A monitor without a kernel, fed by hand: one process, whose threads block in read(2) unless the test says otherwise.
 */
#ifndef LM_TEST_MONITOR_FIXTURE_H
#define LM_TEST_MONITOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/monitor.h"
#include "user/report.h"

#define S 1000000000ull
#define PID 100
#define PROCESS_START (1000 * S)
#define NR_READ 0

struct fixture {
	struct lm_stacks *stacks;
	struct lm_monitor *monitor;
	const struct lm_module *module;
	uint64_t now_ns;
	int gone;
};

static inline void count_gone(struct lm_process *process, void *context)
{
	(void)process;
	((struct fixture *)context)->gone++;
}

static inline int set_up(void **state)
{
	const struct lm_monitor_config config = {
		.min_blocked_ns = S,
		.horizon_ns = 1800 * S,
		.members = 5,
	};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_int_equal(lm_stacks_new(&fixture->stacks), 0);
	assert_int_equal(lm_monitor_new(&config, fixture->stacks, &fixture->monitor), 0);
	assert_int_equal(lm_stacks_module(fixture->stacks, "program", "abcd", 0, &fixture->module), 0);
	lm_monitor_on_gone(fixture->monitor, count_gone, fixture);
	*state = fixture;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_monitor_free(fixture->monitor);
	lm_stacks_free(fixture->stacks);
	free(fixture);
	return 0;
}

/* A thread of PID that is blocked in read(2) since then, having switched that often. */
static inline struct lm_thread_record blocked(uint32_t tid, uint64_t since_ns, uint64_t switches)
{
	return (struct lm_thread_record){
		.head = {.type = LM_RECORD_THREAD,
			.size = sizeof(struct lm_thread_record),
			.tid = tid,
			.start_ns = PROCESS_START + tid},
		.tgid = PID,
		.tgid_start_ns = PROCESS_START + PID,
		.exec_id = 1,
		.flags = LM_THREAD_REGS | LM_THREAD_EXACT,
		.state = LM_STATE_INTERRUPTIBLE,
		.switches = switches,
		.voluntary = switches,
		.wait_since_ns = since_ns,
		.regs = {.nr = NR_READ, .ip = 0x1000, .sp = 0x2000},
		.comm = "program",
	};
}

static inline void begin(struct fixture *fixture, uint64_t now_ns)
{
	fixture->now_ns = now_ns;
	lm_monitor_begin_look(fixture->monitor, now_ns);
}

static inline void feed(struct fixture *fixture, struct lm_thread_record record)
{
	record.now_ns = fixture->now_ns;
	lm_monitor_record(fixture->monitor, &record.head);
}

static inline void feed_same(struct fixture *fixture, uint32_t tid)
{
	const struct lm_record record = {
		.type = LM_RECORD_SAME, .size = sizeof(record), .tid = tid, .start_ns = PROCESS_START + tid};

	lm_monitor_record(fixture->monitor, &record);
}

static inline void feed_same_thread(struct fixture *fixture, const struct lm_thread_record *thread)
{
	const struct lm_record record = {.type = LM_RECORD_SAME,
		.size = sizeof(record),
		.tid = thread->head.tid,
		.start_ns = thread->head.start_ns};

	lm_monitor_record(fixture->monitor, &record);
}

static inline void feed_life(struct fixture *fixture, uint16_t type, uint32_t tid, uint64_t exec_id)
{
	const struct lm_life_record record = {
		.head = {.type = type, .size = sizeof(record), .tid = tid, .start_ns = PROCESS_START + tid},
		.tgid = PID,
		.tgid_start_ns = PROCESS_START + PID,
		.exec_id = exec_id,
		.now_ns = fixture->now_ns,
		.comm = "other",
	};

	lm_monitor_record(fixture->monitor, &record.head);
}

/* A stack of one frame, at that offset. */
static inline const struct lm_stack *stack_ending(struct fixture *fixture, uint64_t offset, enum lm_stack_end end)
{
	char name[32];
	const struct lm_function function = {.name = name};
	const struct lm_frame frame = {
		.module = fixture->module, .offset = offset, .functions_len = 1, .functions = &function};
	const struct lm_frame *stored;
	const struct lm_stack *stack;

	snprintf(name, sizeof(name), "work_%llu", (unsigned long long)offset);
	assert_int_equal(lm_stacks_frame(fixture->stacks, &frame, &stored), 0);
	assert_int_equal(lm_stacks_intern(fixture->stacks, &stored, 1, end, &stack), 0);
	return stack;
}

static inline const struct lm_stack *stack_at(struct fixture *fixture, uint64_t offset)
{
	return stack_ending(fixture, offset, LM_STACK_COMPLETE);
}

/* Gives every thread that wants one the stack at this offset; returns how many wanted one. */
static inline size_t unwind(struct fixture *fixture, uint64_t offset)
{
	struct lm_process *process = NULL;
	struct lm_thread *wanted[16];
	size_t total = 0;

	while ((process = lm_monitor_next_process(fixture->monitor, process))) {
		size_t len = lm_monitor_wanted(fixture->monitor, process, wanted, 16);

		for (size_t i = 0; i < len; i++)
			lm_monitor_set_stack(wanted[i], stack_at(fixture, offset), NULL);
		total += len;
	}
	return total;
}

static inline struct lm_snapshot report(struct fixture *fixture)
{
	struct lm_snapshot snapshot = {0};

	assert_int_equal(lm_monitor_settle(fixture->monitor), 0);
	assert_int_equal(lm_monitor_judge(fixture->monitor, true), 0);
	assert_int_equal(lm_report_build(fixture->monitor, fixture->now_ns, 0, &snapshot), 0);
	return snapshot;
}

/* Two looks with an unwinding between them, as a session does it. */
static inline void look_at(struct fixture *fixture, uint64_t now_ns, const struct lm_thread_record *records, size_t len)
{
	begin(fixture, now_ns);
	for (size_t i = 0; i < len; i++)
		feed(fixture, records[i]);
	lm_monitor_end_look(fixture->monitor, true);
	unwind(fixture, 8);
	begin(fixture, now_ns);
	for (size_t i = 0; i < len; i++)
		feed_same(fixture, records[i].head.tid);
	lm_monitor_end_look(fixture->monitor, true);
	assert_int_equal(lm_monitor_settle(fixture->monitor), 0);
}

#endif
