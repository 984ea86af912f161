/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ELF file whose debug information describes the structs of Go's runtime as a layout says they are. */
#ifndef LM_FAKE_DEBUG_H
#define LM_FAKE_DEBUG_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "user/golang/runtime_layout.h"

#define FAKE_DEBUG_BYTES 16384u
#define FAKE_INFO_BYTES 4096u

enum fake_form { FAKE_PLAIN, FAKE_COMPRESSED, FAKE_GNU_COMPRESSED };

struct fake_debug {
	const char *unit;                   /* name of the unit; NULL: "runtime" */
	const char *leave_out;              /* a member that is not there */
	bool traceable, labels, labels_map; /* are there maybeTraceablePtr, and labels that are a struct? */
	enum fake_form form;
	uint64_t claimed; /* size of the compressed sections, 0: as it is */
	size_t info_len, len;
	unsigned char info[FAKE_INFO_BYTES];
	unsigned char bytes[FAKE_DEBUG_BYTES];
};

enum { FAKE_UNIT = 1, FAKE_STRUCT, FAKE_MEMBER, FAKE_TYPEDEF };

/* A unit and structs have children; all have names, members their place. */
static const unsigned char fake_abbrevs[] = {FAKE_UNIT, 0x11, 1, 0x03, 0x08, 0, 0, FAKE_STRUCT, 0x13, 1, 0x03, 0x08, 0,
	0, FAKE_MEMBER, 0x0d, 0, 0x03, 0x08, 0x38, 0x0f, 0, 0, FAKE_TYPEDEF, 0x16, 0, 0x03, 0x08, 0, 0, 0};

static inline void fake_info_byte(struct fake_debug *debug, unsigned char byte)
{
	debug->info[debug->info_len++] = byte;
}

static inline void fake_info_text(struct fake_debug *debug, const char *text)
{
	memcpy(debug->info + debug->info_len, text, strlen(text) + 1);
	debug->info_len += strlen(text) + 1;
}

static inline void fake_begin(struct fake_debug *debug, unsigned char code, const char *name)
{
	fake_info_byte(debug, code);
	fake_info_text(debug, name);
}

static inline void fake_member(struct fake_debug *debug, const char *name, uint32_t offset)
{
	if (debug->leave_out && strcmp(debug->leave_out, name) == 0)
		return;
	fake_begin(debug, FAKE_MEMBER, name);
	for (; offset >= 0x80; offset >>= 7)
		fake_info_byte(debug, offset | 0x80);
	fake_info_byte(debug, offset);
}

static inline void fake_end(struct fake_debug *debug)
{
	fake_info_byte(debug, 0);
}

static inline void fake_g_members(struct fake_debug *debug, const struct lm_go_runtime_layout *layout)
{
	fake_begin(debug, FAKE_STRUCT, "runtime.g");
	fake_member(debug, "stack", layout->g.stack_lo);
	fake_member(debug, "m", layout->g.m);
	fake_member(debug, "sched", layout->g.sched_sp);
	fake_member(debug, "syscallsp", layout->g.syscallsp);
	fake_member(debug, "syscallpc", layout->g.syscallpc);
	fake_member(debug, "atomicstatus", layout->g.status);
	fake_member(debug, "goid", layout->g.goid);
	fake_member(debug, "waitsince", layout->g.waitsince);
	fake_member(debug, "waitreason", layout->g.waitreason);
	if (layout->g.sequence)
		fake_member(debug, "trackingSeq", layout->g.sequence);
	fake_member(debug, "lockedm", layout->g.lockedm);
	if (layout->g.parent)
		fake_member(debug, "parentGoid", layout->g.parent);
	fake_member(debug, "gopc", layout->g.gopc);
	fake_member(debug, "startpc", layout->g.startpc);
	fake_member(debug, "waiting", layout->g.waiting);
	fake_member(debug, "labels", layout->g.labels);
	fake_end(debug);
}

static inline void fake_other_structs(struct fake_debug *debug, const struct lm_go_runtime_layout *layout)
{
	unsigned before = debug->traceable ? 8 : 0;

	fake_begin(debug, FAKE_STRUCT, "runtime.sudog");
	fake_member(debug, "g", layout->sudog.g);
	fake_member(debug, "next", layout->sudog.next);
	fake_member(debug, "elem", layout->sudog.elem - before);
	fake_member(debug, "waitlink", layout->sudog.link);
	fake_member(debug, "c", layout->sudog.channel - before);
	fake_end(debug);
	fake_begin(debug, FAKE_STRUCT, "runtime.hchan");
	fake_member(debug, "qcount", layout->channel.qcount);
	fake_member(debug, "dataqsiz", layout->channel.dataqsiz);
	fake_member(debug, "elemsize", layout->channel.elemsize);
	fake_member(debug, "closed", layout->channel.closed);
	if (layout->channel.timer)
		fake_member(debug, "timer", layout->channel.timer);
	fake_member(debug, "elemtype", layout->channel.elemtype);
	fake_member(debug, "recvq", layout->channel.recvq);
	fake_member(debug, "sendq", layout->channel.sendq);
	fake_end(debug);
	fake_begin(debug, FAKE_STRUCT, "runtime.moduledata");
	fake_member(debug, "text", layout->moduledata.text);
	fake_member(debug, "data", layout->moduledata.data);
	fake_member(debug, "bss", layout->moduledata.bss);
	fake_end(debug);
}

