// SPDX-License-Identifier: GPL-2.0-or-later
/* Program headers from a file or from memory, section names from a file. Both may be garbage: what comes of them are
 * ranges that are looked at, no more. */
#include "user/golang/image.h"

#include <elf.h>
#include <gelf.h>
#include <string.h>

#define SECTIONS_MAX 4096 /* Go's linker writes 40 */

static void set_range(struct lm_go_range *range, uint64_t start, uint64_t len)
{
	uint64_t end;

	*range = __builtin_add_overflow(start, len, &end) ? (struct lm_go_range){0} : (struct lm_go_range){start, end};
}

static void take_section(struct lm_go_binary *binary, const GElf_Shdr *shdr, const char *name)
{
	uint64_t address = shdr->sh_addr + binary->bias;

	if (strcmp(name, ".gopclntab") == 0 || strcmp(name, ".data.rel.ro.gopclntab") == 0)
		binary->pclntab = address;
	else if (strcmp(name, ".go.buildinfo") == 0)
		binary->buildinfo = address;
	else if (strcmp(name, ".go.module") == 0)
		set_range(&binary->moduledata, address, shdr->sh_size);
	else if (strcmp(name, ".noptrdata") == 0)
		set_range(&binary->data, address, shdr->sh_size);
}

/* Each alone is a sign of Go's linker: not all are there after a foreign linker or strip. */
static bool is_sign(const char *name)
{
	static const char *const signs[] = {
		".gopclntab", ".data.rel.ro.gopclntab", ".go.buildinfo", ".note.go.buildid", ".gosymtab"};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (strcmp(signs[i], name) == 0)
			return true;
	}
	return false;
}

enum lm_go_sections lm_go_image_sections(struct lm_elf *elf, struct lm_go_binary *binary)
{
	enum lm_go_sections found = LM_GO_SECTIONS_NONE;
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf->elf, &names))
		return found;
	for (int i = 0; i < SECTIONS_MAX && (section = elf_nextscn(elf->elf, section)); i++) {
		GElf_Shdr shdr;
		const char *name = gelf_getshdr(section, &shdr) ? elf_strptr(elf->elf, names, shdr.sh_name) : NULL;

		if (!name)
			continue;
		if (is_sign(name))
			found = LM_GO_SECTIONS_GO;
		else if (found == LM_GO_SECTIONS_NONE)
			found = LM_GO_SECTIONS_OTHER;
		if (shdr.sh_type != SHT_NOBITS)
			take_section(binary, &shdr, name);
	}
	return found;
}

static void add_segment(struct lm_go_binary *binary, uint64_t start, uint64_t len, uint32_t flags)
{
	struct lm_go_segment *segment = &binary->segments[binary->segments_len];

	if (!len || binary->segments_len == LM_GO_SEGMENTS)
		return;
	set_range(&segment->range, start, len);
	segment->writable = flags & PF_W;
	segment->executable = flags & PF_X;
	binary->segments_len++;
}

/* What is relocated, then protected, is a part of a writable segment, at its start. */
static void add_split(struct lm_go_binary *binary, const GElf_Phdr *load, const GElf_Phdr *relro)
{
	uint64_t start = load->p_vaddr + binary->bias, before = 0;

	if (load->p_flags & PF_W && relro->p_type == PT_GNU_RELRO && relro->p_vaddr == load->p_vaddr)
		before = relro->p_filesz < load->p_filesz ? relro->p_filesz & ~7ull : load->p_filesz;
	add_segment(binary, start, before, load->p_flags & ~(uint32_t)PF_W);
	add_segment(binary, start + before, load->p_filesz - before, load->p_flags);
}

static void take_headers(const GElf_Phdr *phdrs, size_t len, struct lm_go_binary *binary)
{
	GElf_Phdr relro = {0};

	for (size_t i = 0; i < len; i++) {
		if (phdrs[i].p_type == PT_GNU_RELRO)
			relro = phdrs[i];
	}
	for (size_t i = 0; i < len; i++) {
		if (phdrs[i].p_type == PT_LOAD)
			add_split(binary, &phdrs[i], &relro);
		if (phdrs[i].p_type == PT_NOTE && !binary->note) {
			binary->note = phdrs[i].p_vaddr + binary->bias;
			binary->note_bytes = phdrs[i].p_filesz;
		}
	}
}

void lm_go_image_segments(struct lm_elf *elf, struct lm_go_binary *binary)
{
	GElf_Phdr phdrs[LM_GO_SEGMENTS];
	size_t len, read = 0;

	if (elf_getphdrnum(elf->elf, &len))
		return;
	for (size_t i = 0; i < len && read < LM_GO_SEGMENTS; i++) {
		if (gelf_getphdr(elf->elf, i, &phdrs[read]))
			read++;
	}
	take_headers(phdrs, read, binary);
}

bool lm_go_image_read(const struct lm_go_memory *memory, uint64_t header, struct lm_go_binary *binary)
{
	GElf_Phdr phdrs[LM_GO_SEGMENTS];
	Elf64_Ehdr ehdr;
	size_t len;

	if (!lm_go_memory_read_now(memory, header, &ehdr, sizeof(ehdr)) || memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 ||
		ehdr.e_ident[EI_CLASS] != ELFCLASS64 || ehdr.e_machine != EM_X86_64 ||
		ehdr.e_phentsize != sizeof(phdrs[0]))
		return false;
	len = ehdr.e_phnum < LM_GO_SEGMENTS ? ehdr.e_phnum : LM_GO_SEGMENTS;
	if (!lm_go_memory_read_now(memory, header + ehdr.e_phoff, phdrs, len * sizeof(phdrs[0])))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (phdrs[i].p_type == PT_LOAD && !phdrs[i].p_offset) {
			binary->bias = header - phdrs[i].p_vaddr;
			take_headers(phdrs, len, binary);
			return true;
		}
	}
	return false;
}
