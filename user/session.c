// SPDX-License-Identifier: GPL-2.0-or-later
/* The order of a look (monitor.h says why), what is asked of /proc and the resolver for it, and the losses of all. */
#include "user/session.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "user/capabilities.h"
#include "user/ksyms.h"
#include "user/limits.h"
#include "user/log.h"
#include "user/monitor.h"
#include "user/privileges.h"
#include "user/probe.h"
#include "user/proc.h"
#include "user/report.h"
#include "user/resolver/client.h"
#include "user/session_golang.h"
#include "user/session_locks.h"
#include "user/session_memory.h"
#include "user/session_sockets.h"
#include "user/stacks.h"

#define NS_PER_S 1000000000ull
#define PROC_ROOT "/proc"
#define CGROUP_ROOT "/sys/fs/cgroup"
#define UNWIND_BATCH 512 /* bounds the memory of a look; a batch of one process takes about 5 ms */
#define LOCKS_EVERY_NS NS_PER_S
/* After the first failure of the resolver on a process, and then twice as long each time, so often: on a busy machine
 * it may be the time that failed. For short horizons a 180th of those. */
#define RETRY_MIN_NS NS_PER_S
#define RETRY_MAX_NS (10 * NS_PER_S)
#define RETRY_PER_HORIZON 180
#define RETRIES 6
#define CONFIRM_ROUNDS 2 /* looks that confirm stacks, at most: what still moves waits for the next look */
#define EXIT_FAILED 2
#define EXIT_REFUSED 77

struct lm_session {
	const struct lm_config *config;
	pid_t family; /* watched with all that it starts, 0 = none */
	struct lm_probe *probe;
	struct lm_monitor *monitor;
	struct lm_stacks *stacks;
	struct lm_resolver *resolver;
	struct lm_ksyms *ksyms;
	int *pidfds; /* of the processes named with -p */
	size_t pidfds_len;
	bool *unmet; /* those that the first whole look has not met although they were there; NULL before it */
	uint64_t looks_truncated, skipped_processes;
	uint64_t locks_read_ns;
	double scan_s;
	struct lm_session_memory memory;
	bool look_complete; /* of the look under way: END has come */
	struct lm_thread *wanted[UNWIND_BATCH];
	struct lm_unwind_request requests[UNWIND_BATCH];
	char host[65];
};

static uint64_t now_on(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static const char *kernel_symbol(const void *context, uint64_t address, uint64_t *offset)
{
	const struct lm_session *session = context;

	return session->ksyms ? lm_ksyms_find(session->ksyms, address, offset) : NULL;
}

static bool thread_exists(uint32_t tid)
{
	uint64_t start_ns;

	/* /proc/TID is there for every thread, though it lists processes alone */
	return lm_proc_start(PROC_ROOT, tid, &start_ns) == 0;
}

static bool go_details(
	void *context, struct lm_process *process, uint32_t index, uint64_t goid, struct lm_go_details *details)
{
	struct lm_session *session = context;

	return process->target && lm_target_go_details(session->resolver, process->target, index, goid, details);
}

static void close_target(struct lm_process *process, void *context)
{
	struct lm_session *session = context;

	lm_target_close(session->resolver, process->target);
	process->target = NULL;
}

/* Why a PID cannot be watched, for a person. */
static int explain_pid(pid_t pid, int error)
{
	uint64_t start_ns;

	if (lm_proc_start(PROC_ROOT, pid, &start_ns) == 0)
		lm_error(
			"-p %d: that is a thread, not a process: name its process (Tgid in /proc/%d/status)", pid, pid);
	else if (error == -ESRCH || error == -EINVAL || error == -ENOENT)
		lm_error("-p %d: there is no process with this PID; ps -e lists them", pid);
	else
		lm_error("-p %d: the process cannot be opened: %s", pid, strerror(-error));
	return EXIT_FAILED;
}

/* Of a process that was there when it was opened. */
static int explain_ended(pid_t pid)
{
	pid_t parent;

	if (lm_proc_parent(PROC_ROOT, pid, &parent))
		lm_error("-p %d: the process has just ended", pid);
	else
		lm_error("-p %d: the process has ended, and its parent (PID %d) has not waited for it", pid, parent);
	return EXIT_FAILED;
}

static bool has_ended(int pidfd)
{
	return poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 0) > 0;
}

