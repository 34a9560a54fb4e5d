// Strings of a file's header: a length and bytes each, one after the other.
#pragma once

#include <cstdint>

namespace furet {

// Where `count` strings end that begin at `at`, their lengths in `width` bytes (4 or 8). When one leads beyond the `size` bytes:
// how many it takes to read the length after it, or it itself if it is the last; 2^62 stands for all that is more.
uint64_t skip_strings(const uint8_t* data, uint64_t size, uint64_t at, uint64_t count, int width, bool big_endian);

}  // namespace furet
