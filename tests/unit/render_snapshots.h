/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports built by hand for the renderers: what a machine shows at its worst, and what a process may try. */
#ifndef LM_TEST_RENDER_SNAPSHOTS_H
#define LM_TEST_RENDER_SNAPSHOTS_H

#include <math.h>
#include <string.h>

#include "user/snapshot.h"

#define NOW_NS INT64_C(1795435200123456789) /* 2026-11-23T12:00:00.123Z */
#define AGO(s) (NOW_NS - (int64_t)((s)*1e9))
#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define ARRAY(name, array) .name = (array), .name##_len = LEN(array)

#define LEAK_SITE UINT64_C(0x9f2c41d07be1a3c5)
#define LOCK_SITE UINT64_C(0x00000000000000ab)
#define LEAKY_ID "5f0cb9d2a1c34e7788990011223344556677aabb"
#define LIBC_ID "54eef5ce96cf37cb175b0d93186836ca1caf470c"

static const struct lm_snapshot_frame futex_kernel_stack[] = {
	{.function = "futex_do_wait", .offset = 90},
	{.function = "__futex_wait", .offset = 145},
	{.function = "futex_wait", .offset = 104},
	{.function = "do_futex", .offset = 260},
	{.function = "__x64_sys_futex", .offset = 275},
};

static const struct lm_snapshot_frame leak_stack[] = {
	{.function = "__futex_abstimed_wait_common", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x85ec6},
	{.function = "pthread_cond_wait", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x888ac},
	{.function = "wait_for_result",
		.module = "leaky",
		.build_id = LEAKY_ID,
		.offset = 4939,
		.file = "leaky.c",
		.line = 7},
	{.function = "take",
		.module = "leaky",
		.build_id = LEAKY_ID,
		.offset = 5012,
		.file = "queue.h",
		.line = 112,
		.inlined = true},
	{.function = "visit",
		.module = "leaky",
		.build_id = LEAKY_ID,
		.offset = 5100,
		.file = "/srv/build/leaky/src/tree.c",
		.line = 31},
	{.function = "visit",
		.module = "leaky",
		.build_id = LEAKY_ID,
		.offset = 5100,
		.file = "/srv/build/leaky/src/tree.c",
		.line = 31},
	{.function = "visit",
		.module = "leaky",
		.build_id = LEAKY_ID,
		.offset = 5100,
		.file = "/srv/build/leaky/src/tree.c",
		.line = 31},
	{.module = "plugin.so", .offset = 0x1a2b},
	{.function = "start_thread", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x89144},
	{.function = "clone3", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x1097dc},
};

static const struct lm_snapshot_frame lock_stack[] = {
	{.function = "__lll_lock_wait", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x85e10},
	{.function = "pthread_mutex_lock", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x8c3f2},
	{.function = "Store::update(std::string const&, int)",
		.module = "leaky",
		.build_id = LEAKY_ID,
		.offset = 8000,
		.file = "store.cc",
		.line = 88},
	{.function = "main", .module = "leaky", .build_id = LEAKY_ID, .offset = 8100, .file = "main.cc", .line = 12},
};

static const struct lm_snapshot_frame pool_stack[] = {
	{.function = "pthread_cond_wait", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x888ac},
	{.function = "pool_worker",
		.module = "leaky",
		.build_id = LEAKY_ID,
		.offset = 9000,
		.file = "pool.c",
		.line = 55},
};

static const struct lm_snapshot_frame poll_stack[] = {
	{.function = "epoll_wait", .module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x108e56},
	{.function = "serve", .module = "leaky", .build_id = LEAKY_ID, .offset = 9900, .file = "serve.c", .line = 204},
	{.function = "serve", .module = "leaky", .build_id = LEAKY_ID, .offset = 9950, .file = "serve.c", .line = 210},
};

