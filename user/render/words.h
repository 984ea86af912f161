/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers as people read them, the same in every locale. What is not known is "?". */
#ifndef LM_RENDER_WORDS_H
#define LM_RENDER_WORDS_H

#include <stdint.h>

struct lm_words {
	char text[48];
};

struct lm_words lm_words_count(int64_t count);    /* "1,234,567"; "?" below 0 */
struct lm_words lm_words_duration(double s);      /* "4.0ms", "31.5s", "5m12s", "52m", "3h20m", "3d4h", "120d" */
struct lm_words lm_words_rate(double per_h);      /* "102.9/h" */
struct lm_words lm_words_bytes(int64_t bytes);    /* "22.0 MiB" */
struct lm_words lm_words_time(int64_t ns);        /* "2026-11-23 12:00:00Z" */
struct lm_words lm_words_time_of_day(int64_t ns); /* "12:00:00Z" */

#endif