static int watch_opened(struct lm_session *session, pid_t pid, int pidfd)
{
	uint64_t start_ns;
	bool is_kernel_thread;
	int error = lm_proc_start(PROC_ROOT, pid, &start_ns);

	if (!error)
		error = lm_proc_is_kernel_thread(PROC_ROOT, pid, &is_kernel_thread);
	/* what was read is of the process behind the pidfd if that has not ended by now */
	if (error == -ESRCH || has_ended(pidfd))
		return explain_ended(pid);
	if (!error && is_kernel_thread && !session->config->kernel_threads) {
		lm_error("-p %d: that is a kernel thread; -k adds those", pid);
		return EXIT_FAILED;
	}
	if (!error)
		error = lm_monitor_watch_only(session->monitor, pid, start_ns);
	if (error)
		lm_error("-p %d: %s", pid, strerror(-error));
	return error ? EXIT_FAILED : 0;
}

static int watch_process(struct lm_session *session, pid_t pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int code;

	if (pidfd < 0)
		return explain_pid(pid, -errno);
	code = watch_opened(session, pid, pidfd);
	if (code) {
		close(pidfd);
		return code;
	}
	session->pidfds[session->pidfds_len++] = pidfd;
	return 0;
}

static int watch_processes(struct lm_session *session)
{
	const struct lm_config *config = session->config;
	int error = 0;

	session->pidfds = calloc(config->pids_len + 1, sizeof(*session->pidfds));
	if (!session->pidfds) {
		lm_error("out of memory");
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < config->pids_len && !error; i++)
		error = watch_process(session, config->pids[i]);
	return error;
}

static int open_probe(struct lm_session *session)
{
	const struct lm_config *config = session->config;
	const struct lm_probe_config probe_config = {
		.pids = session->family ? &session->family : config->pids,
		.pids_len = session->family ? 1 : config->pids_len,
		.children = session->family != 0,
		.kernel_threads = config->kernel_threads,
		.futex_fentry = config->futex != LM_FUTEX_OFF,
		.futex_tracepoint = config->futex == LM_FUTEX_ON ||
				    (config->futex == LM_FUTEX_AUTO && (config->pids || session->family)),
	};
	static const char *const futex_names[] = {
		[LM_PROBE_FUTEX_NONE] = "not watched",
		[LM_PROBE_FUTEX_FENTRY] = "watched by fentry/fexit (only futex calls pay)",
		[LM_PROBE_FUTEX_TRACEPOINT] = "watched by tracepoints (every system call of the machine pays)",
	};
	struct lm_probe_error error;

	if (lm_probe_open(&probe_config, &session->probe, &error)) {
		lm_error("%s", error.text);
		return error.refused ? EXIT_REFUSED : EXIT_FAILED;
	}
	lm_info("futex calls: %s", futex_names[lm_probe_futex(session->probe)]);
	return 0;
}

/* Before the resolver is started: who may not change to another user may not end a process of that either. */
static void drop_privileges(const struct lm_session *session)
{
	int error = session->config->mode == LM_MODE_DAEMON ? lm_privileges_keep_few() : 0;

	if (error)
		lm_warning("privileges that are not needed could not be dropped: %s", strerror(-error));
}

static int open_resolver(struct lm_session *session)
{
	const struct lm_resolver_config config = {
		.stacks = session->stacks,
		.proc_root = PROC_ROOT,
		.target_deadline_ns = 2 * NS_PER_S,
		.debuginfo = true,
	};
	int error = lm_resolver_start(&config, &session->resolver);

	if (error)
		lm_error("the resolver process could not be started: %s", strerror(-error));
	return error ? EXIT_FAILED : 0;
}

static int open_monitor(struct lm_session *session)
{
	const struct lm_monitor_config config = {
		.min_blocked_ns = session->config->min_blocked_ns,
		.horizon_ns = session->config->horizon_ns,
		.members = session->config->members,
		.kernel_symbol = kernel_symbol,
		.kernel_symbol_context = session,
		.thread_exists = thread_exists,
		.go_details = go_details,
		.go_details_context = session,
	};
	int error = lm_stacks_new(&session->stacks);

	if (!error)
		error = lm_monitor_new(&config, session->stacks, &session->monitor);
	if (error) {
		lm_error("out of memory");
		return EXIT_FAILED;
	}
	lm_monitor_on_gone(session->monitor, close_target, session);
	return 0;
}

