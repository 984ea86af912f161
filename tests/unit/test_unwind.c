// SPDX-License-Identifier: GPL-2.0-or-later
/* Stacks of programs that these tests compile, in the ways that programs are built: whole chains, by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "user/proc.h"
#include "user/resolver/client.h"
#include "victim.h"

/* Blocks in pause() below inner, middle and outer. The barriers keep calls from becoming jumps. */
static const char program[] =
	"#include <dlfcn.h>\n"
	"#include <signal.h>\n"
	"#include <stdio.h>\n"
	"#include <string.h>\n"
	"#include <sys/mman.h>\n"
	"#include <unistd.h>\n"
	"#define HERE __attribute__((noinline, noclone))\n"
	"#define AFTER __asm__ volatile(\"\")\n"
	"HERE void inner(int n) { pause(); AFTER; }\n"
	"HERE void middle(int n) { char room[300]; memset(room, n, 300); __asm__ volatile(\"\" :: \"r\"(room)); "
	"inner(n); AFTER; }\n"
	"HERE void outer(int n) { middle(n + 1); AFTER; }\n"
	"static inline __attribute__((always_inline)) void folded(int n) { middle(n); AFTER; }\n"
	"HERE void around(int n) { folded(n); AFTER; }\n"
	"HERE void handler(int n) { outer(n); AFTER; }\n"
	"HERE void interrupted(void) { raise(SIGUSR1); AFTER; }\n"
	"HERE void above(void (*code)(void (*)(int))) { code(outer); AFTER; }\n"
	"static void generate(void) {\n"
	"	static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};\n"
	"	void *at = mmap(NULL, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\n"
	"	char path[64];\n"
	"	FILE *file;\n"
	"	memcpy(at, code, sizeof(code));\n"
	"	sprintf(path, \"/tmp/perf-%d.map\", getpid());\n"
	"	file = fopen(path, \"w\");\n"
	"	fprintf(file, \"nonsense\\n%lx %x generated code\\n\", (unsigned long)at, (int)sizeof(code));\n"
	"	fclose(file);\n"
	"	above((void (*)(void (*)(int)))at);\n"
	"}\n"
	"int main(int argc, char **argv) {\n"
	"	const char *what = argc > 1 ? argv[1] : \"\";\n"
	"	void (*run)(void (*)(int)) = NULL;\n"
	"	if (!strcmp(what, \"signal\")) { signal(SIGUSR1, handler); interrupted(); }\n"
	"	else if (!strcmp(what, \"folded\")) around(argc);\n"
	"	else if (!strcmp(what, \"jit\")) generate();\n"
	"	else if (!strcmp(what, \"library\")) {\n"
	"		void *library = dlopen(argv[2], RTLD_NOW);\n"
	"		if (!library) return 1;\n"
	"		*(void **)&run = dlsym(library, \"run_in_library\");\n"
	"		run(outer);\n"
	"	} else outer(argc);\n"
	"	AFTER;\n"
	"	return 0;\n"
	"}\n";
static const char library[] = "void run_in_library(void (*function)(int)) { function(1); __asm__ volatile(\"\"); }\n";

