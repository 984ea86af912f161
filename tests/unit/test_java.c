// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames of a JVM, read from one that is made by hand, whole and broken. Real ones: tests/integration/test_java.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fake_jvm.h"

struct fixture {
	struct fake_jvm jvm;
	struct lm_remote remote;
	struct lm_java_names *names;
	struct lm_java *java;
	struct lm_java_frame frame;
	int fd;
};

static int set_up(void **state)
{
	struct fixture *fixture = aligned_alloc(_Alignof(struct fixture), sizeof(*fixture));

	assert_non_null(fixture);
	memset(fixture, 0, sizeof(*fixture));
	fake_jvm_init(&fixture->jvm);
	fixture->fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(fixture->fd >= 0);
	assert_int_equal(lm_java_names_new(&fixture->names), 0);
	assert_int_equal(lm_java_new(fixture->jvm.variables, &fixture->java), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_java_free(fixture->java);
	lm_java_names_free(fixture->names);
	close(fixture->fd);
	free(fixture);
	return 0;
}

static void begin(struct fixture *fixture)
{
	lm_remote_reset(&fixture->remote, fixture->fd);
	lm_java_names_clear(fixture->names);
	lm_java_begin(fixture->java, &fixture->remote, fixture->names);
	lm_java_begin_stack(fixture->java);
}

/* A frame that returns to pc, with the stack pointer at the stack's word and the frame pointer at another. */
static bool step_from(struct fixture *fixture, uint64_t pc, size_t sp, size_t bp)
{
	begin(fixture);
	fixture->frame = (struct lm_java_frame){.pc = pc,
		.sp = (uintptr_t)&fixture->jvm.stack[sp],
		.bp = (uintptr_t)&fixture->jvm.stack[bp],
		.bp_known = true};
	return lm_java_step(fixture->java, &fixture->frame);
}

/* An interpreted frame of the method with its frame pointer at the stack's word 20. */
static bool step_interpreted(struct fixture *fixture, const struct fake_method *method, uint64_t bytecode_at)
{
	uint64_t *bp = &fixture->jvm.stack[20];

	bp[0] = 0xb0b0;
	bp[1] = 0xcafe;
	bp[-1] = (uintptr_t)&fixture->jvm.stack[26]; /* what a compiled caller passed lies between */
	bp[-3] = (uintptr_t)method;
	bp[-8] = bytecode_at;
	return step_from(fixture, fixture->jvm.queue.buffer + 100, 8, 20);
}

/* A compiled frame that returns to that offset of its code. */
static bool step_compiled(struct fixture *fixture, uint64_t code_offset)
{
	uint64_t *caller_sp = &fixture->jvm.stack[8 + COMPILED_FRAME];

	caller_sp[-1] = 0xcafe;
	caller_sp[-2] = 0xb0b0;
	return step_from(fixture, fake_code_of(&fixture->jvm, COMPILED) + code_offset, 8, 60);
}

static void assert_place(const struct fixture *fixture, size_t index, const char *name, uint32_t line)
{
	struct lm_java_place place;

	assert_true(index < fixture->frame.keys_len);
	assert_true(lm_java_names_place(fixture->names, fixture->frame.keys[index], &place));
	assert_string_equal(place.name, name);
	assert_string_equal(place.file, "Client.java");
	assert_int_equal(place.line, line);
}

static void assert_caller(const struct fixture *fixture, size_t sp)
{
	assert_int_equal(fixture->frame.pc, 0xcafe);
	assert_int_equal(fixture->frame.bp, 0xb0b0);
	assert_ptr_equal(fixture->frame.sp, &fixture->jvm.stack[sp]);
}

static void an_interpreted_frame_has_its_method_line_and_caller(void **state)
{
	struct fixture *fixture = *state;

	assert_true(step_interpreted(fixture, &fixture->jvm.outer, (uintptr_t)&fixture->jvm.outer_const.code[4]));
	assert_int_equal(fixture->frame.keys_len, 1);
	assert_place(fixture, 0, "com.example.Client.call", 9);
	assert_int_equal(fixture->frame.keys[0] & 0xffff, 4);
	assert_caller(fixture, 26);
	assert_true(step_interpreted(fixture, &fixture->jvm.inner, (uintptr_t)&fixture->jvm.inner_const.code[1]));
	assert_place(fixture, 0, "com.example.Client.await", 300);
}

static void the_bytecode_is_found_where_jdk_8_keeps_it(void **state)
{
	struct fixture *fixture = *state;

	fixture->jvm.stack[13] = (uintptr_t)&fixture->jvm.outer_const.code[2];
	assert_true(step_interpreted(fixture, &fixture->jvm.outer, 0x1234));
	assert_place(fixture, 0, "com.example.Client.call", 7);
	assert_int_equal(fixture->frame.keys[0] & 0xffff, 2);
}

static void a_compiled_frame_has_what_was_inlined_into_it(void **state)
{
	struct fixture *fixture = *state;

	assert_true(step_compiled(fixture, 32));
	assert_int_equal(fixture->frame.keys_len, 2);
	assert_place(fixture, 0, "com.example.Client.await", 300);
	assert_place(fixture, 1, "com.example.Client.call", 9);
	assert_caller(fixture, 8 + COMPILED_FRAME);
	assert_true(step_compiled(fixture, 16));
	assert_int_equal(fixture->frame.keys_len, 1);
	assert_place(fixture, 0, "com.example.Client.call", 9);
}

static void a_place_has_the_same_key_interpreted_and_compiled(void **state)
{
	struct fixture *fixture = *state;
	uint64_t key;

	assert_true(step_compiled(fixture, 16));
	key = fixture->frame.keys[0];
	assert_true(step_interpreted(fixture, &fixture->jvm.outer, (uintptr_t)&fixture->jvm.outer_const.code[3]));
	assert_int_equal(fixture->frame.keys[0], key);
	/* and on every machine */
	assert_int_equal(key, lm_java_key("com.example.Client", "call", "()V") | 3);
}

static void code_that_is_no_longer_valid_was_where_the_frame_says(void **state)
{
	struct fixture *fixture = *state;
	struct fake_blob *blob = fake_blob_at(&fixture->jvm, COMPILED);

	fixture->jvm.stack[9] = fake_code_of(&fixture->jvm, COMPILED) + 32;
	assert_true(step_compiled(fixture, blob->deopt_handler - CODE_AT));
	assert_int_equal(fixture->frame.keys_len, 2);
	assert_place(fixture, 0, "com.example.Client.await", 300);
}

static void newer_jvms_have_no_byte_0_in_their_numbers(void **state)
{
	static const uint8_t scopes[] = {0, 1, 2, 5, 2, 3, 3};
	struct fixture *fixture = *state;
	struct fake_blob *blob = fake_blob_at(&fixture->jvm, COMPILED);

	fixture->jvm.version = 25;
	memcpy((char *)blob + blob->scopes_data, scopes, sizeof(scopes));
	assert_true(step_compiled(fixture, 32));
	assert_int_equal(fixture->frame.keys_len, 2);
	assert_place(fixture, 1, "com.example.Client.call", 9);
}

static void a_stub_and_the_entry_from_native_code_are_no_methods(void **state)
{
	struct fixture *fixture = *state;
	uint64_t *stack = fixture->jvm.stack;

	stack[8 + STUB_FRAME - 1] = 0xcafe;
	stack[8 + STUB_FRAME - 2] = 0xb0b0;
	assert_true(step_from(fixture, fake_code_of(&fixture->jvm, STUB) + 4, 8, 60));
	assert_int_equal(fixture->frame.keys_len, 0);
	assert_true(fixture->frame.named);
	assert_caller(fixture, 8 + STUB_FRAME);
	stack[40] = 0xb0b0;
	stack[41] = 0xcafe;
	assert_true(step_from(fixture, fixture->jvm.call_stub_return, 8, 40));
	assert_int_equal(fixture->frame.keys_len, 0);
	assert_caller(fixture, 42);
}

static void what_is_not_in_the_code_cache_is_left_to_others(void **state)
{
	struct fixture *fixture = *state;

	assert_false(step_from(fixture, (uintptr_t)&fixture->jvm.stack, 8, 20));
	assert_false(step_from(fixture, (uintptr_t)fixture->jvm.code, 8, 20)); /* nothing is in use there */
	fixture->frame.bp_known = false;
	assert_null(lm_java_why(fixture->java));
}

static void a_jvm_without_a_field_is_refused_and_says_which(void **state)
{
	struct fixture *fixture = *state;

	for (struct fake_field *field = fixture->jvm.fields; field->type; field++) {
		if (strcmp(field->name, "_pool_holder") == 0)
			field->name = "_holder";
	}
	assert_false(step_compiled(fixture, 32));
	assert_string_equal(lm_java_why(fixture->java), "_pool_holder");
}

static void a_jvm_that_is_starting_is_asked_again(void **state)
{
	struct fixture *fixture = *state;
	uint64_t stride = fixture->jvm.pointers[1];

	fixture->jvm.pointers[1] = 0;
	assert_false(step_compiled(fixture, 32));
	assert_null(lm_java_why(fixture->java));
	fixture->jvm.pointers[1] = stride;
	assert_true(step_compiled(fixture, 32));
}

static void scopes_that_are_not_the_methods_own_are_not_believed(void **state)
{
	struct fixture *fixture = *state;
	struct fake_blob *blob = fake_blob_at(&fixture->jvm, COMPILED);
	unsigned char *scopes = (unsigned char *)blob + blob->scopes_data;

	/* each is its own caller */
	scopes[4] = 4;
	assert_true(step_compiled(fixture, 32));
	assert_int_equal(fixture->frame.keys_len, 1);
	assert_place(fixture, 0, "com.example.Client.call", 7);
	/* the outermost is another method */
	scopes[4] = 0;
	assert_true(step_compiled(fixture, 32));
	assert_int_equal(fixture->frame.keys_len, 1);
	assert_place(fixture, 0, "com.example.Client.call", 7);
	scopes[5] = 191; /* no such method */
	assert_true(step_compiled(fixture, 32));
	assert_int_equal(fixture->frame.keys_len, 1);
}

static void what_is_no_method_is_stepped_over_without_a_name(void **state)
{
	struct fixture *fixture = *state;
	struct fake_jvm *jvm = &fixture->jvm;

	assert_true(step_interpreted(fixture, (void *)0x10, 0));
	assert_false(fixture->frame.named);
	assert_caller(fixture, 26);
	jvm->outer_name.body[1] = '\n';
	assert_true(step_interpreted(fixture, &jvm->outer, 0));
	assert_false(fixture->frame.named);
	jvm->pool.length = 3; /* the signature is beyond it */
	assert_true(step_interpreted(fixture, &jvm->inner, 0));
	assert_false(fixture->frame.named);
}

static void long_names_are_cut(void **state)
{
	struct fixture *fixture = *state;
	struct lm_java_place place;

	memset(fixture->jvm.code, 'x', SEGMENT * INTERPRETER);
	((struct fake_symbol *)fixture->jvm.code)->length = UINT16_MAX;
	fixture->jvm.klass.name = (void *)fixture->jvm.code;
	assert_true(step_interpreted(fixture, &fixture->jvm.outer, 0));
	assert_true(fixture->frame.named);
	assert_true(lm_java_names_place(fixture->names, fixture->frame.keys[0], &place));
	assert_int_equal(strlen(place.name), 511 + strlen(".call"));
}

static void a_frame_that_does_not_go_up_the_stack_is_refused(void **state)
{
	struct fixture *fixture = *state;
	uint64_t interpreter = fixture->jvm.queue.buffer + 100;

	assert_false(step_from(fixture, interpreter, 30, 20));
	fake_blob_at(&fixture->jvm, COMPILED)->frame_size = 0x7fffffff;
	assert_false(step_compiled(fixture, 32));
	fake_blob_at(&fixture->jvm, COMPILED)->frame_size = -1;
	assert_false(step_from(fixture, fake_code_of(&fixture->jvm, COMPILED) + 32, 30, 20));
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Lists that do not end: the map of segments, the places of a method, its lines, the tables. */
static void lists_without_an_end_cost_little(void **state)
{
	struct fixture *fixture = *state;
	struct fake_blob *blob = fake_blob_at(&fixture->jvm, COMPILED);
	static _Alignas(8) unsigned char lines[65536];
	double begun = now_s();

	memset((char *)blob + blob->scopes_pcs, 0, 400);
	fixture->jvm.outer.const_method = (struct fake_const_method *)lines;
	memset(lines, 1, sizeof(lines));
	memcpy(lines, &fixture->jvm.outer_const, offsetof(struct fake_const_method, code));
	for (int i = 0; i < 200; i++)
		assert_true(step_compiled(fixture, 32));
	assert_place(fixture, 0, "com.example.Client.call", 8192);
	memset(fixture->jvm.segmap, 1, sizeof(fixture->jvm.segmap));
	for (int i = 0; i < 200; i++)
		assert_false(step_compiled(fixture, 32));
	assert_true(now_s() - begun < 10);
}

/* Their frames are not shown, so nothing else ends such a stack. */
static void stubs_without_an_end_are_not_followed(void **state)
{
	struct fixture *fixture = *state;
	static uint64_t stack[16384];
	int frames = 0;

	for (size_t i = 0; i + 1 < sizeof(stack) / sizeof(stack[0]); i += 2) {
		stack[i] = (uintptr_t)&stack[i + 2];
		stack[i + 1] = fixture->jvm.call_stub_return;
	}
	begin(fixture);
	fixture->frame = (struct lm_java_frame){.pc = fixture->jvm.call_stub_return,
		.sp = (uintptr_t)stack - 8,
		.bp = (uintptr_t)stack,
		.bp_known = true};
	while (lm_java_step(fixture->java, &fixture->frame))
		frames++;
	assert_true(frames > 256 && frames < 2000);
}

/* Any byte of it may be anything. */
static void a_broken_jvm_breaks_nothing_else(void **state)
{
	struct fixture *fixture = *state;
	static struct fake_jvm whole;
	unsigned seed = 1;

	whole = fixture->jvm;
	for (int round = 0; round < 20000; round++) {
		size_t at;

		memcpy(&fixture->jvm, &whole, sizeof(whole));
		for (int i = 0; i < 4; i++) {
			at = rand_r(&seed) % sizeof(whole);
			/* what follows the tables is looked at most */
			if (i % 2 && at > offsetof(struct fake_jvm, code))
				at = offsetof(struct fake_jvm, code) + COMPILED * SEGMENT + at % (16 * SEGMENT);
			((unsigned char *)&fixture->jvm)[at] = rand_r(&seed);
		}
		if (round % 16 == 0) {
			lm_java_free(fixture->java);
			assert_int_equal(lm_java_new(whole.variables, &fixture->java), 0);
		}
		step_compiled(fixture, round % 2 ? 32 : 16);
		assert_true(fixture->frame.keys_len <= LM_JAVA_INLINED_MAX);
		step_interpreted(fixture, &fixture->jvm.outer, (uintptr_t)&fixture->jvm.outer_const.code[4]);
		assert_true(fixture->frame.keys_len <= LM_JAVA_INLINED_MAX);
	}
}

static void classes_are_called_the_same_on_every_machine(void **state)
{
	static const char *const names[][2] = {
		{"com/example/Client$Inner", "com.example.Client$Inner"},
		{"Main", "Main"},
		{"com/example/W$$Lambda$14+0x0000000800c03000", "com.example.W$$Lambda"},
		{"com/example/W$$Lambda+0x00007f3ce4002cc8", "com.example.W$$Lambda"},
		{"com/example/W$$Lambda$14/0x0000000800c03000", "com.example.W$$Lambda"},
		{"com/example/W$$Lambda$14", "com.example.W$$Lambda"},
		{"com/example/W$$LambdaTest", "com.example.W$$LambdaTest"},
		{"java/lang/invoke/LambdaForm$MH+0x0000000800c01000", "java.lang.invoke.LambdaForm$MH"},
		{"java/lang/invoke/LambdaForm$MH0012", "java.lang.invoke.LambdaForm$MH"},
		{"jdk/proxy2/$Proxy7", "jdk.proxy.$Proxy"},
		{"com/sun/proxy/$Proxy12", "com.sun.proxy.$Proxy"},
		{"com/example/$ProxyBox", "com.example.$ProxyBox"},
		{"jdk/internal/reflect/GeneratedMethodAccessor3", "jdk.internal.reflect.GeneratedMethodAccessor"},
		{"com/example/Client2", "com.example.Client2"},
		{"", ""},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		lm_java_class_name(names[i][0], text, sizeof(text));
		assert_string_equal(text, names[i][1]);
	}
	lm_java_class_name("com/example/Client", text, 8);
	assert_string_equal(text, "com.exa");
}

static void methods_with_other_names_or_parameters_have_other_keys(void **state)
{
	uint64_t key = lm_java_key("A", "b", "()V");

	(void)state;
	assert_int_equal(key & 0xffff, 0);
	assert_true(key && key < 1ull << 52);
	assert_int_not_equal(key, lm_java_key("A", "b", "(I)V"));
	assert_int_not_equal(key, lm_java_key("A", "c", "()V"));
	assert_int_not_equal(key, lm_java_key("Ab", "", "()V"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_interpreted_frame_has_its_method_line_and_caller),
		TEST(the_bytecode_is_found_where_jdk_8_keeps_it),
		TEST(a_compiled_frame_has_what_was_inlined_into_it),
		TEST(a_place_has_the_same_key_interpreted_and_compiled),
		TEST(code_that_is_no_longer_valid_was_where_the_frame_says),
		TEST(newer_jvms_have_no_byte_0_in_their_numbers),
		TEST(a_stub_and_the_entry_from_native_code_are_no_methods),
		TEST(what_is_not_in_the_code_cache_is_left_to_others),
		TEST(a_jvm_without_a_field_is_refused_and_says_which),
		TEST(a_jvm_that_is_starting_is_asked_again),
		TEST(scopes_that_are_not_the_methods_own_are_not_believed),
		TEST(what_is_no_method_is_stepped_over_without_a_name),
		TEST(long_names_are_cut),
		TEST(a_frame_that_does_not_go_up_the_stack_is_refused),
		TEST(lists_without_an_end_cost_little),
		TEST(stubs_without_an_end_are_not_followed),
		TEST(a_broken_jvm_breaks_nothing_else),
		cmocka_unit_test(classes_are_called_the_same_on_every_machine),
		cmocka_unit_test(methods_with_other_names_or_parameters_have_other_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
