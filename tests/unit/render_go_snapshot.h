/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Go program that leaks, as the renderers are given it; included by render_snapshots.h. */
#ifndef LM_TEST_RENDER_GO_SNAPSHOT_H
#define LM_TEST_RENDER_GO_SNAPSHOT_H

static const struct lm_snapshot_frame sender_stack[] = {
	{.function = "runtime.gopark", .module = "api", .offset = 300, .file = "/go/src/runtime/proc.go", .line = 424},
	{.function = "runtime.chansend",
		.module = "api",
		.offset = 290,
		.file = "/go/src/runtime/chan.go",
		.line = 283},
	{.function = "main.query",
		.module = "api",
		.offset = 280,
		.file = "/srv/api/q.go",
		.line = 31,
		.inlined = true},
	{.function = "main.multiQuery.func1", .module = "api", .offset = 280, .file = "/srv/api/q.go", .line = 22},
	{.function = "runtime.goexit",
		.module = "api",
		.offset = 100,
		.file = "/go/src/runtime/asm_amd64.s",
		.line = 1700},
};
static const struct lm_snapshot_member sender_members[] = {
	{.id = 18,
		.blocked_since_ns = AGO(3120),
		.resident_since_ns = AGO(3120),
		.blocked_total_s = NAN,
		.preempted_total_s = NAN,
		.longest_wait_s = NAN,
		.waits = -1,
		.go = {.parent_goid = 1, .stack_bytes = 2048, .locked = true, .labels = "handler=\x1b[2J/query"}},
	{.id = 21,
		.blocked_total_s = NAN,
		.preempted_total_s = NAN,
		.longest_wait_s = NAN,
		.waits = -1,
		.go = {.stack_bytes = -1}},
};
static const struct lm_snapshot_creator sender_creator = {
	.function = "main.multiQuery", .file = "/srv/api/q.go", .line = 21, .parent_goid = 1, .creators = 3};
static const struct lm_snapshot_channel sender_channel = {.address = 0xc000112060, .senders = 1};

static const struct lm_snapshot_frame parked_stack[] = {
	{.function = "runtime.gopark", .module = "api", .offset = 300},
	{.function = "runtime.selectgo", .module = "api", .offset = 200},
};

static const struct lm_snapshot_site go_sites[] = {
	{.site = 0x1111222233334444,
		.pid = 4711,
		.comm = "api",
		.kind = LM_SITE_GOROUTINE,
		.wait = {.wait_class = LM_WAIT_GO_CHAN_SEND,
			.has_object = true,
			.object = 0xc000112060,
			.objects = 1204,
			.detail = "chan send"},
		.count = 1204,
		.arrived = 12,
		.oldest_blocked_since_ns = AGO(3120),
		.newest_blocked_since_ns = AGO(2),
		.oldest_resident_since_ns = AGO(3120),
		.median_blocked_s = 1560,
		.sum_blocked_s = 1878240,
		.rate_per_h = 1440,
		ARRAY(stack, sender_stack),
		.place = &sender_stack[2],
		.place_has_line = true,
		.created_by = &sender_creator,
		.channel = &sender_channel,
		.shape = "1,204 goroutines wait to send, each on a channel of its own (len 0, cap 0), nobody receives",
		.stack_bytes = 2465792,
		ARRAY(members, sender_members)},
	{.site = 0x5555666677778888,
		.pid = 4711,
		.comm = "api",
		.kind = LM_SITE_GOROUTINE,
		.wait = {.wait_class = LM_WAIT_GO_SELECT, .objects = -1},
		.count = 1,
		.median_blocked_s = NAN,
		.rate_per_h = NAN,
		ARRAY(stack, parked_stack),
		.place = &parked_stack[0],
		.place_has_line = true,
		.stack_bytes = -1},
};

static const struct lm_snapshot_go go_of_api = {.version = "go1.24.4",
	.goroutines = 1240,
	.gc_count = 37,
	.heap_live_bytes = 13002342,
	.gc_per_min = 2.1,
	.heap_bytes_per_h = 3250585};
static const struct lm_snapshot_go go_of_worker = {.version = NULL,
	.goroutines = 1,
	.gc_count = -1,
	.heap_live_bytes = -1,
	.gc_per_min = NAN,
	.heap_bytes_per_h = NAN};
static const struct lm_snapshot_go go_of_unread = {.version = "devel go1.99",
	.goroutines = -1,
	.gc_count = -1,
	.heap_live_bytes = -1,
	.gc_per_min = NAN,
	.heap_bytes_per_h = NAN};
static const struct lm_snapshot_unavailable unread_goroutines[] = {
	{"goroutines", "its runtime is laid out in a way that is not known"}};

static const struct lm_snapshot_process go_processes[] = {
	{.pid = 4712,
		.comm = "worker",
		.runtime = "go",
		.threads = 5,
		.goroutines = 1,
		.rss_bytes = -1,
		.go = &go_of_worker},
	{.pid = 4711,
		.comm = "api",
		.runtime = "go",
		.go_version = "go1.24.4",
		.threads = 9,
		.blocked_threads = 8,
		.goroutines = 1240,
		.rss_bytes = 41943040,
		.go = &go_of_api},
	{.pid = 4713,
		.comm = "odd",
		.runtime = "go",
		.threads = 4,
		.goroutines = -1,
		.rss_bytes = -1,
		.go = &go_of_unread,
		ARRAY(unavailable, unread_goroutines)},
};

static const struct lm_snapshot go_snapshot = {
	MACHINE,
	.totals = {.processes = 3, .threads = 18, .blocked_threads = 8, .goroutines = 1241, .sites = 2},
	ARRAY(processes, go_processes),
	ARRAY(sites, go_sites),
};

#endif
