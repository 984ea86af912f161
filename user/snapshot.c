// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names that CONTRACT.md gives to wait classes, levels and findings, and the
 * arena that owns what a snapshot points to. What stands in a snapshot is decided
 * by the monitor, how it looks by the renderers.
 */
#include "user/snapshot.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* A report of a few hundred sites takes some 100 KiB: few chunks, and little is wasted on a small one. */
#define CHUNK_BYTES (64 * 1024 - 64)

static const char *const wait_class_names[LM_WAIT_CLASSES] = {
	[LM_WAIT_FUTEX_MUTEX] = "futex_mutex",
	[LM_WAIT_FUTEX_RWLOCK] = "futex_rwlock",
	[LM_WAIT_FUTEX_COND] = "futex_cond",
	[LM_WAIT_FUTEX_SEM] = "futex_sem",
	[LM_WAIT_FUTEX_BARRIER] = "futex_barrier",
	[LM_WAIT_FUTEX_JOIN] = "futex_join",
	[LM_WAIT_FUTEX_PI] = "futex_pi",
	[LM_WAIT_FUTEX_OTHER] = "futex_other",
	[LM_WAIT_POLL] = "poll",
	[LM_WAIT_SOCKET] = "socket",
	[LM_WAIT_PIPE] = "pipe",
	[LM_WAIT_FILE] = "file",
	[LM_WAIT_DISK] = "disk",
	[LM_WAIT_SLEEP] = "sleep",
	[LM_WAIT_CHILD] = "wait_child",
	[LM_WAIT_SIGNAL] = "signal",
	[LM_WAIT_IO_URING] = "io_uring",
	[LM_WAIT_STOPPED] = "stopped",
	[LM_WAIT_OTHER] = "other",
	[LM_WAIT_GO_CHAN_SEND] = "chan_send",
	[LM_WAIT_GO_CHAN_RECEIVE] = "chan_receive",
	[LM_WAIT_GO_CHAN_SEND_NIL] = "chan_send_nil",
	[LM_WAIT_GO_CHAN_RECEIVE_NIL] = "chan_receive_nil",
	[LM_WAIT_GO_SELECT] = "select",
	[LM_WAIT_GO_SELECT_NO_CASES] = "select_no_cases",
	[LM_WAIT_GO_MUTEX] = "mutex",
	[LM_WAIT_GO_RWMUTEX_READ] = "rwmutex_read",
	[LM_WAIT_GO_RWMUTEX_WRITE] = "rwmutex_write",
	[LM_WAIT_GO_COND] = "cond",
	[LM_WAIT_GO_WAITGROUP] = "waitgroup",
	[LM_WAIT_GO_SEMAPHORE] = "semaphore",
	[LM_WAIT_GO_SLEEP] = "sleep",
	[LM_WAIT_GO_IO] = "io",
	[LM_WAIT_GO_SYSCALL] = "syscall",
	[LM_WAIT_GO_OTHER] = "other",
};

static const char *const level_names[LM_LEVELS] = {
	[LM_LEVEL_NONE] = "none",
	[LM_LEVEL_SUSPECT] = "suspect",
	[LM_LEVEL_LIKELY] = "likely",
	[LM_LEVEL_CONFIRMED] = "confirmed",
};

static const char *const finding_type_names[LM_FINDING_TYPES] = {
	[LM_FINDING_LEAK] = "leak",
	[LM_FINDING_DEADLOCK] = "deadlock",
	[LM_FINDING_ORPHANED_LOCK] = "orphaned_lock",
	[LM_FINDING_PILEUP] = "pileup",
	[LM_FINDING_STUCK] = "stuck",
	[LM_FINDING_CONNECTIONS] = "connections",
};

const char *lm_wait_class_name(enum lm_wait_class wait_class)
{
	return (size_t)wait_class < ARRAY_LEN(wait_class_names) ? wait_class_names[wait_class] : "other";
}

const char *lm_level_name(enum lm_level level)
{
	return (size_t)level < ARRAY_LEN(level_names) ? level_names[level] : "none";
}

int lm_level_parse(const char *text, enum lm_level *level)
{
	for (size_t i = LM_LEVEL_SUSPECT; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *lm_finding_type_name(enum lm_finding_type type)
{
	return (size_t)type < ARRAY_LEN(finding_type_names) ? finding_type_names[type] : "unknown";
}

bool lm_snapshot_complete(const struct lm_snapshot *snapshot)
{
	const struct lm_snapshot_losses *losses = &snapshot->losses;

	return !(losses->ring_full || losses->storage_failed || losses->program_missed || losses->scan_truncated ||
		 losses->torn_reads || losses->unwind_failed || losses->symbol_failed || losses->skipped_processes);
}

struct chunk {
	struct chunk *next;
	size_t size, used;
	_Alignas(max_align_t) char bytes[];
};

struct lm_arena {
	struct chunk *chunks; /* the first is the one with room */
};

struct lm_arena *lm_arena_new(void)
{
	return calloc(1, sizeof(struct lm_arena));
}

void lm_arena_free(struct lm_arena *arena)
{
	if (!arena)
		return;
	while (arena->chunks) {
		struct chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	free(arena);
}

static struct chunk *add_chunk(struct lm_arena *arena, size_t size)
{
	struct chunk *chunk, *first = arena->chunks;
	size_t bytes = size > CHUNK_BYTES ? size : CHUNK_BYTES;

	chunk = calloc(1, sizeof(*chunk) + bytes);
	if (!chunk)
		return NULL;
	chunk->size = bytes;
	/* What is large fills a chunk of its own, behind the one that still has room. */
	if (first && size > CHUNK_BYTES) {
		chunk->next = first->next;
		first->next = chunk;
	} else {
		chunk->next = first;
		arena->chunks = chunk;
	}
	return chunk;
}

void *lm_arena_alloc(struct lm_arena *arena, size_t size)
{
	size_t step = _Alignof(max_align_t);
	struct chunk *chunk = arena->chunks;
	void *memory;

	if (size > PTRDIFF_MAX - sizeof(*chunk) - step)
		return NULL;
	size = (size + step - 1) / step * step;
	if (!chunk || chunk->size - chunk->used < size)
		chunk = add_chunk(arena, size);
	if (!chunk)
		return NULL;
	memory = chunk->bytes + chunk->used;
	chunk->used += size;
	return memory;
}

char *lm_arena_text(struct lm_arena *arena, const char *text)
{
	size_t size;
	char *copy;

	if (!text)
		return NULL;
	size = strlen(text) + 1;
	copy = lm_arena_alloc(arena, size);
	return copy ? memcpy(copy, text, size) : NULL;
}

char *lm_arena_format(struct lm_arena *arena, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = lm_arena_alloc(arena, (size_t)len + 1);
	if (!text)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}

void lm_snapshot_free(struct lm_snapshot *snapshot)
{
	struct lm_arena *arena;

	if (!snapshot)
		return;
	/* Taken out first: the snapshot itself may lie in the arena. */
	arena = snapshot->arena;
	memset(snapshot, 0, sizeof(*snapshot));
	lm_arena_free(arena);
}
