// SPDX-License-Identifier: GPL-2.0-or-later
/* What is remembered, and for how long; who may read it; what becomes of a database that is broken. */
#include "history_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#define LEAK 0x9f2c41d07be1a3c5u
#define POINTS_KEPT 20000

struct points {
	struct lm_history_point items[POINTS_KEPT];
	size_t len;
};

static void keep_point(const struct lm_history_point *point, void *context)
{
	struct points *points = context;

	assert_true(points->len < POINTS_KEPT);
	assert_string_equal(point->comm, "leaky");
	if (points->len)
		assert_true(point->at_ns >= points->items[points->len - 1].at_ns);
	points->items[points->len++] = *point;
}

static const struct points *ask_points(struct fixture *fixture, uint64_t site, int64_t from_ns, int64_t to_ns)
{
	static struct points points;

	points.len = 0;
	MUST(lm_history_points(fixture->history, site, from_ns, to_ns, keep_point, &points));
	return &points;
}

/* What the site's count was at a time, as the points tell; -1: nothing tells it. */
static int64_t count_at(const struct points *points, int64_t at_ns)
{
	int64_t count = -1;

	for (size_t i = 0; i < points->len; i++) {
		const struct lm_history_point *point = &points->items[i];

		if (point->at_ns <= at_ns && at_ns < point->at_ns + point->step_ns && point->count > count)
			count = point->count;
	}
	return count;
}

static struct lm_snapshot_site site_of(uint64_t site, uint32_t pid, int64_t count)
{
	static const struct lm_snapshot_frame stack[] = {
		{.function = "pthread_cond_wait", .module = "libc.so.6", .offset = 0x888ac},
		{.function = "wait_for_result", .module = "leaky", .offset = 4939, .file = "leaky.c", .line = 7}};

	return (struct lm_snapshot_site){.site = site,
		.pid = pid,
		.comm = "leaky",
		.wait = {.wait_class = LM_WAIT_FUTEX_COND},
		.count = count,
		.oldest_blocked_since_ns = T0 - HOUR,
		.stack = stack,
		.stack_len = LEN(stack),
		.place = &stack[1]};
}

static void put(struct fixture *fixture, int64_t at_ns, int64_t count)
{
	struct lm_snapshot_site site = site_of(LEAK, 7, count);

	MUST(report(fixture->history, at_ns, &site, count ? 1 : 0));
}

static mode_t rights(const struct fixture *fixture, const char *name)
{
	struct stat st;

	assert_int_equal(stat(file_of(fixture, name), &st), 0);
	return st.st_mode & 07777;
}

static void the_directory_and_its_files_are_for_us_alone(void **state)
{
	struct fixture *fixture = *state;
	mode_t mask = umask(0);

	assert_int_equal(rmdir(fixture->directory), 0);
	open_history(fixture);
	put(fixture, T0, 1);
	umask(mask);
	assert_int_equal(rights(fixture, ""), 0700);
	assert_int_equal(rights(fixture, "history.db"), 0600);
	assert_int_equal(rights(fixture, "history.db-wal"), 0600);
	assert_int_equal(rights(fixture, "history.lock"), 0600);
	close_history(fixture);
	assert_int_equal(chmod(file_of(fixture, "history.db"), 0644), 0);
	open_history(fixture);
	assert_int_equal(rights(fixture, "history.db"), 0600);
}

