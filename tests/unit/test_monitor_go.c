// SPDX-License-Identifier: GPL-2.0-or-later
/* Goroutines from records: where they wait, since when, when they were born, and what is made of that. */
#include "monitor_fixture.h"

#include <math.h>

#include "user/monitor_go.h"

#define OFFSET (5 * S) /* between Go's clock and ours */
#define MAX 4000
#define CHANNEL 0xc000100000ull

struct go_fixture {
	struct fixture base;
	struct lm_go_record records[MAX]; /* of the next look */
	size_t len;
	uint64_t newest_goid;
	int64_t gc_count;
	uint32_t asked;   /* details */
	unsigned threads; /* beside the main one */
	uint32_t lens;    /* so many different ones have the channels */
	uint64_t offset;  /* of the next frame: no two are the same, so that only what they say is */
};

static struct lm_process *process_of(struct go_fixture *fixture)
{
	return lm_monitor_next_process(fixture->base.monitor, NULL);
}

static bool go_details(
	void *context, struct lm_process *process, uint32_t index, uint64_t goid, struct lm_go_details *details)
{
	struct go_fixture *fixture = context;

	(void)process, (void)index, (void)goid;
	fixture->asked++;
	details->channel = (struct lm_go_channel){.address = CHANNEL, .senders = 1, .len = index % fixture->lens};
	snprintf(details->labels, sizeof(details->labels), "job=%u", index);
	return true;
}

static int go_set_up(void **state)
{
	struct go_fixture *fixture = calloc(1, sizeof(*fixture));
	const struct lm_monitor_config config = {
		.min_blocked_ns = S,
		.horizon_ns = 1800 * S,
		.members = 5,
		.go_details = go_details,
		.go_details_context = fixture,
	};

	assert_int_equal(lm_stacks_new(&fixture->base.stacks), 0);
	assert_int_equal(lm_monitor_new(&config, fixture->base.stacks, &fixture->base.monitor), 0);
	assert_int_equal(lm_stacks_module(fixture->base.stacks, "program", "abcd", 0, &fixture->base.module), 0);
	fixture->gc_count = 3;
	fixture->lens = 1;
	*state = fixture;
	return 0;
}

/* A frame of a goroutine whose functions are those, innermost first: "name:line" each. */
static const struct lm_frame *go_frame(struct go_fixture *fixture, uint64_t offset, const char *name, uint32_t line)
{
	const struct lm_function function = {.name = name, .file = "/src/app/main.go", .line = line};
	const struct lm_frame frame = {
		.module = fixture->base.module,
		.offset = offset,
		.golang = true,
		.functions_len = 1,
		.functions = &function,
	};
	const struct lm_frame *stored;

	assert_int_equal(lm_stacks_frame(fixture->base.stacks, &frame, &stored), 0);
	return stored;
}

/* Stacks of the same number modulo 100 are equal: the number is that of a line of main.query. */
static const struct lm_stack *go_stack(struct go_fixture *fixture, uint32_t number)
{
	uint32_t line = number % 100;
	const struct lm_frame *frames[4] = {
		go_frame(fixture, 0x10, "runtime.gopark", 402),
		go_frame(fixture, 0x20, "runtime.chansend1", 157),
		go_frame(fixture, 0x1000 + line, "main.query.func1", line),
		go_frame(fixture, 0x30, "runtime.goexit", 1700),
	};
	const struct lm_stack *stack;

	assert_int_equal(lm_stacks_intern(fixture->base.stacks, frames, 4, LM_STACK_COMPLETE, &stack), 0);
	return stack;
}

static void tell_stacks(struct go_fixture *fixture)
{
	const struct lm_go_creator creator = {.function = "main.query", .file = "/src/app/main.go", .line = 17};
	uint32_t numbers[8];
	size_t len;

	while ((len = lm_monitor_go_unknown_stacks(process_of(fixture), numbers, 8))) {
		for (size_t i = 0; i < len; i++)
			assert_int_equal(lm_monitor_go_set_stack(fixture->base.monitor, process_of(fixture), numbers[i],
						 go_stack(fixture, numbers[i]), NULL, &creator),
				0);
	}
}

/* Of goroutine goid in a slot of its own: it waits to send, if nothing else is said. */
static struct lm_go_record *add(struct go_fixture *fixture, uint64_t goid)
{
	assert_in_range(fixture->len, 0, MAX - 1);
	fixture->records[fixture->len] = (struct lm_go_record){
		.index = goid % MAX,
		.flags = LM_GO_UNWOUND,
		.goid = goid,
		.parent_goid = 1,
		.object = CHANNEL + goid * 64,
		.objects = 1,
		.stack = 7,
		.stack_bytes = 2048,
		.state = LM_GO_CHAN_SEND,
		.reason = 9,
	};
	return &fixture->records[fixture->len++];
}

static void begin_go(struct go_fixture *fixture, uint64_t now_ns)
{
	const struct lm_thread_record main_thread = blocked(PID, 1001 * S, 5);

	begin(&fixture->base, now_ns);
	feed(&fixture->base, main_thread);
	for (uint32_t i = 1; i <= fixture->threads; i++)
		feed(&fixture->base, blocked(PID + i, 1001 * S, 5));
	lm_monitor_end_look(fixture->base.monitor, true);
	assert_int_equal(lm_monitor_go_begin(fixture->base.monitor, process_of(fixture), now_ns, OFFSET), 0);
	lm_monitor_go_set_reason(process_of(fixture), 9, "chan send");
}

static void end_go(struct go_fixture *fixture)
{
	struct lm_go_summary summary = {
		.version = "go1.24.4",
		.goroutines = 1000,
		.newest_goid = fixture->newest_goid,
		.gc_count = fixture->gc_count,
		.heap_live_bytes = 4096,
		.now_ns = fixture->base.now_ns - OFFSET,
	};

	for (size_t i = 0; i < fixture->len; i++)
		assert_int_equal(
			lm_monitor_go_record(fixture->base.monitor, process_of(fixture), &fixture->records[i]), 0);
	fixture->len = 0;
	tell_stacks(fixture);
	assert_int_equal(lm_monitor_go_end(fixture->base.monitor, process_of(fixture), &summary), 0);
	assert_int_equal(lm_monitor_settle(fixture->base.monitor), 0);
}

