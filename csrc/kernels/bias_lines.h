// The bias that keys are held without (see key_bias.h): lines of a panel behind those of the keys.
#pragma once

#include "../key_bias.h"
#include "../key_values.h"

namespace furet::FURET_ISA {

// [lines, 32] floats: the bias as 32 positions turn it.
static void unpack_bias(const KeyBias& bias, int head, int64_t position, float* panel) {
    if (!bias.pairs) return;
    const TileAngles& at = bias.angles;
    for (int i = bias.begin[head]; i < bias.begin[head + 1]; ++i) {
        const BiasedPair& pair = bias.pairs[i];
        if (pair.second < 0) {
            for (int v = 0; v < kTile; v += 16) store(panel + v, splat(pair.a));
            panel += kTile;
            continue;
        }
        // First by the angle of the tile's first position, then by what the others are ahead of it.
        const float far_cos = at.far_cos[position / kTile * at.count + pair.angle], far_sin = at.far_sin[position / kTile * at.count + pair.angle];
        const F32 a = splat(pair.a * far_cos - pair.b * far_sin), b = splat(pair.a * far_sin + pair.b * far_cos);
        for (int v = 0; v < kTile; v += 16) {
            const F32 cos = load(at.near_cos + kTile * pair.angle + v), sin = load(at.near_sin + kTile * pair.angle + v);
            store(panel + v, sub(mul(a, cos), mul(b, sin)));
            store(panel + kTile + v, add(mul(a, sin), mul(b, cos)));
        }
        panel += 2 * kTile;
    }
}

// What a query has in those channels, line by line.
static void gather_biased(const KeyBias& bias, int head, const float* q, float* out) {
    if (!bias.pairs) return;
    for (int i = bias.begin[head]; i < bias.begin[head + 1]; ++i) {
        *out++ = q[bias.pairs[i].first];
        if (bias.pairs[i].second >= 0) *out++ = q[bias.pairs[i].second];
    }
}

}  // namespace furet::FURET_ISA
