// Unpack: from 16 rows of stored blocks to a panel (panel.h), or to what one token makes of them (tokens.h).
//
// Each unpacker (unpack_*.h) is the portable decoder of decode.cpp, 16 rows at a time.
#pragma once

#include <cstdint>

#include "../decode.h"
#include "../types.h"
#include "source.h"
#include "unpack_k.h"
#include "unpack_legacy.h"
#include "unpack_table.h"
#include "unpack_ternary.h"

namespace furet::FURET_ISA {

// Reads through a copy of the source, which can stay in registers: bytes of the panel could be those of `from`.
template <class Block, class Source> static void unpack_blocks(Source& from, int64_t first, int64_t blocks, PanelBlock* out) {
    Source reader = from;
    for (int64_t b = 0; b < blocks; ++b) Block::unpack(reader, (first + b) * Block::kBytes, out + b * (Block::kColumns / 32));
    from = reader;
}

// Calls `use` with the unpacker of a quantised type.
template <class Use> FURET_INLINE void with_unpacker(Type type, Use use) {
    switch (type) {
        case Type::Q4_0: return use(Q4_0());
        case Type::Q4_1: return use(Q4_1());
        case Type::Q5_0: return use(Q5_0());
        case Type::Q5_1: return use(Q5_1());
        case Type::Q8_0: return use(Q8_0());
        case Type::Q2_K: return use(Q2_K());
        case Type::Q3_K: return use(Q3_K());
        case Type::Q4_K: return use(Q4_K());
        case Type::Q5_K: return use(Q5_K());
        case Type::Q6_K: return use(Q6_K());
        case Type::Q8_K: return use(Q8_K());
        case Type::IQ4_NL: return use(IQ4_NL());
        case Type::IQ4_XS: return use(IQ4_XS());
        case Type::MXFP4: return use(MXFP4());
        case Type::TQ1_0: return use(TQ1_0());
        case Type::TQ2_0: return use(TQ2_0());
        case Type::F32: case Type::F16: case Type::BF16: return;
    }
}

// `blocks` blocks from block `first` of 16 rows on.
template <class Source> static void unpack(Type type, Source& from, int64_t first, int64_t blocks, PanelBlock* out) {
    with_unpacker(type, [&](auto unpacker) { unpack_blocks<decltype(unpacker)>(from, first, blocks, out); });
}

}  // namespace furet::FURET_ISA
