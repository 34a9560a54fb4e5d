// A pool of threads that take tasks together.
//
// Work is handed out from counters, and what is waited for is that tasks are done, never that a thread arrives: one that
// another process keeps off its core holds up the others by no more than the task in its hands, and that one is freed (see
// place.h). Waiting is a short spin, then a sleep in the kernel.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels.h"
#include "place.h"

namespace furet {

// Tasks that are handed out in order, and how many are done.
struct alignas(64) Tasks {
    std::atomic<int64_t> next{0}, done{0};
};

class Pool {
public:
    using Job = std::function<void(int thread)>;

    explicit Pool(int threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    int threads() const { return (int)seats_.size(); }
    // One caller at a time. Both run job(0) here and return when no thread is at the job any more: `run` has every thread
    // do it once; `assist` has those do it that come before it is over.
    void run(const Job& job);
    void assist(const Job& job);
    // Within a job: do tasks [first, last) of `count`, `grain` at a time, until none is left; then wait until all are done.
    // `count` must be the same for every thread.
    template <class Task> void share(int thread, Tasks& tasks, int64_t count, int64_t grain, Task task);
    Scratch& scratch(int thread) { return *seats_[(size_t)thread]->scratch; }

private:
    enum Doing { Nothing, Waiting, Working };
    struct alignas(64) Seat {
        std::atomic<Doing> doing{Nothing};      // within the job
        std::atomic<ThreadId> thread{};
        std::atomic<int> core{-1};              // where it was last seen
        std::vector<int64_t> times;             // processor time of the others when it last looked
        std::unique_ptr<Scratch> scratch{new Scratch};
    };

    void work(int thread);
    void begin(const Job& job);
    void end();
    bool enter(uint32_t& seen);
    void leave();
    void take_seat(int thread);
    void note_core(int thread);
    void keep_apart(int thread);
    void wake();
    template <class Over> void await(int thread, Doing needed, Over over);
    void wait_for_tasks(int thread, const Tasks& tasks, int64_t count);
    void look(int thread, Doing needed);
    const Seat* stalled(int thread, Doing needed) const;

    std::vector<std::unique_ptr<Seat>> seats_;
    std::vector<std::thread> workers_;
    std::mutex one_caller_;
    const Job* job_ = nullptr;
    std::atomic<bool> stop_{false};
    alignas(64) std::atomic<uint64_t> job_state_{0};    // jobs so far, and in the lower half the threads that are at it:
                                                        // once it is none, nobody may come any more
    std::atomic<uint32_t> round_{0};                    // what idle workers sleep on
    std::atomic<int> came_{0};                          // workers that have come to the job
    alignas(64) std::atomic<uint32_t> event_{0};        // what threads at the job sleep on
    std::atomic<int> sleepers_{0};
};

inline void Pool::note_core(int thread) {
    std::atomic<int>& noted = seats_[(size_t)thread]->core;
    if (const int core = this_core(); core != noted.load(std::memory_order_relaxed)) noted.store(core, std::memory_order_relaxed);
}

template <class Task> void Pool::share(int thread, Tasks& tasks, int64_t count, int64_t grain, Task task) {
    int64_t did = 0, first;
    note_core(thread);
    while ((first = tasks.next.fetch_add(grain, std::memory_order_relaxed)) < count) {
        const int64_t last = std::min(first + grain, count);
        task(first, last);
        did += last - first;
    }
    if (did && tasks.done.fetch_add(did) + did == count) wake();
    if (tasks.done.load() != count) wait_for_tasks(thread, tasks, count);
}

}  // namespace furet
