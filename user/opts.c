// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line as data: getopt_long reads it by the table of opts_table.c. (argp_parse
 * cannot tell a caller which word was wrong.)
 */
#include "user/opts.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/opts_table.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define EXIT_FAILED 2
#define EXIT_USAGE 64
#define DIGITS "0123456789"
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define INTERVAL_MIN_NS (10 * NS_PER_MS) /* a look at 2,000 threads takes some 6 ms */
#define PID_LIMIT 4194304                /* PID_MAX_LIMIT of the kernel, include/linux/threads.h */
#define MEMBERS_DEFAULT 5

struct choice {
	const char *word;
	int value;
};

static const struct choice formats[] = {{"text", LM_FORMAT_TEXT}, {"json", LM_FORMAT_JSON},
	{"collapsed", LM_FORMAT_COLLAPSED}, {"pprof", LM_FORMAT_PPROF}, {"speedscope", LM_FORMAT_SPEEDSCOPE},
	{NULL, 0}};
static const struct choice futex_modes[] = {
	{"auto", LM_FUTEX_AUTO}, {"on", LM_FUTEX_ON}, {"off", LM_FUTEX_OFF}, {NULL, 0}};
static const struct choice colors[] = {
	{"auto", LM_COLOR_AUTO}, {"always", LM_COLOR_ALWAYS}, {"never", LM_COLOR_NEVER}, {NULL, 0}};
static const struct choice levels[] = {
	{"suspect", LM_LEVEL_SUSPECT}, {"likely", LM_LEVEL_LIKELY}, {"confirmed", LM_LEVEL_CONFIRMED}, {NULL, 0}};

/* One reading of argv. */
struct parser {
	FILE *errors;
	struct lm_config config;
	const struct lm_mode_row *mode; /* NULL: no mode word yet */
	bool have_interval;
	uint32_t used; /* bits of lm_option_rows that were there */
};

static_assert(LM_OPTION_ROWS <= 32, "a bit for each option");

/* One line for errors, control characters escaped. Returns the exit code. */
static int complain(const struct parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int complain(const struct parser *parser, const char *format, ...)
{
	char *text;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0) {
		fputs("leakmon: out of memory\n", parser->errors);
		return EXIT_FAILED;
	}
	fputs("leakmon: ", parser->errors);
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			fprintf(parser->errors, "\\x%02x", *c);
		else
			fputc(*c, parser->errors);
	}
	fputc('\n', parser->errors);
	free(text);
	return EXIT_USAGE;
}

/* As a person writes it: "-p", "--top". */
static const char *option_text(const struct lm_option_row *row, char text[32])
{
	if (row->key < KEY_FORMAT)
		snprintf(text, 32, "-%c", row->key);
	else
		snprintf(text, 32, "--%s", row->name);
	return text;
}

/* A whole number of decimal digits and nothing else. -EINVAL, -ERANGE. */
static int parse_number(const char *text, size_t len, uint64_t *value)
{
	uint64_t sum = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
	}
	for (size_t i = 0; i < len; i++) {
		if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, text[i] - '0', &sum))
			return -ERANGE;
	}
	*value = sum;
	return 0;
}

/* Nanoseconds of a unit, 0 if there is no such unit. */
static uint64_t unit_ns(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"", NS_PER_S}, {"us", 1000}, {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S},
		{"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(unit, units[i].name) == 0)
			return units[i].ns;
	}
	return 0;
}

int lm_opts_parse_duration(const char *text, uint64_t *ns)
{
	size_t whole_len = strspn(text, DIGITS), part_len = 0;
	const char *unit_text = text + whole_len;
	uint64_t whole, unit, scale, sum;
	int error;

	if (*unit_text == '.') {
		part_len = strspn(++unit_text, DIGITS);
		unit_text += part_len;
		if (!part_len)
			return -EINVAL;
	}
	unit = unit_ns(unit_text);
	if (!unit || !whole_len)
		return -EINVAL;
	error = parse_number(text, whole_len, &whole);
	if (error)
		return error;
	if (__builtin_mul_overflow(whole, unit, &sum))
		return -ERANGE;
	scale = unit;
	for (size_t i = 0; i < part_len && scale >= 10; i++) {
		scale /= 10; /* what the units do not divide is far below what anybody can mean */
		if (__builtin_add_overflow(sum, (text[whole_len + 1 + i] - '0') * scale, &sum))
			return -ERANGE;
	}
	*ns = sum;
	return 0;
}

static int take_duration(const struct parser *parser, const struct lm_option_row *row, const char *text, uint64_t *ns)
{
	char option[32];
	int error = lm_opts_parse_duration(text, ns);

	if (error)
		return complain(parser, "%s: \"%s\" is %s: give one as in 500ms, 2s, 1m, 1h, 2d",
			option_text(row, option), text, error == -ERANGE ? "too long a duration" : "not a duration");
	return 0;
}