static const struct lm_snapshot_member leak_members[] = {
	{.id = 1236,
		.comm = "leaky",
		.started_ns = AGO(3121.5),
		.blocked_since_ns = AGO(3120),
		.exact = true,
		.blocked_total_s = 3120.25,
		.preempted_total_s = 0.001,
		.longest_wait_s = NAN,
		.waits = 1},
	{.id = 1237,
		.comm = "leaky",
		.started_ns = AGO(3101.5),
		.blocked_since_ns = AGO(3100),
		.blocked_total_s = NAN,
		.preempted_total_s = NAN,
		.longest_wait_s = NAN,
		.waits = -1},
	{.id = 1238,
		.comm = "leaky",
		.blocked_since_ns = AGO(3080),
		.blocked_total_s = 3080,
		.preempted_total_s = 0,
		.longest_wait_s = 1.2,
		.waits = 12,
		.last_futex_wait = {.object = 0x5581c2a0e2a8, .at_ns = AGO(3080.5), .result = 0},
		.last_futex_wake = {.object = 0x5581c2a0e280, .at_ns = AGO(3081), .result = 1}},
};

static const struct lm_snapshot_owner lock_owner = {.id = 1300, .comm = "flusher", .waits_in = "Store::flush"};

static const struct lm_snapshot_site leaky_sites[] = {
	{.site = LEAK_SITE,
		.pid = 1234,
		.comm = "leaky",
		.wait = {.wait_class = LM_WAIT_FUTEX_COND,
			.has_object = true,
			.object = 0x558112345678,
			.objects = 500,
			.detail = "pthread_cond_wait"},
		.count = 500,
		.arrived = 3,
		.departed = 0,
		.oldest_blocked_since_ns = AGO(3120),
		.newest_blocked_since_ns = AGO(2),
		.median_blocked_s = 1560.5,
		.sum_blocked_s = 780250,
		.rate_per_h = 102.857142857,
		ARRAY(stack, leak_stack),
		.place = &leak_stack[2],
		ARRAY(kernel_stack, futex_kernel_stack),
		ARRAY(members, leak_members)},
	{.site = LOCK_SITE,
		.pid = 1234,
		.comm = "leaky",
		.wait = {.wait_class = LM_WAIT_FUTEX_MUTEX,
			.has_object = true,
			.object = 0x558100000040,
			.objects = 1,
			.detail = "pthread_mutex_lock",
			.owner = &lock_owner},
		.count = 1499,
		.arrived = 1499,
		.departed = 12,
		.oldest_blocked_since_ns = AGO(31.5),
		.newest_blocked_since_ns = AGO(1.25),
		.median_blocked_s = 15,
		.sum_blocked_s = 22485,
		.rate_per_h = 171314.3,
		ARRAY(stack, lock_stack),
		.place = &lock_stack[2],
		ARRAY(kernel_stack, futex_kernel_stack)},
	{.site = 3,
		.pid = 1234,
		.comm = "leaky",
		.wait = {.wait_class = LM_WAIT_FUTEX_COND,
			.has_object = true,
			.object = 0x558100000090,
			.objects = 1,
			.detail = "pthread_cond_wait"},
		.count = 16,
		.arrived = 0,
		.departed = 0,
		.oldest_blocked_since_ns = AGO(273600),
		.newest_blocked_since_ns = AGO(100),
		.median_blocked_s = 3601,
		.sum_blocked_s = 57616.5,
		.rate_per_h = 0,
		.idle_pool = true,
		ARRAY(stack, pool_stack),
		.place = &pool_stack[1]},
	{.site = 4,
		.pid = 1234,
		.comm = "leaky",
		.wait = {.wait_class = LM_WAIT_POLL,
			.has_object = true,
			.object = 5,
			.object_is_fd = true,
			.objects = 1,
			.detail = "epoll_wait"},
		.count = 1,
		.arrived = 1,
		.departed = 0,
		.oldest_blocked_since_ns = AGO(0.25),
		.median_blocked_s = NAN,
		.sum_blocked_s = 0.25,
		.rate_per_h = NAN,
		ARRAY(stack, poll_stack),
		.place = &poll_stack[1],
		.stack_why = "the saved part of the stack is full"},
};

static const struct lm_snapshot_unavailable not_go[] = {{"goroutines", "not a Go program"}};

static const struct lm_snapshot_process leaky_processes[] = {
	{.pid = 1234,
		.start_ns = AGO(4000),
		.comm = "leaky",
		.exe = "/srv/leaky",
		.build_id = LEAKY_ID,
		.runtime = "native",
		.threads = 2017,
		.blocked_threads = 2016,
		.goroutines = -1,
		.rss_bytes = 18350080,
		ARRAY(unavailable, not_go)},
};

