// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration while it runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/daemon_state.h"
#include "user/log.h"
#include "user/output.h"

#define EXIT_FAILED 2
#define EXIT_USAGE 64

/* What the reading of it has to say is on a stream: into the log, line by line. */
static void log_lines(char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		if (strncmp(line, "leakmon: ", strlen("leakmon: ")) == 0)
			line += strlen("leakmon: ");
		if (*line)
			lm_error("%s", line);
	}
}

static bool parse_again(const struct lm_daemon *daemon, struct lm_config *config)
{
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int code;

	if (!memory) {
		lm_error("out of memory");
		return false;
	}
	code = lm_opts_parse(daemon->argc, daemon->argv, memory, config);
	fclose(memory);
	log_lines(text);
	free(text);
	return code == 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_listen(const struct lm_config *a, const struct lm_config *b)
{
	if (a->listen_len != b->listen_len)
		return false;
	for (size_t i = 0; i < a->listen_len; i++) {
		if (strcmp(a->listen[i], b->listen[i]) != 0)
			return false;
	}
	return true;
}

static bool same_pids(const struct lm_config *a, const struct lm_config *b)
{
	return a->pids_len == b->pids_len &&
	       (!a->pids_len || memcmp(a->pids, b->pids, a->pids_len * sizeof(*a->pids)) == 0);
}

/* What is fixed when the daemon starts. */
static void name_fixed(const struct lm_config *old, const struct lm_config *new)
{
	const struct {
		const char *name;
		bool same;
	} fixed[] = {
		{"pid", same_pids(old, new)},
		{"listen", same_listen(old, new)},
		{"state-dir", same_text(old->state_dir, new->state_dir)},
		{"web-config", same_text(old->web_config, new->web_config)},
		{"output", same_text(old->output, new->output) && old->format == new->format &&
				   old->writes_reports == new->writes_reports},
		{"horizon", old->horizon_ns == new->horizon_ns},
		{"min-blocked", old->min_blocked_ns == new->min_blocked_ns},
		{"kernel-threads", old->kernel_threads == new->kernel_threads},
		{"futex", old->futex == new->futex},
		{"members", old->members == new->members},
		{"retention", old->retention_ns == new->retention_ns},
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (!fixed[i].same)
			lm_warning("%s has changed: that needs a restart, until then it is as before", fixed[i].name);
	}
}

/* The rest holds from now on. */
static void take_over(struct lm_daemon *daemon, const struct lm_config *new)
{
	struct lm_config *config = daemon->config;

	config->interval_ns = new->interval_ns;
	config->min_level = new->min_level;
	config->fail_on = new->fail_on;
	config->top = new->top;
	config->verbose = new->verbose;
	config->metrics_max_series = new->metrics_max_series;
	config->cpu_limit_permille = new->cpu_limit_permille;
	config->memory_limit_bytes = new->memory_limit_bytes;
	daemon->source.max_series = new->metrics_max_series;
	daemon->budget.cpu_limit_permille = new->cpu_limit_permille;
	daemon->budget.memory_limit_bytes = new->memory_limit_bytes;
	lm_log_set_level(new->verbose ? LM_LOG_INFO : LM_LOG_NOTICE);
}

void lm_daemon_reload(struct lm_daemon *daemon)
{
	struct lm_config config;
	char why[256];

	if (!parse_again(daemon, &config)) {
		lm_error("the configuration stays as it was");
		return;
	}
	name_fixed(daemon->config, &config);
	take_over(daemon, &config);
	lm_opts_free(&config);
	if (daemon->http && lm_http_reload(daemon->http, why))
		lm_error("%s; the web configuration stays as it was", why);
	lm_notice("the configuration was read again");
}

int lm_daemon_check_config(const struct lm_config *config)
{
	char why[256];
	int error = config->web_config ? lm_http_check_web_config(config->web_config, why) : 0;

	if (error) {
		lm_error("%s", why);
		return error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	puts("the configuration is right");
	return lm_output_flush_standard("the answer") ? EXIT_FAILED : 0;
}