static int take_choice(const struct parser *parser, const struct lm_option_row *row, const char *text,
	const struct choice *choices, int *value)
{
	char option[32], all[128] = "";
	size_t i;

	for (i = 0; choices[i].word; i++) {
		if (strcmp(text, choices[i].word) == 0) {
			*value = choices[i].value;
			return 0;
		}
	}
	for (i = 0; choices[i].word; i++) {
		if (i)
			strcat(all, choices[i + 1].word ? ", " : " or ");
		strcat(all, choices[i].word);
	}
	return complain(parser, "%s: \"%s\" is not known: give %s", option_text(row, option), text, all);
}

static int take_number(const struct parser *parser, const struct lm_option_row *row, const char *text, int *value)
{
	char option[32];
	uint64_t number;

	if (parse_number(text, strlen(text), &number) || number > INT_MAX)
		return complain(
			parser, "%s: \"%s\" is not a number from 0 to %d", option_text(row, option), text, INT_MAX);
	*value = number;
	return 0;
}

static int add_pid(struct parser *parser, pid_t pid)
{
	struct lm_config *config = &parser->config;
	pid_t *grown;

	for (size_t i = 0; i < config->pids_len; i++) {
		if (config->pids[i] == pid)
			return 0;
	}
	grown = reallocarray(config->pids, config->pids_len + 1, sizeof(*grown));
	if (!grown) {
		complain(parser, "out of memory");
		return EXIT_FAILED;
	}
	config->pids = grown;
	config->pids[config->pids_len++] = pid;
	return 0;
}

static int take_pids(struct parser *parser, const char *list)
{
	const char *word = list;

	for (;;) {
		size_t len = strcspn(word, ",");
		bool is_alone = word == list && !word[len];
		uint64_t pid;
		int error = parse_number(word, len, &pid);

		if (!error && (pid < 1 || pid > PID_LIMIT))
			error = -ERANGE;
		if (error)
			return complain(parser, "-p: \"%.*s\"%s%s%s is not a PID: give numbers%s, as in -p 1234,5678",
				(int)len, word, is_alone ? "" : " in \"", is_alone ? "" : list, is_alone ? "" : "\"",
				error == -ERANGE ? " from 1 to 4194304" : "");
		error = add_pid(parser, pid);
		if (error || !word[len])
			return error;
		word += len + 1;
	}
}

static int take_output(struct parser *parser, const char *text)
{
	if (!*text)
		return complain(parser, "-o: \"\" is not the name of a file");
	parser->config.output = text;
	return 0;
}

static int take_horizon(struct parser *parser, const struct lm_option_row *row, const char *text)
{
	int code = take_duration(parser, row, text, &parser->config.horizon_ns);

	if (!code && !parser->config.horizon_ns)
		return complain(parser, "--horizon: \"%s\" is no time at all: give one as in 60s, 30m, 1d", text);
	return code;
}

static int take_option(struct parser *parser, const struct lm_option_row *row, const char *argument)
{
	struct lm_config *config = &parser->config;
	int value = 0, code = 0;

	switch (row->key) {
	case 'p':
		return take_pids(parser, argument);
	case 'o':
		return take_output(parser, argument);
	case 'j':
		config->format = LM_FORMAT_JSON;
		return 0;
	case 'k':
		config->kernel_threads = true;
		return 0;
	case 'v':
		config->verbose = true;
		return 0;
	case KEY_MIN_BLOCKED:
		return take_duration(parser, row, argument, &config->min_blocked_ns);
	case KEY_HORIZON:
		return take_horizon(parser, row, argument);
	case KEY_TOP:
		return take_number(parser, row, argument, &config->top);
	case KEY_MEMBERS:
		return take_number(parser, row, argument, &config->members);
	case KEY_FORMAT:
		code = take_choice(parser, row, argument, formats, &value);
		config->format = value;
		break;
	case KEY_MIN_LEVEL:
		code = take_choice(parser, row, argument, levels, &value);
		config->min_level = value;
		break;
	case KEY_FAIL_ON:
		code = take_choice(parser, row, argument, levels, &value);
		config->fail_on = value;
		break;
	case KEY_FUTEX:
		code = take_choice(parser, row, argument, futex_modes, &value);
		config->futex = value;
		break;
	case KEY_COLOR:
		code = take_choice(parser, row, argument, colors, &value);
		config->color = value;
		break;
	case KEY_FOR:
		return take_duration(parser, row, argument, &config->for_ns);
	case 'h':
		config->mode = LM_MODE_HELP;
		break;
	case 'V':
		config->mode = LM_MODE_VERSION;
		break;
	}
	return code;
}

static const struct lm_mode_row *find_mode(const char *word)
{
	for (size_t i = 0; i < lm_mode_rows_len; i++) {
		if (lm_mode_rows[i].word && strcmp(lm_mode_rows[i].word, word) == 0)
			return &lm_mode_rows[i];
	}
	return NULL;
}

