// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loading, attaching and reading the BPF programs of bpf/. What the kernel can
 * do is asked of the kernel (its BTF, a trial load), never of its version.
 */
#include "user/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "leakmon.skel.h"
#include "user/capabilities.h"
#include "user/kernel.h"
#include "user/log.h"

#define LOOK_BUFFER_BYTES (256 * 1024) /* the kernel hands out 32 KiB a read */
#define LOOK_STALLS_MAX 100            /* reads of a look that may bring nothing before it is given up */

enum filter_mode { FILTER_NONE, FILTER_LIST, FILTER_MARKED }; /* as in bpf/state.h */

struct lm_probe {
	struct leakmon_bpf *skel;
	struct bpf_link *futex_links[2 * LM_FUTEX_CALLS];
	struct ring_buffer *ring;
	lm_record_handler *handler; /* of the drain that is under way */
	void *handler_context;
	enum lm_probe_futex futex;
	char *look_buffer;
	struct lm_probe_losses losses; /* as last read: what cannot be read now is not less */
};

__attribute__((format(printf, 2, 0))) static int log_libbpf(
	enum libbpf_print_level level, const char *format, va_list args)
{
	char line[1024];

	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	lm_debug("libbpf: %s", line);
	return 0;
}

__attribute__((format(printf, 4, 5))) static int fail(
	struct lm_probe_error *error, int errnum, bool refused, const char *format, ...)
{
	va_list args;

	error->refused = refused;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return errnum;
}

static bool in_initial_pid_namespace(void)
{
	const ino_t initial = 0xEFFFFFFC; /* PROC_PID_INIT_INO */
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == initial;
}

/* Called with the list already checked: every PID was that of a process a moment ago. */
static void set_filter(struct leakmon_bpf *skel, const struct lm_probe_config *config)
{
	skel->rodata->watch_kernel_threads = config->kernel_threads;
	skel->rodata->in_pid_namespace = !in_initial_pid_namespace();
	if (!config->pids)
		return;
	skel->rodata->watch_children = config->children;
	if (config->children || config->pids_len > LM_FILTER_MAX || skel->rodata->in_pid_namespace) {
		skel->rodata->filter_mode = FILTER_MARKED;
		return;
	}
	skel->rodata->filter_mode = FILTER_LIST;
	skel->rodata->filter_len = config->pids_len;
	for (size_t i = 0; i < config->pids_len; i++)
		skel->rodata->filter_tgids[i] = config->pids[i];
}

/* Marks the processes of the list, so that the scan takes up their threads. A process that has ended meanwhile is
 * none of the probe's business: the caller watches them by pidfd. */
static int mark_processes(struct lm_probe *probe, const struct lm_probe_config *config)
{
	struct leakmon_bpf *skel = probe->skel;
	size_t size = bpf_map__value_size(skel->maps.threads);
	char *state = calloc(1, size);
	int error = 0;

	if (!state)
		return -ENOMEM;
	*(__u32 *)state = 1; /* thread_state.marked of bpf/state.h */
	for (size_t i = 0; i < config->pids_len && !error; i++) {
		int pidfd = syscall(SYS_pidfd_open, config->pids[i], 0);

		if (pidfd < 0)
			continue;
		if (bpf_map_update_elem(bpf_map__fd(skel->maps.threads), &pidfd, state, BPF_ANY) && errno != ESRCH)
			error = -errno;
		close(pidfd);
	}
	free(state);
	return error;
}

