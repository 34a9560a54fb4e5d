// Unpackers of the types whose codes are -1, 0 and 1: blocks of 256 with one scale.
#pragma once

#include "panel.h"

namespace furet::FURET_ISA {

FURET_INLINE void store_scale_of_all(F32 d, PanelBlock* out) {
    for (int i = 0; i < 8; ++i) store(out[i].scale[0], d);
}

struct TQ2_0 {
    static constexpr int kBytes = 66, kColumns = 256;
    template <int plane> FURET_INLINE void unpack_plane(const Bytes q[8], PanelBlock& out) {
        Bytes sum = no_bytes();
        for (int line = 0; line < 8; ++line) put<1>(out.codes[line], shift_and<2 * plane>(q[line], 3), sum);
        put_total<1, 32>(out, 0, sum);
    }
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
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
struct TQ1_0 {
    static constexpr int kBytes = 54, kColumns = 256;
    FURET_INLINE Bytes digit(Bytes q) { return add_bytes(at_least(q, 86), at_least(q, 171)); }
    FURET_INLINE Bytes rest(Bytes q) { return add_bytes(q, add_bytes(q, q)); }
    // The first digits of four lines of bytes.
    FURET_INLINE void put_digits(Bytes q[4], PanelBlock& block, int half, Bytes& sum) {
        for (int g = 0; g < 4; ++g) {
            put<1>(block.codes[4 * half + g], digit(q[g]), sum);
            q[g] = rest(q[g]);
        }
    }
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        Bytes q[8], sum[8];
        for (int i = 0; i < 8; ++i) sum[i] = no_bytes();
        store_scale_of_all(from.halves(at + 52), out);
        from.rows(at, q);
        from.rows(at + 16, q + 4);
        for (int n = 0; n < 5; ++n) {
            put_digits(q, out[n], 0, sum[n]);
            put_digits(q + 4, out[n], 1, sum[n]);
        }
        from.rows(at + 32, q);
        for (int n = 0; n < 5; ++n) put_digits(q, out[5 + n / 2], n % 2, sum[5 + n / 2]);
        Bytes last = as_bytes(from.words(at + 48));
        for (int n = 0; n < 4; ++n, last = rest(last)) put<1>(out[7].codes[4 + n], digit(last), sum[7]);
        for (int i = 0; i < 8; ++i) put_total<1, 32>(out[i], 0, sum[i]);
    }
};

}  // namespace furet::FURET_ISA
