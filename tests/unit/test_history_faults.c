// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything that can fail fails, one call after the other: reading, writing and all else that the database asks of
 * the disk, and every allocation. And a kill at any moment. What was committed is there afterwards, and whole. SEED
 * says which moments to repeat.
 */
#include "history_fixture.h"

#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define KILLS 200
#define KILL_WITHIN_NS 12000000

/* What fails: the call of this number, and those after it if it goes on. */
enum fault_of { OF_NOTHING, OF_DISK, OF_MEMORY };
static struct {
	enum fault_of of;
	bool goes_on;
	int calls, fail_at;
} fault;

static bool fails(enum fault_of of)
{
	int call;

	if (fault.of != of)
		return false;
	call = fault.calls++;
	return fault.goes_on ? call >= fault.fail_at : call == fault.fail_at;
}

/* A disk that fails, between SQLite and the real one. */
enum disk_fault { DISK_ERROR, DISK_FULL, DISK_SHORT_WRITE, DISK_FAULTS };

static enum disk_fault disk_fault;
static sqlite3_vfs disk, *real_disk;

struct disk_file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct disk_file *)file)->real;
}

static int file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
	return fails(OF_DISK) ? SQLITE_IOERR_READ : real_of(file)->pMethods->xRead(real_of(file), bytes, len, at);
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
	sqlite3_file *real = real_of(file);

	if (!fails(OF_DISK))
		return real->pMethods->xWrite(real, bytes, len, at);
	if (disk_fault == DISK_SHORT_WRITE)
		real->pMethods->xWrite(real, bytes, len / 2, at);
	return disk_fault == DISK_ERROR ? SQLITE_IOERR_WRITE : SQLITE_FULL;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return fails(OF_DISK) ? SQLITE_IOERR_TRUNCATE : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	return fails(OF_DISK) ? SQLITE_IOERR_FSYNC : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return fails(OF_DISK) ? SQLITE_IOERR_FSTAT : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
	return fails(OF_DISK) ? SQLITE_IOERR_LOCK : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *is_locked)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), is_locked);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
};

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	struct disk_file *made = (struct disk_file *)file;
	int result;

	(void)vfs;
	file->pMethods = NULL;
	if (fails(OF_DISK))
		return SQLITE_CANTOPEN;
	made->real = (sqlite3_file *)(made + 1);
	result = real_disk->xOpen(real_disk, name, made->real, flags, out_flags);
	if (made->real->pMethods)
		file->pMethods = &file_methods;
	return result;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs;
	return fails(OF_DISK) ? SQLITE_IOERR_DELETE : real_disk->xDelete(real_disk, name, sync);
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
	(void)vfs;
	return fails(OF_DISK) ? SQLITE_IOERR_ACCESS : real_disk->xAccess(real_disk, name, flags, result);
}

static int disk_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	(void)vfs;
	return real_disk->xFullPathname(real_disk, name, size, out);
}

static void put_disk_between(void)
{
	real_disk = sqlite3_vfs_find(NULL);
	disk = *real_disk;
	disk.zName = "failing";
	disk.pNext = NULL;
	disk.szOsFile = (int)sizeof(struct disk_file) + real_disk->szOsFile;
	disk.xOpen = disk_open;
	disk.xDelete = disk_delete;
	disk.xAccess = disk_access;
	disk.xFullPathname = disk_name;
	assert_int_equal(sqlite3_vfs_register(&disk, 1), SQLITE_OK);
}

/* The work that is disturbed: each transaction writes its number as a change, as a memory and as a count. */
static const struct lm_history_memory_key number_key = {.site = 77};

static struct lm_snapshot_site numbered_site(int64_t number)
{
	static const struct lm_snapshot_frame stack[] = {{.function = "wait", .module = "a\x01z", .offset = 1}};

	return (struct lm_snapshot_site){.site = 1 + (uint64_t)number % 3,
		.pid = 7,
		.comm = "a",
		.count = number,
		.stack = stack,
		.stack_len = 1};
}

static int write_number(struct lm_history *history, int64_t number)
{
	struct lm_snapshot_site site = numbered_site(number);
	struct lm_snapshot_go go = {.goroutines = number};
	struct lm_snapshot_process process = {.pid = 9, .comm = "go", .go = &go};
	struct lm_snapshot snapshot = {
		.interval_s = 10, .sites = &site, .sites_len = 1, .processes = &process, .processes_len = 1};
	struct lm_change change = {
		.kind = LM_CHANGE_FOUND, .at_ns = T0 + number, .id = "a", .level = LM_LEVEL_LIKELY, .summary = "words"};
	int error = lm_history_begin(history, T0 + number * 10 * S);

	error = error ? error : lm_history_put_snapshot(history, &snapshot);
	error = error ? error : lm_history_put_change(history, &change);
	error = error ? error : lm_history_put_memory(history, &number_key, &number, sizeof(number));
	if (error) {
		assert_non_null(lm_history_trouble(history));
		/* what is put after that is not written either */
		assert_int_not_equal(lm_history_put_change(history, &change), 0);
		assert_int_not_equal(lm_history_end(history), 0);
		return error;
	}
	return lm_history_end(history);
}

