// Unpack: from 16 rows of stored blocks to a panel, the form in which the matrix kernel reads weights.
//
// A panel holds 16 rows by some columns as a run of PanelBlocks of 32 columns. Byte 4 * r + j of line g is the code of row r,
// column 4 * g + j, so a line is one Bytes vector and a token's 4 values meet all 16 rows in one instruction. Nothing is ever
// summed across lanes. Signed codes are stored plus kSignedBias.
//
// Each unpacker below is the portable decoder of decode.cpp, 16 rows at a time; the other types go through that decoder.
#pragma once

#include <cstdint>
#include <cstring>

#include "../decode.h"
#include "../types.h"
#include "source.h"

namespace furet::FURET_ISA {

struct PanelBlock {
    uint8_t codes[8][64];
    float scale[2][16];         // of each half; [0] serves all 32 columns when the group is 32
    float total[2][16];         // scale * sum of the codes
    float min[2][16];
};

FURET_INLINE Bytes low_nibbles(Bytes x) { return and_byte(x, 15); }
FURET_INLINE Bytes high_nibbles(Bytes x) { return shift_and<4>(x, 15); }
FURET_INLINE Bytes no_bytes() { return as_bytes(splat_int(0)); }

// One line of codes before their offset is taken off, which are also gathered in `sum`: 8 lines of up to 31, or 4 of up to 63,
// fit in a byte.
template <int offset> FURET_INLINE void put(uint8_t* line, Bytes raw, Bytes& sum) {
    sum = add_bytes(sum, raw);
    store_bytes(line, offset ? add_byte(raw, kSignedBias - offset) : raw);
}

template <int offset, int group> FURET_INLINE void put_total(PanelBlock& block, int half, Bytes sum) {
    const I32 codes = add(sum_bytes(sum), splat_int(-offset * group));
    store(block.total[half], mul(load(block.scale[half]), to_float(codes)));
}

FURET_INLINE void store_pair_of_halves(I32 both, float* low, float* high) {
    store(low, half_lanes_to_float(bit_and(both, splat_int(0xffff))));
    store(high, half_lanes_to_float(shift_right<16>(both)));
}

template <int offset> FURET_INLINE void put_nibbles(PanelBlock& block, const Bytes q[4]) {
    Bytes sum = no_bytes();
    for (int g = 0; g < 4; ++g) {
        put<offset>(block.codes[g], low_nibbles(q[g]), sum);
        put<offset>(block.codes[4 + g], high_nibbles(q[g]), sum);
    }
    put_total<offset, 32>(block, 0, sum);
}

struct Q4_0 {
    static constexpr int kBytes = 18, kColumns = 32;
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        store(out->scale[0], from.halves(at));
        Bytes q[4];
        from.rows(at + 2, q);
        put_nibbles<8>(*out, q);
    }
};

struct Q4_1 {
    static constexpr int kBytes = 20, kColumns = 32;
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        store_pair_of_halves(from.words(at), out->scale[0], out->min[0]);
        Bytes q[4];
        from.rows(at + 4, q);
        put_nibbles<0>(*out, q);
    }
};

struct Q5_0 {
    static constexpr int kBytes = 22, kColumns = 32;
    template <int g> FURET_INLINE void line(PanelBlock* out, const Bytes q[4], I32 fifths, Bytes& sum) {
        const Bytes nibbles = g < 4 ? low_nibbles(q[g % 4]) : high_nibbles(q[g % 4]);
        put<16>(out->codes[g], bit_or(nibbles, fifth_bit<g>(fifths)), sum);
    }
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        store(out->scale[0], from.halves(at));
        const I32 fifths = from.words(at + 2);
        Bytes q[4], sum = no_bytes();
        from.rows(at + 6, q);
        line<0>(out, q, fifths, sum);
        line<1>(out, q, fifths, sum);
        line<2>(out, q, fifths, sum);
        line<3>(out, q, fifths, sum);
        line<4>(out, q, fifths, sum);
        line<5>(out, q, fifths, sum);
        line<6>(out, q, fifths, sum);
        line<7>(out, q, fifths, sum);
        put_total<16, 32>(*out, 0, sum);
    }
};

struct Q8_0 {
    static constexpr int kBytes = 34, kColumns = 32;
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        const int8_t ones[4] = {1, 1, 1, 1};
        const F32 scale = from.halves(at);
        I32 sum = splat_int(-kSignedBias * 32);
        for (int part = 0; part < 2; ++part) {
            Bytes q[4];
            from.rows(at + 2 + 16 * part, q);
            for (int g = 0; g < 4; ++g) {
                const Bytes codes = add_byte(q[g], kSignedBias);
                sum = dot_signed(sum, codes, ones);
                store_bytes(out->codes[4 * part + g], codes);
            }
        }
        store(out->scale[0], scale);
        store(out->total[0], mul(scale, to_float(sum)));
    }
};

template <int shift> FURET_INLINE void store_k_scale(I32 scales, F32 d, I32 mins, F32 dmin, PanelBlock& out) {
    const I32 byte = splat_int(255);
    store(out.scale[0], mul(d, to_float(bit_and(shift_right<shift>(scales), byte))));
    store(out.min[0], mul(dmin, to_float(bit_and(shift_right<shift>(mins), byte))));
}

