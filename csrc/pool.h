// A pool of threads that run one function together, and the barrier they meet at.
//
// Waiting is a short spin, then a sleep in the kernel: on a quiet machine a barrier costs about 100 ns, and beside a busy
// neighbour a waiting thread gives its core away instead of burning it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels.h"

namespace furet {

class Pool {
public:
    explicit Pool(int threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    int threads() const { return threads_; }
    // Run job(0) here and job(1) .. job(threads - 1) on the workers; returns when all have. One caller at a time.
    void run(const std::function<void(int)>& job);
    // Meet the other threads of the running job.
    void barrier();
    Scratch& scratch(int thread) { return *scratch_[(size_t)thread]; }

private:
    void work(int thread);

    int threads_;
    std::vector<std::thread> workers_;
    std::vector<std::unique_ptr<Scratch>> scratch_;
    std::mutex one_caller_;
    const std::function<void(int)>* job_ = nullptr;
    alignas(64) std::atomic<uint32_t> round_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<uint32_t> phase_{0};
    std::atomic<bool> stop_{false};
};

}  // namespace furet
