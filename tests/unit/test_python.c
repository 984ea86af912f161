// SPDX-License-Identifier: GPL-2.0-or-later
/* Python frames of interpreters that these tests lay out in a file, which stands for the memory of a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "user/resolver/python.h"
#include "user/resolver/python_threads.h"
#include "user/stacks.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define MEMORY_BYTES 0x400000u
#define CODE_START 0x10000 /* the interpreter's segment with code: file offset, address and mapping are one */
#define EVAL (CODE_START + 0x1000)
#define OTHER (CODE_START + 0x8000)
#define INTERPRETER_MODULE 7
#define RUNTIME 0x30000
#define VERSION 0x32000
#define CODE_TYPE 0x33000
#define FRAME_TYPE 0x33200
#define STR_TYPE 0x33400
#define BYTES_TYPE 0x33600
#define INTERPRETER 0x40000
#define THREAD 0x50000 /* the first, others follow in steps of THREAD_STEP */
#define THREAD_STEP 0x400
#define HEAP 0x100000
#define TCB 0x7f0000001640ull

struct fixture {
	int fd;
	struct lm_python *python;
	struct lm_python_symbols symbols;
	struct lm_elf elf;
	struct lm_region region;
	uint64_t heap; /* what is free of it */
};

static void put(const struct fixture *fixture, uint64_t address, const void *bytes, size_t len)
{
	assert_int_equal(pwrite(fixture->fd, bytes, len, (off_t)address), len);
}

static void put_word(const struct fixture *fixture, uint64_t address, uint64_t word)
{
	put(fixture, address, &word, sizeof(word));
}

static void put_int(const struct fixture *fixture, uint64_t address, uint32_t word)
{
	put(fixture, address, &word, sizeof(word));
}

static void put_byte(const struct fixture *fixture, uint64_t address, unsigned char byte)
{
	put(fixture, address, &byte, 1);
}

static uint64_t make_object(struct fixture *fixture, uint64_t type, size_t size)
{
	uint64_t address = fixture->heap;

	fixture->heap += (size + 15) & ~15ull;
	put_word(fixture, address, 1);
	put_word(fixture, address + 8, type);
	return address;
}

/* kind 0: ASCII */
static uint64_t make_str(struct fixture *fixture, unsigned kind, const void *units, size_t len, bool new)
{
	uint64_t address = make_object(fixture, STR_TYPE, 80 + len * 4);
	unsigned head = kind ? (new ? 56 : 72) : (new ? 40 : 48);

	put_word(fixture, address + 16, len);
	put_int(fixture, address + 32, (kind ? kind : 1) << 2 | 1 << 5 | (kind ? 0 : 1 << 6));
	put(fixture, address + head, units, len * (kind ? kind : 1));
	return address;
}

static uint64_t make_bytes(struct fixture *fixture, const void *bytes, size_t len)
{
	uint64_t address = make_object(fixture, BYTES_TYPE, 33 + len);

	put_word(fixture, address + 16, len);
	put(fixture, address + 32, bytes, len);
	return address;
}

static const struct version {
	const char *name;
	uint64_t number;
	bool iter_send;
	unsigned thread_id, thread_frame, cframe, frame_previous, frame_code, frame_instruction, interpreter_threads;
	unsigned runtime_interpreters, code_first_line, code_file, code_name, code_lines, code_instructions;
} versions[] = {
	{"3.8", 0, false, 176, 24, 0, 24, 32, 104, 8, 32, 40, 104, 112, 120, 0},
	{"3.10", 0, true, 176, 24, 0, 24, 32, 96, 8, 32, 40, 104, 112, 120, 0},
	{"3.11", 0x030b02f0, true, 152, 56, 8, 48, 32, 56, 16, 40, 72, 112, 128, 136, 184},
	{"3.12", 0x030c01f0, true, 136, 56, 0, 8, 0, 56, 72, 40, 68, 112, 128, 136, 192},
	{"3.13", 0x030d00f0, true, 152, 72, 0, 8, 0, 56, 7344, 632, 68, 112, 128, 136, 200},
};

enum { V3_8, V3_10, V3_11, V3_12, V3_13 };

