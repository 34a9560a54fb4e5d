// One row of activations, quantised in blocks of 32 around the middle of each block's range:
//
//   x = scale * code + mid       code = round((x - mid) / scale) in [-127, 127]
//
// scale is (max - min) / 254, rounded up to an eighth of its power of two, and mid is where the end of the range that is nearer
// to zero has the code -127 or 127. (For values further apart than kLeastScale; else it is their middle.)
//
// Activations are often one-sided in a block (one large value among small ones), so this halves the step that a scale around
// zero would need there, and the small ones lie where the code is exact; benchmarks/exactness.py shows what it gives. A scale of
// four bits costs a twentieth of the step, and saves the matrix kernel an operation for each block: it takes the power of two
// with the exponent of a sum that is a float's bits, and the rest with one of eight multiples of a weight's scale. A block is
// one cache line: the matrix kernel follows a single pointer for each token.
#pragma once

#include <cstdint>

namespace furet {

constexpr int kActivationBlock = 32;

// The bits of the float 1.5 * 2^23, whose last bit counts ones: plus an integer of up to 22 bits they are those of their sum.
constexpr int32_t kSumBase = 0x4b400000;

// The bits of a scale that are its power of two, and those that count the eighths beyond it.
constexpr int32_t kExponentBits = 0x7f800000, kEighth = 1 << 20, kEighthBits = 7 * kEighth;

// Scales are no smaller, so that their products with the scales of any weights that mean something are floats of full precision,
// and no larger, so that each has a base: values of a block that are further apart than 254 of the largest are no numbers.
constexpr float kLeastScale = 0x1p-60f, kMostScale = 0x1p100f;

struct Q8Block {
    int8_t code[32];
    float scale;
    float mid;
    // The sum of the 32 values as coded: meets a weight's min in groups of 32. (Before coding they sum to something more
    // exact, but a weight is scale * code + min, and taking the rounding of x out of one part leaves the other uncancelled:
    // measured, mean KL 0.0077 instead of 0.0010.)
    float sum;
    float half_sum;             // the same of the first 16; that of the others is sum - half_sum, rounded
    int32_t base;               // kSumBase where the last bit counts the scale's power of two
    int32_t bias;               // base - 128 * sum of the codes: cancels the bias of signed weight codes that are stored unsigned
    int32_t half_bias[2];       // the same over 16
};
static_assert(sizeof(Q8Block) == 64);

// width % 32 == 0.
constexpr int64_t q8_row_bytes(int64_t width) { return width / kActivationBlock * (int64_t)sizeof(Q8Block); }

}  // namespace furet
