// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables of Go programs that these tests lay out in a file, which stands for the memory of a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_go.h"
#include "user/golang/tables.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define GARBAGE 0xfffffffffffffff0ull

static const struct version {
	const char *text;
	int minor;
	enum lm_go_format format;
} versions[] = {
	{"go1.15.15", 15, LM_GO_FORMAT_1_2},
	{"go1.17.13", 17, LM_GO_FORMAT_1_16},
	{"go1.19.8", 19, LM_GO_FORMAT_1_18},
	{"go1.25.1", 25, LM_GO_FORMAT_1_20},
	{"go1.27.3", 27, LM_GO_FORMAT_1_20},
};

struct fixture {
	struct fake_go fake;
	int fd;
	struct lm_go_tables *tables;
	const char *why;
};

static const struct lm_region regions[] = {
	{.start = FAKE_IMAGE, .end = FAKE_ETEXT, .file_offset = 0, .module = 1, .executable = true}};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	fixture->fd = memfd_create("memory", MFD_CLOEXEC);
	*state = fixture;
	return fixture->fd < 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_go_tables_free(fixture->tables);
	close(fixture->fd);
	free(fixture);
	return 0;
}

static void make(struct fixture *fixture, size_t version)
{
	fake_make(&fixture->fake, versions[version].format, versions[version].minor, versions[version].text);
}

static int open_regions(struct fixture *fixture, const struct lm_region *mapped, size_t len)
{
	struct lm_go_tables *tables = NULL;
	int error;

	lm_go_tables_free(fixture->tables);
	fixture->tables = NULL;
	assert_int_equal(pwrite(fixture->fd, fixture->fake.bytes, FAKE_BYTES, 0), FAKE_BYTES);
	error = lm_go_tables_open(fixture->fd, mapped, len, &tables, &fixture->why);
	fixture->tables = tables;
	return error;
}

static int open_fake(struct fixture *fixture)
{
	return open_regions(fixture, regions, ARRAY_LEN(regions));
}

static uint64_t entry_of(const struct fixture *fixture, enum fake_name name)
{
	return fixture->fake.entries[name];
}

static void a_program_of_each_format_is_opened(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		uint64_t text, etext;
		int minor;

		make(fixture, i);
		assert_int_equal(open_fake(fixture), 0);
		assert_string_equal(lm_go_tables_version(fixture->tables, &minor), versions[i].text);
		assert_int_equal(minor, versions[i].minor);
		assert_int_equal(lm_go_tables_moduledata(fixture->tables), FAKE_MODULEDATA);
		lm_go_tables_text(fixture->tables, &text, &etext);
		assert_int_equal(text, FAKE_TEXT);
		assert_int_equal(etext, FAKE_ETEXT);
	}
}

static void functions_are_found_by_address_and_by_name(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_function function;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		make(fixture, i);
		assert_int_equal(open_fake(fixture), 0);
		for (unsigned name = 0; name < FAKE_FUNCS; name++) {
			uint64_t entry = entry_of(fixture, name), last = entry + fake_funcs[name].bytes - 1;

			assert_true(lm_go_tables_function(fixture->tables, last, &function));
			assert_string_equal(function.name, fake_names[name]);
			assert_int_equal(function.entry, entry);
			assert_int_equal(function.end, last + 1);
			assert_int_equal(function.number, name);
			assert_int_equal(function.func_id, fake_funcs[name].id);
			memset(&function, 0, sizeof(function));
			assert_true(lm_go_tables_find(fixture->tables, fake_names[name], &function));
			assert_int_equal(function.entry, entry);
		}
		assert_false(lm_go_tables_function(fixture->tables, FAKE_TEXT - 1, &function));
		assert_false(lm_go_tables_function(fixture->tables, fixture->fake.entries[FAKE_FUNCS], &function));
		assert_false(lm_go_tables_function(fixture->tables, GARBAGE, &function));
		/* the name of no function, and the ends of names */
		assert_false(lm_go_tables_find(fixture->tables, "main.inner", &function));
		assert_false(lm_go_tables_find(fixture->tables, "time.goexit", &function));
		assert_false(lm_go_tables_find(fixture->tables, "goexit", &function));
		assert_false(lm_go_tables_find(fixture->tables, "main.mai", &function));
	}
}

