// SPDX-License-Identifier: GPL-2.0-or-later
/* Who holds a lock, from words read off real locks (glibc 2.36, musl 1.2.3, kernel 6.18), and from hostile ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "user/owners.h"

#define NR_FUTEX 202
#define BASE 0x55578e73e160ull
#define TIMEOUT 0x7f4559cc9ec0ull
#define TID 0x20edu
#define WORDS 14

#define MUTEX LM_WAIT_FUTEX_MUTEX
#define RWLOCK LM_WAIT_FUTEX_RWLOCK
#define PI LM_WAIT_FUTEX_PI

enum { GLIBC, MUSL };

struct row {
	const char *what;
	enum lm_wait_class wait_class;
	int libc;
	uint64_t at; /* the futex word, from BASE */
	uint64_t op, val, timeout;
	uint32_t memory[WORDS]; /* from BASE on */
	int planned;            /* of lm_owner_plan */
	int decoded;            /* of lm_owner_decode */
	uint32_t tid;
	enum lm_owner_strength strength;
	bool shared, died;
};

#define SOFT LM_OWNER_SOFT
#define STRONG LM_OWNER_STRONG
#define CERTAIN LM_OWNER_CERTAIN
#define W 0x80000000u
#define DIED 0x40000000u
#define SIGNED(tid) (0xffffffff80000000ull | (tid)) /* musl's registers are sign-extended */

