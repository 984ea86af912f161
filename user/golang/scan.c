// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A look at all g's, in the order of their addresses: those that lie together are read together. Of those that have
 * run since the last look, a batch at a time, the stacks are read and then their g's once more: what is the same
 * in both had not moved in between.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/golang/goroutines_state.h"

#define GAP_BYTES 4096 /* between two g's that are read at once: as much as a read costs */
#define CLOCK_GS 1024  /* the clock is read at least so often: addresses may be the same, and lead nowhere */
#define STACK_MAX_BYTES (2ull << 30) /* runtime.maxstackceiling */
#define AGAIN_BYTES (LM_GO_CHUNK_BYTES / 4)

/* g's that are read at once. */
struct run {
	uint64_t start;
	size_t bytes, read;
};

uint64_t lm_go_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static uint64_t address_at(const struct lm_goroutines *goroutines, size_t at)
{
	return goroutines->addresses[goroutines->order[at]];
}

static bool is_sane(uint64_t address)
{
	return address && address % 8 == 0 && address < LM_GO_ADDRESS_MAX;
}

/* Adds the g at the address to the run; false if it lies too far behind it. */
static bool extend(const struct lm_goroutines *goroutines, struct run *run, uint64_t address, size_t max_bytes)
{
	uint16_t g_bytes = goroutines->runtime.layout->g.bytes;

	if (run->bytes && (address - run->start > run->bytes + GAP_BYTES || address - run->start + g_bytes > max_bytes))
		return false;
	if (!run->bytes)
		run->start = address;
	run->bytes = address - run->start + g_bytes;
	return true;
}

/* The g at the address, of those that were read: NULL if it could not be. Behind a hole in memory each is read alone.
 */
static const unsigned char *g_in(
	struct lm_goroutines *goroutines, const struct run *run, unsigned char *buffer, uint64_t address)
{
	size_t at = address - run->start, g_bytes = goroutines->runtime.layout->g.bytes;

	if (at + g_bytes > run->read && !lm_go_memory_read_now(&goroutines->memory, address, buffer + at, g_bytes))
		return NULL;
	return buffer + at;
}

static void read_run(struct lm_goroutines *goroutines, struct run *run, unsigned char *buffer)
{
	run->read = lm_go_memory_read_now(&goroutines->memory, run->start, buffer, run->bytes) ? run->bytes : 0;
}

static uint8_t status_of(const struct lm_goroutines *goroutines, const unsigned char *g)
{
	uint32_t status = lm_go_field32(g, goroutines->runtime.layout->g.status) & ~LM_GO_STATUS_SCAN;

	return status < UINT8_MAX ? status : UINT8_MAX;
}

static uint64_t sp_of(const struct lm_goroutines *goroutines, const unsigned char *g, uint8_t status)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;

	return lm_go_field64(g, status == LM_GO_STATUS_SYSCALL ? layout->g.syscallsp : layout->g.sched_sp);
}

static uint32_t place_of(const struct lm_goroutines *goroutines, const unsigned char *g, uint8_t status)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	uint64_t pc = lm_go_field64(g, status == LM_GO_STATUS_SYSCALL ? layout->g.syscallpc : layout->g.sched_pc);

	return pc ^ pc >> 32;
}

static uint8_t sequence_of(const struct lm_goroutines *goroutines, const unsigned char *g)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;

	return layout->g.sequence ? g[layout->g.sequence] : 0;
}

static enum lm_go_start start_named(const struct lm_go_function *function)
{
	static const char *const user[] = {"runtime.main", "runtime.corostart", "runtime.handleAsyncEvent"};
	static const char *const finalizers[] = {"runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups"};

	if (strncmp(function->name, "runtime.", 8) != 0)
		return LM_GO_START_USER;
	for (size_t i = 0; i < 3; i++) {
		if (strcmp(function->name, user[i]) == 0)
			return LM_GO_START_USER;
		if (strcmp(function->name, finalizers[i]) == 0)
			return LM_GO_START_FINALIZERS;
	}
	return LM_GO_START_SYSTEM;
}

/* As runtime.isSystemGoroutine has it. */
static enum lm_go_start start_of(struct lm_goroutines *goroutines, uint64_t pc)
{
	struct lm_go_start_known *known = &goroutines->starts[(pc * 0x9e3779b97f4a7c15ull >> 32) % LM_GO_STARTS];
	struct lm_go_function function;

	if (!pc || known->pc != pc) {
		known->pc = pc;
		known->start = LM_GO_START_USER;
		if (lm_go_tables_function(goroutines->tables, pc, &function))
			known->start = start_named(&function);
	}
	return known->start;
}

