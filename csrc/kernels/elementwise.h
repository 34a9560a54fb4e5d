// Row operations, value by value, and the quantisation that follows them.
#pragma once

#include <cstdint>

#include "../half.h"
#include "functions.h"
#include "quantise.h"

namespace furet::FURET_ISA {

// Apply f(F32 x, offset) -> F32 over [begin, end) of a row and write floats or q8 blocks.
template <class Function> FURET_INLINE void emit(int64_t begin, int64_t end, RowOut out, Function f) {
    if (out.q8) {
        constexpr int64_t most = 32 * kBlocksAtOnce;
        alignas(64) float values[most];
        for (int64_t i = begin; i < end; i += most) {
            const int64_t count = (end - i < most ? end - i : most) / 32;
            uint8_t* to = out.q8 + i / 32 * out.apart;
            for (int64_t b = 0; b < count; ++b) prefetch_near(to + b * out.apart);
            for (int64_t j = 0; j < 32 * count; j += 16) store(values + j, f(i + j));
            quantise_blocks(values, count, to, out.apart);
        }
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

static void activate(Function function, float parameter, const float* x, int64_t begin, int64_t end, RowOut out) {
    const F32 p = splat(parameter);
    choose(function, [&](auto f) { emit(begin, end, out, [&](int64_t i) { return apply<f.value>(load_within(x, i, end), p); }); });
}

static void gated(Function function, const float* gate, const float* up, int64_t begin, int64_t end, RowOut out) {
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