/* The programs of each way in, by enum lm_futex_call. */
static void list_futex_programs(
	const struct lm_probe *probe, struct bpf_program **fexit, struct bpf_program **tracepoint)
{
	fexit[LM_FUTEX_FUTEX] = probe->skel->progs.fexit_futex;
	fexit[LM_FUTEX_WAITV] = probe->skel->progs.fexit_futex_waitv;
	fexit[LM_FUTEX_WAKE] = probe->skel->progs.fexit_futex_wake;
	fexit[LM_FUTEX_WAIT] = probe->skel->progs.fexit_futex_wait;
	fexit[LM_FUTEX_REQUEUE] = probe->skel->progs.fexit_futex_requeue;
	tracepoint[LM_FUTEX_FUTEX] = probe->skel->progs.tp_futex;
	tracepoint[LM_FUTEX_WAITV] = probe->skel->progs.tp_futex_waitv;
	tracepoint[LM_FUTEX_WAKE] = probe->skel->progs.tp_futex_wake;
	tracepoint[LM_FUTEX_WAIT] = probe->skel->progs.tp_futex_wait;
	tracepoint[LM_FUTEX_REQUEUE] = probe->skel->progs.tp_futex_requeue;
}

static void choose_futex_programs(struct lm_probe *probe, const struct lm_probe_config *config)
{
	struct bpf_program *fexit[LM_FUTEX_CALLS], *tracepoint[LM_FUTEX_CALLS];

	list_futex_programs(probe, fexit, tracepoint);
	probe->futex = LM_PROBE_FUTEX_NONE;
	if (config->futex_fentry && lm_kernel_has_fexit(NULL, 0))
		probe->futex = LM_PROBE_FUTEX_FENTRY;
	else if (config->futex_tracepoint)
		probe->futex = LM_PROBE_FUTEX_TRACEPOINT;
	for (int call = 0; call < LM_FUTEX_CALLS; call++) {
		bool has_call = lm_kernel_has_futex_call(call);

		bpf_program__set_autoload(fexit[call], has_call && probe->futex == LM_PROBE_FUTEX_FENTRY);
		bpf_program__set_autoload(tracepoint[call], has_call && probe->futex == LM_PROBE_FUTEX_TRACEPOINT);
		/* attached by hand: tracefs need not be mounted */
		bpf_program__set_autoattach(tracepoint[call], false);
	}
}

static int attach_futex_tracepoints(struct lm_probe *probe)
{
	struct bpf_program *fexit[LM_FUTEX_CALLS], *tracepoint[LM_FUTEX_CALLS];

	list_futex_programs(probe, fexit, tracepoint);
	for (int call = 0; call < LM_FUTEX_CALLS; call++) {
		int perf_fd;

		if (!bpf_program__autoload(tracepoint[call]))
			continue;
		perf_fd = lm_kernel_open_futex_tracepoint(call);
		if (perf_fd < 0)
			return perf_fd;
		probe->futex_links[call] = bpf_program__attach_perf_event(tracepoint[call], perf_fd);
		if (!probe->futex_links[call]) {
			int error = -errno;

			close(perf_fd);
			return error;
		}
	}
	return 0;
}

static int explain_load_failure(struct lm_probe_error *error, int errnum)
{
	char missing[64];

	if ((errnum == -EPERM || errnum == -EACCES) && lm_capabilities_missing(true, missing, sizeof(missing)))
		return fail(error, errnum, true,
			"no privilege to load BPF programs: this process has no %s: run it as root (sudo leakmon …), "
			"or "
			"give it CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE",
			missing);
	if (errnum == -EPERM || errnum == -EACCES)
		return fail(error, errnum, true,
			"the kernel refuses to load BPF programs though this process has CAP_BPF and CAP_PERFMON: it "
			"is "
			"locked down (see leakmon doctor)");
	return fail(error, errnum, false,
		"the BPF programs could not be loaded: %s; run again with -v -v for the kernel's words",
		strerror(-errnum));
}

static int load(struct lm_probe *probe, const struct lm_probe_config *config, struct lm_probe_error *error)
{
	char why[128];
	int result;

	probe->skel = leakmon_bpf__open();
	if (!probe->skel) {
		result = -errno;
		libbpf_strerror(result, why, sizeof(why)); /* it has numbers of its own */
		return fail(error, result, false, "the BPF object could not be opened: %s", why);
	}
	set_filter(probe->skel, config);
	probe->skel->rodata->has_prev_state = lm_kernel_switch_has_prev_state();
	choose_futex_programs(probe, config);
	result = leakmon_bpf__load(probe->skel);
	if (result)
		return explain_load_failure(error, result);
	/* libbpf takes a trial map that there was no memory for as one that the kernel cannot map */
	if (!probe->skel->rodata || !probe->skel->data || !probe->skel->bss)
		return fail(error, -ENOMEM, false, "the BPF programs' variables could not be mapped: is memory short?");
	return 0;
}

