// SPDX-License-Identifier: GPL-2.0-or-later
/* ELF and DWARF handles of elfutils. What the files hold is not trusted: a file that makes the libraries fail fails
 * alone, and one that crashes them costs this process, which is started again. */
#include "user/resolver/module.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DYNAMIC_SYMBOLS_MAX 1000000
#define UNITS_MAX 2000000 /* ranges: Chromium has about 400,000 */

bool lm_elf_expired(const struct lm_elf *elf)
{
	struct timespec now;

	if (!elf->deadline_ns)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec > elf->deadline_ns;
}

static int read_segments(struct lm_elf *elf, uint64_t file_size)
{
	size_t count;

	if (elf_getphdrnum(elf->elf, &count))
		return -ENOEXEC;
	for (size_t i = 0; i < count && elf->segments_len < LM_MODULE_SEGMENTS; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf->elf, i, &phdr) || phdr.p_type != PT_LOAD || !(phdr.p_flags & PF_X))
			continue;
		/* a file that was cut short: what is beyond its end must not be touched */
		if (phdr.p_offset > file_size || phdr.p_filesz > file_size - phdr.p_offset)
			return -ENOEXEC;
		elf->segments[elf->segments_len++] =
			(struct lm_segment){.vaddr = phdr.p_vaddr, .file_offset = phdr.p_offset, .size = phdr.p_filesz};
	}
	return elf->segments_len ? 0 : -ENOEXEC;
}

/* All sections lie within the file: elfutils maps it, and beyond its end there is SIGBUS. */
static bool sections_fit(Elf *elf, uint64_t file_size)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(section, &shdr))
			return false;
		if (shdr.sh_type == SHT_NOBITS)
			continue;
		if (shdr.sh_offset > file_size || shdr.sh_size > file_size - shdr.sh_offset)
			return false;
	}
	return true;
}

static bool is_our_kind(Elf *elf)
{
	GElf_Ehdr ehdr;

	return elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &ehdr) && gelf_getclass(elf) == ELFCLASS64 &&
	       ehdr.e_machine == EM_X86_64;
}

/* The file, mapped; NULL if it is not of our kind. Needs no descriptor any more. */
static Elf *map_file(int fd, uint64_t *size)
{
	struct stat st;
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);

	if (!elf)
		return NULL;
	if (fstat(fd, &st) || !is_our_kind(elf) || !sections_fit(elf, st.st_size) || elf_cntl(elf, ELF_C_FDREAD)) {
		elf_end(elf);
		return NULL;
	}
	*size = st.st_size;
	return elf;
}

int lm_elf_open(int fd, struct lm_elf **out)
{
	struct lm_elf *elf = calloc(1, sizeof(*elf));
	uint64_t size;
	int error = -ENOMEM;

	if (!elf)
		goto close_fd;
	elf->debug_fd = -1;
	elf->elf = map_file(fd, &size);
	error = elf->elf ? read_segments(elf, size) : -ENOEXEC;
	if (error)
		lm_elf_free(elf);
	else
		*out = elf;
close_fd:
	close(fd);
	return error;
}

/* They are read again from the file when they are touched. */
static void drop_pages(Elf *elf)
{
	size_t size;
	char *bytes = elf ? elf_rawfile(elf, &size) : NULL;

	if (bytes && (uintptr_t)bytes % 4096 == 0)
		madvise(bytes, size, MADV_DONTNEED);
}

/* CFI that is in use costs little and is needed all the time: only that of the debug information goes. */

void lm_elf_trim(struct lm_elf *elf)
{
	free(elf->units);
	elf->units = NULL;
	elf->units_len = 0;
	free(elf->starts);
	elf->starts = NULL;
	elf->starts_len = 0;
	elf->debug_cfi = NULL; /* belongs to dwarf */
	if (elf->dwarf)
		dwarf_end(elf->dwarf);
	elf->dwarf = NULL;
	elf->dwarf_tried = false;
	drop_pages(elf->elf);
	/* it holds what was compressed in it */
	elf_end(elf->debug_elf);
	elf->debug_elf = NULL;
}

void lm_elf_free(struct lm_elf *elf)
{
	if (!elf)
		return;
	lm_elf_trim(elf);
	if (elf->eh_cfi)
		dwarf_cfi_end(elf->eh_cfi);
	if (elf->debug_fd >= 0)
		close(elf->debug_fd);
	elf_end(elf->elf);
	free(elf->python);
	free(elf);
}

static size_t build_id_of(Elf *elf, const uint8_t **bytes)
{
	const void *found;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &found);

	if (len <= 0)
		return 0;
	*bytes = found;
	return len;
}

size_t lm_elf_build_id(const struct lm_elf *elf, const uint8_t **bytes)
{
	return build_id_of(elf->elf, bytes);
}

void lm_elf_add_debug(struct lm_elf *elf, int debug_fd)
{
	const uint8_t *own = NULL, *other = NULL;
	size_t own_len = build_id_of(elf->elf, &own);
	uint64_t size;
	Elf *debug = map_file(debug_fd, &size);
	bool same = debug && own_len && build_id_of(debug, &other) == own_len && memcmp(own, other, own_len) == 0;

	elf_end(debug);
	if (!same) {
		close(debug_fd);
		return;
	}
	lm_elf_trim(elf);
	if (elf->debug_fd >= 0)
		close(elf->debug_fd);
	elf->debug_fd = debug_fd;
}

Elf *lm_elf_debug(struct lm_elf *elf)
{
	uint64_t size;

	if (!elf->debug_elf && elf->debug_fd >= 0)
		elf->debug_elf = map_file(elf->debug_fd, &size);
	return elf->debug_elf;
}