/* As Include/internal/pycore_runtime.h of 3.13 has them, from a running interpreter. */
static void put_debug_offsets(const struct fixture *fixture)
{
	static const uint64_t offsets[] = {/* version */ 0x030d00f0, 0, /* runtime */ 283320, 616, 632,
		/* interpreter */ 290000, 7232, 7264, 7344, 7552, 7696, 7728, 7736, 0, 0, 0, 0, 0,
		/* thread */ 312, 0, 8, 16, 72, 152, 160, 200, 24, /* frame */ 80, 8, 0, 56, 72, 70,
		/* code */ 208, 112, 120, 128, 136, 68, 52, 96, 104, 200, /* object */ 16, 8, /* type */ 416, 24, 88,
		168,
		/* tuple */ 24, 24, 16, /* list */ 40, 24, 16, /* dict */ 48, 32, 40, /* float */ 24, 16,
		/* int */ 24, 16, 24, /* bytes */ 33, 16, 32, /* str */ 64, 32, 16, 40};

	put(fixture, RUNTIME, "xdebugpy", 8);
	put(fixture, RUNTIME + 8, offsets, sizeof(offsets));
}

static void set_version(struct fixture *fixture, unsigned index)
{
	const struct version *version = &versions[index];

	fixture->symbols.version = version->number ? VERSION : 0;
	fixture->symbols.has_config = true;
	fixture->symbols.has_iter_send = version->iter_send;
	put_word(fixture, VERSION, version->number);
	if (index == V3_13)
		put_debug_offsets(fixture);
	put_word(fixture, RUNTIME + version->runtime_interpreters, INTERPRETER);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->fd = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fixture->fd, MEMORY_BYTES), 0);
	fixture->heap = HEAP;
	fixture->symbols = (struct lm_python_symbols){
		.is_python = true,
		.runtime = RUNTIME,
		.code_type = CODE_TYPE,
		.frame_type = FRAME_TYPE,
		.str_type = STR_TYPE,
		.bytes_type = BYTES_TYPE,
		.eval_start = {EVAL},
		.eval_end = {EVAL + 0x1000},
		.eval_len = 1,
	};
	fixture->elf.python = &fixture->symbols;
	fixture->elf.segments[0] = (struct lm_segment){CODE_START, CODE_START, 0x10000};
	fixture->elf.segments_len = 1;
	fixture->region = (struct lm_region){.start = CODE_START,
		.end = CODE_START + 0x10000,
		.file_offset = CODE_START,
		.module = INTERPRETER_MODULE,
		.executable = true,
		.elf = &fixture->elf};
	assert_int_equal(lm_python_new(&fixture->python), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_python_free(fixture->python);
	close(fixture->fd);
	free(fixture);
	return 0;
}

/* A list of so many threads, whose numbers are TCB, TCB + 4096 … The newest is the first. */
static void make_threads(struct fixture *fixture, unsigned index, unsigned len)
{
	const struct version *version = &versions[index];

	put_word(fixture, INTERPRETER + version->interpreter_threads, THREAD);
	for (unsigned i = 0; i < len; i++) {
		uint64_t thread = THREAD + i * THREAD_STEP;

		put_word(fixture, thread, i ? thread - THREAD_STEP : 0);
		put_word(fixture, thread + 8, i + 1 < len ? thread + THREAD_STEP : 0);
		put_word(fixture, thread + 16, INTERPRETER);
		put_word(fixture, thread + version->thread_id, TCB + i * 4096);
	}
}

static uint64_t make_code(struct fixture *fixture, unsigned index, const char *name, unsigned first_line)
{
	static const char lines[] = "\x80\x00"; /* 3.11: one unit of code in the first line */
	const struct version *version = &versions[index];
	uint64_t code = make_object(fixture, CODE_TYPE, 256);
	char path[64];

	snprintf(path, sizeof(path), "/app/%s.py", name);
	put_word(fixture, code + version->code_name, make_str(fixture, 0, name, strlen(name), index >= V3_12));
	put_word(fixture, code + version->code_file, make_str(fixture, 0, path, strlen(path), index >= V3_12));
	put_word(fixture, code + version->code_lines, make_bytes(fixture, lines, 2));
	put_int(fixture, code + version->code_first_line, first_line);
	return code;
}

static uint64_t make_frame(struct fixture *fixture, unsigned index, uint64_t code, bool entry)
{
	const struct version *version = &versions[index];
	uint64_t frame = make_object(fixture, index <= V3_10 ? FRAME_TYPE : 0, 128);

	put_word(fixture, frame + version->frame_code, code);
	if (index <= V3_10)
		put_int(fixture, frame + version->frame_instruction, 0);
	else
		put_word(fixture, frame + version->frame_instruction, code + version->code_instructions);
	if (index == V3_11)
		put_byte(fixture, frame + 68, entry);
	if (index >= V3_12)
		put_byte(fixture, frame + 70, code ? 0 : 3);
	return frame;
}

