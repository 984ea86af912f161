/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words about the work, on stderr, one line each, control characters escaped. The sink is the one mutable global. */
#ifndef LM_LOG_H
#define LM_LOG_H

#include <stdbool.h>

enum lm_log_level { LM_LOG_ERROR, LM_LOG_WARNING, LM_LOG_NOTICE, LM_LOG_INFO, LM_LOG_DEBUG };

typedef void lm_log_sink(enum lm_log_level level, const char *line, void *context);

/* Where lines go; NULL puts stderr back ("leakmon: …"). */
void lm_log_set_sink(lm_log_sink *sink, void *context);
/* Lines on stderr begin with "<PRIORITY>" in place of "leakmon: ", as a journal reads them (sd-daemon(3)). */
void lm_log_for_journal(bool is_journal);
/* Lines above this level are dropped; LM_LOG_NOTICE at first, -v makes it LM_LOG_INFO. */
void lm_log_set_level(enum lm_log_level level);

void lm_log(enum lm_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define lm_error(...) lm_log(LM_LOG_ERROR, __VA_ARGS__)
#define lm_warning(...) lm_log(LM_LOG_WARNING, __VA_ARGS__)
#define lm_notice(...) lm_log(LM_LOG_NOTICE, __VA_ARGS__)
#define lm_info(...) lm_log(LM_LOG_INFO, __VA_ARGS__)
#define lm_debug(...) lm_log(LM_LOG_DEBUG, __VA_ARGS__)

#endif
