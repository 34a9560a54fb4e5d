// A decoder of two layers with random weights of many types, written out as a program.
#pragma once

#include <deque>
#include <initializer_list>
#include <string>

#include "blocks.h"
#include "pack.h"
#include "pages.h"
#include "program.h"

namespace test {

class TinyModel {
public:
    static constexpr int64_t kWidth = 256, kFeedForward = 512, kVocabulary = 96;
    static constexpr int kLayers = 2, kHeads = 4, kKVHeads = 2, kHeadDim = 64;
    static constexpr int64_t kMaxTokens = 80, kMaxRows = 80;

    // Packed: weights that can be are given as `pack` writes them. Window: of the second layer.
    explicit TinyModel(bool packed = false, int64_t window = 0);

    // Logits [rows, vocabulary] of one step.
    std::vector<float> step(furet::Pool& pool, const std::vector<int32_t>& tokens, std::vector<furet::Run> runs, const std::vector<int32_t>& rows);
    // The same for one sequence and all of its tokens.
    std::vector<float> step(furet::Pool& pool, const std::vector<int32_t>& tokens, furet::Cache& cache);
    static furet::CacheShape shape(int64_t capacity);
    static std::unique_ptr<furet::Cache> cache(int64_t capacity);

    furet::Program program;

private:
    const furet::Weight* weight(furet::Type type, int64_t rows, int64_t columns);
    int buffer(int64_t width, furet::Kind kind, furet::Rows rows = furet::Rows::Tokens);
    furet::Floats norm(int64_t n);
    void layer(int layer, int x, int64_t window);

    bool packed_;
    Random random_;
    int64_t offset_ = 0;
    int rope_ = 0;
    std::deque<furet::Weight> weights_;
    std::vector<std::unique_ptr<OddBytes>> bytes_;
    std::vector<std::unique_ptr<furet::Pages>> packs_;
};

}  // namespace test