static void what_others_could_have_prepared_is_refused(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(chmod(fixture->directory, 0722), 0);
	assert_int_equal(lm_history_open(&fixture->config, &fixture->history, fixture->why), -EPERM);
	assert_non_null(strstr(fixture->why, "others can write to it"));
	assert_int_equal(chmod(fixture->directory, 0700), 0);

	assert_int_equal(symlink("target", file_of(fixture, "history.db")), 0);
	assert_int_equal(lm_history_open(&fixture->config, &fixture->history, fixture->why), -ELOOP);
	assert_non_null(strstr(fixture->why, "no ordinary file"));
	assert_int_equal(access(file_of(fixture, "target"), F_OK), -1);
	assert_int_equal(unlink(file_of(fixture, "history.db")), 0);

	close(open(file_of(fixture, "other"), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(link(file_of(fixture, "other"), file_of(fixture, "history.db")), 0);
	assert_int_equal(lm_history_open(&fixture->config, &fixture->history, fixture->why), -EMLINK);
	assert_null(fixture->history);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.directory = "/nowhere/leakmon";
	assert_int_equal(lm_history_open(&fixture->config, &fixture->history, fixture->why), -ENOENT);
	assert_non_null(strstr(fixture->why, "/nowhere/leakmon: No such file or directory"));
	fixture->config.directory = "/proc/self/status";
	assert_int_equal(lm_history_open(&fixture->config, &fixture->history, fixture->why), -ENOTDIR);
}

static void a_second_one_is_told_that_the_first_is_there(void **state)
{
	struct fixture *fixture = *state;
	struct lm_history *second = NULL;

	open_history(fixture);
	assert_int_equal(lm_history_open(&fixture->config, &second, fixture->why), -EBUSY);
	assert_non_null(strstr(fixture->why, "another leakmon"));
	assert_null(second);
	put(fixture, T0, 1);
	reopen(fixture);
}

static void what_is_not_known_is_not_found(void **state)
{
	struct fixture *fixture = *state;
	struct lm_history_memory_key key = {.site = 1};
	struct points points = {.len = 0};
	void *bytes;
	size_t len;

	open_history(fixture);
	assert_int_equal(lm_history_points(fixture->history, LEAK, 0, 0, keep_point, &points), -ENOENT);
	assert_int_equal(lm_history_site(fixture->history, LEAK, NULL, NULL), -ENOENT);
	assert_int_equal(lm_history_get_memory(fixture->history, &key, &bytes, &len), -ENOENT);
}

static void counts_come_back_as_they_were(void **state)
{
	static const int64_t counts[] = {5, 6, 6, 4};
	struct fixture *fixture = *state;
	const struct points *points;

	open_history(fixture);
	for (size_t i = 0; i < LEN(counts); i++) {
		struct lm_snapshot_site site = site_of(LEAK, 7, counts[i]);

		site.arrived = (int64_t)i;
		site.departed = 2;
		MUST(report(fixture->history, T0 + (int64_t)i * 10 * S + 123456789, &site, 1));
	}
	points = ask_points(fixture, LEAK, 0, 0);
	assert_int_equal(points->len, 3);
	assert_int_equal(points->items[0].at_ns, T0 + 123456789);
	assert_int_equal(points->items[0].step_ns, 10 * S);
	assert_int_equal(points->items[0].count, 5);
	assert_int_equal(points->items[0].pid, 7);
	assert_int_equal(points->items[0].oldest_blocked_since_ns, T0 - HOUR);
	assert_int_equal(points->items[1].step_ns, 20 * S);
	assert_int_equal(points->items[1].count, 6);
	assert_int_equal(points->items[1].arrived, 1);
	/* with those of the report between that changed no count */
	assert_int_equal(points->items[2].count, 4);
	assert_int_equal(points->items[2].arrived, 5);
	assert_int_equal(points->items[2].departed, 4);
	assert_int_equal(points->items[2].step_ns, 10 * S);
	assert_int_equal(ask_points(fixture, LEAK, T0 + 15 * S, T0 + 25 * S)->len, 1);
	assert_int_equal(points->items[0].at_ns, T0 + 15 * S);
	assert_int_equal(points->items[0].count, 6);
	assert_int_equal(points->items[0].arrived, 0);
}

static void a_site_that_does_not_change_costs_nothing_and_its_count_holds(void **state)
{
	struct fixture *fixture = *state;
	const struct points *points;
	int64_t end_ns = T0;

	open_history(fixture);
	for (int i = 0; i < 1000; i++, end_ns += 10 * S)
		put(fixture, end_ns, 5);
	points = ask_points(fixture, LEAK, 0, 0);
	assert_in_range(points->len, 1, 18);
	for (int64_t at_ns = T0; at_ns < end_ns; at_ns += 10 * S)
		assert_int_equal(count_at(points, at_ns), 5);
	assert_int_equal(count_at(points, end_ns), -1);
	close_history(fixture);
	assert_in_range(atoi(ask(fixture, "SELECT count(*) FROM points")), 1, 18);
}

static void a_site_that_is_gone_ends_with_nothing(void **state)
{
	struct fixture *fixture = *state;
	const struct points *points;

	open_history(fixture);
	put(fixture, T0, 5);
	put(fixture, T0 + 10 * S, 5);
	put(fixture, T0 + 20 * S, 0);
	put(fixture, T0 + 30 * S, 0);
	points = ask_points(fixture, LEAK, 0, 0);
	assert_int_equal(points->len, 2);
	assert_int_equal(points->items[0].step_ns, 20 * S);
	assert_int_equal(points->items[1].at_ns, T0 + 20 * S);
	assert_int_equal(points->items[1].step_ns, 10 * S);
	assert_int_equal(points->items[1].count, 0);
	put(fixture, T0 + 40 * S, 3);
	assert_int_equal(ask_points(fixture, LEAK, 0, 0)->len, 3);
}

static void nothing_is_said_of_a_time_without_watching(void **state)
{
	struct fixture *fixture = *state;
	const struct points *points;

	open_history(fixture);
	put(fixture, T0, 5);
	put(fixture, T0 + 10 * S, 5);
	reopen(fixture);
	put(fixture, T0 + HOUR, 7);
	put(fixture, T0 + HOUR + 10 * S, 7);
	for (int thinned = 0; thinned < 2; thinned++) {
		points = ask_points(fixture, LEAK, 0, 0);
		assert_int_equal(count_at(points, T0 + 5 * S), 5);
		assert_int_equal(count_at(points, T0 + 5 * MINUTE), -1);
		assert_int_equal(count_at(points, T0 + HOUR - MINUTE), -1);
		assert_int_equal(count_at(points, T0 + HOUR + 5 * S), 7);
		assert_int_equal(count_at(points, T0 + HOUR + 5 * MINUTE), -1);
		MUST(lm_history_thin(fixture->history, T0 + 6 * HOUR, UINT64_MAX));
	}
	/* a site that was not there again after the interruption did not go on in the span that both lie in */
	MUST(lm_history_thin(fixture->history, T0 + 9 * DAY, UINT64_MAX));
	points = ask_points(fixture, LEAK, 0, 0);
	assert_int_equal(count_at(points, T0 + 2 * HOUR), -1);
	close_history(fixture);
	assert_string_equal(ask(fixture, "SELECT group_concat(tier) FROM points"), "3,3");
}

/* Whether it went on in the span of a coarser step that both lie in is not known. */
static void a_site_that_did_not_come_back_after_an_interruption_does_not_go_on(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_site other = site_of(5, 7, 1);
	const struct points *points;

	open_history(fixture);
	put(fixture, T0, 5);
	reopen(fixture);
	for (int64_t at_ns = T0 + 30 * S; at_ns < T0 + 20 * MINUTE; at_ns += 10 * S)
		MUST(report(fixture->history, at_ns, &other, 1));
	MUST(lm_history_thin(fixture->history, T0 + 3 * HOUR, UINT64_MAX));
	points = ask_points(fixture, LEAK, 0, 0);
	assert_int_equal(count_at(points, T0 + S), 5);
	assert_int_equal(count_at(points, T0 + 2 * MINUTE), -1);
	assert_int_equal(count_at(ask_points(fixture, 5, 0, 0), T0 + 19 * MINUTE), 1);
}

/* The clock is set back, to a time whose points are thinned already. */
static void what_comes_late_is_added_to_what_is_there(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_site site = site_of(LEAK, 7, 5);
	const struct points *points;

	open_history(fixture);
	site.arrived = 3;
	MUST(report(fixture->history, T0, &site, 1));
	MUST(lm_history_thin(fixture->history, T0 + 3 * HOUR, UINT64_MAX));
	site.arrived = 4;
	site.count = 2;
	MUST(report(fixture->history, T0 + S, &site, 1));
	MUST(lm_history_thin(fixture->history, T0 + 3 * HOUR, UINT64_MAX));
	points = ask_points(fixture, LEAK, 0, 0);
	assert_int_equal(points->len, 1);
	assert_int_equal(points->items[0].arrived, 7);
	assert_int_equal(points->items[0].count, 5);
}

static void a_transaction_that_was_abandoned_never_was(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_site site = site_of(LEAK, 7, 9);
	struct lm_snapshot snapshot = {.sites = &site, .sites_len = 1};
	const struct points *points;

	open_history(fixture);
	assert_int_equal(lm_history_end(fixture->history), -EINVAL);
	assert_int_equal(lm_history_put_snapshot(fixture->history, &snapshot), -EINVAL);
	put(fixture, T0, 5);
	MUST(lm_history_begin(fixture->history, T0 + 10 * S));
	MUST(lm_history_put_snapshot(fixture->history, &snapshot));
	assert_int_equal(lm_history_thin(fixture->history, T0, 0), -EBUSY);
	lm_history_abandon(fixture->history);
	put(fixture, T0 + 20 * S, 6);
	points = ask_points(fixture, LEAK, 0, 0);
	assert_int_equal(points->len, 2);
	assert_int_equal(points->items[1].count, 6);
}

struct seen_site {
	struct lm_history_site site;
	char function[64], stack[1024], created_by[256];
};

static void keep_site(const struct lm_history_site *site, void *context)
{
	struct seen_site *seen = context;

	seen->site = *site;
	snprintf(seen->function, sizeof(seen->function), "%s", site->function ? site->function : "?");
	snprintf(seen->stack, sizeof(seen->stack), "%s", site->stack_json ? site->stack_json : "?");
	snprintf(seen->created_by, sizeof(seen->created_by), "%s", site->created_by_json ? site->created_by_json : "?");
	assert_string_equal(site->wait_class, "futex_cond");
}

static void a_site_is_kept_with_the_best_stack_that_was_seen(void **state)
{
	static const struct lm_snapshot_frame nameless[] = {
		{.module = "libc.so.6", .offset = 0x888ac}, {.module = "leaky", .offset = 4939}};
	static const struct lm_snapshot_creator creator = {.function = "main.spawn", .file = "main.go", .line = 3};
	struct fixture *fixture = *state;
	struct lm_snapshot_site site = site_of(LEAK, 7, 5), first = site;
	struct seen_site seen;

	first.stack = nameless;
	first.place = &nameless[1];
	open_history(fixture);
	MUST(report(fixture->history, T0, &first, 1));
	MUST(lm_history_site(fixture->history, LEAK, keep_site, &seen));
	assert_string_equal(seen.function, "?");
	site.kind = LM_SITE_GOROUTINE;
	site.created_by = &creator;
	MUST(report(fixture->history, T0 + 10 * S, &site, 1));
	MUST(report(fixture->history, T0 + 20 * S, &first, 1));
	reopen(fixture);
	MUST(lm_history_site(fixture->history, LEAK, keep_site, &seen));
	assert_int_equal(seen.site.site, LEAK);
	assert_int_equal(seen.site.first_ns, T0);
	assert_int_equal(seen.site.last_ns, T0 + 20 * S);
	assert_string_equal(seen.function, "wait_for_result");
	assert_string_equal(seen.stack,
		"[{\"function\":\"pthread_cond_wait\",\"module\":\"libc.so.6\",\"build_id\":null,\"offset\":559276,"
		"\"file\":null,\"line\":null,\"inlined\":false},{\"function\":\"wait_for_result\",\"module\":\"leaky\","
		"\"build_id\":null,\"offset\":4939,\"file\":\"leaky.c\",\"line\":7,\"inlined\":false}]");
	assert_string_equal(seen.created_by,
		"{\"function\":\"main.spawn\",\"file\":\"main.go\",\"line\":3,\"parent\":null,\"creators\":0}");
	/* gone since: it was last seen when it was */
	put(fixture, T0 + 30 * S, 5);
	for (int i = 4; i < 100; i++)
		put(fixture, T0 + i * 10 * S, 0);
	reopen(fixture);
	MUST(lm_history_site(fixture->history, LEAK, keep_site, &seen));
	assert_int_equal(seen.site.last_ns, T0 + 30 * S);
}

static void keep_go(const struct lm_history_go_point *point, void *context)
{
	char *told = context;

	snprintf(told + strlen(told), 512 - strlen(told), "%s%lld+%lld %u %s %lld %lld %lld", *told ? "; " : "",
		(long long)(point->at_ns - T0) / S, (long long)point->step_ns / S, point->pid, point->comm,
		(long long)point->goroutines, (long long)point->gc_count, (long long)point->heap_live_bytes);
}

static void go_programs_are_kept_with_their_heaps(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_go go[] = {{.goroutines = 10, .gc_count = 3, .heap_live_bytes = 1000},
		{.goroutines = 99, .gc_count = -1, .heap_live_bytes = -1}};
	struct lm_snapshot_process processes[] = {{.pid = 5, .comm = "server", .go = &go[0]}, {.pid = 6, .comm = "c"},
		{.pid = 8, .comm = "agent", .go = &go[1]}};
	struct lm_snapshot snapshot = {.interval_s = 10, .processes = processes, .processes_len = 3};
	char told[512] = "";

	open_history(fixture);
	for (int i = 0; i < 4; i++) {
		MUST(lm_history_begin(fixture->history, T0 + i * 10 * S));
		MUST(lm_history_put_snapshot(fixture->history, &snapshot));
		MUST(lm_history_end(fixture->history));
		go[0].gc_count += i == 1;
		snapshot.processes_len -= i == 2;
	}
	MUST(lm_history_go_points(fixture->history, 5, 0, 0, keep_go, told));
	assert_string_equal(told, "0+20 5 server 10 3 1000; 20+20 5 server 10 4 1000");
	told[0] = 0;
	MUST(lm_history_go_points(fixture->history, 0, 0, 0, keep_go, told));
	assert_string_equal(told, "0+20 5 server 10 3 1000; 0+30 8 agent 99 -1 -1; 20+20 5 server 10 4 1000");
	told[0] = 0;
	MUST(lm_history_thin(fixture->history, T0 + 5 * HOUR, UINT64_MAX));
	MUST(lm_history_go_points(fixture->history, 5, 0, 0, keep_go, told));
	assert_string_equal(told, "0+60 5 server 10 4 1000");
}

static struct lm_change change_of(const char *id, enum lm_change_kind kind, int64_t at_ns, uint64_t site)
{
	struct lm_change change = {.kind = kind,
		.at_ns = at_ns,
		.level = LM_LEVEL_LIKELY,
		.before = LM_LEVEL_SUSPECT,
		.type = LM_FINDING_PILEUP,
		.pid = 7,
		.site = site,
		.since_ns = T0 - DAY,
		.comm = "leaky",
		.summary = "it grows"};

	snprintf(change.id, sizeof(change.id), "%s", id);
	return change;
}

static void put_change(struct fixture *fixture, const struct lm_change *change)
{
	MUST(lm_history_begin(fixture->history, change->at_ns));
	MUST(lm_history_put_change(fixture->history, change));
	MUST(lm_history_end(fixture->history));
}

static void keep_change(const struct lm_change *change, void *context)
{
	char *told = context;

	snprintf(told + strlen(told), 512 - strlen(told), "%s%s %s", *told ? "; " : "", lm_change_name(change->kind),
		change->id);
	assert_int_equal(change->level, LM_LEVEL_LIKELY);
	assert_int_equal(change->before, LM_LEVEL_SUSPECT);
	assert_int_equal(change->type, LM_FINDING_PILEUP);
	assert_int_equal(change->pid, 7);
	assert_int_equal(change->since_ns, T0 - DAY);
	assert_string_equal(change->comm, "leaky");
	assert_string_equal(change->summary, "it grows");
}

static void put_changes(struct fixture *fixture)
{
	const struct lm_change changes[] = {change_of("a", LM_CHANGE_FOUND, T0, 1),
		change_of("b", LM_CHANGE_FOUND, T0 + S, LEAK), change_of("c", LM_CHANGE_FOUND, T0 + 2 * S, 1),
		change_of("a", LM_CHANGE_ENDED, T0 + 3 * S, 1), change_of("b", LM_CHANGE_LEVEL, T0 + 4 * S, LEAK),
		change_of("c", LM_CHANGE_WITHDRAWN, T0 + 5 * S, 1)};

	for (size_t i = 0; i < LEN(changes); i++)
		put_change(fixture, &changes[i]);
}

static const char *ask_changes(struct fixture *fixture, uint64_t site, int64_t from_ns, int64_t to_ns, size_t len)
{
	static char told[512];

	told[0] = 0;
	MUST(lm_history_changes(fixture->history, site, from_ns, to_ns, len, keep_change, told));
	return told;
}

static void changes_are_told_newest_first(void **state)
{
	struct fixture *fixture = *state;

	open_history(fixture);
	put_changes(fixture);
	reopen(fixture);
	assert_string_equal(
		ask_changes(fixture, 0, 0, 0, 100), "withdrawn c; level b; ended a; found c; found b; found a");
	assert_string_equal(ask_changes(fixture, LEAK, 0, 0, 100), "level b; found b");
	assert_string_equal(ask_changes(fixture, 0, 0, 0, 2), "withdrawn c; level b");
	assert_string_equal(ask_changes(fixture, 0, T0 + S, T0 + 2 * S, 100), "found c; found b");
}

static void findings_that_have_not_ended_are_known_after_a_restart_but_not_after_a_boot(void **state)
{
	struct fixture *fixture = *state;
	char told[512] = "";

	open_history(fixture);
	put_changes(fixture);
	reopen(fixture);
	MUST(lm_history_open_findings(fixture->history, keep_change, told));
	assert_string_equal(told, "level b");
	fixture->config.boot_id = "boot-2";
	reopen(fixture);
	told[0] = 0;
	MUST(lm_history_open_findings(fixture->history, keep_change, told));
	assert_string_equal(told, "");
	assert_string_equal(ask_changes(fixture, LEAK, 0, 0, 1), "level b");
}

static void put_memory(struct fixture *fixture, const struct lm_history_memory_key *key, const char *text)
{
	MUST(lm_history_begin(fixture->history, T0));
	MUST(lm_history_put_memory(fixture->history, key, text, strlen(text)));
	MUST(lm_history_end(fixture->history));
}

static const char *get_memory(struct fixture *fixture, const struct lm_history_memory_key *key)
{
	static char text[64];
	void *bytes;
	size_t len;
	int error = lm_history_get_memory(fixture->history, key, &bytes, &len);

	if (error == -ENOENT)
		return "none";
	assert_int_equal(error, 0);
	snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)bytes);
	free(bytes);
	return text;
}

