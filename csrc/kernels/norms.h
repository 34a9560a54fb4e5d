// Operations on groups of a row's values: norms and dot products of heads.
#pragma once

#include "elementwise.h"

namespace furet::FURET_ISA {

static float mean_square(const float* x, int64_t n) {
    F32 sum = zero();
    for (int64_t i = 0; i < n; i += 16) {
        const F32 v = load_within(x, i, n);
        sum = fma(v, v, sum);
    }
    return sum_lanes(sum) / (float)n;
}

static void rms_norm(const float* x, const float* weight, int64_t group, int64_t width, float eps, RowOut out) {
    for (int64_t start = 0; start < width; start += group) {
        const F32 scale = splat(1.0f / __builtin_sqrtf(mean_square(x + start, group) + eps));
        auto normed = [&](int64_t i) {
            return mul(mul(load_within(x, i, start + group), scale), load_within(weight, i - start, group));
        };
        emit(start, start + group, out, normed);
    }
}

// The values of [i, i + 16) that lie below `end`, less the mean; zeros beyond.
FURET_INLINE F32 centred(const float* x, int64_t i, int64_t end, F32 mean) {
    if (i + 16 <= end) return sub(load(x + i), mean);
    float lane[16];
    store(lane, sub(load_within(x, i, end), mean));
    for (int64_t j = end - i; j < 16; ++j) lane[j] = 0;
    return load(lane);
}

static void layer_norm(const float* x, const float* weight, const float* bias, int64_t group, int64_t width, float eps, RowOut out) {
    for (int64_t start = 0; start < width; start += group) {
        const int64_t end = start + group;
        F32 sum = zero(), squares = zero();
        for (int64_t i = start; i < end; i += 16) sum = add(sum, load_within(x, i, end));
        const F32 mean = splat(sum_lanes(sum) / (float)group);
        for (int64_t i = start; i < end; i += 16) {
            const F32 v = centred(x, i, end, mean);
            squares = fma(v, v, squares);
        }
        const F32 scale = splat(1.0f / __builtin_sqrtf(sum_lanes(squares) / (float)group + eps));
        emit(start, end, out, [&](int64_t i) {
            const F32 y = mul(mul(centred(x, i, end, mean), scale), load_within(weight, i, end));
            return bias ? add(y, load_within(bias, i, end)) : y;
        });
    }
}

FURET_INLINE float dot(const float* a, const float* b, int64_t n) {
    F32 sum = zero();
    for (int64_t i = 0; i < n; i += 16) sum = fma(load_within(a, i, n), load_within(b, i, n), sum);
    return sum_lanes(sum);
}

static void l2_norm(const float* x, int64_t group, int64_t width, float eps, float* out) {
    for (int64_t start = 0; start < width; start += group) {
        const int64_t end = start + group;
        const float size = __builtin_sqrtf(dot(x + start, x + start, group));
        // Not the other way round: a NaN must not turn into eps.
        const F32 scale = splat(1.0f / (size < eps ? eps : size));
        emit(start, end, {out, nullptr}, [&](int64_t i) { return mul(load_within(x, i, end), scale); });
    }
}

static void head_dot(const float* a, const float* b, int64_t group, int64_t width, float* out) {
    for (int64_t start = 0; start < width; start += group) {
        const F32 product = splat(dot(a + start, b + start, group));
        emit(start, start + group, {out, nullptr}, [&](int64_t) { return product; });
    }
}

}  // namespace furet::FURET_ISA
