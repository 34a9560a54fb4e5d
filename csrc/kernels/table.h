// The table of one instruction set, and the loop that measures its integer peak.
#pragma once

#include "attention.h"
#include "elementwise.h"
#include "experts.h"
#include "linear.h"
#include "recurrent.h"
#include "norms.h"

namespace furet::FURET_ISA {

// Enough sums that none waits for its last product, few enough that all stay in registers. The weights are read anew in every
// round, through a pointer that the compiler cannot see through, so that no part of a product moves out of the loop.
static int64_t spin_int8(int64_t rounds) {
    constexpr int vectors = kRowVectors, tokens = kRowVectors == 2 ? 6 : 3;
    alignas(64) uint8_t codes[64 * vectors] = {1, 2, 3, 4};
    int8_t x[4 * tokens] = {1, -1, 2, -2};
    const uint8_t* at = codes;
    const int8_t* four = x;
    asm volatile("" : "+r"(at), "+r"(four) : : "memory");
    I32 sum[vectors][tokens];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 6
        for (int t = 0; t < tokens; ++t) sum[v][t] = splat_int(0);
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+r"(at));
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) {
            const Bytes w = load_bytes(at + 64 * v);
#pragma GCC unroll 6
            for (int t = 0; t < tokens; ++t) sum[v][t] = dot(sum[v][t], w, four + 4 * t);
        }
    }
    int32_t kept = 0;
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 6
        for (int t = 0; t < tokens; ++t) kept += sum_lanes(sum[v][t]);
    asm volatile("" : : "r"(kept));  // somebody reads it
    return rounds * vectors * tokens * 64 * 2;
}

static const Kernels table = {
    kName, kRowTile, linear, pack, quantise, rms_norm, layer_norm, l2_norm, head_dot, affine, activate, gated,
    add_rows, subtract_rows, multiply_rows, attend, attend_span, merge_spans, route, combine,
    convolve, selective_scan, wkv4, wkv7, encode, spin_int8,
};

}  // namespace furet::FURET_ISA
