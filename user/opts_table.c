// SPDX-License-Identifier: GPL-2.0-or-later
/* The options and modes as data, and the help that argp writes from them. */
#include "user/opts_table.h"

#include <argp.h>
#include <string.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define WATCHING (1 << LM_MODE_LIVE | 1 << LM_MODE_SNAPSHOT)
#define CHECK (1 << LM_MODE_CHECK)
#define DAEMON (1 << LM_MODE_DAEMON)
#define EVERY (WATCHING | CHECK | DAEMON | 1 << LM_MODE_DOCTOR)

const struct lm_option_row lm_option_rows[LM_OPTION_ROWS] = {
	{"What to watch:", 0, NULL, GROUP_WHAT, WATCHING | CHECK | DAEMON, NULL},
	{"pid", 'p', "LIST", GROUP_WHAT, WATCHING | DAEMON,
		"these processes, all their threads: PIDs with commas between them; may be repeated. "
		"Without it: the whole machine"},
	{"min-blocked", KEY_MIN_BLOCKED, "DUR", GROUP_WHAT, WATCHING | CHECK | DAEMON,
		"count only threads that are blocked for at least this long (default 1s)"},
	{"kernel-threads", 'k', NULL, GROUP_WHAT, WATCHING | DAEMON, "kernel threads too"},
	{"futex", KEY_FUTEX, "WHEN", GROUP_WHAT, WATCHING | CHECK | DAEMON,
		"the programs that see futex calls: auto (default) = where they tax nothing but futex calls, or "
		"with -p; on; off"},
	{"for", KEY_FOR, "DUR", GROUP_WHAT, CHECK,
		"end COMMAND after this long, if it runs so long. Without --horizon, half of it is the horizon: the "
		"shortest time in which a leak can be called likely"},
	{"Findings:", 0, NULL, GROUP_JUDGE, WATCHING | CHECK | DAEMON, NULL},
	{"horizon", KEY_HORIZON, "DUR", GROUP_JUDGE, WATCHING | CHECK | DAEMON,
		"the shortest history over which growth may be called likely (default 30m); every time constant of "
		"the verdicts scales with it"},
	{"min-level", KEY_MIN_LEVEL, "LEVEL", GROUP_JUDGE, WATCHING | CHECK | DAEMON,
		"show findings from this level: suspect (default), likely or confirmed"},
	{"fail-on", KEY_FAIL_ON, "LEVEL", GROUP_JUDGE, WATCHING | CHECK | DAEMON,
		"exit 1 if there was a finding from this level (check: likely unless it is given)"},
	{"Output:", 0, NULL, GROUP_OUTPUT, WATCHING | CHECK | DAEMON, NULL},
	{"json", 'j', NULL, GROUP_OUTPUT, WATCHING | CHECK | DAEMON,
		"the same as --format json (check: into the FILE of -o)"},
	{"format", KEY_FORMAT, "FMT", GROUP_OUTPUT, WATCHING | CHECK | DAEMON,
		"text (default; check: json); json: one report a line; collapsed: stacks for flame graphs; pprof: for "
		"go tool pprof; speedscope. Of the last two a file holds one report, the last"},
	{"output", 'o', "FILE", GROUP_OUTPUT, WATCHING | CHECK | DAEMON,
		"write there instead of standard output, to a temporary file beside it that replaces it at the end"},
	{"top", KEY_TOP, "N", GROUP_OUTPUT, WATCHING | CHECK | DAEMON,
		"show N sites, 0 = all (default: 20 in text, all in the other formats)"},
	{"members", KEY_MEMBERS, "N", GROUP_OUTPUT, WATCHING | CHECK | DAEMON,
		"threads listed for each site in JSON (default 5)"},
	{"color", KEY_COLOR, "WHEN", GROUP_OUTPUT, WATCHING | CHECK | DAEMON,
		"auto (default) = on a terminal, unless NO_COLOR is set; always; never. Only text has any"},
	{"The daemon:", 0, NULL, GROUP_DAEMON, DAEMON, NULL},
	{"config", KEY_CONFIG, "FILE", GROUP_DAEMON, DAEMON,
		"read the options from this file (YAML, the keys are the long options); the command line wins"},
	{"check-config", KEY_CHECK_CONFIG, NULL, GROUP_DAEMON, DAEMON,
		"only check the files of --config and --web-config, and exit"},
	{"interval", KEY_INTERVAL, "DUR", GROUP_DAEMON, DAEMON, "the time between reports (default 10s)"},
	{"listen", KEY_LISTEN, "ADDR:PORT", GROUP_DAEMON, DAEMON,
		"serve HTTP there (default " LM_LISTEN_DEFAULT "); may be repeated; \":PORT\" = on every address"},
	{"web-config", KEY_WEB_CONFIG, "FILE", GROUP_DAEMON, DAEMON,
		"TLS and basic auth: a web configuration file of the Prometheus exporter-toolkit"},
	{"metrics-max-series", KEY_MAX_SERIES, "N", GROUP_DAEMON, DAEMON, "the most series in /metrics (default 500)"},
	{"state-dir", KEY_STATE_DIR, "DIR", GROUP_DAEMON, DAEMON,
		"where the history is kept (default /var/lib/leakmon)"},
	{"retention", KEY_RETENTION, "DUR", GROUP_DAEMON, DAEMON, "how long it is kept (default 30d, at least 1m)"},
	{"cpu-limit", KEY_CPU_LIMIT, "PERCENT", GROUP_DAEMON, DAEMON,
		"the most of one CPU that it uses, by looking more rarely (default 2, 0 = no limit)"},
	{"memory-limit", KEY_MEMORY_LIMIT, "SIZE", GROUP_DAEMON, DAEMON,
		"the most memory that it uses, by giving up file names and lines, then history (default 512M, at least "
		"16M; 0 = no limit)"},
	{"Other:", 0, NULL, GROUP_ABOUT, EVERY, NULL},
	{"verbose", 'v', NULL, GROUP_ABOUT, EVERY, "say on standard error what is done"},
	{"help", 'h', NULL, GROUP_ABOUT, EVERY, "this text, or with a mode the help of that mode"},
	{"version", 'V', NULL, GROUP_ABOUT, EVERY, "the version"},
};

