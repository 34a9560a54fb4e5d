// Row operations, value by value, and the quantisation that follows them.
#pragma once

#include <cstdint>

#include "../activations.h"
#include "../half.h"
#include "functions.h"

namespace furet::FURET_ISA {

// A block of a q8 row from 32 floats (see activations.h). A NaN or infinity makes `mid` NaN, so it is not lost.
FURET_INLINE void quantise_block(F32 x0, F32 x1, Q8Block& out) {
    const float highest = max_lanes(max(x0, x1)), lowest = -max_lanes(max(sub(zero(), x0), sub(zero(), x1)));
    const float sum = sum_lanes(x0) + sum_lanes(x1);
    const float mid = 0.5f * highest + 0.5f * lowest + (sum - sum);
    const float scale = highest / 254.0f - lowest / 254.0f, inverse = 1.0f / scale;
    // A block of equal values has no range, and in one of subnormal range the inverse overflows: `mid` alone stands for it.
    const F32 factor = splat(inverse < 3e38f ? inverse : 0.0f);
    const F32 limit = splat(127.0f), floor = splat(-127.0f);
    const I32 q0 = to_int_nearest(max(min(mul(sub(x0, splat(mid)), factor), limit), floor));
    const I32 q1 = to_int_nearest(max(min(mul(sub(x1, splat(mid)), factor), limit), floor));
    store_int8(out.code, q0);
    store_int8(out.code + 16, q1);
    const int32_t codes0 = sum_lanes(q0), codes1 = sum_lanes(q1);
    out.scale = scale;
    out.mid = mid;
    out.sum = scale * (float)(codes0 + codes1) + 32.0f * mid;
    out.bias = kSumBase - 128 * (codes0 + codes1);
    out.half_sum[0] = scale * (float)codes0 + 16.0f * mid;
    out.half_sum[1] = scale * (float)codes1 + 16.0f * mid;
    out.half_bias[0] = kSumBase - 128 * codes0;
    out.half_bias[1] = kSumBase - 128 * codes1;
}

static void quantise(const float* x, int64_t width, uint8_t* out) {
    for (int64_t b = 0; b < width / 32; ++b) quantise_block(load(x + 32 * b), load(x + 32 * b + 16), ((Q8Block*)out)[b]);
}

// Apply f(F32 x, offset) -> F32 over [begin, end) of a row and write floats or q8 blocks.
template <class Function> FURET_INLINE void emit(int64_t begin, int64_t end, RowOut out, Function f) {
    if (out.q8) {
        for (int64_t i = begin; i < end; i += 32) quantise_block(f(i), f(i + 16), ((Q8Block*)out.q8)[i / 32]);
        return;
    }
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) store(out.f32 + i, f(i));
    if (i < end) {
        float lane[16];
        store(lane, f(i));
        for (int64_t j = 0; i + j < end; ++j) out.f32[i + j] = lane[j];
    }
}

// A load that stays inside the row at its ragged end.
FURET_INLINE F32 load_within(const float* x, int64_t i, int64_t end) {
    if (i + 16 <= end) return load(x + i);
    float lane[16] = {};
    for (int64_t j = 0; i + j < end; ++j) lane[j] = x[i + j];
    return load(lane);
}

static void activate(Function function, float parameter, const float* x, int64_t begin, int64_t end, int64_t, RowOut out) {
    const F32 p = splat(parameter);
    choose(function, [&](auto f) { emit(begin, end, out, [&](int64_t i) { return apply<f.value>(load_within(x, i, end), p); }); });
}

static void gated(Function function, const float* gate, const float* up, int64_t begin, int64_t end, int64_t, RowOut out) {
    choose(function, [&](auto f) {
        emit(begin, end, out, [&](int64_t i) { return mul(apply<f.value>(load_within(gate, i, end), zero()), load_within(up, i, end)); });
    });
}

static void affine(const float* x, const float* weight, const float* bias, int64_t width, RowOut out) {
    emit(0, width, out, [&](int64_t i) {
        F32 y = load_within(x, i, width);
        if (weight) y = mul(y, load_within(weight, i, width));
        return bias ? add(y, load_within(bias, i, width)) : y;
    });
}

static void add_rows(const float* a, const float* b, int64_t n, float* out) {
    emit(0, n, {out, nullptr}, [&](int64_t i) { return add(load_within(a, i, n), load_within(b, i, n)); });
}

static void subtract_rows(const float* a, const float* b, int64_t n, float* out) {
    emit(0, n, {out, nullptr}, [&](int64_t i) { return sub(load_within(a, i, n), load_within(b, i, n)); });
}

static void multiply_rows(const float* a, const float* b, int64_t n, float* out) {
    emit(0, n, {out, nullptr}, [&](int64_t i) { return mul(load_within(a, i, n), load_within(b, i, n)); });
}

static void halve(const float* x, int64_t n, uint16_t* out) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) store_half(out + i, load(x + i));
    for (; i < n; ++i) out[i] = float_to_half(x[i]);
}

}  // namespace furet::FURET_ISA
