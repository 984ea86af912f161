// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of kernel functions. A kernel has 60,000 to 150,000 of them: an array
 * sorted by address, and a pool of names. The text is parsed by hand: 122,000
 * symbols take 45 ms so, of which the kernel takes 38, and 90 with fgets and strtoull.
 */
#include "user/ksyms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/lines.h"

#define SYMBOLS_MAX (4u << 20)
#define NAMES_BYTES_MAX (128u << 20) /* all that fits into these bounds fits into 32 bits */
/* The largest has 21 KiB (6.18); what is farther from the symbol before it is in code that has no symbols. */
#define FUNCTION_BYTES_MAX (1u << 18)

struct symbol {
	uint64_t address;
	uint32_t name; /* where in the pool */
} __attribute__((packed, aligned(4)));

struct lm_ksyms {
	struct symbol *symbols;
	char *names;
	size_t len, symbols_room, names_len, names_room;
	bool hidden; /* a function at address 0 was there */
};

/* Room for one more of size bytes behind used. */
static int grow(void **array, size_t *room, size_t used, size_t size, size_t max)
{
	size_t wanted = *room;
	void *grown;

	if (used + size > max)
		return -E2BIG;
	while (wanted < used + size)
		wanted = wanted ? wanted * 2 : 1 << 20;
	if (wanted == *room)
		return 0;
	grown = realloc(*array, wanted);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = wanted;
	return 0;
}

static int add_symbol(struct lm_ksyms *ksyms, uint64_t address, const char *name, size_t name_len)
{
	void *symbols = ksyms->symbols, *names = ksyms->names;
	int error = grow(&symbols, &ksyms->symbols_room, ksyms->len * sizeof(struct symbol), sizeof(struct symbol),
		SYMBOLS_MAX * sizeof(struct symbol));

	ksyms->symbols = symbols;
	if (error)
		return error;
	error = grow(&names, &ksyms->names_room, ksyms->names_len, name_len + 1, NAMES_BYTES_MAX);
	ksyms->names = names;
	if (error)
		return error;
	ksyms->symbols[ksyms->len++] = (struct symbol){.address = address, .name = ksyms->names_len};
	memcpy(ksyms->names + ksyms->names_len, name, name_len);
	ksyms->names_len += name_len;
	ksyms->names[ksyms->names_len++] = 0;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "ffffffff81000000 T _text" or "… t name\t[module]". Other lines are left out. */
static int take_line(const char *line, enum lm_line_end end, void *context)
{
	struct lm_ksyms *ksyms = context;
	uint64_t address = 0;
	const char *at = line;
	size_t name_len;

	/* no kernel writes such a line */
	if (end == LM_LINE_TOO_LONG)
		return -EBADMSG;
	for (; hex_digit(*at) >= 0 && at - line < 16; at++)
		address = address << 4 | hex_digit(*at);
	if (at == line || at[0] != ' ' || !strchr("tTwW", at[1]) || at[1] == 0 || at[2] != ' ')
		return 0;
	at += 3;
	name_len = strcspn(at, " \t");
	if (!name_len)
		return 0;
	if (!address) {
		ksyms->hidden = true;
		return 0;
	}
	return add_symbol(ksyms, address, at, name_len);
}

/* By address; of several at one address the first in the file comes first, which is the one that the kernel prefers. */
static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static bool is_sorted(const struct lm_ksyms *ksyms)
{
	for (size_t i = 1; i < ksyms->len; i++) {
		if (ksyms->symbols[i - 1].address > ksyms->symbols[i].address)
			return false;
	}
	return true;
}

/* Gives back what was allocated ahead. */
static void trim(struct lm_ksyms *ksyms)
{
	struct symbol *symbols = realloc(ksyms->symbols, ksyms->len * sizeof(*symbols));
	char *names = realloc(ksyms->names, ksyms->names_len);

	ksyms->symbols = symbols ? symbols : ksyms->symbols;
	ksyms->names = names ? names : ksyms->names;
}

int lm_ksyms_load(const char *path, struct lm_ksyms **out)
{
	struct lm_ksyms *ksyms = calloc(1, sizeof(*ksyms));
	int fd, error;

	if (!ksyms)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		error = -errno;
		goto free_ksyms;
	}
	error = lm_lines_read(fd, take_line, ksyms);
	close(fd);
	if (!error && !ksyms->len)
		error = ksyms->hidden ? -EPERM : -ENODATA;
	if (error)
		goto free_ksyms;
	trim(ksyms);
	if (!is_sorted(ksyms))
		qsort(ksyms->symbols, ksyms->len, sizeof(ksyms->symbols[0]), compare_symbols);
	*out = ksyms;
	return 0;
free_ksyms:
	lm_ksyms_free(ksyms);
	return error;
}

void lm_ksyms_free(struct lm_ksyms *ksyms)
{
	if (!ksyms)
		return;
	free(ksyms->symbols);
	free(ksyms->names);
	free(ksyms);
}

const char *lm_ksyms_find(const struct lm_ksyms *ksyms, uint64_t address, uint64_t *offset)
{
	size_t low = 0, high = ksyms->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ksyms->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - ksyms->symbols[low - 1].address >= FUNCTION_BYTES_MAX)
		return NULL;
	for (low--; low && ksyms->symbols[low - 1].address == ksyms->symbols[low].address;)
		low--;
	*offset = address - ksyms->symbols[low].address;
	return ksyms->names + ksyms->symbols[low].name;
}
