/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Golden files, which RENEW=1 writes anew (tests run in the root of the repository), and a device that fills up. */
#ifndef LM_TEST_GOLDEN_H
#define LM_TEST_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>

/* "" if there is none. To be freed. */
static inline char *golden_read(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		return strdup("");
	if (getdelim(&text, &size, EOF, file) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(file);
	return text;
}

static inline void golden_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Fails, and says where the text now is, if it is not that of the file of this name. */
static inline void golden_is_met(const char *name, const char *text)
{
	const char *directory = getenv("TMPDIR");
	char path[256], actual[512], *expected;

	snprintf(path, sizeof(path), "tests/golden/%s", name);
	if (getenv("RENEW"))
		golden_write(path, text);
	expected = golden_read(path);
	if (strcmp(text, expected) != 0) {
		snprintf(actual, sizeof(actual), "%s/leakmon-%s", directory ? directory : "/tmp", name);
		golden_write(actual, text);
		fail_msg("see: diff -u %s %s", path, actual);
	}
	free(expected);
}

/* A device that is full after so many bytes, which are the cookie; unbuffered, it is met at each write. */
static inline ssize_t golden_write_limited(void *cookie, const char *bytes, size_t len)
{
	size_t *left = cookie;

	(void)bytes;
	if (len > *left) {
		errno = ENOSPC;
		*left = 0;
		return 0;
	}
	*left -= len;
	return (ssize_t)len;
}

static inline FILE *golden_limited_stream(size_t *left, bool buffered)
{
	FILE *stream = fopencookie(left, "w", (cookie_io_functions_t){.write = golden_write_limited});

	assert_non_null(stream);
	setvbuf(stream, NULL, buffered ? _IOFBF : _IONBF, 4096);
	return stream;
}

#endif
