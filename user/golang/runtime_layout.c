// SPDX-License-Identifier: GPL-2.0-or-later
/* One table. What is the same in all versions stands in the macros above it. */
#include "user/golang/runtime_layout.h"

#include <string.h>

#define G_HEAD .bytes = 0x178, .stack_lo = 0, .stack_hi = 8, .m = 0x30, .sched_sp = 0x38, .sched_pc = 0x40
#define SYSCALL_1_15 .syscallsp = 0x70, .syscallpc = 0x78
#define SYSCALL_1_25 .syscallsp = 0x68, .syscallpc = 0x70
#define STATUS_90 .status = 0x90, .goid = 0x98, .waitsince = 0xa8, .waitreason = 0xb0
#define STATUS_98 .status = 0x98, .goid = 0xa0, .waitsince = 0xb0, .waitreason = 0xb8
#define SUDOG_1_15                                                                                                     \
	{                                                                                                              \
		.elem = 0x18, .next = 8, .link = 0x40, .channel = 0x50                                                 \
	}
/* Its pointers are hidden from the collector at times: behind each stands its address as a number. */
#define SUDOG_1_26                                                                                                     \
	{                                                                                                              \
		.elem = 0x20, .next = 8, .link = 0x48, .channel = 0x60                                                 \
	}
#define CHANNEL_HEAD .dataqsiz = 8, .elemsize = 0x18, .closed = 0x1c
#define CHANNEL_1_15                                                                                                   \
	{                                                                                                              \
		CHANNEL_HEAD, .elemtype = 0x20, .recvq = 0x38, .sendq = 0x48                                           \
	}
#define CHANNEL_1_23                                                                                                   \
	{                                                                                                              \
		CHANNEL_HEAD, .timer = 0x20, .elemtype = 0x28, .recvq = 0x40, .sendq = 0x50                            \
	}
#define MODULEDATA_1_15                                                                                                \
	{                                                                                                              \
		.text = 0x60, .data = 0x80, .bss = 0x90                                                                \
	}
#define MODULEDATA_1_16                                                                                                \
	{                                                                                                              \
		.text = 0xb0, .data = 0xd0, .bss = 0xe0                                                                \
	}

static const struct lm_go_runtime_layout layouts[] = {
	{
		.minor = 15,
		.g = {G_HEAD, SYSCALL_1_15, STATUS_90, .lockedm = 0xd8, .gopc = 0x118, .startpc = 0x128,
			.waiting = 0x138, .labels = 0x158},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_15,
		.moduledata = MODULEDATA_1_15,
	},
	{
		.minor = 16,
		.g = {G_HEAD, SYSCALL_1_15, STATUS_90, .lockedm = 0xd8, .gopc = 0x118, .startpc = 0x128,
			.waiting = 0x138, .labels = 0x158},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_15,
		.moduledata = MODULEDATA_1_16,
	},
	{
		.minor = 17,
		.g = {G_HEAD, SYSCALL_1_15, STATUS_90, .sequence = 0xbd, .lockedm = 0xe8, .gopc = 0x128,
			.startpc = 0x138, .waiting = 0x148, .labels = 0x168},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_15,
		.moduledata = MODULEDATA_1_16,
	},
	{
		.minor = 21,
		.g = {G_HEAD, SYSCALL_1_15, STATUS_90, .sequence = 0xbc, .lockedm = 0xd0, .parent = 0x110,
			.gopc = 0x118, .startpc = 0x128, .waiting = 0x138, .labels = 0x158},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_15,
		.moduledata = MODULEDATA_1_16,
	},
	{
		.minor = 22,
		.g = {G_HEAD, SYSCALL_1_15, STATUS_90, .sequence = 0xbf, .lockedm = 0xd0, .parent = 0x110,
			.gopc = 0x118, .startpc = 0x128, .waiting = 0x138, .labels = 0x158},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_15,
		.moduledata = MODULEDATA_1_16,
	},
	{
		.minor = 23,
		.g = {G_HEAD, SYSCALL_1_15, STATUS_98, .sequence = 0xc7, .lockedm = 0xd8, .parent = 0x118,
			.gopc = 0x120, .startpc = 0x130, .waiting = 0x140, .labels = 0x160},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_23,
		.moduledata = MODULEDATA_1_16,
	},
	{
		.minor = 24,
		.g = {G_HEAD, SYSCALL_1_15, STATUS_98, .sequence = 0xc7, .lockedm = 0xd8, .parent = 0x118,
			.gopc = 0x120, .startpc = 0x130, .waiting = 0x140, .labels = 0x160},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_23,
		.moduledata = MODULEDATA_1_16,
		.labels_are_slice = true,
	},
	{
		.minor = 25,
		.g = {G_HEAD, SYSCALL_1_25, STATUS_90, .sequence = 0xbf, .lockedm = 0xd0, .parent = 0x110,
			.gopc = 0x118, .startpc = 0x128, .waiting = 0x138, .labels = 0x158},
		.sudog = SUDOG_1_15,
		.channel = CHANNEL_1_23,
		.moduledata = MODULEDATA_1_16,
		.labels_are_slice = true,
	},
	{
		.minor = 26,
		.g = {G_HEAD, SYSCALL_1_25, STATUS_90, .sequence = 0xbf, .lockedm = 0xd0, .parent = 0x118,
			.gopc = 0x120, .startpc = 0x130, .waiting = 0x140, .labels = 0x160},
		.sudog = SUDOG_1_26,
		.channel = CHANNEL_1_23,
		.moduledata = MODULEDATA_1_16,
		.waits_name_object = true,
		.labels_are_slice = true,
	},
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

const struct lm_go_runtime_layout *lm_go_runtime_layout_of(int minor)
{
	if (minor <= 0)
		return &layouts[LAYOUTS - 1];
	for (size_t i = LAYOUTS; i-- > 0;) {
		if (minor >= layouts[i].minor)
			return &layouts[i];
	}
	return NULL;
}

uint64_t lm_go_field64(const unsigned char *bytes, uint16_t offset)
{
	uint64_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

uint32_t lm_go_field32(const unsigned char *bytes, uint16_t offset)
{
	uint32_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

uint16_t lm_go_field16(const unsigned char *bytes, uint16_t offset)
{
	uint16_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}