static void assert_line(
	const struct lm_go_line *line, const char *function, const char *file, unsigned number, bool inlined)
{
	assert_string_equal(line->function, function);
	assert_string_equal(line->file, file);
	assert_int_equal(line->line, number);
	assert_int_equal(line->inlined, inlined);
}

static void inlined_calls_come_first_each_with_its_own_line(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_line lines[8];

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		uint64_t pc;

		make(fixture, i);
		assert_int_equal(open_fake(fixture), 0);
		pc = entry_of(fixture, FAKE_OUTER) + FAKE_INNER_PC;
		assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, lines, ARRAY_LEN(lines)), 3);
		assert_line(&lines[0], "main.inner", "/src/b.go", 30, true);
		assert_line(&lines[1], "main.middle", "/src/a.go", 20, true);
		assert_line(&lines[2], "main.outer", "/src/a.go", 10, false);
		assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, lines, 2), 2);
		assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, lines, 0), 0);
		assert_int_equal(lm_go_tables_lines(fixture->tables, GARBAGE, true, lines, 8), 0);
	}
}

static void a_return_address_belongs_to_the_call_before_it(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_line lines[8];
	uint64_t entry;

	make(fixture, 4);
	assert_int_equal(open_fake(fixture), 0);
	entry = entry_of(fixture, FAKE_MAIN);
	assert_int_equal(lm_go_tables_lines(fixture->tables, entry + 0x80, false, lines, 8), 1);
	assert_line(&lines[0], "main.main", "/src/a.go", 100, false);
	assert_int_equal(lm_go_tables_lines(fixture->tables, entry + 0x80, true, lines, 8), 1);
	assert_line(&lines[0], "main.main", "/src/a.go", 99, false);
	/* a goroutine that has not run yet returns to the first instruction of its function */
	assert_int_equal(lm_go_tables_lines(fixture->tables, entry, false, lines, 8), 1);
	assert_line(&lines[0], "main.main", "/src/a.go", 100, false);
}

static void what_fills_up_after_a_function_has_no_line(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_line lines[8];

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		uint64_t pc;

		make(fixture, i);
		assert_int_equal(open_fake(fixture), 0);
		pc = entry_of(fixture, FAKE_GOPANIC) + 0x50;
		assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, lines, 8), 1);
		assert_null(lines[0].file);
		assert_int_equal(lines[0].line, 0);
	}
}

static void names_are_printed_as_in_gos_own_dumps(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_line lines[8];

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		make(fixture, i);
		assert_int_equal(open_fake(fixture), 0);
		assert_int_equal(
			lm_go_tables_lines(fixture->tables, entry_of(fixture, FAKE_GENERIC), true, lines, 8), 1);
		assert_line(&lines[0], "main.generic[...].func1", "/src/a.go", 7, false);
		assert_int_equal(
			lm_go_tables_lines(fixture->tables, entry_of(fixture, FAKE_GOPANIC), true, lines, 8), 1);
		assert_line(&lines[0], "panic", "/src/a.go", 8, false);
		/* what the compiler put between a call and its method is left out */
		assert_int_equal(lm_go_tables_lines(fixture->tables, entry_of(fixture, FAKE_WRAP), true, lines, 8), 0);
	}
}

static void push(struct fixture *fixture, uint64_t sp, uint64_t value)
{
	fake_put(&fixture->fake, sp, value, 8);
}

static bool step(struct fixture *fixture, struct lm_go_cursor *cursor, bool *complete)
{
	static struct lm_remote remote;

	lm_remote_reset(&remote, fixture->fd);
	return lm_go_tables_step(fixture->tables, &remote, cursor, complete);
}