/* The frames of the thread from names, innermost first; "/" where a call of the interpreter ends. */
static void make_frames(struct fixture *fixture, unsigned index, uint64_t thread, const char *const *names)
{
	const struct version *version = &versions[index];
	uint64_t link = thread + version->thread_frame, frame;

	if (index == V3_11 || index == V3_12) {
		uint64_t cframe = make_object(fixture, 0, 32);

		put_word(fixture, link, cframe);
		link = cframe + version->cframe;
	}
	for (; *names; names++) {
		if (strcmp(*names, "/") == 0 && index < V3_12)
			continue;
		frame = strcmp(*names, "/") == 0 ? make_frame(fixture, index, 0, false)
						 : make_frame(fixture, index, make_code(fixture, index, *names, 5),
							   names[1] && strcmp(names[1], "/") == 0);
		put_word(fixture, link, frame);
		link = frame + version->frame_previous;
	}
	put_word(fixture, link, 0);
}

static uint64_t soon(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec + 10) * 1000000000ull + now.tv_nsec;
}

static void turn(struct fixture *fixture)
{
	lm_python_turn(fixture->python, fixture->fd, &fixture->region, 1);
	lm_python_begin(fixture->python, soon());
}

/* Adds the thread's frames to native ones ("E": the interpreter's loop, others: anything) and compares the row. */
static void check_row(
	struct fixture *fixture, uint64_t tcb, const char *native, enum lm_unwind_status status, const char *expected)
{
	struct lm_frame_message frames[LM_STACK_MAX] = {0};
	const struct lm_regs regs = {.fs_base = tcb};
	char row[4096] = "";
	size_t len = strlen(native);

	for (size_t i = 0; i < len; i++)
		frames[i] = (struct lm_frame_message){
			native[i] == 'E' ? EVAL + 64 : OTHER + native[i], INTERPRETER_MODULE, i == 0};
	len = lm_python_add(fixture->python, &regs, frames, len, LM_STACK_MAX, &status);
	for (size_t i = 0; i < len; i++) {
		const struct lm_python_place *place = frames[i].module == LM_MODULE_PYTHON
							      ? lm_python_place(fixture->python, frames[i].offset)
							      : NULL;
		char letter[2] = {frames[i].offset == EVAL + 64 ? 'E' : frames[i].offset - OTHER, '\0'};

		strcat(row, i ? " " : "");
		strcat(row, frames[i].module == LM_MODULE_PYTHON ? (place ? place->name : "?") : letter);
	}
	assert_string_equal(row, expected);
}

static void frames_stand_behind_the_calls_that_run_them_in_every_version(void **state)
{
	static const char *const names[] = {"get", "work", "/", "run", "/", NULL};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(versions); i++) {
		struct fixture *fixture;

		print_message("%s\n", versions[i].name);
		set_up((void **)&fixture);
		set_version(fixture, i);
		make_threads(fixture, i, 3);
		make_frames(fixture, i, THREAD + THREAD_STEP, names);
		turn(fixture);
		if (i <= V3_10)
			check_row(fixture, TCB + 4096, "acEbEcEd", LM_UNWIND_COMPLETE, "a c E get b E work c E run d");
		else
			check_row(fixture, TCB + 4096, "acEbcEd", LM_UNWIND_COMPLETE, "a c E get work b c E run d");
		assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_READ);
		tear_down((void **)&fixture);
	}
}

static void other_threads_and_threads_without_frames_keep_their_native_frames(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"work", "/", NULL};

	set_version(fixture, V3_11);
	make_threads(fixture, V3_11, 2);
	make_frames(fixture, V3_11, THREAD, names);
	turn(fixture);
	check_row(fixture, TCB, "aEb", LM_UNWIND_COMPLETE, "a E work b");
	check_row(fixture, TCB + 4096, "aEb", LM_UNWIND_COMPLETE, "a E b");
	check_row(fixture, TCB + 64, "aEb", LM_UNWIND_COMPLETE, "a E b");
	check_row(fixture, 0, "aEb", LM_UNWIND_COMPLETE, "a E b");
	assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_READ);
}

static void frames_are_kept_where_native_calls_are_missing(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"a1", "/", "b1", "/", "c1", "/", NULL};

	set_version(fixture, V3_12);
	make_threads(fixture, V3_12, 1);
	make_frames(fixture, V3_12, THREAD, names);
	turn(fixture);
	check_row(fixture, TCB, "xEyEz", LM_UNWIND_COMPLETE, "x E a1 y E b1 c1 z");
	check_row(fixture, TCB, "xEyEz", LM_UNWIND_BROKEN, "x E a1 y E b1 z c1");
	check_row(fixture, TCB, "xy", LM_UNWIND_BROKEN, "x y a1 b1 c1");
	check_row(fixture, TCB, "xEEEEz", LM_UNWIND_COMPLETE, "x E a1 E b1 E c1 E z");
}

