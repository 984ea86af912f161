// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * elfutils would decompress all debug sections of a file, and keep them as long as the file is open. Those of types are
 * a third of them, and are needed once.
 */
#include "user/golang/debug_sections.h"

#include <elf.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define SECTIONS_MAX 4096 /* of the file */
#define GNU_HEAD_BYTES 12 /* "ZLIB", and the size with the highest byte first */
#define RATIO_MAX 1032    /* of what zlib can make of a byte */

static const char *const names[] = {"info", "abbrev", "str", "line_str", "str_offsets"};

#define NAMES (sizeof(names) / sizeof(names[0]))
#define NAME_ROOM 32 /* ".debug_str_offsets" */

struct section {
	const unsigned char *bytes; /* in the file */
	uint64_t stored, size;      /* bytes there, and decompressed */
	bool compressed;
};

/* The beginning of the image. */
struct head {
	Elf64_Ehdr ehdr;
	Elf64_Shdr shdrs[NAMES + 2];
	char names[(NAMES + 1) * NAME_ROOM];
};

/* 1.18 and older name compressed sections otherwise. */
static bool take_gnu_head(struct section *section)
{
	section->size = 0;
	if (section->stored < GNU_HEAD_BYTES || memcmp(section->bytes, "ZLIB", 4) != 0)
		return false;
	for (int i = 4; i < GNU_HEAD_BYTES; i++)
		section->size = section->size << 8 | section->bytes[i];
	section->bytes += GNU_HEAD_BYTES;
	section->stored -= GNU_HEAD_BYTES;
	section->compressed = true;
	return true;
}

static bool take_head(struct section *section)
{
	Elf64_Chdr chdr;

	if (section->stored < sizeof(chdr))
		return false;
	memcpy(&chdr, section->bytes, sizeof(chdr));
	section->bytes += sizeof(chdr);
	section->stored -= sizeof(chdr);
	section->size = chdr.ch_size;
	section->compressed = true;
	return chdr.ch_type == ELFCOMPRESS_ZLIB;
}

static bool take_section(Elf_Scn *found, const GElf_Shdr *shdr, bool gnu, struct section *section)
{
	const Elf_Data *data = elf_rawdata(found, NULL);

	if (section->bytes || !data || !data->d_buf)
		return section->bytes;
	*section = (struct section){.bytes = data->d_buf, .stored = data->d_size, .size = data->d_size};
	if (gnu ? !take_gnu_head(section) : shdr->sh_flags & SHF_COMPRESSED && !take_head(section))
		return false;
	return !section->compressed || section->size / RATIO_MAX <= section->stored;
}

/* All that are there must be whole. */
static bool find_sections(Elf *elf, struct section *sections)
{
	Elf_Scn *found = NULL;
	size_t strings;

	if (elf_getshdrstrndx(elf, &strings))
		return false;
	for (int i = 0; i < SECTIONS_MAX && (found = elf_nextscn(elf, found)); i++) {
		GElf_Shdr shdr;
		const char *name = gelf_getshdr(found, &shdr) ? elf_strptr(elf, strings, shdr.sh_name) : NULL;
		bool gnu = name && strncmp(name, ".zdebug_", 8) == 0;

		if (!name || shdr.sh_type == SHT_NOBITS || (!gnu && strncmp(name, ".debug_", 7) != 0))
			continue;
		for (size_t n = 0; n < NAMES; n++) {
			if (strcmp(name + 7 + gnu, names[n]) == 0 && !take_section(found, &shdr, gnu, &sections[n]))
				return false;
		}
	}
	return sections[0].bytes && sections[1].bytes;
}

static bool copy(const struct section *section, char *to)
{
	uLongf len = section->size;

	if (!section->compressed) {
		memcpy(to, section->bytes, section->size);
		return true;
	}
	return uncompress((Bytef *)to, &len, section->bytes, section->stored) == Z_OK && len == section->size;
}

static void begin_head(struct head *head)
{
	memcpy(head->ehdr.e_ident, ELFMAG, SELFMAG);
	head->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	head->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	head->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	head->ehdr.e_type = ET_EXEC;
	head->ehdr.e_machine = EM_X86_64;
	head->ehdr.e_version = EV_CURRENT;
	head->ehdr.e_ehsize = sizeof(head->ehdr);
	head->ehdr.e_shoff = offsetof(struct head, shdrs);
	head->ehdr.e_shentsize = sizeof(head->shdrs[0]);
	head->ehdr.e_shnum = NAMES + 2;
	head->ehdr.e_shstrndx = NAMES + 1;
	head->shdrs[NAMES + 1] = (Elf64_Shdr){
		.sh_type = SHT_STRTAB,
		.sh_offset = offsetof(struct head, names),
		.sh_size = sizeof(head->names),
		.sh_addralign = 1,
	};
}

char *lm_go_debug_sections(Elf *elf, size_t *size)
{
	struct section sections[NAMES] = {0};
	uint64_t sum = sizeof(struct head);
	struct head *head;
	char *image;

	if (!find_sections(elf, sections))
		return NULL;
	for (size_t i = 0; i < NAMES; i++) {
		if (sections[i].size > LM_GO_DEBUG_MAX_BYTES)
			return NULL;
		sum += sections[i].size;
	}
	image = sum <= LM_GO_DEBUG_MAX_BYTES ? calloc(1, sum) : NULL;
	if (!image)
		return NULL;
	head = (struct head *)image;
	begin_head(head);
	sum = sizeof(*head);
	for (size_t i = 0; i < NAMES; i++) {
		char *name = head->names + (i + 1) * NAME_ROOM;

		memcpy(stpcpy(name, ".debug_"), names[i], strlen(names[i]));
		head->shdrs[i + 1] = (Elf64_Shdr){
			.sh_name = name - head->names,
			.sh_type = sections[i].bytes ? SHT_PROGBITS : SHT_NULL,
			.sh_offset = sum,
			.sh_size = sections[i].size,
			.sh_addralign = 1,
		};
		if (sections[i].bytes && !copy(&sections[i], image + sum)) {
			free(image);
			return NULL;
		}
		sum += sections[i].size;
	}
	*size = sum;
	return image;
}