static void see_point(const struct lm_history_point *point, void *context)
{
	(void)context;
	assert_in_range(point->count, 0, 1000000);
}

static void see_go_point(const struct lm_history_go_point *point, void *context)
{
	(void)point;
	(void)context;
}

static void see_change(const struct lm_change *change, void *context)
{
	(void)context;
	assert_string_equal(change->summary, "words");
}

static void see_site(const struct lm_history_site *site, void *context)
{
	(void)context;
	assert_int_equal(site->site, 1);
}

static int ask_all(struct lm_history *history)
{
	void *bytes = NULL;
	size_t len;
	int error = lm_history_points(history, 1, 0, 0, see_point, NULL);

	error = error ? error : lm_history_go_points(history, 0, 0, 0, see_go_point, NULL);
	error = error ? error : lm_history_changes(history, 0, 0, 0, 10, see_change, NULL);
	error = error ? error : lm_history_open_findings(history, see_change, NULL);
	error = error ? error : lm_history_site(history, 1, see_site, NULL);
	error = error ? error : lm_history_get_memory(history, &number_key, &bytes, &len);
	free(bytes);
	return error;
}

struct work {
	int64_t committed, tried; /* the last number */
	int errors;
};

/* A day of it. An error is allowed anywhere, and the next call may work again. */
static void do_work(struct fixture *fixture, struct work *work)
{
	int error = lm_history_open(&fixture->config, &fixture->history, fixture->why);

	*work = (struct work){.errors = error != 0};
	if (error) {
		assert_true(fixture->why[0]);
		return;
	}
	while (work->tried < 6) {
		work->tried++;
		error = write_number(fixture->history, work->tried);
		work->errors += error != 0;
		if (!error)
			work->committed = work->tried;
		if (work->tried == 3)
			work->errors += ask_all(fixture->history) != 0;
		/* days later: thinned, and the log written back */
		if (work->tried == 4)
			work->errors += lm_history_thin(fixture->history, T0 + DAY, 1000000000) != 0;
	}
	close_history(fixture);
}

static int64_t last_number(struct fixture *fixture)
{
	int64_t number = 0;
	void *bytes;
	size_t len;

	open_history(fixture);
	assert_string_equal(fixture->why, "");
	if (lm_history_get_memory(fixture->history, &number_key, &bytes, &len) == 0) {
		memcpy(&number, bytes, sizeof(number));
		free(bytes);
	}
	close_history(fixture);
	return number;
}

/* Opening it is what takes long: that is tried now and then only. */
static void check_work(struct fixture *fixture, const struct work *work)
{
	bool is_opened = fault.fail_at % 8 == 0 || !work->errors;
	int64_t number = is_opened ? last_number(fixture) : 0, changed;
	const char *answer;

	assert_int_equal(access(file_of(fixture, "history.db.broken"), F_OK), -1);
	/* one that failed before its first table is there is empty */
	answer = ask(fixture,
		"SELECT integrity_check || ' ' || (SELECT count(*) FROM sqlite_schema) FROM pragma_integrity_check");
	if (strcmp(answer, "ok 0") == 0) {
		assert_int_equal(work->committed, 0);
		return;
	}
	assert_memory_equal(answer, "ok ", 3);
	changed = atoll(ask(fixture, "SELECT ifnull(max(at_ns) - 1795435200000000000, 0) FROM changes"));
	if (is_opened)
		assert_int_equal(changed, number);
	/* a transaction that failed may be there all the same if what failed came after it was written: it is whole */
	assert_in_range(changed, work->committed, work->tried);
}

static void remove_database(const struct fixture *fixture)
{
	unlink(file_of(fixture, "history.db"));
	unlink(file_of(fixture, "history.db-wal"));
	unlink(file_of(fixture, "history.db-journal"));
}

/* Lets one call after the other fail until one is asked for that never comes. Returns how many there were. */
static int fail_each(struct fixture *fixture, enum fault_of of, bool goes_on, int first, int every)
{
	struct work work;
	int fail_at = first;

	do {
		remove_database(fixture);
		fault.of = of;
		fault.goes_on = goes_on;
		fault.calls = 0;
		fault.fail_at = fail_at;
		do_work(fixture, &work);
		fault.of = OF_NOTHING;
		check_work(fixture, &work);
		fail_at += every;
	} while (fault.calls > fault.fail_at);
	assert_int_equal(work.errors, 0);
	return fault.calls;
}

