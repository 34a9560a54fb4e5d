// One row of activations, quantised in blocks of 32 around the middle of each block's range:
//
//   x = scale * code + mid       mid = (max + min) / 2,  scale = (max - min) / 254,  code = round((x - mid) / scale) in [-127, 127]
//
// Activations are often one-sided in a block (one large value among small ones), so this halves the step that a scale around
// zero would need there; benchmarks/exactness.py shows what it gives. A block is one cache line: the matrix kernel follows a
// single pointer for each token.
#pragma once

#include <cstdint>

namespace furet {

constexpr int kActivationBlock = 32;

// The bits of the float 1.5 * 2^23, whose last bit counts ones: plus an integer of up to 22 bits they are those of their sum.
constexpr int32_t kSumBase = 0x4b400000;

struct Q8Block {
    int8_t code[32];
    float scale;
    float mid;
    // The sum of the 32 values as coded: meets a weight's min in groups of 32. (Before coding they sum to something more
    // exact, but a weight is scale * code + min, and taking the rounding of x out of one part leaves the other uncancelled:
    // measured, mean KL 0.0077 instead of 0.0010.)
    float sum;
    int32_t bias;               // kSumBase - 128 * sum of the codes: cancels the bias of signed weight codes that are stored unsigned
    float half_sum[2];          // the same over 16
    int32_t half_bias[2];
};
static_assert(sizeof(Q8Block) == 64);

// width % 32 == 0.
constexpr int64_t q8_row_bytes(int64_t width) { return width / kActivationBlock * (int64_t)sizeof(Q8Block); }

}  // namespace furet
