// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes that cannot be read cost what they told, nothing else. */
#include "user/session_memory.h"

#include <errno.h>
#include <stdlib.h>

#include "user/log.h"
#include "user/monitor_go.h"
#include "user/recall.h"

static bool has_memory(const struct lm_group *group)
{
	return !group->kernel_thread && !group->go_runtime;
}

static struct lm_history_memory_key key_of(const struct lm_group *group, bool in_process)
{
	struct lm_history_memory_key key = {.site = group->key.site, .kind = group->kind};

	if (in_process) {
		key.pid = group->process->key.tgid;
		key.process_start_ns = group->process->key.start_ns;
	}
	return key;
}

/* Site 0 is none: it stands for the process. */
static struct lm_history_memory_key process_key(const struct lm_process *process)
{
	return (struct lm_history_memory_key){.pid = process->key.tgid, .process_start_ns = process->key.start_ns};
}

static uint64_t load_step_ns(const struct lm_monitor *monitor)
{
	return monitor->config.horizon_ns / LM_VERDICT_STEPS_PER_HORIZON;
}

static void recall_load(const struct lm_session_memory *memory, struct lm_process *process)
{
	const struct lm_monitor *monitor = memory->monitor;
	struct lm_history_memory_key key = process_key(process);
	void *bytes;
	size_t len;

	if (process->load_recalled || lm_history_get_memory(memory->history, &key, &bytes, &len))
		return;
	process->load_recalled = true;
	lm_load_note(&process->load, monitor->now_ns, load_step_ns(monitor), process->cpu_ns);
	if (lm_recall_restore_load(&process->load, load_step_ns(monitor), bytes, len))
		lm_info("what was kept of the load of process %u cannot be used", key.pid);
	free(bytes);
}

static void recall_group(struct lm_group *group, void *context)
{
	const struct lm_session_memory *memory = context;
	struct lm_history *history = memory->history;
	struct lm_history_memory_key key = key_of(group, false);
	void *bytes;
	size_t len;

	if (!has_memory(group))
		return;
	if (!lm_history_get_memory(history, &key, &bytes, &len)) {
		if (lm_recall_restore_stays(group, bytes, len))
			lm_info("what was kept of the stays at site %016jx cannot be used", (uintmax_t)key.site);
		free(bytes);
	}
	key = key_of(group, true);
	if (!lm_history_get_memory(history, &key, &bytes, &len)) {
		if (lm_recall_restore(group, bytes, len, memory->monitor->now_ns))
			lm_info("what was kept of site %016jx in process %u cannot be used", (uintmax_t)key.site,
				key.pid);
		free(bytes);
		recall_load(memory, group->process);
	}
}

void lm_session_recall(struct lm_session_memory *memory)
{
	memory->monitor->groups.made = memory->history ? recall_group : NULL;
	memory->monitor->groups.made_context = memory;
}

static struct lm_recall_id identify_thread(const struct lm_resident *resident)
{
	const struct lm_thread *thread = lm_thread_of(resident);

	return (struct lm_recall_id){.id = thread->tid, .start_ns = thread->start_ns, .ticks = thread->ticks};
}

static struct lm_recall_id identify_goroutine(const struct lm_resident *resident)
{
	return (struct lm_recall_id){.id = lm_goroutine_of(resident)->goid};
}

static int remember_group(struct lm_monitor *monitor, struct lm_group *group, struct lm_history *history)
{
	struct lm_history_memory_key key = key_of(group, true);
	void *bytes;
	size_t len;
	int error;

	if (!lm_recall_is_due(group, monitor->now_ns))
		return 0;
	error = lm_recall_save(group, group->kind == LM_SITE_GOROUTINE ? identify_goroutine : identify_thread,
		monitor->now_ns, &bytes, &len);
	if (error)
		return error;
	error = lm_history_put_memory(history, &key, bytes, len);
	free(bytes);
	return error;
}

static int remember_stays(struct lm_group *group, struct lm_history *history)
{
	struct lm_history_memory_key key = key_of(group, false);
	void *before = NULL, *bytes;
	size_t before_len = 0, len;
	int error = lm_recall_has_stays(group) ? lm_history_get_memory(history, &key, &before, &before_len) : -ENODATA;

	if (error == -ENODATA)
		return 0;
	if (!error || error == -ENOENT)
		error = lm_recall_add_stays(group, before, before_len, &bytes, &len);
	free(before);
	if (error)
		return error;
	error = lm_history_put_memory(history, &key, bytes, len);
	free(bytes);
	return error;
}

/* Only of a process of which something is suspected can anything be confirmed. */
static int remember_load(const struct lm_monitor *monitor, struct lm_process *process, struct lm_history *history)
{
	struct lm_history_memory_key key = process_key(process);
	void *bytes;
	size_t len;
	int error;

	if (process->load_saved_steps == process->load.steps_len)
		return 0;
	error = lm_recall_save_load(&process->load, load_step_ns(monitor), &bytes, &len);
	if (error)
		return error;
	error = lm_history_put_memory(history, &key, bytes, len);
	free(bytes);
	if (!error)
		process->load_saved_steps = process->load.steps_len;
	return error;
}

int lm_session_remember(struct lm_monitor *monitor, struct lm_history *history)
{
	struct lm_group *group;
	int error = 0;

	for (group = monitor->groups.table; group && !error; group = group->hh.next) {
		if (!has_memory(group))
			continue;
		error = remember_group(monitor, group, history);
		if (!error)
			error = remember_stays(group, history);
		if (!error && group->flag.level != LM_LEVEL_NONE)
			error = remember_load(monitor, group->process, history);
	}
	return error;
}

void lm_session_remembered(struct lm_monitor *monitor, bool is_kept)
{
	struct lm_process *process;
	struct lm_group *group;

	for (group = monitor->groups.table; group; group = group->hh.next) {
		if (is_kept && has_memory(group))
			lm_recall_stays_are_kept(group);
		else if (!is_kept)
			group->saved.once = false;
	}
	for (process = monitor->processes; process && !is_kept; process = process->hh.next)
		process->load_saved_steps = 0;
}
