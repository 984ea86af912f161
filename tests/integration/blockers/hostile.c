/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that does all it can to confuse who watches it: names that speak to
 * terminals, code in files that only look like ELF, stack pointers into nowhere.
 * "hostile exec" runs itself anew for ever, from a thread that is not the first;
 * "hostile churn" starts and ends threads for ever; in "hostile flutter" they wake all the time.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "blocker.h"

/* mov $SYS_pause,%eax; syscall; jmp to the syscall */
static const unsigned char pause_code[] = {0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};
enum { CODE_OFFSET = 0x800, FILE_BYTES = 0x2000 };

static const char *const names[] = {"\033[31mred\033[0m", "a\"b'c\\d", "two\nlines\r", "\xff\xfe\x80 bad",
	"\x9b"
	"31mC1",
	"\xc2\x9b"
	"2J",
	"\a\b\t\x7f", "\033]0;title\a", "${x};`id`", "\xf0\x9f\x98"};
enum { NAMES = sizeof(names) / sizeof(*names) };

static NOINLINE void *named(void *arg)
{
	prctl(PR_SET_NAME, arg);
	pause(); /* WAIT:named */
	AFTER;
	return NULL;
}

/* Blocks with the stack pointer at the address. Never returns. */
static void *stack_at(void *arg)
{
	__asm__ volatile("mov %0, %%rsp\n"
			 "1: mov $34, %%eax\n"
			 "syscall\n"
			 "jmp 1b\n" ::"r"(arg)
			 : "memory");
	__builtin_unreachable();
}

/* A stack of which every word is its own address, so that it never ends. */
static void *endless_stack(void)
{
	uint64_t *words = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(words != MAP_FAILED, "mmap");
	for (size_t i = 0; i < (1 << 20) / sizeof(*words); i++)
		words[i] = i % 2 ? (uint64_t)(uintptr_t)named + 8 : (uint64_t)(uintptr_t)&words[i];
	return words + 64;
}

/* A file that begins like this program, broken in the given way, with code that blocks in its middle. */
static void *broken_elf(int way)
{
	char path[] = "/tmp/leakmon-broken-XXXXXX";
	unsigned char bytes[FILE_BYTES] = {0};
	int self = open("/proc/self/exe", O_RDONLY), fd = mkstemp(path);
	void *code;

	must(fd >= 0 && self >= 0 && read(self, bytes, sizeof(bytes)) > CODE_OFFSET, "read /proc/self/exe");
	switch (way) {
	case 0: /* truncated: the headers speak of what is not there */
		break;
	case 1: /* section and program headers at the end of the address space */
		memset(bytes + 32, 0xff, 16);
		break;
	case 2: /* the most headers that can be, in sizes that overflow */
		memset(bytes + 52, 0xff, 12);
		break;
	case 3: /* program headers of noise */
		for (int i = 64; i < 64 + 13 * 56; i++)
			bytes[i] = (unsigned char)(i * 167 + 13);
		break;
	case 4: /* the magic alone */
		memset(bytes + 4, 0, sizeof(bytes) - 4);
		break;
	default: /* no ELF */
		memset(bytes, 0xa5, sizeof(bytes));
	}
	memcpy(bytes + CODE_OFFSET, pause_code, sizeof(pause_code));
	must(write(fd, bytes, sizeof(bytes)) == sizeof(bytes), "write");
	code = mmap(NULL, FILE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	must(code != MAP_FAILED, "mmap");
	must(way % 2 || !ftruncate(fd, CODE_OFFSET + 64), "ftruncate");
	unlink(path);
	close(fd);
	close(self);
	return (char *)code + CODE_OFFSET;
}

static void *brief(void *arg)
{
	return arg;
}

static void churn(void)
{
	for (;;) {
		pthread_t threads[32];
		int started = 0;

		for (int i = 0; i < 32; i++)
			started += !pthread_create(&threads[started], NULL, brief, NULL);
		for (int i = 0; i < started; i++)
			pthread_join(threads[i], NULL);
	}
}

/* Never blocked for long, so that what is read of it is often of another moment. */
static NOINLINE void *flutter(void *arg)
{
	for (uintptr_t i = (uintptr_t)arg;; i++)
		sleep_ms(2 + (int64_t)(i % 5));
	return NULL;
}

static void *exec_again(void *arg)
{
	char **argv = arg;

	sleep_ms(50);
	execv("/proc/self/exe", argv);
	return NULL;
}

static void confuse(void)
{
	char *guard = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *nowhere[] = {(void *)16, (void *)0xdeadbeef00000000, (void *)-8L, NULL, endless_stack()};

	must(guard != MAP_FAILED && !munmap(guard + 4096, 4096), "mmap");
	nowhere[3] = guard + 4096 - 8; /* ends after one word */
	for (int i = 0; i < NAMES; i++)
		start_thread_here(named, (void *)names[i]);
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++)
		start_thread_here(stack_at, nowhere[i]);
	for (int way = 0; way < 6; way++) {
		void *(*start)(void *);

		*(void **)&start = broken_elf(way);
		start_thread_here(start, NULL);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "exec"))
		for (int i = 0; i < 8; i++)
			start_thread_here(i == 7 ? exec_again : named, i == 7 ? (void *)argv : (void *)names[i]);
	else if (!strcmp(what, "flutter"))
		for (uintptr_t i = 0; i < 200; i++)
			start_thread_here(flutter, (void *)i);
	else if (!*what)
		confuse();
	printf("{\"pid\": %d, \"named\": %d, \"nowhere\": 5, \"broken\": 6}\n", getpid(), NAMES);
	fflush(stdout);
	if (!strcmp(what, "churn"))
		churn();
	while (read(0, &(char){0}, 1) > 0)
		;
	_exit(0);
}
