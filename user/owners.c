// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Layouts of locks, and which waits they belong to. Read off blocked threads of glibc
 * 2.36 and musl 1.2.3 (futex operation, value, lock memory); glibc's are of its ABI and
 * the same since 2.25. Which thread a TID is, and whether it still exists, is the
 * caller's to find out. The memory is whatever the process has put there.
 */
#include "user/owners.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>

#include "user/wait_names.h"

#define NR_FUTEX 202
#define NR_RESTART 219 /* restart_syscall: the arguments are still those of the call that goes on */

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define TID_MAX (1u << 22) /* PID_MAX_LIMIT of 64-bit kernels */
#define CONTENDED 2        /* glibc's lock word: taken, and there may be waiters */

/* __kind of glibc's mutexes; the lowest two bits are the type, all four of them valid. */
#define KIND_ROBUST 16u
#define KIND_PI 32u
#define KIND_PP 64u /* priority protection: the word has the ceiling above its lock bits */
#define KIND_SHARED 128u
#define KIND_ELISION 0x300u /* asked for, refused */
#define KIND_ALL (3u | KIND_ROBUST | KIND_PI | KIND_PP | KIND_SHARED | KIND_ELISION)
#define PP_LOCK_BITS 0x7ffffu

/* glibc's read-write lock: a reader waits for the phase, a writer for the other writers. */
#define RWLOCK_READERS_WORD 8
#define RWLOCK_WRITERS_WORD 12
#define RWLOCK_TAKEN_WAITED 3u /* of either word: 1, and PTHREAD_RWLOCK_FUTEX_USED */
#define RWLOCK_WRITER_IN 3u    /* of __readers: write phase, write-locked */
#define RWLOCK_FLAGS_MAX 2     /* three preferences */

/* _m_type of musl's mutexes. */
#define MUSL_TYPE 3u
#define MUSL_ROBUST 4u
#define MUSL_PI 8u
#define MUSL_SHARED 128u
#define MUSL_ALL (MUSL_TYPE | MUSL_ROBUST | MUSL_PI | MUSL_SHARED)

struct glibc_mutex {
	uint32_t lock, count, owner, users, kind;
};

struct glibc_rwlock {
	uint32_t readers, writers, phase_futex, writers_futex, pads[2], cur_writer, shared;
	uint64_t elision[2];
	uint32_t flags;
};

struct musl_mutex {
	uint32_t type, lock;
};

_Static_assert(sizeof(struct glibc_mutex) == 20, "glibc_mutex");
_Static_assert(offsetof(struct glibc_rwlock, cur_writer) == 24, "glibc_rwlock");
_Static_assert(sizeof(struct glibc_rwlock) <= LM_OWNER_READ_MAX, "LM_OWNER_READ_MAX");

const char *lm_owner_strength_name(enum lm_owner_strength strength)
{
	static const char *const names[] = {"soft", "strong", "certain"};

	return (size_t)strength < sizeof(names) / sizeof(names[0]) ? names[strength] : "unknown";
}

bool lm_owner_is_lock_function(const char *function)
{
	const struct lm_futex_function *row = lm_wait_futex_function(function);

	return row && row->is_libc &&
	       (row->wait_class == LM_WAIT_FUTEX_MUTEX || row->wait_class == LM_WAIT_FUTEX_RWLOCK);
}

static int plan_at(
	struct lm_owner_read *read, enum lm_owner_layout layout, uint64_t back, uint64_t address, size_t length)
{
	if (read->word < back || address > UINT64_MAX - length)
		return -ENOENT;
	read->layout = layout;
	read->lock = read->word - back;
	read->address = address;
	read->length = length;
	return 0;
}

/* Mutexes and read-write locks are aligned so in both libcs. */
static bool is_lock_address(uint64_t base)
{
	return base % 8 == 0;
}

static int plan_musl_mutex(struct lm_owner_read *read, uint32_t command)
{
	const uint64_t back = offsetof(struct musl_mutex, lock);

	if (command != FUTEX_WAIT || !(read->val & FUTEX_WAITERS) || !(read->val & FUTEX_TID_MASK))
		return -ENOENT;
	if (!is_lock_address(read->word - back))
		return -ENOENT;
	return plan_at(read, LM_OWNER_MUSL_MUTEX, back, read->word - back, sizeof(struct musl_mutex));
}

/* glibc waits with FUTEX_WAIT where there is no timeout, else with FUTEX_WAIT_BITSET. Rust's Mutex also stores 2, and
 * waits with FUTEX_WAIT_BITSET but without a timeout. */
