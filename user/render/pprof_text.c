// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Profiles as Go's net/http/pprof shows them with ?debug=1. After the head a block
 * for each site: the count and the addresses, labels, a line for each frame. pprof
 * reads this form as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "user/render/escape.h"
#include "user/render/json_values.h"
#include "user/render/profile.h"
#include "user/render/words.h"

#define NS_PER_S 1e9

/* The largest first; of equal ones the site id decides, so that the same report always reads the same. */
static int compare(const void *a, const void *b)
{
	const struct lm_snapshot_site *x = *(const struct lm_snapshot_site *const *)a;
	const struct lm_snapshot_site *y = *(const struct lm_snapshot_site *const *)b;
	int order = (y->count > x->count) - (y->count < x->count);

	if (!order)
		order = (x->pid > y->pid) - (x->pid < y->pid);
	return order ? order : (x->site > y->site) - (x->site < y->site);
}

static void put_text(FILE *stream, const char *text)
{
	while (text && *text) {
		char character[LM_ESCAPE_MAX];

		lm_escape_next(&text, character);
		fputs(character, stream);
	}
}

static void put_frame(FILE *stream, const struct lm_snapshot_frame *frame)
{
	fprintf(stream, "#\t0x%" PRIx64 "\t", frame->offset);
	if (frame->function && *frame->function) {
		put_text(stream, frame->function);
	} else {
		put_text(stream, frame->module && *frame->module ? frame->module : "[unknown]");
		fprintf(stream, "+0x%" PRIx64, frame->offset);
	}
	if (frame->file && *frame->file) {
		fputc('\t', stream);
		put_text(stream, frame->file);
		if (frame->line)
			fprintf(stream, ":%" PRIu32, frame->line);
	}
	fputc('\n', stream);
}

static int put_labels(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_snapshot_site *site)
{
	int64_t since_ns = site->oldest_blocked_since_ns;
	struct lm_words oldest = lm_words_duration(since_ns > 0 ? (snapshot->time_ns - since_ns) / NS_PER_S : NAN);
	json_t *labels = json_object();
	char pid[16], *text;

	snprintf(pid, sizeof(pid), "%" PRIu32, site->pid);
	if (site->comm && *site->comm)
		lm_json_set(&labels, "comm", lm_json_text(site->comm));
	lm_json_set(&labels, "oldest", json_string(oldest.text));
	lm_json_set(&labels, "pid", json_string(pid));
	lm_json_set(&labels, "site", lm_json_site_id(site->site));
	lm_json_set(&labels, "wait", json_string(lm_wait_class_name(site->wait.wait_class)));
	text = json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(labels);
	if (!text)
		return -ENOMEM;
	fprintf(stream, "# labels: %s\n", text);
	free(text);
	return 0;
}

static int put_site(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_snapshot_site *site)
{
	int error;

	fprintf(stream, "%" PRId64 " @", site->count);
	for (size_t i = 0; i < site->stack_len; i++) {
		if (!site->stack[i].inlined)
			fprintf(stream, " 0x%" PRIx64, site->stack[i].offset);
	}
	fputs(site->stack_len ? "\n" : " 0x0\n", stream);
	error = put_labels(stream, snapshot, site);
	for (size_t i = 0; i < site->kernel_stack_len && !error; i++) {
		fputs("#\tkernel\t", stream);
		put_text(stream, site->kernel_stack[i].function ? site->kernel_stack[i].function : "[unknown]");
		fputc('\n', stream);
	}
	for (size_t i = 0; i < site->stack_len && !error; i++)
		put_frame(stream, &site->stack[i]);
	fputc('\n', stream);
	return error;
}

int lm_profile_pprof_text(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_profile_filter *filter)
{
	static const char *const names[] = {
		[LM_PROFILE_ALL] = "blocked", [LM_PROFILE_THREADS] = "thread", [LM_PROFILE_GOROUTINES] = "goroutine"};
	const struct lm_snapshot_site **sites = calloc(snapshot->sites_len + 1, sizeof(*sites));
	const struct lm_snapshot_site *site;
	struct lm_profile_cursor cursor = {0};
	int64_t total = 0;
	size_t len = 0;
	int error = 0;

	if (!sites)
		return -ENOMEM;
	while ((site = lm_profile_next(snapshot, filter, &cursor))) {
		total = site->count < INT64_MAX - total ? total + site->count : INT64_MAX;
		sites[len++] = site;
	}
	errno = 0;
	qsort(sites, len, sizeof(*sites), compare);
	fprintf(stream, "%s profile: total %" PRId64 "\n", names[filter->kind], total);
	for (size_t i = 0; i < len && !error; i++)
		error = put_site(stream, snapshot, sites[i]);
	free(sites);
	if (!error && (fflush(stream) != 0 || ferror(stream)))
		error = errno ? -errno : -EIO;
	return error;
}
