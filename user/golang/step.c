// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From frame to frame by the sizes that the linker noted, as runtime.(*unwinder) goes.
 * Goroutines by the thousand wait in the same places, so what a place takes is kept.
 */
#include "user/golang/tables_state.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define FLAG_TOP 1
#define FLAG_WRITES_SP 2
#define FRAME_MAX (1 << 30) /* bytes: larger than any stack can be */

/* Numbers of special functions differ between versions, and so does which are: names do not. */
static bool is_one_of(
	struct lm_go_tables *tables, const struct lm_go_func *func, const char *const *names, size_t names_len)
{
	for (size_t i = 0; func->id && i < names_len; i++) {
		if (lm_go_text_is(tables, func->name, names[i]))
			return true;
	}
	return false;
}

/* Before 1.17 there are no flags. */
static bool is_outermost(struct lm_go_tables *tables, const struct lm_go_func *func)
{
	static const char *const names[] = {"runtime.goexit", "runtime.mstart", "runtime.rt0_go", "runtime.mcall",
		"runtime.morestack", "runtime.externalthreadhandler"};

	return func->flags & FLAG_TOP || is_one_of(tables, func, names, ARRAY_LEN(names));
}

/* Functions that look as if they were called where the thread was interrupted. */
static bool is_injected(struct lm_go_tables *tables, const struct lm_go_func *func)
{
	static const char *const names[] = {
		"runtime.sigpanic", "runtime.asyncPreempt", "runtime.debugCallV2", "runtime.debugCallV1"};

	return is_one_of(tables, func, names, ARRAY_LEN(names));
}

/* What it does to SP is in no table. cgocallback makes both stacks that it is on look as its table says. */
static bool loses_sp(struct lm_go_tables *tables, const struct lm_go_func *func)
{
	static const char *const names[] = {"runtime.cgocallback"};

	return func->flags & FLAG_WRITES_SP && !is_one_of(tables, func, names, ARRAY_LEN(names));
}

static void make_frame(struct lm_go_tables *tables, uint64_t pc, bool exact, struct lm_go_frame *frame)
{
	struct lm_go_func func;

	*frame = (struct lm_go_frame){.pc = pc, .exact = exact};
	if (!lm_go_func_find(tables, pc, &func))
		return;
	frame->kind = LM_GO_FRAME_STUCK;
	if (is_outermost(tables, &func)) {
		frame->kind = LM_GO_FRAME_OUTERMOST;
		return;
	}
	/* where it was interrupted it has most likely not done so yet */
	if (!exact && loses_sp(tables, &func))
		return;
	tables->values_left = LM_GO_SIZES;
	if (!exact && pc > func.entry)
		pc--;
	if (!lm_go_value_find(tables, &func, func.pcsp, pc, &frame->size) || frame->size < 0 ||
		frame->size > FRAME_MAX || frame->size % 8)
		return;
	frame->kind = is_injected(tables, &func) ? LM_GO_FRAME_INJECTED : LM_GO_FRAME_PLAIN;
}

static const struct lm_go_frame *find_frame(struct lm_go_tables *tables, uint64_t pc, bool exact)
{
	struct lm_go_frame *frame = &tables->frames[(pc * 0x9e3779b97f4a7c15ull >> 32) % LM_GO_STEPS];

	if (!pc || frame->pc != pc || frame->exact != exact)
		make_frame(tables, pc, exact, frame);
	return frame;
}

bool lm_go_tables_step(
	struct lm_go_tables *tables, struct lm_remote *remote, struct lm_go_cursor *cursor, bool *complete)
{
	const struct lm_go_frame *frame = find_frame(tables, cursor->pc, cursor->exact);
	struct lm_go_cursor caller = {.exact = frame->kind == LM_GO_FRAME_INJECTED};
	uint64_t at;

	*complete = frame->kind == LM_GO_FRAME_OUTERMOST;
	if (frame->kind == LM_GO_FRAME_NOWHERE || frame->kind == LM_GO_FRAME_STUCK || *complete ||
		__builtin_add_overflow(cursor->sp, (uint64_t)frame->size, &at) ||
		__builtin_add_overflow(at, 8, &caller.sp) || !lm_remote_read(remote, at, &caller.pc, sizeof(caller.pc)))
		return false;
	if (find_frame(tables, caller.pc, caller.exact)->kind == LM_GO_FRAME_NOWHERE)
		return false;
	*cursor = caller;
	return true;
}
