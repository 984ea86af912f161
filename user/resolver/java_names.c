// SPDX-License-Identifier: GPL-2.0-or-later
/* What was read of methods for one message, by address and by key, and how classes are called. */
#include "user/resolver/java_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define METHOD_BITS 36 /* with those of the index a number that JavaScript can hold */

struct method_entry {
	uint64_t address;
	struct lm_java_method method;
	UT_hash_handle hh;
	char texts[]; /* name, file */
};

struct place_entry {
	uint64_t key;
	struct lm_java_place place; /* the texts belong to the method */
	UT_hash_handle hh;
};

struct lm_java_names {
	struct method_entry *methods;
	struct place_entry *places;
};

int lm_java_names_new(struct lm_java_names **out)
{
	struct lm_java_names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	*out = names;
	return 0;
}

void lm_java_names_clear(struct lm_java_names *names)
{
	struct method_entry *method, *next_method;
	struct place_entry *place, *next_place;

	HASH_ITER (hh, names->places, place, next_place) {
		HASH_DEL(names->places, place);
		free(place);
	}
	HASH_ITER (hh, names->methods, method, next_method) {
		HASH_DEL(names->methods, method);
		free(method);
	}
}

void lm_java_names_free(struct lm_java_names *names)
{
	if (!names)
		return;
	lm_java_names_clear(names);
	free(names);
}

const struct lm_java_method *lm_java_names_method(const struct lm_java_names *names, uint64_t address)
{
	struct method_entry *entry;

	HASH_FIND(hh, names->methods, &address, sizeof(address), entry);
	return entry ? &entry->method : NULL;
}

const struct lm_java_method *lm_java_names_add_method(
	struct lm_java_names *names, uint64_t address, const struct lm_java_method *method)
{
	size_t name_bytes = strlen(method->name) + 1, file_bytes = strlen(method->file) + 1;
	struct method_entry *entry = calloc(1, sizeof(*entry) + name_bytes + file_bytes);

	if (!entry)
		return NULL;
	entry->address = address;
	entry->method = *method;
	entry->method.name = memcpy(entry->texts, method->name, name_bytes);
	entry->method.file = memcpy(entry->texts + name_bytes, method->file, file_bytes);
	HASH_ADD(hh, names->methods, address, sizeof(entry->address), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return &entry->method;
}

bool lm_java_names_place(const struct lm_java_names *names, uint64_t key, struct lm_java_place *place)
{
	struct place_entry *entry;

	HASH_FIND(hh, names->places, &key, sizeof(key), entry);
	if (!entry)
		return false;
	*place = entry->place;
	return true;
}

int lm_java_names_add_place(
	struct lm_java_names *names, uint64_t key, const struct lm_java_method *method, uint32_t line)
{
	struct place_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->key = key;
	entry->place = (struct lm_java_place){.name = method->name, .file = method->file, .line = line};
	HASH_ADD(hh, names->places, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	return 0;
}

/* FNV-1a with the end of the text, so that "ab", "c" is not "a", "bc". */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
	while (*text++);
	return hash;
}

uint64_t lm_java_key(const char *class_name, const char *method_name, const char *signature)
{
	uint64_t hash = hash_text(hash_text(hash_text(0xcbf29ce484222325ull, class_name), method_name), signature);

	/* the lower bits of an FNV hash are the better ones once the upper are folded in */
	hash = (hash ^ hash >> METHOD_BITS) & ((1ull << METHOD_BITS) - 1);
	return (hash ? hash : 1) << LM_JAVA_BCI_BITS;
}

/* Ends the text behind the word if only digits follow it. */
static void cut_number(char *text, const char *word)
{
	char *at = strstr(text, word), *digits;

	if (!at)
		return;
	digits = at + strlen(word);
	if (digits[strspn(digits, "0123456789")] == '\0')
		*digits = '\0';
}

/* "jdk.proxy2.$Proxy7": packages are numbered as class loaders come. */
static void drop_package_number(char *text)
{
	static const char *const packages[] = {"jdk.proxy", "com.sun.proxy"};

	for (size_t i = 0; i < sizeof(packages) / sizeof(packages[0]); i++) {
		size_t len = strlen(packages[i]), digits;

		if (strncmp(text, packages[i], len) != 0)
			continue;
		digits = strspn(text + len, "0123456789");
		if (digits && text[len + digits] == '.')
			memmove(text + len, text + len + digits, strlen(text + len + digits) + 1);
	}
}

void lm_java_class_name(const char *internal, char *text, size_t size)
{
	static const char *const numbered[] = {"$Proxy", "GeneratedMethodAccessor", "GeneratedConstructorAccessor",
		"GeneratedSerializationConstructorAccessor", "LambdaForm$MH", "LambdaForm$DMH", "LambdaForm$BMH",
		"LambdaForm$VH", "LambdaForm$Kind"};
	char *lambda, *hidden;

	snprintf(text, size, "%s", internal);
	/* a hidden class has its address behind its name */
	hidden = strstr(text, "+0x");
	if (!hidden)
		hidden = strstr(text, "/0x");
	if (hidden)
		*hidden = '\0';
	for (char *at = text; *at; at++) {
		if (*at == '/')
			*at = '.';
	}
	lambda = strstr(text, "$$Lambda");
	if (lambda && (!lambda[8] || lambda[8] == '$' || lambda[8] == '.'))
		lambda[8] = '\0';
	for (size_t i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++)
		cut_number(text, numbered[i]);
	drop_package_number(text);
}