static const struct row rows[] = {
	/* glibc's mutexes */
	{"normal", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 0}, 0, 0, TID, STRONG, false, false},
	{"recursive", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 1, TID, 1, 1}, 0, 0, TID, STRONG, false, false},
	{"error-checking", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 2}, 0, 0, TID, STRONG, false, false},
	{"adaptive", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 3}, 0, 0, TID, STRONG, false, false},
	{"elision", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 0x100}, 0, 0, TID, STRONG, false, false},
	{"no elision", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 0x201}, 0, 0, TID, STRONG, false, false},
	{"shared", MUTEX, GLIBC, 0, 0x0, 2, 0, {2, 0, TID, 1, 0x80}, 0, 0, TID, STRONG, true, false},
	{"timed", MUTEX, GLIBC, 0, 0x189, 2, TIMEOUT, {2, 0, TID, 1, 0}, 0, 0, TID, SOFT, false, false},
	{"timed, monotonic", MUTEX, GLIBC, 0, 0x89, 2, TIMEOUT, {2, 0, TID, 1, 0}, 0, 0, TID, SOFT, false, false},
	{"ceiling", MUTEX, GLIBC, 0, 0x80, 0x180002, 0, {0x180002, 1, TID, 1, 0x40}, 0, 0, TID, STRONG, false, false},
	{"robust", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {W | TID, 1, TID, 1, 0x90}, 0, 0, TID, CERTAIN, true, false},
	{"robust, handed on", MUTEX, GLIBC, 0, 0x0, W | 7, 0, {W | TID, 1, TID, 1, 0x91}, 0, 0, TID, CERTAIN, true,
		false},
	{"robust, timed", MUTEX, GLIBC, 0, 0x109, W | TID, TIMEOUT, {W | TID, 1, TID, 1, 0x92}, 0, 0, TID, SOFT, true,
		false},
	{"robust, died", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {W | DIED, 1, TID, 1, 0x90}, 0, 0, 0, CERTAIN, true, true},
	{"robust, handed on after a death", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {W | DIED | TID, 1, 0x7fffffff, 1, 0x90},
		0, 0, TID, CERTAIN, true, true},
	{"PI", PI, GLIBC, 0, 0x86, 0, 0, {W | TID, 1, TID, 1, 0x20}, 0, 0, TID, CERTAIN, false, false},
	{"PI, any word", PI, GLIBC, 4, 0x86, 0, 0, {0, W | TID}, 0, 0, TID, CERTAIN, false, false},
	{"PI, timed", PI, GLIBC, 0, 0x86, 0, TIMEOUT, {W | TID, 1, TID, 1, 0x20}, 0, 0, TID, SOFT, false, false},
	{"PI, monotonic", PI, GLIBC, 0, 0x8d, 0, TIMEOUT, {W | TID, 1, TID, 1, 0x20}, 0, 0, TID, SOFT, false, false},
	{"PI, robust", PI, GLIBC, 0, 0x6, 0, 0, {W | TID, 1, TID, 1, 0xb0}, 0, 0, TID, CERTAIN, true, false},
	{"PI, died", PI, GLIBC, 0, 0x6, 0, 0, {W | DIED | TID}, 0, 0, TID, CERTAIN, true, true},
	/* in between */
	{"no owner yet", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, 0, 0, 0}, 0, 0, 0, STRONG, false, false},
	{"free", MUTEX, GLIBC, 0, 0x80, 2, 0, {0, 0, 0, 0, 0}, 0, -EAGAIN, 0, 0, false, false},
	{"taken by another", MUTEX, GLIBC, 0, 0x80, 2, 0, {1, 0, TID, 1, 0}, 0, -EAGAIN, 0, 0, false, false},
	{"no user yet", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 0, 0}, 0, -EAGAIN, 0, 0, false, false},
	{"robust, taken by another", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {TID, 1, TID, 1, 0x90}, 0, -EAGAIN, 0, 0, false,
		false},
	{"PI, free", PI, GLIBC, 0, 0x86, 0, 0, {0, 0, 0, 0, 0x20}, 0, -EAGAIN, 0, 0, false, false},
	/* not such a mutex */
	{"kind with other bits", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 4}, 0, -EINVAL, 0, 0, false, false},
	{"kind of a pointer", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 0x8e73e160}, 0, -EINVAL, 0, 0, false, false},
	{"robust, waited for as plain", MUTEX, GLIBC, 0, 0x0, 2, 0, {2, 0, TID, 1, 0x90}, 0, -EINVAL, 0, 0, false,
		false},
	{"robust, not shared", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {W | TID, 1, TID, 1, 0x10}, 0, -EINVAL, 0, 0, false,
		false},
	{"plain, waited for as robust", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {2, 0, TID, 1, 0x80}, 0, -EINVAL, 0, 0, false,
		false},
	{"ceiling of a plain one", MUTEX, GLIBC, 0, 0x80, 0x180002, 0, {2, 0, TID, 1, 0}, 0, -EINVAL, 0, 0, false,
		false},
	{"robust with a ceiling", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {W | TID, 1, TID, 1, 0xd0}, 0, -EINVAL, 0, 0, false,
		false},
	{"PI, waited for as plain", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 0x20}, 0, -EINVAL, 0, 0, false, false},
	{"private, waited for as shared", MUTEX, GLIBC, 0, 0x0, 2, 0, {2, 0, TID, 1, 0}, 0, -EINVAL, 0, 0, false,
		false},
	{"shared, waited for as private", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, TID, 1, 0x80}, 0, -EINVAL, 0, 0, false,
		false},
	{"word of no mutex", MUTEX, GLIBC, 0, 0x80, 2, 0, {3, 0, TID, 1, 0}, 0, -EINVAL, 0, 0, false, false},
	{"owner of no thread", MUTEX, GLIBC, 0, 0x80, 2, 0, {2, 0, 0x400001, 1, 0}, 0, -EINVAL, 0, 0, false, false},
	{"PI, owner of no thread", PI, GLIBC, 0, 0x86, 0, 0, {W | 0x400001}, 0, -EINVAL, 0, 0, false, false},
	{"robust, not recoverable", MUTEX, GLIBC, 0, 0x0, W | TID, 0, {0xffffffff, 0, 0, 0, 0x90}, 0, -EINVAL, 0, 0,
		false, false},
	/* glibc's read-write locks */
	{"reader", RWLOCK, GLIBC, 8, 0x189, 3, 0, {0xb, 0, 3, 1, 0, 0, TID, 0}, 0, 0, TID, STRONG, false, false},
	{"writer", RWLOCK, GLIBC, 12, 0x189, 3, 0, {3, 0, 1, 3, 0, 0, TID, 0}, 0, 0, TID, STRONG, false, false},
	{"reader, timed", RWLOCK, GLIBC, 8, 0x189, 3, TIMEOUT, {0xb, 0, 3, 1, 0, 0, TID}, 0, 0, TID, SOFT, false,
		false},
	{"writer, timed", RWLOCK, GLIBC, 12, 0x189, 3, TIMEOUT, {3, 0, 1, 3, 0, 0, TID}, 0, 0, TID, SOFT, false, false},
	{"reader, monotonic", RWLOCK, GLIBC, 8, 0x89, 3, TIMEOUT, {0xb, 0, 3, 1, 0, 0, TID}, 0, 0, TID, SOFT, false,
		false},
	{"reader, shared", RWLOCK, GLIBC, 8, 0x109, 3, 0, {0xb, 0, 3, 1, 0, 0, TID, 1}, 0, 0, TID, STRONG, true, false},
	{"writer, shared", RWLOCK, GLIBC, 12, 0x109, 3, 0, {3, 0, 1, 3, 0, 0, TID, 1}, 0, 0, TID, STRONG, true, false},
	{"writer behind a waiting writer", RWLOCK, GLIBC, 12, 0x189, 3, 0, {0xa, 0, 2, 3}, 0, 0, 0, STRONG, false,
		false},
	{"reader, phase over", RWLOCK, GLIBC, 8, 0x189, 3, 0, {0xb, 0, 1, 1, 0, 0, TID}, 0, -EAGAIN, 0, 0, false,
		false},
	{"writer, not the writers' word", RWLOCK, GLIBC, 12, 0x189, 3, 0, {0xb, 0, 3, 1, 0, 0, TID}, 0, -EAGAIN, 0, 0,
		false, false},
	{"a writer in the readers' phase", RWLOCK, GLIBC, 8, 0x189, 3, 0, {0xa, 0, 3, 1, 0, 0, TID}, 0, -EAGAIN, 0, 0,
		false, false},
	{"rwlock, shared byte", RWLOCK, GLIBC, 8, 0x109, 3, 0, {0xb, 0, 3, 1, 0, 0, TID, 2}, 0, -EINVAL, 0, 0, false,
		false},
	{"rwlock, op of another kind", RWLOCK, GLIBC, 8, 0x109, 3, 0, {0xb, 0, 3, 1, 0, 0, TID, 0}, 0, -EINVAL, 0, 0,
		false, false},
	{"rwlock, owner of no thread", RWLOCK, GLIBC, 8, 0x189, 3, 0, {0xb, 0, 3, 1, 0, 0, 0xffffffff}, 0, -EINVAL, 0,
		0, false, false},
	{"rwlock, word of none", RWLOCK, GLIBC, 8, 0x189, 3, 0, {0xb, 0, 9, 1, 0, 0, TID}, 0, -EINVAL, 0, 0, false,
		false},
	{"rwlock, flags of none", RWLOCK, GLIBC, 8, 0x189, 3, 0, {0xb, 0, 3, 1, 0, 0, TID, 0, 0, 0, 0, 0, 3}, 0,
		-EINVAL, 0, 0, false, false},
	/* musl's mutexes: type, lock, waiters */
	{"musl, normal", MUTEX, MUSL, 4, 0x80, SIGNED(0x10), 0, {0, W | 0x10, 1}, 0, -ENOENT, 0, 0, false, false},
	{"musl, normal, shared", MUTEX, MUSL, 4, 0x0, SIGNED(0x10), 0, {0x80, W | 0x10, 1}, 0, -ENOENT, 0, 0, false,
		false},
	{"musl, recursive", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {1, W | TID, 1}, 0, 0, TID, STRONG, false, false},
	{"musl, error-checking", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {2, W | TID, 1}, 0, 0, TID, STRONG, false,
		false},
	{"musl, timed", MUTEX, MUSL, 4, 0x80, SIGNED(TID), TIMEOUT, {1, W | TID, 1}, 0, 0, TID, SOFT, false, false},
	{"musl, shared", MUTEX, MUSL, 4, 0x0, SIGNED(TID), 0, {0x81, W | TID, 1}, 0, 0, TID, STRONG, true, false},
	{"musl, robust", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {4, W | TID, 1}, 0, 0, TID, CERTAIN, false, false},
	{"musl, robust, shared", MUTEX, MUSL, 4, 0x0, SIGNED(TID), 0, {0x84, W | TID}, 0, 0, TID, CERTAIN, true, false},
	{"musl, died", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {4, W | DIED, 1}, 0, 0, 0, CERTAIN, false, true},
	{"musl, PI", PI, MUSL, 4, 0x86, 0, 0, {8, W | TID}, 0, 0, TID, CERTAIN, false, false},
	{"musl, PI, shared", PI, MUSL, 4, 0x6, 0, 0, {0x8c, W | TID}, 0, 0, TID, CERTAIN, true, false},
	{"musl, taken by another", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {1, TID, 1}, 0, -EAGAIN, 0, 0, false, false},
	{"musl, type with other bits", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {0x11, W | TID}, 0, -EINVAL, 0, 0, false,
		false},
	{"musl, type 3", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {3, W | TID}, 0, -EINVAL, 0, 0, false, false},
	{"musl, PI waited for as plain", MUTEX, MUSL, 4, 0x80, SIGNED(TID), 0, {9, W | TID}, 0, -EINVAL, 0, 0, false,
		false},
	{"musl, op of another kind", MUTEX, MUSL, 4, 0x0, SIGNED(TID), 0, {1, W | TID}, 0, -EINVAL, 0, 0, false, false},
	/* waits that have no owner on record */
	{"writer behind readers", RWLOCK, GLIBC, 8, 0x189, 2, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"Rust's Mutex", MUTEX, GLIBC, 0, 0x89, 2, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"Rust's RwLock", RWLOCK, GLIBC, 8, 0x89, 3, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"Rust's park", LM_WAIT_FUTEX_OTHER, GLIBC, 0, 0x89, 0xffffffff, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"condition", LM_WAIT_FUTEX_COND, GLIBC, 40, 0x189, 0, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"condition with PI", LM_WAIT_FUTEX_COND, GLIBC, 40, 0x8b, 0, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"semaphore, Python's lock", LM_WAIT_FUTEX_SEM, GLIBC, 0, 0x189, 0, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"barrier", LM_WAIT_FUTEX_BARRIER, GLIBC, 4, 0x80, 0, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"a parked M", LM_WAIT_FUTEX_OTHER, GLIBC, 0, 0x80, 0, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"musl's rwlock", RWLOCK, MUSL, 0, 0x80, 0xffffffff, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"a mutex at no lock's address", MUTEX, GLIBC, 4, 0x80, 2, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"musl's at no lock's address", MUTEX, MUSL, 0, 0x80, SIGNED(TID), 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"a private owner word", MUTEX, GLIBC, 0, 0x80, W | TID, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"another value", MUTEX, GLIBC, 0, 0x80, 1, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"musl without waiters", MUTEX, MUSL, 4, 0x80, 2, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"PI by another operation", PI, GLIBC, 0, 0x80, 2, 0, {0}, -ENOENT, 0, 0, 0, false, false},
	{"a read", LM_WAIT_PIPE, GLIBC, 0, 0, 0, 0, {0}, -ENOENT, 0, 0, 0, false, false},
};

