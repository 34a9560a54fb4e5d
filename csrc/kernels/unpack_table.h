// Unpackers of the types whose codes are places in a table of 16 values.
#pragma once

#include "../decode.h"
#include "panel.h"

namespace furet::FURET_ISA {

struct Table { uint8_t code[16]; };

// The values as they are stored in a panel.
constexpr Table panel_codes(const int8_t (&values)[16]) {
    Table out{};
    for (int i = 0; i < 16; ++i) out.code[i] = (uint8_t)(values[i] + kSignedBias);
    return out;
}
inline constexpr Table kIQ4Codes = panel_codes(kIQ4), kFP4Codes = panel_codes(kFP4);

template <class Block, class Source, class Out> FURET_INLINE void unpack_iq4(Source& from, int64_t at, Out& out) {
    Bytes q[4];
    from.rows(at, q);
    WideCodes<Block, Out> codes(out);
    for (int g = 0; g < 4; ++g) {
        codes.put(g, look_up(kIQ4Codes.code, low_nibbles(q[g])));
        codes.put(4 + g, look_up(kIQ4Codes.code, high_nibbles(q[g])));
    }
    codes.end();
}

struct IQ4_NL : SignedType<32, kSignedBias> {
    static constexpr int kBytes = 18, kColumns = 32;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store(out->scale[0], from.halves(at));
        unpack_iq4<IQ4_NL>(from, at + 2, *out);
    }
};

struct IQ4_XS : SignedType<32, kSignedBias> {
    static constexpr int kBytes = 136, kColumns = 256;
    // Of a 6-bit scale, 4 bits are in one word and 2 in the upper half of the other.
    template <int g> FURET_INLINE F32 scale(F32 d, I32 low, I32 high) {
        const I32 low_bits = bit_and(shift_right<4 * g>(low), splat_int(15));
        const I32 high_bits = bit_and(shift_right<12 + 2 * g>(high), splat_int(48));
        return mul(d, to_float(add(bit_or(low_bits, high_bits), splat_int(-32))));
    }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        const I32 first = from.words(at), second = from.words(at + 4);
        const F32 d = half_lanes_to_float(bit_and(first, splat_int(0xffff)));
        store(out[0].scale[0], scale<0>(d, second, first));
        store(out[1].scale[0], scale<1>(d, second, first));
        store(out[2].scale[0], scale<2>(d, second, first));
        store(out[3].scale[0], scale<3>(d, second, first));
        store(out[4].scale[0], scale<4>(d, second, first));
        store(out[5].scale[0], scale<5>(d, second, first));
        store(out[6].scale[0], scale<6>(d, second, first));
        store(out[7].scale[0], scale<7>(d, second, first));
        for (int g = 0; g < 8; ++g) unpack_iq4<IQ4_XS>(from, at + 8 + 16 * g, out[g]);
    }
};

struct MXFP4 : SignedType<32, kSignedBias> {
    static constexpr int kBytes = 17, kColumns = 32;
    // 2^(e - 128): the exponent in its place, or below 2 the one bit of a subnormal.
    FURET_INLINE F32 scale(I32 e) { return as_float(max(shift_left<23>(add(e, splat_int(-1))), shift_left<21>(add(e, splat_int(1))))); }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store(out->scale[0], scale(from.bytes(at)));
        Bytes q[4];
        from.rows(at + 1, q);
        // Eight codes of up to 12 and the eight biases, which vanish modulo 256, fit in a signed byte.
        Bytes sum = add_byte(no_bytes(), kSignedBias);
        typename Out::template Lines<MXFP4> lines(*out, 0);
        for (int g = 0; g < 4; ++g) {
            const Bytes low = look_up(kFP4Codes.code, low_nibbles(q[g])), high = look_up(kFP4Codes.code, high_nibbles(q[g]));
            lines.put(g, low);
            lines.put(4 + g, high);
            sum = add_bytes(add_bytes(sum, low), high);
        }
        lines.end();
        add_total(*out, 0, add_codes(splat_int(-kSignedBias * 4), sum));
    }
};

}  // namespace furet::FURET_ISA
