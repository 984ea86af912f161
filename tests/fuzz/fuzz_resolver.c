// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Broken files for the resolver: samples with bytes changed, cut off and moved, read as the worker reads them. Each
 * round is a child, which may not crash nor take longer than its time; the seed of one that does is printed and
 * reproduces it
 * ("fuzz_resolver SAMPLE SEED"). Memory of a target is a file of noise.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/resolver/java_layout.h"
#include "user/resolver/names.h"
#include "user/resolver/perf_map.h"
#include "user/resolver/python_layout.h"
#include "user/resolver/rows.h"
#include "user/resolver/symbols.h"
#include "user/resolver/unwind.h"
#include "user/stacks.h"

#define ROUND_S 20
#define ADDRESSES 40
#define STACK 0x7f0000000000ull

static uint64_t state;

/* xorshift64*, Vigna 2016 */
static uint64_t noise(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static size_t below(size_t limit)
{
	return limit ? noise() % limit : 0;
}

static unsigned char *read_sample(const char *path, size_t *size)
{
	unsigned char *bytes;
	FILE *file = fopen(path, "re");
	struct stat st;

	if (!file || fstat(fileno(file), &st))
		return NULL;
	bytes = malloc(st.st_size + 1);
	if (bytes && fread(bytes, 1, st.st_size, file) != (size_t)st.st_size)
		return NULL;
	fclose(file);
	*size = st.st_size;
	return bytes;
}

/* Headers are hit more often than their share of the file. */
static size_t somewhere(size_t size)
{
	switch (below(3)) {
	case 0:
		return below(size < 4096 ? size : 4096);
	case 1:
		return size > 8192 ? size - 1 - below(8192) : below(size);
	default:
		return below(size);
	}
}

static void mutate(unsigned char *bytes, size_t *size)
{
	static const uint64_t interesting[] = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX};
	size_t changes = 1 + below(20);

	for (size_t i = 0; i<changes && * size> 128; i++) {
		size_t at = somewhere(*size - 16), len = 1u << below(4);
		uint64_t value = interesting[below(sizeof(interesting) / sizeof(interesting[0]))];

		switch (below(6)) {
		case 0:
			bytes[at] ^= 1u << below(8);
			break;
		case 1:
			bytes[at] = noise();
			break;
		case 2:
		case 3:
			memcpy(bytes + at, &value, len);
			break;
		case 4:
			memmove(bytes + at, bytes + below(*size - 16), len);
			break;
		default:
			if (below(10) == 0)
				*size -= below(*size / 2);
		}
	}
}

static int to_file(const unsigned char *bytes, size_t size)
{
	int fd = memfd_create("sample", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, bytes, size) == (ssize_t)size)
		return fd;
	perror("memfd");
	exit(2);
}

static void look_up(struct lm_elf *elf, struct lm_rows *rows)
{
	static struct lm_symbol_line lines[LM_INLINED_MAX];
	struct lm_python_symbols python;
	uint64_t variables[LM_JAVA_VARIABLES];
	struct timespec now;

	lm_elf_variables(elf, lm_java_variable_names, LM_JAVA_VARIABLES, variables);
	for (int i = 0; i < ADDRESSES; i++) {
		const struct lm_segment *segment = &elf->segments[below(elf->segments_len)];
		uint64_t start, vaddr = segment->vaddr + below(segment->size);

		clock_gettime(CLOCK_MONOTONIC, &now);
		elf->deadline_ns = now.tv_sec * 1000000000ull + now.tv_nsec + 100000000;
		lm_rows_find(rows, 1, elf, vaddr);
		lm_symbols_find(elf, vaddr, lines, LM_INLINED_MAX, &start);
		lm_symbols_start_between(elf, vaddr, vaddr + 100);
		if (i == ADDRESSES / 2)
			lm_elf_trim(elf);
	}
	lm_python_find_symbols(elf, &python);
}