static int attach(struct lm_probe *probe, const struct lm_probe_config *config, struct lm_probe_error *error)
{
	int result = leakmon_bpf__attach(probe->skel);

	if (result)
		return fail(error, result, false, "the BPF programs could not be attached: %s", strerror(-result));
	result = attach_futex_tracepoints(probe);
	if (result) {
		lm_warning("the futex tracepoints could not be attached: %s; going on without them (--futex off says "
			   "so)%s",
			strerror(-result),
			result == -EPERM && !lm_capability_effective(CAP_SYS_ADMIN)
				? "; without CAP_SYS_ADMIN they need a tracefs: mount -t tracefs tracefs "
				  "/sys/kernel/tracing"
				: "");
		probe->futex = LM_PROBE_FUTEX_NONE;
	}
	if (probe->skel->rodata->filter_mode == FILTER_MARKED) {
		result = mark_processes(probe, config);
		if (result)
			return fail(error, result, false, "the processes could not be marked: %s", strerror(-result));
	}
	return 0;
}

static int deliver_event(void *context, void *data, size_t size)
{
	struct lm_probe *probe = context;

	if (size >= sizeof(struct lm_life_record))
		probe->handler(data, probe->handler_context);
	return 0;
}

int lm_probe_open(const struct lm_probe_config *config, struct lm_probe **out, struct lm_probe_error *error)
{
	const char *missing;
	struct lm_probe *probe;
	int result;

	libbpf_set_print(log_libbpf);
	missing = lm_kernel_missing_feature();
	if (missing)
		return fail(error, -EOPNOTSUPP, true, "this kernel cannot run leakmon: %s", missing);
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return fail(error, -ENOMEM, false, "out of memory");
	result = load(probe, config, error);
	if (result)
		goto free_probe;
	result = attach(probe, config, error);
	if (result)
		goto free_probe;
	probe->look_buffer = malloc(LOOK_BUFFER_BYTES);
	if (!probe->look_buffer) {
		result = fail(error, -ENOMEM, false, "out of memory");
		goto free_probe;
	}
	probe->ring = ring_buffer__new(bpf_map__fd(probe->skel->maps.events), deliver_event, probe, NULL);
	if (!probe->ring) {
		result = fail(error, -errno, false, "the BPF programs' events cannot be read: %s", strerror(errno));
		goto free_probe;
	}
	*out = probe;
	return 0;

free_probe:
	lm_probe_free(probe);
	return result;
}

void lm_probe_free(struct lm_probe *probe)
{
	if (!probe)
		return;
	ring_buffer__free(probe->ring);
	for (size_t i = 0; i < sizeof(probe->futex_links) / sizeof(probe->futex_links[0]); i++)
		bpf_link__destroy(probe->futex_links[i]);
	leakmon_bpf__destroy(probe->skel);
	free(probe->look_buffer);
	free(probe);
}

/* Hands over the records in the buffer. Returns true once END has come. A record is never split over two reads. */
static bool deliver_look(const char *buffer, size_t len, lm_record_handler *handler, void *context)
{
	size_t at = 0;

	while (len - at >= sizeof(struct lm_record)) {
		const struct lm_record *record = (const struct lm_record *)(buffer + at);

		if (record->size < sizeof(*record) || record->size > len - at)
			break;
		handler(record, context);
		if (record->type == LM_RECORD_END)
			return true;
		at += record->size;
	}
	return false;
}