static void what_the_monitor_remembers_comes_back(void **state)
{
	static const struct lm_history_memory_key of_site = {.site = LEAK}, of_goroutines = {.site = LEAK, .kind = 1},
						  of_process = {.site = LEAK, .pid = 7, .process_start_ns = 12};
	static char large[600000];
	struct fixture *fixture = *state;

	open_history(fixture);
	put_memory(fixture, &of_site, "everywhere");
	put_memory(fixture, &of_process, "here");
	assert_string_equal(get_memory(fixture, &of_goroutines), "none");
	put_memory(fixture, &of_process, "here now");
	reopen(fixture);
	assert_string_equal(get_memory(fixture, &of_site), "everywhere");
	assert_string_equal(get_memory(fixture, &of_process), "here now");
	fixture->config.boot_id = "boot-2";
	reopen(fixture);
	assert_string_equal(get_memory(fixture, &of_site), "everywhere");
	assert_string_equal(get_memory(fixture, &of_process), "none");
	put_memory(fixture, &of_site, "");
	assert_string_equal(get_memory(fixture, &of_site), "none");
	MUST(lm_history_begin(fixture->history, T0));
	assert_int_equal(lm_history_put_memory(fixture->history, &of_site, large, sizeof(large)), -E2BIG);
	MUST(lm_history_end(fixture->history));
}

