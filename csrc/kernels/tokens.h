// Few tokens need no panel: they meet the codes where they are unpacked, in registers.
//
// The unpackers write to a TokensBlock as they do to a PanelBlock, but of the codes only the dot products with the tokens' are
// kept. What is made of them is multiply.h's, so a token alone and among many gets the same bits.
#pragma once

#include "multiply.h"
#include "unpack.h"

namespace furet::FURET_ISA {

// 16 rows by 32 columns of a weight and NT tokens, whose blocks lie side by side: one pointer leads to all of them.
template <int NT> struct alignas(64) TokensBlock {
    int32_t dot[NT][2][16];     // of each half; [0] of all 32 columns when the group is 32
    float total[16];            // these three as in a panel
    float scale[2][16];
    float min[2][16];
    const Q8Block* x;

    // Where codes are stored with a bias, the offset is as good as one: the sum begins with what cancels it.
    template <class Block, int offset> struct Lines {
        TokensBlock& block;
        const int half;
        const Q8Block* const x;
        I32 sum[NT];

        FURET_INLINE_MEMBER Lines(TokensBlock& block, int half) : block(block), half(half), x(block.x) {
            for (int t = 0; t < NT; ++t) sum[t] = splat_int(start<Block::kForm, Block::kGroup, offset>(x[t], half));
        }
        FURET_INLINE_MEMBER void put(int line, Bytes raw) {
            const Bytes codes = offset && !kSignedBias ? add_byte(raw, -offset) : raw;
            for (int t = 0; t < NT; ++t) sum[t] = dot_of<Block::kForm, true>(sum[t], codes, x[t].code + 4 * line);
        }
        FURET_INLINE_MEMBER void end() {
            for (int t = 0; t < NT; ++t) store_int(block.dot[t][half], sum[t]);
        }
    };
};

template <Form, int, int NT> FURET_INLINE void dot_group(const TokensBlock<NT>* w, const Tokens<NT>&, int half, Dots<1, NT>& out) {
    for (int t = 0; t < NT; ++t) out.sum[0][t] = load_int(w->dot[t][half]);
}

// y plus the products of `blocks` blocks of 16 rows, from block `first` on, with x [32 columns, NT tokens].
template <class Block, class Source, int NT>
static void multiply_blocks(Source& from, int64_t first, int64_t blocks, const Q8Block* x, Tile<1, NT>& y) {
    constexpr int count = Block::kColumns / 32;
    Source reader = from;
    Tile<1, NT> sum = y;
    for (int64_t b = first; b < first + blocks; ++b) {
        TokensBlock<NT> block[count];
        for (int i = 0; i < count; ++i) block[i].x = x + i * NT;
        Block::unpack(reader, b * Block::kBytes, block);
        for (int i = 0; i < count; ++i, x += NT) {
            Tokens<NT> token;
            for (int t = 0; t < NT; ++t) token[t] = x + t;
            multiply_block<Block::kForm, Block::kGroup>(block + i, token, sum);
        }
    }
    y = sum;
    from = reader;
}

}  // namespace furet::FURET_ISA