static void a_thread_that_came_since_is_found_and_one_that_ended_is_not_believed(void **state)
{
	struct fixture *fixture = *state;
	static const char *const old[] = {"old", "/", NULL}, *const new[] = {"new", "/", NULL};
	const uint64_t newer = THREAD + 8 * THREAD_STEP;

	set_version(fixture, V3_11);
	make_threads(fixture, V3_11, 2);
	make_frames(fixture, V3_11, THREAD + THREAD_STEP, old);
	turn(fixture);
	check_row(fixture, TCB + 4096, "E", LM_UNWIND_COMPLETE, "E old");
	/* its state is taken out of the list but looks as before; its stack is another thread's now */
	put_word(fixture, THREAD + 8, 0);
	put_word(fixture, THREAD, newer);
	put_word(fixture, newer, 0);
	put_word(fixture, newer + 8, THREAD);
	put_word(fixture, newer + 16, INTERPRETER);
	put_word(fixture, newer + 152, TCB + 4096);
	make_frames(fixture, V3_11, newer, new);
	put_word(fixture, INTERPRETER + 16, newer);
	lm_python_begin(fixture->python, soon());
	check_row(fixture, TCB + 4096, "E", LM_UNWIND_COMPLETE, "E new");
}

static void a_thread_in_two_interpreters_has_the_frames_of_both(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t newer = INTERPRETER + 0x4000, inner_state = THREAD + 8 * THREAD_STEP;
	static const char *const outer[] = {"outer", "/", "main", "/", NULL}, *const inner[] = {"inner", "/", NULL};

	set_version(fixture, V3_12);
	make_threads(fixture, V3_12, 2);
	make_frames(fixture, V3_12, THREAD, outer);
	put_word(fixture, RUNTIME + 40, newer);
	put_word(fixture, newer, INTERPRETER);
	put_word(fixture, newer + 72, inner_state);
	put_word(fixture, inner_state + 16, newer);
	put_word(fixture, inner_state + 136, TCB);
	make_frames(fixture, V3_12, inner_state, inner);
	turn(fixture);
	check_row(fixture, TCB, "aEbEcEd", LM_UNWIND_COMPLETE, "a E inner b E outer c E main d");
}

static void the_list_is_walked_once_for_many_threads(void **state)
{
	struct fixture *fixture = *state;
	struct lm_python_threads threads = {0};
	uint64_t states[LM_PYTHON_STATES_MAX];
	struct lm_remote remote;
	struct lm_python_runtime runtime = {.address = RUNTIME};

	set_version(fixture, V3_11);
	make_threads(fixture, V3_11, 600);
	for (unsigned i = 0; i < 600; i++)
		put_word(fixture, THREAD + i * THREAD_STEP + 56, HEAP);
	put_word(fixture, HEAP + 8, HEAP); /* what all of them have for a frame */
	lm_remote_reset(&remote, fixture->fd);
	assert_true(lm_python_find_layout(&remote, &fixture->symbols, 0, &runtime.layout));
	for (unsigned i = 0; i < 600; i++) {
		lm_python_threads_begin(&threads);
		assert_int_equal(
			lm_python_threads_find(&threads, &remote, &runtime, TCB + i * 4096, 1000 + i, states), 1);
		assert_int_equal(states[0], THREAD + i * THREAD_STEP);
		assert_int_equal(threads.walked_ns, 1000);
	}
	/* one that is not there: the beginning of the list is looked at, and is as it was */
	lm_python_threads_begin(&threads);
	assert_int_equal(lm_python_threads_find(&threads, &remote, &runtime, 4096, 2000, states), 0);
	assert_int_equal(threads.walked_ns, 1000);
	lm_python_threads_begin(&threads);
	assert_int_equal(lm_python_threads_find(&threads, &remote, &runtime, 4096, 5000000000, states), 0);
	assert_int_equal(threads.walked_ns, 5000000000);
	lm_python_threads_clear(&threads);
}

static void code_that_took_the_place_of_other_code_has_its_own_name(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"first", "/", NULL};
	uint64_t code;

	set_version(fixture, V3_11);
	make_threads(fixture, V3_11, 1);
	code = fixture->heap + 32; /* behind the structure that leads to the frame */
	make_frames(fixture, V3_11, THREAD, names);
	turn(fixture);
	check_row(fixture, TCB, "E", LM_UNWIND_COMPLETE, "E first");
	check_row(fixture, TCB, "E", LM_UNWIND_COMPLETE, "E first");
	put_word(fixture, code + 128, make_str(fixture, 0, "second", 6, false));
	lm_python_begin(fixture->python, soon());
	check_row(fixture, TCB, "E", LM_UNWIND_COMPLETE, "E second");
}

