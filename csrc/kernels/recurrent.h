// Recurrent rules: the tokens of one sequence, one after the other, over the state that it keeps.
//
// Lanes are 16 columns, or 16 values of a head, which know nothing of each other: nothing is summed across lanes, and a token's
// result is the same to the bit however the tokens before it were cut into steps. All in float32.
#pragma once

#include "../recurrence.h"
#include "elementwise.h"

namespace furet::FURET_ISA {

FURET_INLINE void store_within(float* x, int64_t i, int64_t end, F32 v) {
    if (i + 16 <= end) return store(x + i, v);
    float lane[16];
    store(lane, v);
    for (int64_t j = 0; i + j < end; ++j) x[i + j] = lane[j];
}

// 16 columns from `i` on of the rows of a matrix, in a place of their own: rows may lie a power of two apart, and then no cache
// keeps many of them.
struct Columns16 {
    alignas(64) float row[kMaxStateSize][16];

    void read(const float* from, int64_t rows, int64_t width, int64_t i) {
        for (int64_t j = 0; j < rows; ++j) store(row[j], load_within(from + j * width, i, width));
    }
    void write(float* to, int64_t rows, int64_t width, int64_t i) const {
        for (int64_t j = 0; j < rows; ++j) store_within(to + j * width, i, width, load(row[j]));
    }
};

// y = bias, then fma(weight[j], x[t - taps + 1 + j], y) from the oldest token to the newest.
static void convolve(const ConvolveArgs& a, int64_t begin, int64_t end) {
    const int64_t before = a.taps - 1;
    auto line = [&](int64_t place) { return place < before ? a.state + place * a.width : a.x[place - before]; };
    for (int64_t i = begin; i < end; i += 16) {
        const F32 bias = a.bias ? load_within(a.bias, i, end) : zero();
        for (int64_t t = 0; t < a.tokens; ++t) {
            F32 y = bias;
            for (int64_t j = 0; j < a.taps; ++j) y = fma(load_within(a.weight + j * a.width, i, end), load_within(line(t + j), i, end), y);
            store_within(a.y[t], i, end, y);
        }
        for (int64_t j = 0; j < before; ++j) store_within(a.state + j * a.width, i, end, load_within(line(a.tokens + j), i, end));
    }
}

// s = fma(e^(dt * rate), s, (dt * x) * b), then y = fma(s, c, y) for each s in order, and fma(skip, x, y).
static void selective_scan(const SelectiveScanArgs& a, int64_t begin, int64_t end) {
    Columns16 rates, state;
    for (int64_t i = begin; i < end; i += 16) {
        rates.read(a.rates, a.size, a.width, i);
        state.read(a.state, a.size, a.width, i);
        const F32 skip = load_within(a.skip, i, end);
        for (int64_t t = 0; t < a.tokens; ++t) {
            const F32 x = load_within(a.x[t], i, end), dt = load_within(a.dt[t], i, end), added = mul(dt, x);
            const float* b = a.b[t];
            const float* c = a.c[t];
            F32 y = zero();
            for (int64_t j = 0; j < a.size; ++j) {
                const F32 kept = exponential(mul(dt, load(rates.row[j])));
                const F32 s = fma(kept, load(state.row[j]), mul(added, splat(b[j])));
                store(state.row[j], s);
                y = fma(s, splat(c[j]), y);
            }
            store_within(a.y[t], i, end, fma(skip, x, y));
        }
        state.write(a.state, a.size, a.width, i);
    }
}

// (old * above + new * v) / (old * below + new), where old = e^(largest - top), new = e^(first + k - top) and top is the larger
// exponent; then the same without `first`, after a decay, for the next token. The order of the arguments of max keeps a NaN.
static void wkv4(const Wkv4Args& a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 16) {
        const F32 decay = load_within(a.decay, i, end), first = load_within(a.first, i, end);
        F32 above = zero(), below = zero(), largest = splat(-__builtin_inff());
        if (!a.fresh) {
            above = load_within(a.state, i, end);
            below = load_within(a.state + a.width, i, end);
            largest = load_within(a.state + 2 * a.width, i, end);
        }
        for (int64_t t = 0; t < a.tokens; ++t) {
            const F32 k = load_within(a.k[t], i, end), v = load_within(a.v[t], i, end), own = add(first, k);
            F32 top = max(largest, own);
            F32 old = exponential(sub(largest, top)), fresh = exponential(sub(own, top));
            store_within(a.y[t], i, end, div(fma(old, above, mul(fresh, v)), fma(old, below, fresh)));
            const F32 aged = add(largest, decay);
            top = max(aged, k);
            old = exponential(sub(aged, top));
            fresh = exponential(sub(k, top));
            above = fma(old, above, mul(fresh, v));
            below = fma(old, below, fresh);
            largest = top;
        }
        store_within(a.state, i, end, above);
        store_within(a.state + a.width, i, end, below);
        store_within(a.state + 2 * a.width, i, end, largest);
    }
}

// For the values `i` to i + 15 of one head, key by key in order: turned = sum fma(s, a, ..); then s = s * decay, and fma(turned, b,
// s), and fma(v, k, s), and y = fma(s, r, y).
static void wkv7(const Wkv7Args& a, int64_t head, int64_t i) {
    Columns16 state;
    float* kept = a.state + head * a.size * a.size;
    const int64_t at = head * a.size;
    state.read(kept, a.size, a.size, i);
    for (int64_t t = 0; t < a.tokens; ++t) {
        const float *r = a.r[t] + at, *decay = a.decay[t] + at, *k = a.k[t] + at, *left = a.a[t] + at, *right = a.b[t] + at;
        const F32 v = load_within(a.v[t] + at, i, a.size);
        F32 turned = zero(), y = zero();
        for (int64_t j = 0; j < a.size; ++j) turned = fma(load(state.row[j]), splat(left[j]), turned);
        for (int64_t j = 0; j < a.size; ++j) {
            F32 s = mul(load(state.row[j]), splat(decay[j]));
            s = fma(turned, splat(right[j]), s);
            s = fma(v, splat(k[j]), s);
            store(state.row[j], s);
            y = fma(s, splat(r[j]), y);
        }
        store_within(a.y[t] + at, i, a.size, y);
    }
    state.write(kept, a.size, a.size, i);
}

}  // namespace furet::FURET_ISA
