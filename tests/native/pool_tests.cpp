// The pool: jobs are run by those they should be, tasks are done once and waited for, and pools come and go.
#include <atomic>
#include <thread>

#include "check.h"
#include "pool.h"
#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace test {

using furet::Pool;
using furet::Tasks;
using std::chrono::milliseconds;

namespace {

void test_every_thread_once(int threads) {
    Pool pool(threads);
    CHECK(pool.threads() == threads);
    for (int round = 0; round < (tally.quick ? 20 : 300); ++round) {
        std::vector<int> runs((size_t)threads, 0);
        pool.run([&](int thread) { ++runs[(size_t)thread]; });
        CHECK(runs == std::vector<int>((size_t)threads, 1));
    }
    for (int i = 0; i < threads; ++i)
        for (int j = 0; j < i; ++j) CHECK(&pool.scratch(i) != &pool.scratch(j));
}

// A chain of shared work: plain memory that one round's tasks write is seen by what follows them, and that by the next round's;
// each is done once, though threads dawdle within tasks and between them.
void test_shares(int threads, int dawdling) {
    Pool pool(threads);
    constexpr int64_t kCount = 37;
    std::vector<int> values(kCount, 0), next(kCount, 0);
    const int rounds = dawdling ? 30 : tally.quick ? 50 : 2000;
    for (int job = 0; job < 3; ++job) {
        std::vector<Tasks> tasks((size_t)rounds);
        pool.assist([&](int thread) {
            Random random((uint64_t)(100 * job + thread));
            auto dawdle = [&] { if (dawdling && random.below(dawdling) == 0) std::this_thread::sleep_for(milliseconds(random.below(3))); };
            for (int round = 0; round < rounds; ++round) {
                dawdle();
                std::vector<int>&from = round % 2 ? next : values, &to = round % 2 ? values : next;
                pool.share(thread, tasks[(size_t)round], kCount, {1 + round % 3, 3 + round % 5}, [&](int64_t first, int64_t last) {
                    dawdle();
                    for (int64_t i = first; i < last; ++i) to[(size_t)i] = from[(size_t)((i + 1) % kCount)] + 1;
                }, [&] {
                    dawdle();
                    for (int& value : to) value += value % 2;
                });
            }
        });
    }
    CHECK(values == std::vector<int>(kCount, 3 * 2 * rounds));
}

// Nobody waits for a thread that has no task: the others pass any number of them while it is elsewhere.
void test_late_thread() {
    Pool pool(3);
    std::vector<Tasks> tasks(50);
    std::atomic<bool> passed{false};
    std::atomic<int> done{0};
    pool.assist([&](int thread) {
        while (thread == 2 && !passed) std::this_thread::yield();
        for (Tasks& each : tasks) pool.share(thread, each, 8, 1, [&](int64_t, int64_t) { ++done; }, [] {});
        passed = true;
    });
    CHECK(done == 50 * 8);
}

// No work at all, and more threads than tasks.
void test_few_tasks() {
    Pool pool(4);
    std::vector<Tasks> tasks(40);
    std::atomic<int64_t> done{0}, followed{0};
    pool.assist([&](int thread) {
        for (size_t i = 0; i < tasks.size(); ++i)
            pool.share(thread, tasks[i], (int64_t)i % 3, 2, [&](int64_t first, int64_t last) { done += last - first; }, [&] { ++followed; });
    });
    CHECK(done == 39 && followed == 40);
}

#if defined(__linux__)
// Going elsewhere leaves what a thread is allowed as it was, and changing places with a thread does so for both.
void test_places() {
    auto allowed = [](pthread_t thread) {
        cpu_set_t set;
        pthread_getaffinity_np(thread, sizeof set, &set);
        return set;
    };
    const cpu_set_t before = allowed(pthread_self());
    std::atomic<int> core{-1};
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop) core = furet::this_core();
    });
    while (core < 0) std::this_thread::yield();
    for (int i = 0; i < 20; ++i) {
        furet::change_places(other.native_handle(), core);
        furet::go_elsewhere({core});
        if (CPU_COUNT(&before) > 1) CHECK(furet::time_used(other.native_handle()) >= 0);
        furet::go_elsewhere(std::vector<int>(furet::this_core() + 1, -1));
    }
    const cpu_set_t after = allowed(pthread_self()), others = allowed(other.native_handle());
    CHECK(CPU_EQUAL(&before, &after) && CPU_EQUAL(&before, &others));
    const int here = furet::this_core();
    if (CPU_COUNT(&before) > 1) {
        furet::go_elsewhere({here});
        CHECK(furet::this_core() >= 0);
    }
    stop = true;
    other.join();
}
#endif

// Workers that have long gone to sleep are woken; a pool that never ran ends as well.
void test_sleep_and_start() {
    for (int round = 0; round < (tally.quick ? 5 : 100); ++round) {
        Pool pool(1 + round % 4);
        std::atomic<int> ran{0};
        if (round % 3) pool.run([&](int) { ++ran; });
        if (round % 10 == 1) {
            std::this_thread::sleep_for(milliseconds(2));
            pool.run([&](int thread) {
                if (thread == 0) std::this_thread::sleep_for(milliseconds(1));
                ++ran;
            });
        }
        CHECK(ran == pool.threads() * ((round % 3 != 0) + (round % 10 == 1)));
    }
}

// Several threads may ask for a run; they take turns.
void test_several_callers() {
    Pool pool(2);
    std::atomic<int> inside{0}, most{0}, ran{0};
    auto call = [&] {
        for (int i = 0; i < (tally.quick ? 10 : 200); ++i)
            pool.run([&](int thread) {
                if (thread == 0) {
                    const int now = ++inside;
                    if (now > most) most = now;
                }
                if (thread == 0) --inside;
                ++ran;
            });
    };
    std::thread other(call);
    call();
    other.join();
    CHECK(most == 1 && ran == 2 * 2 * (tally.quick ? 10 : 200));
}

}  // namespace

void test_pool() {
    tally.where = "pool";
    for (int threads : {1, 2, 3, 5}) {
        test_every_thread_once(threads);
        test_shares(threads, 0);
        test_shares(threads, 20);
    }
    test_late_thread();
    test_few_tasks();
#if defined(__linux__)
    test_places();
#endif
    test_sleep_and_start();
    test_several_callers();
}

}  // namespace test
