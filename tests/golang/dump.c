// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints the goroutines of a process as Go's own dump on SIGQUIT does, so that the two can be compared:
 *   go-dump [--all] [--details] [--layout] [--looks N] PID
 * --all: the runtime's own goroutines and functions too. --looks: N looks, 1 s apart, and how long each took.
 * --layout: no goroutines, but where the layout of the runtime's structs is from.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/golang/goroutines.h"
#include "user/golang/goroutines_state.h"
#include "user/proc.h"

#define LINES_MAX 64
#define RECORDS_MAX 4096
#define MINUTE_NS 60000000000ull

struct options {
	bool all, details, layout;
	long looks;
	pid_t pid;
};

struct target {
	int mem_fd;
	struct lm_maps maps;
	struct lm_elf *elf;
	struct lm_region *regions;
	size_t regions_len;
	struct lm_go_tables *tables;
	struct lm_goroutines *goroutines;
	struct lm_go_record *records; /* by index */
	size_t records_len;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {{"all", no_argument, NULL, 'a'}, {"details", no_argument, NULL, 'd'},
		{"layout", no_argument, NULL, 'y'}, {"looks", required_argument, NULL, 'l'}, {NULL, 0, NULL, 0}};

	*options = (struct options){.looks = 1};
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (option) {
		case 'a':
			options->all = true;
			break;
		case 'd':
			options->details = true;
			break;
		case 'y':
			options->layout = true;
			break;
		case 'l':
			options->looks = strtol(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	if (optind + 1 != argc)
		return false;
	options->pid = strtol(argv[optind], NULL, 10);
	return options->pid > 0 && options->looks > 0;
}

/* What the worker is told: mappings with code, and of the program its file. */
static bool make_regions(struct target *target, pid_t pid)
{
	char path[64], *exe = NULL;
	int fd;

	if (lm_proc_maps("/proc", pid, &target->maps))
		return false;
	lm_proc_exe("/proc", pid, &exe);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && lm_elf_open(fd, &target->elf))
		target->elf = NULL;
	target->regions = calloc(target->maps.len + 1, sizeof(*target->regions));
	for (size_t i = 0; target->regions && i < target->maps.len; i++) {
		const struct lm_map *map = &target->maps.maps[i];
		bool is_exe = exe && map->inode && strcmp(map->path, exe) == 0;

		if (!map->executable)
			continue;
		target->regions[target->regions_len++] = (struct lm_region){
			.start = map->start,
			.end = map->end,
			.file_offset = map->inode ? map->file_offset : 0,
			.module = is_exe ? 1 : (map->inode ? 2 + i : LM_MODULE_NONE),
			.executable = true,
			.elf = is_exe ? target->elf : NULL,
		};
	}
	free(exe);
	return target->regions;
}

static bool open_target(struct target *target, pid_t pid)
{
	char path[64];
	const char *why = NULL;
	int error;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	target->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (target->mem_fd < 0 || !make_regions(target, pid)) {
		fprintf(stderr, "go-dump: process %d cannot be read\n", pid);
		return false;
	}
	error = lm_go_tables_open(target->mem_fd, target->regions, target->regions_len, &target->tables, &why);
	if (!error)
		error = lm_goroutines_new(target->mem_fd, target->tables, target->regions, target->regions_len,
			&target->goroutines, &why);
	if (error)
		fprintf(stderr, "go-dump: process %d: %s (%s)\n", pid, why ? why : "no Go program", strerror(-error));
	return !error;
}

static void close_target(struct target *target)
{
	lm_goroutines_free(target->goroutines);
	lm_go_tables_free(target->tables);
	lm_elf_free(target->elf);
	lm_maps_free(&target->maps);
	free(target->regions);
	free(target->records);
	if (target->mem_fd >= 0)
		close(target->mem_fd);
}

static bool take_record(struct target *target, const struct lm_go_record *record)
{
	if (record->index >= target->records_len) {
		size_t len = record->index + record->index / 4 + 64;
		struct lm_go_record *grown = reallocarray(target->records, len, sizeof(*grown));

		if (!grown)
			return false;
		memset(grown + target->records_len, 0, (len - target->records_len) * sizeof(*grown));
		target->records = grown;
		target->records_len = len;
	}
	target->records[record->index] = *record;
	return true;
}

static bool look(struct target *target, bool print_time)
{
	struct lm_go_record records[RECORDS_MAX];
	const char *why = NULL;
	uint64_t start = now_ns(), looked;
	size_t len, changes = 0;
	int error = lm_goroutines_look(target->goroutines, UINT64_MAX, &why);

	looked = now_ns();
	if (error) {
		fprintf(stderr, "go-dump: %s (%s)\n", why ? why : "no look", strerror(-error));
		return false;
	}
	while ((len = lm_goroutines_changes(target->goroutines, records, RECORDS_MAX))) {
		for (size_t i = 0; i < len; i++) {
			if (!take_record(target, &records[i]))
				return false;
		}
		changes += len;
	}
	if (print_time)
		printf("look %.3f ms changes %zu in %.3f ms moved %" PRIu64 " not_unwound %" PRIu64 " bytes %zu\n",
			(looked - start) / 1e6, changes, (now_ns() - looked) / 1e6,
			lm_goroutines_summary(target->goroutines)->moved,
			lm_goroutines_summary(target->goroutines)->not_unwound,
			lm_goroutines_bytes(target->goroutines));
	return true;
}

/* As runtime.showframe has it. */
static bool is_shown(const struct options *options, const struct lm_go_line *line, bool first)
{
	const char *function = line->function;

	if (options->all)
		return true;
	if (!function || (line->file && strcmp(line->file, "<autogenerated>") == 0))
		return false;
	if (strcmp(function, "runtime.gopanic") == 0 || strcmp(function, "panic") == 0)
		return !first;
	return strchr(function, '.') &&
	       (strncmp(function, "runtime.", 8) != 0 || (function[8] >= 'A' && function[8] <= 'Z'));
}

/* Arguments are not known; of what was inlined Go does not know them either. */
static void print_line(const struct lm_go_line *line)
{
	printf("%s(%s)\n\t%s:%u\n", line->function ? line->function : "?", line->inlined ? "..." : "",
		line->file ? line->file : "?", line->line);
}

/* Function and place are those of the code that was compiled, inlined or not. */
static void print_creator(
	struct target *target, const struct options *options, const struct lm_go_record *record, uint64_t creator_pc)
{
	struct lm_go_line lines[LINES_MAX];
	size_t len = lm_go_tables_lines(target->tables, creator_pc, false, lines, LINES_MAX);

