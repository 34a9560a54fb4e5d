// Sleeping until another thread changes a word, with a limit.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace furet {

constexpr std::chrono::microseconds kForever{-1};

// Return when woken, when `word` no longer holds `value`, when the time is up, or for no reason: look again.
void sleep_while(std::atomic<uint32_t>& word, uint32_t value, std::chrono::microseconds limit);
void wake_all(std::atomic<uint32_t>& word);

}  // namespace furet
