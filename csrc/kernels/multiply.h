// Multiply: one tile of outputs, some 16-row vectors of weights by some tokens, over one panel of quantised weights.
//
// For an output, with blocks b of 32 columns in order, and all sums in float32 except the integer dot products:
//
//   y = fma(scale_w[b] * float(sum_j w[b][j] * x[b][j]), scale_x[b], y)        of each group
//   y = fma(total_w[b], mid_x[b], y)                  total_w = sum of scale_w * code over the block
//   y = fma(min[b], sum_x[b], y)                      of each group, for types with mins
//
// This order is the same for one token or many and for any split of the work, so results are equal bit for bit.
// Error: the integer part is exact (|sum| <= 32 * 255 * 127 < 2^24); one rounding for each fma and product.
#pragma once

#include "../activations.h"
#include "../kernels.h"
#include "multiply_parts.h"
#include "panel.h"

namespace furet::FURET_ISA {

constexpr int kRowTile = 16 * kRowVectors;
constexpr int kPanelBlocks = kPanelColumns / 32;

// Outputs of 16 rows and one token each.
template <int RV, int NT> struct Tile { F32 sum[RV][NT]; };

// Their integer dot products over one group of columns, kept plus kSumBase where kFloatSums.
template <int RV, int NT> struct Dots { I32 sum[RV][NT]; };

// What such a sum begins with; `added` is what is added to signed codes, a power of two. (The shift is exact.)
template <Form form, int group, int added> FURET_INLINE int32_t start(const Q8Block& x, int half) {
    constexpr int32_t base = kFloatSums ? kSumBase : 0;
    if constexpr (form == Form::Minned || kSignedBias == 0) {
        return base;
    } else {
        constexpr int shift = __builtin_ctz(kSignedBias / added);
        return ((group == 32 ? x.bias : x.half_bias[half]) >> shift) + (base - (base >> shift));
    }
}

// The scales of a group of 16 rows. No conversion is needed where sums are bits of floats: what they count too much is taken
// away again exactly, for no scale has more than 22 bits, and the product is rounded once as the other is. (A scale over 2^104,
// which no model has and only MXFP4 and Q8_K can hold, gives no number there.)
struct Scale {
    F32 scale, away;
    FURET_INLINE_MEMBER void read(const float* p) {
        scale = load(p);
        away = mul(scale, splat(-0x1.8p23f));
    }
    FURET_INLINE_MEMBER F32 times(I32 sum) const { return kFloatSums ? fma(as_float(sum), scale, away) : mul(scale, to_float(sum)); }
};

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
        const I32 first = splat_int(start<form, group, kSignedBias>(*x[t], half));
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

template <Form form, int group, int half, class Block, int RV, int NT>
FURET_INLINE void add_products(const Block* w, const Tokens<NT>& x, Tile<RV, NT>& y) {
    Dots<RV, NT> dots;
    dot_group<form, group>(w, x, half, dots);
    Scale scale[RV];
    for (int v = 0; v < RV; ++v) scale[v].read(w[v * kPanelBlocks].scale[half]);
    for (int t = 0; t < NT; ++t) {
        const F32 by = splat(x[t]->scale);
        for (int v = 0; v < RV; ++v) y.sum[v][t] = fma(scale[v].times(dots.sum[v][t]), by, y.sum[v][t]);
    }
}

// Adds the floats of each block's rows that `of_rows` leads to, times the token's `of_token`, which all rows share.
template <class Block, int RV, int NT, class OfRows, class OfToken>
FURET_INLINE void add_scaled(const Block* w, const Tokens<NT>& x, OfRows of_rows, OfToken of_token, Tile<RV, NT>& y) {
    F32 rows[RV];
    for (int v = 0; v < RV; ++v) rows[v] = load(of_rows(w[v * kPanelBlocks]));
    for (int t = 0; t < NT; ++t) {
        const F32 by = splat(of_token(*x[t]));
        for (int v = 0; v < RV; ++v) y.sum[v][t] = fma(rows[v], by, y.sum[v][t]);
    }
}

template <Form form, int group, class Block, int RV, int NT>
FURET_INLINE void add_totals(const Block* w, const Tokens<NT>& x, Tile<RV, NT>& y) {
    add_scaled(w, x, [](const Block& rows) { return rows.total; }, [](const Q8Block& token) { return token.mid; }, y);
    if constexpr (form == Form::Minned)
        for (int half = 0; half < 32 / group; ++half)
            add_scaled(w, x, [=](const Block& rows) { return rows.min[half]; },
                       [=](const Q8Block& token) { return group == 32 ? token.sum : token.half_sum[half]; }, y);
}

template <Form form, int group, class Block, int RV, int NT>
FURET_INLINE void multiply_block(const Block* w, const Tokens<NT>& x, Tile<RV, NT>& y) {
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
