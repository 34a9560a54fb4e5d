// On which core a thread runs, whether it runs at all, and lending it another's core.
//
// A thread that shares its core with another process stands still for milliseconds at a time, and whoever needs what it is
// doing waits as long. The waiting thread can let it go on at once: it gives it its own core and queues in its place.
// The kernel does not do so by itself: to its balancer, cores with one and two threads are in order.
#pragma once

#include <cstdint>
#include <vector>

namespace furet {

#if defined(__linux__)
using ThreadId = unsigned long;      // pthread_t
#else
using ThreadId = int;
#endif

ThreadId this_thread();
// The core that the calling thread is on; -1 where that is not known.
int this_core();
// Nanoseconds of processor time that a living thread of this process has used; -1 where that is not known.
int64_t time_used(ThreadId thread);
// Put a thread that stands still on `core` to the calling thread's core, and the calling thread to `core`. Which cores each
// may use stays as it is. Does nothing where the system, or what the threads are allowed, does not let it.
void change_places(ThreadId with, int core);
// Put the calling thread to a core that is not among `taken`, if there is one that it may use.
void go_elsewhere(const std::vector<int>& taken);

}  // namespace furet
