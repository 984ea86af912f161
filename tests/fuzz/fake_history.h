/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A history that always answers the same: what the endpoints are given, and questions that they asked. */
#ifndef LM_FUZZ_FAKE_HISTORY_H
#define LM_FUZZ_FAKE_HISTORY_H

#include <errno.h>

#include "tests/unit/render_snapshots.h"
#include "user/history.h"

struct lm_history {
	int error; /* of every question */
	int64_t from_ns, to_ns;
};

static const struct lm_change history_changes[] = {
	{.kind = LM_CHANGE_LEVEL,
		.at_ns = AGO(600),
		.id = "9f2c41d07be1a3c5",
		.level = LM_LEVEL_LIKELY,
		.before = LM_LEVEL_SUSPECT,
		.type = LM_FINDING_LEAK,
		.pid = 1234,
		.site = LEAK_SITE,
		.since_ns = AGO(3120),
		.comm = "leaky",
		.summary = "500 threads of leaky"},
	{.kind = LM_CHANGE_FOUND,
		.at_ns = AGO(900),
		.id = "00c0ffee00c0ffee",
		.level = LM_LEVEL_CONFIRMED,
		.type = LM_FINDING_ORPHANED_LOCK,
		.pid = 4294967295u,
		.comm = ESC_NAME,
		.summary = RTL_NAME "\n\ndata: forged" BAD_UTF8},
};

static const struct lm_history_point history_points[] = {
	{AGO(7200), 60000000000, 1234, "leaky", 100, 100, 0, AGO(7300)},
	{AGO(10), 10000000000, 4294967295u, ESC_NAME, 500, -1, 0, 0},
};

static const struct lm_history_go_point history_go_points[] = {
	{AGO(10), 10000000000, 4711, "api", 1240, 37, 13002342},
	{AGO(10), 10000000000, 4713, RTL_NAME, 12, -1, -1},
};

static int note_question(struct lm_history *history, int64_t from_ns, int64_t to_ns)
{
	history->from_ns = from_ns;
	history->to_ns = to_ns;
	return history->error;
}

static bool is_within(int64_t at_ns, int64_t from_ns, int64_t to_ns)
{
	return at_ns >= from_ns && (!to_ns || at_ns <= to_ns);
}

int lm_history_points(struct lm_history *history, uint64_t site, int64_t from_ns, int64_t to_ns,
	lm_history_point_handler *handler, void *context)
{
	int error = note_question(history, from_ns, to_ns);

	if (error)
		return error;
	if (site != LEAK_SITE)
		return -ENOENT;
	for (size_t i = 0; i < LEN(history_points); i++) {
		if (is_within(history_points[i].at_ns, from_ns, to_ns))
			handler(&history_points[i], context);
	}
	return 0;
}

int lm_history_go_points(struct lm_history *history, uint32_t pid, int64_t from_ns, int64_t to_ns,
	lm_history_go_point_handler *handler, void *context)
{
	int error = note_question(history, from_ns, to_ns);

	for (size_t i = 0; i < LEN(history_go_points) && !error; i++) {
		if (is_within(history_go_points[i].at_ns, from_ns, to_ns) && (!pid || history_go_points[i].pid == pid))
			handler(&history_go_points[i], context);
	}
	return error;
}

int lm_history_changes(struct lm_history *history, uint64_t site, int64_t from_ns, int64_t to_ns, size_t len,
	lm_change_handler *handler, void *context)
{
	int error = note_question(history, from_ns, to_ns);

	for (size_t i = 0; i < LEN(history_changes) && len > 0 && !error; i++) {
		if (is_within(history_changes[i].at_ns, from_ns, to_ns) && (!site || history_changes[i].site == site)) {
			handler(&history_changes[i], context);
			len--;
		}
	}
	return error;
}

int lm_history_site(struct lm_history *history, uint64_t site, lm_history_site_handler *handler, void *context)
{
	const struct lm_history_site known = {.site = site,
		.kind = LM_SITE_THREAD,
		.first_ns = AGO(90000),
		.last_ns = NOW_NS,
		.wait_class = "futex_cond",
		.function = "wait_for_result",
		.stack_json = "[{\"function\":\"wait_for_result\",\"module\":\"leaky\"}]",
		.created_by_json = "this is no JSON"};

	if (history->error)
		return history->error;
	if (site != LEAK_SITE)
		return -ENOENT;
	handler(&known, context);
	return 0;
}

const char *lm_history_trouble(const struct lm_history *history)
{
	return history->error ? "history.db: Input/output error \033[2J" : NULL;
}

#endif
