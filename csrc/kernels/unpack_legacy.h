// Unpackers of the types with blocks of 32: a scale, for some a min, and 32 codes.
#pragma once

#include "panel.h"

namespace furet::FURET_ISA {

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

// Line g of nibbles with the bits that belong to it.
template <int offset, int g> FURET_INLINE void put_fifths(PanelBlock& block, const Bytes q[4], I32 fifths, Bytes& sum) {
    const Bytes nibbles = g < 4 ? low_nibbles(q[g % 4]) : high_nibbles(q[g % 4]);
    put<offset>(block.codes[g], bit_or(nibbles, fifth_bit<g>(fifths)), sum);
    if constexpr (g < 7) put_fifths<offset, g + 1>(block, q, fifths, sum);
    else put_total<offset, 32>(block, 0, sum);
}

struct Q5_0 {
    static constexpr int kBytes = 22, kColumns = 32;
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        store(out->scale[0], from.halves(at));
        const I32 fifths = from.words(at + 2);
        Bytes q[4], sum = no_bytes();
        from.rows(at + 6, q);
        put_fifths<16, 0>(*out, q, fifths, sum);
    }
};

struct Q5_1 {
    static constexpr int kBytes = 24, kColumns = 32;
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        store_pair_of_halves(from.words(at), out->scale[0], out->min[0]);
        const I32 fifths = from.words(at + 4);
        Bytes q[4], sum = no_bytes();
        from.rows(at + 8, q);
        put_fifths<0, 0>(*out, q, fifths, sum);
    }
};

// 32 signed bytes.
template <class Source> FURET_INLINE void unpack_bytes(Source& from, int64_t at, PanelBlock& out) {
    I32 sum = splat_int(-kSignedBias * 32);
    for (int part = 0; part < 2; ++part) {
        Bytes q[4];
        from.rows(at + 16 * part, q);
        for (int g = 0; g < 4; ++g) {
            const Bytes codes = add_byte(q[g], kSignedBias);
            sum = add_codes(sum, codes);
            store_bytes(out.codes[4 * part + g], codes);
        }
    }
    add_total(out, 0, sum);
}

struct Q8_0 {
    static constexpr int kBytes = 34, kColumns = 32;
    template <class Source> FURET_INLINE void unpack(Source& from, int64_t at, PanelBlock* out) {
        store(out->scale[0], from.halves(at));
        unpack_bytes(from, at + 2, *out);
    }
};

}  // namespace furet::FURET_ISA
