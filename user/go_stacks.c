// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions of Go by the packages that they are in, as Go 1.15 to 1.27 have them. */
#include "user/go_stacks.h"

#include <string.h>

#include "user/prefixes.h"
#include "user/waits.h"

static const char *const runtime[] = {"runtime.", "runtime/internal/", "internal/runtime/"};

/* What programs call to wait: the place is where they call it from. */
static const char *const waiting[] = {"sync.", "sync/", "internal/", "time.Sleep", "syscall.", "net.(*conn).",
	"net.(*netFD).", "net.(*TCPConn).", "net.(*UnixConn).", "net.(*UDPConn).", "net.(*TCPListener).",
	"net.(*UnixListener).", "os.(*File).", "io.", "bufio.(*Reader).", "crypto/tls.(*Conn)."};

bool lm_go_stacks_is_one(const struct lm_stack *stack)
{
	return stack->frames_len && stack->frames[0]->golang;
}

static bool is_runtime(const struct lm_go_stack_line *line)
{
	return line->function && LM_STARTS_WITH(line->function, runtime);
}

static bool only_waits(const struct lm_go_stack_line *line)
{
	return is_runtime(line) || (line->function && LM_STARTS_WITH(line->function, waiting));
}

/* Functions of a frame are copies of their own, so that lines are compared by what they say. */
static bool is_same(const struct lm_go_stack_line *a, const struct lm_go_stack_line *b)
{
	if (!a->function || !b->function)
		return a->frame == b->frame && a->at == b->at;
	return a->line == b->line && strcmp(a->function, b->function) == 0;
}

/* Leaves out the last one or two lines if they repeat those before them. Returns the new length. */
static size_t fold(const struct lm_go_stack_line *lines, size_t len)
{
	if (len >= 2 && is_same(&lines[len - 1], &lines[len - 2]))
		return len - 1;
	if (len >= 4 && is_same(&lines[len - 1], &lines[len - 3]) && is_same(&lines[len - 2], &lines[len - 4]))
		return len - 2;
	return len;
}

static struct lm_go_stack_line line_of(const struct lm_frame *frame, uint32_t at)
{
	struct lm_go_stack_line line = {.frame = frame, .at = at};

	if (at < frame->functions_len) {
		line.function = frame->functions[at].name;
		line.line = frame->functions[at].line;
	}
	return line;
}

/* Goes on from the innermost line that is told. */
static size_t add_line(struct lm_go_stack_line *lines, size_t len, const struct lm_go_stack_line *line)
{
	if (len == LM_STACK_MAX)
		return len;
	lines[len] = *line;
	return fold(lines, len + 1);
}

static size_t collect(const struct lm_stack *stack, struct lm_go_stack_line *lines, bool all)
{
	size_t len = 0;

	for (size_t i = 0; i < stack->frames_len; i++) {
		const struct lm_frame *frame = stack->frames[i];

		for (uint32_t at = 0; at == 0 || at < frame->functions_len; at++) {
			const struct lm_go_stack_line line = line_of(frame, at);

			if (len || all || !only_waits(&line))
				len = add_line(lines, len, &line);
		}
	}
	return len;
}

size_t lm_go_stacks_lines(const struct lm_stack *stack, struct lm_go_stack_line lines[LM_STACK_MAX])
{
	size_t len = collect(stack, lines, false);

	if (!len)
		return collect(stack, lines, true);
	/* runtime.goexit and runtime.main, whose lines differ from one Go to the next */
	while (len > 1 && is_runtime(&lines[len - 1]))
		len--;
	return len;
}

/* Below the runtime's frames, those that start threads in programs with cgo. */
static bool starts_threads(const struct lm_frame *frame, const char *function)
{
	static const char *const starters[] = {
		"crosscall", "threadentry", "x_cgo_", "_cgo_", "_rt0_", "rt0_go", "mstart", "start_thread", "clone"};

	return lm_wait_is_libc(frame->module->name) || (function && LM_STARTS_WITH(function, starters));
}

bool lm_go_stacks_is_parked_thread(const struct lm_stack *stack)
{
	size_t runtime_lines = 0;

	for (size_t i = 0; i < stack->frames_len; i++) {
		const struct lm_frame *frame = stack->frames[i];

		if (frame->python)
			return false;
		for (uint32_t at = 0; at == 0 || at < frame->functions_len; at++) {
			const struct lm_go_stack_line line = line_of(frame, at);

			if (is_runtime(&line))
				runtime_lines++;
			else if (!runtime_lines || !starts_threads(frame, line.function))
				return false;
		}
	}
	return runtime_lines > 0;
}
