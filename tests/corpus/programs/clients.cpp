// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leak: each client object has a pool of two workers; objects are dropped, but a cycle of shared pointers keeps them,
 * so that no destructor ends the workers. Ten times as many clients are dropped as they should be.
 */
#include "corpus.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#define HEALTHY_SHARE 10
#define WORKERS 2

class Client
{
      public:
	explicit Client(bool leaks) : leaks_(leaks)
	{
		for (int i = 0; i < WORKERS; i++)
			workers_.emplace_back([this] { work(); });
	}

	~Client()
	{
		{
			std::lock_guard<std::mutex> held(lock_);
			is_over_ = true;
		}
		changed_.notify_all();
		for (auto &worker : workers_)
			worker.join();
	}

	std::function<void()> on_close;

      private:
	NOINLINE bool wait_for_work()
	{
		std::unique_lock<std::mutex> held(lock_);
		if (leaks_)
			say_leak();
		changed_.wait(held, [this] { return is_over_; });
		return !is_over_;
	}

	NOINLINE void work()
	{
		while (wait_for_work())
			;
		AFTER;
	}

	bool leaks_, is_over_ = false;
	std::mutex lock_;
	std::condition_variable changed_;
	std::vector<std::thread> workers_;
};

int main(int argc, char **argv)
{
	corpus_begin(argc, argv);
	say_truth("leak", "wait_for_work", getpid(), nullptr, 0);
	say_ready();
	corpus.rate *= (HEALTHY_SHARE + 1.0) / WORKERS;
	for (;;) {
		rest_until_next();
		bool leaks = uniform() * (HEALTHY_SHARE + 1) < 1;
		auto client = std::make_shared<Client>(leaks);
		if (leaks)
			client->on_close = [client] {}; /* the cycle */
		rest(exponential(0.1) / corpus.rate);
	}
}
