// SPDX-License-Identifier: GPL-2.0-or-later
/* Which mode; nothing else. */
#include <stdio.h>
#include <string.h>

#include "user/check.h"
#include "user/daemon.h"
#include "user/doctor.h"
#include "user/log.h"
#include "user/opts.h"
#include "user/output.h"
#include "user/resolver/client.h"
#include "user/watch.h"

#define RESOLVER_SOCKET_FD 3

static int run(int argc, char **argv, struct lm_config *config)
{
	int code;

	switch (config->mode) {
	case LM_MODE_HELP:
		lm_opts_help(stdout, config->help_mode);
		return lm_output_flush_standard("the help") ? 2 : 0;
	case LM_MODE_VERSION:
		printf("leakmon %s\n", LM_VERSION);
		return lm_output_flush_standard("the version") ? 2 : 0;
	case LM_MODE_DOCTOR:
		code = lm_doctor_run(stdout);
		return lm_output_flush_standard("what works") ? 2 : code;
	case LM_MODE_CHECK:
		return lm_check_run(config);
	case LM_MODE_DAEMON:
		return lm_daemon_run(argc, argv, config);
	default:
		return lm_watch_run(config);
	}
}

int main(int argc, char **argv)
{
	struct lm_config config;
	int code;

	if (argc > 0 && strcmp(argv[0], LM_RESOLVER_ARGV0) == 0)
		return lm_resolver_worker_main(RESOLVER_SOCKET_FD);
	lm_output_hold_standard();
	code = lm_opts_parse(argc, argv, stderr, &config);
	if (code)
		return code;
	if (config.verbose)
		lm_log_set_level(LM_LOG_INFO);
	code = run(argc, argv, &config);
	lm_opts_free(&config);
	return code;
}
