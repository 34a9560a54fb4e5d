// Unpack: from 16 rows of stored blocks to a panel, the form in which the matrix kernel reads weights.
//
// A panel holds 16 rows by some columns as a run of PanelBlocks of 32 columns. Byte 4 * r + j of line g is the code of row r,
// column 4 * g + j, so a line is one Bytes vector and a token's 4 values meet all 16 rows in one instruction. Nothing is ever
// summed across lanes. Signed codes are stored plus kSignedBias.
//
// Each type below is the portable decoder of decode.cpp, 16 rows at a time; the others go through that decoder.
#pragma once

#include <cstdint>
#include <cstring>

#include "../decode.h"
#include "../half.h"
#include "../types.h"

namespace furet::FURET_ISA {

struct PanelBlock {
    uint8_t codes[8][64];
    float scale[2][16];         // [0] serves all 32 columns when the group is 32
    float min[2][16];
};

using Rows = const uint8_t* const*;     // 16 pointers, one per row

static inline Bytes low_nibbles(Bytes x) { return and_byte(x, 15); }
static inline Bytes high_nibbles(Bytes x) { return shift_and<4>(x, 15); }
static inline void store_signed(uint8_t* p, Bytes code, int offset) { store_bytes(p, add_byte(code, kSignedBias - offset)); }

// float16 at `offset` of each row.
static inline F32 halves(Rows row, int64_t offset) {
    alignas(64) uint16_t h[16];
    for (int r = 0; r < 16; ++r) std::memcpy(&h[r], row[r] + offset, 2);
    return load_half(h);
}

// uint32 at `offset` of each row.
static inline I32 words(Rows row, int64_t offset) {
    alignas(64) int32_t w[16];
    for (int r = 0; r < 16; ++r) std::memcpy(&w[r], row[r] + offset, 4);
    return load_int(w);
}

static inline void unpack_q4_0(Rows row, int64_t at, PanelBlock* out) {
    store(out->scale[0], halves(row, at));
    Bytes q[4];
    load_transposed(row, at + 2, q);
    for (int g = 0; g < 4; ++g) {
        store_signed(out->codes[g], low_nibbles(q[g]), 8);
        store_signed(out->codes[4 + g], high_nibbles(q[g]), 8);
    }
}

static inline void unpack_q4_1(Rows row, int64_t at, PanelBlock* out) {
    const I32 both = words(row, at);
    store(out->scale[0], half_lanes_to_float(bit_and(both, splat_int(0xffff))));
    store(out->min[0], half_lanes_to_float(shift_right<16>(both)));
    Bytes q[4];
    load_transposed(row, at + 4, q);
    for (int g = 0; g < 4; ++g) {
        store_bytes(out->codes[g], low_nibbles(q[g]));
        store_bytes(out->codes[4 + g], high_nibbles(q[g]));
    }
}

template <int g> static inline Bytes with_fifth_bit(const Bytes q[4], I32 bits) {
    return bit_or(g < 4 ? low_nibbles(q[g % 4]) : high_nibbles(q[g % 4]), fifth_bit<g>(bits));
}

static inline void unpack_q5_0(Rows row, int64_t at, PanelBlock* out) {
    store(out->scale[0], halves(row, at));
    const I32 bits = words(row, at + 2);
    Bytes q[4];
    load_transposed(row, at + 6, q);
    store_signed(out->codes[0], with_fifth_bit<0>(q, bits), 16);
    store_signed(out->codes[1], with_fifth_bit<1>(q, bits), 16);
    store_signed(out->codes[2], with_fifth_bit<2>(q, bits), 16);
    store_signed(out->codes[3], with_fifth_bit<3>(q, bits), 16);
    store_signed(out->codes[4], with_fifth_bit<4>(q, bits), 16);
    store_signed(out->codes[5], with_fifth_bit<5>(q, bits), 16);
    store_signed(out->codes[6], with_fifth_bit<6>(q, bits), 16);
    store_signed(out->codes[7], with_fifth_bit<7>(q, bits), 16);
}

static inline void unpack_q8_0(Rows row, int64_t at, PanelBlock* out) {
    store(out->scale[0], halves(row, at));
    for (int part = 0; part < 2; ++part) {
        Bytes q[4];
        load_transposed(row, at + 2 + 16 * part, q);
        for (int g = 0; g < 4; ++g) store_signed(out->codes[4 * part + g], q[g], 0);
    }
}

// The 16-byte header of Q4_K and Q5_K: d, dmin and the eight 6-bit pairs (see decode.cpp), for all rows at once.
static inline void unpack_k_scales(Rows row, int64_t at, PanelBlock* out) {
    Bytes header[4];
    load_transposed(row, at, header);
    const I32 both = as_int(header[0]);
    const F32 d = half_lanes_to_float(bit_and(both, splat_int(0xffff)));
    const F32 dmin = sub(zero(), half_lanes_to_float(shift_right<16>(both)));
    const I32 low_scales = as_int(and_byte(header[1], 63)), low_mins = as_int(and_byte(header[2], 63));
    const I32 high_scales = as_int(bit_or(and_byte(header[3], 15), shift_and<2>(header[1], 48)));
    const I32 high_mins = as_int(bit_or(shift_and<4>(header[3], 15), shift_and<2>(header[2], 48)));
    const I32 byte = splat_int(255);
    auto put = [&](int block, I32 scale, I32 min) {
        store(out[block].scale[0], mul(d, to_float(bit_and(scale, byte))));
        store(out[block].min[0], mul(dmin, to_float(bit_and(min, byte))));
    };
    put(0, low_scales, low_mins);
    put(1, shift_right<8>(low_scales), shift_right<8>(low_mins));
    put(2, shift_right<16>(low_scales), shift_right<16>(low_mins));
    put(3, shift_right<24>(low_scales), shift_right<24>(low_mins));
    put(4, high_scales, high_mins);
    put(5, shift_right<8>(high_scales), shift_right<8>(high_mins));
    put(6, shift_right<16>(high_scales), shift_right<16>(high_mins));
    put(7, shift_right<24>(high_scales), shift_right<24>(high_mins));
}

static inline void unpack_q4_k(Rows row, int64_t at, PanelBlock* out) {
    unpack_k_scales(row, at, out);
    for (int pair = 0; pair < 4; ++pair)
        for (int part = 0; part < 2; ++part) {
            Bytes q[4];
            load_transposed(row, at + 16 + 32 * pair + 16 * part, q);
            for (int g = 0; g < 4; ++g) {
                store_bytes(out[2 * pair].codes[4 * part + g], low_nibbles(q[g]));
                store_bytes(out[2 * pair + 1].codes[4 * part + g], high_nibbles(q[g]));
            }
        }
}

// Bit n of every byte, moved to bit 4.
template <int n> static inline Bytes bit_to_fifth(Bytes x) { return shift_and<n - 4>(x, 16); }

template <int pair> static inline void unpack_q5_k_pair(Rows row, int64_t at, const Bytes high[8], PanelBlock* out) {
    for (int part = 0; part < 2; ++part) {
        Bytes q[4];
        load_transposed(row, at + 48 + 32 * pair + 16 * part, q);
        for (int g = 0; g < 4; ++g) {
            const Bytes bits = high[4 * part + g];
            store_bytes(out[2 * pair].codes[4 * part + g], bit_or(low_nibbles(q[g]), bit_to_fifth<2 * pair>(bits)));
            store_bytes(out[2 * pair + 1].codes[4 * part + g], bit_or(high_nibbles(q[g]), bit_to_fifth<2 * pair + 1>(bits)));
        }
    }
}

static inline void unpack_q5_k(Rows row, int64_t at, PanelBlock* out) {
    unpack_k_scales(row, at, out);
    Bytes high[8];
    load_transposed(row, at + 16, high);
    load_transposed(row, at + 32, high + 4);
    unpack_q5_k_pair<0>(row, at, high, out);
    unpack_q5_k_pair<1>(row, at, high, out);
    unpack_q5_k_pair<2>(row, at, high, out);
    unpack_q5_k_pair<3>(row, at, high, out);
}

template <int quarter> static inline Bytes q6_code(Bytes low, Bytes high) {
    const Bytes nibble = quarter < 2 ? low_nibbles(low) : high_nibbles(low);
    return bit_or(nibble, shift_and<2 * quarter - 4>(high, 48));
}

template <int byte> static inline F32 signed_byte(I32 x) {
    return to_float(shift_right_signed<24>(shift_left<24 - 8 * byte>(x)));
}

static inline void unpack_q6_k(Rows row, int64_t at, PanelBlock* out) {
    const F32 d = halves(row, at + 208);
    Bytes scales[4];
    load_transposed(row, at + 192, scales);
    for (int i = 0; i < 4; ++i) {
        const I32 four = as_int(scales[i]);
        store(out[2 * i].scale[0], mul(d, signed_byte<0>(four)));
        store(out[2 * i].scale[1], mul(d, signed_byte<1>(four)));
        store(out[2 * i + 1].scale[0], mul(d, signed_byte<2>(four)));
        store(out[2 * i + 1].scale[1], mul(d, signed_byte<3>(four)));
    }
    for (int half = 0; half < 2; ++half)
        for (int part = 0; part < 2; ++part) {
            Bytes low[4], next[4], high[4];
            load_transposed(row, at + 64 * half + 16 * part, low);
            load_transposed(row, at + 64 * half + 32 + 16 * part, next);
            load_transposed(row, at + 128 + 32 * half + 16 * part, high);
            for (int g = 0; g < 4; ++g) {
                PanelBlock* block = out + 4 * half;
                store_signed(block[0].codes[4 * part + g], q6_code<0>(low[g], high[g]), 32);
                store_signed(block[1].codes[4 * part + g], q6_code<1>(next[g], high[g]), 32);
                store_signed(block[2].codes[4 * part + g], q6_code<2>(low[g], high[g]), 32);
                store_signed(block[3].codes[4 * part + g], q6_code<3>(next[g], high[g]), 32);
            }
        }
}

// Any quantised type, row by row through the portable decoder.
static void unpack_any(const TypeInfo& info, Rows row, int64_t at, PanelBlock* out) {
    const int bias = info.form == Form::Signed ? kSignedBias : 0;
    Codes codes;
    for (int r = 0; r < 16; ++r) {
        read_block(info, row[r] + at, codes);
        for (int i = 0; i < info.block; ++i) out[i / 32].codes[i % 32 / 4][4 * r + i % 4] = (uint8_t)(codes.code[i] + bias);
        for (int g = 0; g < info.block / info.group; ++g) {
            PanelBlock& block = out[g * info.group / 32];
            const int slot = g * info.group % 32 / 16;
            block.scale[slot][r] = codes.scale[g];
            if (info.form == Form::Minned) block.min[slot][r] = codes.min[g];
        }
    }
}

// Columns [column, column + count) of 16 rows; both are multiples of the type's block.
static void unpack(const TypeInfo& info, Rows row, int64_t column, int64_t count, PanelBlock* out) {
    const int64_t first = column / info.block, blocks = count / info.block;
    const int step = info.block / 32;
    auto each = [&](auto one) {
        for (int64_t b = 0; b < blocks; ++b) one(row, (first + b) * info.bytes, out + b * step);
    };
    switch (info.type) {
        case Type::Q4_0: return each(unpack_q4_0);
        case Type::Q4_1: return each(unpack_q4_1);
        case Type::Q5_0: return each(unpack_q5_0);
        case Type::Q8_0: return each(unpack_q8_0);
        case Type::Q4_K: return each(unpack_q4_k);
        case Type::Q5_K: return each(unpack_q5_k);
        case Type::Q6_K: return each(unpack_q6_k);
        default: return each([&](Rows r, int64_t at, PanelBlock* block) { unpack_any(info, r, at, block); });
    }
}

// Float weights: out[16 * c + r] is row r, column c.
static void unpack_float(const TypeInfo& info, Rows row, int64_t column, int64_t count, float* out) {
    const int size = info.bytes, step = 16 / size;
    int64_t c = 0;
    for (; c + step <= count; c += step) {
        Bytes q[4];
        load_transposed(row, (column + c) * size, q);
        for (int g = 0; g < 4; ++g) {
            const I32 w = as_int(q[g]);
            float* to = out + 16 * (c + g * step / 4);
            if (info.type == Type::F32) {
                store(to, as_float(w));
            } else if (info.type == Type::BF16) {
                store(to, as_float(shift_left<16>(w)));
                store(to + 16, as_float(bit_and(w, splat_int((int32_t)0xffff0000))));
            } else {
                store(to, half_lanes_to_float(bit_and(w, splat_int(0xffff))));
                store(to + 16, half_lanes_to_float(shift_right<16>(w)));
            }
        }
    }
    for (; c < count; ++c)
        for (int r = 0; r < 16; ++r) decode_row(info, row[r] + (column + c) * size, 1, out + 16 * c + r);
}

}  // namespace furet::FURET_ISA
