/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of a Go program made by hand, in each format that Go's linker has written:
 * an ELF header, a few functions, what was inlined into one of them, build information,
 * a moduledata, and a stack. Addresses are offsets into its bytes, which stand for the
 * memory of a process. Tests change what they like before they open it.
 */
#ifndef LM_FAKE_GO_H
#define LM_FAKE_GO_H

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "user/golang/layout.h"

#define FAKE_BYTES 0x40000u
#define FAKE_IMAGE 0x10000u /* address of the ELF header */
#define FAKE_TEXT 0x11000u
#define FAKE_ETEXT 0x14000u
#define FAKE_PCLNTAB 0x20000u
#define FAKE_NAMES (FAKE_PCLNTAB + 0x100)
#define FAKE_UNITS (FAKE_PCLNTAB + 0x500)
#define FAKE_FILES (FAKE_PCLNTAB + 0x580)
#define FAKE_VALUES (FAKE_PCLNTAB + 0x700)
#define FAKE_FUNCTIONS (FAKE_PCLNTAB + 0xb00)
#define FAKE_FUNCTIONS_END (FAKE_PCLNTAB + 0x2000)
#define FAKE_GOFUNC 0x2f000u
#define FAKE_TREE (FAKE_GOFUNC + 0x10)
#define FAKE_DATA 0x30000u /* with the build information */
#define FAKE_VERSION (FAKE_DATA + 0x100)
#define FAKE_MODULEDATA (FAKE_DATA + 0x400)
#define FAKE_DATA_END 0x31000u
#define FAKE_STACK 0x38000u
#define FAKE_WRAPPER 22

/* Inlined: main.inner into main.middle, and both into main.outer. */
#define FAKE_INNER_PC 0x50 /* from the entry of main.outer */
#define FAKE_MIDDLE_PC 0x70
#define FAKE_OUTER_PC 0x20

enum fake_name {
	FAKE_GOEXIT,
	FAKE_DEFERRETURN,
	FAKE_MAIN,
	FAKE_OUTER,
	FAKE_WRAP,
	FAKE_GENERIC,
	FAKE_GOPANIC,
	FAKE_SIGPANIC,
	FAKE_SWITCH,
	FAKE_CGOCALLBACK,
	FAKE_ALLGADD,
	FAKE_RUNTIME_MAIN,
	FAKE_SEMACQUIRE,
	FAKE_FUNCS,
	FAKE_MIDDLE = FAKE_FUNCS,
	FAKE_INNER,
	FAKE_NAMES_LEN
};

static const char *const fake_names[FAKE_NAMES_LEN] = {"runtime.goexit", "runtime.deferreturn", "main.main",
	"main.outer", "vendor/runtime.gopanic", "main.generic[go.shape.int,go.shape.[]int].func1", "runtime.gopanic",
	"runtime.sigpanic", "runtime.switch", "runtime.cgocallback", "runtime.allgadd", "runtime.main",
	"runtime.semacquire1", "main.middle", "main.inner"};

/* Runs of a value, each up to an offset from the function's entry; until 0 ends them. */
struct fake_run {
	int32_t value;
	uint32_t until;
};

