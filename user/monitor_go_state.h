/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that are called monitor_go share: the goroutines of one process. */
#ifndef LM_MONITOR_GO_STATE_H
#define LM_MONITOR_GO_STATE_H

#define HASH_NONFATAL_OOM 1 /* else it ends the program */
#include <uthash.h>

#include "user/monitor.h"
#include "user/monitor_go.h"

#define LM_GO_REASONS 256
#define LM_GO_NOBODY UINT32_MAX

/* The lists that a goroutine may be in, one at a time; each is in the order of coming. */
enum lm_go_list {
	LM_GO_LIST_NONE,
	LM_GO_LIST_YOUNG, /* waits, and is in no group yet */
	LM_GO_LIST_AWAY,  /* in a group, but where it is now could not be read */
	LM_GO_LIST_TOLD,  /* in a group, and told again after it was lost sight of */
	LM_GO_LISTS
};

/* A stack by the number that records name it by. */
struct lm_go_stack {
	uint32_t number;
	uint32_t users; /* goroutines */
	bool known;
	uint16_t creator;
	const struct lm_stack *stack; /* with a reference; NULL: it could not be had */
	const char *why;
	uint64_t sites[LM_GO_STATES];    /* what lm_place_site() says for each wait; 0: not asked yet */
	struct lm_go_stack *prev, *next; /* among those that are not known, or those without users */
	UT_hash_handle hh;
};

/* All of a process. Times are CLOCK_BOOTTIME ns. */
struct lm_go {
	bool is_go;
	const char *why; /* why goroutines cannot be read now, NULL if they can: see lm_monitor_go_failed() */
	struct lm_goroutine **chunks;
	size_t chunks_len;
	uint64_t known;   /* goroutines */
	uint64_t refused; /* records with an index that is too high */
	struct {
		uint32_t first, last;
	} lists[LM_GO_LISTS];
	struct lm_go_stack *stacks, *unknown, *unused, *recent;
	size_t unused_len;
	struct lm_go_creator *creators; /* [0] is none */
	size_t creators_len;
	char **reasons;                               /* LM_GO_REASONS, NULL: none was told */
	uint64_t now_ns, first_look_ns, last_look_ns; /* 0: there was no complete look */
	int64_t mono_to_boot_ns;
	uint64_t newest_goid; /* of all that were seen */
	uint8_t look;
	bool telling_again;
	struct lm_go_summary summary; /* of the last complete look */
	uint64_t *goids; /* of all that are alive, ascending; only where goids_known: see lm_go_goids_between() */
	size_t goids_len;
	bool goids_known;
	/* of the last report */
	uint64_t first_heap_ns, reported_ns;
	int64_t first_heap_bytes, reported_gc_count;
};

/* The slot of that index, empty or not. NULL: no memory, or the index is too high (refused counts those). */
struct lm_goroutine *lm_go_slot(struct lm_go *go, uint32_t index);
/* The same if there is one, NULL else. */
struct lm_goroutine *lm_go_find(const struct lm_go *go, uint32_t index);
/* The next slot in use from *index on, which is then set behind it; NULL: there is none. */
struct lm_goroutine *lm_go_next(const struct lm_go *go, uint32_t *index);

/* Puts it at the end of a list; it leaves the one that it is in. */
void lm_go_list(struct lm_go *go, struct lm_goroutine *goroutine, enum lm_go_list list);

/* From now on it has that stack, instead of the one that it had. 0 or -ENOMEM. */
int lm_go_use_stack(struct lm_groups *groups, struct lm_go *go, struct lm_goroutine *goroutine, uint32_t number);
/* NULL if that number is in no use. */
struct lm_go_stack *lm_go_find_stack(struct lm_go *go, uint32_t number);
/* Numbers mean nothing any more: all goroutines are without a stack. */
void lm_go_forget_stacks(struct lm_groups *groups, struct lm_go *go);

/* Its stay ends at that time: it is in no group and no list. */
void lm_go_end_stay(struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine, uint64_t at_ns);
/* It has ended. */
void lm_go_remove(struct lm_monitor *monitor, struct lm_go *go, struct lm_goroutine *goroutine);

/* How many are alive with goids of first to last: sorts them when it is first asked after a look. False if there is no
 * memory for that. */
bool lm_go_goids_between(struct lm_go *go, uint64_t first, uint64_t last, uint64_t *alive);

/* Frees the goroutines, which must be in no group, and their stacks. */
void lm_go_forget_all(struct lm_groups *groups, struct lm_go *go);
void lm_go_free(struct lm_groups *groups, struct lm_go *go);

/* Estimates when those were born that are there at the first look, and who of them has run since. ps: the program has
 * no more Ps than that. 0 or -ENOMEM. */
int lm_go_estimate_births(struct lm_go *go, uint64_t process_start_ns, uint64_t ps);

#endif
