// Multiply: one tile of outputs, some 16-row vectors of weights by some tokens, over one panel of quantised weights.
//
// For an output, with blocks b of 32 columns in order, and all sums in float32 except the integer dot products:
//
//   y = fma(float(sum_j w[b][j] * x[b][j]), scale_w[b] * scale_x[b], y)        of each group
//   y = fma(total_w[b], mid_x[b], y)                  total_w = sum of scale_w * code over the block
//   y = fma(min[b], sum_x[b], y)                      of each group, for types with mins
//
// This order is the same for one token or many and for any split of the work, so results are equal bit for bit.
// Error: the integer part is exact (|sum| <= 32 * 255 * 127 < 2^21); one rounding for each fma and product.
//
// Where kFloatSums a sum begins with the bits of a float (see activations.h), and the subtraction of that float, which is exact
// and no work for the units that multiply, is all the conversion there is. In a panel it gives the sum times the power of two
// in scale_x, so that fma(sum, one of the weight's eight multiples, y) has the very product above. (Equal to the bit as long as
// scale_w * scale_x is no subnormal number.)
#pragma once

#include <cstring>

#include "../activations.h"
#include "../kernels.h"
#include "multiply_parts.h"
#include "panel.h"

namespace furet::FURET_ISA {

constexpr int kRowTile = 16 * kRowVectors;
constexpr int kPanelBlocks = kPanelColumns / 32;
static_assert(kRowVectors * kPanelBlocks * sizeof(PanelBlock) <= sizeof Scratch::panel);

// Outputs of 16 rows and one token each.
template <int RV, int NT> struct Tile { F32 sum[RV][NT]; };

// Their integer dot products over one group of columns, kept plus the token's base where kFloatSums.
template <int RV, int NT> struct Dots { I32 sum[RV][NT]; };

// What such a sum begins with; signed codes have kSignedBias added.
template <Form form, int group> FURET_INLINE int32_t start(const Q8Block& x, int half) {
    if constexpr (form == Form::Signed && kSignedBias != 0) return group == 32 ? x.bias : x.half_bias[half];
    else return kFloatSums ? x.base : 0;
}

// `alone`: no other codes meet these 4 values next.
template <Form form, bool alone = false> FURET_INLINE I32 dot_of(I32 sum, Bytes codes, const int8_t* x) {
    if constexpr (form == Form::Signed && kSignedBias == 0) return dot_signed(sum, codes, x);
    else return alone ? dot_alone(sum, codes, x) : dot(sum, codes, x);
}

// The integer dot products of one group of columns; w is the block of the first 16 rows.
template <Form form, int group, int RV, int NT>
FURET_INLINE void dot_group(const PanelBlock* w, const Tokens<NT>& x, int half, Dots<RV, NT>& out) {
    constexpr int lines = group / 4;
    for (int t = 0; t < NT; ++t) {
        const I32 first = splat_int(start<form, group>(*x[t], half));
        for (int v = 0; v < RV; ++v) out.sum[v][t] = first;
    }
#pragma GCC unroll 8
    for (int line = half * lines; line < (half + 1) * lines; ++line) {
        Bytes code[RV];
        for (int v = 0; v < RV; ++v) code[v] = load_bytes(w[v * kPanelBlocks].codes[line]);
        for (int t = 0; t < NT; ++t)
            for (int v = 0; v < RV; ++v) out.sum[v][t] = dot_of<form>(out.sum[v][t], code[v], x[t]->code + 4 * line);
    }
}

// Bytes from the first of a weight's multiples to that which meets the token's scale.
FURET_INLINE int64_t multiple_of(const Q8Block& x) {
    uint32_t bits;
    std::memcpy(&bits, &x.scale, sizeof bits);
    return (bits & kEighthBits) / kEighth * sizeof PanelBlock::multiple[0][0];
}

template <Form form, int group, int half, int RV, int NT>
FURET_INLINE void add_products(const PanelBlock* w, const Tokens<NT>& x, Tile<RV, NT>& y) {
    Dots<RV, NT> dots;
    dot_group<form, group>(w, x, half, dots);
    for (int t = 0; t < NT; ++t) {
        if constexpr (kFloatSums) {
            const F32 base = as_float(splat_int(x[t]->base));
            const char* multiple = (const char*)w->multiple[half] + multiple_of(*x[t]);
            for (int v = 0; v < RV; ++v) {
                const F32 scale = load((const float*)(multiple + v * kPanelBlocks * sizeof(PanelBlock)));
                y.sum[v][t] = fma(sub(as_float(dots.sum[v][t]), base), scale, y.sum[v][t]);
            }
        } else {
            const F32 by = splat(x[t]->scale);
            for (int v = 0; v < RV; ++v)
                y.sum[v][t] = fma(to_float(dots.sum[v][t]), mul(load(w[v * kPanelBlocks].scale[half]), by), y.sum[v][t]);
        }
    }
}

// Adds the floats of each block's rows that `of_rows` leads to, times the token's `of_token`, which all rows share.
template <class Block, class X, int RV, int NT, class OfRows, class OfToken>
FURET_INLINE void add_scaled(const Block* w, const Tokens<NT, X>& x, OfRows of_rows, OfToken of_token, Tile<RV, NT>& y) {
    F32 rows[RV];
    for (int v = 0; v < RV; ++v) rows[v] = load(of_rows(w[v * kPanelBlocks]));
    for (int t = 0; t < NT; ++t) {
        const F32 by = splat(of_token(*x[t]));
        for (int v = 0; v < RV; ++v) y.sum[v][t] = fma(rows[v], by, y.sum[v][t]);
    }
}

// Of the values of one group.
template <int group, class X> FURET_INLINE float sum_of(const X& x, int half) {
    if (group == 32) return x.sum;
    return half ? x.sum - x.half_sum : x.half_sum;
}

template <Form form, int group, class Block, class X, int RV, int NT>
FURET_INLINE void add_totals(const Block* w, const Tokens<NT, X>& x, Tile<RV, NT>& y) {
    add_scaled(w, x, [](const Block& rows) { return rows.total; }, [](const X& token) { return token.mid; }, y);
    if constexpr (form == Form::Minned)
        for (int half = 0; half < 32 / group; ++half)
            add_scaled(w, x, [=](const Block& rows) { return rows.min[half]; },
                       [=](const X& token) { return sum_of<group>(token, half); }, y);
}

template <Form form, int group, class Block, class X, int RV, int NT>
FURET_INLINE void multiply_block(const Block* w, const Tokens<NT, X>& x, Tile<RV, NT>& y) {
    add_products<form, group, 0>(w, x, y);
    if constexpr (group == 16) add_products<form, group, 1>(w, x, y);
    add_totals<form, group>(w, x, y);
}

// y += the products of `blocks` blocks of a panel with the tokens' blocks from x on. Those of the next tokens, `ahead` bytes
// further, are fetched meanwhile. Inlined, and with sums that have no address, to keep them in registers.
template <Form form, int group, int RV, int NT>
FURET_INLINE void multiply_panel(const PanelBlock* panel, int64_t blocks, Tokens<NT>& x, Tile<RV, NT>& y, int64_t ahead) {
    if constexpr (kInParts) return multiply_parts<Part, form, group>(panel, blocks, x, y.sum[0]);
    Tile<RV, NT> sum = y;
    for (int64_t b = 0; b < blocks; ++b) {
        for (int t = 0; t < NT; ++t) prefetch_near((const char*)x[t] + ahead);
        multiply_block<form, group>(panel + b, x, sum);
        for (int t = 0; t < NT; ++t) ++x[t];
    }
    y = sum;
}

}  // namespace furet::FURET_ISA