static void frames_are_stepped_over_to_the_outermost(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct lm_go_cursor cursor = {.sp = FAKE_STACK};
		bool complete = true;

		make(fixture, i);
		push(fixture, FAKE_STACK + 0x28, entry_of(fixture, FAKE_MAIN) + 0x10);
		push(fixture, FAKE_STACK + 0x30 + 0x18, entry_of(fixture, FAKE_GOEXIT) + 1);
		assert_int_equal(open_fake(fixture), 0);
		cursor.pc = entry_of(fixture, FAKE_OUTER) + 0x100;
		assert_true(step(fixture, &cursor, &complete));
		assert_int_equal(cursor.pc, entry_of(fixture, FAKE_MAIN) + 0x10);
		assert_int_equal(cursor.sp, FAKE_STACK + 0x30);
		assert_true(step(fixture, &cursor, &complete));
		assert_int_equal(cursor.pc, entry_of(fixture, FAKE_GOEXIT) + 1);
		assert_int_equal(cursor.sp, FAKE_STACK + 0x50);
		assert_false(complete);
		assert_false(step(fixture, &cursor, &complete));
		assert_true(complete);
	}
}

static void the_size_of_a_frame_is_that_at_the_call(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_cursor cursor = {.sp = FAKE_STACK};
	bool complete;

	make(fixture, 3);
	push(fixture, FAKE_STACK, entry_of(fixture, FAKE_GOEXIT) + 1);
	push(fixture, FAKE_STACK + 0x18, entry_of(fixture, FAKE_OUTER) + 0x20);
	assert_int_equal(open_fake(fixture), 0);
	/* the last instruction before the frame is made, and the first after */
	cursor.pc = entry_of(fixture, FAKE_MAIN) + 4;
	assert_true(step(fixture, &cursor, &complete));
	assert_int_equal(cursor.sp, FAKE_STACK + 8);
	cursor = (struct lm_go_cursor){.pc = entry_of(fixture, FAKE_MAIN) + 4, .sp = FAKE_STACK, .exact = true};
	assert_true(step(fixture, &cursor, &complete));
	assert_int_equal(cursor.sp, FAKE_STACK + 0x20);
	assert_false(cursor.exact);
}

static void a_stack_that_cannot_be_followed_is_not_complete(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_cursor cursor;
	bool complete = true;

	make(fixture, 3);
	push(fixture, FAKE_STACK + 0x18, 0x1234);
	push(fixture, FAKE_STACK + 9, entry_of(fixture, FAKE_MAIN) + 8);
	assert_int_equal(open_fake(fixture), 0);
	/* to no function */
	cursor = (struct lm_go_cursor){.pc = entry_of(fixture, FAKE_MAIN) + 0x10, .sp = FAKE_STACK};
	assert_false(step(fixture, &cursor, &complete));
	assert_false(complete);
	/* by half a word */
	cursor.pc = entry_of(fixture, FAKE_GENERIC) + 8;
	assert_false(step(fixture, &cursor, &complete));
	/* from no function */
	cursor.pc = 0x1234;
	assert_false(step(fixture, &cursor, &complete));
	cursor.pc = 0;
	assert_false(step(fixture, &cursor, &complete));
	/* beyond what is mapped, and beyond all addresses */
	cursor = (struct lm_go_cursor){.pc = entry_of(fixture, FAKE_MAIN) + 0x10, .sp = FAKE_BYTES};
	assert_false(step(fixture, &cursor, &complete));
	cursor.sp = GARBAGE;
	assert_false(step(fixture, &cursor, &complete));
	assert_false(complete);
}

static void code_that_changes_stacks_is_not_stepped_over(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_cursor cursor;
	bool complete = true;

	make(fixture, 4);
	push(fixture, FAKE_STACK + 8, entry_of(fixture, FAKE_MAIN) + 0x10);
	assert_int_equal(open_fake(fixture), 0);
	cursor = (struct lm_go_cursor){.pc = entry_of(fixture, FAKE_SWITCH) + 8, .sp = FAKE_STACK};
	assert_false(step(fixture, &cursor, &complete));
	assert_false(complete);
	/* where it is interrupted it has not changed it yet */
	cursor.exact = true;
	assert_true(step(fixture, &cursor, &complete));
	/* a callback from C makes its frame look right */
	cursor = (struct lm_go_cursor){.pc = entry_of(fixture, FAKE_CGOCALLBACK) + 8, .sp = FAKE_STACK};
	assert_true(step(fixture, &cursor, &complete));
	assert_int_equal(cursor.pc, entry_of(fixture, FAKE_MAIN) + 0x10);
}

