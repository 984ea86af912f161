// SPDX-License-Identifier: GPL-2.0-or-later
/* What the monitor knows again after a restart, through a real history; and that nothing is taken for written that was
 * undone. */
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "monitor_fixture.h"
#include "user/session_memory.h"

#define MINUTE (60 * S)
#define THREADS 30
#define FIRST (PROCESS_START + 10 * MINUTE) /* the first of them comes */
#define WALL INT64_C(1795435200000000000)

static char directory[64];
static struct lm_history *history;

static int open_history(void)
{
	const struct lm_history_config config = {
		.directory = directory,
		.retention_ns = LM_HISTORY_RETENTION_NS,
		.max_bytes = LM_HISTORY_MAX_BYTES,
		.boot_id = "boot-1",
	};
	char why[256];

	return lm_history_open(&config, &history, why);
}

static int begin_all(void **state)
{
	snprintf(directory, sizeof(directory), "%s/leakmon-memory-XXXXXX",
		access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(directory) || open_history())
		return -1;
	return set_up(state);
}

static int end_all(void **state)
{
	DIR *files;
	struct dirent *file;

	lm_history_close(history);
	files = opendir(directory);
	while (files && (file = readdir(files))) {
		if (file->d_name[0] != '.')
			unlinkat(dirfd(files), file->d_name, 0);
	}
	closedir(files);
	rmdir(directory);
	return tear_down(state);
}

/* Thread i came i minutes after the first and waits since then. */
static struct lm_snapshot look_at_leaked(struct fixture *fixture, uint64_t now_ns, int len)
{
	struct lm_thread_record records[THREADS];

	for (int i = 0; i < len; i++) {
		records[i] = blocked(200 + i, FIRST + i * MINUTE, 3);
		records[i].regs.di = i; /* each reads from a descriptor of its own */
	}
	for (int i = 0; i < len; i += 16) /* the fixture unwinds 16 of them at a time */
		look_at(fixture, now_ns, records, len);
	return report(fixture);
}

/* Watches until all have come, one a minute: something is suspected then. */
static void watch_them_come(struct fixture *fixture)
{
	for (int i = 0; i < THREADS; i++) {
		struct lm_snapshot snapshot = look_at_leaked(fixture, FIRST + i * MINUTE + 2 * S, i + 1);

		assert_true(i < THREADS - 1 || snapshot.findings_len == 1);
		lm_snapshot_free(&snapshot);
	}
}

static void write_all(struct fixture *fixture, bool keep)
{
	assert_int_equal(lm_history_begin(history, WALL), 0);
	assert_int_equal(lm_session_remember(fixture->monitor, history), 0);
	if (keep)
		assert_int_equal(lm_history_end(history), 0);
	else
		lm_history_abandon(history);
	lm_session_remembered(fixture->monitor, keep);
}

/* leakmon is started again, with what the history knows, and looks once. */
static struct fixture *restart(struct lm_session_memory *memory)
{
	struct lm_snapshot snapshot;
	struct fixture *fixture;
	void *state;

	lm_history_close(history);
	assert_int_equal(open_history(), 0);
	assert_int_equal(set_up(&state), 0);
	fixture = state;
	*memory = (struct lm_session_memory){.monitor = fixture->monitor, .history = history};
	lm_session_recall(memory);
	snapshot = look_at_leaked(fixture, FIRST + THREADS * MINUTE, THREADS);
	assert_int_equal(snapshot.findings_len, 1);
	lm_snapshot_free(&snapshot);
	return fixture;
}

static bool knows(const struct lm_group *group, uint32_t pid)
{
	const struct lm_history_memory_key key = {
		.site = group->key.site,
		.kind = group->kind,
		.pid = pid,
		.process_start_ns = pid ? group->process->key.start_ns : 0,
	};
	void *bytes;
	size_t len;

	if (lm_history_get_memory(history, &key, &bytes, &len))
		return false;
	free(bytes);
	return true;
}

static void a_process_has_its_load_of_before(void **state)
{
	struct fixture *fixture = *state, *again;
	struct lm_session_memory memory;
	struct lm_process *process;
	uint32_t steps;

	watch_them_come(fixture);
	steps = fixture->monitor->processes->load.steps_len;
	assert_true(steps >= THREADS - 2);
	write_all(fixture, true);
	again = restart(&memory);
	process = again->monitor->processes;
	assert_true(process->load_recalled);
	assert_in_range(process->load.steps_len, steps, steps + 2);
	assert_true(process->load.begun_ns <= again->now_ns);
	tear_down((void **)&again);
}

static void the_load_of_a_process_without_suspicion_is_not_kept(void **state)
{
	struct fixture *fixture = *state;
	struct lm_history_memory_key key;
	struct lm_snapshot snapshot;
	void *bytes;
	size_t len;

	for (int i = 0; i < 5; i++) {
		snapshot = look_at_leaked(fixture, FIRST + i * MINUTE + 2 * S, i + 1);
		lm_snapshot_free(&snapshot);
	}
	assert_true(fixture->monitor->processes->load.steps_len > 0);
	write_all(fixture, true);
	key = (struct lm_history_memory_key){
		.pid = PID,
		.process_start_ns = fixture->monitor->processes->key.start_ns,
	};
	assert_int_equal(lm_history_get_memory(history, &key, &bytes, &len), -ENOENT);
}

static void what_was_undone_is_written_again(void **state)
{
	struct fixture *fixture = *state;
	struct lm_group *group;

	watch_them_come(fixture);
	group = fixture->monitor->groups.table;
	for (int i = 0; i < 40; i++)
		lm_groups_note_left(&fixture->monitor->groups, group, PROCESS_START, PROCESS_START + 5 * S);
	write_all(fixture, false);
	assert_false(knows(group, PID));
	assert_false(knows(group, 0));
	assert_int_equal(fixture->monitor->processes->load_saved_steps, 0);
	write_all(fixture, true);
	assert_true(knows(group, PID));
	assert_true(knows(group, 0));
	assert_int_not_equal(fixture->monitor->processes->load_saved_steps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_process_has_its_load_of_before, begin_all, end_all),
		cmocka_unit_test_setup_teardown(
			the_load_of_a_process_without_suspicion_is_not_kept, begin_all, end_all),
		cmocka_unit_test_setup_teardown(what_was_undone_is_written_again, begin_all, end_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
