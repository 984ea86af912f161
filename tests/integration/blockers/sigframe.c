/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks that no table describes from end to end: threads that block in a signal
 * handler (on their own stack, on an alternate one), and below code that was made
 * at run time and keeps a frame pointer.
 */
#include <sys/mman.h>

#include "blocker.h"

static int fds[2];

static NOINLINE void in_handler(void)
{
	char byte;
	ssize_t got = read(fds[0], &byte, 1); /* WAIT:handler */

	must(got == 1, "read");
}

static NOINLINE void on_signal(int number)
{
	(void)number;
	in_handler();
	AFTER;
}

static void install(int number, int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(number, &action, NULL);
}

static NOINLINE void *interrupted_plain(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
	AFTER;
	return NULL;
}

static NOINLINE void *interrupted_alternate(void *arg)
{
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};

	sigaltstack(&stack, NULL);
	raise(SIGUSR2);
	AFTER;
	return arg;
}

/* Interrupted between two instructions, not in a call: its own address must be looked up as it is. */
static NOINLINE void *interrupted_anywhere(void *arg)
{
	volatile unsigned long spins = 0;
	pthread_t *self = arg;

	*self = pthread_self();
	__atomic_store_n((int *)(self + 1), 1, __ATOMIC_RELEASE);
	for (;;)
		spins++;
	return NULL;
}

static NOINLINE void below_generated(void)
{
	in_handler();
	AFTER;
}

static void (*generated)(void (*)(void));

static NOINLINE void *above_generated(void *arg)
{
	(void)arg;
	generated(below_generated);
	AFTER;
	return NULL;
}

static void generate(void)
{
	/* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
	static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED, "mmap");
	memcpy((char *)memory + 64, code, sizeof(code));
	must(!mprotect(memory, 4096, PROT_READ | PROT_EXEC), "mprotect");
	generated = (void (*)(void (*)(void)))((char *)memory + 64);
}

int main(void)
{
	static struct {
		pthread_t thread;
		int running;
	} spinner;

	must(!pipe(fds), "pipe");
	install(SIGUSR1, 0);
	install(SIGUSR2, SA_ONSTACK);
	generate();
	for (int i = 0; i < 3; i++)
		start_thread_here(interrupted_plain, NULL);
	for (int i = 0; i < 4; i++)
		start_thread_here(interrupted_alternate, NULL);
	for (int i = 0; i < 5; i++)
		start_thread_here(above_generated, NULL);
	start_thread_here(interrupted_anywhere, &spinner);
	while (!__atomic_load_n(&spinner.running, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	pthread_kill(spinner.thread, SIGUSR1);
	printf("{\"pid\": %d, \"groups\": ["
	       "{\"name\": \"plain\", \"class\": \"pipe\", \"count\": 3, "
	       "\"chain\": [\"in_handler\", \"on_signal\", \"interrupted_plain\"]}, "
	       "{\"name\": \"alternate\", \"class\": \"pipe\", \"count\": 4, "
	       "\"chain\": [\"in_handler\", \"on_signal\", \"interrupted_alternate\"]}, "
	       "{\"name\": \"anywhere\", \"class\": \"pipe\", \"count\": 1, "
	       "\"chain\": [\"in_handler\", \"on_signal\", \"interrupted_anywhere\"]}, "
	       "{\"name\": \"generated\", \"class\": \"pipe\", \"count\": 5, "
	       "\"chain\": [\"in_handler\", \"below_generated\", null, \"above_generated\"]}]}\n",
		getpid());
	fflush(stdout);
	while (read(0, &(char){0}, 1) > 0)
		;
	_exit(0);
}