static int take_interval(struct parser *parser, const char *word)
{
	uint64_t ns;
	int error = lm_opts_parse_duration(word, &ns);

	if (error == -EINVAL)
		return complain(parser,
			"\"%s\" is neither a mode (snapshot, check, doctor) nor an interval (1, 500ms, 2s, 1m)", word);
	if (error)
		return complain(parser, "\"%s\" is too long an interval", word);
	if (ns < INTERVAL_MIN_NS)
		return complain(parser, "\"%s\" is too short an interval: give at least 10ms", word);
	parser->config.interval_ns = ns;
	parser->have_interval = true;
	return 0;
}

/* A word that is no option: a mode, INTERVAL or COUNT. */
static int take_word(struct parser *parser, const char *word)
{
	const struct lm_mode_row *mode = find_mode(word);

	if (parser->mode && parser->mode->mode == LM_MODE_CHECK)
		return complain(
			parser, "\"%s\": the command comes after \"--\", as in leakmon check -- ./server", word);
	if (parser->mode)
		return complain(parser, "\"%s\": %s takes no further words, only options: see leakmon %s --help", word,
			parser->mode->word, parser->mode->word);
	if (mode && parser->have_interval)
		return complain(parser, "\"%s\": this mode takes no interval", word);
	if (mode) {
		parser->mode = mode;
		return 0;
	}
	if (!parser->have_interval)
		return take_interval(parser, word);
	if (parser->config.count)
		return complain(
			parser, "\"%s\" is one word too many: after INTERVAL and COUNT only options may come", word);
	if (parse_number(word, strlen(word), &parser->config.count) || !parser->config.count)
		return complain(parser, "\"%s\" is not a number of reports: give 1 or more", word);
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
static int complain_of_option(const struct parser *parser, int result, const char *word)
{
	const struct lm_option_row *row = find_option(optopt);
	size_t len = strcspn(word, "="), matches = 0;
	char option[32];

	if (result == ':' && row)
		return complain(parser, "%s wants a value, %s", option_text(row, option), row->argument);
	if (row)
		return complain(parser, "\"%s\": --%s takes no value", word, row->name);
	if (optopt)
		return complain(parser, "-%c is not an option: see leakmon --help", optopt);
	for (size_t i = 0; i < LM_OPTION_ROWS; i++)
		matches += len > 2 && lm_option_rows[i].key && strncmp(lm_option_rows[i].name, word + 2, len - 2) == 0;
	if (matches > 1)
		return complain(parser, "\"%s\" may mean several options: write it in full, see leakmon --help", word);
	return complain(parser, "\"%s\" is not an option: see leakmon --help", word);
}

/* What comes after "--". */
static int take_command(struct parser *parser, char **words, bool is_marked)
{
	bool asks = parser->config.mode == LM_MODE_HELP || parser->config.mode == LM_MODE_VERSION;

	if (asks)
		return 0;
	if (!is_marked || !*words)
		return complain(parser, "check wants a command to run after \"--\", as in leakmon check -- ./server");
	parser->config.command = words;
	return 0;
}

static bool is_used(const struct parser *parser, int key)
{
	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		if (lm_option_rows[i].key == key)
			return parser->used & 1u << i;
	}
	return false;
}

/* The defaults that check has of its own. */
static void set_check_defaults(struct parser *parser)
{
	if (!is_used(parser, KEY_FAIL_ON))
		parser->config.fail_on = LM_LEVEL_LIKELY;
	if (parser->config.for_ns && !is_used(parser, KEY_HORIZON))
		parser->config.horizon_ns = parser->config.for_ns / 2;
}

static int parse_words(struct parser *parser, int argc, char **argv)
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
			parser->used |= 1u << (row - lm_option_rows);
			code = take_option(parser, row, optarg);
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

static int check_modes(const struct parser *parser, enum lm_mode mode)
{
	char option[32];

	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		if (parser->used & 1u << i && !(lm_option_rows[i].modes & 1 << mode))
			return complain(parser, "%s does not go with %s: see leakmon %s --help",
				option_text(&lm_option_rows[i], option), parser->mode->word, parser->mode->word);
	}
	return 0;
}

int lm_opts_parse(int argc, char **argv, FILE *errors, struct lm_config *config)
{
	struct parser parser = {
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
			},
	};
	int code = parse_words(&parser, argc, argv);
	enum lm_mode mode = parser.mode ? parser.mode->mode : LM_MODE_LIVE;

	if (!code)
		code = check_modes(&parser, mode);
	if (!code && mode == LM_MODE_CHECK && is_used(&parser, 'j') && !parser.config.output)
		code = complain(&parser, "check -j wants -o FILE: standard output is the command's");
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
	free(config->pids);
	config->pids = NULL;
	config->pids_len = 0;
}