static void sleep_a_moment(void)
{
	const struct timespec moment = {.tv_nsec = 1};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static int read_look(struct lm_probe *probe, int fd, lm_record_handler *handler, void *context)
{
	int stalls = 0;

	for (;;) {
		ssize_t len = read(fd, probe->look_buffer, LOOK_BUFFER_BYTES);

		if (len < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (len <= 0 && ++stalls > LOOK_STALLS_MAX)
			return -EIO;
		if (len > 0 && deliver_look(probe->look_buffer, len, handler, context))
			return 0;
		if (len == 0)
			return -EIO;
	}
}

int lm_probe_look(struct lm_probe *probe, lm_record_handler *handler, void *context)
{
	int fd = bpf_iter_create(bpf_link__fd(probe->skel->links.scan_threads));
	int result;

	if (fd < 0) {
		result = -errno;
		lm_probe_forget(probe);
		return result;
	}
	probe->skel->bss->look_threads = 0;
	probe->skel->bss->look_unstored = 0;
	probe->skel->bss->look_began_ns = 0;
	sleep_a_moment(); /* bpf/scan.h measures the clocks by it */
	result = read_look(probe, fd, handler, context);
	if (result)
		lm_probe_forget(probe);
	close(fd);
	return result;
}

int lm_probe_drain(struct lm_probe *probe, lm_record_handler *handler, void *context)
{
	int result;

	probe->handler = handler;
	probe->handler_context = context;
	result = ring_buffer__consume(probe->ring);
	return result < 0 ? result : 0;
}

int lm_probe_fd(const struct lm_probe *probe)
{
	return ring_buffer__epoll_fd(probe->ring);
}

void lm_probe_forget(struct lm_probe *probe)
{
	probe->skel->data->epoch++;
}

enum lm_probe_futex lm_probe_futex(const struct lm_probe *probe)
{
	return probe->futex;
}

/* How often the kernel skipped one of our programs because one was already running on that CPU. */
static uint64_t missed_runs(const struct lm_probe *probe)
{
	struct bpf_program *program;
	uint64_t missed = 0;

	bpf_object__for_each_program(program, probe->skel->obj)
	{
		struct bpf_prog_info info = {0};
		__u32 len = sizeof(info);
		int fd = bpf_program__fd(program);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
			missed += info.recursion_misses;
	}
	return missed;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void lm_probe_losses(struct lm_probe *probe, struct lm_probe_losses *losses)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *counts = cpus > 0 ? calloc(cpus, sizeof(*counts)) : NULL;
	uint64_t total[LM_LOSS_COUNT] = {0};

	for (__u32 cause = 0; cause < LM_LOSS_COUNT && counts; cause++) {
		if (bpf_map_lookup_elem(bpf_map__fd(probe->skel->maps.losses), &cause, counts))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			total[cause] += counts[cpu];
	}
	free(counts);
	probe->losses.ring_full = larger(probe->losses.ring_full, total[LM_LOSS_RING_FULL]);
	probe->losses.storage_failed = larger(probe->losses.storage_failed, total[LM_LOSS_STORAGE_FAILED]);
	probe->losses.program_missed =
		larger(probe->losses.program_missed, missed_runs(probe) + probe->skel->bss->switch_missed);
	*losses = probe->losses;
}

/* fdinfo says what a map holds, also what grew since it was made; before Linux 6.4 not what is in a ring buffer. */
static uint64_t map_memory(const struct bpf_map *map)
{
	uint64_t at_least = bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF ? bpf_map__max_entries(map) : 0;
	char path[64], line[256];
	unsigned long long bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
	file = fopen(path, "re");
	if (!file)
		return at_least;
	while (fgets(line, sizeof(line), file) && sscanf(line, "memlock: %llu", &bytes) != 1)
		;
	fclose(file);
	return bytes > at_least ? bytes : at_least;
}

uint64_t lm_probe_memory(const struct lm_probe *probe)
{
	struct bpf_map *map;
	uint64_t bytes = 0;

	bpf_object__for_each_map(map, probe->skel->obj) bytes += map_memory(map);
	/* fdinfo leaves out what task storage holds: one value for each thread of the last look */
	return bytes + probe->skel->bss->look_threads * bpf_map__value_size(probe->skel->maps.threads);
}
