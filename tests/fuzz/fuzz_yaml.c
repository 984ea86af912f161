// SPDX-License-Identifier: GPL-2.0-or-later
/* Configuration files of any bytes: read or refused with a reason, and what is read is a tree within its bounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void want(int right)
{
	if (!right)
		abort();
}

static void walk(const struct lm_yaml_node *node, unsigned int depth)
{
	want(depth <= LM_YAML_MAX_DEPTH + 1 && node->line > 0);
	if (node->kind == LM_YAML_SCALAR) {
		want(node->text && !node->children_len);
		return;
	}
	want(!node->text && depth <= LM_YAML_MAX_DEPTH);
	for (size_t i = 0; i < node->children_len; i++) {
		const struct lm_yaml_node *child = &node->children[i];

		want((node->kind == LM_YAML_MAPPING) == (child->key != NULL));
		want(!child->key || lm_yaml_find(node, child->key) == child); /* each key once */
		walk(child, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	FILE *file = len ? fmemopen((void *)data, len, "r") : NULL;
	struct lm_yaml *yaml = NULL;
	char why[256] = "";

	if (!file)
		return 0;
	if (lm_yaml_read(file, &yaml, why) == 0) {
		walk(lm_yaml_root(yaml), 1);
		lm_yaml_free(yaml);
	} else {
		want(*why && !yaml && strlen(why) < sizeof(why));
	}
	fclose(file);
	return 0;
}
