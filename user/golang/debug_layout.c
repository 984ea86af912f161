// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Go's linker puts the types of the whole program into the compilation unit of the package runtime. Few of them are
 * wanted, and of those a few members. The file may be garbage: what comes of it are offsets within what is read of a
 * struct, and these are checked against the code afterwards, as those of the table are.
 */
#include "user/golang/debug_layout.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/golang/debug_sections.h"

#define UNITS_MAX 1000000
#define DIES_MAX 4000000       /* children of the unit: one for each function, variable and type */
#define MEMBERS_MAX 1024       /* of a struct */
#define BUDGET_NS 500000000ull /* the worker is given 2 s for an answer */
#define ABSENT UINT16_MAX
#define WORD_BYTES 8

/* Structs that are looked at. */
enum { G, STACK, GOBUF, SUDOG, POINTER, HCHAN, WAITQ, MODULEDATA, LABELS, STRUCTS };

static const char *const structs[STRUCTS] = {
	[G] = "runtime.g",
	[STACK] = "runtime.stack",
	[GOBUF] = "runtime.gobuf",
	[SUDOG] = "runtime.sudog",
	[POINTER] = "runtime.maybeTraceablePtr", /* from 1.26 on: what a sudog points to, hidden from the collector or
						    not */
	[HCHAN] = "runtime.hchan",
	[WAITQ] = "runtime.waitq",
	[MODULEDATA] = "runtime.moduledata",
	[LABELS] = "runtime/pprof.labelMap", /* up to 1.23 it is a map and no struct; not in every program */
};

/* Each field of the layout is a member, or a member of that. */
static const struct wanted {
	uint16_t field; /* in struct lm_go_runtime_layout */
	uint8_t of, inner_of;
	const char *member, *inner; /* inner NULL: the member itself */
	bool optional;              /* 0 if there is none */
} wanted[] = {
#define FIELD(name) offsetof(struct lm_go_runtime_layout, name)
	{FIELD(g.stack_lo), G, STACK, "stack", "lo", false},
	{FIELD(g.stack_hi), G, STACK, "stack", "hi", false},
	{FIELD(g.m), G, 0, "m", NULL, false},
	{FIELD(g.sched_sp), G, GOBUF, "sched", "sp", false},
	{FIELD(g.sched_pc), G, GOBUF, "sched", "pc", false},
	{FIELD(g.syscallsp), G, 0, "syscallsp", NULL, false},
	{FIELD(g.syscallpc), G, 0, "syscallpc", NULL, false},
	{FIELD(g.status), G, 0, "atomicstatus", NULL, false},
	{FIELD(g.goid), G, 0, "goid", NULL, false},
	{FIELD(g.waitsince), G, 0, "waitsince", NULL, false},
	{FIELD(g.waitreason), G, 0, "waitreason", NULL, false},
	{FIELD(g.sequence), G, 0, "trackingSeq", NULL, true},
	{FIELD(g.lockedm), G, 0, "lockedm", NULL, false},
	{FIELD(g.parent), G, 0, "parentGoid", NULL, true},
	{FIELD(g.gopc), G, 0, "gopc", NULL, false},
	{FIELD(g.startpc), G, 0, "startpc", NULL, false},
	{FIELD(g.waiting), G, 0, "waiting", NULL, false},
	{FIELD(g.labels), G, 0, "labels", NULL, false},
	{FIELD(sudog.g), SUDOG, 0, "g", NULL, false},
	{FIELD(sudog.next), SUDOG, 0, "next", NULL, false},
	{FIELD(sudog.elem), SUDOG, POINTER, "elem", "vu", false},
	{FIELD(sudog.link), SUDOG, 0, "waitlink", NULL, false},
	{FIELD(sudog.channel), SUDOG, POINTER, "c", "vu", false},
	{FIELD(channel.qcount), HCHAN, 0, "qcount", NULL, false},
	{FIELD(channel.dataqsiz), HCHAN, 0, "dataqsiz", NULL, false},
	{FIELD(channel.elemsize), HCHAN, 0, "elemsize", NULL, false},
	{FIELD(channel.closed), HCHAN, 0, "closed", NULL, false},
	{FIELD(channel.timer), HCHAN, 0, "timer", NULL, true},
	{FIELD(channel.elemtype), HCHAN, 0, "elemtype", NULL, false},
	{FIELD(channel.recvq), HCHAN, WAITQ, "recvq", "first", false},
	{FIELD(channel.sendq), HCHAN, WAITQ, "sendq", "first", false},
	{FIELD(moduledata.text), MODULEDATA, 0, "text", NULL, false},
	{FIELD(moduledata.data), MODULEDATA, 0, "data", NULL, false},
	{FIELD(moduledata.bss), MODULEDATA, 0, "bss", NULL, false},
#undef FIELD
};

#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

struct found {
	bool structs[STRUCTS], named_labels;
	uint16_t members[WANTED], inner[WANTED]; /* offsets, ABSENT: not seen */
	uint64_t end_ns;
	unsigned dies_left;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static bool take_offset(Dwarf_Die *member, uint16_t *offset)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (*offset != ABSENT || !dwarf_attr(member, DW_AT_data_member_location, &attribute) ||
		dwarf_formudata(&attribute, &value) || value >= ABSENT)
		return false;
	*offset = value;
	return true;
}

