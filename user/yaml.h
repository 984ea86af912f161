/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of YAML that configuration files use, as a tree with the line of every
 * value: mappings, sequences and scalars. Anchors, aliases, tags and second
 * documents are refused; size and depth are bounded.
 */
#ifndef LM_YAML_H
#define LM_YAML_H

#include <stddef.h>
#include <stdio.h>

#define LM_YAML_MAX_BYTES (1u << 20)
#define LM_YAML_MAX_DEPTH 8

enum lm_yaml_kind { LM_YAML_SCALAR, LM_YAML_SEQUENCE, LM_YAML_MAPPING };

struct lm_yaml_node {
	enum lm_yaml_kind kind;
	const char *key;  /* in a mapping, else NULL; a key stands there once */
	const char *text; /* of a scalar; "" for none */
	unsigned int line;
	struct lm_yaml_node *children; /* of a sequence or mapping, in the order of the file */
	size_t children_len;
};

struct lm_yaml; /* owns the tree */

/* Reads a whole file. An empty one is an empty mapping. 0, or -errno (-EINVAL: it is not the YAML that we read) and in
 * why what is wrong and in which line. */
int lm_yaml_read(FILE *file, struct lm_yaml **yaml, char why[256]);
const struct lm_yaml_node *lm_yaml_root(const struct lm_yaml *yaml);
/* The value of a key of a mapping, NULL if it is not there. */
const struct lm_yaml_node *lm_yaml_find(const struct lm_yaml_node *mapping, const char *key);
/* NULL is fine. */
void lm_yaml_free(struct lm_yaml *yaml);

#endif
