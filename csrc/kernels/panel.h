// The panel: the form in which the matrix kernel reads weights.
//
// A panel holds 16 rows by some columns as a run of PanelBlocks of 32 columns. Byte 4 * r + j of line g is the code of row r,
// column 4 * g + j, so a line is one Bytes vector and a token's 4 values meet all 16 rows in one instruction. Nothing is ever
// summed across lanes. Signed codes are stored plus kSignedBias.
#pragma once

#include <cstdint>

namespace furet::FURET_ISA {

struct PanelBlock {
    uint8_t codes[8][64];
    float total[16];            // sum of scale * code over all 32 columns
    float scale[2][16];         // of each half; [0] serves all 32 columns when the group is 32
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

// `codes` is the sum of a group's codes, whose scale is there already; half 0 comes before half 1.
FURET_INLINE void add_total(PanelBlock& block, int half, I32 codes) {
    const F32 scale = load(block.scale[half]), sum = to_float(codes);
    store(block.total, half ? fma(scale, sum, load(block.total)) : mul(scale, sum));
}

template <int offset, int group> FURET_INLINE void put_total(PanelBlock& block, int half, Bytes sum) {
    add_total(block, half, add(sum_bytes(sum), splat_int(-offset * group)));
}

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
