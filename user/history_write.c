// SPDX-License-Identifier: GPL-2.0-or-later
/* What a transaction writes: the counts of a report, the changes of findings, and what the monitor wants to remember.
 */
#include <errno.h>

#include "user/history_state.h"

static int may_put(const struct lm_history *history)
{
	return history->in_transaction ? 0 : history->undone ? history->undone : -EINVAL;
}

/* 1 from what is followed: there is no room for it. */
static int count_left_out(struct lm_history *history, int result)
{
	history->left_out += result == 1;
	return result < 0 ? result : 0;
}

static int put_sites(struct lm_history *history, const struct lm_snapshot *snapshot)
{
	int error = 0;

	for (size_t i = 0; i < snapshot->sites_len && !error; i++)
		error = count_left_out(
			history, lm_history_follow_site(history, &snapshot->sites[i], i < LM_HISTORY_SITES_MAX));
	return error;
}

static int put_go(struct lm_history *history, const struct lm_snapshot *snapshot)
{
	size_t programs = 0;
	int error = 0;

	for (size_t i = 0; i < snapshot->processes_len && !error; i++) {
		if (!snapshot->processes[i].go)
			continue;
		if (programs++ < LM_HISTORY_GO_MAX)
			error = count_left_out(history, lm_history_follow_go(history, &snapshot->processes[i]));
		else
			history->left_out++;
	}
	return error;
}

int lm_history_put_snapshot(struct lm_history *history, const struct lm_snapshot *snapshot)
{
	int error = may_put(history);

	if (error)
		return error;
	if (snapshot->interval_s > 0 && snapshot->interval_s < 86400)
		history->interval_ns = (int64_t)(snapshot->interval_s * 1e9);
	error = put_sites(history, snapshot);
	error = error ? error : put_go(history, snapshot);
	error = error ? error : lm_history_follow_gone(history);
	return error ? lm_history_undo(history, error) : 0;
}

static int write_change(struct lm_history *history, enum lm_history_sql sql, const struct lm_change *change)
{
	return lm_history_run(history, sql, "tittttiiitt", lm_change_name(change->kind), change->at_ns, change->id,
		lm_level_name(change->level), lm_level_name(change->before), lm_finding_type_name(change->type),
		(int64_t)change->pid, (int64_t)change->site, change->since_ns, change->comm, change->summary);
}

static bool is_over(const struct lm_change *change)
{
	return change->kind == LM_CHANGE_WITHDRAWN || change->kind == LM_CHANGE_ENDED;
}

int lm_history_put_change(struct lm_history *history, const struct lm_change *change)
{
	int error = may_put(history);

	if (error)
		return error;
	error = write_change(history, LM_SQL_ADD_CHANGE, change);
	if (!error && is_over(change))
		error = lm_history_run(history, LM_SQL_DROP_FINDING, "t", change->id);
	else if (!error)
		error = write_change(history, LM_SQL_SET_FINDING, change);
	return error ? lm_history_undo(history, error) : 0;
}

int lm_history_put_memory(
	struct lm_history *history, const struct lm_history_memory_key *key, const void *bytes, size_t len)
{
	int error = may_put(history);

	if (error)
		return error;
	if (len > LM_HISTORY_BLOB_MAX_BYTES)
		return -E2BIG;
	if (!len)
		error = lm_history_run(history, LM_SQL_FORGET_MEMORY, "iiii", (int64_t)key->site, (int64_t)key->kind,
			(int64_t)key->pid, (int64_t)key->process_start_ns);
	else if (!history->has_room)
		error = count_left_out(history, 1);
	else
		error = lm_history_run(history, LM_SQL_PUT_MEMORY, "iiiiib", (int64_t)key->site, (int64_t)key->kind,
			(int64_t)key->pid, (int64_t)key->process_start_ns, history->at_ns, bytes, len);
	return error ? lm_history_undo(history, error) : 0;
}