static void what_is_not_known_or_cannot_be_is_refused(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"work", "/", NULL};
	/* cookie, version, without the GIL, runtime: size, its interpreters, their threads, a frame's owner, ob_type */
	static const struct {
		uint64_t at, value;
	} wrong[] = {{0, 0}, {8, 0x030e00f0}, {16, 1}, {24, 1ull << 60}, {40, 300000}, {72, 1ull << 60}, {264, 80},
		{360, 16}};
	static const uint64_t numbers[] = {0x030e00f0, 0x030a00f0, 0x020712f0, 0x030b00a1, 0};

	set_version(fixture, V3_13);
	make_threads(fixture, V3_13, 1);
	make_frames(fixture, V3_13, THREAD, names);
	turn(fixture);
	check_row(fixture, TCB, "aE", LM_UNWIND_COMPLETE, "a E work");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		uint64_t right;

		assert_int_equal(pread(fixture->fd, &right, sizeof(right), RUNTIME + wrong[i].at), sizeof(right));
		put_word(fixture, RUNTIME + wrong[i].at, wrong[i].value);
		turn(fixture);
		assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_UNKNOWN_VERSION);
		put_word(fixture, RUNTIME + wrong[i].at, right);
	}
	turn(fixture);
	assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_READ);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		put_word(fixture, VERSION, numbers[i]);
		turn(fixture);
		check_row(fixture, TCB, "aE", LM_UNWIND_COMPLETE, "a E");
		assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_UNKNOWN_VERSION);
	}
	fixture->symbols.version = 0;
	fixture->symbols.has_config = false;
	turn(fixture);
	assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_UNKNOWN_VERSION);
	fixture->symbols.is_python = false;
	turn(fixture);
	assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_NONE);
}

static void an_interpreter_that_is_not_what_it_says_is_unreadable(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"work", "/", NULL};

	/* 3.12's structures under the number of 3.11 */
	set_version(fixture, V3_12);
	make_threads(fixture, V3_12, 1);
	make_frames(fixture, V3_12, THREAD, names);
	put_word(fixture, VERSION, 0x030b02f0);
	turn(fixture);
	check_row(fixture, TCB, "aE", LM_UNWIND_COMPLETE, "a E");
	put_word(fixture, INTERPRETER + 16, RUNTIME + 8);
	turn(fixture);
	check_row(fixture, TCB, "aE", LM_UNWIND_COMPLETE, "a E");
	assert_int_equal(lm_python_status(fixture->python), LM_PYTHON_UNREADABLE);
}

static void frames_that_lead_to_themselves_end(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"again", NULL};
	enum lm_unwind_status status = LM_UNWIND_COMPLETE;
	struct lm_frame_message frames[LM_STACK_MAX] = {{EVAL + 64, INTERPRETER_MODULE, true}};
	const struct lm_regs regs = {.fs_base = TCB};
	uint64_t frame;

	set_version(fixture, V3_11);
	make_threads(fixture, V3_11, 1);
	make_frames(fixture, V3_11, THREAD, names);
	frame = fixture->heap - 128;
	put_word(fixture, frame + 48, frame);
	turn(fixture);
	assert_int_equal(lm_python_add(fixture->python, &regs, frames, 1, LM_STACK_MAX, &status), LM_STACK_MAX);
	assert_int_equal(status, LM_UNWIND_TRUNCATED);
}

static void lists_that_lead_to_themselves_end(void **state)
{
	struct fixture *fixture = *state;

	set_version(fixture, V3_11);
	make_threads(fixture, V3_11, 3);
	put_word(fixture, THREAD + 2 * THREAD_STEP + 8, THREAD);
	put_word(fixture, INTERPRETER, INTERPRETER);
	turn(fixture);
	check_row(fixture, TCB + 64, "aE", LM_UNWIND_COMPLETE, "a E");
	put_word(fixture, THREAD + 8, THREAD);
	turn(fixture);
	check_row(fixture, TCB + 64, "aE", LM_UNWIND_COMPLETE, "a E");
}

