// The panel: the form in which the matrix kernel reads weights, and how unpackers write it.
//
// A panel holds 16 rows by some columns as a run of PanelBlocks of 32 columns. Byte 4 * r + j of line g is the code of row r,
// column 4 * g + j, so a line is one Bytes vector and a token's 4 values meet all 16 rows in one instruction. Nothing is ever
// summed across lanes. Signed codes are stored plus kSignedBias.
#pragma once

#include <cstdint>

#include "../types.h"

namespace furet::FURET_ISA {

struct PanelBlock {
    uint8_t codes[8][64];
    float total[16];            // sum of scale * code over all 32 columns
    float scale[2][16];         // of each half; [0] serves all 32 columns when the group is 32
    float min[2][16];
    // Where kFloatSums: of each half, its scale times 1, 1.125 and so on to 1.875, which meet the scales of activations.
    float multiple[2][8][16];

    // The lines of one group of codes, each plus the type's offset, on their way here.
    template <class Block> struct Lines {
        PanelBlock& block;
        FURET_INLINE_MEMBER Lines(PanelBlock& block, int) : block(block) {}
        FURET_INLINE_MEMBER void put(int line, Bytes raw) {
            constexpr int bias = (Block::kForm == Form::Signed ? kSignedBias : 0) - Block::kOffset;
            store_bytes(block.codes[line], bias ? add_byte(raw, bias) : raw);
        }
        FURET_INLINE_MEMBER void end() {}
    };
};

// To be called once for a panel that tokens will meet.
static void fill_multiples(PanelBlock* panel, int64_t blocks, int group) {
    for (int64_t b = 0; b < blocks; ++b)
        for (int half = 0; half < 32 / group; ++half) {
            const F32 scale = load(panel[b].scale[half]);
            for (int eighths = 0; eighths < 8; ++eighths)
                store(panel[b].multiple[half][eighths], mul(scale, splat(1.0f + 0.125f * (float)eighths)));
        }
}

FURET_INLINE Bytes low_nibbles(Bytes x) { return and_byte(x, 15); }
FURET_INLINE Bytes high_nibbles(Bytes x) { return shift_and<4>(x, 15); }
FURET_INLINE Bytes no_bytes() { return as_bytes(splat_int(0)); }

// `codes` is the sum of a group's codes, whose scale is there already; half 0 comes before half 1.
template <class Out> FURET_INLINE void add_total(Out& block, int half, I32 codes) {
    const F32 scale = load(block.scale[half]), sum = to_float(codes);
    store(block.total, half ? fma(scale, sum, load(block.total)) : mul(scale, sum));
}

// A group of codes of a type, each plus its offset, on their way to `out` line by line. They fit in a byte even when the group's
// lines are added up: 8 of up to 31, or 4 of up to 63.
template <class Block, class Out> struct Codes {
    Out& out;
    const int half;
    typename Out::template Lines<Block> lines;
    Bytes sum = no_bytes();

    FURET_INLINE_MEMBER explicit Codes(Out& out, int half = 0) : out(out), half(half), lines(out, half) {}
    FURET_INLINE_MEMBER void put(int line, Bytes raw) {
        sum = add_bytes(sum, raw);
        lines.put(line, raw);
    }
    FURET_INLINE_MEMBER void end() {
        lines.end();
        add_total(out, half, add(sum_bytes(sum), splat_int(-Block::kOffset * Block::kGroup)));
    }
};

// The same for codes of all bytes.
template <class Block, class Out> struct WideCodes {
    Out& out;
    typename Out::template Lines<Block> lines;
    I32 sum = splat_int(-kSignedBias * 32);

    FURET_INLINE_MEMBER explicit WideCodes(Out& out) : out(out), lines(out, 0) {}
    FURET_INLINE_MEMBER void put(int line, Bytes codes) {
        sum = add_codes(sum, codes);
        lines.put(line, codes);
    }
    FURET_INLINE_MEMBER void end() {
        lines.end();
        add_total(out, 0, sum);
    }
};

// What an unpacker says of its type besides kBytes and kColumns of a block. kOffset is what its codes come with added.
template <int group, int offset> struct SignedType {
    static constexpr Form kForm = Form::Signed;
    static constexpr int kGroup = group, kOffset = offset;
};
template <int group> struct MinnedType {
    static constexpr Form kForm = Form::Minned;
    static constexpr int kGroup = group, kOffset = 0;
};

// Byte n of every lane.
template <int n> FURET_INLINE I32 byte_of(I32 x) {
    if constexpr (n == 3) return shift_right<24>(x);
    else return bit_and(shift_right<8 * n>(x), splat_int(255));
}
template <int n> FURET_INLINE I32 signed_byte_of(I32 x) {
    if constexpr (n == 3) return shift_right_signed<24>(x);
    else return shift_right_signed<24>(shift_left<24 - 8 * n>(x));
}

FURET_INLINE void store_pair_of_halves(I32 both, float* low, float* high) {
    store(low, half_lanes_to_float(bit_and(both, splat_int(0xffff))));
    store(high, half_lanes_to_float(shift_right<16>(both)));
}

}  // namespace furet::FURET_ISA
