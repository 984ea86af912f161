/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks inside a library that it opened at run time: argv[1]. */
#include <dlfcn.h>

#include "blocker.h"

static void (*plugin_run)(void (*)(void));

static void nothing(void)
{
}

static NOINLINE void *dl_start(void *arg)
{
	plugin_run(arg);
	AFTER;
	return NULL;
}

int main(int argc, char **argv)
{
	void *library = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&plugin_run = dlsym(library, "plugin_run");
	for (int i = 0; i < 3; i++)
		start_thread_here(dl_start, (void *)nothing);
	printf("{\"pid\": %d, \"groups\": [{\"name\": \"plugin\", \"class\": \"pipe\", \"count\": 3, "
	       "\"chain\": [\"plugin_wait\", \"plugin_run\", \"dl_start\"]}]}\n",
		getpid());
	fflush(stdout);
	while (read(0, &(char){0}, 1) > 0)
		;
	_exit(0);
}
