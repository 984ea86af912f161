/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who holds the lock that a thread waits for: which memory of the process says so,
 * and what it says. Locks of glibc (2.25 and later) and musl on x86-64. Pure: the
 * caller reads the memory in between.
 */
#ifndef LM_OWNERS_H
#define LM_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leakmon_abi.h"
#include "user/snapshot.h"

#define LM_OWNER_READ_MAX 64 /* bytes: no lock needs more */

/* How well an owner is known, weakest first. */
enum lm_owner_strength {
	LM_OWNER_SOFT,    /* the wait has a timeout, or only the memory says that it is such a lock */
	LM_OWNER_STRONG,  /* recorded by libc beside the lock word */
	LM_OWNER_CERTAIN, /* the lock word itself: PI and robust mutexes */
};
const char *lm_owner_strength_name(enum lm_owner_strength strength);

struct lm_owner_wait {
	enum lm_wait_class wait_class;
	struct lm_regs regs;    /* of the waiting thread, 64-bit */
	bool has_lock_function; /* a function that lm_owner_is_lock_function() knows is on the user stack */
	bool is_musl;           /* the libc of the process */
};

enum lm_owner_layout {
	LM_OWNER_GLIBC_MUTEX,
	LM_OWNER_GLIBC_RWLOCK,
	LM_OWNER_MUSL_MUTEX,
	LM_OWNER_PI_WORD,
	LM_OWNER_THREAD, /* a join: the owner is the thread in whose TCB `word` lies */
};

/* What must be read, and what the wait says of it. */
struct lm_owner_read {
	uint64_t address; /* of the target's memory */
	size_t length;    /* bytes, at most LM_OWNER_READ_MAX; 0: nothing is to be read */
	uint64_t lock;    /* base of the lock; of a join the futex word */
	uint64_t word;    /* the futex word that the thread waits on */
	uint32_t val;     /* what the word held when the wait began */
	enum lm_owner_layout layout;
	bool is_shared, is_timed, has_lock_function;
};

struct lm_owner {
	uint64_t lock;       /* base of the lock */
	uint32_t tid;        /* as the PID namespace of the target counts; 0 = not recorded at this moment, or a join */
	uint32_t word;       /* the futex word, to be compared with the next read; 0 for a join */
	bool process_shared; /* the owner may be a thread of another process */
	bool owner_died;     /* the kernel found the lock held by a thread that ended */
	enum lm_owner_strength strength;
};

/* True for the functions of libc that take a pthread mutex or read-write lock. */
bool lm_owner_is_lock_function(const char *function);

/*
 * 0, or -ENOENT if nobody is on record for this wait: conditions, semaphores, barriers, Rust's locks, writers behind
 * readers … A join has an owner but needs no read: the caller looks for the thread with fs_base <= read->word < fs_base
 * + 4096.
 */
int lm_owner_plan(const struct lm_owner_wait *wait, struct lm_owner_read *read);

/*
 * 0; -ENOENT: a lock that records no owner (musl's normal mutex); -EAGAIN: it is changing hands, and the thread is
 * about to run; -EINVAL: the memory is not that of such a lock, or fewer than read->length bytes.
 */
int lm_owner_decode(const struct lm_owner_read *read, const void *bytes, size_t len, struct lm_owner *owner);

#endif