static void too_many_points_are_put_together_evenly(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_site sites[20];
	const struct points *points;
	int64_t arrived = 0, most = 0;

	open_history(fixture);
	for (int i = 0; i < 700; i++) {
		for (size_t j = 0; j < LEN(sites); j++) {
			sites[j] = site_of(LEAK, (uint32_t)j + 1, i == 333 ? 1000 : i % 2 + 1);
			sites[j].arrived = 1;
		}
		MUST(report(fixture->history, T0 + i * 10 * S, sites, LEN(sites)));
	}
	points = ask_points(fixture, LEAK, 0, 0);
	assert_in_range(points->len, 1000, LM_HISTORY_POINTS_MAX);
	for (size_t i = 0; i < points->len; i++) {
		arrived += points->items[i].arrived;
		most = points->items[i].count > most ? points->items[i].count : most;
		assert_in_range(points->items[i].step_ns, S, MINUTE);
	}
	assert_int_equal(arrived, 700 * LEN(sites));
	assert_int_equal(most, 1000);
}

/* Grows by one each hour; every tenth day, six minutes after noon, a burst of one report. */
static int64_t leak_at(int64_t at_ns)
{
	int64_t age_ns = at_ns - T0;

	return age_ns % (10 * DAY) == 6 * MINUTE ? 5000 : 10 + age_ns / HOUR;
}

