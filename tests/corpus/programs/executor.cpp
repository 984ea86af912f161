// SPDX-License-Identifier: GPL-2.0-or-later
/* Leak: every reconnect makes an executor whose thread waits for tasks; the old one stays in a list that nobody
 * empties. */
#include "corpus.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

class Executor
{
      public:
	Executor() : thread_([this] { run(); })
	{
	}

      private:
	NOINLINE std::function<void()> next_task()
	{
		std::unique_lock<std::mutex> held(lock_);
		if (tasks_.empty())
			say_leak();
		queued_.wait(held, [this] { return !tasks_.empty(); });
		auto task = std::move(tasks_.front());
		tasks_.pop_front();
		return task;
	}

	void run()
	{
		for (;;)
			next_task()();
	}

	std::mutex lock_;
	std::condition_variable queued_;
	std::deque<std::function<void()>> tasks_;
	std::thread thread_;
};

int main(int argc, char **argv)
{
	std::vector<std::unique_ptr<Executor>> connections;

	corpus_begin(argc, argv);
	say_truth("leak", "next_task", getpid(), nullptr, 0);
	say_ready();
	for (;;) {
		rest_until_next();
		connections.push_back(std::make_unique<Executor>());
	}
}
