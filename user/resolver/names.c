// SPDX-License-Identifier: GPL-2.0-or-later
/* A few hundred bytes of a mangled name can stand for megabytes of text: what is printed is cut while it is printed. */
#include "user/resolver/names.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

/* The demangler recurses at most as deep as the name is long: with these, in less than half of a stack of 8 MiB. */
#define MANGLED_MAX 4096

struct output {
	char *text;
	size_t len;
	jmp_buf full;
};

bool lm_name_is_mangled(const char *name)
{
	return name && (strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0);
}

void lm_name_copy(const char *from, char text[LM_TEXT_MAX + 1])
{
	size_t len = from ? strnlen(from, LM_TEXT_MAX) : 0;

	memcpy(text, from ? from : "", len);
	text[len] = '\0';
}

static void append(const char *part, size_t len, void *context)
{
	struct output *output = context;
	size_t room = LM_TEXT_MAX - output->len;

	if (!len)
		return; /* part may be NULL then */
	memcpy(output->text + output->len, part, len < room ? len : room);
	output->len += len < room ? len : room;
	if (len > room)
		longjmp(output->full, 1); /* the demangler has nothing on the heap */
}

static bool demangle(const char *symbol, char text[LM_TEXT_MAX + 1])
{
	struct output output = {.text = text};
	bool whole;

	if (setjmp(output.full)) {
		text[LM_TEXT_MAX] = '\0';
		return true;
	}
	whole = rust_demangle_callback(symbol, 0, append, &output);
	if (!whole) {
		output.len = 0;
		whole = cplus_demangle_v3_callback(symbol, DMGL_NO_RECURSE_LIMIT, append, &output);
	}
	text[whole ? output.len : 0] = '\0';
	return whole && output.len;
}

void lm_name_plain(const char *symbol, char text[LM_TEXT_MAX + 1])
{
	if (lm_name_is_mangled(symbol) && strnlen(symbol, MANGLED_MAX) < MANGLED_MAX && demangle(symbol, text))
		return;
	lm_name_copy(symbol, text);
	/* pthread_cond_wait@@GLIBC_2.3.2 */
	if (text[0] != '@')
		text[strcspn(text, "@")] = '\0';
}
