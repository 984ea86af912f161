/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The symbols that a JIT compiler writes to /tmp/perf-PID.map: lines of "START SIZE NAME", numbers in hex. */
#ifndef LM_RESOLVER_PERF_MAP_H
#define LM_RESOLVER_PERF_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_PERF_MAP_BYTES (16u << 20) /* what is read of a file */

struct lm_perf_map;

/* Takes over the descriptor. 0 or -errno. */
int lm_perf_map_open(int fd, struct lm_perf_map **map);
void lm_perf_map_free(struct lm_perf_map *map);

/* Memory that it takes. */
size_t lm_perf_map_bytes(const struct lm_perf_map *map);

/* Is there a symbol for the address? *start is where it begins. map may be NULL. */
bool lm_perf_map_find(const struct lm_perf_map *map, uint64_t address, uint64_t *start);
/* Its name, cut to size - 1 bytes; "" if there is none. */
void lm_perf_map_name(const struct lm_perf_map *map, uint64_t address, char *name, size_t size);

#endif
