// Multiply, for instruction sets whose registers hold fewer than 16 rows: the sums of multiply.h in the same order, with the
// rows of a panel taken a register at a time.
//
// A tile of 16 rows by 4 tokens keeps its outputs in registers over the panel. There is room beside them for the codes of the
// tokens and the integer sums of one part of the rows, but not of all 16: so each block is gone through part by part. `Part` is
// what a register holds and does (simd/neon_part.h).
#pragma once

#include <atomic>

#include "../activations.h"
#include "../types.h"
#include "panel.h"

namespace furet::FURET_ISA {

// A block of the activations of every token of a tile.
template <int NT, class X = Q8Block> using Tokens = const X* [NT];

// Adds scale * dot product to y. scale, mid, sum and half_sum of a token's block are neighbours in memory.
template <class Part, int group, int NT>
FURET_INLINE void add_products(const PanelBlock& w, int part, const Tokens<NT>& x, const typename Part::template Codes<NT>& code, typename Part::Float (&y)[NT]) {
    const int row = part * Part::kRows;
    typename Part::Int sum[NT];
    Part::template dot<0, group / 4>(w.codes, part, code, sum);
    const auto scale = Part::load(w.scale[0] + row);
    for (int t = 0; t < NT; ++t) y[t] = Part::fma(Part::to_float(sum[t]), Part::template mul_by<0>(scale, Part::factors(&x[t]->scale)), y[t]);
    if constexpr (group == 32) return;
    Part::template dot<4, 4>(w.codes, part, code, sum);
    const auto second = Part::load(w.scale[1] + row);
    for (int t = 0; t < NT; ++t) y[t] = Part::fma(Part::to_float(sum[t]), Part::template mul_by<0>(second, Part::factors(&x[t]->scale)), y[t]);
}

// Adds what follows from the mids, and for types with mins from the sums, of the tokens' blocks.
template <class Part, Form form, int group, int NT>
FURET_INLINE void add_totals(const PanelBlock& w, int part, const Tokens<NT>& x, typename Part::Float (&y)[NT]) {
    const int row = part * Part::kRows;
    const auto total = Part::load(w.total + row);
    for (int t = 0; t < NT; ++t) y[t] = Part::template fma_by<1>(total, Part::factors(&x[t]->scale), y[t]);
    if constexpr (form == Form::Minned && group == 32) {
        const auto min = Part::load(w.min[0] + row);
        for (int t = 0; t < NT; ++t) y[t] = Part::template fma_by<2>(min, Part::factors(&x[t]->scale), y[t]);
    } else if constexpr (form == Form::Minned) {
        const auto first = Part::load(w.min[0] + row), second = Part::load(w.min[1] + row);
        for (int t = 0; t < NT; ++t) y[t] = Part::template fma_by<3>(first, Part::factors(&x[t]->scale), y[t]);
        for (int t = 0; t < NT; ++t) y[t] = Part::fma(second, Part::splat(x[t]->sum - x[t]->half_sum), y[t]);
    }
}

// To be called once for a panel that tokens will meet.
template <class Part> static void arrange(PanelBlock* panel, int64_t blocks) {
    if constexpr (Part::kPairs)
        for (int64_t b = 0; b < blocks; ++b) Part::pair_lines(panel[b].codes);
}

// y += the products of `blocks` blocks of a panel with the tokens' blocks from x on.
template <class Part, Form form, int group, int NT>
FURET_INLINE void multiply_parts(const PanelBlock* panel, int64_t blocks, Tokens<NT>& x, F32 (&y)[NT]) {
    typename Part::Float sum[Part::kCount][NT];
    // Every loop over the tile is unrolled, so that no copy of it is kept in memory.
#pragma GCC unroll 4
    for (int part = 0; part < Part::kCount; ++part)
#pragma GCC unroll 4
        for (int t = 0; t < NT; ++t) sum[part][t] = Part::of(y[t], part);
    for (int64_t b = 0; b < blocks; ++b) {
        const typename Part::template Codes<NT> code(x);
#pragma GCC unroll 4
        for (int part = 0; part < Part::kCount; ++part) {
            add_products<Part, group>(panel[b], part, x, code, sum[part]);
            add_totals<Part, form, group>(panel[b], part, x, sum[part]);
            // The registers are full: let the compiler fetch nothing of the next part before this one is done.
            if constexpr (NT > 1) std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        for (int t = 0; t < NT; ++t) ++x[t];
    }
#pragma GCC unroll 4
    for (int part = 0; part < Part::kCount; ++part)
#pragma GCC unroll 4
        for (int t = 0; t < NT; ++t) Part::of(y[t], part) = sum[part][t];
}

}  // namespace furet::FURET_ISA
