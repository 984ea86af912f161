// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker that was taken over by what it reads, and tells of goroutines as it likes. This program is both sides; how
 * many it says that there are, and how it tells them, stands in what it is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "user/proc.h"
#include "user/resolver/client.h"
#include "user/resolver/protocol.h"

#define SOCKET 3

enum manner { WHOLE, ENDLESS, ONE_BY_ONE, TOO_LONG };

/* The budget of a look says what to do. */
static uint64_t order(uint64_t announced, enum manner manner)
{
	return announced << 2 | manner;
}

struct told {
	uint64_t left;
	enum manner manner;
};

static void answer_open(void)
{
	static const struct lm_go_open_reply reply = {.status = LM_GO_READY};

	lm_message_send(SOCKET, LM_MESSAGE_GO_OPEN, &reply, sizeof(reply), -1);
}

static void answer_look(const struct lm_go_look_request *request, struct told *told)
{
	struct lm_go_look_reply reply = {.status = LM_GO_READY, .records = request->budget_ns >> 2};

	if (reply.records == UINT64_MAX >> 2)
		reply.records = UINT64_MAX;
	*told = (struct told){.left = reply.records, .manner = request->budget_ns & 3};
	lm_message_send(SOCKET, LM_MESSAGE_GO_LOOK, &reply, sizeof(reply), -1);
}

static void answer_changes(struct told *told)
{
	static struct {
		struct lm_reply_head head;
		struct lm_go_record records[LM_TARGET_GO_CHANGES];
	} reply;
	uint64_t len = told->left < LM_TARGET_GO_CHANGES ? told->left : LM_TARGET_GO_CHANGES;

	if (told->manner == ENDLESS)
		len = LM_TARGET_GO_CHANGES;
	else if (told->manner == ONE_BY_ONE)
		len = 1;
	told->left -= len;
	reply.head.len = told->manner == TOO_LONG ? UINT32_MAX : len;
	lm_message_send(SOCKET, LM_MESSAGE_GO_CHANGES, &reply, sizeof(reply.head) + len * sizeof(reply.records[0]), -1);
}

static int worker(void)
{
	static _Alignas(16) char buffer[LM_MESSAGE_MAX];
	struct told told = {0};
	uint32_t type;
	int fd;

	while (lm_message_receive(SOCKET, buffer, &type, &fd) >= 0) {
		static const struct lm_module_reply module;

		if (fd >= 0)
			close(fd);
		if (type == LM_MESSAGE_MODULE)
			lm_message_send(SOCKET, type, &module, sizeof(module), -1);
		else if (type == LM_MESSAGE_GO_OPEN)
			answer_open();
		else if (type == LM_MESSAGE_GO_LOOK)
			answer_look((const struct lm_go_look_request *)buffer, &told);
		else if (type == LM_MESSAGE_GO_CHANGES)
			answer_changes(&told);
	}
	return 0;
}

struct fixture {
	struct lm_stacks *stacks;
	struct lm_resolver *resolver;
	struct lm_target *target;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct lm_resolver_config config = {.proc_root = "/proc"};
	uint64_t start_ns;

	assert_int_equal(lm_stacks_new(&fixture->stacks), 0);
	config.stacks = fixture->stacks;
	assert_int_equal(lm_resolver_start(&config, &fixture->resolver), 0);
	assert_int_equal(lm_proc_start("/proc", getpid(), &start_ns), 0);
	assert_int_equal(lm_target_open(fixture->resolver, getpid(), start_ns, &fixture->target), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	lm_target_close(fixture->resolver, fixture->target);
	lm_resolver_free(fixture->resolver);
	lm_stacks_free(fixture->stacks);
	free(fixture);
	return 0;
}

/* A look, and all that is told of it: how many records; *error is what ended it. */
static uint64_t take(struct fixture *fixture, uint64_t budget, int *error)
{
	static struct lm_go_record records[LM_TARGET_GO_CHANGES];
	const struct lm_go_summary *summary;
	const char *why;
	uint64_t sum = 0;
	bool anew;

	assert_int_equal(lm_target_go_look(fixture->resolver, fixture->target, budget, &summary, &anew, &why), 0);
	while ((*error = lm_target_go_changes(fixture->resolver, fixture->target, records)) > 0) {
		sum += *error;
		assert_in_range(sum, 1, LM_TARGET_GO_RECORDS);
	}
	return sum;
}

/* The worker is ended, and not asked about this process again. */
static void assert_given_up(struct fixture *fixture, int error)
{
	struct lm_resolver_counters counters;
	const struct lm_go_summary *summary;
	const char *why;
	bool anew;

	assert_int_equal(error, -ECONNRESET);
	lm_resolver_counters(fixture->resolver, &counters);
	assert_int_equal(counters.worker_restarts, 1);
	assert_int_equal(lm_target_go_look(fixture->resolver, fixture->target, 1, &summary, &anew, &why), -EUCLEAN);
	assert_string_equal(why, "the resolver failed on them");
}

static void all_that_was_announced_is_taken(void **state)
{
	static const uint64_t numbers[] = {0, 1, LM_TARGET_GO_CHANGES, LM_TARGET_GO_CHANGES + 1, 100000};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int error;

		assert_int_equal(take(*state, order(numbers[i], WHOLE), &error), numbers[i]);
		assert_int_equal(error, 0);
	}
}

static void more_than_was_announced_is_not_listened_to(void **state)
{
	int error;
	uint64_t sum = take(*state, order(3 * LM_TARGET_GO_CHANGES + 5, ENDLESS), &error);

	assert_int_equal(sum, 3 * LM_TARGET_GO_CHANGES);
	assert_given_up(*state, error);
}

static void no_more_are_taken_than_there_may_be(void **state)
{
	int error;
	uint64_t sum = take(*state, order(UINT64_MAX, ENDLESS), &error);

	assert_in_range(sum, LM_TARGET_GO_RECORDS - LM_TARGET_GO_CHANGES, LM_TARGET_GO_RECORDS);
	assert_given_up(*state, error);
}

static void records_that_come_one_by_one_are_not_waited_for(void **state)
{
	int error;

	assert_int_equal(take(*state, order(LM_TARGET_GO_RECORDS, ONE_BY_ONE), &error), 0);
	assert_given_up(*state, error);
}

static void a_length_that_the_message_has_not_is_refused(void **state)
{
	int error;

	assert_int_equal(take(*state, order(LM_TARGET_GO_RECORDS, TOO_LONG), &error), 0);
	assert_given_up(*state, error);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_that_was_announced_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_than_was_announced_is_not_listened_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_more_are_taken_than_there_may_be, set_up, tear_down),
		cmocka_unit_test_setup_teardown(records_that_come_one_by_one_are_not_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_length_that_the_message_has_not_is_refused, set_up, tear_down),
	};

	if (argc > 0 && strcmp(argv[0], LM_RESOLVER_ARGV0) == 0)
		return worker();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