const struct lm_mode_row lm_mode_rows[] = {
	{NULL, LM_MODE_LIVE,
		"[OPTION...] [INTERVAL [COUNT]]\nsnapshot [OPTION...]\n"
		"check [OPTION...] -- COMMAND [ARG...]\ndaemon [OPTION...]\ndoctor [OPTION...]",
		"leakmon shows which stacks hold blocked threads that came and never left, since\n"
		"when, and on what they wait.\n\n"
		"Without a mode: the live view of the machine, worst first; with INTERVAL (1,\n"
		"500ms, 2s, 1m) a report every INTERVAL, COUNT times. Modes:\n"
		"  snapshot   one report from one look, then exit\n"
		"  check      run a command, watch it and all that it starts, exit 1 if it leaks\n"
		"  daemon     runs for ever: history, HTTP, metrics\n"
		"  doctor     what works on this machine, what does not, and what mends it",
		"DUR and INTERVAL: 500ms, 2s, 1m, 1h, 2d; a number alone is seconds.\n\n"
		"Exit codes:\n"
		"  0   it did its work\n"
		"  1   with --fail-on: there was a finding from that level\n"
		"  2   it failed: the message says what, and why\n"
		"  64  wrong usage\n"
		"  77  no privilege for it, or the kernel lacks a feature: the message says which\n\n"
		"Examples:\n"
		"  sudo leakmon -p 1234,5678\n"
		"  sudo leakmon snapshot --json --fail-on likely -o report.json"},
	{"snapshot", LM_MODE_SNAPSHOT, "snapshot [OPTION...]",
		"One report from one look at the threads, then exit. It never waits for an\n"
		"interval: what it says of the past it knows from when each thread was started\n"
		"and last ran.",
		"DUR: 500ms, 2s, 1m, 1h, 2d; a number alone is seconds.\n\n"
		"Exit codes: 0, 1 with --fail-on and a finding from that level, 2 it failed,\n"
		"64 wrong usage, 77 no privilege, or a kernel that lacks a feature.\n\n"
		"Examples:\n"
		"  sudo leakmon snapshot\n"
		"  sudo leakmon snapshot -p 1234 --format collapsed > stacks.txt\n"
		"  sudo leakmon snapshot --format pprof -o blocked.pb.gz"},
	{"check", LM_MODE_CHECK, "check [OPTION...] -- COMMAND [ARG...]",
		"Runs COMMAND as the user who called sudo, watches it and all that it starts, and\n"
		"exits 1 if they leak or lock up: for the last line of a CI job. Findings are\n"
		"printed on standard error; COMMAND keeps its input and output. Signals go on to it.\n"
		"With -o FILE the whole report is written there, as JSON without --format.",
		"DUR: 500ms, 2s, 1m, 1h, 2d; a number alone is seconds. A run of minutes wants a\n"
		"--horizon of half a minute or so, or --for.\n\n"
		"Exit codes: 1 there was a finding from the level of --fail-on; else COMMAND's own\n"
		"(128 + N when signal N ended it; 0 when --for did), 127 it was not found, 126 it\n"
		"could not be run, 2 leakmon failed, 64 wrong usage, 77 no privilege, or a kernel\n"
		"that lacks a feature.\n\n"
		"Examples:\n"
		"  sudo leakmon check --horizon 20s -- ./integration-tests\n"
		"  sudo leakmon check --for 2m -- ./server --port 8080"},
	{"daemon", LM_MODE_DAEMON, "daemon [OPTION...]",
		"Runs until it is told to end (SIGTERM): looks every second, keeps a history, and\n"
		"serves a page, metrics, profiles and JSON over HTTP on " LM_LISTEN_DEFAULT ".\n"
		"SIGHUP reads the configuration again, SIGUSR1 logs a report. With --format, -j or\n"
		"-o each report is also written to standard output, or replaces FILE.",
		"DUR: 500ms, 2s, 1m, 1h, 2d; a number alone is seconds. SIZE: 64M, 2G.\n\n"
		"Exit codes: 0 it was told to end (1 with --fail-on and a finding from that level),\n"
		"2 it failed, 64 wrong usage or configuration, 77 no privilege, or a kernel that\n"
		"lacks a feature.\n\n"
		"Examples:\n"
		"  sudo leakmon daemon\n"
		"  sudo leakmon daemon --config /etc/leakmon/leakmon.yml --check-config\n"
		"  sudo leakmon daemon --listen :9469 --web-config /etc/leakmon/web.yml"},
	{"doctor", LM_MODE_DOCTOR, "doctor [OPTION...]",
		"Says what of leakmon works on this machine, what does not, what that costs, and\n"
		"what mends it.",
		"Exit codes: 0 where leakmon can work, 77 where it cannot, 2 it failed, 64 wrong\n"
		"usage.\n\n"
		"Examples:\n"
		"  leakmon doctor\n"
		"  sudo leakmon doctor"},
};

