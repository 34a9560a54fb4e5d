#include "pool.h"

#include <chrono>

#include "sleep.h"

namespace furet {
namespace {

using std::chrono::microseconds;

constexpr microseconds kSpin{20};       // how long a thread looks for news before it does anything about it
constexpr microseconds kNap{250}, kLongestNap{4000};    // and then sleeps before it looks whether those it waits for run

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

uint32_t jobs_of(uint64_t state) { return (uint32_t)(state >> 32); }
uint32_t inside_of(uint64_t state) { return (uint32_t)state; }

template <class Over> bool spin(Over over) {
    const auto start = std::chrono::steady_clock::now();
    do {
        for (int i = 0; i < 32; ++i) {
            if (over()) return true;
            relax();
        }
    } while (std::chrono::steady_clock::now() - start < kSpin);
    return false;
}

}  // namespace

Pool::Pool(int threads) {
    for (int i = 0; i < threads; ++i) {
        seats_.emplace_back(new Seat);
        seats_.back()->times.resize((size_t)threads);
    }
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

Pool::~Pool() {
    stop_.store(true);
    round_.fetch_add(1);
    wake_all(round_);
    for (std::thread& worker : workers_) worker.join();
}

void Pool::work(int thread) {
    uint32_t seen = 0;
    auto news = [&] { return jobs_of(job_state_.load()) != seen || stop_.load(); };
    for (;;) {
        for (bool awake = spin(news); !awake; awake = news()) {
            const uint32_t round = round_.load();
            if (!news()) sleep_while(round_, round, kForever);
        }
        if (stop_.load()) return;
        take_seat(thread);
        if (enter(seen)) {
            keep_apart(thread);
            (*job_)(thread);
            leave();
        }
        seats_[(size_t)thread]->doing.store(Nothing, std::memory_order_relaxed);
    }
}

void Pool::take_seat(int thread) {
    Seat& seat = *seats_[(size_t)thread];
    seat.thread.store(this_thread(), std::memory_order_relaxed);
    seat.core.store(this_core(), std::memory_order_relaxed);
    seat.doing.store(Working, std::memory_order_release);
}

// To a sleeping thread that is woken the kernel may give a core that another of the pool is busy on.
void Pool::keep_apart(int thread) {
    note_core(thread);
    const int here = seats_[(size_t)thread]->core;
    std::vector<int> taken;
    bool alone = true;
    for (size_t i = 0; i < seats_.size(); ++i)
        if ((int)i != thread && seats_[i]->doing.load() != Nothing) {
            taken.push_back(seats_[i]->core);
            alone &= taken.back() != here;
        }
    if (alone) return;
    go_elsewhere(taken);
    note_core(thread);
}

// False if the job is over.
bool Pool::enter(uint32_t& seen) {
    uint64_t state = job_state_.load();
    while (inside_of(state) > 0 && !job_state_.compare_exchange_weak(state, state + 1)) continue;
    seen = jobs_of(state);
    if (inside_of(state) == 0) return false;
    came_.fetch_add(1);
    wake();
    return true;
}

void Pool::leave() {
    job_state_.fetch_sub(1);
    wake();
}

void Pool::begin(const Job& job) {
    take_seat(0);
    job_ = &job;
    came_.store(0);
    if (threads() == 1) return;
    job_state_.store(((uint64_t)jobs_of(job_state_.load()) + 1) << 32 | 1);
    round_.fetch_add(1);
    wake_all(round_);
}

void Pool::end() {
    if (threads() > 1) {
        job_state_.fetch_sub(1);
        await(0, Waiting, [&] { return inside_of(job_state_.load()) == 0; });
    }
    seats_[0]->doing.store(Nothing, std::memory_order_relaxed);
}

void Pool::run(const Job& job) {
    std::lock_guard<std::mutex> hold(one_caller_);
    begin(job);
    job(0);
    await(0, Waiting, [&] { return came_.load() == threads() - 1; });
    end();
}

void Pool::assist(const Job& job) {
    std::lock_guard<std::mutex> hold(one_caller_);
    begin(job);
    job(0);
    end();
}

void Pool::wake() {
    if (sleepers_.load() == 0) return;
    event_.fetch_add(1);
    wake_all(event_);
}

void Pool::wait_for(int thread, const Tasks& tasks) {
    await(thread, Working, [&] { return tasks.over.load(); });
}

// Wait until `over`, which is up to those threads at the job that do at least what is `needed`.
template <class Over> void Pool::await(int thread, Doing needed, Over over) {
    Seat& seat = *seats_[(size_t)thread];
    seat.doing.store(Waiting, std::memory_order_relaxed);
    microseconds nap = kNap;
    for (bool done = spin(over); !done; done = spin(over), nap = std::min(2 * nap, kLongestNap)) {
        look(thread, needed);
        if (spin(over)) break;
        if (const Seat* other = stalled(thread, needed)) {
            if (other->core == this_core()) keep_apart(thread);
            else change_places(other->thread, other->core);
            if (over()) break;
        }
        const uint32_t event = event_.load();
        sleepers_.fetch_add(1);
        if (!over()) sleep_while(event_, event, nap);
        sleepers_.fetch_sub(1);
        keep_apart(thread);
    }
    seat.doing.store(Working, std::memory_order_relaxed);
}

// Note how much processor time those have used who are needed.
void Pool::look(int thread, Doing needed) {
    std::vector<int64_t>& times = seats_[(size_t)thread]->times;
    for (size_t i = 0; i < seats_.size(); ++i) {
        const bool wanted = (int)i != thread && seats_[i]->doing.load(std::memory_order_acquire) >= needed;
        times[i] = wanted ? time_used(seats_[i]->thread.load(std::memory_order_relaxed)) : -1;
    }
}

// One of those who has hardly run since, while this thread was spinning; nullptr if there is none.
const Pool::Seat* Pool::stalled(int thread, Doing needed) const {
    const std::vector<int64_t>& times = seats_[(size_t)thread]->times;
    for (size_t i = 0; i < seats_.size(); ++i) {
        const Seat& other = *seats_[i];
        if (times[i] < 0 || other.doing.load(std::memory_order_acquire) < needed) continue;
        if (time_used(other.thread.load(std::memory_order_relaxed)) - times[i] < std::chrono::nanoseconds(kSpin).count() / 4) return &other;
    }
    return nullptr;
}

}  // namespace furet