/* A look that tells what was added. */
static void go_look(struct go_fixture *fixture, uint64_t now_s)
{
	begin_go(fixture, now_s * S);
	end_go(fixture);
}

static const struct lm_snapshot_site *go_site(const struct lm_snapshot *snapshot)
{
	const struct lm_snapshot_site *site = NULL;

	for (size_t i = 0; i < snapshot->sites_len; i++) {
		if (snapshot->sites[i].kind == LM_SITE_GOROUTINE) {
			assert_null(site);
			site = &snapshot->sites[i];
		}
	}
	return site;
}

static int64_t go_count(struct go_fixture *fixture)
{
	struct lm_snapshot snapshot = report(&fixture->base);
	const struct lm_snapshot_site *site = go_site(&snapshot);
	int64_t count = site ? site->count : 0;

	lm_snapshot_free(&snapshot);
	return count;
}

/* The level of the only finding, NONE if there is none. */
static enum lm_level level(struct go_fixture *fixture)
{
	struct lm_snapshot snapshot = report(&fixture->base);
	enum lm_level found = snapshot.findings_len ? snapshot.findings[0].level : LM_LEVEL_NONE;

	assert_in_range(snapshot.findings_len, 0, 1);
	lm_snapshot_free(&snapshot);
	return found;
}

/* --- stays --- */

static void who_is_there_at_the_first_look_is_counted_at_once(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;
	const struct lm_snapshot_site *site;

	add(fixture, 20)->wait_since_ns = 1500 * S - OFFSET;
	add(fixture, 21);
	go_look(fixture, 2000);
	snapshot = report(&fixture->base);
	site = go_site(&snapshot);
	assert_int_equal(site->count, 2);
	assert_int_equal(site->wait.wait_class, LM_WAIT_GO_CHAN_SEND);
	assert_string_equal(site->wait.detail, "chan send");
	assert_int_equal(site->wait.objects, 2);
	assert_int_equal(site->stack_bytes, 4096);
	assert_int_equal(site->arrived, 0);
	assert_int_equal(site->members[0].id, 21); /* since when is not known: before all that are */
	assert_int_equal(site->members[0].blocked_since_ns, 0);
	assert_int_equal(site->members[1].blocked_since_ns, 1500 * S);
	assert_int_equal(site->members[1].started_ns, 0);
	assert_int_equal(site->oldest_blocked_since_ns, 0);
	assert_int_equal(site->newest_blocked_since_ns, 1500 * S);
	assert_true(isnan(site->median_blocked_s));
	assert_string_equal(site->place->function, "main.query.func1");
	assert_true(site->place_has_line);
	assert_string_equal(site->created_by->function, "main.query");
	assert_int_equal(site->created_by->line, 17);
	assert_int_equal(site->created_by->creators, 1);
	assert_int_equal(site->created_by->parent_goid, 1);
	assert_int_equal(site->channel->address, CHANNEL);
	assert_string_equal(
		site->shape, "2 goroutines wait to send, each on a channel of its own (len 0, cap 0), nobody receives");
	lm_snapshot_free(&snapshot);
}

static void who_comes_later_is_counted_when_it_has_waited_long_enough(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;
	const struct lm_snapshot_site *site;

	add(fixture, 20);
	go_look(fixture, 2000);
	fixture->newest_goid = 40;
	add(fixture, 33);
	add(fixture, 34);
	begin_go(fixture, 2000 * S + S / 2);
	end_go(fixture);
	assert_int_equal(go_count(fixture), 1);
	add(fixture, 34)->state = LM_GO_RUNNING;
	go_look(fixture, 2002);
	snapshot = report(&fixture->base);
	site = go_site(&snapshot);
	assert_int_equal(site->count, 2);
	assert_int_equal(site->arrived, 1);
	assert_int_equal(site->members[1].id, 33);
	assert_int_equal(site->members[1].blocked_since_ns, 2000 * S + S / 2);
	assert_int_equal(site->members[1].started_ns, 2000 * S + S / 2); /* seen to be born */
	lm_snapshot_free(&snapshot);
}

/* A collection may have dated a wait before the look that first saw the goroutine. */
static void nobody_waits_for_longer_than_it_lives(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;
	const struct lm_snapshot_site *site;

	add(fixture, 20);
	go_look(fixture, 2000);
	fixture->newest_goid = 40;
	add(fixture, 33)->wait_since_ns = 2001 * S - OFFSET;
	go_look(fixture, 2003);
	snapshot = report(&fixture->base);
	site = go_site(&snapshot);
	assert_int_equal(site->count, 2);
	assert_int_equal(site->members[1].blocked_since_ns, 2001 * S);
	assert_int_equal(site->members[1].started_ns, 2001 * S);
	lm_snapshot_free(&snapshot);
}

static void who_runs_ends_or_gives_its_place_away_leaves(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	for (uint64_t goid = 20; goid < 26; goid++)
		add(fixture, goid);
	go_look(fixture, 2000);
	add(fixture, 20)->state = LM_GO_RUNNING;
	add(fixture, 21)->state = LM_GO_GONE;
	add(fixture, 22)->flags |= LM_GO_RAN;
	add(fixture, 23 + MAX)->state = LM_GO_RUNNING; /* the same index */
	add(fixture, 24)->state = LM_GO_SELECT;
	go_look(fixture, 2100);
	snapshot = report(&fixture->base);
	assert_int_equal(go_site(&snapshot)->count, 1);
	assert_int_equal(go_site(&snapshot)->departed, 5);
	lm_snapshot_free(&snapshot);
}