const size_t lm_mode_rows_len = ARRAY_LEN(lm_mode_rows);

/* Each line of the synopsis is a way to call it. */
static void write_synopsis(FILE *stream, const char *synopsis)
{
	const char *lead = "Usage:";

	while (*synopsis) {
		size_t len = strcspn(synopsis, "\n");

		fprintf(stream, "%6s leakmon %.*s\n", lead, (int)len, synopsis);
		lead = "or:";
		synopsis += len + (synopsis[len] == '\n');
	}
}

void lm_opts_help(FILE *stream, enum lm_mode mode)
{
	struct argp_option options[LM_OPTION_ROWS + 1], *option = options;
	const struct lm_mode_row *mode_row = &lm_mode_rows[0];
	struct argp argp = {.options = options};
	char name[] = "leakmon";

	for (size_t i = 0; i < lm_mode_rows_len; i++) {
		if (lm_mode_rows[i].mode == mode)
			mode_row = &lm_mode_rows[i];
	}
	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		const struct lm_option_row *row = &lm_option_rows[i];

		if (!(row->modes & 1 << mode_row->mode))
			continue;
		*option++ = row->key
				    ? (struct argp_option){row->name, row->key, row->argument, 0, row->help, row->group}
				    : (struct argp_option){.doc = row->name, .group = row->group};
	}
	*option = (struct argp_option){0};
	write_synopsis(stream, mode_row->synopsis);
	fprintf(stream, "\n%s\n\n", mode_row->about);
	argp_help(&argp, stream, ARGP_HELP_LONG, name);
	fprintf(stream, "\n%s\n", mode_row->after);
}
