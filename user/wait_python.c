// SPDX-License-Identifier: GPL-2.0-or-later
/* Files and functions of CPython 3.8 to 3.13's standard library. Names of functions are qualified since 3.11. */
#include "user/wait_python.h"

#include <stdio.h>
#include <string.h>

#include "user/waits.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT_BYTES 256 /* no name of a worker is as long */

static bool begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

bool lm_wait_is_interpreter(const struct lm_frame *frame)
{
	const char *name = frame->module->name;

	return !frame->python && (begins_with(name, "python3") || begins_with(name, "libpython3"));
}

static const char *name_of(const struct lm_frame *frame)
{
	return frame->functions_len && frame->functions[0].name ? frame->functions[0].name : "";
}

/* The path below the standard library's folder ("queue.py" of /usr/lib/python3.11/queue.py); NULL if it is not there.
 */
static const char *library_path(const struct lm_frame *frame)
{
	static const char folder[] = "/python3.";
	const char *path = frame->functions_len ? frame->functions[0].file : NULL, *found = NULL;

	while (path && (path = strstr(path, folder))) {
		path += sizeof(folder) - 1;
		found = path;
	}
	if (!found)
		return NULL;
	found += strspn(found, "0123456789");
	return *found == '/' ? found + 1 : NULL;
}

/* Files, and folders with all that is in them. */
static bool only_waits(const struct lm_frame *frame)
{
	static const char *const files[] = {"threading.py", "queue.py", "selectors.py", "socket.py", "ssl.py",
		"socketserver.py", "subprocess.py", "signal.py", "concurrent/futures/", "asyncio/", "multiprocessing/"};
	const char *path = library_path(frame);

	for (size_t i = 0; path && i < ARRAY_LEN(files); i++) {
		if (files[i][strlen(files[i]) - 1] == '/' ? begins_with(path, files[i]) : strcmp(path, files[i]) == 0)
			return true;
	}
	return false;
}

static bool only_starts(const struct lm_frame *frame)
{
	static const char *const names[] = {
		"Thread._bootstrap", "Thread._bootstrap_inner", "Thread.run", "_bootstrap", "_bootstrap_inner", "run"};
	const char *path = library_path(frame);

	if (!path || strcmp(path, "threading.py") != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name_of(frame), names[i]) == 0)
			return true;
	}
	return false;
}

bool lm_wait_python_leaf(const struct lm_stack *stack, size_t *leaf)
{
	bool found = false;

	for (size_t i = 0; i < stack->frames_len; i++) {
		const struct lm_frame *frame = stack->frames[i];

		if (!frame->python || (found && only_starts(frame)))
			continue;
		*leaf = i;
		found = true;
		if (!only_waits(frame))
			break;
	}
	return found;
}

bool lm_wait_is_idle_python(const struct lm_stack *stack)
{
	char text[TEXT_BYTES];

	for (size_t i = 0; i < stack->frames_len; i++) {
		const struct lm_frame *frame = stack->frames[i];
		const char *path = library_path(frame);

		if (!frame->python)
			continue;
		/* as CPython's perf maps have it */
		snprintf(text, sizeof(text), "py::%s:%s", name_of(frame), path ? path : "");
		return lm_wait_is_idle_worker(text);
	}
	return false;
}