static const struct lm_snapshot_frame cycle_stack[] = {
	{.function = "pthread_mutex_lock", .module = "libc.so.6", .offset = 569000},
	{.function = "Account::transfer", .module = "leaky", .offset = 4242, .file = "account.cpp", .line = 33},
	{.module = "leaky", .offset = 4711},
};

static const struct lm_snapshot_cycle_member leaky_cycle[] = {
	{.id = 1301,
		.comm = "pay\x1b[31m",
		.holds = 0x7f10c0de0080,
		.waits_for = 0x7f10c0de00c0,
		.stack = cycle_stack,
		.stack_len = 3},
	{.id = 1302,
		.comm = "leaky",
		.holds = 0x7f10c0de00c0,
		.waits_for = 0x7f10c0de0080,
		.stack = cycle_stack,
		.stack_len = 2},
};

static const struct lm_snapshot_withdrawn leaky_withdrawn[] = {
	{.id = "00c0ffee00c0ffee",
		.level = LM_LEVEL_LIKELY,
		.type = LM_FINDING_LEAK,
		.pid = 1234,
		.site = LOCK_SITE,
		.since_ns = AGO(5000),
		.withdrawn_ns = AGO(60),
		.summary = "4 of the threads of leaky (PID 1234) that the finding about serve rested on have left "
			   "after all, "
			   "after up to 31 min."},
};

static const struct lm_snapshot_finding leaky_findings[] = {
	{.id = "00c0ffee00c0ffee",
		.level = LM_LEVEL_CONFIRMED,
		.type = LM_FINDING_ORPHANED_LOCK,
		.pid = 1234,
		.site = LOCK_SITE,
		.since_ns = AGO(31.5),
		.summary = "1499 threads of leaky wait in Store::update for a mutex whose owner (TID 1300) has exited.",
		.lock = {.object = 0x7f10c0de0040, .waiters = 1499},
		.evidence = {.survivors = 1499,
			.departures = 12,
			.cohorts_filled = -1,
			.cohorts = -1,
			.window_s = NAN,
			.age_floor_s = NAN,
			.longest_completed_s = NAN}},
	{.id = "9f2c41d07be1a3c5",
		.level = LM_LEVEL_LIKELY,
		.type = LM_FINDING_LEAK,
		.pid = 1234,
		.site = LEAK_SITE,
		.since_ns = AGO(3120),
		.summary = "500 threads of leaky entered wait_for_result over 52 min, spread over 8 of 8 time slices; "
			   "none has left.",
		.wrong_if = "it is a fixed pool larger than 500, or waits here normally last over 52 min",
		.held_back = "the process is young",
		.exhaustion = {.resource = "pids.max", .limit = 32768, .at_ns = AGO(-1128960)},
		.evidence = {.survivors = 500,
			.departures = 0,
			.cohorts_filled = 8,
			.cohorts = 8,
			.window_s = 3120,
			.age_floor_s = 600,
			.longest_completed_s = 1.2,
			.retrospective = true}},
	{.id = "9f2c41d07be1a3c6",
		.level = LM_LEVEL_LIKELY,
		.type = LM_FINDING_DEADLOCK,
		.pid = 1234,
		.site = LOCK_SITE,
		.since_ns = AGO(720),
		.summary = "2 threads of leaky (PID 1234) wait for each other in a circle since 12 min ago.",
		.wrong_if = "one of the waits has a timeout, and its thread then gives up what it holds",
		.lock = {.object = 0x7f10c0de00c0, .owner = 1302, .waiters = 2},
		.cycle = leaky_cycle,
		.cycle_len = 2,
		.evidence = {.survivors = -1,
			.departures = -1,
			.cohorts_filled = -1,
			.cohorts = -1,
			.window_s = NAN,
			.age_floor_s = NAN,
			.longest_completed_s = NAN}},
	{.id = "",
		.level = LM_LEVEL_SUSPECT,
		.type = LM_FINDING_STUCK,
		.pid = 1234,
		.summary = "thread 1240 of leaky has waited in serve for longer than any before.",
		.evidence = {.survivors = 1,
			.departures = 0,
			.cohorts_filled = -1,
			.cohorts = -1,
			.window_s = NAN,
			.age_floor_s = NAN,
			.longest_completed_s = NAN}},
};

