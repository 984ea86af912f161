// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line as data: getopt_long reads it by the table of opts_table.c. (argp_parse
 * cannot tell a caller which word was wrong.)
 */
#include "user/opts.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "user/opts_state.h"

#define NS_PER_S 1000000000ull
#define MEMBERS_DEFAULT 5

/* The daemon's own defaults. */
#define DAEMON_INTERVAL_NS (10 * NS_PER_S)
#define STATE_DIR "/var/lib/leakmon"
#define MAX_SERIES 500
#define RETENTION_NS (30 * 86400 * NS_PER_S)
#define CPU_LIMIT_PERMILLE 20
#define MEMORY_LIMIT_BYTES (512ull << 20)

static const struct lm_mode_row *find_mode(const char *word)
{
	for (size_t i = 0; i < lm_mode_rows_len; i++) {
		if (lm_mode_rows[i].word && strcmp(lm_mode_rows[i].word, word) == 0)
			return &lm_mode_rows[i];
	}
	return NULL;
}

static int take_interval(struct lm_opts_parser *parser, const char *word)
{
	uint64_t ns;
	int error = lm_opts_parse_duration(word, &ns);

	if (error == -EINVAL)
		return lm_opts_complain(parser,
			"\"%s\" is neither a mode (snapshot, check, daemon, doctor) nor an interval (1, 500ms, 2s, 1m)",
			word);
	if (error)
		return lm_opts_complain(parser, "\"%s\" is too long an interval", word);
	if (ns < LM_OPTS_INTERVAL_MIN_NS)
		return lm_opts_complain(parser, "\"%s\" is too short an interval: give at least 10ms", word);
	parser->config.interval_ns = ns;
	parser->have_interval = true;
	return 0;
}

/* A word that is no option: a mode, INTERVAL or COUNT. */
static int take_word(struct lm_opts_parser *parser, const char *word)
{
	const struct lm_mode_row *mode = find_mode(word);

	if (parser->mode && parser->mode->mode == LM_MODE_CHECK)
		return lm_opts_complain(
			parser, "\"%s\": the command comes after \"--\", as in leakmon check -- ./server", word);
	if (parser->mode)
		return lm_opts_complain(parser,
			"\"%s\": %s takes no further words, only options: see leakmon %s --help", word,
			parser->mode->word, parser->mode->word);
	if (mode && parser->have_interval)
		return lm_opts_complain(parser, "\"%s\": this mode takes no interval", word);
	if (mode) {
		parser->mode = mode;
		return 0;
	}
	if (!parser->have_interval)
		return take_interval(parser, word);
	if (parser->config.count)
		return lm_opts_complain(
			parser, "\"%s\" is one word too many: after INTERVAL and COUNT only options may come", word);
	if (lm_opts_number(word, strlen(word), &parser->config.count) || !parser->config.count)
		return lm_opts_complain(parser, "\"%s\" is not a number of reports: give 1 or more", word);
	return 0;
}

/* Fills what getopt_long wants to know of the table. */
static void fill_getopt(char *shorts, struct option *longs)
{
	/* '-': words come in their place, whatever POSIXLY_CORRECT says; ':': we speak ourselves */
	*shorts++ = '-';
	*shorts++ = ':';
	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		const struct lm_option_row *row = &lm_option_rows[i];

		if (!row->key)
			continue;
		*longs++ = (struct option){row->name, row->argument ? required_argument : no_argument, NULL, row->key};
		if (row->key >= KEY_FORMAT)
			continue;
		*shorts++ = row->key;
		if (row->argument)
			*shorts++ = ':';
	}
	*shorts = 0;
	*longs = (struct option){0};
}

static const struct lm_option_row *find_option(int key)
{
	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		if (lm_option_rows[i].key && lm_option_rows[i].key == key)
			return &lm_option_rows[i];
	}
	return NULL;
}

/* Says what getopt_long did not like. word is the last one that it took; optopt the option if it knows that. */
static int complain_of_option(const struct lm_opts_parser *parser, int result, const char *word)
{
	const struct lm_option_row *row = find_option(optopt);
	size_t len = strcspn(word, "="), matches = 0;
	char option[32];

	if (result == ':' && row)
		return lm_opts_complain(
			parser, "%s wants a value, %s", lm_opts_name(parser, row, option), row->argument);
	if (row)
		return lm_opts_complain(parser, "\"%s\": --%s takes no value", word, row->name);
	if (optopt)
		return lm_opts_complain(parser, "-%c is not an option: see leakmon --help", optopt);
	for (size_t i = 0; i < LM_OPTION_ROWS; i++)
		matches += len > 2 && lm_option_rows[i].key && strncmp(lm_option_rows[i].name, word + 2, len - 2) == 0;
	if (matches > 1)
		return lm_opts_complain(
			parser, "\"%s\" may mean several options: write it in full, see leakmon --help", word);
	return lm_opts_complain(parser, "\"%s\" is not an option: see leakmon --help", word);
}

/* What comes after "--". */
static int take_command(struct lm_opts_parser *parser, char **words, bool is_marked)
{
	bool asks = parser->config.mode == LM_MODE_HELP || parser->config.mode == LM_MODE_VERSION;

	if (asks)
		return 0;
	if (!is_marked || !*words)
		return lm_opts_complain(
			parser, "check wants a command to run after \"--\", as in leakmon check -- ./server");
	parser->config.command = words;
	return 0;
}

