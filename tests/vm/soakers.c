// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the soak's guest runs beside leakmon, `soakers WHAT …`:
 *   pool EVERY_S               24 workers that take turns at jobs, and now and then helpers that end
 *   leak BEGIN_S EVERY_S       from BEGIN_S on a thread that never ends, each EVERY_S
 *   deadlock BEGIN_S           then two threads that wait for each other
 *   churn EVERY_S              processes that end at once, some of them a little later
 *   copies EVERY_S FOLDER      processes that stay a little, each of a program of its own that is then removed
 * Times are since its start. Says on stdout what it did when ("@@@ …" lines), for soak_judge.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa))         /* noinline alone may clone, and rename, a function */
#define AFTER __asm__ volatile("" ::: "memory") /* keeps a call from becoming a jump */
#define STACK_BYTES (256 << 10)

#define WORKERS 24
#define HELPERS_EACH 60 /* jobs: then helpers come, too */
#define HELPERS 12
#define HELPER_JOBS 10 /* a helper stays for so many jobs' time */

#define LONGER_EACH 20 /* every so manieth process of the churn stays … */
#define LONGER_S 15    /* so long, with threads that wait */
#define LONGER_THREADS "3"

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void say(const char *what, const char *rest)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	printf("@@@ %s %lld.%03ld pid %d %s\n", what, (long long)now.tv_sec, now.tv_nsec / 1000000, getpid(), rest);
	fflush(stdout);
}

/* Sleeps until so long after the start, whatever was done since. */
static void sleep_until(double seconds)
{
	static struct timespec begun;
	struct timespec until;

	if (!begun.tv_sec)
		clock_gettime(CLOCK_MONOTONIC, &begun);
	until = begun;
	until.tv_sec += (time_t)seconds;
	until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static pthread_t start(void *(*thread)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	must(pthread_create(&id, &attr, thread, arg) == 0, "pthread_create");
	pthread_attr_destroy(&attr);
	return id;
}

/* --- a healthy pool --- */

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pool_jobs = PTHREAD_COND_INITIALIZER;
static int jobs;
static double job_every_s;

static NOINLINE void wait_for_job(void)
{
	pthread_mutex_lock(&pool_lock);
	while (!jobs)
		pthread_cond_wait(&pool_jobs, &pool_lock);
	jobs--;
	pthread_mutex_unlock(&pool_lock);
}

static void *work(void *arg)
{
	for (;;)
		wait_for_job();
	return arg;
}

static NOINLINE void help(void)
{
	usleep((useconds_t)(job_every_s * HELPER_JOBS * 1e6));
	AFTER;
}

static void *helper(void *arg)
{
	help();
	return arg;
}

static void run_pool(double every_s)
{
	job_every_s = every_s;
	for (int i = 0; i < WORKERS; i++)
		start(work, NULL);
	say("pool", "");
	for (long n = 1;; n++) {
		sleep_until((double)n * every_s);
		pthread_mutex_lock(&pool_lock);
		jobs++;
		pthread_cond_signal(&pool_jobs);
		pthread_mutex_unlock(&pool_lock);
		for (int i = 0; n % HELPERS_EACH == 0 && i < HELPERS; i++)
			start(helper, NULL);
	}
}

/* --- a leak --- */

static NOINLINE void wait_for_answer(void)
{
	sem_t answer; /* nobody will post it */

	sem_init(&answer, 0, 0);
	while (sem_wait(&answer))
		;
	AFTER;
}

static NOINLINE void query(void)
{
	wait_for_answer();
	AFTER;
}

static void *leak(void *arg)
{
	query();
	return arg;
}

static void run_leak(double begin_s, double every_s)
{
	say("waits", "");
	for (long n = 0;; n++) {
		sleep_until(begin_s + (double)n * every_s);
		start(leak, NULL);
		if (n == 0)
			say("onset", "");
	}
}

/* --- a deadlock --- */

static pthread_mutex_t locks[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static pthread_barrier_t both;

static NOINLINE void transfer(pthread_mutex_t *from, pthread_mutex_t *to)
{
	pthread_mutex_lock(from);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(to);
	AFTER;
}

static void *pay(void *arg)
{
	int way = arg != NULL;
	char rest[32];

	snprintf(rest, sizeof(rest), "tid %d", gettid());
	say("deadlock", rest);
	transfer(&locks[way], &locks[!way]);
	return NULL;
}

static void run_deadlock(double begin_s)
{
	say("waits", "");
	pthread_barrier_init(&both, NULL, 2);
	sleep_until(begin_s);
	start(pay, NULL);
	start(pay, &both);
	for (;;)
		pause();
}

/* --- churn --- */

/* The program once more, as another file. */
static void copy_program(const char *path)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct stat stat;

	must(from >= 0 && to >= 0 && fstat(from, &stat) == 0, path);
	must(sendfile(to, from, NULL, (size_t)stat.st_size) == stat.st_size, "sendfile");
	close(from);
	close(to);
}

/* Ends with its process. */
static NOINLINE void *linger(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void run_brief(const char *threads)
{
	for (int i = atoi(threads); i > 0; i--)
		start(linger, NULL);
	if (atoi(threads))
		sleep(LONGER_S);
}

static void run_program(const char *path, const char *threads)
{
	pid_t child = vfork();

	must(child >= 0, "vfork");
	if (!child) {
		execl(path, "brief", "brief", threads, NULL);
		_exit(127);
	}
}

static void run_churn(double every_s)
{
	signal(SIGCHLD, SIG_IGN);
	say("churn", "");
	for (unsigned long n = 1;; n++) {
		sleep_until((double)n * every_s);
		run_program("/proc/self/exe", n % LONGER_EACH ? "0" : LONGER_THREADS);
	}
}

static void run_copies(double every_s, const char *folder)
{
	char path[128];

	signal(SIGCHLD, SIG_IGN);
	say("copies", "");
	for (unsigned long n = 1;; n++) {
		sleep_until((double)n * every_s);
		snprintf(path, sizeof(path), "%s/copy-%lu", folder, n);
		copy_program(path);
		run_program(path, LONGER_THREADS);
		unlink(path);
	}
}

static double seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	must(*text && !*end && value >= 0, text);
	return value;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	sleep_until(0);
	if (!strcmp(what, "pool") && argc == 3)
		run_pool(seconds(argv[2]));
	else if (!strcmp(what, "leak") && argc == 4)
		run_leak(seconds(argv[2]), seconds(argv[3]));
	else if (!strcmp(what, "deadlock") && argc == 3)
		run_deadlock(seconds(argv[2]));
	else if (!strcmp(what, "churn") && argc == 3)
		run_churn(seconds(argv[2]));
	else if (!strcmp(what, "copies") && argc == 4)
		run_copies(seconds(argv[2]), argv[3]);
	else if (!strcmp(what, "brief") && argc == 3)
		run_brief(argv[2]);
	else
		return 64;
	return 0;
}
