/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metric families and samples as text, in both formats, and no more of them than there may be. */
#ifndef LM_RENDER_METRICS_TEXT_H
#define LM_RENDER_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "user/render/metrics.h"

#define LM_METRICS_LABELS_MAX 4
#define LM_METRICS_VALUE_BYTES 128 /* of a label, before it is quoted */

enum lm_metrics_type { LM_METRICS_GAUGE, LM_METRICS_COUNTER, LM_METRICS_INFO, LM_METRICS_HISTOGRAM };

/* The name is the whole one, with _total of counters and _info of infos. */
struct lm_metrics_family {
	const char *name;
	enum lm_metrics_type type;
	const char *unit; /* "seconds", "bytes"; the name ends in it. NULL: none */
	const char *help;
};

struct lm_metrics_label {
	const char *name, *value; /* the value as the process gave it; NULL as "" */
};

struct lm_metrics_writer {
	FILE *stream;
	enum lm_metrics_format format;
	size_t left; /* series that may still be written */
	uint64_t suppressed;
	const struct lm_metrics_family *family;
	bool begun; /* the family has its head */
};

/* The samples that follow are of this family, which must outlive them. Its head is written with the first of them. */
void lm_metrics_begin(struct lm_metrics_writer *writer, const struct lm_metrics_family *family);

/* True if so many series may be written, which the caller then does; else they are counted as left out. */
bool lm_metrics_take(struct lm_metrics_writer *writer, size_t series);

/* One sample, taken or left out. Labels end at the first without a name, or at the last there can be. */
void lm_metrics_count(
	struct lm_metrics_writer *writer, const struct lm_metrics_label labels[LM_METRICS_LABELS_MAX], int64_t value);
/* Nothing for NAN and infinity. */
void lm_metrics_real(
	struct lm_metrics_writer *writer, const struct lm_metrics_label labels[LM_METRICS_LABELS_MAX], double value);

/* The histogram of the scans, whole or not at all. */
void lm_metrics_histogram(struct lm_metrics_writer *writer, const struct lm_metrics_self *self);

/* Text of a process as the value of a label: harmless as escape.h has it, and cut at a character to
 * LM_METRICS_VALUE_BYTES with its final 0. */
void lm_metrics_label_text(const char *text, char value[LM_METRICS_VALUE_BYTES]);

#endif