bool lm_opts_is_used(const struct lm_opts_parser *parser, int key)
{
	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		if (lm_option_rows[i].key == key)
			return parser->used & 1ull << i;
	}
	return false;
}

/* The defaults that check has of its own. */
static void set_check_defaults(struct lm_opts_parser *parser)
{
	if (!lm_opts_is_used(parser, KEY_FORMAT))
		parser->config.format = LM_FORMAT_JSON;
	if (!lm_opts_is_used(parser, KEY_FAIL_ON))
		parser->config.fail_on = LM_LEVEL_LIKELY;
	if (parser->config.for_ns && !lm_opts_is_used(parser, KEY_HORIZON))
		parser->config.horizon_ns = parser->config.for_ns / 2;
}

static int parse_words(struct lm_opts_parser *parser, int argc, char **argv)
{
	char shorts[2 * LM_OPTION_ROWS + 3];
	struct option longs[LM_OPTION_ROWS + 1];
	int key, code = 0;

	fill_getopt(shorts, longs);
	optind = 0; /* glibc: from the beginning */
	opterr = 0;
	while (!code && (key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct lm_option_row *row = find_option(key);

		if (key == 1) {
			code = take_word(parser, optarg);
		} else if (row) {
			parser->used |= 1ull << (row - lm_option_rows);
			code = lm_opts_take(parser, row, optarg);
		} else {
			code = complain_of_option(parser, key, argv[optind - 1]);
		}
	}
	if (!code && parser->mode && parser->mode->mode == LM_MODE_CHECK)
		return take_command(parser, argv + optind, optind > 1 && strcmp(argv[optind - 1], "--") == 0);
	while (!code && optind < argc)
		code = take_word(parser, argv[optind++]);
	return code;
}

/* Why an option that all other watching modes take makes no sense with check. */
static const char *why_not_with_check(const struct lm_option_row *row)
{
	switch (row->key) {
	case 'p':
		return "check watches the command and what it starts: -p does not go with it";
	case 'k':
		return "check watches the command and what it starts, which are no kernel threads: -k does not go with "
		       "it";
	default:
		return NULL;
	}
}

static int check_modes(const struct lm_opts_parser *parser, enum lm_mode mode)
{
	char option[32];

	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		const struct lm_option_row *row = &lm_option_rows[i];
		const char *why = mode == LM_MODE_CHECK ? why_not_with_check(row) : NULL;

		if (!(parser->used & 1ull << i) || row->modes & 1 << mode)
			continue;
		if (why)
			return lm_opts_complain(parser, "%s", why);
		return lm_opts_complain(parser, "%s does not go with %s: see leakmon %s --help",
			lm_opts_name(parser, row, option), parser->mode->word, parser->mode->word);
	}
	return 0;
}

int lm_opts_parse(int argc, char **argv, FILE *errors, struct lm_config *config)
{
	struct lm_opts_parser parser = {
		.errors = errors,
		.config =
			{
				.mode = LM_MODE_LIVE,
				.interval_ns = NS_PER_S,
				.min_blocked_ns = NS_PER_S,
				.horizon_ns = 30 * 60 * NS_PER_S,
				.top = -1,
				.members = MEMBERS_DEFAULT,
				.min_level = LM_LEVEL_SUSPECT,
				.state_dir = STATE_DIR,
				.metrics_max_series = MAX_SERIES,
				.retention_ns = RETENTION_NS,
				.cpu_limit_permille = CPU_LIMIT_PERMILLE,
				.memory_limit_bytes = MEMORY_LIMIT_BYTES,
			},
	};
	int code = parse_words(&parser, argc, argv);
	enum lm_mode mode = parser.mode ? parser.mode->mode : LM_MODE_LIVE;

	if (!code)
		code = check_modes(&parser, mode);
	if (!code && mode == LM_MODE_DAEMON && !lm_opts_is_used(&parser, KEY_INTERVAL))
		parser.config.interval_ns = DAEMON_INTERVAL_NS;
	if (!code && parser.config.config_file && parser.config.mode == LM_MODE_LIVE)
		code = lm_opts_take_file(&parser);
	if (!code && mode == LM_MODE_CHECK && parser.config.writes_reports && !parser.config.output)
		code = lm_opts_complain(&parser, "check %s wants -o FILE: standard output is the command's",
			lm_opts_is_used(&parser, 'j') ? "-j" : "--format");
	if (code) {
		lm_opts_free(&parser.config);
		return code;
	}
	if (mode == LM_MODE_CHECK)
		set_check_defaults(&parser);
	parser.config.help_mode = mode;
	/* --help and --version have set their own */
	if (parser.config.mode == LM_MODE_LIVE)
		parser.config.mode = parser.have_interval ? LM_MODE_INTERVAL : mode;
	*config = parser.config;
	return 0;
}

void lm_opts_free(struct lm_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->texts_len; i++)
		free(config->texts[i]);
	free(config->texts);
	free(config->listen);
	free(config->pids);
	*config = (struct lm_config){0};
}
