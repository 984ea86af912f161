/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Goroutines of the program that fake_go.h makes: the code that leads to them, runtime.allgs,
 * g's, their stacks, and the channels, sudogs and labels behind them. The first starts in
 * runtime.main, all wait in main.outer, which main.main has called, with what they wait for
 * by turns.
 */
#ifndef LM_FAKE_GOROUTINES_H
#define LM_FAKE_GOROUTINES_H

#include "tests/unit/fake_go.h"
#include "user/golang/runtime_layout.h"

#define FAKE_ALLGS (FAKE_DATA + 0x800)   /* the slice */
#define FAKE_REASONS (FAKE_DATA + 0x900) /* string headers, and the texts behind them */
#define FAKE_REASON_TEXTS (FAKE_DATA + 0xa00)
#define FAKE_LIST 0x31000u /* of g's */
#define FAKE_G 0x32000u
#define FAKE_G_STRIDE 0x180u
#define FAKE_SUDOG 0x34000u
#define FAKE_CHANNEL 0x35000u
#define FAKE_LABELS 0x36000u
#define FAKE_OBJECT_STRIDE 0x80u
#define FAKE_STACK_BYTES 0x400u
#define FAKE_GS 8
#define FAKE_OUTER_RETURN 0x100 /* from the entry of main.outer: where all wait */
#define FAKE_FRAMES 3           /* on each stack: main.outer, main.main, runtime.goexit */

enum fake_reason {
	FAKE_NO_REASON,
	FAKE_ASSIST,
	FAKE_IO,
	FAKE_RECEIVE,
	FAKE_SEND,
	FAKE_SELECT,
	FAKE_MUTEX,
	FAKE_SLEEP,
	FAKE_REASONS_LEN
};

static const char *const fake_reasons[FAKE_REASONS_LEN] = {
	"", "GC assist marking", "IO wait", "chan receive", "chan send", "select", "sync.Mutex.Lock", "sleep"};

static inline uint64_t fake_g(unsigned i)
{
	return FAKE_G + i * FAKE_G_STRIDE;
}

static inline uint64_t fake_sudog(unsigned i)
{
	return FAKE_SUDOG + i * FAKE_OBJECT_STRIDE;
}

static inline uint64_t fake_channel(unsigned i)
{
	return FAKE_CHANNEL + i * FAKE_OBJECT_STRIDE;
}

static inline enum fake_reason fake_reason_of(unsigned i)
{
	static const enum fake_reason reasons[FAKE_GS] = {
		FAKE_RECEIVE, FAKE_SEND, FAKE_SELECT, FAKE_MUTEX, FAKE_SLEEP, FAKE_IO, FAKE_RECEIVE, FAKE_SEND};

	return reasons[i % FAKE_GS];
}

/* Where the code of allgadd names runtime.allgs, and before it looks at a status. */
static inline void fake_put_code(struct fake_go *fake, const struct lm_go_runtime_layout *layout)
{
	uint64_t at = fake->entries[FAKE_ALLGADD];

	fake_put(fake, at, 0x888b, 2);
	fake_put(fake, at + 2, layout->g.status, 4);
	for (int i = 0; i < 3; i++) {
		uint64_t move = at + 6 + i * 7;

		fake_put(fake, move, 0x058b48, 3);
		fake_put(fake, move + 3, FAKE_ALLGS + i * 8 - (move + 7), 4);
	}
}

static inline void fake_put_reasons(struct fake_go *fake)
{
	uint64_t text = FAKE_REASON_TEXTS;

	for (int i = 0; i < FAKE_REASONS_LEN; i++) {
		size_t len = strlen(fake_reasons[i]);

		fake_put(fake, FAKE_REASONS + i * 16, text, 8);
		fake_put(fake, FAKE_REASONS + i * 16 + 8, len, 8);
		memcpy(fake->bytes + text, fake_reasons[i], len);
		text += len;
	}
}

