/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of Java methods and places in them. A place has a key that is the same on
 * every machine: what the method is called, and the bytecode's index. Pure.
 */
#ifndef LM_RESOLVER_JAVA_NAMES_H
#define LM_RESOLVER_JAVA_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_JAVA_BCI_BITS 16 /* of a key, the lowest; those above say which method */

struct lm_java_names;

/* A method as it was read. */
struct lm_java_method {
	uint64_t key;       /* of its first bytecode; 0: what is there is no method */
	uint64_t code;      /* address of the bytecode */
	uint32_t code_size; /* 0: native or abstract */
	bool has_lines;     /* a table of lines follows the bytecode */
	const char *name;   /* "com.example.Client$Inner.await" */
	const char *file;   /* "Client.java", "" if not known */
};

/* Where in a method. */
struct lm_java_place {
	const char *name, *file;
	uint32_t line; /* 0: not known */
};

int lm_java_names_new(struct lm_java_names **names);
void lm_java_names_free(struct lm_java_names *names);
/* Forgets all: what was at an address may have changed, or it is another process's. */
void lm_java_names_clear(struct lm_java_names *names);

/* What was read at the address, NULL if nothing was yet. */
const struct lm_java_method *lm_java_names_method(const struct lm_java_names *names, uint64_t address);
/* Keeps what was read there; the texts are copied. NULL if out of memory. */
const struct lm_java_method *lm_java_names_add_method(
	struct lm_java_names *names, uint64_t address, const struct lm_java_method *method);

/* The place with this key; false if there is none. */
bool lm_java_names_place(const struct lm_java_names *names, uint64_t key, struct lm_java_place *place);
/* Keeps a place in a method of these names. 0 or -ENOMEM. */
int lm_java_names_add_place(
	struct lm_java_names *names, uint64_t key, const struct lm_java_method *method, uint32_t line);

/* The key of a method's first bytecode, never 0. */
uint64_t lm_java_key(const char *class_name, const char *method_name, const char *signature);

/* From "com/example/Client$Inner" to dots. What a JVM numbers or places as it likes is left out, so that the same
 * program has the same names everywhere: lambdas, proxies, accessors and other hidden classes. Cut to size - 1. */
void lm_java_class_name(const char *internal, char *text, size_t size);

#endif
