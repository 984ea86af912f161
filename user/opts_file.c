// SPDX-License-Identifier: GPL-2.0-or-later
/* The options from a file: its keys are the long options, a list stands for an option that may be repeated. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/opts_state.h"
#include "user/yaml.h"

/* A copy that lives as long as the config. NULL: no memory. */
static const char *keep_text(struct lm_config *config, const char *text)
{
	char **grown = reallocarray(config->texts, config->texts_len + 1, sizeof(*grown));
	char *copy = grown ? strdup(text) : NULL;

	if (grown)
		config->texts = grown;
	if (copy)
		config->texts[config->texts_len++] = copy;
	return copy;
}

static const struct lm_option_row *find_row(const char *key)
{
	for (size_t i = 0; i < LM_OPTION_ROWS; i++) {
		const struct lm_option_row *row = &lm_option_rows[i];

		if (row->key && row->modes & 1 << LM_MODE_DAEMON && strcmp(row->name, key) == 0)
			return row;
	}
	return NULL;
}

/* What makes no sense in a file. */
static bool is_for_the_command_line(const struct lm_option_row *row)
{
	return row->key == KEY_CONFIG || row->key == KEY_CHECK_CONFIG || row->key == 'h' || row->key == 'V';
}

static int take_scalar(struct lm_opts_parser *parser, const struct lm_option_row *row, const struct lm_yaml_node *value)
{
	const char *text;

	parser->line = value->line;
	if (value->kind != LM_YAML_SCALAR)
		return lm_opts_complain(parser, "%s: one value is wanted here", row->name);
	if (!row->argument && strcmp(value->text, "true") != 0 && strcmp(value->text, "false") != 0)
		return lm_opts_complain(parser, "%s: \"%s\" is neither true nor false", row->name, value->text);
	if (!row->argument)
		return strcmp(value->text, "true") == 0 ? lm_opts_take(parser, row, NULL) : 0;
	text = keep_text(&parser->config, value->text);
	if (!text) {
		lm_opts_complain(parser, "out of memory");
		return LM_OPTS_FAILED;
	}
	return lm_opts_take(parser, row, text);
}

/* -j and --format say the same thing. */
static bool is_said_already(const struct lm_opts_parser *parser, const struct lm_option_row *row)
{
	if (row->key == 'j' || row->key == KEY_FORMAT)
		return lm_opts_is_used(parser, 'j') || lm_opts_is_used(parser, KEY_FORMAT);
	return lm_opts_is_used(parser, row->key);
}

static int take_key(struct lm_opts_parser *parser, const struct lm_yaml_node *value)
{
	const struct lm_option_row *row = find_row(value->key);
	int code = 0;

	parser->line = value->line;
	if (!row || is_for_the_command_line(row))
		return lm_opts_complain(parser, "\"%s\" is not an option%s: see leakmon daemon --help", value->key,
			row ? " for a file" : "");
	if (is_said_already(parser, row))
		return 0;
	if (value->kind != LM_YAML_SEQUENCE)
		return take_scalar(parser, row, value);
	if (row->key != 'p' && row->key != KEY_LISTEN)
		return lm_opts_complain(parser, "%s: one value is wanted, not a list", row->name);
	for (size_t i = 0; i < value->children_len && !code; i++)
		code = take_scalar(parser, row, &value->children[i]);
	return code;
}

static int take_tree(struct lm_opts_parser *parser, const struct lm_yaml_node *root)
{
	int code = 0;

	if (root->kind != LM_YAML_MAPPING)
		return lm_opts_complain(parser, "options are wanted, as in \"interval: 10s\"");
	for (size_t i = 0; i < root->children_len && !code; i++)
		code = take_key(parser, &root->children[i]);
	return code;
}

int lm_opts_take_file(struct lm_opts_parser *parser)
{
	struct lm_yaml *yaml = NULL;
	FILE *file = fopen(parser->config.config_file, "re");
	char why[256];
	int error = file ? lm_yaml_read(file, &yaml, why) : -errno;
	int code;

	parser->file = parser->config.config_file;
	if (!file) {
		lm_opts_complain(parser, "the configuration cannot be opened: %s", strerror(-error));
		code = LM_OPTS_FAILED;
	} else if (error) {
		lm_opts_complain(parser, "%s", why);
		code = error == -EINVAL ? LM_OPTS_USAGE : LM_OPTS_FAILED;
	} else {
		code = take_tree(parser, lm_yaml_root(yaml));
	}
	if (file)
		fclose(file);
	lm_yaml_free(yaml);
	parser->file = NULL;
	parser->line = 0;
	return code;
}