static const struct fake_func {
	uint32_t bytes;
	uint8_t id, flags;
	struct fake_run frame[3], lines[5], files[4], inlined[5];
} fake_funcs[FAKE_FUNCS] = {
	[FAKE_GOEXIT] = {0x40, 8, 5, {{0, 0x40}}, {{1, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_DEFERRETURN] = {0x40, FAKE_WRAPPER, 0, {{8, 0x40}}, {{2, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_MAIN] = {0x100, 0, 0, {{0, 4}, {0x18, 0x100}}, {{100, 0x80}, {99, 0x100}}, {{0, 0x100}}, {{0, 0}}},
	[FAKE_OUTER] = {0x200, 0, 0, {{0, 0x10}, {0x28, 0x200}}, {{10, 0x40}, {30, 0x60}, {20, 0x80}, {11, 0x200}},
		{{0, 0x40}, {1, 0x60}, {0, 0x200}}, {{-1, 0x40}, {1, 0x60}, {0, 0x80}, {-1, 0x200}}},
	[FAKE_WRAP] = {0x40, FAKE_WRAPPER, 0, {{8, 0x40}}, {{1, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_GENERIC] = {0x40, 0, 0, {{9, 0x40}}, {{7, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_GOPANIC] = {0x60, 10, 0, {{8, 0x40}}, {{8, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_SIGPANIC] = {0x40, 20, 0, {{0x10, 0x40}}, {{9, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_SWITCH] = {0x40, 3, 6, {{8, 0x40}}, {{9, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_CGOCALLBACK] = {0x40, 4, 6, {{8, 0x40}}, {{9, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_ALLGADD] = {0x80, 0, 0, {{0x18, 0x80}}, {{5, 0x80}}, {{0, 0x80}}, {{0, 0}}},
	[FAKE_RUNTIME_MAIN] = {0x40, 0, 0, {{0x18, 0x40}}, {{6, 0x40}}, {{0, 0x40}}, {{0, 0}}},
	[FAKE_SEMACQUIRE] = {0x80, 0, 0, {{0x40, 0x80}}, {{7, 0x80}}, {{0, 0x80}}, {{0, 0}}},
};

struct fake_go {
	unsigned char bytes[FAKE_BYTES];
	enum lm_go_format format;
	int minor;
	uint32_t entries[FAKE_FUNCS + 1]; /* addresses; the last is the end */
	uint32_t structs[FAKE_FUNCS];
	uint32_t name_offsets[FAKE_NAMES_LEN]; /* as the tables have them */
	uint32_t file_offsets[2];
	uint32_t values_end; /* address */
};

static inline void fake_put(struct fake_go *fake, uint64_t address, uint64_t value, size_t size)
{
	memcpy(fake->bytes + address, &value, size);
}

/* Offsets are relative to the whole in the oldest format, to a table of its own in the others. */
static inline uint32_t fake_offset(const struct fake_go *fake, uint32_t address, uint32_t table)
{
	return address - (fake->format == LM_GO_FORMAT_1_2 ? FAKE_PCLNTAB : table);
}

static inline void fake_put_varint(struct fake_go *fake, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		fake->bytes[fake->values_end++] = value | 0x80;
	fake->bytes[fake->values_end++] = value;
}

/* The offset of a pcvalue table; 0: no runs. */
static inline uint32_t fake_put_runs(struct fake_go *fake, const struct fake_run *runs, size_t max)
{
	uint32_t start = fake->values_end, until = 0;
	int32_t value = -1;

	if (!runs[0].until)
		return 0;
	for (size_t i = 0; i < max && runs[i].until; i++) {
		int32_t change = runs[i].value - value;

		fake_put_varint(fake, change < 0 ? (uint32_t)(-change) * 2 - 1 : (uint32_t)change * 2);
		fake_put_varint(fake, runs[i].until - until);
		value = runs[i].value;
		until = runs[i].until;
	}
	fake->bytes[fake->values_end++] = 0;
	return fake_offset(fake, start, FAKE_VALUES);
}

static inline void fake_put_texts(struct fake_go *fake)
{
	static const char *const files[] = {"/src/a.go", "/src/b.go"};
	uint32_t at = FAKE_NAMES + 1;

	for (int i = 0; i < FAKE_NAMES_LEN; i++) {
		fake->name_offsets[i] = fake_offset(fake, at, FAKE_NAMES);
		strcpy((char *)fake->bytes + at, fake_names[i]);
		at += strlen(fake_names[i]) + 1;
	}
	at = FAKE_FILES;
	for (int i = 0; i < 2; i++) {
		fake->file_offsets[i] = fake_offset(fake, at, FAKE_FILES);
		strcpy((char *)fake->bytes + at, files[i]);
		at += strlen(files[i]) + 1;
		/* the oldest format counts from an offset of its own, the others from the unit's */
		fake_put(fake, FAKE_UNITS + 8 + i * 4, fake->file_offsets[i], 4);
	}
}

/* Fields between the address and the pcdata, which is where the formats differ. Returns where they end. */
static inline uint32_t fake_put_struct(struct fake_go *fake, int i)
{
	const struct fake_func *func = &fake_funcs[i];
	uint32_t at = fake->structs[i], after = fake->format < LM_GO_FORMAT_1_18 ? 8 : 4;

	fake_put(fake, at, after == 8 ? fake->entries[i] : fake->entries[i] - FAKE_TEXT, after);
	at += after;
	fake_put(fake, at, fake->name_offsets[i], 4);
	fake_put(fake, at + 12, fake_put_runs(fake, func->frame, 3), 4);
	fake_put(fake, at + 16, fake_put_runs(fake, func->files, 4), 4);
	fake_put(fake, at + 20, fake_put_runs(fake, func->lines, 5), 4);
	fake_put(fake, at + 24, func->inlined[0].until ? 3 : 0, 4);
	at += 28;
	if (fake->format >= LM_GO_FORMAT_1_16) {
		fake_put(fake, at, 2, 4); /* the unit begins with the third word */
		at += 4;
	}
	if (fake->format >= LM_GO_FORMAT_1_20)
		at += 4; /* the first line */
	fake->bytes[at] = func->id;
	fake->bytes[at + 1] = fake->format < LM_GO_FORMAT_1_16 ? 0 : func->flags;
	fake->bytes[at + 3] = func->inlined[0].until ? 5 : 0;
	return at + 4;
}

static inline uint32_t fake_put_data(struct fake_go *fake, int i, uint32_t at)
{
	if (!fake_funcs[i].inlined[0].until)
		return at;
	fake_put(fake, at + 8, fake_put_runs(fake, fake_funcs[i].inlined, 5), 4);
	at += 12;
	if (fake->format >= LM_GO_FORMAT_1_18) {
		fake_put(fake, at + 12, FAKE_TREE - FAKE_GOFUNC, 4);
		return at + 20;
	}
	at = (at + 7) & ~7u;
	fake_put(fake, at + (fake->format == LM_GO_FORMAT_1_2 ? 32 : 24), FAKE_TREE, 8);
	return at + 40;
}

static inline void fake_put_inlined(struct fake_go *fake, int index, enum fake_name name, uint32_t parent_pc)
{
	uint32_t size = fake->format < LM_GO_FORMAT_1_20 ? 20 : 16, at = FAKE_TREE + index * size;

	fake_put(fake, at + size - (size == 20 ? 8 : 12), fake->name_offsets[name], 4);
	fake_put(fake, at + size - (size == 20 ? 4 : 8), parent_pc, 4);
}

static inline uint32_t fake_index(const struct fake_go *fake)
{
	return fake->format == LM_GO_FORMAT_1_2 ? FAKE_PCLNTAB + 16 : FAKE_FUNCTIONS;
}

static inline void fake_put_funcs(struct fake_go *fake)
{
	uint32_t size = fake->format < LM_GO_FORMAT_1_18 ? 16 : 8, at = FAKE_FUNCTIONS + (FAKE_FUNCS + 1) * 16;
	uint32_t entry = FAKE_TEXT, index = fake_index(fake);

	for (int i = 0; i < FAKE_FUNCS; i++, index += size) {
		fake->entries[i] = entry;
		fake->structs[i] = at;
		fake_put(fake, index, size == 16 ? entry : entry - FAKE_TEXT, size / 2);
		fake_put(fake, index + size / 2, fake_offset(fake, at, FAKE_FUNCTIONS), size / 2);
		at = (fake_put_data(fake, i, fake_put_struct(fake, i)) + 7) & ~7u;
		entry += fake_funcs[i].bytes;
	}
	fake->entries[FAKE_FUNCS] = entry;
	fake_put(fake, index, size == 16 ? entry : entry - FAKE_TEXT, size / 2);
	/* in the oldest format, the array of files stands behind the last entry */
	if (size == 16)
		fake_put(fake, index + 8, FAKE_UNITS + 8 - FAKE_PCLNTAB, 4);
	fake_put_inlined(fake, 0, FAKE_MIDDLE, FAKE_OUTER_PC);
	fake_put_inlined(fake, 1, FAKE_INNER, FAKE_MIDDLE_PC);
}

static inline void fake_put_header(struct fake_go *fake)
{
	static const uint32_t tables[] = {FAKE_NAMES, FAKE_UNITS, FAKE_FILES, FAKE_VALUES, FAKE_FUNCTIONS};
	uint32_t at = FAKE_PCLNTAB + (fake->format == LM_GO_FORMAT_1_16 ? 24 : 32);

	fake_put(fake, FAKE_PCLNTAB, lm_go_magics[fake->format], 8);
	fake_put(fake, FAKE_PCLNTAB + 8, FAKE_FUNCS, 8);
	for (int i = 0; fake->format > LM_GO_FORMAT_1_2 && i < 5; i++)
		fake_put(fake, at + i * 8, tables[i] - FAKE_PCLNTAB, 8);
}

static inline void fake_put_slice(struct fake_go *fake, int word, uint32_t start, uint32_t end, uint32_t elem_bytes)
{
	fake_put(fake, FAKE_MODULEDATA + word * 8, start, 8);
	fake_put(fake, FAKE_MODULEDATA + word * 8 + 8, (end - start) / elem_bytes, 8);
	fake_put(fake, FAKE_MODULEDATA + word * 8 + 16, (end - start) / elem_bytes, 8);
}

static inline void fake_put_moduledata(struct fake_go *fake)
{
	bool oldest = fake->format == LM_GO_FORMAT_1_2;
	uint32_t size = fake->format < LM_GO_FORMAT_1_18 ? 16 : 8, index = fake_index(fake), text = oldest ? 12 : 22;

	fake_put(fake, FAKE_MODULEDATA, FAKE_PCLNTAB, 8);
	if (oldest) {
		fake_put_slice(fake, 0, FAKE_PCLNTAB, FAKE_FUNCTIONS_END, 1);
	} else {
		fake_put_slice(fake, 1, FAKE_NAMES, FAKE_UNITS, 1);
		fake_put_slice(fake, 4, FAKE_UNITS, FAKE_FILES, 4);
		fake_put_slice(fake, 7, FAKE_FILES, FAKE_VALUES, 1);
		fake_put_slice(fake, 10, FAKE_VALUES, FAKE_FUNCTIONS, 1);
		fake_put_slice(fake, 13, FAKE_FUNCTIONS, FAKE_FUNCTIONS_END, 1);
	}
	fake_put_slice(fake, oldest ? 3 : 16, index, index + (FAKE_FUNCS + 1) * size, size);
	fake_put(fake, FAKE_MODULEDATA + text * 8, FAKE_TEXT, 8);
	fake_put(fake, FAKE_MODULEDATA + text * 8 + 8, FAKE_ETEXT, 8);
	if (fake->format < LM_GO_FORMAT_1_18)
		return;
	fake_put(fake, FAKE_MODULEDATA + 37 * 8, 0x2a000, 8); /* types */
	fake_put(fake, FAKE_MODULEDATA + 38 * 8, fake->format == LM_GO_FORMAT_1_18 ? FAKE_GOFUNC : 0x2b000, 8);
	if (fake->minor < 27) {
		fake_put(fake, FAKE_MODULEDATA + 39 * 8, 0x28000, 8); /* rodata */
		fake_put(fake, FAKE_MODULEDATA + 40 * 8, FAKE_GOFUNC, 8);
		return;
	}
	fake_put(fake, FAKE_MODULEDATA + 38 * 8, 0x800, 8);
	fake_put(fake, FAKE_MODULEDATA + 39 * 8, 0x2b000, 8);
	fake_put(fake, FAKE_MODULEDATA + 43 * 8, FAKE_GOFUNC, 8);
	fake_put(fake, FAKE_MODULEDATA + 44 * 8, FAKE_FUNCTIONS_END, 8);
}

static inline void fake_put_version(struct fake_go *fake, const char *version)
{
	bool is_inline = fake->format >= LM_GO_FORMAT_1_18;

	memcpy(fake->bytes + FAKE_DATA, "\xff Go buildinf:\x08", 15);
	fake->bytes[FAKE_DATA + 15] = is_inline ? 2 : 0;
	if (is_inline) {
		fake->bytes[FAKE_DATA + 32] = strlen(version);
		memcpy(fake->bytes + FAKE_DATA + 33, version, strlen(version));
		return;
	}
	fake_put(fake, FAKE_DATA + 16, FAKE_VERSION, 8);
	fake_put(fake, FAKE_VERSION, FAKE_VERSION + 16, 8);
	fake_put(fake, FAKE_VERSION + 8, strlen(version), 8);
	memcpy(fake->bytes + FAKE_VERSION + 16, version, strlen(version));
}

/* Segments are where their file offsets are, counted from the ELF header. */
static inline void fake_put_elf(struct fake_go *fake)
{
	static const struct {
		uint32_t start, end, flags;
	} loads[] = {{FAKE_IMAGE, FAKE_ETEXT, PF_R | PF_X}, {FAKE_PCLNTAB, FAKE_DATA, PF_R},
		{FAKE_DATA, FAKE_DATA_END, PF_R | PF_W}};
	Elf64_Ehdr ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(ehdr),
		.e_ehsize = sizeof(ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3};
	Elf64_Phdr phdrs[3] = {{0}};

	for (int i = 0; i < 3; i++)
		phdrs[i] = (Elf64_Phdr){.p_type = PT_LOAD,
			.p_flags = loads[i].flags,
			.p_offset = loads[i].start - FAKE_IMAGE,
			.p_vaddr = loads[i].start,
			.p_filesz = loads[i].end - loads[i].start,
			.p_memsz = loads[i].end - loads[i].start,
			.p_align = 4096};
	memcpy(fake->bytes + FAKE_IMAGE, &ehdr, sizeof(ehdr));
	memcpy(fake->bytes + FAKE_IMAGE + sizeof(ehdr), phdrs, sizeof(phdrs));
}

static inline void fake_make(struct fake_go *fake, enum lm_go_format format, int minor, const char *version)
{
	memset(fake, 0, sizeof(*fake));
	fake->format = format;
	fake->minor = minor;
	fake->values_end = FAKE_VALUES + 1;
	fake_put_elf(fake);
	fake_put_texts(fake);
	fake_put_funcs(fake);
	fake_put_header(fake);
	fake_put_moduledata(fake);
	fake_put_version(fake, version);
}

#endif