	if (!len || record->goid == 1 || !is_shown(options, &lines[len - 1], false))
		return;
	printf("created by %s", lines[len - 1].function ? lines[len - 1].function : "?");
	if (record->parent_goid)
		printf(" in goroutine %" PRIu64, record->parent_goid);
	printf("\n\t%s:%u\n", lines[0].file ? lines[0].file : "?", lines[0].line);
}

static void print_stack(struct target *target, const struct options *options, const struct lm_go_record *record)
{
	const uint64_t *pcs = NULL;
	uint64_t creator_pc = 0;
	bool first_exact = false;
	size_t len = lm_goroutines_stack(target->goroutines, record->stack, &pcs, &creator_pc, &first_exact);

	for (size_t i = 0; i < len; i++) {
		struct lm_go_line lines[LINES_MAX];
		size_t lines_len = lm_go_tables_lines(target->tables, pcs[i], i == 0 && first_exact, lines, LINES_MAX);

		for (size_t line = 0; line < lines_len; line++) {
			if (is_shown(options, &lines[line], i == 0 && line == 0))
				print_line(&lines[line]);
		}
	}
	if (creator_pc)
		print_creator(target, options, record, creator_pc);
}

static const char *name_of(const struct target *target, const struct lm_go_record *record)
{
	const char *reason = lm_goroutines_reason(target->goroutines, record->reason);

	if (record->state == LM_GO_RUNNING)
		return "running";
	if (record->state == LM_GO_MOVED)
		return "moved";
	if (record->state == LM_GO_SYSCALL)
		return "syscall";
	return reason && *reason ? reason : "waiting";
}

static void print_details(struct target *target, const struct lm_go_record *record)
{
	struct lm_go_details details;

	printf("state %u flags %s%s%s%s%s%s object %#" PRIx64 " objects %u stack %u bytes %u\n", record->state,
		record->flags & LM_GO_SYSTEM ? "s" : "-", record->flags & LM_GO_RAN ? "r" : "-",
		record->flags & LM_GO_TIMED ? "t" : "-", record->flags & LM_GO_LOCKED ? "l" : "-",
		record->flags & LM_GO_LABELLED ? "p" : "-", record->flags & LM_GO_UNWOUND ? "u" : "-", record->object,
		record->objects, record->stack, record->stack_bytes);
	if (!lm_goroutines_details(target->goroutines, record->index, record->goid, &details))
		return;
	if (details.channel.address)
		printf("channel %#" PRIx64 " len %" PRIu64 " cap %" PRIu64
		       " elem %u closed %u senders %u receivers %u\n",
			details.channel.address, details.channel.len, details.channel.cap, details.channel.elem_bytes,
			details.channel.closed, details.channel.senders, details.channel.receivers);
	if (details.labels[0])
		printf("labels %s\n", details.labels);
}

static int compare_goids(const void *a, const void *b)
{
	const struct lm_go_record *x = a, *y = b;

	return x->goid < y->goid ? -1 : x->goid > y->goid;
}

static uint64_t minutes_of(const struct lm_go_record *record)
{
	uint64_t now = now_ns();

	return record->wait_since_ns && record->wait_since_ns < now ? (now - record->wait_since_ns) / MINUTE_NS : 0;
}

static void print_goroutines(struct target *target, const struct options *options)
{
	qsort(target->records, target->records_len, sizeof(*target->records), compare_goids);
	for (size_t i = 0; i < target->records_len; i++) {
		const struct lm_go_record *record = &target->records[i];
		uint64_t minutes = minutes_of(record);

		if (record->state == LM_GO_GONE || (record->flags & LM_GO_SYSTEM && !options->all))
			continue;
		printf("\ngoroutine %" PRIu64 " [%s", record->goid, name_of(target, record));
		if (minutes)
			printf(", %" PRIu64 " minutes", minutes);
		printf("%s]:\n", record->flags & LM_GO_LOCKED ? ", locked to thread" : "");
		print_stack(target, options, record);
		if (options->details)
			print_details(target, record);
	}
}

static void print_summary(const struct lm_go_summary *summary)
{
	printf("version %s goroutines %" PRIu64 " system %" PRIu64 " gc %" PRId64 " heap %" PRId64 " newest %" PRIu64
	       "\n",
		summary->version, summary->goroutines, summary->system, summary->gc_count, summary->heap_live_bytes,
		summary->newest_goid);
	if (summary->no_gc)
		printf("no_gc %s\n", summary->no_gc);
	if (summary->no_objects)
		printf("no_objects %s\n", summary->no_objects);
}

/* From the program's debug information or the table, and whether the two are the same. */
static void print_layout(const struct target *target)
{
	const struct lm_go_runtime *runtime = &target->goroutines->runtime;
	struct lm_go_runtime_layout used = *runtime->layout;
	const struct lm_go_runtime_layout *table;
	int minor;

	lm_go_tables_version(target->tables, &minor);
	table = lm_go_runtime_layout_of(minor);
	used.minor = table->minor;
	used.g.bytes = table->g.bytes;
	printf("layout %s %s\n", runtime->is_from_debug ? "debug" : "table",
		memcmp(&used, table, sizeof(used)) == 0 ? "same" : "differs");
}

int main(int argc, char **argv)
{
	struct target target = {.mem_fd = -1};
	struct options options;
	bool good;

	if (!parse_options(argc, argv, &options)) {
		fprintf(stderr, "usage: go-dump [--all] [--details] [--layout] [--looks N] PID\n");
		return 2;
	}
	elf_version(EV_CURRENT);
	good = open_target(&target, options.pid);
	if (good && options.layout)
		print_layout(&target);
	for (long i = 0; good && !options.layout && i < options.looks; i++) {
		if (i)
			sleep(1);
		good = look(&target, options.looks > 1);
	}
	if (good && !options.layout) {
		print_summary(lm_goroutines_summary(target.goroutines));
		if (options.looks == 1)
			print_goroutines(&target, &options);
	}
	close_target(&target);
	return good ? 0 : 1;
}