static void below_a_signal_the_address_is_exact(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct lm_go_cursor cursor = {.sp = FAKE_STACK};
		bool complete;

		make(fixture, i);
		push(fixture, FAKE_STACK + 0x10, entry_of(fixture, FAKE_MAIN) + 0x10);
		assert_int_equal(open_fake(fixture), 0);
		cursor.pc = entry_of(fixture, FAKE_SIGPANIC) + 8;
		assert_true(step(fixture, &cursor, &complete));
		assert_true(cursor.exact);
	}
}

static void tables_are_read_once(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_function function;
	struct lm_go_line lines[8], again[8];
	uint64_t pc;

	make(fixture, 4);
	assert_int_equal(open_fake(fixture), 0);
	pc = entry_of(fixture, FAKE_OUTER) + FAKE_INNER_PC;
	assert_true(lm_go_tables_function(fixture->tables, pc, &function));
	assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, lines, 8), 3);
	assert_int_equal(ftruncate(fixture->fd, 0), 0);
	assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, again, 8), 3);
	assert_line(&again[0], "main.inner", "/src/b.go", 30, true);
	assert_string_equal(function.name, "main.outer");
	assert_ptr_equal(lines[2].function, again[2].function);
}

static void a_version_that_is_not_known_is_read_all_the_same(void **state)
{
	static const struct {
		const char *text;
		int layout, minor;
	} rows[] = {
		{"devel go1.28-1a2b3c Mon Jan 5", 27, 0},
		{"devel +f00f00", 25, 0},
		{"go1.99.1", 27, 99},
		{"go1.26rc1", 26, 26},
		{"go1.24 X:name", 24, 24},
		{"go1.26-custom", 26, 26},
		{"go1.2x", 25, 0},
		{"go2", 27, 0},
		{"go1.99999999999999999999", 27, 0},
	};
	struct fixture *fixture = *state;
	struct lm_go_line lines[8];
	int minor;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fake_make(&fixture->fake, LM_GO_FORMAT_1_20, rows[i].layout, rows[i].text);
		assert_int_equal(open_fake(fixture), 0);
		assert_string_equal(lm_go_tables_version(fixture->tables, &minor), rows[i].text);
		assert_int_equal(minor, rows[i].minor);
		assert_int_equal(lm_go_tables_lines(fixture->tables, entry_of(fixture, FAKE_OUTER) + FAKE_INNER_PC,
					 true, lines, 8),
			3);
	}
}

static void a_long_or_garbled_version_is_cut_and_made_plain(void **state)
{
	struct fixture *fixture = *state;
	int minor;

	fake_make(&fixture->fake, LM_GO_FORMAT_1_20, 25, "go1.25.1 X:a,b\x1b[31m,c,d,e,f,g,h,i,j,k,l");
	assert_int_equal(open_fake(fixture), 0);
	assert_string_equal(lm_go_tables_version(fixture->tables, &minor), "go1.25.1 X:a,b?[31m,c,d,e,f,g,h");
	fake_put(&fixture->fake, FAKE_DATA + 32, GARBAGE, 8);
	assert_int_equal(open_fake(fixture), 0);
	assert_string_equal(lm_go_tables_version(fixture->tables, &minor), "unknown");
	/* of 1,000 bytes */
	fake_put(&fixture->fake, FAKE_DATA + 32, 0x7e8, 2);
	assert_int_equal(open_fake(fixture), 0);
	assert_string_equal(lm_go_tables_version(fixture->tables, &minor), "unknown");
	assert_int_equal(minor, 0);
}