#define MACHINE                                                                                                        \
	.time_ns = NOW_NS, .host = "node-7", .version = "0.1.0", .interval_s = 1, .watching_s = 42,                    \
	.self = {.cpu_s = 0.21, .scan_s = 0.004, .rss_bytes = 23068672, .bpf_bytes = 1310720}

static const struct lm_snapshot leaky_snapshot = {
	MACHINE,
	.totals = {.processes = 1,
		.threads = 2017,
		.blocked_threads = 2016,
		.goroutines = -1,
		.sites = 4,
		.findings = {0, 1, 2, 1}},
	ARRAY(processes, leaky_processes),
	ARRAY(sites, leaky_sites),
	ARRAY(findings, leaky_findings),
	ARRAY(withdrawn, leaky_withdrawn),
};

/* What a process may put into every text that it controls. */
#define ESC_NAME "\033[31mroot\033[0m"
#define RTL_NAME                                                                                                       \
	"evil\xe2\x80\xae"                                                                                             \
	"gpj.exe"
#define BAD_UTF8 "a\xff\xc0\x80\xed\xa0\x80z"

static const struct lm_snapshot_frame hostile_stack[] = {
	{.function = "f\n\033]0;owned\007;rm -rf",
		.module = RTL_NAME,
		.build_id = "\"quoted\"\\",
		.offset = UINT64_MAX,
		.file = BAD_UTF8,
		.line = 1},
	{.module = "lib;bad name\t.so", .offset = 16},
	{.function = "ends like a count 42", .module = "m", .offset = 1},
	{.function = "\xc2\x9b"
		     "31m csi \xe2\x80\xa8 line \xe2\x81\xa6 isolate \x7f",
		.module = "",
		.offset = 2,
		.file = "漢字/ü.c",
		.line = 4294967295u},
	{.function = "", .module = NULL, .offset = 3},
};

static const struct lm_snapshot_frame hostile_kernel_stack[] = {
	{.function = NULL, .offset = UINT64_C(0xffffffff81234567)},
	{.function = "ends 7", .offset = 1},
};

static const struct lm_snapshot_member hostile_members[] = {{.id = 9,
	.comm = ESC_NAME,
	.blocked_total_s = INFINITY,
	.preempted_total_s = NAN,
	.longest_wait_s = NAN,
	.waits = -1}};

static const struct lm_snapshot_owner hostile_owner = {.id = UINT32_MAX, .comm = ESC_NAME};

static const struct lm_snapshot_site hostile_sites[] = {
	{.site = UINT64_MAX,
		.pid = 4294967295u,
		.comm = ESC_NAME,
		.wait = {.wait_class = LM_WAIT_OTHER,
			.has_object = true,
			.object = UINT64_MAX,
			.objects = 2,
			.detail = "x\r\ny",
			.owner = &hostile_owner},
		.count = INT64_MAX,
		.arrived = INT64_MAX,
		.departed = INT64_MAX,
		.oldest_blocked_since_ns = NOW_NS + 5,
		.newest_blocked_since_ns = INT64_MAX,
		.median_blocked_s = 1e300,
		.sum_blocked_s = 1e300,
		.rate_per_h = -1e300,
		ARRAY(stack, hostile_stack),
		.place = &hostile_stack[0],
		.stack_why = "why\x1b[2J",
		ARRAY(kernel_stack, hostile_kernel_stack),
		ARRAY(members, hostile_members)},
	{.site = 1,
		.pid = 0,
		.comm = NULL,
		.wait = {.wait_class = LM_WAIT_CLASSES, .objects = -1},
		.count = 2,
		.arrived = -1,
		.departed = -1,
		.median_blocked_s = INFINITY,
		.sum_blocked_s = INFINITY,
		.rate_per_h = -12.5,
		.kind = LM_SITE_GOROUTINE},
};

static const struct lm_snapshot_unavailable hostile_unavailable[] = {
	{"stacks", "\033[8mhidden " RTL_NAME}, {NULL, NULL}};