static void walks_of_lists_are_cut_where_they_are_none(void **state)
{
	struct fixture *fixture = *state;
	struct lm_python_threads threads = {0};
	uint64_t states[LM_PYTHON_STATES_MAX];
	struct lm_remote remote;
	struct lm_python_runtime runtime = {.address = RUNTIME};

	set_version(fixture, V3_11);
	make_threads(fixture, V3_11, 600);
	lm_remote_reset(&remote, fixture->fd);
	assert_true(lm_python_find_layout(&remote, &fixture->symbols, 0, &runtime.layout));
	/* one interpreter after the other, with all their threads */
	put_word(fixture, INTERPRETER, INTERPRETER);
	lm_python_threads_find(&threads, &remote, &runtime, 4096, 1, states);
	assert_true(threads.odd);
	assert_in_range(threads.steps, 60000, LM_PYTHON_THREADS_MAX + 1);
	lm_python_threads_clear(&threads);
	/* a state that does not know the one before it */
	put_word(fixture, INTERPRETER, 0);
	put_word(fixture, THREAD + 10 * THREAD_STEP, THREAD);
	lm_remote_reset(&remote, fixture->fd);
	lm_python_threads_find(&threads, &remote, &runtime, 4096, 1, states);
	assert_true(threads.odd);
	assert_int_equal(threads.steps, 11);
	assert_int_equal(threads.len, 10);
	lm_python_threads_clear(&threads);
}

static struct lm_python_runtime runtime_of(unsigned index)
{
	struct lm_python_runtime runtime = {
		.code_type = CODE_TYPE, .frame_type = FRAME_TYPE, .str_type = STR_TYPE, .bytes_type = BYTES_TYPE};

	runtime.layout.frames = index <= V3_10 ? LM_PYTHON_FRAME_OBJECTS : LM_PYTHON_ENTRY_FLAG;
	runtime.layout.lines = index == V3_8    ? LM_PYTHON_LNOTAB
			       : index == V3_10 ? LM_PYTHON_LINETABLE
						: LM_PYTHON_LOCATIONS;
	runtime.layout.code_instructions = 184;
	runtime.layout.ascii_bytes = 48;
	runtime.layout.compact_bytes = 72;
	return runtime;
}

static void check_text(struct fixture *fixture, uint64_t str, bool keep_end, const char *expected)
{
	const struct lm_python_runtime runtime = runtime_of(V3_11);
	struct lm_remote remote;
	char text[LM_PYTHON_TEXT_MAX + 1] = "untouched";

	lm_remote_reset(&remote, fixture->fd);
	assert_int_equal(lm_python_read_text(&remote, &runtime, str, keep_end, text), expected != NULL);
	assert_string_equal(text, expected ? expected : "untouched");
}

static void texts_of_every_kind_are_utf8(void **state)
{
	struct fixture *fixture = *state;
	static const unsigned char latin[] = {'n', 0xe4, 'h'};
	static const uint16_t two[] = {0x540d, 'x', 0xd800, 0x20ac};
	static const uint32_t four[] = {0x1f40d, 0, 0x110000, 'z'};

	check_text(fixture, make_str(fixture, 0, "plain", 5, false), false, "plain");
	check_text(fixture, make_str(fixture, 0, "", 0, false), false, "");
	check_text(fixture, make_str(fixture, 1, latin, 3, false), false, "n\xc3\xa4h");
	check_text(fixture, make_str(fixture, 2, two, 4, false), false, "\xe5\x90\x8dx\xef\xbf\xbd\xe2\x82\xac");
	check_text(fixture, make_str(fixture, 4, four, 4, false), false, "\xf0\x9f\x90\x8d\xef\xbf\xbd\xef\xbf\xbdz");
}

static void long_texts_are_cut_and_what_is_no_text_is_refused(void **state)
{
	struct fixture *fixture = *state;
	char lengthy[1000], cut[LM_PYTHON_TEXT_MAX + 1];
	uint64_t str;

	memset(lengthy, 'a', sizeof(lengthy));
	memset(lengthy + 900, 'z', 100);
	memset(cut, 'a', sizeof(cut));
	cut[LM_PYTHON_TEXT_MAX] = '\0';
	str = make_str(fixture, 0, lengthy, sizeof(lengthy), false);
	check_text(fixture, str, false, cut);
	memset(cut + LM_PYTHON_TEXT_MAX - 100, 'z', 100);
	check_text(fixture, str, true, cut);
	put_word(fixture, str + 16, 1ull << 60);
	check_text(fixture, str, true, NULL);
	put_word(fixture, str + 16, UINT32_MAX); /* runs beyond the end of the memory */
	check_text(fixture, str, true, NULL);
	put_word(fixture, str + 16, 3);
	put_int(fixture, str + 32, 3 << 2 | 1 << 5);
	check_text(fixture, str, false, NULL);
	put_int(fixture, str + 32, 1 << 2 | 1 << 6);
	check_text(fixture, str, false, NULL);
	put_int(fixture, str + 32, 1 << 2 | 1 << 5 | 1 << 6);
	check_text(fixture, str, false, "aaa");
	put_word(fixture, str + 8, BYTES_TYPE);
	check_text(fixture, str, false, NULL);
	check_text(fixture, 0, false, NULL);
	check_text(fixture, MEMORY_BYTES - 8, false, NULL);
	check_text(fixture, ~7ull, false, NULL);
}