static void a_program_that_is_not_gos_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct lm_region library = regions[0], anonymous = regions[0];

	make(fixture, 4);
	memset(fixture->fake.bytes + FAKE_DATA, 0, 16);
	fixture->why = "";
	assert_int_equal(open_fake(fixture), -ENOEXEC);
	assert_null(fixture->why);
	assert_int_equal(open_regions(fixture, NULL, 0), -ENOEXEC);
	/* no ELF header */
	make(fixture, 4);
	memset(fixture->fake.bytes + FAKE_IMAGE, 0, 4);
	assert_int_equal(open_fake(fixture), -ENOEXEC);
	/* libraries are known by their files only: to look through all that is mapped would cost too much */
	make(fixture, 4);
	library.module = 2;
	anonymous.module = LM_MODULE_NONE;
	anonymous.start = 0x1000;
	anonymous.end = 0x2000;
	assert_int_equal(open_regions(fixture, (struct lm_region[]){anonymous, regions[0]}, 2), 0);
	anonymous.module = 1;
	assert_int_equal(open_regions(fixture, (struct lm_region[]){anonymous, library}, 2), -ENOEXEC);
}

static void the_note_of_a_build_id_is_a_sign_too(void **state)
{
	struct fixture *fixture = *state;
	const uint32_t note[] = {4, 8, 4, 0x6f47, 0, 0};
	Elf64_Phdr phdr = {.p_type = PT_NOTE, .p_vaddr = FAKE_GOFUNC + 0x800, .p_filesz = sizeof(note)};
	int minor;

	make(fixture, 4);
	memset(fixture->fake.bytes + FAKE_DATA, 0, 16);
	memcpy(fixture->fake.bytes + FAKE_GOFUNC + 0x800, note, sizeof(note));
	memcpy(fixture->fake.bytes + FAKE_IMAGE + sizeof(Elf64_Ehdr) + 3 * sizeof(phdr), &phdr, sizeof(phdr));
	fixture->fake.bytes[FAKE_IMAGE + offsetof(Elf64_Ehdr, e_phnum)] = 4;
	assert_int_equal(open_fake(fixture), 0);
	assert_string_equal(lm_go_tables_version(fixture->tables, &minor), "unknown");
	/* of another linker */
	fixture->fake.bytes[FAKE_GOFUNC + 0x800 + 12] = 'X';
	assert_int_equal(open_fake(fixture), -ENOEXEC);
}

/* The file of the program: what is mapped, and sections of these names. */
static struct lm_elf *make_file(
	const struct fixture *fixture, const char *const *names, const uint64_t *addresses, size_t len)
{
	uint32_t size = FAKE_DATA_END - FAKE_IMAGE, at = 1;
	Elf64_Ehdr *ehdr = (Elf64_Ehdr *)(fixture->fake.bytes + FAKE_IMAGE), file_ehdr = *ehdr;
	Elf64_Shdr sections[8] = {{0}};
	struct lm_elf *elf = NULL;
	char texts[256] = "";
	int fd = memfd_create("file", MFD_CLOEXEC);

	for (size_t i = 0; i < len; i++) {
		sections[i + 1] = (Elf64_Shdr){.sh_name = at,
			.sh_type = SHT_PROGBITS,
			.sh_addr = addresses[i],
			.sh_offset = addresses[i] - FAKE_IMAGE,
			.sh_size = 0x200};
		at += sprintf(texts + at, "%s", names[i]) + 1;
	}
	sections[len + 1] = (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = size, .sh_size = sizeof(texts)};
	file_ehdr.e_shoff = size + sizeof(texts);
	file_ehdr.e_shentsize = sizeof(sections[0]);
	file_ehdr.e_shnum = len + 2;
	file_ehdr.e_shstrndx = len + 1;
	assert_int_equal(write(fd, fixture->fake.bytes + FAKE_IMAGE, size), size);
	assert_int_equal(write(fd, texts, sizeof(texts)), sizeof(texts));
	assert_int_equal(write(fd, sections, sizeof(sections)), sizeof(sections));
	assert_int_equal(pwrite(fd, &file_ehdr, sizeof(file_ehdr), 0), sizeof(file_ehdr));
	elf_version(EV_CURRENT);
	assert_int_equal(lm_elf_open(fd, &elf), 0);
	return elf;
}

