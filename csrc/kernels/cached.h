// Floats to what the cache holds and back; see key_values.h.
//
// Q8_0   scale = max |x| / 127 in float16      code = x / scale, nearest, within [-127, 127]
// Q4_0   scale = (the x of largest |x|) / -8   code = x / scale, nearest, within [-8, 7], stored plus 8
//
// of 32 values that have been turned (turn.h). A scale times a code is exact in float32, so what is attended to is the cache's
// content to the bit.
#pragma once

#include "turn.h"
#include "../key_values.h"

namespace furet::FURET_ISA {

// A NaN or an infinity in a block makes its scale one, so it is not lost.
FURET_INLINE uint16_t scale_of(F32 x0, F32 x1, float steps) {
    const float high = max_lanes(max(x0, x1)), low = -max_lanes(max(sub(zero(), x0), sub(zero(), x1)));
    const float sum = sum_lanes(x0) + sum_lanes(x1);
    const float farthest = steps < 0 ? (high > -low ? high : low) : (high > -low ? high : -low);
    return float_to_half(farthest / steps + (sum - sum));
}

static void encode_block(CacheType type, const float* x, uint8_t* out) {
    F32 x0 = load(x), x1 = load(x + 16);
    turn(x0, x1);
    const bool bytes = type == CacheType::Q8_0;
    const uint16_t scale = scale_of(x0, x1, bytes ? 127.0f : -8.0f);
    const float inverse = 1.0f / half_to_float(scale);
    const F32 factor = splat(inverse - inverse == 0 ? inverse : 0.0f);
    const F32 lowest = splat(bytes ? -127.0f : -8.0f), highest = splat(bytes ? 127.0f : 7.0f);
    int8_t code[kTile];
    store_int8(code, to_int_nearest(max(min(mul(x0, factor), highest), lowest)));
    store_int8(code + 16, to_int_nearest(max(min(mul(x1, factor), highest), lowest)));
    std::memcpy(out, &scale, 2);
    if (bytes) std::memcpy(out + 2, code, kTile);
    else
        for (int c = 0; c < 16; ++c) out[2 + c] = (uint8_t)((code[c] + 8) | (code[c + 16] + 8) << 4);
}

// A key or a value of one position and head.
static void encode(CacheType type, const float* x, int dim, uint8_t* out) {
    if (type == CacheType::F16) return halve(x, dim, (uint16_t*)out);
    for (int c = 0; c < dim; c += kTile) encode_block(type, x + c, out + c / kTile * cached_block_bytes(type));
}

FURET_INLINE void float_line(const uint16_t* line, int64_t width, float* out) {
    for (int64_t i = 0; i < width; i += 16) store(out + i, load_half(line + i));
}

FURET_INLINE F32 scaled(I32 codes, F32 scale) { return mul(to_float(codes), scale); }
FURET_INLINE I32 low_codes(I32 pairs) { return add(bit_and(pairs, splat_int(15)), splat_int(-8)); }
FURET_INLINE I32 high_codes(I32 pairs) { return add(shift_right<4>(pairs), splat_int(-8)); }

// [D, 32] floats of 32 keys.
static void unpack_keys(const KeyValues& cache, int head, int64_t position, float* panel) {
    const uint8_t* tile = cache.key_tile(head, position);
    if (cache.type == CacheType::F16) {
        for (int64_t i = 0; i < cache.dim; ++i) float_line((const uint16_t*)tile + kTile * i, kTile, panel + kTile * i);
        return;
    }
    const int64_t bytes = kTile * cached_block_bytes(cache.type);
    for (int64_t c = 0; c < cache.dim; c += kTile, tile += bytes, panel += kTile * kTile) {
        const F32 scale[2] = {load_half((const uint16_t*)tile), load_half((const uint16_t*)tile + 16)};
        const uint8_t* codes = tile + 2 * kTile;
        if (cache.type == CacheType::Q8_0)
            for (int i = 0; i < kTile; ++i)
                for (int v = 0; v < 2; ++v) store(panel + kTile * i + 16 * v, scaled(load_int8((const int8_t*)codes + kTile * i + 16 * v), scale[v]));
        else
            for (int i = 0; i < 16; ++i)
                for (int v = 0; v < 2; ++v) {
                    const I32 pairs = load_uint8(codes + kTile * i + 16 * v);
                    store(panel + kTile * i + 16 * v, scaled(low_codes(pairs), scale[v]));
                    store(panel + kTile * (i + 16) + 16 * v, scaled(high_codes(pairs), scale[v]));
                }
    }
}

// [count, 32] floats of values within one block: 32 channels, or those left of F16, from a multiple of 32 on.
static void unpack_block(const KeyValues& cache, int head, int64_t channel, int64_t position, int64_t count, float* panel) {
    if (cache.type == CacheType::F16) {
        const int64_t width = cache.line(channel);
        const uint16_t* line = (const uint16_t*)cache.value_tile(head, channel, position);
        for (int64_t j = 0; j < count; ++j) float_line(line + width * j, width, panel + kTile * j);
        return;
    }
    const int64_t bytes = kTile * cached_block_bytes(cache.type);
    const uint8_t* tile = cache.value_tile(head, channel, position);
    for (int64_t from = 0; from < count; from += kTile, tile += bytes, panel += kTile * kTile) {
        float scale[kTile];
        float_line((const uint16_t*)tile, kTile, scale);
        const uint8_t* codes = tile + 2 * kTile;
        const int64_t here = count - from < kTile ? count - from : kTile;
        if (cache.type == CacheType::Q8_0)
            for (int64_t j = 0; j < here; ++j)
                for (int v = 0; v < 2; ++v) store(panel + kTile * j + 16 * v, scaled(load_int8((const int8_t*)codes + kTile * j + 16 * v), splat(scale[j])));
        else
            for (int64_t j = 0; j < here; ++j) {
                const I32 pairs = load_uint8(codes + 16 * j);
                store(panel + kTile * j, scaled(low_codes(pairs), splat(scale[j])));
                store(panel + kTile * j + 16, scaled(high_codes(pairs), splat(scale[j])));
            }
    }
}

// The same of any positions.
static void unpack_values(const KeyValues& cache, int head, int64_t channel, int64_t position, int64_t count, float* panel) {
    for (const int64_t end = position + count; position < end;) {
        const int64_t border = (position / kBlock + 1) * kBlock, here = (border < end ? border : end) - position;
        unpack_block(cache, head, channel, position, here, panel);
        position += here;
        panel += kTile * here;
    }
}

}  // namespace furet::FURET_ISA
