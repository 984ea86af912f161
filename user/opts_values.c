// SPDX-License-Identifier: GPL-2.0-or-later
/* What the options' values mean, and what is said of those that mean nothing. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/opts_state.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define DIGITS "0123456789"
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define PID_LIMIT 4194304 /* PID_MAX_LIMIT of the kernel, include/linux/threads.h */
#define LISTEN_MAX 16
#define CPU_LIMIT_MAX 100
#define MEMORY_LIMIT_MIN (16ull << 20)   /* what a watch of one small process takes: less could never be kept */
#define RETENTION_MIN_NS (60 * NS_PER_S) /* some six reports: what is shorter is no history */

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

static void write_escaped(FILE *stream, const char *text)
{
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			fprintf(stream, "\\x%02x", *c);
		else
			fputc(*c, stream);
	}
}

int lm_opts_complain(const struct lm_opts_parser *parser, const char *format, ...)
{
	char *text;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0) {
		fputs("leakmon: out of memory\n", parser->errors);
		return LM_OPTS_FAILED;
	}
	fputs("leakmon: ", parser->errors);
	if (parser->file)
		write_escaped(parser->errors, parser->file);
	if (parser->file && parser->line)
		fprintf(parser->errors, ", line %u", parser->line);
	if (parser->file)
		fputs(": ", parser->errors);
	write_escaped(parser->errors, text);
	fputc('\n', parser->errors);
	free(text);
	return LM_OPTS_USAGE;
}

const char *lm_opts_name(const struct lm_opts_parser *parser, const struct lm_option_row *row, char text[32])
{
	if (parser->file)
		snprintf(text, 32, "%s", row->name);
	else if (row->key < KEY_FORMAT)
		snprintf(text, 32, "-%c", row->key);
	else
		snprintf(text, 32, "--%s", row->name);
	return text;
}

int lm_opts_number(const char *text, size_t len, uint64_t *value)
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
	error = lm_opts_number(text, whole_len, &whole);
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

int lm_opts_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	size_t digits = strspn(text, DIGITS);
	const char *unit = text + digits;
	uint64_t sum;
	int error = lm_opts_number(text, digits, &sum);

	if (error)
		return error;
	if (*unit) {
		const char *known = strchr(units, *unit | 0x20);

		if (!known || (unit[1] && strcmp(unit + 1, "iB") != 0 && strcmp(unit + 1, "B") != 0))
			return -EINVAL;
		if (__builtin_mul_overflow(sum, 1ull << (10 * (known - units + 1)), &sum))
			return -ERANGE;
	}
	*bytes = sum;
	return 0;
}

static int take_duration(
	const struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text, uint64_t *ns)
{
	char option[32];
	int error = lm_opts_parse_duration(text, ns);

	if (error)
		return lm_opts_complain(parser, "%s: \"%s\" is %s: give one as in 500ms, 2s, 1m, 1h, 2d",
			lm_opts_name(parser, row, option), text,
			error == -ERANGE ? "too long a duration" : "not a duration");
	return 0;
}

static int take_choice(const struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text,
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
	return lm_opts_complain(
		parser, "%s: \"%s\" is not known: give %s", lm_opts_name(parser, row, option), text, all);
}

static int take_number(
	const struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text, int *value)
{
	char option[32];
	uint64_t number;

	if (lm_opts_number(text, strlen(text), &number) || number > INT_MAX)
		return lm_opts_complain(parser, "%s: \"%s\" is not a number from 0 to %d",
			lm_opts_name(parser, row, option), text, INT_MAX);
	*value = number;
	return 0;
}

static int add_pid(struct lm_opts_parser *parser, pid_t pid)
{
	struct lm_config *config = &parser->config;
	pid_t *grown;

	for (size_t i = 0; i < config->pids_len; i++) {
		if (config->pids[i] == pid)
			return 0;
	}
	grown = reallocarray(config->pids, config->pids_len + 1, sizeof(*grown));
	if (!grown) {
		lm_opts_complain(parser, "out of memory");
		return LM_OPTS_FAILED;
	}
	config->pids = grown;
	config->pids[config->pids_len++] = pid;
	return 0;
}

static int take_pids(struct lm_opts_parser *parser, const char *list)
{
	const char *word = list;

	for (;;) {
		size_t len = strcspn(word, ",");
		bool is_alone = word == list && !word[len];
		uint64_t pid;
		int error = lm_opts_number(word, len, &pid);

		if (!error && (pid < 1 || pid > PID_LIMIT))
			error = -ERANGE;
		if (error)
			return lm_opts_complain(parser, "%s: \"%.*s\"%s%s%s is not a PID: give numbers%s, as in %s",
				parser->file ? "pid" : "-p", (int)len, word, is_alone ? "" : " in \"",
				is_alone ? "" : list, is_alone ? "" : "\"",
				error == -ERANGE ? " from 1 to 4194304" : "",
				parser->file ? "pid: [1234, 5678]" : "-p 1234,5678");
		error = add_pid(parser, pid);
		if (error || !word[len])
			return error;
		word += len + 1;
	}
}

static int take_output(struct lm_opts_parser *parser, const char *text)
{
	if (!*text)
		return lm_opts_complain(parser, "%s: \"\" is not the name of a file", parser->file ? "output" : "-o");
	parser->config.output = text;
	parser->config.writes_reports = true;
	return 0;
}

