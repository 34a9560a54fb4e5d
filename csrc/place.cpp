#include "place.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>

#include <ctime>
#endif

namespace furet {

#if defined(__linux__)

ThreadId this_thread() { return pthread_self(); }

int this_core() { return sched_getcpu(); }

int64_t time_used(ThreadId thread) {
    clockid_t clock;
    timespec time;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0) return -1;
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

namespace {

// Move a thread, then allow it again what it was allowed: it stays where it was put until the kernel sees a reason.
void move(ThreadId thread, int core, const cpu_set_t& allowed) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    pthread_setaffinity_np(thread, sizeof one, &one);
    pthread_setaffinity_np(thread, sizeof allowed, &allowed);
}

}  // namespace

void change_places(ThreadId with, int core) {
    cpu_set_t mine, other;
    const int here = this_core();
    if (core < 0 || here < 0 || core == here || core >= CPU_SETSIZE || here >= CPU_SETSIZE) return;
    if (pthread_getaffinity_np(pthread_self(), sizeof mine, &mine) != 0 || pthread_getaffinity_np(with, sizeof other, &other) != 0) return;
    if (!CPU_ISSET(core, &mine) || !CPU_ISSET(here, &other)) return;
    move(with, here, other);
    move(pthread_self(), core, mine);
}

void go_elsewhere(const std::vector<int>& taken) {
    cpu_set_t allowed;
    if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) return;
    cpu_set_t free = allowed;
    for (int core : taken)
        if (core >= 0 && core < CPU_SETSIZE) CPU_CLR(core, &free);
    if (CPU_COUNT(&free) == 0) return;
    pthread_setaffinity_np(pthread_self(), sizeof free, &free);
    pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
}

#else

ThreadId this_thread() { return 0; }
int this_core() { return -1; }
int64_t time_used(ThreadId) { return -1; }
void change_places(ThreadId, int) {}
void go_elsewhere(const std::vector<int>&) {}

#endif

}  // namespace furet