static inline void fake_put_labels(struct fake_go *fake, uint64_t at)
{
	fake_put(fake, at, at + 0x20, 8);
	fake_put(fake, at + 8, 1, 8);
	fake_put(fake, at + 0x20, at + 0x60, 8);
	fake_put(fake, at + 0x28, 3, 8);
	fake_put(fake, at + 0x30, at + 0x68, 8);
	fake_put(fake, at + 0x38, 5, 8);
	memcpy(fake->bytes + at + 0x60, "key", 3);
	memcpy(fake->bytes + at + 0x68, "value", 5);
}

static inline void fake_put_waits(struct fake_go *fake, const struct lm_go_runtime_layout *layout, unsigned i)
{
	uint64_t sudog = fake_sudog(i), channel = fake_channel(i);
	bool sends = fake_reason_of(i) == FAKE_SEND;

	if (fake_reason_of(i) > FAKE_MUTEX || fake_reason_of(i) == FAKE_IO)
		return;
	fake_put(fake, fake_g(i) + layout->g.waiting, sudog, 8);
	fake_put(fake, sudog + layout->sudog.g, fake_g(i), 8);
	fake_put(fake, sudog + layout->sudog.elem, FAKE_LABELS + 0x404, 8);
	if (fake_reason_of(i) == FAKE_MUTEX)
		return;
	fake_put(fake, sudog + layout->sudog.channel, channel, 8);
	fake_put(fake, channel + layout->channel.dataqsiz, 4, 8);
	fake_put(fake, channel + layout->channel.qcount, sends ? 4 : 0, 8);
	fake_put(fake, channel + layout->channel.elemsize, 8, 2);
	fake_put(fake, channel + (sends ? layout->channel.sendq : layout->channel.recvq), sudog, 8);
}

static inline void fake_put_g(struct fake_go *fake, const struct lm_go_runtime_layout *layout, unsigned i)
{
	uint64_t g = fake_g(i), lo = FAKE_STACK + i * FAKE_STACK_BYTES, hi = lo + FAKE_STACK_BYTES, sp = hi - 0x80;

	fake_put(fake, FAKE_LIST + i * 8, g, 8);
	fake_put(fake, g + layout->g.stack_lo, lo, 8);
	fake_put(fake, g + layout->g.stack_hi, hi, 8);
	fake_put(fake, g + layout->g.sched_sp, sp, 8);
	fake_put(fake, g + layout->g.sched_pc, fake->entries[FAKE_OUTER] + FAKE_OUTER_RETURN, 8);
	fake_put(fake, g + layout->g.status, LM_GO_STATUS_WAITING, 4);
	fake_put(fake, g + layout->g.goid, i + 1, 8);
	fake_put(fake, g + layout->g.waitreason, fake_reason_of(i), 1);
	fake_put(fake, g + layout->g.gopc, fake->entries[FAKE_MAIN] + 0x20, 8);
	fake_put(fake, g + layout->g.startpc, fake->entries[i ? FAKE_MAIN : FAKE_RUNTIME_MAIN], 8);
	fake_put(fake, g + layout->g.labels, FAKE_LABELS, 8);
	fake_put(fake, sp + 0x28, fake->entries[FAKE_MAIN] + 0x50, 8);
	fake_put(fake, sp + 0x48, fake->entries[FAKE_GOEXIT] + 1, 8);
	fake_put_waits(fake, layout, i);
}

/* Behind fake_make(). */
static inline void fake_put_goroutines(struct fake_go *fake, const struct lm_go_runtime_layout *layout)
{
	fake_put_code(fake, layout);
	fake_put(fake, FAKE_MODULEDATA + layout->moduledata.data, FAKE_DATA, 8);
	fake_put(fake, FAKE_MODULEDATA + layout->moduledata.data + 8, FAKE_DATA_END, 8);
	fake_put_reasons(fake);
	fake_put_labels(fake, FAKE_LABELS);
	fake_put(fake, FAKE_ALLGS, FAKE_LIST, 8);
	fake_put(fake, FAKE_ALLGS + 8, FAKE_GS, 8);
	fake_put(fake, FAKE_ALLGS + 16, 2 * FAKE_GS, 8);
	for (unsigned i = 0; i < FAKE_GS; i++)
		fake_put_g(fake, layout, i);
}

#endif
