// SPDX-License-Identifier: GPL-2.0-or-later
/* The stack of a goroutine that waits, and what can be told from the functions on it. */
#include <string.h>

#include "user/golang/goroutines_state.h"

#define SLOTS_MAX 64 /* words of a frame of semacquire1 */
#define LINES_MAX 16 /* calls that are inlined into one */
#define LOCK_FRAMES 16

static bool try_slot(
	struct lm_goroutines *goroutines, struct lm_go_found *found, uint64_t sp, uint64_t end, int32_t slot)
{
	uint64_t g = goroutines->addresses[found->index], word;

	if (sp + slot + 8 > end || !lm_remote_read(&goroutines->stack_memory, sp + slot, &word, sizeof(word)) ||
		!lm_go_read_semaphore(goroutines, word, g, &found->semaphore))
		return false;
	goroutines->sudog_slot = slot;
	return true;
}

/* Until 1.25 nothing in g leads to the semaphore that it waits for, but semacquire1 has the sudog in its frame: of all
 * sudogs the one that points back to g. The compiler puts it into the same place each time. */
static void read_semacquire(struct lm_goroutines *goroutines, struct lm_go_found *found, uint64_t sp, uint64_t end)
{
	int32_t known = goroutines->sudog_slot;

	if (known >= 0 && try_slot(goroutines, found, sp, end, known))
		return;
	for (int32_t slot = 0; slot < SLOTS_MAX * 8; slot += 8) {
		if (slot != known && try_slot(goroutines, found, sp, end, slot))
			return;
	}
}

static bool is_semacquire(const struct lm_goroutines *goroutines, uint64_t pc)
{
	return pc >= goroutines->runtime.semacquire.start && pc < goroutines->runtime.semacquire.end;
}

/* Is this where a function begins? Then it has been put there to be run, not to be returned to. */
static bool is_entry(struct lm_goroutines *goroutines, uint64_t pc)
{
	struct lm_go_function function;

	return lm_go_tables_function(goroutines->tables, pc, &function) && function.entry == pc;
}

void lm_go_unwind(struct lm_goroutines *goroutines, struct lm_go_found *found)
{
	const struct lm_go_runtime_layout *layout = goroutines->runtime.layout;
	bool syscall = found->now.status == LM_GO_STATUS_SYSCALL;
	uint64_t lo = lm_go_field64(found->g, layout->g.stack_lo), hi = lm_go_field64(found->g, layout->g.stack_hi);
	struct lm_go_cursor cursor = {
		.sp = found->now.sp, .pc = lm_go_field64(found->g, syscall ? layout->g.syscallpc : layout->g.sched_pc)};

	cursor.exact = is_entry(goroutines, cursor.pc);
	found->first_exact = cursor.exact;
	found->pcs_len = 0;
	found->complete = false;
	found->semaphore = 0;
	while (found->pcs_len < LM_GO_FRAMES_MAX && cursor.pc && cursor.sp >= lo && cursor.sp <= hi) {
		struct lm_go_cursor caller = cursor;

		/* all but the first are to be taken as addresses that are returned to */
		found->pcs[found->pcs_len] = cursor.pc + (found->pcs_len && cursor.exact);
		found->pcs_len++;
		if (!lm_go_tables_step(goroutines->tables, &goroutines->stack_memory, &caller, &found->complete) ||
			caller.sp <= cursor.sp)
			break;
		if (is_semacquire(goroutines, cursor.pc) && !layout->waits_name_object && !found->semaphore)
			read_semacquire(goroutines, found, cursor.sp, caller.sp < hi ? caller.sp : hi);
		cursor = caller;
	}
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* What the function makes of the semaphore that is waited for in it; LM_GO_GONE: it may be known by its caller. */
static enum lm_go_state lock_named(const char *function)
{
	static const struct {
		const char *name;
		enum lm_go_state state;
	} locks[] = {
		{"sync.(*Mutex).Lock", LM_GO_MUTEX},
		{"sync.(*Mutex).lockSlow", LM_GO_MUTEX},
		{"internal/sync.(*Mutex).Lock", LM_GO_MUTEX},
		{"internal/sync.(*Mutex).lockSlow", LM_GO_MUTEX},
		{"sync.(*RWMutex).RLock", LM_GO_RWMUTEX_READ},
		{"sync.(*RWMutex).Lock", LM_GO_RWMUTEX_WRITE},
		{"sync.(*WaitGroup).Wait", LM_GO_WAITGROUP},
	};

	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		if (strcmp(function, locks[i].name) == 0)
			return locks[i].state;
	}
	return starts_with(function, "runtime.") || starts_with(function, "sync.") ? LM_GO_GONE : LM_GO_SEMAPHORE;
}

static void look_at_functions(struct lm_goroutines *goroutines, struct lm_go_stack *stack)
{
	struct lm_go_line lines[LINES_MAX];

	stack->lock = LM_GO_GONE;
	stack->runs_on_user = false;
	for (size_t i = 0; i < stack->len; i++) {
		size_t len = lm_go_tables_lines(
			goroutines->tables, stack->pcs[i], i == 0 && stack->first_exact, lines, LINES_MAX);

		for (size_t line = 0; line < len; line++) {
			const char *function = lines[line].function ? lines[line].function : "";

			if (stack->lock == LM_GO_GONE && i < LOCK_FRAMES)
				stack->lock = lock_named(function);
			if (!starts_with(function, "runtime.") && !starts_with(function, "reflect."))
				stack->runs_on_user = true;
		}
	}
	if (stack->lock == LM_GO_GONE)
		stack->lock = LM_GO_SEMAPHORE;
}

static struct lm_go_stack *looked_at(struct lm_goroutines *goroutines, uint32_t number)
{
	struct lm_go_stack *stack = lm_go_interned_get(&goroutines->interned, number);

	if (stack && !stack->lock)
		look_at_functions(goroutines, stack);
	return stack;
}

enum lm_go_state lm_go_stack_lock(struct lm_goroutines *goroutines, uint32_t number)
{
	const struct lm_go_stack *stack = looked_at(goroutines, number);

	return stack ? stack->lock : LM_GO_SEMAPHORE;
}

bool lm_go_stack_runs_user(struct lm_goroutines *goroutines, uint32_t number)
{
	const struct lm_go_stack *stack = looked_at(goroutines, number);

	return stack && stack->runs_on_user;
}