static void sections_lead_to_the_tables(void **state)
{
	static const char *const names[] = {".go.buildinfo", ".gopclntab", ".go.module"};
	static const uint64_t addresses[] = {FAKE_DATA, FAKE_PCLNTAB, FAKE_MODULEDATA};
	struct fixture *fixture = *state;
	struct lm_region region = regions[0];
	uint64_t text, etext;

	make(fixture, 4);
	region.elf = make_file(fixture, names, addresses, 3);
	assert_int_equal(open_regions(fixture, &region, 1), 0);
	lm_go_tables_text(fixture->tables, &text, &etext);
	assert_int_equal(text, FAKE_TEXT);
	/* a library is as good, and its header need not be mapped */
	region.module = 7;
	memset(fixture->fake.bytes + FAKE_IMAGE, 0, 0x100);
	assert_int_equal(
		open_regions(fixture,
			(struct lm_region[]){{.start = 0x1000, .end = 0x2000, .module = 1, .executable = true}, region},
			2),
		0);
	lm_elf_free(region.elf);
}

static void a_file_without_gos_sections_is_not_read_further(void **state)
{
	static const char *const names[] = {".text", ".data"};
	static const uint64_t addresses[] = {FAKE_TEXT, FAKE_DATA};
	struct fixture *fixture = *state;
	struct lm_region region = regions[0];

	make(fixture, 4);
	region.elf = make_file(fixture, names, addresses, 2);
	assert_int_equal(open_regions(fixture, &region, 1), -ENOEXEC);
	lm_elf_free(region.elf);
}

static void a_program_that_is_not_relocated_yet_is_to_be_asked_again(void **state)
{
	struct fixture *fixture = *state;
	Elf64_Phdr *phdrs = (Elf64_Phdr *)(fixture->fake.bytes + FAKE_IMAGE + sizeof(Elf64_Ehdr));

	make(fixture, 4);
	fake_put(&fixture->fake, FAKE_MODULEDATA, 0, 8);
	assert_int_equal(open_fake(fixture), -ENOTSUP);
	assert_non_null(fixture->why);
	/* linked to be anywhere */
	for (int i = 0; i < 3; i++)
		phdrs[i].p_vaddr -= FAKE_IMAGE;
	assert_int_equal(open_fake(fixture), -EAGAIN);
	fake_put(&fixture->fake, FAKE_MODULEDATA, FAKE_PCLNTAB, 8);
	assert_int_equal(open_fake(fixture), 0);
}

/* Goes through all that can be asked, wherever it leads. */
static void ask_all(struct fixture *fixture)
{
	struct lm_go_function function;
	struct lm_go_line lines[100];

	for (uint64_t pc = FAKE_TEXT; pc < FAKE_TEXT + 0x700; pc += 7) {
		struct lm_go_cursor cursor = {.pc = pc, .sp = FAKE_STACK, .exact = pc & 1};
		bool complete;

		lm_go_tables_function(fixture->tables, pc, &function);
		assert_in_range(lm_go_tables_lines(fixture->tables, pc, pc & 1, lines, ARRAY_LEN(lines)), 0, 65);
		for (int i = 0; i < 100 && step(fixture, &cursor, &complete); i++)
			assert_true(cursor.sp > FAKE_STACK);
	}
	lm_go_tables_find(fixture->tables, "main.main", &function);
}