static void only_timers_do_not_end_a_stay(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;
	const struct lm_snapshot_site *site;

	add(fixture, 20)->flags |= LM_GO_TIMED;
	go_look(fixture, 2000);
	add(fixture, 20)->flags |= LM_GO_TIMED | LM_GO_RAN;
	go_look(fixture, 2100);
	snapshot = report(&fixture->base);
	site = go_site(&snapshot);
	assert_int_equal(site->count, 1);
	assert_int_equal(site->departed, 0);
	assert_int_equal(site->members[0].blocked_since_ns, 2100 * S);
	lm_snapshot_free(&snapshot);
}

static void who_could_not_be_read_for_a_moment_has_not_left(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add(fixture, 20);
	add(fixture, 21);
	add(fixture, 22);
	add(fixture, 23)->wait_since_ns = 1500 * S - OFFSET;
	go_look(fixture, 2000);
	for (uint64_t goid = 20; goid < 24; goid++)
		add(fixture, goid)->state = LM_GO_MOVED;
	go_look(fixture, 2001);
	add(fixture, 20);
	add(fixture, 21)->flags |= LM_GO_RAN;
	/* a collection has dated it before, and another does now: it has run */
	add(fixture, 23)->wait_since_ns = 2001 * S + S / 2 - OFFSET;
	go_look(fixture, 2002);
	snapshot = report(&fixture->base);
	assert_int_equal(go_site(&snapshot)->count, 2);
	assert_int_equal(go_site(&snapshot)->departed, 2);
	assert_int_equal(snapshot.losses.torn_reads, 4);
	lm_snapshot_free(&snapshot);
	go_look(fixture, 2003);
	go_look(fixture, 2004);
	assert_int_equal(go_count(fixture), 3); /* 20, and 21 and 23 anew */
}

static void a_date_that_comes_late_makes_nobody_younger(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add(fixture, 20);
	go_look(fixture, 2000);
	add(fixture, 20)->wait_since_ns = 2500 * S - OFFSET;
	go_look(fixture, 2600);
	snapshot = report(&fixture->base);
	assert_int_equal(go_site(&snapshot)->members[0].blocked_since_ns, 2000 * S);
	assert_int_equal(go_site(&snapshot)->departed, 0);
	lm_snapshot_free(&snapshot);
}

static void a_reader_that_starts_again_ends_no_stay(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;
	const struct lm_snapshot_site *site;

	for (uint64_t goid = 20; goid < 25; goid++)
		add(fixture, goid);
	go_look(fixture, 2000);
	lm_monitor_go_reset(fixture->base.monitor, process_of(fixture));
	add(fixture, 20)->stack = 107; /* the same by another number */
	add(fixture, 21)->stack = 108; /* another */
	add(fixture, 22)->stack = 107;
	add(fixture, 23 + MAX)->stack = 107; /* another goroutine. 24 has ended */
	fixture->newest_goid = 23 + MAX;
	go_look(fixture, 2100);
	snapshot = report(&fixture->base);
	site = go_site(&snapshot);
	assert_int_equal(site->count, 2);
	assert_int_equal(site->departed, 3);
	assert_int_equal(site->members[0].blocked_since_ns, 0);
	lm_snapshot_free(&snapshot);
	lm_monitor_go_reset(fixture->base.monitor, process_of(fixture));
	assert_int_equal(go_count(fixture), 2);
}

static void the_runtimes_own_are_in_no_site(void **state)
{
	struct go_fixture *fixture = *state;

	add(fixture, 2)->flags |= LM_GO_SYSTEM;
	go_look(fixture, 2000);
	assert_int_equal(go_count(fixture), 0);
}

static void what_cannot_be_read_for_long_is_forgotten_but_has_not_left(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add(fixture, 20);
	go_look(fixture, 2000);
	begin(&fixture->base, 2010 * S);
	lm_monitor_go_failed(fixture->base.monitor, process_of(fixture), true, "its memory is not what it should be");
	assert_int_equal(go_count(fixture), 1);
	begin(&fixture->base, 2100 * S);
	lm_monitor_go_failed(fixture->base.monitor, process_of(fixture), true, "its memory is not what it should be");
	snapshot = report(&fixture->base);
	assert_null(go_site(&snapshot));
	assert_string_equal(snapshot.processes[0].runtime, "go");
	assert_int_equal(snapshot.processes[0].goroutines, -1);
	assert_int_equal(snapshot.totals.goroutines, -1);
	assert_string_equal(snapshot.processes[0].unavailable[0].why, "its memory is not what it should be");
	lm_snapshot_free(&snapshot);
	add(fixture, 20);
	go_look(fixture, 2200);
	snapshot = report(&fixture->base);
	assert_int_equal(go_site(&snapshot)->count, 1);
	assert_int_equal(go_site(&snapshot)->departed, 0);
	assert_int_equal(snapshot.totals.goroutines, 1000);
	lm_snapshot_free(&snapshot);
}

static void a_process_says_what_its_runtime_counts(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	go_look(fixture, 2000);
	snapshot = report(&fixture->base);
	assert_string_equal(snapshot.processes[0].go->version, "go1.24.4");
	assert_string_equal(snapshot.processes[0].go_version, "go1.24.4");
	assert_int_equal(snapshot.processes[0].go->goroutines, 1000);
	assert_int_equal(snapshot.processes[0].unavailable_len, 0);
	assert_true(isnan(snapshot.processes[0].go->gc_per_min));
	lm_snapshot_free(&snapshot);
	fixture->gc_count = 5;
	go_look(fixture, 2120);
	snapshot = report(&fixture->base);
	assert_float_equal(snapshot.processes[0].go->gc_per_min, 1, 1e-9);
	assert_float_equal(snapshot.processes[0].go->heap_bytes_per_h, 0, 1e-9);
	lm_snapshot_free(&snapshot);
}

