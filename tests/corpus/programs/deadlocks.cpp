// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Deadlocks with the locks of C++: cycles of two threads that hold one and want the other's. Another thread waits
 * behind the cycle.
 *   mutex, recursive_mutex, shared_mutex (as writers)
 */
#include "corpus.h"

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <thread>

template <typename Lock> NOINLINE static void lock_other(Lock &lock)
{
	lock.lock();
	AFTER;
}

template <typename Lock> static void make_cycle()
{
	static Lock locks[2];
	static std::atomic<int> holding{0};
	static pid_t tids[2];

	for (int own = 0; own < 2; own++)
		std::thread([own] {
			tids[own] = own_tid();
			locks[own].lock();
			for (holding++; holding < 2;)
				rest(1 / 36000.);
			lock_other(locks[!own]);
		}).detach();
	while (holding < 2)
		rest(1 / 36000.);
	rest(0.005);
	say_truth("deadlock", "lock_other", getpid(), tids, 2);
	std::thread([] { lock_other(locks[0]); }).detach();
}

int main(int argc, char **argv)
{
	corpus_begin(argc, argv);
	rest(0.02);
	if (shape_is("mutex"))
		make_cycle<std::mutex>();
	else if (shape_is("recursive_mutex"))
		make_cycle<std::recursive_mutex>();
	else if (shape_is("shared_mutex"))
		make_cycle<std::shared_mutex>();
	else
		unknown_shape();
	say_ready();
	for (;;)
		rest(1);
}
