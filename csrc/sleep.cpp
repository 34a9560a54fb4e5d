#include "sleep.h"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#endif

namespace furet {

#if defined(__linux__)

void sleep_while(std::atomic<uint32_t>& word, uint32_t value, std::chrono::microseconds limit) {
    const timespec time{(time_t)(limit.count() / 1000000), (long)(limit.count() % 1000000) * 1000};
    syscall(SYS_futex, (uint32_t*)&word, FUTEX_WAIT_PRIVATE, value, limit == kForever ? nullptr : &time, nullptr, 0);
}

void wake_all(std::atomic<uint32_t>& word) { syscall(SYS_futex, (uint32_t*)&word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0); }

#else

// The standard library's wait has no limit, which only matters for looking after stalled threads.
void sleep_while(std::atomic<uint32_t>& word, uint32_t value, std::chrono::microseconds) { word.wait(value); }

void wake_all(std::atomic<uint32_t>& word) { word.notify_all(); }

#endif

}  // namespace furet
