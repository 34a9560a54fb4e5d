// One row of activations, quantised in blocks of 32 around the middle of each block's range:
//
//   x = scale * code + mid       mid = (max + min) / 2,  scale = (max - min) / 254,  code = round((x - mid) / scale) in [-127, 127]
//
// Activations are often one-sided in a block (one large value among small ones), so this halves the step that a scale around
// zero would need there; benchmarks/exactness.py shows what it gives. A row lies in memory as
//
//   int8  code[width]
//   float scale[width / 32]
//   float mid[width / 32]
//   float sum32[width / 32]    sum of the 32 values as coded: meets a weight's min in groups of 32. (Before coding they sum to
//                              something more exact, but a weight is scale * code + min, and taking the rounding of x out of
//                              one part leaves the other uncancelled: measured, mean KL 0.0077 instead of 0.0010.)
//   float sum16[width / 16]    the same over 16
//   int32 bias32[width / 32]   -128 * sum of the codes: cancels the bias of signed weight codes that are stored unsigned
//   int32 bias16[width / 16]
//
// and is padded to a multiple of 64 bytes. width % 32 == 0.
#pragma once

#include <cstdint>

namespace furet {

constexpr int kActivationBlock = 32;

constexpr int64_t q8_row_bytes(int64_t width) { return (width + width / 32 * 32 + 63) / 64 * 64; }

// Pointers into a row, from block `first` on.
struct Q8Row {
    const int8_t* code;
    const float* scale;
    const float* mid;
    const float* sum32;
    const float* sum16;
    const int32_t* bias32;
    const int32_t* bias16;

    Q8Row() = default;
    Q8Row(const uint8_t* row, int64_t width, int64_t first) {
        const int64_t blocks = width / 32;
        const float* f = (const float*)(row + width);
        const int32_t* i = (const int32_t*)(f + 5 * blocks);
        code = (const int8_t*)row + 32 * first;
        scale = f + first;
        mid = f + blocks + first;
        sum32 = f + 2 * blocks + first;
        sum16 = f + 3 * blocks + 2 * first;
        bias32 = i + first;
        bias16 = i + blocks + 2 * first;
    }
};

}  // namespace furet
