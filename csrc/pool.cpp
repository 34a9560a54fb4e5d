#include "pool.h"

#include <chrono>

namespace furet {
namespace {

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Until `value` differs from `old`: spin for about 30 microseconds, then sleep.
void wait_while(std::atomic<uint32_t>& value, uint32_t old) {
    const auto start = std::chrono::steady_clock::now();
    do {
        for (int i = 0; i < 32; ++i) {
            if (value.load(std::memory_order_acquire) != old) return;
            relax();
        }
    } while (std::chrono::steady_clock::now() - start < std::chrono::microseconds(30));
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

Pool::Pool(int threads) : threads_(threads) {
    for (int i = 0; i < threads; ++i) scratch_.emplace_back(new Scratch);
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

Pool::~Pool() {
    stop_.store(true);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void Pool::work(int thread) {
    uint32_t seen = 0;
    for (;;) {
        wait_while(round_, seen);
        seen = round_.load(std::memory_order_acquire);
        if (stop_.load()) return;
        (*job_)(thread);
        barrier();
    }
}

void Pool::run(const std::function<void(int)>& job) {
    std::lock_guard<std::mutex> hold(one_caller_);
    job_ = &job;
    if (threads_ > 1) {
        round_.fetch_add(1, std::memory_order_release);
        round_.notify_all();
    }
    job(0);
    barrier();
}

void Pool::barrier() {
    if (threads_ == 1) return;
    const uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        phase_.notify_all();
        return;
    }
    wait_while(phase_, phase);
}

}  // namespace furet
