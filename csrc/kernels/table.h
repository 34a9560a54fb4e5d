// The table of one instruction set, and the loop that measures its integer peak.
#pragma once

#include "attention.h"
#include "elementwise.h"
#include "experts.h"
#include "linear.h"
#include "recurrent.h"
#include "norms.h"

namespace furet::FURET_ISA {

static int64_t spin_int8(int64_t rounds) {
    alignas(64) static const uint8_t ones[64] = {1, 2, 3, 4, 5, 6, 7, 8};
    constexpr int chains = kRowVectors == 2 ? 12 : 4;
    I32 sum[chains];
    for (int c = 0; c < chains; ++c) sum[c] = splat_int(c);
    const Bytes w = load_bytes(ones);
    const int8_t x[4] = {1, -1, 2, -2};
    for (int64_t i = 0; i < rounds; ++i)
        for (int c = 0; c < chains; ++c) sum[c] = dot(sum[c], w, x);
    int32_t kept = 0;
    for (int c = 0; c < chains; ++c) kept += sum_lanes(sum[c]);
    // The sum is used, so the loop stays; it cannot reach this value.
    return kept == 0x12345679 ? 0 : rounds * chains * 64 * 2;
}

static const Kernels table = {
    kName, kRowTile, kQueryTile, linear, pack, quantise, rms_norm, layer_norm, l2_norm, head_dot, affine, activate, gated,
    add_rows, subtract_rows, multiply_rows, attend, route, combine,
    convolve, selective_scan, wkv4, wkv7, halve, spin_int8,
};

}  // namespace furet::FURET_ISA