static void another_program_has_no_goroutines(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	begin(&fixture->base, 2000 * S);
	feed(&fixture->base, blocked(PID, 1001 * S, 5));
	lm_monitor_end_look(fixture->base.monitor, true);
	lm_monitor_go_failed(fixture->base.monitor, process_of(fixture), false, "not a Go program");
	snapshot = report(&fixture->base);
	assert_null(snapshot.processes[0].go);
	assert_string_equal(snapshot.processes[0].runtime, "native");
	assert_string_equal(snapshot.processes[0].unavailable[0].why, "not a Go program");
	lm_snapshot_free(&snapshot);
}

static void an_exec_forgets_all_goroutines(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add(fixture, 20);
	go_look(fixture, 2000);
	begin(&fixture->base, 2001 * S);
	feed_life(&fixture->base, LM_RECORD_EXEC, PID, 2);
	snapshot = report(&fixture->base);
	assert_null(go_site(&snapshot));
	assert_null(snapshot.processes[0].go);
	lm_snapshot_free(&snapshot);
}

/* --- shapes and details --- */

static void members_tell_their_labels_and_stacks(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;
	const struct lm_snapshot_member *member;

	add(fixture, 20)->flags |= LM_GO_LOCKED | LM_GO_LABELLED;
	go_look(fixture, 2000);
	snapshot = report(&fixture->base);
	member = &go_site(&snapshot)->members[0];
	assert_int_equal(member->go.parent_goid, 1);
	assert_int_equal(member->go.stack_bytes, 2048);
	assert_true(member->go.locked);
	assert_string_equal(member->go.labels, "job=20");
	assert_true(isnan(member->blocked_total_s));
	lm_snapshot_free(&snapshot);
	assert_int_equal(fixture->asked, 1);
}

static void a_shape_says_what_is_shared(void **state)
{
	static const struct {
		enum lm_go_state state;
		int objects; /* 0: not known */
		const char *shape;
	} rows[] = {
		{LM_GO_CHAN_SEND, 1,
			"1,204 goroutines wait to send, all on one channel (len 0, cap 0), nobody receives"},
		{LM_GO_CHAN_RECEIVE, 12, "1,204 goroutines wait to receive, on 12 channels (len 0, cap 0)"},
		{LM_GO_CHAN_SEND, 0, "1,204 goroutines wait to send (len 0, cap 0), nobody receives"},
		{LM_GO_SELECT, 1204, "1,204 goroutines wait in a select, the first channel of each is its own"},
		{LM_GO_SELECT, 3, "1,204 goroutines wait in a select, their first channels are 3 different ones"},
		{LM_GO_MUTEX, 1, "1,204 goroutines wait to lock a mutex, all the same one"},
		{LM_GO_RWMUTEX_READ, 2, "1,204 goroutines wait to lock an RWMutex for reading, one of 2 RWMutexes"},
		{LM_GO_CHAN_RECEIVE_NIL, 0, "1,204 goroutines wait for ever: they receive from a channel that is nil"},
		{LM_GO_OTHER, 1, NULL},
	};
	struct go_fixture *fixture = *state;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct lm_snapshot snapshot;
		const char *shape;

		for (int i = 0; i < 1204; i++) {
			struct lm_go_record *record = add(fixture, 20 + i);

			record->state = rows[r].state;
			record->stack = 10 + r;
			record->object = rows[r].objects ? CHANNEL + i % rows[r].objects * 64 : 0;
		}
		go_look(fixture, 2000 + 10 * r);
		go_look(fixture, 2005 + 10 * r);
		snapshot = report(&fixture->base);
		shape = go_site(&snapshot)->shape;
		if (!rows[r].shape)
			assert_null(shape);
		else
			assert_string_equal(shape, rows[r].shape);
		lm_snapshot_free(&snapshot);
	}
}

static void channels_that_differ_are_not_told_as_one(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	fixture->lens = 2;
	add(fixture, 20);
	add(fixture, 21);
	go_look(fixture, 2000);
	snapshot = report(&fixture->base);
	assert_string_equal(
		go_site(&snapshot)->shape, "2 goroutines wait to send, each on a channel of its own, nobody receives");
	lm_snapshot_free(&snapshot);
}

/* --- places --- */

/* Names of the one come from Go's tables, of the other from the program's symbols, if it has any. */
static void a_goroutines_frame_is_no_threads_at_the_same_place(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_frame frame = {.module = fixture->base.module, .offset = 0x77};
	const struct lm_frame *threads, *goroutines = go_frame(fixture, 0x77, "main.work", 5);

	assert_null(lm_stacks_find_frame(fixture->base.stacks, fixture->base.module, 0x77));
	assert_int_equal(lm_stacks_frame(fixture->base.stacks, &frame, &threads), 0);
	assert_ptr_not_equal(threads, goroutines);
	assert_ptr_equal(lm_stacks_find_frame(fixture->base.stacks, fixture->base.module, 0x77), threads);
}

static const struct lm_stack *stack_of(
	struct go_fixture *fixture, const char *const *names, uint32_t first_line, bool golang)
{
	const struct lm_frame *frames[16];
	const struct lm_stack *stack;
	size_t len = 0;

	for (; names[len]; len++) {
		const struct lm_function function = {.name = names[len], .line = first_line ? first_line + len : 5};
		const struct lm_frame frame = {
			.module = fixture->base.module,
			.offset = 0x5000 + fixture->offset++,
			.golang = golang,
			.functions_len = 1,
			.functions = &function,
		};

		assert_int_equal(lm_stacks_frame(fixture->base.stacks, &frame, &frames[len]), 0);
	}
	assert_int_equal(lm_stacks_intern(fixture->base.stacks, frames, len, LM_STACK_COMPLETE, &stack), 0);
	return stack;
}