static void set_changed(struct lm_goroutines *goroutines, uint32_t index)
{
	goroutines->changed[index / 64] |= 1ull << index % 64;
	if (index < goroutines->told)
		goroutines->told = index;
}

static bool is_wait(uint8_t state)
{
	return state > LM_GO_MOVED;
}

/* Takes what a goroutine is now for known. */
static void take(struct lm_goroutines *goroutines, uint32_t index, struct lm_goroutine *now)
{
	struct lm_goroutine *known = &goroutines->known[index];

	if (is_wait(now->state) && known->goid == now->goid && known->state == now->state &&
		known->stack == now->stack && known->object == now->object)
		now->flags |= LM_GO_RAN;
	if (now->flags & LM_GO_RAN || known->goid != now->goid || known->state != now->state ||
		known->flags != now->flags || known->reason != now->reason || known->stack != now->stack ||
		known->object != now->object || known->objects != now->objects ||
		known->wait_since_ns != now->wait_since_ns || known->stack_bytes != now->stack_bytes)
		set_changed(goroutines, index);
	*known = *now;
}

static void take_gone(struct lm_goroutines *goroutines, uint32_t index)
{
	struct lm_goroutine *known = &goroutines->known[index];

	if (known->state == LM_GO_GONE)
		return;
	*known = (struct lm_goroutine){.goid = known->goid, .state = LM_GO_GONE};
	set_changed(goroutines, index);
}

/* What g says without its stack. */
static void describe(struct lm_goroutines *goroutines, const unsigned char *g, struct lm_goroutine *now)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	uint64_t lo = lm_go_field64(g, layout->g.stack_lo), hi = lm_go_field64(g, layout->g.stack_hi);
	uint64_t goid = lm_go_field64(g, layout->g.goid);
	uint8_t status = status_of(goroutines, g);

	*now = (struct lm_goroutine){
		.goid = goid < LM_GO_GOID_MAX ? goid : 0,
		.parent_goid = layout->g.parent ? lm_go_field64(g, layout->g.parent) : 0,
		.sp = sp_of(goroutines, g, status),
		.place = place_of(goroutines, g, status),
		.status = status,
		.sequence = sequence_of(goroutines, g),
		.stack_bytes = hi > lo && hi - lo <= STACK_MAX_BYTES ? hi - lo : 0,
	};
	if (start_of(goroutines, lm_go_field64(g, layout->g.startpc)) != LM_GO_START_USER)
		now->flags |= LM_GO_SYSTEM;
	if (lm_go_field64(g, layout->g.lockedm))
		now->flags |= LM_GO_LOCKED;
	if (lm_go_field64(g, layout->g.labels))
		now->flags |= LM_GO_LABELLED;
}

static void take_moved(struct lm_goroutines *goroutines, uint32_t index, struct lm_goroutine *now)
{
	now->state = LM_GO_MOVED;
	now->status = UINT8_MAX; /* never that of a g: it is looked at again */
	take(goroutines, index, now);
}

/* Has it not run since it was looked at? The first GC that sees it wait sets waitsince without that. */
static bool is_unchanged(
	const struct lm_goroutines *goroutines, const struct lm_goroutine *known, const unsigned char *g)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	uint64_t since = lm_go_field64(g, layout->g.waitsince);
	uint8_t status = status_of(goroutines, g);

	return known->status == status && known->goid == lm_go_field64(g, layout->g.goid) &&
	       known->sp == sp_of(goroutines, g, status) && known->place == place_of(goroutines, g, status) &&
	       known->sequence == sequence_of(goroutines, g) &&
	       (!known->wait_since_ns || known->wait_since_ns == since);
}

static void count(struct lm_goroutines *goroutines, const struct lm_goroutine *known, bool system)
{
	struct lm_go_summary *next = &goroutines->next;

	if (system)
		next->system++;
	else
		next->goroutines++;
	if (known->state == LM_GO_MOVED)
		next->moved++;
	if (is_wait(known->state) && !(known->flags & LM_GO_UNWOUND))
		next->not_unwound++;
	if (known->goid > next->newest_goid)
		next->newest_goid = known->goid;
}

static void take_unchanged(struct lm_goroutines *goroutines, uint32_t index, const unsigned char *g)
{
	struct lm_goroutine *known = &goroutines->known[index];
	uint64_t since = lm_go_field64(g, goroutines->runtime.layout->g.waitsince);

	known->flags &= ~LM_GO_RAN;
	if (known->wait_since_ns != since) {
		known->wait_since_ns = since;
		set_changed(goroutines, index);
	}
}