static const struct lm_snapshot_process hostile_processes[] = {
	{.pid = 4294967295u,
		.start_ns = -5,
		.comm = ESC_NAME,
		.exe = "/tmp/" RTL_NAME "\n",
		.build_id = BAD_UTF8,
		.runtime = "\"",
		.go_version = "\\",
		.container_id = "\x01",
		.threads = -1,
		.blocked_threads = 3,
		.goroutines = -1,
		.rss_bytes = -1,
		ARRAY(unavailable, hostile_unavailable)},
};

static const struct lm_snapshot_finding hostile_findings[] = {
	{.id = "\033[0m\n\"\\;\xff",
		.level = LM_LEVELS,
		.type = LM_FINDING_TYPES,
		.pid = 4294967295u,
		.site = UINT64_MAX,
		.since_ns = INT64_MAX,
		.summary = "5 threads of " ESC_NAME " entered " RTL_NAME "\nLIKELY leak: forged",
		.wrong_if = BAD_UTF8,
		.evidence = {.survivors = 5, .window_s = INFINITY, .age_floor_s = NAN, .longest_completed_s = NAN}},
};

static const char *const hostile_notes[] = {
	"process 12 (" ESC_NAME ") ended", "process 12 (" ESC_NAME ") ended", NULL, RTL_NAME BAD_UTF8};

static const struct lm_snapshot hostile_snapshot = {
	.time_ns = NOW_NS,
	.host = "node\n7",
	.version = NULL,
	.interval_s = NAN,
	.watching_s = NAN,
	.losses = {.ring_full = UINT64_MAX},
	.totals = {.processes = -1,
		.threads = -1,
		.blocked_threads = -1,
		.goroutines = 1000000,
		.sites = -1,
		.findings = {0, -1, 0, 1}},
	ARRAY(processes, hostile_processes),
	ARRAY(sites, hostile_sites),
	ARRAY(findings, hostile_findings),
	ARRAY(notes, hostile_notes),
	.self = {.cpu_s = NAN, .scan_s = INFINITY, .rss_bytes = -1, .bpf_bytes = -1},
};

/* A stripped program, a program whose stacks cannot be had, and a kernel thread. */
static const struct lm_snapshot_frame stripped_stack[] = {
	{.module = "libc.so.6", .build_id = LIBC_ID, .offset = 0x85ec6},
	{.module = "app", .build_id = LEAKY_ID, .offset = 0x12f0},
	{.module = "app", .build_id = LEAKY_ID, .offset = 0x12f0},
	{.module = "app", .build_id = LEAKY_ID, .offset = 0x1310},
};
static const struct lm_snapshot_frame disk_kernel_stack[] = {
	{.function = "folio_wait_bit_common", .offset = 314},
	{.function = "jbd2_journal_commit_transaction", .offset = 1822},
	{.function = "kthread", .offset = 228},
};
static const struct lm_snapshot_site nameless_sites[] = {
	{.site = 0xa1,
		.pid = 77,
		.comm = "app",
		.wait = {.wait_class = LM_WAIT_FUTEX_SEM,
			.has_object = true,
			.object = 0x7f00,
			.objects = 3,
			.detail = NULL},
		.count = 4,
		.oldest_blocked_since_ns = AGO(700),
		.median_blocked_s = 600,
		.rate_per_h = NAN,
		ARRAY(stack, stripped_stack),
		.place = &stripped_stack[1]},
	{.site = 0xa2,
		.pid = 80,
		.comm = "java",
		.wait = {.wait_class = LM_WAIT_FUTEX_OTHER, .objects = -1},
		.count = 40,
		.oldest_blocked_since_ns = AGO(70),
		.median_blocked_s = 60,
		.rate_per_h = 0,
		ARRAY(kernel_stack, futex_kernel_stack),
		.stack_why = "its memory cannot be read"},
	{.site = 0xa3,
		.pid = 31,
		.comm = "jbd2/vda1-8",
		.wait = {.wait_class = LM_WAIT_DISK, .objects = -1},
		.count = 1,
		.oldest_blocked_since_ns = AGO(130),
		.median_blocked_s = 130,
		.rate_per_h = 0,
		ARRAY(kernel_stack, disk_kernel_stack)},
	{.site = 0xa4,
		.pid = 82,
		.comm = "java",
		.wait = {.wait_class = LM_WAIT_SOCKET,
			.has_object = true,
			.object = 9,
			.object_is_fd = true,
			.objects = 6,
			.detail = "recvfrom"},
		.count = 6,
		.oldest_blocked_since_ns = AGO(8000000),
		.median_blocked_s = 86400 * 99,
		.rate_per_h = 0.04},
};
static const struct lm_snapshot_unavailable no_memory[] = {
	{"stacks", "its memory cannot be read"}, {"goroutines", "not a Go program"}};