static void the_leaf_of_a_goroutine_is_where_the_program_waits(void **state)
{
	static const struct {
		const char *names[8], *leaf;
	} rows[] = {
		{{"runtime.gopark", "runtime.chanrecv", "main.worker", "runtime.goexit"}, "main.worker"},
		{{"runtime.gopark", "sync.runtime_SemacquireMutex", "sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock",
			 "app/store.(*Store).Get", "main.main"},
			"app/store.(*Store).Get"},
		{{"runtime.gopark", "internal/sync.runtime_SemacquireMutex", "internal/sync.(*Mutex).Lock", "main.a"},
			"main.a"},
		{{"runtime.gopark", "runtime.netpollblock", "internal/poll.runtime_pollWait",
			 "internal/poll.(*FD).Read", "net.(*netFD).Read", "net.(*conn).Read", "main.serve"},
			"main.serve"},
		{{"runtime.gopark", "time.Sleep", "main.tick"}, "main.tick"},
		{{"runtime.gopark", "runtime.bgsweep", "runtime.goexit"}, "runtime.gopark"},
		{{"runtime.notetsleepg", "os/signal.signal_recv", "os/signal.loop", "runtime.goexit"},
			"os/signal.signal_recv"},
	};
	struct go_fixture *fixture = *state;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		const struct lm_stack *stack = stack_of(fixture, rows[r].names, 10 * (r + 1), true);

		assert_string_equal(lm_place_leaf(stack), rows[r].leaf);
		lm_stack_unref(fixture->base.stacks, stack);
	}
}

static uint64_t site_of(struct go_fixture *fixture, const char *const *names, uint32_t line, enum lm_wait_class class)
{
	const struct lm_stack *stack = stack_of(fixture, names, line, true);
	const struct lm_place place = {.kind = LM_SITE_GOROUTINE, .wait = {.wait_class = class}, .stack = stack};
	uint64_t site = lm_place_site(&place);

	lm_stack_unref(fixture->base.stacks, stack);
	return site;
}

/* Site ids enter bug reports and dashboards: this one must never change. */
static void a_site_of_goroutines_is_the_same_on_every_machine(void **state)
{
	struct go_fixture *fixture = *state;
	const char *const sender[] = {"runtime.gopark", "main.worker", "main.start", "runtime.goexit", NULL};
	const char *const inner[] = {"runtime.chansend", "main.worker", "main.start", "runtime.main", NULL};
	const char *const once[] = {"main.leaf", "main.walk", NULL};
	const char *const thrice[] = {"main.leaf", "main.walk", "main.walk", "main.walk", NULL};
	const char *const other[] = {"runtime.gopark", "main.worker", "main.other", "runtime.goexit", NULL};
	uint64_t site = site_of(fixture, sender, 10, LM_WAIT_GO_CHAN_SEND);

	assert_int_equal(site, 0x886c020d11363cc1);
	assert_int_equal(site, site_of(fixture, inner, 10, LM_WAIT_GO_CHAN_SEND));
	assert_int_not_equal(site, site_of(fixture, other, 10, LM_WAIT_GO_CHAN_SEND));
	assert_int_not_equal(site, site_of(fixture, sender, 11, LM_WAIT_GO_CHAN_SEND));
	assert_int_not_equal(site, site_of(fixture, sender, 10, LM_WAIT_GO_CHAN_RECEIVE));
	assert_int_equal(site_of(fixture, once, 0, LM_WAIT_GO_MUTEX), site_of(fixture, thrice, 0, LM_WAIT_GO_MUTEX));
}

static void threads_that_park_in_the_runtime_are_one_site(void **state)
{
	static const char *const stacks[][8] = {
		{"runtime.futex.abi0", "runtime.futexsleep", "runtime.notesleep", "runtime.stopm", "runtime.mcall"},
		{"runtime/internal/syscall.EpollWait", "runtime.netpoll", "runtime.findRunnable", "runtime.mcall"},
		{"runtime.usleep", "runtime.sysmon", "runtime.mstart1", "runtime.mstart", "threadentry",
			"start_thread"},
		{"syscall.Syscall6", "main.work", "runtime.goexit"},
		{"runtime.futex", "runtime.notetsleepg", "os/signal.signal_recv", "runtime.goexit"},
	};
	struct go_fixture *fixture = *state;
	struct lm_process *process;
	struct lm_snapshot snapshot;
	struct lm_thread *wanted[8];
	size_t parked = 0;

	begin(&fixture->base, 2000 * S);
	for (uint32_t i = 0; i < 5; i++)
		feed(&fixture->base, blocked(PID + i, 1500 * S, 5));
	lm_monitor_end_look(fixture->base.monitor, true);
	process = process_of(fixture);
	assert_int_equal(lm_monitor_wanted(fixture->base.monitor, process, wanted, 8), 5);
	for (uint32_t i = 0; i < 5; i++)
		lm_monitor_set_stack(wanted[i], stack_of(fixture, stacks[i], 10 * (i + 1), false), NULL);
	begin(&fixture->base, 2001 * S);
	for (uint32_t i = 0; i < 5; i++)
		feed_same(&fixture->base, PID + i);
	lm_monitor_end_look(fixture->base.monitor, true);
	snapshot = report(&fixture->base);
	assert_int_equal(snapshot.sites_len, 3);
	for (size_t i = 0; i < snapshot.sites_len; i++) {
		if (!snapshot.sites[i].idle_pool)
			continue;
		parked++;
		assert_int_equal(i, 2); /* below the rest */
		assert_int_equal(snapshot.sites[i].count, 3);
		assert_int_equal(snapshot.sites[i].wait.wait_class, LM_WAIT_FUTEX_OTHER);
	}
	assert_int_equal(parked, 1);
	lm_snapshot_free(&snapshot);
}

/* --- verdicts --- */

/* The next goid of one of so many Ps, each of which takes them by 16; begins with the batch of 17. */
static uint64_t next_goid(uint64_t next[8], uint64_t *batches, unsigned ps)
{
	unsigned p = ps > 1 ? (unsigned)random() % ps : 0;

	if (next[p] % 16 == 0)
		next[p] = 16 * ++*batches;
	return ++next[p];
}

