/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a group would lose with a restart, as bytes, and back: how long stays there
 * normally last (of a site, in whatever process), and who stays since when, who has
 * left and what was said of it (of a site in one process). Pure; the bytes are of this
 * machine, and are checked, as they come from a disk. All times are CLOCK_BOOTTIME: of one boot.
 */
#ifndef LM_RECALL_H
#define LM_RECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/groups.h"
#include "user/load.h"

#define LM_RECALL_MEMBERS 10000 /* of a group; those that came first, for the rest the kernel tells enough */

/* Who a resident is: of a thread its TID and start time, of a goroutine its goid and 0. */
struct lm_recall_id {
	uint64_t id, start_ns;
	bool ticks; /* its stay is a row of waits, which timers end */
};
typedef struct lm_recall_id lm_recall_identify(const struct lm_resident *resident);

/* Is there anything to keep that was not saved yet, or so long ago that it will soon be forgotten? A group of a few
 * that nothing was said of is known again at a look. */
bool lm_recall_is_due(const struct lm_group *group, uint64_t now_ns);
/* The group as bytes, to be freed. 0 or -ENOMEM. */
int lm_recall_save(struct lm_group *group, lm_recall_identify *identify, uint64_t now_ns, void **bytes, size_t *len);
/* Into a group that has just been made: before anybody joins. 0; -EINVAL: these are no such bytes; -ENOMEM. Then the
 * group is as it was. */
int lm_recall_restore(struct lm_group *group, const void *bytes, size_t len, uint64_t now_ns);
/* Since when one who joins is known to stay there; false: it is not known, or it has been elsewhere since it was saved:
 * its present wait (wait_since_ns, 0 = not known) is younger, and it is none that ticks. */
bool lm_recall_since(struct lm_group *group, struct lm_recall_id id, uint64_t wait_since_ns, uint64_t *since_ns);
/* After a few looks: those of the restored who have not come again have left. Call once a look for groups with
 * ->recalled. */
void lm_recall_settle(struct lm_groups *groups, struct lm_group *group, uint64_t now_ns);

/* How busy a process was, as bytes, to be freed. 0 or -ENOMEM. */
int lm_recall_save_load(const struct lm_load *load, uint64_t step_ns, void **bytes, size_t *len);
/* Before what has been noted since. 0; -EINVAL: these are no such bytes, or of steps of another length. */
int lm_recall_restore_load(struct lm_load *load, uint64_t step_ns, const void *bytes, size_t len);

/* Has the group seen stays end since they were last added to what is kept? */
bool lm_recall_has_stays(const struct lm_group *group);
/* How long stays at the site last: what is kept (bytes NULL: nothing yet) and what this group has seen since it was
 * last added, as new bytes, to be freed. 0 or -ENOMEM. */
int lm_recall_add_stays(struct lm_group *group, const void *before, size_t before_len, void **bytes, size_t *len);
/* Those bytes are on the disk: what the group has seen so far is not added again. */
void lm_recall_stays_are_kept(struct lm_group *group);
/* Into a group that has just been made. 0 or -EINVAL, -ENOMEM. */
int lm_recall_restore_stays(struct lm_group *group, const void *bytes, size_t len);

#endif
