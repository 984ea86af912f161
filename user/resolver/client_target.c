// SPDX-License-Identifier: GPL-2.0-or-later
/* Address spaces, and the order of things: what the worker must know first, what is told again when it may be old. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/resolver/client_state.h"

int lm_target_open(struct lm_resolver *resolver, pid_t pid, uint64_t start_ns, struct lm_target **out)
{
	struct lm_target *target;
	char path[512];
	int error;

	snprintf(path, sizeof(path), "%s/%d/mem", resolver->config.proc_root, pid);
	target = calloc(1, sizeof(*target));
	if (!target)
		return -ENOMEM;
	target->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (target->mem_fd < 0) {
		error = errno == ENOENT ? -ESRCH : -errno;
		goto free_target;
	}
	error = lm_maps_check_identity(resolver, pid, start_ns);
	if (error)
		goto close_memory;
	target->pid = pid;
	target->start_ns = start_ns;
	target->id = ++resolver->last_target;
	*out = target;
	return 0;

close_memory:
	close(target->mem_fd);
free_target:
	free(target);
	return error;
}

void lm_target_close(struct lm_resolver *resolver, struct lm_target *target)
{
	if (!target)
		return;
	if (resolver->pid && target->generation == resolver->generation)
		lm_resolver_tell(resolver, LM_MESSAGE_CLOSE, &target->id, sizeof(target->id), -1);
	lm_modules_release(resolver, &target->modules);
	close(target->mem_fd);
	lm_target_go_free(target);
	free(target->build_id);
	free(target);
}

ssize_t lm_target_read(struct lm_target *target, uint64_t address, void *buffer, size_t size)
{
	ssize_t len = pread(target->mem_fd, buffer, size, (off_t)address);

	return len < 0 ? -errno : len;
}

const char *lm_target_python_why(const struct lm_target *target)
{
	switch (target->python) {
	case LM_PYTHON_UNKNOWN_VERSION:
		return "this build of Python is not known: only native frames are shown";
	case LM_PYTHON_UNREADABLE:
		return "its interpreter's memory could not be read: only native frames are shown";
	default:
		return NULL;
	}
}

const char *lm_target_build_id(const struct lm_target *target)
{
	return target->build_id;
}

int lm_target_prepare(struct lm_resolver *resolver, struct lm_target *target)
{
	int error = lm_resolver_ensure(resolver);

	if (error || target->generation == resolver->generation)
		return error;
	lm_modules_release(resolver, &target->modules); /* of the worker before */
	target->perf_module = NULL;
	error = lm_resolver_tell(resolver, LM_MESSAGE_TARGET, &target->id, sizeof(target->id), target->mem_fd);
	if (!error)
		error = lm_maps_tell(resolver, target);
	if (!error)
		target->generation = resolver->generation;
	if (!error)
		error = lm_target_go_open(resolver, target);
	/* the next worker is not asked about its goroutines, so this comes to an end */
	return error > 0 ? lm_target_prepare(resolver, target) : error;
}

static void drop_stacks(struct lm_resolver *resolver, struct lm_unwind_request *requests, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		lm_stack_unref(resolver->config.stacks, requests[i].stack);
		requests[i].stack = NULL;
		requests[i].why = NULL;
	}
}

/* What was told of the target may be old: a library that was loaded since, code that a JIT has made since. Each is
 * looked at again at most once in a call. */
struct renewed {
	bool maps, perf_map;
};

/* Tells again what the flags call for; *told is set if there was anything new. */
static int renew(
	struct lm_resolver *resolver, struct lm_target *target, unsigned flags, struct renewed *renewed, bool *told)
{
	int error = 0;

	*told = false;
	if (flags & LM_ANSWER_UNMAPPED && !renewed->maps) {
		renewed->maps = true;
		*told = true;
		error = lm_maps_tell(resolver, target);
	} else if (flags & LM_ANSWER_UNNAMED && !renewed->perf_map) {
		renewed->perf_map = true;
		error = lm_maps_tell_perf_map(resolver, target, told);
	}
	return error;
}

static int unwind_all(
	struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests, size_t len)
{
	struct renewed renewed = {0};
	size_t at = 0;

	while (at < len) {
		size_t part = len - at < LM_UNWIND_MAX ? len - at : LM_UNWIND_MAX;
		unsigned flags = 0;
		bool told;
		int error, answered = lm_answers_unwind(resolver, target, requests + at, part, &flags);

		if (answered < 0)
			return answered;
		error = renew(resolver, target, flags, &renewed, &told);
		if (error)
			return error;
		if (told)
			drop_stacks(resolver, requests + at, part);
		else
			at += answered;
	}
	return 0;
}

static void count(struct lm_resolver *resolver, const struct lm_unwind_request *requests, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		resolver->counters.unwound++;
		if (!requests[i].stack || requests[i].stack->end == LM_STACK_BROKEN)
			resolver->counters.unwind_failed++;
	}
}

static const char *why_failed(int error)
{
	switch (error) {
	case -ESRCH:
		return "the process ended";
	case -ETIMEDOUT:
		return "the resolver overran its time on it";
	case -ENOMEM:
		return "out of memory";
	default:
		return "the resolver failed on it";
	}
}

int lm_target_unwind(
	struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests, size_t requests_len)
{
	int error = target->failed ? -EUCLEAN : lm_target_prepare(resolver, target);

	for (size_t i = 0; i < requests_len; i++) {
		requests[i].stack = NULL;
		requests[i].why = NULL;
	}
	if (!error)
		error = unwind_all(resolver, target, requests, requests_len);
	/* a worker that talks nonsense is worth no more than one that is dead */
	if (error == -EPROTO)
		error = lm_resolver_give_up(resolver, error);
	if (error) {
		drop_stacks(resolver, requests, requests_len);
		for (size_t i = 0; i < requests_len; i++)
			requests[i].why = why_failed(error);
		target->failed |= error == -ETIMEDOUT || error == -ECONNRESET || error == -EUCLEAN;
	}
	if (error != -ESRCH)
		count(resolver, requests, requests_len);
	return error;
}