/* The process starts at 1000 s; goroutines 17 … are created at even times up to now_s, on any of so many Ps, and of
 * every `of` the first `leaked` stay. Collections come every gc_s seconds, 0: never. */
static void add_leak(struct go_fixture *fixture, uint64_t now_s, uint64_t created, unsigned ps, unsigned leaked,
	unsigned of, uint64_t gc_s, struct lm_go_record like)
{
	uint64_t length_s = now_s - 1000, next[8] = {0}, batches = 0;

	for (uint64_t i = 0; i < created; i++) {
		uint64_t born_s = 1000 + i * length_s / created, dated_s;
		uint64_t goid = next_goid(next, &batches, ps);
		struct lm_go_record *record;

		if (goid > fixture->newest_goid)
			fixture->newest_goid = goid;
		if (i % of >= leaked)
			continue;
		record = add(fixture, goid);
		record->state = like.state;
		record->stack = like.stack;
		if (like.object)
			record->object = like.object;
		dated_s = gc_s ? (born_s / gc_s + 1) * gc_s : 0;
		record->wait_since_ns = dated_s && dated_s < now_s ? dated_s * S - OFFSET : 0;
	}
}

static void a_leak_that_began_with_the_process_is_likely_after_one_look(void **state)
{
	static const struct {
		const char *what;
		uint64_t gc_s;
		unsigned leaked, of;
		struct lm_go_record like;
	} rows[] = {
		{"two of three query results, collected", 120, 2, 3, {.state = LM_GO_CHAN_SEND, .stack = 7}},
		{"two of three query results, never collected", 0, 2, 3, {.state = LM_GO_CHAN_SEND, .stack = 7}},
		{"two of three query results, collected rarely", 1700, 2, 3, {.state = LM_GO_CHAN_SEND, .stack = 7}},
		{"all, on one channel", 0, 1, 1, {.state = LM_GO_CHAN_SEND, .stack = 7, .object = CHANNEL}},
		{"all, on one channel, collected", 60, 1, 1, {.state = LM_GO_CHAN_SEND, .stack = 7, .object = CHANNEL}},
		{"half of the receivers, never collected", 0, 1, 2, {.state = LM_GO_CHAN_RECEIVE, .stack = 7}},
		{"all receivers, collected", 120, 1, 1, {.state = LM_GO_CHAN_RECEIVE, .stack = 7}},
		{"all selects, collected", 120, 1, 1, {.state = LM_GO_SELECT, .stack = 7}},
		{"all, for one mutex", 120, 1, 1, {.state = LM_GO_MUTEX, .stack = 7, .object = CHANNEL}},
	};

	srandom(getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261124);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned created = 120; created <= 1200; created *= 10) {
			/* of few receivers that were never collected their order alone does not tell enough */
			if (created < 1200 && !rows[i].gc_s && rows[i].like.state == LM_GO_CHAN_RECEIVE)
				continue;
			for (unsigned ps = 1; ps <= 8; ps *= 2) {
				struct go_fixture *fixture;
				enum lm_level found;

				go_set_up((void **)&fixture);
				fixture->threads = ps + 2;
				add_leak(fixture, 4600, created, ps, rows[i].leaked, rows[i].of, rows[i].gc_s,
					rows[i].like);
				go_look(fixture, 4600);
				found = level(fixture);
				if (found != LM_LEVEL_LIKELY)
					print_error("%s, %u created by %u Ps\n", rows[i].what, created, ps);
				assert_int_equal(found, LM_LEVEL_LIKELY);
				tear_down((void **)&fixture);
			}
		}
	}
	(void)state;
}

/* Few are born, and each P uses its batch for long: in the goids of 120 s are holes that belong to other times. */
static void goids_that_other_ps_hold_are_no_time_without_births(void **state)
{
	const uint64_t now_s = 2400;

	for (uint64_t phase_s = 0; phase_s < 120; phase_s += 10) {
		uint64_t next[8] = {0}, batches = 0;
		struct go_fixture *fixture;

		go_set_up((void **)&fixture);
		fixture->threads = 4;
		for (uint64_t born_s = 1000; born_s < now_s; born_s += 15) {
			unsigned p = (born_s + phase_s) % 120 >= 60;
			uint64_t goid, dated_s = ((born_s + phase_s) / 120 + 1) * 120 - phase_s;

			if (next[p] % 16 == 0)
				next[p] = 16 * ++batches;
			goid = ++next[p];
			if (goid > fixture->newest_goid)
				fixture->newest_goid = goid;
			add(fixture, goid)->wait_since_ns = dated_s < now_s ? dated_s * S - OFFSET : 0;
		}
		go_look(fixture, now_s);
		if (level(fixture) != LM_LEVEL_LIKELY)
			print_error("collected %llu s earlier\n", (unsigned long long)phase_s);
		assert_int_equal(level(fixture), LM_LEVEL_LIKELY);
		tear_down((void **)&fixture);
	}
	(void)state;
}

/* When a pool of 100 with a channel each, started at once ten hours ago, has last worked, in seconds before now. */
static uint64_t idle_since(int kind, unsigned worker)
{
	switch (kind) {
	case 0:
		return 35900; /* since it was started */
	case 1:
		return 1200; /* all at once */
	case 2:
		return 700 + random() % 30000;
	default:
		return random() % 2000 + worker;
	}
}