/* The tables that 3.8, 3.10 and 3.11 make of one function, and what they themselves say of it. */
static const char lnotab[] = "\x00\x02\x02\x02\x02\xfe\x04\x03\x02\x01\x08\x02\x0c\x01\x04\x00\x02\x01\x02\x01\x02\xfe"
			     "\x08\x7f\x00\x7f\x00\x31\x06\x01\x02\xff";
static const char linetable[] =
	"\x02\x02\x02\x02\x04\xfe\x02\x03\x04\x01\x0c\x02\x06\x01\x02\x01\x02\x01\x04\xfe\x02\x80"
	"\x0e\xff\x06\x01\x02\x01\x02\x01\x04\xfe\x02\x80\x02\xff";
static const char locations[] = "\x80\x00\xe0\x09\x0a\xe0\x09\x0a\xf1\x05\x02\x0a\x0b\x80\x41\xf0\x06\x06\x05\x13\xd8"
				"\x0f\x10\xe5\x11\x16\x90\x71"
				"\x91\x18\x94\x18\xf0\x00\x03\x09\x13\xf0\x00\x03\x09\x13\x88\x41\xd8\x0f\x10\xf0\x00"
				"\x02\x0d\x13\x95\x25\xd8\x10"
				"\x11\xd8\x10\x11\xf1\x05\x02\x13\x13\xf4\x00\x02\x13\x13\xf0\x00\x02\x13\x13\xf8\xf0"
				"\x03\x03\x09\x13\xf8\x95\x15"
				"\x90\x71\x91\x18\x94\x18\xf0\x00\x03\x09\x13\xf0\x00\x03\x09\x13\x88\x41\xd8\x0f\x10"
				"\xf0\x00\x02\x0d\x13\x95\x25"
				"\xd8\x10\x11\xd8\x10\x11\xf1\x05\x02\x13\x13\xf4\x00\x02\x13\x13\xf0\x00\x02\x13\x13"
				"\xf8\xf0\x03\x03\x09\x13\xf8"
				"\xf8\xf8";

struct run {
	unsigned at, line;
};

static const struct run lnotab_runs[] = {{0, 3}, {2, 5}, {4, 3}, {8, 6}, {10, 7}, {18, 9}, {30, 10}, {36, 11}, {38, 12},
	{40, 10}, {48, 313}, {54, 314}, {56, 313}, {62, 0}};
static const struct run linetable_runs[] = {{0, 3}, {2, 5}, {4, 3}, {8, 6}, {10, 7}, {14, 9}, {26, 10}, {32, 11},
	{34, 12}, {36, 10}, {40, 0}, {42, 9}, {56, 10}, {62, 11}, {64, 12}, {66, 10}, {70, 0}, {72, 9}, {74, 0}};
static const struct run locations_runs[] = {{0, 1}, {2, 3}, {4, 5}, {6, 3}, {12, 6}, {14, 7}, {16, 9}, {50, 10},
	{66, 11}, {68, 12}, {70, 10}, {86, 0}, {88, 9}, {90, 0}, {92, 9}, {126, 10}, {142, 11}, {144, 12}, {146, 10},
	{162, 0}, {164, 9}, {166, 0}, {172, 0}};

static uint32_t line_at(struct fixture *fixture, unsigned index, uint64_t lines, unsigned first_line, uint64_t at)
{
	const struct lm_python_runtime runtime = runtime_of(index);
	struct lm_python_code code = {.address = 0x200000, .lines = lines, .first_line = first_line};
	struct lm_python_place place;
	struct lm_remote remote;
	uint64_t instruction = index == V3_8 ? at : index == V3_10 ? at / 2 : code.address + 184 + at;

	code.name = code.file = make_str(fixture, 0, "f", 1, false);
	lm_remote_reset(&remote, fixture->fd);
	assert_true(lm_python_read_place(&remote, &runtime, &code, instruction, &place));
	return place.line;
}

static void lines_are_those_that_the_interpreter_itself_tells(void **state)
{
	struct fixture *fixture = *state;
	const struct {
		unsigned version;
		const char *bytes;
		size_t bytes_len;
		const struct run *runs;
		size_t runs_len;
	} tables[] = {
		{V3_8, lnotab, sizeof(lnotab) - 1, lnotab_runs, ARRAY_LEN(lnotab_runs)},
		{V3_10, linetable, sizeof(linetable) - 1, linetable_runs, ARRAY_LEN(linetable_runs)},
		{V3_11, locations, sizeof(locations) - 1, locations_runs, ARRAY_LEN(locations_runs)},
	};

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		uint64_t lines = make_bytes(fixture, tables[i].bytes, tables[i].bytes_len);

		for (size_t run = 0; run + 1 < tables[i].runs_len; run++) {
			for (unsigned at = tables[i].runs[run].at; at < tables[i].runs[run + 1].at; at += 2)
				assert_int_equal(
					line_at(fixture, tables[i].version, lines, 1, at), tables[i].runs[run].line);
		}
	}
}