static struct lm_owner_wait wait_of(const struct row *row)
{
	return (struct lm_owner_wait){
		.wait_class = row->wait_class,
		.regs = {.nr = NR_FUTEX, .di = BASE + row->at, .si = row->op, .dx = row->val, .r10 = row->timeout},
		.has_lock_function = true,
		.is_musl = row->libc == MUSL,
	};
}

static void check_owner(const struct row *row, const struct lm_owner_read *read)
{
	uint32_t word = row->memory[row->at / 4];
	struct lm_owner owner = {.tid = 77};
	uint8_t bytes[LM_OWNER_READ_MAX];
	int error;

	assert_true(read->length > 0 && read->length <= LM_OWNER_READ_MAX);
	assert_true(read->address >= BASE && read->address + read->length <= BASE + sizeof(row->memory));
	memcpy(bytes, (const uint8_t *)row->memory + (read->address - BASE), read->length);
	assert_int_equal(lm_owner_decode(read, bytes, read->length - 1, &owner), -EINVAL);
	error = lm_owner_decode(read, bytes, read->length, &owner);
	assert_int_equal(error, row->decoded);
	if (error) {
		assert_int_equal(owner.tid, 77);
		return;
	}
	assert_int_equal(owner.tid, row->tid);
	assert_int_equal(owner.word, word);
	assert_int_equal(owner.strength, row->strength);
	assert_int_equal(owner.process_shared, row->shared);
	assert_int_equal(owner.owner_died, row->died);
	assert_int_equal(owner.lock, row->libc == GLIBC && row->wait_class == PI ? BASE + row->at : BASE);
}

