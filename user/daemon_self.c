// SPDX-License-Identifier: GPL-2.0-or-later
/* What the daemon costs, and how it keeps within what it may. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "user/daemon_state.h"
#include "user/log.h"

#define NS_PER_S 1e9
#define HISTORY_SMALL_BYTES (16ull << 20)

static int64_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int64_t count = -1; /* not the one that is open for counting */

	if (!directory)
		return -1;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static void measure_memory(struct lm_metrics_self *self)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long page_bytes = sysconf(_SC_PAGESIZE), size, resident;

	self->virtual_bytes = self->rss_bytes = -1;
	if (!file)
		return;
	if (fscanf(file, "%ld %ld", &size, &resident) == 2) {
		self->virtual_bytes = (int64_t)size * page_bytes;
		self->rss_bytes = (int64_t)resident * page_bytes;
	}
	fclose(file);
}

void lm_daemon_measure_self(struct lm_metrics_self *self)
{
	struct rlimit limit;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	self->cpu_s =
		usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	measure_memory(self);
	self->open_fds = count_descriptors();
	self->max_fds =
		getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY ? -1 : (int64_t)limit.rlim_cur;
}

void lm_daemon_tell_given_up(const struct lm_daemon *daemon, struct lm_snapshot *snapshot)
{
	const struct lm_budget *budget = &daemon->budget;
	const char **texts = lm_arena_alloc(snapshot->arena, LM_DAEMON_GIVEN_UP * sizeof(*texts));
	size_t len = 0;

	if (!texts)
		return;
	if (budget->slower > 1)
		texts[len++] = lm_arena_format(snapshot->arena,
			"looks are %g s apart, %u times as far as usual, to keep within --cpu-limit",
			daemon->look_ns / NS_PER_S, budget->slower);
	if (budget->without_debuginfo)
		texts[len++] = "files and lines of separate debug information, to keep within --memory-limit";
	if (budget->without_history)
		texts[len++] = "most of the history, to keep within --memory-limit";
	if (!daemon->history)
		texts[len++] = lm_arena_format(snapshot->arena, "the history: %s", daemon->history_why);
	else if (lm_history_trouble(daemon->history))
		texts[len++] = lm_arena_format(
			snapshot->arena, "the history, for now: %s", lm_history_trouble(daemon->history));
	snapshot->self.given_up = texts;
	snapshot->self.given_up_len = len;
}

bool lm_daemon_keep_limits(struct lm_daemon *daemon, uint64_t now_ns)
{
	struct lm_budget *budget = &daemon->budget;

	switch (lm_budget_measure(budget, now_ns / NS_PER_S, daemon->last.self.cpu_s, daemon->last.self.rss_bytes)) {
	case LM_BUDGET_SAME:
		return false;
	case LM_BUDGET_SLOWER:
		lm_warning("leakmon uses more than --cpu-limit (%g %% of a CPU): looks are %u times as far apart now",
			daemon->config->cpu_limit_permille / 10.0, budget->slower);
		return true;
	case LM_BUDGET_FASTER:
		lm_notice("leakmon is well within --cpu-limit again: looks are %u times as far apart as usual now",
			budget->slower);
		return true;
	case LM_BUDGET_LESS_DEBUGINFO:
		lm_warning("leakmon uses more than --memory-limit: separate debug information is given up");
		lm_session_save_memory(daemon->session);
		return false;
	case LM_BUDGET_LESS_HISTORY:
		lm_warning("leakmon still uses more than --memory-limit: most of the history is given up");
		if (daemon->history)
			lm_history_set_max_bytes(daemon->history, HISTORY_SMALL_BYTES);
		return false;
	}
	return false;
}
