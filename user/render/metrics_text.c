// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prometheus' text format 0.0.4 and OpenMetrics 1.0.0 differ in the heads: there a
 * counter's family goes without _total and an info's without _info, units have a
 * line of their own. The samples are the same, so that a change of format makes no
 * new series: the bounds of buckets are written 1.0, as OpenMetrics wants it.
 */
#include "user/render/metrics_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "user/render/escape.h"

/* Seconds. 2,000 threads take some 6 ms, a second is what daemons' looks are apart at least. */
static const struct {
	double bound;
	const char *text;
} scan_bounds[LM_METRICS_SCAN_BOUNDS] = {{0.001, "0.001"}, {0.0025, "0.0025"}, {0.005, "0.005"}, {0.01, "0.01"},
	{0.025, "0.025"}, {0.05, "0.05"}, {0.1, "0.1"}, {0.25, "0.25"}, {0.5, "0.5"}, {1, "1.0"}, {2.5, "2.5"},
	{10, "10.0"}};

const char *lm_metrics_content_type(enum lm_metrics_format format)
{
	return format == LM_METRICS_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
						: "text/plain; version=0.0.4; charset=utf-8";
}

void lm_metrics_scan(struct lm_metrics_self *self, double scan_s)
{
	size_t at = 0;

	if (!isfinite(scan_s) || scan_s < 0)
		return;
	while (at < LM_METRICS_SCAN_BOUNDS && scan_s > scan_bounds[at].bound)
		at++;
	self->scan_counts[at]++;
	self->scan_sum_s += scan_s;
	self->scans++;
}

void lm_metrics_label_text(const char *text, char value[LM_METRICS_VALUE_BYTES])
{
	size_t len = 0;

	while (text && *text) {
		char character[LM_ESCAPE_MAX];
		size_t more = lm_escape_next(&text, character);

		if (len + more >= LM_METRICS_VALUE_BYTES)
			break;
		memcpy(value + len, character, more);
		len += more;
	}
	value[len] = '\0';
}

void lm_metrics_begin(struct lm_metrics_writer *writer, const struct lm_metrics_family *family)
{
	writer->family = family;
	writer->begun = false;
}

bool lm_metrics_take(struct lm_metrics_writer *writer, size_t series)
{
	if (series > writer->left) {
		writer->suppressed += series;
		return false;
	}
	writer->left -= series;
	return true;
}

static void put_head(struct lm_metrics_writer *writer)
{
	static const char *const types[] = {"gauge", "counter", "info", "histogram"};
	static const char *const suffixes[] = {"", "_total", "_info", ""};
	const struct lm_metrics_family *family = writer->family;
	bool open = writer->format == LM_METRICS_OPENMETRICS;
	/* the older format has no infos: they are gauges there */
	const char *type = !open && family->type == LM_METRICS_INFO ? "gauge" : types[family->type];
	int len = (int)(strlen(family->name) - (open ? strlen(suffixes[family->type]) : 0));

	if (writer->begun)
		return;
	writer->begun = true;
	fprintf(writer->stream, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, family->name, family->help, len, family->name,
		type);
	if (open && family->unit)
		fprintf(writer->stream, "# UNIT %.*s %s\n", len, family->name, family->unit);
}

static void put_labels(FILE *stream, const struct lm_metrics_label labels[LM_METRICS_LABELS_MAX])
{
	for (size_t i = 0; labels && i < LM_METRICS_LABELS_MAX && labels[i].name; i++) {
		char value[LM_METRICS_VALUE_BYTES];

		lm_metrics_label_text(labels[i].value, value);
		fprintf(stream, "%s%s=\"", i ? "," : "{", labels[i].name);
		for (const char *at = value; *at; at++) {
			if (*at == '"' || *at == '\\')
				fputc('\\', stream);
			fputc(*at, stream);
		}
		fputs(i + 1 < LM_METRICS_LABELS_MAX && labels[i + 1].name ? "\"" : "\"}", stream);
	}
}

static bool open_sample(struct lm_metrics_writer *writer, const struct lm_metrics_label labels[LM_METRICS_LABELS_MAX])
{
	if (!lm_metrics_take(writer, 1))
		return false;
	put_head(writer);
	fputs(writer->family->name, writer->stream);
	put_labels(writer->stream, labels);
	return true;
}

void lm_metrics_count(
	struct lm_metrics_writer *writer, const struct lm_metrics_label labels[LM_METRICS_LABELS_MAX], int64_t value)
{
	if (open_sample(writer, labels))
		fprintf(writer->stream, " %" PRId64 "\n", value);
}

void lm_metrics_real(
	struct lm_metrics_writer *writer, const struct lm_metrics_label labels[LM_METRICS_LABELS_MAX], double value)
{
	/* 15 digits: microseconds since the epoch, and 0.1 stays 0.1 */
	if (isfinite(value) && open_sample(writer, labels))
		fprintf(writer->stream, " %.15g\n", value);
}

void lm_metrics_histogram(struct lm_metrics_writer *writer, const struct lm_metrics_self *self)
{
	const char *name = writer->family->name;
	uint64_t count = 0;

	if (!lm_metrics_take(writer, LM_METRICS_SCAN_BOUNDS + 3))
		return;
	put_head(writer);
	for (size_t i = 0; i < LM_METRICS_SCAN_BOUNDS; i++) {
		count += self->scan_counts[i];
		fprintf(writer->stream, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, scan_bounds[i].text, count);
	}
	count += self->scan_counts[LM_METRICS_SCAN_BOUNDS];
	fprintf(writer->stream, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.15g\n%s_count %" PRIu64 "\n", name, count,
		name, self->scan_sum_s, name, count);
}