/* After the probe: who may not load it may not see the addresses either, and wants to hear of one thing only. */
static void open_ksyms(struct lm_session *session)
{
	int error = lm_ksyms_load(PROC_ROOT "/kallsyms", &session->ksyms);

	if (error)
		lm_warning("kernel functions have no names: /proc/kallsyms: %s", strerror(-error));
}

/* Once, before anything goes without: each line says what is lost. */
static void tell_missing_capabilities(void)
{
	for (size_t i = 0; i < LM_CAPABILITIES; i++) {
		if (!lm_capability_held(&lm_capabilities[i]))
			lm_warning("this process has no %s: %s", lm_capabilities[i].name, lm_capabilities[i].cost);
	}
}

int lm_session_open(const struct lm_config *config, pid_t family, struct lm_session **out)
{
	struct lm_session *session = calloc(1, sizeof(*session));
	int code;

	if (!session) {
		lm_error("out of memory");
		return EXIT_FAILED;
	}
	session->config = config;
	session->family = family;
	gethostname(session->host, sizeof(session->host) - 1);
	code = open_monitor(session);
	if (!code)
		code = watch_processes(session);
	if (!code)
		code = open_probe(session);
	if (!code)
		drop_privileges(session);
	if (!code)
		code = open_resolver(session);
	if (code) {
		lm_session_close(session);
		return code;
	}
	tell_missing_capabilities();
	open_ksyms(session);
	*out = session;
	return 0;
}

void lm_session_close(struct lm_session *session)
{
	if (!session)
		return;
	lm_probe_free(session->probe);
	lm_monitor_free(session->monitor);
	lm_resolver_free(session->resolver);
	lm_stacks_free(session->stacks);
	lm_ksyms_free(session->ksyms);
	for (size_t i = 0; i < session->pidfds_len; i++)
		close(session->pidfds[i]);
	free(session->pidfds);
	free(session->unmet);
	free(session);
}

static void take_record(const struct lm_record *record, void *context)
{
	struct lm_session *session = context;

	if (record->type == LM_RECORD_END)
		session->look_complete = true;
	lm_monitor_record(session->monitor, record);
}

int lm_session_fd(const struct lm_session *session)
{
	return lm_probe_fd(session->probe);
}

void lm_session_drain(struct lm_session *session)
{
	int error = lm_probe_drain(session->probe, take_record, session);

	if (error)
		lm_warning("events could not be read: %s", strerror(-error));
}

static int scan(struct lm_session *session)
{
	uint64_t began_ns = now_on(CLOCK_MONOTONIC);
	int error;

	lm_session_drain(session);
	session->look_complete = false;
	lm_monitor_begin_look(session->monitor, now_on(CLOCK_BOOTTIME));
	error = lm_probe_look(session->probe, take_record, session);
	lm_monitor_end_look(session->monitor, session->look_complete);
	if (session->monitor->forgot)
		lm_probe_forget(session->probe);
	session->monitor->forgot = false;
	session->scan_s = (now_on(CLOCK_MONOTONIC) - began_ns) / (double)NS_PER_S;
	if (error) {
		session->looks_truncated++;
		lm_warning("a look was cut short: %s; the next one repeats it", strerror(-error));
	}
	return error;
}

static const char *why_no_target(int error)
{
	switch (error) {
	case -ESRCH:
		return "the process ended";
	case -EPERM:
	case -EACCES:
		return "no permission to read its memory";
	case -ETIMEDOUT:
		return "the resolver overran its time on it";
	case -ECONNRESET:
	case -EUCLEAN:
		return "the resolver failed on it";
	case -ENOMEM:
		return "out of memory";
	case -EMFILE:
	case -ENFILE:
		return "too few file descriptors";
	default:
		return "its memory could not be opened";
	}
}

static uint64_t first_retry_ns(const struct lm_session *session)
{
	uint64_t retry_ns = session->config->horizon_ns / RETRY_PER_HORIZON;

	return retry_ns < RETRY_MIN_NS ? RETRY_MIN_NS : retry_ns > RETRY_MAX_NS ? RETRY_MAX_NS : retry_ns;
}

static bool is_fault_of_process(int error)
{
	return error == -ETIMEDOUT || error == -ECONNRESET || error == -EUCLEAN;
}

/* When to try again: less and less often what fails on this process, never what it does not permit; what fails of the
 * machine passes. */
