// The turn of blocks before they are quantised: 32 channels times the Hadamard matrix over sqrt(32).
//
// A channel that is far from the others, as keys have them, widens the scale of its whole block. Turned, it is spread over all
// 32. The turn is its own inverse and changes no product of two turned heads, so queries are turned as keys are, and what comes
// of values is turned back: both once for each query, whatever the number of keys.
// Source: Ashkboos et al., "QuaRot", arXiv:2404.00456.
#pragma once

#include "elementwise.h"
#include "../key_values.h"

namespace furet::FURET_ISA {

struct Signs { float row[16][16]; };

// Row i, column j: whether i and j share an even number of bits.
constexpr Signs hadamard_signs() {
    Signs out{};
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 16; ++j) {
            int shared = i & j, odd = 0;
            for (; shared; shared &= shared - 1) odd ^= 1;
            out.row[i][j] = odd ? -1.0f : 1.0f;
        }
    return out;
}

alignas(64) static constexpr Signs kSigns = hadamard_signs();

// Products with a sign are exact, so all instruction sets agree, fused or not.
FURET_INLINE void turn(F32& x0, F32& x1) {
    float low[16], high[16];
    store(low, add(x0, x1));
    store(high, sub(x0, x1));
    F32 low_sum[2] = {zero(), zero()}, high_sum[2] = {zero(), zero()};
    for (int i = 0; i < 16; ++i) {
        const F32 signs = load(kSigns.row[i]);
        low_sum[i % 2] = fma(signs, splat(low[i]), low_sum[i % 2]);
        high_sum[i % 2] = fma(signs, splat(high[i]), high_sum[i % 2]);
    }
    const F32 shrink = splat(0.17677669f);
    x0 = mul(add(low_sum[0], low_sum[1]), shrink);
    x1 = mul(add(high_sum[0], high_sum[1]), shrink);
}

// A head, in place, if the cache holds turned ones.
static void turn_head(const KeyValues& cache, float* x) {
    if (cache.type == CacheType::F16) return;
    for (int c = 0; c < cache.dim; c += kTile) {
        F32 x0 = load(x + c), x1 = load(x + c + 16);
        turn(x0, x1);
        store(x + c, x0);
        store(x + c + 16, x1);
    }
}

}  // namespace furet::FURET_ISA
