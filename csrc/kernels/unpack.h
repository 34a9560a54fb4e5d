// Unpack: from 16 rows of stored blocks to a panel (see panel.h).
//
// Each unpacker (unpack_*.h) is the portable decoder of decode.cpp, 16 rows at a time; the other types go through that decoder.
#pragma once

#include <cstdint>

#include "../decode.h"
#include "../types.h"
#include "source.h"
#include "unpack_k.h"
#include "unpack_legacy.h"

namespace furet::FURET_ISA {

template <Form form, int group> static void fill_totals(PanelBlock& block) {
    const int8_t ones[4] = {1, 1, 1, 1};
    for (int half = 0; half < 32 / group; ++half) {
        I32 sum = splat_int(form == Form::Signed ? -kSignedBias * group : 0);
        for (int line = 0; line < group / 4; ++line) {
            const Bytes codes = load_bytes(block.codes[half * (group / 4) + line]);
            sum = form == Form::Signed ? dot_signed(sum, codes, ones) : dot(sum, codes, ones);
        }
        store(block.total[half], mul(load(block.scale[half]), to_float(sum)));
    }
}

// Any quantised type, row by row through the portable decoder.
static void unpack_any(const TypeInfo& info, const FileRows& from, int64_t at, PanelBlock* out) {
    const int bias = info.form == Form::Signed ? kSignedBias : 0;
    Codes codes;
    for (int r = 0; r < 16; ++r) {
        read_block(info, from.row[r] + at, codes);
        for (int i = 0; i < info.block; ++i) out[i / 32].codes[i % 32 / 4][4 * r + i % 4] = (uint8_t)(codes.code[i] + bias);
        for (int g = 0; g < info.block / info.group; ++g) {
            PanelBlock& block = out[g * info.group / 32];
            const int slot = g * info.group % 32 / 16;
            block.scale[slot][r] = codes.scale[g];
            if (info.form == Form::Minned) block.min[slot][r] = codes.min[g];
        }
    }
    for (int i = 0; i < info.block / 32; ++i) {
        if (info.form == Form::Signed && info.group == 32) fill_totals<Form::Signed, 32>(out[i]);
        else if (info.form == Form::Signed) fill_totals<Form::Signed, 16>(out[i]);
        else if (info.group == 32) fill_totals<Form::Minned, 32>(out[i]);
        else fill_totals<Form::Minned, 16>(out[i]);
    }
}

template <class Block, class Source> static void unpack_blocks(Source& from, int64_t first, int64_t blocks, PanelBlock* out) {
    for (int64_t b = 0; b < blocks; ++b) Block::unpack(from, (first + b) * Block::kBytes, out + b * (Block::kColumns / 32));
}

// `blocks` blocks from block `first` of 16 rows on. False for a type without a vector unpacker.
template <class Source> static bool unpack_by_vector(Type type, Source& from, int64_t first, int64_t blocks, PanelBlock* out) {
    switch (type) {
        case Type::Q4_0: return unpack_blocks<Q4_0>(from, first, blocks, out), true;
        case Type::Q4_1: return unpack_blocks<Q4_1>(from, first, blocks, out), true;
        case Type::Q5_0: return unpack_blocks<Q5_0>(from, first, blocks, out), true;
        case Type::Q8_0: return unpack_blocks<Q8_0>(from, first, blocks, out), true;
        case Type::Q4_K: return unpack_blocks<Q4_K>(from, first, blocks, out), true;
        case Type::Q5_K: return unpack_blocks<Q5_K>(from, first, blocks, out), true;
        case Type::Q6_K: return unpack_blocks<Q6_K>(from, first, blocks, out), true;
        default: return false;
    }
}

// Columns [column, column + count) of 16 rows as the file has them; both are multiples of the type's block.
static void unpack(const TypeInfo& info, FileRows& from, int64_t column, int64_t count, PanelBlock* out) {
    const int64_t first = column / info.block, blocks = count / info.block;
    if (unpack_by_vector(info.type, from, first, blocks, out)) return;
    for (int64_t b = 0; b < blocks; ++b) unpack_any(info, from, (first + b) * info.bytes, out + b * (info.block / 32));
}

// Float weights: out[16 * c + r] is row r, column c.
static void unpack_float(const TypeInfo& info, FileRows& from, int64_t column, int64_t count, float* out) {
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

}  // namespace furet::FURET_ISA
