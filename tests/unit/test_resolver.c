// SPDX-License-Identifier: GPL-2.0-or-later
/* The resolver with a real worker process, on real processes that these tests start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dwarf.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/proc.h"
#include "user/resolver/client.h"
#include "user/resolver/expression.h"
#include "victim.h"

#define DEADLINE_S 10

struct fixture {
	struct lm_stacks *stacks;
	struct lm_resolver *resolver;
	pid_t victim;
	uint64_t start_ns;
	struct lm_regs regs;
};

/* Deep enough to be told from anything else; the barriers keep calls from becoming jumps. */
static __attribute__((noinline)) void victim_inner(void)
{
	pause();
	__asm__ volatile("");
}

static __attribute__((noinline)) void victim_outer(void)
{
	victim_inner();
	__asm__ volatile("");
}

static void start_victim(struct fixture *fixture)
{
	fixture->victim = fork();
	if (fixture->victim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		victim_outer();
		_exit(0);
	}
	victim_await_pause(fixture->victim);
	victim_read_registers(fixture->victim, &fixture->regs);
	assert_int_equal(lm_proc_start("/proc", fixture->victim, &fixture->start_ns), 0);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct lm_resolver_config config = {.proc_root = "/proc", .debuginfo = true};

	assert_non_null(fixture);
	assert_int_equal(lm_stacks_new(&fixture->stacks), 0);
	config.stacks = fixture->stacks;
	assert_int_equal(lm_resolver_start(&config, &fixture->resolver), 0);
	start_victim(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	victim_stop(fixture->victim);
	lm_resolver_free(fixture->resolver);
	lm_stacks_free(fixture->stacks);
	free(fixture);
	return 0;
}

static struct lm_target *open_victim(struct fixture *fixture)
{
	struct lm_target *target;

	assert_int_equal(lm_target_open(fixture->resolver, fixture->victim, fixture->start_ns, &target), 0);
	return target;
}

/* The worker is this process's child that is not the victim. */
static pid_t worker_of(const struct fixture *fixture)
{
	char path[64], text[256] = "";
	pid_t found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	assert_non_null(file);
	if (fgets(text, sizeof(text), file)) {
		for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
			if (atoi(word) != fixture->victim)
				found = atoi(word);
		}
	}
	fclose(file);
	assert_int_not_equal(found, 0);
	return found;
}

static size_t index_of(const struct lm_stack *stack, const char *function)
{
	for (size_t i = 0; i < stack->frames_len; i++) {
		const struct lm_frame *frame = stack->frames[i];

		if (frame->functions_len && frame->functions[frame->functions_len - 1].name &&
			strcmp(frame->functions[frame->functions_len - 1].name, function) == 0)
			return i;
	}
	return SIZE_MAX;
}

static void a_blocked_process_is_unwound_to_its_start(void **state)
{
	struct fixture *fixture = *state;
	struct lm_target *target = open_victim(fixture);
	struct lm_unwind_request request = {.regs = fixture->regs};
	size_t inner;

	assert_int_equal(lm_target_unwind(fixture->resolver, target, &request, 1), 0);
	assert_non_null(request.stack);
	assert_int_equal(request.stack->end, LM_STACK_COMPLETE);
	inner = index_of(request.stack, "victim_inner");
	assert_true(inner >= 1 && inner < 4);
	assert_int_equal(index_of(request.stack, "victim_outer"), inner + 1);
	assert_true(index_of(request.stack, "main") < SIZE_MAX);
	assert_non_null(request.stack->frames[inner]->functions[0].file);
	assert_non_null(lm_target_build_id(target));
	lm_stack_unref(fixture->stacks, request.stack);
	lm_target_close(fixture->resolver, target);
}

static void registers_that_lead_nowhere_have_a_reason_or_a_broken_stack(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		uint64_t ip, sp; /* 0: as it is */
	} cases[] = {{0, 8}, {0, UINT64_MAX - 4}, {0, 0x7ffffffff000}, {1, 0}, {UINT64_MAX, UINT64_MAX}, {0, 0x1000}};
	struct lm_target *target = open_victim(fixture);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lm_unwind_request request = {.regs = fixture->regs};

		if (cases[i].ip)
			request.regs.ip = cases[i].ip;
		if (cases[i].sp)
			request.regs.sp = cases[i].sp;
		request.regs.bp = 0; /* with it, code that keeps frame pointers finds its way without sp */
		assert_int_equal(lm_target_unwind(fixture->resolver, target, &request, 1), 0);
		assert_true(!request.stack || request.stack->end == LM_STACK_BROKEN);
		assert_true(request.stack || request.why);
		lm_stack_unref(fixture->stacks, request.stack);
	}
	lm_target_close(fixture->resolver, target);
}