static void take_members(Dwarf_Die *die, unsigned number, struct found *found)
{
	Dwarf_Die member;
	int left = MEMBERS_MAX;

	if (found->structs[number])
		return;
	found->structs[number] = true;
	if (dwarf_child(die, &member))
		return;
	do {
		const char *name = dwarf_tag(&member) == DW_TAG_member ? dwarf_diename(&member) : NULL;

		for (size_t i = 0; name && i < WANTED; i++) {
			if (wanted[i].of == number && strcmp(wanted[i].member, name) == 0)
				take_offset(&member, &found->members[i]);
			if (wanted[i].inner && wanted[i].inner_of == number && strcmp(wanted[i].inner, name) == 0)
				take_offset(&member, &found->inner[i]);
		}
	} while (--left && dwarf_siblingof(&member, &member) == 0);
}

static void take_unit(Dwarf_Die *unit, struct found *found)
{
	Dwarf_Die die;

	if (dwarf_child(unit, &die))
		return;
	do {
		int tag = dwarf_tag(&die);
		const char *name = tag == DW_TAG_structure_type || tag == DW_TAG_typedef ? dwarf_diename(&die) : NULL;

		found->named_labels |= name && strcmp(name, structs[LABELS]) == 0;
		for (unsigned i = 0; name && tag == DW_TAG_structure_type && i < STRUCTS; i++) {
			if (strcmp(structs[i], name) == 0)
				take_members(&die, i, found);
		}
		if (!found->dies_left-- || (found->dies_left % 64 == 0 && now_ns() > found->end_ns)) {
			found->dies_left = 0;
			return;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
}

static void take_units(Dwarf *dwarf, struct found *found)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit;

	for (unsigned left = UNITS_MAX; left-- && dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &unit, NULL) == 0;) {
		const char *name = dwarf_tag(&unit) == DW_TAG_compile_unit ? dwarf_diename(&unit) : NULL;

		if (name && strcmp(name, "runtime") == 0)
			take_unit(&unit, found);
		if (!found->dies_left || (left % 64 == 0 && now_ns() > found->end_ns))
			return;
	}
}

static uint16_t *field_of(struct lm_go_runtime_layout *layout, const struct wanted *field)
{
	return (uint16_t *)((char *)layout + field->field);
}

/* What is read of a struct, with the last of its words. */
static unsigned room_of(uint8_t of)
{
	switch (of) {
	case G:
		return LM_GO_G_MAX_BYTES;
	case SUDOG:
		return LM_GO_SUDOG_BYTES;
	case HCHAN:
		return LM_GO_HCHAN_BYTES;
	default:
		return LM_GO_MODULEDATA_MAX_BYTES;
	}
}

static bool take_field(const struct found *found, size_t i, struct lm_go_runtime_layout *layout)
{
	const struct wanted *field = &wanted[i];
	unsigned offset = found->members[i];

	if (offset == ABSENT) {
		*field_of(layout, field) = 0;
		return field->optional;
	}
	/* before 1.26 these were plain pointers */
	if (field->inner && (field->inner_of != POINTER || found->structs[POINTER])) {
		if (found->inner[i] == ABSENT)
			return false;
		offset += found->inner[i];
	}
	if (offset + WORD_BYTES > room_of(field->of))
		return false;
	*field_of(layout, field) = offset;
	if (field->of == G && offset + WORD_BYTES > layout->g.bytes)
		layout->g.bytes = offset + WORD_BYTES;
	return true;
}

static int take_found(const struct found *found, struct lm_go_runtime_layout *layout)
{
	struct lm_go_runtime_layout taken = *layout;

	taken.g.bytes = 0;
	for (size_t i = 0; i < WANTED; i++) {
		if (!take_field(found, i, &taken))
			return -ENOENT;
	}
	taken.waits_name_object = found->structs[POINTER];
	if (found->named_labels)
		taken.labels_are_slice = found->structs[LABELS];
	*layout = taken;
	return 0;
}

static void take_image(char *image, size_t size, struct found *found)
{
	Elf *elf = elf_memory(image, size);
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;

	if (dwarf) {
		take_units(dwarf, found);
		dwarf_end(dwarf);
	}
	elf_end(elf);
}

int lm_go_debug_layout(struct lm_elf *elf, struct lm_go_runtime_layout *layout)
{
	struct found found = {.end_ns = now_ns() + BUDGET_NS, .dies_left = DIES_MAX};
	size_t size;
	char *image = lm_go_debug_sections(elf->elf, &size);

	if (!image && lm_elf_debug(elf))
		image = lm_go_debug_sections(lm_elf_debug(elf), &size);
	if (!image)
		return -ENOENT;
	memset(found.members, 0xff, sizeof(found.members));
	memset(found.inner, 0xff, sizeof(found.inner));
	take_image(image, size, &found);
	free(image);
	return take_found(&found, layout);
}
