// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Configuration files as trees, from libyaml's events: its own document API would follow aliases, and keeps no key
 * apart from its value. What a key means is left to who asks.
 */
#include "user/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define WHY_LEN 256
#define FIRST_BYTES 4096
#define NODES_MAX 65536
#define KEYS_MAX 1024 /* of one mapping: each new one is compared with all before */

struct lm_yaml {
	struct lm_yaml_node root;
};

struct reader {
	yaml_parser_t parser;
	const char *text; /* the whole file */
	size_t text_len;
	size_t nodes;
	char *why;
};

static int complain(char *why, unsigned int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Control characters of the file do not get into a message. */
static int complain(char *why, unsigned int line, const char *format, ...)
{
	va_list args;
	int len = 0;

	if (line)
		len = snprintf(why, WHY_LEN, "line %u: ", line);
	va_start(args, format);
	vsnprintf(why + len, WHY_LEN - (size_t)len, format, args);
	va_end(args);
	for (char *c = why; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return -EINVAL;
}

static unsigned int line_of(const yaml_mark_t *mark)
{
	return (unsigned int)mark->line + 1;
}

static unsigned int line_at(const struct reader *reader, size_t offset)
{
	unsigned int line = 1;

	for (size_t i = 0; i < offset && i < reader->text_len; i++)
		line += reader->text[i] == '\n';
	return line;
}

static int next_event(struct reader *reader, yaml_event_t *event)
{
	const yaml_parser_t *parser = &reader->parser;

	if (yaml_parser_parse(&reader->parser, event))
		return 0;
	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		return complain(reader->why, line_at(reader, parser->problem_offset), "%s",
			parser->problem ? parser->problem : "it cannot be read");
	return complain(reader->why, line_of(&parser->problem_mark), "%s%s%s",
		parser->problem ? parser->problem : "it is not YAML", parser->context ? ", " : "",
		parser->context ? parser->context : "");
}

static void free_inside(struct lm_yaml_node *node)
{
	for (size_t i = 0; i < node->children_len; i++)
		free_inside(&node->children[i]);
	free(node->children);
	free((char *)node->key);
	free((char *)node->text);
}

/* The text of a scalar, to be freed. */
static int take_text(struct reader *reader, const yaml_event_t *event, char **text)
{
	const char *value = (const char *)event->data.scalar.value;

	if (memchr(value, '\0', event->data.scalar.length))
		return complain(reader->why, line_of(&event->start_mark), "a NUL character in a value");
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

/* Anchors and tags: what would make the file say other things than one reads. */
static int check_plain(struct reader *reader, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	case YAML_ALIAS_EVENT:
		return complain(reader->why, line_of(&event->start_mark),
			"aliases (*%.40s) are not read here: write the value out", event->data.alias.anchor);
	default:
		return complain(reader->why, line_of(&event->start_mark), "a value is missing");
	}
	if (anchor)
		return complain(reader->why, line_of(&event->start_mark),
			"anchors (&%.40s) are not read here: write each value out", anchor);
	if (tag)
		return complain(reader->why, line_of(&event->start_mark), "tags (%.60s) are not read here", tag);
	return 0;
}

static int grow(struct lm_yaml_node *node)
{
	struct lm_yaml_node *children;
	size_t len = node->children_len;

	if (len & (len - 1))
		return 0; /* room for the next power of two is there */
	children = realloc(node->children, (len ? 2 * len : 1) * sizeof(*children));
	if (!children)
		return -ENOMEM;
	node->children = children;
	return 0;
}

static int read_value(struct reader *reader, yaml_event_t *event, unsigned int depth, struct lm_yaml_node *node);

/* Takes over key. */
static int add_child(struct reader *reader, yaml_event_t *event, unsigned int depth, char *key, unsigned int key_line,
	struct lm_yaml_node *node)
{
	struct lm_yaml_node child = {.key = key};
	int error = read_value(reader, event, depth + 1, &child);

	if (!error)
		error = grow(node);
	if (error) {
		free_inside(&child);
		return error;
	}
	if (key)
		child.line = key_line; /* an empty value ends elsewhere */
	node->children[node->children_len++] = child;
	return 0;
}

static int check_key(struct reader *reader, const struct lm_yaml_node *mapping, const yaml_event_t *event)
{
	unsigned int line = line_of(&event->start_mark);
	const struct lm_yaml_node *before;
	const char *key;

	if (event->type != YAML_SCALAR_EVENT && event->type != YAML_ALIAS_EVENT)
		return complain(reader->why, line, "a key must be one word, not a list or mapping");
	if (event->type == YAML_SCALAR_EVENT && !event->data.scalar.length)
		return complain(reader->why, line, "a key is missing before the colon");
	if (mapping->children_len >= KEYS_MAX)
		return complain(reader->why, line, "more than %d keys in one mapping", KEYS_MAX);
	if (event->type == YAML_ALIAS_EVENT)
		return 0; /* check_plain refuses it */
	key = (const char *)event->data.scalar.value;
	before = lm_yaml_find(mapping, key);
	if (before)
		return complain(reader->why, line, "%.80s is there twice, first in line %u", key, before->line);
	return 0;
}

static int read_pair(struct reader *reader, yaml_event_t *event, unsigned int depth, struct lm_yaml_node *node)
{
	unsigned int line = line_of(&event->start_mark);
	yaml_event_t value;
	char *key = NULL;
	int error = check_key(reader, node, event);

	if (!error)
		error = check_plain(reader, event);
	if (!error)
		error = take_text(reader, event, &key);
	if (error)
		return error;
	error = next_event(reader, &value);
	if (error) {
		free(key);
		return error;
	}
	error = add_child(reader, &value, depth, key, line, node);
	yaml_event_delete(&value);
	return error;
}

static int read_children(struct reader *reader, unsigned int depth, struct lm_yaml_node *node)
{
	yaml_event_type_t end = node->kind == LM_YAML_MAPPING ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	yaml_event_t event;
	int error;

	for (;;) {
		bool is_end;

		error = next_event(reader, &event);
		if (error)
			return error;
		is_end = event.type == end;
		if (!is_end)
			error = node->kind == LM_YAML_MAPPING ? read_pair(reader, &event, depth, node)
							      : add_child(reader, &event, depth, NULL, 0, node);
		yaml_event_delete(&event);
		if (error || is_end)
			return error;
	}
}

/* The value that the event begins. What is in node then is to be freed, also after an error. */
static int read_value(struct reader *reader, yaml_event_t *event, unsigned int depth, struct lm_yaml_node *node)
{
	char *text = NULL;
	int error = check_plain(reader, event);

	if (error)
		return error;
	node->line = line_of(&event->start_mark);
	if (++reader->nodes > NODES_MAX)
		return complain(reader->why, node->line, "more than %d values", NODES_MAX);
	if (event->type == YAML_SCALAR_EVENT) {
		error = take_text(reader, event, &text);
		node->kind = LM_YAML_SCALAR;
		node->text = text;
		return error;
	}
	if (depth > LM_YAML_MAX_DEPTH)
		return complain(reader->why, node->line, "more than %d levels", LM_YAML_MAX_DEPTH);
	node->kind = event->type == YAML_MAPPING_START_EVENT ? LM_YAML_MAPPING : LM_YAML_SEQUENCE;
	return read_children(reader, depth, node);
}

/* The next event, which must be one of these; deletes it. 0: of the first type. */
static int expect(struct reader *reader, yaml_event_type_t type, yaml_event_type_t other, const char *instead)
{
	yaml_event_t event;
	int error = next_event(reader, &event), result;

	if (error)
		return error;
	if (event.type == type)
		result = 0;
	else if (event.type == other)
		result = 1;
	else
		result = complain(reader->why, line_of(&event.start_mark), "%s", instead);
	yaml_event_delete(&event);
	return result;
}

static int read_document(struct reader *reader, struct lm_yaml_node *root)
{
	yaml_event_t event;
	int error = expect(reader, YAML_STREAM_START_EVENT, YAML_STREAM_START_EVENT, "it is not YAML");

	if (error)
		return error;
	error = expect(reader, YAML_DOCUMENT_START_EVENT, YAML_STREAM_END_EVENT, "it is not YAML");
	if (error > 0) {
		root->kind = LM_YAML_MAPPING;
		root->line = 1;
		return 0;
	}
	if (!error)
		error = next_event(reader, &event);
	if (error)
		return error;
	error = read_value(reader, &event, 1, root);
	yaml_event_delete(&event);
	if (!error)
		error = expect(reader, YAML_DOCUMENT_END_EVENT, YAML_DOCUMENT_END_EVENT, "the document does not end");
	if (!error)
		error = expect(reader, YAML_STREAM_END_EVENT, YAML_STREAM_END_EVENT, "a second document begins here");
	return error;
}

/* The file's bytes, to be freed. */
static int read_all(FILE *file, char **text, size_t *len, char *why)
{
	size_t size = 0, got = 0;
	char *bytes = NULL;
	int error = 0;

	while (!error && got == size) {
		char *grown = realloc(bytes, size = size ? 2 * size : FIRST_BYTES);

		if (!grown) {
			error = -ENOMEM;
			break;
		}
		bytes = grown;
		errno = 0;
		got += fread(bytes + got, 1, size - got, file);
		if (ferror(file)) {
			error = errno ? -errno : -EIO;
			complain(why, 0, "it cannot be read: %s", strerror(-error));
		} else if (got > LM_YAML_MAX_BYTES) {
			error = complain(why, 0, "it has more than %u bytes", LM_YAML_MAX_BYTES);
		}
	}
	if (error) {
		free(bytes);
		return error;
	}
	*text = bytes;
	*len = got;
	return 0;
}

int lm_yaml_read(FILE *file, struct lm_yaml **yaml, char why[256])
{
	struct reader reader = {.why = why};
	struct lm_yaml *result = calloc(1, sizeof(*result));
	char *text = NULL;
	int error = result ? read_all(file, &text, &reader.text_len, why) : -ENOMEM;

	if (error)
		goto free_result;
	reader.text = text;
	if (!yaml_parser_initialize(&reader.parser)) {
		error = -ENOMEM;
		goto free_text;
	}
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, reader.text_len);
	error = read_document(&reader, &result->root);
	yaml_parser_delete(&reader.parser);
free_text:
	free(text);
free_result:
	if (error == -ENOMEM)
		snprintf(why, WHY_LEN, "out of memory");
	if (error) {
		lm_yaml_free(result);
		return error;
	}
	*yaml = result;
	return 0;
}

const struct lm_yaml_node *lm_yaml_root(const struct lm_yaml *yaml)
{
	return &yaml->root;
}

const struct lm_yaml_node *lm_yaml_find(const struct lm_yaml_node *mapping, const char *key)
{
	if (mapping->kind != LM_YAML_MAPPING)
		return NULL;
	for (size_t i = 0; i < mapping->children_len; i++) {
		if (strcmp(mapping->children[i].key, key) == 0)
			return &mapping->children[i];
	}
	return NULL;
}

void lm_yaml_free(struct lm_yaml *yaml)
{
	if (!yaml)
		return;
	free_inside(&yaml->root);
	free(yaml);
}