static inline void fake_small_structs(struct fake_debug *debug, const struct lm_go_runtime_layout *layout)
{
	fake_begin(debug, FAKE_STRUCT, "runtime.stack");
	fake_member(debug, "lo", 0);
	fake_member(debug, "hi", layout->g.stack_hi - layout->g.stack_lo);
	fake_end(debug);
	fake_begin(debug, FAKE_STRUCT, "runtime.gobuf");
	fake_member(debug, "sp", 0);
	fake_member(debug, "pc", layout->g.sched_pc - layout->g.sched_sp);
	fake_end(debug);
	fake_begin(debug, FAKE_STRUCT, "runtime.waitq");
	fake_member(debug, "first", 0);
	fake_end(debug);
	if (debug->traceable) {
		fake_begin(debug, FAKE_STRUCT, "runtime.maybeTraceablePtr");
		fake_member(debug, "vp", 0);
		fake_member(debug, "vu", 8);
		fake_end(debug);
	}
	if (debug->labels_map)
		fake_begin(debug, FAKE_TYPEDEF, "runtime/pprof.labelMap");
	if (debug->labels) {
		fake_begin(debug, FAKE_STRUCT, "runtime/pprof.labelMap");
		fake_end(debug);
	}
}

static inline void fake_put_info(struct fake_debug *debug, const struct lm_go_runtime_layout *layout)
{
	static const unsigned char head[] = {
		4, 0, 0, 0, 0, 0, 8}; /* version, place of the abbreviations, address size */
	uint32_t len;

	debug->info_len = sizeof(len);
	for (size_t i = 0; i < sizeof(head); i++)
		fake_info_byte(debug, head[i]);
	fake_begin(debug, FAKE_UNIT, debug->unit ? debug->unit : "runtime");
	fake_g_members(debug, layout);
	fake_other_structs(debug, layout);
	fake_small_structs(debug, layout);
	fake_end(debug);
	len = debug->info_len - sizeof(len);
	memcpy(debug->info, &len, sizeof(len));
}

/* Puts a section's bytes at the end of the file. */
static inline void fake_put_section(struct fake_debug *debug, Elf64_Shdr *shdr, const unsigned char *bytes, size_t len)
{
	uint64_t claimed = debug->claimed ? debug->claimed : len;
	uLongf room = FAKE_INFO_BYTES;
	unsigned char *to;

	debug->len = (debug->len + 7) & ~7ull;
	shdr->sh_type = SHT_PROGBITS;
	shdr->sh_offset = debug->len;
	shdr->sh_addralign = 1;
	to = debug->bytes + debug->len;
	if (debug->form == FAKE_PLAIN) {
		memcpy(to, bytes, len);
		to += len;
	} else if (debug->form == FAKE_COMPRESSED) {
		const Elf64_Chdr chdr = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = claimed, .ch_addralign = 1};

		shdr->sh_flags = SHF_COMPRESSED;
		memcpy(to, &chdr, sizeof(chdr));
		to += sizeof(chdr);
	} else {
		memcpy(to, "ZLIB", 4);
		to += 4;
		for (int i = 56; i >= 0; i -= 8)
			*to++ = claimed >> i;
	}
	if (debug->form != FAKE_PLAIN) {
		compress(to, &room, bytes, len);
		to += room;
	}
	debug->len = to - debug->bytes;
	shdr->sh_size = debug->len - shdr->sh_offset;
}

/* Fills bytes and len. */
static inline void fake_make_debug(struct fake_debug *debug, const struct lm_go_runtime_layout *layout)
{
	static const char plain[] = "\0.debug_info\0.debug_abbrev\0.names",
			  compressed[] = "\0.zdebug_info\0.zdebug_abbrev\0.names";
	bool gnu = debug->form == FAKE_GNU_COMPRESSED;
	const char *names = gnu ? compressed : plain;
	Elf64_Ehdr ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(ehdr),
		.e_shoff = 128,
		.e_ehsize = sizeof(ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
		.e_shstrndx = 3};
	Elf64_Phdr code = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 64, .p_memsz = 64, .p_vaddr = 0x10000};
	Elf64_Shdr shdrs[4] = {0};

	fake_put_info(debug, layout);
	debug->len = 128 + sizeof(shdrs);
	shdrs[1].sh_name = 1;
	fake_put_section(debug, &shdrs[1], debug->info, debug->info_len);
	shdrs[2].sh_name = 1 + sizeof(".debug_info") + gnu;
	fake_put_section(debug, &shdrs[2], fake_abbrevs, sizeof(fake_abbrevs));
	shdrs[3] = (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = debug->len, .sh_size = sizeof(plain) + 2 * gnu};
	shdrs[3].sh_name = shdrs[2].sh_name + sizeof(".debug_abbrev") + gnu;
	memcpy(debug->bytes + debug->len, names, shdrs[3].sh_size);
	debug->len += shdrs[3].sh_size;
	memcpy(debug->bytes, &ehdr, sizeof(ehdr));
	memcpy(debug->bytes + sizeof(ehdr), &code, sizeof(code));
	memcpy(debug->bytes + 128, shdrs, sizeof(shdrs));
}

#endif
