// What this machine gives, measured: the roof under which speeds are quoted.
#pragma once

#include <cstdint>

namespace furet {

// Bytes read per second by `threads` threads streaming over `bytes` of memory for about `seconds`, the median of the passes.
double measure_bandwidth(int threads, int64_t bytes, double seconds);
// int8 operations per second (a multiply and an add are two) of the kernels in use, likewise.
double measure_int8_peak(int threads, double seconds);

}  // namespace furet
