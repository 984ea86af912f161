/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of building a report share: sites (report.c), processes, goroutines, findings and their words. */
#ifndef LM_REPORT_BUILD_H
#define LM_REPORT_BUILD_H

#include <stdint.h>

#include "user/golang/record.h"
#include "user/monitor.h"
#include "user/snapshot.h"

struct lm_report {
	struct lm_monitor *monitor;
	struct lm_arena *arena; /* of the snapshot */
	uint64_t now_ns;
	int64_t wall_offset_ns;
	struct lm_snapshot *out;
};

/* 0 for a time that is not known. */
int64_t lm_report_wall_time(const struct lm_report *report, uint64_t boot_ns);
double lm_report_age_s(const struct lm_report *report, uint64_t since_ns);

/* The lines of a stack, in the arena; len 0 for none. 0 or -ENOMEM. */
int lm_report_stack(const struct lm_report *report, const struct lm_stack *stack,
	const struct lm_snapshot_frame **lines, size_t *len);

/* A goroutine as a member; *channel is that which it waits for (address 0: none). */
void lm_report_go_member(const struct lm_report *report, const struct lm_resident *resident,
	struct lm_snapshot_member *member, struct lm_go_channel *channel);
/* What only sites of goroutines have. first: the member that the site tells of; channels: of the members that were
 * asked, first's first; len 0: nobody was. 0 or -ENOMEM. */
int lm_report_go_site(const struct lm_report *report, const struct lm_group *group, const struct lm_resident *first,
	const struct lm_go_channel *channels, size_t channels_len, struct lm_snapshot_site *site);
/* By how many different go statements the members were created, as far as those are known. */
int64_t lm_report_go_creators(const struct lm_group *group);

#define LM_REPORT_GO_UNAVAILABLE 4
/* What a Go runtime counts, and why what is not known of goroutines is not: adds to items at out->unavailable_len, at
 * most LM_REPORT_GO_UNAVAILABLE. 0 or -ENOMEM. */
int lm_report_go_process(const struct lm_report *report, const struct lm_process *process,
	struct lm_snapshot_process *out, struct lm_snapshot_unavailable *items);

/* The name of a finding, of 16 hex digits. Site ids hold no PID; this does, and the process's start. */
void lm_report_name_finding(
	uint64_t site, enum lm_finding_type type, uint32_t tgid, uint64_t process_start_ns, char id[17]);
/* Texts in the arena, NULL when there is no memory: "52 min"; "program (PID 12)"; where the members of a group wait;
 * "main.worker (worker.go:12)", where file and line may be NULL and 0. */
const char *lm_report_text_duration(const struct lm_report *report, double seconds);
const char *lm_report_text_age(const struct lm_report *report, uint64_t since_ns);
const char *lm_report_text_process(const struct lm_report *report, const struct lm_process *process);
const char *lm_report_text_place(const struct lm_report *report, const struct lm_group *group);
const char *lm_report_text_line(const struct lm_report *report, const char *function, const char *file, uint32_t line);
const char *lm_report_plural(int64_t count, const char *one, const char *many);

/* Who holds the lock that all members of the group wait for, as it was last analysed. 0 or -ENOMEM. */
int lm_report_owner(const struct lm_report *report, const struct lm_group *group, struct lm_snapshot_site *site);
/* Fills a finding about a lock. 0 or -ENOMEM. */
int lm_report_lock(
	const struct lm_report *report, const struct lm_lock_finding *lock, struct lm_snapshot_finding *finding);

/* Fills the processes and their totals. 0 or -ENOMEM. */
int lm_report_processes(const struct lm_report *report);

/* Fills the findings, worst first, and those that were withdrawn. groups: those with members, worst first. 0 or
 * -ENOMEM. */
int lm_report_findings(const struct lm_report *report, struct lm_group *const *groups, size_t len);

#endif