static void every_row_has_its_owner(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lm_owner_wait wait = wait_of(&rows[i]);
		struct lm_owner_read read = {.length = 77};
		int error = lm_owner_plan(&wait, &read);

		print_message("%s\n", rows[i].what);
		assert_int_equal(error, rows[i].planned);
		if (error)
			assert_int_equal(read.length, 77);
		else
			check_owner(&rows[i], &read);
	}
}

/* Nothing but the memory speaks for a mutex then: Go's locks and malloc's arenas wait in the same way. */
static void without_a_lock_function_on_the_stack_a_plain_mutex_is_soft(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lm_owner_wait wait = wait_of(&rows[i]);
		bool is_plain = rows[i].wait_class == MUTEX && rows[i].strength != CERTAIN;
		struct lm_owner owner;
		struct lm_owner_read read;

		wait.has_lock_function = false;
		if (lm_owner_plan(&wait, &read))
			continue;
		if (lm_owner_decode(
			    &read, (const uint8_t *)rows[i].memory + (read.address - BASE), read.length, &owner))
			continue;
		print_message("%s\n", rows[i].what);
		assert_int_equal(owner.strength, is_plain ? SOFT : rows[i].strength);
	}
}

static void a_join_needs_no_memory(void **state)
{
	struct lm_owner_wait wait = {.wait_class = LM_WAIT_FUTEX_JOIN,
		.regs = {.nr = NR_FUTEX, .di = 0x7fbe8b25ba10, .si = 0x109, .dx = TID}};
	struct lm_owner_read read;
	struct lm_owner owner;

	(void)state;
	assert_int_equal(lm_owner_plan(&wait, &read), 0);
	assert_int_equal(read.length, 0);
	assert_int_equal(read.layout, LM_OWNER_THREAD);
	assert_int_equal(read.word, 0x7fbe8b25ba10);
	assert_int_equal(lm_owner_decode(&read, NULL, 0, &owner), 0);
	assert_int_equal(owner.lock, 0x7fbe8b25ba10);
	assert_int_equal(owner.tid, 0);
	assert_int_equal(owner.word, 0);
	assert_int_equal(owner.strength, STRONG);

	wait.regs.r10 = TIMEOUT;
	assert_int_equal(lm_owner_plan(&wait, &read), 0);
	assert_int_equal(lm_owner_decode(&read, NULL, 0, &owner), 0);
	assert_int_equal(owner.strength, SOFT);
}