struct fixture {
	char directory[64];
	struct lm_stacks *stacks;
	struct lm_resolver *resolver;
};

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static int run(const struct fixture *fixture, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", fixture->directory, command);
	return system(line);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct lm_resolver_config config = {.proc_root = "/proc", .debuginfo = true};

	assert_non_null(fixture);
	strcpy(fixture->directory, "/tmp/leakmon-unwind-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	write_file(fixture, "victim.c", program);
	write_file(fixture, "library.c", library);
	assert_int_equal(lm_stacks_new(&fixture->stacks), 0);
	config.stacks = fixture->stacks;
	assert_int_equal(lm_resolver_start(&config, &fixture->resolver), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	run(fixture, "rm -f victim* library*");
	rmdir(fixture->directory);
	lm_resolver_free(fixture->resolver);
	lm_stacks_free(fixture->stacks);
	free(fixture);
	return 0;
}

static pid_t start(const struct fixture *fixture, const char *what, struct lm_regs *regs)
{
	char path[128], library_path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/victim", fixture->directory);
	snprintf(library_path, sizeof(library_path), "%s/library.so", fixture->directory);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(path, path, what, library_path, NULL);
		_exit(127);
	}
	victim_await_pause(pid);
	victim_read_registers(pid, regs);
	return pid;
}

static struct lm_target *open_target(struct fixture *fixture, pid_t pid)
{
	struct lm_target *target;
	uint64_t start_ns;

	assert_int_equal(lm_proc_start("/proc", pid, &start_ns), 0);
	assert_int_equal(lm_target_open(fixture->resolver, pid, start_ns, &target), 0);
	return target;
}

static const struct lm_stack *unwind(struct fixture *fixture, struct lm_target *target, const struct lm_regs *regs)
{
	struct lm_unwind_request request = {.regs = *regs};

	assert_int_equal(lm_target_unwind(fixture->resolver, target, &request, 1), 0);
	assert_non_null(request.stack);
	return request.stack;
}

static const char *name_at(const struct lm_stack *stack, size_t i)
{
	const struct lm_frame *frame = stack->frames[i];
	const char *name = frame->functions_len ? frame->functions[frame->functions_len - 1].name : NULL;

	return name ? name : "?";
}

/* The functions follow each other, with nothing between them, somewhere in the stack. Where a name is NULL anything may
 * stand, and "…" stands for any number of frames. */
static void check_chain(const struct lm_stack *stack, const char *const *names)
{
	size_t at = 0, found = 0;

	while (at < stack->frames_len && strcmp(name_at(stack, at), names[0]) != 0)
		at++;
	for (; names[found]; found++, at++) {
		if (strcmp(names[found], "…") == 0) {
			found++;
			while (at < stack->frames_len && strcmp(name_at(stack, at), names[found]) != 0)
				at++;
		}
		if (at >= stack->frames_len || (strcmp(names[found], "*") && strcmp(name_at(stack, at), names[found])))
			break;
	}
	if (!names[found])
		return;
	print_error("%s was not found where it should be:\n", names[found]);
	for (size_t i = 0; i < stack->frames_len; i++)
		print_error("  %s %s+%#llx\n", name_at(stack, i), stack->frames[i]->module->name,
			(unsigned long long)stack->frames[i]->offset);
	fail();
}

static const char *const plain_chain[] = {"inner", "middle", "outer", "main", NULL};

static const struct build {
	const char *name, *command;
	bool has_names;
} builds[] = {
	{"PIE", "cc -O2 -g -fomit-frame-pointer -o victim victim.c", true},
	{"not PIE", "cc -O2 -g -no-pie -fno-pie -o victim victim.c", true},
	{"with frame pointers", "cc -O0 -g -fno-omit-frame-pointer -o victim victim.c", true},
	{"without debug information", "cc -O2 -o victim victim.c", true},
	{"stripped", "cc -O2 -s -o victim victim.c", false},
	{"static", "cc -O2 -g -static -o victim victim.c 2>/dev/null", true},
	{"static PIE", "cc -O2 -g -static-pie -fPIE -o victim victim.c 2>/dev/null", true},
	{"compressed debug information", "cc -O2 -g -gz -o victim victim.c", true},
	{"DWARF 4", "cc -O2 -gdwarf-4 -o victim victim.c", true},
	{".debug_frame alone", "cc -O2 -g -fno-asynchronous-unwind-tables -fno-unwind-tables -o victim victim.c", true},
	{"clang", "clang -O2 -g -o victim victim.c 2>/dev/null", true},
	{"musl", "musl-gcc -O2 -g -fomit-frame-pointer -o victim victim.c 2>/dev/null", true},
	{"musl, static", "musl-gcc -O2 -g -static -o victim victim.c 2>/dev/null", true},
	{"musl, without tables", "musl-gcc -O2 -fno-asynchronous-unwind-tables -o victim victim.c 2>/dev/null", true},
};

static void every_build_is_unwound_from_its_wait_to_its_start(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
		const struct build *build = &builds[i];
		const struct lm_stack *stack;
		struct lm_target *target;
		struct lm_regs regs;
		pid_t pid;

		if (run(fixture, build->command)) {
			print_message("skipped: %s: cannot be built here\n", build->name);
			continue;
		}
		print_message("%s\n", build->name);
		pid = start(fixture, "", &regs);
		target = open_target(fixture, pid);
		stack = unwind(fixture, target, &regs);
		if (build->has_names)
			check_chain(stack, plain_chain);
		assert_int_equal(stack->end, LM_STACK_COMPLETE);
		assert_in_range(stack->frames_len, 6, 12);
		lm_stack_unref(fixture->stacks, stack);
		lm_target_close(fixture->resolver, target);
		victim_stop(pid);
	}
}

