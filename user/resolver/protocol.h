/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the client and the worker say to each other, over a SOCK_SEQPACKET pair:
 * each message is a header and a payload of at most LM_MESSAGE_MAX bytes; each
 * request has one reply of the same type, but for those that say "no reply". A
 * request that brings a descriptor carries it as SCM_RIGHTS. Both run on one
 * machine and come from one build, so structures are sent as they are.
 */
#ifndef LM_RESOLVER_PROTOCOL_H
#define LM_RESOLVER_PROTOCOL_H

#include <stdint.h>

#include "leakmon_abi.h"
#include "user/golang/record.h"

#define LM_MESSAGE_MAX 65536
#define LM_UNWIND_MAX 15  /* requests in a message: 15 × 256 frames of 16 bytes fit */
#define LM_SYMBOLS_MAX 16 /* frames in a message: 16 × 32 inlined functions with texts fit or are cut */
#define LM_MAPS_MAX 1024  /* mappings in a message */
#define LM_BUILD_ID_MAX 64
#define LM_INLINED_MAX 32
#define LM_TEXT_MAX 1000 /* longer names are cut */

enum lm_message_type {
	LM_MESSAGE_MODULE = 1, /* struct lm_module_request, descriptor → struct lm_module_reply */
	LM_MESSAGE_DEBUG,      /* uint32_t module, descriptor of its debug file → no reply */
	LM_MESSAGE_TARGET,     /* uint32_t target, descriptor of its memory → no reply */
	LM_MESSAGE_MAPS,       /* struct lm_maps_request → no reply */
	LM_MESSAGE_CLOSE,      /* uint32_t target → no reply */
	LM_MESSAGE_UNWIND,     /* struct lm_unwind_message → struct lm_unwind_reply for each, in a row */
	LM_MESSAGE_SYMBOLS,    /* struct lm_symbols_request → struct lm_symbol_reply for each, in a row */
	LM_MESSAGE_FORGET,     /* uint32_t module that no target maps any more → no reply */
	LM_MESSAGE_PERF_MAP,   /* uint32_t target, descriptor of its JIT's symbols → no reply */
	LM_MESSAGE_GO_OPEN, /* struct lm_maps_request: all that is mapped of the program → struct lm_go_open_reply */
	LM_MESSAGE_GO_LOOK, /* struct lm_go_look_request → struct lm_go_look_reply */
	LM_MESSAGE_GO_CHANGES, /* uint32_t target → struct lm_reply_head, that many struct lm_go_record */
	LM_MESSAGE_GO_STACK,   /* struct lm_go_stack_request → struct lm_go_stack_reply, frames */
	LM_MESSAGE_GO_DETAILS, /* struct lm_go_details_request → struct lm_go_details_reply */
};

/* Opens the replies to LM_MESSAGE_UNWIND and LM_MESSAGE_SYMBOLS. What is slow is answered in parts: those that the
 * budget allowed, but at least one. */
struct lm_reply_head {
	uint32_t len;    /* how many of the request are answered */
	uint32_t python; /* enum lm_python_status of the target, in those to LM_MESSAGE_UNWIND */
	uint32_t pad[2];
};

struct lm_message {
	uint32_t type;
	uint32_t size; /* of the payload */
};

struct lm_module_request {
	uint32_t module;
};

struct lm_module_reply {
	uint32_t module;
	uint8_t readable;  /* an ELF file that could be read */
	uint8_t has_lines; /* has debug information of its own */
	uint8_t build_id_len;
	uint8_t pad;
	uint8_t build_id[LM_BUILD_ID_MAX];
};

#define LM_MODULE_NONE 0          /* code without a file */
#define LM_MODULE_PERF UINT32_MAX /* code without a file that the JIT's symbols name */
/* A Python frame: offset is the number of a place, which the worker gives once in its life. Its symbol is one function;
 * function_start is its first line. */
#define LM_MODULE_PYTHON (UINT32_MAX - 1)
#define LM_MODULE_JAVA (UINT32_MAX - 2) /* a method of a JVM */

struct lm_map_message {
	uint64_t start, end, file_offset;
	uint32_t module;
	uint32_t executable;
};

struct lm_maps_request {
	uint32_t target;
	uint32_t first; /* 1: these replace what was known; 0: they are added */
	uint32_t len;
	uint32_t pad;
	struct lm_map_message maps[];
};

struct lm_unwind_message {
	uint32_t target;
	uint32_t len;
	uint64_t budget_ns;
	struct lm_regs regs[LM_UNWIND_MAX]; /* len are sent */
};