static void lines_are_told_by_entries_without_columns_too(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(line_at(fixture, V3_11, make_bytes(fixture, "\xe8\x0a", 2), 1, 0), 6);
	assert_int_equal(line_at(fixture, V3_11, make_bytes(fixture, "\xe8\x48\x03", 3), 1, 0), 101);
	assert_int_equal(line_at(fixture, V3_11, make_bytes(fixture, "\xe8\x49\x03", 3), 150, 0), 50);
	assert_int_equal(line_at(fixture, V3_11, make_bytes(fixture, "\xe8\x49\x03", 3), 50, 0), 0);
}

static void lines_without_a_table_or_before_the_first_instruction(void **state)
{
	struct fixture *fixture = *state;
	uint64_t lines = make_bytes(fixture, locations, sizeof(locations) - 1);

	assert_int_equal(line_at(fixture, V3_11, lines, 40, (uint64_t)-2), 40);
	assert_int_equal(line_at(fixture, V3_8, lines, 40, (uint64_t)-1), 40);
	assert_int_equal(line_at(fixture, V3_11, lines, 1, 1ull << 40), 0);
	put_word(fixture, lines + 16, 1ull << 60);
	assert_int_equal(line_at(fixture, V3_11, lines, 1, 4), 0);
	put_word(fixture, lines + 16, 3); /* cut in its middle */
	assert_int_equal(line_at(fixture, V3_11, lines, 1, 4), 0);
	assert_int_equal(line_at(fixture, V3_11, CODE_TYPE, 1, 4), 0);
}

/* A plain generator: the same damage each time. */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void damaged_memory_ends_in_bounded_time(void **state)
{
	static const char *const names[] = {"get", "work", "/", "run", "/", NULL};
	static const uint64_t values[] = {0, 1, ~0ull, 1ull << 60, 1ull << 63, THREAD, INTERPRETER, HEAP, RUNTIME, 8,
		CODE_TYPE, STR_TYPE, MEMORY_BYTES - 4};
	uint64_t seed = 88172645463325252ull, end_ns = soon() + 20000000000ull;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct lm_frame_message frames[LM_STACK_MAX] = {{EVAL + 64, INTERPRETER_MODULE, true}};
		enum lm_unwind_status status = LM_UNWIND_COMPLETE;
		unsigned index = round % ARRAY_LEN(versions);
		struct fixture *fixture;

		set_up((void **)&fixture);
		set_version(fixture, index);
		make_threads(fixture, index, 3);
		make_frames(fixture, index, THREAD, names);
		for (unsigned i = 0; i < 12; i++) {
			static const uint64_t bases[] = {RUNTIME, INTERPRETER, THREAD, HEAP, HEAP, HEAP};
			uint64_t at = bases[next_random(&seed) % 6] + next_random(&seed) % 2048 / 4 * 4;

			put_word(fixture, at, values[next_random(&seed) % ARRAY_LEN(values)] + HEAP * (i % 3 == 2));
		}
		turn(fixture);
		for (unsigned i = 0; i < 3; i++) {
			const struct lm_regs regs = {.fs_base = TCB + i * 4096};

			assert_in_range(lm_python_add(fixture->python, &regs, frames, 1, LM_STACK_MAX, &status), 1,
				LM_STACK_MAX);
		}
		tear_down((void **)&fixture);
		assert_true(soon() < end_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_stand_behind_the_calls_that_run_them_in_every_version),
		cmocka_unit_test_setup_teardown(
			other_threads_and_threads_without_frames_keep_their_native_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frames_are_kept_where_native_calls_are_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_thread_that_came_since_is_found_and_one_that_ended_is_not_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_thread_in_two_interpreters_has_the_frames_of_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_list_is_walked_once_for_many_threads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			code_that_took_the_place_of_other_code_has_its_own_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_known_or_cannot_be_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_interpreter_that_is_not_what_it_says_is_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frames_that_lead_to_themselves_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lists_that_lead_to_themselves_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(walks_of_lists_are_cut_where_they_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(texts_of_every_kind_are_utf8, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_texts_are_cut_and_what_is_no_text_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_are_those_that_the_interpreter_itself_tells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_are_told_by_entries_without_columns_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			lines_without_a_table_or_before_the_first_instruction, set_up, tear_down),
		cmocka_unit_test(damaged_memory_ends_in_bounded_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
