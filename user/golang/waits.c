// SPDX-License-Identifier: GPL-2.0-or-later
/* What a goroutine waits for: the sudogs that g leads to, and the channels and semaphores behind them. */
#include "user/golang/goroutines_state.h"

#define CASES_MAX 1024 /* channels of a select that are followed */

bool lm_go_waits_for_channel(enum lm_go_state state)
{
	return state == LM_GO_CHAN_SEND || state == LM_GO_CHAN_RECEIVE || state == LM_GO_SELECT;
}

bool lm_go_waits_for_lock(enum lm_go_state state)
{
	return state >= LM_GO_MUTEX && state <= LM_GO_SEMAPHORE;
}

static bool read_object(struct lm_goroutines *goroutines, uint64_t address, void *buffer, size_t size)
{
	return address && address % 8 == 0 && address < LM_GO_ADDRESS_MAX &&
	       lm_remote_read(&goroutines->object_memory, address, buffer, size);
}

/* Reads a sudog; false if it is none of this g. */
static bool read_sudog(struct lm_goroutines *goroutines, uint64_t address, uint64_t g, unsigned char *sudog)
{
	return read_object(goroutines, address, sudog, LM_GO_SUDOG_BYTES) &&
	       lm_go_field64(sudog, goroutines->runtime.layout->sudog.g) == g;
}

bool lm_go_read_semaphore(struct lm_goroutines *goroutines, uint64_t address, uint64_t g, uint64_t *semaphore)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	unsigned char sudog[LM_GO_SUDOG_BYTES];
	uint64_t elem;

	if (!read_sudog(goroutines, address, g, sudog) || lm_go_field64(sudog, layout->sudog.channel))
		return false;
	elem = lm_go_field64(sudog, layout->sudog.elem);
	if (!elem || elem % 4 || elem >= LM_GO_ADDRESS_MAX)
		return false;
	*semaphore = elem;
	return true;
}

/* Where the semaphores lie in the locks: Mutex {state, sema uint32}, RWMutex {Mutex; writerSem, readerSem uint32}, as
 * in all versions. A WaitGroup has it behind its 64-bit state; up to 1.17 it is the first of three words where
 * these are not aligned, else the last. Of a Cond the list is known, behind its Locker. */
uint64_t lm_go_lock_of(enum lm_go_state state, uint64_t semaphore)
{
	uint64_t before = 0;

	switch (state) {
	case LM_GO_MUTEX:
		before = 4;
		break;
	case LM_GO_RWMUTEX_WRITE:
		before = 8;
		break;
	case LM_GO_RWMUTEX_READ:
		before = 12;
		break;
	case LM_GO_WAITGROUP:
		before = semaphore % 8 ? 0 : 8;
		break;
	case LM_GO_COND:
		before = 16;
		break;
	default:
		break;
	}
	return semaphore > before ? semaphore - before : 0;
}

/* Timers make channels for one time.Time each. From 1.23 a channel knows its timer, unless GODEBUG=asynctimerchan=1,
 * which is what modules for an older Go get. */
static bool is_timer(struct lm_goroutines *goroutines, uint64_t address)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	const uint64_t *types = goroutines->runtime.time_types;
	unsigned char channel[LM_GO_HCHAN_BYTES];
	uint64_t type;

	if (!read_object(goroutines, address, channel, sizeof(channel)))
		return false;
	if (layout->channel.timer && lm_go_field64(channel, layout->channel.timer))
		return true;
	type = lm_go_field64(channel, layout->channel.elemtype);
	return lm_go_field64(channel, layout->channel.dataqsiz) == 1 && type && (type == types[0] || type == types[1]);
}

static void read_channels(struct lm_goroutines *goroutines, struct lm_go_found *found)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	uint64_t address = lm_go_field64(found->g, layout->g.waiting);
	unsigned char sudog[LM_GO_SUDOG_BYTES];
	struct lm_goroutine *now = &found->now;

	while (now->objects < CASES_MAX &&
		read_sudog(goroutines, address, goroutines->addresses[found->index], sudog)) {
		uint64_t channel = lm_go_field64(sudog, layout->sudog.channel);

		if (!channel)
			break;
		if (!now->objects++)
			now->object = channel;
		if (now->state != LM_GO_CHAN_SEND && is_timer(goroutines, channel))
			now->flags |= LM_GO_TIMED;
		address = lm_go_field64(sudog, layout->sudog.link);
	}
}

void lm_go_read_waits(struct lm_goroutines *goroutines, struct lm_go_found *found)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	struct lm_goroutine *now = &found->now;

	if (now->state == LM_GO_SLEEP)
		now->flags |= LM_GO_TIMED;
	if (lm_go_waits_for_channel(now->state))
		read_channels(goroutines, found);
	else if (lm_go_waits_for_lock(now->state) && layout->waits_name_object)
		lm_go_read_semaphore(goroutines, lm_go_field64(found->g, layout->g.waiting),
			goroutines->addresses[found->index], &found->semaphore);
}