static void a_month_is_kept_in_coarser_and_coarser_steps(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_site sites[12];
	const struct points *points;
	int64_t now_ns = T0, most_bytes = 0;

	fixture->config.max_bytes = 8 << 20;
	open_history(fixture);
	for (; now_ns < T0 + 60 * DAY; now_ns += 2 * MINUTE) {
		sites[0] = site_of(LEAK, 7, leak_at(now_ns));
		for (size_t i = 1; i < LEN(sites); i++) {
			sites[i] = site_of(i, 8, now_ns / MINUTE % (int64_t)i);
			sites[i].arrived = 1;
		}
		MUST(report(fixture->history, now_ns, sites, LEN(sites)));
		MUST(lm_history_thin(fixture->history, now_ns, 5000000));
		if (now_ns / MINUTE % 60 == 0 && lm_history_bytes(fixture->history) > most_bytes)
			most_bytes = lm_history_bytes(fixture->history);
	}
	assert_in_range(most_bytes, 1, 8 << 20);
	now_ns -= 2 * MINUTE;
	points = ask_points(fixture, LEAK, 0, 0);
	/* all is there of the last 30 days, and nothing of what is older but for the block that it ends in */
	assert_in_range(points->items[0].at_ns, now_ns - 35 * DAY, now_ns - 30 * DAY);
	for (int64_t at_ns = now_ns - 30 * DAY; at_ns < now_ns; at_ns += 17 * MINUTE) {
		int64_t count = count_at(points, at_ns), truth = leak_at(at_ns);

		if (count != 5000 && (count < truth || count > truth + 1))
			fail_msg("%lld instead of %lld", (long long)count, (long long)truth);
	}
	assert_int_equal(count_at(points, T0 + 40 * DAY + 6 * MINUTE), 5000);
	assert_int_equal(count_at(points, T0 + 50 * DAY + 6 * MINUTE), 5000);
	assert_in_range(points->len, 720, 8000);
	/* nothing that arrived was lost */
	points = ask_points(fixture, 5, now_ns - 3 * DAY, now_ns - 2 * DAY);
	assert_in_range(points->len, 100, 200);
	close_history(fixture);
	assert_string_equal(ask(fixture, "PRAGMA integrity_check"), "ok");
}

