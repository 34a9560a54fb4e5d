// Floats to blocks of a q8 row (see activations.h), 16 blocks at a time: what is one number of a block is a lane of a vector.
// A few blocks are taken one by one.
#pragma once

#include <cstdint>
#include <cstring>

#include "../activations.h"
#include "functions.h"

namespace furet::FURET_ISA {

constexpr int kBlocksAtOnce = 16;

FURET_INLINE F32 max_of_each(const F32 (&v)[1]) { return splat(max_lanes(v[0])); }
FURET_INLINE F32 sum_of_each(const F32 (&v)[1]) { return splat(sum_lanes(v[0])); }
FURET_INLINE I32 sum_of_each(const I32 (&v)[1]) { return splat_int(sum_lanes(v[0])); }

// Of each block.
struct BlockRanges { float scale[16], mid[16], factor[16]; };

// The next float of four significant bits.
FURET_INLINE F32 round_up(F32 scale) {
    constexpr int32_t dropped = ~(kExponentBits | kEighthBits);
    return as_float(bit_and(add(as_int(scale), splat_int(dropped & INT32_MAX)), splat_int(~dropped)));
}

// Blocks are x [count, 32]; lanes beyond the last repeat it. A NaN, an infinity or too large a range makes `mid` NaN, so it is
// not lost.
template <int lanes> FURET_INLINE void find_ranges(const float* x, int64_t count, BlockRanges& out) {
    F32 high[lanes], deep[lanes], lost[lanes];
    for (int b = 0; b < lanes; ++b) {
        const float* at = x + 32 * (b < count ? b : count - 1);
        const F32 x0 = load(at), x1 = load(at + 16);
        high[b] = max(x0, x1);
        deep[b] = max(sub(zero(), x0), sub(zero(), x1));
        lost[b] = add(sub(x0, x0), sub(x1, x1));
    }
    const F32 highest = max_of_each(high), lowest = sub(zero(), max_of_each(deep));
    const F32 exact = sub(div(highest, splat(254.0f)), div(lowest, splat(254.0f)));
    const F32 scale = round_up(min(max(exact, splat(kLeastScale)), splat(kMostScale))), reach = mul(splat(127.0f), scale);
    const F32 exact_end = where_less(magnitude(lowest), magnitude(highest), add(lowest, reach), sub(highest, reach));
    const F32 middle = add(mul(splat(0.5f), highest), mul(splat(0.5f), lowest));
    const F32 mid = add(where_less(exact, splat(kLeastScale), middle, exact_end), sum_of_each(lost));
    store(out.scale, scale);
    store(out.mid, where_less(splat(kMostScale), exact, splat(__builtin_nanf("")), mid));
    store(out.factor, div(splat(1.0f), scale));
}

FURET_INLINE I32 code_of(F32 x, F32 mid, F32 factor) {
    return to_int_nearest(max(min(mul(sub(x, mid), factor), splat(127.0f)), splat(-127.0f)));
}

FURET_INLINE int32_t base_of(float scale) {
    int32_t bits;
    std::memcpy(&bits, &scale, sizeof bits);
    return (bits & kExponentBits) + (kSumBase - 0x3f800000);  // less the exponent of 1
}

FURET_INLINE void describe(Q8Block& out, float scale, float mid, int32_t codes0, int32_t codes1) {
    out.scale = scale;
    out.mid = mid;
    out.sum = scale * (float)(codes0 + codes1) + 32.0f * mid;
    out.half_sum = scale * (float)codes0 + 16.0f * mid;
    out.base = base_of(scale);
    out.bias = out.base - 128 * (codes0 + codes1);
    out.half_bias[0] = out.base - 128 * codes0;
    out.half_bias[1] = out.base - 128 * codes1;
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
