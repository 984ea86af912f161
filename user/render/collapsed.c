// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Collapsed stacks, as flamegraph.pl and speedscope open them: a line for each
 * site, "comm;outermost;…;innermost COUNT". Kernel frames carry the suffix _[k],
 * inlined functions _[i].
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "user/render/escape.h"
#include "user/render/render.h"

/* The last space of the text if only digits and dots follow it, else NULL: flamegraph.pl would take them for a count.
 */
static const char *space_before_number(const char *text)
{
	const char *space = strrchr(text, ' ');

	return space && space[1 + strspn(space + 1, "0123456789.")] == '\0' ? space : NULL;
}

static void put_name(FILE *stream, const char *name)
{
	const char *number = space_before_number(name);

	while (*name) {
		char character[LM_ESCAPE_MAX];
		bool joins_number = name == number;

		lm_escape_next(&name, character);
		if (character[0] == ';')
			fputc(':', stream);
		else if (joins_number)
			fputc('_', stream);
		else
			fputs(character, stream);
	}
}

static bool is_named(const char *name)
{
	return name && *name;
}

static void put_frame(FILE *stream, const struct lm_snapshot_frame *frame)
{
	fputc(';', stream);
	if (is_named(frame->function)) {
		put_name(stream, frame->function);
	} else {
		put_name(stream, is_named(frame->module) ? frame->module : "[unknown]");
		fprintf(stream, "+0x%" PRIx64, frame->offset);
	}
	if (frame->inlined)
		fputs("_[i]", stream);
}

static void put_kernel_frame(FILE *stream, const struct lm_snapshot_frame *frame)
{
	fputc(';', stream);
	put_name(stream, is_named(frame->function) ? frame->function : "[unknown]");
	fputs("_[k]", stream);
}

static void put_site(FILE *stream, const struct lm_snapshot_site *site)
{
	if (is_named(site->comm))
		put_name(stream, site->comm);
	else
		fprintf(stream, "pid_%" PRIu32, site->pid);
	for (size_t i = site->stack_len; i > 0; i--)
		put_frame(stream, &site->stack[i - 1]);
	for (size_t i = site->kernel_stack_len; i > 0; i--)
		put_kernel_frame(stream, &site->kernel_stack[i - 1]);
	if (!site->stack_len && !site->kernel_stack_len)
		fputs(";[unknown]", stream);
	fprintf(stream, " %" PRId64 "\n", site->count);
}

int lm_render_collapsed(FILE *stream, const struct lm_snapshot *snapshot, const struct lm_render_options *options)
{
	size_t sites = options->top > 0 ? (size_t)options->top : snapshot->sites_len;

	errno = 0;
	for (size_t i = 0; i < snapshot->sites_len && i < sites; i++) {
		if (snapshot->sites[i].count > 0)
			put_site(stream, &snapshot->sites[i]);
	}
	if (fflush(stream) != 0 || ferror(stream))
		return errno ? -errno : -EIO;
	return 0;
}