static void arrivals_and_departures_are_added_up_when_steps_become_coarser(void **state)
{
	struct fixture *fixture = *state;
	const struct points *points;
	struct lm_snapshot_site site = site_of(LEAK, 7, 5);

	open_history(fixture);
	site.arrived = 3;
	site.departed = 2;
	for (int i = 0; i < 2000; i++)
		MUST(report(fixture->history, T0 + i * 10 * S, &site, 1));
	for (int64_t age_ns = DAY; age_ns < 20 * DAY; age_ns += 2 * DAY) {
		int64_t arrived = 0, departed = 0;

		MUST(lm_history_thin(fixture->history, T0 + age_ns, UINT64_MAX));
		points = ask_points(fixture, LEAK, 0, 0);
		for (size_t i = 0; i < points->len; i++) {
			arrived += points->items[i].arrived;
			departed += points->items[i].departed;
		}
		/* the last five reports changed no count and wait for the next minute */
		assert_in_range(arrived, 3 * 1994, 3 * 2000);
		assert_int_equal(departed * 3, arrived * 2);
	}
	assert_int_equal(points->len, 6);
}

static void a_history_that_must_be_smaller_becomes_smaller(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_site sites[100];
	int64_t now_ns = T0, large;

	open_history(fixture);
	for (int i = 0; i < 1000; i++, now_ns += 10 * S) {
		for (size_t j = 0; j < LEN(sites); j++)
			sites[j] = site_of(j + 1, 7, i + (int64_t)j);
		MUST(report(fixture->history, now_ns, sites, LEN(sites)));
	}
	large = lm_history_bytes(fixture->history);
	assert_true(large > 4 << 20);
	lm_history_set_max_bytes(fixture->history, 1 << 20);
	/* the limit holds from here on: there is no room but what is not used */
	MUST(lm_history_begin(fixture->history, now_ns));
	lm_history_abandon(fixture->history);
	MUST(lm_history_thin(fixture->history, now_ns, UINT64_MAX));
	reopen(fixture);
	assert_in_range(lm_history_bytes(fixture->history), 1, 1 << 20);
	assert_true(ask_points(fixture, 1, 0, 0)->len > 0);
}

