// Linear: y = x W^T over one tile of weight rows and all tokens of the step.
//
// Weights are unpacked to panels of some 300 columns in private memory (see panel.h), once, and meet every token there (see
// multiply.h); few tokens meet them on the way (see tokens.h). At the end of a row comes y = y + bias, then y + residual.
#pragma once

#include "../kernels.h"
#include "linear_float.h"
#include "tokens.h"

namespace furet::FURET_ISA {

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

// What `finish` will touch.
FURET_INLINE void fetch_outputs(const LinearArgs& a, const Span& s, int64_t token) {
    const int64_t to = row_of(a.y_rows, token);
    for (int v = 0; v < kRowVectors; ++v) {
        prefetch_near(a.y + to * a.y_stride + s.row + 16 * v);
        if (a.residual) prefetch_near(a.residual + to * a.residual_stride + s.row + 16 * v);
    }
}

template <Form form, int group, int NT>
FURET_INLINE void multiply_tokens(const LinearArgs& a, const Span& s, int64_t token, Scratch& scratch) {
    float* kept = scratch.sums + token * kRowTile;
    Tile<kRowVectors, NT> y;
    for (int v = 0; v < kRowVectors; ++v)
        for (int t = 0; t < NT; ++t) y.sum[v][t] = s.first ? zero() : load(kept + t * kRowTile + 16 * v);
    if (s.last)
        for (int t = 0; t < NT; ++t) fetch_outputs(a, s, token + t);
    Tokens<NT> x;
    for (int t = 0; t < NT; ++t) x[t] = (const Q8Block*)(a.x + row_of(a.x_rows, token + t) * a.x_stride) + s.column / 32;
    multiply_panel<form, group>((const PanelBlock*)scratch.panel, s.columns / 32, x, y, NT * a.x_stride);
    if (s.last) return finish(a, s, token, y);
    for (int v = 0; v < kRowVectors; ++v)
        for (int t = 0; t < NT; ++t) store(kept + t * kRowTile + 16 * v, y.sum[v][t]);
}

// `count` tiles of some number of tokens from `token` on.
template <Form form, int group, int NT>
static void multiply_run(const LinearArgs& a, const Span& s, int64_t token, int64_t count, int64_t tokens, Scratch& scratch) {
    if (tokens == NT)
        for (int64_t i = 0; i < count; ++i) multiply_tokens<form, group, NT>(a, s, token + i * NT, scratch);
    else if constexpr (NT > 1) multiply_run<form, group, NT - 1>(a, s, token, count, tokens, scratch);
}

// All tokens, in tiles as equal as can be: two of 4 take less than one of 6 and one of 2.
template <Form form, int group> static void multiply_tiles(const LinearArgs& a, const Span& s, Scratch& scratch) {
    const int64_t tiles = (a.tokens + kTokens - 1) / kTokens, tokens = a.tokens / tiles, larger = a.tokens % tiles;
    multiply_run<form, group, kTokens>(a, s, 0, larger, tokens + 1, scratch);
    multiply_run<form, group, kTokens>(a, s, larger * (tokens + 1), tiles - larger, tokens, scratch);
}

static void multiply_all(const LinearArgs& a, const Span& s, Scratch& scratch) {
    const TypeInfo& info = *a.info;
    if (info.form == Form::Signed && info.group == 32) multiply_tiles<Form::Signed, 32>(a, s, scratch);
    else if (info.form == Form::Signed) multiply_tiles<Form::Signed, 16>(a, s, scratch);
    else if (info.group == 32) multiply_tiles<Form::Minned, 32>(a, s, scratch);
    else multiply_tiles<Form::Minned, 16>(a, s, scratch);
}

// Each byte takes several tokens longer, and their activations want the room.
FURET_INLINE int64_t fetch_ahead(int64_t tokens) {
    if (tokens > kFewTokens) return kPanelAhead;
    return tokens <= 4 || kFetchAhead / 2 < kPanelAhead ? kFetchAhead : kFetchAhead / 2;
}

// Calls `use` with where the blocks of the span's 16 rows number v are read, the first of them and how many they are.
template <class Use> FURET_INLINE void with_rows(const LinearArgs& a, const Span& s, int v, Use use) {
    const int64_t row = s.row + 16 * v, first = s.column / a.info->block, blocks = s.columns / a.info->block;
    if (a.packed) {
        // A tile may end beyond the last 16 packed rows: read the last ones again.
        const int64_t at = (row < a.rows ? row : (a.rows - 1) / 16 * 16) * a.row_bytes + first * 16 * a.info->bytes;
        PackedRows rows{a.packed + at, fetch_ahead(a.tokens)};
        return use(rows, first, blocks);
    }
    FileRows rows = file_rows(a, row);
    // Fetch the place in the next tile that corresponds to this one in its own.
    rows.ahead += (s.row + kRowTile) * a.row_bytes + (kRowTile * s.column + 16 * v * s.columns) * a.row_bytes / a.columns;
    use(rows, first, blocks);
}

static void unpack_span(const LinearArgs& a, const Span& s, Scratch& scratch) {
    for (int v = 0; v < kRowVectors; ++v)
        with_rows(a, s, v, [&](auto& rows, int64_t first, int64_t blocks) {
            unpack(a.info->type, rows, first, blocks, (PanelBlock*)scratch.panel + v * kPanelBlocks);
        });
}

// At most `most` columns from s.column on.
static void next_span(const LinearArgs& a, int64_t most, Span& s) {
    s.columns = a.columns - s.column < most ? a.columns - s.column : most;
    s.first = s.column == 0;
    s.last = s.column + s.columns == a.columns;
}

// The rows of a tile, and the columns of s.
static Span tile_of(const LinearArgs& a, int64_t tile, Span s) {
    s.row = tile * kRowTile;
    s.rows = a.rows - s.row < kRowTile ? a.rows - s.row : kRowTile;
    return s;
}

// Blocks [first, first + blocks) of NT tokens' rows side by side. Where there are fewer tokens, the last one counts for the others.
template <int NT> static const ReadyBlock* side_by_side(const LinearArgs& a, int64_t first, int64_t blocks, Scratch& scratch) {
    const bool ready = !keeps_offset(a.info->form);
    int offset = 0;
    with_unpacker(a.info->type, [&](auto unpacker) { offset = decltype(unpacker)::kOffset; });
    ReadyBlock* out = (ReadyBlock*)scratch.sums;
    for (int t = 0; t < NT; ++t) {
        const Q8Block* x = (const Q8Block*)(a.x + row_of(a.x_rows, t < a.tokens ? t : a.tokens - 1) * a.x_stride) + first;
        if (NT == 1 && ready) return (const ReadyBlock*)x;
        for (int64_t b = 0; b < blocks; ++b) {
            if (ready) std::memcpy(&out[b * NT + t], x + b, sizeof *out);
            else make_ready(x[b], offset, a.info->group, out[b * NT + t]);
        }
    }
    return out;
}

template <int NT> struct FewTokens {
    // Columns whose activations lie side by side.
    static constexpr int64_t kColumns = (int64_t)(sizeof Scratch::sums / sizeof(ReadyBlock)) / NT * 32;
    // Tiles whose sums are kept from one span to the next.
    static constexpr int64_t kTiles = (int64_t)sizeof Scratch::panel / (kRowTile * NT * (int64_t)sizeof(float));
};

template <int NT> static void finish_few(const LinearArgs& a, const Span& s, const Tile<1, NT> (&y)[kRowVectors]) {
    for (int t = 0; t < NT && t < a.tokens; ++t) {
        Tile<kRowVectors, 1> all;
        for (int v = 0; v < kRowVectors; ++v) all.sum[v][0] = y[v].sum[0][t];
        finish(a, s, t, all);
    }
}

// One tile and the columns of s, with x [32 columns, NT tokens].
template <int NT> static void multiply_few(const LinearArgs& a, const Span& s, const ReadyBlock* x, float* kept) {
    Tile<1, NT> y[kRowVectors];
    for (int v = 0; v < kRowVectors; ++v)
        for (int t = 0; t < NT; ++t) y[v].sum[0][t] = s.first ? zero() : load(kept + 16 * (v * NT + t));
    for (int v = 0; v < kRowVectors && 16 * v < s.rows; ++v)
        with_rows(a, s, v, [&](auto& rows, int64_t first, int64_t blocks) {
            with_unpacker(a.info->type, [&](auto unpacker) { multiply_blocks<decltype(unpacker)>(rows, first, blocks, x, y[v]); });
        });
    if (s.last) return finish_few<NT>(a, s, y);
    for (int v = 0; v < kRowVectors; ++v)
        for (int t = 0; t < NT; ++t) store(kept + 16 * (v * NT + t), y[v].sum[0][t]);
}

template <int NT> static void linear_few(const LinearArgs& a, int64_t first, int64_t last, Scratch& scratch) {
    Span s{};
    for (; s.column < a.columns; s.column += s.columns) {
        next_span(a, FewTokens<NT>::kColumns, s);
        const ReadyBlock* x = side_by_side<NT>(a, s.column / 32, s.columns / 32, scratch);
        for (int64_t tile = first; tile < last; ++tile)
            multiply_few<NT>(a, tile_of(a, tile, s), x, (float*)scratch.panel + (tile - first) * kRowTile * NT);
    }
}

template <int NT> static void linear_up_to(const LinearArgs& a, int64_t first, int64_t last, Scratch& scratch) {
    if constexpr (NT > 1)
        if (a.tokens <= NT / 2) return linear_up_to<NT / 2>(a, first, last, scratch);
    for (; first < last; first += FewTokens<NT>::kTiles) linear_few<NT>(a, first, last - first < FewTokens<NT>::kTiles ? last : first + FewTokens<NT>::kTiles, scratch);
}

static void linear_tokens(const LinearArgs& a, Span s, Scratch& scratch) {
    const int64_t most = kPanelColumns / a.info->block * a.info->block;
    for (; s.column < a.columns; s.column += s.columns) {
        next_span(a, most, s);
        unpack_span(a, s, scratch);
        if constexpr (kInParts) arrange<Part>((PanelBlock*)scratch.panel, s.columns / 32);
        if constexpr (kFloatSums)
            for (int v = 0; v < kRowVectors; ++v) fill_multiples((PanelBlock*)scratch.panel + v * kPanelBlocks, s.columns / 32, a.info->group);
        multiply_all(a, s, scratch);
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
    const bool floats = a.info->form == Form::Float;
    if (!floats && a.tokens <= kFewTokens) return linear_up_to<kFewTokens>(a, first, last, scratch);
    for (int64_t tile = first; tile < last; ++tile) {
        const Span s = tile_of(a, tile, {});
        if (floats) linear_float(a, s, scratch);
        else linear_tokens(a, s, scratch);
    }
}

}  // namespace furet::FURET_ISA