static int take_horizon(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text)
{
	int code = take_duration(parser, row, text, &parser->config.horizon_ns);

	if (!code && !parser->config.horizon_ns)
		return lm_opts_complain(parser, "%s: \"%s\" is no time at all: give one as in 60s, 30m, 1d",
			parser->file ? "horizon" : "--horizon", text);
	return code;
}

static int take_interval(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text)
{
	int code = take_duration(parser, row, text, &parser->config.interval_ns);
	char option[32];

	if (!code && parser->config.interval_ns < LM_OPTS_INTERVAL_MIN_NS)
		return lm_opts_complain(parser, "%s: \"%s\" is too short an interval: give at least 10ms",
			lm_opts_name(parser, row, option), text);
	return code;
}

/* An address of IPv6 is in brackets, and nothing else holds a colon or a bracket. */
static bool is_host(const char *text, size_t len)
{
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';

	if (brackets)
		return !memchr(text + 1, '[', len - 2) && !memchr(text + 1, ']', len - 2);
	return strcspn(text, "[]:") >= len;
}

static int take_listen(struct lm_opts_parser *parser, const char *text)
{
	struct lm_config *config = &parser->config;
	const char *colon = strrchr(text, ':');
	uint64_t port;
	char **grown;

	if (!colon || !is_host(text, colon - text) || lm_opts_number(colon + 1, strlen(colon + 1), &port) ||
		port > 65535)
		return lm_opts_complain(parser,
			"%s: \"%s\" is not an address and a port: give one as in 127.0.0.1:9469, [::1]:9469 or :9469",
			parser->file ? "listen" : "--listen", text);
	if (config->listen_len == LISTEN_MAX)
		return lm_opts_complain(
			parser, "%s: more than %d addresses", parser->file ? "listen" : "--listen", LISTEN_MAX);
	grown = reallocarray(config->listen, config->listen_len + 2, sizeof(*grown));
	if (!grown) {
		lm_opts_complain(parser, "out of memory");
		return LM_OPTS_FAILED;
	}
	config->listen = grown;
	config->listen[config->listen_len++] = (char *)text;
	config->listen[config->listen_len] = NULL;
	return 0;
}

static int take_file(
	struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text, const char **value)
{
	char option[32];

	if (!*text)
		return lm_opts_complain(parser, "%s: \"\" is not the name of a %s", lm_opts_name(parser, row, option),
			row->key == KEY_STATE_DIR ? "directory" : "file");
	*value = text;
	return 0;
}

/* Percent of one CPU, as "5" or "0.5". */
static int take_cpu_limit(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text)
{
	char option[32], *end;
	double percent = strtod(text, &end);
	bool is_decimal = strspn(text, DIGITS) && strspn(text, DIGITS ".") == (size_t)(end - text);

	if (!is_decimal || (*end && strcmp(end, "%") != 0) || percent > CPU_LIMIT_MAX)
		return lm_opts_complain(parser, "%s: \"%s\" is not a share of one CPU: give percent, as in 5 or 0.5",
			lm_opts_name(parser, row, option), text);
	parser->config.cpu_limit_permille = percent * 10 + 0.5;
	if (percent > 0 && !parser->config.cpu_limit_permille)
		parser->config.cpu_limit_permille = 1;
	return 0;
}

static int take_memory_limit(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text)
{
	uint64_t *bytes = &parser->config.memory_limit_bytes;
	char option[32];
	int error = lm_opts_parse_size(text, bytes);

	if (error)
		return lm_opts_complain(parser, "%s: \"%s\" is %s: give one as in 64M or 2G",
			lm_opts_name(parser, row, option), text, error == -ERANGE ? "too large" : "not a size");
	if (*bytes && *bytes < MEMORY_LIMIT_MIN)
		return lm_opts_complain(parser, "%s: \"%s\" is too little: give at least 16M, or 0 for no limit",
			lm_opts_name(parser, row, option), text);
	return 0;
}

static int take_retention(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *text)
{
	int code = take_duration(parser, row, text, &parser->config.retention_ns);
	char option[32];

	if (!code && parser->config.retention_ns < RETENTION_MIN_NS)
		return lm_opts_complain(
			parser, "%s: \"%s\" is too short: give at least 1m", lm_opts_name(parser, row, option), text);
	return code;
}

/* What only the daemon takes. */
static int take_daemon_option(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *argument)
{
	struct lm_config *config = &parser->config;

	switch (row->key) {
	case KEY_CONFIG:
		return take_file(parser, row, argument, &config->config_file);
	case KEY_CHECK_CONFIG:
		config->check_config = true;
		return 0;
	case KEY_LISTEN:
		return take_listen(parser, argument);
	case KEY_STATE_DIR:
		return take_file(parser, row, argument, &config->state_dir);
	case KEY_WEB_CONFIG:
		return take_file(parser, row, argument, &config->web_config);
	case KEY_MAX_SERIES:
		return take_number(parser, row, argument, &config->metrics_max_series);
	case KEY_RETENTION:
		return take_retention(parser, row, argument);
	case KEY_INTERVAL:
		return take_interval(parser, row, argument);
	case KEY_CPU_LIMIT:
		return take_cpu_limit(parser, row, argument);
	default:
		return take_memory_limit(parser, row, argument);
	}
}

int lm_opts_take(struct lm_opts_parser *parser, const struct lm_option_row *row, const char *argument)
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
		config->writes_reports = true;
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
		config->writes_reports = true;
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
	default:
		return take_daemon_option(parser, row, argument);
	}
	return code;
}