static void a_stripped_program_has_the_offsets_of_the_whole_one(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_stack *whole, *stripped;
	struct lm_target *target;
	struct lm_regs regs;
	pid_t pid;

	assert_int_equal(run(fixture, "cc -O2 -g -o victim victim.c"), 0);
	pid = start(fixture, "", &regs);
	target = open_target(fixture, pid);
	whole = unwind(fixture, target, &regs);
	lm_target_close(fixture->resolver, target);
	victim_stop(pid);
	assert_int_equal(run(fixture, "strip victim -o victim2 && mv victim2 victim"), 0);
	pid = start(fixture, "", &regs);
	target = open_target(fixture, pid);
	stripped = unwind(fixture, target, &regs);
	assert_true(stripped->hash == whole->hash);
	assert_ptr_not_equal(stripped, whole);
	lm_stack_unref(fixture->stacks, whole);
	lm_stack_unref(fixture->stacks, stripped);
	lm_target_close(fixture->resolver, target);
	victim_stop(pid);
}

static const struct scene {
	const char *what, *before, *after;
	const char *chain[9];
} scenes[] = {
	{"signal", NULL, NULL, {"inner", "middle", "outer", "handler", "…", "interrupted", "main"}},
	{"library", NULL, NULL, {"inner", "middle", "outer", "run_in_library", "main"}},
	{"library", NULL, "rm library.so", {"inner", "middle", "outer", "run_in_library", "main"}},
	{"", NULL, "rm victim", {"inner", "middle", "outer", "main"}},
	{"", NULL, "rm victim && cp /bin/true victim", {"inner", "middle", "outer", "main"}},
	{"jit", NULL, NULL, {"inner", "middle", "outer", "generated code", "above", "*", "main"}},
	{"folded", NULL, NULL, {"inner", "middle", "around", "main"}},
};

static void a_stack_goes_through_signals_libraries_deleted_files_and_generated_code(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		const struct scene *scene = &scenes[i];
		const struct lm_stack *stack;
		struct lm_target *target;
		struct lm_regs regs;
		char path[64];
		pid_t pid;

		print_message("%s %s\n", scene->what, scene->after ? scene->after : "");
		assert_int_equal(run(fixture, "cc -O2 -g -fno-inline -o victim victim.c"), 0);
		assert_int_equal(run(fixture, "cc -O2 -shared -fPIC -o library.so library.c"), 0);
		pid = start(fixture, scene->what, &regs);
		if (scene->after)
			assert_int_equal(run(fixture, scene->after), 0);
		target = open_target(fixture, pid);
		stack = unwind(fixture, target, &regs);
		snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
		unlink(path);
		check_chain(stack, scene->chain);
		assert_int_equal(stack->end, LM_STACK_COMPLETE);
		lm_stack_unref(fixture->stacks, stack);
		lm_target_close(fixture->resolver, target);
		victim_stop(pid);
	}
}

static void inlined_functions_are_named_with_their_lines(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_frame *frame = NULL;
	const struct lm_stack *stack;
	struct lm_target *target;
	struct lm_regs regs;
	pid_t pid;

	assert_int_equal(run(fixture, "cc -O2 -g -o victim victim.c"), 0);
	pid = start(fixture, "folded", &regs);
	target = open_target(fixture, pid);
	stack = unwind(fixture, target, &regs);
	for (size_t i = 0; i < stack->frames_len; i++) {
		if (strcmp(name_at(stack, i), "around") == 0)
			frame = stack->frames[i];
	}
	assert_non_null(frame);
	assert_int_equal(frame->functions_len, 2);
	assert_string_equal(frame->functions[0].name, "folded");
	assert_true(frame->functions[0].inlined);
	assert_false(frame->functions[1].inlined);
	assert_int_equal(frame->functions[0].line, 12);
	assert_int_equal(frame->functions[1].line, 13);
	assert_non_null(strstr(frame->functions[0].file, "victim.c"));
	assert_true(frame->function_start && frame->function_start < frame->offset);
	lm_stack_unref(fixture->stacks, stack);
	lm_target_close(fixture->resolver, target);
	victim_stop(pid);
}

