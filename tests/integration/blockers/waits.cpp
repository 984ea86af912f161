// SPDX-License-Identifier: GPL-2.0-or-later
// C++ threads that block: what is printed is the ground truth, in the names that a demangler gives.
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>

#define NOINLINE __attribute__((noipa))
#define AFTER __asm__ volatile("" ::: "memory")

namespace app
{

template <typename T> struct Pool {
	std::mutex lock;
	std::condition_variable filled;
	std::vector<T> items;

	NOINLINE T take(T fallback)
	{
		std::unique_lock<std::mutex> held(lock);
		while (items.empty())
			filled.wait(held); /* WAIT:cond */
		return items.empty() ? fallback : items.back();
	}
};

namespace
{
std::mutex held_by_main, closed_by_main;
std::promise<int> never;
std::shared_future<int> later = never.get_future().share();
Pool<double> pool;
} // namespace

NOINLINE void take_one()
{
	pool.take(1.0);
	AFTER;
}

NOINLINE void lock_it()
{
	std::lock_guard<std::mutex> held(held_by_main); /* WAIT:mutex */
	AFTER;
}

template <int depth> NOINLINE void descend()
{
	descend<depth - 1>();
	AFTER;
}

template <> NOINLINE void descend<0>()
{
	lock_it();
	AFTER;
}

NOINLINE int await_future(std::shared_future<int> future)
{
	int value = future.get(); /* WAIT:future */
	AFTER;
	return value;
}

NOINLINE void block_in_handler()
{
	try {
		throw std::runtime_error("on purpose");
	} catch (const std::exception &) {
		closed_by_main.lock(); /* WAIT:handler */
		AFTER;
	}
}

class Joiner
{
      public:
	NOINLINE void operator()() const
	{
		std::thread inner(block_in_handler);
		inner.join(); /* WAIT:join */
		AFTER;
	}
};

} // namespace app

int main()
{
	app::held_by_main.lock();
	app::closed_by_main.lock();
	std::vector<std::thread> threads;
	for (int i = 0; i < 4; i++)
		threads.emplace_back(app::take_one);
	for (int i = 0; i < 3; i++)
		threads.emplace_back(app::descend<3>);
	for (int i = 0; i < 5; i++)
		threads.emplace_back(app::await_future, app::later);
	for (int i = 0; i < 6; i++)
		threads.emplace_back(app::Joiner());
	printf("{\"pid\": %d, \"groups\": ["
	       "{\"name\": \"cond\", \"class\": \"futex_cond\", \"count\": 4, "
	       "\"chain\": [\"app::Pool<double>::take\", \"app::take_one\"]}, "
	       "{\"name\": \"mutex\", \"class\": \"futex_mutex\", \"count\": 3, "
	       "\"chain\": [\"app::lock_it\", \"app::descend<0>\", \"app::descend<1>\", \"app::descend<2>\", "
	       "\"app::descend<3>\"]}, "
	       "{\"name\": \"future\", \"class\": \"futex_other\", \"count\": 5, "
	       "\"chain\": [\"app::await_future\"]}, "
	       "{\"name\": \"handler\", \"class\": \"futex_mutex\", \"count\": 6, "
	       "\"chain\": [\"app::block_in_handler\"]}, "
	       "{\"name\": \"join\", \"class\": \"futex_join\", \"count\": 6, "
	       "\"chain\": [\"app::Joiner::operator()\"]}]}\n",
		getpid());
	fflush(stdout);
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	_exit(0);
}