static void a_pool_that_was_started_at_once_is_not_likely(void **state)
{
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261124;
	static const enum lm_go_state states[] = {LM_GO_CHAN_RECEIVE, LM_GO_SELECT, LM_GO_COND, LM_GO_MUTEX};

	srandom(seed);
	for (int round = 0; round < 64; round++) {
		uint64_t gc_s = round / 16 % 2 ? 120 : 0, now_s = 37000;
		bool shared = round / 32;
		struct go_fixture *fixture;
		enum lm_level found;

		go_set_up((void **)&fixture);
		add(fixture, 1)->stack = 9; /* main waits since the start */
		fixture->records[0].wait_since_ns = gc_s ? 1100 * S : 0;
		for (unsigned i = 0; i < 100; i++) {
			struct lm_go_record *record = add(fixture, 20 + i);
			uint64_t since_s = now_s - idle_since(round % 4, i);
			uint64_t dated_s = gc_s ? (since_s / gc_s + 1) * gc_s : 0;

			record->state = states[round / 4 % 4];
			if (shared)
				record->object = CHANNEL;
			record->wait_since_ns = dated_s && dated_s < now_s ? dated_s * S - OFFSET : 0;
		}
		fixture->newest_goid = 120 + random() % 3 * 5;
		go_look(fixture, now_s);
		begin(&fixture->base, now_s * S);
		{
			struct lm_snapshot snapshot = report(&fixture->base);

			found = LM_LEVEL_NONE;
			for (size_t f = 0; f < snapshot.findings_len; f++) {
				if (snapshot.findings[f].level > found)
					found = snapshot.findings[f].level;
			}
			lm_snapshot_free(&snapshot);
		}
		if (found > LM_LEVEL_SUSPECT)
			print_error("seed %u, round %d\n", seed, round);
		assert_in_range(found, LM_LEVEL_NONE, LM_LEVEL_SUSPECT);
		tear_down((void **)&fixture);
	}
	(void)state;
}

/* Most of all goroutines were created in the first minutes and have ended; a leak goes on slowly after that. */
static void collections_tell_when_goids_did_not_grow_evenly(void **state)
{
	struct go_fixture *fixture = *state;

	for (uint64_t i = 0; i < 100; i++) {
		struct lm_go_record *record = add(fixture, 100000 + i);

		record->state = LM_GO_SELECT;
		record->wait_since_ns = (1320 + i * 60 / 120 * 120 + 120) * S - OFFSET;
	}
	fixture->newest_goid = 100100;
	go_look(fixture, 1320 + 6000 + 240);
	assert_int_equal(level(fixture), LM_LEVEL_LIKELY);
}

/* Workers that were started one by one as the load grew, and that had work until some time ago. */
static void workers_that_have_run_since_are_no_leak_of_old(void **state)
{
	struct go_fixture *fixture = *state;
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261124;

	srandom(seed);
	for (uint64_t i = 0; i < 100; i++) {
		struct lm_go_record *record = add(fixture, 100 + i * 40);
		uint64_t born_s = 1000 + i * 340, idle_s = 36000 - random() % 3000;

		record->state = LM_GO_SELECT;
		record->wait_since_ns = (idle_s > born_s ? idle_s : born_s) / 120 * 120 * S - OFFSET;
	}
	fixture->newest_goid = 4200;
	go_look(fixture, 37000);
	assert_int_equal(level(fixture), LM_LEVEL_NONE);
}

static void what_holds_an_undated_leak_back_is_said(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add_leak(fixture, 4600, 400, 1, 1, 1, 0, (struct lm_go_record){.state = LM_GO_SELECT, .stack = 7});
	go_look(fixture, 4600);
	snapshot = report(&fixture->base);
	assert_int_equal(snapshot.findings_len, 1);
	assert_int_equal(snapshot.findings[0].level, LM_LEVEL_SUSPECT);
	assert_string_equal(snapshot.findings[0].held_back, "no garbage collection has dated these goroutines yet");
	lm_snapshot_free(&snapshot);
}

static void a_finding_names_goroutines_their_place_and_their_creator(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add_leak(fixture, 4600, 1200, 1, 2, 3, 120, (struct lm_go_record){.state = LM_GO_CHAN_SEND, .stack = 7});
	go_look(fixture, 4600);
	snapshot = report(&fixture->base);
	assert_int_equal(snapshot.findings_len, 1);
	assert_non_null(strstr(snapshot.findings[0].summary, "goroutines of program (PID 100)"));
	assert_non_null(strstr(snapshot.findings[0].summary,
		"main.query.func1 (main.go:7), created by main.query (main.go:17), over"));
	assert_null(strstr(snapshot.findings[0].summary, "threads"));
	assert_null(snapshot.findings[0].exhaustion.resource);
	lm_snapshot_free(&snapshot);
}

/* One more every three seconds for half an hour; with churn of others. */
static void grow(struct go_fixture *fixture, uint64_t from_s, uint64_t to_s)
{
	for (uint64_t now_s = from_s; now_s < to_s; now_s += 3) {
		uint64_t goid = 20 + (now_s - from_s) / 3 * 2;

		add(fixture, goid)->state = LM_GO_CHAN_RECEIVE;
		fixture->newest_goid = goid + 1;
		go_look(fixture, now_s);
		assert_int_equal(lm_monitor_judge(fixture->base.monitor, false), 0);
	}
}

static void a_leak_that_is_seen_to_grow_is_likely_within_a_horizon(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	go_look(fixture, 9990);
	grow(fixture, 10000, 11800);
	snapshot = report(&fixture->base);
	assert_int_equal(snapshot.findings_len, 1);
	assert_int_equal(snapshot.findings[0].level, LM_LEVEL_LIKELY);
	assert_false(snapshot.findings[0].evidence.retrospective);
	lm_snapshot_free(&snapshot);
}

static void a_finding_is_withdrawn_when_goroutines_leave_after_all(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	go_look(fixture, 9990);
	grow(fixture, 10000, 11800);
	assert_int_equal(level(fixture), LM_LEVEL_LIKELY);
	for (uint64_t goid = 20; goid < 320; goid += 2)
		add(fixture, goid)->state = LM_GO_GONE;
	go_look(fixture, 11801);
	lm_monitor_judge(fixture->base.monitor, false);
	go_look(fixture, 11803);
	snapshot = report(&fixture->base);
	assert_int_equal(snapshot.findings_len, 0);
	assert_int_equal(snapshot.withdrawn_len, 1);
	assert_non_null(strstr(snapshot.withdrawn[0].summary, "of the goroutines of program"));
	lm_snapshot_free(&snapshot);
}

