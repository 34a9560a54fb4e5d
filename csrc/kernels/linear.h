// Linear: y = x W^T over one tile of weight rows and all tokens of the step.
//
// Weights are unpacked to panels of 512 columns in private memory (see unpack.h), once, and meet every token there. For an
// output, with blocks b of 32 columns (or groups of 16) in order and all sums in float32 except the integer dot products:
//
//   y = fma(float(sum_j w[b][j] * x[b][j]), scale_w[b] * scale_x[b], y)
//   y = fma(total_w[b], mid_x[b], y)             total_w = scale_w * sum of the codes
//   y = fma(min[b], sum_x[b], y)                 for types with mins
//   y = y + bias, then y + residual              at the end of the row
//
// This order is the same for one token or many and for any split of the work, so results are equal bit for bit.
// Error: the integer part is exact (|sum| <= 32 * 255 * 127 < 2^24); one rounding for each fma and product.
#pragma once

#include "../activations.h"
#include "../kernels.h"
#include "linear_float.h"
#include "unpack.h"

namespace furet::FURET_ISA {

constexpr int kRowTile = 16 * kRowVectors;
constexpr int kPanelBlocks = kPanelColumns / 32;

template <int RV, int NT> struct Tile { F32 sum[RV][NT]; };

template <Form form, int group, int RV, int NT>
FURET_INLINE void multiply_block(
    const PanelBlock* const (&panel)[RV], int64_t b, const Q8Row (&x)[NT], Tile<RV, NT>& y) {
    constexpr int lines = group / 4;
    for (int half = 0; half < 32 / group; ++half) {
        I32 sum[RV][NT];
        for (int t = 0; t < NT; ++t) {
            I32 start = splat_int(0);
            if constexpr (form == Form::Signed && kSignedBias != 0)
                start = splat_int(group == 32 ? x[t].bias32[b] : x[t].bias16[2 * b + half]);
            for (int v = 0; v < RV; ++v) sum[v][t] = start;
        }
#pragma GCC unroll 8
        for (int line = 0; line < lines; ++line) {
            Bytes w[RV];
            for (int v = 0; v < RV; ++v) w[v] = load_bytes(panel[v][b].codes[half * lines + line]);
            for (int t = 0; t < NT; ++t) {
                const int8_t* four = x[t].code + 32 * b + 4 * (half * lines + line);
                for (int v = 0; v < RV; ++v)
                    sum[v][t] = form == Form::Signed ? dot_signed(sum[v][t], w[v], four) : dot(sum[v][t], w[v], four);
            }
        }
        for (int v = 0; v < RV; ++v) {
            const F32 scale = load(panel[v][b].scale[half]);
            for (int t = 0; t < NT; ++t)
                y.sum[v][t] = fma(to_float(sum[v][t]), mul(scale, splat(x[t].scale[b])), y.sum[v][t]);
            const F32 whole = load(panel[v][b].total[half]);
            for (int t = 0; t < NT; ++t) y.sum[v][t] = fma(whole, splat(x[t].mid[b]), y.sum[v][t]);
            if constexpr (form == Form::Minned) {
                const F32 min = load(panel[v][b].min[half]);
                for (int t = 0; t < NT; ++t) {
                    const float total = group == 32 ? x[t].sum32[b] : x[t].sum16[2 * b + half];
                    y.sum[v][t] = fma(min, splat(total), y.sum[v][t]);
                }
            }
        }
    }
}

template <Form form, int group, int RV, int NT>
static void multiply_quantised(const Scratch& scratch, int64_t blocks, const uint8_t* const (&x)[NT], int64_t width, int64_t first,
                               Tile<RV, NT>& y) {
    const PanelBlock* panel[RV];
    for (int v = 0; v < RV; ++v) panel[v] = (const PanelBlock*)scratch.panel + v * kPanelBlocks;
    Q8Row row[NT];
    for (int t = 0; t < NT; ++t) row[t] = Q8Row(x[t], width, first);
    Tile<RV, NT> sum = y;
    for (int64_t b = 0; b < blocks; ++b) multiply_block<form, group, RV, NT>(panel, b, row, sum);
    y = sum;
}

// The part of a LinearArgs that one call of the inner kernel sees.
struct Span {
    int64_t row, rows;          // weight rows of this tile
    int64_t column, columns;    // columns of this panel
    bool first, last;           // panel of the row
};

template <int RV, int NT>
static void finish(const LinearArgs& a, const Span& s, int64_t token, const Tile<RV, NT>& y) {
    for (int t = 0; t < NT; ++t) {
        const int64_t to = row_of(a.y_rows, token + t);
        for (int v = 0; v < RV; ++v) {
            const int64_t row = s.row + 16 * v, left = s.row + s.rows - row;
            if (left <= 0) break;
            float* out = a.y + to * a.y_stride + row;
            const float* residual = a.residual ? a.residual + to * a.residual_stride + row : nullptr;
            F32 value = y.sum[v][t];
            if (left >= 16) {
                if (a.bias) value = add(value, load(a.bias + row));
                if (residual) value = add(value, load(residual));
                store(out, value);
                continue;
            }
            float lane[16];
            store(lane, value);
            for (int64_t r = 0; r < left; ++r) {
                if (a.bias) lane[r] = lane[r] + a.bias[row + r];
                if (residual) lane[r] = lane[r] + residual[r];
                out[r] = lane[r];
            }
        }
    }
}

template <int RV, int NT> static void multiply_tokens(const LinearArgs& a, const Span& s, int64_t token, Scratch& scratch) {
    float* kept = scratch.sums + token * kRowTile;
    Tile<RV, NT> y;
    for (int v = 0; v < RV; ++v)
        for (int t = 0; t < NT; ++t) y.sum[v][t] = s.first ? zero() : load(kept + t * kRowTile + 16 * v);
    const uint8_t* x[NT];
    for (int t = 0; t < NT; ++t) x[t] = a.x + row_of(a.x_rows, token + t) * a.x_stride;
    const int64_t blocks = s.columns / 32, first = s.column / 32;
    if (a.info->form == Form::Signed && a.info->group == 32)
        multiply_quantised<Form::Signed, 32, RV, NT>(scratch, blocks, x, a.columns, first, y);
    else if (a.info->form == Form::Signed)
        multiply_quantised<Form::Signed, 16, RV, NT>(scratch, blocks, x, a.columns, first, y);
    else if (a.info->group == 32)
        multiply_quantised<Form::Minned, 32, RV, NT>(scratch, blocks, x, a.columns, first, y);
    else
        multiply_quantised<Form::Minned, 16, RV, NT>(scratch, blocks, x, a.columns, first, y);
    if (s.last) return finish(a, s, token, y);
    for (int v = 0; v < RV; ++v)
        for (int t = 0; t < NT; ++t) store(kept + t * kRowTile + 16 * v, y.sum[v][t]);
}

template <int NT> static void multiply_rest(const LinearArgs& a, const Span& s, int64_t token, Scratch& scratch) {
    if (a.tokens - token == NT) return multiply_tokens<kRowVectors, NT>(a, s, token, scratch);
    if constexpr (NT > 1) multiply_rest<NT - 1>(a, s, token, scratch);
}

static void unpack_span(const LinearArgs& a, const Span& s, Scratch& scratch) {
    for (int v = 0; v < kRowVectors; ++v) {
        const int64_t row = s.row + 16 * v;
        PanelBlock* panel = (PanelBlock*)scratch.panel + v * kPanelBlocks;
        if (a.packed) {
            const int64_t first = s.column / a.info->block;
            // A tile may end beyond the last 16 packed rows: read the last ones again.
            PackedRows rows{a.packed + (row < a.rows ? row : (a.rows - 1) / 16 * 16) * a.row_bytes + first * 16 * a.info->bytes};
            unpack(a.info->type, rows, first, s.columns / a.info->block, panel);
            continue;
        }
        FileRows rows = file_rows(a, row);
        // Fetch the place in the next tile that corresponds to this one in its own.
        rows.ahead += (s.row + kRowTile) * a.row_bytes + (kRowTile * s.column + 16 * v * s.columns) * a.row_bytes / a.columns;
        unpack(a.info->type, rows, s.column / a.info->block, s.columns / a.info->block, panel);
    }
}

// Rows [16 * panel, 16 * panel + 16) of a weight to their packed form, 16 * row_bytes bytes.
static void pack(const LinearArgs& a, int64_t panel, uint8_t* out, Scratch& scratch) {
    const FileRows rows = file_rows(a, 16 * panel);
    if (a.info->form == Form::Float) return pack_floats(rows, a.columns, a.info->bytes, out);
    Packer packer{rows, out};
    packer.from.ahead = a.weight + 16 * (panel + 1) * a.row_bytes;
    for (int64_t block = 0; block < a.columns / a.info->block; ++block) unpack(a.info->type, packer, block, 1, (PanelBlock*)scratch.panel);
}

// A tile of a float weight.
static void linear_float(const LinearArgs& a, const Span& s, Scratch& scratch) {
    sum_floats(a, s.row, scratch);
    for (int64_t token = 0; token < a.tokens; ++token) {
        Tile<kRowVectors, 1> y;
        for (int v = 0; v < kRowVectors; ++v) y.sum[v][0] = load(scratch.sums + token * kRowTile + 16 * v);
        finish(a, s, token, y);
    }
}

static void linear(const LinearArgs& a, int64_t first, int64_t last, Scratch& scratch) {
    // A single token reads each panel once: keep it in the first-level cache.
    const int64_t step = a.tokens == 1 ? 256 : kPanelColumns;
    for (int64_t unit = first; unit < last; ++unit) {
        Span s{};
        s.row = unit * kRowTile;
        s.rows = a.rows - s.row < kRowTile ? a.rows - s.row : kRowTile;
        if (a.info->form == Form::Float) {
            linear_float(a, s, scratch);
            continue;
        }
        for (s.column = 0; s.column < a.columns; s.column += step) {
            s.columns = a.columns - s.column < step ? a.columns - s.column : step;
            s.first = s.column == 0;
            s.last = s.column + s.columns == a.columns;
            unpack_span(a, s, scratch);
            int64_t token = 0;
            for (; token + kTokens <= a.tokens; token += kTokens) multiply_tokens<kRowVectors, kTokens>(a, s, token, scratch);
            if (token < a.tokens) multiply_rest<kTokens>(a, s, token, scratch);
        }
    }
}

}  // namespace furet::FURET_ISA
