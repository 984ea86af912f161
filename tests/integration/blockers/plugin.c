/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library that dl.c opens. */
#include "blocker.h"

static int plugin_fds[2];

static NOINLINE void plugin_wait(void)
{
	char byte;
	ssize_t got = read(plugin_fds[0], &byte, 1); /* WAIT:plugin */

	must(got == 1, "read");
}

NOINLINE void plugin_run(void (*back)(void));

NOINLINE void plugin_run(void (*back)(void))
{
	must(!pipe(plugin_fds), "pipe");
	back();
	plugin_wait();
	AFTER;
}