static uint64_t retry_at(const struct lm_session *session, struct lm_process_facts *facts, int error)
{
	uint64_t wait_ns = first_retry_ns(session);

	if (error == -ESRCH || error == -EPERM || error == -EACCES)
		return 0;
	if (is_fault_of_process(error)) {
		if (facts->failures >= RETRIES)
			return 0;
		wait_ns <<= facts->failures++;
	}
	return now_on(CLOCK_BOOTTIME) + wait_ns;
}

static void note_failure(struct lm_session *session, struct lm_process *process, int error)
{
	struct lm_process_facts *facts = &process->facts;

	facts->unresolved = why_no_target(error);
	facts->retry_ns = retry_at(session, facts, error);
	session->skipped_processes += error != -ESRCH;
	lm_info("process %u (%s): %s: %s%s", process->key.tgid, process->comm, facts->unresolved, strerror(-error),
		facts->retry_ns ? "; it will be tried again" : "");
}

/* What /proc says of a process that is new or runs a new program. */
static void learn_facts(struct lm_session *session, struct lm_process *process)
{
	pid_t pid = process->key.tgid;
	int error;

	process->facts_known = true;
	if (process->kernel_thread)
		return;
	if (lm_resolver_owns(session->resolver, pid)) {
		process->facts.unresolved = "it is leakmon's own helper, which runs whenever a stack is read";
		return;
	}
	if (!process->facts.exe)
		lm_proc_exe(PROC_ROOT, pid, &process->facts.exe);
	if (!process->facts.container_id)
		lm_proc_container(PROC_ROOT, pid, &process->facts.container_id);
	if (process->target)
		return;
	error = lm_target_open(session->resolver, pid, process->key.start_ns, (struct lm_target **)&process->target);
	if (error)
		note_failure(session, process, error);
}

/* What is known once the resolver has seen the executable: the build id, and whether Python can be read. */
static void learn_from_resolver(struct lm_process *process)
{
	const char *build_id = process->target ? lm_target_build_id(process->target) : NULL;

	if (build_id && !process->facts.build_id)
		process->facts.build_id = strdup(build_id);
	if (process->target)
		process->facts.no_python = lm_target_python_why(process->target);
}

/* Opens anew what the resolver has failed on, when it is time for that. */
static void retry_process(struct lm_session *session, struct lm_process *process)
{
	struct lm_process_facts *facts = &process->facts;

	if (!facts->unresolved || !facts->retry_ns || now_on(CLOCK_BOOTTIME) < facts->retry_ns)
		return;
	close_target(process, session);
	facts->unresolved = NULL;
	facts->retry_ns = 0;
	process->facts_known = false;
	lm_monitor_want_again(process);
}

/* Unwinds what is wanted of one process. Returns true if there was anything. */
static bool unwind_process(struct lm_session *session, struct lm_process *process)
{
	bool any = false;

	if (process->kernel_thread)
		return false;
	retry_process(session, process);
	for (;;) {
		size_t len = lm_monitor_wanted(session->monitor, process, session->wanted, UNWIND_BATCH);
		int error;

		if (!len)
			return any;
		any = true;
		if (!process->facts_known) {
			learn_facts(session, process);
			continue;
		}
		for (size_t i = 0; i < len; i++)
			session->requests[i] = (struct lm_unwind_request){.regs = session->wanted[i]->pending->regs};
		error = lm_target_unwind(session->resolver, process->target, session->requests, len);
		for (size_t i = 0; i < len; i++)
			lm_monitor_set_stack(session->wanted[i], session->requests[i].stack, session->requests[i].why);
		learn_from_resolver(process);
		if (error)
			note_failure(session, process, error);
	}
}

static bool unwind_all(struct lm_session *session)
{
	struct lm_process *process = NULL;
	bool any = false;

	while ((process = lm_monitor_next_process(session->monitor, process)))
		any |= unwind_process(session, process);
	return any;
}

/* Who ran until the scan after the reads may have taken or released a lock meanwhile: it tells. */
static int look_at_locks(struct lm_session *session)
{
	session->locks_read_ns = now_on(CLOCK_BOOTTIME);
	return lm_session_read_locks(session->monitor, session->locks_read_ns) ? scan(session) : 0;
}

