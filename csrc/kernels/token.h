// A single token needs no panel: it meets the codes where they are unpacked, in registers.
//
// The unpackers write to a TokenBlock as they do to a PanelBlock, but of the codes only the dot product with the token's is
// kept. What is made of it is multiply.h's, so one token alone and among many gets the same bits.
#pragma once

#include "multiply.h"
#include "unpack.h"

namespace furet::FURET_ISA {

// 16 rows by 32 columns of a weight and one token.
struct alignas(64) TokenBlock {
    int32_t dot[2][16];         // of each half; [0] of all 32 columns when the group is 32
    float total[16];            // these three as in a panel
    float scale[2][16];
    float min[2][16];
    const Q8Block* x;

    // Where codes are stored with a bias, the offset is as good as one: the sum begins with what cancels it.
    template <class Block, int offset> struct Lines {
        TokenBlock& block;
        const int half;
        const int8_t* const code;
        I32 sum;

        FURET_INLINE_MEMBER Lines(TokenBlock& block, int half)
            : block(block), half(half), code(block.x->code), sum(splat_int(start<Block::kForm, Block::kGroup, offset>(*block.x, half))) {}
        FURET_INLINE_MEMBER void put(int line, Bytes raw) {
            sum = dot_of<Block::kForm>(sum, offset && !kSignedBias ? add_byte(raw, -offset) : raw, code + 4 * line);
        }
        FURET_INLINE_MEMBER void end() { store_int(block.dot[half], sum); }
    };
};

template <Form, int> FURET_INLINE void dot_group(const TokenBlock* w, const Tokens<1>&, int half, Tile<1, 1>& out) {
    out.sum[0][0] = to_float(load_int(w->dot[half]));
}

// y plus the products of `blocks` blocks of 16 rows, from block `first` on, with the token's blocks from x on.
template <class Block, class Source> static void multiply_blocks(Source& from, int64_t first, int64_t blocks, const Q8Block* x, F32& y) {
    constexpr int count = Block::kColumns / 32;
    Source reader = from;
    Tile<1, 1> sum{{{y}}};
    for (int64_t b = first; b < first + blocks; ++b) {
        TokenBlock block[count];
        for (int i = 0; i < count; ++i) block[i].x = x + i;
        Block::unpack(reader, b * Block::kBytes, block);
        for (int i = 0; i < count; ++i, ++x) multiply_block<Block::kForm, Block::kGroup>(block + i, {x}, sum);
    }
    y = sum.sum[0][0];
    from = reader;
}

template <class Source> static void multiply_token(Type type, Source& from, int64_t first, int64_t blocks, const Q8Block* x, F32& y) {
    with_unpacker(type, [&](auto unpacker) { multiply_blocks<decltype(unpacker)>(from, first, blocks, x, y); });
}

}  // namespace furet::FURET_ISA
