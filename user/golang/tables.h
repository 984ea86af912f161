/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables that Go's linker leaves in every program, stripped or not: which function a
 * program counter is in, how large its frame is there, its lines, and what was inlined.
 * They are read from the memory of the program, so they are there when its file is not.
 * Everything in them may be garbage: all reads are bounded.
 */
#ifndef LM_GOLANG_TABLES_H
#define LM_GOLANG_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/resolver/unwind.h"

struct lm_go_tables;

struct lm_go_function {
	uint64_t entry, end; /* addresses in the program */
	const char *name;    /* as in the table; valid as long as the tables */
	uint32_t number;     /* in the function table */
	uint8_t func_id;     /* abi.FuncID of the program's version */
	uint8_t flags;       /* abi.FuncFlag: 1 = top frame, 2 = writes SP, 4 = assembly */
};

/* One line of a stack: what the program counter stands for. */
struct lm_go_line {
	const char *function; /* NULL: not known; valid as long as the tables, as is file */
	const char *file;
	uint32_t line; /* 0: not known */
	bool inlined;  /* into the next one */
};

struct lm_go_cursor {
	uint64_t pc, sp;
	bool exact; /* pc is an instruction that is to be run, not one to return to */
};

/*
 * Finds the tables of a Go program that is mapped so; mem_fd must outlive them. regions are ascending; those of the
 * program's file need not be named, but where elf is set its sections may be used to find them. 0; -ENOEXEC: this is no
 * Go program, *why is NULL; -ENOTSUP, -EIO, -ENOMEM: it is one that cannot be read, *why says why (static text);
 * -EAGAIN: it has just been started.
 */
int lm_go_tables_open(int mem_fd, const struct lm_region *regions, size_t regions_len, struct lm_go_tables **tables,
	const char **why);
/* NULL is fine. */
void lm_go_tables_free(struct lm_go_tables *tables);

/* "go1.24.4", and its minor number (24). A version that is not known ("devel …") has minor 0. */
const char *lm_go_tables_version(const struct lm_go_tables *tables, int *minor);

/* The address of runtime.firstmoduledata, and of the code: [*text, *etext). */
uint64_t lm_go_tables_moduledata(const struct lm_go_tables *tables);
void lm_go_tables_text(const struct lm_go_tables *tables, uint64_t *text, uint64_t *etext);

/* The function that holds the address; false if none does. */
bool lm_go_tables_function(struct lm_go_tables *tables, uint64_t pc, struct lm_go_function *function);
/* The function of this name ("runtime.allgadd"); false if there is none. Slow: looks at all names. */
bool lm_go_tables_find(struct lm_go_tables *tables, const char *name, struct lm_go_function *function);

/*
 * From a frame to its caller: reads the return address through remote. The caller is exact if a signal came there.
 * False at the outermost frame (*complete true), or where the stack cannot be followed (*complete false).
 */
bool lm_go_tables_step(
	struct lm_go_tables *tables, struct lm_remote *remote, struct lm_go_cursor *cursor, bool *complete);

/* The lines that pc stands for, innermost first, at most max of them; 0 if it is in no function, or in one of those
 * that the compiler puts between a call and what is called, which Go's own stack traces leave out too. */
size_t lm_go_tables_lines(struct lm_go_tables *tables, uint64_t pc, bool exact, struct lm_go_line *lines, size_t max);

#endif