/* A program that makes up sites as it runs. */
static void a_flood_of_sites_is_bounded_and_told(void **state)
{
	static struct lm_snapshot_site sites[1500];
	struct fixture *fixture = *state;
	int64_t now_ns = T0;
	bool told = false;

	fixture->config.max_bytes = 2 << 20;
	open_history(fixture);
	for (int i = 0; i < 200; i++, now_ns += 10 * S) {
		for (size_t j = 0; j < LEN(sites); j++)
			sites[j] = site_of((uint64_t)i * 10000 + j / 2 + 1, (uint32_t)j, 1 + i % 3);
		MUST(report(fixture->history, now_ns, sites, LEN(sites)));
		told |= lm_history_trouble(fixture->history) &&
			strstr(lm_history_trouble(fixture->history), "were left out");
		MUST(lm_history_thin(fixture->history, now_ns, 20000000));
		assert_in_range(lm_history_bytes(fixture->history), 1, (2 << 20) + (2 << 20) / 10);
	}
	assert_true(told);
	/* when it is over there is room again */
	for (int i = 0; i < 200; i++, now_ns += 10 * S) {
		put(fixture, now_ns, 5);
		MUST(lm_history_thin(fixture->history, now_ns, 20000000));
	}
	assert_null(lm_history_trouble(fixture->history));
	assert_int_equal(count_at(ask_points(fixture, LEAK, 0, 0), now_ns - 20 * S), 5);
}

static void what_was_written_while_the_clock_was_wrong_does_not_stay_for_ever(void **state)
{
	struct fixture *fixture = *state;
	struct lm_change change = change_of("a", LM_CHANGE_FOUND, T0 + 3650 * DAY, LEAK);

	open_history(fixture);
	put(fixture, T0, 1);
	put(fixture, T0 + 3650 * DAY, 2);
	put_change(fixture, &change);
	put(fixture, T0 + MINUTE, 3);
	MUST(lm_history_thin(fixture->history, T0 + MINUTE, UINT64_MAX));
	assert_int_equal(count_at(ask_points(fixture, LEAK, 0, 0), T0 + MINUTE), 3);
	close_history(fixture);
	assert_string_equal(ask(fixture, "SELECT max(at_ns) / 1000000000 FROM changes"), "1795438860");
	assert_string_equal(ask(fixture, "SELECT count(*) FROM points"), "2");
}

static void damage(const struct fixture *fixture, const char *name, off_t at, size_t len)
{
	int fd = open(file_of(fixture, name), O_RDWR | O_CREAT, 0600);
	char bytes[4096];

	memset(bytes, 0xa5, sizeof(bytes));
	assert_true(fd >= 0);
	for (size_t done = 0; done < len; done += sizeof(bytes))
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at + (off_t)done), sizeof(bytes));
	close(fd);
}

static void a_database_that_is_broken_is_put_aside(void **state)
{
	struct fixture *fixture = *state;
	struct stat st;

	for (int round = 0; round < 3; round++) {
		open_history(fixture);
		put(fixture, T0 + round * 10 * S, 5);
		close_history(fixture);
		damage(fixture, "history.db", round == 1 ? 3 * 4096 : 0, round == 2 ? 100 * 4096 : 4096);
		open_history(fixture);
		assert_non_null(strstr(fixture->why, "was broken ("));
		assert_null(lm_history_trouble(fixture->history));
		put(fixture, T0 + round * 10 * S + S, 6);
		assert_int_equal(ask_points(fixture, LEAK, 0, 0)->len, 1);
		assert_int_equal(stat(file_of(fixture, "history.db.broken"), &st), 0);
		close_history(fixture);
	}
	/* the last one, of which there is one only */
	assert_int_equal(st.st_size, 100 * 4096);
}

