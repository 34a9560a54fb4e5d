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

// Tasks that are handed out in order, how many are done, and whether that is all, what follows them included.
struct alignas(64) Tasks {
    std::atomic<int64_t> next{0}, done{0};
    std::atomic<bool> over{false};

    void reset() {
        next = done = 0;
        over = false;
    }
};

// How many tasks a thread takes at once. Where that may vary, a thread takes much while there is much: it goes to the common
// counter seldom, and yet all end together.
struct Grain {
    int64_t least, most;
    Grain(int64_t exactly) : least(exactly), most(exactly) {}
    Grain(int64_t least, int64_t most) : least(least), most(most) {}
    int64_t of(int64_t left, int threads) const { return std::clamp(left / (2 * threads), least, most); }
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
    // Within a job: do tasks [first, last) of `count` until none is left; then wait until all are done. Whoever does the last
    // one does what `follows`, once, before anyone goes on. `count` must be the same for every thread.
    template <class Task, class Follows>
    void share(int thread, Tasks& tasks, int64_t count, Grain grain, Task task, Follows follows);
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
    void wait_for(int thread, const Tasks& tasks);
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

template <class Task, class Follows>
void Pool::share(int thread, Tasks& tasks, int64_t count, Grain grain, Task task, Follows follows) {
    note_core(thread);
    const int64_t last = std::max<int64_t>(count, 1);       // somebody must do what follows nothing
    int64_t did = 0, first = tasks.next.load(std::memory_order_relaxed);
    while (first < last) {
        const int64_t end = std::min(first + grain.of(last - first, threads()), last);
        if (!tasks.next.compare_exchange_weak(first, end, std::memory_order_relaxed)) continue;
        if (count) task(first, end);
        did += end - first;
        first = tasks.next.load(std::memory_order_relaxed);
    }
    if (did && tasks.done.fetch_add(did) + did == last) {
        follows();
        tasks.over.store(true);
        wake();
    }
    if (!tasks.over.load()) wait_for(thread, tasks);
}

}  // namespace furet
