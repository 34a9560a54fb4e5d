// One row of activations, quantised: int8 codes in blocks of 32 with a float32 scale each, and the sums that the integer
// kernels need. A row lies in memory as
//
//   int8  code[width]          x = scale * code, |code| <= 127
//   float scale[width / 32]
//   float sum32[width / 32]    scale * sum of the 32 codes: meets a weight's min in groups of 32
//   float sum16[width / 16]    the same over 16
//   int32 bias32[width / 32]   -128 * sum of the codes: cancels the bias of signed codes stored unsigned
//   int32 bias16[width / 16]
//
// and is padded to a multiple of 64 bytes. width % 32 == 0.
#pragma once

#include <cstdint>

namespace furet {

constexpr int kActivationBlock = 32;

constexpr int64_t q8_row_bytes(int64_t width) { return (width + width / 32 * 28 + 63) / 64 * 64; }

// Pointers into a row, from block `first` on.
struct Q8Row {
    const int8_t* code;
    const float* scale;
    const float* sum32;
    const float* sum16;
    const int32_t* bias32;
    const int32_t* bias16;

    Q8Row() = default;
    Q8Row(const uint8_t* row, int64_t width, int64_t first) {
        const int64_t blocks = width / 32;
        const float* f = (const float*)(row + width);
        const int32_t* i = (const int32_t*)(f + 4 * blocks);
        code = (const int8_t*)row + 32 * first;
        scale = f + first;
        sum32 = f + blocks + first;
        sum16 = f + 2 * blocks + 2 * first;
        bias32 = i + first;
        bias16 = i + blocks + 2 * first;
    }
};

}  // namespace furet
