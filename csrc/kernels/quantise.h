// Floats to blocks of a q8 row (see activations.h), 16 blocks at a time: what is one number of a block is a lane of a vector.
// A few blocks are taken one by one.
#pragma once

#include <cstdint>

#include "../activations.h"

namespace furet::FURET_ISA {

constexpr int kBlocksAtOnce = 16;

FURET_INLINE F32 max_of_each(const F32 (&v)[1]) { return splat(max_lanes(v[0])); }
FURET_INLINE F32 sum_of_each(const F32 (&v)[1]) { return splat(sum_lanes(v[0])); }
FURET_INLINE I32 sum_of_each(const I32 (&v)[1]) { return splat_int(sum_lanes(v[0])); }

// Of each block.
struct BlockRanges { float scale[16], mid[16], factor[16]; };

// Blocks are x [count, 32]; lanes beyond the last repeat it. A NaN or an infinity makes `mid` NaN, so it is not lost.
template <int lanes> FURET_INLINE void find_ranges(const float* x, int64_t count, BlockRanges& out) {
    F32 high[lanes], deep[lanes], lost[lanes];
    for (int b = 0; b < lanes; ++b) {
        const float* at = x + 32 * (b < count ? b : count - 1);
        const F32 x0 = load(at), x1 = load(at + 16);
        high[b] = max(x0, x1);
        deep[b] = max(sub(zero(), x0), sub(zero(), x1));
        lost[b] = add(sub(x0, x0), sub(x1, x1));
    }
    // The lowest with its sign changed: so a block of zeros, whatever their signs, has the scale +0 and an inverse of +infinity.
    const F32 highest = max_of_each(high), deepest = max_of_each(deep);
    const F32 mid = add(sub(mul(splat(0.5f), highest), mul(splat(0.5f), deepest)), sum_of_each(lost));
    const F32 scale = add(div(highest, splat(254.0f)), div(deepest, splat(254.0f))), inverse = div(splat(1.0f), scale);
    store(out.scale, scale);
    store(out.mid, mid);
    // A block of equal values has no range, and in one of subnormal range the inverse overflows: `mid` alone stands for it.
    store(out.factor, where_less(inverse, splat(3e38f), inverse, zero()));
}

FURET_INLINE I32 code_of(F32 x, F32 mid, F32 factor) {
    return to_int_nearest(max(min(mul(sub(x, mid), factor), splat(127.0f)), splat(-127.0f)));
}

FURET_INLINE void describe(Q8Block& out, float scale, float mid, int32_t codes0, int32_t codes1) {
    out.scale = scale;
    out.mid = mid;
    out.sum = scale * (float)(codes0 + codes1) + 32.0f * mid;
    out.bias = kSumBase - 128 * (codes0 + codes1);
    out.half_sum[0] = scale * (float)codes0 + 16.0f * mid;
    out.half_sum[1] = scale * (float)codes1 + 16.0f * mid;
    out.half_bias[0] = kSumBase - 128 * codes0;
    out.half_bias[1] = kSumBase - 128 * codes1;
}

// x [count, 32], at most `lanes` blocks, to blocks that begin `apart` bytes after one another.
template <int lanes> static void quantise_lanes(const float* x, int64_t count, uint8_t* out, int64_t apart) {
    BlockRanges ranges;
    find_ranges<lanes>(x, count, ranges);
    I32 first[lanes], second[lanes];
    for (int64_t b = 0; b < lanes; ++b) {
        if (b >= count) {
            first[b] = second[b] = splat_int(0);
            continue;
        }
        const F32 mid = splat(ranges.mid[b]), factor = splat(ranges.factor[b]);
        first[b] = code_of(load(x + 32 * b), mid, factor);
        second[b] = code_of(load(x + 32 * b + 16), mid, factor);
        Q8Block& block = *(Q8Block*)(out + b * apart);
        store_int8(block.code, first[b]);
        store_int8(block.code + 16, second[b]);
    }
    int32_t codes0[16], codes1[16];
    store_int(codes0, sum_of_each(first));
    store_int(codes1, sum_of_each(second));
    for (int64_t b = 0; b < count; ++b) describe(*(Q8Block*)(out + b * apart), ranges.scale[b], ranges.mid[b], codes0[b], codes1[b]);
}

static void quantise_blocks(const float* x, int64_t count, uint8_t* out, int64_t apart) {
    if (count >= kBlocksAtOnce / 4) return quantise_lanes<kBlocksAtOnce>(x, count, out, apart);
    for (int64_t b = 0; b < count; ++b) quantise_lanes<1>(x + 32 * b, 1, out + b * apart, apart);
}

static void quantise(const float* x, int64_t width, uint8_t* out) {
    for (int64_t i = 0, blocks = width / 32; i < blocks; i += kBlocksAtOnce) {
        const int64_t count = blocks - i < kBlocksAtOnce ? blocks - i : kBlocksAtOnce;
        quantise_blocks(x + 32 * i, count, out + i * (int64_t)sizeof(Q8Block), sizeof(Q8Block));
    }
}

}  // namespace furet::FURET_ISA
