// Unpack: from 16 rows of stored blocks to a panel (see panel.h).
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

// `blocks` blocks from block `first` of 16 rows on.
template <class Source> static void unpack(Type type, Source& from, int64_t first, int64_t blocks, PanelBlock* out) {
    switch (type) {
        case Type::Q4_0: return unpack_blocks<Q4_0>(from, first, blocks, out);
        case Type::Q4_1: return unpack_blocks<Q4_1>(from, first, blocks, out);
        case Type::Q5_0: return unpack_blocks<Q5_0>(from, first, blocks, out);
        case Type::Q5_1: return unpack_blocks<Q5_1>(from, first, blocks, out);
        case Type::Q8_0: return unpack_blocks<Q8_0>(from, first, blocks, out);
        case Type::Q2_K: return unpack_blocks<Q2_K>(from, first, blocks, out);
        case Type::Q3_K: return unpack_blocks<Q3_K>(from, first, blocks, out);
        case Type::Q4_K: return unpack_blocks<Q4_K>(from, first, blocks, out);
        case Type::Q5_K: return unpack_blocks<Q5_K>(from, first, blocks, out);
        case Type::Q6_K: return unpack_blocks<Q6_K>(from, first, blocks, out);
        case Type::Q8_K: return unpack_blocks<Q8_K>(from, first, blocks, out);
        case Type::IQ4_NL: return unpack_blocks<IQ4_NL>(from, first, blocks, out);
        case Type::IQ4_XS: return unpack_blocks<IQ4_XS>(from, first, blocks, out);
        case Type::MXFP4: return unpack_blocks<MXFP4>(from, first, blocks, out);
        case Type::TQ1_0: return unpack_blocks<TQ1_0>(from, first, blocks, out);
        case Type::TQ2_0: return unpack_blocks<TQ2_0>(from, first, blocks, out);
        case Type::F32: case Type::F16: case Type::BF16: return;
    }
}

}  // namespace furet::FURET_ISA
