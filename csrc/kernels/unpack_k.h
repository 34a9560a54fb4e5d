// Unpackers of the K-quants: blocks of 256, whose groups of 16 or 32 have small integer scales that share one float16.
#pragma once

#include "functions.h"
#include "unpack_legacy.h"

namespace furet::FURET_ISA {

// Groups of 16: those of four groups, which are the bytes of a lane, to two blocks.
template <class Out> FURET_INLINE void store_signed_scales(F32 d, I32 four, Out* out) {
    store(out[0].scale[0], mul(d, to_float(signed_byte_of<0>(four))));
    store(out[0].scale[1], mul(d, to_float(signed_byte_of<1>(four))));
    store(out[1].scale[0], mul(d, to_float(signed_byte_of<2>(four))));
    store(out[1].scale[1], mul(d, to_float(signed_byte_of<3>(four))));
}

template <int n> FURET_INLINE F32 times_nibble(F32 d, I32 four) { return mul(d, to_float(byte_of<n>(four))); }

struct Q2_K : MinnedType<16> {
    static constexpr int kBytes = 84, kColumns = 256;
    template <class Out> FURET_INLINE void store_scales(F32 d, F32 dmin, Bytes four, Out* out) {
        const I32 scales = as_int(low_nibbles(four)), mins = as_int(high_nibbles(four));
        store(out[0].scale[0], times_nibble<0>(d, scales));
        store(out[0].scale[1], times_nibble<1>(d, scales));
        store(out[1].scale[0], times_nibble<2>(d, scales));
        store(out[1].scale[1], times_nibble<3>(d, scales));
        store(out[0].min[0], times_nibble<0>(dmin, mins));
        store(out[0].min[1], times_nibble<1>(dmin, mins));
        store(out[1].min[0], times_nibble<2>(dmin, mins));
        store(out[1].min[1], times_nibble<3>(dmin, mins));
    }
    template <int plane, class Out> FURET_INLINE void unpack_plane(const Bytes q[4], int part, Out& out) {
        Codes<Q2_K, Out> codes(out, part);
        for (int g = 0; g < 4; ++g) codes.put(4 * part + g, shift_and<2 * plane>(q[g], 3));
        codes.end();
    }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        const I32 both = from.words(at + 80);
        const F32 d = half_lanes_to_float(bit_and(both, splat_int(0xffff)));
        const F32 dmin = sub(zero(), half_lanes_to_float(shift_right<16>(both)));
        Bytes scales[4];
        from.rows(at, scales);
        for (int i = 0; i < 4; ++i) store_scales(d, dmin, scales[i], out + 2 * i);
        for (int half = 0; half < 2; ++half, out += 4)
            for (int part = 0; part < 2; ++part) {
                Bytes q[4];
                from.rows(at + 16 + 32 * half + 16 * part, q);
                unpack_plane<0>(q, part, out[0]);
                unpack_plane<1>(q, part, out[1]);
                unpack_plane<2>(q, part, out[2]);
                unpack_plane<3>(q, part, out[3]);
            }
    }
};

struct Q3_K : SignedType<16, 4> {
    static constexpr int kBytes = 110, kColumns = 256;
    // The 12 bytes of sixteen 6-bit scales (see decode.cpp).
    template <class Source, class Out> FURET_INLINE void unpack_scales(Source& from, int64_t at, F32 d, Out* out) {
        const Bytes a = as_bytes(from.words(at)), b = as_bytes(from.words(at + 4)), high = as_bytes(from.words(at + 8));
        store_signed_scales(d, as_int(add_byte(bit_or(low_nibbles(a), shift_and<-4>(high, 48)), -32)), out);
        store_signed_scales(d, as_int(add_byte(bit_or(low_nibbles(b), shift_and<-2>(high, 48)), -32)), out + 2);
        store_signed_scales(d, as_int(add_byte(bit_or(high_nibbles(a), and_byte(high, 48)), -32)), out + 4);
        store_signed_scales(d, as_int(add_byte(bit_or(high_nibbles(b), shift_and<2>(high, 48)), -32)), out + 6);
    }
    // Block n of 32 columns: its third bits are bit n of every byte.
    template <int n, class Out> FURET_INLINE void unpack_plane(const Bytes q[4], const Bytes third[4], int part, Out& out) {
        Codes<Q3_K, Out> codes(out, part);
        for (int g = 0; g < 4; ++g) codes.put(4 * part + g, bit_or(shift_and<2 * (n % 4)>(q[g], 3), shift_and<n - 2>(third[g], 4)));
        codes.end();
    }
    template <int half, class Source, class Out> FURET_INLINE void unpack_half(Source& from, int64_t at, const Bytes third[8], Out* out) {
        for (int part = 0; part < 2; ++part) {
            Bytes q[4];
            from.rows(at + 32 + 32 * half + 16 * part, q);
            unpack_plane<4 * half>(q, third + 4 * part, part, out[4 * half]);
            unpack_plane<4 * half + 1>(q, third + 4 * part, part, out[4 * half + 1]);
            unpack_plane<4 * half + 2>(q, third + 4 * part, part, out[4 * half + 2]);
            unpack_plane<4 * half + 3>(q, third + 4 * part, part, out[4 * half + 3]);
        }
    }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        unpack_scales(from, at + 96, from.halves(at + 108), out);
        Bytes third[8];
        from.rows(at, third);
        from.rows(at + 16, third + 4);
        unpack_half<0>(from, at, third, out);
        unpack_half<1>(from, at, third, out);
    }
};