static void every_word_may_be_garbage(void **state)
{
	static const uint64_t words[] = {0, 1, UINT64_MAX, GARBAGE, 1ull << 60, 1ull << 31, 0x7fffffff, FAKE_PCLNTAB};
	static const struct {
		uint32_t start, end;
	} ranges[] = {{FAKE_PCLNTAB, FAKE_PCLNTAB + 0x50}, {FAKE_MODULEDATA, FAKE_MODULEDATA + 0x180},
		{FAKE_IMAGE, FAKE_IMAGE + 0x100}, {FAKE_DATA, FAKE_DATA + 0x28},
		{FAKE_FUNCTIONS, FAKE_FUNCTIONS + 0x300}, {FAKE_UNITS, FAKE_UNITS + 0x20},
		{FAKE_TREE, FAKE_TREE + 0x30}};
	struct fixture *fixture = *state;

	for (size_t version = 0; version < ARRAY_LEN(versions); version++) {
		for (size_t range = 0; range < ARRAY_LEN(ranges); range++) {
			for (uint32_t at = ranges[range].start; at < ranges[range].end; at += 4) {
				make(fixture, version);
				fake_put(&fixture->fake, at, words[at / 4 % ARRAY_LEN(words)], 4 + at / 4 % 2 * 4);
				if (open_fake(fixture) == 0)
					ask_all(fixture);
			}
		}
	}
}

static void tables_that_contradict_themselves_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint32_t at;
		uint64_t value;
		int error;
	} rows[] = {
		{"no functions", FAKE_PCLNTAB + 8, 0, -ENOTSUP},
		{"more functions than there can be", FAKE_PCLNTAB + 8, 1ull << 60, -ENOTSUP},
		{"so many functions that their bytes overflow", FAKE_PCLNTAB + 8, (1ull << 61) + FAKE_FUNCS, -ENOTSUP},
		{"more functions than there are", FAKE_PCLNTAB + 8, FAKE_FUNCS + 1, -ENOTSUP},
		{"a format that is not known", FAKE_PCLNTAB, 0x08010000fffffff2, -ENOTSUP},
		{"tables that lie apart", FAKE_PCLNTAB + 32, 1ull << 60, -ENOTSUP},
		{"names somewhere else", FAKE_MODULEDATA + 8, FAKE_NAMES + 8, -ENOTSUP},
		{"more names than there is room for", FAKE_MODULEDATA + 24, 8, -ENOTSUP},
		{"an index that is too long", FAKE_MODULEDATA + 17 * 8, FAKE_FUNCS + 2, -ENOTSUP},
		{"code that is data", FAKE_MODULEDATA + 22 * 8, FAKE_DATA, -EIO},
		{"code that ends in data", FAKE_MODULEDATA + 23 * 8, FAKE_DATA, -EIO},
		{"code that begins before its mapping", FAKE_MODULEDATA + 22 * 8, 8, -EIO},
		{"a function that begins after the next", FAKE_FUNCTIONS + 8, 0x2000, -EIO},
		{"a function beyond the code", FAKE_FUNCTIONS + FAKE_FUNCS * 8, 0x8000, -EIO},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int error;

		make(fixture, 4);
		fake_put(&fixture->fake, rows[i].at, rows[i].value, rows[i].at < FAKE_FUNCTIONS ? 8 : 4);
		if (rows[i].at >= FAKE_MODULEDATA)
			fake_put(&fixture->fake, rows[i].at, rows[i].value, 8);
		error = open_fake(fixture);
		if (error != rows[i].error)
			fail_msg("%s: %d", rows[i].what, error);
		assert_non_null(fixture->why);
	}
}

static void a_table_that_is_too_long_is_refused(void **state)
{
	struct fixture *fixture = *state;

	make(fixture, 4);
	fake_put(&fixture->fake, FAKE_MODULEDATA + 16, 1ull << 60, 8);
	fake_put(&fixture->fake, FAKE_MODULEDATA + 24, 1ull << 60, 8);
	assert_int_equal(open_fake(fixture), -ENOTSUP);
}

