// Mixtures of experts: which experts a token goes to, and the sum of what they say.
#pragma once

#include "elementwise.h"

namespace furet::FURET_ISA {

// The weights are shares of a softmax over all experts: e^(s - max) / total, in float32, the total summed by lanes. A NaN among
// the scores makes all weights of the token NaN; the experts are still `used` different ones.
static void route(const float* scores, int64_t experts, int64_t used, bool normalise, int32_t* chosen, float* weights, Scratch& scratch) {
    float* share = scratch.sums;
    const int64_t padded = (experts + 15) / 16 * 16;
    for (int64_t e = 0; e < padded; ++e) share[e] = e < experts ? scores[e] : -__builtin_inff();
    F32 highest = load(share), sum = zero();
    for (int64_t e = 16; e < padded; e += 16) highest = max(highest, load(share + e));
    const F32 top = splat(max_lanes(highest));
    for (int64_t e = 0; e < padded; e += 16) {
        const F32 power = exponential(sub(load(share + e), top));
        sum = add(sum, power);
        store(share + e, power);
    }
    const float total = sum_lanes(sum);
    bool taken[kMaxExperts] = {};
    float kept = 0;
    for (int64_t rank = 0; rank < used; ++rank) {
        int64_t best = 0;
        while (taken[best]) ++best;
        for (int64_t e = best + 1; e < experts; ++e)
            if (!taken[e] && scores[e] > scores[best]) best = e;
        taken[best] = true;
        chosen[rank] = (int32_t)best;
        weights[rank] = share[best] / total;
        kept += weights[rank];
    }
    if (normalise)
        for (int64_t rank = 0; rank < used; ++rank) weights[rank] = weights[rank] / kept;
}

static void combine(const float* x, int64_t stride, const float* weights, int64_t used, int64_t width, float* out) {
    emit(0, width, {out, nullptr}, [&](int64_t i) {
        F32 sum = mul(splat(weights[0]), load_within(x, i, width));
        for (int64_t rank = 1; rank < used; ++rank) sum = fma(splat(weights[rank]), load_within(x + rank * stride, i, width), sum);
        return sum;
    });
}

}  // namespace furet::FURET_ISA
