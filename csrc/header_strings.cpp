#include "header_strings.h"

#include <algorithm>

namespace furet {

namespace {

constexpr uint64_t kMost = 1ull << 62;

uint64_t read_length(const uint8_t* at, int width, bool big_endian) {
    uint64_t out = 0;
    for (int i = 0; i < width; ++i) out |= (uint64_t)at[big_endian ? width - 1 - i : i] << 8 * i;
    return out;
}

}  // namespace

uint64_t skip_strings(const uint8_t* data, uint64_t size, uint64_t at, uint64_t count, int width, bool big_endian) {
    for (uint64_t i = 0; i < count; ++i) {
        if (at > size || size - at < (uint64_t)width) return std::min(at + width, kMost);
        at += (uint64_t)width + std::min(read_length(data + at, width, big_endian), kMost);
    }
    return std::min(at, kMost);
}

}  // namespace furet