static pid_t doomed;

static void kill_the_doomed(int number)
{
	(void)number;
	kill(doomed, SIGKILL);
}

static void a_worker_that_dies_is_started_again_and_costs_one_target(void **state)
{
	struct fixture *fixture = *state;
	struct lm_target *unlucky = open_victim(fixture), *next = open_victim(fixture);
	const struct itimerval soon = {.it_value.tv_usec = 100000};
	struct lm_unwind_request request = {.regs = fixture->regs};
	struct lm_resolver_counters counters;

	/* it dies while it is asked, and the signal interrupts the one who asks */
	doomed = worker_of(fixture);
	kill(doomed, SIGSTOP);
	signal(SIGALRM, kill_the_doomed);
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(lm_target_unwind(fixture->resolver, unlucky, &request, 1), -ECONNRESET);
	signal(SIGALRM, SIG_DFL);
	assert_null(request.stack);
	assert_non_null(request.why);
	assert_int_equal(lm_target_unwind(fixture->resolver, unlucky, &request, 1), -EUCLEAN);
	assert_int_equal(lm_target_unwind(fixture->resolver, next, &request, 1), 0);
	assert_non_null(request.stack);
	assert_int_not_equal(worker_of(fixture), doomed);
	lm_resolver_counters(fixture->resolver, &counters);
	assert_int_equal(counters.worker_restarts, 1);
	assert_int_equal(counters.unwind_failed, 2);
	lm_stack_unref(fixture->stacks, request.stack);
	lm_target_close(fixture->resolver, unlucky);
	lm_target_close(fixture->resolver, next);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

static void a_worker_that_was_killed_while_idle_costs_no_target(void **state)
{
	struct fixture *fixture = *state;
	struct lm_target *target = open_victim(fixture);
	struct lm_resolver_counters counters;
	time_t deadline = time(NULL) + DEADLINE_S;

	for (int round = 1; round <= 3; round++) {
		struct lm_unwind_request request = {.regs = fixture->regs};
		pid_t worker;

		assert_int_equal(lm_target_unwind(fixture->resolver, target, &request, 1), 0);
		assert_int_equal(request.stack->end, LM_STACK_COMPLETE);
		lm_stack_unref(fixture->stacks, request.stack);
		worker = worker_of(fixture);
		kill(worker, SIGKILL);
		while (!has_ended(worker))
			assert_true(time(NULL) < deadline);
		lm_resolver_counters(fixture->resolver, &counters);
		assert_int_equal(counters.worker_restarts, round - 1);
	}
	assert_int_equal(lm_target_unwind(fixture->resolver, target, NULL, 0), 0);
	lm_resolver_counters(fixture->resolver, &counters);
	assert_int_equal(counters.found_dead, 3);
	lm_target_close(fixture->resolver, target);
}

static void a_worker_that_hangs_is_ended(void **state)
{
	struct fixture *fixture = *state;
	struct lm_target *target = open_victim(fixture);
	struct lm_unwind_request request = {.regs = fixture->regs};

	kill(worker_of(fixture), SIGSTOP);
	assert_int_equal(lm_target_unwind(fixture->resolver, target, &request, 1), -ETIMEDOUT);
	lm_target_close(fixture->resolver, target);
}

static void a_process_is_known_by_its_start_not_by_its_pid(void **state)
{
	struct fixture *fixture = *state;
	struct lm_target *target = NULL;

	assert_int_equal(
		lm_target_open(fixture->resolver, fixture->victim, fixture->start_ns + 60000000000ull, &target),
		-ESRCH);
	assert_int_equal(lm_target_open(fixture->resolver, 4194304, 0, &target), -ESRCH);
	assert_null(target);
}

static void a_target_that_ended_has_no_stacks(void **state)
{
	struct fixture *fixture = *state;
	struct lm_target *target = open_victim(fixture);
	struct lm_unwind_request request = {.regs = fixture->regs};

	victim_stop(fixture->victim);
	assert_int_equal(lm_target_unwind(fixture->resolver, target, &request, 1), -ESRCH);
	assert_null(request.stack);
	lm_target_close(fixture->resolver, target);
}

static void check_status(pid_t pid, const char *line)
{
	char path[64], text[8192];
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	if (!strstr(text, line))
		print_error("no \"%s\" in\n%s", line, text);
	assert_non_null(strstr(text, line));
}

static void the_worker_has_no_privileges(void **state)
{
	struct fixture *fixture = *state;
	struct lm_target *target = open_victim(fixture);
	struct lm_unwind_request request = {.regs = fixture->regs};
	pid_t worker = worker_of(fixture);

	if (geteuid() != 0)
		skip();
	/* once it answers it has given them up */
	assert_int_equal(lm_target_unwind(fixture->resolver, target, &request, 1), 0);
	check_status(worker, "Uid:\t65534\t65534\t65534\t65534");
	check_status(worker, "CapPrm:\t0000000000000000");
	check_status(worker, "CapEff:\t0000000000000000");
	check_status(worker, "NoNewPrivs:\t1");
#ifndef __SANITIZE_ADDRESS__
	check_status(worker, "Seccomp:\t2");
#endif
	lm_stack_unref(fixture->stacks, request.stack);
	lm_target_close(fixture->resolver, target);
}

static bool evaluate(const Dwarf_Op *ops, size_t len, uint64_t *result)
{
	static struct lm_remote remote;
	const struct lm_register_set registers = {.value = {[7] = 1000}, .known = 1u << 7};
	const struct lm_expression_input input = {
		.registers = &registers, .remote = &remote, .has_cfa = true, .cfa = 5000};
	bool is_value;

	lm_remote_reset(&remote, -1);
	return lm_expression_evaluate(&input, ops, len, result, &is_value);
}

static void expressions_are_evaluated(void **state)
{
	/* the CFA of a PLT entry: rsp + 8 + (((rip & 15) >= 11) << 3), with 12 for rip */
	const Dwarf_Op plt[] = {{.atom = DW_OP_breg7, .number = 8}, {.atom = DW_OP_lit12}, {.atom = DW_OP_lit15},
		{.atom = DW_OP_and}, {.atom = DW_OP_lit11}, {.atom = DW_OP_ge}, {.atom = DW_OP_lit3},
		{.atom = DW_OP_shl}, {.atom = DW_OP_plus}};
	const Dwarf_Op cfa[] = {{.atom = DW_OP_call_frame_cfa}, {.atom = DW_OP_plus_uconst, .number = (Dwarf_Word)-16}};
	uint64_t result;

	(void)state;
	assert_true(evaluate(plt, sizeof(plt) / sizeof(plt[0]), &result));
	assert_int_equal(result, 1016);
	assert_true(evaluate(cfa, 2, &result));
	assert_int_equal(result, 4984);
}

static void bad_expressions_fail_and_end(void **state)
{
	const Dwarf_Op empty_stack[] = {{.atom = DW_OP_plus}};
	const Dwarf_Op unknown_register[] = {{.atom = DW_OP_breg3}};
	const Dwarf_Op unreadable[] = {{.atom = DW_OP_lit0}, {.atom = DW_OP_deref}};
	const Dwarf_Op endless[] = {
		{.atom = DW_OP_lit1, .offset = 0}, {.atom = DW_OP_skip, .number = (Dwarf_Word)-4, .offset = 1}};
	const Dwarf_Op unknown[] = {{.atom = 0xff}};
	uint64_t result;

	(void)state;
	assert_false(evaluate(empty_stack, 1, &result));
	assert_false(evaluate(unknown_register, 1, &result));
	assert_false(evaluate(unreadable, 2, &result));
	assert_false(evaluate(endless, 2, &result));
	assert_false(evaluate(unknown, 1, &result));
	assert_false(evaluate(NULL, 0, &result));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_blocked_process_is_unwound_to_its_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			registers_that_lead_nowhere_have_a_reason_or_a_broken_stack, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_worker_that_dies_is_started_again_and_costs_one_target, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_worker_that_was_killed_while_idle_costs_no_target, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_worker_that_hangs_is_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_is_known_by_its_start_not_by_its_pid, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_target_that_ended_has_no_stacks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_worker_has_no_privileges, set_up, tear_down),
		cmocka_unit_test(expressions_are_evaluated),
		cmocka_unit_test(bad_expressions_fail_and_end),
	};

	if (argc > 0 && strcmp(argv[0], LM_RESOLVER_ARGV0) == 0)
		return lm_resolver_worker_main(3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
