// Unpackers of the types with blocks of 32: a scale, for some a min, and 32 codes.
#pragma once

#include "panel.h"

namespace furet::FURET_ISA {

template <class Block, class Out> FURET_INLINE void put_nibbles(Out& out, const Bytes q[4]) {
    Codes<Block, Out> codes(out);
    for (int g = 0; g < 4; ++g) {
        codes.put(g, low_nibbles(q[g]));
        codes.put(4 + g, high_nibbles(q[g]));
    }
    codes.end();
}

struct Q4_0 : SignedType<32, 8> {
    static constexpr int kBytes = 18, kColumns = 32;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store(out->scale[0], from.halves(at));
        Bytes q[4];
        from.rows(at + 2, q);
        put_nibbles<Q4_0>(*out, q);
    }
};

struct Q4_1 : MinnedType<32> {
    static constexpr int kBytes = 20, kColumns = 32;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store_pair_of_halves(from.words(at), out->scale[0], out->min[0]);
        Bytes q[4];
        from.rows(at + 4, q);
        put_nibbles<Q4_1>(*out, q);
    }
};

// Line g of nibbles with the bits that belong to it.
template <int g, class Codes> FURET_INLINE void put_fifths(Codes& codes, const Bytes q[4], I32 fifths) {
    const Bytes nibbles = g < 4 ? low_nibbles(q[g % 4]) : high_nibbles(q[g % 4]);
    codes.put(g, bit_or(nibbles, fifth_bit<g>(fifths)));
    if constexpr (g < 7) put_fifths<g + 1>(codes, q, fifths);
    else codes.end();
}

struct Q5_0 : SignedType<32, 16> {
    static constexpr int kBytes = 22, kColumns = 32;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store(out->scale[0], from.halves(at));
        const I32 fifths = from.words(at + 2);
        Bytes q[4];
        from.rows(at + 6, q);
        Codes<Q5_0, Out> codes(*out);
        put_fifths<0>(codes, q, fifths);
    }
};

struct Q5_1 : MinnedType<32> {
    static constexpr int kBytes = 24, kColumns = 32;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store_pair_of_halves(from.words(at), out->scale[0], out->min[0]);
        const I32 fifths = from.words(at + 4);
        Bytes q[4];
        from.rows(at + 8, q);
        Codes<Q5_1, Out> codes(*out);
        put_fifths<0>(codes, q, fifths);
    }
};

// 32 signed bytes.
template <class Block, class Source, class Out> FURET_INLINE void unpack_bytes(Source& from, int64_t at, Out& out) {
    WideCodes<Block, Out> codes(out);
    for (int part = 0; part < 2; ++part) {
        Bytes q[4];
        from.rows(at + 16 * part, q);
        for (int g = 0; g < 4; ++g) codes.put(4 * part + g, add_byte(q[g], kSignedBias));
    }
    codes.end();
}

struct Q8_0 : SignedType<32, kSignedBias> {
    static constexpr int kBytes = 34, kColumns = 32;
    template <class Source, class Out> FURET_INLINE void unpack(Source& from, int64_t at, Out* out) {
        store(out->scale[0], from.halves(at));
        unpack_bytes<Q8_0>(from, at + 2, *out);
    }
};

}  // namespace furet::FURET_ISA