/* The pages that are not in memory are found broken when they are read. */
static void a_database_that_breaks_while_it_is_used_is_put_aside(void **state)
{
	struct fixture *fixture = *state;
	struct lm_snapshot_site sites[100];
	int error = 0;

	open_history(fixture);
	for (int i = 0; i < 1000; i++) {
		for (size_t j = 0; j < LEN(sites); j++)
			sites[j] = site_of(j + 1, 7, i + (int64_t)j);
		MUST(report(fixture->history, T0 + i * 10 * S, sites, LEN(sites)));
	}
	damage(fixture, "history.db", 4096, 700 * 4096);
	for (int i = 1000; i < 1100 && !error; i++)
		error = lm_history_thin(fixture->history, T0 + i * 10 * HOUR, 1000000);
	assert_int_equal(error, -EBADMSG);
	assert_non_null(strstr(lm_history_trouble(fixture->history), "put aside"));
	put(fixture, T0 + DAY, 6);
	assert_null(lm_history_trouble(fixture->history));
	assert_int_equal(ask_points(fixture, LEAK, 0, 0)->len, 1);
	assert_int_equal(access(file_of(fixture, "history.db.broken"), F_OK), 0);
	close_history(fixture);
	assert_string_equal(ask(fixture, "PRAGMA integrity_check"), "ok");
}

static void a_database_of_a_newer_version_is_left_alone(void **state)
{
	struct fixture *fixture = *state;

	open_history(fixture);
	put(fixture, T0, 5);
	close_history(fixture);
	ask(fixture, "PRAGMA user_version = 99");
	assert_int_equal(lm_history_open(&fixture->config, &fixture->history, fixture->why), -EPROTONOSUPPORT);
	assert_non_null(strstr(fixture->why, "newer leakmon"));
	assert_string_equal(ask(fixture, "SELECT count(*) FROM points"), "1");
	ask(fixture, "PRAGMA user_version = 1");
	open_history(fixture);
}

/* The directory is taken away and comes back, as that of a disk that was not mounted. */
static void a_database_that_was_lost_is_made_again(void **state)
{
	struct fixture *fixture = *state;
	int error;

	open_history(fixture);
	put(fixture, T0, 5);
	close_history(fixture);
	assert_int_equal(mkdir(file_of(fixture, "history.db.broken-wal"), 0700), 0);
	damage(fixture, "history.db", 0, 4096);
	error = lm_history_open(&fixture->config, &fixture->history, fixture->why);
	assert_int_equal(error, -EISDIR);
	assert_non_null(strstr(fixture->why, "cannot be renamed"));
	assert_int_equal(rmdir(file_of(fixture, "history.db.broken-wal")), 0);
	open_history(fixture);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(the_directory_and_its_files_are_for_us_alone),
		TEST(what_others_could_have_prepared_is_refused),
		TEST(a_directory_that_cannot_be_made_is_named),
		TEST(a_second_one_is_told_that_the_first_is_there),
		TEST(what_is_not_known_is_not_found),
		TEST(counts_come_back_as_they_were),
		TEST(a_site_that_does_not_change_costs_nothing_and_its_count_holds),
		TEST(a_site_that_is_gone_ends_with_nothing),
		TEST(nothing_is_said_of_a_time_without_watching),
		TEST(a_site_that_did_not_come_back_after_an_interruption_does_not_go_on),
		TEST(what_comes_late_is_added_to_what_is_there),
		TEST(a_transaction_that_was_abandoned_never_was),
		TEST(a_site_is_kept_with_the_best_stack_that_was_seen),
		TEST(go_programs_are_kept_with_their_heaps),
		TEST(changes_are_told_newest_first),
		TEST(findings_that_have_not_ended_are_known_after_a_restart_but_not_after_a_boot),
		TEST(what_the_monitor_remembers_comes_back),
		TEST(too_many_points_are_put_together_evenly),
		TEST(a_month_is_kept_in_coarser_and_coarser_steps),
		TEST(arrivals_and_departures_are_added_up_when_steps_become_coarser),
		TEST(a_history_that_must_be_smaller_becomes_smaller),
		TEST(a_flood_of_sites_is_bounded_and_told),
		TEST(what_was_written_while_the_clock_was_wrong_does_not_stay_for_ever),
		TEST(a_database_that_is_broken_is_put_aside),
		TEST(a_database_that_breaks_while_it_is_used_is_put_aside),
		TEST(a_database_of_a_newer_version_is_left_alone),
		TEST(a_database_that_was_lost_is_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
