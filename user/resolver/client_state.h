/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client's own structures, shared by client.c (the worker) and target.c (address spaces). */
#ifndef LM_RESOLVER_CLIENT_STATE_H
#define LM_RESOLVER_CLIENT_STATE_H

#include "user/resolver/client.h"
#include "user/resolver/client_files.h"
#include "user/resolver/protocol.h"

struct lm_resolver {
	struct lm_resolver_config config;
	pid_t pid; /* of the worker, 0 = none */
	int socket;
	uint32_t generation;             /* of the worker: what was told to one is not known to the next */
	struct lm_known_module *modules; /* by key; of this generation */
	struct lm_known_module **modules_by_id;
	uint32_t modules_len; /* ids are 1 … modules_len */
	uint32_t last_target;
	struct lm_resolver_counters counters;
	double ended_cpu_s; /* of workers that have ended */
	_Alignas(16) char buffer[LM_MESSAGE_MAX];
};

struct lm_target {
	pid_t pid;
	uint64_t start_ns;
	int mem_fd;
	uint32_t id, generation;
	bool failed; /* the worker failed on it: it is not tried again */
	char *build_id;
};

/* One request and its reply, which is left in resolver->buffer: its size, or -errno. A worker that does not answer in
 * time or dies is ended: -ETIMEDOUT, -ECONNRESET. */
int lm_resolver_ask(struct lm_resolver *resolver, uint32_t type, const void *payload, size_t size, int fd);
/* A request without a reply. 0 or -errno as above. */
int lm_resolver_tell(struct lm_resolver *resolver, uint32_t type, const void *payload, size_t size, int fd);
/* Makes sure that there is a worker. 0 or -errno. */
int lm_resolver_ensure(struct lm_resolver *resolver);

#endif
