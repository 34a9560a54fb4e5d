// Unpackers of the types whose codes are -1, 0 and 1: blocks of 256 with one scale.
#pragma once

#include "panel.h"

namespace furet::FURET_ISA {

template <class Out> FURET_INLINE void store_scale_of_all(F32 d, Out* out) {
    for (int i = 0; i < 8; ++i) store(out[i].scale[0], d);
}

struct TQ2_0 : SignedType<32, 1> {
    static constexpr int kBytes = 66, kColumns = 256;
    template <int plane, class Out> FURET_INLINE void unpack_plane(const Bytes q[8], Out& out) {
        Codes<TQ2_0, Out> codes(out);
        for (int line = 0; line < 8; ++line) codes.put(line, shift_and<2 * plane>(q[line], 3));
        codes.end();
    }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store_scale_of_all(from.halves(at + 64), out);
        for (int half = 0; half < 2; ++half, out += 4) {
            Bytes q[8];
            from.rows(at + 32 * half, q);
            from.rows(at + 32 * half + 16, q + 4);
            unpack_plane<0>(q, out[0]);
            unpack_plane<1>(q, out[1]);
            unpack_plane<2>(q, out[2]);
            unpack_plane<3>(q, out[3]);
        }
    }
};

// A byte is a fraction of 256 whose digits in base 3 are the codes plus 1: the first is byte * 3 / 256, and the rest is what
// of that product stays below 256.
struct TQ1_0 : SignedType<32, 1> {
    static constexpr int kBytes = 54, kColumns = 256;
    FURET_INLINE Bytes digit(Bytes q) { return add_bytes(at_least(q, 86), at_least(q, 171)); }
    FURET_INLINE Bytes rest(Bytes q) { return add_bytes(q, add_bytes(q, q)); }
    // The first digits of four lines of bytes.
    template <class Codes> FURET_INLINE void put_digits(Bytes q[4], Codes& codes, int half) {
        for (int g = 0; g < 4; ++g) {
            codes.put(4 * half + g, digit(q[g]));
            q[g] = rest(q[g]);
        }
    }
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        using Digits = Codes<TQ1_0, Out>;
        Bytes q[8];
        store_scale_of_all(from.halves(at + 52), out);
        Digits codes[8] = {Digits(out[0]), Digits(out[1]), Digits(out[2]), Digits(out[3]), Digits(out[4]), Digits(out[5]), Digits(out[6]), Digits(out[7])};
        from.rows(at, q);
        from.rows(at + 16, q + 4);
        for (int n = 0; n < 5; ++n) {
            put_digits(q, codes[n], 0);
            put_digits(q + 4, codes[n], 1);
        }
        from.rows(at + 32, q);
        for (int n = 0; n < 5; ++n) put_digits(q, codes[5 + n / 2], n % 2);
        Bytes last = as_bytes(from.words(at + 48));
        for (int n = 0; n < 4; ++n, last = rest(last)) codes[7].put(4 + n, digit(last));
        for (Digits& each : codes) each.end();
    }
};

}  // namespace furet::FURET_ISA