static int plan_glibc_mutex(struct lm_owner_read *read, uint32_t command)
{
	bool is_owner_word = read->val & FUTEX_WAITERS;
	bool is_contended = (read->val & PP_LOCK_BITS) == CONTENDED;

	if (command != FUTEX_WAIT && !(command == FUTEX_WAIT_BITSET && read->is_timed))
		return -ENOENT;
	/* robust mutexes are always waited for as if shared */
	if (!is_contended && !(is_owner_word && read->is_shared && read->val & FUTEX_TID_MASK))
		return -ENOENT;
	if (!is_lock_address(read->word))
		return -ENOENT;
	return plan_at(read, LM_OWNER_GLIBC_MUTEX, 0, read->word, sizeof(struct glibc_mutex));
}

/* Without a timeout glibc names CLOCK_REALTIME all the same; Rust's RwLock does not. */
static int plan_glibc_rwlock(struct lm_owner_read *read, uint32_t command, bool is_realtime)
{
	uint64_t back = read->word % 8 ? RWLOCK_WRITERS_WORD : RWLOCK_READERS_WORD;

	if (command != FUTEX_WAIT_BITSET || read->val != RWLOCK_TAKEN_WAITED || !(is_realtime || read->is_timed))
		return -ENOENT;
	if (!is_lock_address(read->word - back))
		return -ENOENT;
	return plan_at(read, LM_OWNER_GLIBC_RWLOCK, back, read->word - back, sizeof(struct glibc_rwlock));
}

/* The kernel itself keeps the owner in the word, whoever's lock it is. */
static int plan_pi(struct lm_owner_read *read, uint32_t command, bool is_musl)
{
	uint64_t back = is_musl ? offsetof(struct musl_mutex, lock) : 0;

	if (command != FUTEX_LOCK_PI && command != FUTEX_LOCK_PI2)
		return -ENOENT;
	return plan_at(read, LM_OWNER_PI_WORD, back, read->word, sizeof(uint32_t));
}

static int plan_class(const struct lm_owner_wait *wait, struct lm_owner_read *read, uint32_t command, bool is_realtime)
{
	switch (wait->wait_class) {
	case LM_WAIT_FUTEX_MUTEX:
		return wait->is_musl ? plan_musl_mutex(read, command) : plan_glibc_mutex(read, command);
	case LM_WAIT_FUTEX_RWLOCK:
		return wait->is_musl ? -ENOENT : plan_glibc_rwlock(read, command, is_realtime);
	case LM_WAIT_FUTEX_PI:
		return plan_pi(read, command, wait->is_musl);
	case LM_WAIT_FUTEX_JOIN:
		read->layout = LM_OWNER_THREAD;
		read->lock = read->word;
		return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET ? 0 : -ENOENT;
	default:
		return -ENOENT;
	}
}

int lm_owner_plan(const struct lm_owner_wait *wait, struct lm_owner_read *read)
{
	const struct lm_regs *regs = &wait->regs;
	uint32_t op = regs->si;
	struct lm_owner_read plan = {
		.word = regs->di,
		.val = regs->dx,
		.is_shared = !(op & FUTEX_PRIVATE_FLAG),
		.is_timed = regs->r10 != 0,
		.has_lock_function = wait->has_lock_function,
	};
	int error;

	if (regs->nr != NR_FUTEX && regs->nr != NR_RESTART)
		return -ENOENT;
	error = plan_class(wait, &plan, op & FUTEX_CMD_MASK, op & FUTEX_CLOCK_REALTIME);
	if (!error)
		*read = plan;
	return error;
}

/* A word of the kernel's robust and PI protocols, which musl's mutexes follow too. A waiter sets FUTEX_WAITERS before
 * it blocks: a word without it belongs to a thread that came between the owner's unlock and the waiter's next try. */
static int decode_owner_word(uint32_t word, struct lm_owner *owner)
{
	if ((word & FUTEX_TID_MASK) > TID_MAX)
		return -EINVAL;
	if (!(word & FUTEX_WAITERS))
		return -EAGAIN;
	owner->word = word;
	owner->tid = word & FUTEX_TID_MASK;
	owner->owner_died = word & FUTEX_OWNER_DIED;
	return 0;
}

static enum lm_owner_strength strength_by_stack(const struct lm_owner_read *read)
{
	return read->has_lock_function ? LM_OWNER_STRONG : LM_OWNER_SOFT;
}

static int decode_plain_mutex(const struct lm_owner_read *read, const struct glibc_mutex *mutex, struct lm_owner *owner)
{
	uint32_t bits = mutex->kind & KIND_PP ? mutex->lock & PP_LOCK_BITS : mutex->lock;
	bool is_shared = mutex->kind & KIND_SHARED;

	if (is_shared != read->is_shared || bits > CONTENDED || mutex->owner > TID_MAX)
		return -EINVAL;
	if (bits != CONTENDED)
		return -EAGAIN;
	/* the owner counts itself as a user, after it has put its TID there */
	if (mutex->owner && !mutex->users)
		return -EAGAIN;
	owner->tid = mutex->owner;
	owner->word = mutex->lock;
	owner->process_shared = is_shared;
	owner->strength = strength_by_stack(read);
	return 0;
}

