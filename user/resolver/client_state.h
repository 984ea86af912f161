/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's own structures, shared by its parts: client.c (the worker process),
 * client_modules.c (what it was given), client_maps.c (what it knows of an address
 * space), client_answers.c (what it says), client_python.c (what of that are places in
 * Python programs), client_target.c (all of it in order).
 */
#ifndef LM_RESOLVER_CLIENT_STATE_H
#define LM_RESOLVER_CLIENT_STATE_H

#include "user/resolver/client.h"
#include "user/resolver/client_files.h"
#include "user/resolver/protocol.h"

#define LM_UNDEAD_MAX 16

struct lm_resolver {
	struct lm_resolver_config config;
	pid_t pid; /* of the worker, 0 = none */
	int socket;
	pid_t undead[LM_UNDEAD_MAX];            /* killed, but waiting in the kernel for something */
	uint32_t generation;                    /* of the worker: what was told to one is not known to the next */
	struct lm_known_module *modules;        /* by key; of this generation */
	struct lm_known_module *modules_by_id;  /* the same */
	struct lm_known_module *unused_modules; /* those that no target maps, oldest first */
	uint32_t unused_modules_len;
	uint32_t last_module, last_target;
	struct lm_python_known *python_places; /* of this generation */
	struct lm_python_file *python_files;
	struct lm_resolver_counters counters;
	double ended_cpu_s; /* of workers that have ended */
	_Alignas(16) char buffer[LM_MESSAGE_MAX];
};

/* The modules that a target's mappings name, counted as used. */
struct lm_module_set {
	struct lm_known_module **modules;
	size_t len, room;
	uint32_t generation;
};

struct lm_target {
	pid_t pid;
	uint64_t start_ns;
	int mem_fd;
	uint32_t id, generation;
	bool failed; /* the worker failed on it: it is not tried again */
	char *build_id;
	struct lm_module_set modules;
	const struct lm_module *java_module; /* of its methods, NULL: none was seen yet */
	/* its JIT's symbols, as they were sent */
	const struct lm_module *perf_module; /* NULL: none */
	int64_t perf_size;
	uint64_t perf_inode;
	enum lm_python_status python;
	struct lm_target_go *go; /* NULL: not looked for yet */
};

/* One request and its reply, which is left in resolver->buffer: its size, or -errno. A worker that does not answer in
 * time or dies is ended: -ETIMEDOUT, -ECONNRESET. */
int lm_resolver_ask(struct lm_resolver *resolver, uint32_t type, const void *payload, size_t size, int fd);
/* A request without a reply. 0 or -errno as above. */
int lm_resolver_tell(struct lm_resolver *resolver, uint32_t type, const void *payload, size_t size, int fd);
/* Ends the worker, counts that and returns why: -ETIMEDOUT, or -ECONNRESET for all else. The next one is started when
 * it is needed. */
int lm_resolver_give_up(struct lm_resolver *resolver, int error);
/* Makes sure that there is a worker, and that it has not ended since. 0 or -errno. */
int lm_resolver_ensure(struct lm_resolver *resolver);

/* Makes sure that the worker knows the target. 0 or -errno. */
int lm_target_prepare(struct lm_resolver *resolver, struct lm_target *target);
/* Has the worker look for a Go program in the target, whose maps it has: Go's tables also tell of its threads. 0 or
 * -errno; 0 if the worker failed on it before. */
int lm_target_go_open(struct lm_resolver *resolver, struct lm_target *target);
/* Forgets what is known of its goroutines. */
void lm_target_go_free(struct lm_target *target);

/* The module behind a mapping, added to the set; its id, LM_MODULE_NONE for code without a file. The worker is given
 * the file if it does not have it yet. 0 or -errno. */
int lm_modules_use(struct lm_resolver *resolver, const struct lm_target *target, const struct lm_map *map,
	struct lm_module_set *set, uint32_t *id);
/* Gives back all of a set. The modules that nobody has used for longest are taken from the worker. 0 or -errno. */
int lm_modules_release(struct lm_resolver *resolver, struct lm_module_set *set);
/* The module of this id, NULL if there is none. */
struct lm_known_module *lm_modules_find(const struct lm_resolver *resolver, uint32_t id);
/* All are forgotten with the worker that had them. */
void lm_modules_forget(struct lm_resolver *resolver);

/* Reads the mappings of the target and tells them to the worker. 0 or -errno. */
int lm_maps_tell(struct lm_resolver *resolver, struct lm_target *target);
/* Tells the symbols of the target's JIT if there are some that were not told yet; *told says so. 0 or -errno. */
int lm_maps_tell_perf_map(struct lm_resolver *resolver, struct lm_target *target, bool *told);
/* -ESRCH if the process with this PID is not the one that started then. */
int lm_maps_check_identity(const struct lm_resolver *resolver, pid_t pid, uint64_t start_ns);

enum lm_answer_flags {
	LM_ANSWER_UNMAPPED = 1, /* some address was in no mapping */
	LM_ANSWER_UNNAMED = 2,  /* some address was in code without a file and without a symbol */
};

/* Has stacks unwound, at most LM_UNWIND_MAX of them, and stores them. Returns how many requests were answered (at least
 * one) or -errno; adds to *flags (enum lm_answer_flags). */
int lm_answers_unwind(struct lm_resolver *resolver, struct lm_target *target, struct lm_unwind_request *requests,
	size_t len, unsigned *flags);

/* Reads one struct lm_symbol_reply with its functions at *at and moves on behind it: fills the frame's functions (room
 * for LM_INLINED_MAX of them) and function_start. Their texts are to be given back. 0 or -EPROTO; then there are none.
 */
int lm_answers_take_functions(const char **at, const char *end, struct lm_function *functions, struct lm_frame *frame);
void lm_answers_free_functions(struct lm_frame *frame);

/* The place in a Python program that the worker gave this number: its file as a module and its offset there. False if
 * it is not known, or not any more. */
bool lm_python_known(
	const struct lm_resolver *resolver, uint64_t number, const struct lm_module **module, uint64_t *offset);
/* Notes it: frame has the place's one function, and its first line as function_start; module, offset and start are set.
 * 0 or -ENOMEM. */
int lm_python_learn(struct lm_resolver *resolver, uint64_t number, struct lm_frame *frame);
/* Forgets the numbers: with the worker that gave them, or because there are so many. */
void lm_python_forget(struct lm_resolver *resolver);
/* Are there too many? */
bool lm_python_is_full(const struct lm_resolver *resolver);
/* Forgets the files as well. */
void lm_python_free_known(struct lm_resolver *resolver);

#endif