static bool is_same_g(const struct lm_goroutines *goroutines, const unsigned char *a, const unsigned char *b)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	const uint16_t fields[] = {layout->g.goid, layout->g.stack_lo, layout->g.stack_hi, layout->g.sched_sp,
		layout->g.sched_pc, layout->g.syscallsp, layout->g.syscallpc, layout->g.waiting};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (lm_go_field64(a, fields[i]) != lm_go_field64(b, fields[i]))
			return false;
	}
	return status_of(goroutines, a) == status_of(goroutines, b) &&
	       sequence_of(goroutines, a) == sequence_of(goroutines, b);
}

static enum lm_go_state state_of(struct lm_goroutines *goroutines, const struct lm_goroutine *now)
{
	if (now->status == LM_GO_STATUS_SYSCALL)
		return LM_GO_SYSCALL;
	if (now->reason >= goroutines->runtime.reasons_len)
		return LM_GO_OTHER;
	return goroutines->runtime.reasons[now->reason].state;
}

/* Its g was the same after its stack was read: what was read holds. */
static void take_found(struct lm_goroutines *goroutines, struct lm_go_found *found)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	struct lm_goroutine *now = &found->now;
	struct lm_go_stack key = {.pcs = found->pcs,
		.len = found->pcs_len,
		.creator_pc = found->creator_pc,
		.first_exact = found->first_exact};

	now->stack = found->pcs_len ? lm_go_interned_add(&goroutines->interned, &key) : LM_GO_STACK_NONE;
	if (found->complete && now->stack)
		now->flags |= LM_GO_UNWOUND;
	if (now->state == LM_GO_SEMAPHORE)
		now->state = lm_go_stack_lock(goroutines, now->stack);
	if (lm_go_waits_for_lock(now->state)) {
		now->object = lm_go_lock_of(now->state, found->semaphore);
		now->objects = now->object != 0;
		if (!now->object && now->state != LM_GO_COND)
			goroutines->object_missed = true;
	}
	if (now->flags & LM_GO_SYSTEM &&
		start_of(goroutines, lm_go_field64(found->g, layout->g.startpc)) == LM_GO_START_FINALIZERS &&
		lm_go_stack_runs_user(goroutines, now->stack))
		now->flags &= ~LM_GO_SYSTEM;
	take(goroutines, found->index, now);
}

static int compare_stacks(const void *a, const void *b)
{
	const struct lm_go_found *x = *(struct lm_go_found *const *)a, *y = *(struct lm_go_found *const *)b;

	return x->now.sp < y->now.sp ? -1 : x->now.sp > y->now.sp;
}

/* In the order of their stacks, which lie side by side where they are small: one read serves several. */
static void read_batch(struct lm_goroutines *goroutines)
{
	struct lm_go_found *in_order[LM_GO_BATCH];

	for (size_t i = 0; i < goroutines->batch_len; i++)
		in_order[i] = &goroutines->batch[i];
	qsort(in_order, goroutines->batch_len, sizeof(in_order[0]), compare_stacks);
	lm_remote_reset(&goroutines->stack_memory, goroutines->memory.fd);
	lm_remote_reset(&goroutines->object_memory, goroutines->memory.fd);
	for (size_t i = 0; i < goroutines->batch_len; i++) {
		lm_go_unwind(goroutines, in_order[i]);
		lm_go_read_waits(goroutines, in_order[i]);
	}
}

/* Reads the g's of the batch once more and takes those that are the same. */
static void check_batch(struct lm_goroutines *goroutines)
{
	for (size_t first = 0, end; first < goroutines->batch_len; first = end) {
		struct run run = {0};

		for (end = first; end < goroutines->batch_len; end++) {
			if (!extend(goroutines, &run, goroutines->addresses[goroutines->batch[end].index], AGAIN_BYTES))
				break;
		}
		read_run(goroutines, &run, goroutines->again);
		for (size_t i = first; i < end; i++) {
			struct lm_go_found *found = &goroutines->batch[i];
			const unsigned char *g =
				g_in(goroutines, &run, goroutines->again, goroutines->addresses[found->index]);

			if (g && is_same_g(goroutines, found->g, g))
				take_found(goroutines, found);
			else
				take_moved(goroutines, found->index, &found->now);
		}
	}
}