static void a_restarted_wait_is_read_and_other_calls_are_not(void **state)
{
	struct lm_owner_wait wait = wait_of(&rows[0]);
	struct lm_owner_read read;

	(void)state;
	wait.regs.nr = 219;
	assert_int_equal(lm_owner_plan(&wait, &read), 0);
	wait.regs.nr = 455;
	assert_int_equal(lm_owner_plan(&wait, &read), -ENOENT);
	wait.regs.nr = -1;
	assert_int_equal(lm_owner_plan(&wait, &read), -ENOENT);
}

static void addresses_at_both_ends_do_not_wrap(void **state)
{
	static const struct {
		enum lm_wait_class wait_class;
		int libc;
		uint64_t word, op, val;
		int planned;
	} ends[] = {
		{RWLOCK, GLIBC, 4, 0x189, 3, -ENOENT},
		{RWLOCK, GLIBC, 0, 0x189, 3, -ENOENT},
		{RWLOCK, GLIBC, UINT64_MAX - 7, 0x189, 3, -ENOENT},
		{MUTEX, GLIBC, UINT64_MAX - 7, 0x80, 2, -ENOENT},
		{MUTEX, GLIBC, 0, 0x80, 2, 0},
		{MUTEX, MUSL, 0, 0x80, W | TID, -ENOENT},
		{MUTEX, MUSL, UINT64_MAX - 3, 0x80, W | TID, -ENOENT},
		{PI, MUSL, 0, 0x86, 0, -ENOENT},
		{PI, GLIBC, UINT64_MAX - 3, 0x86, 0, -ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct lm_owner_wait wait = {.wait_class = ends[i].wait_class,
			.is_musl = ends[i].libc == MUSL,
			.regs = {.nr = NR_FUTEX, .di = ends[i].word, .si = ends[i].op, .dx = ends[i].val}};
		struct lm_owner_read read;

		assert_int_equal(lm_owner_plan(&wait, &read), ends[i].planned);
	}
}

static void lock_functions_are_those_of_libc(void **state)
{
	(void)state;
	assert_true(lm_owner_is_lock_function("pthread_mutex_lock"));
	assert_true(lm_owner_is_lock_function("___pthread_mutex_lock"));
	assert_true(lm_owner_is_lock_function("__pthread_mutex_cond_lock"));
	assert_true(lm_owner_is_lock_function("__pthread_mutex_lock_full"));
	assert_true(lm_owner_is_lock_function("mtx_lock"));
	assert_true(lm_owner_is_lock_function("pthread_rwlock_wrlock"));
	assert_false(lm_owner_is_lock_function("pthread_cond_wait"));
	assert_false(lm_owner_is_lock_function("__lll_lock_wait_private"));
	assert_false(lm_owner_is_lock_function("std::sys::sync::mutex::futex::Mutex::lock_contended"));
	assert_false(lm_owner_is_lock_function("runtime.futex"));
	assert_false(lm_owner_is_lock_function("main"));
}

static void strengths_are_ordered_and_named(void **state)
{
	(void)state;
	assert_true(SOFT < STRONG && STRONG < CERTAIN);
	assert_string_equal(lm_owner_strength_name(SOFT), "soft");
	assert_string_equal(lm_owner_strength_name(STRONG), "strong");
	assert_string_equal(lm_owner_strength_name(CERTAIN), "certain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_its_owner),
		cmocka_unit_test(without_a_lock_function_on_the_stack_a_plain_mutex_is_soft),
		cmocka_unit_test(a_join_needs_no_memory),
		cmocka_unit_test(a_restarted_wait_is_read_and_other_calls_are_not),
		cmocka_unit_test(addresses_at_both_ends_do_not_wrap),
		cmocka_unit_test(lock_functions_are_those_of_libc),
		cmocka_unit_test(strengths_are_ordered_and_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
