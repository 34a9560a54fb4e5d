// Unpackers of the K-quants: blocks of 256, whose groups of 16 or 32 have small integer scales that share one float16.
#pragma once

#include "panel.h"

namespace furet::FURET_ISA {

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

}  // namespace furet::FURET_ISA
