// Multiply: one tile of outputs, some 16-row vectors of weights by some tokens, over one panel of quantised weights.
//
// For an output, with blocks b of 32 columns in order, and all sums in float32 except the integer dot products:
//
//   y = fma(float(sum_j w[b][j] * x[b][j]), scale_w[b] * scale_x[b], y)
//       of two groups of 16:  s = scale_w * float(...),  s = fma(scale_w', float(...'), s),  y = fma(s, scale_x[b], y)
//   y = fma(total_w[b], mid_x[b], y)                  total_w = sum of scale_w * code over the block
//   y = fma(min[b], sum_x[b], y)                      for types with mins, of each group
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

// What a sum of products begins with, so that what was added to the codes cancels.
template <Form form, int group, int added> FURET_INLINE int32_t start(const Q8Block& x, int half) {
    if constexpr (form == Form::Minned || kSignedBias == 0) return 0;
    else return (group == 32 ? x.bias : x.half_bias[half]) / (kSignedBias / added);
}

// `alone`: no other codes meet these 4 values next.
template <Form form, bool alone = false> FURET_INLINE I32 dot_of(I32 sum, Bytes codes, const int8_t* x) {
    if constexpr (form == Form::Signed && kSignedBias == 0) return dot_signed(sum, codes, x);
    else return alone ? dot_alone(sum, codes, x) : dot(sum, codes, x);
}

// The integer dot products of one group of columns; w is the block of the first 16 rows.
template <Form form, int group, int RV, int NT>
FURET_INLINE void dot_group(const PanelBlock* w, const Tokens<NT>& x, int half, Tile<RV, NT>& out) {
    constexpr int lines = group / 4;
    I32 sum[RV][NT];
    for (int t = 0; t < NT; ++t) {
        const I32 first = splat_int(start<form, group, kSignedBias>(*x[t], half));
        for (int v = 0; v < RV; ++v) sum[v][t] = first;
    }
#pragma GCC unroll 8
    for (int line = half * lines; line < (half + 1) * lines; ++line) {
        Bytes code[RV];
        for (int v = 0; v < RV; ++v) code[v] = load_bytes(w[v * kPanelBlocks].codes[line]);
        for (int t = 0; t < NT; ++t)
            for (int v = 0; v < RV; ++v) sum[v][t] = dot_of<form>(sum[v][t], code[v], x[t]->code + 4 * line);
    }
    for (int v = 0; v < RV; ++v)
        for (int t = 0; t < NT; ++t) out.sum[v][t] = to_float(sum[v][t]);
}

template <Form form, int group, class Block, int RV, int NT>
FURET_INLINE void multiply_block(const Block* w, const Tokens<NT>& x, Tile<RV, NT>& y) {
    Tile<RV, NT> dots;
    dot_group<form, group>(w, x, 0, dots);
    for (int v = 0; v < RV; ++v) {
        const F32 scale = load(w[v * kPanelBlocks].scale[0]);
        for (int t = 0; t < NT; ++t)
            if constexpr (group == 32) y.sum[v][t] = fma(dots.sum[v][t], mul(scale, splat(x[t]->scale)), y.sum[v][t]);
            else dots.sum[v][t] = mul(scale, dots.sum[v][t]);
    }
    if constexpr (group == 16) {
        Tile<RV, NT> second;
        dot_group<form, group>(w, x, 1, second);
        for (int v = 0; v < RV; ++v) {
            const F32 scale = load(w[v * kPanelBlocks].scale[1]);
            for (int t = 0; t < NT; ++t) y.sum[v][t] = fma(fma(scale, second.sum[v][t], dots.sum[v][t]), splat(x[t]->scale), y.sum[v][t]);
        }
    }
    for (int v = 0; v < RV; ++v) {
        const Block& block = w[v * kPanelBlocks];
        const F32 total = load(block.total);
        for (int t = 0; t < NT; ++t) y.sum[v][t] = fma(total, splat(x[t]->mid), y.sum[v][t]);
        if constexpr (form == Form::Minned)
            for (int half = 0; half < 32 / group; ++half) {
                const F32 min = load(block.min[half]);
                for (int t = 0; t < NT; ++t) y.sum[v][t] = fma(min, splat(group == 32 ? x[t]->sum : x[t]->half_sum[half]), y.sum[v][t]);
            }
    }
}

// y += the products of `blocks` blocks of a panel with the tokens' blocks from x on. Those of the next tokens, `ahead` bytes
// further, are fetched meanwhile. Inlined to keep y in registers.
template <Form form, int group, int RV, int NT>
FURET_INLINE void multiply_panel(const PanelBlock* panel, int64_t blocks, Tokens<NT>& x, Tile<RV, NT>& y, int64_t ahead) {
    if constexpr (kInParts) return multiply_parts<Part, form, group>(panel, blocks, x, y.sum[0]);
    for (int64_t b = 0; b < blocks; ++b) {
        for (int t = 0; t < NT; ++t) prefetch_near((const char*)x[t] + ahead);
        multiply_block<form, group>(panel + b, x, y);
        for (int t = 0; t < NT; ++t) ++x[t];
    }
}

}  // namespace furet::FURET_ISA