/* Of all processes: one whose threads are all at work may have any number of goroutines that wait. */
static int look_at_goroutines(struct lm_session *session)
{
	struct lm_process *process = NULL;
	int error;

	while ((process = lm_monitor_next_process(session->monitor, process))) {
		if (!process->facts_known)
			learn_facts(session, process);
		process->facts.failure = 0;
	}
	error = lm_session_read_goroutines(session->monitor, session->resolver);
	while ((process = lm_monitor_next_process(session->monitor, process))) {
		int failure = process->facts.failure;

		if (is_fault_of_process(failure))
			note_failure(session, process, failure);
	}
	return error;
}

static int take_up(struct lm_session *session)
{
	int error = look_at_goroutines(session);

	if (!error)
		error = lm_monitor_settle(session->monitor);
	if (error)
		lm_warning("what a look has seen could not be taken up: %s; the next one repeats it", strerror(-error));
	return error;
}

static bool is_known(struct lm_session *session, pid_t pid)
{
	struct lm_process *process = NULL;

	while ((process = lm_monitor_next_process(session->monitor, process))) {
		if (process->key.tgid == (uint32_t)pid)
			return true;
	}
	return false;
}

/* Some machines list processes in /proc that they keep from the iterator of tasks. */
static int find_unmet(struct lm_session *session)
{
	if (session->unmet)
		return 0;
	session->unmet = calloc(session->pidfds_len + 1, sizeof(*session->unmet));
	if (!session->unmet)
		return -ENOMEM;
	for (size_t i = 0; i < session->pidfds_len; i++) {
		session->unmet[i] = !is_known(session, session->config->pids[i]) && !has_ended(session->pidfds[i]);
		session->skipped_processes += session->unmet[i];
	}
	return 0;
}

int lm_session_look(struct lm_session *session)
{
	int error = scan(session);

	/* A stack counts only if its thread has not run while it was read: the next look tells. */
	for (int round = 0; !error && round < CONFIRM_ROUNDS && unwind_all(session); round++)
		error = scan(session);
	if (!error)
		error = find_unmet(session);
	if (!error)
		error = take_up(session);
	if (!error && now_on(CLOCK_BOOTTIME) - session->locks_read_ns >= LOCKS_EVERY_NS)
		error = look_at_locks(session);
	return error;
}

static void fill_rss(struct lm_session *session)
{
	struct lm_process *process = NULL;

	while ((process = lm_monitor_next_process(session->monitor, process))) {
		process->facts.rss_bytes = 0;
		if (process->kernel_thread)
			continue;
		if (!process->facts_known)
			learn_facts(session, process);
		lm_proc_rss(PROC_ROOT, process->key.tgid, &process->facts.rss_bytes);
		if (!process->facts.first_rss_ns && process->facts.rss_bytes) {
			process->facts.first_rss_bytes = process->facts.rss_bytes;
			process->facts.first_rss_ns = now_on(CLOCK_BOOTTIME);
		}
	}
}

/* What bounds the processes of which something grows; as rarely as verdicts are reached, since a map is long to read.
 */
static void fill_limits(struct lm_session *session)
{
	uint64_t every_ns = session->config->horizon_ns / LM_VERDICT_STEPS_PER_HORIZON, at_ns = now_on(CLOCK_BOOTTIME);
	struct lm_group *group;

	for (group = session->monitor->groups.table; group; group = group->hh.next) {
		struct lm_process_facts *facts;
		struct lm_process *process;

		if (!group->count || group->verdict.level == LM_LEVEL_NONE)
			continue;
		process = group->process;
		facts = &process->facts;
		if (facts->limits_ns && at_ns - facts->limits_ns < every_ns)
			continue;
		facts->limits_ns =
			lm_limits_read(PROC_ROOT, CGROUP_ROOT, process->key.tgid, &facts->limits) ? 0 : at_ns;
	}
}

static void fill_self(struct lm_session *session, struct lm_snapshot *snapshot)
{
	struct rusage usage;
	uint64_t rss_bytes = 0, worker_rss_bytes = 0;
	double worker_cpu_s = 0;

	getrusage(RUSAGE_SELF, &usage);
	lm_proc_rss(PROC_ROOT, getpid(), &rss_bytes);
	lm_resolver_usage(session->resolver, &worker_rss_bytes, &worker_cpu_s);
	snapshot->self.cpu_s = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
			       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6 + worker_cpu_s;
	snapshot->self.rss_bytes = rss_bytes ? (int64_t)(rss_bytes + worker_rss_bytes) : -1;
	snapshot->self.bpf_bytes = lm_probe_memory(session->probe);
	snapshot->self.scan_s = session->scan_s;
}