// The 16-byte header of Q4_K and Q5_K: d, dmin and the eight 6-bit pairs (see decode.cpp), for all rows at once.
template <class Source> FURET_INLINE void unpack_k_scales(Source& from, int64_t at, PanelBlock* out) {
    Bytes header[4];
    from.rows(at, header);
    const I32 both = as_int(header[0]);
    const F32 d = half_lanes_to_float(bit_and(both, splat_int(0xffff)));
    const F32 dmin = sub(zero(), half_lanes_to_float(shift_right<16>(both)));
    const I32 low_scales = as_int(and_byte(header[1], 63)), low_mins = as_int(and_byte(header[2], 63));
    const I32 high_scales = as_int(bit_or(and_byte(header[3], 15), shift_and<2>(header[1], 48)));
    const I32 high_mins = as_int(bit_or(shift_and<4>(header[3], 15), shift_and<2>(header[2], 48)));
    store_k_scale<0>(low_scales, d, low_mins, dmin, out[0]);
    store_k_scale<8>(low_scales, d, low_mins, dmin, out[1]);
    store_k_scale<16>(low_scales, d, low_mins, dmin, out[2]);
    store_k_scale<24>(low_scales, d, low_mins, dmin, out[3]);
    store_k_scale<0>(high_scales, d, high_mins, dmin, out[4]);
    store_k_scale<8>(high_scales, d, high_mins, dmin, out[5]);
    store_k_scale<16>(high_scales, d, high_mins, dmin, out[6]);
    store_k_scale<24>(high_scales, d, high_mins, dmin, out[7]);
}

struct Q4_K {
    static constexpr int kBytes = 144, kColumns = 256;
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        unpack_k_scales(from, at, out);
        for (int pair = 0; pair < 4; ++pair, out += 2) {
            Bytes low_sum = no_bytes(), high_sum = no_bytes();
            for (int part = 0; part < 2; ++part) {
                Bytes q[4];
                from.rows(at + 16 + 32 * pair + 16 * part, q);
                for (int g = 0; g < 4; ++g) {
                    put<0>(out[0].codes[4 * part + g], low_nibbles(q[g]), low_sum);
                    put<0>(out[1].codes[4 * part + g], high_nibbles(q[g]), high_sum);
                }
            }
            put_total<0, 32>(out[0], 0, low_sum);
            put_total<0, 32>(out[1], 0, high_sum);
        }
    }
};

struct Q5_K {
    static constexpr int kBytes = 176, kColumns = 256;
    // Bit n of every byte, moved to bit 4.
    template <int n> FURET_INLINE Bytes fifth(Bytes x) { return shift_and<n - 4>(x, 16); }
    template <int pair, class Source> FURET_INLINE void unpack_pair(Source& from, int64_t at, const Bytes high[8], PanelBlock* out) {
        Bytes low_sum = no_bytes(), high_sum = no_bytes();
        for (int part = 0; part < 2; ++part) {
            Bytes q[4];
            from.rows(at + 48 + 32 * pair + 16 * part, q);
            for (int g = 0; g < 4; ++g) {
                const Bytes bits = high[4 * part + g];
                put<0>(out[2 * pair].codes[4 * part + g], bit_or(low_nibbles(q[g]), fifth<2 * pair>(bits)), low_sum);
                put<0>(out[2 * pair + 1].codes[4 * part + g], bit_or(high_nibbles(q[g]), fifth<2 * pair + 1>(bits)), high_sum);
            }
        }
        put_total<0, 32>(out[2 * pair], 0, low_sum);
        put_total<0, 32>(out[2 * pair + 1], 0, high_sum);
    }
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        unpack_k_scales(from, at, out);
        Bytes high[8];
        from.rows(at + 16, high);
        from.rows(at + 32, high + 4);
        unpack_pair<0>(from, at, high, out);
        unpack_pair<1>(from, at, high, out);
        unpack_pair<2>(from, at, high, out);
        unpack_pair<3>(from, at, high, out);
    }
};

struct Q6_K {
    static constexpr int kBytes = 210, kColumns = 256;
    template <int byte> FURET_INLINE F32 signed_byte(I32 x) { return to_float(shift_right_signed<24>(shift_left<24 - 8 * byte>(x))); }
    template <int quarter> FURET_INLINE void unpack_quarter(const Bytes low[4], const Bytes high[4], int part, PanelBlock& out) {
        Bytes sum = no_bytes();
        for (int g = 0; g < 4; ++g) {
            const Bytes nibbles = quarter < 2 ? low_nibbles(low[g]) : high_nibbles(low[g]);
            put<32>(out.codes[4 * part + g], bit_or(nibbles, shift_and<2 * quarter - 4>(high[g], 48)), sum);
        }
        put_total<32, 16>(out, part, sum);
    }
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        const F32 d = from.halves(at + 208);
        Bytes scales[4];
        from.rows(at + 192, scales);
        for (int i = 0; i < 4; ++i) {
            const I32 four = as_int(scales[i]);
            store(out[2 * i].scale[0], mul(d, signed_byte<0>(four)));
            store(out[2 * i].scale[1], mul(d, signed_byte<1>(four)));
            store(out[2 * i + 1].scale[0], mul(d, signed_byte<2>(four)));
            store(out[2 * i + 1].scale[1], mul(d, signed_byte<3>(four)));
        }
        for (int half = 0; half < 2; ++half, out += 4)
            for (int part = 0; part < 2; ++part) {
                Bytes low[4], next[4], high[4];
                from.rows(at + 64 * half + 16 * part, low);
                from.rows(at + 64 * half + 32 + 16 * part, next);
                from.rows(at + 128 + 32 * half + 16 * part, high);
                unpack_quarter<0>(low, high, part, out[0]);
                unpack_quarter<1>(next, high, part, out[1]);
                unpack_quarter<2>(low, high, part, out[2]);
                unpack_quarter<3>(next, high, part, out[3]);
            }
    }
};

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