/* A stack that holds nothing but addresses of code and of itself. */
static void walk(struct lm_elf *elf, struct lm_rows *rows)
{
	static struct lm_unwinder unwinder;
	static struct lm_frame_message frames[LM_STACK_MAX];
	static uint64_t words[8192];
	const struct lm_segment *segment = &elf->segments[0];
	const struct lm_region regions[] = {
		{.start = 0x10000,
			.end = 0x10000 + segment->size,
			.file_offset = segment->file_offset,
			.module = 1,
			.executable = true,
			.elf = elf},
		{.start = STACK - 0x2000, .end = STACK - 0x1000, .executable = true},
	};
	int fd = memfd_create("memory", MFD_CLOEXEC);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = below(2) ? regions[0].start + below(segment->size + 1) : STACK + below(sizeof(words));
	if (fd < 0 || ftruncate(fd, STACK + sizeof(words)) || pwrite(fd, words, sizeof(words), STACK) < 0)
		return;
	lm_remote_reset(&unwinder.remote, fd);
	unwinder.rows = rows;
	unwinder.regions = regions;
	unwinder.regions_len = 2;
	for (int i = 0; i < ADDRESSES; i++) {
		const struct lm_regs regs = {.ip = regions[below(2)].start + below(0x1000),
			.sp = STACK + below(sizeof(words)),
			.bp = STACK + below(sizeof(words))};
		size_t len;

		lm_unwinder_run(&unwinder, &regs, frames, LM_STACK_MAX, &len);
	}
	close(fd);
}

static void read_names(const unsigned char *bytes, size_t size)
{
	static char mangled[5000], text[LM_TEXT_MAX + 1];

	for (int i = 0; i < 200; i++) {
		size_t len = below(i % 2 ? 64 : sizeof(mangled) - 3);

		memcpy(mangled, below(2) ? "_Z" : "_R", 2);
		for (size_t at = 0; at < len; at++)
			mangled[2 + at] = below(4) ? "NISt_TLKcE0123456789JDpPRF"[below(26)] : bytes[below(size)];
		mangled[2 + len] = '\0';
		lm_name_plain(mangled, text);
	}
}

static void read_perf_map(const unsigned char *bytes, size_t size)
{
	static char text[65536], name[LM_TEXT_MAX + 1];
	struct lm_perf_map *map;
	uint64_t start;

	for (size_t at = 0; at < sizeof(text); at++)
		text[at] = below(5) ? "0123456789abcdef x\n"[below(19)] : bytes[below(size)];
	if (lm_perf_map_open(to_file((unsigned char *)text, sizeof(text)), &map))
		return;
	for (int i = 0; i < ADDRESSES; i++) {
		uint64_t address = noise() >> below(64);

		lm_perf_map_find(map, address, &start);
		lm_perf_map_name(map, address, name, sizeof(name));
	}
	lm_perf_map_free(map);
}

static void one_round(const unsigned char *sample, size_t size, uint64_t seed)
{
	unsigned char *bytes = malloc(size);
	struct lm_rows *rows;
	struct lm_elf *elf;

	state = seed * 0x9e3779b97f4a7c15ull + 1;
	if (!bytes || lm_rows_new(&rows))
		exit(2);
	memcpy(bytes, sample, size);
	read_names(bytes, size);
	read_perf_map(bytes, size);
	mutate(bytes, &size);
	if (lm_elf_open(to_file(bytes, size), &elf) == 0) {
		lm_elf_add_debug(elf, to_file(bytes, size));
		look_up(elf, rows);
		walk(elf, rows);
		lm_elf_free(elf);
	}
	lm_rows_free(rows);
	free(bytes);
}

/* 0 or how the child ended: a signal, or 1000 + its exit code. */
static int in_child(const unsigned char *sample, size_t size, uint64_t seed)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		const struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		alarm(ROUND_S);
		one_round(sample, size, seed);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(2);
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	return WEXITSTATUS(status) ? 1000 + WEXITSTATUS(status) : 0;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 3 ? atoi(argv[3]) : 10);
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, rounds = 0, failed = 0;
	size_t size = 0;
	unsigned char *sample = argc > 1 ? read_sample(argv[1], &size) : NULL;

	if (!sample || size < 256) {
		fprintf(stderr, "usage: %s SAMPLE [SEED [SECONDS]]\n", argv[0]);
		return 2;
	}
	elf_version(EV_CURRENT);
	if (argc == 3) {
		one_round(sample, size, seed);
		free(sample);
		return 0;
	}
	for (; time(NULL) < end; seed++, rounds++) {
		int how = in_child(sample, size, seed);

		if (how) {
			failed++;
			printf("FAIL  %s, seed %llu: %s %d\n", argv[1], (unsigned long long)seed,
				how < 1000 ? "signal" : "exit code", how % 1000);
		}
	}
	printf("%s: %llu rounds, %llu failed\n", argv[1], (unsigned long long)rounds, (unsigned long long)failed);
	free(sample);
	return failed != 0;
}