static void fill_losses(struct lm_session *session, struct lm_snapshot_losses *losses)
{
	struct lm_probe_losses probe;
	struct lm_resolver_counters resolver;

	lm_probe_losses(session->probe, &probe);
	lm_resolver_counters(session->resolver, &resolver);
	losses->ring_full = probe.ring_full;
	losses->storage_failed = probe.storage_failed;
	losses->program_missed = probe.program_missed;
	losses->scan_truncated += session->looks_truncated;
	losses->unwind_failed += resolver.found_dead + session->monitor->counters.go_unwind_failed;
	losses->symbol_failed = resolver.symbol_failed;
	losses->skipped_processes = session->skipped_processes;
}

static int add_notes_of_unmet(const struct lm_session *session, struct lm_snapshot *snapshot)
{
	size_t len = snapshot->notes_len;
	const char **notes;

	if (!session->unmet || !session->pidfds_len)
		return 0;
	notes = lm_arena_alloc(snapshot->arena, (len + session->pidfds_len) * sizeof(*notes));
	if (!notes)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		notes[i] = snapshot->notes[i];
	for (size_t i = 0; i < session->pidfds_len; i++) {
		if (session->unmet[i] && !has_ended(session->pidfds[i]))
			notes[len++] = lm_arena_format(snapshot->arena,
				"process %d is there, but the kernel does not show it to BPF programs: it is not "
				"watched",
				session->config->pids[i]);
	}
	snapshot->notes = notes;
	snapshot->notes_len = len;
	return 0;
}

/* A look that is cut short is told of by the next one; then nobody is said to be gone. */
static int analyse_locks(struct lm_session *session)
{
	int error = lm_monitor_analyse_locks(session->monitor);

	if (error || !session->monitor->owners_missed)
		return error;
	look_at_locks(session);
	return lm_monitor_analyse_locks(session->monitor);
}

/* Between reports; a mode that makes a single one has none. */
static double interval_s(const struct lm_config *config)
{
	if (config->mode == LM_MODE_SNAPSHOT || config->mode == LM_MODE_CHECK)
		return NAN;
	return config->interval_ns / (double)NS_PER_S;
}

int lm_session_report(struct lm_session *session, bool final, struct lm_snapshot *snapshot)
{
	int error = analyse_locks(session);
	uint64_t now_ns = now_on(CLOCK_BOOTTIME);
	int64_t wall_offset_ns = (int64_t)(now_on(CLOCK_REALTIME) - now_ns);

	lm_session_read_sockets(session->monitor, PROC_ROOT);
	if (!error)
		error = lm_monitor_judge(session->monitor, final);

	fill_rss(session);
	fill_limits(session);
	memset(snapshot, 0, sizeof(*snapshot));
	if (!error)
		error = lm_report_build(session->monitor, now_ns, wall_offset_ns, snapshot);
	if (!error)
		error = add_notes_of_unmet(session, snapshot);
	if (error) {
		lm_snapshot_free(snapshot);
		return error;
	}
	snapshot->host = lm_arena_text(snapshot->arena, session->host);
	snapshot->version = LM_VERSION;
	snapshot->interval_s = interval_s(session->config);
	fill_losses(session, &snapshot->losses);
	fill_self(session, snapshot);
	return 0;
}

void lm_session_set_history(struct lm_session *session, struct lm_history *history)
{
	session->memory = (struct lm_session_memory){.monitor = session->monitor, .history = history};
	lm_session_recall(&session->memory);
}

int lm_session_save(struct lm_session *session, struct lm_history *history)
{
	return lm_session_remember(session->monitor, history);
}

void lm_session_saved(struct lm_session *session, bool is_kept)
{
	lm_session_remembered(session->monitor, is_kept);
}

double lm_session_scan_s(const struct lm_session *session)
{
	return session->scan_s;
}

void lm_session_save_memory(struct lm_session *session)
{
	lm_resolver_save_memory(session->resolver);
}

bool lm_session_all_ended(const struct lm_session *session)
{
	for (size_t i = 0; i < session->pidfds_len; i++) {
		if (!has_ended(session->pidfds[i]))
			return false;
	}
	return session->pidfds_len > 0;
}

bool lm_session_owns(const struct lm_session *session, pid_t pid)
{
	return lm_resolver_owns(session->resolver, pid);
}
