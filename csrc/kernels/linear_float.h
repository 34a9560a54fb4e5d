// Linear for weights of floats: one tile of weight rows and all tokens of the step, in float32 and in the order of the columns,
//
//   y = fma(w[c], x[c], y)
//
// Packed, a column of 16 rows lies side by side in the stored type. A few tokens read it there; for more, a panel of columns
// is converted once and meets every token in the first-level cache. The operations are the same.
#pragma once

#include <cstdint>
#include <cstring>

#include "../decode.h"
#include "../kernels.h"
#include "panel.h"
#include "source.h"

namespace furet::FURET_ISA {

constexpr int kFloatTokens = 6;         // tokens that are worked on together: their sums and a column fit in the registers
constexpr int kFloatColumns = 128;      // columns of a panel
static_assert(kFloatColumns <= kPanelColumns);

// How 16 values of a column are stored and read.
struct Floats {
    using Stored = float;
    FURET_INLINE F32 read(const float* p) { return load(p); }
};
struct Halves {
    using Stored = uint16_t;
    FURET_INLINE F32 read(const uint16_t* p) { return load_half(p); }
};
struct Bfloats {
    using Stored = uint16_t;
    FURET_INLINE F32 read(const uint16_t* p) { return load_bfloat(p); }
};

// Some columns of the tile: 16 rows from each of `at` on.
template <class Format> struct Columns { const typename Format::Stored* at[kRowVectors]; };

template <class Format, int NT, bool streamed>
FURET_INLINE void multiply_columns(const Columns<Format>& w, const float* const (&x)[NT], int64_t columns, float* y) {
    F32 sum[kRowVectors][NT];
    for (int v = 0; v < kRowVectors; ++v)
        for (int t = 0; t < NT; ++t) sum[v][t] = load(y + 16 * (t * kRowVectors + v));
#pragma GCC unroll 2
    for (int64_t c = 0; c < columns; ++c) {
        F32 column[kRowVectors];
        for (int v = 0; v < kRowVectors; ++v) {
            const auto* from = w.at[v] + 16 * c;
            if constexpr (streamed) prefetch_near((const uint8_t*)from + kFetchAhead);
            column[v] = Format::read(from);
        }
        for (int t = 0; t < NT; ++t) {
            const F32 value = splat(x[t][c]);
            for (int v = 0; v < kRowVectors; ++v) sum[v][t] = fma(column[v], value, sum[v][t]);
        }
    }
    for (int v = 0; v < kRowVectors; ++v)
        for (int t = 0; t < NT; ++t) store(y + 16 * (t * kRowVectors + v), sum[v][t]);
}

template <class Format, int NT, bool streamed>
static void multiply_floats(const LinearArgs& a, const Columns<Format>& w, int64_t column, int64_t columns, int64_t token, int64_t tokens, float* y) {
    if constexpr (NT > 1)
        if (tokens < NT) return multiply_floats<Format, NT - 1, streamed>(a, w, column, columns, token, tokens, y);
    const float* x[NT];
    for (int t = 0; t < NT; ++t) x[t] = (const float*)(a.x + row_of(a.x_rows, token + t) * a.x_stride) + column;
    multiply_columns<Format, NT, streamed>(w, x, columns, y);
}

// Float weights as the file has them: out[16 * c + r] is row r, column c.
static void unpack_floats(const TypeInfo& info, FileRows& from, int64_t column, int64_t count, float* out) {
    const int size = info.bytes, step = 16 / size;
    int64_t c = 0;
    for (; c + step <= count; c += step) {
        Bytes q[4];
        from.rows((column + c) * size, q);
        for (int g = 0; g < 4; ++g) {
            const I32 w = as_int(q[g]);
            float* to = out + 16 * (c + g * step / 4);
            if (info.type == Type::F32) {
                store(to, as_float(w));
            } else if (info.type == Type::BF16) {
                store(to, as_float(shift_left<16>(w)));
                store(to + 16, as_float(bit_and(w, splat_int((int32_t)0xffff0000))));
            } else {
                store_pair_of_halves(w, to, to + 16);
            }
        }
    }
    for (; c < count; ++c)
        for (int r = 0; r < 16; ++r) decode_row(info, from.row[r] + (column + c) * size, 1, out + 16 * c + r);
}

// Columns [column, column + count) of the 16 rows from `row` on, converted.
template <class Format>
static void fill_panel(const LinearArgs& a, const typename Format::Stored* packed, int64_t row, int64_t column, int64_t count, float* out) {
    if (!packed) {
        FileRows rows = file_rows(a, row);
        rows.ahead += (row + 16 * kRowVectors) * a.row_bytes + column * a.info->bytes * 16;
        return unpack_floats(*a.info, rows, column, count, out);
    }
    for (int64_t c = 0; c < count; ++c) {
        prefetch_near((const uint8_t*)(packed + 16 * (column + c)) + kPanelAhead);
        store(out + 16 * c, Format::read(packed + 16 * (column + c)));
    }
}

// The sums of the rows from `row` on, 16 * kRowVectors of each token, to scratch.sums.
template <class Format> static void sum_floats(const LinearArgs& a, int64_t row, Scratch& scratch) {
    constexpr int kRows = 16 * kRowVectors;
    float* y = scratch.sums;
    std::memset(y, 0, (size_t)a.tokens * kRows * sizeof(float));
    Columns<Format> packed{};
    // A tile may end beyond the last 16 packed rows: read the last ones again.
    for (int v = 0; v < kRowVectors && a.packed; ++v) {
        const int64_t first = row + 16 * v < a.rows ? row + 16 * v : (a.rows - 1) / 16 * 16;
        packed.at[v] = (const typename Format::Stored*)(a.packed + first * a.row_bytes);
    }
    if (a.packed && a.tokens <= kFloatTokens) return multiply_floats<Format, kFloatTokens, true>(a, packed, 0, a.columns, 0, a.tokens, y);
    Columns<Floats> panel;
    for (int v = 0; v < kRowVectors; ++v) panel.at[v] = (float*)scratch.panel + 16 * kFloatColumns * v;
    for (int64_t column = 0; column < a.columns; column += kFloatColumns) {
        const int64_t count = a.columns - column < kFloatColumns ? a.columns - column : kFloatColumns;
        for (int v = 0; v < kRowVectors; ++v) fill_panel<Format>(a, packed.at[v], row + 16 * v, column, count, (float*)panel.at[v]);
        for (int64_t token = 0; token < a.tokens; token += kFloatTokens) {
            const int64_t tokens = a.tokens - token < kFloatTokens ? a.tokens - token : kFloatTokens;
            multiply_floats<Floats, kFloatTokens, false>(a, panel, column, count, token, tokens, y + token * kRows);
        }
    }
}

static void sum_floats(const LinearArgs& a, int64_t row, Scratch& scratch) {
    if (a.info->type == Type::F16) sum_floats<Halves>(a, row, scratch);
    else if (a.info->type == Type::BF16) sum_floats<Bfloats>(a, row, scratch);
    else sum_floats<Floats>(a, row, scratch);
}

// 16 rows, column by column. Some columns at a time, so that what is written stays in the first-level cache.
static void pack_floats(const FileRows& from, int64_t columns, int size, uint8_t* out) {
    constexpr int64_t kTogether = 32;
    for (int64_t first = 0; first < columns; first += kTogether) {
        const int64_t end = first + kTogether < columns ? first + kTogether : columns;
        for (int r = 0; r < 16; ++r)
            for (int64_t c = first; c < end; ++c) std::memcpy(out + (16 * c + r) * size, from.row[r] + c * size, (size_t)size);
    }
}

}  // namespace furet::FURET_ISA