static void a_function_that_makes_no_sense_stands_alone(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_function function;
	struct lm_go_line lines[8];
	uint64_t pc;
	uint32_t at;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		uint32_t entry_bytes = versions[i].format < LM_GO_FORMAT_1_18 ? 8 : 4;

		/* its struct is that of another one */
		make(fixture, i);
		pc = entry_of(fixture, FAKE_MAIN);
		at = fixture->fake.structs[FAKE_MAIN];
		fixture->fake.bytes[at]++;
		assert_int_equal(open_fake(fixture), 0);
		assert_false(lm_go_tables_function(fixture->tables, pc, &function));
		assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, lines, 8), 0);
		/* a name beyond the names: the line is known all the same */
		make(fixture, i);
		fake_put(&fixture->fake, at + entry_bytes, 0xfffffff0, 4);
		assert_int_equal(open_fake(fixture), 0);
		assert_false(lm_go_tables_function(fixture->tables, pc, &function));
		assert_int_equal(lm_go_tables_lines(fixture->tables, pc, true, lines, 8), 1);
		assert_null(lines[0].function);
		assert_int_equal(lines[0].line, 100);
		/* the others are as they were */
		assert_true(lm_go_tables_function(fixture->tables, entry_of(fixture, FAKE_OUTER), &function));
	}
}

static void numbers_without_end_are_no_values(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_line lines[8];
	struct lm_go_cursor cursor;
	bool complete = true;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		make(fixture, i);
		memset(fixture->fake.bytes + FAKE_VALUES, 0xff, FAKE_FUNCTIONS - FAKE_VALUES);
		assert_int_equal(open_fake(fixture), 0);
		cursor = (struct lm_go_cursor){.pc = entry_of(fixture, FAKE_MAIN) + 8, .sp = FAKE_STACK};
		assert_int_equal(lm_go_tables_lines(fixture->tables, cursor.pc, true, lines, 8), 1);
		assert_null(lines[0].file);
		assert_int_equal(lines[0].line, 0);
		assert_false(step(fixture, &cursor, &complete));
		assert_false(complete);
	}
}

static void a_tree_that_leads_in_circles_is_left(void **state)
{
	struct fixture *fixture = *state;
	struct lm_go_line lines[200];

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		make(fixture, i);
		fake_put_inlined(&fixture->fake, 1, FAKE_INNER, FAKE_INNER_PC);
		assert_int_equal(open_fake(fixture), 0);
		assert_int_equal(lm_go_tables_lines(fixture->tables, entry_of(fixture, FAKE_OUTER) + FAKE_INNER_PC,
					 true, lines, ARRAY_LEN(lines)),
			65);
		/* out of the function */
		fake_put_inlined(&fixture->fake, 1, FAKE_INNER, 0x201);
		assert_int_equal(open_fake(fixture), 0);
		assert_int_equal(lm_go_tables_lines(fixture->tables, entry_of(fixture, FAKE_OUTER) + FAKE_INNER_PC,
					 true, lines, ARRAY_LEN(lines)),
			1);
	}
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		test(a_program_of_each_format_is_opened),
		test(functions_are_found_by_address_and_by_name),
		test(inlined_calls_come_first_each_with_its_own_line),
		test(a_return_address_belongs_to_the_call_before_it),
		test(what_fills_up_after_a_function_has_no_line),
		test(names_are_printed_as_in_gos_own_dumps),
		test(frames_are_stepped_over_to_the_outermost),
		test(the_size_of_a_frame_is_that_at_the_call),
		test(a_stack_that_cannot_be_followed_is_not_complete),
		test(code_that_changes_stacks_is_not_stepped_over),
		test(below_a_signal_the_address_is_exact),
		test(tables_are_read_once),
		test(a_version_that_is_not_known_is_read_all_the_same),
		test(a_long_or_garbled_version_is_cut_and_made_plain),
		test(a_program_that_is_not_gos_is_told),
		test(the_note_of_a_build_id_is_a_sign_too),
		test(sections_lead_to_the_tables),
		test(a_file_without_gos_sections_is_not_read_further),
		test(a_program_that_is_not_relocated_yet_is_to_be_asked_again),
		test(every_word_may_be_garbage),
		test(tables_that_contradict_themselves_are_refused),
		test(a_table_that_is_too_long_is_refused),
		test(a_function_that_makes_no_sense_stands_alone),
		test(numbers_without_end_are_no_values),
		test(a_tree_that_leads_in_circles_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
