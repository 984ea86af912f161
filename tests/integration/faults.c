/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A library for LD_PRELOAD that makes calls of the C library fail, as a test says while the program runs: in a file
 * (LEAKMON_FAULTS) that both map. Where to fail is told in two ways: each place in the program that makes a call has
 * its calls number 1, 2, 4, 8 … fail (places are told apart by return address, so a sweep of all of them takes no
 * longer than the program takes to come by), or one call in so many at random. For the start of a program there is
 * a third: the n-th place that makes such a call, and no other.
 *
 * A process that this one starts with an empty environment (leakmon's resolver) is spared, unless
 * LEAKMON_FAULTS_CHILD names a file for it.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* As KINDS in test_faults.py. */
enum kind { MEMORY, MAPPING, DESCRIPTOR, READ, WRITE, SYNC, WAIT, MESSAGE, FORK, BPF, KINDS };
enum mode { OFF, EACH, RANDOM, PLACE };
enum how { FAIL_FIRST, SHORT_TOO }; /* what a read or write does: fail, or be short every other time */

#define PLACES 4096 /* a power of two */

struct place {
	uint64_t caller; /* 0: free */
	uint64_t calls;
};

struct control {
	struct {
		uint32_t mode, one_in, error, how;
		uint64_t target; /* of PLACE: the number of the place, from 1 */
		uint64_t calls, failed, places;
	} kinds[KINDS];
	uint64_t random;
	struct place places[PLACES];
};

static struct control *control;
static const char *child_file;

#define REAL(name) ((__typeof__(&name))real(&pointers[P_##name], #name))

/* Pointers of the functions behind ours, found when they are first needed. */
enum {
	P_malloc,
	P_calloc,
	P_realloc,
	P_mmap,
	P_mmap64,
	P_open,
	P_open64,
	P_openat,
	P_openat64,
	P_fopen,
	P_fopen64,
	P_opendir,
	P_socket,
	P_socketpair,
	P_accept4,
	P_epoll_create1,
	P_memfd_create,
	P_timerfd_create,
	P_signalfd,
	P_read,
	P_pread,
	P_pread64,
	P_write,
	P_pwrite,
	P_pwrite64,
	P_fsync,
	P_fdatasync,
	P_ftruncate64,
	P_epoll_wait,
	P_epoll_ctl,
	P_poll,
	P_recvmsg,
	P_sendmsg,
	P_recv,
	P_send,
	P_sendto,
	P_fork,
	P_execve,
	P_syscall,
	POINTERS
};
static void *pointers[POINTERS];

static void *real(void **pointer, const char *name)
{
	if (!*pointer)
		*pointer = dlsym(RTLD_NEXT, name);
	return *pointer;
}

__attribute__((constructor)) static void open_control(void)
{
	const char *path = getenv("LEAKMON_FAULTS");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *mapped;

	child_file = getenv("LEAKMON_FAULTS_CHILD");
	if (fd < 0)
		return;
	mapped = REAL(mmap)(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		control = mapped;
}

static uint64_t next_random(void)
{
	uint64_t number = control->random;

	number ^= number << 13;
	number ^= number >> 7;
	number ^= number << 17;
	control->random = number;
	return number;
}

/* The place of these calls, counted; NULL when the table is full. */
static struct place *find_place(enum kind kind, const void *caller)
{
	uint64_t key = (uintptr_t)caller * KINDS + kind, at = key * 0x9e3779b97f4a7c15ull >> 40;

	for (int i = 0; i < PLACES; i++, at++) {
		struct place *place = &control->places[at % PLACES];

		if (place->caller == key)
			return place;
		if (!place->caller) {
			place->caller = key;
			control->kinds[kind].places++;
			return place;
		}
	}
	return NULL;
}

/* Is this call to fail? Sets errno then. */
static bool fails(enum kind kind, const void *caller)
{
	struct place *place;
	bool now = false;

	if (!control || control->kinds[kind].mode == OFF)
		return false;
	control->kinds[kind].calls++;
	switch (control->kinds[kind].mode) {
	case EACH:
		place = find_place(kind, caller);
		now = place && (place->calls & (place->calls + 1)) == 0;
		if (place)
			place->calls++;
		break;
	case RANDOM:
		now = next_random() % control->kinds[kind].one_in == 0;
		break;
	case PLACE:
		place = find_place(kind, caller);
		now = place && ++place->calls == 1 && control->kinds[kind].places == control->kinds[kind].target;
		break;
	default:
		break;
	}
	if (now) {
		control->kinds[kind].failed++;
		errno = (int)control->kinds[kind].error;
	}
	return now;
}

#define FAILS(kind) fails(kind, __builtin_return_address(0))

/* How many bytes of so many are to be read or written; -1: it is to fail. Only now and then, like fails. */
static ssize_t bytes_of(enum kind kind, const void *caller, size_t len)
{
	if (!fails(kind, caller))
		return (ssize_t)len;
	if (control->kinds[kind].how == SHORT_TOO && len > 1 && control->kinds[kind].failed % 2)
		return (ssize_t)(len / 2);
	return -1;
}

#define BYTES(kind, len) bytes_of(kind, __builtin_return_address(0), len)

/* --- memory --- */

void *malloc(size_t size)
{
	return FAILS(MEMORY) ? NULL : REAL(malloc)(size);
}

void *calloc(size_t len, size_t size)
{
	return FAILS(MEMORY) ? NULL : REAL(calloc)(len, size);
}

void *realloc(void *memory, size_t size)
{
	return size && FAILS(MEMORY) ? NULL : REAL(realloc)(memory, size);
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
	return FAILS(MAPPING) ? MAP_FAILED : REAL(mmap)(address, len, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t len, int protection, int flags, int fd, off64_t offset)
{
	return FAILS(MAPPING) ? MAP_FAILED : REAL(mmap64)(address, len, protection, flags, fd, offset);
}

/* --- descriptors --- */

#define OPEN(name, ...)                                                                                                \
	va_list args;                                                                                                  \
	mode_t mode;                                                                                                   \
                                                                                                                       \
	va_start(args, flags);                                                                                         \
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;                                               \
	va_end(args);                                                                                                  \
	return FAILS(DESCRIPTOR) ? -1 : REAL(name)(__VA_ARGS__, flags, mode)

int open(const char *path, int flags, ...)
{
	OPEN(open, path);
}

int open64(const char *path, int flags, ...)
{
	OPEN(open64, path);
}

int openat(int directory, const char *path, int flags, ...)
{
	OPEN(openat, directory, path);
}

int openat64(int directory, const char *path, int flags, ...)
{
	OPEN(openat64, directory, path);
}

FILE *fopen(const char *path, const char *mode)
{
	return FAILS(DESCRIPTOR) ? NULL : REAL(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return FAILS(DESCRIPTOR) ? NULL : REAL(fopen64)(path, mode);
}

DIR *opendir(const char *path)
{
	return FAILS(DESCRIPTOR) ? NULL : REAL(opendir)(path);
}

int socket(int domain, int type, int protocol)
{
	return FAILS(DESCRIPTOR) ? -1 : REAL(socket)(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int pair[2])
{
	return FAILS(DESCRIPTOR) ? -1 : REAL(socketpair)(domain, type, protocol, pair);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return FAILS(DESCRIPTOR) ? -1 : REAL(accept4)(fd, address, len, flags);
}

int epoll_create1(int flags)
{
	return FAILS(DESCRIPTOR) ? -1 : REAL(epoll_create1)(flags);
}

int memfd_create(const char *name, unsigned int flags)
{
	return FAILS(DESCRIPTOR) ? -1 : REAL(memfd_create)(name, flags);
}

int timerfd_create(int clock, int flags)
{
	return FAILS(DESCRIPTOR) ? -1 : REAL(timerfd_create)(clock, flags);
}

int signalfd(int fd, const sigset_t *signals, int flags)
{
	return FAILS(DESCRIPTOR) ? -1 : REAL(signalfd)(fd, signals, flags);
}

/* --- bytes --- */

ssize_t read(int fd, void *data, size_t len)
{
	ssize_t bytes = BYTES(READ, len);

	return bytes < 0 ? -1 : REAL(read)(fd, data, (size_t)bytes);
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
	ssize_t bytes = BYTES(READ, len);

	return bytes < 0 ? -1 : REAL(pread)(fd, data, (size_t)bytes, offset);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t offset)
{
	ssize_t bytes = BYTES(READ, len);

	return bytes < 0 ? -1 : REAL(pread64)(fd, data, (size_t)bytes, offset);
}

ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t bytes = BYTES(WRITE, len);

	return bytes < 0 ? -1 : REAL(write)(fd, data, (size_t)bytes);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	ssize_t bytes = BYTES(WRITE, len);

	return bytes < 0 ? -1 : REAL(pwrite)(fd, data, (size_t)bytes, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	ssize_t bytes = BYTES(WRITE, len);

	return bytes < 0 ? -1 : REAL(pwrite64)(fd, data, (size_t)bytes, offset);
}

int fsync(int fd)
{
	return FAILS(SYNC) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return FAILS(SYNC) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t len)
{
	return FAILS(WRITE) ? -1 : REAL(ftruncate64)(fd, len);
}

/* --- waiting and messages --- */

int epoll_wait(int fd, struct epoll_event *events, int len, int timeout_ms)
{
	return FAILS(WAIT) ? -1 : REAL(epoll_wait)(fd, events, len, timeout_ms);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	/* what is added may fail, for memory; the rest cannot */
	if (operation == EPOLL_CTL_ADD && FAILS(WAIT)) {
		errno = ENOMEM;
		return -1;
	}
	return REAL(epoll_ctl)(epoll, operation, fd, event);
}

int poll(struct pollfd *fds, nfds_t len, int timeout_ms)
{
	return FAILS(WAIT) ? -1 : REAL(poll)(fds, len, timeout_ms);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return FAILS(MESSAGE) ? -1 : REAL(recvmsg)(fd, message, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return FAILS(MESSAGE) ? -1 : REAL(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
	return FAILS(MESSAGE) ? -1 : REAL(recv)(fd, data, len, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	return FAILS(MESSAGE) ? -1 : REAL(send)(fd, data, len, flags);
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
	return FAILS(MESSAGE) ? -1 : REAL(sendto)(fd, data, len, flags, to, to_len);
}

/* --- processes --- */

pid_t fork(void)
{
	return FAILS(FORK) ? -1 : REAL(fork)();
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	char faults[512], preload[512];
	static char sanitizer[] = "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0:allocator_may_return_null=1";
	char *more[] = {faults, preload, getenv("ASAN_OPTIONS") ? sanitizer : NULL, NULL};
	Dl_info own;

	if (!child_file || (envp && envp[0]) || !dladdr(&control, &own))
		return REAL(execve)(path, argv, envp);
	snprintf(faults, sizeof(faults), "LEAKMON_FAULTS=%s", child_file);
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", own.dli_fname);
	return REAL(execve)(path, argv, more);
}

/* Of raw system calls those of libbpf alone may fail: nothing else of what the program does that way returns. */
long syscall(long number, ...)
{
	va_list args;
	long a[6];

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_bpf && FAILS(BPF))
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