static int decode_glibc_mutex(const struct lm_owner_read *read, const void *bytes, struct lm_owner *owner)
{
	struct glibc_mutex mutex;
	bool is_robust;

	memcpy(&mutex, bytes, sizeof(mutex));
	is_robust = mutex.kind & KIND_ROBUST;
	/* PI mutexes are waited for with FUTEX_LOCK_PI; glibc makes none that are both robust and priority-protected */
	if (mutex.kind & ~KIND_ALL || mutex.kind & KIND_PI || (is_robust && mutex.kind & KIND_PP))
		return -EINVAL;
	if (is_robust != !!(read->val & FUTEX_WAITERS))
		return -EINVAL;
	if (!(mutex.kind & KIND_PP) && !is_robust && read->val != CONTENDED)
		return -EINVAL;
	if (!is_robust)
		return decode_plain_mutex(read, &mutex, owner);
	/* glibc marks every robust mutex as shared, and waits for it as such */
	if (!(mutex.kind & KIND_SHARED))
		return -EINVAL;
	owner->process_shared = true;
	owner->strength = LM_OWNER_CERTAIN;
	return decode_owner_word(mutex.lock, owner);
}

static int decode_glibc_rwlock(const struct lm_owner_read *read, const void *bytes, struct lm_owner *owner)
{
	struct glibc_rwlock rwlock;
	uint32_t word;

	memcpy(&rwlock, bytes, sizeof(rwlock));
	word = read->word - read->lock == RWLOCK_WRITERS_WORD ? rwlock.writers_futex : rwlock.phase_futex;
	if (rwlock.shared > 1 || !!rwlock.shared != read->is_shared || rwlock.flags > RWLOCK_FLAGS_MAX)
		return -EINVAL;
	if (rwlock.cur_writer > TID_MAX || word > RWLOCK_TAKEN_WAITED)
		return -EINVAL;
	if (word != RWLOCK_TAKEN_WAITED)
		return -EAGAIN;
	/* __cur_writer is set after the lock is taken and cleared before it is given up */
	if (rwlock.cur_writer && (rwlock.readers & RWLOCK_WRITER_IN) != RWLOCK_WRITER_IN)
		return -EAGAIN;
	owner->tid = rwlock.cur_writer;
	owner->word = word;
	owner->process_shared = rwlock.shared;
	owner->strength = LM_OWNER_STRONG;
	return 0;
}

static int decode_musl_mutex(const struct lm_owner_read *read, const void *bytes, struct lm_owner *owner)
{
	struct musl_mutex mutex;

	memcpy(&mutex, bytes, sizeof(mutex));
	if (mutex.type & ~MUSL_ALL || mutex.type & MUSL_PI || (mutex.type & MUSL_TYPE) == MUSL_TYPE)
		return -EINVAL;
	if (!!(mutex.type & MUSL_SHARED) != read->is_shared)
		return -EINVAL;
	/* its word is EBUSY, which is not to be taken for a TID */
	if (!(mutex.type & (MUSL_TYPE | MUSL_ROBUST)))
		return -ENOENT;
	owner->process_shared = read->is_shared;
	owner->strength = mutex.type & MUSL_ROBUST ? LM_OWNER_CERTAIN : strength_by_stack(read);
	return decode_owner_word(mutex.lock, owner);
}

static int decode_pi_word(const struct lm_owner_read *read, const void *bytes, struct lm_owner *owner)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	owner->process_shared = read->is_shared;
	owner->strength = LM_OWNER_CERTAIN;
	return decode_owner_word(word, owner);
}

static int decode_layout(const struct lm_owner_read *read, const void *bytes, struct lm_owner *owner)
{
	switch (read->layout) {
	case LM_OWNER_GLIBC_MUTEX:
		return decode_glibc_mutex(read, bytes, owner);
	case LM_OWNER_GLIBC_RWLOCK:
		return decode_glibc_rwlock(read, bytes, owner);
	case LM_OWNER_MUSL_MUTEX:
		return decode_musl_mutex(read, bytes, owner);
	case LM_OWNER_PI_WORD:
		return decode_pi_word(read, bytes, owner);
	case LM_OWNER_THREAD:
		owner->strength = LM_OWNER_STRONG;
		return 0;
	}
	return -EINVAL;
}

int lm_owner_decode(const struct lm_owner_read *read, const void *bytes, size_t len, struct lm_owner *owner)
{
	struct lm_owner found = {.lock = read->lock};
	int error;

	if (len < read->length)
		return -EINVAL;
	error = decode_layout(read, bytes, &found);
	if (error)
		return error;
	if (read->is_timed)
		found.strength = LM_OWNER_SOFT;
	*owner = found;
	return 0;
}
