/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the fields lie that are read of the runtime's structs, by version: all of it for amd64. From the debug
 * information of programs built with Go 1.15, 1.19 and 1.21 to 1.27; versions between two that agree are like them.
 * Programs that have debug information say it themselves: see debug_layout.h.
 */
#ifndef LM_GOLANG_RUNTIME_LAYOUT_H
#define LM_GOLANG_RUNTIME_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read of these, beyond the last field that is used. */
#define LM_GO_G_MAX_BYTES 0x400
#define LM_GO_SUDOG_BYTES 0x70
#define LM_GO_HCHAN_BYTES 0x60
#define LM_GO_MODULEDATA_MAX_BYTES 0x400

/* What a status says once the bit of the stack scan is off. */
enum lm_go_status {
	LM_GO_STATUS_IDLE = 0,
	LM_GO_STATUS_RUNNABLE = 1,
	LM_GO_STATUS_RUNNING = 2,
	LM_GO_STATUS_SYSCALL = 3,
	LM_GO_STATUS_WAITING = 4,
	LM_GO_STATUS_DEAD = 6,
	LM_GO_STATUS_COPYSTACK = 8,
	LM_GO_STATUS_PREEMPTED = 9,
	LM_GO_STATUS_LEAKED = 10,     /* 1.26+: waits, and the GC has found that nothing can end it */
	LM_GO_STATUS_DEAD_EXTRA = 11, /* 1.26+: kept for a thread that comes from C */
};
#define LM_GO_STATUS_SCAN 0x1000u

struct lm_go_runtime_layout {
	int minor; /* the first version that is like this */
	struct {
		uint16_t stack_lo, stack_hi, m, sched_sp, sched_pc, syscallsp, syscallpc, status, goid, waitsince;
		uint16_t waitreason, sequence, lockedm, parent, gopc, startpc, waiting, labels; /* 0: none */
		uint16_t bytes; /* that must be read for these */
	} g;
	struct {
		uint16_t g, elem, link, channel;
		uint16_t next; /* in a channel's queue */
	} sudog;
	struct {
		uint16_t qcount, dataqsiz, elemsize, closed, timer, elemtype, recvq, sendq; /* timer 0: none */
	} channel;
	struct {
		uint16_t text, data, bss; /* of the start and, 8 further, the end */
	} moduledata;
	bool waits_name_object; /* waiting is set, and sudog.elem is the semaphore, of locks and the like too */
	bool labels_are_slice;  /* else a map */
};

/* NULL if it is older than what is known. Of one that is newer, or not known (0), the newest: to be checked. */
const struct lm_go_runtime_layout *lm_go_runtime_layout_of(int minor);

/* A number of so many bytes in what was read. */
uint64_t lm_go_field64(const unsigned char *bytes, uint16_t offset);
uint32_t lm_go_field32(const unsigned char *bytes, uint16_t offset);
uint16_t lm_go_field16(const unsigned char *bytes, uint16_t offset);

#endif