enum lm_unwind_status {
	LM_UNWIND_COMPLETE,
	LM_UNWIND_TRUNCATED,
	LM_UNWIND_BROKEN,
	LM_UNWIND_NO_MEMORY, /* the stack could not be read */
	LM_UNWIND_NO_JAVA,   /* broken, in the code of a JVM whose frames cannot be read */
};

/* What came of looking for Python frames in a target. */
enum lm_python_status {
	LM_PYTHON_NONE,            /* there is no interpreter, or nothing was asked of it */
	LM_PYTHON_READ,            /* frames were read, or there were none */
	LM_PYTHON_UNKNOWN_VERSION, /* an interpreter that is laid out in a way that is not known */
	LM_PYTHON_UNREADABLE,      /* its memory is not what its version says it should be */
};

struct lm_frame_message {
	uint64_t offset; /* file offset; the address where module is LM_MODULE_NONE, the key where it is LM_MODULE_JAVA
			  */
	uint32_t module;
	uint32_t exact; /* an instruction that is to be run, not one to return to */
};

struct lm_unwind_reply {
	uint32_t status;   /* enum lm_unwind_status */
	uint32_t unmapped; /* some address was in no mapping: the maps may be old */
	uint32_t unnamed;  /* some address was in code without a file, and not among the JIT's symbols */
	uint32_t len;
	struct lm_frame_message frames[];
};

struct lm_symbols_request {
	uint32_t target;
	uint32_t len;
	uint64_t budget_ns;
	struct lm_frame_message frames[LM_SYMBOLS_MAX]; /* len are sent */
};

/* Followed by functions_len times struct lm_function_message, each followed by its two texts. */
struct lm_symbol_reply {
	uint64_t function_start; /* file offset */
	uint32_t functions_len;
	uint32_t pad;
};

struct lm_function_message {
	uint32_t line;
	uint16_t inlined;
	uint16_t name_len; /* 0: not known; the texts are not terminated */
	uint16_t file_len;
	uint16_t pad[3];
};

/* What can be said of a program's goroutines. */
enum lm_go_answer {
	LM_GO_NONE,    /* it is no Go program */
	LM_GO_READY,   /* they can be read; a look: is complete */
	LM_GO_EARLY,   /* its runtime has not started yet; a look: is not complete yet */
	LM_GO_REFUSED, /* they cannot be read */
};

#define LM_GO_WHY_MAX 160
#define LM_GO_REASONS_TOLD 96 /* Go 1.27 has 45 */
#define LM_GO_REASON_MAX 48

struct lm_go_open_reply {
	uint32_t status; /* enum lm_go_answer */
	uint32_t pad;
	char why[LM_GO_WHY_MAX];
	char reasons[LM_GO_REASONS_TOLD][LM_GO_REASON_MAX]; /* Go's own words for each; "" where there are none */
};

struct lm_go_look_request {
	uint32_t target;
	uint32_t tell_again; /* 1: all goroutines are new to the client */
	uint64_t budget_ns;
};

struct lm_go_look_reply {
	uint32_t status; /* enum lm_go_answer */
	uint32_t pad;
	uint64_t records;             /* that are to be told now: what LM_MESSAGE_GO_CHANGES will answer in all */
	struct lm_go_summary summary; /* its texts are those below */
	char why[LM_GO_WHY_MAX], no_gc[LM_GO_WHY_MAX], no_objects[LM_GO_WHY_MAX]; /* "" for none */
};

struct lm_go_stack_request {
	uint32_t target, stack;
};

/* Followed by len times struct lm_go_frame_message, each followed by struct lm_symbol_reply with its functions. */
struct lm_go_stack_reply {
	uint32_t len;     /* of the frames, the creator's included */
	uint32_t creator; /* 1: the last one is the go statement that created the goroutine */
};

struct lm_go_frame_message {
	uint64_t offset; /* in the program's file, or the address where it is in none */
};

struct lm_go_details_request {
	uint32_t target, index;
	uint64_t goid;
};

struct lm_go_details_reply {
	uint32_t found;
	uint32_t pad;
	struct lm_go_details details;
};

/* Receives one message into buffer (LM_MESSAGE_MAX + header). Payload size, 0 with *type 0 at the end of the
 * connection, or -errno; *fd is -1 when no descriptor came. */
int lm_message_receive(int socket, void *buffer, uint32_t *type, int *fd);
/* Sends one, with a descriptor if fd >= 0. 0 or -errno. */
int lm_message_send(int socket, uint32_t type, const void *payload, uint32_t size, int fd);

#endif