static bool has_section(Elf *elf, const char *name)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return false;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr shdr;
		const char *found = gelf_getshdr(section, &shdr) ? elf_strptr(elf, names, shdr.sh_name) : NULL;

		if (found && strcmp(found, name) == 0)
			return true;
	}
	return false;
}

bool lm_elf_has_lines(const struct lm_elf *elf)
{
	return has_section(elf->elf, ".debug_info");
}

bool lm_elf_to_vaddr(const struct lm_elf *elf, uint64_t file_offset, uint64_t *vaddr)
{
	for (size_t i = 0; i < elf->segments_len; i++) {
		const struct lm_segment *segment = &elf->segments[i];

		if (file_offset - segment->file_offset < segment->size) {
			*vaddr = file_offset - segment->file_offset + segment->vaddr;
			return true;
		}
	}
	return false;
}

bool lm_elf_to_offset(const struct lm_elf *elf, uint64_t vaddr, uint64_t *file_offset)
{
	for (size_t i = 0; i < elf->segments_len; i++) {
		const struct lm_segment *segment = &elf->segments[i];

		if (vaddr - segment->vaddr < segment->size) {
			*file_offset = vaddr - segment->vaddr + segment->file_offset;
			return true;
		}
	}
	return false;
}

bool lm_elf_bias(const struct lm_elf *elf, uint64_t start, uint64_t end, uint64_t file_offset, uint64_t *bias)
{
	for (size_t i = 0; i < elf->segments_len; i++) {
		const struct lm_segment *segment = &elf->segments[i];

		/* the mapping begins with the segment's page, which is before the segment */
		if (file_offset < segment->file_offset + segment->size &&
			file_offset + (end - start) > segment->file_offset) {
			*bias = start - file_offset + segment->file_offset - segment->vaddr;
			return true;
		}
	}
	return false;
}

static Elf_Data *dynamic_symbols(Elf *elf, GElf_Shdr *shdr)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		if (gelf_getshdr(section, shdr) && shdr->sh_type == SHT_DYNSYM)
			return elf_getdata(section, NULL);
	}
	return NULL;
}

void lm_elf_variables(struct lm_elf *elf, const char *const *names, size_t len, uint64_t *vaddrs)
{
	GElf_Shdr shdr;
	Elf_Data *data = dynamic_symbols(elf->elf, &shdr);
	GElf_Sym symbol;

	memset(vaddrs, 0, len * sizeof(*vaddrs));
	for (int i = 0; data && i < DYNAMIC_SYMBOLS_MAX && gelf_getsym(data, i, &symbol); i++) {
		const char *name;

		if (GELF_ST_TYPE(symbol.st_info) != STT_OBJECT || symbol.st_shndx == SHN_UNDEF)
			continue;
		name = elf_strptr(elf->elf, shdr.sh_link, symbol.st_name);
		for (size_t n = 0; name && n < len; n++) {
			if (strcmp(names[n], name) == 0)
				vaddrs[n] = symbol.st_value;
		}
	}
}

/* The address range of a unit, which may be in many parts. */
static bool add_unit(struct lm_elf *elf, Dwarf_Die *die, size_t *room)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
		if (low >= high || elf->units_len == UNITS_MAX)
			continue;
		if (elf->units_len == *room) {
			size_t larger = *room ? *room * 2 : 64;
			struct lm_unit_range *grown = realloc(elf->units, larger * sizeof(*grown));

			if (!grown)
				return false;
			elf->units = grown;
			*room = larger;
		}
		elf->units[elf->units_len++] =
			(struct lm_unit_range){.low = low, .high = high, .unit = dwarf_dieoffset(die)};
	}
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct lm_unit_range *x = a, *y = b;

	return (x->low > y->low) - (x->low < y->low);
}

/* clang and rustc write no .debug_aranges, so the units are asked themselves. */
static void index_units(struct lm_elf *elf)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;
	size_t room = 0;

	while (!lm_elf_expired(elf) && dwarf_get_units(elf->dwarf, cu, &cu, NULL, &type, &die, NULL) == 0) {
		if (type != DW_UT_type && type != DW_UT_split_type && !add_unit(elf, &die, &room))
			break;
	}
	if (elf->units_len)
		qsort(elf->units, elf->units_len, sizeof(elf->units[0]), compare_ranges);
}

Dwarf *lm_elf_dwarf(struct lm_elf *elf)
{
	if (elf->dwarf_tried)
		return elf->dwarf;
	elf->dwarf_tried = true;
	if (has_section(elf->elf, ".debug_info"))
		elf->dwarf = dwarf_begin_elf(elf->elf, DWARF_C_READ, NULL);
	else if (lm_elf_debug(elf))
		elf->dwarf = dwarf_begin_elf(elf->debug_elf, DWARF_C_READ, NULL);
	if (elf->dwarf)
		index_units(elf);
	return elf->dwarf;
}

bool lm_elf_unit(struct lm_elf *elf, uint64_t vaddr, Dwarf_Die *unit)
{
	size_t low = 0, high;

	if (!lm_elf_dwarf(elf))
		return false;
	high = elf->units_len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (elf->units[middle].low <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && vaddr < elf->units[low - 1].high && dwarf_offdie(elf->dwarf, elf->units[low - 1].unit, unit);
}

Dwarf_CFI *lm_elf_cfi(struct lm_elf *elf, bool debug_frame)
{
	if (!debug_frame) {
		if (!elf->cfi_tried)
			elf->eh_cfi = dwarf_getcfi_elf(elf->elf);
		elf->cfi_tried = true;
		return elf->eh_cfi;
	}
	if (!elf->debug_cfi && lm_elf_dwarf(elf))
		elf->debug_cfi = dwarf_getcfi(elf->dwarf);
	return elf->debug_cfi;
}