static void a_disk_that_fails_at_any_call_costs_what_was_under_way(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.max_bytes = 1 << 20;
	for (disk_fault = 0; disk_fault < DISK_FAULTS; disk_fault++) {
		assert_in_range(fail_each(fixture, OF_DISK, false, 0, 1), 50, 10000);
		assert_in_range(fail_each(fixture, OF_DISK, true, 0, 1), 50, 10000);
	}
}

/* Every allocation: of all code; with sanitizers, which have their own, of SQLite and the JSON library. */
#ifdef __SANITIZE_ADDRESS__
#define ALLOCATIONS_EVERY 29

static sqlite3_mem_methods real_memory;

static void *sqlite_malloc(int size)
{
	return fails(OF_MEMORY) ? NULL : real_memory.xMalloc(size);
}

static void *sqlite_realloc(void *block, int size)
{
	return fails(OF_MEMORY) ? NULL : real_memory.xRealloc(block, size);
}

static void *json_memory(size_t size)
{
	return fails(OF_MEMORY) ? NULL : malloc(size);
}

static void put_memory_between(void)
{
	sqlite3_mem_methods methods;

	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
	methods = real_memory;
	methods.xMalloc = sqlite_malloc;
	methods.xRealloc = sqlite_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
	json_set_alloc_funcs(json_memory, free);
}
#else
#define ALLOCATIONS_EVERY 3 /* of 6,000: which third is chance */

/* glibc's own, behind the names that are taken here */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

void *malloc(size_t size)
{
	return fails(OF_MEMORY) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(OF_MEMORY) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
	return fails(OF_MEMORY) ? NULL : __libc_realloc(block, size);
}

static void put_memory_between(void)
{
}
#endif

static void seed(void)
{
	const char *given = getenv("SEED");
	unsigned number = given ? (unsigned)atoi(given) : (unsigned)time(NULL);

	print_message("SEED=%u\n", number);
	srandom(number);
}

static void memory_that_is_short_at_any_moment_costs_what_was_under_way(void **state)
{
	struct fixture *fixture = *state;
	int first;

	seed();
	first = (int)(random() % ALLOCATIONS_EVERY);
	assert_in_range(fail_each(fixture, OF_MEMORY, false, first, ALLOCATIONS_EVERY), 1000, 100000);
	assert_in_range(fail_each(fixture, OF_MEMORY, true, first, 10 * ALLOCATIONS_EVERY), 1000, 100000);
}

/* Writes one transaction after the other, and the number of each that is committed to the pipe. */
static void write_for_ever(struct fixture *fixture, int64_t number, int to_parent)
{
	if (lm_history_open(&fixture->config, &fixture->history, fixture->why))
		_exit(1);
	for (;; number++) {
		if (write_number(fixture->history, number) ||
			write(to_parent, &number, sizeof(number)) != sizeof(number))
			_exit(2);
		if (number % 10 == 0 && lm_history_thin(fixture->history, T0 + number * 10 * S, 1000000))
			_exit(3);
	}
}

/* Kills it at a random moment. Returns the last number that it said was committed. */
static int64_t kill_a_writer(struct fixture *fixture, int64_t number)
{
	struct timespec moment = {.tv_nsec = random() % KILL_WITHIN_NS};
	int64_t committed = number - 1, said;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(ends[0]);
		write_for_ever(fixture, number, ends[1]);
	}
	close(ends[1]);
	nanosleep(&moment, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		fail_msg("the writer ended by itself: %d", WEXITSTATUS(status));
	while (read(ends[0], &said, sizeof(said)) == sizeof(said))
		committed = said;
	close(ends[0]);
	return committed;
}

static void a_kill_at_any_moment_costs_the_transaction_under_way_at_most(void **state)
{
	struct fixture *fixture = *state;
	int64_t number = 0;

	seed();
	/* a small one writes its log back often */
	fixture->config.max_bytes = 1 << 20;
	for (int i = 0; i < KILLS; i++) {
		int64_t committed = kill_a_writer(fixture, number + 1);
		int64_t there = last_number(fixture);

		assert_in_range(there, committed, committed + 1);
		assert_string_equal(ask(fixture, "PRAGMA integrity_check"), "ok");
		number = there;
	}
	assert_true(number > 0);
	assert_int_equal(access(file_of(fixture, "history.db.broken"), F_OK), -1);
	assert_int_equal(atoll(ask(fixture, "SELECT max(at_ns) - 1795435200000000000 FROM changes")), number);
	print_message("%lld transactions\n", (long long)number);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_disk_that_fails_at_any_call_costs_what_was_under_way),
		TEST(memory_that_is_short_at_any_moment_costs_what_was_under_way),
		TEST(a_kill_at_any_moment_costs_the_transaction_under_way_at_most),
	};

	put_memory_between();
	put_disk_between();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
