/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does a name begin as one of a list does? */
#ifndef LM_PREFIXES_H
#define LM_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool lm_starts_with_any(const char *text, const char *const *starts, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (strncmp(text, starts[i], strlen(starts[i])) == 0)
			return true;
	}
	return false;
}

#define LM_STARTS_WITH(text, starts) lm_starts_with_any(text, starts, sizeof(starts) / sizeof((starts)[0]))

#endif
