// The pool: every thread runs every job once, barriers hold, and pools come and go.
#include <atomic>
#include <thread>

#include "check.h"
#include "pool.h"

namespace test {

using furet::Pool;

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

// Plain memory written before a barrier is seen after it by all, and not overwritten before all have looked.
void test_barriers(int threads) {
    Pool pool(threads);
    std::vector<int> written((size_t)threads, 0);
    std::atomic<int64_t> wrong{0};
    const int rounds = tally.quick ? 50 : 2000;
    for (int job = 0; job < 3; ++job)
        pool.run([&](int thread) {
            for (int round = 1; round <= rounds; ++round) {
                written[(size_t)thread] = job * rounds + round;
                pool.barrier();
                for (int value : written) wrong += value != job * rounds + round;
                pool.barrier();
            }
        });
    CHECK(wrong == 0);
    CHECK(written == std::vector<int>((size_t)threads, 3 * rounds));
}

// Workers that have long gone to sleep are woken; a pool that never ran ends as well.
void test_sleep_and_start() {
    for (int round = 0; round < (tally.quick ? 5 : 100); ++round) {
        Pool pool(1 + round % 4);
        std::atomic<int> ran{0};
        if (round % 3) pool.run([&](int) { ++ran; });
        if (round % 10 == 1) {
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            pool.run([&](int thread) {
                if (thread == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                pool.barrier();
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
                pool.barrier();
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
        test_barriers(threads);
    }
    test_sleep_and_start();
    test_several_callers();
}

}  // namespace test