static void those_that_wait_for_io_are_held_back_as_connections(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add_leak(fixture, 4600, 1200, 1, 1, 2, 120, (struct lm_go_record){.state = LM_GO_IO, .stack = 7});
	go_look(fixture, 4600);
	snapshot = report(&fixture->base);
	assert_int_equal(snapshot.findings_len, 1);
	assert_int_equal(snapshot.findings[0].level, LM_LEVEL_SUSPECT);
	assert_int_equal(snapshot.findings[0].type, LM_FINDING_CONNECTIONS);
	lm_snapshot_free(&snapshot);
}

static void connections_that_are_silent_for_long_are_likely(void **state)
{
	struct go_fixture *fixture = *state;
	struct lm_snapshot snapshot;

	add_leak(fixture, 25000, 1200, 1, 1, 2, 120, (struct lm_go_record){.state = LM_GO_IO, .stack = 7});
	go_look(fixture, 25000);
	snapshot = report(&fixture->base);
	assert_int_equal(snapshot.findings[0].level, LM_LEVEL_LIKELY);
	assert_int_equal(snapshot.findings[0].type, LM_FINDING_CONNECTIONS);
	lm_snapshot_free(&snapshot);
}

static void only_those_that_receive_from_one_place_idle_and_up_to_256(void **state)
{
	static const struct {
		uint64_t created;
		enum lm_go_state state;
		enum lm_level level;
	} rows[] = {
		{400, LM_GO_CHAN_RECEIVE, LM_LEVEL_SUSPECT},
		{1200, LM_GO_CHAN_RECEIVE, LM_LEVEL_LIKELY},
		{400, LM_GO_SELECT, LM_LEVEL_SUSPECT},
		{400, LM_GO_COND, LM_LEVEL_SUSPECT},
		{400, LM_GO_CHAN_SEND, LM_LEVEL_LIKELY},
		{400, LM_GO_MUTEX, LM_LEVEL_LIKELY},
		{400, LM_GO_WAITGROUP, LM_LEVEL_LIKELY},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct lm_go_record like = {.state = rows[i].state, .stack = 7, .object = CHANNEL};
		struct go_fixture *fixture;

		go_set_up((void **)&fixture);
		add_leak(fixture, 4600, rows[i].created, 1, 1, 2, 120, like);
		go_look(fixture, 4600);
		assert_int_equal(level(fixture), rows[i].level);
		tear_down((void **)&fixture);
	}
	(void)state;
}

/* --- garbage --- */

static void garbage_is_survived(void **state)
{
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 20261124;
	struct go_fixture *fixture = *state;

	srandom(seed);
	for (int look = 0; look < 300; look++) {
		if (look % 40 == 39)
			lm_monitor_go_reset(fixture->base.monitor, process_of(fixture));
		for (int i = 0; i < 60; i++) {
			struct lm_go_record *record = add(fixture, random() % 300);

			record->index = random() % 10 ? random() % 200 : (uint32_t)random() * 2;
			record->state = random() % 24;
			record->flags = random();
			record->stack = random() % 6 * (random() % 4 + 1);
			record->wait_since_ns = random() % 3 ? random() % 4000 * S : random() * 0x9e3779b97f4a7c15ull;
			record->reason = random();
			record->object = random() % 3;
		}
		fixture->newest_goid = random() % 2 ? random() : 0;
		go_look(fixture, 2000 + look);
		if (look % 50 == 0) {
			struct lm_snapshot snapshot = report(&fixture->base);

			lm_snapshot_free(&snapshot);
		}
	}
	assert_true(process_of(fixture)->go != NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, go_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_there_at_the_first_look_is_counted_at_once),
		TEST(who_comes_later_is_counted_when_it_has_waited_long_enough),
		TEST(nobody_waits_for_longer_than_it_lives),
		TEST(who_runs_ends_or_gives_its_place_away_leaves),
		TEST(only_timers_do_not_end_a_stay),
		TEST(who_could_not_be_read_for_a_moment_has_not_left),
		TEST(a_date_that_comes_late_makes_nobody_younger),
		TEST(a_reader_that_starts_again_ends_no_stay),
		TEST(the_runtimes_own_are_in_no_site),
		TEST(what_cannot_be_read_for_long_is_forgotten_but_has_not_left),
		TEST(a_process_says_what_its_runtime_counts),
		TEST(another_program_has_no_goroutines),
		TEST(an_exec_forgets_all_goroutines),
		TEST(members_tell_their_labels_and_stacks),
		TEST(a_shape_says_what_is_shared),
		TEST(channels_that_differ_are_not_told_as_one),
		TEST(a_goroutines_frame_is_no_threads_at_the_same_place),
		TEST(the_leaf_of_a_goroutine_is_where_the_program_waits),
		TEST(a_site_of_goroutines_is_the_same_on_every_machine),
		TEST(threads_that_park_in_the_runtime_are_one_site),
		TEST(a_leak_that_began_with_the_process_is_likely_after_one_look),
		TEST(goids_that_other_ps_hold_are_no_time_without_births),
		TEST(a_pool_that_was_started_at_once_is_not_likely),
		TEST(collections_tell_when_goids_did_not_grow_evenly),
		TEST(workers_that_have_run_since_are_no_leak_of_old),
		TEST(what_holds_an_undated_leak_back_is_said),
		TEST(a_finding_names_goroutines_their_place_and_their_creator),
		TEST(a_leak_that_is_seen_to_grow_is_likely_within_a_horizon),
		TEST(a_finding_is_withdrawn_when_goroutines_leave_after_all),
		TEST(those_that_wait_for_io_are_held_back_as_connections),
		TEST(connections_that_are_silent_for_long_are_likely),
		TEST(only_those_that_receive_from_one_place_idle_and_up_to_256),
		TEST(garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