static const struct lm_snapshot_process nameless_processes[] = {
	{.pid = 77, .comm = "app", .threads = 4, .blocked_threads = 4, .goroutines = -1, .rss_bytes = -1},
	{.pid = 80,
		.comm = "java",
		.threads = 50,
		.blocked_threads = 40,
		.goroutines = -1,
		.rss_bytes = -1,
		ARRAY(unavailable, no_memory)},
	{.pid = 81,
		.comm = "java",
		.threads = 50,
		.blocked_threads = 0,
		.goroutines = -1,
		.rss_bytes = -1,
		ARRAY(unavailable, no_memory)},
	{.pid = 82,
		.comm = "java",
		.threads = 50,
		.blocked_threads = 6,
		.goroutines = -1,
		.rss_bytes = -1,
		ARRAY(unavailable, no_memory)},
	{.pid = 83,
		.comm = "java",
		.threads = 50,
		.blocked_threads = 1,
		.goroutines = -1,
		.rss_bytes = -1,
		ARRAY(unavailable, no_memory)},
	{.pid = 84,
		.comm = "java",
		.threads = 50,
		.blocked_threads = 1,
		.goroutines = -1,
		.rss_bytes = -1,
		ARRAY(unavailable, no_memory)},
};
static const struct lm_snapshot nameless_snapshot = {
	MACHINE,
	.losses = {.ring_full = 12, .unwind_failed = 3, .skipped_processes = 1234},
	.totals = {.processes = 6, .threads = 254, .blocked_threads = 53, .goroutines = -1, .sites = 4},
	ARRAY(processes, nameless_processes),
	ARRAY(sites, nameless_sites),
};

static const char *const ended_notes[] = {"process 1234 (leaky) ended"};
static const struct lm_snapshot ended_snapshot = {MACHINE, .totals = {.goroutines = -1}, ARRAY(notes, ended_notes)};

static const struct lm_snapshot quiet_snapshot = {
	MACHINE,
	.totals = {.processes = 1, .threads = 1, .blocked_threads = 0, .goroutines = -1},
	.processes = &nameless_processes[2],
	.processes_len = 1,
};

#include "render_go_snapshot.h"

/* As many sites as asked for, each with a stack of so many frames; every fourth is an idle pool. The caller's arena. */
static inline struct lm_snapshot many_snapshot(struct lm_arena *arena, size_t sites, size_t frames)
{
	struct lm_snapshot_frame *stack = lm_arena_alloc(arena, frames * sizeof(*stack));
	struct lm_snapshot_site *array = lm_arena_alloc(arena, sites * sizeof(*array));

	for (size_t i = 0; i < frames; i++)
		stack[i] = (struct lm_snapshot_frame){.function = lm_arena_format(arena, "function_%zu", i),
			.module = "app",
			.build_id = LEAKY_ID,
			.offset = i,
			.file = "src/app.c",
			.line = (uint32_t)i + 1};
	for (size_t i = 0; i < sites; i++)
		array[i] = (struct lm_snapshot_site){.site = i + 1,
			.pid = 77,
			.comm = "app",
			.wait = {.wait_class = LM_WAIT_FUTEX_COND, .objects = -1},
			.count = (int64_t)(sites - i) * 10,
			.oldest_blocked_since_ns = AGO(100 + i),
			.median_blocked_s = 50,
			.rate_per_h = 1.5,
			.idle_pool = i % 4 == 3,
			.stack = stack,
			.stack_len = frames,
			.place = stack,
			ARRAY(kernel_stack, futex_kernel_stack)};
	return (struct lm_snapshot){MACHINE,
		.totals = {.processes = 1,
			.threads = 1000,
			.blocked_threads = 900,
			.goroutines = -1,
			.sites = (int64_t)sites},
		.processes = nameless_processes, .processes_len = 1, .sites = array, .sites_len = sites,
		.arena = arena};
}

#endif
