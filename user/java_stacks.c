// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames of Java by the names of packages and libraries, as JDK 8 to 25 have them. */
#include "user/java_stacks.h"

#include <string.h>

#include "user/prefixes.h"
#include "user/waits.h"

static bool is_method(const struct lm_frame *frame)
{
	return strcmp(frame->module->name, LM_STACKS_JAVA) == 0;
}

/* "" if not known */
static const char *function_of(const struct lm_frame *frame)
{
	const char *name = frame->functions_len ? frame->functions[frame->functions_len - 1].name : NULL;

	return name ? name : "";
}

bool lm_java_stacks_is_one(const struct lm_stack *stack)
{
	for (size_t i = 0; i < stack->frames_len; i++) {
		if (is_method(stack->frames[i]))
			return true;
	}
	return false;
}

bool lm_java_stacks_is_jvm(const struct lm_frame *frame)
{
	static const char *const libraries[] = {"libjvm.so", "libjli.so", "libjava.so", "libnet.so", "libnio.so",
		"libextnet.so", "libzip.so", "libjimage.so", "libverify.so", "libmanagement", "libjdwp.so",
		"libinstrument.so", "libprefs.so", "libj2pkcs11.so", "libattach.so"};

	return LM_STARTS_WITH(frame->module->name, libraries);
}

bool lm_java_stacks_is_runtime(const struct lm_frame *frame)
{
	static const char *const packages[] = {"java.", "jdk.", "sun."};

	return lm_java_stacks_is_jvm(frame) || (is_method(frame) && LM_STARTS_WITH(function_of(frame), packages));
}

bool lm_java_stacks_is_plumbing(const struct lm_frame *frame)
{
	static const char *const packages[] = {
		"java.lang.invoke.", "jdk.internal.reflect.", "sun.reflect.", "jdk.internal.vm."};

	return lm_java_stacks_is_jvm(frame) || (is_method(frame) && LM_STARTS_WITH(function_of(frame), packages));
}

size_t lm_java_stacks_most_telling(const struct lm_stack *stack)
{
	size_t innermost = stack->frames_len, other = stack->frames_len;

	for (size_t i = 0; i < stack->frames_len; i++) {
		if (!is_method(stack->frames[i]))
			continue;
		if (lm_wait_is_idle_worker(function_of(stack->frames[i])))
			return i;
		if (innermost == stack->frames_len)
			innermost = i;
		if (other == stack->frames_len && !lm_wait_is_wait_function(function_of(stack->frames[i])))
			other = i;
	}
	return other < stack->frames_len ? other : innermost;
}