/* What is beyond the end of a mapped file raises SIGBUS in whoever touches it. */
static void a_library_that_was_cut_short_spoils_nothing_else(void **state)
{
	struct fixture *fixture = *state;
	struct lm_resolver_counters counters;
	const struct lm_stack *stack;
	struct lm_target *target, *other;
	struct lm_regs regs, other_regs;
	pid_t pid, other_pid;

	assert_int_equal(
		run(fixture, "cc -O2 -g -o victim victim.c && cc -O2 -shared -fPIC -o library.so library.c"), 0);
	pid = start(fixture, "library", &regs);
	other_pid = start(fixture, "", &other_regs);
	assert_int_equal(run(fixture, "truncate -s 4100 library.so"), 0);
	target = open_target(fixture, pid);
	other = open_target(fixture, other_pid);
	stack = unwind(fixture, target, &regs);
	check_chain(stack, (const char *const[]){"inner", "middle", "outer", NULL});
	lm_stack_unref(fixture->stacks, stack);
	stack = unwind(fixture, other, &other_regs);
	check_chain(stack, plain_chain);
	lm_stack_unref(fixture->stacks, stack);
	lm_resolver_counters(fixture->resolver, &counters);
	assert_int_equal(counters.worker_restarts, 0);
	lm_target_close(fixture->resolver, target);
	lm_target_close(fixture->resolver, other);
	victim_stop(pid);
	victim_stop(other_pid);
}

/* Files of this name that the worker, the one child that is left, has mapped. */
static size_t count_mapped(const char *name)
{
	char path[64], line[512], child[32] = "";
	size_t found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(child, sizeof(child), file));
	fclose(file);
	snprintf(path, sizeof(path), "/proc/%d/maps", atoi(child));
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		found += strstr(line, name) != NULL;
	fclose(file);
	return found;
}

/* As processes that come and go bring: each with a program of its own. */
static void programs_that_are_gone_do_not_stay_open_in_the_worker(void **state)
{
	enum { PROGRAMS = 300 };
	struct fixture *fixture = *state;
	struct lm_resolver_counters counters;

	assert_int_equal(run(fixture, "cc -O2 -o victim.whole victim.c"), 0);
	for (int i = 0; i < PROGRAMS; i++) {
		const struct lm_stack *stack;
		struct lm_target *target;
		struct lm_regs regs;
		pid_t pid;

		assert_int_equal(run(fixture, "cp victim.whole victim.new && mv victim.new victim"), 0);
		pid = start(fixture, "", &regs);
		target = open_target(fixture, pid);
		stack = unwind(fixture, target, &regs);
		check_chain(stack, plain_chain);
		lm_stack_unref(fixture->stacks, stack);
		lm_target_close(fixture->resolver, target);
		victim_stop(pid);
	}
	lm_resolver_counters(fixture->resolver, &counters);
	assert_int_equal(counters.worker_restarts, 0);
	assert_int_equal(counters.unwound, PROGRAMS);
	assert_int_equal(counters.unwind_failed, 0);
	assert_in_range(count_mapped("victim"), 1, PROGRAMS - 1);
}

/* The chain as elfutils' own unwinder sees it, by a stop of the process that leakmon does not need. */
static void eu_stack_sees_the_same_functions(void **state)
{
	struct fixture *fixture = *state;
	const struct lm_stack *stack;
	struct lm_target *target;
	char command[128], line[512];
	struct lm_regs regs;
	size_t at = 0;
	FILE *pipe;
	pid_t pid;

	if (system("eu-stack --version >/dev/null 2>&1"))
		skip();
	assert_int_equal(run(fixture, "cc -O2 -g -o victim victim.c"), 0);
	pid = start(fixture, "signal", &regs);
	target = open_target(fixture, pid);
	stack = unwind(fixture, target, &regs);
	snprintf(command, sizeof(command), "DEBUGINFOD_URLS= eu-stack -p %d 2>/dev/null", pid);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		unsigned number;
		char name[256] = "";

		if (sscanf(line, "#%u %*s %255s", &number, name) < 1)
			continue;
		assert_int_equal(number, at);
		assert_true(at < stack->frames_len);
		/* libc has several names for one address */
		if (strcmp(stack->frames[at]->module->name, "victim") == 0 && name[0] != '_')
			assert_string_equal(name_at(stack, at), name);
		at++;
	}
	pclose(pipe);
	assert_int_equal(at, stack->frames_len);
	lm_stack_unref(fixture->stacks, stack);
	lm_target_close(fixture->resolver, target);
	victim_stop(pid);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_build_is_unwound_from_its_wait_to_its_start),
		TEST(a_stripped_program_has_the_offsets_of_the_whole_one),
		TEST(a_stack_goes_through_signals_libraries_deleted_files_and_generated_code),
		TEST(inlined_functions_are_named_with_their_lines),
		TEST(a_library_that_was_cut_short_spoils_nothing_else),
		TEST(programs_that_are_gone_do_not_stay_open_in_the_worker),
		TEST(eu_stack_sees_the_same_functions),
	};

	if (argc > 0 && strcmp(argv[0], LM_RESOLVER_ARGV0) == 0)
		return lm_resolver_worker_main(3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