template <int n, class Out> FURET_INLINE void store_k_scale(I32 scales, F32 d, I32 mins, F32 dmin, Out& out) {
    store(out.scale[0], mul(d, to_float(byte_of<n>(scales))));
    store(out.min[0], mul(dmin, to_float(byte_of<n>(mins))));
}

// The 16-byte header of Q4_K and Q5_K: d, dmin and the eight 6-bit pairs (see decode.cpp), for all rows at once.
template <class Source, class Out> FURET_INLINE void unpack_k_scales(Source& from, int64_t at, Out* out) {
    Bytes header[4];
    from.rows(at, header);
    const I32 both = as_int(header[0]);
    const F32 d = half_lanes_to_float(bit_and(both, splat_int(0xffff)));
    const F32 dmin = sub(zero(), half_lanes_to_float(shift_right<16>(both)));
    const I32 low_scales = as_int(and_byte(header[1], 63)), low_mins = as_int(and_byte(header[2], 63));
    const I32 high_scales = as_int(bit_or(and_byte(header[3], 15), shift_and<2>(header[1], 48)));
    const I32 high_mins = as_int(bit_or(shift_and<4>(header[3], 15), shift_and<2>(header[2], 48)));
    store_k_scale<0>(low_scales, d, low_mins, dmin, out[0]);
    store_k_scale<1>(low_scales, d, low_mins, dmin, out[1]);
    store_k_scale<2>(low_scales, d, low_mins, dmin, out[2]);
    store_k_scale<3>(low_scales, d, low_mins, dmin, out[3]);
    store_k_scale<0>(high_scales, d, high_mins, dmin, out[4]);
    store_k_scale<1>(high_scales, d, high_mins, dmin, out[5]);
    store_k_scale<2>(high_scales, d, high_mins, dmin, out[6]);
    store_k_scale<3>(high_scales, d, high_mins, dmin, out[7]);
}

struct Q4_K : MinnedType<32> {
    static constexpr int kBytes = 144, kColumns = 256;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        unpack_k_scales(from, at, out);
        for (int pair = 0; pair < 4; ++pair, out += 2) {
            Codes<Q4_K, Out> low(out[0]), high(out[1]);
            for (int part = 0; part < 2; ++part) {
                Bytes q[4];
                from.rows(at + 16 + 32 * pair + 16 * part, q);
                for (int g = 0; g < 4; ++g) {
                    low.put(4 * part + g, low_nibbles(q[g]));
                    high.put(4 * part + g, high_nibbles(q[g]));
                }
            }
            low.end();
            high.end();
        }
    }
};

struct Q5_K : MinnedType<32> {
    static constexpr int kBytes = 176, kColumns = 256;
    // Bit n of every byte, moved to bit 4.
    template <int n> FURET_INLINE Bytes fifth(Bytes x) { return shift_and<n - 4>(x, 16); }
    template <int pair, class Source, class Out> FURET_INLINE void unpack_pair(Source& from, int64_t at, const Bytes fifths[8], Out* out) {
        Codes<Q5_K, Out> low(out[2 * pair]), high(out[2 * pair + 1]);
        for (int part = 0; part < 2; ++part) {
            Bytes q[4];
            from.rows(at + 48 + 32 * pair + 16 * part, q);
            for (int g = 0; g < 4; ++g) {
                const int line = 4 * part + g;
                low.put(line, bit_or(low_nibbles(q[g]), fifth<2 * pair>(fifths[line])));
                high.put(line, bit_or(high_nibbles(q[g]), fifth<2 * pair + 1>(fifths[line])));
            }
        }
        low.end();
        high.end();
    }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        unpack_k_scales(from, at, out);
        Bytes fifths[8];
        from.rows(at + 16, fifths);
        from.rows(at + 32, fifths + 4);
        unpack_pair<0>(from, at, fifths, out);
        unpack_pair<1>(from, at, fifths, out);
        unpack_pair<2>(from, at, fifths, out);
        unpack_pair<3>(from, at, fifths, out);
    }
};

struct Q6_K : SignedType<16, 32> {
    static constexpr int kBytes = 210, kColumns = 256;
    template <int quarter, class Out> FURET_INLINE void unpack_quarter(const Bytes low[4], const Bytes high[4], int part, Out& out) {
        Codes<Q6_K, Out> codes(out, part);
        for (int g = 0; g < 4; ++g) {
            const Bytes nibbles = quarter < 2 ? low_nibbles(low[g]) : high_nibbles(low[g]);
            codes.put(4 * part + g, bit_or(nibbles, shift_and<2 * quarter - 4>(high[g], 48)));
        }
        codes.end();
    }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        const F32 d = from.halves(at + 208);
        Bytes scales[4];
        from.rows(at + 192, scales);
        for (int i = 0; i < 4; ++i) store_signed_scales(d, as_int(scales[i]), out + 2 * i);
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

struct Q8_K : SignedType<32, kSignedBias> {
    static constexpr int kBytes = 292, kColumns = 256;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        // A scale whose multiples overflow is infinite in all that is made of it.
        const F32 stored = as_float(from.words(at));
        const F32 d = where_less(magnitude(stored), splat(0x1p127f), stored, splat(__builtin_inff()));
        for (int i = 0; i < 8; ++i) {
            store(out[i].scale[0], d);
            unpack_bytes<Q8_K>(from, at + 4 + 32 * i, out[i]);
        }
        // Sums of the codes, which nobody needs here.
        Bytes unused[4];
        from.rows(at + 260, unused);
        from.rows(at + 276, unused);
    }
};

}  // namespace furet::FURET_ISA
