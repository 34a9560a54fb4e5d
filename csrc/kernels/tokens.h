// Few tokens need no panel: they meet the codes where they are unpacked, in registers.
//
// The unpackers write to a TokensBlock as they do to a PanelBlock, but of the codes only the dot products with the tokens' are
// kept. What is made of them is multiply.h's, so a token alone and among many gets the same bits.
#pragma once

#include <cstddef>
#include <cstring>

#include "multiply.h"
#include "unpack.h"

namespace furet::FURET_ISA {

// A block of activations that will meet the weights of one type: a Q8Block up to `less`.
struct ReadyBlock {
    int8_t code[32];
    float scale, mid, sum, half_sum;
    // Where codes keep an offset: what a sum has too much, of each group. That is what it began with, and the products with the
    // offset.
    float less[2];
    int32_t unused[2];
};
static_assert(sizeof(ReadyBlock) == sizeof(Q8Block) && offsetof(ReadyBlock, less) == offsetof(Q8Block, base));

// What a sum begins with, as a number.
constexpr float kStart = kFloatSums ? 0x1.8p23f : 0.0f;

// Codes keep their offset where the kernel wants one, and lose it on the way elsewhere (see Lines).
constexpr bool keeps_offset(Form form) { return form == Form::Signed && kSignedBias != 0; }

FURET_INLINE void make_ready(const Q8Block& x, int offset, int group, ReadyBlock& out) {
    std::memcpy(&out, &x, sizeof out);
    for (int half = 0; half < 2; ++half) {
        const int32_t codes = (x.base - (group == 32 ? x.bias : x.half_bias[half])) / 128;
        out.less[half] = kStart + (float)(offset * codes);
    }
}

// 16 rows by 32 columns of a weight and NT tokens, whose blocks lie side by side: one pointer leads to all of them.
template <int NT> struct alignas(64) TokensBlock {
    int32_t dot[NT][2][16];     // of each half; [0] of all 32 columns when the group is 32
    float total[16];            // these three as in a panel
    float scale[2][16];
    float min[2][16];
    const ReadyBlock* x;

    template <class Block> struct Lines {
        TokensBlock& block;
        const int half;
        const ReadyBlock* const x;
        I32 sum[NT];

        FURET_INLINE_MEMBER Lines(TokensBlock& block, int half) : block(block), half(half), x(block.x) {
            for (int t = 0; t < NT; ++t) sum[t] = splat_int(kFloatSums ? kSumBase : 0);
        }
        FURET_INLINE_MEMBER void put(int line, Bytes raw) {
            constexpr int lost = keeps_offset(Block::kForm) ? 0 : Block::kOffset;
            const Bytes codes = lost ? add_byte(raw, -lost) : raw;
            for (int t = 0; t < NT; ++t) sum[t] = dot_of<Block::kForm, true>(sum[t], codes, x[t].code + 4 * line);
        }
        FURET_INLINE_MEMBER void end() {
            for (int t = 0; t < NT; ++t) store_int(block.dot[t][half], sum[t]);
        }
    };
};

// The order of add_products in multiply.h.
template <Form form, int, int half, int NT>
FURET_INLINE void add_products(const TokensBlock<NT>* w, const Tokens<NT, ReadyBlock>& x, Tile<1, NT>& y) {
    const F32 scale = load(w->scale[half]);
    for (int t = 0; t < NT; ++t) {
        const I32 sum = load_int(w->dot[t][half]);
        const float less = keeps_offset(form) ? x[t]->less[half] : kStart;
        const F32 dot = sub(kFloatSums ? as_float(sum) : to_float(sum), splat(less));
        y.sum[0][t] = fma(dot, mul(scale, splat(x[t]->scale)), y.sum[0][t]);
    }
}

// y plus the products of `blocks` blocks of 16 rows, from block `first` on, with x [32 columns, NT tokens].
template <class Block, class Source, int NT>
static void multiply_blocks(Source& from, int64_t first, int64_t blocks, const ReadyBlock* x, Tile<1, NT>& y) {
    constexpr int count = Block::kColumns / 32;
    Source reader = from;
    Tile<1, NT> sum = y;
    for (int64_t b = first; b < first + blocks; ++b) {
        TokensBlock<NT> block[count];
        for (int i = 0; i < count; ++i) block[i].x = x + i * NT;
        Block::unpack(reader, b * Block::kBytes, block);
        for (int i = 0; i < count; ++i, x += NT) {
            Tokens<NT, ReadyBlock> token;
            for (int t = 0; t < NT; ++t) token[t] = x + t;
            multiply_block<Block::kForm, Block::kGroup>(block + i, token, sum);
        }
    }
    y = sum;
    from = reader;
}

}  // namespace furet::FURET_ISA