static void finish_batch(struct lm_goroutines *goroutines)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;

	read_batch(goroutines);
	check_batch(goroutines);
	for (size_t i = 0; i < goroutines->batch_len; i++) {
		const struct lm_go_found *found = &goroutines->batch[i];

		count(goroutines, &goroutines->known[found->index],
			start_of(goroutines, lm_go_field64(found->g, layout->g.startpc)) != LM_GO_START_USER);
	}
	goroutines->batch_len = 0;
}

static void add_to_batch(
	struct lm_goroutines *goroutines, uint32_t index, const unsigned char *g, const struct lm_goroutine *now)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	struct lm_go_found *found = &goroutines->batch[goroutines->batch_len++];

	found->index = index;
	found->g = g;
	found->now = *now;
	found->now.wait_since_ns = lm_go_field64(g, layout->g.waitsince);
	found->now.reason = now->status == LM_GO_STATUS_SYSCALL ? 0 : g[layout->g.waitreason];
	found->now.state = state_of(goroutines, &found->now);
	found->creator_pc = lm_go_field64(g, layout->g.gopc);
}

/* Is there a goroutine in this g, and what does it do? Those that wait are put into the batch. */
static void look_at(struct lm_goroutines *goroutines, uint32_t index, const unsigned char *g)
{
	struct lm_goroutine *known = &goroutines->known[index], now;
	bool waits = false;

	describe(goroutines, g, &now);
	switch (now.status) {
	case LM_GO_STATUS_IDLE:
	case LM_GO_STATUS_DEAD:
	case LM_GO_STATUS_DEAD_EXTRA:
		take_gone(goroutines, index);
		return;
	case LM_GO_STATUS_RUNNABLE:
	case LM_GO_STATUS_RUNNING:
	case LM_GO_STATUS_PREEMPTED:
		now.state = LM_GO_RUNNING;
		take(goroutines, index, &now);
		break;
	case LM_GO_STATUS_SYSCALL:
	case LM_GO_STATUS_WAITING:
	case LM_GO_STATUS_LEAKED:
		waits = now.stack_bytes && now.goid;
		if (!waits)
			take_moved(goroutines, index, &now);
		break;
	default: /* its stack is being moved, or this is no g */
		take_moved(goroutines, index, &now);
		break;
	}
	if (waits)
		add_to_batch(goroutines, index, g, &now);
	else
		count(goroutines, known,
			start_of(goroutines, lm_go_field64(g, goroutines->runtime.layout->g.startpc)) !=
				LM_GO_START_USER);
}

static void look_at_one(struct lm_goroutines *goroutines, uint32_t index, const unsigned char *g)
{
	const struct lm_goroutine *known = &goroutines->known[index];

	if (!is_wait(known->state) || !is_unchanged(goroutines, known, g)) {
		look_at(goroutines, index, g);
		return;
	}
	take_unchanged(goroutines, index, g);
	count(goroutines, known,
		start_of(goroutines, lm_go_field64(g, goroutines->runtime.layout->g.startpc)) != LM_GO_START_USER);
}

/* Looks at the g's from goroutines->at on that lie together. 0 or -EAGAIN. */
static int scan_run(struct lm_goroutines *goroutines, uint64_t end_ns)
{
	struct run run = {0};
	size_t end = goroutines->at;

	while (end < goroutines->len && is_sane(address_at(goroutines, end)) &&
		extend(goroutines, &run, address_at(goroutines, end), LM_GO_CHUNK_BYTES))
		end++;
	if (end == goroutines->at) { /* no address of a g: there is nothing to be known about it */
		take_gone(goroutines, goroutines->order[goroutines->at++]);
		return 0;
	}
	read_run(goroutines, &run, goroutines->chunk);
	while (goroutines->at < end) {
		uint32_t index = goroutines->order[goroutines->at++];
		const unsigned char *g = g_in(goroutines, &run, goroutines->chunk, goroutines->addresses[index]);

		if (g) {
			goroutines->readable++;
			look_at_one(goroutines, index, g);
		} else {
			take_gone(goroutines, index);
		}
		if (goroutines->batch_len < LM_GO_BATCH && goroutines->at % CLOCK_GS)
			continue;
		finish_batch(goroutines);
		if (lm_go_now_ns() >= end_ns)
			return -EAGAIN;
	}
	finish_batch(goroutines);
	return lm_go_now_ns() >= end_ns ? -EAGAIN : 0;
}

int lm_go_scan(struct lm_goroutines *goroutines, uint64_t end_ns)
{
	while (goroutines->at < goroutines->len) {
		int error = scan_run(goroutines, end_ns);

		if (error && goroutines->at < goroutines->len)
			return error;
	}
	return 0;
}
